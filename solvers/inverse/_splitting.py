"""Half-quadratic splitting and ADMM with a denoiser, for the data sets of a stack, block by block."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import module_of
from .._loop import told
from .._result import Status
from .._stacks import inner_rows
from ._blocks import exhausted, listed, rows_of, run_blocks, side_by_side, slices
from ._diffusion import Denoiser
from ._result import InverseResult

__all__ = ["Splitting", "joined"]

# Steps of conjugate gradients for the first reconstruction: few enough not to follow the noise.
_FIRST = 5
# For proximal operators without a noise level: the first level over the last one (measured on MRI, CT and blur).
_FREE = 25.0
# Of a data step, relative to its right-hand side; a hundredth of the tolerance asked for, where that is less.
_RTOL = 1e-6


@dataclass(slots=True)
class Splitting:
    """All options of ``pnp``; it pickles if the user's denoiser does.

    Attributes
    ----------
    sigmas : None, or the levels, shape (n_steps,)
    is_free : bool
        The denoiser is proximal, and no noise level is known.
    """

    denoiser: Callable[..., Any]
    has_multipliers: bool
    rho: float
    n_cg: int
    sigmas: Any
    n_steps: int
    tol: float
    is_free: bool

    def run(self, problem, start, callback, executor, backend):
        """The ``part`` of each block."""
        blocks = slices(len(problem.B), rows_of(problem.A, backend))
        parts = ((problem.data_sets(np.arange(r.start, r.stop)), None if start is None else start[r]) for r in blocks)
        if callback is None:
            names = [listed("data set", rows) for rows in blocks]
            shown = lambda _, part: problem.leave(part["Z"])
            return run_blocks(_solved, ((self, *part) for part in parts), names, executor, shown)
        splits = [_Split(part, self, start) for part, start in parts]

        def report(step, news):
            changes, Z = zip(*news)
            whole = lambda: problem.image_of(module_of(Z[0]).concatenate(Z))
            return told(callback, step, max(each.max(initial=0.0) for each in changes), whole)

        side_by_side([split.steps_of(self.has_multipliers) for split in splits], report, None)
        return [split.part() for split in splits]


class _Split:
    """The two images x and z of each data set, the multipliers u, and each one's levels."""

    def __init__(self, problem, way, start):
        self.problem, self.denoiser, self.rho, self.n_cg = problem, Denoiser(way.denoiser), way.rho, way.n_cg
        self.xp, self.k = module_of(problem.B), len(problem.B)
        self.rhs = problem.adjoint(problem.B)
        self.X = problem.solve(self.rhs, maxiter=_FIRST)[0] if start is None else start.copy()
        self.Z, self.U = self.X.copy(), self.xp.zeros_like(self.X)
        self.steps, self.changes = np.zeros(self.k, int), [np.ones(self.k)]
        self.status, self.reason = [Status.MAXITER] * self.k, ["maxiter"] * self.k
        self._set_levels(way.sigmas, way.n_steps, way.has_multipliers, way.tol, way.is_free)

    def _set_levels(self, sigmas, n_steps, has_multipliers, tol, is_free):
        """The sigmas and couplings of all steps, shape (n_steps, k)."""
        gain = self.gain = self._gain()
        noise = 1.0 if is_free else self.problem.noise_level
        if sigmas is None:
            end = noise / np.sqrt(gain)
            size = np.sqrt(inner_rows(self.X, self.X) / math.prod(self.X.shape[1:]))
            start = _FREE * end if is_free else np.maximum(size, end)
            if has_multipliers:
                start = end = np.sqrt(start * end)
            sigmas = np.geomspace(start, end, n_steps)
        sigmas = np.broadcast_to(np.reshape(sigmas, (n_steps, -1)), (n_steps, self.k))
        noise = sigmas[-1] * np.sqrt(gain) if noise is None else noise
        self.sigmas, self.couplings = sigmas, self.rho * (noise / sigmas) ** 2
        # Down a schedule, an image that stands still for a step has not arrived.
        self.tol = np.where(has_multipliers | (sigmas == sigmas[0]).all(axis=0), tol, -1.0)
        self.cg_rtol = min(_RTOL, 0.01 * tol)

    def _gain(self):
        """|A x|^2 / |x|^2 for x = A^H b: near the square of A's norm, on what b says anything about."""
        size = inner_rows(self.rhs, self.rhs)
        Y = self.problem.forward(self.rhs)
        with np.errstate(over="ignore", invalid="ignore"):
            gain = np.divide(inner_rows(Y, Y), size, out=np.ones_like(size), where=size > 0)
        return np.where((gain > 0) & np.isfinite(gain), gain, 1.0)

    def steps_of(self, has_multipliers):
        """All steps, a generator of the changes and the images after each; rows that are done are left alone."""
        active = np.arange(self.k)
        for step in range(len(self.sigmas)):
            active = self._step(step, active, has_multipliers)
            if (yield self.changes[-1], self.Z):
                self._end(active, Status.STOPPED, "callback")
                return
            if not active.size:
                return
        self._end(active[self.tol[active] < 0], Status.CONVERGED, "schedule")

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
        # A tight coupling holds the image still far from where it belongs.
        change = np.where(self.tol[active] >= 0, change * np.maximum(1, coupling / self.gain[active]), change)
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
        done = good & (change <= self.tol[active])
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
        with np.errstate(over="ignore"):
            values = np.asarray(values, np.dtype(self.X.dtype.char.lower()))
        return self.xp.asarray(values).reshape((-1,) + (1,) * (self.X.ndim - 1))

    def _end(self, rows, status, reason):
        for row in rows:
            self.status[row], self.reason[row] = status, reason

    def part(self):
        """What is known of these data sets: an array, or a list, with a row for each."""
        R = self.problem.B - self.problem.forward(self.Z)
        residual = np.sqrt(inner_rows(R, R))
        self._end(np.flatnonzero(~np.isfinite(residual)), Status.NONFINITE, "nonfinite")
        last = np.maximum(self.steps, 1) - 1
        return dict(
            Z=self.Z,
            regularization=self.couplings[last, np.arange(self.k)],
            stop_reason=self.reason,
            status=self.status,
            iterations=self.steps,
            residuals=np.array(self.changes),
            residual=np.where(np.isnan(residual), np.inf, residual),
            threshold=np.where(self.tol >= 0, self.tol, math.inf),
            sigmas=self.sigmas,
            calls=self.denoiser.calls,
            n_matvec=self.problem.n_matvec,
        )


def joined(problem, parts, **fields):
    """The InverseResult of all blocks; for one data set with numbers in the place of arrays of one."""
    longest = max(len(part["residuals"]) for part in parts)
    for part in parts:  # one that ended earlier repeats its last
        part["residuals"] = np.pad(part["residuals"], ((0, longest - len(part["residuals"])), (0, 0)), "edge")
    rows = lambda name: np.concatenate([part[name] for part in parts])
    columns = lambda name: np.concatenate([part[name] for part in parts], axis=1)
    pairs = lambda name: tuple(value for part in parts for value in part[name])
    one = (lambda values: values[0]) if problem.is_single else (lambda values: values)
    first = (lambda values: values[:, 0].copy()) if problem.is_single else (lambda values: values)
    return InverseResult(
        problem.image_of(module_of(problem.B).concatenate([part["Z"] for part in parts])),
        regularization=one(rows("regularization")),
        stop_reason=one(pairs("stop_reason")),
        n_denoiser=sum(part["calls"] for part in parts),
        status=one(pairs("status")),
        iterations=one(rows("iterations")),
        residuals=first(columns("residuals")),
        residual=one(rows("residual")),
        threshold=one(rows("threshold")),
        n_matvec=sum(part["n_matvec"] for part in parts),
        extra={"sigmas": first(columns("sigmas"))},
        **fields,
    )


def _solved(task):
    way, problem, start = task
    split = _Split(problem, way, start)
    exhausted(split.steps_of(way.has_multipliers))
    return split.part()
