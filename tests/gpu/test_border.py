"""What a user sends to the (emulated) GPU and what comes back: the kind of array that b was, on b's device."""

import types

import numpy as np
import pytest
import scipy.sparse as sp

import solvers
from solvers import _backend
from solvers._arrays import enter, kind_of, leaving
from solvers.linalg import bicgstab, cg, gmres, minres

N = 40
A = sp.csr_array(sp.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)))
b = np.random.default_rng(7).standard_normal(N)
x = np.linalg.solve(A.toarray(), b)
METHODS = {"bicgstab": bicgstab, "cg": cg, "gmres": gmres, "minres": minres}


class Foreign:
    """An array of another library, around one of NumPy or CuPy."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __array_namespace__(self):
        return types.SimpleNamespace(from_dlpack=Foreign)


@pytest.fixture
def cupy(emulated):
    return emulated


def solved(answer):
    """Whether these are the numbers of the solution; the device's are read."""
    values = getattr(answer, "array", answer)
    return np.allclose(values.get() if hasattr(values, "get") else values, x, atol=1e-7)


def on_device(matrix):
    from cupyx.scipy import sparse

    return sparse.csr_array(matrix)


@pytest.mark.parametrize("method", METHODS)
def test_numpy_goes_there_and_comes_back(cupy, method):
    before = A.copy(), b.copy()
    with solvers.backend("gpu"):
        result = METHODS[method](A, b, rtol=1e-10)
    assert type(result.x) is np.ndarray and solved(result.x)
    assert result.backend == "gpu" and result.info == 0
    assert (A != before[0]).nnz == 0 and np.array_equal(b, before[1])


@pytest.mark.parametrize("method", METHODS)
def test_cupy_stays_there(cupy, method):
    result = METHODS[method](on_device(A), cupy.asarray(b), rtol=1e-10)
    assert type(result.x) is cupy.ndarray and solved(result.x)
    assert result.backend == "gpu"


def test_without_a_word_numpy_stays_at_home(cupy):
    from emulation import device

    allocated = device.allocated
    assert cg(A, b).backend == "cpu"
    assert device.allocated == allocated


def test_lists_come_back_as_numpy(cupy):
    with solvers.backend("gpu"):
        assert type(cg(np.array([[4.0, 1.0], [1.0, 3.0]]), [1.0, 2.0]).x) is np.ndarray


def test_many_right_hand_sides_go_there_and_come_back(cupy):
    B = np.stack([b, 2 * b, np.zeros(N)], axis=1)
    with solvers.backend("gpu"):
        result = cg(A, B, rtol=1e-10)
    assert type(result.x) is np.ndarray and result.x.shape == B.shape
    assert solved(result.x[:, 0]) and solved(result.x[:, 1] / 2) and not result.x[:, 2].any()


def test_a_foreign_array_of_the_device_is_taken_where_it_is_and_answered_there(cupy):
    from emulation import device

    sent = Foreign(cupy.asarray(b))
    assert kind_of("b", sent) == _backend.pick(A=on_device(A), b=sent) == "gpu"
    uploads = device.uploads
    assert type(enter("b", sent)) is cupy.ndarray and device.uploads == uploads
    answer = cg(on_device(A), sent, rtol=1e-10).x
    assert type(answer) is Foreign and type(answer.array) is cupy.ndarray and solved(answer)


def test_a_foreign_array_of_the_cpu_is_sent_and_its_answer_brought_back(cupy):
    with solvers.backend("gpu"):
        answer = cg(A, Foreign(b), rtol=1e-10).x
    assert type(answer) is Foreign and type(answer.array) is np.ndarray and solved(answer)


def test_foreign_arrays_of_two_devices_are_refused(cupy):
    with pytest.raises(solvers.UnsupportedType, match="lives on the GPU and `x0` does not"):
        cg(on_device(A), Foreign(cupy.asarray(b)), Foreign(b))


def test_an_answer_leaves_to_where_the_right_hand_side_is(cupy):
    answer = cupy.asarray(b)
    assert type(leaving(b)(answer)) is np.ndarray
    assert leaving(cupy.asarray(b))(answer) is answer
    assert type(leaving(Foreign(b))(answer).array) is np.ndarray
    assert type(leaving(Foreign(cupy.asarray(b)))(answer).array) is cupy.ndarray


def test_torch_goes_there_and_comes_back(cupy):
    torch = pytest.importorskip("torch")
    with solvers.backend("gpu"):
        answer = cg(A, torch.from_numpy(b), rtol=1e-10).x
    assert type(answer) is torch.Tensor and np.allclose(answer.numpy(), x, atol=1e-7)


def test_whole_numbers_of_the_device_become_floats_there(cupy):
    result = cg(on_device(A), cupy.asarray(np.arange(N)), rtol=1e-10)
    assert result.x.dtype == np.float64 and type(result.x) is cupy.ndarray
    assert np.allclose(A @ result.x.get(), np.arange(N), atol=1e-7)


def test_a_sparse_right_hand_side_of_the_device_is_refused(cupy):
    with pytest.raises(solvers.UnsupportedType, match=r"`b` must be a dense array, .* pass b.toarray\(\)"):
        cg(on_device(A), on_device(A))


def test_what_is_not_finite_on_the_device_is_counted_and_named(cupy):
    right = b.copy()
    right[[3, 5]] = np.nan
    with pytest.raises(solvers.InvalidInput, match=r"`b` must be finite, got 2 NaN .* the first at \[3\]"):
        cg(on_device(A), cupy.asarray(right))
