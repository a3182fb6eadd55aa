"""Products, smoothing steps and transfers of a multigrid cycle for the grid operators of ``grids``.

Each is one launch and reads each of its arrays once from memory, 8 numbers a cell for a smoothing step. Vectors have
margins, which are neither read nor written.
"""

import numpy as np

from ._device import TYPES, Source, blocks, type_of

__all__ = [
    "grid_enter",
    "grid_leave",
    "grid_product",
    "grid_prolong",
    "grid_residual",
    "grid_restrict",
    "grid_smooth",
    "grid_start",
]

_REAL = [(TYPES[each],) for each in "fd"]
_PAIRS = [(*first, *second) for first in _REAL for second in _REAL]
_source = Source(
    "multigrid",
    ("common", "grids"),
    grid_enter=_PAIRS,
    grid_leave=_PAIRS,
    grid_product=_REAL,
    grid_prolong=_REAL,
    grid_residual=_REAL,
    grid_restrict=_REAL,
    grid_smooth=_REAL,
    grid_start=_REAL,
)


def grid_product(L, x, y):
    """y = A x for vectors with margins."""
    _source.launch("grid_product", type_of(x), _grid(L), *_operator(L), x, y)


def grid_residual(L, r, x, y):
    """y = r - A x for vectors with margins."""
    _source.launch("grid_residual", type_of(x), _grid(L), *_operator(L), r, x, y)


def grid_start(L, w, r, y):
    """y = w D^-1 r, the first smoothing step from zero, for vectors with margins."""
    n, pad = np.int64(_cells(L)), np.int64(L.pad)
    _source.launch("grid_start", type_of(y), _grid(L), n, pad, L.inverse, np.float64(w), r, y)


def grid_smooth(L, w, r, x, y):
    """y = x + w D^-1 (r - A x) for vectors with margins; y must not be x."""
    _source.launch("grid_smooth", type_of(x), _grid(L), *_operator(L), L.inverse, np.float64(w), r, x, y)


def grid_enter(L, factor, r, s):
    """s = factor r on the cells that take part, whose diagonal is not 0, and 0 on the others; r has no margins."""
    n, pad = np.int64(_cells(L)), np.int64(L.pad)
    _source.launch("grid_enter", type_of(s, r), _grid(L), n, pad, L.inverse, np.float64(factor), r, s)


def grid_leave(L, factor, s, z):
    """z = factor s on the cells that take part, and 0 on the others; z has no margins."""
    n, pad = np.int64(_cells(L)), np.int64(L.pad)
    _source.launch("grid_leave", type_of(s, z), _grid(L), n, pad, L.inverse, np.float64(factor), s, z)


def grid_restrict(L, C, g, r, rc):
    """rc = P^T r, from level L to its coarser level C."""
    _source.launch("grid_restrict", type_of(r), blocks(_cells(C)), *_levels(L, C), np.float64(g), r, rc)


def grid_prolong(L, C, g, c, xc, x):
    """x += c P xc, from the coarser level C to level L.

    (P xc)_i is the value of i's aggregate, moved by g weights[a, i] towards that of the next one along each axis.
    """
    _source.launch("grid_prolong", type_of(x), _grid(L), *_levels(L, C), np.float64(g), np.float64(c), xc, x)


def _cells(L):
    return L.inverse.size - 2 * L.pad


def _grid(L):
    return blocks(_cells(L))


def _operator(L):
    """What a kernel that applies A gets first: n, the steps along the axes, the margin, the coefficients."""
    nz, ny, nx = L.shape
    plane, line = nx * ny if nz > 1 else 0, nx if ny > 1 else 0
    return np.int64(_cells(L)), np.int64(plane), np.int64(line), np.int64(L.pad), L.diagonal, L.faces


def _levels(L, C):
    return *(np.uint32(size) for size in L.shape), np.int64(L.pad), np.int64(C.pad), L.weights
