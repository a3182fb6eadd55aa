"""Products with a few vectors side by side, the basis of a Krylov space."""

import numpy as np

from ._device import TYPES, Source, blocks, copy_to_device, empty, to_host, type_of

__all__ = ["combine", "project"]

_EACH = [(name,) for name in TYPES.values()]
_source = Source("basis", project=_EACH, collect=_EACH, combine=_EACH)


def project(V, w):
    """Return V^H w, the inner products of w with the rows of V, accumulated in float64.

    Parameters
    ----------
    V : cupy.ndarray, shape (j, n), C-contiguous
    w : cupy.ndarray, shape (n,)

    Returns
    -------
    h : numpy.ndarray, shape (j,)
        On the host.
    """
    rows, n = V.shape
    grid = blocks(n)
    parts = empty((2 if V.dtype.kind == "c" else 1, rows, grid), np.float64)
    values = empty(rows, V.dtype)
    _source.launch("project", type_of(V), grid, np.int64(n), np.int32(rows), V, w, parts)
    # A block a row adds up what the blocks left: their number times j would be much to send to the host.
    _source.launch("collect", type_of(V), max(1, rows), np.int32(rows), np.int32(grid), parts, values)
    return to_host(values)


def combine(h, V, w):
    """w += sum over j of h[j] V[j].

    Parameters
    ----------
    h : numpy.ndarray, shape (j,)
        On the host.
    V : cupy.ndarray, shape (j, n), C-contiguous
    w : cupy.ndarray, shape (n,)
    """
    rows, n = V.shape
    arguments = np.int64(n), np.int32(rows), copy_to_device(h, V.dtype), V, w
    _source.launch("combine", type_of(V), blocks(n), *arguments)
