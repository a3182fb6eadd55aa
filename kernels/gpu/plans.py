"""Plans P_ij = exp(u_i + v_j - C_ij / eps) and their sums, from the potentials; all in float64."""

import numpy as np

from . import _device
from ._device import TYPES, Source, blocks, copy_to_device, empty, to_host, type_of, zeros
from .clouds import COSTS, LOG2E, WARP, PointCosts, cost_arguments, shape, slabs_for

__all__ = ["log_sums", "log_sums_columns", "marginals", "plan", "threshold_plan"]

_ONE, _VALUE = "SumOrMost<double>", "Value<double>"
_PLANS = [(cost, to) for cost in ("float", "double") for to in ("float", "double")]
_source = Source(
    "plans",
    ("common", "transport"),
    add_clouds=[(real, each) for (real,) in COSTS for each in (_ONE, _VALUE)],
    add_columns=[(real, _ONE) for (real,) in COSTS],
    add_rows=[(real, each) for (real,) in COSTS for each in (_ONE, _VALUE)],
    count_large=COSTS,
    fill_large=[(real, index) for (real,) in COSTS for index in ("int", "long long")],
    finish_sums=COSTS,
    running_sums=[("long long",)],
    total=[("double",)],
    write_plan=_PLANS,
)
# What finish_sums makes of parts; columns or points of a tile, and the least that is worth a slab.
_SUM, _LARGEST, _LOGARITHM = 0, 1, 2
_TILE, _LEAST = 64, 128


def marginals(cost, inv_eps, u, v, rows, columns):
    """The row sums and the column sums of P; returns <C, P>, to which a forbidden pair adds nothing.

    Parameters
    ----------
    cost : CostMatrix or PointCosts, shape (n, m)
    inv_eps : float
    u, v : cupy.ndarray, shapes (n,) and (m,)
    rows, columns : cupy.ndarray of float64, shapes (n,) and (m,)
    """
    n = u.size
    parts, slabs = _add(cost, inv_eps, _VALUE, u, v)
    _finish(_SUM, parts, slabs, rows)
    _finish(_SUM, *_add(cost, inv_eps, _ONE, v, u, columns=True), columns)
    values = parts[int(slabs) * n :]
    grid = blocks(values.size)
    sums = empty(grid, np.float64)
    _source.launch("total", ("double",), grid, np.int64(values.size), values, sums)
    return float(to_host(sums).sum())


def log_sums(cost, inv_eps, v, out):
    """out_i = log sum_j exp(v_j - C_ij inv_eps); -inf where all pairs are forbidden."""
    _log_sums(cost, inv_eps, v, out, columns=False)


def log_sums_columns(cost, inv_eps, u, out):
    """out_j = log sum_i exp(u_i - C_ij inv_eps); -inf where all pairs are forbidden."""
    _log_sums(cost, inv_eps, u, out, columns=True)


def _log_sums(cost, inv_eps, other, out, columns):
    most = empty(out.size, np.float64)
    _finish(_LARGEST, *_add(cost, inv_eps, _ONE, None, other, columns=columns, is_sum=False), most)
    _finish(_LOGARITHM, *_add(cost, inv_eps, _ONE, None, other, most, columns), out, most)


def _add(cost, inv_eps, what, own, other, most=None, columns=False, is_sum=True):
    """Sums over rows or columns, or the largest exponents, in parts: (parts, slabs)."""
    n, m = shape(cost)
    size, added = (m, n) if columns else (n, m)
    arguments = cost_arguments(cost)
    if isinstance(cost, PointCosts):
        height = _device.THREADS // 4
        kernel, tiles, most_slabs = "add_clouds", -(-size // height), -(-added // _TILE)
        grid = blocks(tiles * max(1, most_slabs) * _device.THREADS, 2)
        slabs = slabs_for(tiles, most_slabs, grid)
        if columns:
            X, Y, *_, d, power = arguments
            arguments = Y, X, np.int64(m), np.int64(n), d, power
    else:
        kernel, strips = ("add_columns", -(-m // WARP)) if columns else ("add_rows", n)
        grid = blocks(strips * -(-added // _LEAST) * WARP)
        slabs = slabs_for(strips, -(-added // _LEAST), grid * _device.THREADS // WARP)
    parts = empty((2 if what == _VALUE else 1) * int(slabs) * size, np.float64)
    template = (*type_of(other), what)
    scale, is_sum = np.float64(inv_eps * LOG2E), np.int32(is_sum)
    _source.launch(kernel, template, grid, *arguments, scale, own, other, most, slabs, is_sum, parts)
    return parts, slabs


def _finish(what, parts, slabs, out, most=None):
    size = np.int64(out.size)
    _source.launch("finish_sums", type_of(out), blocks(out.size), size, slabs, parts, most, np.int32(what), out)


def plan(cost, inv_eps, u, v, P):
    """P_ij = exp(u_i + v_j - C_ij inv_eps); P has shape (n, m)."""
    _by_entries("write_plan", type_of(u, P), cost, inv_eps, u, v, P)


def _by_entries(kernel, template, cost, inv_eps, u, v, *more):
    """Launch a kernel that asks for costs one by one, a warp for a row."""
    if isinstance(cost, PointCosts):
        arguments = cost_arguments(cost)
    else:
        C, n, m = cost_arguments(cost)
        arguments = C, None, n, m, np.int32(0), np.float64(0)
    grid = blocks(u.size * WARP)
    _source.launch(kernel, template, grid, *arguments, np.float64(inv_eps * LOG2E), u, v, *more)


def threshold_plan(cost, inv_eps, u, v, cut):
    """The entries P_ij >= cut, in CSR form.

    Returns
    -------
    indptr, indices : cupy.ndarray of int32, or of int64 where that is too small
    data : cupy.ndarray, in the dtype of u
    """
    n, m = shape(cost)
    least = np.float64(np.log2(cut) if cut > 0 else -np.inf)
    indptr = zeros(n + 1, np.int64)
    _by_entries("count_large", type_of(u), cost, inv_eps, u, v, least, indptr)
    _source.launch("running_sums", ("long long",), 1, np.int64(n + 1), indptr)
    count = int(to_host(indptr[n:])[0])
    index = np.int32 if max(count, m) < 2**31 else np.int64
    indices, data = empty(count, index), empty(count, u.dtype)
    template = (TYPES[u.dtype.char], "int" if index is np.int32 else "long long")
    _by_entries("fill_large", template, cost, inv_eps, u, v, least, indptr, indices, data)
    return copy_to_device(indptr, index), indices, data
