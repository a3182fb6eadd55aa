"""The direction along which two clouds differ most: max over h of W_p(h'X, h'Y) (Deshpande et al., CVPR 2019).

f(h) = W_p^p along h is homogeneous of degree p in h. Its gradient with the plan held, g, gives the step h <- g / |g|:
for p = 2 a step of the power method for the plan's matrix of squared differences. It need not ascend, since the plan
changes, so that it is only the unit of a search along the great circle from h towards g. With finitely many points f is
smooth in pieces, and has maxima at their edges, where gradients lead nowhere: there, steps in random directions go on.
Everything starts from several directions; what is found is a local maximum, and the distance never exceeds the largest.
"""

import copy
import math
import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import InvalidInput
from .._loop import ended, told
from .._result import Result, Status
from .._tasks import check_executor, run_tasks
from .._types import Callback, Executor, Seed
from ._sliced_clouds import Clouds, power_of
from ._sliced_directions import root_of

__all__ = ["MaxSlicedResult", "max_sliced_wasserstein"]

# Random directions that are looked at for each start.
_LOOKED_AT = 16
# Angles that are tried along a great circle, as multiples of the last that helped, and the least of all.
_FACTORS, _LEAST = np.array([4.0, 1.0, 0.25, 1 / 16]), 1e-9
# Random steps at an edge: how many at a time, and the part of a step that is tried next if none helps.
_STEPS, _SHORTER = 8, 0.5
# A start has reached the best if its distance is so near.
_SAME = 1e-4


class MaxSlicedResult(Result):
    """The largest distance that was found along a direction.

    Attributes
    ----------
    distance : float
        W_p along ``direction``: a lower bound of the maximum over all directions.
    power : float
        Its p-th power.
    direction : ndarray, shape (d,)
        Of norm 1.
    p : float
    distances : ndarray, shape (n_starts,)
        What each start led to.
    n_reached : int
        Starts that led to ``distance``, to 1e-4 of it; few of many say that there may be a larger one.
    iterations : int
        Steps of the best start; ``residuals`` are the relative increases of its distance, ``residual`` the last one,
        ``threshold`` what that had to meet, ``n_matvec`` the directions that were projected on.
    """

    _answer = "distance"

    distance: float
    power: float
    direction: NDArray[Any]
    p: float
    distances: NDArray[Any]
    n_reached: int

    def __init__(self, *, facts: dict[str, Any], **fields: Any) -> None:
        super().__init__(**fields)
        self.__dict__.update(facts)

    @property
    def message(self) -> str:
        """One line: how it ended, and what to do about it."""
        if self.converged:
            return f"{self!r}: No step leads higher by more than the tolerance."
        if self.status is Status.STOPPED:
            return f"{self!r}: The callback raised StopIteration; the direction is the best so far."
        return (
            f"{self.method} {self.status}: the distance still grew by {self.residual:.1e} of itself after "
            f"{self.iterations} steps, asked for {self.threshold:.1e}. Raise `maxiter`, or loosen `tol`."
        )

    def __repr__(self):
        state = "" if self.converged else f"{self.status}, "
        reached = f"reached by {self.n_reached} of {len(self.distances)} starts"
        return f"MaxSlicedResult({state}distance {self.distance:.6g}, {reached}, {self.backend})"


def max_sliced_wasserstein(
    X: ArrayLike,
    Y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 2,
    n_starts: int = 8,
    maxiter: int = 500,
    tol: float = 1e-7,
    normalize: bool = False,
    callback: Callback | None = None,
    rng: Seed | None = None,
    executor: Executor | None = None,
) -> MaxSlicedResult:
    """Maximise the Wasserstein distance of projections over all directions: max over |h| = 1 of W_p(h'X, h'Y).

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points; a vector is points on a line.
    Y : array_like, shape (m, d)
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of total 1; uniform by default.
    p : float >= 1, default 2
    n_starts : int, default 8
        Directions to ascend from: the difference of the means, the coordinates' combinations whose variances differ
        most, and the best of 16 ``n_starts`` random ones.
    maxiter : int, default 500
        Steps of each start.
    tol : float, default 1e-7
        A start has arrived when no step raises its distance by more than this part of it.
    normalize : bool, default False
        Divide a and b by their totals.
    callback : callable, or object with ``on_chunk(steps, rise)``, optional
        Called as ``callback(direction)`` after each step, start after start, with a copy of the direction that it led
        to; ``on_chunk`` with the steps of all starts and the relative rise. StopIteration ends the search.
    rng : None, int or numpy.random.Generator, optional
    executor : concurrent.futures executor, optional
        Where each start ascends without ``callback``, in threads, processes or elsewhere, to the same bits; on the CPU.

    Returns
    -------
    MaxSlicedResult
        ``distance``, ``direction``, ``n_reached`` and the rest.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.
    TaskError
        If a task of the executor failed: names its start.

    Notes
    -----
    A step projects on some five directions: 5 (n + m) d products and 5 sorts of each cloud. The function has many local
    maxima where the clouds have many clusters; no method says that the largest was found, but ``n_reached`` shows
    how often it was. In one dimension the answer is exact.

    References
    ----------
    .. [1] I. Deshpande et al., Max-sliced Wasserstein distance and its use for GANs, CVPR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> X = np.random.default_rng(0).standard_normal((200, 5))
    >>> res = transport.max_sliced_wasserstein(X, X + [0, 3, 0, 4, 0], rng=0)
    >>> res
    MaxSlicedResult(distance 5, reached by 8 of 8 starts, cpu)
    >>> np.abs(res.direction).round(6)
    array([0. , 0.6, 0. , 0.8, 0. ])
    """
    began = time.perf_counter()
    clouds = Clouds(X, Y, a, b, power_of(p), _checks.flag("normalize", normalize))
    n_starts = _checks.count("n_starts", n_starts, each=16 * _LOOKED_AT * clouds.d)
    maxiter = _checks.count("maxiter", maxiter, 0)
    tol = _checks.tolerance("tol", tol)
    if tol == 0.0:
        raise InvalidInput("`tol` must be > 0, got 0.0; rounding ends the ascent near 1e-15.")
    check_executor(executor, _checks.function("callback", callback))
    rng, executor = np.random.default_rng(root_of(rng)), clouds.checked(executor)
    climb = _Climb(clouds, tol, maxiter, rng)
    if clouds.d == 1 or clouds.coincide():
        climb.begin(np.eye(1, clouds.d))
        climb.arrived[:] = True
    else:
        climb.begin(_starts(climb, n_starts, rng))
        climb.to_the_end(executor, callback)
    return ended(callback, climb.result(began))


def _starts(climb, number, rng):
    """Directions to ascend from: those along which means or variances differ most, and good random ones."""
    moments, d = climb.clouds.moments, climb.clouds.d
    _, vectors = np.linalg.eigh(moments.covariances[0] - moments.covariances[1])
    likely = [vectors[:, 0], vectors[:, -1]]
    if moments.z.any():
        likely.insert(0, moments.z / np.linalg.norm(moments.z))
    drawn = rng.standard_normal((_LOOKED_AT * number, d))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    likely = np.array(likely[: max(1, number // 2)])
    best = np.argsort(-climb.powers(drawn), kind="stable")[: number - len(likely)]
    return np.concatenate([likely, drawn[best]])


class _Climb:
    """Directions on their way up."""

    def __init__(self, clouds, tol, maxiter, rng):
        self.clouds, self.tol, self.maxiter, self.rng = clouds, tol, maxiter, rng
        self.projected, self.stopped = 0, False

    def powers(self, directions):
        self.projected += len(directions)
        return self.clouds.powers(directions)

    def begin(self, directions):
        count = len(directions)
        self.directions, self.values = directions.copy(), self.powers(directions)
        self.angles, self.radii = np.ones(count), np.zeros(count)
        self.arrived, self.steps = np.zeros(count, bool), np.zeros(count, int)
        self.gains = [[] for _ in range(count)]

    def to_the_end(self, executor, callback):
        """All starts on their way, each with a stream of its own to draw from."""
        streams = self.rng.spawn(len(self.values))
        if executor is None:
            for k, stream in enumerate(streams):
                self.ascend(k, stream, callback)
            return
        tasks = [(self.only(k), stream) for k, stream in enumerate(streams)]
        names = [f"start {k}" for k in range(len(tasks))]
        for k, found in enumerate(run_tasks(executor, _ascended, tasks, names, _shown)):
            self.take(k, found)

    def only(self, k):
        """That of one start, on arrays of its own."""
        one = copy.copy(self)
        for name in ("directions", "values", "angles", "radii", "arrived", "steps"):
            setattr(one, name, getattr(self, name)[k : k + 1].copy())
        one.gains, one.projected, one.rng = [[]], 0, None
        return one

    def take(self, k, found):
        """Take over what a start has led to elsewhere."""
        self.directions[k], self.values[k], self.arrived[k], self.steps[k], self.gains[k], projected, _ = found
        self.projected += projected

    def ascend(self, k, stream, callback=None):
        """Steps until it has arrived, or the callback stops all."""
        while not (self.arrived[k] or self.stopped) and self.steps[k] < self.maxiter:
            before = self.values[k]
            if self.radii[k] == 0.0:
                self.along_gradient(k)
            else:
                self.at_random(k, stream)
            gain = (self.values[k] - before) / (self.clouds.p * self.values[k]) if before else 0.0
            self.steps[k] += 1
            self.gains[k].append(gain)
            self.stopped = told(callback, int(self.steps.sum()), gain, self.directions[k].copy)

    def along_gradient(self, k):
        """The best of some angles on the great circle towards the gradient; none: an edge, or the top."""
        h = self.directions[k]
        gradient = self.gradient(h)
        tangent = gradient - (gradient @ h) * h
        size = float(np.linalg.norm(tangent))
        # The fixed-point step, h <- g / |g|, turns by this angle.
        turn = math.atan2(size, max(float(gradient @ h), 0.0))
        if turn > _LEAST:
            angles = np.minimum(self.angles[k] * _FACTORS * turn, math.pi / 4)
            if self.move(k, _turned(h, tangent[None] / size, angles[:, None])):
                self.angles[k] = min(self.angles[k] * _FACTORS[self.chosen], 64.0)
                if self.rise > self.tol:
                    return
        # What is left to gain is small, or hidden behind an edge.
        self.radii[k] = max(min(turn, 0.3), 0.03)

    def gradient(self, h):
        """Of the power by the direction, the plan held: derivatives by points are multiples of h."""
        clouds = self.clouds
        gradients = np.zeros(clouds.X.shape), np.zeros(clouds.Y.shape)
        self.projected += 1
        clouds.powers(h[None], np.ones(1), gradients)
        return sum(points.T.astype(np.float64) @ (each @ h) for points, each in zip((clouds.X, clouds.Y), gradients))

    def at_random(self, k, rng):
        """The best of some random steps; shorter ones if none helps, and the gradient again after a long way up."""
        h, radius = self.directions[k], self.radii[k]
        tangents = rng.standard_normal((_STEPS, len(h)))
        tangents -= np.outer(tangents @ h, h)
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        if self.move(k, _turned(h, tangents, radius)) and self.rise > self.tol:
            self.radii[k] = 0.0 if self.rise > 1e-3 else 2 * radius
            return
        self.radii[k] = _SHORTER**2 * radius
        # f is Lipschitz, and at an edge it falls in proportion to the angle.
        self.arrived[k] = self.radii[k] < self.tol

    def move(self, k, candidates):
        """Go to the best candidate if it is higher; ``rise`` is the relative rise of the distance."""
        values = self.powers(candidates)
        self.chosen = int(np.argmax(values))
        value, here = float(values[self.chosen]), self.values[k]
        self.rise = 0.0
        if not value > here:
            return False
        self.rise = (value - here) / (self.clouds.p * value)
        self.values[k], self.directions[k] = value, candidates[self.chosen]
        return True

    def result(self, began):
        clouds, p = self.clouds, self.clouds.p
        best = int(np.argmax(self.values))
        distances = self.values ** (1 / p) * clouds.unit
        gains = np.array(self.gains[best] or [0.0])
        status = Status.CONVERGED if self.arrived[best] else Status.MAXITER
        facts = dict(
            distance=float(distances[best]),
            power=float(self.values[best]) * clouds.unit**p,
            direction=self.directions[best].copy(),
            p=p,
            distances=distances,
            n_reached=int(np.sum(distances >= (1 - _SAME) * distances[best])),
        )
        return MaxSlicedResult(
            facts=facts,
            status=Status.STOPPED if self.stopped else status,
            iterations=int(self.steps[best]),
            residuals=gains,
            residual=float(gains[-1]),
            threshold=self.tol,
            n_matvec=self.projected,
            seconds=time.perf_counter() - began,
            backend=clouds.backend,
            method="max_sliced_wasserstein",
        )


def _ascended(task):
    """What one start led to, the projections that it took, and the seconds."""
    (climb, stream), began = task, time.perf_counter()
    climb.ascend(0, stream)
    found = climb.directions[0], climb.values[0], climb.arrived[0], climb.steps[0], climb.gains[0]
    return *found, climb.projected, time.perf_counter() - began


def _shown(task, found):
    climb, _ = task
    climb = climb.only(0)
    climb.take(0, found)
    return climb.result(time.perf_counter() - found[-1])


def _turned(h, tangents, angles):
    """Directions at these angles from h towards unit tangents, of norm 1 again after rounding."""
    turned = np.cos(angles) * h + np.sin(angles) * tangents
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)
