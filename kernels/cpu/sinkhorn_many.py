"""Sweeps of many transport problems of one size in one call, whole problems spread over the threads.

Each problem goes through the very functions of a single one, so that its bits are those of a solve of its own. Rows and
columns without weight are left out: such a problem is copied, without them, before its sweeps.
"""

from functools import partial

import numpy as np

from ._apart import apart
from ._jit import jit
from ._team import BLOCK, even_shares, launch
from .clouds import _LEAST_ROWS, _MOST_BLOCKS, _TOGETHER, CostMatrix
from .exponential import LOG2E
from .plans import _marginals
from .sinkhorn import _CACHED, _STRETCH, SAFE, WORK, _log_chunk, log_chunk

__all__ = ["log_chunk_many", "marginals_many"]


def log_chunk_many(C, inv_eps, a, b, u, v, which, omega, errors, thresholds, steps, taken):
    """``log_chunk`` for some problems of a batch, each with its own limits.

    Parameters
    ----------
    C : ndarray, shape (B, n, m)
    inv_eps : ndarray of float64, shape (B,)
    a, b : ndarray, shapes (B, n) and (B, m)
        At least one positive weight each; what has weight zero is passed over.
    u, v : ndarray, shapes (B, n) and (B, m)
        The potentials over eps, updated where there is weight.
    which : ndarray of int64, shape (k,)
        The problems, each once.
    omega, thresholds : ndarray of float64, shape (k,)
    errors : ndarray of float64, shape (k, >= most steps)
    steps, taken : ndarray of int64, shape (k,)
        Sweeps to take at most; receives the sweeps taken.
    """
    _, n, m = C.shape
    lost = float(np.finfo(u.dtype).tiny) / float(np.finfo(u.dtype).eps)
    constants = SAFE[u.dtype.itemsize], lost, _CACHED // C.itemsize, _STRETCH // C.itemsize
    _launch(_chunks, which.size, C, inv_eps, a, b, u, v, which, omega, errors, thresholds, steps, taken, constants)
    for place, k in enumerate(which):
        done = taken[place]
        if done < steps[place] and not (done > 0 and errors[place, done - 1] <= thresholds[place]):
            limits = omega[place], errors[place, done:], thresholds[place], steps[place] - done
            taken[place] += _alone(C[k], inv_eps[k], a[k], b[k], u[k], v[k], *limits)


def _alone(C, inv_eps, a, b, u, v, *limits):
    """A problem whose sums have left the range of numbers goes on by itself."""
    rows, columns = np.flatnonzero(a > 0), np.flatnonzero(b > 0)
    cost, here, there = CostMatrix(np.ascontiguousarray(C[np.ix_(rows, columns)])), u[rows], v[columns]
    taken = log_chunk(cost, inv_eps, a[rows], b[columns], here, there, *limits)
    u[rows], v[columns] = here, there
    return taken


def marginals_many(C, inv_eps, u, v, which, rows, columns, values):
    """``marginals`` for some problems of a batch; potentials of -inf have no part in the plan.

    Parameters
    ----------
    C : ndarray, shape (B, n, m)
    inv_eps : ndarray of float64, shape (B,)
    u, v : ndarray, shapes (B, n) and (B, m)
    which : ndarray of int64, shape (k,)
    rows, columns : ndarray of float64, shapes (k, n) and (k, m)
    values : ndarray of float64, shape (k,)
        Receives <C, P>, to which a forbidden pair adds nothing.
    """
    _launch(_sums, which.size, C, inv_eps, u, v, which, rows, columns, values)


def _launch(kernel, count, C, *arguments):
    launch(kernel, WORK * count * C.shape[1] * C.shape[2], count, partial(even_shares, count), C, *arguments)


@jit
def _chunks(
    C, inv_eps, a, b, u, v, which, omega, errors, thresholds, steps, taken, constants, flags, share, member, team
):
    n, m = C.shape[1], C.shape[2]
    for place in range(share[member], share[member + 1]):
        k = which[place]
        rows, columns = np.flatnonzero(a[k] > 0), np.flatnonzero(b[k] > 0)
        thin = rows.size < n or columns.size < m
        cost, to_rows, to_columns, here, there = C[k], a[k], b[k], u[k], v[k]
        if thin:
            cost, to_rows, to_columns = _thinned(cost, rows, columns), to_rows[rows], to_columns[columns]
            here, there = here[rows], there[columns]
        scalars = inv_eps[k] * LOG2E, omega[place], thresholds[place], steps[place]
        taken[place] = _one(cost, to_rows, to_columns, here, there, scalars, errors[place], constants, flags)
        if thin:
            u[k][rows], v[k][columns] = here, there


@jit
def _thinned(C, rows, columns):
    out = np.empty((rows.size, columns.size), C.dtype)
    for i in range(rows.size):
        for j in range(columns.size):
            out[i, j] = C[rows[i], columns[j]]
    return out


@jit
def _one(C, a, b, u, v, scalars, errors, constants, flags):
    """What ``log_chunk`` does before it is shared out, then all of it on this thread."""
    inv_eps, omega, threshold, steps = scalars
    safe, lost, cached, stretch = constants
    n, m = C.shape
    edges = _edges(n)
    blocks = edges.size - 1
    parts = np.empty((blocks, m), u.dtype)
    halves = np.empty((2, blocks)), np.empty(max(1, -(-m // BLOCK))), np.empty(m), np.empty_like(v), np.empty(n)
    stretch = stretch if n * m > cached else m
    limits = inv_eps, omega, threshold, safe, n * lost, stretch
    return _log_chunk(CostMatrix(C), edges, a, b, u, v, limits, errors, steps, parts, halves, flags, _all(blocks), 0, 1)


@jit
def _edges(n):
    """``row_blocks``, compiled."""
    size = max(_LEAST_ROWS, -(-n // (_TOGETHER * _MOST_BLOCKS)) * _TOGETHER)
    blocks = -(-n // size)
    edges = np.empty(blocks + 1, np.int64)
    for i in range(blocks + 1):
        edges[i] = min(i * size, n)
    return edges


@jit
def _all(blocks):
    share = np.zeros(2, np.int64)
    share[1] = blocks
    return share


@jit
def _sums(C, inv_eps, u, v, which, rows, columns, values, flags, share, member, team):
    n, m = C.shape[1], C.shape[2]
    edges = _edges(n)
    blocks = edges.size - 1
    some, w = np.empty(blocks), np.empty(m)
    parts = apart(blocks, m, w)
    for place in range(share[member], share[member + 1]):
        k = which[place]
        for j in range(m):
            w[j] = np.float64(v[k, j]) * LOG2E
        _marginals(
            CostMatrix(C[k]), edges, inv_eps[k] * LOG2E, u[k], w, rows[place], parts, some, flags, _all(blocks), 0, 1
        )
        for j in range(m):
            columns[place, j] = parts[0, j]
        for block in range(1, blocks):
            for j in range(m):
                columns[place, j] += parts[block, j]
        values[place] = some.sum()
