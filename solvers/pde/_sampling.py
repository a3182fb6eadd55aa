"""Users' functions on grids, checked; and the frequencies that their values show."""

import math

import numpy as np

from .. import _checks
from .._arrays import first_line
from .._errors import InvalidInput, UnsupportedType

__all__ = ["LARGEST", "SAMPLES", "blackman", "bounded", "evaluate", "peaks", "pursue", "real", "spectrum"]

# Sizes of what users give: what is left of the range of float64 is for its squares and derivatives.
LARGEST = 1e100

# Samples of a line, and how far below the highest a peak of the periodogram still counts.
SAMPLES, _LOWEST, _MOST_PEAKS = 4096, 1e-8, 24
# Blackman's window: its side lobes over its main lobe, times the distance cubed, with a margin of two.
_LOBES = 0.27
# Frequencies around one that is pursued, and the directions of them that count.
_NEAR, _RANK = 8, 1e-10


def evaluate(name, function, grid):
    """The values of function(*grid) in float64, of the shape that the grid's coordinates have together."""
    shape = np.broadcast_shapes(*(np.shape(x) for x in grid))
    if callable(function):
        # What it writes to is its own; what it overflows to is looked at below.
        try:
            with np.errstate(all="ignore"):
                values = function(*map(np.array, grid))
        except TypeError as error:
            # Of another number of arguments, or of the math module's functions, which take no arrays.
            raise UnsupportedType(
                f"`{name}` must take {len(grid)} array{'s' * (len(grid) > 1)} of coordinates, as NumPy's functions do; "
                f"it raised TypeError: {first_line(error)}."
            ) from error
    else:
        values = function
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
    fine = np.abs(values) <= LARGEST
    if not np.all(fine):
        where = np.unravel_index(int(np.argmin(fine)), shape)
        point = ", ".join(f"{float(np.broadcast_to(x, shape)[where]):.6g}" for x in grid)
        demand = f"at most {LARGEST:g} in size" if np.isfinite(values[where]) else "finite"
        raise InvalidInput(f"`{name}` must be {demand}, got {values[where]} at ({point}).")
    return values


def bounded(name, value):
    """A number that can be squared and multiplied without an overflow."""
    if not abs(value) <= LARGEST:
        raise InvalidInput(f"`{name}` must be finite, at most {LARGEST:g} in size, got {value!r}; take other units.")
    return value


def real(name, values):
    """Finite real numbers as a new array of float64."""
    values = _checks.finite(name, _checks.array(name, values))
    if values.dtype.kind == "c":
        raise UnsupportedType(f"`{name}` must hold real numbers, got an array of dtype {values.dtype}.")
    values = values.astype(np.float64)
    bounded(name, float(np.abs(values).max(initial=0.0)))
    return values


def _brief(values):
    return f"an array of shape {values.shape} and dtype {values.dtype}" if hasattr(values, "shape") else repr(values)


def blackman(t):
    """Blackman's window on [0, 1]."""
    return 0.42 - 0.5 * np.cos(2 * math.pi * t) + 0.08 * np.cos(4 * math.pi * t)


def spectrum(values):
    """Amplitudes at the multiples of 2 pi / length, of values at the midpoints of equal cells."""
    return np.abs(np.fft.rfft(values * np.blackman(values.size)))


def pursue(lines, x, w, low, high):
    """Angular frequencies of values at the nodes x of a quadrature with weights w, the most important first.

    Nodes at less than pi to a wavelength show more frequencies than are there. So one is taken at a time: the highest
    in what all before it, each with neighbours as near as the interval is short, leave of the values by least squares.

    Parameters
    ----------
    lines : ndarray, shape (n, m)
    x, w : ndarray, shape (n,)
    low, high : float
    """
    n, length = x.size, high - low
    t, root = (x - low) / length, np.sqrt(w)[:, None]
    window = blackman(t)
    # Twice as fine as the frequencies that are orthogonal on the interval.
    omegas = np.arange(n + 1) * (math.pi / length)
    waves = np.exp(-1j * np.multiply.outer(omegas, x - low)) * (window * w)
    near = math.sqrt(2.0) / length * np.polynomial.hermite.hermgauss(_NEAR)[0]
    size, found, basis, left = np.linalg.norm(root * lines, axis=0), [], np.zeros((n, 0)), lines
    while len(found) < min(_MOST_PEAKS, max(1, n // (2 * _NEAR))):
        large = np.linalg.norm(root * left, axis=0) > _LOWEST * size
        if not large.any():
            break
        heights = np.sum(np.abs(waves @ left[:, large]) / size[large], axis=1)
        found.append(omegas[int(np.argmax(heights))])
        phase = np.multiply.outer(x - low, np.abs(found[-1] + near))
        basis = np.hstack([basis, root * np.cos(phase), root * np.sin(phase)])
        U, s, _ = np.linalg.svd(basis, full_matrices=False)
        U = U[:, s > _RANK * s[0]]
        left = lines - (U @ (U.T @ (root * lines))) / root
    return np.array(found)


def peaks(spectra, length):
    """Angular frequencies at which some spectra have peaks, the highest peak first.

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
    return np.array([frequency for frequency, _ in kept])
