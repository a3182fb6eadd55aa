"""Inner products and updates of vectors, each one pass over memory."""

import math

import numpy as np

from ._device import TYPES, Source, blocks, empty, to_host, type_of

__all__ = [
    "axpy",
    "difference",
    "gather",
    "inner",
    "largest",
    "multiply",
    "reciprocal",
    "scale",
    "scatter",
    "step_direction",
    "step_iterate",
]

_EACH = [(name,) for name in TYPES.values()]
_WIDER = {"float": "double", "complex<float>": "complex<double>"}
_source = Source(
    "vectors",
    axpy=_EACH,
    difference=[*((each, each) for each in TYPES.values()), *_WIDER.items()],
    gather=_EACH,
    inner=_EACH,
    largest=_EACH,
    multiply=_EACH,
    reciprocal=_EACH,
    scale=_EACH,
    scatter=_EACH,
    step_direction=_EACH,
    step_iterate=_EACH,
)


def axpy(alpha, x, y):
    """y += alpha x, where alpha is a scalar of the arrays' dtype and x, y have shape (n,)."""
    _source.launch("axpy", type_of(x), blocks(x.size), np.int64(x.size), alpha, x, y)


def scale(alpha, x, y):
    """y = alpha x, where alpha is a scalar of the arrays' dtype; x and y have shape (n,) and may be one array."""
    _source.launch("scale", type_of(x), blocks(x.size), np.int64(x.size), alpha, x, y)


def multiply(d, x, y):
    """y = d x entry by entry, d real; d, x, y have shape (n,) and one precision."""
    _source.launch("multiply", type_of(x), blocks(x.size), np.int64(x.size), d, x, y)


def gather(x, order, y):
    """y = x[order]; y has the shape of order, which holds places in x as int32."""
    _source.launch("gather", type_of(x), blocks(y.size), np.int64(y.size), x, order, y)


def scatter(x, order, y):
    """y[order] = x; x and y have shape (n,), order is a permutation, of int32."""
    _source.launch("scatter", type_of(x), blocks(x.size), np.int64(x.size), x, order, y)


def reciprocal(x, y):
    """y = 1 / x entry by entry; x and y have shape (n,)."""
    _source.launch("reciprocal", type_of(x), blocks(x.size), np.int64(x.size), x, y)


def difference(b, y, r):
    """r = b - y, formed in float64 (complex128), rounded once; returns the norm before that rounding.

    Parameters
    ----------
    b, r : cupy.ndarray, shape (n,)
    y : cupy.ndarray, shape (n,)
        In the dtype of r, or in float64 (complex128).
    """
    return _norm("difference", type_of(b, y), b.size, b, y, r)


def largest(v):
    """The largest magnitude of an entry: 0 where there is none, NaN where one is NaN.

    Parameters
    ----------
    v : cupy.ndarray, shape (n,)
    """
    grid = blocks(v.size)
    parts = empty(grid, np.float64)
    _source.launch("largest", type_of(v), grid, np.int64(v.size), v, parts)
    return float(to_host(parts).max())


def inner(p, q):
    """p^H q, accumulated in float64; a float where the vectors are real, else complex.

    Parameters
    ----------
    p, q : cupy.ndarray, shape (n,)
    """
    grid = blocks(p.size)
    parts = empty((2, grid), np.float64)
    _source.launch("inner", type_of(p), grid, np.int64(p.size), p, q, parts)
    re, im = to_host(parts).sum(axis=1)
    return complex(re, im) if p.dtype.kind == "c" else float(re)


def step_iterate(alpha, p, q, x, r):
    """x += alpha p and r -= alpha q; returns ||r||.

    Parameters
    ----------
    alpha : float
    p, q, x, r : cupy.ndarray, shape (n,)
    """
    return _norm("step_iterate", type_of(x), x.size, np.float64(alpha), p, q, x, r)


def step_direction(z, beta, p):
    """p = z + beta p.

    Parameters
    ----------
    z, p : cupy.ndarray, shape (n,)
    beta : float
    """
    _source.launch("step_direction", type_of(p), blocks(p.size), np.int64(p.size), z, np.float64(beta), p)


def _norm(kernel, template, n, *arguments):
    """Launch a kernel that leaves the squares of a norm, one number a block; return the norm."""
    grid = blocks(n)
    parts = empty(grid, np.float64)
    _source.launch(kernel, template, grid, np.int64(n), *arguments, parts)
    return math.sqrt(to_host(parts).sum())
