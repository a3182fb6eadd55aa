"""What the tests of the Krylov methods share: the methods, their systems, and how large a true residual is."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from solvers import linalg

METHODS = [linalg.cg, linalg.minres, linalg.bicgstab, linalg.gmres]
SYMMETRIC = [linalg.cg, linalg.minres]
GENERAL = [linalg.bicgstab, linalg.gmres]
SHORT_CYCLES = {linalg.gmres: {"restart": 1}}  # so that maxiter counts iterations
MANY = dict.fromkeys(METHODS, 2000) | {linalg.gmres: 40}  # far more iterations, or cycles, than are needed
# Iterations by which rounding alone may move the end; bicgstab's norms jump.
SLACK = dict.fromkeys(METHODS, 1) | {linalg.bicgstab: 3}

every_method = pytest.mark.parametrize("solve", METHODS, ids=lambda f: f.__name__)
every_dtype = pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
every_storage = pytest.mark.parametrize(
    "storage", [np.asarray, sparse.csr_array, aslinearoperator], ids=["dense", "csr", "operator"]
)

quick = settings(deadline=None, max_examples=20, derandomize=True, database=None)
sizes = st.integers(2, 40)
seeds = st.integers(0, 2**32 - 1)


def hermitian(eigenvalues, dtype="d", seed=0):
    """A dense Hermitian matrix with these eigenvalues."""
    rng = np.random.default_rng(seed)
    n = len(eigenvalues)
    Q = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    Q = np.linalg.qr(Q)[0]
    A = (Q * eigenvalues) @ Q.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


def true_residual(A, x, b):
    """||b - A x|| in long double, and the size of that computation's rounding."""
    wide = np.clongdouble if np.result_type(A, x, b).kind == "c" else np.longdouble
    A, x, b = (v.astype(wide) for v in (A, x, b))
    size = np.abs(A) @ np.abs(x) + np.abs(b)
    return float(np.linalg.norm(b - A @ x)), float(np.linalg.norm(size))


def rotation(n, dtype, rng):
    Q = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    return np.linalg.qr(Q)[0]


def system(n, seed, dtype="d", condition=100.0, eigenvalues=None):
    """A dense Hermitian positive definite matrix and a right-hand side."""
    rng = np.random.default_rng(seed)
    if eigenvalues is None:
        eigenvalues = np.geomspace(1, condition, n)
    Q = rotation(n, dtype, rng)
    A = (Q * eigenvalues) @ Q.conj().T
    b = rng.standard_normal(n) + (1j * rng.standard_normal(n) if np.dtype(dtype).kind == "c" else 0)
    return ((A + A.conj().T) / 2).astype(dtype), b.astype(dtype)


def close(x, y, rtol):
    return np.linalg.norm(x - y) <= rtol * np.linalg.norm(y)
