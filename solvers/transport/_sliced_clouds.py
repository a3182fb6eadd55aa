"""Two clouds of weighted points as the sliced distances see them: checked, centred and scaled where digits need it."""

import math

import numpy as np

from .. import _backend, _checks
from .._arrays import enter, leaving, on_host
from .._errors import InvalidInput, UnsupportedType
from .._tasks import check_executor
from ._measures import points, weights
from ._sliced_controls import Moments

__all__ = ["Clouds", "power_of", "probabilities"]

# Totals may differ from 1 by rounding in the sums that made them.
_ROUNDING = 1e-6
# An offset of so many times the clouds' extent is taken off (half a digit of float32, two of float64).
_FAR = {"f": 0.5, "d": 100.0}


class Clouds:
    """Points as the kernels take them.

    Checks, means and covariances are the host's: clouds on a GPU come over once. Projections, sorts and sums, the work
    of each direction, happen where the arrays, or the choice of a backend, say.

    Attributes
    ----------
    X, Y : numpy.ndarray, shapes (n, d) and (m, d)
        In units of ``unit`` and from a common origin; the caller's memory where nothing was to be changed, never
        written to.
    a, b : ndarray of float64, or None for uniform weights on both
        Of total 1.
    unit : float
        A power of 2 that keeps the p-th powers within range.
    backend : {"cpu", "gpu"}
    leave : callable
        Makes arrays of the library of X of NumPy's.
    """

    def __init__(self, X, Y, a, b, p, normalize):
        self.backend = _backend.pick(X=X, Y=Y, a=a, b=b)
        self._kernels, self._leave = _backend.kernels(self.backend), leaving(X)
        X, Y = _filled("X", X), _filled("Y", Y)
        # Where X is on one of several GPUs, the work is done there.
        self._device, (X, Y, a, b) = X, map(on_host, (X, Y, enter("a", a), enter("b", b)))
        if X.shape[1] != Y.shape[1]:
            raise InvalidInput(f"`Y` must have points of {X.shape[1]} coordinates as `X` has, got {Y.shape[1]}.")
        self.p, self.d = p, X.shape[1]
        self.a, self.b = probabilities("a", a, len(X), normalize), probabilities("b", b, len(Y), normalize)
        if self.a is not None or self.b is not None:
            self.a, self.b = _uniform(self.a, len(X)), _uniform(self.b, len(Y))
        dtype = np.result_type(X.dtype, Y.dtype)
        self.X, self.Y, self.unit = _conditioned(X, Y, p, dtype, Moments(X, Y, self.a, self.b))
        self.moments = Moments(self.X, self.Y, self.a, self.b)
        with self._kernels.device_of(self._device):
            self._there = [each if each is None else self._sent(each) for each in (self.X, self.Y, self.a, self.b)]

    def __getstate__(self):
        """For workers in other processes, which get the points alone: modules do not pickle."""
        return {name: getattr(self, name) for name in ("X", "Y", "a", "b", "p", "d", "unit", "moments")}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.backend, self._kernels, self._leave, self._device = "cpu", _backend.kernels("cpu"), leaving(self.X), self.X
        self._there = [self.X, self.Y, self.a, self.b]

    def _sent(self, values):
        return values if self.backend == "cpu" else self._kernels.to_device(values, values.dtype)

    def leave(self, values):
        with self._kernels.device_of(self._device):
            return self._leave(self._sent(values))

    def powers(self, directions, slopes=None, gradients=(None, None)):
        """W_p^p along directions; with slopes (L,) their product with the derivatives is added to the gradients."""
        kernels, out, directions = self._kernels, np.empty(len(directions)), np.ascontiguousarray(directions)
        with kernels.device_of(self._device):
            if slopes is None:
                kernels.sliced_powers(*self._there, directions, self.p, out)
                return out
            there = [self._sent(each) for each in gradients]
            kernels.sliced_gradients(*self._there, directions, np.ascontiguousarray(slopes), self.p, out, *there)
            for each, added in zip(gradients, there):
                if added is not each:
                    each[...] = kernels.to_host(added)
        return out

    def checked(self, executor):
        """Check that an executor can work with these clouds; returns it."""
        if check_executor(executor) is not None and self.backend != "cpu":
            raise UnsupportedType(
                "`executor` must be None where clouds are compared on the GPU, which takes all directions at once, got "
                f"a {type(executor).__name__}; leave it out, or bring the clouds to the CPU."
            )
        return executor

    def coincide(self):
        """Whether the two are one measure, its points in any order and its atoms split in any way."""
        clouds = [
            (points, weights) if weights is None or weights.all() else (points[weights > 0], weights[weights > 0])
            for points, weights in ((self.X, self.a), (self.Y, self.b))
        ]
        (X, _), (Y, _) = clouds
        if not (np.array_equal(X.min(axis=0), Y.min(axis=0)) and np.array_equal(X.max(axis=0), Y.max(axis=0))):
            return False
        (P, u), (Q, v) = (_atoms(*cloud) for cloud in clouds)
        return P.shape == Q.shape and np.array_equal(P, Q) and bool(np.all(np.abs(u - v) <= 1e-13))


def power_of(p):
    """A checked power: 1 <= p < inf."""
    p = _checks.number("p", p)
    if not 1.0 <= p < math.inf:
        raise InvalidInput(f"`p` must be >= 1 and finite, got {p!r}; below 1 there is no distance.")
    return p


def probabilities(name, given, size, normalize):
    """Checked weights in float64 of total 1, or None for uniform ones."""
    if given is None:
        return None
    values, total = weights(name, given, size, np.float64, "to go with the points")
    if not normalize and abs(total - 1.0) > _ROUNDING:
        raise InvalidInput(
            f"`{name}` must have total 1, got {total:.9g}; pass normalize=True, since a sliced distance compares "
            "probabilities."
        )
    values = np.asarray(values, dtype=np.float64) / total
    return None if np.all(values == values[0]) else values


def _filled(name, given):
    values = points(name, given)
    if len(values) == 0:
        raise InvalidInput(f"`{name}` must have at least one point, got shape {values.shape}.")
    return values


def _uniform(weights, size):
    return np.full(size, 1.0 / size) if weights is None else weights


def _conditioned(X, Y, p, dtype, moments):
    """X and Y in the dtype, without a common offset that takes digits, and a unit."""
    with np.errstate(over="ignore"):
        centre = (moments.means[0] / 2) + (moments.means[1] / 2)
    if not np.isfinite(centre).all():
        raise InvalidInput("`X` and `Y` must have means within the range of float64; rescale both.")
    low, high = np.minimum(X.min(axis=0), Y.min(axis=0)), np.maximum(X.max(axis=0), Y.max(axis=0))
    size = float(np.max(high.astype(np.float64) / 2 - low.astype(np.float64) / 2))
    if float(np.abs(centre).max()) <= 2 * _FAR[dtype.char] * size:
        centre = np.zeros_like(centre)
        size = float(max(np.abs(low).max(), np.abs(high).max()))
    exponent = math.frexp(size)[1] if size > 0 else 0
    if p * exponent > 1000:
        raise InvalidInput(
            f"`X` and `Y` must have an extent whose p-th power is a number, got {size:.1e} for p = {p:g}; rescale both."
        )
    # Squares and p-th powers of anything down to 1e-9 of the extent stay within the range of float64.
    unit = 2.0**exponent if max(p, 2.0) * abs(exponent) > 500 else 1.0
    return *(_moved(points, centre, unit, dtype) for points in (X, Y)), unit


def _moved(points, centre, unit, dtype):
    if unit == 1.0 and not centre.any():
        return points.astype(dtype, copy=False)
    out = np.empty(points.shape, dtype)
    np.subtract(points, centre, out=out, casting="same_kind")
    if unit != 1.0:
        out /= dtype.type(unit)
    return out


def _atoms(points, weights):
    """Distinct points in lexicographic order, and their weights."""
    weights = np.full(len(points), 1.0 / len(points)) if weights is None else weights
    atoms, place = np.unique(points, axis=0, return_inverse=True)
    return atoms, np.bincount(place.ravel(), weights)
