"""What transport solvers return: potentials, and the plan made from them when it is asked for."""

import numpy as np

from .._errors import InvalidInput
from .._plot import pyplot
from .._result import Result

__all__ = ["TransportResult"]


class TransportResult(Result):
    """The outcome of an entropic transport problem.

    Attributes
    ----------
    value : float
        <C, P>, the cost of the plan.
    regularized_value : float
        <C, P> + eps sum P (log P - 1), what was minimised (masses as the user gave them).
    dual_value : float
        <a, f> + <b, g> - eps mass, its bound from below where the marginals are met.
    potentials : (ndarray of shape (n,), ndarray of shape (m,))
        f and g in the units of C, with <a, f> = <b, g>; -inf where the weight is zero.
    plan : ndarray, shape (n, m)
        P_ij = exp((f_i + g_j - C_ij) / eps), made when it is first asked for.
    marginal_error : float
        The L1 error of both marginals relative to the mass, recomputed.
    iterations : int
        Sweeps.
    newton_steps : int
    mass, eps : float
        The total of the weights (of the plan, where the weights may give), and the regularisation.
    """

    _not_in_dict = frozenset(("potentials", "_problem", "_plan"))

    def __init__(self, *, problem, newton_steps, **fields):
        super().__init__(**fields)
        self.newton_steps, self.eps = newton_steps, problem.reg
        self._problem, self._plan, self.potentials = problem, None, problem.potentials()
        self.value, self.regularized_value, self.dual_value, self.mass = problem.objectives(*self.potentials)

    @property
    def marginal_error(self):
        """The L1 error of both marginals relative to the mass, recomputed: ``residual`` by its name."""
        return self.residual

    @property
    def plan(self):
        """P of shape (n, m); it owns its memory."""
        if self._plan is None:
            problem = self._problem
            inner = np.empty((problem.a.size, problem.b.size), problem.dtype)
            problem.kernels.plan(problem.cost, problem.inv_eps, problem.u, problem.v, inner)
            inner *= problem.dtype.type(problem.mass)
            if inner.shape == problem.shape:
                self._plan = inner
            else:
                rows, columns = problem.places()
                self._plan = np.zeros(problem.shape, problem.dtype)
                self._plan[np.ix_(rows, columns)] = inner
        return self._plan

    def sparse_plan(self, threshold=1e-12):
        """Return the entries of P of at least ``threshold`` times the mass as a ``scipy.sparse.csr_array``."""
        import scipy.sparse

        from .. import _checks

        problem, threshold = self._problem, _checks.number("threshold", threshold, 0.0)
        indptr, indices, data = problem.kernels.threshold_plan(
            problem.cost, problem.inv_eps, problem.u, problem.v, threshold * (self.mass / problem.mass)
        )
        inner = scipy.sparse.csr_array((data * problem.mass, indices, indptr), shape=(problem.a.size, problem.b.size))
        if inner.shape == problem.shape:
            return inner
        (rows, columns), inner = problem.places(), inner.tocoo()
        places = rows[inner.row], columns[inner.col]
        return scipy.sparse.csr_array((inner.data, places), shape=problem.shape)

    def round(self):
        """Return a plan with exactly the marginals a and b, near P (Altschuler, Weed & Rigollet 2017, algorithm 2)."""
        problem = self._problem
        if problem.relaxed:
            raise InvalidInput(
                "`round` needs a plan whose marginals are to be exactly a and b, got one of unbalanced or partial "
                "transport; use `plan` as it is."
            )
        P = self.plan.astype(np.float64)
        a, b = problem.spread(problem.a, 0) * problem.mass, problem.spread(problem.b, 1) * problem.mass
        for axis, target in ((1, a), (0, b)):
            sums = P.sum(axis=axis)
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.where(sums > target, target / sums, 1.0)
            P *= factor[:, None] if axis == 1 else factor
        missing_rows, missing_columns = np.maximum(a - P.sum(axis=1), 0), np.maximum(b - P.sum(axis=0), 0)
        total = missing_rows.sum()
        return P + np.outer(missing_rows, missing_columns) / total if total > 0 else P

    def plot(self, ax=None):
        """Draw the marginal error over the sweeps; returns the axes."""
        ax = pyplot().subplots(figsize=(6, 4), layout="constrained")[1] if ax is None else ax
        ax.semilogy(np.where(self.residuals > 0, self.residuals, np.nan), label=self.method)
        ax.axhline(self.threshold or np.nan, color="0.6", linestyle="--", linewidth=1)
        ax.set(xlabel="step", ylabel="marginal error (L1)", title=repr(self))
        return ax

    def __repr__(self):
        verb = "in" if self.converged else "after"
        steps = f"{self.iterations} sweep{'' if self.iterations == 1 else 's'}"
        newton = f" and {self.newton_steps} Newton steps" if self.newton_steps else ""
        mass = f"mass {self.mass:.6g}, " if self._problem.relaxed else ""
        return (
            f"TransportResult({self.status} {verb} {steps}{newton}, value {self.value:.6g}, "
            f"{mass}marginal error {self.residual:.1e}, {self.backend})"
        )
