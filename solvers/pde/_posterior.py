"""What data with noise leave unknown, mode by mode."""

import numpy as np

from .._tensors import mode_products
from ._axis import nodes_of
from ._evidence import DECAYS, Rest, fit
from ._kernels import Automatic
from ._points import evaluated
from ._sampling import blackman, peaks
from ._weak import Modes

__all__ = ["Posterior", "noisy_kernels", "posterior", "rest_of"]

# Low frequencies of a prior for noisy data: as many as its grid holds. A peak stands out of noise from here on.
_BAND, _PEAK = 600, 12.0


class Posterior:
    """Independent normal distributions of the coefficients of modes.

    Attributes
    ----------
    modes : Modes
    mean, variance : ndarray, shape (k_1, ..., k_d)
        alpha p g z / v and alpha p s^2 d / v, with v = alpha p g^2 + s^2 d.
    fit : Fit
    """

    def __init__(self, modes, z, gain, fit, d):
        noise = fit.noise**2 * d
        total = fit.prior * gain**2 + noise
        self.modes, self.fit = modes, fit
        self.mean, self.variance = fit.prior * gain / total * z, fit.prior * (noise / total)

    def std(self, points, orders, scattered=False):
        """The standard deviation of a derivative of u on the grid of some points of each axis, or at points.

        std^2 = (E_1 o E_1) x ... x (E_d o E_d) V, E_i the modes at the points, o the product of entries.
        """
        E = [np.square(e) for e in self.modes.at(points, orders)]
        return np.sqrt(evaluated(E, self.variance, scattered))


def posterior(grid, values, gain_of, noise, automatic):
    """The posterior given values at the nodes with independent noise.

    Parameters
    ----------
    grid : Grid
    values : ndarray, shape (n_1, ..., n_d)
        Of what is zero at the sides: its source, or itself.
    gain_of : callable
        What turns Modes into the number that each mode is multiplied by in the values.
    noise : float or None
        The standard deviation of the noise; None to estimate it.
    automatic : bool
        Whether the prior may decay faster than the kernel says.
    """
    modes = Modes(grid, at_nodes=True)
    z, gain, d = modes.analyse(values), gain_of(modes), modes.noise()
    found = fit(z, gain, modes.prior, modes.values, d, rest_of(grid, values), noise, _decays(automatic))
    return Posterior(modes, z, gain, found, d)


def _decays(automatic):
    return DECAYS if automatic else DECAYS[:1]


def rest_of(grid, values):
    """What of the values is outside the basis, its degrees of freedom, and what they have of noise of variance one."""
    weighted = grid.root * values
    inside = mode_products([axis.Q.T for axis in grid.axes], weighted)
    squares = max(float(np.vdot(weighted, weighted) - np.vdot(inside, inside)), 0.0)
    all_of_it, of_basis, count, dimension = 1.0, 1.0, 1.0, 1.0
    for axis in grid.axes:
        all_of_it *= float(axis.w.sum())
        of_basis *= float(np.sum(axis.Q**2 * axis.w[:, None]))
        count, dimension = count * axis.n, dimension * axis.r
    left = count - dimension
    if left < 1.0 or squares == 0.0:
        return Rest(0.0, 0.0, 1.0)
    return Rest(squares, left, (all_of_it - of_basis) / left)


def noisy_kernels(values, box, sides, kind):
    """A prior for values with noise at the nodes: a band as far as they go, and peaks that stand out of the noise.

    Parameters
    ----------
    values : ndarray, shape (n_1, ..., n_d)
    box : list of (low, high)
    sides : list of ndarray
        The peaks that the data at the sides show along each axis.
    kind : "legendre" or "uniform"
    """
    kernels = []
    for i, (low, high) in enumerate(box):
        x, w = nodes_of(low, high, values.shape[i], kind)
        t = (x - low) / (high - low)
        most = int(0.98 * (high - low) / (2.0 * np.diff(x).max()))
        waves = np.exp(-2j * np.pi * np.multiply.outer(np.arange(most + 1), t)) * (blackman(t) * w)
        lines = np.moveaxis(values, i, 0).reshape(x.size, -1)
        power = np.mean(np.abs(waves @ lines) ** 2, axis=1)
        level = _PEAK * float(np.median(power))
        found = peaks([np.sqrt(np.where(power > level, power, 0.0))], high - low)
        kernels.append(Automatic(np.union1d(found, sides[i]), _BAND))
    return kernels
