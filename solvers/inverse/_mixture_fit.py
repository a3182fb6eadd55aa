"""Fitting a Gaussian mixture to images: expectation maximisation from a k-means++ start.

k-means++: Arthur and Vassilvitskii, SODA 2007. Expectation maximisation: Dempster, Laird and Rubin, JRSS B 39, 1977.
"""

import numpy as np

from .. import _checks
from .._errors import InvalidInput

__all__ = ["fit_mixture"]

_LLOYD = 5


def fit_mixture(images, n_components, rng, regularization, maxiter, tol, report):
    """Weights (K,), means (K, *image_shape) and covariances (K, n, n) for images (N, *image_shape), real or complex.

    ``regularization`` times the mean variance of an entry is added to the diagonals: no component collapses on a few
    images, and entries that never change keep a positive variance. The iteration ends when the mean log-likelihood
    grows by less than ``tol``, or ``report(iteration, growth, what is found)`` is true.
    """
    if images.ndim < 2 or images.size == 0:
        raise InvalidInput(f"`images` must have shape (N, *image_shape), got {images.shape}.")
    n_components = _checks.count("n_components", n_components)
    if n_components > len(images):
        raise InvalidInput(f"`n_components` must be at most the number of images, {len(images)}, got {n_components}.")
    maxiter, tol = _checks.count("maxiter", maxiter), _checks.tolerance("tol", tol)
    regularization = _checks.positive("regularization", regularization)
    X = images.reshape(len(images), -1).astype(np.complex128 if images.dtype.kind == "c" else np.float64)
    floor = regularization * float(np.mean(np.var(X, axis=0))) or regularization
    shares = (_clusters(X, n_components, rng)[:, None] == np.arange(n_components)).astype(float)
    last = -np.inf
    for iteration in range(1, maxiter + 1):
        weights, means, covariances = _maximise(X, shares, floor)
        shares, level = _expect(X, weights, means, covariances)
        found = weights, means.reshape(-1, *images.shape[1:]), covariances
        if report(iteration, level - last, found) or level - last < tol:
            break
        last = level
    return found


def _clusters(X, n_components, rng):
    """Which cluster each row belongs to, after a few steps of Lloyd's from centres far apart."""
    centres = X[rng.integers(len(X))][None]
    nearest = _distances(X, centres)[:, 0]
    while len(centres) < n_components:
        total = nearest.sum()
        # Where all rows lie on centres already, any will do.
        row = rng.choice(len(X), p=nearest / total if total > 0 else None)
        centres = np.concatenate([centres, X[row][None]])
        nearest = np.minimum(nearest, _distances(X, centres[-1:])[:, 0])
    for _ in range(_LLOYD):
        members = _distances(X, centres).argmin(axis=1)
        for j in range(n_components):
            if np.any(members == j):
                centres[j] = X[members == j].mean(axis=0)
    return _distances(X, centres).argmin(axis=1)


def _distances(X, centres):
    """Squared, each row to each centre."""
    squares = np.sum(np.abs(X) ** 2, axis=1)[:, None] + np.sum(np.abs(centres) ** 2, axis=1)
    return np.maximum(squares - 2 * (X @ centres.conj().T).real, 0.0)


def _maximise(X, shares, floor):
    """The parameters that are likeliest for given shares of each row, shape (N, K)."""
    N, n = X.shape
    # An empty component stays, at the mean of everything, with next to no weight.
    shares = shares + 10 * np.finfo(float).eps
    totals = shares.sum(axis=0)
    means = (shares.T @ X) / totals[:, None]
    covariances = np.empty((len(totals), n, n), X.dtype)
    for j, (mean, total) in enumerate(zip(means, totals, strict=True)):
        D = X - mean
        covariances[j] = D.T @ (shares[:, j, None] * D.conj()) / total
        covariances[j].flat[:: n + 1] += floor
    return totals / totals.sum(), means, covariances


def _expect(X, weights, means, covariances):
    """The share of each component in each row, and the mean log-likelihood up to a constant."""
    half = 1.0 if X.dtype.kind == "c" else 0.5
    logs = np.empty((len(X), len(weights)))
    for j, (weight, mean, covariance) in enumerate(zip(weights, means, covariances, strict=True)):
        root = np.linalg.cholesky(covariance)
        Z = (X - mean) @ np.linalg.inv(root).T
        logs[:, j] = np.log(weight) - half * np.sum(np.abs(Z) ** 2, axis=1)
        logs[:, j] -= 2 * half * np.sum(np.log(np.diagonal(root).real))
    top = logs.max(axis=1, keepdims=True)
    shares = np.exp(logs - top)
    totals = shares.sum(axis=1, keepdims=True)
    return shares / totals, float(np.mean(top + np.log(totals)))
