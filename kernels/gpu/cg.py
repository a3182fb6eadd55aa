"""Chunks of conjugate-gradient iterations in one launch and one read by the host.

The letters are those of Hestenes & Stiefel (1952): x, r, p, alpha, beta; q = A p, rho = r^H M r. An iteration
reads A and reads or writes 10 vectors (q = A p: 2, r: 3, x and p: 5), and d twice: 1.44 GB for 5 entries a row
of CSR and n = 10^7 in float64.
"""

import math

import numpy as np

from ._device import TYPES, Source, blocks, empty, to_host, zeros
from .storage import CSR, Dense, Diagonals, Stencil, operand_arguments, operand_grid

__all__ = ["APART", "cg_chunk", "judge", "storage_number"]

# Why a chunk ended, beside the threshold and the number of steps: indices into the caller's table.
_RUNNING, _NONFINITE, _INDEFINITE, _NOT_HERMITIAN = 0, 1, 2, 3
#: What a report begins with, in float64 numbers: the first word of the barrier, as far from the second; see common.cuh.
APART = 16
# What it then holds before the norms: the barrier's second word, steps, flag, rho, sign.
_HEAD = 5

_source = Source("cg", ("common", "matrices", "cg"), cg_chunk=[(each,) for each in TYPES.values()])


def cg_chunk(A, d, x, r, p, q, scalars, norms, threshold, steps):
    """Take up to ``steps`` iterations, fewer where the norm of r falls to the threshold.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    d : None, or cupy.ndarray of real numbers, shape (n,)
        The diagonal of the preconditioner.
    x, r, p, q : cupy.ndarray, shape (n,)
        Iterate, residual, direction (all updated) and work space.
    scalars : numpy.ndarray of float64, shape (3,)
        rho (updated); the sign of the first p^H A p (0 before it is known, updated); the share of
        p^H A p that may be imaginary.
    norms : numpy.ndarray of float64, shape (>= steps,)
        Receives the norm of r after each step.

    Returns
    -------
    taken, flag : int
        Steps completed; 0, or 1 a NaN or infinity, 2 indefinite, 3 not Hermitian.
    """
    grid = max(operand_grid(A), blocks(x.size))
    parts, report = empty((5, grid), np.float64), zeros(APART + _HEAD + steps, np.float64)
    _source.launch_together(
        "cg_chunk", (TYPES[x.dtype.char],), grid, np.int32(storage_number(A)), *operand_arguments(A),
        d, x, r, p, q, parts, report, *map(np.float64, scalars), np.float64(threshold), np.int32(steps),
    )  # fmt: skip
    values = to_host(report)[APART:]
    taken, flag = int(values[1]), int(values[2])
    norms[:taken] = values[_HEAD : _HEAD + taken]
    scalars[:2] = values[3:_HEAD]
    return taken, flag


def storage_number(A):
    """How the kernels of conjugate gradients know this storage; see cg.cuh."""
    return (CSR, Diagonals, Dense, Stencil).index(type(A))


def judge(re, im, size, sign, imaginary_share):
    """Whether p^H A p (real part, imaginary part, magnitude of its terms) allows another step; a flag."""
    if not (math.isfinite(re) and math.isfinite(im)):
        return _NONFINITE
    if abs(im) > imaginary_share * size:
        return _NOT_HERMITIAN
    if re == 0.0 or re * sign < 0.0:
        return _INDEFINITE
    return _RUNNING
