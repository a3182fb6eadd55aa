"""Entropic transport whose marginals may give for a price (Chizat, Peyre, Schmitzer & Vialard 2018), or leave a slack.

A row's marginal x costs rho KL(x | a). Where rho is much larger than eps, plain sweeps hardly move along
(f + t, g - t): their error falls by (1 + eps / rho)^-2 a sweep. So the best t is found between sweeps (Sejourne,
Vialard & Peyre 2022, arXiv:2201.00730).

Inside, weights have no common total. All are divided by a scale M (``mass``) that keeps the sum of the plan near 1, so
that nothing leaves the range of the dtype: with s = log(M) / 2 the potentials here are u = f / eps - s, and the row of
a price rho has the weight log a - (2 + eps / rho) s.
"""

import math

import numpy as np
from scipy.special import logsumexp, xlog1py

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._loop import Record
from .._result import Status
from ._costs import PointCloud
from ._measures import SAME_TOTAL, is_single, real, same_totals, weights
from ._problem import Problem
from ._translation import best_translation

__all__ = ["RelaxedProblem", "penalties"]

# The scale moves where the sum of the plan is off by more than e^this.
_DRIFT = 2.0
_MOST_EXPONENT = 600.0
# A mass below a total by less than this part of it leaves no slack.
_NO_SLACK = 1e-14


def penalties(given):
    """``marginal_penalty`` as a pair of arrays of float64, numbers or vectors, inf where nothing gives."""
    pair = given if isinstance(given, tuple | list) else (given, given)
    if len(pair) != 2:
        raise InvalidInput(
            f"`marginal_penalty` must be a number or a pair (rows, columns), got {len(pair)} entries; vectors go into "
            "the pair."
        )
    return tuple(_penalty(f"marginal_penalty[{i}]", each) for i, each in enumerate(pair))


def _penalty(name, given):
    if given is None:
        return np.array(math.inf)
    rho = np.array(_checks.number(name, given)) if is_single(given) else real(name, given).astype(np.float64)
    if not np.all(rho > 0):
        got = rho[~(rho > 0)].flat[0].item()
        raise InvalidInput(f"`{name}` must be > 0 everywhere (inf: a hard marginal), got {got!r}.")
    return rho


class RelaxedProblem(Problem):
    """min <C, P> + eps sum P (log P - 1) + sum_i rho_i KL((P 1)_i | a_i) + sum_j sigma_j KL((P^T 1)_j | b_j).

    Attributes
    ----------
    rho, sigma : ndarray of float64
        The price of each row's and column's marginal in the units of C; inf does not give.
    k, l : ndarray of float64
        eps / rho and eps / sigma.
    slack, slack_weights : ndarray of float64, shape (2,)
        The potentials over eps, and the weights in the user's units, of a row and a column beside C without cost;
        -inf and 0 for none.
    mass : float
        The scale M.
    """

    relaxed = True

    def __init__(self, C, a, b, eps, x0, normalize, penalty, mass=None):
        self._penalty, self._asked, self._constant = penalty, mass, 0.0
        super().__init__(C, a, b, eps, x0, normalize)

    def _weigh(self, a, b, normalize):
        if self.backend != "cpu":
            raise UnsupportedType("`C` must be an array of the CPU: unbalanced and partial transport run there only.")
        n, m = self.shape
        a, b = (
            w.astype(np.float64) / (total if normalize else 1.0)
            for w, total in (weights("a", a, n, self.dtype), weights("b", b, m, self.dtype))
        )
        rho, sigma = (_every(i, self._penalty[i], size) for i, size in enumerate((n, m)))
        self.slack_weights = np.zeros(2) if self._asked is None else self._slack(a, b, rho, sigma)
        self._refuse_impossible(a, b, rho, sigma)
        self.rows, self.columns = self._kept(a, b, rho, sigma)
        rows, columns = self.places()
        self.weights = a[rows], b[columns]
        self.rho, self.sigma = rho[rows], sigma[columns]
        self.k, self.l = self.reg / self.rho, self.reg / self.sigma
        self.slack = np.where(self.slack_weights > 0, 0.0, -np.inf)
        self._first_scale = 0.25 * (math.log(a.sum()) + math.log(b.sum()))
        self._scale(self._first_scale)
        with np.errstate(over="ignore"):
            self.a, self.b = (np.exp(w).astype(self.dtype) for w in self.logs[:2])
        if not (np.isfinite(self.a).all() and np.isfinite(self.b).all()):
            raise InvalidInput("`eps` must be comparable with `marginal_penalty`, by which it is divided; lower it.")

    def _slack(self, a, b, rho, sigma):
        """What the row and the column beside C weigh; a side whose marginals give has none."""
        for name, w, price, other in (("a", a, rho, sigma), ("b", b, sigma, rho)):
            if np.isfinite(price).any() and np.isfinite(other).any():
                raise InvalidInput(
                    "`marginal_penalty` must leave one side hard, got prices on both: nothing would fix the mass."
                )
            if np.isinf(price).all() and self._asked > w.sum():
                if self._asked > w.sum() * (1 + SAME_TOTAL):
                    raise InvalidInput(
                        f"`mass` must be at most the total of `{name}`, {w.sum():.9g}, got {self._asked!r}."
                    )
                self._asked = float(w.sum())
        left = [
            0.0 if np.isfinite(price).any() or self._asked > w.sum() * (1 - _NO_SLACK) else w.sum() - self._asked
            for w, price in ((b, sigma), (a, rho))
        ]
        return np.array(left)

    def _refuse_impossible(self, a, b, rho, sigma):
        """Refuse hard marginals that no plan has, whatever the others give."""
        sides = []
        for w, price, slack in ((a, rho, self.slack_weights[0]), (b, sigma, self.slack_weights[1])):
            hard = np.isinf(price)
            sides.append((float(w[hard].sum()) + slack, bool((w[~hard] > 0).any())))
        (rows, rows_give), (columns, columns_give) = sides
        if not rows_give and not columns_give:
            same_totals(rows, columns)
        for name, least, gives, other, other_gives in (
            ("a", rows, rows_give, columns, columns_give), ("b", columns, columns_give, rows, rows_give),
        ):  # fmt: skip
            if gives and not other_gives and least >= other:
                raise InvalidInput(
                    f"`{name}` must have hard weights of less than the other side's total of {other:.9g}, got "
                    f"{least:.9g}; lower them, or give them a finite `marginal_penalty`."
                )

    def _kept(self, a, b, rho, sigma):
        """The rows and columns of the plan: with weight, and if they give, with a pair that is allowed."""
        rows, columns = a > 0, b > 0
        # The potentials of what gets nothing: -inf where it weighs nothing, and inf where it gave all.
        self._outside = tuple(np.where(keep & (self._asked != 0.0), np.inf, -np.inf) for keep in (rows, columns))
        if self._asked == 0.0:
            w = np.concatenate((a[rows], b[columns]))
            self._constant = self.reg * float(np.sum(w * (np.log(w) - 1.0)))
            self.slack_weights[:] = 0.0
            return np.empty(0, np.intp), np.empty(0, np.intp)
        if not isinstance(self.given, PointCloud):
            C = self.given
            least_rows = (C if columns.all() else C[:, columns]).min(axis=1, initial=np.inf)
            least_columns = (C if rows.all() else C[rows]).min(axis=0, initial=np.inf)
            for keep, w, price, least in ((rows, a, rho, least_rows), (columns, b, sigma, least_columns)):
                lost = keep & np.isinf(least) & np.isfinite(price)
                self._constant += float((w[lost] * price[lost]).sum())
                keep &= ~lost
        return tuple(None if keep.all() else np.flatnonzero(keep) for keep in (rows, columns))

    def _scale(self, s):
        """Divide weights by M = exp(2 s)."""
        self.s = s
        self.mass = math.exp(min(2.0 * s, 700.0))
        with np.errstate(divide="ignore"):
            self.logs = (
                np.log(self.weights[0]) - s * (2.0 + self.k),
                np.log(self.weights[1]) - s * (2.0 + self.l),
                np.log(self.slack_weights) - 2.0 * s,
            )

    def goals(self):
        """What the marginals should be at these potentials."""
        with np.errstate(over="ignore"):
            return tuple(
                np.exp(np.minimum(w - give * p, _MOST_EXPONENT))
                for w, give, p in zip(self.logs, (self.k, self.l), (self.u, self.v), strict=False)
            )

    def beside(self):
        """The column and the row beside the plan."""
        u0, v0 = self.slack
        u, v = self.u.astype(np.float64), self.v.astype(np.float64)
        return tuple(np.exp(np.minimum(p, _MOST_EXPONENT)) for p in (u + v0, v + u0))

    def true_norm(self):
        """The L1 error of all marginals, those beside C included, relative to the sum of the plan, recomputed."""
        self._seen = None
        with np.errstate(all="ignore"):
            rows, columns, _ = self.marginals()
            (p, q), (goal_rows, goal_columns) = self.beside(), self.goals()
            error = np.abs(rows + p - goal_rows).sum() + np.abs(columns + q - goal_columns).sum()
            error += np.abs(np.array([q.sum(), p.sum()]) - np.exp(self.logs[2])).sum()
            return float(error / rows.sum()) if rows.size and columns.size else 0.0

    def fill_slack(self):
        """The potentials beside C that go with u and v."""
        for i, p in ((0, self.v), (1, self.u)):
            if self.slack_weights[i] > 0:
                self.slack[i] = self.logs[2][i] - logsumexp(p.astype(np.float64))

    def log_sweep(self):
        """One sweep by sums in the log domain, which works where the sum of the plan has left the dtype's range."""
        rows, columns, (row, column) = np.empty_like(self.u), np.empty_like(self.v), self.logs[2]
        if row > -np.inf:
            self.slack[0] = row - logsumexp(self.v.astype(np.float64))
        self.kernels.log_sums(self.cost, self.inv_eps, self.v, rows)
        self.u[:] = (self.logs[0] - np.logaddexp(rows, self.slack[1])) / (1.0 + self.k)
        if column > -np.inf:
            self.slack[1] = column - logsumexp(self.u.astype(np.float64))
        self.kernels.log_sums_columns(self.cost, self.inv_eps, self.u, columns)
        self.v[:] = (self.logs[1] - np.logaddexp(columns, self.slack[0])) / (1.0 + self.l)
        self._seen = None

    def translate(self):
        """The best t for (u + t, v - t), and a scale that makes the sum of the plan about 1."""
        with np.errstate(divide="ignore"):
            x, y = (
                (np.append(w - give * p, beside), np.append(give, 0.0))
                for w, give, p, beside in (
                    (self.logs[0], self.k, self.u, self.logs[2][0]), (self.logs[1], self.l, self.v, self.logs[2][1]),
                )
            )  # fmt: skip
        t, log_mass = best_translation(*x, *y) if self.k.any() or self.l.any() else (0.0, logsumexp(y[0]))
        s = 0.5 * log_mass if abs(log_mass) > _DRIFT else 0.0
        self.u += self.dtype.type(t - s)
        self.v -= self.dtype.type(t + s)
        self.slack += (t - s, -t - s)
        if s != 0.0:
            self._scale(self.s + s)
        self._seen = None

    def potentials(self):
        """f and g in the units of C; where nothing gives, <a, f> = <b, g>."""
        t, (a, b) = 0.0, self.weights
        f, g = (self.reg * (p.astype(np.float64) + self.s) for p in (self.u, self.v))
        if not (self.k.any() or self.l.any()) and f.size:
            t = (float(a @ f) - float(b @ g)) / (a.sum() + b.sum())
        out = []
        for values, keep, whole in ((f - t, self.rows, self._outside[0]), (g + t, self.columns, self._outside[1])):
            if keep is not None:
                whole = whole.copy()
                whole[keep] = values
                values = whole
            out.append(values.astype(self.dtype))
        return tuple(out)

    def objectives(self, f, g):
        """<C, P>, the regularised value, the dual value and the mass of the plan."""
        rows, columns, value = self.marginals()
        M, (p, q) = self.mass, self.beside()
        f, g, (f0, g0) = (self.reg * (x.astype(np.float64) + self.s) for x in (self.u, self.v, self.slack))
        f0, g0 = (x if math.isfinite(x) else 0.0 for x in (f0, g0))
        # log P = (f + g - C) / eps, so that <C, P> + eps sum P log P = sum P (f + g).
        sums = float(((rows + p) @ f) + ((columns + q) @ g) + q.sum() * f0 + p.sum() * g0)
        entropy = self.reg * M * float(rows.sum() + p.sum() + q.sum())
        regularized = M * sums - entropy + self._constant
        dual = float(self.slack_weights @ (f0, g0)) - entropy + self._constant
        for marginal, w, price, potential in (
            (M * rows, self.weights[0], self.rho, f), (M * columns, self.weights[1], self.sigma, g),
        ):  # fmt: skip
            soft = np.isfinite(price)
            marginal, w_soft, price, moved = marginal[soft], w[soft], price[soft], potential[soft]
            d = (marginal - w_soft) / w_soft
            regularized += float((price * w_soft) @ (xlog1py(1.0 + d, d) - d))
            with np.errstate(over="ignore"):
                dual += float(w[~soft] @ potential[~soft]) - float((price * w_soft) @ np.expm1(-moved / price))
        return M * value, regularized, dual, M * float(columns.sum())

    def save(self):
        return self.u.copy(), self.v.copy(), self.slack.copy(), self.s

    def restore(self, saved):
        self.u[:], self.v[:], self.slack[:], s = saved
        self._scale(s)
        self._seen = None

    def iterate(self):
        """The potentials (f, g) in the units of C, for the user's callback."""
        return tuple(self.leave(((p + self.s) * self.reg).astype(self.dtype)) for p in (self.u, self.v))

    def last_finite(self, residual):
        """After a NaN: leave finite potentials; returns the error that goes with them."""
        if not (self.is_finite() and math.isfinite(residual)):
            self._scale(self._first_scale)
            least = 0.0 if isinstance(self.given, PointCloud) else float(self.cost.C.min(initial=0.0))
            # No exponent is above zero, whatever the costs, and however the kernels round.
            self.u[:], self.v[:] = min(0.0, least / self.reg * (1.0 + 8.0 * self.eps)), 0
            self.slack[:] = np.where(self.slack_weights > 0, 0.0, -np.inf)
            residual = self.true_norm()
        return residual if math.isfinite(residual) else math.inf

    def infeasible(self):
        """A record where nothing is to be carried, or where what must be carried has nowhere to go; else None."""
        if self.u.size == 0 and self.v.size == 0:
            return Record(Status.CONVERGED, 0, np.zeros(1), 0.0, 0.0)
        if isinstance(self.given, PointCloud):
            return None
        C, (row, column) = self.cost.C, self.slack_weights
        for axis, w, beside in ((1, self.weights[0], column), (0, self.weights[1], row)):
            blocked = float(w[np.isinf(C.min(axis=axis, initial=np.inf))].sum())
            if blocked > beside * (1 + SAME_TOTAL):
                residual = self.last_finite(math.nan)
                return Record(Status.INFEASIBLE, 0, np.array([residual]), residual, 0.0)
        return None


def _every(i, rho, size):
    if rho.ndim:
        _checks.shape_is(f"marginal_penalty[{i}]", rho, [(size,)], "to go with the costs")
    return np.broadcast_to(rho, (size,)).copy()
