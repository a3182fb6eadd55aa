"""Gaussian-process solution of linear and mildly nonlinear differential equations on boxes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _backend, _checks
from .._errors import InvalidInput, UnsupportedType
from .._loop import ended, told
from .._result import Status
from .._types import Box, Callback, DifferentialOperator, Function, Sides
from ._adam import train
from ._boundary import Boundary
from ._estimate import Estimate, estimate
from ._grid import Grid
from ._kernels import SpectralMixture, of_each_axis
from ._linear import Linear
from ._newton import Newton, Nonlinear, solve_linear
from ._noisy import checked_noise, solve_noisy
from ._operators import Terms
from ._plan import Plan
from ._solution import GPSolution
from ._source import Source, checked_box
from ._weak import Weak, refusal, require

__all__ = ["solve_gp"]

_MAXITER = 100
# GMRES's tolerance where Newton's method goes on from its result, and the least that rounding permits.
_ROUGH_RTOL, _LEAST_RTOL = 1e-7, 1e-11
# A right-hand side further than this from the range is not in it; rounding that moves u by more has no solution.
_DEFECT, _SINGULAR = 1e-8, 1e-6


def solve_gp(
    op: DifferentialOperator,
    f: Function,
    box: Box,
    bc: Sides,
    *,
    n: int | Sequence[int] | str = "auto",
    kernel: str | SpectralMixture | Sequence[str | SpectralMixture] = "auto",
    nonlinear: tuple[Callable[..., Any], Callable[..., Any]] | None = None,
    noise: float | str | None = None,
    tol: float = 1e-8,
    maxiter: int | None = None,
    method: str = "auto",
    form: str = "auto",
    grid: str = "legendre",
    callback: Callback | None = None,
) -> GPSolution:
    """Solve op(u) + N(u) = f on a box with data at its sides.

    Parameters
    ----------
    op : mapping, multi-index to number or callable
        The linear operator: ``{(2, 0): 1.0, (0, 2): 1.0, (0, 0): c}`` is u_xx + u_yy + c u, c a number or a function
        of (x, y). See ``laplacian``, ``advection``, ``helmholtz``, ``div_grad``.
    f : callable, number or array_like, shape (n_1, ..., n_d)
        The source: a function of d coordinate arrays that broadcast, or its values at the nodes, ``pde.nodes(box, n,
        grid=grid)``, of which it decides the number. Values show nothing between the nodes: the estimate then comes
        from the residual at them, of which there must be more than unknowns, and a wave too short for the nodes that
        looks like a longer one on them is taken for that one.
    box : sequence of (low, high), one for each of 1 to 3 dimensions
        In the unit of length.
    bc : callable, number, or mapping (axis, side) to one of these, ("neumann", g) or None
        What is known at the sides: values (a function of all coordinates), or the derivative along the axis (not
        along the outward normal); None where nothing is known, as at an outflow. Side 0 is the low end, 1 the high.
        Where derivatives alone are given and u itself has no term, the solution of mean zero is returned; if there is
        none at all, the status is "inconsistent".
    n : "auto", int or sequence of int, default "auto"
        Nodes of each axis. "auto" refines until the estimated error meets ``tol``; by Adam it is the published 400 on
        a line and 200 x 200 in a plane.
    kernel : "auto", kernel, or sequence of kernels, default "auto"
        The prior of each axis. "auto" is a band of low frequencies, and a spectral mixture at the peaks that the
        periodograms of f and of the data at the sides show above it. Adam learns kernels from this one, a
        ``SpectralMixture``; there "auto" is the published start, 30 Matern components with frequencies from 0 to 20
        cycles (times 2 pi radians) per unit of length, of length 1 and weight 1/30.
    nonlinear : (N, dN_du), optional
        Functions of u, or of u and the coordinates.
    noise : float > 0 or "auto", optional
        The standard deviation of independent noise of f's values at the nodes; "auto" finds it by the evidence. The
        solution is then the posterior's mean, ``std`` and ``predict(..., return_std=True)`` say what the noise leaves
        unknown, and ``tol`` has no part. Needs ``n`` or values f, and an operator that ``form="weak"`` can do.
    tol : float, default 1e-8
        On the estimated error of u in the mean square, relative to that of u.
    maxiter : int, default 100, for Adam 1000
        Most Newton steps on one grid, or steps of Adam, of which the published runs take 10^5 to 3 10^6.
    method : {"auto", "adam"}, default "auto"
        Linear algebra, or, to compare and to reproduce, the published optimisation [1]_: Adam at a rate of 0.01 over
        u at the nodes, the kernels and the precisions of equation and data, which weigh 200 (500 where no derivative
        is of second order). That is for one or two dimensions, values at the sides and constant coefficients of first
        and second derivatives, on a uniform grid whatever ``grid`` says. Its ``error_estimate`` is the distance,
        between the nodes, to the solution of "auto", plus that one's own estimate: see ``estimate``.
    form : {"auto", "strong", "weak"}, default "auto"
        "weak" tests the equation by parts, which makes it exactly symmetric, for u and its unmixed second derivatives
        with constant coefficients and data at both sides; its error stays above some 1e-8. "auto" is "strong" without
        noise, and "weak" with it.
    grid : {"legendre", "uniform"}, default "legendre"
        Nodes at Gauss and Legendre's points, or at equal steps from end to end. Of an array ``f`` it says where the
        values are.
    callback : callable, or object with ``on_chunk``, optional
        Called after each refinement with u at the nodes; ``on_chunk`` with their count and the estimate.
        StopIteration ends the solution. Adam calls back at twenty checkpoints, where it also tests the estimate.

    Returns
    -------
    GPSolution
        ``u``, ``axes``, ``predict``, ``error_estimate``, ``status`` and the rest.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.

    Notes
    -----
    The posterior mean of a Gaussian process given a linear equation is linear algebra. In square-root form, with a
    basis of the kernel's features that is orthonormal on the nodes, the condition number is that of the features and
    not its square; the d-dimensional problem is a sum of matrices of the axes' sizes r_i. Costs: sum n_i r_i^2 for the
    bases, r^3 in two dimensions and r^4 in three for the solution. Nothing of the squared size of the grid is made.
    With the GPU backend the products of the grid's size run on the device; functions are called with NumPy arrays, and
    the small matrices are factorised on the host, so that a gain is to be expected from some 256^3 nodes on.
    With ``noise`` the equation is a sum of numbers in the eigenfunctions of -Delta, whose coefficients have independent
    posteriors: N operations for each trial of the prior's scale, rate of decay, and noise. Intervals of two ``std``
    hold u as often as they say where f is resolved; on equal steps, noise below some 1 % of f is less than the error
    of the rule at the sides (95 % intervals held 89 % at 48 nodes), and ``grid="legendre"`` has none.
    A step of Adam costs some sum n_i^3 + N sum n_i operations, and has the kernels at the n_i distances only.

    References
    ----------
    .. [1] S. Fang, M. Cooley, D. Long, S. Li, R. Kirby, S. Zhe, Solving high frequency and multi-scale PDEs with
       Gaussian processes, ICLR 2024, arXiv:2311.04465.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import pde
    >>> sol = pde.solve_gp({(2,): 1.0}, lambda x: -1e4 * np.sin(100 * x), [(0, 1)], lambda x: np.sin(100 * x))
    >>> sol.converged, bool(abs(sol.predict([[0.5]])[0] - np.sin(50)) < 1e-8)
    (True, True)
    """
    start = time.perf_counter()
    method = _checks.choice("method", method, ("auto", "adam"))
    form = _checks.choice("form", form, ("auto", "strong", "weak"))
    noise = checked_noise(noise)
    problem = _problem(op, f, box, bc, n, kernel, nonlinear, tol, maxiter, grid)
    _checks.function("callback", callback)
    problem.weak = form == "weak" or noise is not None
    _refuse_together(method, form, noise)
    if problem.backend == "gpu" and (method == "adam" or problem.weak):
        raise UnsupportedType(
            "This form of `solve_gp` (method='adam', form='weak' or `noise`) runs on the CPU only, got the GPU "
            "backend; call it within solvers.backend('cpu')."
        )
    if problem.weak:
        require("form" if noise is None else "noise", problem.terms, problem.boundary, problem.N)
    if noise is not None:
        return _with_noise(problem, of_each_axis(kernel, len(problem.box)), noise, callback, start)
    if method == "adam":
        reference = lambda: solve_gp(op, f, box, bc, nonlinear=nonlinear, tol=tol)
        return ended(callback, train(problem, n, kernel, maxiter, reference, callback))
    if not any(np.count_nonzero(index) == 1 for index in (*problem.terms.constant, *problem.terms.varying)):
        raise UnsupportedType("`op` must have a derivative along one axis alone, got mixed ones only.")
    best, last, errors = None, None, []
    newton = matvecs = 0
    stopped = False
    for sizes, kernels in problem.plan:
        last = attempt = _on_grid(problem, sizes, kernels, last)
        newton, matvecs = newton + attempt.iterations, matvecs + attempt.n_matvec
        errors.append(attempt.estimate.error)
        if best is None or (not attempt.solved, attempt.estimate.error) < (not best.solved, best.estimate.error):
            best = attempt
        stopped = _told(callback, attempt, len(errors))
        if stopped or (attempt.estimate.error <= problem.tol and attempt.solved):
            break
        problem.plan.learn(attempt)
    status = _status(problem, best, last, stopped)
    return ended(callback, _answer(problem, best, status, errors, newton, matvecs, time.perf_counter() - start))


def _refuse_together(method, form, noise):
    if method == "adam" and (noise is not None or form == "weak"):
        raise InvalidInput(f"`method` must be 'auto' with noise={noise!r} and form={form!r}, got 'adam'.")
    if form == "strong" and noise is not None:
        raise InvalidInput(f"`form` must be 'auto' or 'weak' with `noise`, which needs its variances, got {form!r}.")


def _with_noise(problem, kernels, noise, callback, start):
    grid, U, posterior, found = solve_noisy(problem, kernels, noise)
    problem.tol = math.inf
    failed = None if posterior.fit.converged else Status.MAXITER
    attempt = _Attempt(grid, U, found, "weak", failed is None, failed, posterior.fit.steps, 0)
    stopped = _told(callback, attempt, 1)
    status = Status.STOPPED if stopped else failed or Status.CONVERGED
    took = time.perf_counter() - start
    return ended(callback, _answer(problem, attempt, status, [found.error], attempt.iterations, 0, took, posterior))


def _told(callback, attempt, count):
    """Tell the callback; True if it asks to stop."""
    at_nodes = [axis.x for axis in attempt.grid.axes]
    return told(
        callback, count, attempt.estimate.error,
        lambda: attempt.grid.apply_at({(0,) * attempt.grid.d: 1.0}, attempt.U, at_nodes),
    )


@dataclass
class _Problem:
    terms: Terms
    boundary: Boundary
    f: Source
    N: Nonlinear | None
    plan: Plan
    box: list
    tol: float
    maxiter: int
    grid: str
    backend: str
    weak: bool = False


@dataclass
class _Attempt:
    grid: Grid
    U: np.ndarray
    estimate: Estimate
    solver: str
    solved: bool
    failed: Status | None
    iterations: int
    n_matvec: int


def _problem(op, f, box, bc, n, kernel, nonlinear, tol, maxiter, grid):
    box = checked_box(box)
    terms, boundary = Terms(op, len(box)), Boundary(bc, box)
    grid = _checks.choice("grid", grid, ("legendre", "uniform"))
    source = Source(f, box, grid)
    kernels = of_each_axis(kernel, len(box))
    plan = Plan(box, terms, boundary, source, n, kernels, nonlinear is not None)
    tol = _checks.tolerance("tol", tol)
    maxiter = _MAXITER if maxiter is None else _checks.count("maxiter", maxiter)
    N, backend = _nonlinear(nonlinear, len(box)), _backend.pick()
    return _Problem(terms, boundary, source, N, plan, box, tol, maxiter, grid, backend)


def _nonlinear(given, d):
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) != 2 or not all(map(_checks.is_function, given)):
        raise UnsupportedType(f"`nonlinear` must be a pair of functions (N, dN_du), got {_checks.brief(given)}.")
    return Nonlinear(*given, with_coordinates=_takes(given[0], d + 1))


def _takes(function, count):
    """Whether a function can be called with so many arguments."""
    import inspect

    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _on_grid(problem, sizes, kernels, last):
    grid = Grid(problem.box, sizes, kernels, problem.boundary, problem.terms, problem.grid, problem.backend)
    coefficients, F = problem.terms.coefficients(grid.nodes), problem.f(grid.nodes)
    U, linear = solve_linear(grid, coefficients, F, _rtol(problem), Weak if problem.weak else Linear)
    solved, iterations, n_matvec = not linear.singular, linear.iterations, linear.n_matvec
    failed = Status.BREAKDOWN if linear.singular else None
    # The defect of a problem that is not resolved falls with refinement.
    if linear.defect > max(problem.tol, _DEFECT):
        solved, failed = False, Status.INCONSISTENT
    if problem.N is not None and failed is not Status.BREAKDOWN:
        newton = Newton(grid, coefficients, F, problem.N, problem.maxiter)
        U, solved = newton.solve(grid.carried(last.grid, last.U, U) if last is not None and last.solved else U)
        linear = newton.linear or linear
        iterations, n_matvec = newton.steps, n_matvec + newton.n_matvec
        failed = None if solved else Status.DIVERGED if newton.steps < problem.maxiter else Status.MAXITER
    if linear.singular:
        found = Estimate(*[math.inf] * 6)
    else:
        found = estimate(grid, problem.terms, problem.f, problem.N, U, linear)
    return _Attempt(grid, U, found, linear.name, solved, failed, iterations, n_matvec)


def _rtol(problem):
    """Of GMRES: for the equation itself, or for what Newton's method starts from."""
    return _ROUGH_RTOL if problem.N is not None else min(max(1e-3 * problem.tol, _LEAST_RTOL), _ROUGH_RTOL)


def _status(problem, best, last, stopped):
    error = best.estimate
    if best.solved and error.error <= problem.tol:
        return Status.CONVERGED
    if stopped:
        return Status.STOPPED
    if best.failed is not None:
        return best.failed
    # What rounding is multiplied by this much has no single solution to working precision.
    if last.failed is Status.BREAKDOWN or error.rounding > _SINGULAR:
        return Status.BREAKDOWN
    if problem.plan.fixed is None and best is not last and last.solved and math.isfinite(error.error):
        # Refinement has made it worse.
        return Status.STAGNATED
    return Status.STAGNATED if error.rounding + error.sides > 0.5 * error.error else Status.MAXITER


def _answer(problem, best, status, errors, iterations, n_matvec, seconds, posterior=None):
    return GPSolution(
        grid=best.grid, U=best.U, estimate=best.estimate, choice=best.solver, status=status, iterations=iterations,
        residuals=np.array(errors), residual=best.estimate.relative_residual, threshold=problem.tol,
        n_matvec=n_matvec, seconds=seconds, backend=best.grid.backend, method="solve_gp",
        op=problem.terms.constant, no_std=refusal(problem.terms, problem.boundary, problem.N), posterior=posterior,
    )  # fmt: skip
