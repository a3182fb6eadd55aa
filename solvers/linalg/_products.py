"""Products of the operators of this library, with vectors of either backend."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter, kind_of, leaving
from .._errors import InvalidInput

__all__ = ["Operator", "Preconditioner"]


class Operator(LinearOperator):
    """SciPy's operator, whose products with arrays on the GPU are formed there: SciPy's code takes NumPy's only."""

    def product_on_gpu(self, v: Any) -> Any:
        """The product with a CuPy vector of a working dtype."""
        raise NotImplementedError("each kind has its own product")

    def _lives_on_gpu(self):
        return False

    def dot(self, x: Any) -> Any:
        return self._there("x", x) if self._goes_there(x) else super().dot(x)

    def matvec(self, x: ArrayLike) -> NDArray[Any]:
        return self._there("x", x) if self._goes_there(x) else super().matvec(x)

    def matmat(self, X: ArrayLike) -> NDArray[Any]:
        return self._there("X", X) if self._goes_there(X) else super().matmat(X)

    def _refuse_unready(self):
        """Refuse products of what has no matrix yet."""

    def _goes_there(self, x):
        self._refuse_unready()
        if isinstance(x, LinearOperator) or np.isscalar(x):
            return False  # an operator is made of both
        return self._lives_on_gpu() or kind_of("x", x) == "gpu"

    def _there(self, name, x):
        self._refuse_mixtures(name, x)
        leave, x = leaving(x), enter(name, x)
        kernels = _backend.kernels("gpu")
        with kernels.device_of(x):
            x = _checks.array(name, x)
            n = self.shape[1]
            if x.ndim not in (1, 2) or x.shape[0] != n:
                raise InvalidInput(f"`{name}` must have shape ({n},) or ({n}, k) for this operator, got {x.shape}.")
            dtype = self._dtype_of_products(x)
            y = kernels.empty(x.shape, dtype)
            columns = [(x, y)] if x.ndim == 1 else [(x[:, j], y[:, j]) for j in range(x.shape[1])]
            for each, out in columns:
                out[:] = self.product_on_gpu(kernels.to_device(each, dtype))
            return leave(y)

    def _dtype_of_products(self, x):
        return np.result_type(self.dtype, x.dtype)

    def _refuse_mixtures(self, name, x):
        _backend.pick(**{name: x})


class Preconditioner(Operator):
    """An approximate inverse M = M^H, which forms its products on either backend in one way."""

    def on_backend(self, r: Any, backend: str) -> Any:
        """The product with a vector in the memory of that backend, of the dtype of products."""
        raise NotImplementedError("each kind has its own product")

    def product_on_gpu(self, v: Any) -> Any:
        return self.on_backend(v, "gpu")

    def _matvec(self, v):
        v = _checks.array("v", np.ravel(v))
        return self.on_backend(np.ascontiguousarray(v, self._dtype_of_products(v)), "cpu")

    def _adjoint(self):
        return self
