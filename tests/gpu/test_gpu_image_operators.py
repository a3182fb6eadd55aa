"""Operators of images on the emulated device: the products of NumPy, on arrays of CuPy; its transforms are SciPy's."""

import numpy as np
import pytest

import solvers
from solvers import inverse
from solvers.inverse._operator import _applied


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
    back, right = (_applied(A, A.adjoint_stack, each) for each in (Y, here))
    np.testing.assert_allclose(back.get(), right, rtol=0, atol=1e-12 if dtype == "complex128" else 1e-5)


def test_the_adjoint_is_checked_there(emulated):
    with solvers.backend("gpu"):
        assert inverse.check_adjoint(inverse.Gradient((4, 5)), rng=0) <= 1e-6
