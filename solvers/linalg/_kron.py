"""Kronecker products A_1 x ... x A_d that are never formed: one product along each axis.

Vectors are numbered in C order: the index of A_d runs fastest. On a GPU the factorisations are the host's, of matrices
that are small; only products run on the device.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter, kinds, leaving, on_host
from .._errors import InvalidInput, UnsupportedType
from .._place import at
from .._tensors import along, mode_products, outer

__all__ = ["KroneckerOperator", "kron_matvec", "kron_solve"]


def kron_matvec(As: Sequence[ArrayLike], x: ArrayLike) -> NDArray[Any]:
    """Multiply by A_1 x A_2 x ... x A_d without forming it.

    Parameters
    ----------
    As : sequence of array_like, shapes (m_i, n_i)
    x : array_like, shape (n_1, ..., n_d), (N,) or (N, k) with N = n_1 ... n_d

    Returns
    -------
    ndarray, shape (m_1, ..., m_d), (M,) or (M, k)
        In the shape that x came in, and in the kind of array that x is.

    Raises
    ------
    InvalidInput
        If the shapes do not fit.

    Notes
    -----
    2 N sum(n_i) operations for square factors, where the explicit product takes 2 N^2, and about two more arrays of
    the size of x.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(3)
    >>> x = np.arange(6.0)
    >>> np.allclose(linalg.kron_matvec([A, B], x), np.kron(A, B) @ x)
    True
    """
    As, x, work, leave = _entered(As, x, "x")
    with work:
        X, shape = _as_tensor(x, tuple(A.shape[1] for A in As), "x")
        return leave(_multiplied(As, X).reshape((*(A.shape[0] for A in As),) if shape is None else (-1, *shape)))


def kron_solve(As: Sequence[ArrayLike], y: ArrayLike, shift: float = 0.0) -> NDArray[Any]:
    """Solve (A_1 x ... x A_d + shift I) x = y without forming the matrix.

    Parameters
    ----------
    As : sequence of array_like, shapes (n_i, n_i)
    y : array_like, shape (n_1, ..., n_d), (N,) or (N, k)
    shift : float, default 0
        Such as the variance of the noise in Gaussian-process regression.

    Returns
    -------
    ndarray
        Like y.

    Raises
    ------
    InvalidInput
        If a matrix is not square, the shapes do not fit, or the sum is singular to rounding.
    UnsupportedType
        On a GPU with a shift, for factors that are not Hermitian.

    Notes
    -----
    One factorisation of each A_i: LU without a shift, eigenvectors where all are Hermitian, Schur's triangular form
    else, then solved from the last row; sum n_i^3 + N sum n_i operations, N^2 / n_d^2 triangular solves more for
    that last kind in d > 2.

    References
    ----------
    .. [1] Y. Saatci, Scalable inference for structured Gaussian process models, PhD thesis, Cambridge, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A, B = np.diag([1.0, 2.0]), np.diag([3.0, 4.0])
    >>> linalg.kron_solve([A, B], np.ones(4), shift=1.0)
    array([0.25      , 0.2       , 0.14285714, 0.11111111])
    """
    return KroneckerOperator(As, shift).solve(y)


class KroneckerOperator(LinearOperator):
    """A_1 x ... x A_d + shift I as a LinearOperator, for any solver of this module or of SciPy.

    Parameters
    ----------
    As : sequence of array_like, shapes (m_i, n_i)
        Copied.
    shift : float, default 0
        Only for square products.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.KroneckerOperator([np.diag([1.0, 2.0]), np.diag([3.0, 4.0])], shift=1.0)
    >>> A
    <Kronecker product of 2x2 and 2x2, shifted by 1>
    >>> linalg.cg(A, np.ones(4), rtol=1e-10).converged
    True
    """

    def __init__(self, As: Sequence[ArrayLike], shift: float = 0.0) -> None:
        self._factors = [np.array(on_host(A)) for A in _matrices(As)]
        self.shift = _checks.number("shift", shift)
        if not math.isfinite(self.shift):
            raise InvalidInput(f"`shift` must be finite, got {self.shift!r}.")
        rows, columns = (math.prod(A.shape[i] for A in self._factors) for i in (0, 1))
        if self.shift and rows != columns:
            raise InvalidInput(f"`shift` must be 0 for a product that is not square, got shape {(rows, columns)}.")
        self._placed, self._factorised = {}, None
        super().__init__(np.result_type(*self._factors), (rows, columns))

    @property
    def factors(self) -> list[NDArray[Any]]:
        """The matrices A_i, on the host: not to be written to."""
        return list(self._factors)

    def _factors_like(self, x):
        """The factors where x lives."""
        backend = "gpu" if kinds[type(x)] == "gpu" else "cpu"
        if backend == "cpu":
            return self._factors
        kernels = _backend.kernels(backend)
        key = kernels.device_id()
        if key not in self._placed:
            self._placed[key] = [kernels.to_device(A, A.dtype) for A in self._factors]
        return self._placed[key]

    def _matvec(self, v):
        v = v.reshape(-1)
        factors = self._factors_like(v)
        y = mode_products(factors, v.reshape(tuple(A.shape[1] for A in factors))).reshape(-1)
        return y + self.shift * v if self.shift else y

    def _matmat(self, X):
        y = _multiplied(self._factors_like(X), X.reshape((*(A.shape[1] for A in self._factors), X.shape[1])))
        y = y.reshape(-1, X.shape[1])
        return y + self.shift * X if self.shift else y

    def _adjoint(self):
        return KroneckerOperator([A.conj().T for A in self._factors], self.shift)

    def _transpose(self):
        return KroneckerOperator([A.T for A in self._factors], self.shift)

    def solve(self, y: ArrayLike) -> NDArray[Any]:
        """Solve with this operator; see ``kron_solve``. The factorisations are kept.

        Parameters
        ----------
        y : array_like, shape (n_1, ..., n_d), (N,) or (N, k)

        Returns
        -------
        ndarray
            Like y.
        """
        for i, A in enumerate(self._factors):
            if A.shape[0] != A.shape[1]:
                raise InvalidInput(f"`As[{i}]` must be square, got shape {A.shape}.")
        _, y, work, leave = _entered(self._factors, y, "y")
        with work:
            Y, shape = _as_tensor(y, tuple(len(A) for A in self._factors), "y")
            X = self._inverse(kinds[type(y)] == "gpu")(Y)
            return leave(X.reshape(tuple(len(A) for A in self._factors) if shape is None else (-1, *shape)))

    def _inverse(self, on_gpu):
        """A function that solves for an array of shape (n_1, ..., n_d, ...)."""
        if self._factorised is None:
            self._factorised = _inverse_of(self._factors, self.shift)
        if on_gpu and not hasattr(self._factorised, "on_gpu"):
            raise UnsupportedType("`As` must be Hermitian to be solved with a shift on a GPU; use the CPU backend.")
        return self._factorised

    def __repr__(self):
        sizes = " and ".join(f"{A.shape[0]}x{A.shape[1]}" for A in self._factors)
        return f"<Kronecker product of {sizes}{f', shifted by {self.shift:g}' if self.shift else ''}>"


class _Spectral:
    """V f(lambda) U^H: by singular vectors without a shift, by eigenvectors of Hermitian factors with one."""

    on_gpu = True

    def __init__(self, left, values, right):
        self._left, self._values, self._right = left, values, right

    def __call__(self, Y):
        place = _backend.kernels("gpu").to_device if kinds[type(Y)] == "gpu" else np.asarray
        left, right = ([place(M, M.dtype) for M in matrices] for matrices in (self._left, self._right))
        values = place(self._values, self._values.dtype)
        tail = Y.ndim - values.ndim
        return _multiplied(left, _multiplied(right, Y) / values.reshape(values.shape + (1,) * tail))


class _Triangular:
    """(T_1 x ... x T_d + shift I) from the last row of T_1 on, with Schur's forms T_i."""

    def __init__(self, factors, shift):
        schur = [scipy.linalg.schur(A, output="complex") for A in factors]
        self._T, self._S, self._shift = [T for T, _ in schur], [S for _, S in schur], shift
        self._real = all(A.dtype.kind == "f" for A in factors)
        _refuse_singular(outer([np.diag(T) for T in self._T]) + shift)

    def __call__(self, Y):
        X = _multiplied([S.conj().T for S in self._S], Y.astype(np.complex128))
        X = _multiplied(self._S, self._rows(self._T, self._shift, X))
        return X.real if self._real and Y.dtype.kind != "c" else X

    def _rows(self, T, shift, Y):
        if len(T) == 1:
            flat = scipy.linalg.solve_triangular(T[0] + shift * np.eye(len(T[0])), Y.reshape(len(Y), -1))
            return flat.reshape(Y.shape)
        X, products = np.empty_like(Y), np.empty_like(Y)
        for i in range(len(T[0]) - 1, -1, -1):
            t = T[0][i, i]
            right = Y[i] - np.tensordot(T[0][i, i + 1 :], products[i + 1 :], 1)
            X[i] = right / shift if t == 0 else self._rows(T[1:], shift / t, right / t)
            products[i] = _multiplied(T[1:], X[i])
        return X


def _inverse_of(factors, shift):
    if shift == 0.0:
        singular = [scipy.linalg.svd(A) for A in factors]
        values = outer([s for _, s, _ in singular])
        for i, (_, s, _) in enumerate(singular):
            if s.size and s[-1] <= s.size * np.finfo(s.dtype).eps * s[0]:
                raise InvalidInput(f"`As[{i}]` must be nonsingular, got a matrix that is singular to rounding.")
        return _Spectral([V.conj().T for *_, V in singular], values, [U.conj().T for U, *_ in singular])
    if all(np.array_equal(A, A.conj().T) for A in factors):
        pairs = [np.linalg.eigh(A) for A in factors]
        values = outer([w for w, _ in pairs]) + shift
        _refuse_singular(values)
        return _Spectral([Q for _, Q in pairs], values, [Q.conj().T for _, Q in pairs])
    return _Triangular(factors, shift)


def _refuse_singular(values):
    size = np.abs(values)
    if size.size and size.min() <= size.size * np.finfo(np.float64).eps * size.max() * 1e-3:
        raise InvalidInput("`shift` must be no eigenvalue of -(A_1 x ... x A_d): the sum is singular to rounding.")


def _multiplied(As, X):
    """``mode_products`` for an array with more axes behind those of the factors."""
    if X.ndim == len(As):
        return mode_products(As, X)
    for axis, A in enumerate(As):
        X = along(A, X, axis)
    return X


def _matrices(As):
    if not isinstance(As, list | tuple) or not As:
        raise UnsupportedType(f"`As` must be a list of matrices, at least one, got {type(As).__name__}.")
    As = [_checks.array(f"As[{i}]", enter(f"As[{i}]", A)) for i, A in enumerate(As)]
    for i, A in enumerate(As):
        if A.ndim != 2:
            raise InvalidInput(f"`As[{i}]` must be a matrix, got shape {A.shape}.")
    return As


def _entered(As, x, name):
    """The matrices and x where the call works, the context of that place, and how the answer leaves."""
    leave, x, As = leaving(x), enter(name, x), _matrices(As)
    host = [A for A in As if kinds[type(A)] != "gpu"]
    backend = _backend.pick(**{name: x}) if host else _backend.pick(**{name: x, "As": As[0]})
    x = _checks.array(name, x)
    work = at(backend, x)
    with work:
        kernels = _backend.kernels(backend)
        place = (lambda A: kernels.to_device(A, A.dtype)) if backend == "gpu" else (lambda A: A)
        return [place(A) for A in As], place(x), at(backend, x), leave


def _as_tensor(x, sizes, name):
    """x of shape (n_1, ..., n_d) or (n_1, ..., n_d, k), and what is left of its shape beyond the first axis."""
    N = math.prod(sizes)
    if x.shape == sizes:
        return x, None if x.ndim > 1 else ()
    if x.ndim not in (1, 2) or x.shape[0] != N:
        raise InvalidInput(f"`{name}` must have shape {sizes}, ({N},) or ({N}, k) to go with `As`, got {x.shape}.")
    return x.reshape((*sizes, *x.shape[1:])), x.shape[1:]
