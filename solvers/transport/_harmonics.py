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
    """Real spherical harmonics of unit mean square."""
    from scipy.special import lpmv

    x, y, z = directions.T
    azimuth, columns = np.arctan2(y, x), []
    for n in range(2, degree + 1, 2):
        columns.append(math.sqrt(2 * n + 1) * lpmv(0, n, z))
        for m in range(1, n + 1):
            size = math.sqrt(2 * (2 * n + 1) * math.factorial(n - m) / math.factorial(n + m))
            wave = size * lpmv(m, n, z)
            columns += [wave * np.cos(m * azimuth), wave * np.sin(m * azimuth)]
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
