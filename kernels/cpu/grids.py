"""Cell-centred 5- and 7-point operators on a grid: their storage, their reading and their coarsening.

(A x)_i = d_i x_i - sum over the faces f of cell i of w_f x_j, where j is the cell beyond f. Each axis has one array
of faces: entry i is the face between cell i and the next one, zero where there is none. All arrays are flat and have
two planes of zeros before and after the cells, so that a loop over cells needs no question at the walls.
"""

from collections import namedtuple

import numpy as np

from ._jit import jit, strict

__all__ = [
    "GridLevel",
    "grid_coarsen",
    "grid_components",
    "grid_faces",
    "grid_level",
    "grid_vector",
    "subtract_means",
]

GridLevel = namedtuple("GridLevel", "shape pad diagonal inverse faces weights")
GridLevel.__doc__ = """A grid operator: shape (nz, ny, nx), the margin, then flat arrays with margins.

``diagonal``, ``inverse`` (0 where the diagonal is 0), ``faces`` and ``weights`` of shape (3, n + 2 pad): a cell takes
the share g weights[a] of its value from the aggregate beyond its outer face along axis a.
"""


def _pad(shape):
    nz, ny, nx = shape
    return 2 * max(nx * ny if nz > 1 else 1, nx if ny > 1 else 1, 1)


def grid_vector(shape, dtype):
    """A flat vector of zeros on the grid, with its margins; returns it and the part that holds the cells."""
    n, pad = shape[0] * shape[1] * shape[2], _pad(shape)
    whole = np.zeros(n + 2 * pad, dtype)
    return whole, whole[pad : pad + n]


def grid_level(shape, faces, diagonal):
    """A level from faces of shape (3, n + 2 pad) and a diagonal of shape (n + 2 pad,), margins included."""
    inverse, weights = np.zeros_like(diagonal), np.zeros_like(faces)
    _derive(*shape, _pad(shape), diagonal, faces, inverse, weights)
    return GridLevel(tuple(shape), _pad(shape), diagonal, inverse, faces, weights)


def grid_coarsen(L):
    """The level of aggregates of 2^d cells: faces between two aggregates add up, so it is P^T A P for g = 0."""
    shape = tuple(-(-size // 2) for size in L.shape)
    diagonal, _ = grid_vector(shape, L.diagonal.dtype)
    faces = np.zeros((3, diagonal.size), diagonal.dtype)
    _coarsen(*L.shape, *shape, L.pad, _pad(shape), L.diagonal, L.faces, diagonal, faces)
    return grid_level(shape, faces, diagonal)


def grid_faces(indptr, indices, data, shape, tolerance, faces, diagonal):
    """Read a CSR matrix as a grid operator; returns (row, column) of the first entry that does not fit, or (-1, -1).

    Parameters
    ----------
    indptr, indices, data : ndarray
    shape : (nz, ny, nx)
    tolerance : float
        Relative to the diagonal: what rounding may leave between a pair of entries, or below a zero row sum.
    faces, diagonal : ndarray, shape (3, n + 2 pad) and (n + 2 pad,)
        Zeros, which are filled.
    """
    return _faces(indptr, indices, data, *shape, _pad(shape), tolerance, faces, diagonal)


def grid_components(L):
    """For each cell the number of the first cell that is connected with it by faces, shape (n,)."""
    n = L.inverse.size - 2 * L.pad
    nz, ny, nx = L.shape
    return _components(n, L.pad, np.array([nx * ny, nx, 1]), L.faces)


def subtract_means(cells, edges, first, last, v):
    """Take from v, of shape (n,), its mean on each of several sets of cells.

    Parameters
    ----------
    cells : ndarray of int
        The cells of the first set, of the second, and so on, cut into chunks.
    edges : ndarray of int, shape (chunks + 1,)
        Chunk k is cells[edges[k] : edges[k + 1]].
    first, last : ndarray of int, shape (chunks,)
        The set that chunk k belongs to is chunks first[k] to last[k] - 1.
    v : ndarray, shape (n,)
    """
    _subtract_means(cells, edges, first, last, v)


@jit
def _subtract_means(cells, edges, first, last, v):
    sums = np.zeros(first.size)
    for k in range(first.size):
        for m in range(edges[k], edges[k + 1]):
            sums[k] += v[cells[m]]
    for k in range(first.size):
        mean = sums[first[k] : last[k]].sum() / (edges[last[k]] - edges[first[k]])
        for m in range(edges[k], edges[k + 1]):
            v[cells[m]] -= mean


@jit
def _derive(nz, ny, nx, pad, diagonal, faces, inverse, weights):
    """The inverse diagonal, and the shares of interpolation: 1 where the faces on both sides are equal.

    A cell that is not connected with the rest of its aggregate along an axis takes nothing from beyond.
    """
    one = diagonal.dtype.type(1)
    sizes, strides = (nz, ny, nx), (nx * ny, nx, 1)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                i = pad + (z * ny + y) * nx + x
                inverse[i] = one / diagonal[i] if diagonal[i] > 0 else 0
    for axis in range(3):
        if sizes[axis] == 1:
            continue
        stride = strides[axis]
        for i in range(pad, diagonal.size - pad):
            second = ((i - pad) // stride) % sizes[axis] % 2 == 1
            outer = faces[axis, i] if second else faces[axis, i - stride]
            inner = faces[axis, i - stride] if second else faces[axis, i]
            if outer > 0 and inner > 0:
                weights[axis, i] = 2 * outer / (outer + inner)


@jit
def _coarsen(nz, ny, nx, mz, my, mx, pad, coarse_pad, diagonal, faces, coarse_diagonal, coarse_faces):
    for z in range(nz):
        for y in range(ny):
            at = pad + (z * ny + y) * nx
            out = coarse_pad + ((z // 2) * my + y // 2) * mx
            for x in range(nx):
                i, c = at + x, out + x // 2
                coarse_diagonal[c] += diagonal[i]
                # A face within an aggregate leaves the diagonals of both its cells; one between two is kept.
                if x % 2 == 0:
                    coarse_diagonal[c] -= 2 * faces[2, i]
                else:
                    coarse_faces[2, c] += faces[2, i]
                if y % 2 == 0:
                    coarse_diagonal[c] -= 2 * faces[1, i]
                else:
                    coarse_faces[1, c] += faces[1, i]
                if z % 2 == 0:
                    coarse_diagonal[c] -= 2 * faces[0, i]
                else:
                    coarse_faces[0, c] += faces[0, i]


@strict
def _faces(indptr, indices, data, nz, ny, nx, pad, tolerance, faces, diagonal):
    sizes, strides = (nz, ny, nx), (nx * ny, nx, 1)
    n, below = nz * ny * nx, np.zeros(3)
    for i in range(n):
        place = (i // (nx * ny), (i // nx) % ny, i % nx)
        below[:] = 0
        scale, total, sum_of_faces = 0.0, 0.0, 0.0
        for k in range(indptr[i], indptr[i + 1]):
            if indices[k] == i:
                total += data[k]
        scale = tolerance * total
        if not total >= 0:
            return i, i
        for k in range(indptr[i], indptr[i + 1]):
            j, value = indices[k], -data[k]
            if j == i or value == 0:
                continue
            found = False
            for axis in range(3):
                if sizes[axis] == 1:
                    continue
                if j - i == strides[axis] and place[axis] + 1 < sizes[axis]:
                    faces[axis, pad + i] += value
                    found = True
                elif i - j == strides[axis] and place[axis] > 0:
                    below[axis] += value
                    found = True
            if not (found and value > 0):
                return i, j
            sum_of_faces += value
        for axis in range(3):
            if abs(below[axis] - faces[axis, pad + i - strides[axis]]) > scale + tolerance * below[axis]:
                if sizes[axis] > 1:
                    return i, i - strides[axis]
        if sum_of_faces > total + scale or not total < np.inf:
            return i, i
        diagonal[pad + i] = total
    return -1, -1


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def _components(n, pad, strides, faces):
    parent = np.arange(n)
    for axis in range(3):
        for i in range(n - strides[axis]):
            if faces[axis, pad + i] > 0:
                a, b = _root(parent, i), _root(parent, i + strides[axis])
                parent[max(a, b)] = min(a, b)
    for i in range(n):
        parent[i] = _root(parent, i)
    return parent
