"""``solvers bench sequences``: policies that tune omega over a sequence of systems, and their rivals."""

import shlex
import sys

from . import _threads, machine, options, report, sequences_report
from ._registry import UsageError, need, present
from .sequences import SEQUENCES
from .sequences_rivals import RIVALS
from .sequences_run import run_sequence

__all__ = ["bench"]

_QUICK = ("poisson-high", "heat-25")


def bench(args, argv):
    """Carry out the command; return its exit code."""
    options.check_outputs(args)
    options.refuse(args, "sequences", ("size", "matrix", "rhs", "preconditioners", "rtol", "dtype", "baseline", "csv"))
    if args.backend == "gpu":
        raise UsageError("--backend gpu does not apply to sequences: the policies are measured on the CPU.")
    chosen, rivals = _sequences(args), _rivals(args)
    threads = args.threads or [1]
    if len(threads) > 1:
        raise UsageError("--threads takes one number here; a list is for --per-iteration.")
    with _threads.pinned(threads[0], argv) as said:
        return _run(chosen, rivals, args, argv, said)


def _sequences(args):
    if args.problems is not None:
        return SEQUENCES.select(args.problems)
    return [SEQUENCES[name] for name in _QUICK] if args.quick else list(SEQUENCES.values())


def _rivals(args):
    """Those that were asked for must be there; Young's formula always takes part, as the measure."""
    if args.methods is None:
        return [each for each in RIVALS.values() if present(each.package)]
    chosen = RIVALS.select(args.methods)
    for each in chosen:
        need(each.package, f"{each.name!r}")
    return list(dict.fromkeys([*chosen, RIVALS["young"]]))


def _run(chosen, rivals, args, argv, threads):
    """Print a sequence as it finishes; an interrupt keeps and writes those that did."""
    print(f"{machine.one_line()}\nthreads: {threads}")
    print(report.wrap(sequences_report.EXPLAINED))
    print(sequences_report.heading(), flush=True)
    rows, totals, code = [], [], 0
    try:
        for sequence in chosen:
            own, table = _one(sequence, rivals, args)
            rows, totals = rows + own, totals + table
            print("\n".join(sequences_report.lines(own)), flush=True)
    except KeyboardInterrupt:
        print("\ninterrupted: the rows above are all that finished", file=sys.stderr)
        code = 130
    _finish(rows, totals, args, argv, threads)
    return code


def _one(sequence, rivals, args):
    own = [each for each in rivals if sequence.solver in each.solvers]
    steps = args.steps or (sequence.quick_steps if args.quick else sequence.steps)
    rows, totals = [], []
    with _Progress(args, sequence.name, args.seeds * steps) as tick:
        for seed in range(args.seeds):
            found, table = run_sequence(sequence, own, steps, seed, tick)
            rows += found
            totals.append({"sequence": sequence.name, "seed": seed, "iterations": table})
    return rows, totals


def _finish(rows, totals, args, argv, threads):
    if sequences_report.notes(rows):
        print(report.wrap(sequences_report.notes(rows)))
    if args.json:
        from .sequences import CAP, GRID, RTOL

        about = {"command": "solvers " + shlex.join(argv), "machine": machine.describe(threads)}
        about["settings"] = {"rtol": RTOL, "maxiter": CAP, "grid": GRID.round(12).tolist()}
        report.write_json(args.json, rows, totals_of_the_grid=totals, **about)
    if args.plot and rows:
        sequences_report.draw(rows, args.plot)
    for path in filter(None, (args.json, args.plot and rows and args.plot)):
        print(f"written: {path}")


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
