"""Conjugate gradients with SSOR, by Eisenstat's trick: the iterates of ``cg`` with the dense preconditioner."""

import copy
import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from small_systems import dense_ssor, iterates, poisson, right

from solvers import Status, linalg

every_dtype = pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])


def definite(n=40, dtype="d", seed=0, eigenvalues=None):
    """A sparse-like Hermitian matrix, dense in storage; positive definite unless eigenvalues are given."""
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    Q = np.linalg.qr(G)[0]
    A = (Q * (np.geomspace(1, 100, n) if eigenvalues is None else eigenvalues)) @ Q.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


@every_dtype
@pytest.mark.parametrize("omega", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("started", [False, True])
def test_iterates_are_those_of_cg_with_the_dense_preconditioner(dtype, omega, started):
    near = 1e-4 if dtype in "fF" else 1e-11
    for A in (definite(dtype=dtype), poisson(5, 8).astype(dtype)):
        b, x0 = right(40, dtype), right(40, dtype, 3) if started else None
        M = dense_ssor(A.toarray() if sparse.issparse(A) else A, omega)
        ours = iterates(linalg.ssor_cg, A, b, x0, steps=6, omega=omega)
        theirs = iterates(linalg.cg, A, b, x0, steps=6, M=M.astype(dtype))
        assert len(ours) == len(theirs) == 6
        assert all(np.linalg.norm(x - y) <= near * np.linalg.norm(y) for x, y in zip(ours, theirs))


@pytest.mark.parametrize("omega", ["auto", 1.3])
def test_every_kind_of_matrix_gives_the_same_answer(omega):
    A, b = poisson(6, 8), right(48)
    expected = linalg.ssor_cg(A, b, omega=omega, rtol=1e-9)
    kinds = [A.toarray(), A.tocsc(), A.tobsr((2, 2)), A.todia(), linalg.prepare(A), linalg.stencil((6, 8), [4, -1, -1])]
    for same in kinds:
        result = linalg.ssor_cg(same, b, omega=omega, rtol=1e-9)
        assert result.iterations == expected.iterations and abs(result.omega - expected.omega) < 1e-9
        assert np.allclose(result.x, expected.x, rtol=1e-12)


def test_the_estimated_omega_needs_few_more_iterations_than_the_best():
    for shape in ((40, 40), (12, 12, 12)):
        A = poisson(*shape)
        b = right(A.shape[0])
        best = min(linalg.ssor_cg(A, b, omega=omega, rtol=1e-8).iterations for omega in np.arange(1.0, 2.0, 0.1))
        assert linalg.ssor_cg(A, b, rtol=1e-8).iterations <= 1.4 * best


def test_the_result_says_its_omega_and_travels_with_it():
    A, b = poisson(6, 8), right(48)
    result = linalg.ssor_cg(A, b)
    assert result.omega == linalg.ssor(A).omega and linalg.ssor_cg(A, b, omega=1.25).omega == 1.25
    for again in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert again.omega == result.omega and np.array_equal(again.x, result.x) and again.info == 0
    assert json.loads(json.dumps(result.to_dict()))["omega"] == result.omega
    assert linalg.ssor_cg(A, np.stack([b, 2 * b], axis=1)).omega == result.omega


def test_no_product_with_the_matrix_but_those_of_the_verification():
    """One for each iteration, which reads the matrix once, and one at the end."""
    result = linalg.ssor_cg(poisson(9, 9), right(81), omega=1.4)
    assert result.converged and result.n_matvec == result.iterations + 1


def test_the_number_of_right_hand_sides_and_a_callback_change_no_bit():
    A, B = poisson(6, 8), np.stack([right(48), np.zeros(48), right(48, seed=4)], axis=1)
    many = linalg.ssor_cg(A, B, rtol=1e-9)
    for j in range(3):
        seen = []
        alone = linalg.ssor_cg(A, B[:, j].copy(), rtol=1e-9, callback=seen.append)
        assert alone.x.tobytes() == many.x[:, j].tobytes() and len(seen) == alone.iterations == many.iterations[j]


@every_dtype
def test_an_indefinite_matrix_is_named(dtype):
    A = definite(21, dtype, eigenvalues=np.append(np.linspace(1, 10, 20), -3.0))
    assert np.all(np.diag(A).real > 0)
    result = linalg.ssor_cg(A, right(21, dtype), omega=1.0)
    assert result.status is Status.INDEFINITE and result.info == -11 and np.isfinite(result.x).all()


def test_a_negative_definite_matrix_is_named_and_not_solved():
    assert linalg.ssor_cg(-poisson(4, 4), np.ones(16), omega=1.0).status is Status.INDEFINITE


def test_success_with_a_matrix_that_is_not_symmetric_is_true_success():
    A, b = poisson(6, 8), right(48)
    A[0, 1] = 3.0
    for rtol in (1e-3, 1e-12):
        result = linalg.ssor_cg(A, b, omega=1.2, rtol=rtol)
        gap = np.linalg.norm(b - A @ result.x)
        assert gap <= rtol * np.linalg.norm(b) if result.converged else result.status is Status.NOT_HERMITIAN
        assert abs(gap - result.residual) <= 1e-6 * gap


@pytest.mark.parametrize("dtype", ["F", "D"])
def test_a_complex_symmetric_matrix_is_named(dtype):
    rng = np.random.default_rng(0)
    A = definite(30, "d") + 20j * np.diag(rng.standard_normal(30)) + 10j * np.ones((30, 30))
    result = linalg.ssor_cg(A.astype(dtype), right(30, dtype), omega=1.0)
    assert result.status is Status.NOT_HERMITIAN


@pytest.mark.parametrize("chunk", [1, 3, 4096])
@pytest.mark.parametrize("share", [0.0, 1e-17, 2e-17])
def test_an_imaginary_part_made_by_rounding_is_no_obstacle(share, chunk, monkeypatch):
    """Some step looks not Hermitian: the matrix is looked at, and the iteration goes on from its residual."""
    from solvers.linalg import _setup, _ssor_cg

    A, b = definite(40, "D"), right(40, "D")
    plain = linalg.ssor_cg(A, b, omega=1.2, rtol=1e-8)
    monkeypatch.setattr(_setup, "_LONGEST_CHUNK", chunk)
    monkeypatch.setattr(_ssor_cg, "math", SimpleNamespace(inf=np.inf, isfinite=np.isfinite, sqrt=lambda eps: share))
    result = linalg.ssor_cg(A, b, omega=1.2, rtol=1e-8)
    assert result.converged and result.iterations <= 1.25 * plain.iterations


@pytest.mark.parametrize("power", [-660, 660])
def test_the_scale_of_the_matrix_changes_no_bit(power):
    A, b = poisson(6, 8), right(48)
    plain, scaled = linalg.ssor_cg(A, b, rtol=1e-9), linalg.ssor_cg(A * 2.0**power, b, rtol=1e-9)
    assert np.array_equal(plain.x, scaled.x * 2.0**power) and plain.iterations == scaled.iterations


@every_dtype
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_right_hand_sides_of_any_size_are_solved(dtype, size):
    A, b = poisson(6, 8).astype(dtype), (right(48, dtype) * size).astype(dtype)
    result = linalg.ssor_cg(A, b, rtol=1e-4)
    assert result.converged
    assert np.linalg.norm((b - A @ result.x).astype("D") / size) <= 1.01e-4 * np.linalg.norm(b.astype("D") / size)


def test_a_start_far_off_is_no_success_with_a_wrong_answer():
    A, b = poisson(6, 8), right(48)
    for size in (1e8, 1e30, 1e160, 1e300):
        for solve in (linalg.ssor_cg, linalg.sor, linalg.gauss_seidel, linalg.jacobi):
            result = solve(A, b, np.full(48, size), rtol=1e-6, maxiter=2000)
            gap = np.linalg.norm(b - A @ result.x)
            assert np.isfinite(gap) and (gap <= 1e-6 * np.linalg.norm(b)) == result.converged


def test_a_tolerance_out_of_reach_is_not_success():
    A, b = definite(40), right(40)
    result = linalg.ssor_cg(A, b, omega=1.2, rtol=1e-18)
    assert result.status is Status.STAGNATED and result.residual <= 1e-12 * np.linalg.norm(b)
