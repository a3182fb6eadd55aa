"""Integrals of an image along lines, and their adjoint: the matched pair of Joseph (IEEE Trans. Med. Imaging, 1982)."""

import numpy as np

from ._device import Source, blocks, empty, type_of

__all__ = ["back_projection", "line_integrals"]

_EACH = [("float",), ("double",)]
_source = Source("tomography", trace_lines=[("double",)], line_integrals=_EACH, back_projection=_EACH)


def line_integrals(views, pixel, X, Y):
    """Y[k, v, d] = the integral of image k along line d of view v.

    Parameters
    ----------
    views : cupy.ndarray of float64, shape (n_views, 7)
        (p, q, p', q', u, v, t): in units of pixels, line d passes through the column p + d p' and the row q + d q' in
        the direction (u + d t p', v + d t q'); t is 0 for parallel lines, 1 for lines that meet in a point, which lies
        off the image by more than a pixel.
    pixel : float
        The side of a pixel, in which lengths are measured.
    X : cupy.ndarray, shape (k, ny, nx)
        float32 or float64.
    Y : cupy.ndarray, shape (k, n_views, n_lines)
        In the dtype of X.
    """
    lines, n_lines = _traced(views, pixel, Y), np.int64(Y.shape[1] * Y.shape[2])
    _source.launch("line_integrals", type_of(X), blocks(Y.size), *lines, n_lines, X, *map(np.int64, X.shape), Y)


def back_projection(views, pixel, Y, X):
    """The adjoint of ``line_integrals``: each pixel of X[k] gets the data Y[k], by the weights that it has there."""
    lines, shape = _traced(views, pixel, Y), map(np.int64, X.shape)
    sizes = np.int64(len(views)), np.int64(Y.shape[2])
    _source.launch("back_projection", type_of(X), blocks(X.size), views, sizes[0], *lines, sizes[1], Y, *shape, X)


def _traced(views, pixel, Y):
    """Start, slope and length of each line: three numbers for each that are used for many pixels."""
    lines = tuple(empty(Y.shape[1:], np.float64) for _ in range(3))
    sizes = np.int64(len(views)), np.int64(Y.shape[2])
    _source.launch("trace_lines", ("double",), blocks(lines[0].size), views, *sizes, np.float64(pixel), *lines)
    return lines
