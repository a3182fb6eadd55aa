"""Sinkhorn's iteration in the log domain, a chunk of sweeps in one launch and one read by the host.

A sweep reads a matrix of costs once (n m numbers) and forms one exponential an entry, as long as a thread can hold its
share of a row: up to 10240 columns in float64, 12288 in float32; what is beyond is read and formed twice, the second
time from the cache. The column sums of each block are left in memory and read once: 2 m numbers a block, under 3 per
cent of the whole at n = m = 10^4. Clouds of points take no memory of size n m; their costs are computed twice.
"""

import numpy as np

from . import _device
from ._device import Source, blocks, empty, to_host, type_of, zeros
from .cg import APART
from .clouds import COSTS, LOG2E, WARP, PointCosts, cost_arguments, shape, slabs_for

__all__ = ["HEADERS", "HELD", "HELD_WIDE", "SAFE", "fused_grid", "log_chunk", "report_of"]

HEADERS = ("common", "transport", "sweep")
_source = Source("sinkhorn", HEADERS, log_chunk=COSTS, log_chunk_clouds=COSTS, log_chunk_wide=COSTS)

# Row sums outside [1 / this, this] are formed again with the largest exponent taken out.
SAFE = {4: 1e25, 8: 1e280}
# As in sweep.cuh: columns that a thread holds; and in transport.cuh: points of a tile.
HELD, HELD_WIDE, _TILE = 16, {4: 48, 8: 40}, 64
# What a report holds between APART and the errors: the barrier's second word, sweeps taken.
_HEAD = 2
# Slabs in which columns are summed anew where sums are out of range.
_SLABS = 8


def log_chunk(cost, inv_eps, a, b, u, v, omega, errors, threshold, steps):
    """Take up to ``steps`` sweeps of over-relaxed scaling, fewer where the error falls enough.

    u += omega log(a / P 1), v += omega log(b / P^T 1) with P_ij = exp(u_i + v_j - C_ij inv_eps); nothing overflows.

    Parameters
    ----------
    cost : CostMatrix or PointCosts, shape (n, m)
    inv_eps : float
    a, b : cupy.ndarray, shapes (n,) and (m,)
        Positive, in the dtype of the costs.
    u, v : cupy.ndarray, shapes (n,) and (m,)
        The potentials over eps, updated, in the dtype of the costs.
    omega : float
    errors : numpy.ndarray of float64, shape (>= steps,)
        Receives the L1 error of both marginals between the two halves of each sweep. Where it falls to the threshold
        the sweep ends there, with exact rows if omega is 1.

    Returns
    -------
    taken : int
        Sweeps taken; the last error may be no finite number.
    """
    if steps < 1:
        return 0
    kind = np.finfo(u.dtype)
    tiny = float(kind.tiny) / float(kind.eps)
    start = _clouds if isinstance(cost, PointCosts) else _matrix
    report = zeros(APART + _HEAD + steps, np.float64)
    start(cost, (a, b, u, v), report, (inv_eps * LOG2E, omega, SAFE[u.itemsize], tiny, threshold), np.int32(steps))
    return report_of(report, errors)


def report_of(report, errors):
    """Wait for a chunk; the sweeps taken, and their errors where the caller wants them."""
    values = to_host(report)[APART:]
    taken = int(values[1])
    errors[:taken] = values[_HEAD : _HEAD + taken]
    return taken


def fused_grid(n, m, itemsize):
    """(whether rows are longer than two blocks a processor can hold, blocks for a sweep over a matrix)."""
    wide = m > HELD * _device.THREADS
    held = HELD_WIDE[itemsize] if wide else HELD
    rows_at_once = 1 if m > held * WARP else _device.THREADS // WARP
    return wide, blocks(-(-n // rows_at_once) * _device.THREADS, 1 if wide else 2)


def _matrix(cost, vectors, report, rules, steps):
    n, m = shape(cost)
    v = vectors[-1]
    wide, grid = fused_grid(n, m, v.itemsize)
    scale, omega, safe, tiny, threshold = rules
    # What is below the smallest number is lost: a column of less than this, times the largest factor of a row, may
    # have lost more than rounding.
    rules = map(np.float64, (scale, omega, safe, n * tiny, threshold))
    parts, doubles = empty((grid, m), v.dtype), empty((2 + 2 * _SLABS, m), np.float64)
    _source.launch_together(
        "log_chunk_wide" if wide else "log_chunk", type_of(v), grid, *cost_arguments(cost), *vectors,
        empty(m, v.dtype), parts, doubles, empty((5, grid), np.float64), report, *rules, steps, np.int32(_SLABS),
    )  # fmt: skip


def _clouds(cost, vectors, report, rules, steps):
    n, m = shape(cost)
    v = vectors[-1]
    height = _device.THREADS // 4
    tiles = max(-(-n // height), -(-m // height))
    grid = blocks(-(-n * m // (height * _TILE)) * _device.THREADS, 2)
    slabs = [slabs_for(-(-p // height), max(1, -(-q // _TILE)), 2 * grid) for p, q in ((n, m), (m, n))]
    room = max(int(slabs[0]) * n, int(slabs[1]) * m)
    scale, omega, safe, tiny, threshold = rules
    rules = map(np.float64, (scale, omega, safe, max(n, m) * tiny, threshold))
    longest = tiles * height
    _source.launch_together(
        "log_chunk_clouds", type_of(v), grid, *cost_arguments(cost), *vectors, empty(m, v.dtype),
        empty(room + longest, np.float64), np.int64(room), empty(longest, np.int32), empty((2, grid), np.float64),
        report, *rules, steps, *slabs,
    )  # fmt: skip
