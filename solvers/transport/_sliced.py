"""The sliced Wasserstein distance with its error bar (Rabin et al. 2011; Bonneel et al. 2015).

SW_p^p = E W_p^p(h'X, h'Y) over uniform directions h is estimated along few directions, with control variates whose
means are known (Nguyen & Ho 2024, arXiv:2305.00402). What is done differently: for p = 2 the control is the exact
distance between the Gaussians of the same means and covariances, whose mean over the sphere is computed; the error is
estimated from independent rotations where directions depend on each other; and directions are doubled until it is
small enough.
"""

import math
import time

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._loop import ended
from .._result import Status
from .._tasks import run_tasks
from .._types import Callback, Executor, Seed
from ._sliced_clouds import Clouds, power_of
from ._sliced_controls import Control
from ._sliced_estimate import Estimate, estimate, slopes
from ._sliced_plan import Plan
from ._sliced_result import SlicedResult

__all__ = ["sliced_wasserstein"]

# What an executor is given of 4096 directions: so many tasks at most, of at least so many directions.
_TASKS, _LEAST = 16, 16


def sliced_wasserstein(
    X: ArrayLike,
    Y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 2,
    n_projections: int | None = None,
    rtol: float | None = None,
    atol: float = 0.0,
    max_projections: int = 65536,
    directions: str | ArrayLike = "auto",
    control: str | None = "auto",
    coefficient: str | float | None = None,
    normalize: bool = False,
    grad: bool = False,
    callback: Callback | None = None,
    rng: Seed | None = None,
    executor: Executor | None = None,
) -> SlicedResult:
    """Estimate the sliced Wasserstein distance SW_p of two clouds of points: (E_h W_p^p(h'X, h'Y))^(1/p).

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points; a vector is points on a line. Two float32 clouds are projected in float32 and summed in float64; all
        else is float64.
    Y : array_like, shape (m, d)
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of total 1; uniform by default.
    p : float >= 1, default 2
    n_projections : int, optional
        How many directions: at most so many, since sets of dependent ones are kept whole. Default: 256 without a
        tolerance; with one, where doubling starts (64).
    rtol, atol : float, optional
        Double the directions until ``standard_error <= max(rtol * distance, atol)``.
    max_projections : int, default 65536
        Where doubling ends with status MAXITER.
    directions : {"auto", "iid", "orthogonal", "spiral", "lattice", "sobol"} or array_like, shape (L, d)
        "orthogonal": orthonormal frames; "spiral" (d = 3) and "lattice" (d = 2): even sets, rotated at random;
        "sobol": shifted Sobol points. All but "iid" come as at least 8 independent sets, from which the error bar is
        made. "auto": lattice or spiral for d = 2 and 3, whole orthogonal bases where 8 fit, else iid. Your own
        directions must have norm 1, and are taken for independent.
    control : {"auto", "gaussian", "lower", "upper", "both", "harmonics"} or None
        The control variate. "gaussian": the exact distance of the Gaussians with the same moments; "lower" and
        "upper": those of Nguyen & Ho, "both": their span; "harmonics": even polynomials of the direction, for small d
        and independent directions. "auto": gaussian for p = 2, else None.
    coefficient : {"authors", "ols"} or float, optional
        What the control is multiplied by: the formula of Nguyen & Ho, least squares, or a number. Default: 1 for
        "gaussian" (least squares where p is not 2), "authors" for "lower" and "upper", "ols" for the rest.
    normalize : bool, default False
        Divide a and b by their totals.
    grad : bool, default False
        Also compute ``grad_X`` and ``grad_Y``, the derivatives of ``unclipped_power`` with control and coefficient
        included.
    callback : callable, or object with ``on_chunk(n_projections, standard_error)``, optional
        Called after each round with the result so far; StopIteration ends the estimate.
    rng : None, int or numpy.random.Generator, optional
    executor : concurrent.futures executor, optional
        Where blocks of directions are projected, in threads, processes or elsewhere; on the CPU. ``grad`` is computed
        here.

    Returns
    -------
    SlicedResult
        ``distance``, ``standard_error``, ``confidence_interval()``, ``power``, ``bounds``, ``values`` and the rest.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.
    TaskError
        If a task of the executor failed: names its directions.

    Notes
    -----
    One direction costs n d products and a sort. Blocks of directions are drawn from streams of their own: with one
    seed, iid directions and whole orthogonal bases are nested in their number, and no answer depends on threads or
    on an executor, whose tasks carry the clouds, up to 16 times in 4096 directions.
    In one dimension, and for equal measures, the answer is exact. The moments of "gaussian" cost n d^2 products and
    its quadrature some eigenproblems of size d: in hundreds of dimensions, as much as some tens of directions.

    References
    ----------
    .. [1] K. Nguyen and N. Ho, Sliced Wasserstein estimation with control variates, ICLR 2024.
    .. [2] R. Leluc et al., Sliced-Wasserstein estimation with spherical harmonics as control variates, ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> X, Y = np.random.default_rng(0).standard_normal((2, 500, 10))
    >>> res = transport.sliced_wasserstein(X, Y + 1, rtol=1e-3, rng=0)
    >>> res.converged, round(res.distance, 2), res.n_projections
    (True, 1.03, 120)
    >>> transport.sliced_wasserstein([[0], [2]], [[1], [3]], p=1)
    SlicedResult(distance 1, exact, cpu)
    """
    began = time.perf_counter()
    _checks.function("callback", callback)
    grad = _checks.flag("grad", grad)
    clouds = Clouds(X, Y, a, b, power_of(p), _checks.flag("normalize", normalize))
    plan = Plan(clouds, n_projections, rtol, atol, max_projections, directions, control, coefficient, rng)
    run = _Run(clouds, plan, began, clouds.checked(executor))
    return run.exact(grad) if clouds.d == 1 or clouds.coincide() else run.to_the_end(grad, callback)


class _Run:
    """Rounds of directions: their values and controls, and the result so far."""

    def __init__(self, clouds, plan, began, executor):
        self.clouds, self.plan, self.began, self.executor = clouds, plan, began, executor
        self.values, self.columns = np.empty(0), np.empty((0, 0))
        self.directions = self.control = self.estimate = None
        self.errors, self.computed = [], 0

    def to_the_end(self, grad, callback):
        plan, number = self.plan, self.plan.number
        while True:
            self.round(plan.directions(number))
            result = self.result()
            if _stopped(callback, result):
                result = self.result(Status.STOPPED)
            if result.status is not Status.MAXITER or number >= plan.most or not plan.doubles:
                break
            number = min(2 * number, plan.most)
        if grad:
            self.differentiate(result)
        return ended(callback, result)

    def round(self, directions):
        """Values and controls along these directions; the ones known are kept."""
        plan, degree = self.plan, self.plan.degree(directions.number)
        keep = len(self.values) if self.directions is not None and directions.extends(self.directions) else 0
        new = [self.values[:keep]]
        for batch in directions.batches(keep):
            new.append(self.powers(batch, sum(map(len, new))))
        self.values = np.concatenate(new)
        self.computed += directions.number - keep
        if self.control is None or degree != self.control.degree:
            self.control = Control(plan.control, self.clouds.moments, degree)
            keep = 0
        parts = [self.control.columns(batch) for batch in directions.batches(keep)]
        self.columns = np.concatenate([*([self.columns[:keep]] if keep else []), *parts])
        if plan.rule == "ols" and len(self.values) < self.columns.shape[1] + 3:
            raise InvalidInput(
                f"`n_projections` must be >= {self.columns.shape[1] + 3} for least squares on {self.columns.shape[1]} "
                f"controls, got {len(self.values)}."
            )
        self.directions = directions
        self.estimate = estimate(self.values, self.columns, plan.rule, directions.size)
        self.errors.append(self.error_of_distance(self.power()))

    def powers(self, directions, first):
        """W_p^p along some directions, the first of which has this number."""
        if self.executor is None:
            return self.clouds.powers(directions)
        number, count = len(directions), min(_TASKS, -(-len(directions) // _LEAST))
        ends = [number * t // count for t in range(count + 1)]
        names = [f"directions {first + lo} to {first + hi - 1}" for lo, hi in zip(ends, ends[1:])]
        tasks = [(self.clouds, directions[lo:hi]) for lo, hi in zip(ends, ends[1:])]
        return np.concatenate(run_tasks(self.executor, _along, tasks, names, self._shown))

    def _shown(self, task, powers):
        return powers * self.clouds.unit**self.clouds.p

    def bounds(self):
        """Of the power."""
        return self.clouds.moments.bounds if self.clouds.p == 2 else None

    def limits(self):
        """What the power does not leave: its bracket, where there is one.

        Along the user's own directions without a control the mean is what was asked for, as in other libraries.
        """
        asked = self.plan.own is not None and self.plan.control is None
        return (0.0, math.inf) if self.clouds.p != 2 or asked else self.bounds()

    def power(self):
        least, most = self.limits()
        return min(max(self.estimate.power, least), most)

    def error_of_distance(self, power):
        """The delta method, which the triangle inequality bounds near zero."""
        p, error = self.clouds.p, self.estimate.error
        bound = error ** (1 / p) * self.clouds.unit
        if p == 1 or power == 0.0:
            return bound
        return min(bound, error / (p * power ** (1 - 1 / p)) * self.clouds.unit)

    def result(self, status=None):
        """What is known so far."""
        clouds, power, p = self.clouds, self.power(), self.clouds.p
        distance, error = power ** (1 / p) * clouds.unit, self.errors[-1]
        threshold = self.plan.threshold(distance)
        if status is None:
            status = Status.CONVERGED if error <= threshold else Status.MAXITER
        return self.filled(status, distance, power, threshold, self.directions.kind, self.plan.control)

    def filled(self, status, distance, power, threshold, kind, control):
        clouds, found = self.clouds, self.estimate
        p, scale = clouds.p, clouds.unit**clouds.p
        bounds = None if self.bounds() is None else tuple(math.sqrt(v) * clouds.unit for v in self.bounds())
        facts = dict(
            distance=distance,
            power=power * scale,
            unclipped_power=found.power * scale,
            power_standard_error=found.error * scale,
            p=p,
            bounds=bounds,
            n_projections=len(self.values),
            directions=kind,
            n_rotations=getattr(self.directions, "rotations", 0),
            control=control,
            coefficient=_coefficient(control, found.coefficients),
            variance_ratio=_ratio(found),
            values=self.values * scale,
            grad_X=None,
            grad_Y=None,
            known=(*(v * scale for v in self.limits()), found.freedom),
        )
        return SlicedResult(
            facts=facts,
            status=status,
            iterations=len(self.errors),
            residuals=np.array(self.errors),
            residual=self.errors[-1],
            threshold=threshold,
            n_matvec=self.computed,
            seconds=time.perf_counter() - self.began,
            backend=clouds.backend,
            method="sliced_wasserstein",
        )

    def exact(self, grad):
        """One direction in one dimension; none for equal measures."""
        clouds, alone = self.clouds, np.ones((1, 1))
        equal = clouds.coincide()
        self.values = np.zeros(0) if equal else clouds.powers(alone)
        power = 0.0 if equal else float(self.values[0])
        self.estimate = Estimate(power, 0.0, 1, np.zeros(0), 0.0)
        self.errors, self.computed = [0.0], len(self.values)
        distance = power ** (1 / clouds.p) * clouds.unit
        threshold = self.plan.threshold(distance)
        result = self.filled(Status.CONVERGED, distance, power, threshold, "exact", None)
        if clouds.p == 2:
            result.bounds = (distance, distance) if equal else result.bounds
        result._known = result.power, result.power, 1
        if grad:
            gradients = np.zeros(clouds.X.shape), np.zeros(clouds.Y.shape)
            if not equal:
                clouds.powers(alone, np.full(1, clouds.unit ** (clouds.p - 1)), gradients)
            result.grad_X, result.grad_Y = map(clouds.leave, gradients)
        return result

    def differentiate(self, result):
        """Derivatives of the power with respect to the points, one more pass over the directions."""
        clouds, moments = self.clouds, self.clouds.moments
        by_values, by_columns = slopes(self.values, self.columns, self.plan.rule)
        scale = clouds.unit ** (clouds.p - 1)
        gradients, first = (np.zeros(clouds.X.shape), np.zeros(clouds.Y.shape)), 0
        for batch in self.directions.batches():
            clouds.powers(batch, scale * by_values[first : first + len(batch)], gradients)
            first += len(batch)
        if self.plan.control not in (None, "harmonics"):
            P, Q, R = self.control.gradient(self.directions.batches(), 2 * scale * by_columns)
            for gradient, points, weights, mean, shift, matrix in zip(
                gradients, (clouds.X, clouds.Y), (clouds.a, clouds.b), moments.means, (P, -P), (Q, R)
            ):
                part = (points - mean) @ matrix.T + shift @ moments.z
                gradient += part / len(points) if weights is None else part * weights[:, None]
        result.grad_X, result.grad_Y = map(clouds.leave, gradients)
        result.seconds = time.perf_counter() - self.began


def _along(task):
    clouds, directions = task
    return clouds.powers(directions)


def _coefficient(control, coefficients):
    if control in (None, "harmonics"):
        return None
    return float(coefficients[0]) if len(coefficients) == 1 else tuple(map(float, coefficients))


def _ratio(found):
    if found.error > 0:
        return (found.plain / found.error) ** 2
    return math.inf if found.plain > 0 else 1.0


def _stopped(callback, result):
    """Tell the callback; whether it wants to stop."""
    if callback is None:
        return False
    try:
        if hasattr(callback, "on_chunk"):
            callback.on_chunk(result.n_projections, result.standard_error)
        else:
            callback(result)
    except StopIteration:
        return True
    return False
