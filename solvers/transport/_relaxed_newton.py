"""Newton's method on relaxed problems: what a price or a slack adds to the semi-dual, beside the large entries of P.

With the rows exact, J(v) has the gradient c - q, where q_j = b_j exp(-l_j v_j) is what column j should be, and the
Hessian D(c + l q) - P^T D(1 / ((1 + k) r)) P, where r_i is row i's sum. The row and the column beside C are the last
row and column of P here; they are made from vectors, so that neither C nor a cloud is copied.
"""

import math

import numpy as np
import scipy.sparse

from ._newton import At

__all__ = ["Whole"]

_MOST_EXPONENT = 600.0


class Whole:
    """A relaxed problem with its slack as a last row and a last column, as Newton's method sees it.

    The potentials are f / eps and g / eps, without the scale of the weights, so that they can be followed along eps.
    """

    relaxed = True
    backend, xp = "cpu", np
    dtype = np.dtype(np.float64)

    def __init__(self, problem):
        self.parts = problem
        self.cost, self.kernels = problem.cost, problem.kernels
        self.reg, self.inv_eps, self.eps = problem.reg, problem.inv_eps, problem.eps
        self.newton_steps = self.sweeps = self._given = 0
        self._beside = problem.slack_weights > 0
        self.u, self.v = (
            self._joined(p.astype(np.float64), beside, i) + problem.s
            for i, (p, beside) in enumerate(zip((problem.u, problem.v), problem.slack, strict=True))
        )
        self._prices = tuple(self._joined(rho, math.inf, i) for i, rho in enumerate((problem.rho, problem.sigma)))
        weights = zip(problem.weights, problem.slack_weights, strict=True)
        self._logs = tuple(np.log(self._joined(w, slack, i)) for i, (w, slack) in enumerate(weights))
        # Newton's method forms J with them, and what rounding hides of it.
        self.a, self.b = (np.exp(w - 2.0 * problem.s) for w in self._logs)

    def _joined(self, values, beside, i):
        return np.append(values, beside) if self._beside[i] else values.copy()

    def _scaled(self, u, v):
        """What the kernels work on: the potentials less the scale, in the dtype of C, and those of the slack."""
        n, m, s = self.parts.u.size, self.parts.v.size, self.parts.s
        slack = np.array([p[-1] - s if there else -np.inf for p, there in zip((u, v), self._beside, strict=True)])
        return (u[:n] - s).astype(self.parts.dtype), (v[:m] - s).astype(self.parts.dtype), slack

    def _whole(self, u, v, slack):
        return tuple(self._joined(p.astype(np.float64), slack[i], i) + self.parts.s for i, p in enumerate((u, v)))

    def _at_eps(self, inv_eps):
        """eps / rho, and the logarithms of the scaled weights, at another eps."""
        give = tuple(1.0 / (inv_eps * price) for price in self._prices)
        return give, tuple(w - self.parts.s * (2.0 + k) for w, k in zip(self._logs, give, strict=True))

    def sweeps_at(self, inv_eps, u, v, errors, threshold):
        """Sweeps, as many as there are errors at most."""
        n, m = self.parts.u.size, self.parts.v.size
        (k, l), (rows, columns) = self._at_eps(inv_eps)
        scaled_u, scaled_v, slack = self._scaled(u, v)
        taken = self.kernels.unbalanced_chunk(
            self.cost, inv_eps, rows[:n], columns[:m], k[:n], l[:m], self.parts.logs[2], scaled_u, scaled_v, slack,
            errors, threshold, errors.size,
        )  # fmt: skip
        u[:], v[:] = self._whole(scaled_u, scaled_v, slack)
        return taken

    def evaluate(self, inv_eps, u, v):
        """Exact rows, the sums of the columns, and v after a sweep, in one pass."""
        s, error, u = self.parts.s, np.empty(1), u.copy()
        v = self._whole(*self._scaled(u, v))[1]  # as the kernels round it
        swept = v.copy()
        self.sweeps_at(inv_eps, u, swept, error, -1.0)
        (k, l), (rows, columns) = self._at_eps(inv_eps)
        # Each new v is (log b + old v - log c) / (1 + l).
        c = _exp(columns + (v - s) - (1.0 + l) * (swept - s))
        r, q = _exp(rows - k * (u - s)), _exp(columns - l * (v - s))
        J = float(r.sum()) + _marginal_cost(self.a, k, u) + _marginal_cost(self.b, l, v)
        return At(u, v, swept, c, float(error[0]), J, (1.0 + k) * r, q, l * q)

    def large_entries(self, inv_eps, u, v, cut):
        """The entries of P of at least ``cut``, those beside C included, in CSR form."""
        u, v, (u0, v0) = self._scaled(u, v)
        indptr, indices, data = self.kernels.threshold_plan(self.cost, inv_eps, u, v, cut)
        S = scipy.sparse.csr_array((data, indices, indptr), shape=(u.size, v.size))
        if self._beside[1]:
            # SciPy joins rows of one format in place of going through triples.
            S = scipy.sparse.hstack((S, _large(u, v0, cut).T.tocsr()), "csr")
        if self._beside[0]:
            row = _large(v, u0, cut)
            row.resize(1, S.shape[1])  # the corner is forbidden
            S = scipy.sparse.vstack((S, row), "csr")
        return S.indptr, S.indices, S.data

    def true_norm(self):
        """The error of the parts."""
        self.hand_over()
        return self.parts.true_norm()

    def hand_over(self):
        """Give potentials and counts to the problem."""
        self.parts.u[:], self.parts.v[:], self.parts.slack[:] = self._scaled(self.u, self.v)
        self.parts._seen = None
        self.parts.sweeps += self.sweeps
        self.parts.newton_steps += self.newton_steps - self._given
        self.sweeps, self._given = 0, self.newton_steps


def _exp(x):
    return np.exp(np.minimum(x, _MOST_EXPONENT))


def _large(potentials, beside, cut):
    """The entries of at least ``cut`` of a row beside C."""
    row = _exp(potentials.astype(np.float64) + beside)
    return scipy.sparse.csr_array(np.where(row >= cut, row, 0.0)[None])


def _marginal_cost(w, give, p):
    """-<w, p> where nothing gives, and w (exp(-give p) - 1) / give, which tends to it, elsewhere."""
    soft = give > 0
    return float(w[soft] @ (np.expm1(np.minimum(-give[soft] * p[soft], _MOST_EXPONENT)) / give[soft])) - float(
        w[~soft] @ p[~soft]
    )
