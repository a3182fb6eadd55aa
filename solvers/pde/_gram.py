"""The published kernels on a uniform grid: from n distances, not from n^2 pairs, and with derivatives by hand.

On equal steps the Gram matrix and its derivatives are Toeplitz, so that cosines and exponentials are wanted at the n
distances only, and what an objective's gradient has to say of a matrix is its sums along the diagonals.
"""

import math

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import lapack

from ._kernels import SpectralMixture

__all__ = ["JITTER", "Line", "Mixture", "diagonal_sums", "lag_sums", "toeplitz"]

# Added to the diagonal of each Gram matrix, as published; absolute.
JITTER = 1e-6


class Mixture:
    """k(d) = sum_q w_q m(d; s_q) cos(2 pi mu_q d), as the published method stores it.

    Parameters
    ----------
    envelope : {"gaussian", "matern"}
        m = exp(-s d^2), or the Matern kernel of smoothness 5/2, (1 + t + t^2 / 3) exp(-t) with t = sqrt(5) s d.
    parameters : ndarray, shape (3, q)
        log w, log s and mu; mu in cycles per unit of length.
    """

    def __init__(self, envelope, parameters):
        self.envelope, self.parameters = envelope, parameters

    @classmethod
    def of(cls, kernel):
        """From a SpectralMixture."""
        scale = 0.5 / kernel.scales**2 if kernel.envelope == "gaussian" else 1.0 / kernel.scales
        return cls(
            kernel.envelope,
            np.array([np.log(kernel.weights), np.log(scale), kernel.frequencies / (2 * math.pi)]),
        )

    def as_kernel(self):
        """As a SpectralMixture."""
        log_w, log_s, mu = self.parameters
        scale = np.sqrt(0.5 * np.exp(-log_s)) if self.envelope == "gaussian" else np.exp(-log_s)
        return SpectralMixture(2 * math.pi * np.abs(mu), scale, np.exp(log_w), envelope=self.envelope)

    @property
    def frequencies(self):
        """Angular frequencies, in rising order."""
        return np.sort(2 * math.pi * np.abs(self.parameters[2]))

    def curve(self, d, order):
        """The derivative of that order, 0 to 2, at signed distances of any shape."""
        total, r = np.zeros(np.shape(d)), np.abs(d)
        for log_w, log_s, mu in self.parameters.T:
            m, m1, m2, _ = envelope(self.envelope, math.exp(log_s), r)
            b = 2 * math.pi * mu
            c, s = np.cos(b * r), np.sin(b * r)
            # The terms of Leibniz' rule.
            part = (m * c, m1 * c - b * m * s, m2 * c - 2 * b * m1 * s - b * b * m * c)[order]
            total += math.exp(log_w) * part
        return total * np.sign(d) if order == 1 else total


def envelope(name, s, d):
    """m(d) and its first three derivatives at distances d >= 0."""
    if name == "gaussian":
        m, sd = np.exp(-s * d * d), s * d
        return m, -2 * sd * m, (4 * sd * sd - 2 * s) * m, (12 * s * sd - 8 * sd**3) * m
    r = math.sqrt(5.0) * s
    t = r * d
    e = np.exp(-t) / 3.0
    re, rt = r * e, r * t
    return (3 + t * (3 + t)) * e, -rt * (1 + t) * e, -r * (1 + t - t * t) * re, r * rt * (3 - t) * re


class Line:
    """One axis: its Gram matrix K and the matrix H of its part of the operator, for kernels that change.

    Parameters
    ----------
    low, high : float
    n : int
    name : {"gaussian", "matern"}
    first, second : float
        Coefficients of the first and second derivative along the axis.

    Attributes
    ----------
    A : ndarray, shape (n, n)
        The inverse of K.
    logdet : float
        Of K.
    H : ndarray, shape (n, n)
        first k'(x_i - x_j) + second k''(x_i - x_j).
    """

    def __init__(self, low, high, n, name, first, second):
        self.n, self.name, self.first, self.second = n, name, first, second
        self.x, step = np.linspace(low, high, n, retstep=True)
        self._d = step * np.arange(n)
        self._lower = np.tri(n, dtype=bool)

    def update(self, parameters):
        """Take other log w, log s and mu; LinAlgError where K is not positive definite to rounding."""
        w, s = np.exp(parameters[0])[:, None], np.exp(parameters[1])[:, None]
        b = 2 * math.pi * parameters[2][:, None]
        self._m = m, m1, m2, _ = [w * part for part in envelope(self.name, s, self._d)]
        self._b, self._c, self._s = b, np.cos(b * self._d), np.sin(b * self._d)
        c, s = self._c, self._s
        self._invert(np.einsum("qn,qn->n", m, c))
        even = self.second * np.sum((m2 - b * b * m) * c - 2 * b * m1 * s, axis=0) if self.second else 0.0
        odd = self.first * np.sum(m1 * c - b * m * s, axis=0) if self.first else 0.0
        h = np.zeros((2, self.n)) + [even + odd, even - odd]
        self.H = toeplitz(np.concatenate([h[1, :0:-1], h[0]]))

    def _invert(self, k):
        K = toeplitz(np.concatenate([k[:0:-1], k]))
        K.flat[:: self.n + 1] += JITTER
        # LAPACK's order of storage is the transpose's, and K is symmetric: nothing is copied.
        L, info = lapack.dpotrf(K.T, lower=1, clean=0, overwrite_a=1)
        if info == 0:
            self.logdet = 2.0 * float(np.sum(np.log(np.diag(L))))
            A, info = lapack.dpotri(L, lower=1, overwrite_c=1)
        if info != 0 or not math.isfinite(self.logdet):
            raise np.linalg.LinAlgError("the Gram matrix is not positive definite")
        self.A = np.where(self._lower, A, A.T)

    def pull(self, g, even, odd):
        """The gradient by the parameters, shape (3, q), from that by k, k'' and k' at the distances."""
        (m, m1, m2, m3), b, c, s, d = self._m, self._b, self._c, self._s, self._d
        even, odd = self.second * even, self.first * odd
        # The logarithmic derivative by s of a function of s d, or of sqrt(s) d.
        p = 0.5 if self.name == "gaussian" else 1.0
        by_w = self._contract(m, m1, m2, g, even, odd)
        by_s = p * self._contract(d * m1, m1 + d * m2, 2 * m2 + d * m3, g, even, odd)
        P, Q = m * (g - b * b * even) + m1 * odd + m2 * even, m * odd + 2 * m1 * even
        by_b = -np.sum(s * (d * P + Q) + b * c * (d * Q + 2 * m * even), axis=1)
        return np.array([by_w, by_s, 2 * math.pi * by_b])

    def _contract(self, m, m1, m2, g, even, odd):
        b = self._b
        P, Q = m * (g - b * b * even) + m1 * odd + m2 * even, m * odd + 2 * m1 * even
        return np.sum(self._c * P - b * self._s * Q, axis=1)


def toeplitz(z):
    """T[i, j] = z[n - 1 + i - j] for z (2 n - 1,)."""
    n = (len(z) + 1) // 2
    return np.ascontiguousarray(sliding_window_view(z[::-1], n)[::-1])


def diagonal_sums(A):
    """sum of A[i, j] over |i - j| = l for l = 0, ..., n - 1, A symmetric."""
    n = len(A)
    padded = np.zeros((n, 2 * n))
    padded[:, :n] = A[:, ::-1]
    # In rows shorter by one, entry (i, n - 1 - j) falls into column n - 1 + i - j.
    sums = padded.ravel()[: n * (2 * n - 1)].reshape(n, 2 * n - 1).sum(axis=0)[n - 1 :]
    sums[1:] *= 2.0
    return sums


def lag_sums(X, Y, axis):
    """The sums along the diagonals of X Y^T, X and Y (n, m) with n along the axis, without making the product.

    Returns
    -------
    even, odd : ndarray, shape (n,)
        Of the diagonals i - j = l and i - j = -l: their sum (the main one once), and their difference.
    """
    n = X.shape[axis]
    length = scipy.fft.next_fast_len(2 * n - 1, real=True)
    F = scipy.fft.rfft(X, length, axis=axis) * scipy.fft.rfft(Y, length, axis=axis).conj()
    sums = scipy.fft.irfft(F if F.ndim == 1 else F.sum(axis=1 - axis), length)
    above, below = sums[:n], sums[-np.arange(n)]
    even = above + below
    even[0] = above[0]
    return even, above - below
