"""Integrals of an image along lines, and their adjoint: the matched pair of Joseph (IEEE Trans. Med. Imaging 1, 1982).

A line crosses each row of pixel centres once, or each column if it is nearer to the horizontal; there the image is
interpolated linearly between the two neighbours, and is 0 outside. Weights are computed by the same arithmetic in both
directions. In the adjoint each row, and each column, belongs to one thread, so that nothing is added atomically. The
images of a stack go through several side by side: what a line's positions cost is paid once.
"""

import math
from functools import partial

import numpy as np

from ._jit import jit, strict
from ._lanes import LANES, add_between, sum_between
from ._team import even_shares, launch

__all__ = ["back_projection", "line_integrals"]

# Bytes of the image that stay in the second-level cache while all lines of all views pass through them.
_BYTES = 2**19
# Images of which ``LANES`` side by side, most of them zero, take less time than one after the other.
_FEW = 4
# Entries that a number of 32 bits can point at.
_MOST = 2**32 - 1
# Multiply-adds that a sample, the interpolation of one image in one row, is worth.
_WORK = 4
# A zero before each row of pixels and two behind it: the neighbours of whatever is within half a rounding of the image.
_BEFORE, _BESIDE = 1, 3


def line_integrals(views, pixel, X, Y):
    """Y[k, v, d] = the integral of image k along line d of view v.

    Parameters
    ----------
    views : ndarray of float64, shape (n_views, 7)
        (p, q, p', q', u, v, t): in units of pixels, line d passes through the column p + d p' and the row q + d q' in
        the direction (u + d t p', v + d t q'); t is 0 for parallel lines, 1 for lines that meet in a point, which lies
        off the image by more than a pixel.
    pixel : float
        The side of a pixel, in which lengths are measured.
    X : ndarray, shape (k, ny, nx)
        float32 or float64; (ny + 3) (nx + 3) < 2^32.
    Y : ndarray, shape (k, n_views, n_lines)
        In the dtype of X.
    """
    blocks = len(views)
    for images, lanes in _groups(X):
        sides = [_margined(X.dtype, lanes, *X.shape[1:]), _margined(X.dtype, lanes, *X.shape[:0:-1])]
        _inner(sides[0])[..., : len(X[images])] = np.moveaxis(X[images], 0, -1)
        _inner(sides[1])[..., : len(X[images])] = X[images].T
        sums = np.empty((*Y.shape[1:], lanes), Y.dtype)
        arguments = views, pixel, *_flat(sides), sums
        launch(_integrate, _work(views, X[images]), blocks, partial(even_shares, blocks), *arguments)
        Y[images] = np.moveaxis(sums, -1, 0)[: len(X[images])]


def back_projection(views, pixel, Y, X):
    """The adjoint of ``line_integrals``: each pixel of X[k] gets the data Y[k], by the weights that it has there."""
    blocks = sum(X.shape[1:])
    for images, lanes in _groups(X):
        sides = [_margined(X.dtype, lanes, *X.shape[1:]), _margined(X.dtype, lanes, *X.shape[:0:-1])]
        sums = np.zeros((*Y.shape[1:], lanes), Y.dtype)
        sums[..., : len(X[images])] = np.moveaxis(Y[images], 0, -1)
        height = max(1, _BYTES // max(side[0].nbytes for side in sides))
        arguments = views, pixel, *_flat(sides), sums, height
        launch(_spread, _work(views, X[images]), blocks, partial(even_shares, blocks), *arguments)
        for image, steep, other in zip(X[images], *(np.moveaxis(_inner(side), -1, 0) for side in sides), strict=False):
            np.add(steep, other.T, out=image)


def _groups(X):
    """Yield slices of the stack, and how many images go through side by side."""
    together = LANES * (X.shape[1] + _BESIDE) * (X.shape[2] + _BESIDE) <= _MOST
    first = 0
    while first < len(X):
        lanes = LANES if together and len(X) - first >= _FEW else 1
        yield slice(first, first + lanes), lanes
        first += lanes


def _margined(dtype, lanes, rows, columns):
    """Zeros for images side by side."""
    return np.zeros((rows, columns + _BESIDE, lanes), dtype)


def _inner(side):
    return side[:, _BEFORE : side.shape[1] - _BESIDE + _BEFORE]


def _flat(sides):
    return *(side.reshape(-1) for side in sides), tuple(side.shape[:2] for side in sides)


def _work(views, images):
    return _WORK * len(views) * images.size


@strict  # to the bit the same in both directions, where a line at 45 degrees can go either way
def _line(view, d, pixel):
    """Whether line d is nearer to the vertical; where it crosses row 0, how far it moves a row, and a row's length.

    The position is a column in the padded row. For a line nearer to the horizontal, rows and columns are exchanged.
    """
    along, down = view[4] + d * view[6] * view[2], view[5] + d * view[6] * view[3]
    x, y = view[0] + d * view[2], view[1] + d * view[3]
    steep = abs(down) >= abs(along)
    if not steep:
        along, down, x, y = down, along, y, x
    slope = along / down
    return steep, x - y * slope + _BEFORE, slope, pixel * math.sqrt(1.0 + slope * slope)


@jit
def _crossed(start, slope, first, last, columns):
    """The rows, of those from first to last, that a line crosses within a pixel of the image."""
    top = columns + 1.0
    if slope == 0.0:
        return first, (last if 0.0 < start < top else first)
    one, other = -start / slope, (top - start) / slope
    low = min(max(min(one, other), first), last)
    high = min(max(max(one, other), first - 1.0), last - 1.0)
    return int(math.ceil(low)), int(math.floor(high)) + 1


@jit
def _positions(start, slope, low, high, first, width, lanes, place, part):
    """Between which entries the line passes, counted from row ``first`` on, and how far from the one to the other.

    A loop of its own, that it be done several at a time.
    """
    for i in range(high - low):
        at = start + slope * (low + i)
        j = np.int32(at)
        place[i] = np.uint32(lanes * ((low + i - first) * width + j))
        part[i] = at - j


@jit
def _sum_between(entries, place, part, count, s):
    for i in range(count):
        k = place[i]
        s += entries[k] + part[i] * (entries[k + np.uint32(1)] - entries[k])
    return s


@jit
def _add_between(entries, place, part, count, y):
    for i in range(count):
        k, right = place[i], part[i] * y
        entries[k] += y - right
        entries[k + np.uint32(1)] += right


@jit
def _integrate(views, pixel, steep_rows, other_rows, shapes, sums, flags, share, member, team):
    lanes, most = sums.shape[2], max(shapes[0][0], shapes[1][0])
    place, part = np.empty(most, np.uint32), np.empty(most, sums.dtype)
    for v in range(share[member], share[member + 1]):
        for d in range(sums.shape[1]):
            steep, start, slope, length = _line(views[v], d, pixel)
            entries, (rows, width) = (steep_rows, shapes[0]) if steep else (other_rows, shapes[1])
            low, high = _crossed(start, slope, 0, rows, width - _BESIDE)
            _positions(start, slope, low, high, 0, width, lanes, place, part)
            own = sums[v, d]
            if lanes == 1:
                own[0] = _sum_between(entries, place, part, high - low, sums.dtype.type(0))
            else:
                sum_between(entries, place, part, high - low, own)
            for lane in range(lanes):
                own[lane] *= sums.dtype.type(length)


@jit
def _spread(views, pixel, steep_rows, other_rows, shapes, sums, height, flags, share, member, team):
    """A share is of the rows of the image, which take the steep lines, and then of its columns."""
    lanes, before = sums.shape[2], 0
    place, part, y = np.empty(height, np.uint32), np.empty(height, sums.dtype), np.empty(lanes, sums.dtype)
    for side in range(2):
        rows, width = shapes[side]
        last = min(share[member + 1] - before, rows)
        for first in range(max(share[member] - before, 0), last, height):
            entries = (steep_rows if side == 0 else other_rows)[first * width * lanes :]
            for v in range(views.shape[0]):
                for d in range(sums.shape[1]):
                    steep, start, slope, length = _line(views[v], d, pixel)
                    if steep != (side == 0):
                        continue
                    low, high = _crossed(start, slope, first, min(first + height, last), width - _BESIDE)
                    _positions(start, slope, low, high, first, width, lanes, place, part)
                    for lane in range(lanes):
                        y[lane] = sums.dtype.type(length) * sums[v, d, lane]
                    if lanes == 1:
                        _add_between(entries, place, part, high - low, y[0])
                    else:
                        add_between(entries, place, part, high - low, y)
        before += rows
