"""What measures: linear operators between arrays that have shapes of their own, such as images and sinograms."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter, leaving, module_of
from .._errors import InvalidInput
from .._place import at

__all__ = ["ImagingOperator", "applied", "stack_of"]


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
    # Whether its products take complex stacks as they are where its dtype is real.
    _takes_complex = False

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
            if x.shape[0] != self.shape[1]:
                raise InvalidInput(f"`x` must have {self.shape[1]} rows to go with {self!r}, got shape {x.shape}.")
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
    if X.dtype.kind != "c" or A.dtype.kind == "c" or A._takes_complex:
        return apply(X)
    xp, k = module_of(X), len(X)
    both = apply(xp.concatenate([X.real, X.imag]))
    return (both[:k] + 1j * both[k:]).astype(X.dtype, copy=False)
