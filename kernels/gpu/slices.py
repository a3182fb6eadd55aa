"""Wasserstein distances between projections on lines: project, sort, and couple equal quantiles.

Points, weights, sorted projections and derivatives are on the device; directions, their weights and the answers, a
number for each direction, are the host's.
"""

import numpy as np

from . import _device
from ._device import Source, blocks, copy_to_device, empty, to_host, type_of
from .clouds import COSTS, WARP

__all__ = ["sliced_gradients", "sliced_powers", "sorted_powers", "sorted_projections"]

_WORDS = {4: "unsigned int", 8: "unsigned long long"}
_source = Source(
    "slices",
    ("common", "transport"),
    add_slopes=[("double",)],
    add_up=[("unsigned int",), ("long long",)],
    count_digits=[(each,) for each in _WORDS.values()],
    couple=COSTS,
    place_keys=[(each,) for each in _WORDS.values()],
    project=COSTS,
)
# Bits of a digit, and keys of a warp's chunk: the counts of digits take a quarter of the memory of float64 keys.
_DIGIT, _CHUNK = 8, 2048
# Projections in memory at a time, some 50 bytes each.
_NUMBERS = 2**23
# Points of a slab, of which each leaves a sum.
_SLAB, _MOST_SLABS = 4096, 64
# As in transport.cuh: points of a tile; and in slices.cu: what weights are whole multiples of.
_TILE, _PART = 64, 2.0**-62


def sorted_projections(X, directions, out, index):
    """Write the sorted projections of the points X on each direction to the rows of ``out``.

    Parameters
    ----------
    X : cupy.ndarray, shape (n, d)
        float32 or float64.
    directions : numpy.ndarray, shape (L, d)
    out : cupy.ndarray, shape (L, n)
        In the dtype of X.
    index : cupy.ndarray of int32, shape (L, n), or None
        Which point comes where.
    """
    for rows in _blocks(len(directions), len(X)):
        _project(X, directions[rows], out[rows], None if index is None else index[rows])


def sorted_powers(x, y, i, j, a, b, p, out):
    """out[l] = W_p^p between the rows l of two arrays of sorted projections: ``sliced_powers`` without its sorts.

    Parameters
    ----------
    x, y : cupy.ndarray, shapes (L, n) and (L, m)
        Both float32 or both float64.
    i, j : cupy.ndarray of int32, shapes (L, n) and (L, m), or None
        Which point comes where; read for weights only.
    a, b : cupy.ndarray of float64, shapes (n,) and (m,), or None
        Weights >= 0 of the points with total 1; None for both: uniform.
    p : float
        At least 1.
    out : numpy.ndarray of float64, shape (L,)
    """
    _powers(((rows, *_cut(rows, x, y, i, j)) for rows in _blocks(*_size(x, y))), a, b, p, out)


def sliced_powers(X, Y, a, b, directions, p, out):
    """out[l] = W_p^p between the projections of X and of Y on direction l.

    Parameters
    ----------
    X, Y : cupy.ndarray, shapes (n, d) and (m, d)
        The points, both float32 or both float64. Sums are taken in float64.
    a, b : cupy.ndarray of float64, shapes (n,) and (m,), or None
        Weights >= 0 with total 1; None: uniform.
    directions : numpy.ndarray, shape (L, d)
    p : float
        At least 1.
    out : numpy.ndarray of float64, shape (L,)
    """
    a, b = _weights(a, b, len(X), len(Y))
    _powers(_sorted(X, Y, directions, a is not None), a, b, p, out)


def sliced_gradients(X, Y, a, b, directions, weights, p, out, dX, dY):
    """As ``sliced_powers``, and add the derivatives of the sum over l of weights[l] out[l] to dX and dY.

    Parameters
    ----------
    weights : numpy.ndarray of float64, shape (L,)
    dX, dY : cupy.ndarray of float64, shapes (n, d) and (m, d)
        Derivatives with respect to the points. Where two points are coupled at distance 0 and p is 1, 0 is taken.
    """
    a, b = _weights(a, b, len(X), len(Y))
    unit = _unit(a, len(X), len(Y))

    def differentiate(rows, *sides):
        scales = copy_to_device(weights[rows] * (p * unit), np.float64)
        theta = copy_to_device(np.ascontiguousarray(directions[rows]), np.float64)
        for (x, A, i), (y, B, _), dZ in (*sides, dX), (*sides[::-1], dY):
            slopes = empty(x.shape, np.float64)
            _couple(x, A, i, y, B, p, scales, None, slopes)
            count, (L, n), d = dZ.size, x.shape, dZ.shape[1]
            _source.launch(
                "add_slopes", ("double",), blocks(count), slopes, np.int64(L), np.int64(n), np.int32(d), theta, dZ
            )

    _powers(_sorted(X, Y, directions, True), a, b, p, out, differentiate)


def _weights(a, b, n, m):
    if a is None and b is None:
        return None, None
    return tuple(
        copy_to_device(np.full(size, 1.0 / size), np.float64) if each is None else each
        for each, size in ((a, n), (b, m))
    )


def _unit(a, n, m):
    """What masses are whole multiples of."""
    return 1.0 / (float(n) * m) if a is None else _PART


def _size(x, y):
    return len(x), x.shape[1] + y.shape[1]


def _blocks(L, points):
    """Slices of the directions; no answer but the last bits of derivatives depends on them."""
    size = max(1, _NUMBERS // points)
    return [slice(first, min(first + size, L)) for first in range(0, L, size)]


def _cut(rows, *arrays):
    return [None if each is None else each[rows] for each in arrays]


def _sorted(X, Y, directions, with_order):
    """Yield slices of the directions, the sorted projections of both clouds and their orders."""
    for rows in _blocks(len(directions), len(X) + len(Y)):
        made = []
        for Z in (X, Y):
            shape = rows.stop - rows.start, len(Z)
            x, i = empty(shape, Z.dtype), empty(shape, np.int32) if with_order else None
            _project(Z, directions[rows], x, i)
            made.append((x, i))
        (x, i), (y, j) = made
        yield rows, x, y, i, j


def _powers(sorted_rows, a, b, p, out, then=None):
    """Couple block by block of the directions; their sums come back together."""
    found, unit = [], 0.0
    for rows, x, y, i, j in sorted_rows:
        unit = _unit(a, x.shape[1], y.shape[1])
        A, B = (None, None) if a is None else (_sums(a, i), _sums(b, j))
        sides = (x, A, i), (y, B, j)
        (x, A, i), (y, B, j) = sides if x.shape[1] >= y.shape[1] else sides[::-1]
        parts = empty((len(x), _slabs(x.shape[1])), np.float64)
        _couple(x, A, i, y, B, p, None, parts, None)
        found.append((rows, parts))
        if then is not None:
            then(rows, *sides)
    for rows, parts in found:
        out[rows] = to_host(parts).sum(axis=1) * unit


def _slabs(n):
    """Not of how many rows there are: no answer depends on the other directions."""
    return min(-(-n // _SLAB), _MOST_SLABS)


def _couple(x, A, index, y, B, p, scales, parts, slopes):
    (L, n), m, slabs = x.shape, y.shape[1], _slabs(x.shape[1])
    _source.launch(
        "couple", type_of(x), blocks(L * slabs * _device.THREADS), x, y, np.int64(L), np.int64(n), np.int64(m), A, B,
        index, np.float64(p), scales, np.int32(slabs), parts, slopes,
    )  # fmt: skip


def _sums(weights, index):
    """The levels of the quantile functions, shape (L, n + 1)."""
    L, n = index.shape
    sums = empty((L, n + 1), np.int64)
    _add_up("long long", L, n, weights, index, sums)
    return sums


def _add_up(kind, L, size, weights, index, sums):
    grid = blocks(L * _device.THREADS)
    _source.launch("add_up", (kind,), grid, np.int64(L), np.int64(size), weights, index, sums)


def _project(X, directions, out, index):
    n, d = X.shape
    L, height = len(directions), _device.THREADS // 4
    grid = blocks(-(-n // _TILE) * -(-L // height) * _device.THREADS)
    theta = copy_to_device(np.ascontiguousarray(directions), X.dtype)
    _source.launch("project", type_of(X), grid, X, np.int64(n), np.int32(d), theta, np.int64(L), out)
    _sort(out, index)


def _sort(x, index):
    """Sort each row of x in place, and write to ``index`` which of the row's entries comes where."""
    (L, n), word = x.shape, (_WORDS[x.itemsize],)
    chunks = -(-n // _CHUNK)
    size, grid = chunks << _DIGIT, blocks(L * chunks * WARP)
    keys, other = x.view(f"u{x.itemsize}"), empty(x.shape, f"u{x.itemsize}")
    order, other_order = None, None if index is None else empty(index.shape, np.int32)
    to_order, counts = other_order, empty((L, size + 1), np.uint32)
    numbers = np.int64(L), np.int64(n), np.int32(_CHUNK)
    for shift in map(np.int32, range(0, 8 * x.itemsize, _DIGIT)):
        _source.launch("count_digits", word, grid, keys, *numbers, shift, counts)
        _add_up("unsigned int", L, size, None, None, counts)
        _source.launch("place_keys", word, grid, keys, order, *numbers, shift, counts, other, to_order)
        keys, other = other, keys
        order, to_order = to_order, index if to_order is other_order else other_order
