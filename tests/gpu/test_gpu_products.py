"""Storages, products and residuals against sums over triplets in plain NumPy, on the emulated device."""

from types import SimpleNamespace

import numpy as np
import pytest
from emulation import settings

SIZES = (0, 1, 33, 1000)
# Rows of this mean length are summed by 1, 1, 2, 8 and 32 lanes of a warp (complex128: by 1, 2, 4, 16 and 32).
MEANS = (0.4, 3, 6, 30, 150)
BANDS = {
    "tridiagonal": (-1, 0, 1),
    "far on both sides": (-900, -33, 0, 1, 64, 998),
    "only below": (-300, -2, -1),
    "only above": (1, 256),
    "one": (0,),
    "ten": tuple(range(-7, 3)),
}
GRIDS = ((1,), (33,), (1, 5), (5, 1), (1, 1, 1), (3, 4, 5), (50, 41), (1, 1, 700), (700, 1, 1), (1, 700, 1), (9, 11, 7))


@pytest.fixture(params=["float32", "float64", "complex64", "complex128"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def gpu(both_gpus):
    return both_gpus


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture
def draw(rng):
    def numbers(shape, dtype):
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(dtype)

    return numbers


@pytest.fixture
def make(gpu, emulated, rng, draw):
    """Matrices as triplets (``row column value n``) and as the operand that must do the same."""
    sent = emulated.asarray

    def csr(n, dtype, mean=6, full=(), index=np.int32):
        """Entries anywhere, in no order, some given twice; every seventh row empty but for the ``full`` ones."""
        row = rng.integers(max(n, 1), size=int(mean * n))
        row = row[row % 7 != 3]
        column = rng.integers(max(n, 1), size=row.size)
        again = rng.integers(max(1, row.size), size=row.size // 10)
        row = np.concatenate([row, row[again], *(np.full(n, i) for i in full)])
        column = np.concatenate([column, column[again], *(rng.permutation(n) for _ in full)])
        order = np.argsort(row, kind="stable")
        row, column, value = row[order], column[order], draw(row.size, dtype)
        indptr = np.searchsorted(row, np.arange(n + 1))
        operand = gpu.csr(sent(indptr.astype(index)), sent(column.astype(index)), sent(value))
        return SimpleNamespace(n=n, row=row, column=column, value=value, operand=operand)

    def banded(n, dtype, offsets=BANDS["tridiagonal"]):
        """Full diagonals; the storage holds NaN where the matrix has no entry."""
        offsets = np.array([k for k in offsets if abs(k) < n], dtype=np.int64)
        data = np.full((offsets.size, n), np.nan, dtype)
        d, row = np.indices(data.shape)
        column = row + offsets[:, None]
        inside = (column >= 0) & (column < n)
        data[inside] = draw(int(inside.sum()), dtype)
        operand = gpu.Diagonals(sent(offsets), sent(data))
        return SimpleNamespace(n=n, row=row[inside], column=column[inside], value=data[inside], operand=operand)

    def dense(n, dtype):
        array = draw((n, n), dtype)
        row, column = np.indices((n, n)).reshape(2, -1)
        return SimpleNamespace(n=n, row=row, column=column, value=array.ravel(), operand=gpu.dense(sent(array)))

    def stencil(shape, dtype):
        weights = draw(len(shape) + 1, dtype)
        n = int(np.prod(shape))
        at = np.arange(n).reshape(shape)
        row, column, value = [at.ravel()], [at.ravel()], [np.full(n, weights[0])]
        for axis in range(len(shape)):
            low, high = np.delete(at, -1, axis).ravel(), np.delete(at, 0, axis).ravel()
            row += [low, high]
            column += [high, low]
            value += [np.full(2 * low.size, weights[1 + axis])]
        row, column, value = map(np.concatenate, (row, column, value))
        return SimpleNamespace(n=n, row=row, column=column, value=value, operand=gpu.stencil(shape, weights))

    kinds = {
        "csr": lambda dtype: csr(1000, dtype, full=(500,)),
        "diagonals": lambda dtype: banded(1000, dtype, BANDS["far on both sides"]),
        "dense": lambda dtype: dense(130, dtype),
        "stencil": lambda dtype: stencil((9, 11, 7), dtype),
    }
    return SimpleNamespace(csr=csr, banded=banded, dense=dense, stencil=stencil, kinds=kinds)


KINDS = ("csr", "diagonals", "dense", "stencil")


def product(m, x):
    """A x, and |A| |x|, in double precision."""
    wide = np.result_type(x.dtype, np.float64)
    terms = m.value.astype(wide) * x[m.column]
    y, size = np.zeros(m.n, wide), np.zeros(m.n)
    np.add.at(y, m.row, terms)
    np.add.at(size, m.row, np.abs(terms))
    return y, size


def assert_product(gpu, emulated, m, x):
    on, y = emulated.asarray(x), emulated.asarray(np.full_like(x, np.nan))
    gpu.matvec(m.operand, on, y)
    expected, size = product(m, x)
    # float64 within 1e-13 of the terms; in float32 rounding errors mount up with the length of a row.
    longest = np.bincount(m.row, minlength=1).max()
    bound = 1e-13 if x.dtype.char in "dD" else (longest / 8 + 8) * np.finfo(x.dtype).eps
    assert (np.abs(y.get() - expected) <= bound * size).all()
    assert np.array_equal(on.get(), x)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("n", SIZES)
def test_a_csr_product_is_the_sum_over_its_entries(gpu, emulated, make, draw, dtype, n, mean):
    assert_product(gpu, emulated, make.csr(n, dtype, mean), draw(n, dtype))


@pytest.mark.parametrize("full", [(0,), (1499,), (14, 15, 17, 700)], ids=str)
@pytest.mark.parametrize("mean", MEANS[:3])
def test_long_rows_among_short_ones_are_summed_as_well(gpu, emulated, make, draw, dtype, mean, full):
    m = make.csr(1500, dtype, mean, full)
    assert np.bincount(m.row).max() > 1024 and m.value.size < 32 * m.n
    assert_product(gpu, emulated, m, draw(1500, dtype))


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("n", SIZES[1:])
def test_a_product_by_diagonals_is_the_sum_over_its_entries(gpu, emulated, make, draw, dtype, n, band):
    if not any(abs(k) < n for k in BANDS[band]):
        return  # the matrix has none of these diagonals
    assert_product(gpu, emulated, make.banded(n, dtype, BANDS[band]), draw(n, dtype))


@pytest.mark.parametrize("n", (0, 1, 33, 64, 130))
def test_a_dense_product_is_the_sum_over_its_entries(gpu, emulated, make, draw, dtype, n):
    assert_product(gpu, emulated, make.dense(n, dtype), draw(n, dtype))


@pytest.mark.parametrize("shape", GRIDS, ids=str)
def test_a_stencil_product_is_the_sum_over_the_neighbours(gpu, emulated, make, draw, dtype, shape):
    m = make.stencil(shape, dtype)
    assert_product(gpu, emulated, m, draw(m.n, dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_in_x_reaches_the_rows_that_have_an_entry_there_and_no_other(gpu, emulated, make, draw, kind):
    m = make.kinds[kind]("float64")
    for at in (0, 1, m.n // 2, m.n - 1):
        x = draw(m.n, "float64")
        x[at] = np.nan
        y = emulated.asarray(np.zeros(m.n))
        gpu.matvec(m.operand, emulated.asarray(x), y)
        assert np.array_equal(np.flatnonzero(np.isnan(y.get())), np.unique(m.row[m.column == at]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_is_b_minus_the_product_and_its_norm(gpu, emulated, make, draw, dtype, kind):
    m = make.kinds[kind](dtype)
    x, b = draw(m.n, dtype), draw(m.n, dtype)
    r = emulated.asarray(np.full_like(x, np.nan))
    norm = gpu.residual(m.operand, emulated.asarray(x), emulated.asarray(b), r)
    expected, size = product(m, x)
    expected = b - expected
    bound = 1e-13 * (size + np.abs(b)) + np.finfo(dtype).eps * np.abs(expected)
    assert (np.abs(r.get() - expected) <= bound).all()
    assert type(norm) is float and norm == pytest.approx(np.linalg.norm(expected), rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_relaxation_and_subtraction_are_their_formulas(gpu, emulated, make, draw, dtype, kind):
    m = make.kinds[kind](dtype)
    x, b, d = draw(m.n, dtype), draw(m.n, dtype), draw(m.n, np.finfo(dtype).dtype)
    on, y, r = (emulated.asarray(each) for each in (x, np.full_like(x, np.nan), b))
    gpu.relax(m.operand, emulated.asarray(d), 0.7, emulated.asarray(b), on, y)
    gpu.subtract_product(m.operand, on, r, r)
    expected, size = product(m, x)
    bound = (1e-13 if dtype.char in "dD" else 200 * np.finfo(dtype).eps) * (size + np.abs(b) + np.abs(x))
    assert (np.abs(y.get() - (x + 0.7 * d * (b - expected))) <= bound * (1 + np.abs(d))).all()
    assert (np.abs(r.get() - (b - expected)) <= bound).all()


@pytest.mark.parametrize("shape", [(3, 1100), (1100, 3), (1, 1)], ids=str)
def test_a_csr_matrix_need_not_be_square(gpu, emulated, draw, dtype, shape):
    A, sent = draw(shape, dtype), emulated.asarray
    indptr, indices = np.arange(0, A.size + 1, shape[1], np.int32), np.indices(shape, np.int32)[1]
    operand = gpu.csr(sent(indptr), sent(indices.ravel()), sent(A.ravel()))
    x, y = draw(shape[1], dtype), sent(np.full(shape[0], np.nan, dtype))
    gpu.matvec(operand, sent(x), y)
    assert (np.abs(y.get() - A @ x) <= 100 * np.finfo(dtype).eps * (np.abs(A) @ np.abs(x))).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_the_residual_of_a_single_precision_system_is_accumulated_in_double(gpu, emulated, make, draw, dtype, kind):
    m = make.kinds[kind](np.dtype(dtype))
    x = draw(m.n, dtype)
    b = product(m, x)[0].astype(dtype)  # so that b - A x is all rounding
    on, right, r, y = (emulated.asarray(each) for each in (x, b, b, b))
    norm = gpu.residual(m.operand, on, right, r)
    expected = b - product(m, x)[0]
    assert np.linalg.norm(r.get() - expected) <= 1e-7 * np.linalg.norm(expected)
    assert norm == pytest.approx(np.linalg.norm(expected), rel=1e-7)
    gpu.matvec(m.operand, on, y)
    assert np.linalg.norm((b - y.get()) - expected) > 1e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_an_empty_system_has_an_empty_product(gpu, emulated, make, kind):
    m, x = getattr(make, kind)(0, np.dtype(float)), emulated.zeros(0)
    gpu.matvec(m.operand, x, emulated.zeros(0))
    assert gpu.residual(m.operand, x, x, emulated.zeros(0)) == 0.0


def test_a_matrix_without_entries_gives_zeros(gpu, emulated):
    A = gpu.csr(emulated.zeros(71, np.int32), emulated.zeros(0, np.int32), emulated.zeros(0))
    y = emulated.asarray(np.ones(70))
    gpu.matvec(A, emulated.asarray(np.full(70, np.nan)), y)
    assert not y.get().any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_order_of_threads_and_no_grid_changes_a_bit_of_a_product(
    gpu, emulated, make, draw, dtype, kind, monkeypatch
):
    m = make.kinds[kind](dtype)
    x, b = draw(m.n, dtype), draw(m.n, dtype)
    answers, norms = set(), set()
    for threads in (32, 64, 256):
        monkeypatch.setattr(gpu._device, "THREADS", threads)
        for settings.schedule in ("forward", "reverse", "random"):
            on, right, y, r = (emulated.asarray(each) for each in (x, b, b, b))
            gpu.matvec(m.operand, on, y)
            norms.add((threads, gpu.residual(m.operand, on, right, r)))
            answers.add((y.get().tobytes(), r.get().tobytes()))
    assert len(answers) == 1 and len(norms) == 3
