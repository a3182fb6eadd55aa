"""The analysis of a matrix: what kind it is, which storage the kernels get, how an operator is applied.

It is done once per call, or once for many calls by ``prepare``.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .. import _backend, _checks
from .._arrays import kinds
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices, instead, is_plain
from .._scale import to_one
from ._products import Operator

__all__ = [
    "Matrix",
    "PreparedOperator",
    "analyse",
    "is_matrix",
    "place",
    "source",
]


class Matrix:
    """A square matrix or operator after analysis.

    Attributes
    ----------
    n : int
    dtype : numpy.dtype or None
        One of float32, float64, complex64, complex128; None where only a product would tell.
    csr, dense, stencil : sparse matrix, array, (shape, weights)
        What it came as; None for the others.
    sweeps : dict
        What ``sweep_of`` made of it.
    null_space : None or tuple
        What ``null_space_of`` found, if it was asked for.
    """

    __slots__ = ("n", "dtype", "_name", "csr", "dense", "stencil", "_apply", "_operands", "sweeps", "null_space")

    def __init__(self, n, dtype, name="A", csr=None, dense=None, stencil=None, apply=None):
        self.n, self.dtype, self._name = n, dtype, name
        self.csr, self.dense, self.stencil, self._apply = csr, dense, stencil, apply
        self._operands, self.sweeps, self.null_space = {}, {}, None

    @property
    def explicit(self):
        """Whether its entries are at hand, so that the compiled loops can apply it."""
        return self._apply is None

    def operand(self, dtype, backend, many_products=True):
        """The kernels' form of it with entries of that dtype, made on first use.

        Storage by diagonals costs some products to make: it is for those who will do many.
        """
        key = place(dtype, backend)
        if key not in self._operands:
            kernels = _backend.kernels(backend)
            operand = self._make(dtype, kernels)
            self._operands[key] = kernels.diagonals(operand) if many_products and self.csr is not None else operand
        return self._operands[key]

    @property
    def sparse(self):
        """Whether it came as a sparse matrix."""
        return self.csr is not None

    def keep_csr(self, dtype, backend):
        """From now on ``operand`` is the CSR form; a benchmark compares the two."""
        self._operands[place(dtype, backend)] = self._make_csr(dtype, _backend.kernels(backend))

    def csr_operand(self, dtype, backend):
        """The kernels' CSR form, also where ``operand`` is stored by diagonals."""
        kernels, made = _backend.kernels(backend), self._operands.get(place(dtype, backend))
        return made if isinstance(made, kernels.CSR) else self._make_csr(dtype, kernels)

    def product(self, v):
        """A v through the user's own code, whose answer is checked."""
        return _vector(self._apply(v), v, self._name)

    def is_hermitian(self, dtype, backend):
        """Whether A = A^H up to rounding; entries that are not on the host are asked with two random vectors."""
        eps = np.finfo(dtype).eps
        if self.n == 0:
            return True
        if self.stencil is not None:
            return not np.any(self.stencil[1].imag)
        if issparse(self.csr):
            check_indices(self.csr, self._name)  # SciPy trusts them with memory
            return _is_hermitian_csr(_as_floats(self.csr), eps)
        if isinstance(self.dense, np.ndarray):
            A = _as_floats(self.dense)
            return bool(np.abs(A - A.conj().T).max() <= 8 * eps * np.abs(A).max())
        return self._seems_hermitian(dtype, eps, backend)

    def _seems_hermitian(self, dtype, eps, backend):
        """Whether u^H A v = (A u)^H v for two random vectors."""
        kernels, rng = _backend.kernels(backend), np.random.default_rng(0)
        u, v = rng.standard_normal((2, self.n)).astype(dtype)
        if u.dtype.kind == "c":
            u, v = u * (1 + 1j), v + 1j * rng.standard_normal(self.n).astype(dtype)
        Au, Av = (kernels.to_host(self._once(kernels.copy_to_device(w, dtype), backend)) for w in (u, v))
        unit = to_one(float(max(np.abs(Au).max(), np.abs(Av).max())))
        Au, Av = (w.astype(np.result_type(w.dtype, np.float64)) * unit for w in (Au, Av))
        return bool(abs(np.vdot(u, Av) - np.vdot(Au, v)) <= eps**0.5 * np.linalg.norm(u) * np.linalg.norm(Av))

    def _once(self, v, backend):
        if not self.explicit:
            return self.product(v)
        y = _backend.kernels(backend).empty(v.shape, v.dtype)
        _backend.kernels(backend).matvec(self.operand(v.dtype, backend), v, y)
        return y

    def refuse_where_too_large(self, kernels):
        """Refuse more rows or entries than these kernels can count, whatever the matrix came as."""
        entries = 0 if self.csr is None else self.csr.nnz
        if max(self.n, entries) > kernels.MOST_ENTRIES:
            raise InvalidInput(
                f"`{self._name}` must have at most {kernels.MOST_ENTRIES} rows and stored entries on this backend, got "
                f"{max(self.n, entries)}; use solvers.backend('cpu')."
            )

    def _make(self, dtype, kernels):
        self.refuse_where_too_large(kernels)
        if self.csr is not None:
            return self._make_csr(dtype, kernels)
        if self.dense is not None:
            return kernels.dense(kernels.to_device(self.dense, dtype))
        shape, weights = self.stencil
        return kernels.stencil(shape, weights.astype(dtype))

    def _make_csr(self, dtype, kernels):
        self.refuse_where_too_large(kernels)
        A = self.csr
        check_indices(A, self._name)
        index = np.int32 if max(A.nnz, self.n) <= np.iinfo(np.int32).max else np.int64
        return kernels.csr(
            kernels.to_device(A.indptr, index),
            kernels.to_device(A.indices, index),
            kernels.to_device(A.data, dtype),
        )


class PreparedOperator(Operator):
    """What ``prepare`` returns; SciPy's functions take it too."""

    def __init__(self, matrix: Matrix, source: Any) -> None:
        super().__init__(matrix.dtype, (matrix.n, matrix.n))
        self._matrix = matrix
        self._source = source

    def product_on_gpu(self, v: Any) -> Any:
        if not self._matrix.explicit:
            return self._matrix.product(v)
        kernels = _backend.kernels("gpu")
        y = kernels.empty(v.shape, v.dtype)
        kernels.matvec(self._matrix.operand(v.dtype, "gpu"), v, y)
        return y

    def _lives_on_gpu(self):
        return kinds[type(self._source)] == "gpu"

    def _refuse_mixtures(self, name, x):
        _backend.pick(A=self._source, **{name: x})

    def _matvec(self, v):
        return self._source @ np.ravel(v)

    def _matmat(self, X):
        return self._source @ X

    def _adjoint(self):
        return aslinearoperator(self._source).adjoint()

    def __repr__(self):
        return f"<prepared {self.shape[0]}x{self.shape[1]} operator of dtype {self.dtype}>"


def analyse(A, name="A"):
    """Return the ``Matrix`` of anything a user may pass under that name."""
    if isinstance(A, PreparedOperator):
        return A._matrix
    if _is_array(A):
        return _from_dense(A, name)
    if _is_sparse(A):
        return _from_sparse(A, name)
    if isinstance(A, LinearOperator) or (hasattr(A, "matvec") and hasattr(A, "shape")):
        return _from_operator(A, name)
    raise UnsupportedType(
        f"`{name}` must be a NumPy or CuPy array, a sparse array, a LinearOperator or a function v -> {name} v, "
        f"got {type(A).__name__}{instead(A, name)}."
    )


def place(dtype, backend):
    """The key under which what is made for a dtype is kept: it lives on one device."""
    return dtype, backend, 0 if backend == "cpu" else _backend.kernels(backend).device_id()


def source(A):
    """What decides where A lives: the matrix itself where it was prepared."""
    return A._source if isinstance(A, PreparedOperator) else A


def _on_gpu(A):
    return kinds[type(A)] == "gpu"


def is_matrix(A):
    """Whether it is an array or a sparse matrix, on the host or on the device."""
    return _is_array(A) or _is_sparse(A)


def _is_array(A):
    return isinstance(A, np.ndarray) or (_on_gpu(A) and hasattr(A, "flags"))


def _is_sparse(A):
    return issparse(A) or (_on_gpu(A) and hasattr(A, "tocsr"))


def _square(shape, name):
    if len(shape) != 2 or shape[0] != shape[1]:
        remedy = "; use lsqr or lsmr for least-squares problems" if name == "A" else ""
        remedy = f"; for a diagonal matrix pass scipy.sparse.diags_array({name})" if len(shape) == 1 else remedy
        raise InvalidInput(f"`{name}` must be square, got shape {tuple(shape)}{remedy}.")
    return int(shape[0])


def _as_floats(A):
    """The same matrix, in floats if it holds integers, whose differences wrap around, or booleans, which have none."""
    return A.astype(np.float64) if A.dtype.kind in "biu" else A


def _is_hermitian_csr(A, eps):
    """Whether A = A^H up to rounding; entries are compared one by one where both have the same places for them."""
    H = A.T.tocsr()
    same = A.has_canonical_format and np.array_equal(A.indptr, H.indptr) and np.array_equal(A.indices, H.indices)
    with np.errstate(invalid="ignore"):  # infinities differ from themselves, as NaN does
        gap = A.data - H.data.conj() if same else (A - H.conj()).data
    return bool(np.abs(gap).max(initial=0) <= 8 * eps * np.abs(A.data).max(initial=0))


def _from_dense(A, name):
    if isinstance(A, np.ma.MaskedArray) and np.ma.is_masked(A):
        raise UnsupportedType(f"`{name}` must have no masked entries; fill them with {name}.filled(...).")
    if isinstance(A, np.ndarray):
        A = np.asarray(A, A.dtype.newbyteorder("="))  # SciPy's sparse matrices know no other order
    return Matrix(_square(A.shape, name), _checks.float_dtype(name, A.dtype), name, dense=A)


def _from_sparse(A, name):
    n, dtype = _square(A.shape, name), _checks.float_dtype(name, A.dtype)
    if A.format != "csr":
        check_indices(A, name)  # SciPy's conversion trusts them with memory
        A = A.tocsr()
    return Matrix(n, dtype, name, csr=A)


def _from_operator(A, name):
    n = _square(A.shape, name)
    inner = getattr(A, "A", None)
    if type(A).__name__ == "MatrixLinearOperator" and is_matrix(inner):
        return analyse(inner, name)
    dtype = getattr(A, "dtype", None)
    dtype = None if dtype is None else _checks.float_dtype(name, np.dtype(dtype))
    return Matrix(n, dtype, name, apply=A._matvec if is_plain(A, "matvec") else A.matvec)


def _vector(y, v, name):
    """The product y of the user's function with v: the same kind of array, of the same size, of numbers."""
    n = v.size
    if isinstance(v, np.ndarray):
        y = np.asarray(y)
    elif not isinstance(y, type(v)):
        raise UnsupportedType(
            f"A product with `{name}` must give what it gets, a {type(v).__module__} array, got "
            f"{type(y).__name__}; use solvers.backend('cpu') with NumPy arrays for functions written in NumPy."
        )
    if y.shape not in ((n,), (n, 1)):
        raise InvalidInput(f"A product with `{name}` must have shape ({n},), got {y.shape}; check its matvec.")
    if y.dtype.kind not in "biufc":
        raise UnsupportedType(f"A product with `{name}` must hold numbers, got dtype {y.dtype}.")
    return y.reshape(n)
