"""What a sliced distance is: an estimate with its error bar."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _checks
from .._errors import InvalidInput
from .._plot import pyplot
from .._result import Result, Status

__all__ = ["SlicedResult"]


class SlicedResult(Result):
    """A sliced Wasserstein distance, its standard error, and how it was found.

    Attributes
    ----------
    distance : float
        ``power ** (1 / p)``. Its mean is a little low, by the root.
    power : float
        SW_p^p. Never negative, and for p = 2 within ``bounds``, whatever the control; only the mean along your own
        directions without a control is left as it is.
    unclipped_power : float
        The same before it was brought there: the quantity that is unbiased where the coefficient is a number.
    standard_error, power_standard_error : float
        Of ``distance`` (by the delta method) and of ``power``.
    p : float
    bounds : (float, float) or None
        What the true ``distance`` is between for p = 2, known without projections; None for other p.
    n_projections : int
        Directions that the estimate rests on.
    directions : str
        "iid", "orthogonal", "spiral", "lattice", "sobol", "own", or "exact" where nothing is random.
    n_rotations : int
        Independent sets among the directions, from which the error bar is made.
    control : str or None
        The control variate.
    coefficient : float, tuple of float, or None
        What the control was multiplied by. Least squares on harmonics: None, there are many.
    variance_ratio : float
        Estimated variance of plain Monte Carlo with as many directions, over that of ``power``.
    values : ndarray, shape (n_projections,)
        W_p^p along each direction.
    grad_X, grad_Y : ndarray, shapes (n, d) and (m, d), or None
        Derivatives of ``unclipped_power``, for ``grad=True``.
    iterations : int
        Rounds of doubling; ``residuals`` are the standard errors after each, ``residual`` is the last,
        ``threshold`` what it had to meet, ``n_matvec`` the projections computed in all.
    """

    _not_in_dict = frozenset(("grad_X", "grad_Y", "_known"))
    _answer = "distance"

    distance: float
    power: float
    unclipped_power: float
    power_standard_error: float
    p: float
    bounds: tuple[float, float] | None
    n_projections: int
    directions: str
    n_rotations: int
    control: str | None
    coefficient: float | tuple[float, ...] | None
    variance_ratio: float
    values: NDArray[Any]
    grad_X: "NDArray[Any] | Any"
    grad_Y: "NDArray[Any] | Any"

    def __init__(self, *, facts: dict[str, Any], **fields: Any) -> None:
        super().__init__(**fields)
        self._known = facts.pop("known")
        self.__dict__.update(facts)

    @property
    def standard_error(self) -> float:
        """The standard error of ``distance``: ``residual`` by its name."""
        return self.residual

    def confidence_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return an interval that holds the true distance with probability ``level``.

        Student's t on ``power``, with one degree of freedom less than there are independent sets (or directions);
        what is known beyond doubt cuts it.
        """
        from scipy.special import stdtrit

        level = _checks.number("level", level)
        if not 0.0 < level < 1.0:
            raise InvalidInput(f"`level` must be between 0 and 1, got {level!r}.")
        least, most, freedom = self._known
        reach = stdtrit(freedom, (1 + level) / 2) * self.power_standard_error if self.power_standard_error else 0.0
        ends = min(max(self.power - reach, least), most), max(min(self.power + reach, most), least)
        return tuple(float(end) ** (1 / self.p) for end in ends)

    @property
    def message(self) -> str:
        """One line: how it ended, and what to do about it."""
        if self.status is Status.CONVERGED:
            return f"{self!r}: {self._met()}"
        if self.status is Status.STOPPED:
            remedy = "The callback raised StopIteration; the estimate is the one at that moment."
        elif self.directions == "own":
            remedy = "Pass more directions, or loosen the tolerance."
        else:
            remedy = "Raise `max_projections`, or loosen the tolerance."
        return (
            f"{self.method} {self.status}: standard error {self.residual:.1e} after {self.n_projections} projections, "
            f"asked for {self.threshold:.1e}. {remedy}"
        )

    def _met(self):
        if self.directions == "exact":
            return "Nothing here is random."
        return "The standard error meets the tolerance." if math.isfinite(self.threshold) else "No tolerance was set."

    def plot(self, ax: Any = None) -> Any:
        """Draw the distances (p-th powers) along the directions as a histogram, with the estimate; returns the axes."""
        ax = pyplot().subplots(figsize=(6, 4), layout="constrained")[1] if ax is None else ax
        if self.values.size:
            ax.hist(self.values, bins="auto" if np.ptp(self.values) > 0 else 1, color="0.8")
        low, high = (end**self.p for end in self.confidence_interval())
        ax.axvspan(low, high, alpha=0.3)
        ax.axvline(self.power)
        ax.set(xlabel=f"W_p^p along a direction, p = {self.p:g}", ylabel="directions", title=repr(self))
        return ax

    def __repr__(self):
        state = "" if self.converged else f"{self.status}, "
        if self.directions == "exact":
            return f"SlicedResult(distance {self.distance:.6g}, exact, {self.backend})"
        return (
            f"SlicedResult({state}distance {self.distance:.6g} +- {self.standard_error:.1e}, {self.n_projections} "
            f"projections, {self.directions} directions, {self.control or 'no'} control, {self.backend})"
        )
