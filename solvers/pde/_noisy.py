"""solve_gp where the source has noise, by the symmetric form; and what a solution without noise has of a posterior."""

import numpy as np

from .. import _checks
from .._errors import InvalidInput
from .._tensors import mode_products
from ._estimate import Estimate
from ._evidence import DECAYS, Rest, fit
from ._grid import Grid
from ._plan import side_lines
from ._posterior import Posterior, noisy_kernels, posterior
from ._sampling import peaks, spectrum
from ._source import nodes
from ._weak import Modes, require, smooth_lifts

__all__ = ["checked_noise", "interpolated", "kernels_for", "solve_noisy"]

# Data at the sides below this part of the values (times the square of a length) is rounding.
_ROUNDING = 1e-12
# Deviations whose fourth powers stay in the range of float64, and the fewest nodes of an axis.
_LOUDEST, _FEWEST = 1e60, 8


def checked_noise(noise):
    """None, "auto" or a positive number."""
    if noise is None or isinstance(noise, str):
        return noise if noise is None else _checks.choice("noise", noise, ("auto",))
    noise = _checks.positive("noise", noise)
    if not 1.0 / _LOUDEST <= noise <= _LOUDEST:
        raise InvalidInput(f"`noise` must be from {1 / _LOUDEST:g} to {_LOUDEST:g}, got {noise!r}; take other units.")
    return noise


def kernels_for(values, kernels, box, boundary, kind):
    """The user's kernels, or those that values with noise at the nodes, and the data at the sides, show."""
    if kernels is not None:
        return kernels
    found, size = [], float(np.ptp(values))
    for axis, (low, high) in enumerate(box):
        # What is zero but for rounding has a periodogram too.
        lines = side_lines(boundary, box, axis)
        lines = [line for line in lines if np.ptp(line) > _ROUNDING * max(size * (high - low) ** 2, np.ptp(lines))]
        found.append(peaks([spectrum(line) for line in lines], high - low))
    return noisy_kernels(values, box, found, kind)


def solve_noisy(problem, kernels, noise):
    """The grid, the coefficients of the posterior's mean, its Posterior and an Estimate.

    Parameters
    ----------
    problem : as ``solve_gp`` checks it
    kernels : sequence of kernels or None
    noise : float or "auto"
    """
    terms, boundary, sizes = problem.terms, problem.boundary, problem.plan.fixed
    require("noise", terms, boundary, problem.N)
    if sizes is None:
        raise InvalidInput("`n` must be given with `noise`, as every node is a measurement, got 'auto'.")
    if min(sizes) < _FEWEST:
        raise InvalidInput(f"`n` must be >= {_FEWEST} with `noise`, got {min(sizes)}.")
    F = np.asarray(problem.f(np.ix_(*nodes(problem.box, sizes, grid=problem.grid))))
    kernels_ = kernels_for(F, kernels, problem.box, boundary, problem.grid)
    grid = Grid(problem.box, sizes, kernels_, boundary, terms, problem.grid)
    lift = grid.lifted(smooth_lifts(grid))
    values = F - grid.apply(terms.constant, lift) / grid.root
    known = None if noise == "auto" else noise
    p = posterior(grid, values, lambda modes: modes.symbol(terms.constant), known, kernels is None)
    U = lift + p.modes.coefficients(p.mean)
    return grid, U, p, _estimate(grid, terms, F, U, p)


def _estimate(grid, terms, F, U, p):
    """Relative to u in the mean square over the box: what the posterior leaves, and the gap at the sides."""
    zero = (0,) * grid.d
    u, std = grid.apply({zero: 1.0}, U), grid.root * p.std([axis.x for axis in grid.axes], zero)
    size = max(float(np.linalg.norm(u)), 1e-300)
    gap, data = grid.at_sides(U)
    left = float(np.linalg.norm(std)) / size
    sides = gap / max(size / float(np.linalg.norm(grid.root)), data)
    residual = float(np.linalg.norm(grid.root * F - grid.apply(terms.constant, U)))
    most = max(float(np.linalg.norm(grid.root * F)), 1e-300)
    return Estimate(left + sides, left, 0.0, sides, 0.0, residual / most)


def interpolated(grid, constant, U, residual):
    """The Posterior of a solution without noise: the residual between the nodes is taken for it.

    Parameters
    ----------
    grid : Grid
    constant : dict, multi-index to float
        The operator.
    U : ndarray
        The solution's coefficients.
    residual : float
        Relative to the size of the operator's terms.
    """
    modes = Modes(grid, at_nodes=True)
    lift = grid.lifted(smooth_lifts(grid))
    gain = modes.symbol(constant)
    z = gain * mode_products([test.T for test in modes.test], U - lift)
    terms = sum(np.abs(grid.apply({index: c}, U) / grid.root) for index, c in constant.items())
    noise = max(residual, np.finfo(float).eps) * max(float(np.sqrt(np.mean(terms**2))), 1e-300)
    d = modes.noise()
    found = fit(z, gain, modes.prior, modes.values, d, Rest(0.0, 0.0, 1.0), noise, DECAYS)
    return Posterior(modes, z, gain, found, d)
