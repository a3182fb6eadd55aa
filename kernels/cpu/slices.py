"""Wasserstein distances between projections on lines: project, sort, and couple equal quantiles.

On a line the optimal plan couples the quantiles, so W_p^p is a sum over the steps of both quantile functions (Bonneel,
Rabin, Peyre and Pfister, J. Math. Imaging Vis. 51, 2015); its derivatives are those of this sum with the plan held.
"""

from functools import partial

import numpy as np

from ._jit import jit
from ._projections import project_block
from ._sorting import sort_rows
from ._team import even_shares, launch

__all__ = ["sliced_gradients", "sliced_powers", "sorted_powers", "sorted_projections"]

# Directions that are projected together: the points are read once for all of them. Of long points more at a time, and
# of few points as many as make so many numbers.
_TOGETHER, _MOST_TOGETHER, _LONG, _NUMBERS = 16, 32, 256, 2**18
# A point that is coupled is worth so many multiply-adds.
_WORK = 4
# Points whose derivatives are added up together, in the second-level cache.
_POINTS = 128
# Powers up to this one are products.
_MOST_FACTORS = 8


def sorted_projections(X, directions, out, index):
    """Write the sorted projections of the points X on each direction to the rows of ``out``.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        float32 or float64.
    directions : ndarray, shape (L, d)
    out : ndarray, shape (L, n)
        In the dtype of X.
    index : ndarray of int32, shape (L, n), or None
        Which point comes where.
    """
    n, d = X.shape
    for rows in _blocks(len(directions), n, d):
        project_block(X, directions[rows], out[rows])
        sort_rows(out[rows], None if index is None else index[rows])


def sorted_powers(x, y, i, j, a, b, p, out):
    """out[l] = W_p^p between the rows l of two arrays of sorted projections: ``sliced_powers`` without its sorts.

    Parameters
    ----------
    x, y : ndarray, shapes (L, n) and (L, m)
        Both float32 or both float64.
    i, j : ndarray of int32, shapes (L, n) and (L, m), or None
        Which point comes where; read for weights only.
    a, b : ndarray of float64, shapes (n,) and (m,), or None
        Weights >= 0 of the points with total 1; None for both: uniform.
    p : float
        At least 1.
    out : ndarray of float64, shape (L,)
    """
    if a is None:
        _over_rows(_uniform_powers, x, y, p, out)
    else:
        _over_rows(_weighted_powers, x, y, i, j, a, b, p, out)


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
    a, b = _weights(a, b, len(X), len(Y))
    for rows, x, y, i, j in _sorted(X, Y, directions, a is not None):
        if a is None:
            _over_rows(_uniform_powers, x, y, p, out[rows])
        else:
            _over_rows(_weighted_powers, x, y, i, j, a, b, p, out[rows])


def sliced_gradients(X, Y, a, b, directions, weights, p, out, dX, dY):
    """As ``sliced_powers``, and add the derivatives of the sum over l of weights[l] out[l] to dX and dY.

    Parameters
    ----------
    weights : ndarray of float64, shape (L,)
    dX, dY : ndarray of float64, shapes (n, d) and (m, d)
        Derivatives with respect to the points. Where two points are coupled at distance 0 and p is 1, 0 is taken.
    """
    n, m, unit = len(X), len(Y), 1.0
    a, b = _weights(a, b, n, m)
    if a is None:
        # The same masses as whole numbers, m and n units of 1 / (n m).
        a, b, unit = np.full(n, float(m)), np.full(m, float(n)), 1.0 / (float(n) * m)
    slopes = None
    for rows, x, y, i, j in _sorted(X, Y, directions, True):
        if slopes is None:
            slopes = np.empty(x.shape), np.empty(y.shape)
        gx, gy = (each[: len(x)] for each in slopes)
        _over_rows(_slopes, x, y, i, j, a, b, unit, p, weights[rows], out[rows], gx, gy)
        theta = np.ascontiguousarray(directions[rows], dtype=np.float64)
        for g, dZ in ((gx, dX), (gy, dY)):
            blocks = -(-len(dZ) // _POINTS)
            launch(_add_slopes, g.size * theta.shape[1], blocks, partial(even_shares, blocks), g, theta, dZ)


def _weights(a, b, n, m):
    if a is None and b is None:
        return None, None
    return np.full(n, 1.0 / n) if a is None else a, np.full(m, 1.0 / m) if b is None else b


def _blocks(L, points, d):
    """Slices of the directions; no answer but the last bits of derivatives depends on them."""
    together = _TOGETHER if d < _LONG else _MOST_TOGETHER
    size = max(together, _NUMBERS // points // _TOGETHER * _TOGETHER)
    return [slice(first, min(first + size, L)) for first in range(0, L, size)]


def _sorted(X, Y, directions, with_order):
    """Yield slices of the directions, the sorted projections of both clouds and their orders, in buffers used again."""
    buffers = []
    for rows in _blocks(len(directions), len(X) + len(Y), X.shape[1]):
        theta = directions[rows]
        if not buffers:
            buffers = [_buffers(len(theta), Z, with_order) for Z in (X, Y)]
        (x, i), (y, j) = ([each if each is None else each[: len(theta)] for each in pair] for pair in buffers)
        for Z, keys, index in ((X, x, i), (Y, y, j)):
            project_block(Z, theta, keys)
            sort_rows(keys, index)
        yield rows, x, y, i, j


def _buffers(L, Z, with_order):
    return np.empty((L, len(Z)), Z.dtype), np.empty((L, len(Z)), np.int32) if with_order else None


def _over_rows(kernel, x, y, *arguments):
    rows = len(x)
    launch(kernel, _WORK * (x.size + y.size), rows, partial(even_shares, rows), x, y, *arguments)


@jit
def _power(gap, p):
    """|gap|^p, by products for small whole p."""
    gap = abs(gap)
    if p == 2.0:
        return gap * gap
    if p == 1.0:
        return gap
    if p == np.floor(p) and p <= _MOST_FACTORS:
        power = gap
        for _ in range(1, int(p)):
            power *= gap
        return power
    return gap**p


@jit
def _uniform_powers(x, y, p, out, flags, share, member, team):
    for row in range(share[member], share[member + 1]):
        same = x.shape[1] == y.shape[1]
        out[row] = _mean_power(x[row], y[row], p) if same else _merged_power(x[row], y[row], p)


@jit
def _mean_power(x, y, p):
    s = 0.0
    if p == 2.0:
        for i in range(x.size):
            gap = np.float64(x[i]) - np.float64(y[i])
            s += gap * gap
    else:
        for i in range(x.size):
            s += _power(np.float64(x[i]) - np.float64(y[i]), p)
    return s / x.size


@jit
def _merged_power(x, y, p):
    """Points of n and of m equal masses: quantiles change at i / n and at j / m, at whole numbers of 1 / (n m)."""
    n, m = x.size, y.size
    i, j, level, next_x, next_y = 0, 0, 0, m, n
    s = 0.0
    while level < n * m:
        end = min(next_x, next_y)
        s += np.float64(end - level) * _power(np.float64(x[i]) - np.float64(y[j]), p)
        level = end
        step_x, step_y = next_x == end, next_y == end
        i, next_x = i + step_x, next_x + m * step_x
        j, next_y = j + step_y, next_y + n * step_y
    return s / (np.float64(n) * np.float64(m))


@jit
def _weighted_powers(x, y, i, j, a, b, p, out, flags, share, member, team):
    for row in range(share[member], share[member + 1]):
        out[row] = _coupled_power(x[row], y[row], i[row], j[row], a, b, p)


@jit
def _coupled_power(x, y, i, j, a, b, p):
    """What is left of either mass is carried on, so that rounding is relative to single masses, not to their sum."""
    k, l, s = 0, 0, 0.0
    left_x, left_y = a[i[0]], b[j[0]]
    while True:
        mass = min(left_x, left_y)
        if mass > 0.0:
            s += mass * _power(np.float64(x[k]) - np.float64(y[l]), p)
        if left_x <= left_y:
            left_y -= left_x
            k += 1
            if k == x.size:
                return s
            left_x = a[i[k]]
        else:
            left_x -= left_y
            l += 1
            if l == y.size:
                return s
            left_y = b[j[l]]


@jit
def _slopes(x, y, i, j, a, b, unit, p, weights, out, gx, gy, flags, share, member, team):
    """As ``_weighted_powers``, and the derivatives with respect to the projections, weighted."""
    for row in range(share[member], share[member + 1]):
        for k in range(gx.shape[1]):
            gx[row, k] = 0.0
        for k in range(gy.shape[1]):
            gy[row, k] = 0.0
        scale = weights[row] * p * unit
        s = _coupled_slopes(x[row], y[row], i[row], j[row], a, b, p, scale, gx[row], gy[row])
        out[row] = unit * s


@jit
def _coupled_slopes(x, y, i, j, a, b, p, scale, gx, gy):
    k, l, s = 0, 0, 0.0
    left_x, left_y = a[i[0]], b[j[0]]
    while True:
        mass = min(left_x, left_y)
        gap = np.float64(x[k]) - np.float64(y[l])
        if mass > 0.0 and gap != 0.0:
            if p == 2.0:
                slope = gap
            else:
                slope = np.copysign(_power(gap, p - 1.0) if p > 1.0 else 1.0, gap)
            s += mass * slope * gap
            gx[i[k]] += scale * mass * slope
            gy[j[l]] -= scale * mass * slope
        if left_x <= left_y:
            left_y -= left_x
            k += 1
            if k == x.size:
                return s
            left_x = a[i[k]]
        else:
            left_x -= left_y
            l += 1
            if l == y.size:
                return s
            left_y = b[j[l]]


@jit
def _add_slopes(g, theta, dZ, flags, share, member, team):
    """dZ[i] += sum over l of g[l, i] theta[l], in the order of the directions."""
    n, d = dZ.shape
    L = theta.shape[0]
    for block in range(share[member], share[member + 1]):
        for l in range(0, L, 4):
            last = min(l + 4, L)
            for i in range(block * _POINTS, min(n, block * _POINTS + _POINTS)):
                if last - l == 4:
                    g0, g1, g2, g3 = g[l, i], g[l + 1, i], g[l + 2, i], g[l + 3, i]
                    t0, t1, t2, t3 = theta[l], theta[l + 1], theta[l + 2], theta[l + 3]
                    for k in range(d):
                        dZ[i, k] += (g0 * t0[k] + g1 * t1[k]) + (g2 * t2[k] + g3 * t3[k])
                else:
                    for q in range(l, last):
                        for k in range(d):
                            dZ[i, k] += g[q, i] * theta[q, k]
    return 0
