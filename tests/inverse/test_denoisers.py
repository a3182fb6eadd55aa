"""Total variation against a slow dual ascent and scikit-image; non-local means: what they keep, and how they scale."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.restoration import denoise_tv_chambolle

from solvers import InvalidInput, UnsupportedType, inverse


def numbers(seed, shape, dtype=float):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def variation(x):
    return np.sqrt((np.abs(inverse.Gradient(x.shape) @ x) ** 2).sum(axis=0)).sum()


def slow(x, w, steps=2000):
    """Plain projected gradient steps for the dual problem."""
    D = inverse.Gradient(x.shape)
    P = np.zeros((x.ndim, *x.shape), x.dtype)
    for _ in range(steps):
        P = P + (D @ (x - w * (D.H @ P))) / (4 * x.ndim * w)
        P /= np.maximum(1, np.sqrt((np.abs(P) ** 2).sum(axis=0)))
    return x - w * (D.H @ P)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((9,), float), ((8, 7), float), ((6, 7), complex), ((4, 5, 3), float), ((3, 4, 4), complex)]
)
def test_tv_is_the_proximal_point(shape, dtype):
    x = numbers(0, shape, dtype)
    found = inverse.tv(0.1, power=0, tol=1e-7, maxiter=5000)(x[None], 1.0)[0]
    np.testing.assert_allclose(found, slow(x, 0.1), atol=1e-5)


def test_the_tolerance_bounds_the_error():
    x = numbers(1, (1, 20, 20))
    best = inverse.tv(0.5, power=0, tol=1e-9, maxiter=20_000)(x, 0)
    for tol in (1e-2, 1e-4):
        found = inverse.tv(0.5, power=0, tol=tol, maxiter=20_000)(x, 0)
        assert np.linalg.norm(found - best) <= tol * np.linalg.norm(x)
        assert np.linalg.norm(found - best) > 0


def test_no_objective_of_scikit_images_is_lower():
    x = np.kron(np.eye(3), np.ones((8, 8))) + 0.1 * numbers(2, (24, 24))
    theirs = denoise_tv_chambolle(x, weight=0.2, eps=1e-9, max_num_iter=3000)
    ours = inverse.tv(0.2, power=0, tol=1e-6, maxiter=3000)(x[None], 0)[0]
    objectives = [np.sum((u - x) ** 2) / 2 + 0.2 * variation(u) for u in (ours, theirs)]
    assert objectives[0] <= objectives[1] * (1 + 1e-9) and np.abs(ours - theirs).max() < 0.02


@given(st.integers(0, 50), st.floats(0.01, 3.0), st.sampled_from([float, complex, np.float32]))
@settings(max_examples=10, deadline=None)
def test_what_tv_keeps(seed, weight, dtype):
    """The mean, the phase, the scale, the order of the axes; and images that are large beside the weight."""
    x, denoise = numbers(seed, (2, 7, 6), dtype), inverse.tv(weight, power=1, tol=1e-5, maxiter=3000)
    y, tol = denoise(x, 0.5), 1e-3 if dtype is np.float32 else 1e-4
    assert y.dtype == x.dtype and not np.shares_memory(x, y)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), x.mean(axis=(1, 2)), atol=tol)
    np.testing.assert_allclose(denoise(1e-9 * x, 0.5e-9) * 1e9, y, atol=tol)
    np.testing.assert_allclose(denoise(x[1:], 0.5), y[1:], atol=0)
    turn = np.exp(0.7j) if dtype is complex else -1
    np.testing.assert_allclose(denoise(turn * x, 0.5), turn * y, atol=1e-4 + tol)
    assert all(variation(u) <= variation(v) + tol for u, v in zip(y, x, strict=True))
    np.testing.assert_array_equal(denoise(x, 0.0), x)


def test_powers_flat_images_and_strong_weights():
    x = numbers(3, (1, 5, 6))
    for power in (0, 1, 2):
        found, right = inverse.tv(2.0, power=power)(x, 0.3), inverse.tv(2 * 0.3**power, power=0)(x, 9.0)
        np.testing.assert_array_equal(found, right)
    np.testing.assert_allclose(inverse.tv(1e3, power=0, maxiter=3000)(x, 1), np.full_like(x, x.mean()), atol=1e-3)
    flat = inverse.tv(2.0, power=0, image_shape=(5, 6))(x.reshape(1, 30), 0)
    np.testing.assert_array_equal(flat, inverse.tv(2.0, power=0)(x, 0).reshape(1, 30))
    assert inverse.tv(1.0)(np.zeros((2, 3, 3)), 1.0).tolist() == np.zeros((2, 3, 3)).tolist()
    assert inverse.tv(1.0).proximal and not inverse.tv(1.0, power=1).proximal


@pytest.mark.parametrize("dtype", [float, np.float32, complex])
def test_nlm_takes_noise_away_and_scales_with_the_image(dtype):
    image = np.kron(np.eye(2), np.ones((16, 16))) * (1j if dtype is complex else 1)
    noise = 0.1 * numbers(4, (2, 32, 32), dtype) / (np.sqrt(2) if dtype is complex else 1)
    noisy = (image + noise).astype(dtype)
    found = inverse.nlm()(noisy, 0.1)
    assert found.dtype == noisy.dtype
    assert np.linalg.norm(found - image) < 0.3 * np.linalg.norm(noise)
    np.testing.assert_array_equal(inverse.nlm()(noisy[1:], 0.1), found[1:])
    np.testing.assert_allclose(inverse.nlm()(noisy * 1e-12, 0.1e-12) * 1e12, found, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(inverse.nlm(image_shape=(32, 32))(noisy.reshape(2, -1), 0.1), found.reshape(2, -1))
    np.testing.assert_array_equal(inverse.nlm()(noisy, 0.0), noisy)
    assert inverse.nlm()(np.zeros((1, 8, 8)), 0.1).max() == 0


def test_scikit_image_is_asked_for_by_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        inverse.nlm()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: inverse.tv(-1), InvalidInput, "`weight` must be >= 0"),
        (lambda: inverse.tv(1, power=3), InvalidInput, "`power` must be one of"),
        (lambda: inverse.tv(1, tol=0), InvalidInput, "`tol` must be > 0"),
        (lambda: inverse.tv(1)(np.ones((1, 2, 2, 2, 2)), 1), InvalidInput, "up to three axes"),
        (lambda: inverse.tv(1, image_shape=(2, 2))(np.ones((1, 5)), 1), InvalidInput, "`image_shape` must fit"),
        (lambda: inverse.nlm(0), InvalidInput, "`strength` must be > 0"),
        (lambda: inverse.nlm(fast=1), UnsupportedType, "`fast` must be True or False"),
        (lambda: inverse.nlm()(np.ones((1, 5)), 1), InvalidInput, "pass `image_shape`"),
    ],
)
def test_what_does_not_fit_is_one_sentence(make, error, says):
    with pytest.raises(error, match=says):
        make()
