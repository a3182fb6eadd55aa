"""Cell-centred 5- and 7-point operators on a grid: their storage, their reading and their coarsening on the device.

The arrays are those of the CPU's module: flat, with margins of two planes before and after the cells. Here the margins
of faces are zeros, and those of vectors are never read: a vector may be any memory of that length.
"""

from collections import namedtuple

import numpy as np

from ._device import TYPES, Source, blocks, copy_to_device, empty, to_device, to_host, type_of, zeros

__all__ = ["GridLevel", "grid_coarsen", "grid_faces", "grid_level", "grid_vector", "subtract_means"]

GridLevel = namedtuple("GridLevel", "shape pad diagonal inverse faces weights")
GridLevel.__doc__ = """A grid operator: shape (nz, ny, nx), the margin, then flat arrays with margins.

``diagonal``, ``inverse`` (0 where the diagonal is 0), ``faces`` and ``weights`` of shape (3, n + 2 pad).
"""

_REAL = [(TYPES[each],) for each in "fd"]
_source = Source(
    "grids",
    ("common", "grids"),
    check_faces=_REAL,
    chunk_sums=_REAL,
    read_faces=_REAL,
    subtract_means=_REAL,
    coarsen=[("double",)],
    derive=[("double",)],
)


def _pad(shape):
    nz, ny, nx = shape
    return 2 * max(nx * ny if nz > 1 else 1, nx if ny > 1 else 1, 1)


def _sizes(shape):
    return tuple(np.uint32(size) for size in shape)


def grid_vector(shape, dtype):
    """A flat vector of zeros on the grid, with its margins; returns it and the part that holds the cells."""
    n, pad = shape[0] * shape[1] * shape[2], _pad(shape)
    whole = zeros(n + 2 * pad, dtype)
    return whole, whole[pad : pad + n]


def grid_level(shape, faces, diagonal):
    """A level from faces of shape (3, n + 2 pad) and a diagonal of shape (n + 2 pad,), of float64, margins included."""
    inverse, weights = zeros(diagonal.shape, np.float64), zeros(faces.shape, np.float64)
    pad = _pad(shape)
    grid = blocks(diagonal.size - 2 * pad)
    _source.launch("derive", ("double",), grid, *_sizes(shape), np.int64(pad), diagonal, faces, inverse, weights)
    return GridLevel(tuple(shape), pad, diagonal, inverse, faces, weights)


def grid_coarsen(L):
    """The level of aggregates of 2^d cells: faces between two aggregates add up, so it is P^T A P for g = 0."""
    shape = tuple(-(-size // 2) for size in L.shape)
    diagonal, inside = grid_vector(shape, np.float64)
    faces = zeros((3, diagonal.size), np.float64)
    _source.launch(
        "coarsen", ("double",), blocks(inside.size), *_sizes(L.shape), np.int64(L.pad), np.int64(_pad(shape)),
        L.diagonal, L.faces, diagonal, faces,
    )  # fmt: skip
    return grid_level(shape, faces, diagonal)


def grid_faces(indptr, indices, data, shape, tolerance, faces, diagonal):
    """Read a CSR matrix as a grid operator; returns (row, column) of the first entry that does not fit, or (-1, -1).

    Parameters
    ----------
    indptr, indices, data : cupy.ndarray of int32 or int64, and of float32 or float64
    shape : (nz, ny, nx)
    tolerance : float
        Relative to the diagonal: what rounding may leave between a pair of entries, or below a zero row sum.
    faces, diagonal : cupy.ndarray of float64, shape (3, n + 2 pad) and (n + 2 pad,)
        Zeros, which are filled.
    """
    matrix = to_device(indptr, np.int32), to_device(indices, np.int32), to_device(data, data.dtype)
    sizes, pad = _sizes(shape), np.int64(_pad(shape))
    kind, grid = type_of(data), blocks(indptr.size - 1)
    bad = copy_to_device(np.array([_NOWHERE], np.uint64), np.uint64)
    _source.launch("read_faces", kind, grid, *sizes, pad, *matrix, faces, diagonal)
    _source.launch("check_faces", kind, grid, *sizes, pad, np.float64(tolerance), *matrix, faces, diagonal, bad)
    found = int(to_host(bad)[0])
    return (-1, -1) if found == _NOWHERE else (found >> 32, found & 0xFFFFFFFF)


_NOWHERE = 2**64 - 1


def subtract_means(cells, edges, first, last, v):
    """Take from v, of shape (n,), its mean on each of several sets of cells.

    Parameters
    ----------
    cells : cupy.ndarray of int32
        The cells of the first set, of the second, and so on, cut into chunks.
    edges : cupy.ndarray of int32, shape (chunks + 1,)
        Chunk k is cells[edges[k] : edges[k + 1]].
    first, last : cupy.ndarray of int32, shape (chunks,)
        The set that chunk k belongs to is chunks first[k] to last[k] - 1.
    v : cupy.ndarray, shape (n,)
    """
    chunks, kind = first.size, type_of(v)
    sums = empty(first.shape, np.float64)
    grid = blocks(cells.size)
    _source.launch("chunk_sums", kind, grid, np.int64(chunks), cells, edges, v, sums)
    _source.launch("subtract_means", kind, grid, np.int64(chunks), cells, edges, first, last, sums, v)
