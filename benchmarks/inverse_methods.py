"""Who solves inverse problems: ours here, the rivals in ``inverse_rivals``.

A method gets an ``InverseProblem`` of one of its kinds and returns an ``Answer``. Methods whose names begin with "best"
are told the truth: they say what there was to be had, and the others are measured by them.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry
from .sparse_cases import dense_posterior

__all__ = ["INVERTERS", "Answer", "Inverter", "select"]

INVERTERS = Registry("inverse method")

# Steps, and multiples of the weight of cross-validation, among which the best for the truth are looked for.
_STEPS, _TIMES = 60, np.geomspace(0.01, 100.0, 17)


@dataclass
class Answer:
    """``x`` is what the problem assesses; ``products`` with A and its adjoint of one image; ``calls`` of a denoiser."""

    x: object
    iterations: int | None = None
    products: int | None = None
    calls: int | None = None
    status: str = "done"
    seconds: float | None = None


@dataclass(frozen=True)
class Inverter:
    """A registered method; ``best``: the one that is told the truth and that it is to be compared with."""

    name: str
    summary: str
    kinds: tuple
    solve: Callable
    best: str = ""
    package: str = ""

    @property
    def ours(self):
        """Whether an answer of it is one of this library's."""
        return ":" not in self.name and not self.name.startswith("best")


def select(text):
    """The methods of a list, which must be there, or all."""
    return list(INVERTERS.values()) if text is None else INVERTERS.asked_for(text)


def _answered(result):
    """From an InverseResult, of one data set or several: the most iterations, and every reason once."""
    reasons = (result.stop_reason,) if isinstance(result.stop_reason, str) else result.stop_reason
    return Answer(
        result.x,
        int(np.max(result.iterations)),
        int(np.sum(result.n_matvec)),
        result.n_denoiser,
        ", ".join(dict.fromkeys(reasons)),
    )


# ---- images ----------------------------------------------------------------------------------------


def _least_squares(needs_noise=False, **options):
    def solve(problem):
        from solvers import inverse

        noise = {"noise_norm": problem.noise_norm} if needs_noise else {}
        return _answered(inverse.least_squares(problem.A, problem.b, **noise, **options))

    return solve


def _best_step(problem):
    """The iterate of CGLS that the truth likes best."""
    from solvers import inverse

    found, better = [], max if problem.unit == "dB" else min
    keep = lambda x: found.append((problem.assess(x)[0], len(found) + 1, x))
    inverse.least_squares(problem.A, problem.b, method="cgls", rtol=0.0, maxiter=_STEPS, callback=keep)
    _, step, x = better(found, key=lambda each: each[0])
    data_sets = problem.b.size // math.prod(problem.A.data_shape)
    return Answer(x, step, (2 * step + 1) * data_sets, status="told the truth")


def _best_weight(problem):
    """The weight of Tikhonov's regularisation that the truth likes best, of a grid."""
    from solvers import inverse

    given = {"method": "hybrid", "maxiter": 40}
    middle = inverse.least_squares(problem.A, problem.b, regularization="gcv", **given).regularization
    weights = middle * _TIMES
    found = [inverse.least_squares(problem.A, problem.b, regularization=w, rtol=0.0, **given) for w in weights]
    best = min(found, key=lambda each: problem.assess(each.x)[0])
    return Answer(best.x, int(best.iterations), int(best.n_matvec), status="told the truth")


def _total_variation(problem):
    """With one rule for the weight: the noise level times the norm of what A makes of the pixel in the middle."""
    from solvers import inverse

    pixel = np.zeros(problem.A.image_shape)
    pixel[tuple(n // 2 for n in pixel.shape)] = 1.0
    weight = problem.noise_level * np.linalg.norm(problem.A @ pixel)
    return _answered(inverse.pnp(problem.A, problem.b, inverse.tv(weight)))


def _nlm_down(problem):
    from solvers import inverse

    given = {"method": "hqs", "noise_level": problem.noise_level, "maxiter": 60}
    return _answered(inverse.pnp(problem.A, problem.b, inverse.nlm(), **given))


def _dds_denoised(denoiser):
    """DDS with a classical denoiser, by levels from 0.5 to that of the noise, in its proximal form.

    The trust and the denoisers' strengths were chosen on this phantom.
    """

    def solve(problem):
        from solvers import inverse

        trust = lambda sigma: 0.3 * (sigma / problem.noise_level) ** 2
        given = {"schedule": np.geomspace(0.5, 0.01, 30), "n_steps": 30, "n_cg": 5, "rule": "dds", "gamma": trust}
        given["noise_level"] = problem.noise_level
        return _answered(inverse.sample(problem.A, problem.b, denoiser=denoiser(inverse), rng=0, **given))

    return solve


def _back_projection(problem):
    from solvers import inverse

    return Answer(inverse.fbp(problem.A, problem.b, filter="hann"), products=1)


_SCANS = ("ct", "scaled", "mri", "digits")
for _each in (
    Inverter("best:cgls", "the best iterate of CGLS, by the truth", _SCANS, _best_step),
    Inverter("best:tikhonov", "hybrid with the best weight, by the truth", ("ct",), _best_weight),
    Inverter(
        "cgls+discrepancy",
        "ours: CGLS, stopped by the discrepancy principle",
        _SCANS,
        _least_squares(True, method="cgls", stop="discrepancy"),
        "best:cgls",
    ),
    Inverter("cgls+gcv", "ours: CGLS, stopped by generalised cross-validation", _SCANS,
             _least_squares(method="cgls", stop="gcv"), "best:cgls"),
    Inverter("hybrid+gcv", "ours: hybrid, its weight by generalised cross-validation", _SCANS,
             _least_squares(regularization="gcv"), "best:tikhonov"),
    Inverter("hybrid+discrepancy", "ours: hybrid, its weight by the discrepancy principle", ("ct",),
             _least_squares(True, regularization="discrepancy"), "best:tikhonov"),
    Inverter("fbp", "ours: filtered back-projection with Hann's window", ("ct",), _back_projection, "best:cgls"),
    Inverter("pnp+tv", "ours: total variation by ADMM, its weight from the noise level", ("ct", "mri"),
             _total_variation, "best:cgls"),
    Inverter("pnp+nlm", "ours: non-local means by half-quadratic splitting, 60 steps", ("mri",), _nlm_down,
             "best:cgls", "skimage"),
    Inverter("dds+tv", "ours: DDS, M = 5, 30 levels, denoised by total variation", ("mri",),
             _dds_denoised(lambda inverse: inverse.tv(2.0, power=1)), "best:cgls"),
    Inverter("dds+nlm", "ours: DDS, M = 5, 30 levels, denoised by non-local means", ("mri",),
             _dds_denoised(lambda inverse: inverse.nlm(2.0)), "best:cgls", "skimage"),
):  # fmt: skip
    INVERTERS.add(_each)


# ---- posteriors --------------------------------------------------------------------------------------


def _sampler(method, **options):
    """Samples of each case, or the mean of sixteen for each of the digits."""

    def solve(problem):
        from solvers import inverse

        given = {"method": method, "rng": 0, **options}
        if problem.kind == "digits":
            own = {"prior": problem.prior, "noise_level": problem.noise_level, "n_samples": 16}
            return _answered(inverse.sample(problem.A, problem.b, **own, **given))
        found = [
            inverse.sample(
                c.A, c.b, prior=c.prior, noise_level=c.noise_level, n_samples=problem.data["n_samples"], **given
            )
            for c in problem.cases
        ]
        answer = _answered(found[0])
        answer.x, answer.products = [each.samples for each in found], int(np.sum([each.n_matvec for each in found]))
        return answer

    return solve


def _posterior_mean(problem):
    """The exact posterior mean of each digit."""
    given = {"noise_level": problem.noise_level}
    means = [problem.prior.posterior(problem.A, b, **given).mean for b in problem.b]
    return Answer(np.stack(means), status="closed form")


_MIXTURES = ("posterior", "digits")
for _each in (
    Inverter("best:mean", "the exact posterior mean", ("digits",), _posterior_mean),
    Inverter("exact", "ours: exact draws; of the digits the mean of 16", _MIXTURES, _sampler("exact"), "best:mean"),
    Inverter("mmps", "ours: moment matching, M = 5, 50 levels", _MIXTURES, _sampler("mmps"), "best:mean"),
    Inverter("dds", "ours: DDS, M = 5, 50 levels, noiseless, eta 0.5 as its authors mean it", ("posterior",),
             _sampler("dds", rule="dds", eta=0.5)),
    Inverter("dds+gamma", "ours: DDS, M = 5, 50 levels, gamma 100, eta 0.5 as in DDIM", ("digits",),
             _sampler("dds", gamma=100.0), "best:mean"),
    Inverter("gaussian", "ours: perturb and optimise, all samples in one block", ("field",), _sampler("gaussian")),
):  # fmt: skip
    INVERTERS.add(_each)


# ---- sparse and low rank -----------------------------------------------------------------------------


def _kronecker(method):
    def solve(problem):
        from solvers import inverse

        found = [inverse.krosbl(c.dictionaries, c.b, noise_level=c.noise_level, method=method) for c in problem.cases]
        mean = float(np.mean([each.iterations for each in found]))
        stopped = sum(not each.converged for each in found)
        status = f"{stopped} of {len(found)} at maxiter" if stopped else "converged"
        return Answer([each.x for each in found], round(mean), status=status)

    return solve


def _factored_estimate(problem):
    """One E-step, from the difference of 53 and 3 iterations: an M-step is in it, and the entry of data is not."""
    from solvers import inverse

    case = problem.cases[0]
    given = {"noise_level": case.noise_level, "prune": 0.0, "tol": 0.0}
    clock, found = [time.process_time()], []
    for most in (3, 53):
        found.append(inverse.krosbl(case.dictionaries, case.b, maxiter=most, **given))
        clock.append(time.process_time())
    three, more = np.diff(clock)
    seconds = (more - three) / max(found[1].iterations - found[0].iterations, 1)
    return Answer((found[0].x, found[0].std), 1, seconds=max(float(seconds), math.ulp(1.0)))


def _dense_estimate(problem):
    case = problem.cases[0]
    return Answer(dense_posterior(case.dictionaries, problem.data["variances"], case.b, case.noise_level), 1)


def _completion(method):
    def solve(problem):
        from solvers import inverse

        given = problem.data
        result = inverse.complete(given["M"], given["rank"], mask=given["mask"], method=method, rng=0)
        return Answer(np.asarray(result.x), result.iterations, status=result.stop_reason)

    return solve


def _recovery(method):
    def solve(problem):
        from solvers import inverse

        result = inverse.recover(problem.A, problem.b, **problem.data, method=method)
        return Answer(np.asarray(result.x), result.iterations, result.n_matvec, status=result.stop_reason)

    return solve


for _each in (
    Inverter("best:support", "least squares on the true support", ("kronecker",),
             lambda problem: Answer([case.known_support() for case in problem.cases], status="told the truth")),
    Inverter("krosbl", "ours: sparse Bayesian learning, M-steps by singular vectors", ("kronecker",),
             _kronecker("svd"), "best:support"),
    Inverter("krosbl-am", "ours: the same, M-steps by alternating minimisation", ("kronecker",), _kronecker("am"),
             "best:support"),
    Inverter("e-step", "ours: an iteration of it with nothing pruned, factored", ("e-step",), _factored_estimate),
    Inverter("numpy:e-step", "the posterior with its covariance as a matrix, in NumPy", ("e-step",), _dense_estimate),
    Inverter("als-exact", "ours: alternating least squares, rows by Cholesky", ("completion",), _completion("exact")),
    Inverter("als-inexact", "ours: two steps of conjugate gradients a row", ("completion",), _completion("inexact")),
    Inverter("subgradient-scaled", "ours: scaled subgradient", ("outliers",), _recovery("scaled")),
    Inverter("subgradient-plain", "ours: subgradient without the scaling", ("outliers",), _recovery("plain")),
):  # fmt: skip
    INVERTERS.add(_each)
