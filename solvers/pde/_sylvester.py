"""(M_1 x I x I + I x M_2 x I + I x I x M_3) C = R by the triangular forms of the M_i; nothing is diagonalised."""

import numpy as np
import scipy.linalg

from .._tensors import mode_products

__all__ = ["KroneckerSum"]


class KroneckerSum:
    """The sum of matrices M_i (r_i, r_i), each along its own axis, and ``shift`` times the identity, factorised once.

    Their eigenvectors can be so nearly parallel that a solution by them is lost altogether (in three dimensions it
    was, 1e33), so that the factors are Schur's, whose transformations are unitary. In three dimensions the first axis
    is swept from its last row, with a Sylvester equation on each row.

    Attributes
    ----------
    gap : float
        The smallest |lambda_1 + ... + lambda_d| over the largest: below rounding, the sum is singular.
    """

    def __init__(self, matrices, shift=0.0):
        self._d = len(matrices)
        factors = []
        for k, M in enumerate(matrices):
            same = (factors[i] for i in range(k) if np.array_equal(matrices[i], M))
            factors.append(next(same, None) or scipy.linalg.schur(M, output="real"))
        if shift:
            T, S = factors[0]
            factors[0] = T + shift * np.eye(len(T)), S
        if self._d == 3 and np.any(np.diag(factors[0][0], -1)):
            # A row at a time needs a triangle: complex numbers on this axis, and on all with it.
            factors = [scipy.linalg.rsf2csf(*f) for f in factors]
        self._T, self._S = [T for T, _ in factors], [np.ascontiguousarray(S) for _, S in factors]
        sums = np.zeros(1)
        for T in self._T:
            sums = np.add.outer(sums, _eigenvalues(T)).ravel()
        size = np.abs(sums)
        self.gap = float(size.min() / size.max()) if size.size and size.max() > 0 else 0.0
        self.least = float(size.min(initial=np.inf))

    def solve(self, R):
        """C for a right-hand side R (r_1, ..., r_d)."""
        Y = mode_products([S.conj().T for S in self._S], R)
        Y = (self._line, self._plane, self._solid)[self._d - 1](Y)
        out = mode_products(self._S, Y)
        return out.real if out.dtype.kind == "c" else out

    def _line(self, Y):
        # Schur's real form has blocks of two on its diagonal.
        return scipy.linalg.solve(self._T[0], Y)

    def _plane(self, Y):
        return _triangular(self._T[0], self._T[1], Y)

    def _solid(self, Y):
        T, X = self._T[0], np.empty_like(Y)
        r = len(T)
        for i in range(r - 1, -1, -1):
            right = Y[i]
            if i < r - 1:
                right = right - (T[i, i + 1 :] @ X[i + 1 :].reshape(r - 1 - i, -1)).reshape(right.shape)
            X[i] = _triangular(self._T[1] + T[i, i] * np.eye(len(self._T[1])), self._T[2], right)
        return X


def _eigenvalues(T):
    """Of Schur's form: LAPACK's real blocks of two have equal diagonals, and off them numbers of opposite signs."""
    values = np.diag(T).astype(np.complex128)
    (k,) = np.nonzero(np.diag(T, -1))
    imaginary = 1j * np.sqrt(np.abs(T[k, k + 1] * T[k + 1, k]))
    values[k] += imaginary
    values[k + 1] -= imaginary
    return values


def _triangular(T1, T2, Y):
    """X with T1 X + X T2^T = Y for (quasi-)triangular T1 and T2."""
    # LAPACK offers the transpose for real matrices, and the conjugate transpose for complex ones.
    complex_ = T1.dtype.kind == "c" or T2.dtype.kind == "c"
    trsyl = scipy.linalg.lapack.ztrsyl if complex_ else scipy.linalg.lapack.dtrsyl
    if complex_:
        X, scale, _ = trsyl(T1, T2.conj(), Y, tranb="C")
    else:
        X, scale, _ = trsyl(T1, T2, Y, tranb="T")
    return X / scale
