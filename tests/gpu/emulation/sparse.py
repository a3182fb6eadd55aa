"""cupyx.scipy.sparse and its linalg: SciPy underneath, arrays of the device outside."""

import inspect

import numpy as np
import scipy.sparse as scipy_sparse
import scipy.sparse.linalg as scipy_linalg

from .arrays import ndarray, on_device

_PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}
_FORMATS = tuple(_PARTS)


def _scipy(value):
    """What SciPy works with, for one of ours or within tuples."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, tuple):
        return tuple(map(_scipy, value))
    if isinstance(value, _spbase):
        parts = [getattr(value, name)._array for name in _PARTS[value.format]]
        first, rest = parts[0], parts[1] if value.format == "dia" else tuple(parts[1:])
        made = (first, rest) if value.format in ("coo", "dia") else (first, *rest)
        return getattr(scipy_sparse, type(value).__name__)(made, shape=value.shape)
    if isinstance(value, LinearOperator):
        return value._as_scipy()
    return value


def _ours(value):
    if isinstance(value, np.ndarray):
        return on_device(value)
    if scipy_sparse.issparse(value):
        value = value if value.format in _FORMATS else value.tocsr()
        return _CLASSES[type(value).__name__](value)
    if isinstance(value, tuple | list):
        return type(value)(map(_ours, value))
    if isinstance(value, np.generic):
        return on_device(value)
    return value


class _spbase:
    """A sparse matrix whose parts are arrays of the device."""

    __array_ufunc__ = None
    __module__ = "cupyx.scipy.sparse._base"
    format = None

    def __init__(self, given, shape=None, dtype=None, copy=False):
        parts = isinstance(given, tuple) and not isinstance(given[0], int)
        if parts and shape is None:
            raise ValueError("the fake needs a shape")
        for each in np.ravel([type(part).__name__ for part in _flat(given)]) if parts else ():
            if each != "ndarray" or any(isinstance(part, np.ndarray) for part in _flat(given)):
                raise TypeError("parts must be cupy.ndarray")
        made = getattr(scipy_sparse, type(self).__name__)(_scipy(given), shape=shape, dtype=dtype)
        self.shape, self.dtype = made.shape, made.dtype
        own = dict(zip(_PARTS[self.format], _flat(given), strict=False)) if parts else {}
        for name in _PARTS[self.format]:
            values, mine = getattr(made, name), own.get(name)
            same = mine is not None and mine.dtype == values.dtype and mine.shape == values.shape and not copy
            setattr(self, name, mine if same else on_device(values))
        self.has_sorted_indices = bool(getattr(made, "has_sorted_indices", True))
        self.has_canonical_format = bool(getattr(made, "has_canonical_format", True))

    nnz = property(lambda self: int(_scipy(self).nnz))
    ndim = property(lambda self: 2)
    T = property(lambda self: _ours(_scipy(self).T))
    H = property(lambda self: _ours(_scipy(self).conj().T))
    device = property(lambda self: self.data.device)

    def get(self, stream=None):
        parts = [getattr(self, name).get() for name in _PARTS[self.format]]
        if self.format in ("coo", "dia"):
            parts = [parts[0], tuple(parts[1:]) if self.format == "coo" else parts[1]]
        return getattr(scipy_sparse, type(self).__name__)(tuple(parts), shape=self.shape)

    def asformat(self, format):
        return self if format in (None, self.format) else getattr(self, f"to{format}")()

    def astype(self, dtype, copy=True):
        return _ours(_scipy(self).astype(dtype))

    def sum_duplicates(self):
        self.__init__(_summed(_scipy(self)))

    def sort_indices(self):
        made = _scipy(self)
        made.sort_indices()
        self.__init__(made)

    def dot(self, other):
        return self @ other

    def __matmul__(self, other):
        return _ours(_scipy(self) @ _scipy(other))

    def __rmatmul__(self, other):
        return _ours(_scipy(other) @ _scipy(self))

    def __add__(self, other):
        return _ours(_scipy(self) + _scipy(other))

    def __sub__(self, other):
        return _ours(_scipy(self) - _scipy(other))

    def __mul__(self, other):
        return _ours(_scipy(self) * _scipy(other))

    __rmul__ = __mul__

    def __truediv__(self, other):
        return _ours(_scipy(self) / _scipy(other))

    def __neg__(self):
        return _ours(-_scipy(self))


def _flat(given):
    return [part for each in given for part in (each if isinstance(each, tuple) else (each,))]


def _summed(matrix):
    matrix.sum_duplicates()
    return matrix


def _method(name):
    def call(self, *args, **options):
        return _ours(getattr(_scipy(self), name)(*map(_scipy, args), **options))

    return call


_METHODS = "tocsr tocsc tocoo todia toarray todense diagonal conj conjugate transpose copy max min sum power".split()
for _name in _METHODS:
    setattr(_spbase, _name, _method(_name))


class sparray:
    __module__ = "cupyx.scipy.sparse._base"


class spmatrix:
    __module__ = "cupyx.scipy.sparse._base"


_CLASSES = {
    f"{form}_{kind}": type(
        f"{form}_{kind}", (_spbase, base), {"format": form, "__module__": f"cupyx.scipy.sparse._{form}"}
    )
    for form in _FORMATS
    for kind, base in (("matrix", spmatrix), ("array", sparray))
}


class LinearOperator:
    """shape, dtype, and a matvec of arrays of the device."""

    __module__ = "cupyx.scipy.sparse.linalg._interface"
    __array_ufunc__ = None

    def __init__(self, shape, matvec=None, rmatvec=None, matmat=None, dtype=None, rmatmat=None):
        self.shape, self.dtype = tuple(shape), None if dtype is None else np.dtype(dtype)
        self._matvec, self._rmatvec, self._matmat = matvec, rmatvec, matmat

    def matvec(self, x):
        return self._matvec(x)

    def rmatvec(self, x):
        return self._rmatvec(x)

    def matmat(self, X):
        if self._matmat is not None:
            return self._matmat(X)
        return on_device(np.column_stack([self.matvec(X[:, j])._array for j in range(X.shape[1])]))

    def __matmul__(self, x):
        return self.matvec(x) if x.ndim == 1 else self.matmat(x)

    def _as_scipy(self):
        def carried(function):
            return None if function is None else lambda x: function(on_device(x.ravel()))._array

        dtype = self.dtype or np.dtype(float)
        return scipy_linalg.LinearOperator(self.shape, carried(self._matvec), carried(self._rmatvec), dtype=dtype)


def aslinearoperator(A):
    if isinstance(A, LinearOperator):
        return A
    adjoint = _ours(_scipy(A).conj().T)
    return LinearOperator(A.shape, lambda x: A @ x, lambda x: adjoint @ x, dtype=A.dtype)


class SuperLU:
    """SciPy's factors, for right-hand sides of the device."""

    __module__ = "cupyx.scipy.sparse.linalg._solve"

    def __init__(self, factors):
        self._factors, self.shape = factors, factors.shape

    def solve(self, rhs, trans="N"):
        return on_device(self._factors.solve(_scipy(rhs), trans))


def _as_cupyx(name, signature):
    """SciPy's function of that name with CuPy's parameters, for arrays of the device only."""
    parameters = inspect.signature(eval(f"lambda {signature}: None"))  # the table below
    twin = getattr(scipy_linalg, name)

    def call(*args, **options):
        given = parameters.bind(*args, **options).arguments
        for each, value in given.items():
            if isinstance(value, np.ndarray) or scipy_sparse.issparse(value):
                raise TypeError(f"{name}: {each} lives on the host")
        given = {key: _scipy(value) for key, value in given.items()}
        if given.get("callback") is not None:
            callback = given["callback"]
            given["callback"] = lambda x: callback(_ours(x) if isinstance(x, np.ndarray) else x)
        first = given.pop(next(iter(given)))
        if name == "minres":
            given["rtol"] = given.pop("tol", 1e-5)
        answer = twin(first, **given)
        if name == "factorized":
            return lambda b: _ours(answer(_scipy(b)))
        if name in ("splu", "spilu"):
            return SuperLU(answer)
        return _ours(answer)

    call.__signature__, call.__name__, call.__qualname__ = parameters, name, name
    call.__module__ = "cupyx.scipy.sparse.linalg"
    return call


_ITERATIVE = "A, b, x0=None, *, rtol=1e-5, atol=0.0, maxiter=None, M=None, callback=None"
#: CuPy 14's signatures.
_SIGNATURES = {
    "cg": _ITERATIVE,
    "cgs": _ITERATIVE,
    "bicgstab": _ITERATIVE,
    "gmres": "A, b, x0=None, *, rtol=1e-5, atol=0.0, restart=None, maxiter=None, M=None, callback=None,"
    "callback_type=None",
    "minres": "A, b, x0=None, shift=0.0, tol=1e-5, maxiter=None, M=None, callback=None, check=False",
    "lsqr": "A, b",
    "lsmr": "A, b, x0=None, damp=0.0, atol=1e-6, btol=1e-6, conlim=1e8, maxiter=None",
    "lobpcg": "A, X, B=None, M=None, Y=None, tol=None, maxiter=None, largest=True, verbosityLevel=0,"
    "retLambdaHistory=False, retResidualNormsHistory=False",
    "eigsh": "a, k=6, *, which='LM', v0=None, ncv=None, maxiter=None, tol=0, return_eigenvectors=True",
    "svds": "a, k=6, *, ncv=None, tol=0, which='LM', maxiter=None, return_singular_vectors=True",
    "spsolve": "A, b",
    "spsolve_triangular": "A, b, lower=True, overwrite_A=False, overwrite_b=False, unit_diagonal=False",
    "factorized": "A",
    "splu": "A, permc_spec=None, diag_pivot_thresh=None, relax=None, panel_size=None",
    "spilu": "A, drop_tol=None, fill_factor=None, drop_rule=None, permc_spec=None, diag_pivot_thresh=None, relax=None,"
    "panel_size=None",
    "norm": "x, ord=None, axis=None",
    "matrix_power": "A, power",
}


def contents():
    """Names of the modules cupyx.scipy.sparse and cupyx.scipy.sparse.linalg."""
    own = {"issparse": lambda x: isinstance(x, _spbase), "isspmatrix": lambda x: isinstance(x, spmatrix)}
    own |= {"sparray": sparray, "spmatrix": spmatrix, "_spbase": _spbase, **_CLASSES}
    for name in ("eye", "identity", "diags", "random", "kron", "eye_array", "diags_array"):
        own[name] = _constructor(name)
    functions = {name: _as_cupyx(name, signature) for name, signature in _SIGNATURES.items()}
    functions |= {"LinearOperator": LinearOperator, "SuperLU": SuperLU, "aslinearoperator": aslinearoperator}
    return {"cupyx.scipy.sparse": own, "cupyx.scipy.sparse.linalg": functions}


def _constructor(name):
    return lambda *args, **options: _ours(getattr(scipy_sparse, name)(*map(_scipy, args), **options))
