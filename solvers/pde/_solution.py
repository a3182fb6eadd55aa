"""What PDE solvers return: coefficients of a basis, which can be evaluated anywhere in the box."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import UnsupportedType
from .._plot import axes_or_new
from .._result import Result, Status
from .._tensors import mode_products
from ._noisy import interpolated
from ._points import drawn, evaluated, orders_of, points_of

__all__ = ["GPSolution"]

_REMEDY = {
    Status.MAXITER: "Refinement or Newton's method came to its limit; raise `n` or `maxiter`, loosen `tol`, or give "
    "`kernel` frequencies nearer the solution's; values in the place of a function `f` are those at `grid`'s nodes.",
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
    choice : str
        What solved the linear equations: "least squares", "sylvester" or "gmres".
    iterations : int
        Newton steps, or steps of GMRES where the problem is linear.
    n_matvec : int
        Products with the operator.
    residuals : ndarray
        The estimate after each refinement.
    residual : float
        The norm of the residual between the nodes, relative to the terms of the equation.
    noise, evidence : float or None
        The standard deviation of the noise of f, given or found, and the logarithm of the probability of the data.
    """

    _answer = "u"
    _not_in_dict = frozenset(
        ("u", "axes", "frequencies", "estimate", "_grid", "_U", "_state", "_posterior", "_op", "_no_std")
    )

    def __init__(
        self, *, grid: Any, U: Any, estimate: Any, op: Any = None,
        no_std: str | None = "another method", posterior: Any = None, **fields: Any,
    ) -> None:  # fmt: skip
        super().__init__(**fields)
        self._op, self._no_std, self._posterior = op, no_std, posterior
        self.noise: float | None = None if posterior is None else posterior.fit.noise
        self.evidence: float | None = None if posterior is None else posterior.fit.evidence
        self._grid, self._U, self.estimate = grid, U, estimate
        self.axes: tuple[NDArray[Any], ...] = tuple(axis.x.copy() for axis in grid.axes)
        self.u: NDArray[Any] = mode_products([axis.at(axis.x) for axis in grid.axes], U)
        self.frequencies: tuple[NDArray[Any], ...] = grid.frequencies

    def __getstate__(self):
        if self._no_std is None:
            # From the data at the sides, which the grid leaves behind.
            self._unknown()
        return self.__dict__.copy()

    @property
    def error_estimate(self) -> float:
        """The estimated relative error of u in the mean square."""
        return self.estimate.error

    @property
    def message(self) -> str:
        """One line: how it ended, with what estimate, and what to do about it."""
        sentence = _REMEDY.get(self.status, self.status.sentence)
        if self.status is Status.CONVERGED:
            noisy = "The noise is in `std`, and what it leaves of u in the estimate."
            return f"{self!r}: {'The estimated error meets the tolerance.' if self.noise is None else noisy}"
        asked = f"error estimate {self.error_estimate:.1e}, asked for {self.threshold:.1e}"
        return f"{self.method} {self.status}: {asked}. {sentence}"

    @property
    def std(self) -> NDArray[Any]:
        """The standard deviation of u at the nodes, as ``predict`` gives it: shape (n_1, ..., n_d)."""
        return self.predict(self.axes, return_std=True)[1]

    @overload
    def predict(
        self, points: ArrayLike, derivative: Sequence[int] | None = None, return_std: Literal[False] = False
    ) -> NDArray[Any]: ...
    @overload
    def predict(
        self, points: ArrayLike, derivative: Sequence[int] | None = None, *, return_std: Literal[True]
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def predict(self, points, derivative=None, return_std=False):
        """Evaluate the solution or one of its derivatives.

        Parameters
        ----------
        points : array_like, shape (m, d), or tuple of d arrays
            Points in the box; or the coordinates of a grid, one array for each axis.
        derivative : tuple of int, optional
            The order along each axis, at most 6; none by default.
        return_std : bool, default False
            Also return the posterior's standard deviation.

        Returns
        -------
        ndarray, shape (m,), or (m_1, ..., m_d) for a grid; a pair of them with ``return_std``

        Raises
        ------
        InvalidInput
            For points outside the box: nothing is known there.
        UnsupportedType
            For the standard deviation of a problem that the symmetric form cannot do.

        Notes
        -----
        With ``noise`` the standard deviation is what the noise of f leaves unknown of u under the prior, with its scale
        and the noise held at what they were found to be. Without, it is what the interpolation leaves, with the
        residual between the nodes in the place of noise: positive, of the size of the error on a good day, and no
        bound for it; ``error_estimate`` is made to be one. Data at the sides are exact, so that it vanishes there.
        """
        orders, return_std = orders_of(derivative, self._grid.d), _checks.flag("return_std", return_std)
        x, scattered = points_of(points, self._grid.box)
        bases = [axis.at(xi, k) for axis, xi, k in zip(self._grid.axes, x, orders, strict=True)]
        values = evaluated(bases, self._U, scattered)
        return (values, self._unknown().std(x, orders, scattered)) if return_std else values

    def _unknown(self):
        if self._posterior is None:
            if self._no_std is not None:
                raise UnsupportedType(
                    "`return_std` must be False for what the symmetric form cannot do: it needs u and its unmixed "
                    f"second derivatives with constant coefficients and data at both sides, got {self._no_std}."
                )
            self._posterior = interpolated(self._grid, self._op, self._U, self.residual)
        return self._posterior

    def plot(self, ax: Any = None) -> Any:
        """Draw the solution, on a line as a curve, else as a map (in three dimensions of the middle slice)."""
        ax = axes_or_new(ax)
        if self._grid.d > 1:
            return drawn(ax, self, self._grid.box)
        x = np.linspace(*self._grid.box[0], 2000)
        ax.plot(x, self.predict((x,)), linewidth=1)
        ax.set(xlabel="x", ylabel="u", title=repr(self))
        return ax

    def __repr__(self):
        size = " x ".join(str(n) for n in self._grid.sizes)
        return (
            f"GPSolution({self.status}, error estimate {self.error_estimate:.1e}, {size} nodes, {self.choice}, "
            f"{self.backend})"
        )
