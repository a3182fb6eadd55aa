"""Total variation of images: a step of the fast gradient projection for its proximal operator, and the duality gap.

The proximal point of V is x = V - w D^T p, where D takes the differences of next neighbours (zero at the far ends) and
p, of length <= 1 at every pixel, is found by gradient steps, projections and momentum (Beck and Teboulle 2009).
"""

from functools import partial

import numpy as np

from ._jit import jit
from ._team import even_shares, launch, total

__all__ = ["variation_gap", "variation_step"]

# Pixels of a block of lines, and what a pixel costs for each component and axis, in multiply-adds.
_PIXELS = 4096
_COST = 10


def variation_step(V, weights, steps, momentum, which, P, R, S):
    """P becomes the projection of R + step D(V - w D^T R), and S = P + momentum (P - what P was).

    Parameters
    ----------
    V : ndarray, shape (k, c, nz, ny, nx)
        The images, of c components that jump together.
    weights, steps : ndarray of the dtype of V, shape (k,)
        The weight w and the length of the step, for each image.
    momentum : float
    which : ndarray of int64
        The images to take the step for.
    P, R, S : ndarray, shape (k, d, c, nz, ny, nx)
        Dual variables along the last d axes, d = 2 or 3; zero at the far end of their axes. S must not be R.
    """
    blocks, lines = _blocks(V, which)
    arguments = _shape(V, P), lines, weights, steps, V.dtype.type(momentum), which, *map(_rows, (V, P, R, S))
    launch(_step, _work(P, which), blocks, partial(even_shares, blocks), *arguments)


def variation_gap(V, weights, which, P, X):
    """X = V - w D^T P, and by how much its objective |X - V|^2 / 2 + w TV(X) may be above the least.

    Parameters
    ----------
    V, weights, which, P
        As in `variation_step`.
    X : ndarray, shape (k, c, nz, ny, nx)

    Returns
    -------
    ndarray of float64, shape (which.size,)
        The duality gap w sum(|D X| - <D X, P>), a sum of what is not negative.
    """
    blocks, lines = _blocks(V, which)
    parts = np.zeros(blocks)
    arguments = _shape(V, P), lines, weights, which, *map(_rows, (V, P, X)), parts
    launch(_gap, _work(P, which), blocks, partial(even_shares, blocks), *arguments)
    return np.array([total(each) for each in parts.reshape(which.size, -1)])


def _blocks(V, which):
    """How many blocks all images make, and how many lines one has: no matter how many images there are."""
    nz, ny, nx = V.shape[2:]
    lines = max(1, _PIXELS // nx)
    return which.size * -(-nz * ny // lines), lines


def _work(P, which):
    return _COST * which.size * P[0].size


def _shape(V, P):
    """Axes and components, then the sizes of an image: what the kernels find their rows by."""
    return P.shape[1], *V.shape[1:]


def _rows(array):
    """The lines of an array: slices of two dimensions compile faster than those of six."""
    return array.reshape(-1, array.shape[-1])


@jit
def _step(shape, lines, weights, steps, momentum, which, V, P, R, S, flags, share, member, team):
    d, c, nz, ny, nx = shape
    per_image = -(-nz * ny // lines)
    x, q, size = np.empty((3 * c, nx), V.dtype), np.empty((d * c, nx), V.dtype), np.empty(nx, V.dtype)
    for block in range(share[member], share[member + 1]):
        j, start = which[block // per_image], block % per_image * lines
        for line in range(start, min(start + lines, nz * ny)):
            _differences(shape, j, line, line > start, V, R, weights[j], x, q)
            row = j * d * c * nz * ny + line
            _project(q, R, row, nz * ny, steps[j], size)
            for a in range(d * c):
                _move(momentum, q[a], P[row + a * nz * ny], S[row + a * nz * ny])


@jit
def _gap(shape, lines, weights, which, V, P, X, parts, flags, share, member, team):
    d, c, nz, ny, nx = shape
    per_image = -(-nz * ny // lines)
    x, q, size = np.empty((3 * c, nx), V.dtype), np.empty((d * c, nx), V.dtype), np.empty(nx)
    for block in range(share[member], share[member + 1]):
        j, start, s = which[block // per_image], block % per_image * lines, 0.0
        for line in range(start, min(start + lines, nz * ny)):
            _differences(shape, j, line, line > start, V, P, weights[j], x, q)
            for k in range(c):
                _copy(x[k], X[(j * c + k) * nz * ny + line])
            s += _slack(q, P, j * d * c * nz * ny + line, nz * ny, size)
        parts[block] = np.float64(weights[j]) * s


@jit
def _differences(shape, j, line, rolls, V, R, w, x, q):
    """q = D(V - w D^T R) on a line of image j.

    x has c rows for that line of V - w D^T R, c for the next one, which are there already if it ``rolls``, and c for
    the line in the next plane; beyond the last ones, they are the line itself.
    """
    d, c, nz, ny, nx = shape
    z, y = line // ny, line % ny
    for k in range(c):
        here, rolled = x[k], rolls and y > 0
        if rolled:
            _copy(x[c + k], here)
        for t in range(1 if rolled else 0, d):
            dy, dz = 1 if t == 1 else 0, 1 if t == 2 else 0
            if y + dy < ny and z + dz < nz:
                _image_line(shape, j, k, z + dz, y + dy, V, R, w, x[t * c + k])
            else:
                _copy(here, x[t * c + k])
        across = q[(d - 1) * c + k]
        for i in range(nx - 1):
            across[i] = here[i + 1] - here[i]
        across[nx - 1] = 0
        for t in range(1, d):
            _subtract(x[t * c + k], here, q[(d - 1 - t) * c + k])


@jit
def _image_line(shape, j, k, z, y, V, R, w, out):
    """A line of V - w D^T R."""
    d, c, nz, ny, nx = shape
    plane, line = nz * ny, z * ny + y
    row = (j * d * c + k) * plane + line
    v, across, down = V[(j * c + k) * plane + line], R[row + (d - 1) * c * plane], R[row + (d - 2) * c * plane]
    out[0] = v[0] + w * (across[0] + down[0])
    for i in range(1, nx):
        out[i] = v[i] + w * (across[i] - across[i - 1] + down[i])
    if y > 0:
        _add_product(-w, R[row + (d - 2) * c * plane - 1], out)
    if d == 3:
        _add_product(w, R[row], out)
        if z > 0:
            _add_product(-w, R[row - ny], out)


@jit
def _copy(a, out):
    for i in range(out.size):
        out[i] = a[i]


@jit
def _subtract(a, b, out):
    for i in range(out.size):
        out[i] = a[i] - b[i]


@jit
def _add_product(w, a, out):
    for i in range(out.size):
        out[i] += w * a[i]


@jit
def _project(q, R, row, stride, step, size):
    """q becomes R + step q, no longer than 1 at each pixel."""
    one = size.dtype.type(1)
    for i in range(size.size):
        size[i] = 0
    for a in range(q.shape[0]):
        t, r = q[a], R[row + a * stride]
        for i in range(size.size):
            t[i] = r[i] + step * t[i]
            size[i] += t[i] * t[i]
    for i in range(size.size):
        size[i] = one / max(one, np.sqrt(size[i]))
    for a in range(q.shape[0]):
        t = q[a]
        for i in range(size.size):
            t[i] *= size[i]


@jit
def _move(momentum, t, p, s):
    for i in range(t.size):
        s[i] = t[i] + momentum * (t[i] - p[i])
        p[i] = t[i]


@jit
def _slack(q, P, row, stride, size):
    """The sum of |q| - <q, P> over a line."""
    s = 0.0
    for i in range(size.size):
        size[i] = 0
    for a in range(q.shape[0]):
        t, p = q[a], P[row + a * stride]
        for i in range(size.size):
            size[i] += np.float64(t[i]) * t[i]
            s -= np.float64(t[i]) * p[i]
    for i in range(size.size):
        s += np.sqrt(size[i])
    return s
