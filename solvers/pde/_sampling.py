"""Users' functions on grids, checked; and the frequencies that their values show."""

import math

import numpy as np

from .._errors import InvalidInput, UnsupportedType

__all__ = ["SAMPLES", "evaluate", "peaks", "spectrum", "spectrum_at"]

# Samples of a line, and how far below the highest a peak of the periodogram still counts.
SAMPLES, _LOWEST, _MOST_PEAKS = 4096, 1e-8, 24
# Blackman's window: its side lobes over its main lobe, times the distance cubed, with a margin of two.
_LOBES = 0.27


def evaluate(name, function, grid):
    """The values of function(*grid) in float64, of the shape that the grid's coordinates have together."""
    shape = np.broadcast_shapes(*(np.shape(x) for x in grid))
    values = function(*grid) if callable(function) else function
    try:
        values = np.asarray(values)
        if values.dtype.kind not in "biuf":
            raise TypeError
        values = np.broadcast_to(values.astype(np.float64, copy=False), shape)
    except (TypeError, ValueError):
        raise UnsupportedType(
            f"`{name}` must give real numbers that broadcast to the shape {shape} of its coordinates, "
            f"got {_brief(values)}."
        ) from None
    if not np.all(np.isfinite(values)):
        where = np.unravel_index(int(np.argmax(~np.isfinite(values))), shape)
        point = ", ".join(f"{float(np.broadcast_to(x, shape)[where]):.6g}" for x in grid)
        raise InvalidInput(f"`{name}` must be finite, got {values[where]} at ({point}).")
    return values


def _brief(values):
    return f"an array of shape {values.shape} and dtype {values.dtype}" if hasattr(values, "shape") else repr(values)


def spectrum(values):
    """Amplitudes at the multiples of 2 pi / length, of values at the midpoints of equal cells."""
    return np.abs(np.fft.rfft(values * np.blackman(values.size)))


def spectrum_at(values, x, w, low, high):
    """The same of values at the nodes x of a quadrature with weights w, up to what the nodes can tell apart."""
    t = (x - low) / (high - low)
    window = 0.42 - 0.5 * np.cos(2 * math.pi * t) + 0.08 * np.cos(4 * math.pi * t)
    k = np.arange(x.size // 2 + 1)
    return np.abs(np.exp(-2j * math.pi * np.multiply.outer(k, t)) @ (values * window * w))


def peaks(spectra, length):
    """Angular frequencies at which some spectra have peaks, in rising order.

    Parameters
    ----------
    spectra : list of ndarray
        Amplitudes at the multiples of 2 pi / length.
    length : float
        Of the interval that they come from.

    Returns
    -------
    ndarray
        Frequencies in radians per unit of length, at least 2 pi / length apart.
    """
    found = []
    for heights in spectra:
        k = np.arange(1, heights.size - 1)
        most = heights.max(initial=0.0)
        here = (heights[k] >= heights[k - 1]) & (heights[k] > heights[k + 1]) & (heights[k] > _LOWEST * most)
        if most == 0.0 or not here.any():
            continue
        k = k[here]
        # The top of the parabola through the logarithms: exact for a Gaussian window, near it for Blackman's.
        left, top, right = (np.log(heights[k + s] + 1e-300) for s in (-1, 0, 1))
        shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-12)
        found += list(zip(heights[k] / most, (k + np.clip(shift, -0.5, 0.5)) * (2 * math.pi / length), strict=True))
    kept, bin_ = [], 2 * math.pi / length
    for height, frequency in sorted(found, reverse=True):
        apart = [(abs(frequency - other) / bin_, other_height) for other, other_height in kept]
        # The window's own side lobes fall with the third power of the distance.
        lobes = sum(_LOBES * h / max(distance, 1.0) ** 3 for distance, h in apart)
        if len(kept) < _MOST_PEAKS and height > lobes and all(distance > 1.0 for distance, _ in apart):
            kept.append((frequency, height))
    return np.sort(np.array([frequency for frequency, _ in kept]))
