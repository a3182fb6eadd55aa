"""Where parity is tested: a kernel package, the arrays that live on it, and what its answers are held against."""

import importlib.util
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from .. import _backend

__all__ = ["Target", "bits"]


class Target:
    """A backend under test.

    Parameters
    ----------
    backend : {"gpu", "cpu"}, default "gpu"
        The second tests the cases themselves, on a machine without a GPU.

    Attributes
    ----------
    kernels : the kernel package under test
    cpu : the CPU's kernel package, or None where Numba is not installed; then plain NumPy is all there is to
        compare with
    """

    def __init__(self, backend: str = "gpu") -> None:
        with _backend.backend(backend):  # says which part is missing, if one is
            self.backend = backend
        self.kernels = _backend.kernels(backend)
        self.cpu = _backend.kernels("cpu") if importlib.util.find_spec("numba") else None

    def native(self, value: Any) -> Any:
        """A NumPy array or a CSR matrix as a user of this backend has it."""
        if value is None or self.backend == "cpu":
            return value
        import cupy

        if not issparse(value):
            return cupy.asarray(value)
        import cupyx.scipy.sparse

        A = csr_array(value)
        parts = cupy.asarray(A.data), cupy.asarray(A.indices), cupy.asarray(A.indptr)
        return cupyx.scipy.sparse.csr_matrix(parts, shape=A.shape)

    def host(self, array: Any) -> Any:
        """An answer as a NumPy array."""
        return array if isinstance(array, np.ndarray) else array.get()

    def used_bytes(self) -> int | None:
        """What live arrays hold of the device's memory; None where that is not counted."""
        if self.backend == "cpu":
            return None
        import cupy

        cupy.cuda.Device().synchronize()
        return cupy.get_default_memory_pool().used_bytes()


def bits(values):
    """Arrays and numbers as bytes: two runs are equal if and only if these are."""
    return [np.ascontiguousarray(value).tobytes() for value in values]
