"""Chunks of conjugate-gradient iterations for many right-hand sides: the matrix is read once for up to 64 of them.

An iteration of k columns reads A, and reads or writes 10 k vectors. Two more barriers than for one right-hand side:
the sums of a column are added up once, not by every block.
"""

import numpy as np

from ._device import TYPES, Source, blocks, copy_to_device, empty, to_host
from .cg import APART, storage_number
from .storage import CSR, operand_arguments

__all__ = ["LANES", "cg_chunk_many"]

# Columns come in multiples of this: 64 bytes of a row in float64, two sectors of memory.
LANES = 8
# Rows of the report: those of `scalars`, thresholds, states and counts, three that the kernel works with; then norms.
_HEAD = 9
# Numbers that the barrier's words take in front of them.
_WORDS = APART + 1
_MOST_COLUMNS = 64

_source = Source("cg_many", ("common", "matrices", "cg"), cg_chunk_many=[(each,) for each in TYPES.values()])


def cg_chunk_many(A, d, X, R, P, Q, scalars, norms, thresholds, states, counts, steps):
    """Take up to ``steps`` iterations of ``cg_chunk`` for k right-hand sides at once.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    d : None, or cupy.ndarray of real numbers, shape (n,)
    X, R, P, Q : cupy.ndarray, shape (n, k), C-contiguous, k a multiple of LANES
        The columns that have ended do not change.
    scalars : numpy.ndarray of float64, shape (3, k)
    norms : numpy.ndarray of float64, shape (>= steps, k)
        Receives the norms of each column's steps.
    thresholds : numpy.ndarray of float64, shape (k,)
    states : numpy.ndarray of int64, shape (k,)
        0 while a column runs; set to its flag, or to 4 where it reached its threshold (updated).
    counts : numpy.ndarray of int64, shape (k,)
        Receives the steps that each column took.
    """
    n, k = X.shape
    grid = blocks(n * min(k, _MOST_COLUMNS))
    board = np.zeros(_WORDS + (_HEAD + steps) * k)
    rows = board[_WORDS:].reshape(-1, k)
    rows[:3], rows[3], rows[4] = scalars, thresholds, states
    report, parts = copy_to_device(board, np.float64), empty((3, k, grid), np.float64)
    operand = operand_arguments(A)
    if isinstance(A, CSR):
        operand = (*operand[:-1], np.int64(1))  # a thread has a row
    _source.launch_together(
        "cg_chunk_many", (TYPES[X.dtype.char],), grid, np.int32(storage_number(A)), *operand, np.int32(k),
        d, X, R, P, Q, parts, report, np.int32(steps),
    )  # fmt: skip
    rows = to_host(report)[_WORDS:].reshape(-1, k)
    scalars[:2], states[:], counts[:] = rows[:2], rows[4], rows[5]
    taken = counts.max(initial=0)
    norms[:taken] = rows[_HEAD : _HEAD + taken]
