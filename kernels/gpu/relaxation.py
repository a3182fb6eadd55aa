"""Sweeps over the rows of a matrix sorted by stages, each chunk of them in one launch and one read by the host.

The rows of a stage do not wait for each other and are shared out, one a thread; between stages the whole grid meets
at a barrier, which takes some microseconds. Colours are few: an order for GPUs. Levels, which keep the natural
order of the rows, are hundreds or thousands on a grid: right to the last sweep, and slow.
"""

from collections import namedtuple

import numpy as np

from ._device import TYPES, Source, blocks, copy_to_device, empty, to_host, type_of, zeros
from .cg import APART, storage_number
from .storage import CSR, operand_arguments, operand_grid
from .vectors import reciprocal

__all__ = [
    "Sweep",
    "diagonal",
    "jacobi_chunk",
    "longest",
    "sor_chunk",
    "sorted_rows",
    "ssor_chunk",
    "stage_grid",
    "sweep",
    "sweep_from",
]

# The strict triangles and the diagonal, sorted by stages; 1 / diagonal; where stages begin (stages + 1,), on the device
# as int32 and on the host.
Sweep = namedtuple("Sweep", "lower upper diagonal inverse edges first")

_EACH = [(each,) for each in TYPES.values()]
_source = Source(
    "relaxation", ("common", "matrices", "cg", "sweeps"), diagonal=_EACH, jacobi_chunk=_EACH, sor_chunk=_EACH
)
# More stages than this, and a sweep's time is that of its barriers, which small grids pass faster: blocks for a stage
# of mean width, not for the widest.
_FEW_STAGES = 64
# Stages of one launch: some 0.1 s, so that Ctrl-C is prompt, and no watchdog of a display ends it.
_MOST_STAGES = 50_000
# What a report holds between APART and the norms: the barrier's second word, steps.
_HEAD = 2


def diagonal(A, order):
    """The diagonal of a CSR matrix, its rows in another order; entries given twice add up, absent ones are 0."""
    d = empty(order.size, A.data.dtype)
    _source.launch("diagonal", type_of(d), blocks(d.size), np.int64(d.size), *A, order, d)
    return d


def sweep(lower, upper, diagonal, stages):
    """Put together what the sweeps read.

    Parameters
    ----------
    lower, upper : CSR
        The strict triangles, sorted.
    diagonal : cupy.ndarray, shape (n,)
        Without zeros.
    stages : numpy.ndarray of int64, shape (stages + 1,)
    """
    inverse = empty(diagonal.shape, diagonal.dtype)
    reciprocal(diagonal, inverse)
    return Sweep(lower, upper, diagonal, inverse, copy_to_device(stages, np.int32), stages)


def sweep_from(S, dtype):
    """A Sweep made by the CPU kernels, in the memory of this backend and with entries of that dtype."""
    kinds = np.int32, np.int32, dtype
    lower, upper = (CSR(*map(copy_to_device, triangle, kinds)) for triangle in (S.lower, S.upper))
    diagonal, inverse = (copy_to_device(d, dtype) for d in (S.diagonal, S.inverse))
    stages = S.edges[S.first]
    return Sweep(lower, upper, diagonal, inverse, copy_to_device(stages, np.int32), stages)


def sor_chunk(S, b, x, y, omega, norms, threshold, steps):
    """Take up to ``steps`` sweeps of successive over-relaxation, fewer where the residual falls to the threshold.

    x_i += omega / a_ii (b - sum over j < i of a_ij x_j (new) - sum over j >= i of a_ij x_j (old))_i

    Parameters
    ----------
    S : Sweep of n rows
        By colours; by levels it takes a barrier for each of many stages, and fewer sweeps at once.
    b, x, y : cupy.ndarray, shape (n,)
        Right-hand side, iterate (updated) and work space.
    omega : float
    norms : numpy.ndarray of float64, shape (>= steps,)
        Receives the norm of b - A x after each sweep.

    Returns
    -------
    taken : int
        Sweeps completed; the last norm may be no finite number.
    """
    return _sor_chunk(S, b, x, y, omega, norms, threshold, steps, symmetric=0)


def ssor_chunk(S, b, x, y, omega, norms, threshold, steps):
    """``sor_chunk`` with a sweep forward and one backward in each step."""
    return _sor_chunk(S, b, x, y, omega, norms, threshold, steps, symmetric=1)


def _sor_chunk(S, b, x, y, omega, norms, threshold, steps, symmetric):
    grid, steps = stage_grid(S), longest(S, steps, 2 if symmetric else 1)
    parts, report = empty((2, grid), np.float64), zeros(APART + _HEAD + steps, np.float64)
    _source.launch_together(
        "sor_chunk", type_of(x), grid, *sorted_rows(S), np.int64(x.size), b, x, y, parts, report,
        np.float64(omega), np.float64(threshold), np.int32(steps), np.int32(symmetric),
    )  # fmt: skip
    return _read(report, norms)


def jacobi_chunk(A, inverse, b, x, y, omega, norms, threshold, steps):
    """Take up to ``steps`` damped Jacobi steps x += omega D^-1 (b - A x), fewer where the residual falls far enough.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    inverse, b, x, y : cupy.ndarray, shape (n,)
        1 / diagonal, right-hand side, iterate (updated) and work space.
    omega, norms, threshold, steps : as ``sor_chunk``

    Returns
    -------
    taken : int
    """
    grid = max(operand_grid(A), blocks(x.size))
    parts, report = empty((2, grid), np.float64), zeros(APART + _HEAD + steps, np.float64)
    _source.launch_together(
        "jacobi_chunk", type_of(x), grid, np.int32(storage_number(A)), *operand_arguments(A), inverse, b, x, y,
        parts, report, np.float64(omega), np.float64(threshold), np.int32(steps),
    )  # fmt: skip
    return _read(report, norms)


def _read(report, norms):
    """The steps taken; their norms go where they belong."""
    values = to_host(report)[APART:]
    taken = int(values[1])
    norms[:taken] = values[_HEAD : _HEAD + taken]
    return taken


def sorted_rows(S):
    """What a kernel that walks through stages gets first; see sweeps.cuh."""
    return (*S.lower, *S.upper, S.diagonal, S.inverse, S.edges, np.int32(S.first.size - 1))


def stage_grid(S):
    """How many blocks share a stage."""
    widths = np.diff(S.first)
    widest, mean = int(widths.max(initial=1)), -(-int(S.first[-1]) // max(1, widths.size))
    return blocks(widest if widths.size <= _FEW_STAGES else mean)


def longest(S, steps, walks):
    """How many of these steps, each so many walks over all rows, one launch may take."""
    return min(steps, max(1, _MOST_STAGES // (walks * S.first.size)))
