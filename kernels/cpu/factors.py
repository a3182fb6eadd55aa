"""Rows of a low-rank factor fitted to the entries that are known, each row a small least-squares problem."""

from functools import partial

import numpy as np

from ._apart import apart
from ._jit import jit
from ._team import even_shares, launch

__all__ = ["fit_rows", "improve_rows"]

# Rows of a block; a pivot below this part of the trace is a direction that the entries say nothing of.
_ROWS, _NOTHING = 16, 1e-14


def fit_rows(known, V, ridge, U, misfits):
    """U_i = argmin sum_j (M_ij - u . V_j)^2 + ridge |u|^2 over the known entries j of row i, by Cholesky's factors.

    Parameters
    ----------
    known : (indptr, indices, data)
        The known entries row by row, in float64.
    V : ndarray of float64, shape (m, k)
    ridge : float
    U : ndarray of float64, shape (n, k)
        Where the entries leave a direction open, its part is zero.
    misfits : ndarray of float64, shape (n,)
        The sums of squares that are left, without the ridge's.
    """
    k = V.shape[1]
    _launched(_fit, known, (k * k // 2 + 2 * k) * known[1].size, V, ridge, U, misfits)


def improve_rows(known, V, ridge, steps, U, misfits):
    """Some steps of conjugate gradients for the least-squares problem of each row, from the rows that U has.

    Parameters
    ----------
    known, V, ridge, U, misfits
        As in ``fit_rows``.
    steps : int
    """
    k = V.shape[1]
    _launched(_improve, known, (2 * steps + 2) * k * known[1].size, V, ridge, U, misfits, steps)


def _launched(kernel, known, work, *arguments):
    indptr = known[0]
    blocks = max(1, -(-(indptr.size - 1) // _ROWS))
    longest = int(np.diff(indptr).max(initial=0))
    launch(kernel, work, blocks, partial(even_shares, blocks), *known, longest, *arguments)


@jit
def _fit(indptr, indices, data, longest, V, ridge, U, misfits, flags, share, member, team):
    k = V.shape[1]
    G, u = np.empty((k, k)), np.empty(k)
    for i in range(share[member] * _ROWS, min(share[member + 1] * _ROWS, U.shape[0])):
        G[:] = 0.0
        u[:] = 0.0
        for t in range(indptr[i], indptr[i + 1]):
            v, m = V[indices[t]], data[t]
            for a in range(k):
                u[a] += m * v[a]
                for b in range(a + 1):
                    G[a, b] += v[a] * v[b]
        _solve(G, ridge, u)
        U[i] = u
        s = 0.0
        for t in range(indptr[i], indptr[i + 1]):
            r = data[t] - _dot(V[indices[t]], u)
            s += r * r
        misfits[i] = s


@jit
def _solve(G, ridge, u):
    """u = (G + ridge I)^-1 u by Cholesky's factor, in the place of the lower triangle."""
    k = u.size
    trace = 0.0
    for a in range(k):
        G[a, a] += ridge
        trace += G[a, a]
    for a in range(k):
        for b in range(a + 1):
            s = G[a, b] - _dot(G[a, :b], G[b, :b])
            if b < a:
                G[a, b] = s / G[b, b] if G[b, b] > 0.0 else 0.0
            else:
                G[a, a] = np.sqrt(s) if s > _NOTHING * trace else 0.0
        u[a] = (u[a] - _dot(G[a, :a], u[:a])) / G[a, a] if G[a, a] > 0.0 else 0.0
    for a in range(k - 1, -1, -1):
        u[a] = u[a] / G[a, a] if G[a, a] > 0.0 else 0.0
        for b in range(a):
            u[b] -= G[a, b] * u[a]


@jit
def _dot(x, y):
    s = 0.0
    for i in range(x.size):
        s += x[i] * y[i]
    return s


@jit
def _improve(indptr, indices, data, longest, V, ridge, U, misfits, steps, flags, share, member, team):
    k = V.shape[1]
    r, q = np.empty(longest), np.empty(longest)
    s, p = np.empty(k), np.empty(k)
    # The row's part of V side by side: it is read twice a step.
    W = apart(longest, k, r)
    for i in range(share[member] * _ROWS, min(share[member + 1] * _ROWS, U.shape[0])):
        u, count = U[i], indptr[i + 1] - indptr[i]
        s[:] = 0.0
        for t in range(count):
            w, v = W[t], V[indices[indptr[i] + t]]
            z = data[indptr[i] + t]
            for a in range(k):
                w[a] = v[a]
                z -= v[a] * u[a]
            r[t] = z
            for a in range(k):
                s[a] += z * v[a]
        for a in range(k):
            s[a] -= ridge * u[a]
            p[a] = s[a]
        gamma = _dot(s, s)
        for _ in range(steps):
            curvature = ridge * _dot(p, p)
            for t in range(count):
                q[t] = _dot(W[t], p)
                curvature += q[t] * q[t]
            if not (curvature > 0.0 and gamma > 0.0):
                break
            alpha = gamma / curvature
            for a in range(k):
                u[a] += alpha * p[a]
                s[a] = -ridge * u[a]
            for t in range(count):
                z = r[t] - alpha * q[t]
                r[t] = z
                w = W[t]
                for a in range(k):
                    s[a] += z * w[a]
            before, gamma = gamma, _dot(s, s)
            for a in range(k):
                p[a] = s[a] + gamma / before * p[a]
        z = 0.0
        for t in range(count):
            z += r[t] * r[t]
        misfits[i] = z
