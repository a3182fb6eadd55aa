"""What transport solvers return: potentials, and the plan made from them when it is asked for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _checks
from .._errors import InvalidInput
from .._result import Result, Status
from ._gradients import point_gradients

__all__ = ["TransportResult", "chosen", "sentence"]

# What to do in the words of transport, where those of a linear system would mislead.
_REMEDY = {
    Status.CONVERGED: "The recomputed marginal error meets the tolerance.",
    Status.MAXITER: (
        "The limit of steps was reached; raise {limits}, loosen `tol`, use a larger `eps`, or start from potentials "
        "near by with `x0`."
    ),
    Status.STAGNATED: (
        "Rounding keeps the marginal error above the tolerance; loosen `tol`, use a larger `eps`, or pass float64."
    ),
    Status.NONFINITE: (
        "The plan has left the range of its numbers, since C / eps is too large or `x0` too far; use a larger `eps`, "
        "rescale the costs, or pass no `x0`."
    ),
    Status.STOPPED: "The callback raised StopIteration; the potentials are those at that moment.",
}


def sentence(status, method):
    """What a status means, and what to do about it."""
    limits = "`maxiter` or `max_newton_steps`" if method == "sinkhorn_newton_sparse" else "`maxiter`"
    return _REMEDY.get(status, status.sentence).format(limits=limits)


def chosen(method, newton_steps):
    """What came of ``sinkhorn``'s method: Newton's, or the sweeps that it begins with."""
    return "newton" if newton_steps else {"auto": "sor", "newton": "log"}.get(method, method)


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
        f and g in the units of C, with <a, f> = <b, g>; -inf where the weight is zero. These and the plan are arrays of
        the kind that C is, or the first cloud of points: NumPy's, CuPy's, torch's, ...
    plan : ndarray, shape (n, m)
        P_ij = exp((f_i + g_j - C_ij) / eps), made when it is first asked for.
    marginal_error : float
        The L1 error of both marginals relative to the mass, recomputed.
    iterations : int
        Sweeps; ``n_matvec`` is the same number: a sweep is to transport what a product with A is to a linear system.
    newton_steps : int
    choice : str or None
        Of ``sinkhorn``: "newton" where Newton's method took steps, else its sweeps: "sor", "log" or "scaling".
    mass, eps : float
        The total of the weights (of the plan, where the weights may give), and the regularisation.
    """

    _not_in_dict = frozenset(("potentials", "_problem", "_plan"))
    _answer = "plan"

    value: float
    regularized_value: float
    dual_value: float
    mass: float
    eps: float

    def __init__(self, *, problem: Any, newton_steps: int, **fields: Any) -> None:
        super().__init__(**fields)
        self.newton_steps, self.eps = newton_steps, problem.reg
        f, g = problem.potentials()
        self.potentials: tuple[NDArray[Any], NDArray[Any]] = problem.leave(f), problem.leave(g)
        self._problem, self._plan = problem, None
        with np.errstate(all="ignore"):  # values may be beyond numbers where costs are, or prices
            self.value, self.regularized_value, self.dual_value, self.mass = problem.objectives(f, g)

    @property
    def marginal_error(self) -> float:
        """The L1 error of both marginals relative to the mass, recomputed: ``residual`` by its name."""
        return self.residual

    @property
    def message(self) -> str:
        """One line: how it ended, with what error, and what to do about it."""
        remedy = sentence(self.status, self.method)
        if self.converged:
            return f"{self!r}: {remedy}"
        error = f"marginal error {self.residual:.1e}, asked for {self.threshold:.1e}"
        return f"{self.method} {self.status}: {error}. {remedy}"

    @property
    def plan(self) -> NDArray[Any]:
        """P of shape (n, m); it owns its memory."""
        if self._plan is None:
            with self._problem.place():
                self._plan = self._problem.leave(self._problem.plan())
        return self._plan

    @property
    def grad_cost(self) -> NDArray[Any]:
        """The derivative of ``regularized_value`` by C, shape (n, m): at the optimum, the plan itself (Danskin)."""
        return self.plan

    @property
    def grad_points(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The derivatives of ``regularized_value`` by the points of a ``PointCloud``, of shapes (n, d) and (m, d).

        They are as near to those of the optimum as the plan; a pair of equal points adds nothing, also where the
        distance has a kink there. Computed anew at each access, in one pass over the pairs and O((n + m) d) memory.

        Raises
        ------
        InvalidInput
            If the costs were a matrix.

        Examples
        --------
        >>> import numpy as np
        >>> from solvers import transport
        >>> X, Y = np.zeros((1, 2)), np.array([[3.0, 4.0]])
        >>> dX, dY = transport.sinkhorn(transport.PointCloud(X, Y), eps=0.1).grad_points
        >>> dX
        array([[-6., -8.]])

        In torch, as a function with a derivative (an operation of JAX is made likewise, with ``jax.custom_vjp``)::

            class Transport(torch.autograd.Function):
                @staticmethod
                def forward(ctx, X, Y, eps):
                    cloud = transport.PointCloud(X.detach(), Y.detach())
                    result = transport.sinkhorn(cloud, eps=eps, tol=1e-8).check()
                    ctx.save_for_backward(*result.grad_points)
                    return X.new_tensor(result.regularized_value)

                @staticmethod
                def backward(ctx, grad):
                    dX, dY = ctx.saved_tensors
                    return grad * dX, grad * dY, None

            loss = Transport.apply(X, Y, 0.01)

        ``grad_cost`` serves in the same way where C is the variable.
        """
        with self._problem.place():
            return point_gradients(self._problem)

    def sparse_plan(self, threshold: float = 1e-12) -> Any:
        """Return the entries of P of at least ``threshold`` times the mass as a ``csr_array``.

        It is SciPy's, or cupyx's where the costs came from the GPU.
        """
        problem, threshold = self._problem, _checks.number("threshold", threshold, 0.0)
        with problem.place():
            # A relaxed plan may sum to less than the smallest number.
            parts = problem.sparse_plan(threshold * (self.mass / problem.mass if problem.mass else 1.0))
            if problem.stays:
                from cupyx.scipy.sparse import csr_array
            else:
                from scipy.sparse import csr_array

                parts = tuple(map(problem.kernels.to_host, parts))
            return csr_array(parts, shape=problem.shape)

    def round(self) -> NDArray[Any]:
        """Return a plan with exactly the marginals a and b, near P (Altschuler, Weed & Rigollet 2017, algorithm 2)."""
        problem = self._problem
        if problem.relaxed:
            raise InvalidInput(
                "`round` needs a plan whose marginals are to be exactly a and b, got one of unbalanced or partial "
                "transport; use `plan` as it is."
            )
        with problem.place():
            return problem.leave(_rounded(problem, problem.plan().astype(np.float64, copy=False)))

    def plot(self, ax: Any = None) -> Any:
        """Draw the marginal error over the sweeps; returns the axes."""
        ax = super().plot(ax)
        ax.set(xlabel="step", ylabel="marginal error (L1)")
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


def _rounded(problem, P):
    xp = problem.xp
    a, b = problem.spread(problem.a, 0) * problem.mass, problem.spread(problem.b, 1) * problem.mass
    for axis, target in ((1, a), (0, b)):
        sums = P.sum(axis=axis)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = xp.where(sums > target, target / sums, 1.0)
        P *= factor[:, None] if axis == 1 else factor
    missing_rows, missing_columns = xp.maximum(a - P.sum(axis=1), 0), xp.maximum(b - P.sum(axis=0), 0)
    total = float(missing_rows.sum())
    return P + missing_rows[:, None] * (missing_columns / total) if total > 0 else P
