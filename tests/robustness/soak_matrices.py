"""Random matrices of many kinds and storages, and right-hand sides for them."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from spoilt import disguised, pick

from solvers import linalg

__all__ = ["DEFINITE", "KINDS", "draw", "matrix", "right_side", "stored"]


def matrix(rng, kind, n, dtype):
    """A dense matrix of some kind."""
    dtype = np.dtype(dtype)
    G = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype.kind == "c" else 0)
    if kind == "poisson":
        A = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    elif kind == "neumann":
        A = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        A[0, 0] = A[-1, -1] = 1.0
        A = A * (n > 1)
    elif kind in ("definite", "negative", "indefinite", "graded", "low rank"):
        Q = np.linalg.qr(G)[0]
        d = {
            "graded": np.geomspace(1e-12, 1, n),
            "indefinite": np.linspace(-1, 2, n),
            "low rank": np.arange(n) % 3 == 0,
            "negative": -np.linspace(1, 9, n),
        }.get(kind, np.linspace(1, 9, n))
        A = (Q * d) @ Q.conj().T
        A = (A + A.conj().T) / 2
    elif kind == "diagonal":
        A = np.diag(rng.uniform(0.1, 10, n))
    elif kind == "triangular":
        A = np.triu(G) + 3 * np.eye(n)
    elif kind == "permutation":
        A = np.eye(n)[rng.permutation(n)]
    elif kind == "zero":
        A = np.zeros((n, n))
    elif kind == "dominant":
        A = G * (rng.random((n, n)) < 0.3)
        A = A + np.diag(np.abs(A).sum(1) + 1)
    elif kind == "hole":  # a row and a column of zeros
        A = G @ G.conj().T
        A[n // 2] = A[:, n // 2] = 0
    else:
        A = G
    return A.astype(dtype)


KINDS = (
    "poisson",
    "poisson",
    "definite",
    "definite",
    "neumann",
    "negative",
    "indefinite",
    "graded",
    "low rank",
    "diagonal",
    "triangular",
    "permutation",
    "zero",
    "dominant",
    "hole",
    "general",
)
DEFINITE = ("poisson", "poisson", "definite", "graded", "diagonal")
SIZES = (1, 1, 2, 3, 5, 8, 12, 17, 30, 65)


def draw(rng, kinds=KINDS, sizes=SIZES):
    """A dense matrix, of some scale, perhaps with a NaN."""
    dtype = pick(rng, "d", "d", "f", "D", "F")
    A = matrix(rng, pick(rng, *kinds), pick(rng, *sizes), dtype)
    most = 30 if dtype in "fF" else 300
    if rng.random() < 0.2:
        with np.errstate(all="ignore"):
            A = (A * A.dtype.type(10.0 ** rng.uniform(-most, most))).astype(dtype)
    if rng.random() < 0.03:
        A[tuple(rng.integers(A.shape[0], size=2))] = pick(rng, np.nan, np.inf)
    return A


def stored(A, rng, entries=False):
    """The matrix in some storage; with entries that can be read, if need be."""
    form = int(rng.integers(8 if entries else 11))
    if form < 2:
        return disguised(A, rng)
    if form < 8:
        S = sparse.coo_array(A)
        kinds = (sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix, sparse.lil_array)
        S = pick(rng, *kinds, sparse.bsr_array)(S)
        if isinstance(S, sparse.csr_array) and rng.random() < 0.3 and S.nnz:
            S = _shuffled(S, rng)
        return S
    if form == 8:
        H = A.conj().T
        return LinearOperator(A.shape, matvec=lambda v: _times(A, v), rmatvec=lambda v: _times(H, v), dtype=A.dtype)
    return linalg.prepare(A) if form == 9 and np.isfinite(A).all() else sparse.csr_array(A)


def _shuffled(S, rng):
    """The same matrix with a duplicate entry, unsorted columns and an explicit zero."""
    C = S.tocoo()
    data, row, column = C.data.copy(), C.row.astype(np.int64), C.col.astype(np.int64)
    half = data[0] / 2
    data = np.concatenate([data, [half, 0]])
    data[0] = half
    row, column = np.append(row, [row[0], 0]), np.append(column, [column[0], 0])
    order = rng.permutation(data.size)
    counts = np.bincount(row, minlength=S.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    order = order[np.argsort(row[order], kind="stable")]
    return sparse.csr_array((data[order].astype(S.dtype), column[order], indptr), shape=S.shape)


def right_side(A, rng):
    """One right-hand side or several, in the range of A or not, zero, huge or tiny."""
    m, n = A.shape
    k = pick(rng, None, None, None, None, 1, 3, 0)
    shape = (m,) if k is None else (m, k)
    inner = (n,) if k is None else (n, k)
    b = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if A.dtype.kind == "c" else 0)
    how = int(rng.integers(8))
    if how == 0:
        b = 0 * b
    elif how < 3 and np.isfinite(A).all():
        with np.errstate(all="ignore"):
            b = A @ rng.standard_normal(inner)
        b = b if np.isfinite(b).all() else np.ones(shape)
    if rng.random() < 0.15:
        with np.errstate(all="ignore"):
            b = b * 10.0 ** rng.uniform(*((-30, 30) if A.dtype.char in "fF" else (-290, 290)))
        b = b if np.isfinite(b).all() else np.ones(shape)
    with np.errstate(all="ignore"):
        cast = b.astype(A.dtype if rng.random() < 0.9 else np.float32 if b.dtype.kind == "f" else b.dtype)
    return disguised(cast if np.isfinite(cast).all() else b, rng)


@np.errstate(all="ignore")
def _times(A, v):
    """A product in the user's own code, whose warnings are the user's."""
    return A @ v
