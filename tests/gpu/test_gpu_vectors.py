"""Kernels on vectors and on bases against NumPy, on the emulated device."""

import importlib
import math

import numpy as np
import pytest
from emulation import device, settings

# The emulated grid has at most 512 threads; they take four entries at a time.
SIZES = (0, 1, 33, 513, 4100)
ROWS = (0, 1, 4, 9, 17)


@pytest.fixture(params=["float32", "float64", "complex64", "complex128"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def gpu(both_gpus):
    return both_gpus


@pytest.fixture
def draw():
    rng = np.random.default_rng(20240607)

    def numbers(shape, dtype):
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(dtype)

    return numbers


@pytest.fixture
def sent(emulated):
    """``sent(*arrays)``: these on the device."""
    return lambda *arrays: [emulated.asarray(each) for each in arrays]


def wide(values):
    return values.astype(np.result_type(values.dtype, np.float64))


def near(found, expected, terms):
    """Whether an update is right to rounding, and left the dtype alone; terms: the sum of their magnitudes."""
    found = found.get()
    eps = np.finfo(found.dtype).eps
    return found.shape == expected.shape and bool((np.abs(found - expected) <= 4 * eps * terms).all())


@pytest.mark.parametrize("n", SIZES)
def test_axpy_scale_and_multiply_are_those_of_numpy(gpu, draw, sent, dtype, n):
    x, y, alpha = draw(n, dtype), draw(n, dtype), draw((), dtype)[()]
    d = draw(n, np.finfo(dtype).dtype)
    u, v, factors = sent(x, y, d)
    gpu.axpy(alpha, u, v)
    assert near(v, y + alpha * x, np.abs(y) + np.abs(alpha * x))
    gpu.scale(alpha, u, v)
    assert near(v, alpha * x, np.abs(alpha * x))
    gpu.multiply(factors, u, v)
    assert near(v, d * x, np.abs(d * x))
    assert np.array_equal(u.get(), x) and np.array_equal(factors.get(), d)


@pytest.mark.parametrize("n", SIZES)
def test_scale_axpy_and_multiply_may_write_what_they_read(gpu, draw, sent, dtype, n):
    x, alpha = draw(n, dtype), draw((), dtype)[()]
    d = draw(n, np.finfo(dtype).dtype)
    u, v, w, factors = sent(x, x.copy(), x.copy(), d)
    gpu.scale(alpha, u, u)
    gpu.axpy(alpha, v, v)
    gpu.multiply(factors, w, w)
    assert near(u, alpha * x, np.abs(alpha * x)) and near(w, d * x, np.abs(d * x))
    assert near(v, x + alpha * x, np.abs(x) + np.abs(alpha * x))


@pytest.mark.parametrize("n", SIZES)
def test_inner_conjugates_its_first_vector_and_accumulates_in_float64(gpu, draw, sent, dtype, n):
    p, q = draw(n, dtype), draw(n, dtype)
    terms = wide(p).conj() * wide(q)
    value = gpu.inner(*sent(p, q))
    assert type(value) is (complex if dtype.kind == "c" else float)
    assert abs(value - terms.sum()) <= 1e-13 * np.abs(terms).sum()


@pytest.mark.parametrize("y_is_wide", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_difference_is_formed_in_float64_and_rounded_once(gpu, draw, sent, dtype, n, y_is_wide):
    b, y = draw(n, dtype), draw(n, dtype)
    y = wide(y) * (1 + 2.0**-40) if y_is_wide else y
    left, right, r = sent(b, y, np.full_like(b, np.nan))
    norm = gpu.difference(left, right, r)
    exact = wide(b) - y
    assert np.array_equal(r.get(), exact.astype(dtype))
    assert norm == pytest.approx(np.linalg.norm(exact), rel=1e-13)


@pytest.mark.parametrize("n", SIZES)
def test_step_iterate_moves_x_and_r_and_returns_the_norm_of_r(gpu, draw, sent, dtype, n):
    p, q, x, r = (draw(n, dtype) for _ in range(4))
    on = sent(p, q, x, r)
    norm = gpu.step_iterate(0.3, *on)
    a = np.finfo(dtype).dtype.type(0.3)
    assert near(on[2], x + a * p, np.abs(x) + np.abs(a * p))
    assert near(on[3], r - a * q, np.abs(r) + np.abs(a * q))
    assert norm == pytest.approx(np.linalg.norm(wide(on[3].get())), rel=1e-13)
    assert np.array_equal(on[0].get(), p) and np.array_equal(on[1].get(), q)


@pytest.mark.parametrize("n", SIZES)
def test_step_direction_turns_p_towards_z(gpu, draw, sent, dtype, n):
    z, p = draw(n, dtype), draw(n, dtype)
    u, v = sent(z, p)
    gpu.step_direction(u, 0.7, v)
    b = np.finfo(dtype).dtype.type(0.7)
    assert near(v, z + b * p, np.abs(z) + np.abs(b * p))
    assert np.array_equal(u.get(), z)


@pytest.mark.parametrize("n", SIZES)
def test_largest_is_the_largest_modulus(gpu, draw, sent, dtype, n):
    v = draw(n, dtype)
    value = gpu.largest(*sent(v))
    assert type(value) is float
    assert value == pytest.approx(float(np.abs(wide(v)).max(initial=0.0)), rel=4e-16)


@pytest.mark.parametrize("at", [0, 31, 32, 63, 64, 500, 1100, 2999])
def test_a_nan_anywhere_is_the_largest(gpu, draw, sent, dtype, at):
    v = draw(3000, dtype)
    v[at] = np.nan
    assert math.isnan(gpu.largest(*sent(v)))
    v[at] = np.inf
    assert gpu.largest(*sent(v)) == math.inf
    v[at] = -100
    assert gpu.largest(*sent(v)) == 100.0


def test_moduli_and_norms_do_not_overflow_or_underflow(gpu, sent):
    for value, dtype in ((1e308, "complex128"), (1e-310, "complex128"), (2e38, "complex64"), (1e-30, "complex64")):
        value = np.finfo(dtype).dtype.type(value)
        assert gpu.largest(*sent(np.full(5, value + 0j, dtype))) == pytest.approx(float(value), rel=1e-7)
    assert gpu.largest(*sent(np.full(5, 1e308 * (0.6 + 0.8j)))) == pytest.approx(1e308, rel=1e-15)
    for value in (1e30, 1e-30):
        still = np.zeros(5, np.float32)
        norm = gpu.step_iterate(0.0, *sent(still, still, still, np.full(5, value, np.float32)))
        assert norm == pytest.approx(value * 5**0.5, rel=1e-6)


def test_a_nan_or_an_infinity_reaches_the_norm(gpu, sent, dtype):
    for bad in (np.nan, np.inf):
        q = np.ones(3000, dtype)
        q[2500] = bad
        assert not np.isfinite(gpu.step_iterate(1.0, *sent(q, q, q.copy(), np.ones_like(q))))
        assert not np.isfinite(gpu.difference(*sent(q, np.ones_like(q), q.copy())))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("n", (0, 33, 700))
def test_project_and_combine_are_products_with_the_basis(gpu, draw, sent, dtype, rows, n):
    V, w, h = draw((rows, n), dtype), draw(n, dtype), draw(rows, dtype)
    basis, v = sent(V, w)
    found = gpu.project(basis, v)
    expected, size = wide(V).conj() @ wide(w), np.abs(wide(V)) @ np.abs(wide(w))
    assert isinstance(found, np.ndarray) and found.dtype == dtype and found.shape == (rows,)
    assert (np.abs(found - expected) <= 1e-13 * size + np.finfo(dtype).eps * np.abs(expected)).all()
    gpu.combine(h, basis, v)
    terms = np.abs(w) + np.abs(h) @ np.abs(V)
    assert (np.abs(v.get() - (w + h @ V)) <= (rows + 4) * np.finfo(dtype).eps * terms).all()
    assert np.array_equal(basis.get(), V)


def test_a_basis_may_be_the_first_rows_of_an_array(gpu, draw, sent):
    V, w = draw((9, 100), "float64"), draw(100, "float64")
    basis, v = sent(V, w)
    assert np.allclose(gpu.project(basis[:4], v), V[:4] @ w, rtol=0, atol=1e-13)
    gpu.combine(np.ones(4), basis[:4], basis[6])
    assert np.allclose(basis.get()[6], V[6] + V[:4].sum(axis=0), rtol=0, atol=1e-13)


def test_no_order_of_threads_and_blocks_changes_a_bit(gpu, draw, sent, dtype):
    vectors = [draw(4100, dtype) for _ in range(4)]
    V = draw((11, 1000), dtype)
    answers = set()
    for settings.schedule in ("forward", "reverse", "random"):
        p, q, x, r = sent(*vectors)
        sums = gpu.inner(p, q), gpu.step_iterate(0.3, p, q, x, r), gpu.difference(p, q, x), gpu.largest(p)
        basis, w = sent(V, vectors[0][:1000])
        h = gpu.project(basis, w)
        gpu.combine(h, basis, w)
        answers.add((*sums, h.tobytes(), *(each.get().tobytes() for each in (x, r, w))))
    assert len(answers) == 1


def test_a_call_is_one_launch_and_at_most_one_host_read(emulated, draw):
    gpu = importlib.import_module("solvers.kernels.gpu")
    p, q, x, r = (emulated.asarray(draw(1000, "float64")) for _ in range(4))
    V = emulated.asarray(draw((20, 1000), "float64"))
    calls = {
        "axpy": (lambda: gpu.axpy(np.float64(2), p, x), 1, 0),
        "scale": (lambda: gpu.scale(np.float64(2), p, x), 1, 0),
        "multiply": (lambda: gpu.multiply(q, p, x), 1, 0),
        "step_direction": (lambda: gpu.step_direction(p, 0.5, x), 1, 0),
        "inner": (lambda: gpu.inner(p, q), 1, 1),
        "difference": (lambda: gpu.difference(p, q, r), 1, 1),
        "largest": (lambda: gpu.largest(p), 1, 1),
        "step_iterate": (lambda: gpu.step_iterate(0.5, p, q, x, r), 1, 1),
        "project": (lambda: gpu.project(V, p), 2, 1),
        "combine": (lambda: gpu.combine(np.ones(20), V, x), 1, 0),
    }
    for name, (call, launches, reads) in calls.items():
        settings.launches = before = 0
        before = device.host_reads
        call()
        assert (name, settings.launches, device.host_reads - before) == (name, launches, reads)
