"""Coefficients of an equation from noisy values of its solution."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._loop import ended, told
from .._plot import axes_or_new
from .._result import Result, Status
from .._types import Box, Callback, DifferentialOperator, Function, Sides
from ._boundary import Boundary
from ._fits import ByNodes, InModes, Observations
from ._infer_source import observed, smoothed
from ._kernels import SpectralMixture, of_each_axis
from ._noisy import checked_noise
from ._operators import Terms
from ._sampling import real
from ._source import Source, checked_box
from ._weak import refusal

__all__ = ["CoefficientEstimate", "infer_coefficients"]

_MAXITER = 50
# A step this part of the standard deviations is the last; a direction this much longer than another is not determined.
_SMALL, _UNDETERMINED = 1e-5, 1e-13


def infer_coefficients(
    operators: Sequence[DifferentialOperator],
    u_obs: ArrayLike,
    f: Function,
    box: Box,
    bc: Sides,
    *,
    known: DifferentialOperator | None = None,
    noise: float | str = "auto",
    theta0: ArrayLike | None = None,
    kernel: str | SpectralMixture | Sequence[str | SpectralMixture] = "auto",
    grid: str = "uniform",
    maxiter: int | None = None,
    callback: Callback | None = None,
) -> "CoefficientEstimate":
    """Estimate theta in sum_t theta_t op_t(u) = f from values of u with noise.

    Parameters
    ----------
    operators : sequence of mappings, multi-index to number or callable
        op_1 to op_q, as in ``solve_gp``: ``[{(2, 0): 1}, {(0, 2): 1}, {(0, 0): 1}]`` asks for a, b and c of
        a u_xx + b u_yy + c u = f.
    u_obs : array_like, shape (n_1, ..., n_d)
        u at the nodes, ``pde.nodes(box, n, grid=grid)``, with independent noise of one variance.
    f : callable, number or array_like
        The source, without noise.
    box : sequence of (low, high)
    bc : callable, number or mapping
        What is known at the sides, without noise, as in ``solve_gp``.
    known : mapping, optional
        A further operator on the left, whose coefficients are known.
    noise : "auto" or float > 0, default "auto"
        The standard deviation of the noise; "auto" takes that of what the solution leaves of the data.
    theta0 : array_like, shape (q,), optional
        Where to start; by default from the equation itself, with u smoothed.
    kernel : "auto", kernel, or sequence of kernels, default "auto"
    grid : {"uniform", "legendre"}, default "uniform"
    maxiter : int, default 50
        Most steps, those that are not taken included.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(theta)`` after each step that is taken with a copy; ``on_chunk`` with the root mean square
        of u_obs - u. StopIteration ends the fit.

    Returns
    -------
    CoefficientEstimate
        ``theta``, ``covariance``, ``std``, and ``u``, the solution with theta.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError.

    Notes
    -----
    theta minimises |u_obs - u(theta)|^2, u(theta) the solution of the equation: Gauss and Newton's steps, damped after
    Levenberg and Marquardt. Where all operators are of u and its unmixed second derivatives with constant coefficients,
    u(theta) is (f_k - sum_t theta_t l_tk) / sum_t theta_t mu_tk in modes; a step is one pass over them. All others take
    q + 1 solutions a step. The covariance is s^2 (J^T J)^-1: that of the linearised
    model, with a flat prior on theta. Fitting the equation instead, op_t(u_obs) against f, would be biased by the noise
    in the regressors.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import pde
    >>> x, = pde.nodes([(0, 1)], 200, grid="uniform")
    >>> u = np.sin(np.pi * x) + 0.01 * np.random.default_rng(0).standard_normal(200)
    >>> found = pde.infer_coefficients([{(2,): 1.0}], u, lambda x: -3 * np.pi**2 * np.sin(np.pi * x), [(0, 1)], 0)
    >>> bool(abs(found.theta[0] - 3) < 4 * found.std[0] < 0.1)
    True
    """
    start = time.perf_counter()
    _checks.function("callback", callback)
    box = checked_box(box)
    d = len(box)
    kind = _checks.choice("grid", grid, ("legendre", "uniform"))
    terms, known = _terms(operators, known, d)
    boundary, noise = Boundary(bc, box), checked_noise("auto" if noise is None else noise)
    u_obs, source = observed("u_obs", u_obs, d), Source(f, box, kind)
    if source.shape not in (None, u_obs.shape):
        raise InvalidInput(f"`f` must have the shape of `u_obs`, {u_obs.shape}, got {source.shape}.")
    theta = None if theta0 is None else _start(theta0, len(terms))
    maxiter = _MAXITER if maxiter is None else _checks.count("maxiter", maxiter)
    every = Terms({index: 1.0 for t in (*terms, known) for index in (*t.constant, *t.varying)}, d)
    lift, p, grid = smoothed(u_obs, every, boundary, box, of_each_axis(kernel, d), kind, noise)
    data = Observations(grid, u_obs, np.asarray(source(grid.nodes)), lift, p)
    symmetric = all(refusal(t, boundary, None) is None for t in (*terms, known))
    model = (InModes if symmetric else ByNodes)(data, terms, known)
    theta, costs, status, J, s2 = _fit(model, model.start() if theta is None else theta, noise, maxiter, callback)
    result = CoefficientEstimate(
        theta=theta, J=J, s2=s2, u=model.solution(theta), axes=grid.axes, choice=model.name, status=status,
        iterations=len(costs) - 1, residuals=np.sqrt(costs), residual=float(np.sqrt(costs[-1])), threshold=np.inf,
        n_matvec=model.n_matvec, seconds=time.perf_counter() - start, backend="cpu", method="infer_coefficients",
    )  # fmt: skip
    return ended(callback, result)


def _terms(operators, known, d):
    if not isinstance(operators, list | tuple) or not operators:
        got = _checks.brief(operators)
        raise UnsupportedType(f"`operators` must be a list of mappings, one for each coefficient, got {got}.")
    terms = [Terms(op, d, name=f"operators[{t}]", part=True) for t, op in enumerate(operators)]
    known = Terms(known if known is not None else {}, d, name="known", part=True)
    if not any(sum(index) for t in (*terms, known) for index in (*t.constant, *t.varying)):
        raise InvalidInput("`operators` must have a derivative, got coefficients of u alone.")
    return terms, known


def _start(theta0, q):
    return _checks.shape_is("theta0", real("theta0", theta0), [(q,)], "to go with `operators`")


@np.errstate(all="ignore")  # steps that overflow are not taken
def _fit(model, theta, noise, maxiter, callback):
    """Levenberg and Marquardt's method: theta, the mean squares at each step, a status, J and the variance of noise."""
    r, J = model(theta)
    cost, damping, costs = float(r @ r), 1e-3, []
    status = Status.MAXITER
    costs.append(model.mean_square(cost) if np.isfinite(cost) else np.inf)
    for _ in range(maxiter):
        s2 = noise**2 if noise != "auto" else model.variance(cost, len(theta))
        if not _determined(J):
            status = Status.BREAKDOWN
            break
        size = np.linalg.norm(J, axis=0)
        H = (J / size).T @ (J / size)
        step = np.linalg.solve(H + damping * np.eye(len(theta)), (J / size).T @ r) / size
        trial_r, trial_J = model(theta + step)
        trial = float(trial_r @ trial_r)
        # What the step is worth in standard deviations.
        worth = float(np.linalg.norm(J @ step)) / np.sqrt(s2)
        if np.isfinite(trial) and trial <= cost * (1.0 + 1e-14):
            theta, r, J, cost, damping = theta + step, trial_r, trial_J, trial, damping / 10.0
            costs.append(model.mean_square(cost))
            if told(callback, len(costs) - 1, np.sqrt(costs[-1]), theta.copy):
                status = Status.STOPPED
                break
        elif worth > _SMALL:
            damping *= 10.0
            continue
        if worth <= _SMALL:
            status = Status.CONVERGED
            break
    return theta, costs, status, J, noise**2 if noise != "auto" else model.variance(cost, len(theta))


@np.errstate(all="ignore")
def _determined(J):
    """Whether the data tell the coefficients apart where J is the derivative by them."""
    size = np.linalg.norm(J, axis=0)
    if not np.isfinite(size).all() or size.min() <= 1e-150:
        return False
    return float(np.linalg.eigvalsh((J / size).T @ (J / size))[0]) > _UNDETERMINED


class CoefficientEstimate(Result):
    """Coefficients of an equation, and how far to trust them.

    Attributes
    ----------
    theta, std : ndarray, shape (q,)
        The estimates and their standard deviations; infinite where the data do not determine them.
    covariance : ndarray, shape (q, q)
    u : ndarray, shape (n_1, ..., n_d)
        The solution with theta at the nodes.
    axes : tuple of ndarray, shapes (n_i,)
        The nodes.
    noise : float
        The standard deviation of the noise, given or found.
    choice : str
        "modes", or what solved the equations.
    residuals, residual
        Root mean squares of u_obs - u after each step; the last.
    """

    _not_in_dict = frozenset(("u", "axes"))
    _answer = "theta"

    def __init__(self, *, theta: NDArray[Any], J: Any, s2: Any, u: NDArray[Any], axes: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self.theta = theta
        self.noise, self.u = float(np.sqrt(s2)) if np.isfinite(s2) else np.inf, u
        self.axes: tuple[NDArray[Any], ...] = tuple(axis.x.copy() for axis in axes)
        q = len(theta)
        self.covariance: NDArray[Any] = np.diag(np.full(q, np.inf))
        if _determined(J):
            size = np.linalg.norm(J, axis=0)
            self.covariance = s2 * np.linalg.inv((J / size).T @ (J / size)) / np.multiply.outer(size, size)
        self.std: NDArray[Any] = np.sqrt(np.diag(self.covariance))

    @property
    def message(self) -> str:
        """One line: how it ended, and what to do about it."""
        sentence = {
            Status.CONVERGED: "The fit is at a minimum, and `covariance` says what the noise leaves unknown.",
            Status.MAXITER: "The steps came to their limit; raise `maxiter`, or give `theta0` nearer the coefficients.",
            Status.BREAKDOWN: "The data do not tell the coefficients apart, or not where the steps came to; fix one of "
            "them in `known`, observe another solution, or give `theta0` nearer the coefficients.",
            Status.STOPPED: "The callback raised StopIteration; the coefficients are those at that moment.",
        }[self.status]
        return f"{self!r}: {sentence}"

    def plot(self, ax: Any = None) -> Any:
        """Draw the coefficients with twice their standard deviations."""
        ax = axes_or_new(ax)
        ax.errorbar(range(len(self.theta)), self.theta, yerr=2 * self.std, fmt="o", capsize=4)
        ax.set(xticks=range(len(self.theta)), xlabel="coefficient", ylabel="theta", title=repr(self))
        return ax

    def __repr__(self):
        values = ", ".join(f"{t:.4g} +- {s:.1g}" for t, s in zip(self.theta, self.std, strict=True))
        return f"CoefficientEstimate({self.status}, {values}, noise {self.noise:.2e}, {self.choice}, {self.backend})"
