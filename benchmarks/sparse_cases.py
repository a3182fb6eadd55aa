"""Sparse and low-rank signals under the published protocols: Kronecker dictionaries, completion, outliers."""

import functools
from dataclasses import dataclass

import numpy as np

from .. import linalg

__all__ = ["KroneckerCase", "completion", "dense_posterior", "kronecker", "outliers"]


@dataclass(frozen=True)
class KroneckerCase:
    """Data of a Kronecker product of dictionaries; ``support`` has the indices along each axis."""

    dictionaries: list
    support: list
    x: np.ndarray
    b: np.ndarray
    noise_level: float

    def known_support(self):
        """Least squares on the true support, which nobody knows: the least error to be had."""
        parts = [np.linalg.pinv(A[:, kept]) for A, kept in zip(self.dictionaries, self.support, strict=True)]
        x = np.zeros_like(self.x)
        x[np.ix_(*self.support)] = linalg.kron_matvec(parts, self.b)
        return x


def kronecker(rng, sizes=(15, 15, 15), measured=(8, 12, 15), count=3, decibels=25, dtype=float):
    """Draw by the protocol of He and Joseph: Gaussian dictionaries of unit columns, a rank-1 Gaussian x, white noise.

    Parameters
    ----------
    rng : numpy.random.Generator
    sizes, measured : tuple of int
        Columns and rows of the dictionaries.
    count : int
        Indices of the support along each axis.
    decibels : float
        How far the data stand out of the noise.
    dtype : {float, complex}

    Returns
    -------
    KroneckerCase
    """

    def gaussian(*shape):
        return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype is complex else 0)

    A = [gaussian(m, n) for m, n in zip(measured, sizes, strict=True)]
    A = [each / np.linalg.norm(each, axis=0) for each in A]
    support = [np.sort(rng.permutation(n)[:count]) for n in sizes]
    x = np.zeros(sizes, dtype)
    x[np.ix_(*support)] = functools.reduce(np.multiply.outer, [gaussian(count) for _ in sizes])
    b = linalg.kron_matvec(A, x)
    level = np.linalg.norm(b) / b.size**0.5 * 10 ** (-decibels / 20)
    noise = gaussian(*b.shape) * level / (2**0.5 if dtype is complex else 1)
    return KroneckerCase(A, support, x, b + noise, level)


def dense_posterior(dictionaries, variances, b, noise_level):
    """Mean and standard deviations of N(0, diag(g_1 x ... x g_d)) given b, with the covariance as a matrix.

    This is the E-step of the released code: all entries of the covariance are formed, of which the diagonal is used.
    """
    K, g = np.ones((1, 1)), np.ones(1)
    for A, each in zip(dictionaries, variances, strict=True):
        K, g = np.kron(K, A), np.kron(g, each)
    KG = K * g
    gain = np.linalg.solve(noise_level**2 * np.eye(len(K)) + KG @ K.conj().T, KG).conj().T
    covariance = np.diag(g) - gain @ KG
    return gain @ b.ravel(), np.sqrt(np.maximum(covariance.diagonal().real, 0.0))


def completion(n, rank, condition=10.0, degrees=3.0, seed=0):
    """A matrix of n x n entries and low rank, with singular values evenly from 1 to 1 / condition, and which are known.

    Returns
    -------
    M : ndarray, shape (n, n)
    mask : ndarray of bool
        True where an entry is known: ``degrees`` times as many as M has degrees of freedom.
    """
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((n, rank)))[0] for _ in range(2))
    M = n * (U * np.linspace(1, 1 / condition, rank)) @ V.T
    return M, rng.random((n, n)) < degrees * rank * (2 * n - rank) / n**2


def outliers(n=40, rank=3, condition=5.0, share=0.2, seed=0):
    """Gaussian measurements of an n x n matrix of low rank, 10 n rank of them, of which a share is wrong.

    Returns
    -------
    A : ndarray, shape (m, n^2)
    b : ndarray, shape (m,)
    X : ndarray, shape (n, n)
    """
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((n, rank)))[0] for _ in range(2))
    X, m = (U * np.linspace(1, 1 / condition, rank)) @ V.T, 10 * n * rank
    A = rng.standard_normal((m, n * n))
    b = A @ X.ravel()
    wrong = rng.permutation(m)[: int(share * m)]
    b[wrong] += 10 * np.abs(b).max() * rng.standard_normal(wrong.size)
    return A, b, X
