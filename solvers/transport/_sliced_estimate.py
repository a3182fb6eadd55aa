"""From the distances along directions to an estimate: coefficients of the controls, standard errors, derivatives."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Estimate", "estimate", "slopes"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its error.

    Attributes
    ----------
    power : float
        mean of values - columns coefficients.
    error : float
        Its standard error.
    freedom : int
        Degrees of freedom of the error.
    coefficients : ndarray, shape (k,)
    plain : float
        The standard error of independent directions without controls.
    """

    power: float
    error: float
    freedom: int
    coefficients: np.ndarray
    plain: float


def estimate(values, columns, rule, size):
    """The estimate from values (L,) and centred controls (L, k), in sets of ``size`` that are independent.

    ``rule`` is "authors" (k = 1), "ols", or a number.
    """
    number = len(values)
    coefficients, rank = _coefficients(values, columns, rule)
    corrected = values - columns @ coefficients
    sets = number // size
    if size > 1:
        means = corrected.reshape(sets, size).mean(axis=1)
        error, freedom = _error_of_mean(means), sets - 1
    elif rule == "ols" and rank:
        # The constant's variance in a regression: s^2 (1 / L + mean' G^-1 mean).
        middle = columns.mean(axis=0)
        leverage = float(middle @ _solved(columns, middle))
        freedom = number - 1 - rank
        residuals = corrected - corrected.mean()
        error = math.sqrt(float(residuals @ residuals) / max(freedom, 1) * (1 / number + leverage))
    else:
        error, freedom = _error_of_mean(corrected), number - 1
    return Estimate(float(corrected.mean()), error, freedom, coefficients, _error_of_mean(values))


def slopes(values, columns, rule):
    """Derivatives of the power by each value (L,) and by each centred control (L, k), coefficients included."""
    number, k = columns.shape
    coefficients, rank = _coefficients(values, columns, rule)
    by_values, by_columns = np.full(number, 1.0 / number), np.tile(-coefficients / number, (number, 1))
    if rank == 0 or not isinstance(rule, str):
        return by_values, by_columns
    middle = columns.mean(axis=0)
    if rule == "authors":
        c, square = columns[:, 0], float(np.mean(columns[:, 0] ** 2))
        by_values -= middle[0] / square * (c - middle[0]) / number
        by_columns[:, 0] -= middle[0] * (values - values.mean() - 2 * coefficients[0] * c) / (square * number)
        return by_values, by_columns
    centred = columns - middle
    residuals = values - values.mean() - centred @ coefficients
    q = _solved(columns, middle)
    along = centred @ q
    by_values -= along
    by_columns += np.outer(along, coefficients) - np.outer(residuals, q)
    return by_values, by_columns


def _coefficients(values, columns, rule):
    """The coefficients, and how many were fitted."""
    k = columns.shape[1]
    if k == 0 or not columns.any():
        return np.zeros(k), 0
    if rule == "authors":
        c = columns[:, 0]
        return np.array([np.mean((values - values.mean()) * c) / np.mean(c * c)]), 1
    if rule == "ols":
        centred, scale = _scaled(columns)
        fitted, _, rank, _ = np.linalg.lstsq(centred, values - values.mean(), rcond=_CUT)
        return fitted / scale, int(rank)
    return np.full(k, float(rule)), 0


# Singular values below this part of the largest are rounding: on orthonormal bases a control can be constant.
_CUT = 1e-10


def _scaled(columns):
    """Centred columns over their sizes before centring, and these."""
    scale = np.sqrt(np.mean(columns * columns, axis=0))
    scale[scale == 0] = 1.0
    return (columns - columns.mean(axis=0)) / scale, scale


def _solved(columns, middle):
    """G^-1 middle, with G the centred columns' products."""
    centred, scale = _scaled(columns)
    _, s, VT = np.linalg.svd(centred, full_matrices=False)
    keep = s > _CUT * s[0]
    return (VT[keep].T @ ((VT[keep] @ (middle / scale)) / s[keep] ** 2)) / scale


def _error_of_mean(values):
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
