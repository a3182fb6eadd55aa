"""Gaussian, mixture and smoothness priors against plain formulas, and the fit of a mixture."""

import io

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, inverse


def mixture(complex_=False, K=3, shape=(2, 3), rank=6):
    rng = np.random.default_rng(0)
    n = int(np.prod(shape))
    draw = lambda *size: rng.standard_normal(size) + 1j * rng.standard_normal(size) * complex_
    draw = draw if complex_ else (lambda *size, real=draw: real(*size).real)
    F = 0.5 * draw(K, n, rank)
    return inverse.GaussianMixture([0.2, 0.3, 0.5], draw(K, *shape), F @ F.conj().swapaxes(1, 2)), draw


def moments(prior, x, sigma):
    """By the textbook for one flat x: E[x0 | x], its covariance, what is between components without conjugation."""
    half = 1.0 if prior.dtype.kind == "c" else 0.5
    n, logs, means, covariances = x.size, [], [], []
    for w, m, C in zip(prior.weights, prior.means.reshape(-1, n), prior.covariances, strict=True):
        S = C + sigma**2 * np.eye(n)
        d = x - m
        logs.append(np.log(w) - half * (np.vdot(d, np.linalg.solve(S, d)).real + np.linalg.slogdet(S)[1]))
        means.append(m + C @ np.linalg.solve(S, d))
        covariances.append(C - C @ np.linalg.solve(S, C))
    top = max(logs)
    w = np.exp(np.array(logs) - top)
    density = top + np.log(w.sum()) - half * n * np.log(np.pi / half)
    w /= w.sum()
    mean = w @ np.array(means)
    offsets = np.array(means) - mean
    covariance = np.tensordot(w, covariances, 1) + offsets.T @ (w[:, None] * offsets.conj())
    return mean, covariance, offsets.T @ (w[:, None] * offsets), density


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("sigma", [0.05, 0.7, 20.0])
def test_a_mixture_denoises_and_differentiates_by_the_textbook(complex_, sigma):
    prior, draw = mixture(complex_)
    x, v = draw(4, 2, 3) * (1 + sigma), draw(4, 2, 3)
    found, slopes, logs = prior.denoise(x, sigma), prior.jacobian_product(x, sigma, v), prior.log_density(x, sigma)
    for i in range(4):
        mean, covariance, relation, density = moments(prior, x[i].ravel(), sigma)
        np.testing.assert_allclose(found[i].ravel(), mean, rtol=1e-9, atol=1e-10)
        slope = covariance @ v[i].ravel() + complex_ * relation @ v[i].ravel().conj()
        np.testing.assert_allclose(slopes[i].ravel(), slope / sigma**2, rtol=1e-7, atol=1e-9)
        assert logs[i] == pytest.approx(density)
    np.testing.assert_allclose(prior.denoise(x[0], sigma), found[0], rtol=1e-12)
    h = 1e-6 * sigma
    np.testing.assert_allclose(slopes, (prior.denoise(x + h * v, sigma) - found) / h, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("m, rank", [(4, 6), (9, 6), (9, 2)])
def test_the_posterior_of_a_mixture_is_that_of_bayes(complex_, m, rank):
    prior, draw = mixture(complex_, rank=rank)
    A, b, s = draw(m, 6), 3 * draw(m), 3.0
    post = prior.posterior(A, b, noise_level=s)
    half, logs = 1.0 if complex_ else 0.5, []
    for w, mean, C, found, spread in zip(
        prior.weights,
        prior.means.reshape(3, 6),
        prior.covariances,
        post.means.reshape(3, 6),
        post.covariances,
        strict=True,
    ):
        S = A @ C @ A.conj().T + s**2 * np.eye(m)
        r = b - A @ mean
        logs.append(np.log(w) - half * (np.vdot(r, np.linalg.solve(S, r)).real + np.linalg.slogdet(S)[1]))
        G = C @ A.conj().T @ np.linalg.inv(S)
        np.testing.assert_allclose(found, mean + G @ r, rtol=1e-8)
        np.testing.assert_allclose(spread, C - G @ A @ C, atol=1e-10)
    w = np.exp(np.array(logs) - max(logs))
    np.testing.assert_allclose(post.weights, w / w.sum(), rtol=1e-8)
    assert post.mean.shape == (2, 3)
    np.testing.assert_allclose(post.std.ravel() ** 2, np.diagonal(post.covariance).real)


def test_complex_data_of_a_real_image_are_twice_as_many_real_ones():
    prior, draw = mixture()
    A, b = draw(4, 6) + 1j * draw(4, 6), draw(4) + 1j * draw(4)
    one = prior.posterior(A, b, noise_level=0.3)
    both = [np.concatenate([z.real, z.imag]) for z in (A, b)]
    other = prior.posterior(*both, noise_level=0.3 / np.sqrt(2))
    np.testing.assert_allclose(one.mean, other.mean)
    np.testing.assert_allclose(one.covariance, other.covariance)


def test_variances_of_all_kinds_and_tiny_noise():
    x, v = np.array([1.0, 2.0]), np.array([0.5, 3.0])
    full = inverse.Gaussian([0.0, 1.0], np.diag(v))
    np.testing.assert_allclose(inverse.Gaussian([0.0, 1.0], v).denoise(x, 0.4), full.denoise(x, 0.4))
    one = inverse.Gaussian([0.0, 1.0], 2.0)
    np.testing.assert_allclose(one.covariance, 2 * np.eye(2))
    post = full.posterior(np.array([[1.0, 1.0]]), [3.0], noise_level=1e-9)
    assert post.mean.sum() == pytest.approx(3.0) and np.linalg.eigvalsh(post.covariance)[0] >= -1e-15


def test_samples_have_the_moments_and_do_not_depend_on_their_number():
    prior, _ = mixture(True)
    S = prior.sample(20000, rng=1)
    np.testing.assert_allclose(S[:7], prior.sample(7, rng=1), rtol=1e-12)
    flat = S.reshape(len(S), -1) - prior.mean.ravel()
    assert np.abs(flat.mean(axis=0)).max() < 0.05
    assert np.abs(flat.T @ flat.conj() / len(S) - prior.covariance).max() < 0.2 * np.abs(prior.covariance).max()


@pytest.mark.parametrize("complex_", [False, True])
def test_a_fit_finds_the_mixture_it_was_drawn_from(complex_):
    centre = np.array([[4.0, 0.0], [-4.0, 1.0]]) * (1j if complex_ else 1)
    C = np.array([[1.0, 0.6j], [-0.6j, 1.0]]) if complex_ else np.array([[1.0, 0.6], [0.6, 1.0]])
    images = inverse.GaussianMixture([0.25, 0.75], centre, [C, 0.5 * np.eye(2)]).sample(4000, rng=0)
    found = inverse.GaussianMixture.fit(images, 2, rng=0, regularization=1e-6)
    order = np.argsort(found.weights)
    np.testing.assert_allclose(found.weights[order], [0.25, 0.75], atol=0.02)
    np.testing.assert_allclose(found.means[order], centre, atol=0.1)
    np.testing.assert_allclose(found.covariances[order], [C, 0.5 * np.eye(2)], atol=0.12)


def test_a_fit_survives_equal_images_and_empty_components():
    prior = inverse.GaussianMixture.fit(np.ones((5, 2, 2)), 4, rng=0)
    assert np.isfinite(prior.covariances).all() and np.isfinite(prior.denoise(np.ones((2, 2)), 0.1)).all()


def test_a_callback_is_told_of_every_iteration_of_a_fit_and_may_end_it():
    images, growths, ends, mixtures = mixture()[0].sample(300, rng=0), [], [], []

    class Watch:
        def on_chunk(self, iteration, growth):
            assert iteration == len(growths) + 1
            growths.append(growth)

        def on_end(self, prior):
            ends.append(prior)

    def stop(prior):
        mixtures.append(prior)
        if len(mixtures) == 2:
            raise StopIteration

    whole = inverse.GaussianMixture.fit(images, 3, rng=0, callback=Watch())
    assert ends == [whole] and growths[0] == np.inf and growths[-1] < 1e-3 <= min(growths[:-1])
    assert len(growths) > 3
    cut = inverse.GaussianMixture.fit(images, 3, rng=0, callback=stop)
    same = inverse.GaussianMixture.fit(images, 3, rng=0, maxiter=2)
    for name in ("weights", "means", "covariances"):
        assert np.array_equal(getattr(cut, name), getattr(same, name))
        assert np.array_equal(getattr(cut, name), getattr(mixtures[-1], name))
    watch = solvers.maxtime(1e-9, solvers.progress(file=io.StringIO()))
    assert np.array_equal(
        inverse.GaussianMixture.fit(images, 3, rng=0, callback=watch).means,
        inverse.GaussianMixture.fit(images, 3, rng=0, maxiter=1).means,
    )


def test_smoothness_is_the_gaussian_of_its_precision():
    rng = np.random.default_rng(0)
    L, mean, A, b = (
        rng.standard_normal((7, 6)),
        rng.standard_normal((2, 3)),
        rng.standard_normal((4, 6)),
        np.arange(4.0),
    )
    prior, same = inverse.Smoothness(L, mean), inverse.Gaussian(mean, np.linalg.inv(L.T @ L))
    x = rng.standard_normal((3, 2, 3))
    np.testing.assert_allclose(prior.denoise(x, 0.5), same.denoise(x, 0.5), rtol=1e-6)
    one, other = (p.posterior(A, b, noise_level=0.2) for p in (prior, same))
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-7)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-9)


def test_single_precision_stays():
    prior, _ = mixture()
    assert prior.denoise(np.ones((2, 3), np.float32), 0.5).dtype == np.float32


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda: inverse.GaussianMixture([1], [[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]]),
            "positive semidefinite, got an",
        ),
        (lambda: inverse.GaussianMixture([1], [[0.0, 0.0]], [[[1.0, 2.0], [0.0, 1.0]]]), "must be Hermitian"),
        (lambda: inverse.GaussianMixture([-1, 2], [[0.0], [1.0]], [1, 1]), r"`weights` must be real and >= 0"),
        (lambda: inverse.GaussianMixture([1], [[0.0]], [-1.0]), "variances >= 0"),
        (lambda: inverse.Gaussian([0.0], 1.0).denoise([1.0, 2.0], 1.0), r"`x` must have shape \(1,\) or \(k, 1,\)"),
        (lambda: inverse.Gaussian([0.0], 1.0).denoise([1.0], 0.0), "`sigma` must be > 0"),
        (lambda: inverse.GaussianMixture.fit(np.ones((3, 2)), 4), "at most the number of images, 3, got 4"),
        (lambda: inverse.Gaussian([0.0], 1.0).posterior(np.eye(1), [1.0], noise_level=-1), "`noise_level` must be > 0"),
        (lambda: inverse.Gaussian([0.0], 1.0).posterior(np.eye(2), [1, 2], noise_level=1), "`prior` must be of images"),
        (
            lambda: inverse.Smoothness([[1.0, -1.0]] @ np.eye(2)).posterior(
                [[1.0, -1]] @ np.eye(2), [0.0], noise_level=1
            ),
            "null space",
        ),
    ],
)
def test_a_bad_prior_is_one_sentence(call, words):
    with pytest.raises(InvalidInput, match=words):
        call()


def test_a_fit_by_way_of_a_gaussian_is_a_mixture():
    fitted = inverse.Gaussian.fit(np.random.default_rng(0).random((40, 3)), 1, rng=0)
    assert type(fitted) is inverse.GaussianMixture and fitted.std.shape == (3,)
