"""Operators of images on the emulated device: the products of NumPy, on arrays of CuPy; its transforms are SciPy's."""

import numpy as np
import pytest

import solvers
from solvers import inverse
from solvers.inverse._operator import applied


def operators():
    rng = np.random.default_rng(0)
    mask, kernel = rng.random((6, 5)) < 0.5, rng.random((3, 4))
    coils = rng.random((2, 6, 5)) + 1j * rng.random((2, 6, 5))
    yield from (inverse.Blur(kernel, (6, 5), boundary=each) for each in ("periodic", "zero", "reflect"))
    yield from (inverse.Gradient((6, 5), each) for each in ("neumann", "periodic"))
    yield from (inverse.MRI(coils, mask), inverse.MRI(None, mask), inverse.Inpainting(mask))
    yield 2 * inverse.Downsampling((6, 5), (2, 5)) @ inverse.Blur(kernel, (6, 5))


@pytest.mark.parametrize("A", list(operators()), ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_the_products_are_those_of_the_host(emulated, A, dtype):
    rng = np.random.default_rng(1)
    X = (rng.random((2, 6, 5)) + (1j * rng.random((2, 6, 5)) if dtype == "complex128" else 0)).astype(dtype)
    Y, here = A @ emulated.asarray(X), A @ X
    assert isinstance(Y, emulated.ndarray) and Y.dtype == here.dtype
    np.testing.assert_allclose(Y.get(), here, rtol=0, atol=1e-13 if dtype == "complex128" else 1e-6)
    back, right = (applied(A, A.adjoint_stack, each) for each in (Y, here))
    np.testing.assert_allclose(back.get(), right, rtol=0, atol=1e-12 if dtype == "complex128" else 1e-5)


def test_the_adjoint_is_checked_there(emulated):
    with solvers.backend("gpu"):
        assert inverse.check_adjoint(inverse.Gradient((4, 5)), rng=0) <= 1e-6


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_total_variation_is_that_of_the_host(emulated, dtype):
    rng = np.random.default_rng(2)
    X = (rng.random((3, 7, 6)) + (1j * rng.random((3, 7, 6)) if dtype == "complex128" else 0)).astype(dtype)
    X[1] = 0
    found, here = (inverse.tv(0.2)(each, 0.9) for each in (emulated.asarray(X), X))
    assert isinstance(found, emulated.ndarray) and found.dtype == dtype
    np.testing.assert_allclose(found.get(), here, atol=1e-12 if dtype == "complex128" else 1e-5)


@pytest.mark.parametrize("A", [next(iter(operators())), list(operators())[6]], ids=repr)
def test_plug_and_play_is_that_of_the_host(emulated, A):
    B = np.stack([A @ np.kron(np.eye(2), np.ones((3, 3)))[:, :5]] * 2)
    B[1] *= 3
    B += 0.01 * np.random.default_rng(3).standard_normal(B.shape)
    given = {"denoiser": inverse.tv(0.01), "maxiter": 60, "tol": 1e-2}
    found, here = inverse.pnp(A, emulated.asarray(B), **given), inverse.pnp(A, B, **given)
    assert isinstance(found.x, emulated.ndarray) and found.backend == "gpu"
    np.testing.assert_array_equal(found.iterations, here.iterations)
    np.testing.assert_allclose(found.x.get(), here.x, atol=1e-9)
    with solvers.backend("gpu"):
        np.testing.assert_allclose(inverse.pnp(A, B[0], **given).x, here.x[0], atol=1e-9)


def test_non_local_means_go_to_the_host_and_back(emulated):
    X = np.random.default_rng(4).random((1, 9, 9))
    found = inverse.nlm()(emulated.asarray(X), 0.1)
    np.testing.assert_array_equal(found.get(), inverse.nlm()(X, 0.1))
