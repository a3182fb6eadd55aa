"""Parity of what holds a matrix or a vector: storage, the check of index arrays, transfers."""

import numpy as np

from ._parity_compare import bound_of, compare
from ._parity_matrices import draw, general, operand, wide

__all__ = ["check_diagonals", "check_memory", "check_valid"]


def _is_stored(target, n, dtype, storage):
    """The storage holds the numbers that were given: its product with a vector of ones."""
    A = general(storage, n, dtype)

    def run(kernels):
        ones, y = kernels.copy_to_device(np.ones(n, dtype), dtype), kernels.empty(n, dtype)
        kernels.matvec(operand(kernels, storage, A), ones, y)
        return (kernels.to_host(y),)

    terms = abs(A).astype(float).sum(axis=1)
    compare(target, run, [(A.astype(wide(dtype)).sum(axis=1), bound_of(dtype, np.diff(A.indptr) + 1, terms))])


def check_diagonals(target, n, dtype):
    """What has few and full diagonals is stored by them where there are rows enough, what has not is left."""
    kernels = target.kernels
    for storage in ("diagonals", "csr"):
        A = general(storage, n, dtype)
        parts = ((A.indptr, np.int32), (A.indices, np.int32), (A.data, dtype))
        stored = kernels.csr(*(kernels.to_device(*part) for part in parts))
        kept = kernels.diagonals(stored)
        wanted = "Diagonals" if storage == "diagonals" and n >= 1000 else "CSR"
        assert type(kept).__name__ == wanted or n < 1000, f"{storage} became {type(kept).__name__}"
    _is_stored(target, n, dtype, "diagonals")


def check_valid(target):
    kernels = target.kernels
    indptr, indices = np.array([0, 2, 2, 3]), np.array([0, 2, 1])
    broken = {
        "a row pointer that falls": ([0, 3, 2, 3], indices),
        "a column too far": (indptr, [0, 3, 1]),
        "a negative column": (indptr, [0, -1, 1]),
        "an end before the last entry": ([0, 2, 2, 2], indices),
        "a start after the first entry": ([1, 2, 2, 3], indices),
    }
    for dtype in (np.int32, np.int64):
        told = {"a valid one": kernels.is_valid_csr(*_indices(kernels, indptr, indices, dtype), 3)}
        told |= {what: kernels.is_valid_csr(*_indices(kernels, *pair, dtype), 3) for what, pair in broken.items()}
        wrong = [what for what, valid in told.items() if bool(valid) != (what == "a valid one")]
        assert not wrong, f"{np.dtype(dtype)}: wrong about {', '.join(wrong)}"


def _indices(kernels, indptr, indices, dtype):
    return kernels.to_device(np.array(indptr), dtype), kernels.to_device(np.array(indices), dtype)


def check_memory(target, n, dtype):
    """What goes to the device comes back, and a copy is a copy."""
    kernels, values = target.kernels, draw(1, n, dtype)
    for shape in (n, (n,), (2, n)):
        assert kernels.empty(shape, dtype).dtype == dtype
        zero = kernels.to_host(kernels.zeros(shape, dtype))
        assert zero.shape == np.zeros(shape).shape and not zero.any() and zero.dtype == dtype
    there = kernels.to_device(values, dtype)
    copy = kernels.copy_to_device(there, dtype)
    kernels.axpy(dtype.type(1), copy, copy)
    assert np.array_equal(kernels.to_host(there), values) and np.array_equal(kernels.to_host(copy), 2 * values)
    widened = kernels.to_host(kernels.to_device(values, wide(dtype)))
    assert widened.dtype == wide(dtype) and np.array_equal(widened, values)
    with kernels.device_of(there):
        number = getattr(getattr(there, "device", None), "id", 0)  # a NumPy array's is a word, or absent
        assert kernels.device_id() == number
        assert kernels.is_ready(there)
        assert n == 1 or not kernels.is_ready(kernels.zeros((2, n), dtype).T[:, 0:1][::2])
