"""What PDE solvers return: coefficients of a basis, which can be evaluated anywhere in the box."""

import numpy as np

from .. import _checks
from .._errors import InvalidInput
from .._plot import pyplot
from .._result import Result, Status
from ..linalg._kron import mode_products

__all__ = ["GPSolution"]

_REMEDY = {
    Status.MAXITER: "Refinement or Newton's method came to its limit; raise `n` or `maxiter`, loosen `tol`, or give "
    "`kernel` frequencies nearer the solution's.",
    Status.STAGNATED: "Rounding, or what the basis cannot represent, keeps the estimate above `tol`; loosen `tol`.",
    Status.BREAKDOWN: "The equation with these sides has no single solution to working precision; give `bc` values "
    "at a side, or move a coefficient away from the resonance.",
    Status.INCONSISTENT: "Derivatives at all sides leave a constant free, and `f` does not balance them, so that there "
    "is no solution; u is that of the balanced part: subtract the excess from `f`, or give `bc` values at a side.",
    Status.DIVERGED: "Newton's method found no solution from that of the linear problem, nor by continuation; u is the "
    "last iterate: check `dN_du`, or solve a neighbouring problem first.",
    Status.STOPPED: "The callback raised StopIteration; u is the best so far.",
}


class GPSolution(Result):
    """The posterior mean of a Gaussian process that obeys a differential equation.

    Attributes
    ----------
    u : ndarray, shape (n_1, ..., n_d)
        The solution at the nodes.
    axes : tuple of ndarray, shapes (n_i,)
        The nodes.
    error_estimate : float
        Of the relative error of u in the mean square: what ``tol`` was held against.
    estimate : Estimate
        Its parts.
    frequencies : tuple of ndarray
        Of each axis' features, in radians per unit of length.
    solver : str
        What solved the linear equations: "least squares", "sylvester" or "gmres".
    iterations : int
        Newton steps, or steps of GMRES where the problem is linear.
    n_matvec : int
        Products with the operator.
    residuals : ndarray
        The estimate after each refinement.
    residual : float
        The norm of the residual between the nodes, relative to the terms of the equation.
    """

    _not_in_dict = frozenset(("u", "axes", "frequencies", "estimate", "_grid", "_U", "_state"))

    def __init__(self, *, grid, U, estimate, solver, **fields):
        super().__init__(**fields)
        self._grid, self._U, self.estimate, self.solver = grid, U, estimate, solver
        self.axes = tuple(axis.x.copy() for axis in grid.axes)
        self.u = mode_products([axis.at(axis.x) for axis in grid.axes], U)
        self.frequencies = grid.frequencies

    @property
    def error_estimate(self):
        """The estimated relative error of u in the mean square."""
        return self.estimate.error

    @property
    def message(self):
        """One line: how it ended, with what estimate, and what to do about it."""
        sentence = _REMEDY.get(self.status, self.status.sentence)
        if self.status is Status.CONVERGED:
            return f"{self!r}: The estimated error meets the tolerance."
        asked = f"error estimate {self.error_estimate:.1e}, asked for {self.threshold:.1e}"
        return f"{self.method} {self.status}: {asked}. {sentence}"

    def predict(self, points, derivative=None):
        """Evaluate the solution or one of its derivatives.

        Parameters
        ----------
        points : array_like, shape (m, d), or tuple of d arrays
            Points in the box; or the coordinates of a grid, one array for each axis.
        derivative : tuple of int, optional
            The order along each axis; none by default.

        Returns
        -------
        ndarray, shape (m,), or (m_1, ..., m_d) for a grid

        Raises
        ------
        InvalidInput
            For points outside the box: nothing is known there.
        """
        d = self._grid.d
        orders = self._orders(derivative)
        if isinstance(points, tuple):
            if len(points) != d:
                raise InvalidInput(f"`points` must be a tuple of {d} coordinate arrays, got {len(points)}.")
            axes = [self._inside(i, np.atleast_1d(_checks.real_array(f"points[{i}]", x))) for i, x in enumerate(points)]
            return mode_products([a.at(x, k) for a, x, k in zip(self._grid.axes, axes, orders, strict=True)], self._U)
        points = _checks.real_array("points", points)
        points = points[:, None] if points.ndim == 1 and d == 1 else points
        if points.ndim != 2 or points.shape[1] != d:
            raise InvalidInput(f"`points` must have shape (m, {d}), or be a tuple of {d} arrays, got {points.shape}.")
        bases = [a.at(self._inside(i, points[:, i]), orders[i]) for i, a in enumerate(self._grid.axes)]
        values = np.tensordot(bases[0], self._U, (1, 0))
        for basis in bases[1:]:
            values = np.einsum("mr,mr...->m...", basis, values)
        return values

    def _orders(self, derivative):
        d = self._grid.d
        if derivative is None:
            return (0,) * d
        orders = derivative if isinstance(derivative, tuple | list) else (derivative,)
        if len(orders) != d:
            raise InvalidInput(f"`derivative` must have {d} orders, got {derivative!r}.")
        return tuple(_checks.count(f"derivative[{i}]", k, 0) for i, k in enumerate(orders))

    def _inside(self, i, x):
        low, high = self._grid.box[i]
        slack = 1e-12 * (high - low)
        outside = (x < low - slack) | (x > high + slack) | ~np.isfinite(x)
        if x.ndim != 1 or np.any(outside):
            where = x[outside][0] if x.ndim == 1 else x.shape
            raise InvalidInput(f"`points` must lie in the box, from {low:g} to {high:g} on axis {i}, got {where!r}.")
        return x.astype(np.float64)

    def plot(self, ax=None):
        """Draw the solution, on a line as a curve, else as a map (in three dimensions of the middle slice)."""
        ax = pyplot().subplots(figsize=(6, 4), layout="constrained")[1] if ax is None else ax
        if self._grid.d == 1:
            x = np.linspace(*self._grid.box[0], 2000)
            ax.plot(x, self.predict((x,)), linewidth=1)
            ax.set(xlabel="x", ylabel="u", title=repr(self))
            return ax
        fine = [np.linspace(*side, 400) for side in self._grid.box[:2]]
        middle = [np.array([0.5 * sum(side)]) for side in self._grid.box[2:]]
        image = self.predict((*fine, *middle)).reshape(400, 400).T
        ax.imshow(image, origin="lower", extent=[e for side in self._grid.box[:2] for e in side], aspect="auto")
        ax.set(xlabel="x", ylabel="y", title=repr(self))
        return ax

    def __repr__(self):
        size = " x ".join(str(n) for n in self._grid.sizes)
        return (
            f"GPSolution({self.status}, error estimate {self.error_estimate:.1e}, {size} nodes, {self.solver}, "
            f"{self.backend})"
        )
