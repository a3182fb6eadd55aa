"""Somebody else's operator or matrix as one between images."""

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from .. import _checks
from .._arrays import kind_of, kinds, module_of
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices, instead, is_plain
from ._operator import ImagingOperator

__all__ = ["as_imaging_operator"]


def as_imaging_operator(A, name="A"):
    """An ``ImagingOperator`` of anything a user may pass: ours, a matrix, or what has matvec, rmatvec and shape."""
    if isinstance(A, ImagingOperator):
        return A
    if isinstance(A, np.ndarray) or issparse(A) or kind_of(name, A) == "gpu":
        if getattr(A, "ndim", 0) != 2:
            raise InvalidInput(f"`{name}` must be a matrix or an operator, got an array of shape {np.shape(A)}.")
        if np.ma.is_masked(A):
            raise UnsupportedType(f"`{name}` must have no masked entries; fill them with {name}.filled(...).")
        A = np.asarray(A) if isinstance(A, np.ndarray) else A
        check_indices(A, name)  # SciPy trusts them with memory
        dtype = _checks.float_dtype(name, A.dtype)
        return _Wrapped(_OfMatrix(A if A.dtype == dtype else A.astype(dtype)), dtype)
    if not all(hasattr(A, each) for each in ("matvec", "rmatvec", "shape")):
        raise UnsupportedType(
            f"`{name}` must be a matrix, a LinearOperator or an object with matvec, rmatvec and shape, got "
            f"{type(A).__name__}{instead(A, name)}."
        )
    dtype = getattr(A, "dtype", None)
    return _Wrapped(A, _checks.float_dtype(name, np.dtype(np.float64 if dtype is None else dtype)))


class _Wrapped(ImagingOperator):
    """Somebody else's operator or matrix, between vectors."""

    _together, _takes_complex = 4, True

    def __init__(self, A, dtype):
        super().__init__(dtype, A.shape[1:], A.shape[:1])
        self._A = A

    def forward_stack(self, X):
        return self._rows("mat", X, self.shape[0])

    def adjoint_stack(self, Y):
        return self._rows("rmat", Y, self.shape[1])

    def _rows(self, kind, X, size):
        of_vector, of_matrix = _products(self._A, kind)
        if len(X) == 1 or of_matrix is None:
            try:
                rows = [of_vector(x) for x in X]
            except NotImplementedError:
                raise UnsupportedType(
                    f"`A` must have a {kind}vec, got an operator without; pass LinearOperator(shape, matvec=..., "
                    "rmatvec=...)."
                ) from None
            if any(kinds[type(row)] != kinds[type(X)] for row in rows):
                raise UnsupportedType(
                    f"A product with `A` must give what it gets, a {type(X).__module__} array; use "
                    "solvers.backend('cpu') with NumPy arrays for operators written in NumPy."
                )
            out = module_of(X).stack([row.reshape(-1) for row in rows])
        else:
            out = of_matrix(X.T).T
        if out.shape != (len(X), size):
            raise InvalidInput(f"A product with `A` must have {size} entries, got shape {out.shape[1:]}.")
        dtype = np.result_type(X.dtype, self.dtype)
        if out.dtype.kind == "c" and dtype.kind != "c":
            raise InvalidInput(
                "`A` must give real products where its dtype is real, got complex ones; declare dtype=complex."
            )
        return module_of(X).ascontiguousarray(out, dtype)

    def __repr__(self):
        return repr(self._A)


def _products(A, kind):
    """Its product with a vector, and with several at once or None.

    SciPy's own wrappers reshape an answer before anybody can see that it is of a wrong size; what they wrap does not.
    """
    if not is_plain(A, f"{kind}vec"):
        return getattr(A, f"{kind}vec"), getattr(A, f"{kind}mat", None)
    several = getattr(type(A), f"_{kind}mat") is not getattr(LinearOperator, f"_{kind}mat")
    several = several and getattr(A, f"_CustomLinearOperator__{kind}mat_impl", True) is not None
    return getattr(A, f"_{kind}vec"), getattr(A, f"_{kind}mat") if several else None


class _OfMatrix:
    """A matrix of SciPy's, NumPy's or CuPy's with the methods of an operator."""

    def __init__(self, A):
        self.shape, self.dtype = A.shape, A.dtype
        self._A = A
        self._H = A.conj().T.tocsr() if hasattr(A, "tocsr") else A.conj().T

    def matvec(self, x):
        return _silently(self._A, x)

    def rmatvec(self, y):
        return _silently(self._H, y)

    matmat, rmatmat = matvec, rmatvec

    def __repr__(self):
        return f"<{self.shape[0]}x{self.shape[1]} {type(self._A).__name__} of dtype {self.dtype}>"


def _silently(A, x):
    """A @ x, where a NaN of an infinite entry is for the solver to tell, by a status."""
    with np.errstate(over="ignore", invalid="ignore"):
        return A @ x
