"""A batch of transport problems as its solver sees it: checked, and what single problems are made from."""

import copy

import numpy as np

from .. import _backend, _checks
from .._arrays import enter, leaving
from .._errors import InvalidInput, UnsupportedType
from ._costs import PointCloud
from ._many import RUNNING
from ._measures import is_single, real
from ._problem import Problem, potentials_of

__all__ = ["Problems", "is_batch"]

# Costs over eps beyond this, totals that are, or their inverse, or that differ by more: these are looked at one by one.
_PLAIN, _SAME = 1e25, 1e-9


def is_batch(C):
    """Whether costs are those of several problems."""
    depth = 0
    while isinstance(C, list | tuple) and len(C) and depth < 3:
        C, depth = C[0], depth + 1
    if isinstance(C, PointCloud) and depth:
        raise UnsupportedType(
            "`C` must be an array of shape (B, n, m) for a batch, got a sequence of PointCloud; solve them one by one."
        )
    return depth + getattr(C, "ndim", 0) == 3


class Problems:
    """Problems of one size; their own copies of what they need.

    Attributes
    ----------
    C : ndarray, shape (B, n, m)
    a, b : ndarray, shapes (B, n) and (B, m)
        Weights that sum to 1; zero where the user's are too small for the dtype.
    u, v : ndarray, shapes (B, n) and (B, m)
        The potentials over eps, -inf where there is no weight; methods update them in place.
    reg, inv_eps, mass, thresholds : ndarray, shape (B,)
    forbids : ndarray of bool, shape (B,)
        Whether some pairs are forbidden.
    iterations, newton_steps, ends : ndarray of int, shape (B,)
        Sweeps and steps so far, and how the sweeps ended.
    history : list of (problems, errors, sweeps)
    tails : dict
        The errors of problems that were handed over to the single solve, which begin where the sweeps ended.
    """

    def __init__(self, C, a, b, eps, x0, normalize):
        x0, normalize = potentials_of(x0), _checks.flag("normalize", normalize)
        if _backend.pick(C=C, a=a, b=b, **{f"x0[{i}]": x0[i] for i in (0, 1)}) != "cpu":
            raise UnsupportedType(
                "`C` must be on the CPU where it has shape (B, n, m), got a batch for the GPU; solve one by one."
            )
        self.leave = leaving(C)
        self.C = np.array(real("C", enter("C", C)), order="C")
        size, n, m = self.C.shape
        if 0 in (n, m):
            raise InvalidInput(f"`C` must have rows and columns, got shape {self.C.shape}.")
        self.dtype, self.normalize = self.C.dtype, normalize
        self._given = _members("a", a, (size, n)), _members("b", b, (size, m))
        self.reg = np.empty(size)
        self.reg[:] = _checks.positive("eps", eps) if is_single(eps) else _members("eps", eps, (size,))
        self._weigh()
        self._x0 = [_members(f"x0[{i}]", x0[i], (size, k), shared=False) for i, k in ((0, n), (1, m))]
        self.u, self.v = self.start()
        self.iterations, self.newton_steps, self.ends = (np.zeros(size, np.int64) for _ in range(3))
        self.ends[:] = RUNNING
        self.history, self.tails = [], {}

    def __len__(self):
        return len(self.C)

    def part(self, rows):
        """The problems of a slice as a batch of their own, not begun, which works on this one's arrays."""
        part = copy.copy(self)
        for name in "C a b u v reg inv_eps mass forbids iterations newton_steps ends".split():
            setattr(part, name, getattr(self, name)[rows])
        part._given = tuple(w if w is None or w.ndim == 1 else w[rows] for w in self._given)
        part._x0 = [None if w is None else w[rows] for w in self._x0]
        part.history, part.tails = [], {}
        return part

    def state(self):
        """What solving changes, for the way back from a worker."""
        return self.u, self.v, self.iterations, self.newton_steps, self.history, self.tails

    def take_state(self, rows, state):
        """Take over what a worker has made of the problems of a slice."""
        self.u[rows], self.v[rows], self.iterations[rows], self.newton_steps[rows] = state[:4]
        _, _, _, _, history, tails = state
        first = rows.start
        self.history += [(which + first, errors, taken) for which, errors, taken in history]
        self.tails |= {k + first: tail for k, tail in tails.items()}

    def _weigh(self):
        size = len(self)
        with np.errstate(all="ignore"):
            least, most = self.C.min(axis=(1, 2)).astype(np.float64), self.C.max(axis=(1, 2)).astype(np.float64)
            self.forbids = most == np.inf
            some = self.C[self.forbids]
            most[self.forbids] = np.max(some, axis=(1, 2), where=some < np.inf, initial=-np.inf)
            self.inv_eps = 1.0 / self.reg
            # A NaN is not less than anything.
            largest = np.maximum(np.maximum(np.abs(least), np.abs(most)), 1.0)
            plain = (largest < _PLAIN * np.minimum(self.reg, 1.0)) & (self.reg < _PLAIN)
            totals = []
            for values in self._given:
                total = np.ones(size) if values is None else np.broadcast_to(values.astype(np.float64).sum(-1), size)
                plain &= 0.0 <= (0.0 if values is None else values.min(-1))
                plain &= (1 / _PLAIN <= total) & (total <= _PLAIN)
                totals.append(total)
            plain &= np.abs(totals[0] - totals[1]) <= _SAME * totals[0]
        for k in np.flatnonzero(~plain):
            # What may be wrong is refused in the words of the single problem, or is all right after all.
            try:
                self.single(k, at_start=True)
            except InvalidInput as error:
                raise InvalidInput(f"Problem {k} of the batch: {error}") from None
        self.mass = np.ones(size) if self.normalize else np.array(totals[0])
        self.a, self.b = (self._parts(i, totals[i]) for i in (0, 1))

    def _parts(self, axis, totals):
        shape, values = (len(self), self.C.shape[1 + axis]), self._given[axis]
        if values is None:
            return np.full(shape, 1.0 / shape[1], self.dtype)
        parts = values.astype(np.float64) / totals[:, None]
        return np.where(parts >= float(np.finfo(self.dtype).tiny), parts, 0.0).astype(self.dtype)

    def start(self, which=slice(None)):
        """The potentials that some problems start from."""
        u, v = np.zeros_like(self.a[which]), np.zeros_like(self.b[which])
        for ours, theirs in ((u, self._x0[0]), (v, self._x0[1])):
            if theirs is not None:
                with np.errstate(all="ignore"):
                    ours[:] = theirs[which] / self.reg[which, None] - np.log(self.mass[which, None]) / 2
                ours[~np.isfinite(ours)] = 0.0
        u[self.a[which] == 0], v[self.b[which] == 0] = -np.inf, -np.inf
        # Sums u_i + v_j of a large u and a large v would have few digits in all sweeps to come.
        shift = v.max(axis=1, keepdims=True)
        return u + shift, v - shift

    @property
    def kernels(self):
        """Those of the CPU; not kept, as modules cannot be pickled."""
        return _backend.kernels("cpu")

    def single(self, k, at_start=False):
        """Problem k by itself, with the potentials that it has here."""
        a, b = (w if w is None or w.ndim == 1 else w[k] for w in self._given)
        problem = Problem(self.C[k], a, b, float(self.reg[k]), None, self.normalize)
        if not at_start:
            problem.leave = self.leave
            for ours, theirs, keep in ((problem.u, self.u[k], problem.rows), (problem.v, self.v[k], problem.columns)):
                ours[:] = theirs if keep is None else theirs[keep]
            problem.sweeps, problem.newton_steps = int(self.iterations[k]), int(self.newton_steps[k])
        return problem

    def take(self, k, problem):
        """Take over what a single solve has made of problem k."""
        for ours, theirs, keep in ((self.u[k], problem.u, problem.rows), (self.v[k], problem.v, problem.columns)):
            ours[slice(None) if keep is None else keep] = theirs
        self.iterations[k], self.newton_steps[k] = problem.sweeps, problem.newton_steps

    def marginals(self):
        """Row sums, column sums and <C, P> / mass of all plans at hand."""
        sums = np.empty(self.a.shape), np.empty(self.b.shape), np.empty(len(self))
        self.kernels.marginals_many(self.C, self.inv_eps, self.u, self.v, np.arange(len(self)), *sums)
        return sums

    def errors(self, marginals):
        """The L1 errors of both marginals, relative to the mass; infinite where a potential is not finite."""
        with np.errstate(all="ignore"):
            errors = np.abs(marginals[0] - self.a).sum(axis=1) + np.abs(marginals[1] - self.b).sum(axis=1)
        known = (np.isfinite(p) | (w == 0) for p, w in ((self.u, self.a), (self.v, self.b)))
        return np.where(np.logical_and(*(k.all(axis=1) for k in known)), errors, np.inf)

    def potentials(self):
        """f and g in the units of C, <a, f> = <b, g>, -inf where there is no weight; in float64."""
        f, g = (w.astype(np.float64) * self.reg[:, None] for w in (self.u, self.v))
        shift = (_inner(self.a, f) - _inner(self.b, g)) / 2
        scale = self.reg * np.log(self.mass) / 2  # the weights here sum to 1
        return f + (scale - shift)[:, None], g + (scale + shift)[:, None]

    def objectives(self, f, g, marginals):
        """<C, P>, the regularised value, the dual value and the mass of each problem."""
        rows, columns, values = marginals
        regularized = _inner(rows, f) + _inner(columns, g) - self.reg * rows.sum(axis=1)
        dual = _inner(self.a, f) + _inner(self.b, g) - self.reg
        return self.mass * values, self.mass * regularized, self.mass * dual, self.mass

    def plans(self):
        """P of shape (B, n, m)."""
        P, kernels = np.empty_like(self.C), self.kernels
        for k in range(len(self)):
            kernels.plan(kernels.CostMatrix(self.C[k]), self.inv_eps[k], self.u[k], self.v[k], P[k])
        P *= self.mass.astype(self.dtype)[:, None, None]
        return P

    def curve(self, k):
        """The errors that were tested in problem k, the initial one first."""
        parts = []
        for which, errors, taken in self.history:
            place = np.searchsorted(which, k)
            if place < which.size and which[place] == k:
                parts.append(errors[place, : taken[place]])
        tail = self.tails.get(k)
        curve = np.concatenate(parts)
        if tail is not None:
            # A tail begins with the recomputed error in the place of the last that was tested, or anew.
            curve = np.concatenate([curve[: len(curve) - 1], tail]) if len(curve) > 1 else tail
        return np.where(np.isfinite(curve), curve, np.inf)


def _inner(weights, potentials):
    """Sums over each row of the products where there is weight."""
    return (weights * np.where(np.isfinite(potentials), potentials, 0.0)).sum(axis=1, dtype=np.float64)


def _members(name, given, shape, shared=True):
    """Our copy of an array with a row (or a number) for each problem, or, if it may be shared, one for all; or None."""
    if given is None and name != "eps":
        return None
    values = real(name, given)
    allowed = [shape, shape[1:]] if shared and len(shape) > 1 else [shape]
    _checks.shape_is(name, values, allowed, "to go with the costs")
    return values.copy()
