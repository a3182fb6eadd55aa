"""Wasserstein distances between projections on lines: project, sort, and couple equal quantiles."""

import numpy as np

from ._sorting import order, sort

__all__ = ["sliced_gradients", "sliced_powers", "sorted_projections"]

# Directions that are projected together: the points are read once for all of them.
_TOGETHER = 16


def sorted_projections(X, directions, out):
    """Write the sorted projections of the points X on each direction to the rows of ``out``.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        float32 or float64.
    directions : ndarray, shape (L, d)
    out : ndarray, shape (L, n)
        In the dtype of X.
    """
    for first in range(0, len(directions), _TOGETHER):
        rows = slice(first, first + _TOGETHER)
        out[rows] = directions[rows].astype(X.dtype) @ X.T
        sort(out[rows])


def sliced_powers(X, Y, a, b, directions, p, out):
    """out[l] = W_p^p between the projections of X and of Y on direction l.

    Parameters
    ----------
    X, Y : ndarray, shapes (n, d) and (m, d)
        The points, both float32 or both float64. Sums are taken in float64.
    a, b : ndarray of float64, shapes (n,) and (m,), or None
        Weights >= 0 with total 1; None: uniform.
    directions : ndarray, shape (L, d)
    p : float
        At least 1.
    out : ndarray of float64, shape (L,)
    """
    _sliced(X, Y, a, b, directions, None, p, out, None, None)


def sliced_gradients(X, Y, a, b, directions, weights, p, out, dX, dY):
    """As ``sliced_powers``, and add the derivatives of the sum over l of weights[l] out[l] to dX and dY.

    Parameters
    ----------
    weights : ndarray of float64, shape (L,)
    dX, dY : ndarray of float64, shapes (n, d) and (m, d)
        Derivatives with respect to the points.
    """
    _sliced(X, Y, a, b, directions, weights, p, out, dX, dY)


def _sliced(X, Y, a, b, directions, weights, p, out, dX, dY):
    n, m = len(X), len(Y)
    a = np.full(n, 1.0 / n) if a is None else a
    b = np.full(m, 1.0 / m) if b is None else b
    for line, theta in enumerate(directions):
        x, y = X @ theta.astype(X.dtype), Y @ theta.astype(Y.dtype)
        i, j = order(x), order(y)
        levels = np.cumsum(a[i]), np.cumsum(b[j])
        ends = np.unique(np.concatenate(levels))
        mass = np.diff(ends, prepend=0.0)
        i = i[np.minimum(np.searchsorted(levels[0], ends), n - 1)]
        j = j[np.minimum(np.searchsorted(levels[1], ends), m - 1)]
        gap = x[i].astype(np.float64) - y[j]
        out[line] = mass @ np.abs(gap) ** p
        if dX is not None:
            slope = weights[line] * p * mass * np.sign(gap) * np.abs(gap) ** (p - 1)
            dX += np.outer(np.bincount(i, slope, n), theta)
            dY -= np.outer(np.bincount(j, slope, m), theta)
