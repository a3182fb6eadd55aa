"""What is found out about a matrix on the device: valid index arrays, and storage by diagonals."""

import importlib

import numpy as np
import pytest
from emulation import device, settings


@pytest.fixture
def gpu(both_gpus):
    return both_gpus


@pytest.fixture(params=[np.int32, np.int64])
def index(request):
    return request.param


@pytest.fixture
def csr(gpu, emulated):
    """``csr(n, row, column, value)``: that matrix, the entries of a row in the order given."""

    def make(n, row, column, value):
        order = np.argsort(row, kind="stable")
        indptr = np.searchsorted(row[order], np.arange(n + 1)).astype(np.int32)
        arrays = indptr, column[order].astype(np.int32), value[order]
        return gpu.csr(*(emulated.asarray(each) for each in arrays))

    return make


def band(n, offsets, dtype="float64"):
    """Triplets of full diagonals."""
    row = np.tile(np.arange(n), len(offsets))
    column = row + np.repeat(offsets, n)
    inside = (column >= 0) & (column < n)
    value = np.random.default_rng(7).standard_normal(inside.sum()).astype(dtype)
    if np.dtype(dtype).kind == "c":
        value = value * (1 + 0.5j)
    return row[inside], column[inside], value.astype(dtype)


@pytest.mark.parametrize(
    "indptr, indices",
    [
        ([0, 1, 2], [0, 2]),
        ([0, 1, 2], [0, -1]),
        ([0, 2, 1], [0, 1]),
        ([1, 1, 2], [0, 1]),
        ([0, 1, 3], [0, 1]),
        ([0, 1, 1], [0, 1]),
        ([0, -1, 2], [0, 1]),
    ],
    ids=["column n", "column -1", "falling", "starts at 1", "too long", "too short", "negative"],
)
def test_index_arrays_that_reach_outside_are_not_valid(gpu, emulated, indptr, indices, index):
    assert not gpu.is_valid_csr(
        emulated.asarray(np.array(indptr, index)), emulated.asarray(np.array(indices, index)), 2
    )


@pytest.mark.parametrize("indptr, indices", [([0], []), ([0, 0], []), ([0, 1, 2], [1, 0]), ([0, 0, 3], [1, 0, 1])])
def test_index_arrays_in_any_order_and_with_repeats_are_valid(gpu, emulated, indptr, indices, index):
    arrays = (emulated.asarray(np.array(each, index)) for each in (indptr, indices))
    assert gpu.is_valid_csr(*arrays, len(indices))


def test_fewer_indices_than_entries_are_not_valid(gpu, emulated):
    assert not gpu.is_valid_csr(emulated.asarray(np.array([0, 2])), emulated.asarray(np.array([0])), 2)


@pytest.mark.parametrize("at", [0, 511, 512, 2998, 2999])
def test_one_bad_index_among_many_is_found(gpu, emulated, at, index):
    indptr, indices = np.arange(3001, dtype=index), np.arange(3000, dtype=index)
    assert gpu.is_valid_csr(emulated.asarray(indptr), emulated.asarray(indices), 3000)
    for bad in (3000, -1):
        wrong = indices.copy()
        wrong[at] = bad
        assert not gpu.is_valid_csr(emulated.asarray(indptr), emulated.asarray(wrong), 3000)
    falling = indptr.copy()
    falling[at + 1 if at < 2999 else 2999] = -5
    assert not gpu.is_valid_csr(emulated.asarray(falling), emulated.asarray(indices), 3000)


def test_an_index_that_32_bits_would_fold_back_is_not_valid(gpu, emulated):
    indices = np.array([0, 2**32], np.int64)
    assert not gpu.is_valid_csr(emulated.asarray(np.array([0, 1, 2])), emulated.asarray(indices), 2)


def test_a_csr_operand_shares_32_bit_arrays_and_narrows_others(gpu, emulated):
    given = [emulated.asarray(each) for each in (np.array([0, 1], np.int32), np.zeros(1, np.int32), np.ones(1))]
    assert all(mine is each for mine, each in zip(gpu.csr(*given), given, strict=True))
    narrowed = gpu.csr(emulated.asarray(np.array([0, 1])), emulated.asarray(np.array([0])), given[2])
    assert [each.dtype for each in narrowed] == [np.int32, np.int32, np.float64]
    assert [each.get().tolist() for each in narrowed] == [[0, 1], [0], [1.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("offsets", [(0,), (-1, 0, 1), (-40, -2, -1), (3, 299), tuple(range(-16, 16))], ids=str)
def test_full_diagonals_are_stored_as_such(csr, gpu, dtype, offsets):
    row, column, value = band(1000, offsets, dtype)
    A = gpu.diagonals(csr(1000, row, column, value))
    assert isinstance(A, gpu.Diagonals)
    assert A.offsets.dtype == np.int64 and A.offsets.get().tolist() == list(offsets)
    expected = np.zeros((len(offsets), 1000), dtype)
    expected[np.searchsorted(offsets, column - row), row] = value
    assert np.array_equal(A.data.get(), expected)


def test_entries_given_twice_and_in_any_order_add_up_in_their_order(csr, gpu):
    # Blocks of [[5, 2, 0], [32, 16, 8], [0, 128, 64]], the 5 given as 1 + 4.
    row = np.tile([0, 0, 0, 1, 1, 1, 2, 2], 400) + np.repeat(3 * np.arange(400), 8)
    column = np.tile([1, 0, 0, 2, 1, 0, 2, 1], 400) + np.repeat(3 * np.arange(400), 8)
    A = gpu.diagonals(csr(1200, row, column, np.tile([2.0, 1, 4, 8, 16, 32, 64, 128], 400)))
    assert A.offsets.get().tolist() == [-1, 0, 1]
    block = [[0, 32, 128], [5, 16, 64], [2, 8, 0]]
    assert np.array_equal(A.data.get(), np.tile(block, 400))
    # 1e16 + 1 - 1e16 depends on the order.
    three = np.repeat(np.arange(300), 3)
    A = gpu.diagonals(csr(300, three, three, np.tile([1e16, 1.0, -1e16], 300)))
    assert not A.data.get().any()
    A = gpu.diagonals(csr(300, three, three, np.tile([1e16, -1e16, 1.0], 300)))
    assert (A.data.get() == 1).all()


@pytest.mark.parametrize(
    "n, offsets, share",
    [
        (255, (-1, 0, 1), 1.0),
        (1000, tuple(range(33)), 1.0),
        (1000, (-1, 0, 1), 0.6),
        (600, tuple(range(-599, 600)), 1.0),
        (300, (), 1.0),
    ],
    ids=["few rows", "33 diagonals", "gaps", "full", "no entry"],
)
def test_other_matrices_stay_as_they_are(csr, gpu, n, offsets, share):
    row, column, value = band(n, offsets or (0,))
    kept = (np.arange(row.size) % 100 < 100 * share) & bool(offsets)
    A = csr(n, row[kept], column[kept], value[kept])
    assert gpu.diagonals(A) is A


def test_offsets_that_only_the_last_rows_have_are_found(csr, gpu):
    row, column, value = band(5000, (0, 1))
    extra = np.array([4990, 4999]), np.array([3, 17]), np.ones(2)
    A = gpu.diagonals(csr(5000, *(np.concatenate(both) for both in zip((row, column, value), extra, strict=True))))
    assert not isinstance(A, gpu.Diagonals)  # four diagonals, half full
    row, column, value = band(5000, tuple(range(9)))
    A = gpu.diagonals(csr(5000, *(np.concatenate(both) for both in zip((row, column, value), extra, strict=True))))
    assert A.offsets.get().tolist() == [-4987, -4982, *range(9)]


def test_a_stencil_keeps_its_shape_on_the_host_and_its_weights_on_the_device(gpu, emulated):
    for weights in (np.array([4.0, -1, -2]), emulated.asarray(np.array([4.0, -1, -2]))):
        A = gpu.stencil((3, 5), weights)
        assert isinstance(A.shape, np.ndarray) and A.shape.tolist() == [1, 3, 5]
        assert isinstance(A.weights, emulated.ndarray) and A.weights.get().tolist() == [4, 0, -1, -2]


def test_each_question_is_one_launch_and_one_host_read(emulated):
    gpu = importlib.import_module("solvers.kernels.gpu")
    arrays = [emulated.asarray(each) for each in (np.arange(301, dtype=np.int32), np.arange(300, dtype=np.int32))]
    before = settings.launches, device.host_reads
    assert gpu.is_valid_csr(*arrays, 300)
    assert (settings.launches - before[0], device.host_reads - before[1]) == (1, 1)
    A = gpu.diagonals(gpu.csr(*arrays, emulated.asarray(np.ones(300))))
    assert isinstance(A, gpu.Diagonals)
    assert (settings.launches - before[0], device.host_reads - before[1]) == (3, 2)
