"""Systems that the tests of several methods solve."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator


def poisson(*shape):
    """The 3-, 5- or 7-point matrix of a grid."""
    A = sparse.csr_array((1, 1))
    for m in shape:
        line = sparse.diags_array([-np.ones(m - 1), 2 * np.ones(m), -np.ones(m - 1)], offsets=[-1, 0, 1])
        A = sparse.kronsum(line, A)
    return sparse.csr_array(A)


def operator(A):
    """The products of A as a black box."""
    return LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=A.dtype)


def phased(A, dtype):
    """The Hermitian matrix S^H A S with |S| = 1: complex entries off the diagonal for a complex dtype."""
    if np.dtype(dtype).kind != "c":
        return A.astype(dtype)
    S = sparse.diags_array(np.exp(1j * np.arange(A.shape[0])))
    return sparse.csr_array(S.conj() @ A @ S).astype(dtype)


def iterates(solve, A, b, x0=None, steps=4, **options):
    """The first iterates, from the callback."""
    seen = []
    solve(A, b, x0, rtol=0, maxiter=steps, callback=seen.append, **options)
    return seen


def right(n, dtype="d", seed=1):
    """A normal right-hand side."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(n) + (1j * rng.standard_normal(n) if np.dtype(dtype).kind == "c" else 0)).astype(dtype)


def dense_ssor(A, omega):
    """The inverse that SSOR approximates A^-1 by, from its formula."""
    K = np.diag(np.diag(A)) / omega + np.tril(A, -1)
    return (2 - omega) / omega * np.linalg.inv(K).conj().T @ np.diag(np.diag(A)) @ np.linalg.inv(K)
