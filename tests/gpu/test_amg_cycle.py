"""A cycle of linalg.amg on the (emulated) device, where neither SciPy nor CuPy has any algebraic multigrid."""

import numpy as np
import pyamg
import pytest
from scipy import sparse

import solvers
from solvers import linalg


def problem(dtype="d"):
    A = sparse.csr_array(pyamg.gallery.poisson((17, 18), format="csr"))
    S = sparse.diags_array(np.exp(1j * np.arange(306)) if np.dtype(dtype).kind == "c" else np.ones(306))
    return sparse.csr_array(S.conj() @ A @ S).astype(dtype), np.random.default_rng(0).standard_normal(306).astype(dtype)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("smoother", ["jacobi", "chebyshev"])
def test_a_cycle_is_the_cpus(emulated, smoother, dtype):
    A, b = problem(dtype)
    M = linalg.amg(A, smoother=smoother)
    expected, z = M @ b, M @ emulated.asarray(b)
    assert type(z).__module__.startswith("cupy") and z.dtype == b.dtype
    assert np.linalg.norm(z.get() - expected) <= 50 * np.finfo(b.dtype).eps * np.linalg.norm(expected)


def test_a_matrix_on_the_device_is_preconditioned_there(emulated):
    from cupyx.scipy import sparse as device_sparse

    A, b = problem()
    there = device_sparse.csr_matrix(A)
    M = linalg.amg(there)
    x = linalg.cg(there, emulated.asarray(b), M=M, rtol=1e-8)
    assert x.converged and x.backend == "gpu" and np.linalg.norm(b - A @ x.x.get()) <= 1e-7 * np.linalg.norm(b)
    assert x.iterations == linalg.cg(A, b, M=linalg.amg(A), rtol=1e-8).iterations


def test_the_switch_sends_arrays_of_numpy_there(emulated):
    A, b = problem()
    expected = linalg.cg(A, b, M=linalg.amg(A))
    with solvers.backend("gpu"):
        there = linalg.cg(A, b, M=linalg.amg(A))
    assert there.backend == "gpu" and there.iterations == expected.iterations and np.allclose(there.x, expected.x)
