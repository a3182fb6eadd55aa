"""Plug and play: exact answers for quadratic priors, one minimum for every coupling, scales, rows, the phantom."""

import numpy as np
import pytest
from solvers.benchmarks import mri

from solvers import InvalidInput, Status, UnsupportedType, inverse


def numbers(seed, shape, dtype=float):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def quadratic(x, sigma):
    """The proximal operator of sigma^2 |x|^2 / 2 * 9."""
    return x / (1 + 9 * sigma**2)


quadratic.proximal = True


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("sigmas", [None, 0.1, (1.0, 0.1)])
def test_with_a_quadratic_prior_it_is_tikhonovs(dtype, sigmas):
    M, b = numbers(0, (12, 8), dtype), numbers(1, (12, 3), dtype)
    res = inverse.pnp(M, b, quadratic, noise_level=0.5, sigmas=sigmas, method="admm", maxiter=2000, tol=1e-10)
    right = np.linalg.solve(M.conj().T @ M + 9 * 0.5**2 * np.eye(8), M.conj().T @ b)
    np.testing.assert_allclose(res.x, right, atol=1e-7)
    np.testing.assert_allclose(res.residual, np.linalg.norm(b - M @ right, axis=0), rtol=1e-7)
    assert res.converged and res.status == (Status.CONVERGED,) * 3 and res.stop_reason == ("tolerance",) * 3


def test_rho_multiplies_the_prior():
    M, b = numbers(0, (12, 8)), numbers(1, 12)
    res = inverse.pnp(M, b, quadratic, rho=2.0, maxiter=2000, tol=1e-10)
    np.testing.assert_allclose(res.x, np.linalg.solve(M.T @ M + 18 * np.eye(8), M.T @ b), atol=1e-8)
    assert (res.method, res.choice) == ("pnp", "admm") and res.regularization == pytest.approx(2 / res.sigmas[-1] ** 2)


def operators(shape):
    rng = np.random.default_rng(2)
    yield inverse.Blur(np.ones((3, 3)) / 9, shape)
    yield inverse.Blur(np.ones((3, 3)) / 9, shape, boundary="reflect")
    yield inverse.Inpainting(rng.random(shape) < 0.6)
    yield inverse.MRI(None, rng.random(shape) < 0.6)
    yield inverse.MRI(numbers(3, (2, *shape), complex), rng.random(shape) < 0.4)


@pytest.mark.parametrize("A", list(operators((8, 9))), ids=repr)
def test_every_coupling_leads_to_the_minimum(A):
    """At the minimum the gradient of the data term is minus that of the prior, which the proximal operator tells."""
    x = np.kron(np.eye(2)[:, [0, 1, 0]], np.ones((4, 3)))
    b, denoiser = A @ x + 0.1 * numbers(4, A.data_shape, A.dtype), inverse.tv(0.05, tol=1e-6)
    found = [inverse.pnp(A, b, denoiser, sigmas=s, maxiter=2000, tol=1e-5) for s in (1.5, 4.0)]
    images = [each.x.reshape(8, 9) for each in found]
    assert all(each.converged for each in found)
    np.testing.assert_allclose(images[0], images[1], atol=2e-3)
    slope = np.reshape(A.H @ (A @ images[0] - b.reshape(A.data_shape)), (8, 9))
    again = inverse.tv(0.05, power=0, tol=1e-7, maxiter=3000)((images[0] - slope)[None], 0)[0]
    np.testing.assert_allclose(again, images[0], atol=1e-3)


def test_a_coupling_that_holds_the_image_still_is_no_convergence():
    A = inverse.Blur(np.ones((3, 3)) / 9, (8, 8))
    b = A @ np.kron(np.eye(2), np.ones((4, 4)))
    res = inverse.pnp(A, b, inverse.tv(0.05), sigmas=0.02, noise_level=1.0, maxiter=40)
    assert res.status is Status.MAXITER and res.stop_reason == "maxiter" and res.residuals[-1] > res.threshold


def test_hqs_comes_near_the_minimum_down_its_schedule():
    A = inverse.Blur(np.ones((3, 3)) / 9, (12, 12))
    b = A @ np.kron(np.eye(2), np.ones((6, 6))) + 0.02 * numbers(5, (12, 12))
    best = inverse.pnp(A, b, inverse.tv(0.01), maxiter=1000, tol=1e-6)
    down = inverse.pnp(A, b, inverse.tv(0.01), method="hqs", maxiter=200)
    assert best.stop_reason == "tolerance" and down.stop_reason == "schedule" and down.converged
    assert down.iterations == down.n_denoiser == 200 and down.threshold == np.inf
    assert np.linalg.norm(down.x - best.x) < 0.1 * np.linalg.norm(best.x)


@pytest.mark.parametrize("method", ["admm", "hqs"])
@pytest.mark.parametrize("scale", [1e-12, 1e6])
def test_the_scale_of_the_data_is_that_of_the_answer(method, scale):
    A, image = inverse.MRI(numbers(6, (2, 8, 8), complex), np.arange(8) % 2 == 0), np.kron(np.eye(2), np.ones((4, 4)))
    b = A @ image + 0.01 * numbers(7, A.data_shape, complex)
    given = {"method": method, "maxiter": 20}
    one = inverse.pnp(A, b, inverse.tv(1.0, power=1), noise_level=0.02, **given)
    other = inverse.pnp(A, b * scale, inverse.tv(1.0, power=1), noise_level=0.02 * scale, **given)
    np.testing.assert_allclose(other.x / scale, one.x, atol=1e-9)
    np.testing.assert_allclose(other.residuals, one.residuals, rtol=1e-6)
    proximal = [inverse.pnp(A, b * s, inverse.tv(0.02 * s), maxiter=20).x / s for s in (1, scale)]
    np.testing.assert_allclose(proximal[0], proximal[1], atol=1e-9)


def test_rows_do_not_know_of_each_other_and_forms_come_back():
    A = inverse.Blur(np.ones((3, 3)) / 9, (8, 8), boundary="zero")
    B = np.stack([A @ np.kron(np.eye(2), np.ones((4, 4))), np.zeros((8, 8)), 10 * numbers(8, (8, 8))])
    many = inverse.pnp(A, B, inverse.tv(0.01), maxiter=300)
    assert many.x.shape == B.shape and many.residuals.shape[1] == 3 and len(set(many.iterations)) > 1
    for j, b in enumerate(B):
        one = inverse.pnp(A, b, inverse.tv(0.01), maxiter=300)
        np.testing.assert_array_equal(one.x, many.x[j])
        assert one.iterations == many.iterations[j] == len(one.residuals) - 1
    assert not many.x[1].any() and many.iterations[1] == 1
    flat = inverse.pnp(A, B[0].ravel(), inverse.tv(0.01), maxiter=300).x
    np.testing.assert_array_equal(flat, many.x[0].ravel())
    assert inverse.pnp(A, B.astype(np.float32), inverse.tv(0.01), maxiter=3).x.dtype == np.float64
    kernel = np.ones((3, 3), np.float32)
    assert inverse.pnp(inverse.Blur(kernel, (8, 8)), B.astype(np.float32), inverse.tv(0.01)).x.dtype == np.float32


def test_a_step_is_taken_from_the_start_which_is_not_written_to():
    M, b, start = numbers(0, (12, 8)), numbers(1, (12, 2)), numbers(2, (8, 2))
    before, given = start.copy(), {"sigmas": 0.5, "noise_level": 1.0, "maxiter": 1, "n_cg": 30}
    right = np.linalg.solve(M.T @ M + 4 * np.eye(8), M.T @ b + 4 * start) / (1 + 9 / 4)
    for method in ("admm", "hqs"):
        np.testing.assert_allclose(inverse.pnp(M, b, quadratic, method=method, x0=start, **given).x, right, atol=1e-5)
    np.testing.assert_array_equal(start, before)


def test_a_denoiser_that_fails_is_named_and_leaves_the_last_image():
    calls = iter(range(9))

    def denoiser(x, sigma):
        return x * (np.nan if next(calls) == 3 else 0.9)

    res = inverse.pnp(np.eye(4), np.ones(4), denoiser, noise_level=0.1)
    assert res.status is Status.NONFINITE and res.iterations == 3 and np.isfinite(res.x).all()
    assert not inverse.pnp(np.eye(4), np.ones(4), quadratic, maxiter=1).converged


def test_callbacks_see_each_step_and_may_stop_it():
    seen = []

    def callback(x):
        seen.append(x.copy())
        x[:] = 7
        if len(seen) == 4:
            raise StopIteration

    res = inverse.pnp(np.eye(3), np.ones(3), quadratic, noise_level=1.0, tol=0, callback=callback)
    assert res.status is Status.STOPPED and res.iterations == 4 and res.stop_reason == "callback"
    np.testing.assert_array_equal(res.x, seen[-1])


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"denoiser": lambda x, s: x}, InvalidInput, "`noise_level` or `sigmas` must be given"),
        ({"denoiser": inverse.tv(0.1, power=1)}, InvalidInput, "`noise_level` or `sigmas` must be given"),
        ({"denoiser": 3}, UnsupportedType, "`denoiser` must be a function"),
        ({"denoiser": lambda x, s: x[0], "noise_level": 1}, InvalidInput, "`denoiser` must return an array of"),
        ({"method": "pgd"}, InvalidInput, "`method` must be one of"),
        ({"noise_level": -1}, InvalidInput, "`noise_level` must be > 0"),
        ({"sigmas": [1, 0, 2]}, InvalidInput, "`sigmas` must be a number > 0"),
        ({"b": np.array([1.0, np.nan, 0])}, InvalidInput, "`b` must be finite"),
        ({"b": np.ones(4)}, InvalidInput, "`b` must have shape"),
        ({"x0": np.ones((2, 3)).T}, InvalidInput, "`x0` must be one image"),
        ({"x0": np.ones(3) * 1j}, InvalidInput, "`x0` must be real"),
        ({"tol": -1}, InvalidInput, "`tol` must be >= 0"),
    ],
)
def test_what_does_not_fit_is_one_sentence(options, error, says):
    with pytest.raises(error, match=says):
        inverse.pnp(**({"A": np.eye(3), "b": np.ones(3), "denoiser": quadratic} | options))


def test_a_small_phantom_is_reconstructed():
    ph = mri.phantom(48)
    start = mri.psnr(ph.A.H @ ph.b, ph.image)
    tv = inverse.pnp(ph.A, ph.b, inverse.tv(0.002), maxiter=40)
    nlm = inverse.pnp(ph.A, ph.b, inverse.nlm(), noise_level=ph.noise_level)
    assert start < 18 and mri.psnr(tv.x, ph.image) > start + 8 and mri.psnr(nlm.x, ph.image) > start + 8


@pytest.mark.slow
def test_the_phantom_reaches_35_db_within_60_steps():
    ph = mri.phantom()
    res = inverse.pnp(ph.A, ph.b, inverse.nlm(), method="hqs", noise_level=ph.noise_level, maxiter=60)
    assert mri.psnr(res.x, ph.image) >= 38  # 39.9
    assert mri.psnr(inverse.pnp(ph.A, ph.b, inverse.tv(0.005)).x, ph.image) >= 37  # 38.7
