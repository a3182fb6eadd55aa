"""The source of an equation from noisy values of its solution."""

import time
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import InvalidInput
from .._loop import ended
from .._plot import axes_or_new
from .._result import Result, Status
from .._types import Box, DifferentialOperator, Sides
from ._boundary import Boundary
from ._grid import Grid
from ._kernels import SpectralMixture, of_each_axis
from ._noisy import checked_noise, kernels_for
from ._operators import Terms
from ._points import drawn, evaluated, points_of
from ._posterior import posterior
from ._sampling import evaluate, real
from ._source import checked_box
from ._weak import smooth_lifts

__all__ = ["SourceEstimate", "infer_source", "observed", "smoothed"]


def infer_source(
    op: DifferentialOperator,
    u_obs: ArrayLike,
    box: Box,
    bc: Sides,
    *,
    noise: float | str = "auto",
    kernel: str | SpectralMixture | Sequence[str | SpectralMixture] = "auto",
    grid: str = "uniform",
) -> "SourceEstimate":
    """Estimate f = op(u) from values of u with noise, and say how far to trust it.

    Parameters
    ----------
    op : mapping, multi-index to number or callable
        The linear operator, as in ``solve_gp``; here of any kind.
    u_obs : array_like, shape (n_1, ..., n_d)
        u at the nodes, ``pde.nodes(box, n, grid=grid)``, with independent noise of one variance.
    box : sequence of (low, high)
    bc : callable, number or mapping
        What is known of u at the sides, without noise, as in ``solve_gp``; None for a side where nothing is.
    noise : "auto" or float > 0, default "auto"
        The standard deviation of the noise, in the unit of u; "auto" finds it by the evidence.
    kernel : "auto", kernel, or sequence of kernels, default "auto"
        The prior of u. "auto" is a band as far as the grid goes and the peaks that stand out of the noise, with a
        scale and a rate of decay by the evidence.
    grid : {"uniform", "legendre"}, default "uniform"

    Returns
    -------
    SourceEstimate
        ``f`` and ``std`` at the nodes, ``predict``, the smoothed ``u``, ``noise``.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError.

    Notes
    -----
    u is the data at the sides and a sum of c_k phi_k, eigenfunctions of -Delta with variances alpha p_k; its posterior
    given u_obs is independent from mode to mode, with mean c_k and variance v_k, and f = op(u) has the variance
    sum_k v_k (op phi_k)^2, which is one product along the axes for each pair of terms of op. Differentiation makes of
    noise of frequency w some w^2 of it: what the data cannot tell is left to the prior, and is in ``std``. Second
    derivatives of the phi_k are -lambda_k phi_k and vanish at sides with values, so that f rings near a side where the
    true one differs from that of the data at the sides; ``std`` is trustworthy some wavelengths of the noise inside.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import pde
    >>> x, = pde.nodes([(0, 1)], 200, grid="uniform")
    >>> u = np.sin(np.pi * x) + 1e-3 * np.random.default_rng(0).standard_normal(200)
    >>> found = pde.infer_source({(2,): 1.0}, u, [(0, 1)], 0)
    >>> bool(np.max(np.abs(found.f + np.pi**2 * np.sin(np.pi * x))) < 0.5)
    True
    """
    start = time.perf_counter()
    box = checked_box(box)
    terms, boundary = Terms(op, len(box)), Boundary(bc, box)
    kind = _checks.choice("grid", grid, ("legendre", "uniform"))
    noise = checked_noise("auto" if noise is None else noise)
    u_obs = observed("u_obs", u_obs, len(box))
    lift, p, grid = smoothed(u_obs, terms, boundary, box, of_each_axis(kernel, len(box)), kind, noise)
    u = grid.apply({(0,) * grid.d: 1.0}, lift + p.modes.coefficients(p.mean)) / grid.root
    misfit = [float(np.sqrt(np.mean(np.square(r)))) for r in (u_obs, u_obs - u)]
    result = SourceEstimate(
        grid=grid, lift=lift, u=u, terms=terms, posterior=p, iterations=p.fit.steps, residuals=np.array(misfit),
        status=Status.CONVERGED if p.fit.converged else Status.MAXITER, residual=misfit[-1], threshold=np.inf,
        n_matvec=0, seconds=time.perf_counter() - start, backend="cpu", method="infer_source",
    )  # fmt: skip
    return ended(None, result)


def observed(name, values, d):
    """Values at the nodes, as a new array of float64."""
    values = real(name, values)
    if values.ndim != d or min(values.shape) < 8:
        raise InvalidInput(
            f"`{name}` must hold values at the nodes, {d} axes of at least 8 as `box` has {d} dimensions, got shape "
            f"{values.shape}."
        )
    return values


def smoothed(u_obs, terms, boundary, box, kernels, kind, noise):
    """The coefficients of what the data at the sides make of u, the Posterior of the rest, and the grid."""
    chosen = kernels_for(u_obs, kernels, box, boundary, kind)
    grid = Grid(box, u_obs.shape, chosen, boundary, terms, kind)
    lift = grid.lifted(smooth_lifts(grid))
    values = u_obs - grid.apply({(0,) * grid.d: 1.0}, lift) / grid.root
    known = None if noise == "auto" else noise
    p = posterior(grid, values, lambda modes: np.ones(modes.shape), known, kernels is None)
    return lift, p, grid


class SourceEstimate(Result):
    """The posterior of a source given noisy values of the solution.

    Attributes
    ----------
    f, std : ndarray, shape (n_1, ..., n_d)
        The mean at the nodes, and the standard deviation.
    u : ndarray, shape (n_1, ..., n_d)
        The values without their noise.
    axes : tuple of ndarray, shapes (n_i,)
        The nodes.
    noise : float
        The standard deviation of the noise, given or found.
    evidence : float
        The logarithm of the probability of the data.
    residuals : ndarray, shape (2,)
        The root mean square of u_obs, and of u_obs - u.
    residual : float
        The latter.
    iterations : int
        Steps of the ascent of the evidence.
    """

    _not_in_dict = frozenset(("f", "std", "u", "axes", "_grid", "_lift", "_terms", "_posterior"))
    _answer = "f"

    def __init__(
        self, *, grid: Any, lift: Any, u: NDArray[Any], terms: Any, posterior: Any, **fields: Any
    ) -> None:
        super().__init__(**fields)
        self._grid, self._lift, self._terms, self._posterior, self.u = grid, lift, terms, posterior, u
        self.axes: tuple[NDArray[Any], ...] = tuple(axis.x.copy() for axis in grid.axes)
        self.noise: float = posterior.fit.noise
        self.evidence: float = posterior.fit.evidence
        self.f, self.std = self.predict(self.axes, return_std=True)

    @overload
    def predict(self, points: ArrayLike, return_std: Literal[False] = False) -> NDArray[Any]: ...
    @overload
    def predict(self, points: ArrayLike, return_std: Literal[True]) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def predict(self, points, return_std=False):
        """Evaluate the source.

        Parameters
        ----------
        points : array_like, shape (m, d), or tuple of d arrays
            Points in the box; or the coordinates of a grid, one array for each axis.
        return_std : bool, default False
            Also return the standard deviation.

        Returns
        -------
        ndarray, shape (m,), or (m_1, ..., m_d) for a grid; a pair of them with ``return_std``
        """
        return_std = _checks.flag("return_std", return_std)
        x, scattered = points_of(points, self._grid.box)
        mesh = x if scattered else np.ix_(*x)
        terms = self._terms.constant | {k: evaluate(f"op[{k}]", c, mesh) for k, c in self._terms.varying.items()}
        at = {index: self._modes(x, index) for index in terms}
        f, mean = 0.0, self._posterior.mean
        for index, c in terms.items():
            bases = [axis.at(xi, k) for axis, xi, k in zip(self._grid.axes, x, index, strict=True)]
            f = f + c * (evaluated(bases, self._lift, scattered) + evaluated(at[index], mean, scattered))
        if not return_std:
            return f
        variance = 0.0
        for i, first in terms.items():
            for j, second in terms.items():
                products = [a * b for a, b in zip(at[i], at[j], strict=True)]
                variance = variance + first * second * evaluated(products, self._posterior.variance, scattered)
        return f, np.sqrt(np.maximum(variance, 0.0))

    def _modes(self, x, index):
        """Derivatives of the modes along each axis, the second by -lambda where both ends are known."""
        modes = self._posterior.modes
        twice = [k // 2 if len(axis.ends) == 2 else 0 for k, axis in zip(index, self._grid.axes, strict=True)]
        at = modes.at(x, [k - 2 * t for k, t in zip(index, twice, strict=True)])
        return [a * (-values) ** t for a, values, t in zip(at, modes.values, twice, strict=True)]

    @property
    def message(self) -> str:
        """One line: how it ended."""
        if self.converged:
            return f"{self!r}: The evidence is at its maximum, and `std` says what the noise leaves of f unknown."
        return f"{self!r}: The evidence was still rising; give `noise`, or more values."

    def plot(self, ax: Any = None) -> Any:
        """Draw the source, on a line with twice its standard deviation, else as a map (in 3D of the middle slice)."""
        ax = axes_or_new(ax)
        if self._grid.d > 1:
            return drawn(ax, self, self._grid.box)
        (x,) = self.axes
        ax.fill_between(x, self.f - 2 * self.std, self.f + 2 * self.std, alpha=0.3, linewidth=0)
        ax.plot(x, self.f, linewidth=1)
        ax.set(xlabel="x", ylabel="f", title=repr(self))
        return ax

    def __repr__(self):
        size = " x ".join(map(str, self._grid.sizes))
        return f"SourceEstimate({self.status}, noise {self.noise:.2e}, {size} nodes, {self.backend})"
