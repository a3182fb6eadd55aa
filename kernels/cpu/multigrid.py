"""Products, smoothing steps and transfers of a multigrid cycle for the grid operators of ``grids``."""

from functools import partial

import numpy as np

from ._jit import jit
from ._team import BLOCK, block_count, even_shares, launch
from .vectors import narrow

__all__ = ["grid_product", "grid_prolong", "grid_residual", "grid_restrict", "grid_smooth", "grid_start"]

def grid_product(L, x, y):
    """y = A x for vectors with margins."""
    n = L.inverse.size - 2 * L.pad
    launch(_product, 7 * n, block_count(n), partial(even_shares, block_count(n)), *_operator(L), x, y)


def grid_residual(L, r, x, y):
    """y = r - A x for vectors with margins."""
    n = L.inverse.size - 2 * L.pad
    launch(_residual, 7 * n, block_count(n), partial(even_shares, block_count(n)), *_operator(L), r, x, y)


def grid_start(L, w, r, y):
    """y = w D^-1 r, the first smoothing step from zero, for vectors with margins."""
    _start(w, L.inverse, r, y)


def grid_smooth(L, w, r, x, y):
    """y = x + w D^-1 (r - A x) for vectors with margins; y must not be x."""
    n = L.inverse.size - 2 * L.pad
    shares = partial(even_shares, block_count(n))
    launch(_smooth, 8 * n, block_count(n), shares, *_operator(L), L.inverse, w, r, x, y)


def grid_restrict(L, C, g, r, rc):
    """rc = P^T r, from level L to its coarser level C."""
    _over_lines(_restrict, L, C, C, g, r, rc)


def grid_prolong(L, C, g, c, xc, x):
    """x += c P xc, from the coarser level C to level L.

    (P xc)_i is the value of i's aggregate, moved by g weights[a, i] towards that of the next one along each axis.
    """
    _over_lines(_prolong, L, C, L, g, c, xc, x)


def _over_lines(kernel, L, C, divided, *arguments):
    """Run a transfer, shared out by the lines of one of both levels."""
    lines = divided.shape[0] * divided.shape[1]
    shares = partial(even_shares, lines)
    launch(kernel, 6 * L.inverse.size, lines, shares, *L.shape, *C.shape, L.pad, C.pad, L.weights, *arguments)


def _operator(L):
    nz, ny, nx = L.shape
    return nx * ny if nz > 1 else 0, nx if ny > 1 else 0, L.pad, L.diagonal, L.faces


@jit
def _apply(plane, line, diagonal, faces, x, lo, m, t):
    """t = (A x)[lo : lo + m]; one axis a pass, so that each loop has few arrays and vectorises."""
    d, w, here, left, right = diagonal[lo:], faces[2, lo - 1 :], x[lo:], x[lo - 1 :], x[lo + 1 :]
    for i in range(m):
        t[i] = d[i] * here[i] - w[i] * left[i] - w[i + 1] * right[i]
    if line > 0:
        _axis(faces[1, lo - line :], faces[1, lo:], x[lo - line :], x[lo + line :], m, t)
    if plane > 0:
        _axis(faces[0, lo - plane :], faces[0, lo:], x[lo - plane :], x[lo + plane :], m, t)


@jit
def _axis(before, after, left, right, m, t):
    for i in range(m):
        t[i] -= before[i] * left[i] + after[i] * right[i]


@jit
def _product(plane, line, pad, diagonal, faces, x, y, flags, share, member, team):
    n = x.size - 2 * pad
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        _apply(plane, line, diagonal, faces, x, pad + lo, min(BLOCK, n - lo), y[pad + lo :])


@jit
def _residual(plane, line, pad, diagonal, faces, r, x, y, flags, share, member, team):
    n = x.size - 2 * pad
    buffer = np.empty(BLOCK, x.dtype)
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        m = min(BLOCK, n - lo)
        _apply(plane, line, diagonal, faces, x, pad + lo, m, buffer)
        right, out = r[pad + lo :], y[pad + lo :]
        for i in range(m):
            out[i] = right[i] - buffer[i]


@jit
def _smooth(plane, line, pad, diagonal, faces, inverse, w, r, x, y, flags, share, member, team):
    n = x.size - 2 * pad
    step = narrow(x, w)
    buffer = np.empty(BLOCK, x.dtype)
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        m = min(BLOCK, n - lo)
        _apply(plane, line, diagonal, faces, x, pad + lo, m, buffer)
        right, here, out, scale = r[pad + lo :], x[pad + lo :], y[pad + lo :], inverse[pad + lo :]
        for i in range(m):
            out[i] = here[i] + step * scale[i] * (right[i] - buffer[i])


@jit
def _start(w, inverse, r, y):
    step = narrow(y, w)
    for i in range(y.size):
        y[i] = step * inverse[i] * r[i]


@jit
def _outer(size, here):
    """The way to the cell beyond the outer face of a cell in its aggregate: -1 or 1; 0 where the grid ends."""
    there = here + 2 * (here % 2) - 1
    return there - here if 0 <= there < size else 0


@jit
def _restrict(nz, ny, nx, mz, my, mx, pad, coarse_pad, weights, g, r, rc, flags, share, member, team):
    step = narrow(r, g)
    for row in range(share[member], share[member + 1]):
        cz, cy = row // my, row % my
        out = coarse_pad + row * mx
        for j in range(mx):
            rc[out + j] = 0
        for z in range(2 * cz, min(2 * cz + 2, nz)):
            for y in range(2 * cy, min(2 * cy + 2, ny)):
                _restrict_line(z, y, nz, ny, nx, pad, weights, step, r, rc[out : out + mx])


@jit
def _restrict_line(z, y, nz, ny, nx, pad, weights, g, r, out):
    """Add to a line of aggregates what one line of cells and its outer neighbours give."""
    at = pad + (z * ny + y) * nx
    dz, dy = _outer(nz, z) * nx * ny, _outer(ny, y) * nx
    for x in range(nx):
        out[x // 2] += r[at + x]
    if g == 0 or nx == 1 and ny == 1 and nz == 1:
        return
    for x in range(nx):
        i = at + x
        j, k, l = i + _outer(nx, x), i + dy, i + dz
        s = weights[2, j] * r[j] - weights[2, i] * r[i]
        s += weights[1, k] * r[k] - weights[1, i] * r[i]
        s += weights[0, l] * r[l] - weights[0, i] * r[i]
        out[x // 2] += g * s


@jit
def _prolong(nz, ny, nx, mz, my, mx, pad, coarse_pad, weights, g, c, xc, x, flags, share, member, team):
    factor, step = narrow(x, c), narrow(x, c * g)
    for row in range(share[member], share[member + 1]):
        z, y = row // ny, row % ny
        at = pad + row * nx
        coarse = coarse_pad + ((z // 2) * my + y // 2) * mx
        dz, dy = _outer(nz, z) * mx * my, _outer(ny, y) * mx
        for i in range(nx):
            x[at + i] += factor * xc[coarse + i // 2]
        if g == 0:
            continue
        for i in range(nx):
            f, here = at + i, coarse + i // 2
            v = xc[here]
            s = weights[2, f] * (xc[here + _outer(nx, i)] - v)
            s += weights[1, f] * (xc[here + dy] - v) + weights[0, f] * (xc[here + dz] - v)
            x[f] += step * s
