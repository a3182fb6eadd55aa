"""The exact posterior of a Gaussian mixture under linear measurements with Gaussian noise, by dense algebra."""

import math

import numpy as np

from .._arrays import module_of, on_host

__all__ = ["data_of", "dense_of", "host_array", "mixture_posterior"]


def mixture_posterior(prior, problem, j):
    """Weights (K,), means (K, *image_shape) and covariances (K, n, n) for data set j.

    Each component's posterior is weighted by its evidence. With C = F F^H and the singular values s of A F /
    noise_level, its covariance is F Q diag(1 / (1 + s^2)) Q^H F^H: no difference of nearly equal matrices, however
    small the noise.
    """
    dense, y = dense_of(problem), data_of(problem, j)
    half = 0.5 if dense.dtype.kind == "f" else 1.0
    found = [_component(dense / problem.noise_level, y / problem.noise_level, *each) for each in prior.components()]
    evidence, means, covariances = zip(*found, strict=True)
    logs = half * np.array(evidence) + np.log(np.maximum(prior.weights, np.finfo(float).tiny))
    return np.exp(logs - logs.max()), np.reshape(means, (-1, *prior.image_shape)), np.array(covariances)


def _component(A, y, mean, F):
    """-r^H (I + A C A^H)^-1 r - log det(I + A C A^H), the mean and the covariance, for noise of variance 1."""
    few = A.shape[0] < A.shape[1]  # then the directions that nothing is measured of are wanted, too
    P, s, Qh = np.linalg.svd(A @ F, full_matrices=few)
    r = y - A @ mean
    along, shrunk = P.conj().T @ r, 1 / (1 + s**2)
    rest = r - P @ along
    evidence = -np.sum(np.abs(along) ** 2 * shrunk) - np.vdot(rest, rest).real - np.sum(np.log1p(s**2))
    G = F @ Qh.conj().T
    mean = mean + G[:, : len(s)] @ (s * shrunk * along)
    G[:, : len(s)] *= np.sqrt(shrunk)
    return evidence, mean, G @ G.conj().T


def dense_of(problem):
    """The matrix of the operator, shape (m, n), on the host: the data of each unit image."""
    xp, n = module_of(problem.B), math.prod(problem.A.image_shape)
    unit = xp.eye(n, dtype=problem.dtype).reshape(n, *problem.A.image_shape)
    return host_array(problem.forward(unit).reshape(n, -1).T)


def data_of(problem, j):
    """Data set j, shape (m,), on the host."""
    return host_array(problem.B[j].ravel())


def host_array(array):
    """In double precision."""
    array = on_host(array)
    return np.ascontiguousarray(array, dtype=np.result_type(array.dtype, np.float64))
