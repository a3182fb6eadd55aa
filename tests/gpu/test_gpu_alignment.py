"""Arrays that begin between two places where a load of a whole entry may: views, and memory of other libraries.

What this cannot show: the fault of a real device, and that CuPy's own kernels are not given such an array.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from solvers.kernels import gpu as kernels
from solvers.kernels.gpu import _device

import solvers
from solvers import linalg

HALVES = {"complex128": "float64", "complex64": "float32", "float64": "float32", "int64": "int32", "int32": "int16"}
every_dtype = pytest.mark.parametrize("dtype", HALVES)


@pytest.fixture
def cupy(emulated):
    return emulated


def shifted(cupy, values):
    """The values on the device, half an entry behind where they should begin."""
    half = np.dtype(HALVES[values.dtype.name])
    memory = cupy.asarray(np.concatenate([np.zeros(1, half), np.ascontiguousarray(values).ravel().view(half)]))
    made = memory[1:].view(values.dtype).reshape(values.shape)
    assert made.flags.c_contiguous and made.data.ptr % made.itemsize == made.itemsize // 2
    return made


def numbers(n, dtype):
    drawn = np.random.default_rng(3).integers(-9, 9, (2, n))
    return (drawn[0] + 1j * drawn[1] if np.dtype(dtype).kind == "c" else drawn[0]).astype(dtype)


@every_dtype
@pytest.mark.parametrize("send", [kernels.to_device, kernels.copy_to_device])
def test_what_begins_elsewhere_is_copied_to_where_it_may(cupy, dtype, send):
    values = numbers(12, dtype)
    for made in (values, values.reshape(3, 4)):
        given = shifted(cupy, made)
        found = send(given, given.dtype)
        assert not kernels.is_ready(given) and kernels.is_ready(found)
        assert found.dtype == given.dtype and np.array_equal(found.get(), made)


@every_dtype
def test_what_begins_where_it_may_is_taken_as_it_is(cupy, dtype):
    values = cupy.asarray(numbers(12, dtype))
    assert kernels.to_device(values, dtype) is values
    later = values[3:]
    assert kernels.is_ready(later) and kernels.to_device(later, dtype) is later


def test_another_dtype_and_strides_are_read_from_there(cupy):
    values = numbers(12, "complex128")
    given = shifted(cupy, values)
    assert np.array_equal(kernels.to_device(given, np.complex64).get(), values)
    assert np.array_equal(kernels.to_device(given[::3], np.complex128).get(), values[::3])


def test_cupy_gets_no_such_array_to_copy(cupy, monkeypatch):
    """Its kernels load whole entries as ours do."""
    copied, set_item = [], cupy.ndarray.__setitem__

    def recorded(self, index, value):
        copied.append(value)
        set_item(self, index, value)

    monkeypatch.setattr(cupy.ndarray, "__setitem__", recorded)
    given = shifted(cupy, numbers(12, "complex128"))
    for values in (given, given[::3]):
        kernels.copy_to_device(values, np.complex64)
    assert copied and all(_device._is_aligned(each) for each in copied)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_index_arrays_are_examined_and_taken_from_there(cupy, dtype):
    A = sp.csr_array(np.eye(5) + np.eye(5, k=1))
    indptr, indices = (shifted(cupy, part.astype(dtype)) for part in (A.indptr, A.indices))
    assert kernels.is_valid_csr(indptr, indices, A.nnz)
    assert not kernels.is_valid_csr(indptr, shifted(cupy, A.indices.astype(dtype) + 1), A.nnz)
    held = kernels.csr(indptr, indices, cupy.asarray(A.data))
    x, y = cupy.asarray(np.arange(5.0)), kernels.empty(5, np.float64)
    kernels.matvec(held, x, y)
    assert np.array_equal(y.get(), A @ np.arange(5.0))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_systems_of_such_arrays_are_solved(cupy, dtype):
    A = (3 * np.eye(40) - np.eye(40, k=1) - np.eye(40, k=-1)).astype(dtype)
    b = numbers(40, dtype)
    found = linalg.cg(shifted(cupy, A), shifted(cupy, b), x0=shifted(cupy, b), rtol=1e-10)
    assert found.status is solvers.Status.CONVERGED
    assert np.allclose(found.x.get(), np.linalg.solve(A, b), atol=1e-8)


def test_the_users_product_may_begin_there(cupy):
    A = (3 * np.eye(40) - np.eye(40, k=1) - np.eye(40, k=-1)).astype(complex)
    b, called = numbers(40, "complex128"), []

    def product(v):
        called.append(v)
        return shifted(cupy, A @ v.get())

    from cupyx.scipy.sparse.linalg import LinearOperator

    operator = LinearOperator((40, 40), matvec=product, dtype=np.dtype(complex))
    found = linalg.cg(operator, cupy.asarray(b), rtol=1e-10)
    assert called and found.status is solvers.Status.CONVERGED
    assert np.allclose(found.x.get(), np.linalg.solve(A, b), atol=1e-8)
