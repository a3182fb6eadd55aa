"""Incomplete factors on the pattern of the matrix: what ``ssor_solve`` with omega = 1 solves with.

The factors are (D + L) D^-1 (D + U) with the pattern of A, where D, L and U are made such that the product agrees
with A on that pattern (Meijerink & van der Vorst 1977, https://doi.org/10.1090/S0025-5718-1977-0438681-4); what
falls outside is dropped, or a share of it taken from the diagonal (Gustafsson 1978,
https://doi.org/10.1007/BF01931691). For a Hermitian A, U = L^H.
"""

import numpy as np

from ._jit import jit
from .storage import CSR
from .vectors import quotient

__all__ = ["ilu0"]


def ilu0(S, shift, relaxation):
    """Factorise; returns a Sweep with the factors, and the row whose pivot is not positive, -1 where there is none.

    Parameters
    ----------
    S : Sweep of n rows
        No entry of a triangle is given twice.
    shift : float
        The diagonal is multiplied by 1 + shift first.
    relaxation : float
        The share of (the real part of) what is dropped that is taken from the diagonal.
    """
    lower = CSR(S.lower.indptr, S.lower.indices, S.lower.data.copy())
    upper = CSR(S.upper.indptr, S.upper.indices, S.upper.data.copy())
    with np.errstate(all="ignore"):  # a NaN is no positive pivot
        d = (S.diagonal * (1 + shift)).astype(S.diagonal.dtype)
        failed = _ilu0(lower, upper, d, relaxation)
        inverse = np.zeros_like(d) if failed >= 0 else (1 / d).astype(d.dtype)
    return S._replace(lower=lower, upper=upper, diagonal=d, inverse=inverse), failed


@jit
def _ilu0(lower, upper, d, relaxation):
    n = d.size
    at_lower, at_upper = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    row = np.empty(n, np.int64)
    for i in range(n):
        count = _sorted_columns(lower, i, row)
        for e in range(lower.indptr[i], lower.indptr[i + 1]):
            at_lower[lower.indices[e]] = e
        for e in range(upper.indptr[i], upper.indptr[i + 1]):
            at_upper[upper.indices[e]] = e
        for place in range(count):
            k = row[place]
            factor = quotient(lower.data[at_lower[k]], d[k])
            for e in range(upper.indptr[k], upper.indptr[k + 1]):
                j, change = np.int64(upper.indices[e]), factor * upper.data[e]
                if j == i:
                    d[i] -= change
                elif j < i and at_lower[j] >= 0:
                    lower.data[at_lower[j]] -= change
                elif j > i and at_upper[j] >= 0:
                    upper.data[at_upper[j]] -= change
                else:
                    d[i] -= relaxation * change.real  # so that the product stays Hermitian
        for e in range(lower.indptr[i], lower.indptr[i + 1]):
            at_lower[lower.indices[e]] = -1
        for e in range(upper.indptr[i], upper.indptr[i + 1]):
            at_upper[upper.indices[e]] = -1
        if not d[i].real > 0.0:
            return i
    return -1


@jit
def _sorted_columns(lower, i, row):
    """The columns of row i, ascending; returns their number."""
    count = 0
    for e in range(lower.indptr[i], lower.indptr[i + 1]):
        column, place = np.int64(lower.indices[e]), count
        while place > 0 and row[place - 1] > column:
            row[place] = row[place - 1]
            place -= 1
        row[place] = column
        count += 1
    return count
