"""A matrix as the product of two thin factors, which is never formed unless asked for."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import InvalidInput

__all__ = ["LowRank"]

# Entries whose rows of U and V are gathered together.
_AT_A_TIME = 2**14


class LowRank:
    """U V^H.

    Attributes
    ----------
    U, V : ndarray, shapes (n, k) and (m, k)
    shape : tuple of int
    rank : int

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> X = inverse.LowRank(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0], [5.0]]))
    >>> X
    <2x3 matrix of rank 1, float64>
    >>> X.entries([0, 1], [2, 0])
    array([5., 6.])
    >>> np.asarray(X)[1]
    array([ 6.,  8., 10.])
    """

    def __init__(self, U: ArrayLike, V: ArrayLike) -> None:
        self.U, self.V = np.array(_checks.array("U", U)), np.array(_checks.array("V", V))
        if self.U.ndim != 2 or self.V.ndim != 2 or self.U.shape[1] != self.V.shape[1]:
            raise InvalidInput(
                f"`U` and `V` must be matrices with as many columns, got shapes {self.U.shape} and {self.V.shape}."
            )
        self.shape, self.rank = (len(self.U), len(self.V)), self.U.shape[1]
        self.dtype = np.result_type(self.U, self.V)

    def entries(self, rows: ArrayLike, columns: ArrayLike) -> NDArray[Any]:
        """The entries at these places, of the shape that ``rows`` and ``columns`` broadcast to."""
        at = []
        for name, index, size in (("rows", rows, self.shape[0]), ("columns", columns, self.shape[1])):
            index = np.asarray(index)
            if index.size and index.dtype.kind not in "iu":
                raise InvalidInput(f"`{name}` must hold integers, got dtype {index.dtype}.")
            index = index.astype(np.intp)
            if index.size and not (-size <= index.min() and index.max() < size):
                raise InvalidInput(f"`{name}` must be within -{size}..{size - 1}, got {index.min()} to {index.max()}.")
            at.append(index)
        try:
            rows, columns = np.broadcast_arrays(*at)
        except ValueError:
            raise InvalidInput(
                f"`rows` and `columns` must have shapes that broadcast, got {at[0].shape} and {at[1].shape}."
            ) from None
        out = np.empty(rows.shape, self.dtype)
        for i in range(0, rows.size, _AT_A_TIME):
            part = slice(i, i + _AT_A_TIME)
            u, v = self.U[rows.flat[part]], self.V[columns.flat[part]]
            out.flat[part] = np.einsum("ik,ik->i", u, v.conj())
        return out

    def toarray(self) -> NDArray[Any]:
        """The whole matrix."""
        return self.U @ self.V.conj().T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.toarray().astype(dtype or self.dtype, copy=False)

    def __matmul__(self, x: ArrayLike) -> NDArray[Any]:
        x = _checks.array("x", x)
        if x.ndim not in (1, 2) or len(x) != self.shape[1]:
            raise InvalidInput(f"`x` must have shape ({self.shape[1]},) or ({self.shape[1]}, k), got {x.shape}.")
        return self.U @ (self.V.conj().T @ x)

    def __repr__(self):
        return f"<{self.shape[0]}x{self.shape[1]} matrix of rank {self.rank}, {self.dtype}>"
