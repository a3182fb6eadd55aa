"""The large entries of a plan, and the linear systems of Newton's methods with them, where the problem lives.

Both methods solve with D + E, where E = [0 S; S^T 0] holds the kept entries S of P, and D the sums of all its entries
(shifted): a matrix of n + m rows that is positive semidefinite. The semi-dual method needs the lower half of the
solution to (0, r) only, the inverse of the Schur complement D(c) - S^T D(1/a) S.
"""

import math

import numpy as np
import scipy.sparse

__all__ = ["entries"]

_BLOCK = 512
# Steps of conjugate gradients in one launch, and by how much the bound rises where too many entries are above it.
_CHUNK, _HIGHER = 256, 8.0


def entries(problem, inv_eps, at, cut):
    """The entries of P of at least ``cut``, or of a larger one where the kernels cannot take so many."""
    kept = _OnHost if problem.backend == "cpu" else _OnDevice
    while True:
        parts = problem.large_entries(inv_eps, at.u, at.v, cut)
        if parts[2].size <= kept.most(problem):
            return kept(problem, *parts)
        cut *= _HIGHER


class _OnHost:
    """In a matrix of SciPy's; systems are reduced to their Schur complements."""

    def __init__(self, problem, indptr, indices, data):
        self.S = scipy.sparse.csr_array((data, indices, indptr), shape=(problem.a.size, problem.b.size))

    @staticmethod
    def most(problem):
        """How many entries there may be."""
        return math.inf

    @property
    def nnz(self):
        return self.S.nnz

    def keep_largest(self, count):
        """Drop all but the ``count`` largest entries, and what is as large as the least of these."""
        least = np.partition(self.S.data, self.nnz - count)[self.nnz - count]
        self.S.data[self.S.data < least] = 0
        self.S.eliminate_zeros()

    def solve(self, D, r, rtol, steps):
        """(D + E)^-1 r, to ``rtol`` in the norm of D^-1."""
        S, ST, n = self.S, self.S.T, self.S.shape[0]

        def product(x):
            y = D * x
            y[:n] += S @ x[n:]
            y[n:] += ST @ x[:n]
            return y

        return _conjugate_gradients(product, r, 1.0 / D, rtol, steps)

    def solve_reduced(self, a, c, shift, r, rtol, steps):
        """(D(c) - S^T D(1/a) S)^-1 r; ``shift`` is what of c is no sum of entries."""
        S, ST, inverse = self.S, self.S.T, 1.0 / a
        # Rounding may make the difference negative.
        preconditioner = 1.0 / np.maximum(c - self._squares(inverse), 1e-3 * shift + 1e-14 * c)
        return _conjugate_gradients(lambda x: c * x - ST @ (inverse * (S @ x)), r, preconditioner, rtol, steps)

    def _squares(self, weights):
        """The column sums of D(weights) S^2, in blocks of rows: a whole S^2 would be as large as C."""
        S = self.S
        sums = np.zeros(S.shape[1])
        for lo in range(0, S.shape[0], _BLOCK):
            ends = S.indptr[lo : lo + _BLOCK + 1]
            part = slice(ends[0], ends[-1])
            squares = S.data[part].astype(np.float64) ** 2, S.indices[part], ends - ends[0]
            sums += scipy.sparse.csr_array(squares, shape=(ends.size - 1, sums.size)).T @ weights[lo : lo + _BLOCK]
        return sums


def _conjugate_gradients(product, r, preconditioner, rtol, most):
    """An approximate solution of H x = r: from zero, every iterate is a direction of descent."""
    x = np.zeros(r.size)
    r = r.copy()
    z = preconditioner * r
    p, rho = z.copy(), float(r @ z)
    enough = rho * rtol**2
    for _ in range(most):
        if not rho > enough:
            break
        q = product(p)
        curvature = float(p @ q)
        if not curvature > 0.0:
            break
        alpha = rho / curvature
        x += alpha * p
        r -= alpha * q
        z = preconditioner * r
        rho_last, rho = rho, float(r @ z)
        p *= rho / rho_last
        p += z
    return x


class _OnDevice:
    """As rows, columns and values on the GPU, row by row; D + E is formed, and one launch takes many steps on it.

    It is scaled to D^-1/2 (D + E) D^-1/2, for which the norm of the residual is that in D^-1. A step on D + E costs
    what one on the Schur complement does, and there are about twice as many: to the host and back for each product
    would take longer, and so would a launch for each line of the loop.
    """

    def __init__(self, problem, indptr, indices, data):
        self._problem, xp = problem, problem.xp
        self.rows = xp.searchsorted(indptr[1:], xp.arange(data.size), side="right")
        self.columns, self.data = indices.astype(np.int64), data.astype(np.float64)

    @staticmethod
    def most(problem):
        """How many entries there may be: each stands twice in the matrix."""
        return (problem.kernels.MOST_ENTRIES - problem.a.size - problem.b.size) // 2

    @property
    def nnz(self):
        return self.data.size

    def keep_largest(self, count):
        """Drop all but the ``count`` largest entries, and what is as large as the least of these."""
        kept = self.data >= self._problem.xp.partition(self.data, self.nnz - count)[self.nnz - count]
        self.rows, self.columns, self.data = self.rows[kept], self.columns[kept], self.data[kept]

    def solve(self, D, r, rtol, steps):
        """(D + E)^-1 r, to ``rtol`` in the norm of D^-1."""
        kernels, xp = self._problem.kernels, self._problem.xp
        root = xp.sqrt(D)
        A, x, r = self._scaled(root), kernels.zeros(D.size, np.float64), r / root
        p, q = r.copy(), kernels.empty(D.size, np.float64)
        rho = kernels.inner(r, r)  # one; and a p^H A p that is not positive ends the steps
        scalars, norms, threshold = np.array([rho, 1.0, math.inf]), np.empty(_CHUNK), rtol * math.sqrt(rho)
        going = math.isfinite(rho) and rho > 0.0
        while going and steps > 0:
            taken, flag = kernels.cg_chunk(A, None, x, r, p, q, scalars, norms, threshold, min(steps, _CHUNK))
            steps -= taken
            going = flag == 0 and taken > 0 and norms[taken - 1] > threshold
        return x / root

    def solve_reduced(self, a, c, shift, r, rtol, steps):
        """(D(c) - S^T D(1/a) S)^-1 r."""
        xp, n = self._problem.xp, a.size
        D = xp.concatenate((a.astype(np.float64), c))
        return self.solve(D, xp.concatenate((xp.zeros(n), r)), rtol, 2 * steps)[n:]

    def _scaled(self, root):
        """1 on the diagonal, and the entries over the roots of their row and column: each row begins with its 1."""
        kernels, xp = self._problem.kernels, self._problem.xp
        n, m, nnz = self._problem.a.size, self._problem.b.size, self.nnz
        values = self.data / (root[self.rows] * root[n + self.columns])
        # Columns as rows: sorted by column, then row.
        order = xp.argsort(self.columns * n + self.rows)
        below = self.columns[order]
        indptr = xp.concatenate(
            (xp.searchsorted(self.rows, xp.arange(n)), nnz + xp.searchsorted(below, xp.arange(m + 1)))
        ) + xp.arange(n + m + 1)
        indices, data = (kernels.empty(2 * nnz + n + m, dtype) for dtype in (np.int32, np.float64))
        places = xp.arange(nnz)
        for at, index, value in (
            (indptr[:-1], xp.arange(n + m), 1.0),
            (places + self.rows + 1, n + self.columns, values),
            (places + (nnz + n + 1) + below, self.rows[order], values[order]),
        ):
            indices[at], data[at] = index, value
        return kernels.csr(indptr, indices, data)
