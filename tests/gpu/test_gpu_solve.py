"""``linalg.solve`` on the (emulated) device: what it chooses there, and what comes of it."""

import numpy as np
import pytest
import scipy.sparse as sp
from solvers.benchmarks.families import family

import solvers
from solvers import linalg


def on_device(A):
    from cupyx.scipy import sparse

    return sparse.csr_array(A)


def residual(A, b, x):
    return np.linalg.norm(b - A @ (x if isinstance(x, np.ndarray) else x.get())) / np.linalg.norm(b)


@pytest.mark.parametrize("kind", ["CuPy", "grid=", "NumPy", "stencil"])
def test_a_system_on_a_grid_gets_the_learned_cycle(emulated, kind):
    P = family("obstacles", 64 if kind != "grid=" else 24, 2, 3)
    A, b = (linalg.stencil((64, 64), [4, -1, -1]) if kind == "stencil" else P.A), P.b
    with solvers.backend("gpu" if kind in ("NumPy", "stencil") else "auto"):
        there = (A, b) if kind in ("NumPy", "stencil") else (on_device(A), emulated.asarray(b))
        found = linalg.solve(*there, grid=P.grid if kind == "grid=" else None)
    assert (found.choice, found.backend, found.converged) == ("learned", "gpu", True)
    assert residual(A, b, found.x) <= 1e-8


def matrices():
    rng = np.random.default_rng(0)
    draws = rng.random((300, 300))
    A = sp.csr_array(np.where(draws < 0.02, 50 * draws, 0))
    yield "amg", A @ A.T + sp.eye_array(300)
    yield "gmres", A + 5 * sp.eye_array(300)
    yield "minres", A + A.T + sp.diags_array(np.where(np.arange(300) % 2, 5.0, -5.0))


@pytest.mark.parametrize("choice, A", list(matrices()), ids=lambda each: each if isinstance(each, str) else "")
def test_other_systems_are_solved_too(emulated, choice, A):
    A, b = sp.csr_array(A), np.random.default_rng(1).standard_normal(300)
    found = linalg.solve(on_device(A), emulated.asarray(b))
    assert (found.choice, found.converged) == (choice, True)
    assert type(found.x).__module__.startswith("cupy") and residual(A, b, found.x) <= 1e-8
    dense = linalg.solve(emulated.asarray(A.toarray()), emulated.asarray(b), rtol=1e-6)
    assert dense.converged and residual(A, b, dense.x) <= 1e-6


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_other_precisions(emulated, dtype):
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(70, 70))
    A = sp.csr_array(sp.kronsum(line, line)).astype(dtype)
    b = np.random.default_rng(0).standard_normal(4900).astype(dtype)
    found = linalg.solve(on_device(A), emulated.asarray(b))
    assert found.converged and found.x.dtype == dtype and residual(A, b, found.x) <= found.threshold * 1.01


@pytest.mark.parametrize("method", ["direct", "ic", "ssor", "jacobi", "ilu", "learned", "amg"])
def test_a_method_that_is_asked_for_serves_or_is_refused_in_a_sentence(emulated, method):
    P = family("obstacles", 16, 2, 3)
    try:
        found = linalg.solve(on_device(P.A), emulated.asarray(P.b), method=method, grid=P.grid)
    except (solvers.InvalidInput, solvers.UnsupportedType) as refusal:
        assert "`" in str(refusal)
    else:
        assert found.converged and residual(P.A, P.b, found.x) <= 1e-8


def test_factors_of_a_singular_matrix_serve_the_device_too(emulated):
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40)).tolil()
    line[0, 0] = line[39, 39] = 1
    A, b = sp.csr_array(line), np.random.default_rng(0).standard_normal(40)
    found = linalg.solve(on_device(A), emulated.asarray(b), method="direct")
    assert found.status.name == "INCONSISTENT" and np.allclose(b - A @ found.x.get(), b.mean())
    many = linalg.solve(on_device(A), emulated.asarray(np.stack([b - b.mean()] * 2, axis=1)), method="direct")
    assert many.converged
