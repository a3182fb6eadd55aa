"""Even functions on the sphere whose means are zero: what is left of a polynomial when its mean is taken off.

Distances along h and -h are equal, so that only even degrees matter. In two dimensions these are the waves of the
double angle, in three the real spherical harmonics, and beyond the products of an even number of coordinates: up to
degree D they span, with the constants, the same functions as the harmonics of even degree up to D.
"""

import math
from itertools import combinations_with_replacement

import numpy as np

__all__ = ["even_degree", "harmonics"]

# Least squares by products of coordinates lose digits beyond degree 4; 16 is what the paper takes in d = 3.
_HIGHEST = {2: 64, 3: 16}


def even_degree(d, most):
    """The highest even degree of which there are at most ``most`` functions; 0 if there is none."""
    degree = 0
    while degree < _HIGHEST.get(d, 4) and count(d, degree + 2) <= most:
        degree += 2
    return degree


def count(d, degree):
    """How many independent functions of mean zero there are of even degree up to ``degree``."""
    return math.comb(d + degree - 1, degree) - 1


def harmonics(directions, degree):
    """Values of functions of even degree from 2 to ``degree``, shape (L, k); their means over the sphere are zero."""
    d = directions.shape[1]
    if d == 2:
        angle = np.arctan2(directions[:, 1], directions[:, 0])[:, None] * np.arange(2, degree + 1, 2)
        return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return _spherical(directions, degree) if d == 3 else _products(directions, degree)


def _spherical(directions, degree):
    """Real spherical harmonics of unit mean square, by the three-term recurrence of the normalised functions."""
    x, y, z = directions.T
    columns, wave, top = [], np.ones(len(z), complex), 1.0
    for m in range(degree + 1):
        if m:  # wave: (x + i y)^m, top: the factor of the sectoral function of order m
            wave, top = wave * (x + 1j * y), top * math.sqrt((2 * m + 1) / (2 * m))
        before, here = np.zeros_like(z), np.full_like(z, top)
        for n in range(m, degree + 1):
            if n % 2 == 0 and n > 0:
                parts = (here,) if m == 0 else (here * wave.real, here * wave.imag)
                columns += [part * (1.0 if m == 0 else math.sqrt(2)) for part in parts]
            step = math.sqrt((4 * (n + 1) ** 2 - 1) / ((n + 1) ** 2 - m * m))
            back = math.sqrt((n * n - m * m) / (4 * n * n - 1)) if n > m else 0.0
            before, here = here, step * (z * here - back * before)
    return np.stack(columns, axis=1)


def _products(directions, degree):
    """Products of ``degree`` coordinates less their means, scaled to d^(degree / 2); one depends on the others."""
    d, columns = directions.shape[1], []
    for places in combinations_with_replacement(range(d), degree):
        powers = [places.count(i) for i in set(places)]
        mean = 0.0
        if all(k % 2 == 0 for k in powers):
            odd = math.prod(j for k in powers for j in range(1, k, 2))
            mean = odd / math.prod(range(d, d + degree, 2))
        columns.append((directions[:, places].prod(axis=1) - mean) * d ** (degree / 2))
    return np.stack(columns[1:], axis=1)
