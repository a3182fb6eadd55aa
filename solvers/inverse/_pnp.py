"""Plug and play: a denoiser in the place of the proximal step of a prior, by half-quadratic splitting or ADMM.

Where the papers leave the levels of noise to be tuned, the defaults here are taken from the data: the gain of A, and
the size of a first reconstruction.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter, module_of
from .._errors import InvalidInput, UnsupportedType
from .._loop import ended, told
from .._place import at, inner_rows
from .._result import Status
from .._types import Callback, MatrixLike
from ._diffusion import Denoiser
from ._measurement import Measurement
from ._operator import stack_of
from ._result import InverseResult
from ._tweedie import values_on_host

__all__ = ["pnp"]

# Steps of conjugate gradients for the first reconstruction: few enough not to follow the noise.
_FIRST = 5
# For proximal operators without a noise level: the first level over the last one (measured on MRI, CT and blur).
_FREE = 25.0
_STEPS = {"admm": 200, "hqs": 60}
# Of a data step, relative to its right-hand side; a hundredth of the tolerance asked for, where that is less.
_RTOL = 1e-6


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

    Notes
    -----
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
        raise UnsupportedType(f"`denoiser` must be a function (x, sigma) -> x0, got {type(denoiser).__name__}.")
    proximal = getattr(denoiser, "proximal", False) is True
    is_free = proximal and noise_level is None
    method = ("admm" if proximal else "hqs") if method == "auto" else method
    noise_level = None if noise_level is None else _checks.positive("noise_level", noise_level)
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
    kernels = _backend.kernels(backend)
    with at(backend, b):
        split = _Split(Measurement(A, b, noise_level, kernels), Denoiser(denoiser), rho, n_cg, _start_of(x0), kernels)
        split.set_levels(sigmas, n_steps, method, tol, is_free)
        split.run(method == "admm", callback)
        result = split.result(method="pnp", choice=method, backend=backend, seconds=time.perf_counter() - began)
    return ended(callback, result)


class _Split:
    """The two images x and z of each data set, the multipliers u, and each one's levels."""

    def __init__(self, problem, denoiser, rho, n_cg, x0, kernels):
        self.problem, self.denoiser, self.rho, self.n_cg = problem, denoiser, rho, n_cg
        self.xp, self.k = module_of(problem.B), len(problem.B)
        self.rhs = problem.adjoint(problem.B)
        self.X = _first(problem, self.rhs) if x0 is None else _image(problem, x0, kernels)
        self.Z, self.U = self.X.copy(), self.xp.zeros_like(self.X)
        self.steps, self.changes = np.zeros(self.k, int), [np.ones(self.k)]
        self.status, self.reason = [Status.MAXITER] * self.k, ["maxiter"] * self.k

    def set_levels(self, sigmas, n_steps, method, tol, is_free):
        """The sigmas and couplings of all steps, shape (n_steps, k)."""
        gain = self.gain = self._gain()
        noise = 1.0 if is_free else self.problem.noise_level
        if sigmas is None:
            end = noise / np.sqrt(gain)
            size = np.sqrt(inner_rows(self.X, self.X) / math.prod(self.X.shape[1:]))
            start = _FREE * end if is_free else np.maximum(size, end)
            if method == "admm":
                start = end = np.sqrt(start * end)
            sigmas = np.geomspace(start, end, n_steps)
        sigmas = np.broadcast_to(np.reshape(sigmas, (n_steps, -1)), (n_steps, self.k))
        noise = sigmas[-1] * np.sqrt(gain) if noise is None else noise
        self.sigmas, self.couplings = sigmas, self.rho * (noise / sigmas) ** 2
        # Down a schedule, an image that stands still for a step has not arrived.
        self.tol = tol if method == "admm" or (sigmas == sigmas[0]).all() else -1.0
        self.cg_rtol = min(_RTOL, 0.01 * tol)

    def _gain(self):
        """|A x|^2 / |x|^2 for x = A^H b: near the square of A's norm, on what b says anything about."""
        size = inner_rows(self.rhs, self.rhs)
        Y = self.problem.forward(self.rhs)
        gain = np.divide(inner_rows(Y, Y), size, out=np.ones_like(size), where=size > 0)
        return np.where((gain > 0) & np.isfinite(gain), gain, 1.0)

    def run(self, has_multipliers, callback):
        """All steps; rows that are done are left alone."""
        active, n_steps = np.arange(self.k), len(self.sigmas)
        for step in range(n_steps):
            active = self._step(step, active, has_multipliers)
            iterate = lambda: self.problem.image_of(self.Z.copy())  # noqa: E731
            if told(callback, step + 1, self.changes[-1].max(initial=0.0), iterate):
                self._end(active, Status.STOPPED, "callback")
                return
            if not active.size:
                return
        if self.tol < 0:
            self._end(active, Status.CONVERGED, "schedule")

    def _step(self, step, active, has_multipliers):
        """Data step, denoiser, multipliers; returns the rows that go on."""
        rows = slice(None) if active.size == self.k else self.xp.asarray(active)
        sigma, coupling = self.sigmas[step, active], self.couplings[step, active]
        U, last = self.U[rows], self.Z[rows]
        if has_multipliers and step:
            U = U * self._column(self.couplings[step - 1, active] / coupling)
        X = self._data_step(rows, active, coupling, last - U)
        Z = self._denoised(X + U, sigma)
        sizes, change = np.sqrt(inner_rows(Z, Z)), np.sqrt(inner_rows(Z - last, Z - last))
        if self.tol >= 0:
            # A tight coupling holds the image still far from where it belongs.
            change = change * np.maximum(1, coupling / self.gain[active])
            if has_multipliers:
                change = np.maximum(change, np.sqrt(inner_rows(X - Z, X - Z)))
        change = np.divide(change, sizes, out=np.where(change > 0, np.inf, 0.0), where=sizes > 0)
        good = np.isfinite(sizes) & np.isfinite(inner_rows(X, X))
        keep = self._column(good) > 0
        self.X[rows], self.Z[rows] = self.xp.where(keep, X, self.X[rows]), self.xp.where(keep, Z, last)
        self.U[rows] = U + X - Z if has_multipliers else U
        self.steps[active[good]] += 1
        self.changes.append(self.changes[-1].copy())
        self.changes[-1][active[good]] = change[good]
        self._end(active[~good], Status.NONFINITE, "nonfinite")
        done = good & (change <= self.tol)
        self._end(active[done], Status.CONVERGED, "tolerance")
        return active[good & ~done]

    def _data_step(self, rows, active, coupling, anchor):
        """(A^H A + c I)^-1 (A^H b + c anchor), where it cannot be written down by a few steps from the last x."""
        A, c = self.problem.A, self._column(coupling)
        rhs = self.rhs[rows] + c * anchor
        closed = getattr(A, "normal_inverse", None)
        if closed is not None and (self.X.dtype.kind == "c") == (A.dtype.kind == "c"):
            X = closed(rhs, c)
            if X is not None:
                return X
        X, _ = self.problem.solve(rhs, shift=coupling, x0=self.X[rows], maxiter=self.n_cg, rtol=self.cg_rtol)
        return X

    def _denoised(self, V, sigma):
        """One call for all rows of one level."""
        levels = np.unique(sigma)
        if levels.size == 1:
            return self.denoiser(V, levels[0])
        Z = self.xp.empty_like(V)
        for level in levels:
            rows = self.xp.asarray(np.flatnonzero(sigma == level))
            Z[rows] = self.denoiser(V[rows], level)
        return Z

    def _column(self, values):
        real = np.dtype(self.X.dtype.char.lower())
        return self.xp.asarray(np.asarray(values, real)).reshape((-1,) + (1,) * (self.X.ndim - 1))

    def _end(self, rows, status, reason):
        for row in rows:
            self.status[row], self.reason[row] = status, reason

    def result(self, **fields):
        """The InverseResult; for one data set with numbers in the place of arrays of one."""
        problem = self.problem
        R = problem.B - problem.forward(self.Z)
        residual = np.sqrt(inner_rows(R, R))
        self._end(np.flatnonzero(~np.isfinite(residual)), Status.NONFINITE, "nonfinite")
        last = np.maximum(self.steps, 1) - 1
        one = (lambda values: values[0]) if problem.is_single else (lambda values: values)
        return InverseResult(
            problem.image_of(self.Z),
            regularization=one(self.couplings[last, np.arange(self.k)]),
            stop_reason=one(tuple(self.reason)),
            n_denoiser=self.denoiser.calls,
            status=one(tuple(self.status)),
            iterations=one(self.steps),
            residuals=np.array(self.changes)[:, 0] if problem.is_single else np.array(self.changes),
            residual=one(np.where(np.isnan(residual), np.inf, residual)),
            threshold=one(np.full(self.k, self.tol if self.tol >= 0 else math.inf)),
            n_matvec=problem.n_matvec,
            extra={"sigmas": self.sigmas[:, 0].copy() if problem.is_single else self.sigmas.copy()},
            **fields,
        )


def _first(problem, rhs):
    return problem.solve(rhs, maxiter=_FIRST)[0]


def _start_of(x0):
    return None if x0 is None else _checks.finite("x0", _checks.real_array("x0", enter("x0", x0)))


def _image(problem, x0, kernels):
    if x0.dtype.kind == "c" and problem.dtype.kind != "c":
        raise InvalidInput("`x0` must be real where the images are, got complex entries; pass x0.real.")
    X, _ = stack_of("x0", kernels.to_device(x0, problem.dtype), problem.A.image_shape)
    if len(X) not in (1, len(problem.B)):
        raise InvalidInput(f"`x0` must be one image or {len(problem.B)}, got {len(X)}.")
    return module_of(X).concatenate([X] * len(problem.B)) if len(X) == 1 else X.copy()


def _given_levels(sigmas, n_steps):
    """The levels that the user gave, of shape (n_steps,), or None; and their number."""
    if sigmas is None:
        return None, n_steps
    levels = np.atleast_1d(values_on_host("sigmas", sigmas))
    if levels.ndim != 1 or levels.size == 0 or not (np.isfinite(levels) & (levels.real > 0)).all():
        got = _checks.brief(sigmas)
        raise InvalidInput(f"`sigmas` must be a number > 0, a pair of them, or a sequence, got {got}.")
    if levels.size == 1:
        return np.full(n_steps, levels[0]), n_steps
    if levels.size == 2:
        return np.geomspace(*levels, n_steps), n_steps
    return levels, levels.size
