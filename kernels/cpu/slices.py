"""Wasserstein distances between projections on lines: project, sort, and couple equal quantiles.

On a line the optimal plan couples the quantiles, so W_p^p is a sum over the steps of both quantile functions (Bonneel,
Rabin, Peyre and Pfister, J. Math. Imaging Vis. 51, 2015); its derivatives are those of this sum with the plan held.
"""

from functools import partial

import numpy as np

from ._jit import jit
from ._projections import project_block
from ._sorting import COUNTERS, order, sort
from ._team import even_shares, launch

__all__ = ["sliced_gradients", "sliced_powers", "sorted_projections"]

# Directions that are projected together: the points are read once for all of them. Of long points more at a time, and
# of few points as many as make so many numbers.
_TOGETHER, _MOST_TOGETHER, _LONG, _NUMBERS = 16, 32, 256, 2**18
# A key that is sorted and coupled is worth so many multiply-adds.
_WORK = 16
# Points whose derivatives are added up together, in the second-level cache.
_POINTS = 128
# Powers up to this one are products.
_MOST_FACTORS = 8


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
    n, d = X.shape
    for rows in _blocks(len(directions), n, d):
        project_block(X, directions[rows], out[rows])
        _over_rows(_sort_rows, n, out[rows])


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
    n, m = len(X), len(Y)
    a, b = _weights(a, b, n, m)
    for rows, x, y in _projected(X, Y, directions):
        if a is None:
            _over_rows(_uniform_powers, n + m, x, y, p, out[rows])
        else:
            _over_rows(_weighted_powers, 2 * (n + m), x, y, a, b, p, out[rows])


def sliced_gradients(X, Y, a, b, directions, weights, p, out, dX, dY):
    """As ``sliced_powers``, and add the derivatives of the sum over l of weights[l] out[l] to dX and dY.

    Parameters
    ----------
    weights : ndarray of float64, shape (L,)
    dX, dY : ndarray of float64, shapes (n, d) and (m, d)
        Derivatives with respect to the points. Where two points are coupled at distance 0 and p is 1, 0 is taken.
    """
    (n, d), m = X.shape, len(Y)
    a, b = _weights(a, b, n, m)
    if a is None:
        # The same masses, as whole numbers: m and n units of 1 / (n m).
        a, b, unit = np.full(n, float(m)), np.full(m, float(n)), 1.0 / (float(n) * m)
    else:
        unit = 1.0
    slopes = None
    for rows, x, y in _projected(X, Y, directions):
        if slopes is None:
            slopes = np.empty((len(x), n)), np.empty((len(x), m))
        gx, gy = (each[: len(x)] for each in slopes)
        _over_rows(_slopes, 2 * (n + m), x, y, a, b, unit, p, weights[rows], out[rows], gx, gy)
        theta = np.ascontiguousarray(directions[rows], dtype=np.float64)
        for g, dZ in ((gx, dX), (gy, dY)):
            blocks = -(-len(dZ) // _POINTS)
            launch(_add_slopes, g.size * d, blocks, partial(even_shares, blocks), g, theta, dZ)


def _weights(a, b, n, m):
    if a is None and b is None:
        return None, None
    return np.full(n, 1.0 / n) if a is None else a, np.full(m, 1.0 / m) if b is None else b


def _blocks(L, points, d):
    """Slices of the directions; no answer depends on them."""
    together = _TOGETHER if d < _LONG else _MOST_TOGETHER
    size = max(together, _NUMBERS // points // _TOGETHER * _TOGETHER)
    return [slice(first, min(first + size, L)) for first in range(0, L, size)]


def _projected(X, Y, directions):
    """Yield slices of the directions and the projections of both clouds on them, in memory that is used again."""
    (n, d), m = X.shape, len(Y)
    buffers = None
    for rows in _blocks(len(directions), n + m, d):
        theta = directions[rows]
        if buffers is None:
            buffers = np.empty((len(theta), n), X.dtype), np.empty((len(theta), m), X.dtype)
        x, y = (each[: len(theta)] for each in buffers)
        project_block(X, theta, x)
        project_block(Y, theta, y)
        yield rows, x, y


def _over_rows(kernel, points, x, *arguments):
    rows = len(x)
    launch(kernel, _WORK * rows * points, rows, partial(even_shares, rows), x, *arguments)


@jit
def _sort_rows(x, flags, share, member, team):
    spare, counters = np.empty(x.shape[1], x.dtype), np.empty(COUNTERS, np.uint32)
    for row in range(share[member], share[member + 1]):
        sort(x[row], spare, counters)


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
    n, m = x.shape[1], y.shape[1]
    spare, counters = np.empty(max(n, m), x.dtype), np.empty(COUNTERS, np.uint32)
    for row in range(share[member], share[member + 1]):
        sort(x[row], spare[:n], counters)
        sort(y[row], spare[:m], counters)
        out[row] = _mean_power(x[row], y[row], p) if n == m else _merged_power(x[row], y[row], p)


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
def _weighted_powers(x, y, a, b, p, out, flags, share, member, team):
    buffers = _buffers(x, y)
    for row in range(share[member], share[member + 1]):
        i, j = _orders(x[row], y[row], buffers)
        out[row] = _coupled_power(x[row], y[row], i, j, a, b, p)


@jit
def _buffers(x, y):
    n, m = x.shape[1], y.shape[1]
    most = max(n, m)
    indices = np.empty(n, np.int32), np.empty(m, np.int32), np.empty(most, np.int32)
    return indices, np.empty(most, x.dtype), np.empty(COUNTERS, np.uint32)


@jit
def _orders(x, y, buffers):
    (i, j, spare_index), spare, counters = buffers
    order(x, i, spare[: x.size], spare_index[: x.size], counters)
    order(y, j, spare[: y.size], spare_index[: y.size], counters)
    return i, j


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
def _slopes(x, y, a, b, unit, p, weights, out, gx, gy, flags, share, member, team):
    """As ``_weighted_powers``, and the derivatives with respect to the projections, weighted."""
    buffers = _buffers(x, y)
    for row in range(share[member], share[member + 1]):
        i, j = _orders(x[row], y[row], buffers)
        gx[row], gy[row] = 0.0, 0.0
        scale = weights[row] * p * unit
        out[row] = unit * _coupled_slopes(x[row], y[row], i, j, a, b, p, scale, gx[row], gy[row])


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
