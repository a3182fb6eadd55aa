"""Products, smoothing steps and transfers of a multigrid cycle for the grid operators of ``grids``."""

from functools import partial

import numpy as np

from ._jit import jit
from ._team import BLOCK, block_count, even_shares, launch
from .vectors import narrow

__all__ = [
    "grid_enter",
    "grid_leave",
    "grid_product",
    "grid_prolong",
    "grid_residual",
    "grid_restrict",
    "grid_smooth",
    "grid_start",
]


def grid_enter(L, factor, r, s):
    """s = factor r on the cells that take part, whose diagonal is not 0, and 0 on the others; r has no margins."""
    _over_cells(_enter, L, factor, r, s)


def grid_leave(L, factor, s, z):
    """z = factor s on the cells that take part, and 0 on the others; z has no margins."""
    _over_cells(_leave, L, factor, s, z)


def _over_cells(kernel, L, *arguments):
    n = L.inverse.size - 2 * L.pad
    launch(kernel, 2 * n, block_count(n), partial(even_shares, block_count(n)), L.pad, L.inverse, *arguments)


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
def _enter(pad, inverse, factor, r, s, flags, share, member, team):
    lo = share[member] * BLOCK
    m = min(share[member + 1] * BLOCK, r.size) - lo
    given, taken, scale = r[lo:], s[pad + lo :], inverse[pad + lo :]
    for i in range(m):
        value = factor * given[i]
        taken[i] = value if scale[i] > 0 else 0.0


@jit
def _leave(pad, inverse, factor, s, z, flags, share, member, team):
    lo = share[member] * BLOCK
    m = min(share[member + 1] * BLOCK, z.size) - lo
    given, taken, scale = s[pad + lo :], z[lo:], inverse[pad + lo :]
    for i in range(m):
        value = factor * given[i]
        taken[i] = value if scale[i] > 0 else 0.0


@jit
def _outer(size, here):
    """The way to the cell beyond the outer face of a cell in its aggregate: -1 or 1; 0 where the grid ends."""
    there = here + 2 * (here % 2) - 1
    return there - here if 0 <= there < size else 0


@jit
def _restrict(nz, ny, nx, mz, my, mx, pad, coarse_pad, weights, g, r, rc, flags, share, member, team):
    step = narrow(r, g)
    # A line of cells, and what each gives to the aggregate beyond its outer face; zeros at the ends.
    line, given = np.zeros(2 * mx, r.dtype), np.zeros(2 * mx + 2, r.dtype)
    for row in range(share[member], share[member + 1]):
        cz, cy = row // my, row % my
        out = rc[coarse_pad + row * mx :]
        for j in range(mx):
            out[j] = 0
        for z in range(2 * cz, min(2 * cz + 2, nz)):
            for y in range(2 * cy, min(2 * cy + 2, ny)):
                at = pad + (z * ny + y) * nx
                here, own = r[at:], weights[2, at:]
                for x in range(nx):
                    line[x] = here[x]
                if step == 0:
                    _add_pairs(line, out, mx)
                    continue
                for x in range(nx):
                    given[x + 1] = step * own[x] * here[x]
                _exchange(step, weights[1], r, at, at + _outer(ny, y) * nx, nx, line)
                if nz > 1:
                    _exchange(step, weights[0], r, at, at + _outer(nz, z) * nx * ny, nx, line)
                for x in range(nx):
                    line[x] -= given[x + 1]
                _add_pairs(line, out, mx)
                for j in range(mx):
                    out[j] += given[2 * j] + given[2 * j + 3]


@jit
def _exchange(g, weights, r, at, there, nx, line):
    """Give to and take from the line beyond the outer faces; nothing where that is the line itself."""
    a, b, here, beyond = weights[at:], weights[there:], r[at:], r[there:]
    for x in range(nx):
        line[x] += g * (b[x] * beyond[x] - a[x] * here[x])


@jit
def _add_pairs(line, out, mx):
    for j in range(mx):
        out[j] += line[2 * j] + line[2 * j + 1]


@jit
def _prolong(nz, ny, nx, mz, my, mx, pad, coarse_pad, weights, g, c, xc, x, flags, share, member, team):
    factor, step = narrow(x, c), narrow(x, g)
    line, steps = np.zeros(2 * mx, x.dtype), np.zeros(2 * mx, x.dtype)
    for row in range(share[member], share[member + 1]):
        z, y = row // ny, row % ny
        at = pad + row * nx
        coarse = coarse_pad + ((z // 2) * my + y // 2) * mx
        out, here = x[at:], xc[coarse:]
        if step == 0:
            for j in range(mx):
                line[2 * j] = line[2 * j + 1] = here[j]
        else:
            _towards(here, xc[coarse - 1 :], xc[coarse + 1 :], steps, mx)
            own = weights[2, at:]
            for i in range(nx):
                line[i] = own[i] * steps[i]
            for axis in range(0 if nz > 1 else 1, 2):
                beyond = coarse + (_outer(ny, y) * mx if axis == 1 else _outer(nz, z) * mx * my)
                _towards(here, xc[beyond:], xc[beyond:], steps, mx)
                along = weights[axis, at:]
                for i in range(nx):
                    line[i] += along[i] * steps[i]
            for j in range(mx):
                line[2 * j] = here[j] + step * line[2 * j]
                line[2 * j + 1] = here[j] + step * line[2 * j + 1]
        for i in range(nx):
            out[i] += factor * line[i]


@jit
def _towards(here, first, second, steps, mx):
    """For both cells of each aggregate, how the value beyond the outer face differs from their own."""
    for j in range(mx):
        steps[2 * j] = first[j] - here[j]
        steps[2 * j + 1] = second[j] - here[j]
