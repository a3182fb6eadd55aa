"""box_poisson: direct solutions on boxes, and a preconditioner of problems with solids."""

import pickle

import numpy as np
import pytest
import scipy.sparse.linalg as scipy_linalg
from scipy import sparse
from small_systems import right
from solvers.benchmarks.families import family

import solvers
from solvers import InvalidInput, UnsupportedType, linalg

PAIRS = [
    ("neumann", "neumann"),
    ("dirichlet", "dirichlet"),
    ("neumann", "dirichlet"),
    ("dirichlet", "neumann"),
    ("beyond", "beyond"),
]
# What a side adds to the diagonal of the cells at it: the missing neighbour is the cell itself, minus it, or 0.
ADDS = {"neumann": -1.0, "dirichlet": 1.0, "beyond": 0.0}


def line(n, low, high):
    diagonal = np.full(n, 2.0)
    diagonal[0] += ADDS[low]
    diagonal[-1] += ADDS[high]
    return sparse.diags_array([-np.ones(n - 1), diagonal, -np.ones(n - 1)], offsets=[-1, 0, 1])


def box(grid, sides, weights, shift):
    A = shift * sparse.eye_array(int(np.prod(grid)))
    for axis, (pair, weight) in enumerate(zip(sides, weights)):
        before, after = int(np.prod(grid[:axis])), int(np.prod(grid[axis + 1 :]))
        along = sparse.kron(sparse.eye_array(before), line(grid[axis], *pair))
        A = A + weight * sparse.kron(along, sparse.eye_array(after))
    return sparse.csr_array(A)


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("grid", [(7,), (1,), (6, 9), (4, 5, 3)], ids=str)
def test_it_is_the_inverse_on_the_box(grid, pair, shift):
    sides = [pair, ("dirichlet", "neumann"), ("beyond", "beyond")][: len(grid)]
    weights = [0.7, 2.0, 11.0][: len(grid)]
    A = box(grid, sides, weights, shift)
    M, b = linalg.box_poisson(grid, sides=sides, weights=weights, shift=shift), right(A.shape[0])
    assert M.singular == (pair == PAIRS[0] and len(grid) == 1 and shift == 0)
    if M.singular:
        b -= b.mean()
    assert np.allclose(A @ (M @ b), b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sides", ["neumann", "dirichlet", "beyond", [("neumann", "dirichlet"), "beyond"]], ids=str)
def test_it_is_symmetric_and_positive_definite(sides, masked):
    mask = np.random.default_rng(0).uniform(size=(7, 8)) >= 0.3 if masked else None
    M = linalg.box_poisson((7, 8), sides=sides, mask=mask)
    P = np.stack([M @ e for e in np.eye(56)], axis=1)
    assert np.abs(P - P.T).max() <= 1e-14 * np.abs(P).max() and np.linalg.eigvalsh(P).min() > 1e-3
    if masked:
        outside = ~mask.ravel()
        assert not P[np.ix_(outside, ~outside)].any() and np.ptp(np.diag(P)[outside]) == 0


@pytest.mark.parametrize("size, dim", [(64, 2), (256, 2), (24, 3)])
def test_solids_in_a_box_take_few_iterations(size, dim):
    """Walls, six solids, and an open top at the high side of the first axis."""
    member = family("obstacles", size, dim)
    A, b = sparse.csr_array(member.A), member.b
    fluid = (np.diff(A.indptr) != 1).reshape(member.grid)
    assert 0.6 < fluid.mean() < 0.99
    M = linalg.box_poisson(member.grid, sides=[("neumann", "dirichlet"), *["neumann"] * (dim - 1)], mask=fluid)
    result = linalg.cg(A, b, M=M, rtol=1e-6)
    assert result.converged and result.iterations <= 20
    x, info = scipy_linalg.cg(A, b, M=M, rtol=1e-6)
    assert info == 0 and np.linalg.norm(b - A @ x) <= 1.1e-6 * np.linalg.norm(b)


def test_where_nothing_flows_out_consistent_systems_are_solved():
    A = box((20, 21), [PAIRS[0]] * 2, [1.0, 1.0], 0.0)
    b = right(420)
    b -= b.mean()
    result = linalg.cg(A, b, M=linalg.box_poisson((20, 21), sides="neumann"), rtol=1e-10)
    assert result.converged and result.iterations <= 2


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_the_precision_of_the_vector_is_kept_and_complex_ones_are_taken_apart(dtype):
    M, v = linalg.box_poisson((9, 10)), right(90)
    z = M @ v
    if np.dtype(dtype).kind == "c":
        v, z = v * (1 - 2j), z * (1 - 2j)
    assert (M @ v.astype(dtype)).dtype == dtype
    assert np.allclose(M @ v.astype(dtype), z, atol=1e-5 if dtype in "fF" else 1e-13)


def test_threads_change_no_bit_and_the_vector_is_left_alone():
    M, v = linalg.box_poisson((300, 301), sides="neumann"), right(90300)
    kept = v.copy()
    try:
        one, two = ((solvers.set_threads(n), M @ v)[1] for n in (1, 2))
    finally:
        solvers.set_threads(None)
    assert np.array_equal(one, two) and np.array_equal(v, kept) and not np.shares_memory(one, v)


def test_it_pickles_prints_in_one_line_and_is_its_own_adjoint():
    M, v = linalg.box_poisson((5, 6), sides=["neumann", ("neumann", "dirichlet")]), right(30)
    again = pickle.loads(pickle.dumps(M))
    assert np.array_equal(again @ v, M @ v) and M.H is M
    assert repr(M) == "<inverse of diffusion on a box, 5 x 6, neumann, neumann-dirichlet>" == repr(again)


@pytest.mark.parametrize(
    "grid, options, kind, words",
    [
        (20, {}, InvalidInput, "`grid` must be a sequence of 1 to 3 sizes"),
        ((2, 0), {}, InvalidInput, "`grid` must be >= 1"),
        ((4, 4), dict(sides="open"), (ValueError, TypeError), "`sides` must be one of"),
        ((4, 4), dict(sides=["neumann"]), InvalidInput, "`sides` must be a word"),
        ((4,), dict(sides=[("beyond", "neumann")]), InvalidInput, "'beyond' on both sides"),
        ((4, 4), dict(weights=[1.0, -1.0]), InvalidInput, "`weights` must be > 0"),
        ((4, 4), dict(weights=[1.0]), InvalidInput, "`weights` must have shape"),
        ((4, 4), dict(shift=-1.0), InvalidInput, "`shift` must be >= 0"),
        ((4, 4), dict(mask=np.zeros(3, bool)), InvalidInput, "`mask` must have shape"),
        ((4, 4), dict(mask=np.zeros((4, 4))), UnsupportedType, "`mask` must be an array of bool"),
    ],
)
def test_what_makes_no_box_is_refused_with_a_sentence(grid, options, kind, words):
    with pytest.raises(kind, match=words):
        linalg.box_poisson(grid, **options)
