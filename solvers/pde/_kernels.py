"""Stationary kernels on a line in square-root form: as sums of cosines and sines with prior standard deviations.

A kernel with spectral density S is k(x - x') = sum_k s_k^2 cos(omega_k (x - x')), s_k^2 the weight of a quadrature rule
for S. Its features cos(omega_k x) and sin(omega_k x) have derivatives of every order by a factor and a shift of phase,
and a basis made of them goes down to rounding, where the Gram matrix of the same kernel stops at 1e-4 to 1e-7: its
condition number is the square.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from ._sampling import real

__all__ = ["Automatic", "Matern", "SpectralMixture", "SquaredExponential", "of_each_axis"]

# Gaussians are cut where they fall below rounding; and the tails of kernels at this part of what the nodes can carry,
# since as many unknowns as nodes would leave nothing to tell a solution from noise.
_TAIL, _SHARE = 8.5, 0.5
# Frequencies, lengths and variances beyond are none of a box that can be worked on.
_LARGEST = 1e30
# Features of one Matern component.
_MOST = 20000


class SpectralMixture:
    """sum_q w_q k_q(x - x') cos(omega_q (x - x')), k_q a squared exponential or a Matern kernel of its own length.

    Parameters
    ----------
    frequencies : array_like, shape (q,)
        omega_q >= 0 in radians per unit of length.
    scales : float or array_like, shape (q,)
        Lengths over which a component stays in phase, in the unit of length.
    weights : float or array_like, shape (q,), default 1
        Variances w_q > 0.
    envelope : {"gaussian", "matern"}, default "gaussian"
        k_q: exp(-d^2 / (2 l^2)), or the Matern kernel of smoothness 5/2.

    References
    ----------
    .. [1] A. Wilson, R. Adams, Gaussian process kernels for pattern discovery and extrapolation, ICML 2013.
    .. [2] S. Fang et al., Solving high frequency and multi-scale PDEs with Gaussian processes, ICLR 2024.

    Examples
    --------
    >>> from solvers import pde
    >>> pde.SpectralMixture([1.0, 100.0], scales=2.0)
    SpectralMixture(2 frequencies from 1 to 100)
    """

    def __init__(self, frequencies: ArrayLike, scales: ArrayLike, weights: ArrayLike = 1.0, envelope: str = "gaussian"):
        self.frequencies: NDArray[np.float64] = _row("frequencies", frequencies, least=0.0)
        self.scales: NDArray[np.float64] = _row("scales", scales, self.frequencies.size)
        self.weights: NDArray[np.float64] = _row("weights", weights, self.frequencies.size)
        self.envelope: str = _checks.choice("envelope", envelope, ("gaussian", "matern"))

    def features(self, length: float, limit: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """Frequencies and prior standard deviations for an interval of this length, up to the frequency ``limit``."""
        omegas, deviations = [], []
        for centre, scale, weight in zip(self.frequencies, self.scales, self.weights, strict=True):
            rule = _gaussian if self.envelope == "gaussian" else _matern
            offsets, variances = rule(scale, length, limit)
            omegas.append(np.abs(centre + offsets))
            deviations.append(np.sqrt(weight * variances))
        return np.concatenate(omegas), np.concatenate(deviations)

    def band_limit(self, length: float, limit: float) -> float:
        """The frequency beyond which an interval of this length has no features."""
        return float(self.features(length, limit)[0].max())

    def __repr__(self):
        low, high = self.frequencies.min(), self.frequencies.max()
        plural = "y" if self.frequencies.size == 1 else "ies"
        return f"SpectralMixture({self.frequencies.size} frequenc{plural} from {low:.4g} to {high:.4g})"


class SquaredExponential(SpectralMixture):
    """exp(-d^2 / (2 l^2)): one component of frequency zero.

    Parameters
    ----------
    length : float > 0
        l, in the unit of length.
    """

    def __init__(self, length: float):
        super().__init__([0.0], [_checks.positive("length", length)])

    def __repr__(self):
        return f"SquaredExponential({self.scales[0]:.4g})"


class Matern(SpectralMixture):
    """The Matern kernel of smoothness 5/2, (1 + t + t^2 / 3) exp(-t) with t = sqrt(5) d / l.

    Parameters
    ----------
    length : float > 0
        l, in the unit of length.
    """

    def __init__(self, length: float):
        super().__init__([0.0], [_checks.positive("length", length)], envelope="matern")

    def __repr__(self):
        return f"Matern({self.scales[0]:.4g})"


class Automatic:
    """A band of low frequencies, and a Gaussian around each peak above it, as wide as the interval is short.

    Parameters
    ----------
    peaks : ndarray
        Angular frequencies, such as a periodogram's, the most important first: of these as many are taken as leave a
        fifth of the nodes to tell a solution from noise by.
    band : int
        Frequencies of the band: multiples of pi / (1.5 length), which is a Fourier series on 3 lengths.
    """

    # Features of a peak, and about how many directions they have on the nodes, as many as the nodes of the rule.
    _NODES, _ROOM = 12, 0.8

    def __init__(self, peaks, band):
        self.peaks, self.band = peaks, band

    def __eq__(self, other):
        same = isinstance(other, Automatic) and self.band == other.band
        return same and np.array_equal(self.peaks, other.peaks)

    __hash__ = None

    def band_limit(self, length, limit):
        return float(self._low(length, limit)[-1])

    def _low(self, length, limit):
        step = math.pi / (1.5 * length)
        # More of them than 0.6 to a node leave the equations fewer than the unknowns.
        return step * np.arange(min(self.band, max(2, int(0.4 * limit / step))))

    def features(self, length, limit):
        low = self._low(length, limit)
        nodes = math.sqrt(2.0) / length * hermite(self._NODES)[0]
        above = self.peaks[(self.peaks > low[-1] - 3.0 * math.pi / length) & (self.peaks < 2.5 * limit)]
        room = self._ROOM * limit * length / math.pi - low[-1] * length / math.pi
        above = above[: max(1, int(room / self._NODES))]
        omegas = np.concatenate([low, np.abs(above[:, None] + nodes).ravel()])
        return omegas, np.ones_like(omegas)

    def __repr__(self):
        return f"Automatic({self.band} low frequencies, {len(self.peaks)} peaks)"


@lru_cache(maxsize=64)
def hermite(n):
    """Gauss and Hermite's nodes and weights."""
    nodes, weights = np.polynomial.hermite.hermgauss(n)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def of_each_axis(kernel, d):
    """The kernel of each axis, from one for all or a sequence; None for "auto"."""
    if isinstance(kernel, str):
        _checks.choice("kernel", kernel, ("auto",))
        return None
    if isinstance(kernel, SpectralMixture):
        return (kernel,) * d
    if isinstance(kernel, list | tuple) and len(kernel) == d and all(isinstance(k, SpectralMixture) for k in kernel):
        return tuple(kernel)
    raise UnsupportedType(
        f"`kernel` must be 'auto', a SpectralMixture, Matern or SquaredExponential, or a list of {d} of them, "
        f"got {_checks.brief(kernel)}."
    )


def _gaussian(scale, length, limit):
    """Offsets of frequency and weights whose cosines add up to exp(-d^2 / (2 scale^2)) for |d| <= length."""
    if length <= 2.0 * scale:
        nodes, weights = hermite(12 + math.ceil(6 * length / scale))
        return math.sqrt(2.0) / scale * nodes, weights / math.sqrt(math.pi)
    # The trapezoidal rule makes the kernel periodic; the next period begins where it is below rounding.
    step = 2 * math.pi / (length + _TAIL * scale)
    most = min(math.ceil(_TAIL / scale / step), math.ceil(_SHARE * limit / step))
    offsets = step * np.arange(-most, most + 1)
    return offsets, step * scale / math.sqrt(2 * math.pi) * np.exp(-0.5 * (offsets * scale) ** 2)


def _matern(scale, length, limit):
    """The same for the Matern kernel of smoothness 5/2, as far as the grid's limit."""
    step = 2 * math.pi / (2.0 * length + 12.0 * scale)
    most = max(4, math.ceil(_SHARE * limit / step))
    if most > _MOST:
        raise InvalidInput(
            f"`kernel` must have Matern lengths that fit the box some {_MOST // 100} times at most, got {scale:g} in a "
            f"side of {length:g}; take a shorter one, or a SquaredExponential."
        )
    offsets = step * np.arange(-most, most + 1)
    r = math.sqrt(5.0) / scale
    return offsets, step * 8.0 * r**5 / (3.0 * math.pi) / (r * r + offsets**2) ** 3


def _row(name, values, size=None, least=None):
    values = np.atleast_1d(real(name, values))
    values = np.full(size, values[0]) if size is not None and values.size == 1 else values
    if values.ndim != 1 or values.size == 0 or (size is not None and values.size != size):
        raise InvalidInput(f"`{name}` must have shape ({'q' if size is None else size},), got {values.shape}.")
    if np.any(values > _LARGEST):
        raise InvalidInput(f"`{name}` must be <= {_LARGEST:g}, got {float(values.max())!r}; take another unit.")
    if np.any(values < 0) or (least is None and np.any(values == 0)):
        demand = "> 0" if least is None else ">= 0"
        raise InvalidInput(f"`{name}` must be {demand}, got {float(values.min())!r}.")
    return values.copy()
