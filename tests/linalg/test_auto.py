"""``solve`` chooses, falls back, and tells the truth about what came of it."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from solvers.benchmarks.families import family
from solvers.benchmarks.problems import PROBLEMS, make_problem
from solvers.benchmarks.structures import STRUCTURES

from solvers import linalg
from solvers._errors import InvalidInput
from solvers._result import Status

SIZES = {"beam": 400, "building": 3, "tower": 60, "dome": 8, "truss": 12, "plate": 12, "composite": 6, "sheet": 10}


def laplacian(k, ends=2.0):
    d = np.full(k, 2.0)
    d[[0, -1]] = ends
    T = sparse.diags_array([-np.ones(k - 1), d, -np.ones(k - 1)], offsets=[-1, 0, 1], format="csr")
    return sparse.csr_array(sparse.kronsum(T, T))


def noise(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


def misfit(A, x, b):
    return np.linalg.norm(b - A @ x, axis=0) / np.linalg.norm(b, axis=0)


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_are_solved_as_exactly_as_rounding_permits(name):
    A = STRUCTURES[name][0](SIZES.get(name, 3))
    b = noise(A.shape[0])
    result = linalg.solve(A, b)
    rounding = 4 * np.finfo(float).eps * np.linalg.norm(abs(A) @ abs(result.x) + abs(b))
    assert result.info == 0 and result.choice == "direct"
    assert np.linalg.norm(b - A @ result.x) <= max(1e-8 * np.linalg.norm(b), rounding)
    assert result.threshold >= result.residual


def test_a_tolerance_that_rounding_forbids_is_met_by_default_only():
    A = STRUCTURES["beam"][0](1000)
    loose, strict = linalg.solve(A, noise(6000)), linalg.solve(A, noise(6000), rtol=1e-8)
    assert loose.converged and loose.threshold > 1e-7 * np.linalg.norm(noise(6000))
    assert strict.status is Status.STAGNATED and strict.info != 0
    assert strict.choice == "direct"  # nothing else is tried: nothing else could do better
    assert loose.residual <= strict.residual * 1.01


@pytest.mark.parametrize("dtype", ["d", "F"])
def test_any_form_of_a_definite_matrix_is_solved(dtype):
    A = laplacian(20).astype(dtype)
    b = (noise(400) + (1j * noise(400, 1) if dtype in "FD" else 0)).astype(dtype)
    operator = linalg.LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=A.dtype)
    for form in (A, A.toarray(), linalg.prepare(A), operator, A.tocoo()):
        result = linalg.solve(form, b)
        assert result.converged and result.x.dtype == np.dtype(dtype)
        assert misfit(A, result.x, b) <= (2e-5 if dtype in "fF" else 1e-8)
    stencil = linalg.solve(linalg.stencil((20, 20), [4, -1, -1]), b)
    assert stencil.converged and misfit(A, stencil.x, b) <= (2e-5 if dtype in "fF" else 1e-8)


def test_many_right_hand_sides_and_none():
    A, B = laplacian(20), np.random.default_rng(0).standard_normal((400, 3))
    result = linalg.solve(A, B)
    assert result.x.shape == (400, 3) and misfit(A, result.x, B).max() <= 1e-8
    assert linalg.solve(A, np.zeros((400, 0))).x.shape == (400, 0)
    assert linalg.solve(np.zeros((0, 0)), np.zeros(0)).converged
    assert linalg.solve(sparse.csr_array([[2.0]]), [4.0]).x == pytest.approx(2.0)


def test_an_indefinite_matrix_is_solved_after_cholesky_failed():
    A, b = sparse.csr_array(laplacian(30) - sparse.eye_array(900)), noise(900)
    result = linalg.solve(A, b)
    assert result.converged and misfit(A, result.x, b) <= 1e-8
    assert ("direct", Status.INDEFINITE) in result.tried
    saddle = sparse.block_array([[None, A], [A.T, 1e-12 * A]], format="csr")
    result = linalg.solve(saddle, noise(1800))
    assert result.converged and misfit(saddle, result.x, noise(1800)) <= 1e-8
    operator = linalg.LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=float)
    result = linalg.solve(operator, b)
    assert result.choice == "minres" and result.converged and result.tried == [("cg", Status.INDEFINITE)]


def test_matrices_that_are_not_hermitian_are_solved():
    A = make_problem(PROBLEMS["convection_diffusion2d"], 30).A
    b = noise(900)
    operator = linalg.LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=float)
    for form, method in ((A, "auto"), (A.toarray(), "auto"), (operator, "auto"), (A, "ilu"), (A, "bicgstab")):
        result = linalg.solve(form, b, method=method)
        assert result.converged and misfit(A, result.x, b) <= 1e-8
    turned = linalg.solve(A, 1j * b)
    assert turned.converged and misfit(A, turned.x, 1j * b) <= 1e-8


def test_walls_all_around_are_solved_in_the_range():
    A, b = laplacian(30, ends=1.0), noise(900)
    assert linalg.solve(A, b - b.mean()).converged
    result = linalg.solve(A, b)
    assert result.status is Status.INCONSISTENT and result.info == -13
    assert abs(result.residual - abs(b.mean()) * 30) < 1e-8
    assert abs(result.x.mean()) < 1e-10


@pytest.mark.parametrize("hermitian", [True, False])
def test_a_singular_matrix_gives_the_least_squares_solution(hermitian):
    R = noise((20, 18)) @ noise((18, 20), 1)
    A, b = R @ R.T if hermitian else R, noise(20, 2)
    least = np.linalg.lstsq(A, b)[0]
    for form in (A, sparse.csr_array(A)):
        result = linalg.solve(form, b)
        assert result.status is Status.INCONSISTENT and result.choice == "pseudoinverse"
        assert result.residual == pytest.approx(np.linalg.norm(b - A @ least), rel=1e-6)
        assert "direct" in dict(result.tried)
        assert linalg.solve(form, A @ b).converged
    zero = linalg.solve(sparse.csr_array((5, 5)), np.ones(5))
    assert zero.status is Status.INCONSISTENT and not zero.x.any()


def test_a_stencil_on_a_large_grid_goes_to_the_learned_cycle():
    system = family("obstacles", 240)
    result = linalg.solve(system.A, system.b)
    assert result.choice == "learned" and result.converged and "240x240" in result.reason
    assert misfit(system.A, result.x, system.b) <= 1e-8
    given = linalg.solve(system.A, system.b, grid=(240, 240))
    assert given.choice == "learned"


def test_a_grid_that_is_none_falls_back():
    A = make_problem(PROBLEMS["anisotropic"], 20).A
    result = linalg.solve(A, noise(400), grid=(20, 20))
    assert result.converged and result.tried[0] == ("learned", Status.BREAKDOWN)


def test_factors_that_are_dear_are_not_made():
    A = make_problem(PROBLEMS["poisson3d"], 24).A
    shuffled = np.random.default_rng(0).permutation(A.shape[0])
    A = sparse.csr_array(A[shuffled][:, shuffled])
    result = linalg.solve(A, noise(A.shape[0]))
    assert result.converged and result.choice in ("ic", "ssor")


def test_an_attempt_that_is_too_slow_is_left_for_a_direct_solution():
    A = STRUCTURES["truss"][0](40)
    result = linalg.solve(A, noise(A.shape[0]))
    assert result.converged and result.choice == "direct"
    from solvers.linalg._solve_case import Watch

    watch = Watch(1e-8, 100)
    for i in range(1, 12):
        watch.on_chunk(i, 1.0)
    with pytest.raises(StopIteration):
        watch.on_chunk(12, 0.9)
    assert watch.stopped
    fast = Watch(1e-8, 100)
    for i in range(1, 60):
        fast.on_chunk(i, 0.7**i)
    assert not fast.stopped


@pytest.mark.parametrize("method", ["direct", "learned", "amg", "ic", "ssor", "jacobi", "cg", "minres", "gmres"])
def test_a_method_can_be_asked_for(method):
    A = laplacian(24)
    result = linalg.solve(A, noise(576), method=method, rtol=1e-6)
    assert result.choice == method and result.tried == []
    assert misfit(A, result.x, noise(576)) <= 1e-6


def test_what_cannot_be_done_is_one_sentence():
    A = make_problem(PROBLEMS["convection_diffusion2d"], 8).A
    with pytest.raises(InvalidInput, match="`method` must be one that `A` permits, got 'learned'"):
        linalg.solve(A, noise(64), method="learned")
    with pytest.raises(ValueError, match="`method` must be one of"):
        linalg.solve(A, noise(64), method="magic")
    with pytest.raises(ValueError, match="`grid` must have as many cells"):
        linalg.solve(A, noise(64), grid=(8, 9))
    with pytest.raises(ValueError, match="`rtol` must be >= 0"):
        linalg.solve(A, noise(64), rtol=-1.0)
    for form, b in ((A, noise(63)), (A, 3.0), (lambda v: v, 3.0)):
        with pytest.raises(ValueError, match="`b` must have shape"):
            linalg.solve(form, b)


def test_entries_that_are_not_finite_are_named():
    A = laplacian(5)
    A.data[3] = np.nan
    result = linalg.solve(A, np.ones(25))
    assert result.status is Status.NONFINITE and np.isfinite(result.x).all()


def test_the_result_tells_the_choice_and_survives_a_pickle():
    result = linalg.solve(laplacian(10), noise(100))
    assert "direct" in repr(result) and "a band of 10" in result.reason and result.reason in result.message
    again = pickle.loads(pickle.dumps(result))
    assert (again.choice, again.reason, again.tried) == (result.choice, result.reason, result.tried)
    assert result.to_dict()["choice"] == "direct" and linalg.cg(np.eye(2), np.ones(2)).choice is None


def test_a_callback_ends_all_attempts():
    def stop(x):
        raise StopIteration

    assert linalg.solve(laplacian(24), noise(576), method="ic", callback=stop).status is Status.STOPPED
    assert linalg.solve(STRUCTURES["beam"][0](500), noise(3000), callback=stop).status is Status.STOPPED
