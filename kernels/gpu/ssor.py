"""Symmetric successive over-relaxation as a preconditioner, and conjugate gradients around it; see ssor.cu.

As ``relaxation`` says, the number of stages decides about the time. Colours, which are few, precondition badly;
with the levels of the natural order an iteration on a large grid waits at thousands of barriers.
"""

import numpy as np

from ._device import TYPES, Source, empty, to_host, type_of, zeros
from .cg import APART
from .relaxation import longest, sorted_rows, stage_grid

__all__ = ["ssor_cg_chunk", "ssor_cg_start", "ssor_solve"]

_EACH = [(each,) for each in TYPES.values()]
_source = Source(
    "ssor", ("common", "matrices", "cg", "sweeps"), ssor_cg_chunk=_EACH, ssor_cg_start=_EACH, ssor_solve=_EACH
)
# What a report of a chunk holds between APART and the norms: the barrier's second word, steps, flag, rho, that before,
# sign.
_HEAD = 6


def ssor_solve(S, omega, r, z):
    """z = (2 - omega)/omega K^-H D K^-1 r, the preconditioner's product with r.

    Parameters
    ----------
    S : Sweep of n rows
    omega : float
    r, z : cupy.ndarray, shape (n,)
        z may be r.
    """
    words = zeros(APART + 1, np.float64)
    _source.launch_together("ssor_solve", type_of(z), stage_grid(S), *sorted_rows(S), r, z, words, np.float64(omega))


def ssor_cg_start(S, omega, r, s, t):
    """s = K^-1 r and t = D s; returns the inner product of the two, in float64.

    Parameters
    ----------
    S : Sweep of n rows
    omega : float
    r, s, t : cupy.ndarray, shape (n,)
    """
    grid = stage_grid(S)
    parts, report = empty(grid, np.float64), zeros(APART + 2, np.float64)
    _source.launch_together(
        "ssor_cg_start", type_of(s), grid, *sorted_rows(S), r, s, t, parts, report, np.float64(omega)
    )
    return float(to_host(report)[APART + 1])


def ssor_cg_chunk(S, omega, x, s, t, p, u, scalars, norms, threshold, steps):
    """Take up to ``steps`` iterations, fewer where the norm of b - A x falls to the threshold.

    Parameters
    ----------
    S : Sweep of n rows
        Of a Hermitian matrix; where it has many stages, fewer iterations are taken at once.
    omega : float
    x, s, t : cupy.ndarray, shape (n,)
        Iterate, transformed residual K^-1 r and transformed direction K^H p (all updated).
    p, u : cupy.ndarray, shape (n,)
        Work space.
    scalars : numpy.ndarray of float64, shape (4,)
        rho = s^H D s (updated); that of the step before, 0 at the start (updated); the sign of the first p^H A p
        (0 before it is known, updated); the share of p^H A p that may be imaginary.
    norms : numpy.ndarray of float64, shape (>= steps,)
        Receives the norm of r = K s after each step.

    Returns
    -------
    taken, flag : int
        Steps completed; 0, or 1 a NaN or infinity, 2 indefinite, 3 not Hermitian.
    """
    grid, steps = stage_grid(S), longest(S, steps, 2)
    parts, report = empty((5, grid), np.float64), zeros(APART + _HEAD + steps, np.float64)
    _source.launch_together(
        "ssor_cg_chunk", type_of(x), grid, *sorted_rows(S), np.int64(x.size), x, s, t, p, u, parts, report,
        np.float64(omega), *map(np.float64, scalars), np.float64(threshold), np.int32(steps),
    )  # fmt: skip
    values = to_host(report)[APART:]
    taken, flag = int(values[1]), int(values[2])
    norms[:taken] = values[_HEAD : _HEAD + taken]
    scalars[:3] = values[3:_HEAD]
    return taken, flag
