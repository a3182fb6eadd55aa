"""Every contender on every instance of a sequence, and every omega of the grid: the table that regret needs.

All solve a block of instances before the next block is drawn, so that a machine that slows down slows all of them,
and each finds its own code and numbers in the processor's caches, as in a user's loop.
"""

import itertools
import math
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from .sequences import CAP, GRID, RTOL
from .sequences_rivals import HINDSIGHT, in_hindsight

__all__ = ["SequenceRow", "run_sequence"]

# Points of a regret curve that are written down.
_POINTS = 100
# Instances that a contender solves in a row: ten kilobytes to a megabyte each.
_BLOCK = 25


@dataclass
class SequenceRow:
    """One contender on one sequence with one seed.

    ``seconds`` are those of all its solves, the policy's own time included; ``failures`` are solves that did not
    converge; ``residual`` is the largest true one of all steps, relative; ``young`` and ``fixed`` are iterations over
    those with Young's formula and those with the best single omega of the grid, which ``regret`` is against;
    ``deviation`` is the largest ``|sum(probabilities) - 1|`` of all rounds.
    """

    sequence: str
    n: int
    steps: int
    seed: int
    contender: str
    iterations: int
    seconds: float
    failures: int
    residual: float
    young: float | None = None
    fixed: float | None = None
    regret: float | None = None
    overhead_mean: float | None = None
    overhead_median: float | None = None
    deviation: float | None = None
    omega: float | None = None
    regret_curve: list | None = field(default=None, repr=False)
    drawn: dict | None = field(default=None, repr=False)

    def to_dict(self):
        """The row as plain values, without what is only drawn."""
        plain = asdict(self)
        del plain["drawn"]
        return plain


class _Record:
    """What one contender did, instance after instance."""

    def __init__(self, steps):
        self.iterations = np.zeros(steps, dtype=int)
        self.costs = np.zeros(steps)
        self.seconds = np.zeros(steps)
        self.omegas = np.full(steps, math.nan)
        self.failed = np.zeros(steps, dtype=bool)
        self.residuals = np.zeros(steps)

    def add(self, t, solve, instance):
        start = time.perf_counter()
        result, omega = solve(instance)
        self.seconds[t] = time.perf_counter() - start
        self.iterations[t], self.failed[t] = result.iterations, not result.converged
        self.costs[t] = result.iterations if result.converged else CAP
        self.omegas[t] = omega
        self.residuals[t] = np.linalg.norm(instance.b - instance.A @ result.x) / np.linalg.norm(instance.b)


def run_sequence(sequence, rivals, steps, seed, tick=lambda: None):
    """Return (rows, total iterations of each omega of the grid) for one draw of the instances.

    Young's formula takes part in any case: the others are compared with it.
    """
    rngs = np.random.default_rng([seed, 1]).spawn(len(rivals))
    contenders = {each.name: each.make(sequence, rng) for each, rng in zip(rivals, rngs)}
    fixed = [_fixed(sequence, omega) for omega in GRID]
    for instance in sequence.draw(seed, 1):  # compiled and imported before any clock runs
        for each in (*rivals, *fixed):
            solve = each if callable(each) else each.make(sequence, np.random.default_rng(0)).solve
            solve(instance)
    records = {name: _Record(steps) for name in contenders}
    table, contexts = [_Record(steps) for _ in GRID], np.zeros(steps)
    taking_part = [*((records[name], contender.solve) for name, contender in contenders.items()), *zip(table, fixed)]
    for block in _blocks(enumerate(sequence.draw(seed, steps))):
        for record, solve in taking_part:
            for t, instance in block:
                record.add(t, solve, instance)
        for t, instance in block:
            contexts[t] = instance.context
            tick()
    for name in HINDSIGHT:
        records[name] = _chosen(name, table)
    rows = [_row(sequence, steps, seed, name, record) for name, record in records.items()]
    _compare(rows, records, rivals, table, sequence)
    for row in rows:
        _watch(row, contenders.get(row.contender))
        row.drawn = {"contexts": contexts, "omegas": records[row.contender].omegas}
    return rows, [int(record.iterations.sum()) for record in table]


def _blocks(each):
    while block := list(itertools.islice(each, _BLOCK)):
        yield block


def _fixed(sequence, omega):
    from solvers import linalg

    method = getattr(linalg, sequence.solver)

    def solve(instance):
        return method(instance.A, instance.b, instance.x0, omega=omega, rtol=RTOL, maxiter=CAP), omega

    return solve


def _chosen(name, table):
    """The record of a contender of hindsight, put together from the table."""
    chosen = in_hindsight(name, np.array([record.costs for record in table]).T)
    record = _Record(chosen.size)
    for field_ in vars(record):
        every = np.array([getattr(each, field_) for each in table])
        setattr(record, field_, every[chosen, np.arange(chosen.size)])
    return record


def _row(sequence, steps, seed, name, record):
    omega = float(record.omegas[0]) if np.ptp(record.omegas) == 0 else None
    return SequenceRow(
        sequence.name,
        sequence.n,
        steps,
        seed,
        name,
        iterations=int(record.iterations.sum()),
        seconds=float(record.seconds.sum()),
        failures=int(record.failed.sum()),
        residual=float(record.residuals.max()),
        omega=omega,
    )


def _compare(rows, records, rivals, table, sequence):
    """Ratios to Young's formula and exact regrets, where the iterations are of one kind."""
    of_one_kind = {each.name for each in rivals if sequence.solver in each.comparable} | set(HINDSIGHT)
    best = records["best-fixed"].costs
    youngs, fixed = (records[name].iterations.sum() for name in ("young", "best-fixed"))
    for row in rows:
        if row.contender in of_one_kind:
            regret = np.cumsum(records[row.contender].costs - best)
            row.young, row.fixed = float(row.iterations / youngs), float(row.iterations / fixed)
            row.regret = float(regret[-1])
            row.regret_curve = regret[_checkpoints(regret.size)].tolist()


def _checkpoints(steps):
    return np.unique(np.linspace(0, steps - 1, min(steps, _POINTS)).astype(int))


def _watch(row, contender):
    if hasattr(contender, "watched"):
        row.overhead_mean, row.overhead_median = contender.overhead()
        row.deviation = contender.watched.deviation
