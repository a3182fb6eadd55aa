"""Posterior samplers and their priors with arrays of the (emulated) device: the CPU's samples, which stay there."""

import numpy as np
import pytest

import solvers
from solvers import inverse

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((4, 6)), RNG.standard_normal((4, 2))
MIXTURE = inverse.GaussianMixture([1, 2], RNG.standard_normal((2, 6)), [np.eye(6), np.eye(6) + 0.5])
SMOOTH = inverse.Smoothness(np.concatenate([np.eye(6), np.diff(np.eye(6), axis=0)]))
CASES = [("dds", MIXTURE), ("mmps", MIXTURE), ("exact", MIXTURE), ("exact", SMOOTH), ("gaussian", SMOOTH)]
CASES += [("gaussian", inverse.Gaussian(np.ones(6), np.eye(6) + 0.5)), ("mmps", SMOOTH)]


@pytest.mark.parametrize(
    "method, prior", CASES, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_samples_are_those_of_the_cpu(emulated, method, prior):
    options = dict(prior=prior, noise_level=0.3, method=method, n_samples=3, n_steps=4, rng=0)
    host, device = inverse.sample(A, B, **options), inverse.sample(emulated.asarray(A), emulated.asarray(B), **options)
    assert device.backend == "gpu" and isinstance(device.samples, emulated.ndarray)
    np.testing.assert_allclose(device.samples.get(), host.samples, rtol=1e-7)
    np.testing.assert_allclose(device.std.get(), host.std, rtol=1e-7)
    np.testing.assert_allclose(device.residuals, host.residuals, rtol=1e-7)
    with solvers.backend("gpu"):
        back = inverse.sample(A, B, **options)
    assert isinstance(back.samples, np.ndarray) and back.backend == "gpu"


def test_a_denoiser_gets_arrays_of_the_device(emulated):
    kinds = set()

    def denoiser(x, sigma):
        kinds.add(type(x))
        return x / (1 + sigma**2)

    options = dict(noise_level=0.3, method="mmps", n_samples=2, n_steps=3, rng=0)
    device = inverse.sample(emulated.asarray(A), emulated.asarray(B[:, 0]), denoiser=denoiser, **options)
    assert kinds == {emulated.ndarray}
    host = inverse.sample(A, B[:, 0], denoiser=denoiser, **options)
    np.testing.assert_allclose(device.x.get(), host.x, rtol=1e-6)


def test_priors_denoise_on_the_device(emulated):
    x = RNG.standard_normal((3, 6))
    for prior in (MIXTURE, SMOOTH):
        found = prior.denoise(emulated.asarray(x), 0.5)
        assert isinstance(found, emulated.ndarray)
        np.testing.assert_allclose(found.get(), prior.denoise(x, 0.5), rtol=1e-9)
