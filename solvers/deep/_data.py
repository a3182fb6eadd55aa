"""Right-hand sides to train on: random combinations of the matrix's Ritz vectors (Kaneda et al. 2023, section 4).

What differs from the paper: the memory is known, and limited, before anything is computed; Ritz values are dropped
relative to the largest; the vectors are rotated in place, which halves the memory.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.linalg.blas import dnrm2

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._scale import to_one
from .._types import Callback, MatrixLike, Seed
from ..linalg import prepare

__all__ = ["memory_of_data", "ritz_vectors", "stopped", "training_data"]

# Columns rotated, and samples drawn, at a time.
_COLUMNS, _SAMPLES = 4096, 256
_DROPPED = 1e-8


def memory_of_data(n: int, n_ritz: int, n_samples: int) -> int:
    """Return the bytes that ``training_data`` works with at its peak, its answer included.

    Parameters
    ----------
    n, n_ritz, n_samples : int
        Unknowns, Ritz vectors, samples.

    Returns
    -------
    bytes : int

    Raises
    ------
    InvalidInput
        A ValueError: a count below 1.

    Examples
    --------
    The paper's data at 64^3, in gigabytes:

    >>> from solvers import deep
    >>> round(deep.memory_of_data(64**3, 10_000, 20_000) / 1e9)
    45
    """
    n, m, k = _checks.count("n", n), _checks.count("n_ritz", n_ritz), _checks.count("n_samples", n_samples)
    basis = 8 * n * m + 8 * (2 * m * m + 2 * m * min(n, _COLUMNS))
    samples = 4 * n * k + 8 * min(k, _SAMPLES) * (2 * n + m)
    return basis + samples


def training_data(
    A: MatrixLike,
    n_ritz: int = 400,
    n_samples: int = 2000,
    *,
    rng: Seed | None = None,
    n_weighted: int | None = None,
    memory_limit: float = 4e9,
    callback: Callback | None = None,
) -> NDArray[np.float32]:
    """Draw unit right-hand sides that hold the slow components of A, of which random ones have little.

    Parameters
    ----------
    A : ndarray, sparse array or LinearOperator, shape (n, n)
        Real symmetric, positive definite or semi-definite.
    n_ritz : int, default 400
        Steps of the Lanczos process, and Ritz vectors, at most n; the paper's 10,000.
    n_samples : int, default 2000
        Right-hand sides; the paper's 20,000.
    rng : None, int or numpy.random.Generator
        Same seed, same data.
    n_weighted : int, optional
        How many of the lowest Ritz vectors get the weight 9; a half and a twentieth of all by default, as in the paper.
    memory_limit : float, default 4e9
        Bytes; a call that needs more is refused before it starts.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(step, size)`` after each Lanczos step with the next off-diagonal entry; StopIteration
        ends the process with the vectors so far.

    Returns
    -------
    data : ndarray of float32, shape (n_samples, n)
        Rows of norm 1.

    Raises
    ------
    InvalidInput
        A ValueError: counts, or more memory than ``memory_limit``; the sentence says how much.

    Examples
    --------
    >>> from solvers import deep, linalg
    >>> A = linalg.stencil((16, 16), [4, -1, -1])
    >>> deep.training_data(A, n_ritz=40, n_samples=100, rng=0).shape
    (100, 256)
    """
    A = prepare(A)
    if A.dtype.kind == "c":
        raise UnsupportedType(f"`A` must be real, got dtype {A.dtype}.")
    n = A.shape[0]
    m, k = min(n, _checks.count("n_ritz", n_ritz)), _checks.count("n_samples", n_samples)
    weighted = m // 2 + m // 20 if n_weighted is None else _checks.count("n_weighted", n_weighted, least=0)
    need, limit = memory_of_data(n, m, k), _checks.positive("memory_limit", memory_limit)
    if need > limit:
        raise InvalidInput(
            f"`memory_limit` must be at least {need / 1e9:.3g} GB for {m} Ritz vectors and {k} samples of {n} numbers, "
            f"got {limit / 1e9:.3g} GB; raise it, or lower `n_ritz` and `n_samples`."
        )
    rng = _checks.generator(rng)
    values, vectors = ritz_vectors(A, m, rng, _checks.function("callback", callback))
    kept = values > _DROPPED * values[-1]
    vectors = vectors[np.argmax(kept) :]
    weights = np.where(np.arange(len(vectors)) < weighted, 9.0, 1.0)
    data = np.empty((k, n), np.float32)
    for begin in range(0, k, _SAMPLES):
        part = data[begin : begin + _SAMPLES]
        rows = (rng.standard_normal((len(part), len(vectors))) * weights) @ vectors
        part[:] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return data


def ritz_vectors(A, m, rng, callback=None):
    """Ritz values, ascending, and vectors, as rows, after m Lanczos steps from A times a random vector.

    Each vector is made orthogonal to all before it, twice. The process ends early where it has found a space that A
    maps to itself.
    """
    n = A.shape[0]
    V, alpha, beta = np.empty((m, n)), np.zeros(m), np.zeros(m)
    w = A @ rng.standard_normal(n)
    size = largest = dnrm2(w)  # which neither overflows nor underflows
    if not (np.isfinite(size) and size > 0.0):
        raise InvalidInput("`A` must be finite and not zero, got a product that is not; look for it in its entries.")
    for j in range(m):
        np.divide(w, size, out=V[j])
        w = A @ V[j]
        alpha[j] = V[j] @ w
        for _ in range(2):
            w -= (V[: j + 1] @ w) @ V[: j + 1]
        beta[j] = size = dnrm2(w)
        largest = max(alpha[j], size) if j == 0 else max(largest, alpha[j], size)
        if stopped(callback, j + 1, size) or size <= 1e-12 * largest:
            break
    found = j + 1
    unit = to_one(largest)  # LAPACK's bounds for small numbers are of one scale
    values, S = eigh_tridiagonal(unit * alpha[:found], unit * beta[: found - 1])
    V = V[:found]
    for begin in range(0, n, _COLUMNS):
        block = V[:, begin : begin + _COLUMNS]
        block[:] = S.T @ block
    return values / unit, V


def stopped(callback, step, number):
    """Tell the user's callback, if there is one; whether it raised StopIteration."""
    if callback is None:
        return False
    try:
        getattr(callback, "on_chunk", callback)(step, float(number))
    except StopIteration:
        return True
    return False
