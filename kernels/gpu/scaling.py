"""Sinkhorn's iteration on scalings p, q of a stored kernel K_ij = exp(u_i + v_j - C_ij / eps): P = diag(p) K diag(q).

No exponential in a sweep, but n m numbers of memory. Where a scaling leaves its range, one sweep is taken in the log
domain, and K is formed anew with the potentials that it gives: nothing overflows here either.
"""

from collections import namedtuple

import numpy as np

from ._device import Source, blocks, copy_to_device, empty, type_of, zeros
from .cg import APART
from .clouds import COSTS
from .plans import plan
from .sinkhorn import HEADERS, fused_grid, log_chunk, report_of

__all__ = ["Scaling", "scaling", "scaling_chunk"]

Scaling = namedtuple("Scaling", "K u v")  # (n, m), (n,), (m,): the potentials that K was formed with

_source = Source(
    "scaling", HEADERS, scale_chunk=COSTS, scale_chunk_wide=COSTS, to_potentials=COSTS, to_scalings=COSTS
)
# Scalings stay within [1 / this, this]: what was 0 in K is then nothing in P.
_REACH = {4: 1e10, 8: 1e100}
_HEAD = 2


def scaling(cost, inv_eps, u, v):
    """The stored kernel for ``scaling_chunk``; u and v are the potentials over eps to start from."""
    S = Scaling(empty((u.size, v.size), u.dtype), *(copy_to_device(each, each.dtype) for each in (u, v)))
    plan(cost, inv_eps, u, v, S.K)
    return S


def scaling_chunk(cost, inv_eps, a, b, u, v, S, errors, threshold, steps):
    """Take up to ``steps`` sweeps p = a / K q, q = b / K^T p, fewer where the error falls enough.

    Parameters
    ----------
    cost, inv_eps, a, b, u, v, errors, threshold, steps : as ``log_chunk``
    S : Scaling
        Formed anew in place where that is needed.

    Returns
    -------
    taken : int
    """
    taken, p, q = 0, empty(u.size, u.dtype), empty(v.size, v.dtype)
    while taken < steps:
        _elementwise("to_scalings", (u, S.u, p), (v, S.v, q))
        more = _sweep(S.K, a, b, p, q, errors[taken:], threshold, steps - taken)
        taken += more
        if more > 0:
            _elementwise("to_potentials", (p, S.u, u), (q, S.v, v))
        if taken == steps or (more > 0 and _ends(errors[taken - 1], threshold)):
            break
        taken += log_chunk(cost, inv_eps, a, b, u, v, 1.0, errors[taken:], threshold, 1)
        if _ends(errors[taken - 1], threshold):
            break
        S.u[...], S.v[...] = u, v
        plan(cost, inv_eps, u, v, S.K)
    return taken


def _ends(error, threshold):
    return error <= threshold or not np.isfinite(error)


def _elementwise(kernel, *operands):
    for given, base, made in operands:
        _source.launch(kernel, type_of(made), blocks(made.size), np.int64(made.size), given, base, made)


def _sweep(K, a, b, p, q, errors, threshold, steps):
    n, m = K.shape
    wide, grid = fused_grid(n, m, K.itemsize)
    report = zeros(APART + _HEAD + steps, np.float64)
    _source.launch_together(
        "scale_chunk_wide" if wide else "scale_chunk", type_of(K), grid, K, np.int64(n), np.int64(m), a, b, p, q,
        empty(n, p.dtype), empty(m, q.dtype), empty((grid, m), K.dtype), empty((3, grid), np.float64), report,
        *map(np.float64, (_REACH[K.itemsize], threshold)), np.int32(steps),
    )  # fmt: skip
    return report_of(report, errors)
