"""Updates and inner products of vectors against NumPy."""

import numpy as np
import pytest

SIZES = (1, 2, 5, 511, 512, 513, 5000)


@pytest.mark.parametrize("n", SIZES)
def test_axpy_adds_a_multiple(cpu, draw, dtype, n):
    x, y, alpha = draw(n, dtype), draw(n, dtype), draw((), dtype)[()]
    expected = y + alpha * x
    bound = 4 * np.finfo(dtype).eps * (np.abs(y) + np.abs(alpha * x))
    cpu.axpy(alpha, x, y)
    assert y.dtype == dtype and (np.abs(y - expected) <= bound).all()


@pytest.mark.parametrize("n", [0, *SIZES])
def test_inner_conjugates_its_first_vector_and_accumulates_in_float64(cpu, draw, dtype, n):
    p, q = draw(n, dtype), draw(n, dtype)
    wide = np.result_type(dtype, np.float64)
    terms = p.astype(wide).conj() * q.astype(wide)
    value = cpu.inner(p, q)
    assert isinstance(value, complex if np.dtype(dtype).kind == "c" else float)
    assert abs(value - terms.sum()) <= 1e-13 * (np.abs(terms).sum() + 1e-300)


@pytest.mark.parametrize("n", SIZES)
def test_step_iterate_moves_x_and_r_and_returns_the_norm_of_r(cpu, draw, dtype, n):
    p, q, x, r = (draw(n, dtype) for _ in range(4))
    real = np.finfo(dtype).dtype.type
    x_next, r_next = x + real(0.3) * p, r - real(0.3) * q
    p_before, q_before = p.copy(), q.copy()
    norm = cpu.step_iterate(0.3, p, q, x, r)
    eps = np.finfo(dtype).eps
    assert np.allclose(x, x_next, rtol=0, atol=8 * eps * np.abs(x_next).max())
    assert np.allclose(r, r_next, rtol=0, atol=8 * eps * np.abs(r_next).max())
    assert norm == pytest.approx(np.linalg.norm(r.astype(np.result_type(dtype, float))), rel=1e-12)
    assert np.array_equal(p, p_before) and np.array_equal(q, q_before)


@pytest.mark.parametrize("n", SIZES)
def test_step_direction_turns_p_towards_z(cpu, draw, dtype, n):
    z, p = draw(n, dtype), draw(n, dtype)
    expected = z + np.finfo(dtype).dtype.type(0.7) * p
    z_before = z.copy()
    cpu.step_direction(z, 0.7, p)
    assert p.dtype == dtype
    assert np.allclose(p, expected, rtol=0, atol=8 * np.finfo(dtype).eps * np.abs(expected).max())
    assert np.array_equal(z, z_before)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_the_norm_of_a_single_precision_step_does_not_overflow_or_underflow(cpu, dtype):
    for value in (1e30, 1e-30):
        r = np.full(5, value, dtype)
        still = np.zeros(5, dtype)
        norm = cpu.step_iterate(0.0, still, still, still.copy(), r)
        assert norm == pytest.approx(value * 5**0.5, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_or_an_infinity_reaches_the_norm(cpu, dtype, bad):
    q = np.ones(3000, dtype)
    q[2500] = bad
    x, r = np.zeros(3000, dtype), np.ones(3000, dtype)
    assert not np.isfinite(cpu.step_iterate(1.0, np.ones(3000, dtype), q, x, r))


@pytest.mark.parametrize(
    "re, im, size, sign, share, flag",
    [
        (1.0, 0.0, 0.0, 0.0, 1e-8, 0),
        (-1.0, 0.0, 0.0, 0.0, 1e-8, 0),
        (-1.0, 0.0, 0.0, -1.0, 1e-8, 0),
        (-1.0, 0.0, 0.0, 1.0, 1e-8, 2),
        (1.0, 0.0, 0.0, -1.0, 1e-8, 2),
        (0.0, 0.0, 0.0, 0.0, 1e-8, 2),
        (np.nan, 0.0, 0.0, 1.0, 1e-8, 1),
        (np.inf, 0.0, 0.0, 1.0, 1e-8, 1),
        (1.0, np.nan, 1.0, 1.0, 1e-8, 1),
        (1.0, 1e-3, 1.0, 1.0, 1e-8, 3),
        (1.0, 1e-9, 1.0, 1.0, 1e-8, 0),
        (1.0, 1e-3, 1.0, 1.0, np.inf, 0),
        (1e-200, 0.0, 0.0, 1.0, 1e-8, 0),
        (-1e-200, 0.0, 0.0, 1.0, 1e-8, 2),
    ],
)
def test_judge_names_what_forbids_a_step(cpu, re, im, size, sign, share, flag):
    assert cpu.judge(re, im, size, sign, share) == flag


@pytest.mark.parametrize("n", [0, *SIZES])
def test_scale_multiplies_also_in_place(cpu, draw, dtype, n):
    x, y, alpha = draw(n, dtype), draw(n, dtype), draw((), dtype)[()]
    expected = alpha * x
    cpu.scale(alpha, x, y)
    cpu.scale(alpha, x, x)
    assert x.dtype == dtype and np.array_equal(x, y)
    assert (np.abs(y - expected) <= 4 * np.finfo(dtype).eps * np.abs(expected)).all()


@pytest.mark.parametrize("n", [0, *SIZES])
def test_multiply_is_entry_by_entry(cpu, draw, dtype, n):
    x, y, d = draw(n, dtype), draw(n, dtype), draw(n, np.finfo(dtype).dtype)
    cpu.multiply(d, x, y)
    assert np.array_equal(y, d * x)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("n", [0, *SIZES])
def test_difference_is_formed_in_float64_and_rounded_once(cpu, draw, dtype, n, wide):
    double = np.result_type(dtype, np.float64)
    b, r = draw(n, dtype), draw(n, dtype)
    y = draw(n, double if wide else dtype)
    exact = b.astype(double) - y
    norm = cpu.difference(b, y, r)
    assert np.array_equal(r, exact.astype(dtype))
    assert abs(norm - np.linalg.norm(exact)) <= 1e-13 * norm


def test_largest_is_the_largest_magnitude_and_nan_where_there_is_one(cpu, draw, dtype):
    v = draw(1000, dtype)
    assert cpu.largest(v) == np.abs(v).max() and cpu.largest(v[:0]) == 0.0
    v[7] = -np.inf
    assert cpu.largest(v) == np.inf
    v[500] = np.nan
    assert np.isnan(cpu.largest(v))


@pytest.mark.parametrize("j", [1, 3, 20])
def test_project_and_combine_take_a_vector_apart_and_put_it_together(cpu, draw, dtype, j):
    V = np.ascontiguousarray(np.linalg.qr(draw((200, j), dtype).astype(complex if dtype.kind == "c" else float))[0].T)
    V, h = V.astype(dtype), draw(j, dtype)
    w = np.zeros(200, dtype)
    cpu.combine(h, V, w)
    bound = 40 * np.finfo(dtype).eps * np.abs(h).sum()
    assert np.abs(w - V.T @ h).max() <= bound
    assert np.abs(cpu.project(V, w) - h).max() <= bound
    cpu.combine(-h, V, w)
    assert np.abs(w).max() <= bound
