"""The samples of a posterior as rows of one stack: how its blocks are drawn, and the result that they make."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._arrays import module_of
from .._loop import told
from .._result import Status
from .._stacks import inner_rows
from ._blocks import exhausted, listed, rows_of, run_blocks, side_by_side, slices
from ._diffusion import Denoiser, Known, Outcome, walk
from ._perturb import deviations, posterior_means
from ._result import InverseResult

__all__ = ["Samples", "Walk", "perturb_and_optimise"]

@dataclass(slots=True)
class Walk:
    """A diffusion sampler with all of its options; it pickles if the user's functions do.

    Attributes
    ----------
    step : function (problem) -> data step
    denoiser, prior : one of them is None
    schedule, start : as for ``walk``
    """

    step: Callable[..., Any]
    denoiser: Any
    prior: Any
    schedule: tuple
    start: tuple

    def begin(self, problem, generators):
        source = Denoiser(self.denoiser) if self.prior is None else Known(self.prior)
        return walk(problem, generators, source, self.step(problem), self.schedule, self.start)

    def run(self, samples, callback, executor):
        """X and the outcomes of all blocks."""
        if callback is None:
            return samples.by_blocks(_walked, lambda rows: (self, *samples.task(rows)), executor)
        walkers, problems = [], []
        for rows in samples.blocks():
            problem, places, generators = samples.task(rows)
            problems.append(problem.data_sets(places))
            walkers.append(self.begin(problems[-1], generators))
        report = lambda step, news: _told(callback, samples, step, news)
        found = side_by_side(walkers, report, lambda found: (found[1].norms[-1], found[0]))
        samples.problem.n_matvec += sum(problem.n_matvec for problem in problems)
        return module_of(samples.problem.B).concatenate([X for X, _ in found]), [outcome for _, outcome in found]


class Samples:
    """The rows: that of data set j in sample i is row i k + j."""

    def __init__(self, problem, n_samples, generator, backend):
        self.problem, self.n_samples, self.k = problem, n_samples, len(problem.B)
        # Two levels of spawning: a sample depends neither on how many there are nor on the other data sets.
        self.generators = [each for one in _checks.spawned(generator, n_samples) for each in one.spawn(self.k)]
        self._size = rows_of(problem.A, backend)

    def blocks(self, count=None):
        """Slices of all rows, or of so many."""
        return slices(self.n_samples * self.k if count is None else count, self._size)

    def task(self, rows):
        """The data sets that some rows need, which of them each one has, and the rows' generators."""
        needed, places = np.unique(np.arange(rows.start, rows.stop) % self.k, return_inverse=True)
        return self.problem.data_sets(needed), places, self.generators[rows]

    def by_blocks(self, function, task_of, executor, count=None):
        """What the tasks of all blocks answer: X of all rows, and the outcome of each block."""
        blocks = self.blocks(count)
        names = [self._name(rows) if count is None else f"mean of {listed('data set', rows)}" for rows in blocks]
        answers = run_blocks(function, map(task_of, blocks), names, executor, self._shown)
        self.problem.n_matvec += sum(n_matvec for _, _, n_matvec in answers)
        X = module_of(self.problem.B).concatenate([X for X, _, _ in answers])
        return X, [outcome for _, outcome, _ in answers]

    def _name(self, rows):
        if self.k == 1:
            return listed("sample", rows)
        ends = dict.fromkeys((rows.start, rows.stop - 1))
        return " to ".join(f"sample {row // self.k} of data set {row % self.k}" for row in ends)

    def _shown(self, _, answer):
        return self.problem.leave(answer[0])

    def split(self, X):
        """Rows as (n_samples, k, ...)."""
        return X.reshape(self.n_samples, self.k, *X.shape[1:])

    def images(self, X):
        """In the form of images for the user's b."""
        return self.problem.samples_of(self.split(X))

    def spread(self, norms):
        """The root mean square over the samples, shape (k,), of norms of rows."""
        return np.sqrt(np.mean(self.split(norms) ** 2, axis=0))

    def result(self, X, outcomes, posterior=(), **fields):
        """The InverseResult; for one data set with numbers in the place of arrays of one."""
        problem, S = self.problem, self.split(X)
        mean = S.mean(axis=0)
        residual = problem.B - problem.forward(mean)
        residual = np.sqrt(inner_rows(residual, residual))
        ends = [self._end(j, outcomes) for j in range(self.k)]
        if not np.isfinite(residual).all():  # a product with A is not
            ends = [(Status.NONFINITE, reason, steps) for _, reason, steps in ends]
        statuses, reasons, steps = zip(*ends)
        residual = np.where(np.isnan(residual), np.inf, residual)
        norms = self._norms(outcomes, residual)
        one = (lambda values: values[0]) if problem.is_single else (lambda values: values)
        return InverseResult(
            problem.image_of(mean),
            samples=self.images(X),
            std=problem.image_of(_deviation(S, mean)) if self.n_samples > 1 else None,
            n_denoiser=max((outcome.calls for outcome in outcomes if outcome.calls is not None), default=None),
            stop_reason=reasons[0] if len(set(reasons)) == 1 else reasons,
            status=one(statuses),
            iterations=one(np.array(steps)),
            residuals=norms[:, 0] if problem.is_single else norms,
            residual=one(residual),
            threshold=one(np.full(self.k, math.inf)),
            n_matvec=problem.n_matvec,
            extra={"posterior": one(posterior)} if posterior else {},
            **fields,
        )

    def _end(self, j, outcomes):
        """How the samples of a data set ended: the worst status, by what rule and in which samples, and most steps."""
        of_rows = [outcome for outcome, rows in zip(outcomes, self.blocks()) for _ in range(rows.stop - rows.start)]
        mine = of_rows[j :: self.k]
        failed = [(outcome.status.info(1), i) for i, outcome in enumerate(mine) if outcome.status != Status.CONVERGED]
        worst = mine[min(failed)[1] if failed else 0]
        same = [i for i, outcome in enumerate(mine) if (outcome.status, outcome.reason) == (worst.status, worst.reason)]
        where = f" in {listed('sample', same)}" if failed and len(same) < len(mine) else ""
        return worst.status, worst.reason + where, max(outcome.steps for outcome in mine)

    def _norms(self, outcomes, residual):
        """Of the misfits at each level, shape (levels, k); a block that ended earlier repeats its last."""
        if not outcomes[0].norms:
            return np.array([np.sqrt(inner_rows(self.problem.B, self.problem.B)), residual])
        levels = range(max(len(outcome.norms) for outcome in outcomes))
        at = lambda level: np.concatenate([outcome.norms[min(level, len(outcome.norms) - 1)] for outcome in outcomes])
        return np.array([self.spread(at(level)) for level in levels])


def perturb_and_optimise(samples, prior, maxiter, rtol, executor):
    """X and the outcomes of all blocks, by ``_perturb``."""
    options, problem = dict(prior=prior, maxiter=maxiter, rtol=rtol), samples.problem
    task_of = lambda rows: (problem.data_sets(np.arange(rows.start, rows.stop)), options)
    centres, first = samples.by_blocks(_centred, task_of, executor, samples.k)
    done = all(outcome.status is Status.CONVERGED for outcome in first)

    def task(rows):
        problem, places, generators = samples.task(rows)
        which = np.arange(rows.start, rows.stop) % samples.k
        return problem, places, generators, centres[module_of(centres).asarray(which)], done, options

    X, outcomes = samples.by_blocks(_perturbed, task, executor)
    steps = max(outcome.steps for outcome in first)
    for outcome in outcomes:
        outcome.steps = max(outcome.steps, steps)
    return X, outcomes


def _centred(task):
    problem, options = task
    centres, iterations = posterior_means(problem, **options)
    return centres, _solved(iterations, options["maxiter"]), problem.n_matvec


def _perturbed(task):
    problem, places, generators, centres, done, options = task
    problem = problem.data_sets(places)
    X, iterations = deviations(problem, generators, centres, **options)
    outcome = _solved(iterations, options["maxiter"] if done else 0)
    if not module_of(X).isfinite(X).all():
        X, outcome = module_of(X).zeros_like(X), Outcome(Status.NONFINITE, "conjugate gradients", outcome.steps)
    return X, outcome, problem.n_matvec


def _solved(iterations, maxiter):
    steps = int(iterations.max())
    status, reason = (Status.CONVERGED, "tolerance") if steps < maxiter else (Status.MAXITER, "maxiter")
    return Outcome(status, reason, steps)


def _walked(task):
    way, problem, places, generators = task
    problem = problem.data_sets(places)
    return *exhausted(way.begin(problem, generators)), problem.n_matvec


def _told(callback, samples, step, news):
    misfits, X = zip(*news)
    whole = lambda: samples.images(module_of(X[0]).concatenate(X))
    return told(callback, step, samples.spread(np.concatenate(misfits)).max(), whole)


def _deviation(S, mean):
    """The standard deviation over the samples, with no copy of all of them."""
    xp, total = module_of(S), 0.0
    for each in S:
        total = total + xp.abs(each - mean) ** 2
    return xp.sqrt(total / (len(S) - 1))
