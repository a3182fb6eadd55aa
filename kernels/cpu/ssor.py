"""Symmetric successive over-relaxation as a preconditioner, and conjugate gradients around it.

With K = D/omega + L the preconditioner is (2 - omega)/omega K^-H D K^-1; Eisenstat's trick (1981,
https://doi.org/10.1137/0902001) runs the iteration on K^-1 A K^-H, which costs one solve with K^H and one with K and
no product with A, because A = K + K^H - (2/omega - 1) D. Rows are sorted by stages, as in ``relaxation``.
"""

import numpy as np
from numba import uint64

from ._jit import jit, strict
from ._team import barrier, total
from .cg import judge
from .relaxation import share_out
from .vectors import form, narrow, quotient, square

__all__ = ["ssor_cg_chunk", "ssor_cg_start", "ssor_solve"]

_RUNNING, _NONFINITE, _INDEFINITE, _NOT_HERMITIAN = 0, 1, 2, 3


def ssor_solve(S, omega, r, z):
    """z = (2 - omega)/omega K^-H D K^-1 r, the preconditioner's product with r.

    Parameters
    ----------
    S : Sweep of n rows
    omega : float
    r, z : ndarray, shape (n,)
        z may be r.
    """
    share_out(_ssor_solve, S, 0, S, omega, r, z)


def ssor_cg_start(S, omega, r, s, t):
    """s = K^-1 r and t = D s; returns the inner product of the two, in float64.

    Parameters
    ----------
    S : Sweep of n rows
    omega : float
    r, s, t : ndarray, shape (n,)
    """
    return share_out(_ssor_cg_start, S, 1, S, omega, r, s, t)


def ssor_cg_chunk(S, omega, x, s, t, p, u, scalars, norms, threshold, steps):
    """Take up to ``steps`` iterations, fewer where the norm of b - A x falls to the threshold.

    Parameters
    ----------
    S : Sweep of n rows
        Of a Hermitian matrix.
    omega : float
    x, s, t : ndarray, shape (n,)
        Iterate, transformed residual K^-1 r and transformed direction K^H p (all updated).
    p, u : ndarray, shape (n,)
        Work space.
    scalars : ndarray of float64, shape (4,)
        rho = s^H D s (updated); that of the step before, 0 at the start (updated); the sign of the first p^H A p
        (0 before it is known, updated); the share of p^H A p that may be imaginary.
    norms : ndarray of float64, shape (>= steps,)
        Receives the norm of r = K s after each step.

    Returns
    -------
    taken, flag : int
        Steps completed; 0, or 1 a NaN or infinity, 2 indefinite, 3 not Hermitian.
    """
    return share_out(_ssor_cg_chunk, S, 5, S, omega, x, s, t, p, u, scalars, norms, threshold, steps)


@jit
def _blocks(S, stage, member, team):
    """The blocks of a stage that a member of the team works on."""
    first, count = S.first[stage], S.first[stage + 1] - S.first[stage]
    return first + count * member // team, first + count * (member + 1) // team


@jit
def _solve(triangle, inverse, omega, right, out, lo, hi):
    """Rows lo to hi of (D/omega + triangle) out = right; out may be right."""
    one = uint64(1)
    k = uint64(triangle.indptr[uint64(lo)])
    for i in range(uint64(lo), uint64(hi)):
        rest = right[i]
        end = uint64(triangle.indptr[i + one])
        while k < end:
            rest -= triangle.data[k] * out[uint64(triangle.indices[k])]
            k += one
        out[i] = omega * inverse[i] * rest


@jit
def _ssor_solve(S, omega, r, z, parts, flags, share, member, team):
    stages = S.first.size - 1
    w, scale = narrow(z, omega), narrow(z, (2.0 - omega) / omega)
    for stage in range(stages):
        begin, end = _blocks(S, stage, member, team)
        for block in range(begin, end):
            _solve(S.lower, S.inverse, w, r, z, S.edges[block], S.edges[block + 1])
        if barrier(flags, team):
            return
    for back in range(stages):
        begin, end = _blocks(S, stages - 1 - back, member, team)
        for block in range(begin, end):
            lo, hi = S.edges[block], S.edges[block + 1]
            for i in range(lo, hi):
                z[i] *= scale * S.diagonal[i]
            _solve(S.upper, S.inverse, w, z, z, lo, hi)
        if barrier(flags, team):
            return


@jit
def _ssor_cg_start(S, omega, r, s, t, parts, flags, share, member, team):
    for stage in range(S.first.size - 1):
        begin, end = _blocks(S, stage, member, team)
        for block in range(begin, end):
            lo, hi = S.edges[block], S.edges[block + 1]
            _solve(S.lower, S.inverse, narrow(s, omega), r, s, lo, hi)
            for i in range(lo, hi):
                t[i] = S.diagonal[i] * s[i]
            parts[0, block] = form(s[lo:hi], t[lo:hi])[0]
        if barrier(flags, team):
            return 0.0
    return total(parts[0])


@jit
def _ssor_cg_chunk(S, omega, x, s, t, p, u, scalars, norms, threshold, steps, parts, flags, share, member, team):
    stages, blocks = S.first.size - 1, S.edges.size - 1
    rho, rho_last, sign, imaginary_share = scalars[0], scalars[1], scalars[2], scalars[3]
    w, middle = narrow(x, omega), narrow(x, 2.0 / omega - 1.0)
    for step in range(steps + 1):
        beta = narrow(x, 0.0 if rho_last == 0.0 else quotient(rho, rho_last))
        for back in range(stages):
            begin, end = _blocks(S, stages - 1 - back, member, team)
            for block in range(begin, end):
                if step < steps:
                    _next_direction(S, w, beta, s, t, p, S.edges[block], S.edges[block + 1])
            if step < steps and barrier(flags, team):
                return step, _RUNNING
        for stage in range(stages):
            begin, end = _blocks(S, stage, member, team)
            for block in range(begin, end):
                lo, hi = S.edges[block], S.edges[block + 1]
                parts[0, block] = _true_residual(S, w, s, lo, hi)
                if step < steps:
                    _second_half(S, w, middle, t, p, u, lo, hi)
                    a, b, c = form(t[lo:hi], p[lo:hi])
                    d, e, f = form(t[lo:hi], u[lo:hi])
                    parts[1, block], parts[2, block], parts[3, block] = a + d, b + e, c + f
            if barrier(flags, team):
                return step, _RUNNING
        if step > 0:
            norm = np.sqrt(total(parts[0]))
            if member == 0:
                norms[step - 1] = norm
                scalars[0], scalars[1], scalars[2] = rho, rho_last, sign
            if not np.isfinite(norm):
                return step, _NONFINITE
            if norm <= threshold or step == steps:
                return step, _RUNNING
            if rho == 0.0 or (rho > 0.0) != (rho_last > 0.0):
                return step, _INDEFINITE
        pq = total(parts[1])
        flag = judge(pq, total(parts[2]), total(parts[3]), sign, imaginary_share)
        alpha = quotient(rho, pq)
        if flag == _RUNNING and not np.isfinite(alpha):
            flag = _NONFINITE
        if flag != _RUNNING:
            return step, flag
        sign = 1.0 if pq > 0.0 else -1.0
        a = narrow(x, alpha)
        for block in range(blocks * member // team, blocks * (member + 1) // team):
            parts[4, block] = _step(S, a, x, s, p, u, S.edges[block], S.edges[block + 1])
        if barrier(flags, team):
            return step, _RUNNING
        rho_last, rho = rho, total(parts[4])
    return steps, _RUNNING


@jit
def _next_direction(S, omega, beta, s, t, p, lo, hi):
    """t = D s + beta t, then K^H p = t."""
    for i in range(lo, hi):
        t[i] = S.diagonal[i] * s[i] + beta * t[i]
    _solve(S.upper, S.inverse, omega, t, p, lo, hi)


@jit
def _second_half(S, omega, middle, t, p, u, lo, hi):
    """K u = t - (2/omega - 1) D p."""
    for i in range(lo, hi):
        u[i] = t[i] - middle * S.diagonal[i] * p[i]
    _solve(S.lower, S.inverse, omega, u, u, lo, hi)


@jit
def _true_residual(S, omega, s, lo, hi):
    """The squared norm of rows lo to hi of K s."""
    lower = S.lower
    one = uint64(1)
    k = uint64(lower.indptr[uint64(lo)])
    squares = 0.0
    for i in range(uint64(lo), uint64(hi)):
        value = S.diagonal[i] / omega * s[i]
        end = uint64(lower.indptr[i + one])
        while k < end:
            value += lower.data[k] * s[uint64(lower.indices[k])]
            k += one
        squares += square(value)
    return squares


@jit
def _step(S, alpha, x, s, p, u, lo, hi):
    """x += alpha p, s -= alpha (p + u); returns s^H D s."""
    rho = 0.0
    for i in range(lo, hi):
        x[i] += alpha * p[i]
        here = s[i] - alpha * (p[i] + u[i])
        s[i] = here
        rho += _weighted_square(here, S.diagonal[i].real)
    return rho


@strict
def _weighted_square(value, weight):
    """weight |value|^2 in float64, weighted first: a square alone may be out of range."""
    re, im = np.float64(value.real), np.float64(value.imag)
    return weight * re * re + weight * im * im
