"""amg: PyAMG's hierarchies, cycled by our kernels, against PyAMG's own cycles and dense algebra."""

import pickle

import numpy as np
import pyamg
import pytest
import scipy.sparse.linalg as scipy_linalg
from scipy import sparse
from small_systems import phased, right
from solvers.benchmarks.families import family

import solvers
from solvers import InvalidInput, linalg

SMOOTHERS = ("jacobi", "chebyshev")
every_smoother = pytest.mark.parametrize("smoother", SMOOTHERS)
BUILDERS = {
    "smoothed_aggregation": pyamg.smoothed_aggregation_solver,
    "ruge_stuben": pyamg.ruge_stuben_solver,
    "rootnode": pyamg.rootnode_solver,
}
every_kind = pytest.mark.parametrize("kind", BUILDERS)


def poisson(*shape):
    return sparse.csr_array(pyamg.gallery.poisson(shape, format="csr"))


def example(name):
    return sparse.csr_array(pyamg.gallery.load_example(name)["A"])


def iterations(A, b, M):
    seen = []
    x, info = scipy_linalg.cg(A, b, rtol=1e-6, maxiter=200, M=M, callback=seen.append)
    assert info == 0 and np.linalg.norm(b - A @ x) <= 1.1e-6 * np.linalg.norm(b)
    return len(seen)


PROBLEMS = {
    "2D": lambda: poisson(60, 61),
    "3D": lambda: poisson(15, 16, 17),
    "airfoil": lambda: example("airfoil"),
    "knot": lambda: example("knot"),
    "discontinuous Galerkin": lambda: example("local_disc_galerkin_diffusion"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@every_kind
@every_smoother
def test_a_cycle_is_pyamgs_own_with_the_same_smoother(problem, kind, smoother):
    A = PROBLEMS[problem]()
    b = right(A.shape[0])
    np.random.seed(0)
    theirs = BUILDERS[kind](A, presmoother=smoother, postsmoother=smoother)
    ours, cycle = linalg.amg(theirs, smoother=smoother), theirs.aspreconditioner()
    z = cycle @ b
    assert np.linalg.norm(ours @ b - z) <= 1e-11 * np.linalg.norm(z)
    assert iterations(A, b, ours) == iterations(A, b, cycle)


@pytest.mark.parametrize("degree", [1, 2, 4])
@every_smoother
def test_more_steps_are_pyamgs_options_of_the_smoother(smoother, degree):
    A = poisson(20, 21)
    name = (smoother, {"degree": degree} if smoother == "chebyshev" else {"iterations": degree})
    theirs = pyamg.smoothed_aggregation_solver(A, presmoother=name, postsmoother=name)
    b = right(420)
    z = theirs.aspreconditioner() @ b
    assert np.allclose(linalg.amg(theirs, smoother=smoother, degree=degree) @ b, z, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@every_kind
@every_smoother
def test_it_is_hermitian_and_positive_definite(kind, smoother, dtype):
    if kind == "ruge_stuben" and dtype in "FD":
        with pytest.raises(InvalidInput, match="kind"):
            linalg.amg(phased(poisson(13, 14), dtype), kind=kind)
        return
    M = linalg.amg(phased(poisson(13, 14), dtype), kind=kind, smoother=smoother)
    P = np.stack([M @ e for e in np.eye(182, dtype=dtype)], axis=1)
    assert M.hermitian and M.H is M and len(M.sizes) > 1
    assert P.dtype == dtype and np.abs(P - P.conj().T).max() <= (1e-5 if dtype in "fF" else 1e-14)
    assert np.linalg.eigvalsh(P).min() > 0.01


@pytest.mark.parametrize("solve", ["cg", "minres", "bicgstab", "gmres", "lgmres"])
@pytest.mark.parametrize("module", [linalg, scipy_linalg], ids=["ours", "scipy"])
def test_any_krylov_method_takes_it(module, solve):
    A = poisson(40, 41)
    b = right(1640)
    x, info = getattr(module, solve)(A, b, rtol=1e-8, M=linalg.amg(A))
    # SciPy's minres ends by another norm than that of the residual.
    assert info == 0 and np.linalg.norm(b - A @ x) <= 1e-5 * np.linalg.norm(b)


def test_iterations_hardly_grow_with_the_grid():
    counts = [linalg.cg(A, right(A.shape[0]), M=linalg.amg(A)).iterations for A in (poisson(40, 40), poisson(160, 160))]
    assert max(counts) <= 10


def test_a_diagonal_that_varies_does_not_slow_the_default_down():
    """Chebyshev's polynomial in A alone takes many times the iterations there."""
    A = family("lognormal", 64).A
    M, b = linalg.amg(A), right(A.shape[0])
    assert M.smoother == "chebyshev_jacobi" and iterations(A, b, M) <= 20
    assert linalg.cg(A, b, M=linalg.amg(A, smoother="chebyshev"), maxiter=60).iterations == 60
    A = family("lognormal", 24).A
    M = linalg.amg(A)
    P = np.stack([M @ e for e in np.eye(A.shape[0])], axis=1)
    assert np.abs(P - P.T).max() <= 1e-13 * np.abs(P).max() and np.linalg.eigvalsh(P).min() > 0


def test_candidates_near_the_null_space_are_passed_through():
    given = pyamg.gallery.load_example("bar")
    A, B = sparse.bsr_array(given["A"].tobsr(blocksize=(3, 3))), given["B"]
    b = right(A.shape[0])
    with_them, without = (iterations(A, b, linalg.amg(A, B=each)) for each in (B, None))
    assert with_them < 0.7 * without
    with pytest.raises(InvalidInput, match="`B` must have shape"):
        linalg.amg(A, B=B[1:])
    with pytest.raises(InvalidInput, match="`B` must be None"):
        linalg.amg(A, B=B, kind="ruge_stuben")


def test_the_adjoint_of_a_cycle_that_is_not_hermitian_is_its_conjugate_transpose():
    A = sparse.csr_array(pyamg.gallery.load_example("recirc_flow")["A"])
    M, u, v = linalg.amg(A, smoother="jacobi"), right(A.shape[0]), right(A.shape[0], seed=2)
    assert not M.hermitian
    assert np.vdot(u, M @ v) == pytest.approx(np.vdot(M.H @ u, v), rel=1e-9)


def test_threads_do_not_change_a_bit(monkeypatch):
    from solvers.kernels.cpu import _team

    monkeypatch.setattr(_team, "_JUDGED_FROM", float("inf"))
    monkeypatch.setattr(_team, "_busy_until", 0.0)
    A = poisson(300, 301)
    M, b = linalg.amg(A), right(A.shape[0])
    try:
        answers = [(solvers.set_threads(n), M @ b)[1] for n in (1, 2, 3)]
    finally:
        solvers.set_threads(None)
    assert all(np.array_equal(answers[0], each) for each in answers)


def test_the_global_generator_and_the_matrix_are_left_as_they_were_and_a_seed_decides():
    A = poisson(30, 31)
    before, kept = np.random.get_state()[1].copy(), A.copy()
    one, again, other = (linalg.amg(A, rng=seed) @ right(930) for seed in (3, 3, 4))
    assert np.array_equal(np.random.get_state()[1], before)
    assert np.array_equal(A.data, kept.data) and not hasattr(A, "rho") and not hasattr(A, "rho_D_inv")
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_later_changes_of_the_matrix_are_not_seen_and_vectors_of_any_dtype_are_taken():
    A, v = poisson(20, 21), right(420)
    M = linalg.amg(A)
    expected = M @ v
    A.data *= 7
    assert np.array_equal(M @ v, expected) and np.allclose(M @ v.astype("f"), expected, atol=1e-4)
    assert np.allclose(M @ (1j * v), 1j * expected) and np.array_equal((M @ v[:, None]).ravel(), expected)
    assert np.allclose(M @ np.stack([v, 2 * v], axis=1), np.stack([expected, 2 * expected], axis=1))


def test_every_kind_of_matrix_gives_the_same_preconditioner():
    A, v = poisson(12, 14), right(168)
    expected = linalg.amg(A) @ v
    for same in (A.toarray(), A.tocsc(), A.tocoo(), linalg.prepare(A), linalg.stencil((12, 14), [4.0, -1.0, -1.0])):
        assert np.allclose(linalg.amg(same) @ v, expected, rtol=1e-10)


def test_it_pickles_and_prints_in_one_line():
    A, v = poisson(20, 21), right(420)
    M = linalg.amg(A, smoother="jacobi")
    expected, again = M @ v, pickle.loads(pickle.dumps(M))
    assert np.array_equal(again @ v, expected) and repr(again) == repr(M)
    assert "420x420" in repr(M) and "jacobi" in repr(M) and "\n" not in repr(M)
    assert M.sizes[0] == 420 and 1.0 < M.complexity < 3.0


def test_a_matrix_too_small_to_coarsen_is_inverted():
    A = poisson(2, 3)
    assert np.allclose(linalg.amg(A) @ (A @ right(6)), right(6))


@pytest.mark.parametrize(
    "A, words",
    [
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite"),
        (np.ones((2, 3)), "square"),
        (np.empty((0, 0)), "at least one row"),
        (scipy_linalg.aslinearoperator(np.eye(3)).H * 2, "entries at hand"),
    ],
    ids=["NaN", "not square", "empty", "operator"],
)
def test_what_cannot_be_coarsened_is_refused_with_a_sentence(A, words):
    with pytest.raises((ValueError, TypeError), match=words):
        linalg.amg(A)
    for option in (dict(kind="air"), dict(smoother="gauss_seidel"), dict(degree=0)):
        with pytest.raises((ValueError, TypeError), match=f"`{next(iter(option))}`"):
            linalg.amg(poisson(5, 5), **option)
