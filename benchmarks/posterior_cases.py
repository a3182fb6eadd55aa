"""Problems whose posterior is known: mixtures under random measurements, two modes, digits, smooth fields.

Each case carries its operator, its data, the noise level and the prior; ``truth`` is the exact posterior, ``image``
what the data were made of. They are the same on every machine.
"""

import importlib.util
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from .. import inverse

__all__ = ["PosteriorCase", "bimodal", "digits", "digits_case", "errors", "glyphs", "mixture_suite", "smooth_field"]


@dataclass(frozen=True)
class PosteriorCase:
    """b = A x + e with a prior for x."""

    name: str
    A: object
    b: np.ndarray
    noise_level: float
    prior: object
    image: np.ndarray

    @cached_property
    def truth(self):
        """The exact posterior."""
        return self.prior.posterior(self.A, self.b, noise_level=self.noise_level)


def mixture_suite(seeds=range(10, 14)):
    """n = 32, 12 Gaussian measurements, four components, noise 0.05: a case for each seed.

    The components have standard normal means, equal weights, and covariances of six random directions (factors with
    entries of variance 0.25 / 6) plus 0.01 on the diagonal; the measurements have rows of about unit norm. The image is
    a draw from the prior, and the posterior sits in its mode.
    """
    for seed in seeds:
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((12, 32)) / np.sqrt(32)
        means = rng.standard_normal((4, 32))
        factors = rng.standard_normal((4, 32, 6)) * np.sqrt(0.25 / 6)
        prior = inverse.GaussianMixture(np.ones(4), means, factors @ factors.swapaxes(1, 2) + 0.01 * np.eye(32))
        image = prior.sample(1, rng=seed + 100)[0]
        yield PosteriorCase(f"mixture-{seed}", A, A @ image + 0.05 * rng.standard_normal(12), 0.05, prior, image)


def bimodal(seed=0):
    """Two components that differ mostly in the first entry, which is not measured, and by 0.1 in the others.

    The prior has weights 0.3 and 0.7; what the data say of the small differences makes them 0.46 and 0.54.
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((4, 8)) / np.sqrt(8)
    A[:, 0] = 0
    means = 0.1 * rng.standard_normal((2, 8))
    means[:, 0] = -1, 1
    prior = inverse.GaussianMixture([0.3, 0.7], means, [0.04, 0.04])
    image = means[0] + 0.2 * rng.standard_normal(8)
    return PosteriorCase("bimodal", A, A @ image + 0.05 * rng.standard_normal(4), 0.05, prior, image)


def digits():
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels in [0, 1]; as many drawn ones where it is absent."""
    if importlib.util.find_spec("sklearn") is None:
        return glyphs(1797)
    from sklearn.datasets import load_digits

    return load_digits().images / 16


_SEGMENTS = {  # of a seven-segment display: two ends (row, column) in units of half its height
    "a": ((0, 0), (0, 1)),
    "b": ((0, 1), (1, 1)),
    "c": ((1, 1), (2, 1)),
    "d": ((2, 0), (2, 1)),
    "e": ((1, 0), (2, 0)),
    "f": ((0, 0), (1, 0)),
    "g": ((1, 0), (1, 1)),
}
_FIGURES = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def glyphs(count, size=8):
    """Figures of a seven-segment display, drawn with a soft pen, each slanted, moved and sized at random."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size] / (size - 1)
    out = np.empty((count, size, size))
    for image, figure in zip(out, rng.permutation(np.arange(count) % 10), strict=True):
        height, width, slant = rng.uniform(0.34, 0.44), rng.uniform(0.35, 0.55), rng.normal(0, 0.08)
        top, left, pen = rng.uniform(0.06, 0.16), rng.uniform(0.2, 0.35), rng.uniform(0.06, 0.09)
        distance = np.full((size, size), np.inf)
        for segment in _FIGURES[figure]:
            ends = [np.array([top + height * r, left + width * c + slant * (1 - r)]) for r, c in _SEGMENTS[segment]]
            along = ends[1] - ends[0]
            t = ((rows - ends[0][0]) * along[0] + (columns - ends[0][1]) * along[1]) / (along @ along)
            t = np.clip(t, 0, 1)
            gap = np.hypot(rows - ends[0][0] - t * along[0], columns - ends[0][1] - t * along[1])
            distance = np.minimum(distance, gap)
        image[...] = np.exp(-((distance / pen) ** 2) / 2)
    return out


def digits_case(n_components=20, angles=3, noise_level=0.05, n_train=1500, n_test=40):
    """Tomography of held-out digits from few views, under a mixture fitted to 1,500 others; b is a stack.

    ``truth`` does not exist for a stack: take ``prior.posterior`` of each data set.
    """
    images = digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    prior = inverse.GaussianMixture.fit(images[order[:n_train]], n_components, rng=0)
    held_out = images[order[n_train : n_train + n_test]]
    A = inverse.ParallelBeam(images.shape[1:], angles=angles)
    clean = A @ held_out
    return PosteriorCase(
        "digits", A, clean + noise_level * rng.standard_normal(clean.shape), noise_level, prior, held_out
    )


def smooth_field(size=24, angles=12, noise_level=0.3):
    """A field that is smooth up to a prior of differences, seen by parallel beams."""
    rng = np.random.default_rng(0)
    shape = (size, size)
    A = inverse.ParallelBeam(shape, angles=angles)
    steps = sparse.diags_array([-np.ones(size - 1), np.ones(size - 1)], offsets=[0, 1], shape=(size - 1, size))
    unit = sparse.eye_array(size)
    L = sparse.vstack(
        [3 * sparse.kron(steps, unit), 3 * sparse.kron(unit, steps), 0.3 * sparse.eye_array(size**2)]
    ).tocsr()
    prior = inverse.Smoothness(L, np.zeros(shape))
    image = np.linalg.lstsq(L.toarray(), rng.standard_normal(L.shape[0]))[0].reshape(shape)
    clean = A @ image
    return PosteriorCase("smooth", A, clean + noise_level * rng.standard_normal(clean.shape), noise_level, prior, image)


def errors(case, samples):
    """The error of the mean relative to the norm of the true mean, and the ratio of the traces of the covariances."""
    mean, truth = samples.mean(axis=0), case.truth
    spread = np.sum(np.var(samples, axis=0, ddof=1)) / np.sum(truth.std**2)
    return float(np.linalg.norm(mean - truth.mean) / np.linalg.norm(truth.mean)), float(spread)
