"""Inverse problems with a known truth: tomography, magnetic resonance, posteriors, sparse and low-rank signals.

The data of the tomography do not come from the operator that inverts them: they are exact integrals of ellipses over
the width of a detector, and the image that a reconstruction is compared with holds their means over the pixels. All
other data are products with the operator, and noise.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from . import mri, posterior_cases, sparse_cases
from ._registry import Registry
from .phantoms import shepp_logan, shepp_logan_integrals

__all__ = ["INVERSES", "InverseEntry", "InverseProblem", "exact_sinogram"]

INVERSES = Registry("inverse problem")

# Lines over which a detector's exact integrals are averaged, and points of a pixel's side over which the image is.
_LINES, _POINTS = 8, 8
#: Samples of each posterior of the suite, and draws of the Kronecker protocol.
SAMPLES, DRAWS = 200, 20


@dataclass(frozen=True)
class InverseProblem:
    """One problem: what is known, and ``assess(answer)``, which says how good an answer is and a remark on it.

    ``unit`` names what ``assess`` returns: "error" (relative, in the 2-norm), "dB" (the peak signal-to-noise ratio),
    "MSE" or "NMSE" (the mean squared error; relative), "mean" (the error of the posterior's mean, relative), "weight"
    (of a mode). Smaller is better, but for dB.
    """

    name: str
    kind: str
    unit: str
    baseline: str
    assess: Callable
    A: object = None
    b: np.ndarray | None = None
    noise_level: float | None = None
    prior: object = None
    cases: tuple = ()
    data: dict = field(default_factory=dict)

    @property
    def n(self):
        """The number of unknowns, of one case where there are several; None where it is not known."""
        if self.A is not None:
            return int(self.A.shape[1])
        if "M" in self.data:
            return int(self.data["M"].size)
        unknown = next((case.image if hasattr(case, "image") else case.x for case in self.cases), None)
        return None if unknown is None else int(unknown.size)

    @property
    def noise_norm(self):
        """The norm of the noise of one data set."""
        return self.noise_level * math.sqrt(math.prod(self.A.data_shape))


@dataclass(frozen=True)
class InverseEntry:
    """A registered problem: ``make(small)`` builds it, or one like it that is solved in no time."""

    name: str
    summary: str
    build: Callable

    def make(self, small=False):
        return replace(self.build(small), name=self.name)


def _error(truth):
    return lambda x: (float(np.linalg.norm(x - truth) / np.linalg.norm(truth)), "")


# ---- images ----------------------------------------------------------------------------------------


def exact_sinogram(A, n, axis=(0.0, 0.0), centre=None):
    """Integrals of the head of n x n pixels over the widths of A's detectors.

    ``axis`` is where the axis of rotation lies, (x, y) in pixels, and ``centre`` which detector looks at it.
    """
    theta, count = A.angles[:, None], A.data_shape[1] * _LINES
    centre = (A.data_shape[1] - 1) / 2 if centre is None else centre
    s = (np.arange(count) + 0.5) / _LINES - 0.5 - centre
    s = s + axis[0] * np.cos(theta) + axis[1] * np.sin(theta)
    return (shepp_logan_integrals(theta, 2 * s / n) * n / 2).reshape(*A.data_shape, _LINES).mean(axis=2)


def _tomography(noise, unit=1.0, kind="ct"):
    def build(small):
        from solvers import inverse

        n, views = (32, 20) if small else (128, 60)
        A = inverse.ParallelBeam((n, n), angles=views)
        image = shepp_logan(n * _POINTS).reshape(n, _POINTS, n, _POINTS).mean(axis=(1, 3))
        clean = exact_sinogram(A, n)
        image, clean = unit * image, unit * clean
        level = noise * np.linalg.norm(clean) / math.sqrt(clean.size)
        e = level * np.random.default_rng(0).standard_normal(clean.shape)
        # scikit-image turns even images about a pixel; it gets what would be measured about that one.
        about_a_pixel = unit * exact_sinogram(A, n, (0.5, -0.5), A.data_shape[1] // 2) + e
        given = {"image": image, "about_a_pixel": about_a_pixel}
        return InverseProblem("", kind, "error", "scipy:lsqr", _error(image), A, clean + e, level, data=given)

    return build


def _magnetic_resonance(small):
    phantom = mri.phantom(32 if small else 128)
    assess = lambda x: (mri.psnr(x, phantom.image), "")
    given = {"image": phantom.image}
    return InverseProblem(
        "", "mri", "dB", "cgls+discrepancy", assess, phantom.A, phantom.b, phantom.noise_level, data=given
    )


def _digits(small):
    case = posterior_cases.digits_case(**({"n_components": 3, "n_train": 60, "n_test": 3} if small else {}))
    assess = lambda x: (float(np.mean((x - case.image) ** 2)), "")
    known = {"A": case.A, "b": case.b, "noise_level": case.noise_level, "prior": case.prior}
    return InverseProblem("", "digits", "MSE", "exact", assess, **known)


# ---- posteriors: an answer is a list with the samples of each case ------------------------------------


def _of_the_mean(cases):
    def assess(found):
        each = [posterior_cases.errors(case, samples) for case, samples in zip(cases, found, strict=True)]
        errors, spreads = np.mean(each, axis=0)
        return float(errors), f"variance x {spreads:.2f}"

    return assess


def _posteriors(kind, build_cases, assess=_of_the_mean, unit="mean", n_samples=SAMPLES, baseline="exact"):
    def build(small):
        cases = tuple(build_cases())[: 1 if small else None]
        given = {"n_samples": 10 if small else n_samples}
        return InverseProblem("", kind, unit, baseline, assess(cases), cases=cases, data=given)

    return build


def _weight_of_a_mode(cases):
    """How far the share of samples in the second mode is off its weight; the first entry tells the modes."""
    weight = cases[0].truth.weights[1]

    def assess(found):
        share = float(np.mean(found[0][:, 0] > 0))
        return abs(share - weight), f"{share:.3f} for {weight:.3f}"

    return assess


# ---- sparse and low rank ------------------------------------------------------------------------------


def _kronecker(decibels):
    def build(small):
        draws = range(2 if small else DRAWS)
        cases = tuple(sparse_cases.kronecker(np.random.default_rng(seed), decibels=decibels) for seed in draws)

        def assess(found):
            errors = [_error(case.x)(x)[0] for case, x in zip(cases, found, strict=True)]
            return float(np.median(errors)) ** 2, ""

        return InverseProblem("", "kronecker", "NMSE", "krosbl", assess, cases=cases)

    return build


def _estimate(small):
    """The posterior at given variances, those after three iterations."""
    from solvers import inverse

    sizes = {"sizes": (5, 5, 5), "measured": (3, 4, 5), "count": 2} if small else {}
    case = sparse_cases.kronecker(np.random.default_rng(0), **sizes)
    given = {"noise_level": case.noise_level, "prune": 0.0, "maxiter": 3, "tol": 0.0}
    given = {"variances": inverse.krosbl(case.dictionaries, case.b, **given).variances}
    right = sparse_cases.dense_posterior(case.dictionaries, given["variances"], case.b, case.noise_level)

    def assess(found):
        errors = [_error(dense)(np.ravel(each))[0] for dense, each in zip(right, found, strict=True)]
        return max(errors), "of mean and std"

    return InverseProblem("", "e-step", "error", "numpy:e-step", assess, cases=(case,), data=given)


def _completion(rank):
    def build(small):
        M, mask = sparse_cases.completion(60 if small else 1000, 3 if small else rank)
        given = {"M": M, "mask": mask, "rank": 3 if small else rank}
        return InverseProblem("", "completion", "error", "als-exact", _error(M), data=given)

    return build


def _outliers(small):
    A, b, X = sparse_cases.outliers(*((10, 1) if small else ()))
    given = {"shape": X.shape, "rank": 1 if small else 3}
    return InverseProblem("", "outliers", "error", "subgradient-plain", _error(X), A, b, data=given)


for _percent in ("0.5", "2", "5"):
    INVERSES.add(
        InverseEntry(
            f"ct-{_percent}",
            f"Shepp and Logan's head, 128 x 128, 60 parallel views, exact integrals, {_percent} % noise",
            _tomography(float(_percent) / 100),
        )
    )
for _name, _summary, _build in (
    (
        "ct-2-tiny",
        "ct-2 with data and noise in a unit that makes them 1e-9 as large",
        _tomography(0.02, 1e-9, "scaled"),
    ),
    ("mri", "the head with a phase, 128 x 128, six coils, a quarter of the columns, noise 0.01", _magnetic_resonance),
    ("digits", "40 digits of 8 x 8 pixels from three views, a mixture fitted to 1,500 others as the prior", _digits),
    (
        "mixtures",
        "12 measurements of 32 unknowns, four components: four posteriors, 200 samples each",
        _posteriors("posterior", posterior_cases.mixture_suite),
    ),
    (
        "bimodal",
        "a posterior with two modes: their weights from 2,000 samples",
        _posteriors("posterior", lambda: [posterior_cases.bimodal()], _weight_of_a_mode, "weight", 2000),
    ),
    (
        "smooth-field",
        "a prior of differences, 24 x 24 pixels, 12 views: 500 samples of its Gaussian posterior",
        _posteriors("field", lambda: [posterior_cases.smooth_field()], n_samples=500, baseline="gaussian"),
    ),
    ("kronecker-15", "He and Joseph's protocol: 15^3 unknowns, 27 not zero; 20 draws at 15 dB", _kronecker(15)),
    ("kronecker-25", "the same at 25 dB", _kronecker(25)),
    ("kronecker-e-step", "one posterior of it, mean and deviations of 15^3 unknowns at given variances", _estimate),
    ("completion-40", "1000 x 1000 entries of rank 40, condition 10, a quarter of them known", _completion(40)),
    ("completion-10", "the same of rank 10, 6 % of the entries known", _completion(10)),
    ("outliers", "40 x 40 entries of rank 3 from 1,200 measurements, a fifth of them wrong", _outliers),
):
    INVERSES.add(InverseEntry(_name, _summary, _build))
