"""The mean over all directions of the distance between Gaussians: E (s - t)^2 with s^2 = h'Ah, t^2 = h'Bh, |h| = 1.

Derived for this library. With tr A = tr B = 1 and w = s^2 cos^2 + t^2 sin^2, the Poisson kernel gives

    (s - t)^2 = (4 / pi) int_0^{pi/2} cos^2 sin^2 (s^2 - t^2)^2 / w  dphi + terms of mean zero,

and 1 / w = int_0^inf e^(-r w) dr turns the mean of each node into Gaussian moments: with C = A cos^2 + B sin^2,
M = (I + 2 r C)^-1 and D = A - B,

    E_h (s^2 - t^2)^2 / w = (1 / d) int det(M)^(1/2) [tr(MD)^2 + 2 tr(MDMD)] dr.

Nothing is subtracted: the answer keeps its digits where A and B are close, and is 0 where they are equal. The outer
rule is periodic (geometric convergence while s / t varies moderately) or, beyond that, the trapezoid in log tan phi;
the inner one is the trapezoid in log r. One symmetric eigenproblem a node of the outer rule.
"""

import math

import numpy as np

__all__ = ["gaussian_mean"]

# Steps of the trapezoid rules: their errors are exp(-2 pi^2 / step) inside and 2 exp(-pi^2 / step) outside.
_INNER_STEP, _OUTER_STEP = 0.7, 0.4
# The rules in log r and log tan phi end where the integrands are e^-30 and e^-26 of their size.
_INNER_REACH, _OUTER_REACH = 30.0, 26.0
# The periodic rule: the fewest and the most nodes, and the relative change at which it has settled.
_FIRST, _LAST = 4, 64
_SETTLED = 1e-9
# Nodes are taken in groups, so that memory stays at some (group, inner nodes, d).
_GROUP = 16


def gaussian_mean(A, B, gradient=False):
    """E (s - t)^2 over the unit sphere; with ``gradient`` also E (t/s) h h' and E (s/t) h h' (0 where undefined).

    Parameters
    ----------
    A, B : ndarray, shape (d, d)
        Covariances: symmetric, no negative eigenvalue.
    gradient : bool

    Returns
    -------
    float, or (float, ndarray, ndarray)

    Notes
    -----
    The relative error is below 1e-8, usually near 1e-11. The derivative of E (s - t)^2 by A is I/d - E (t/s) h h'.
    """
    d, a, b = len(A), float(np.trace(A)), float(np.trace(B))
    if min(a, b) <= 0.0:
        value = (max(a, 0.0) + max(b, 0.0)) / d
        return (value, np.zeros((d, d)), np.zeros((d, d))) if gradient else value
    gap, *sides = _unit_gap(A / a, B / b, gradient)
    value = math.sqrt(a * b) * gap + (math.sqrt(a) - math.sqrt(b)) ** 2 / d
    return (value, math.sqrt(b / a) * sides[0], math.sqrt(a / b) * sides[1]) if gradient else value


def _unit_gap(A, B, gradient=False):
    """E (s - t)^2 and the two means of a gradient, for covariances of trace 1."""
    d = len(A)
    values, vectors = np.linalg.eigh(A + B)
    keep = values > 1e-14 * values[-1]
    if not keep.all():  # what neither measure sees has no part in the integrals
        basis = vectors[:, keep]
        A, B = basis.T @ A @ basis, basis.T @ B @ basis
    gap, *sides = _outer(A, B, gradient)
    if gradient and not keep.all():
        sides = [basis @ side @ basis.T for side in sides]
    return gap / d, *(side / d for side in sides)


def _outer(A, B, gradient):
    """d times the means: the periodic rule, refined until it settles, or else the one in log tan phi."""
    n = _FIRST
    # At the ends of the interval the integrand is zero.
    total = _nodes(A, B, *_squares(np.arange(1, n) / n), np.full(n - 1, 1.0 / n), False)[0]
    while n < _LAST:
        here = _nodes(A, B, *_squares((np.arange(n) + 0.5) / n), np.full(n, 1.0 / n), gradient)
        # The old nodes and their middles make the rule of twice as many.
        before, total = total, (total + here[0]) / 2
        n *= 2
        change = abs(total - before)
        # The error of the finer rule is about the square of this difference.
        if change <= max(_SETTLED * total, 1e-13):
            return 2 * total, *here[1:]
        if n >= 16 and len(A) > 32 and change > 1e-3 * total:
            break
    reach = math.ceil(_OUTER_REACH / _OUTER_STEP)
    y = _OUTER_STEP * np.arange(-reach, reach + 1)
    weights = _OUTER_STEP / (math.pi * np.cosh(y))
    gap, *sides = _nodes(A, B, 1 / (1 + np.exp(2 * y)), 1 / (1 + np.exp(-2 * y)), weights, gradient)
    return 2 * gap, *sides


def _squares(parts):
    """cos^2 and sin^2 of these parts of a right angle."""
    phi = parts * (math.pi / 2)
    return np.cos(phi) ** 2, np.sin(phi) ** 2


def _nodes(A, B, c2, s2, weights, gradient):
    """Weighted sums over nodes of c2 s2 E (s^2 - t^2)^2 / w, E h h' t^2 / w and E h h' s^2 / w."""
    gap, sides = 0.0, [np.zeros_like(A), np.zeros_like(A)] if gradient else []
    for first in range(0, len(weights), _GROUP):
        some = slice(first, first + _GROUP)
        c, Q = np.linalg.eigh(c2[some, None, None] * A + s2[some, None, None] * B)
        c = np.maximum(c, 1e-17 * c[:, -1:])  # what is below is rounding; it plays a part in the log rule's tails only
        r = _inner_nodes(c)
        m = 1.0 / (1.0 + 2.0 * r[:, None] * c[:, None, :])  # (nodes, inner nodes, d)
        # det(M)^(1/2) dr
        measure = np.exp(0.5 * np.log(m).sum(axis=2)) * (r * _INNER_STEP)
        QT = Q.transpose(0, 2, 1)
        D = QT @ (A - B) @ Q
        moments = (m @ np.diagonal(D, axis1=1, axis2=2)[:, :, None])[:, :, 0] ** 2 + 2 * (m @ D**2 * m).sum(axis=2)
        gap += float(np.sum(weights[some] * c2[some] * s2[some] * (measure * moments).sum(axis=1)))
        for side, other in zip(sides, (B, A)):
            F = QT @ other @ Q
            traces = (m @ np.diagonal(F, axis1=1, axis2=2)[:, :, None])[:, :, 0]
            scaled = m * measure[:, :, None]
            inner = 2 * F * (scaled.transpose(0, 2, 1) @ m)
            places = np.arange(len(A))
            inner[:, places, places] += (scaled * traces[:, :, None]).sum(axis=1)
            side += np.einsum("k,kij->ij", weights[some], Q @ inner @ QT)
    return gap, *sides


def _inner_nodes(c):
    """Nodes r for spectra c, ascending in the last axis: up to where det(M)^(1/2) or the moments have died out."""
    k = np.arange(1, c.shape[1] + 1)
    edges = -np.log(2.0 * c[:, ::-1])  # beyond edges[k - 1] the k largest eigenvalues make the integrand decay
    ends = edges + _INNER_REACH / np.maximum(k / 2 - 1, 1e-3)
    ends[:, -1] = np.minimum(ends[:, -1], edges[:, -1] + _INNER_REACH / (1 + k[-1] / 2))
    last = float(np.min(ends, axis=1).max())
    return np.exp(np.arange(-_INNER_REACH, last + _INNER_STEP, _INNER_STEP))
