"""The order in which a sweep takes the rows of a pattern: stages of rows that are not coupled, and its triangles.

Row after row, a sweep waits for the answer of the row before: it is bound by latency, not by memory. Rows sorted by
*stages*, none of which is coupled to another row of its stage, do not wait: the same sweep is 2 to 4 times as fast
on one thread, and threads can share a stage. Stages are levels, which keep the natural order (the sweep does what it
does row by row, in another sequence), or colours, which are fewer.
"""

import numpy as np
from numba import uint64

from ._jit import jit

__all__ = ["diagonal", "order_by_colours", "order_by_levels", "split_rows"]


def order_by_levels(indptr, indices):
    """Sort rows into levels that keep their natural order wherever two are coupled, in either direction.

    Parameters
    ----------
    indptr, indices : unsigned integers, as in CSR

    Returns
    -------
    order : ndarray of int64, shape (n,)
        ``order[i]`` is the row that comes at place i.
    stages : ndarray of int64, shape (stages + 1,)
    """
    level = np.zeros(indptr.size - 1, np.int64)
    _find_levels(indptr, indices, level)
    return _by_stage(level)


def order_by_colours(indptr, indices, transposed_indptr, transposed_indices):
    """Sort rows into colours, none of which is coupled within: the first that is free, row by row.

    Parameters
    ----------
    indptr, indices, transposed_indptr, transposed_indices : unsigned integers
        The pattern of the matrix as CSR and that of its transpose.

    Returns
    -------
    order, stages : as ``order_by_levels``
    """
    colour = np.full(indptr.size - 1, -1, np.int64)
    _find_colours(indptr, indices, transposed_indptr, transposed_indices, colour)
    return _by_stage(colour)


def _by_stage(stage):
    stages = np.zeros((int(stage.max()) if stage.size else 0) + 2, np.int64)
    order = np.empty(stage.size, np.int64)
    _sort_by_stage(stage, stages, order)
    return order, stages


@jit
def _sort_by_stage(stage, stages, order):
    """Count, then place: ``stages`` gets where each begins."""
    for i in range(stage.size):
        stages[stage[i] + 1] += 1
    for s in range(1, stages.size):
        stages[s] += stages[s - 1]
    at = stages.copy()
    for i in range(stage.size):
        order[at[stage[i]]] = i
        at[stage[i]] += 1


@jit
def _find_levels(indptr, indices, level):
    one = uint64(1)
    for i in range(uint64(level.size)):
        here = level[i]
        for k in range(uint64(indptr[i]), uint64(indptr[i + one])):
            j = uint64(indices[k])
            if j < i:
                here = max(here, level[j] + 1)
        level[i] = here
        for k in range(uint64(indptr[i]), uint64(indptr[i + one])):
            j = uint64(indices[k])
            if j > i:
                level[j] = max(level[j], here + 1)


@jit
def _find_colours(indptr, indices, transposed_indptr, transposed_indices, colour):
    taken_by = np.full(colour.size + 1, -1, np.int64)
    for i in range(colour.size):
        for k in range(indptr[i], indptr[i + 1]):
            if colour[indices[k]] >= 0:
                taken_by[colour[indices[k]]] = i
        for k in range(transposed_indptr[i], transposed_indptr[i + 1]):
            if colour[transposed_indices[k]] >= 0:
                taken_by[colour[transposed_indices[k]]] = i
        free = 0
        while taken_by[free] == i:
            free += 1
        colour[i] = free


def split_rows(indptr, indices, order):
    """The pattern with rows and columns in another order, below and above the diagonal.

    Parameters
    ----------
    indptr, indices : unsigned integers, as in CSR
    order : ndarray of int64, shape (n,)

    Returns
    -------
    lower, upper : (indptr, indices, entries)
        The strict triangles of ``A[order][:, order]`` and where their entries came from: ``data[entries]`` are they.
    """
    place = np.empty(order.size, indices.dtype)
    place[order] = np.arange(order.size, dtype=indices.dtype)
    sizes = np.zeros((2, order.size + 1), np.int64)
    _count_triangles(indptr, indices, order, place, sizes)
    np.cumsum(sizes, axis=1, out=sizes)
    triangles = tuple(
        (ends.astype(indptr.dtype), np.empty(ends[-1], indices.dtype), np.empty(ends[-1], np.int64)) for ends in sizes
    )
    _split_rows(indptr, indices, order, place, *triangles)
    return triangles


@jit
def _count_triangles(indptr, indices, order, place, sizes):
    one = uint64(1)
    for i in range(uint64(order.size)):
        row = uint64(order[i])
        below, above = 0, 0
        for k in range(uint64(indptr[row]), uint64(indptr[row + one])):
            j = uint64(place[uint64(indices[k])])
            below += j < i
            above += j > i
        sizes[0, i + one], sizes[1, i + one] = below, above


@jit
def _split_rows(indptr, indices, order, place, lower, upper):
    one = uint64(1)
    lower_columns, lower_entries, upper_columns, upper_entries = lower[1], lower[2], upper[1], upper[2]
    below, above = uint64(0), uint64(0)
    for i in range(uint64(order.size)):
        row = uint64(order[i])
        for k in range(uint64(indptr[row]), uint64(indptr[row + one])):
            j = uint64(place[uint64(indices[k])])
            if j < i:
                lower_columns[below], lower_entries[below] = j, k
                below += one
            elif j > i:
                upper_columns[above], upper_entries[above] = j, k
                above += one


def diagonal(A, order):
    """The diagonal of a CSR matrix, its rows in another order; entries given twice add up, absent ones are 0."""
    d = np.zeros(order.size, A.data.dtype)
    _diagonal(A.indptr, A.indices, A.data, order, d)
    return d


@jit
def _diagonal(indptr, indices, data, order, d):
    for i in range(order.size):
        row = order[i]
        for k in range(indptr[row], indptr[row + 1]):
            if indices[k] == row:
                d[i] += data[k]
