"""Total variation of images: a step of the fast gradient projection for its proximal operator, and the duality gap.

The proximal point of V is x = V - w D^T p, where D takes the differences of next neighbours (zero at the far ends) and
p, of length <= 1 at every pixel, is found by gradient steps, projections and momentum (Beck and Teboulle 2009).
"""

import numpy as np

from ._device import THREADS, TYPES, Source, blocks, empty, to_host, type_of

__all__ = ["variation_gap", "variation_step"]

_kinds = [(TYPES[kind], str(axes), str(parts)) for kind in "fd" for axes in (2, 3) for parts in (1, 2)]
_source = Source("variation", variation_step=_kinds, variation_gap=_kinds)
# Blocks that sum up one image.
_SHARE = 64


def variation_step(V, weights, steps, momentum, which, P, R, S):
    """P becomes the projection of R + step D(V - w D^T R), and S = P + momentum (P - what P was).

    Parameters
    ----------
    V : cupy.ndarray, shape (k, c, nz, ny, nx)
        The images, of c = 1 or 2 components that jump together.
    weights, steps : cupy.ndarray of the dtype of V, shape (k,)
        The weight w and the length of the step, for each image.
    momentum : float
    which : cupy.ndarray of int64
        The images to take the step for.
    P, R, S : cupy.ndarray, shape (k, d, c, nz, ny, nx)
        Dual variables along the last d axes, d = 2 or 3; zero at the far end of their axes. S must not be R.
    """
    ny, nx, pixels = _sizes(V)
    images, momentum = np.int64(which.size), V.dtype.type(momentum)
    arguments = V, weights, steps, momentum, which, images, ny, nx, pixels, P, R, S
    _source.launch("variation_step", _template(V, P), blocks(int(images * pixels)), *arguments)


def variation_gap(V, weights, which, P, X):
    """X = V - w D^T P, and by how much its objective |X - V|^2 / 2 + w TV(X) may be above the least.

    Parameters
    ----------
    V, weights, which, P
        As in `variation_step`.
    X : cupy.ndarray, shape (k, c, nz, ny, nx)

    Returns
    -------
    ndarray of float64, shape (which.size,)
        The duality gap w sum(|D X| - <D X, P>), a sum of what is not negative.
    """
    ny, nx, pixels = _sizes(V)
    share = min(_SHARE, -(-int(pixels) // THREADS))
    parts = empty(which.size * share, np.float64)
    arguments = V, weights, which, np.int32(share), ny, nx, pixels, P, X, parts
    _source.launch("variation_gap", _template(V, P), which.size * share, *arguments)
    return to_host(parts).reshape(which.size, share).sum(axis=1)


def _template(V, P):
    return (*type_of(V), str(P.shape[1]), str(V.shape[1]))


def _sizes(V):
    nz, ny, nx = V.shape[2:]
    return np.int64(ny), np.int64(nx), np.int64(nz * ny * nx)
