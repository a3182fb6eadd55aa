"""The problems are what they say they are."""

import numpy as np
import pytest
from scipy import sparse
from solvers.benchmarks.problems import PROBLEMS, make_problem

SMALL = {"arrow": 40, "random60": 40, "dense": 30, "poisson3d": 5, "structure:building": 2, "structure:cantilever": 2}
SMALL |= {"structure:composite": 4}
ENTRIES = list(PROBLEMS.values())
EXPECTED = {"poisson2d", "poisson3d", "anisotropic", "jump", "elasticity", "convection_diffusion2d"}


def small(entry, dtype=None):
    return make_problem(entry, SMALL.get(entry.name, 8), dtype)


def as_dense(A):
    return A.toarray() if sparse.issparse(A) else A


def test_the_promised_problems_are_registered():
    assert EXPECTED <= set(PROBLEMS)
    assert sum(name.startswith("pyamg:") for name in PROBLEMS) >= 5


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_a_problem_is_square_with_a_finite_right_hand_side(entry):
    problem = small(entry)
    assert problem.A.shape == (problem.n, problem.n)
    assert problem.b.shape == (problem.n,) and problem.b.dtype == problem.A.dtype
    assert np.isfinite(problem.b).all() and problem.nnz > 0


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_symmetry_is_as_declared(entry):
    A = small(entry).A
    mirrored = abs(A - A.conj().T).max() <= 1e-12 * abs(A).max()
    assert mirrored == entry.symmetric


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.spd], ids=lambda e: e.name)
def test_a_problem_declared_positive_definite_is(entry):
    assert entry.symmetric
    np.linalg.cholesky(as_dense(small(entry).A))  # raises unless it is


def test_the_singular_problem_has_its_right_hand_side_in_the_range():
    problem = make_problem(PROBLEMS["pyamg:unit_square"])
    A = problem.A.toarray()
    x = np.linalg.lstsq(A, problem.b)[0]
    assert np.linalg.eigvalsh(A).min() < 1e-10
    assert np.linalg.norm(A @ x - problem.b) < 1e-10 * np.linalg.norm(problem.b)


def test_the_size_is_the_number_of_points_per_axis():
    assert make_problem(PROBLEMS["poisson2d"], 10).n == 100
    assert make_problem(PROBLEMS["poisson3d"], 4).n == 64


def test_poisson_has_the_known_smallest_eigenvalue():
    lowest = np.linalg.eigvalsh(make_problem(PROBLEMS["poisson2d"], 9).A.toarray()).min()
    assert lowest == pytest.approx(2 * (2 - 2 * np.cos(np.pi / 10)))


def test_the_jump_is_of_four_orders_of_magnitude():
    diagonal = make_problem(PROBLEMS["jump"], 32).A.diagonal()
    assert diagonal.max() / diagonal.min() == pytest.approx(1e4, rel=0.6)


def test_a_cast_keeps_the_imaginary_part():
    assert small(PROBLEMS["poisson2d"], "float32").A.dtype == np.float32
    assert small(PROBLEMS["poisson2d"], "complex64").b.dtype == np.complex64
    assert small(PROBLEMS["pyamg:helmholtz_2D"], "float32").A.dtype == np.complex64


def test_two_instances_are_equal():
    first, second = small(PROBLEMS["random60"]), small(PROBLEMS["random60"])
    assert (first.A != second.A).nnz == 0
    np.testing.assert_array_equal(first.b, second.b)
