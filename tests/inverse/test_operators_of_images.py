"""MRI, blur, inpainting, downsampling and gradients: what they do, their true adjoints, and compositions."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.transform import iradon, radon

from solvers import InvalidInput, inverse


def numbers(rng, shape, dtype=complex):
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def transform(x):
    """The orthonormal transform between centred arrays, by its sum."""
    for axis, n in enumerate(x.shape):
        at = np.arange(n) - n // 2
        x = np.moveaxis(np.tensordot(np.exp(-2j * np.pi * np.outer(at, at) / n), x, (1, axis)), 0, axis) / np.sqrt(n)
    return x


def dense(A):
    """The matrix of an operator, column by column."""
    return (A @ np.eye(A.shape[1])).reshape(A.shape)


def mask_of(rng, shape):
    mask = rng.random(shape) < 0.6
    mask.flat[0] = True
    return mask


def an_operator(kind, shape, rng, dtype=float):
    if kind == "mri":
        return inverse.MRI(numbers(rng, (3, *shape), np.result_type(dtype, np.complex64)), mask_of(rng, shape))
    if kind == "one coil":
        return inverse.MRI(None, mask_of(rng, shape))
    if kind == "inpainting":
        return inverse.Inpainting(mask_of(rng, shape))
    if kind == "downsampling":
        factors = [int(rng.choice([f for f in range(1, n + 1) if n % f == 0])) for n in shape]
        return inverse.Downsampling(shape, factors)
    if kind.startswith("gradient"):
        return inverse.Gradient(shape, kind.partition(" ")[2])
    sizes = [int(rng.integers(1, n + 2)) for n in shape]
    kernel = numbers(rng, sizes, dtype)
    A = inverse.Blur(kernel, shape, boundary=kind.partition(" ")[2])
    A.weights = np.abs(kernel).sum()
    return A


KINDS = ["mri", "one coil", "inpainting", "downsampling", "gradient neumann", "gradient periodic"]
KINDS += ["blur periodic", "blur zero", "blur reflect"]


@given(
    kind=st.sampled_from(KINDS),
    shape=st.lists(st.integers(1, 7), min_size=2, max_size=3),
    dtype=st.sampled_from([np.float64, np.complex128, np.float32]),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_every_adjoint_is_the_true_one(kind, shape, dtype, seed):
    A = an_operator(kind, tuple(shape), np.random.default_rng(seed), dtype)
    double = inverse.check_adjoint(A, rng=seed, n_trials=1)
    # Where the weights of a kernel cancel, rounding is that of the weights and not of what is left of them.
    n = A.shape[1]
    columns = (A @ np.eye(n).reshape(n, *A.image_shape)).reshape(n, -1)
    cancelled = max(1.0, getattr(A, "weights", 0.0) / max(np.linalg.norm(columns, 2), 1e-300))
    assert double <= (1e-13 if A.dtype.char in "dD" else 1e-6) * cancelled
    X = numbers(np.random.default_rng(seed), (2, *shape))
    Y = A @ X
    assert Y.dtype == np.complex128 and Y.shape == (2, *A.data_shape)
    np.testing.assert_allclose(A @ X[1], Y[1], rtol=0, atol=1e-12 * max(1, abs(Y).max()))
    Z = numbers(np.random.default_rng(seed + 1), A.data_shape)
    left, right = np.vdot(Z, Y[0]), np.vdot(A.H @ Z, X[0])
    assert abs(left - right) <= 1e-13 * np.linalg.norm(Y[0]) * np.linalg.norm(Z) + 1e-300


@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (3, 4, 5)])
def test_mri_takes_the_centred_transform_of_what_each_coil_sees(shape):
    rng = np.random.default_rng(0)
    coils, mask, x = numbers(rng, (2, *shape)), mask_of(rng, shape), numbers(rng, shape)
    right = np.stack([transform(c * x)[mask] for c in coils])
    np.testing.assert_allclose(inverse.MRI(coils, mask) @ x, right, atol=1e-13)
    np.testing.assert_allclose(inverse.MRI(None, mask) @ x, transform(x)[None, mask], atol=1e-13)
    columns = mask_of(rng, shape[-1])
    A = inverse.MRI(coils, columns)
    np.testing.assert_allclose(A @ x, [transform(c * x)[..., columns].ravel() for c in coils], atol=1e-13)
    assert A.mask.shape == shape and inverse.MRI(coils.astype(np.complex64), mask).dtype == np.complex64


@pytest.mark.parametrize(("boundary", "mode"), [("periodic", "wrap"), ("zero", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize(("shape", "size"), [((9, 8), (3, 5)), ((5, 6), (5, 7)), ((11,), (4,)), ((4, 5, 6), (3, 1, 2))])
def test_blur_convolves_as_ndimage_does(boundary, mode, shape, size):
    rng = np.random.default_rng(1)
    kernel, x = rng.random(size), rng.random(shape)
    # For even sizes SciPy's centre is one further on.
    origin = [-1 if n % 2 == 0 else 0 for n in size]
    right = ndimage.convolve(x, kernel, mode=mode, origin=[-o - 1 if o else 0 for o in origin])
    np.testing.assert_allclose(inverse.Blur(kernel, shape, boundary=boundary) @ x, right, atol=1e-13)


def test_a_kernel_larger_than_the_image_winds_around_it_or_falls_off():
    kernel = np.arange(1.0, 6.0)
    at = np.subtract.outer(np.arange(3), np.arange(3))
    periodic = sum(kernel[j] * (at % 3 == (j - 2) % 3) for j in range(5))
    np.testing.assert_allclose(dense(inverse.Blur(kernel, (3,))), periodic, atol=1e-13)
    zero = kernel[at + 2]
    np.testing.assert_allclose(dense(inverse.Blur(kernel, (3,), boundary="zero")), zero, atol=1e-13)
    with pytest.raises(InvalidInput, match="`kernel` must reach no farther than the image"):
        inverse.Blur(np.ones(9), (3,), boundary="reflect")


def test_gradients_are_differences_of_neighbours():
    x = np.random.default_rng(2).random((4, 5))
    neumann, periodic = inverse.Gradient((4, 5)) @ x, inverse.Gradient((4, 5), "periodic") @ x
    for axis in range(2):
        np.testing.assert_array_equal(neumann[axis], np.diff(x, axis=axis, append=np.take(x, [-1], axis)))
        np.testing.assert_array_equal(periodic[axis], np.roll(x, -1, axis) - x)
    np.testing.assert_array_equal(inverse.Gradient((4, 5), axes=[-1]) @ x, neumann[1:])


def test_what_is_real_and_single_stays_so():
    x = np.ones((4, 4), np.float32)
    mask = np.eye(4, dtype=int)
    for A in (inverse.Inpainting(mask), inverse.Gradient((4, 4)), inverse.Downsampling((4, 4), 2)):
        assert (A @ x).dtype == np.float32 and (A @ x.astype(float)).dtype == np.float64
    kernel = np.ones((3, 3), np.float32)
    assert (inverse.Blur(kernel, (4, 4)) @ x).dtype == np.float32
    assert (inverse.MRI(None, mask) @ x).dtype == np.complex64


def test_operators_travel_between_processes():
    A = inverse.MRI(numbers(np.random.default_rng(3), (2, 4, 4)), np.eye(4))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(A)) @ np.ones((4, 4)), A @ np.ones((4, 4)))


def test_the_callers_arrays_are_not_kept():
    coils, mask, x = np.ones((1, 2, 2), complex), np.ones((2, 2), bool), np.ones((2, 2))
    A, B = inverse.MRI(coils, mask), inverse.Inpainting(mask)
    before = A @ x, B @ x
    coils[:], mask[:] = 0, False
    np.testing.assert_array_equal(A @ x, before[0])
    np.testing.assert_array_equal(B @ x, before[1])


def test_products_of_operators_keep_their_shapes():
    rng = np.random.default_rng(4)
    B, G = inverse.Blur(numbers(rng, (3, 3), float), (4, 6)), inverse.Gradient((4, 6))
    D, F = inverse.Downsampling((4, 6), 2), inverse.MRI(None, np.ones((2, 3)))
    for A, factors in ((D @ B, (D, B)), (F @ D, (F, D)), (2j * G, (2j * np.eye(48), G)), (-D, (-np.eye(6), D))):
        left = factors[0] if isinstance(factors[0], np.ndarray) else dense(factors[0])
        np.testing.assert_allclose(dense(A), left @ dense(factors[1]), atol=1e-13)
        assert isinstance(A, inverse.ImagingOperator) and A.image_shape == (4, 6)
        assert inverse.check_adjoint(A, rng=0) <= 1e-6
        x = numbers(rng, (4, 6))
        np.testing.assert_allclose(A @ x, (dense(A) @ x.ravel()).reshape(A.data_shape), atol=1e-12)
    with pytest.raises(InvalidInput, match="equal sizes in the middle"):
        B @ D


@pytest.mark.parametrize("kind", ["one coil", "inpainting", "blur periodic"])
def test_the_shifted_normal_equations_have_a_closed_form(kind):
    rng = np.random.default_rng(5)
    A, shift = an_operator(kind, (5, 6), rng), np.array([0.5, 2.0]).reshape(2, 1, 1)
    R = numbers(rng, (2, 5, 6), np.result_type(A.dtype, float))
    X = A.normal_inverse(R, shift)
    np.testing.assert_allclose(shift * X + A.adjoint_stack(A.forward_stack(X)), R, atol=1e-12)


class Unfiltered:
    """A back-projection that is not the adjoint."""

    shape, dtype = (4, 4), np.dtype(float)

    def __init__(self, adjoint):
        self.rmatvec = adjoint

    def matvec(self, x):
        return np.cumsum(x)


def test_a_wrong_adjoint_is_found():
    right = Unfiltered(lambda y: np.cumsum(y[::-1])[::-1])
    assert inverse.check_adjoint(right, rng=0) <= 1e-15
    with pytest.raises(InvalidInput, match=r"`A` must have its true adjoint: .* \(their ratio is 2\)"):
        inverse.check_adjoint(Unfiltered(lambda y: 2 * right.rmatvec(y)), rng=0)
    for wrong in (np.cumsum, lambda y: right.rmatvec(y) + 1e-8):
        with pytest.raises(InvalidInput, match="correct its rmatvec"):
            inverse.check_adjoint(Unfiltered(wrong), rng=0)
    assert inverse.check_adjoint(Unfiltered(lambda y: right.rmatvec(y) * 1.001), rng=0, tol=0.01) > 1e-5
    with pytest.raises(InvalidInput, match="finite products"):
        inverse.check_adjoint(Unfiltered(lambda y: y * np.nan))
    assert inverse.check_adjoint(np.zeros((2, 3))) == 0.0
    assert inverse.check_adjoint(numbers(np.random.default_rng(0), (4, 3))) <= 1e-15


def test_the_back_projection_of_scikit_image_is_not_the_adjoint():
    angles = np.arange(0, 180, 30.0)

    class Radon:
        shape, dtype = (16 * 6, 16 * 16), np.dtype(float)

        def matvec(self, x):
            return radon(x.reshape(16, 16), angles, circle=True).ravel()

        def rmatvec(self, y):
            return iradon(y.reshape(16, 6), angles, filter_name=None, circle=True).ravel()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the image is not zero outside of the circle
        with pytest.raises(InvalidInput, match="true adjoint"):
            inverse.check_adjoint(Radon(), rng=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: inverse.MRI(np.ones((4, 4)), np.ones((4, 4))), "`coils` must have shape"),
        (lambda: inverse.MRI(np.ones((2, 4, 4)), np.ones(5)), "`mask` must have shape"),
        (lambda: inverse.MRI(np.full((2, 4, 4), np.nan), np.ones(4)), "`coils` must be finite"),
        (lambda: inverse.Inpainting(np.zeros((2, 2))), "at least one True"),
        (lambda: inverse.Inpainting([[0.5, 1.0]]), "must hold True and False, .*; pass mask > 0 to take"),
        (lambda: inverse.Downsampling((4, 5), 2), "must divide each size"),
        (lambda: inverse.Downsampling((4, 4), (2,)), "must divide each size"),
        (lambda: inverse.Downsampling((4, 0), 2), "`image_shape` must be >= 1"),
        (lambda: inverse.Gradient((4, 5), "zero"), "`boundary` must be one of"),
        (lambda: inverse.Gradient((4, 5), axes=[0, -2]), "`axes` must be different axes"),
        (lambda: inverse.Gradient((4, 5), axes=[2]), "`axes` must be different axes"),
        (lambda: inverse.Blur(np.ones(3), (4, 4)), "`kernel` must have 2 axes"),
        (lambda: inverse.Blur([np.inf], (4,)), "`kernel` must be finite"),
        (lambda: inverse.Blur((4, 4), np.ones((3, 3))), "the kernel comes first"),
    ],
)
def test_what_does_not_fit_is_one_sentence(make, says):
    with pytest.raises(InvalidInput, match=says):
        make()


