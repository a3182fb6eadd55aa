"""Plug and play: a denoiser in the place of the proximal step of a prior, by half-quadratic splitting or ADMM.

Where the papers leave the levels of noise to be tuned, the defaults here are taken from the data: the gain of A, and
the size of a first reconstruction.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter, module_of
from .._errors import InvalidInput
from .._loop import ended
from .._place import at
from .._types import Callback, Executor, MatrixLike
from ._blocks import can_be_shared
from ._measurement import Measurement
from ._operator import stack_of
from ._result import InverseResult
from ._splitting import Splitting, joined
from ._tweedie import values_on_host

__all__ = ["pnp"]

_STEPS = {"admm": 200, "hqs": 60}


def pnp(
    A: MatrixLike,
    b: ArrayLike,
    denoiser: Callable[[Any, Any], Any],
    *,
    method: str = "auto",
    noise_level: float | None = None,
    sigmas: ArrayLike | None = None,
    maxiter: int | None = None,
    rho: float = 1.0,
    n_cg: int = 10,
    x0: ArrayLike | None = None,
    tol: float = 1e-4,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> InverseResult:
    """Reconstruct with a denoiser as the prior, which is balanced with ``|A x - b|^2 / (2 noise_level^2)``.

    Parameters
    ----------
    A : matrix, LinearOperator, or an object with matvec, rmatvec and shape
    b : array_like, shape A.data_shape, a stack of these, or flat
    denoiser : callable
        ``denoiser(x, sigma)`` for a stack x of shape (k, *image_shape), of NumPy or CuPy as b is, with noise of
        standard deviation sigma; ``inverse.tv``, ``inverse.nlm`` and ``inverse.from_torch`` make such functions. The
        rows must not depend on each other. One with the attribute ``proximal = True`` is the proximal operator of
        sigma^2 R for a convex R, and needs no noise level.
    method : {"auto", "admm", "hqs"}
        The alternating direction method of multipliers, at one level, or half-quadratic splitting down a schedule;
        "auto" is admm for proximal operators and hqs for others.
    noise_level : float, optional
        The standard deviation of an entry of the noise in b. Without it, it is 1 for a proximal operator; for others it
        is what corresponds to the last of ``sigmas``.
    sigmas : float, pair (start, end), or sequence, optional
        The levels that the denoiser is told: one for all steps, levels from start to end with equal ratios, or one for
        each step (``maxiter`` is then their number). By default, hqs goes from the root mean square of a first
        reconstruction to the noise seen through A, ``noise_level / |A|``, and admm stays at the geometric mean of these
        two; where no noise level is given, the first is 25 times the last.
    maxiter : int, optional
        Steps at most, and the number of levels; by default 60 for hqs and 200 for admm.
    rho : float, default 1.0
        How much more than by the noise level the denoiser is trusted.
    n_cg : int, default 10
        Steps of conjugate gradients in a data step, which begins at the last one's answer.
    x0 : array_like, optional
        The start, an image or one for each b; a first reconstruction by default.
    tol : float, default 1e-4
        admm, and hqs at one level, end when the image changes by at most this part of its norm (less where the coupling
        c, below, is above ``|A|^2``: by that ratio), and the two images of admm differ by no more.
    callback : callable or object with on_chunk, optional
        ``callback(x)`` after each step, or ``on_chunk(step, norm)``. Raising StopIteration ends it.
    executor : concurrent.futures executor, optional
        Where blocks of the data sets of a stack are reconstructed, in threads, processes or elsewhere, without a
        ``callback``; on the CPU. A task carries A, its data sets and the denoiser, which must pickle for processes.

    Returns
    -------
    InverseResult
        ``x``, the last denoised image; ``residual`` = ``|b - A x|``; ``residuals``, the relative change of each step, 1
        first; ``stop_reason`` "tolerance", "schedule" (hqs has gone through its levels), "maxiter" or "callback";
        ``n_denoiser``; ``regularization``, the coupling of the last step; ``sigmas``, the levels, shape (maxiter,) or
        (maxiter, k).

    Raises
    ------
    InvalidInput, UnsupportedType
    TaskError
        If a task of the executor failed: names its data sets, and has the images of each other block, shape (rows,
        *A.image_shape).

    Notes
    -----
    The data sets of a stack do not depend on each other. They are taken in blocks of 2^16 numbers (2^26 on a GPU) of
    images or data, of four at least where A is a matrix or somebody else's operator; no bit depends on an executor.

    Each step solves (A^H A + c I) x = A^H b + c (z - u) with c = rho (noise_level / sigma)^2, in closed form for
    periodic blur, inpainting and MRI without coils; then z = denoiser(x + u, sigma). admm adds u = u + x - z, hqs has
    u = 0. For a proximal operator of sigma^2 R, admm converges at every sigma and to the same image, the minimum of
    ``|A x - b|^2 / (2 noise_level^2) + rho R(x)``, that is ``|A x - b|^2 / 2 + weight TV(x)`` for ``tv(weight)``
    without a noise level; hqs only comes near it as sigma goes down. For others, nothing is minimised, and convergence
    is what is observed: ``residuals`` says so.

    With a denoiser that scales with its images and sigma, such as ``nlm`` or ``tv(weight, power=1)``, b and noise_level
    multiplied by s give s x. The weight of ``tv(weight)`` is that of a prior, which has a scale.

    References
    ----------
    S. Venkatakrishnan, C. Bouman, B. Wohlberg, GlobalSIP 2013. K. Zhang et al., IEEE Trans. Pattern Anal. 44 (2022),
    for the schedule. S. Boyd et al., Found. Trends Mach. Learn. 3 (2011), section 3, for the convergence.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> image = np.kron(np.eye(2), np.ones((8, 8)))
    >>> A = inverse.Blur(np.ones((3, 3)) / 9, image.shape)
    >>> b = A @ image + 0.01 * np.random.default_rng(0).standard_normal(image.shape)
    >>> res = inverse.pnp(A, b, inverse.tv(0.002))
    >>> res.stop_reason, bool(np.abs(res.x - image).mean() < 0.01)
    ('tolerance', True)
    """
    began = time.perf_counter()
    _checks.choice("method", method, ("auto", "admm", "hqs"))
    _checks.made("denoiser", denoiser)
    if not callable(denoiser):
        raise _checks.wrong_kind("denoiser", "a function (x, sigma) -> x0, such as inverse.tv()", denoiser)
    proximal = getattr(denoiser, "proximal", False) is True
    is_free = proximal and noise_level is None
    method = ("admm" if proximal else "hqs") if method == "auto" else method
    noise_level = None if noise_level is None else _checks.deviation("noise_level", noise_level)
    maxiter = _STEPS[method] if maxiter is None else _checks.count("maxiter", maxiter)
    sigmas, n_steps = _given_levels(sigmas, maxiter)
    if noise_level is None and sigmas is None and not proximal:
        raise InvalidInput(
            "`noise_level` or `sigmas` must be given for a denoiser that is not proximal: it has to know how much "
            "noise there is."
        )
    rho, n_cg = _checks.positive("rho", rho), _checks.count("n_cg", n_cg)
    tol = _checks.tolerance("tol", tol)
    _checks.function("callback", callback)
    backend = _backend.pick(A=A, b=b, x0=x0)
    can_be_shared(executor, callback, backend)
    kernels = _backend.kernels(backend)
    with at(backend, b):
        problem = Measurement(A, b, noise_level, kernels)
        start = None if x0 is None else _start(problem, x0, kernels)
        way = Splitting(denoiser, method == "admm", rho, n_cg, sigmas, n_steps, tol, is_free)
        parts = way.run(problem, start, callback, executor, backend)
        seconds = time.perf_counter() - began
        result = joined(problem, parts, method="pnp", choice=method, backend=backend, seconds=seconds)
    return ended(callback, result)


def _start(problem, x0, kernels):
    x0 = _checks.finite("x0", _checks.array("x0", enter("x0", x0)))
    if x0.dtype.kind == "c" and problem.dtype.kind != "c":
        raise InvalidInput("`x0` must be real where the images are, got complex entries; pass x0.real.")
    X, _ = stack_of("x0", kernels.to_device(x0, problem.dtype), problem.A.image_shape)
    if len(X) not in (1, len(problem.B)):
        raise InvalidInput(f"`x0` must be one image or {len(problem.B)}, got {len(X)}.")
    return module_of(X).concatenate([X] * len(problem.B)) if len(X) == 1 else X


def _given_levels(sigmas, n_steps):
    """The levels that the user gave, of shape (n_steps,), or None; and their number."""
    if sigmas is None:
        return None, n_steps
    levels = np.atleast_1d(values_on_host("sigmas", sigmas))
    real = levels.dtype.kind != "c"
    if levels.ndim != 1 or levels.size == 0 or not (real and (np.isfinite(levels) & (levels > 0)).all()):
        got = _checks.brief(sigmas)
        raise InvalidInput(f"`sigmas` must be a number > 0, a pair of them, or a sequence, got {got}.")
    if levels.size == 1:
        return np.full(n_steps, levels[0]), n_steps
    if levels.size == 2:
        return np.geomspace(*levels, n_steps), n_steps
    return levels, levels.size
