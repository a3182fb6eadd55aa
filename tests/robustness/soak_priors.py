"""Random calls of the operators, priors, denoisers and structured recoveries of ``solvers.inverse``, with judges."""

import math
from functools import partial

import numpy as np
from scipy import sparse
from soak import Call
from spoilt import disguised, pick

from solvers import Status, inverse

__all__ = ["PRIORS"]


def judge_adjoint(A):
    """<A x, y> = <x, A^H y>."""
    assert inverse.check_adjoint(A, rng=0) <= 1e-3


def _operators(rng):
    shape = pick(rng, (5, 4), (1, 1), (7, 7), (6, 3))
    kernel = disguised(rng.standard_normal(pick(rng, (3, 3), (1, 1), (2, 4))), rng)
    which = int(rng.integers(7))
    calls = (
        (inverse.Blur, dict(kernel=kernel, image_shape=shape, boundary=pick(rng, "periodic", "zero", "reflect"))),
        (inverse.Downsampling, dict(image_shape=(6, 4), factor=pick(rng, 2, (3, 4), 1))),
        (inverse.Inpainting, dict(mask=rng.random(shape) < 0.5)),
        (
            inverse.Gradient,
            dict(image_shape=shape, boundary=pick(rng, "neumann", "periodic"), axes=pick(rng, None, (0,), (1,))),
        ),
        (inverse.MRI, dict(coils=pick(rng, None, np.ones((2, *shape)) * 1j), mask=rng.random(shape) < 0.6)),
        (
            inverse.ParallelBeam,
            dict(
                image_shape=shape,
                angles=pick(rng, 4, rng.uniform(0, 3, 5)),
                pixel_size=pick(rng, 1.0, 0.1),
                offset=0.3,
                dtype=pick(rng, np.float32, np.float64),
            ),
        ),
        (
            inverse.FanBeam,
            dict(
                image_shape=shape,
                angles=pick(rng, 4, rng.uniform(0, 6, 5)),
                source_distance=pick(rng, 30.0, 2.0),
                detector_distance=pick(rng, 0.0, 10.0),
                detector_spacing=pick(rng, None, 0.5),
            ),
        ),
    )
    function, arguments = calls[which]
    return Call(function, arguments, judge_adjoint)


def product(A, x):
    """A product in the form of an operator."""
    return A @ x


def _product(rng):
    shape = (5, 4)
    A = pick(
        rng,
        inverse.ParallelBeam(shape, 4),
        inverse.Blur(np.ones((3, 3)), shape),
        inverse.Gradient(shape),
        inverse.MRI(None, np.eye(5, 4, dtype=bool)),
        inverse.Inpainting(np.eye(5, 4, dtype=bool)),
    )
    A = pick(rng, A, A.H, 2.0 * A, -A, A.H @ A)
    size = math.prod(A.image_shape)
    x = rng.standard_normal(pick(rng, A.image_shape, (3, *A.image_shape), (size,), (size, 2)))
    x = x.astype(pick(rng, "d", "f", "D"))

    def judge(y):
        if x.dtype.kind != "c":
            assert np.allclose(A @ (2 * x), 2 * y, rtol=1e-4, atol=1e-4)

    return Call(product, {"A": A, "x": disguised(x, rng)}, judge, fixed=("A",), names=("X", "v", "b"))


def _fbp(rng):
    A = inverse.ParallelBeam((8, 8), pick(rng, 6, 11))
    b = A @ rng.random((8, 8))
    filters = ("ramp", "shepp-logan", "cosine", "hamming", "hann")
    return Call(inverse.fbp, {"A": A, "b": disguised(b, rng), "filter": pick(rng, *filters)})


def _adjoint(rng):
    A = rng.standard_normal((4, 6))
    return Call(
        inverse.check_adjoint,
        {"A": pick(rng, A, sparse.csr_array(A)), "rng": 0, "n_trials": pick(rng, 1, 3), "tol": None},
    )


def _krosbl(rng):
    d = pick(rng, 1, 2)
    As = [rng.standard_normal((6, 9)) for _ in range(d)]
    x = np.zeros((9,) * d)
    x[(slice(0, 2),) * d] = rng.standard_normal((2,) * d)
    K = As[0] if d == 1 else np.kron(*As)
    b = (K @ x.ravel()).reshape((6,) * d) + 1e-3 * rng.standard_normal((6,) * d)

    def judge(result):
        found = np.linalg.norm(b.ravel() - K @ result.x.ravel())
        assert abs(found - result.residual) <= 1e-6 * (found + np.linalg.norm(b))
        assert (result.std >= 0).all()
        if result.status is Status.CONVERGED:
            assert result.residuals[-1] <= 1e-3

    arguments = dict(A=As, b=b, noise_level=pick(rng, 1e-3, 0.1, 1e-9), method=pick(rng, "svd", "am"), tol=1e-3)
    return Call(inverse.krosbl, arguments | {"maxiter": pick(rng, 1, 60)}, judge)


def _complete(rng):
    n, m, r = pick(rng, 8, 15), pick(rng, 6, 12), pick(rng, 1, 2)
    X = rng.standard_normal((n, r)) @ rng.standard_normal((r, m))
    scale = pick(rng, 1.0, 1.0, 1e-100, 1e100)
    X = scale * X
    mask = rng.random((n, m)) < pick(rng, 0.3, 0.7, 1.0)
    mask[0, 0] = True
    noise = pick(rng, 0.0, 0.01) * scale
    M = np.where(mask, X + noise * rng.standard_normal((n, m)), pick(rng, 0.0, np.nan))

    def judge(result):
        found = np.linalg.norm((M - np.asarray(result.x))[mask])
        size = np.linalg.norm(M[mask])
        assert abs(found - result.residual) <= 1e-3 * found + 1e-9 * size, (found, result.residual)
        if result.status is Status.CONVERGED and result.stop_reason == "tolerance" and not apart:
            assert found <= 1.01e-6 * size + 1e-12 * size

    arguments = dict(M=M, rank=pick(rng, r, 1, 3), mask=mask, method=pick(rng, "auto", "exact", "inexact"), tol=1e-6)
    apart = pick(rng, 0.0, 0.0, 0.2)
    arguments |= {"maxiter": pick(rng, 1, 40), "rng": 0, "ridge": pick(rng, 0.0, 0.1), "held_out": apart}
    if rng.random() < 0.3:
        arguments["M"], arguments["mask"] = sparse.csr_array(np.where(mask, M, 0)), None
        stored = arguments["M"].tocoo()
        mask = np.zeros_like(mask)
        mask[stored.row, stored.col] = True
    return Call(inverse.complete, arguments, judge)


def _recover(rng):
    n, m = 5, 4
    A = rng.standard_normal((pick(rng, 30, 60), n * m))
    x = np.outer(rng.standard_normal(n), rng.standard_normal(m))
    b = A @ x.ravel()
    wrong = rng.random(b.size) < pick(rng, 0.0, 0.1)
    b = np.where(wrong, 10 * rng.standard_normal(b.size), b)

    def judge(result):
        gaps = np.abs(b - A @ np.asarray(result.x).ravel())
        kept = np.sort(gaps)[: math.floor((1 - share) * b.size)].sum()
        if result.status is Status.CONVERGED and result.stop_reason == "tolerance":
            assert kept <= 1e-5 * np.abs(b).sum()

    share = pick(rng, 0.2, 0.0, 0.4)
    arguments = dict(A=pick(rng, A, sparse.csr_array(A)), b=b, shape=(n, m), rank=pick(rng, 1, 2), outliers=share)
    arguments |= {"method": pick(rng, "scaled", "plain"), "tol": 1e-6, "maxiter": pick(rng, 2, 100)}
    return Call(inverse.recover, arguments, judge)


def _mixture(rng):
    """A prior, or what one does."""
    image, K = pick(rng, (4,), (3, 2)), pick(rng, 1, 3)
    n = math.prod(image)
    G = rng.standard_normal((K, n, n))
    covariances = pick(rng, np.ones(K), rng.uniform(0.1, 2, (K, *image)), G @ G.swapaxes(1, 2))
    arguments = dict(weights=rng.random(K) + 0.1, means=rng.standard_normal((K, *image)), covariances=covariances)
    return Call(inverse.GaussianMixture, arguments, lambda prior: prior.sample(3, rng=0))


def asked(weights, means, covariances, what, x, sigma):
    """Denoised, or the density, or draws."""
    prior = inverse.GaussianMixture(weights, means, covariances)
    if what == "sample":
        return prior.sample(x, rng=sigma)
    return getattr(prior, what)(x, sigma)


def _asked(rng):
    what = pick(rng, "denoise", "log_density", "sample")
    arguments = dict(weights=np.ones(2), means=rng.standard_normal((2, 4)), covariances=np.ones(2), what=what)
    arguments |= (
        {"x": rng.standard_normal((3, 4)), "sigma": pick(rng, 0.1, 0.0, 1e3)}
        if what != "sample"
        else {"x": 3, "sigma": 0}
    )
    fixed = ("what", "weights", "means", "covariances")
    return Call(asked, arguments, fixed=fixed, names=("n_samples", "rng"))


def fitted(images, n_components, maxiter, rng):
    """A mixture of images."""
    return inverse.GaussianMixture.fit(images, n_components, rng=rng, maxiter=maxiter)


def _fitted(rng):
    arguments = dict(images=rng.standard_normal((12, 3)), n_components=pick(rng, 1, 2), maxiter=pick(rng, 1, 5), rng=0)
    return Call(fitted, arguments, names=("tol", "regularization"))


def denoised(x, sigma, make="tv", **options):
    """A denoiser made and called."""
    return getattr(inverse, make)(**options)(x, sigma)


def _tv(rng):
    x = rng.standard_normal(pick(rng, (2, 5, 4), (1, 7), (2, 3, 4, 2))) * pick(rng, 1.0, 1e-20, 1e20)
    arguments = dict(x=x, sigma=pick(rng, 0.1, 1.0, 0.0), weight=pick(rng, 1.0, 0.0, 1e3), power=pick(rng, 0, 1, 2))
    arguments |= {"tol": pick(rng, 1e-3, 1e-8), "maxiter": pick(rng, 1, 50), "make": "tv"}
    return Call(denoised, arguments, fixed=("make",), names=("image_shape", "denoiser"))


def _nlm(rng):
    x = rng.random((1, 9, 8))
    arguments = dict(
        x=x, sigma=0.1, make="nlm", strength=0.8, patch_size=3, patch_distance=2, fast=bool(rng.random() < 0.5)
    )
    return Call(denoised, arguments, fixed=("make",), names=("image_shape", "denoiser"))


def prior_sample(mean, covariance, n_samples, rng):
    """Draws of a Gaussian."""
    return inverse.Gaussian(mean, covariance).sample(n_samples, rng=rng)


prior_sample.covers = ("Gaussian",)


def _gaussian(rng):
    G = rng.standard_normal((4, 4))
    covariance = pick(rng, 1.0, rng.uniform(0.1, 2, 4), G @ G.T)
    return Call(
        prior_sample, dict(mean=rng.standard_normal(4), covariance=covariance, n_samples=pick(rng, 1, 3), rng=0)
    )


def _low_rank(rng):
    U, V = rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
    return Call(inverse.LowRank, {"U": U, "V": disguised(V, rng)}, lambda x: np.asarray(x))


def _smoothness(rng):
    L = pick(rng, inverse.Gradient((4, 3)), np.eye(12), sparse.eye_array(12))
    return Call(inverse.Smoothness, {"L": L, "mean": pick(rng, 0.0, np.zeros(12), 0j)}, partial(_penalised))


def _penalised(prior):
    assert prior is not None


PRIORS = (
    _operators,
    _operators,
    _product,
    _fbp,
    _adjoint,
    _krosbl,
    _complete,
    _complete,
    _recover,
    _mixture,
    _asked,
    _fitted,
    _tv,
    _nlm,
    _gaussian,
    _low_rank,
    _smoothness,
)
