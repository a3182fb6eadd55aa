"""Gaussian-process solution of linear and mildly nonlinear differential equations on boxes."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._result import Status
from ._boundary import Boundary
from ._estimate import Estimate, estimate
from ._grid import Grid
from ._kernels import SpectralMixture, of_each_axis
from ._newton import Newton, Nonlinear, solve_linear
from ._operators import Terms
from ._plan import Plan
from ._sampling import evaluate
from ._solution import GPSolution

__all__ = ["solve_gp"]

_MAXITER = 100


def solve_gp(
    op: Mapping,
    f: Callable | ArrayLike,
    box: Sequence,
    bc: Callable | Mapping | float,
    *,
    n: int | Sequence | str = "auto",
    kernel: str | SpectralMixture | Sequence = "auto",
    nonlinear: tuple | None = None,
    tol: float = 1e-8,
    maxiter: int | None = None,
    grid: str = "legendre",
    callback=None,
) -> GPSolution:
    """Solve op(u) + N(u) = f on a box with data at its sides.

    Parameters
    ----------
    op : mapping, multi-index to number or callable
        The linear operator: ``{(2, 0): 1.0, (0, 2): 1.0, (0, 0): c}`` is u_xx + u_yy + c u, c a number or a function
        of (x, y). See ``laplacian``, ``advection``, ``helmholtz``, ``div_grad``.
    f : callable, number or array_like, shape (n_1, ..., n_d)
        The source: a function of d coordinate arrays that broadcast, or its values at the nodes.
    box : sequence of (low, high), one for each of 1 to 3 dimensions
        In the unit of length.
    bc : callable, number, or mapping (axis, side) to one of these, ("neumann", g) or None
        What is known at the sides: values (a function of all coordinates), or the derivative along the axis (not
        along the outward normal); None where nothing is known, as at an outflow. Side 0 is the low end, 1 the high.
    n : "auto", int or sequence of int
        Nodes of each axis. "auto" refines until the estimated error meets ``tol``.
    kernel : "auto", kernel, or sequence of kernels
        The prior of each axis. "auto" is a band of low frequencies, and a spectral mixture at the peaks that the
        periodograms of f and of the data at the sides show above it.
    nonlinear : (N, dN_du), optional
        Functions of u, or of u and the coordinates.
    tol : float, default 1e-8
        On the estimated error of u in the mean square, relative to that of u.
    maxiter : int, default 100
        Most Newton steps.
    grid : {"legendre", "uniform"}
        Nodes at Gauss and Legendre's points, or at equal steps from end to end.
    callback : callable or object with ``on_chunk``, optional
        Called with u at the nodes after each refinement.

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
    problem = _problem(op, f, box, bc, n, kernel, nonlinear, tol, maxiter, grid)
    _checks.function("callback", callback)
    best, last, errors = None, None, []
    newton = matvecs = 0
    for sizes, kernels in problem.plan:
        last = attempt = _on_grid(problem, sizes, kernels, last)
        newton, matvecs = newton + attempt.iterations, matvecs + attempt.n_matvec
        errors.append(attempt.estimate.error)
        if best is None or attempt.estimate.error < best.estimate.error:
            best = attempt
        if attempt.estimate.error <= problem.tol and attempt.solved:
            break
        problem.plan.learn(attempt)
    return _answer(problem, best, errors, newton, matvecs, time.perf_counter() - start)


@dataclass
class _Problem:
    terms: Terms
    boundary: Boundary
    f: object
    N: Nonlinear | None
    plan: Plan
    box: list
    tol: float
    maxiter: int
    grid: str


@dataclass
class _Attempt:
    grid: Grid
    U: np.ndarray
    estimate: Estimate
    solver: str
    solved: bool
    singular: bool
    iterations: int
    n_matvec: int


def _problem(op, f, box, bc, n, kernel, nonlinear, tol, maxiter, grid):
    box = _box(box)
    terms, boundary = Terms(op, len(box)), Boundary(bc, box)
    grid = _checks.choice("grid", grid, ("legendre", "uniform"))
    source = _source(f, len(box))
    kernels = of_each_axis(kernel, len(box))
    plan = Plan(box, terms, boundary, source, n, kernels)
    tol = _checks.tolerance("tol", tol)
    maxiter = _MAXITER if maxiter is None else _checks.count("maxiter", maxiter)
    return _Problem(terms, boundary, source, _nonlinear(nonlinear, len(box)), plan, box, tol, maxiter, grid)


def _box(box):
    try:
        sides = [(float(low), float(high)) for low, high in box]
    except (TypeError, ValueError):
        raise UnsupportedType(f"`box` must be a sequence of pairs (low, high), got {box!r}.") from None
    if not 1 <= len(sides) <= 3:
        raise InvalidInput(f"`box` must have 1 to 3 dimensions, got {len(sides)}.")
    for axis, (low, high) in enumerate(sides):
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InvalidInput(f"`box` must have finite sides with low < high, got {(low, high)} on axis {axis}.")
    return sides


def _source(f, d):
    """f as a function of a mesh."""
    if callable(f):
        return lambda mesh: evaluate("f", f, mesh)
    if isinstance(f, int | float) and not isinstance(f, bool):
        value = _checks.number("f", f)
        return lambda mesh: np.full(np.broadcast_shapes(*(x.shape for x in mesh)), value)
    raise UnsupportedType(f"`f` must be a function of {d} coordinate arrays or a number, got {f!r}.")


def _nonlinear(given, d):
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) != 2 or not all(callable(g) for g in given):
        raise UnsupportedType(f"`nonlinear` must be a pair of functions (N, dN_du), got {given!r}.")
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
    grid = Grid(problem.box, sizes, kernels, problem.boundary, problem.terms, problem.grid)
    coefficients, F = problem.terms.coefficients(grid.nodes), problem.f(grid.nodes)
    U, linear = solve_linear(grid, coefficients, F)
    solved, iterations, n_matvec = not linear.singular, linear.iterations, linear.n_matvec
    if problem.N is not None and solved:
        newton = Newton(grid, coefficients, F, problem.N, problem.maxiter)
        U, solved = newton.solve(grid.carried(last.grid, last.U, U) if last is not None and last.solved else U)
        linear = newton.linear or linear
        iterations, n_matvec = newton.steps, n_matvec + newton.n_matvec
    if linear.singular:
        found = Estimate(*[math.inf] * 6)
    else:
        found = estimate(grid, problem.terms, problem.f, problem.N, U, linear)
    return _Attempt(grid, U, found, linear.name, solved, linear.singular, iterations, n_matvec)


def _answer(problem, best, errors, iterations, n_matvec, seconds):
    if best.solved and best.estimate.error <= problem.tol:
        status = Status.CONVERGED
    elif best.singular:
        status = Status.BREAKDOWN
    elif best.estimate.rounding + best.estimate.sides > 0.5 * best.estimate.error:
        status = Status.STAGNATED
    else:
        status = Status.MAXITER
    return GPSolution(
        grid=best.grid, U=best.U, estimate=best.estimate, solver=best.solver, status=status, iterations=iterations,
        residuals=np.array(errors), residual=best.estimate.relative_residual, threshold=problem.tol,
        n_matvec=n_matvec, seconds=seconds, backend="cpu", method="solve_gp",
    )  # fmt: skip
