"""Inner products and updates of vectors, each one pass over memory."""

import numpy as np

from ._device import TYPES, Source, blocks, empty, to_host, type_of

__all__ = ["axpy", "inner"]

_EACH = [(name,) for name in TYPES.values()]
_source = Source("vectors", axpy=_EACH, inner=_EACH)


def axpy(alpha, x, y):
    """y += alpha x, where alpha is a scalar of the arrays' dtype and x, y have shape (n,)."""
    _source.launch("axpy", type_of(x), blocks(x.size), np.int64(x.size), alpha, x, y)


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
