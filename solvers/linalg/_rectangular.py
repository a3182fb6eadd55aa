"""A matrix of any shape or an operator with an adjoint, applied to stacks of vectors."""

from functools import partial

import numpy as np
from scipy.sparse import issparse

from .. import _backend, _checks
from .._arrays import kinds, module_of
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices, is_plain, sent
from ._operator import is_matrix
from ._sweeps import entries

__all__ = ["Rectangular"]


class Rectangular:
    """What least-squares methods need of A.

    Parameters
    ----------
    A : ndarray, sparse array or LinearOperator, shape (m, n)
        Or any object with matvec, rmatvec, shape and dtype.
    backend : str

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
        One of float32, float64, complex64, complex128.
    n_matvec : int
        Products so far, those with the adjoint included, one a row.
    together : bool
        Whether the bits of a product depend on how many rows there are, as those of BLAS do.
    factor : float
        What A is multiplied by, 1 unless it is set: a power of two, so that squares of its norm stay in range.
    """

    def __init__(self, A, backend):
        A = entries(A) if backend == "gpu" else A
        A = A if backend == "cpu" else sent("A", A)
        self.n_matvec, self.factor, self._sparse = 0, 1.0, None
        self.together = backend == "gpu" or isinstance(A, np.ndarray)
        if is_matrix(A):
            if isinstance(A, np.ma.MaskedArray) and np.ma.is_masked(A):
                raise UnsupportedType("`A` must have no masked entries; fill them with A.filled(...).")
            A = np.asarray(A) if isinstance(A, np.ndarray) else A
            check_indices(A, "A")  # SciPy trusts them with memory
            if getattr(A, "format", "csr") not in ("csr", "csc"):
                A = A.tocsr()
            if A.ndim != 2:
                raise InvalidInput(f"`A` must be a matrix, got an array of shape {A.shape}.")
            H = A.conj().T if A.dtype.kind == "c" else A.T
            self._forward, self._adjoint = A.__matmul__, H.__matmul__
            self._sparse = A if backend == "cpu" and issparse(A) else None
        elif all(hasattr(A, each) for each in ("matvec", "rmatvec", "shape")):
            self._forward, self._adjoint = _by_rows(A, "matvec"), _by_rows(A, "rmatvec")
        else:
            raise UnsupportedType(
                "`A` must be a NumPy or CuPy array, a sparse array or an operator with matvec, rmatvec and shape, got "
                f"{type(A).__name__}; use numpy.asarray(A) for nested lists."
            )
        self.shape, self.dtype = tuple(map(int, A.shape)), _checks.float_dtype("A", _declared(A))

    def operand(self, dtype):
        """A for the compiled loops, and whether it is stored by rows; None where its entries would be converted."""
        A, kernels = self._sparse, _backend.kernels("cpu")
        if A is None or A.dtype != dtype:
            return None
        parts = (kernels.to_device(each, each.dtype) for each in (A.indptr, A.indices, A.data))
        return kernels.csr(*parts), A.format == "csr"

    def forward(self, X):
        """A x of each row of X."""
        return self._rows(self._forward, X, self.shape[0])

    def adjoint(self, Y):
        """A^H y of each row of Y."""
        return self._rows(self._adjoint, Y, self.shape[1])

    def _rows(self, product, X, size):
        if not len(X):
            return module_of(X).zeros((0, size), X.dtype)
        self.n_matvec += len(X)
        columns = product(X[0] if len(X) == 1 else X.T)
        if kinds[type(columns)] != kinds[type(X)]:
            raise UnsupportedType(
                f"A product with `A` must give what it gets, a {type(X).__module__} array, got a "
                f"{type(columns).__name__}; use solvers.backend('cpu') for operators written in NumPy."
            )
        rows = columns.reshape(1, -1) if len(X) == 1 else columns.T
        if rows.shape != (len(X), size):
            raise InvalidInput(f"A product with `A` must have {size} entries, got {rows.size // len(X)}.")
        if rows.dtype.kind == "c" and X.dtype.kind != "c":
            raise InvalidInput(
                "`A` must give real products where its dtype is real, got complex ones; declare dtype=complex, or pass "
                "a complex `b`."
            )
        rows = module_of(X).ascontiguousarray(rows)
        return rows if self.factor == 1.0 else rows * rows.real.dtype.type(self.factor)


def _by_rows(A, name):
    """The product with each column by the user's own code."""
    return partial(_one_by_one, getattr(A, f"_{name}" if is_plain(A, name) else name), name)


def _one_by_one(apply, name, X):
    try:
        if X.ndim == 1:
            return apply(X)
        return module_of(X).stack([apply(x).reshape(-1) for x in module_of(X).ascontiguousarray(X.T)]).T
    except NotImplementedError:
        raise UnsupportedType(
            f"`A` must have a {name} for least squares, got an operator without; pass LinearOperator(shape, matvec="
            "..., rmatvec=...)."
        ) from None


def _declared(A):
    dtype = getattr(A, "dtype", None)
    return np.dtype(np.float64 if dtype is None else dtype)
