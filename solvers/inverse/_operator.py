"""What measures: linear operators between arrays that have shapes of their own, such as images and sinograms."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter, kind_of, kinds, leaving, module_of
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices, instead, is_plain
from .._place import at

__all__ = ["ImagingOperator", "applied", "as_imaging_operator", "stack_of"]


class ImagingOperator(LinearOperator):
    """A linear operator from images to data, in SciPy's sense, which takes them shaped, too.

    Parameters
    ----------
    dtype : dtype
        float32, float64, complex64 or complex128. A product is formed in ``np.result_type(dtype, x.dtype)``.
    image_shape, data_shape : tuple of int
        What it is applied to, and what comes out.

    Notes
    -----
    ``A @ x`` takes one image of ``image_shape``, a stack of shape (k, ``*image_shape``), and SciPy's flat forms (n,)
    and (n, k); the product is of the same form. ``A.H`` is the adjoint, ``A.T`` the transpose, operators of this kind
    with the two shapes exchanged; ``A @ B`` of two such operators, ``2 * A`` and ``-A`` are of this kind, too.
    CuPy's arrays are worked with on their device.

    A subclass says ``forward_stack(X)`` and ``adjoint_stack(Y)``, for C-contiguous stacks (k, ``*image_shape``) and
    (k, ``*data_shape``) of NumPy or CuPy in the dtype of the product; both return new arrays. Those of a real operator
    only ever see real stacks.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> class Halved(inverse.ImagingOperator):
    ...     def forward_stack(self, X):
    ...         return X[:, ::2].copy()
    ...     def adjoint_stack(self, Y):
    ...         X = np.zeros((len(Y), *self.image_shape), Y.dtype)
    ...         X[:, ::2] = Y
    ...         return X
    >>> A = Halved(float, (4, 3), (2, 3))
    >>> (A @ np.arange(12.0).reshape(4, 3)).tolist()
    [[0.0, 1.0, 2.0], [6.0, 7.0, 8.0]]
    >>> float((A.H @ (A @ np.ones(12))).sum())
    6.0
    """

    # For methods: rows of a stack that they keep together, however large, as a product with all is cheaper.
    _together = 1

    def __init__(self, dtype: DTypeLike, image_shape: Iterable[int], data_shape: Iterable[int]) -> None:
        self.image_shape, self.data_shape = tuple(map(int, image_shape)), tuple(map(int, data_shape))
        super().__init__(np.dtype(dtype), (math.prod(self.data_shape), math.prod(self.image_shape)))

    if TYPE_CHECKING:  # SciPy's, which say less

        @property
        def H(self) -> "ImagingOperator": ...
        @property
        def T(self) -> "ImagingOperator": ...
        @overload
        def __matmul__(self, x: "ImagingOperator") -> "ImagingOperator": ...
        @overload
        def __matmul__(self, x: ArrayLike) -> NDArray[Any]: ...
        def __matmul__(self, x: Any) -> Any: ...

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        """The data of each image of a stack."""
        raise NotImplementedError("each kind has its own product")

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        """The adjoint applied to each data set of a stack."""
        raise NotImplementedError("each kind has its own adjoint")

    def dot(self, x: Any) -> Any:
        if isinstance(x, ImagingOperator):
            return _Product(self, x)
        if np.isscalar(x):
            return _Multiple(self, x)
        if isinstance(x, LinearOperator):
            return super().dot(x)
        return self._product("x", x, self.image_shape, self.data_shape, self.forward_stack)

    def matvec(self, x: ArrayLike) -> NDArray[Any]:
        return self.dot(x)

    def matmat(self, X: ArrayLike) -> NDArray[Any]:
        return self.dot(X)

    def rmatvec(self, y: ArrayLike) -> NDArray[Any]:
        return self._product("y", y, self.data_shape, self.image_shape, self.adjoint_stack)

    def rmatmat(self, Y: ArrayLike) -> NDArray[Any]:
        return self.rmatvec(Y)

    # What SciPy's own compositions (A + B) call.
    _matvec, _matmat, _rmatvec, _rmatmat = matvec, matmat, rmatvec, rmatmat

    def __rmul__(self, x: Any) -> "ImagingOperator":
        return _Multiple(self, x) if np.isscalar(x) else super().__rmul__(x)

    def __neg__(self) -> "ImagingOperator":
        return _Multiple(self, -1.0)

    def _adjoint(self):
        return _Adjoint(self)

    def _transpose(self):
        return _Transpose(self) if self.dtype.kind == "c" else self.H

    def _product(self, name, x, own, other, apply):
        backend = _backend.pick(**{name: x})
        leave, x = leaving(x), _checks.array(name, enter(name, x))
        with at(backend, x):
            kernels = _backend.kernels(backend)
            x = kernels.to_device(x, np.result_type(self.dtype, x.dtype))
            X, form = stack_of(name, x, own)
            return leave(form(applied(self, apply, X), other))

    def __repr__(self):
        return f"<{type(self).__name__} from {self.image_shape} to {self.data_shape}, {self.dtype}>"


class _Adjoint(ImagingOperator):
    """A^H, which is applied to data."""

    def __init__(self, A):
        super().__init__(A.dtype, A.data_shape, A.image_shape)
        self._A = A

    def forward_stack(self, X):
        return self._A.adjoint_stack(X)

    def adjoint_stack(self, Y):
        return self._A.forward_stack(Y)

    def _adjoint(self):
        return self._A

    def __repr__(self):
        return f"<adjoint of {self._A!r}>"


class _Transpose(_Adjoint):
    """A^T of a complex A."""

    def forward_stack(self, X):
        return self._A.adjoint_stack(X.conj()).conj()

    def adjoint_stack(self, Y):
        return self._A.forward_stack(Y.conj()).conj()

    def _adjoint(self):
        return _Adjoint(self)

    def _transpose(self):
        return self._A

    def __repr__(self):
        return f"<transpose of {self._A!r}>"


class _Product(ImagingOperator):
    """A B, where what comes out of B is what A is applied to, or has its number of entries."""

    def __init__(self, A, B):
        if A.shape[1] != B.shape[0]:
            raise InvalidInput(f"`A` @ `B` must be of equal sizes in the middle, got {A!r} and {B!r}.")
        super().__init__(np.result_type(A.dtype, B.dtype), B.image_shape, A.data_shape)
        self._A, self._B = A, B

    def forward_stack(self, X):
        A, B = self._A, self._B
        between = applied(B, B.forward_stack, X).reshape(len(X), *A.image_shape)
        return applied(A, A.forward_stack, between)

    def adjoint_stack(self, Y):
        A, B = self._A, self._B
        between = applied(A, A.adjoint_stack, Y).reshape(len(Y), *B.data_shape)
        return applied(B, B.adjoint_stack, between)

    def __repr__(self):
        return f"<{self._A!r} @ {self._B!r}>"


class _Multiple(ImagingOperator):
    """c A for a number c."""

    def __init__(self, A, c):
        kind = np.complex64 if np.iscomplexobj(c) else np.float32
        super().__init__(np.result_type(A.dtype, kind), A.image_shape, A.data_shape)
        self._A, self._c = A, c

    def forward_stack(self, X):
        return applied(self._A, self._A.forward_stack, X) * X.dtype.type(self._c)

    def adjoint_stack(self, Y):
        return applied(self._A, self._A.adjoint_stack, Y) * Y.dtype.type(np.conj(self._c))

    def __repr__(self):
        return f"<{self._c} * {self._A!r}>"


class _Wrapped(ImagingOperator):
    """Somebody else's operator or matrix, between vectors."""

    _together = 4

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


def stack_of(name, x, shape, shaped=False):
    """A stack of shape (k, ``*shape``) of an array in any of its forms, and the way back.

    Parameters
    ----------
    name : str
        What the caller calls it, for the sentence.
    x : array
        Of ``shape``, a stack (k, ``*shape``), or flat: (n,) or (n, k).
    shape : tuple of int
    shaped : bool
        Whether vectors come back shaped where ``shape`` is (n,): data of an operator that measures n numbers of an
        image are not flat, they have no other shape. SciPy's products of vectors stay vectors.

    Returns
    -------
    X : array, shape (k, ``*shape``), C-contiguous
        It may share memory with x.
    form : function (stack, shape)
        Brings a stack of arrays of that shape into the form that x came in.
    """
    n = math.prod(shape)
    if x.shape == shape:
        return _contiguous(x.reshape(1, *shape)), lambda Y, other: Y.reshape(other if shaped or len(shape) > 1 else -1)
    if x.shape == (n,):
        return _contiguous(x.reshape(1, *shape)), lambda Y, other: Y.reshape(-1)
    if len(shape) > 1 and x.ndim == len(shape) + 1 and x.shape[1:] == shape:
        return _contiguous(x), lambda Y, other: Y
    if x.ndim == 2 and x.shape[0] == n:
        columns = x.shape[1]
        return _contiguous(x.T.reshape(columns, *shape)), lambda Y, other: Y.reshape(columns, math.prod(other)).T
    forms = dict.fromkeys((str(shape), f"(k, {str(shape)[1:]}" if len(shape) > 1 else "", f"({n},)", f"({n}, k)"))
    raise InvalidInput(f"`{name}` must have shape {' or '.join(filter(None, forms))}, got {x.shape}.")


def _contiguous(X):
    return module_of(X).ascontiguousarray(X)


def applied(A, apply, X):
    """The product with a stack; a real operator is applied to the two parts of a complex one."""
    if X.dtype.kind != "c" or A.dtype.kind == "c" or isinstance(A, _Wrapped):
        return apply(X)
    xp, k = module_of(X), len(X)
    both = apply(xp.concatenate([X.real, X.imag]))
    return (both[:k] + 1j * both[k:]).astype(X.dtype, copy=False)
