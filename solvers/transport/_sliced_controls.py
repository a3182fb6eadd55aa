"""Control variates of the sliced distance: functions of the direction whose means over the sphere are known.

With z the difference of the means, s^2(h) = h'Ah and t^2(h) = h'Bh the variances along h:

    lower     (h'z)^2                    Nguyen & Ho 2024 (arXiv:2305.00402)
    upper     (h'z)^2 + s^2 + t^2        the same
    gaussian  (h'z)^2 + (s - t)^2        the exact distance between Gaussians, _gaussian.py
    harmonics even polynomials           Leluc, Dieuleveut, Portier, Segers & Zhuman 2024 (arXiv:2402.01493)

The estimate is mean f - sum_k coefficient_k mean c_k with centred controls c. "gaussian" takes the coefficient 1: no
distance along a direction is below it (Gelbrich), so that the estimate is unbiased and not negative. "authors" is the
coefficient of Nguyen & Ho, mean (f - mean f) c / mean c^2, with the known mean of c in the denominator; "ols" is that
of ordinary least squares with an intercept.
"""

import math
from functools import cached_property

import numpy as np

from .._errors import InvalidInput
from ._sliced_gaussian import gaussian_mean
from ._sliced_harmonics import even_degree, harmonics

__all__ = ["CONTROLS", "Control", "Moments", "harmonic_degree"]

# The default rule of the coefficient.
CONTROLS = {"lower": "authors", "upper": "authors", "both": "ols", "gaussian": 1.0, "harmonics": "ols"}
# Points are centred in blocks, so that no copy of a cloud is made.
_ROWS = 2048


class Moments:
    """Means and covariances (of total weight 1) of the two clouds, computed when they are asked for.

    Parameters
    ----------
    X, Y : ndarray, shapes (n, d) and (m, d)
    a, b : ndarray, shapes (n,) and (m,), or None
        Weights of total 1.
    """

    def __init__(self, X, Y, a, b):
        self._clouds = (X, a), (Y, b)
        self.d = X.shape[1]

    @cached_property
    def means(self):
        """(mean of X, mean of Y)."""
        return tuple(_mean(points, weights) for points, weights in self._clouds)

    @cached_property
    def covariances(self):
        """(A, B)."""
        return tuple(_covariance(*cloud, mean) for cloud, mean in zip(self._clouds, self.means))

    @cached_property
    def z(self):
        """The difference of the means; zero where it is rounding."""
        x, y = self.means
        scale = max(float(np.abs(x).max()), float(np.abs(y).max()))
        rounding = 64 * np.finfo(np.float64).eps * math.sqrt(self.d) * (scale + math.sqrt(self.largest_square))
        return x - y if float(np.linalg.norm(x - y)) > rounding else np.zeros(self.d)

    @cached_property
    def largest_square(self):
        """The largest squared coordinate, as a scale."""
        return max(float(max(points.max(), -points.min())) for points, _ in self._clouds) ** 2

    @cached_property
    def traces(self):
        """(tr A, tr B)."""
        return tuple(float(np.trace(c)) for c in self.covariances)

    @cached_property
    def gap(self):
        """E (s - t)^2."""
        return gaussian_mean(*self.covariances)

    @cached_property
    def bounds(self):
        """What SW_2^2 lies between: the means of the controls "gaussian" and "upper"."""
        square = float(self.z @ self.z) / self.d
        upper = square + sum(self.traces) / self.d
        return min(square + self.gap, upper), upper

    def spreads(self, directions):
        """s and t along each direction."""
        return tuple(np.sqrt(np.maximum(((directions @ c) * directions).sum(axis=1), 0)) for c in self.covariances)


class Control:
    """Columns of centred controls, and what they contribute to a gradient.

    Parameters
    ----------
    name : {"lower", "upper", "both", "gaussian", "harmonics"} or None
    moments : Moments
    degree : int, optional
        The highest even degree of the harmonics.
    """

    def __init__(self, name, moments, degree=None):
        self.name, self.moments, self.degree = name, moments, degree

    def columns(self, directions):
        """Centred controls along directions, shape (L, k)."""
        if self.name is None:
            return np.empty((len(directions), 0))
        if self.name == "harmonics":
            return harmonics(directions, self.degree)
        return np.stack([column for column, *_ in self._parts(directions)], axis=1)

    def _parts(self, directions):
        """For each control its centred values and its derivatives by s^2 and t^2."""
        moments, ones = self.moments, np.ones(len(directions))
        lower = (directions @ moments.z) ** 2
        square = float(moments.z @ moments.z) / moments.d
        if self.name in ("lower", "both"):
            yield lower - square, 0 * ones, 0 * ones
        if self.name in ("upper", "both"):
            s, t = moments.spreads(directions)
            yield lower + s**2 + t**2 - (square + sum(moments.traces) / moments.d), ones, ones
        if self.name == "gaussian":
            s, t = moments.spreads(directions)
            with np.errstate(divide="ignore", invalid="ignore"):
                slopes = [np.where(u > 0, 1 - v / u, 0.0) for u, v in ((s, t), (t, s))]
            yield lower + (s - t) ** 2 - (square + moments.gap), *slopes

    def gradient(self, batches, weights):
        """Derivatives of the sum over l, k of weights[l, k] columns[l, k], as (P, Q, R).

        By x_i: 2 a_i (P z + Q (x_i - mean x)); by y_j: 2 b_j (-P z + R (y_j - mean y)).
        """
        d, first = self.moments.d, 0
        P, Q, R = np.zeros((d, d)), np.zeros((d, d)), np.zeros((d, d))
        if self.name in (None, "harmonics"):
            return P, Q, R
        for directions in batches:
            some = weights[first : first + len(directions)]
            first += len(directions)
            for (_, by_s, by_t), w in zip(self._parts(directions), some.T):
                P += directions.T @ (w[:, None] * directions)
                Q += directions.T @ ((w * by_s)[:, None] * directions)
                R += directions.T @ ((w * by_t)[:, None] * directions)
        total = weights.sum(axis=0)
        P -= total.sum() / d * np.eye(d)
        if self.name == "gaussian":
            _, by_a, by_b = gaussian_mean(*self.moments.covariances, gradient=True)
            Q -= total[0] * (np.eye(d) / d - by_a)
            R -= total[0] * (np.eye(d) / d - by_b)
        elif self.name in ("upper", "both"):
            Q -= total[-1] / d * np.eye(d)
            R -= total[-1] / d * np.eye(d)
        return P, Q, R


def harmonic_degree(d, number):
    """The highest even degree of which least squares can have three directions a function."""
    degree = even_degree(d, number // 3)
    if degree < 2:
        least = 3 * (d * (d + 1) // 2 - 1)
        raise InvalidInput(
            f"`n_projections` must be >= {least} for control='harmonics' in {d} dimensions, got {number}; use more, or "
            "control='gaussian'."
        )
    return degree


def _mean(points, weights):
    """The weighted mean in float64."""
    if weights is None:
        return points.mean(axis=0, dtype=np.float64)
    total = np.zeros(points.shape[1])
    for first in range(0, len(points), _ROWS):
        total += weights[first : first + _ROWS] @ points[first : first + _ROWS].astype(np.float64)
    return total


def _covariance(points, weights, mean):
    """The weighted covariance in float64, divided by the total weight."""
    total = np.zeros((points.shape[1],) * 2)
    for first in range(0, len(points), _ROWS):
        block = points[first : first + _ROWS] - mean
        scaled = block if weights is None else block * weights[first : first + _ROWS, None]
        total += scaled.T @ block
    return total / len(points) if weights is None else total
