"""Sliced Wasserstein distances between all pairs of many clouds: each cloud is projected and sorted once.

For p = 2 and equally many points of equal weights, the distance along a direction is the Euclidean one between sorted
projections, so that all pairs come from one matrix product. A product cancels where two clouds are close: such pairs
are subtracted instead. All else is coupled by its quantiles, pair by pair. The same directions serve all pairs.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _backend, _checks
from .._errors import InvalidInput, UnsupportedType
from .._tasks import check_executor, run_tasks
from .._types import Executor, Seed
from ._measures import points
from ._sliced_clouds import Clouds, power_of, probabilities
from ._sliced_controls import Moments
from ._sliced_gaussian import gaussian_mean
from ._sliced_plan import Plan

__all__ = ["pairwise_sliced_wasserstein"]

# What an executor is given: so many tasks at most, of whole sets of directions each; it decides on the last bits.
_TASKS = 16
# Numbers in the sorted projections of all clouds that are held at a time (32 MB).
_NUMBERS = 2**22
# Below this part of what it is the difference of, a square has lost more than three digits.
_CLOSE = 1e-3
# Seconds, roughly: of a Gaussian mean in d dimensions, and of a projected and sorted point.
_MEAN, _MEAN_SQUARED, _POINT, _COORDINATE = 1e-3, 1.2e-6, 5e-9, 1e-10
# Times the rest that the Gaussian means may take: for their accuracy, hundreds of times as many projections.
_WORTH = 4


def pairwise_sliced_wasserstein(
    clouds: Sequence[ArrayLike],
    weights: Sequence[ArrayLike | None] | None = None,
    *,
    p: float = 2,
    n_projections: int | None = None,
    directions: str | ArrayLike = "auto",
    control: str | None = "auto",
    normalize: bool = False,
    errors: bool = False,
    rng: Seed | None = None,
    executor: Executor | None = None,
) -> NDArray[Any] | Any:  # a pair of them for errors=True
    """Estimate the sliced Wasserstein distances between all pairs of k clouds of points.

    Parameters
    ----------
    clouds : sequence of k array_like, shapes (n_i, d)
        Points; n_i may differ. Projected in float32 if all are float32, else in float64.
    weights : sequence of k array_like or None, shapes (n_i,), optional
        Weights >= 0 of total 1; uniform by default.
    p : float >= 1, default 2
    n_projections : int, optional
        How many directions: at most so many. Default: 256, or as many as are yours.
    directions : str or array_like, shape (L, d), default "auto"
        As in ``sliced_wasserstein``.
    control : {"auto", "gaussian"} or None
        The exact distance between Gaussians as a control variate, for p = 2. "auto" takes it for p = 2, unless its
        k (k - 1) / 2 means would take more than some four times as long as all the rest.
    normalize : bool, default False
        Divide each cloud's weights by their total.
    errors : bool, default False
        Return standard errors as well.
    rng : None, int or numpy.random.Generator, optional
    executor : concurrent.futures executor, optional
        Where blocks of directions are computed, in threads, processes or elsewhere.

    Returns
    -------
    D : ndarray, shape (k, k)
        Distances; symmetric, with zeros on the diagonal. D[i, j] is what ``sliced_wasserstein`` says of clouds i and j
        with the same seed and options, but for rounding; without a control it is not cut to the pair's ``bounds``,
        which would cost as much as the control.
    S : ndarray, shape (k, k), for ``errors=True``
        Their standard errors.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.
    TaskError
        If a task of the executor failed: names its directions.

    Notes
    -----
    One direction costs n d products and a sort for each cloud, and n multiplications for each pair. Blocks of
    directions are fixed and added up in order: no bit depends on the executor.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> X = np.random.default_rng(0).standard_normal((300, 3))
    >>> D = transport.pairwise_sliced_wasserstein([X, X + [3, 0, 0], 2 * X], rng=0)
    >>> np.round(D, 2)
    array([[0.  , 1.73, 0.97],
           [1.73, 0.  , 2.04],
           [0.97, 2.04, 0.  ]])
    """
    errors = _checks.flag("errors", errors)
    family = _Family(clouds, weights, power_of(p), _checks.flag("normalize", normalize))
    n_projections = None if n_projections is None else _checks.count("n_projections", n_projections, 2)
    control = family.control(control, n_projections or 256)
    plan = Plan(family, n_projections, None, 0.0, 65536, directions, None, None, rng)
    check_executor(executor)
    if len(family.points) == 1:
        powers = deviations = np.zeros((1, 1))
    else:
        powers, deviations = _estimate(family, plan, control, executor)
    D, S = family.distances(powers, deviations)
    return (D, S) if errors else D


class _Family:
    """The clouds as the kernels take them: from a common origin, in a common unit, with weights of total 1."""

    def __init__(self, clouds, weights, p, normalize):
        clouds = _sequence("clouds", clouds)
        if _backend.pick(**{f"clouds[{i}]": cloud for i, cloud in enumerate(clouds)}) != "cpu":
            raise UnsupportedType(
                "`clouds` must be compared on the CPU: bring them over (cupy.asnumpy, or .cpu() in torch), and choose "
                "no backend but 'cpu' or 'auto'; sliced_wasserstein compares two clouds on a GPU."
            )
        clouds = [points(f"clouds[{i}]", cloud) for i, cloud in enumerate(clouds)]
        if not clouds:
            raise InvalidInput("`clouds` must hold at least one cloud of points, got none.")
        for i, cloud in enumerate(clouds):
            if len(cloud) == 0 or cloud.shape[1] != clouds[0].shape[1]:
                raise InvalidInput(
                    f"`clouds[{i}]` must have at least one point of {clouds[0].shape[1]} coordinates, as `clouds[0]` "
                    f"has, got shape {cloud.shape}."
                )
        weights = [None] * len(clouds) if weights is None else _sequence("weights", weights)
        if len(weights) != len(clouds):
            raise InvalidInput(f"`weights` must be one entry a cloud, {len(clouds)}, got {len(weights)}.")
        self.p, self.d = p, clouds[0].shape[1]
        self.weights = [
            probabilities(f"weights[{i}]", given, len(cloud), normalize)
            for i, (given, cloud) in enumerate(zip(weights, clouds))
        ]
        if any(w is not None for w in self.weights):
            self.weights = [np.full(len(c), 1 / len(c)) if w is None else w for w, c in zip(self.weights, clouds)]
        self.points, self.unit = _conditioned(clouds, p)

    def control(self, given, number):
        """The name of the control, or None."""
        if given is not None:
            _checks.choice("control", given, ("auto", "gaussian"))
        if given == "gaussian" and self.p != 2:
            raise InvalidInput(f"`control` must be None or 'auto' for p = {self.p:g}: that of Gaussians is for p = 2.")
        if given == "auto" and self.p == 2:
            pairs, sizes = len(self.points) * (len(self.points) - 1) / 2, sum(map(len, self.points))
            means = pairs * (_MEAN + _MEAN_SQUARED * self.d**2)
            rest = sizes * number * (_POINT + _COORDINATE * self.d)
            return "gaussian" if means <= _WORTH * rest else None
        return None if given == "auto" else given

    def equal(self, largest):
        """Pairs of one measure, of those (i <= j) that no direction tells apart by more than rounding."""
        extent = math.sqrt(self.d) * max(float(np.abs(cloud).max()) for cloud in self.points)
        for i, j in zip(*np.nonzero(np.triu(largest <= 1e-10 * extent**self.p))):
            sides = self.points[i], self.points[j], self.weights[i], self.weights[j]
            if i == j or Clouds(*sides, self.p, False).coincide():
                yield i, j

    def distances(self, powers, deviations):
        """Roots of powers, and their errors: the delta method, which the triangle inequality bounds near zero."""
        distances, bound = powers ** (1 / self.p), deviations ** (1 / self.p)
        slopes = self.p * np.where(powers > 0, distances, 1.0) ** (self.p - 1)
        errors = bound if self.p == 1 else np.where(powers > 0, np.minimum(bound, deviations / slopes), bound)
        return distances * self.unit, errors * self.unit


def _sequence(name, given):
    try:
        return list(given)
    except TypeError:
        raise InvalidInput(f"`{name}` must be a sequence with one entry a cloud, got {_checks.brief(given)}.") from None


def _conditioned(clouds, p):
    """All clouds in one dtype, without a common offset, and their unit."""
    if len(clouds) == 1:
        return clouds, 1.0
    rest = np.concatenate(clouds[1:])
    try:
        both = Clouds(clouds[0], rest, None, None, p, False)
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("`X` and `Y`", "`clouds`")) from None
    ends = np.cumsum([len(cloud) for cloud in clouds[1:]])
    return [both.X, *np.split(both.Y, ends[:-1])], both.unit


def _estimate(family, plan, control, executor):
    """Powers and their standard errors, (k, k) each."""
    if family.d == 1:
        size, rows, control = 1, np.ones((1, 1)), None
    else:
        chosen = plan.directions(plan.number)
        size, rows = chosen.size, np.concatenate(list(chosen.batches()))
    means, covariances, expected, most = _moments(family, control, executor)
    sets = len(rows) // size
    ends = sorted({sets * t // _TASKS * size for t in range(_TASKS + 1)})
    shared = family.points, family.weights, family.p, size, means, covariances
    tasks = [(*shared, rows[first:last]) for first, last in zip(ends, ends[1:])]
    count, mean, squares, largest = 0, 0.0, 0.0, 0.0
    names = [f"directions {first} to {last - 1}" for first, last in zip(ends, ends[1:])]
    for more, mean_there, squares_there, largest_there in run_tasks(executor, _block, tasks, names):
        gap, total = mean_there - mean, count + more
        mean = mean + gap * (more / total)
        squares = squares + squares_there + gap * gap * (count * more / total)
        count, largest = total, np.maximum(largest, largest_there)
    powers = np.clip(mean + expected, expected, most)
    for i, j in family.equal(largest):
        powers[i, j] = powers[j, i] = squares[i, j] = squares[j, i] = 0.0
    deviations = np.sqrt(squares / (count - 1) / count) if count > 1 else np.zeros_like(squares)
    return powers, deviations


def _moments(family, control, executor):
    """Means (k, d) and covariances of the clouds, the controls' expectations, and what powers cannot exceed (k, k)."""
    if control is None:
        return None, None, 0.0, np.inf
    each = [Moments(cloud, cloud[:1], w, None) for cloud, w in zip(family.points, family.weights)]
    means, covariances = np.array([m.means[0] for m in each]), [m.covariances[0] for m in each]
    k = len(each)
    tasks = [(covariances[i], covariances[i + 1 :]) for i in range(k - 1)]
    gaps = np.zeros((k, k))
    names = [f"cloud {i} against the later ones" for i in range(k - 1)]
    for i, row in enumerate(run_tasks(executor, _gaps, tasks, names)):
        gaps[i, i + 1 :] = gaps[i + 1 :, i] = row
    shifts = np.zeros((k, k))
    for i in range(k):
        shifts[i] = ((means[i] - means) ** 2).sum(axis=1) / family.d
    traces = np.array([np.trace(c) for c in covariances]) / family.d
    most = shifts + traces[:, None] + traces
    return means, covariances, np.minimum(shifts + gaps, most), most


def _gaps(task):
    """E (s - t)^2 of one covariance and each of some others."""
    one, others = task
    return [gaussian_mean(one, other) for other in others]


def _block(task):
    """Of sets of directions: their number, the mean of powers less controls, its squares, and the largest powers."""
    clouds, weights, p, size, means, covariances, rows = task
    k, numbers = len(clouds), sum(map(len, clouds))
    together = max(size, _NUMBERS // numbers // size * size)
    count, mean, squares, largest = 0, np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
    for first in range(0, len(rows), together):
        some = np.ascontiguousarray(rows[first : first + together])
        powers = _powers(clouds, weights, p, some)
        largest = np.maximum(largest, powers.max(axis=0))
        if means is not None:
            powers -= _controls(means, covariances, some)
        for value in powers.reshape(-1, size, k, k).mean(axis=1):
            count += 1
            gap = value - mean
            mean += gap / count
            squares += gap * (value - mean)
    return count, mean, squares, largest


def _controls(means, covariances, directions):
    """(h'z)^2 + (s - t)^2 for all pairs, (L, k, k)."""
    along = directions @ means.T
    spreads = np.sqrt(np.maximum([((directions @ c) * directions).sum(axis=1) for c in covariances], 0)).T
    return (along[:, :, None] - along[:, None]) ** 2 + (spreads[:, :, None] - spreads[:, None]) ** 2


def _powers(clouds, weights, p, directions):
    """W_p^p along each direction for all pairs, (L, k, k)."""
    kernels, L, k = _backend.kernels("cpu"), len(directions), len(clouds)
    weighted = weights[0] is not None
    if p == 2 and not weighted and len({len(cloud) for cloud in clouds}) == 1:
        return _products(kernels, clouds, directions)
    keys = [np.empty((L, len(cloud)), cloud.dtype) for cloud in clouds]
    orders = [np.empty(each.shape, np.int32) if weighted else None for each in keys]
    for cloud, each, order in zip(clouds, keys, orders):
        kernels.sorted_projections(cloud, directions, each, order)
    out, powers = np.empty(L), np.zeros((L, k, k))
    for i in range(k):
        for j in range(i):
            kernels.sorted_powers(keys[i], keys[j], orders[i], orders[j], weights[i], weights[j], p, out)
            powers[:, i, j] = powers[:, j, i] = out
    return powers


def _products(kernels, clouds, directions):
    """The same for p = 2 and equally many points: squares of differences from products of the sorted projections."""
    L, k, n = len(directions), len(clouds), len(clouds[0])
    keys, sorted_ = np.empty((L, n), clouds[0].dtype), np.empty((L, k, n))
    for i, cloud in enumerate(clouds):
        kernels.sorted_projections(cloud, directions, keys, None)
        # Differences do not change where the first cloud is the origin, and products cancel less.
        np.subtract(keys, sorted_[:, 0], out=sorted_[:, i]) if i else np.copyto(sorted_[:, 0], keys)
    sorted_[:, 0] = 0.0
    gram = sorted_ @ sorted_.transpose(0, 2, 1)
    squares = np.diagonal(gram, axis1=1, axis2=2)
    sums = squares[:, :, None] + squares[:, None]
    powers = sums - 2 * gram
    for i, j in zip(*np.nonzero((powers <= _CLOSE * sums).any(axis=0))):
        if i < j:
            near = powers[:, i, j] <= _CLOSE * sums[:, i, j]
            gaps = sorted_[near, i] - sorted_[near, j]
            powers[near, i, j] = powers[near, j, i] = np.einsum("ln,ln->l", gaps, gaps)
    powers[:, np.arange(k), np.arange(k)] = 0.0
    return (powers + powers.transpose(0, 2, 1)) / (2 * n)
