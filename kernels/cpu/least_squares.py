"""Chunks of the iterations of LSQR and LSMR in one call.

The letters are those of Paige & Saunders (1982, https://doi.org/10.1145/355984.355989) and of Fong & Saunders (2011,
https://doi.org/10.1137/10079687X). One right-hand side, one thread: A is stored once, by rows or by columns, so that
one of the two products of a step adds to entries here and there.
"""

import math

import numpy as np
from numba import types, uint64
from numba.extending import overload

from ._jit import FLAGS, jit, strict
from .vectors import narrow, square

__all__ = ["lsmr_chunk", "lsqr_chunk"]

# Where the scalars of both methods stand, and from where on their own do.
_RNORM, _ARNORM, _ANORM, _ACOND, _XNORM, _ALPHA, _A2, _OWN = range(8)
_PHIBAR, _RHOBAR, _PSI2, _D2, _WNORM = range(_OWN, _OWN + 5)
(
    _ALPHABAR, _ZETABAR, _RHO, _RHOBAR_, _CBAR, _SBAR, _ZETA, _BETADD, _BETAD, _RHOD, _TAUTILDE, _THETATILDE, _D,
    _LARGEST, _SMALLEST, _STEPS,
) = range(_OWN, _OWN + 16)  # fmt: skip
# What the user asked for.
_BNORM, _ATOL, _BTOL, _CONLIM, _EPS, _DAMP, _FACTOR = range(7)
_NONFINITE = -1
# A square outside of this and its reciprocal says little of a norm.
_FAR = 1e280


def lsqr_chunk(A, by_rows, u, v, w, x, q, rule, scalars, norms, steps):
    """Take up to ``steps`` iterations of LSQR, fewer where a test of SciPy's holds.

    Parameters
    ----------
    A : CSR
        The matrix, of m rows and n columns, where ``by_rows``; else its transpose.
    by_rows : bool
    u : ndarray, shape (m,)
    v, w, x : ndarray, shape (n,)
        The columns of the process, of norm 1 or zero; the direction; the iterate. They are updated.
    q : ndarray, shape (max(m, n),)
        Work space.
    rule : ndarray of float64, shape (7,)
        ||b||, atol, btol, conlim (infinite for none), eps, damp, and what A is multiplied by.
    scalars : ndarray of float64, shape (12,)
        ||r||, ||A^H r||, ||A||, cond A, ||x||, alpha, the sum of squares that ||A|| is the root of, phibar, rhobar,
        psi^2, d^2, ||w||; updated.
    norms : ndarray of float64, shape (>= steps, 2)
        Receives ||r|| and ||x|| after each step.

    Returns
    -------
    taken, code : int
        Steps completed; 0, or SciPy's 1 to 6, or -1 at a NaN or infinity.
    """
    return _lsqr_chunk(A, by_rows, u, v, w, x, q, rule, scalars, norms, steps)


def lsmr_chunk(A, by_rows, u, v, h, hbar, x, q, rule, scalars, norms, steps):
    """Take up to ``steps`` iterations of LSMR, fewer where a test of SciPy's holds.

    Parameters
    ----------
    A, by_rows, u, v, x, q, rule, norms
        As in ``lsqr_chunk``.
    h, hbar : ndarray, shape (n,)
        Updated, too.
    scalars : ndarray of float64, shape (23,)
        The first seven are those of ``lsqr_chunk``; then alphabar, zetabar, rho, rhobar, cbar, sbar, zeta, betadd,
        betad, rhod, tautilde, thetatilde, d, the largest and the smallest rhobar so far, and the steps so far.

    Returns
    -------
    taken, code : int
        As of ``lsqr_chunk``.
    """
    return _lsmr_chunk(A, by_rows, u, v, h, hbar, x, q, rule, scalars, norms, steps)


@jit
def _lsqr_chunk(A, by_rows, u, v, w, x, q, rule, scalars, norms, steps):
    for step in range(steps):
        beta, alpha = _next_columns(A, by_rows, rule[_FACTOR], u, v, q, scalars[_ALPHA])
        if not alpha + beta < math.inf:  # isfinite takes the sum from itself, and may be rearranged
            return step, _NONFINITE
        length, back = _lsqr_scalars(scalars, rule[_DAMP], alpha, beta)
        a, b = narrow(x, length), narrow(x, back)
        xx, ww = 0.0, 0.0
        for i in range(x.size):
            xi = x[i] + a * w[i]
            wi = v[i] - b * w[i]
            x[i], w[i] = xi, wi
            xx += square(xi)
            ww += square(wi)
        scalars[_XNORM], scalars[_WNORM] = _norm(xx, x), _norm(ww, w)
        norms[step, 0], norms[step, 1] = scalars[_RNORM], scalars[_XNORM]
        code = _verdict(rule, scalars)
        if code:
            return step + 1, code
    return steps, 0


@jit
def _lsmr_chunk(A, by_rows, u, v, h, hbar, x, q, rule, scalars, norms, steps):
    for step in range(steps):
        beta, alpha = _next_columns(A, by_rows, rule[_FACTOR], u, v, q, scalars[_ALPHA])
        if not alpha + beta < math.inf:  # isfinite takes the sum from itself, and may be rearranged
            return step, _NONFINITE
        back, length, turn = _lsmr_scalars(scalars, rule[_DAMP], alpha, beta)
        a, b, c = narrow(x, length), narrow(x, back), narrow(x, turn)
        xx = 0.0
        for i in range(x.size):
            hb = h[i] - b * hbar[i]
            xi = x[i] + a * hb
            hbar[i], x[i], h[i] = hb, xi, v[i] - c * h[i]
            xx += square(xi)
        scalars[_XNORM] = _norm(xx, x)
        norms[step, 0], norms[step, 1] = scalars[_RNORM], scalars[_XNORM]
        code = _verdict(rule, scalars)
        if code:
            return step + 1, code
    return steps, 0


@jit
def _next_columns(A, by_rows, factor, u, v, q, alpha):
    """beta u = A v - alpha u, then alpha v = A^H u - beta v, in place; beta and alpha are the norms."""
    here, there, share, last = v, u, alpha, alpha
    for adjoint in (False, True):  # a loop, so that the product is compiled into it once
        _product(A, by_rows != adjoint, adjoint, here, q[: there.size])
        share, last = _normalised_difference(q, factor, share, there), share
        here, there = there, here
    return last, share


def _entry(value, conjugate):
    """The value, or its conjugate."""
    raise NotImplementedError("called from compiled code only")


@overload(_entry, jit_options=FLAGS)
def _entry_of(value, conjugate):
    if isinstance(value, types.Complex):
        return lambda value, conjugate: value.conjugate() if conjugate else value
    return lambda value, conjugate: value


@jit
def _product(A, gathers, conjugate, x, y):
    """y = A x, or A^T x where it does not gather; with the conjugates of the entries where that is asked."""
    indptr, indices, data = A.indptr, A.indices, A.data
    one, k = uint64(1), uint64(0)
    if gathers:
        for i in range(uint64(indptr.size) - one):
            end = uint64(indptr[i + one])
            s = y.dtype.type(0)
            while k < end:
                s += _entry(data[k], conjugate) * x[indices[k]]
                k += one
            y[i] = s
        return
    y[:] = 0
    for i in range(uint64(indptr.size) - one):
        end, xi = uint64(indptr[i + one]), x[i]
        while k < end:
            y[indices[k]] += _entry(data[k], conjugate) * xi
            k += one


@jit
def _normalised_difference(q, factor, share, w):
    """w = factor q - share w, divided by its norm where that is not zero; returns the norm."""
    f, s = narrow(w, factor), narrow(w, share)
    ww = 0.0
    for i in range(w.size):
        wi = f * q[i] - s * w[i]
        w[i] = wi
        ww += square(wi)
    norm = _norm(ww, w)
    back = narrow(w, _ratio(1.0, norm))
    for i in range(w.size):
        w[i] *= back
    return norm


@strict
def _norm(squared, w):
    """The norm of w, whose sum of squares is known: also where that is out of range."""
    if 1 / _FAR < squared < _FAR:
        return math.sqrt(squared)
    largest = 0.0
    for i in range(w.size):
        re, im = abs(w[i].real), abs(w[i].imag)
        if not re + im < math.inf:
            return np.float64(re + im)
        largest = max(largest, re, im)
    if largest == 0.0:
        return 0.0
    s = 0.0
    for i in range(w.size):
        s += square(w[i] / largest)
    return largest * math.sqrt(s)


@strict
def _ratio(a, b):
    """a / b, and 0 where b is 0."""
    return a / b if b != 0.0 else 0.0


@strict
def _rotation(a, b):
    """c, s, r with c a + s b = r and c b - s a = 0."""
    r = math.hypot(a, b)
    return _ratio(a, r), _ratio(b, r), r


@strict
def _verdict(rule, scalars):
    """Which of SciPy's tests hold: 1 rules over 2, and so on; 0 if none does."""
    r, Ar, a, x = scalars[_RNORM], scalars[_ARNORM], scalars[_ANORM], scalars[_XNORM]
    bnorm, half = rule[_BNORM], rule[_EPS] / 2
    if r <= rule[_BTOL] * bnorm + rule[_ATOL] * a * x:
        return 1
    if Ar <= rule[_ATOL] * a * r:
        return 2
    if scalars[_ACOND] >= rule[_CONLIM]:
        return 3
    if r <= half * (bnorm + a * x):
        return 4
    if Ar <= half * a * r:
        return 5
    return 6 if scalars[_ACOND] >= 2 / rule[_EPS] else 0


@strict
def _lsqr_scalars(s, damp, alpha, beta):
    """The rotations of a step and the estimates after it; returns phi / rho and theta / rho."""
    s[_A2] += s[_ALPHA] * s[_ALPHA] + damp * damp + beta * beta
    c1, s1, rho1 = _rotation(s[_RHOBAR], damp)
    psi, phibar = s1 * s[_PHIBAR], c1 * s[_PHIBAR]
    c, sn, rho = _rotation(rho1, beta)
    theta, phi = sn * alpha, c * phibar
    s[_ALPHA], s[_RHOBAR], s[_PHIBAR] = alpha, -c * alpha, sn * phibar
    s[_PSI2] += psi * psi
    share = _ratio(s[_WNORM], rho)
    s[_D2] += share * share
    s[_RNORM], s[_ARNORM] = math.hypot(s[_PHIBAR], math.sqrt(s[_PSI2])), alpha * abs(sn * phi)
    s[_ANORM] = math.sqrt(s[_A2])
    s[_ACOND] = s[_ANORM] * math.sqrt(s[_D2])
    return _ratio(phi, rho), _ratio(theta, rho)


@strict
def _lsmr_scalars(s, damp, alpha, beta):
    """The rotations of a step and the estimates after it; returns the shares of hbar, x and h in their updates."""
    chat, shat, alphahat = _rotation(s[_ALPHABAR], damp)
    rhoold, rhobarold, zetaold = s[_RHO], s[_RHOBAR_], s[_ZETA]
    c, sn, rho = _rotation(alphahat, beta)
    thetanew = sn * alpha
    thetabar, rhotemp = s[_SBAR] * rho, s[_CBAR] * rho
    cbar, sbar, rhobar = _rotation(rhotemp, thetanew)
    s[_ALPHA], s[_ALPHABAR], s[_RHO], s[_CBAR], s[_SBAR], s[_RHOBAR_] = alpha, c * alpha, rho, cbar, sbar, rhobar
    s[_ZETA], s[_ZETABAR] = cbar * s[_ZETABAR], -sbar * s[_ZETABAR]
    _lsmr_residual(s, chat, shat, c, sn, thetabar, zetaold)
    s[_ANORM] = math.sqrt(s[_A2] + beta * beta)
    s[_A2] += alpha * alpha + beta * beta
    if s[_STEPS]:  # rhobar before the first step is no singular value
        s[_LARGEST], s[_SMALLEST] = max(s[_LARGEST], rhobarold), min(s[_SMALLEST], rhobarold)
    s[_STEPS] += 1
    s[_ACOND] = _ratio(max(s[_LARGEST], rhotemp), min(s[_SMALLEST], rhotemp))
    s[_ARNORM] = abs(s[_ZETABAR])
    return _ratio(thetabar * rho, rhoold * rhobarold), _ratio(s[_ZETA], rho * rhobar), _ratio(thetanew, rho)


@strict
def _lsmr_residual(s, chat, shat, c, sn, thetabar, zetaold):
    """The norm of the residual by the third rotation, section 5.1."""
    betaacute, betacheck = chat * s[_BETADD], -shat * s[_BETADD]
    betahat, s[_BETADD] = c * betaacute, -sn * betaacute
    thetatildeold = s[_THETATILDE]
    ctilde, stilde, rhotilde = _rotation(s[_RHOD], thetabar)
    s[_THETATILDE], s[_RHOD] = stilde * s[_RHOBAR_], ctilde * s[_RHOBAR_]
    s[_BETAD] = -stilde * s[_BETAD] + ctilde * betahat
    s[_TAUTILDE] = _ratio(zetaold - thetatildeold * s[_TAUTILDE], rhotilde)
    taud = _ratio(s[_ZETA] - s[_THETATILDE] * s[_TAUTILDE], s[_RHOD])
    s[_D] += betacheck * betacheck
    s[_RNORM] = math.hypot(math.hypot(math.sqrt(s[_D]), s[_BETAD] - taud), s[_BETADD])
