"""Clouds and directions for the tests of sliced distances."""

import math

import numpy as np


def sphere(rng, number, d):
    """Random directions."""
    rows = rng.standard_normal((number, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def gaussians(d, n, seed=0):
    """Two clouds of normal points."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d) + s for s in (1, -1)]


def spiral(number):
    """Directions in three dimensions, evenly on a spiral around the sphere."""
    z = 1 - (2 * np.arange(1, number + 1) - 1) / number
    azimuth, radius = 1.8 * math.sqrt(number) * np.arccos(z), np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)
