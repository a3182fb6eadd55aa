"""The analysis of a matrix: what kind it is, which storage the kernels get, how an operator is applied.

It is done once per call, or once for many calls by ``prepare``.
"""

import math

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .. import _backend, _checks
from .._errors import InvalidInput, UnsupportedType

__all__ = ["Matrix", "PreparedOperator", "StencilOperator", "analyse", "prepare", "stencil"]

_FLOATS = "fdFD"


class Matrix:
    """A square matrix or operator after analysis.

    Attributes
    ----------
    n : int
    dtype : numpy.dtype or None
        One of float32, float64, complex64, complex128; None where only a product would tell.
    """

    __slots__ = ("n", "dtype", "_name", "_csr", "_dense", "_stencil", "_apply", "_operands")

    def __init__(self, n, dtype, name="A", csr=None, dense=None, stencil=None, apply=None):
        self.n, self.dtype, self._name = n, dtype, name
        self._csr, self._dense, self._stencil, self._apply = csr, dense, stencil, apply
        self._operands = {}

    @property
    def explicit(self):
        """Whether its entries are at hand, so that the compiled loops can apply it."""
        return self._apply is None

    def operand(self, dtype, backend, many_products=True):
        """The kernels' form of it with entries of that dtype, made on first use.

        Storage by diagonals costs some products to make: it is for those who will do many.
        """
        key = dtype, backend
        if key not in self._operands:
            kernels = _backend.kernels(backend)
            operand = self._make(dtype, kernels)
            self._operands[key] = kernels.diagonals(operand) if many_products and self._csr is not None else operand
        return self._operands[key]

    @property
    def sparse(self):
        """Whether it came as a sparse matrix."""
        return self._csr is not None

    def csr_operand(self, dtype, backend):
        """The kernels' CSR form, also where ``operand`` is stored by diagonals."""
        return self._make_csr(dtype, _backend.kernels(backend))

    def product(self, v):
        """A v through the user's own code, whose answer is checked."""
        return _vector(self._apply(v), self.n)

    def is_hermitian(self, dtype):
        """Whether A = A^H up to rounding; an operator is asked with two random vectors."""
        eps = np.finfo(dtype).eps
        if self.n == 0:
            return True
        if self._stencil is not None:
            return not np.any(self._stencil[1].imag)
        if self._csr is not None:
            return bool(abs(self._csr - self._csr.conj().T).max() <= 8 * eps * abs(self._csr).max())
        if self._dense is not None:
            return bool(np.abs(self._dense - self._dense.conj().T).max() <= 8 * eps * np.abs(self._dense).max())
        rng = np.random.default_rng(0)
        u, v = rng.standard_normal((2, self.n)).astype(dtype)
        if u.dtype.kind == "c":
            u, v = u * (1 + 1j), v + 1j * rng.standard_normal(self.n).astype(dtype)
        Au, Av = self.product(u.copy()), self.product(v.copy())
        return bool(abs(np.vdot(u, Av) - np.vdot(Au, v)) <= eps**0.5 * np.linalg.norm(u) * np.linalg.norm(Av))

    def _make(self, dtype, kernels):
        if self._csr is not None:
            return self._make_csr(dtype, kernels)
        if self._dense is not None:
            return kernels.dense(np.ascontiguousarray(self._dense, dtype=dtype))
        shape, weights = self._stencil
        return kernels.stencil(shape, weights.astype(dtype))

    def _make_csr(self, dtype, kernels):
        A = self._csr
        _check_indices(A, self._name)
        index = np.int32 if A.nnz <= np.iinfo(np.int32).max else np.int64
        return kernels.csr(
            np.ascontiguousarray(A.indptr, dtype=index),
            np.ascontiguousarray(A.indices, dtype=index),
            np.ascontiguousarray(A.data, dtype=dtype),
        )


class PreparedOperator(LinearOperator):
    """What ``prepare`` returns; SciPy's functions take it too."""

    def __init__(self, matrix, source):
        super().__init__(matrix.dtype, (matrix.n, matrix.n))
        self._matrix = matrix
        self._source = source

    def _matvec(self, v):
        return self._source @ np.ravel(v)

    def _matmat(self, X):
        return self._source @ X

    def _adjoint(self):
        return aslinearoperator(self._source).adjoint()

    def __repr__(self):
        return f"<prepared {self.shape[0]}x{self.shape[1]} operator of dtype {self.dtype}>"


class StencilOperator(PreparedOperator):
    """What ``stencil`` returns: a constant 5- or 7-point operator without storage."""

    def _matvec(self, v):
        v = np.ravel(v)
        dtype = np.result_type(self.dtype, v.dtype)
        y = np.empty(self.shape[0], dtype=dtype)
        kernels = _backend.kernels("cpu")
        kernels.matvec(self._matrix.operand(dtype, "cpu"), np.ascontiguousarray(v, dtype=dtype), y)
        return y

    def _matmat(self, X):
        return np.stack([self._matvec(column) for column in X.T], axis=1) if X.shape[1] else np.empty(X.shape)

    def _adjoint(self):
        return self if self.dtype.kind == "f" else StencilOperator(_conjugate(self._matrix), None)


def prepare(A):
    """Analyse a matrix once for many solves.

    Parameters
    ----------
    A : ndarray, sparse array or LinearOperator, shape (n, n)
        It is copied: later changes to A are not seen.

    Returns
    -------
    PreparedOperator
        A LinearOperator of the same shape and dtype. The solvers of this module skip the checks, the
        conversion and the choice of storage when they get it; SciPy's take it as any operator.

    Raises
    ------
    InvalidInput
        If A is not square, or its index arrays do not fit its shape.
    UnsupportedType
        If A is no matrix or operator, or has no dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.prepare(np.array([[4.0, 1.0], [1.0, 3.0]]))
    >>> [linalg.cg(A, b).iterations for b in np.eye(2)]
    [2, 2]
    """
    if isinstance(A, PreparedOperator):
        return A
    matrix = analyse(A)
    if matrix.explicit:
        matrix.operand(matrix.dtype, "cpu", many_products=False)  # A bad matrix is refused before it is copied.
        A = A.copy() if isinstance(A, np.ndarray) or issparse(A) else aslinearoperator(A.A.copy())
        matrix = analyse(A)
    if matrix.dtype is None:
        raise UnsupportedType("`A` must have a dtype to be prepared; wrap it in a LinearOperator with dtype=.")
    if matrix.explicit:
        matrix.operand(matrix.dtype, _backend.pick(A=A))
    return PreparedOperator(matrix, A)


def stencil(shape, weights):
    """Make the constant-coefficient 5-point (2D) or 7-point (3D) operator on a grid, without a matrix.

    (A u)_i = weights[0] u_i + sum over axes k of weights[1 + k] (u_{i - e_k} + u_{i + e_k}), with u = 0
    outside the grid (homogeneous Dirichlet values one step beyond it).

    Parameters
    ----------
    shape : sequence of int, length 1 to 3
        The grid; unknowns are numbered in C order (last axis fastest), n = prod(shape).
    weights : array_like, shape (len(shape) + 1,)
        The centre, then the neighbours along each axis.

    Returns
    -------
    StencilOperator
        A LinearOperator of shape (n, n). A product reads one vector and writes one.

    Raises
    ------
    InvalidInput
        If the grid has no size, or the weights do not go with it.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> linalg.cg(A, np.ones(2500), rtol=1e-8).converged
    True
    """
    if not isinstance(shape, tuple | list) or not 1 <= len(shape) <= 3:
        raise InvalidInput(f"`shape` must be a sequence of 1 to 3 grid sizes, got {shape!r}.")
    shape = [_checks.count("shape", size) for size in shape]
    weights = _checks.finite("weights", _checks.real_array("weights", weights))
    _checks.shape_is("weights", weights, [(len(shape) + 1,)], "(the centre and one weight per axis)")
    n = math.prod(shape)
    if n >= 2**48:
        raise InvalidInput(f"`shape` must have fewer than 2^48 points, got {n}.")
    return StencilOperator(Matrix(n, weights.dtype, stencil=(shape, weights.copy())), None)


def analyse(A, name="A"):
    """Return the ``Matrix`` of anything a user may pass under that name."""
    if isinstance(A, PreparedOperator):
        return A._matrix
    if isinstance(A, np.ndarray):
        return _from_dense(A, name)
    if issparse(A):
        return _from_sparse(A, name)
    if isinstance(A, LinearOperator) or (hasattr(A, "matvec") and hasattr(A, "shape")):
        return _from_operator(A, name)
    raise UnsupportedType(
        f"`{name}` must be a NumPy array, a SciPy sparse array, a LinearOperator or a function v -> {name} v, "
        f"got {type(A).__name__}; use numpy.asarray({name}) for nested lists."
    )


def _square(shape, name):
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInput(
            f"`{name}` must be square, got shape {tuple(shape)}; use lsqr or lsmr for least-squares problems."
        )
    return int(shape[0])


def _float_dtype(dtype, name):
    """float32, float64, complex64 and complex128 stay; the other numbers become float64 or complex128, as in SciPy."""
    if dtype.char in _FLOATS:
        return dtype
    if dtype.kind not in "biufc":
        raise UnsupportedType(f"`{name}` must hold numbers, got dtype {dtype}; use {name}.astype(float).")
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _from_dense(A, name):
    if isinstance(A, np.ma.MaskedArray) and np.ma.is_masked(A):
        raise UnsupportedType(f"`{name}` must have no masked entries; fill them with {name}.filled(...).")
    return Matrix(_square(A.shape, name), _float_dtype(A.dtype, name), name, dense=np.asarray(A))


def _from_sparse(A, name):
    n, dtype = _square(A.shape, name), _float_dtype(A.dtype, name)
    if A.format != "csr":
        _check_indices(A, name)  # SciPy's conversion trusts them with memory
        A = A.tocsr()
    return Matrix(n, dtype, name, csr=A)


def _check_indices(A, name):
    """Refuse index arrays that point outside of the matrix: the compiled loops do not look."""
    if A.format in ("csr", "csc"):
        good = _backend.kernels("cpu").is_valid_csr(A.indptr, A.indices, A.data.size)
    elif A.format == "bsr":
        ends = A.indptr.size == A.shape[0] // A.blocksize[0] + 1 and A.indptr[0] == 0
        good = ends and A.indptr[-1] == A.indices.size == A.data.shape[0] and bool(np.all(np.diff(A.indptr) >= 0))
        good = good and _within(A.indices, A.shape[1] // A.blocksize[1])
    elif A.format == "coo":
        good = all(_within(index, size) for index, size in zip(A.coords, A.shape))
    else:
        return
    if not good:
        raise InvalidInput(
            f"`{name}` must have index arrays that fit its shape {A.shape}, got an index out of range; "
            f"{name}.check_format(full_check=True) or {name}.coords shows it."
        )


def _within(indices, size):
    return indices.size == 0 or (int(indices.min()) >= 0 and int(indices.max()) < size)


def _from_operator(A, name):
    n = _square(A.shape, name)
    inner = getattr(A, "A", None)
    if type(A).__name__ == "MatrixLinearOperator" and (isinstance(inner, np.ndarray) or issparse(inner)):
        return analyse(inner, name)
    # LinearOperator.matvec reshapes a wrong answer until it fits; the hook below it does not.
    plain = isinstance(A, LinearOperator) and type(A).matvec is LinearOperator.matvec
    dtype = getattr(A, "dtype", None)
    dtype = None if dtype is None else _float_dtype(np.dtype(dtype), name)
    return Matrix(n, dtype, name, apply=A._matvec if plain else A.matvec)


def _vector(y, n):
    y = np.asarray(y)
    if y.shape not in ((n,), (n, 1)):
        raise InvalidInput(f"A product with the operator must have shape ({n},), got {y.shape}; check its matvec.")
    if y.dtype.kind not in "biufc":
        raise UnsupportedType(f"A product with the operator must hold numbers, got dtype {y.dtype}.")
    return y.reshape(n)


def _conjugate(matrix):
    shape, weights = matrix._stencil
    return Matrix(matrix.n, matrix.dtype, stencil=(shape, weights.conj()))
