"""``solvers bench sequences``: policies that tune omega over a sequence of systems, and their rivals."""

import sys

from . import _threads, options, sequences_report
from ._registry import present
from .area import show
from .sequences import CAP, GRID, RTOL, SEQUENCES
from .sequences_rivals import RIVALS
from .sequences_run import run_sequence

__all__ = ["bench"]

_QUICK = ("poisson-high", "heat-25")


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
    chosen, rivals = _sequences(args), _rivals(args)
    with _threads.pinned(threads, argv) as said:
        return _run(chosen, rivals, args, argv, said)


def _sequences(args):
    if args.problems is not None:
        return SEQUENCES.select(args.problems)
    return [SEQUENCES[name] for name in _QUICK] if args.quick else list(SEQUENCES.values())


def _rivals(args):
    """Those that were asked for must be there; Young's formula always takes part, as the measure."""
    if args.methods is None:
        return RIVALS.installed()
    return list(dict.fromkeys([*RIVALS.asked_for(args.methods), RIVALS["young"]]))


def _run(chosen, rivals, args, argv, threads):
    """The table of the sequences."""
    totals = []
    groups = (_one(sequence, rivals, args, totals) for sequence in chosen)
    settings = {"rtol": RTOL, "maxiter": CAP, "grid": GRID.round(12).tolist()}
    about = lambda: {"settings": settings, "totals_of_the_grid": totals}
    opening = [f"threads: {threads}", sequences_report.EXPLAINED]
    return show(sequences_report.VIEW, groups, args, argv, threads=threads, opening=opening, about=about)


def _one(sequence, rivals, args, totals):
    own = [each for each in rivals if sequence.solver in each.solvers]
    steps = args.steps or (sequence.quick_steps if args.quick else sequence.steps)
    rows = []
    with _Progress(args, sequence.name, args.seeds * steps) as tick:
        for seed in range(args.seeds):
            found, table = run_sequence(sequence, own, steps, seed, tick)
            rows += found
            totals.append({"sequence": sequence.name, "seed": seed, "iterations": table})
    return rows


class _Progress:
    """A bar over the steps on standard error, if a person is watching and tqdm is there."""

    def __init__(self, args, name, total):
        self._bar = None
        if not args.no_progress and sys.stderr.isatty() and present("tqdm"):
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=name, unit="step", leave=False, dynamic_ncols=True)

    def __enter__(self):
        return (lambda: None) if self._bar is None else self._bar.update

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()
