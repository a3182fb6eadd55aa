"""Samples of the posterior of an image: diffusion samplers, perturb and optimise, and exact draws.

Diffusion samplers walk from noise to an image; at each level a denoiser says what the image may be (Tweedie), a data
step brings that nearer to the data (DDS: ``_dds``; MMPS: ``_mmps``), and the DDIM update goes on to the next level.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter, module_of
from .._errors import InvalidInput, UnsupportedType
from .._loop import ended
from .._place import at
from .._result import Status
from .._types import Callback, Executor, MatrixLike, Seed
from ._blocks import can_be_shared
from ._dds import admm_tv_step, cg_step, own_step
from ._diffusion import Outcome
from ._measurement import Measurement
from ._mmps import moment_matching_step
from ._operator import stack_of
from ._priors import GaussianMixture
from ._result import InverseResult
from ._sample_blocks import Samples, Walk, perturb_and_optimise
from ._schedules import levels
from ._smoothness import Smoothness

__all__ = ["sample"]


def sample(
    A: MatrixLike,
    b: ArrayLike,
    *,
    prior: GaussianMixture | Smoothness | None = None,
    denoiser: Callable[[Any, Any], Any] | None = None,
    noise_level: float | None = None,
    method: str = "dds",
    n_samples: int = 1,
    n_steps: int = 50,
    n_cg: int | None = None,
    rtol: float | None = None,
    gamma: float | Callable[[Any], Any] | None = None,
    data_step: str | Callable[[Any, Any], Any] = "cg",
    rho: float = 10.0,
    tv_weight: float = 0.04,
    schedule: str | ArrayLike = "vp",
    spacing: str | None = None,
    scale: float = 1.0,
    rule: str = "ddim",
    eta: float | None = None,
    x0: ArrayLike | None = None,
    rng: Seed | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> InverseResult:
    """Sample images x from their posterior given b = A x + e.

    Parameters
    ----------
    A : ImagingOperator, LinearOperator or matrix
        Anything with matvec, rmatvec and shape.
    b : array_like
        One data set, of ``A.data_shape`` or flat, or a stack of them.
    prior : GaussianMixture, Gaussian or Smoothness, optional
        A real one makes the images real, whatever the data are.
    denoiser : callable, optional
        ``denoiser(x, sigma)`` estimates x0 from x = x0 + sigma n, for a stack of samples (k, *A.image_shape) in the
        kind of array that b is. One of the two is given. See ``from_torch`` for networks.
    noise_level : float, optional
        Standard deviation of each entry of e (the root of E|e_i|^2 for complex ones). All but ``"dds"`` need it.
    method : {"dds", "mmps", "gaussian", "exact"}, default "dds"
        The Decomposed Diffusion Sampler; moment matching posterior sampling, which takes one Jacobian product of the
        denoiser a CG step and is closer to the posterior; perturb and optimise, for a ``Gaussian`` or ``Smoothness``;
        draws from the closed form, for a mixture of small images.
    n_samples : int, default 1
    n_steps : int, default 50
        Levels of noise; each takes one call of the denoiser, for "mmps" n_cg + 2 of them without a prior.
    n_cg : int, optional
        Conjugate gradient steps at each level, 5 by default; for "gaussian" at most so many, 500 by default.
    rtol : float, optional
        The relative residual of conjugate gradients that is small enough: 1e-6; for "gaussian" 0.01 for the deviations
        from the mean (their variances are then right to a percent or so), and a hundredth of it for the mean.
    gamma : None, float or function of sigma
        DDS: None takes the data as exact; a number is the weight of |A x - b|^2 / 2 beside |x - x0|^2 / 2. Without
        it many CG steps fit the noise. ``lambda sigma: (sigma / noise_level) ** 2`` trusts both alike.
    data_step : {"cg", "admm-tv"} or function (denoised stack, sigma) -> stack
        DDS: "admm-tv" is for volumes (slices, height, width), with the total variation across slices, which are taken
        as periodic; its state is kept from level to level.
    rho, tv_weight : float
        Of "admm-tv". Those of the released code belong to an adjoint that was several times too small.
    schedule : {"vp", "ve"} or array_like of decreasing sigma, default "vp"
        The levels of noise: of a thousand linear betas from 1e-4 to 0.02, or from 50 to 0.01.
    spacing : {"time", "log", "karras"}, optional
        How ``n_steps`` levels are spaced: evenly in time for "vp", geometrically for "ve".
    scale : float, default 1
        The size of the entries of the images, which the levels of "vp" and "ve" are multiples of.
    rule : {"ddim", "dds"}, default "ddim"
        What eta means: DDIM's share of the noise that one step takes away, or DDS's share of all of the noise at the
        next level. With few steps DDS's is ruinous from 0.8 on; its authors take 0.15, 0.5 and 0.8 for 19, 49 and 99.
    eta : float in [0, 1], optional
        0.5, and 1 for "mmps".
    x0 : array_like, optional
        An image that the first noise is added to; zeros by default. For schedules that begin at little noise.
    rng : None, int or numpy.random.Generator
        Each sample has its own generator spawned from it, so that it does not depend on how many there are.
    callback : callable or object with on_chunk, optional
        Called after each level: ``callback(samples)`` with a copy of the stack, or ``on_chunk(step, norm)``. Raising
        StopIteration ends the walk. "gaussian" and "exact" have no levels: they report their end alone.
    executor : concurrent.futures executor, optional
        Where blocks of samples are drawn, in threads, processes or elsewhere, without a ``callback``; on the CPU. A
        task carries A, its data sets and the prior or denoiser, which must pickle for processes; threads call them at
        the same time. "exact" draws here.

    Returns
    -------
    InverseResult
        ``samples`` of shape (n_samples, ...), each in the form of an image for b's; ``x`` their mean, ``std`` their
        standard deviation (None for one sample); ``n_denoiser``, the calls of the denoiser for each block of samples;
        ``residual`` = \\|b - A x\\|; ``residuals``, the root mean square over the samples of \\|b - A x0\\| for the
        denoised images of each level; ``posterior`` for "exact", a tuple of them for stacks.

    Raises
    ------
    InvalidInput, UnsupportedType
    TaskError
        If a task of the executor failed: names its samples, and has the images of each other block, shape (rows,
        *A.image_shape).

    Notes
    -----
    Samples are drawn in blocks of 2^16 numbers (2^26 on a GPU) of images or data, of four samples at least where A is a
    matrix or somebody else's operator, with an executor or without: no bit depends on it, and beside the samples, their
    mean and their deviation, memory does not grow with their number. Where some of them fail, ``status`` is the worst
    and ``stop_reason`` names them; the others are drawn to the end.

    DDS is a reconstruction, not a posterior sampler: it fits the data more closely than the noise warrants, and its
    spread depends on eta (on mixtures with a known posterior its mean is some seven times further off than that of
    "mmps" at equal steps). "mmps" answers for the spread as well, but takes x0 given x as one Gaussian: where the data
    tell modes apart by small differences, it leaves their shares too near those of the prior (0.83 for 0.90, 0.79 for
    0.95 in two cases that were tried). "gaussian" and "exact" have no such error. A denoiser of least mean square error
    is assumed throughout; with classical ones ``pnp`` reconstructs better, and DDS does well from little noise, as with
    ``denoiser=inverse.tv(1.5, power=1)``, ``schedule=np.geomspace(0.5, 0.01, 30)`` and a gamma that follows sigma.

    "vp" and "ve" differ in their levels only: the variance-preserving process is the other one after a division.

    References
    ----------
    H. Chung, S. Lee, J. C. Ye, ICLR 2024 (DDS). F. Rozet et al., NeurIPS 2024 (MMPS). J. Song, C. Meng, S. Ermon, ICLR
    2021 (DDIM). G. Papandreou, A. Yuille, NIPS 2010 (perturb and optimise).

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> prior = inverse.GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [0.01, 0.01])
    >>> res = inverse.sample([[0.0, 1.0]] @ np.eye(2), [0.1], prior=prior, noise_level=0.1, method="mmps",
    ...                      n_samples=100, rng=0)
    >>> np.sort(np.round(res.samples[:, 0]))[[0, 20, 80, 99]].tolist()  # two modes
    [-1.0, -1.0, 1.0, 1.0]
    >>> res.x.shape, res.n_denoiser
    ((2,), 50)
    """
    began = time.perf_counter()
    _checks.choice("method", method, ("dds", "mmps", "gaussian", "exact"))
    noise_level = _noise_level(noise_level, method)
    _prior_fits(prior, denoiser, method)
    exact = method in ("gaussian", "exact")
    n_cg = _checks.count("n_cg", (500 if exact else 5) if n_cg is None else n_cg)
    rtol = _checks.tolerance("rtol", (0.01 if exact else 1e-6) if rtol is None else rtol)
    rule = _checks.choice("rule", rule, ("ddim", "dds"))
    eta = _fraction("eta", (1.0 if method == "mmps" else 0.5) if eta is None else eta)
    _only_of_dds(method, gamma, data_step)
    if exact and x0 is not None:
        raise InvalidInput(f"`x0` is of the diffusion methods and must be left out for method={method!r}.")
    rho, tv_weight = _checks.positive("rho", rho), _checks.tolerance("tv_weight", tv_weight)
    sigmas = levels(schedule, n_steps, spacing, scale)
    n_samples, generator = _checks.count("n_samples", n_samples, each=1000), _checks.generator(rng)
    _checks.function("callback", callback)
    backend = _backend.pick(A=A, b=b, x0=x0)
    kernels = _backend.kernels(backend)
    can_be_shared(executor, callback, backend)
    with at(backend, b):
        problem, posterior = Measurement(A, b, noise_level, kernels, prior), ()
        samples = Samples(problem, n_samples, generator, backend)
        if method == "exact":
            X, outcomes, posterior = _exact(problem, prior, samples)
        elif method == "gaussian":
            X, outcomes = perturb_and_optimise(samples, prior, n_cg, rtol, executor)
        else:
            if method == "mmps":
                step = partial(moment_matching_step, n_cg=n_cg, rtol=rtol)
            else:
                options = dict(data_step=data_step, gamma=gamma, rho=rho, tv_weight=tv_weight, n_cg=n_cg, rtol=rtol)
                step = partial(_dds_step, **options)
                step(problem)  # it refuses what does not fit before any task is sent
            # The variance-preserving process begins at a variance of one, that of its images included.
            is_vp = isinstance(schedule, str) and schedule == "vp"
            widest = math.hypot(sigmas[0], scale) if is_vp else float(sigmas[0])
            way = Walk(step, denoiser, prior, (sigmas, rule, eta), (_start(problem, x0, kernels), widest))
            X, outcomes = way.run(samples, callback, executor)
        seconds = time.perf_counter() - began
        how = dict(method="sample", choice=method, backend=backend, seconds=seconds)
        result = samples.result(X, outcomes, posterior, **how)
    return ended(callback, result)


def _exact(problem, prior, samples):
    """Draws from the closed form of each data set."""
    xp, k = module_of(problem.B), samples.k
    posterior = tuple(prior.given(problem, j) for j in range(k))
    draws = [each.draws(samples.generators[j::k]) for j, each in enumerate(posterior)]
    X = np.stack(draws, axis=1).reshape(-1, *problem.A.image_shape).astype(problem.dtype)
    return xp.asarray(X), [Outcome(Status.CONVERGED, "closed form") for _ in samples.blocks()], posterior


def _dds_step(problem, data_step, gamma, rho, tv_weight, n_cg, rtol):
    if callable(data_step):
        return own_step(data_step)
    if _checks.choice("data_step", data_step, ("cg", "admm-tv")) == "admm-tv":
        return admm_tv_step(problem, rho, tv_weight, n_cg, rtol)
    if not (gamma is None or callable(gamma)):
        gamma = _checks.positive("gamma", gamma)
    return cg_step(problem, gamma, n_cg, rtol)


def _start(problem, x0, kernels):
    """The images that the first noise is added to: one, or one for each data set of every sample."""
    if x0 is None:
        return 0.0
    x0 = _checks.finite("x0", _checks.array("x0", enter("x0", x0)))
    if x0.dtype.kind == "c" and problem.dtype.kind != "c":
        raise InvalidInput("`x0` must be real where the images are, got complex entries; pass x0.real.")
    X0, _ = stack_of("x0", kernels.to_device(x0, problem.dtype), problem.A.image_shape)
    if len(X0) != 1:
        raise InvalidInput(f"`x0` must be one image, got {len(X0)}.")
    return X0


def _noise_level(noise_level, method):
    if noise_level is not None:
        return _checks.deviation("noise_level", noise_level)
    if method == "dds":
        return None
    raise InvalidInput(f"`noise_level` must be given for method={method!r}: the standard deviation of an entry of e.")


def _only_of_dds(method, gamma, data_step):
    for name, value, default in (("gamma", gamma, None), ("data_step", data_step, "cg")):
        if method != "dds" and value is not default and value != default:
            raise InvalidInput(f"`{name}` is of method='dds' and must be left out for method={method!r}.")


def _fraction(name, value):
    value = _checks.number(name, value, 0)
    if value > 1:
        raise InvalidInput(f"`{name}` must be between 0 and 1, got {value}.")
    return value


def _prior_fits(prior, denoiser, method):
    if (prior is None) == (denoiser is None):
        raise InvalidInput("One of `prior` and `denoiser` must be given, and not both.")
    if prior is None:
        _checks.made("denoiser", denoiser)
        if not callable(denoiser):
            raise _checks.wrong_kind("denoiser", "a function (x, sigma) -> x0, such as inverse.tv()", denoiser)
        if method in ("gaussian", "exact"):
            raise InvalidInput(f"`prior` must be given for method={method!r}; with a denoiser use 'dds' or 'mmps'.")
    elif not isinstance(prior, GaussianMixture | Smoothness):
        raise UnsupportedType(
            f"`prior` must be a GaussianMixture, a Gaussian or a Smoothness, got {type(prior).__name__}; pass a "
            "function as `denoiser`."
        )
    elif method == "gaussian" and isinstance(prior, GaussianMixture) and len(prior.weights) > 1:
        raise InvalidInput(
            f"`prior` must be one Gaussian for method='gaussian', got {len(prior.weights)} components; use 'exact' or "
            "'mmps'."
        )
