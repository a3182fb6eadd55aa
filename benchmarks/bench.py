"""``solvers bench linalg``: from the command's options to the settings of a run, and what is printed."""

import json
import shlex
import sys

from . import _threads, gpu, machine, options, per_iteration, per_iteration_gpu, plot, report, startup
from ._registry import UsageError, present
from .run import run

__all__ = ["bench"]

_EXPLAINED = (
    "rtol {settings.rtol:g}, at most {settings.maxiter} iterations, medians of {settings.repeats} solves or "
    "more. ratio: seconds of {settings.baseline} (where it does not apply: {peer}'s method of the same name) "
    "with the same preconditioner / seconds, set-up not counted; above 1 is faster."
)
_EXPLAINED_GPU = (
    " Data is moved before the clock starts; what runs on the GPU is timed by the device's events. vs cpu: seconds "
    "of ours on the CPU (cpu:NAME) / seconds of ours on the GPU."
)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = args.threads or [1]
    options.check_outputs(args)
    if args.startup:
        return _startup(args, argv)
    if args.per_iteration and args.backend == "gpu":
        return _per_iteration_gpu(args, argv)
    if args.per_iteration:
        return _worker(threads[0], argv) if args.worker else _per_iteration(args, argv)
    if len(threads) > 1:
        raise UsageError("--threads takes one number here; a list is for --per-iteration.")
    settings = options.settings(args)
    with _threads.pinned(threads[0], argv) as said:
        return _run(settings, args, argv, said)


def _run(settings, args, argv, threads):
    """Print rows as they finish; an interrupt keeps and writes those that did."""
    on_gpu = settings.backend == "gpu"
    table = report.Table(on_gpu)
    print(f"{machine.one_line()}\nthreads: {threads}")
    if on_gpu:
        print(gpu.one_line())
    explained = _EXPLAINED.format(settings=settings, peer="CuPy" if on_gpu else "SciPy")
    print(report.wrap(explained + _EXPLAINED_GPU * on_gpu))
    print(table.heading(), flush=True)
    rows, code = [], 0
    try:
        with _Progress(args) as progress:
            for row in run(settings, progress.expect):
                rows.append(row)
                progress.write(table.line(row))
    except KeyboardInterrupt:
        print("\ninterrupted: the rows above are all that finished", file=sys.stderr)
        code = 130
    except UsageError as error:
        print(f"solvers: {error}", file=sys.stderr)
        code = 2
    _finish(rows, table, settings, args, argv, threads)
    return code


def _finish(rows, table, settings, args, argv, threads):
    print(report.summary(rows))
    if table.notes():
        print(table.notes())
    about = _about(argv, threads, settings.backend == "gpu")
    about["settings"] = {"rtol": settings.rtol, "maxiter": settings.maxiter}
    if args.json:
        report.write_json(args.json, rows, **about)
    if args.csv:
        report.write_csv(args.csv, rows)
    if args.plot and rows:
        plot.draw(rows, args.plot, settings.rtol)
    for path in filter(None, (args.json, args.csv, args.plot and rows and args.plot)):
        print(f"written: {path}")


def _about(argv, threads, on_gpu=False):
    about = {"command": "solvers " + shlex.join(argv), "machine": machine.describe(threads)}
    return about | ({"gpu": gpu.describe()} if on_gpu else {})


class _Progress:
    """A bar on standard error for the rows of one problem, if a person is watching and tqdm is there."""

    def __init__(self, args):
        self._bar = None
        if not args.no_progress and sys.stderr.isatty() and present("tqdm"):
            from tqdm import tqdm

            self._bar = tqdm(total=0, unit="row", leave=False, dynamic_ncols=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()

    def expect(self, name, count):
        """The next ``count`` rows belong to the problem ``name``."""
        if self._bar is not None:
            self._bar.reset(total=count)
            self._bar.set_description(name)

    def write(self, text):
        """Print one finished row above the bar."""
        if self._bar is None:
            print(text, flush=True)
            return
        self._bar.write(text, file=sys.stdout)
        self._bar.update()


def _per_iteration(args, argv):
    threads = args.threads or [1, 2]
    print(machine.one_line())
    print("Microseconds per iteration of cg and scipy:cg: marginal, then of whole solves.")
    print("With 16 right-hand sides: milliseconds of one call, and (theirs) of ours one by one.")
    print(per_iteration.heading(), flush=True)
    rows, code = [], 0
    try:
        for row in per_iteration.in_children(threads):
            rows.append(row)
            print(per_iteration.line(row), flush=True)
    except KeyboardInterrupt:
        code = 130
    if args.json:
        report.write_json(args.json, rows, **_about(argv, threads))
    return code


def _per_iteration_gpu(args, argv):
    import solvers

    with solvers.backend("gpu"):
        pass  # refused here, before any work, where there is none
    print(f"{machine.one_line()}\n{gpu.one_line()}")
    print(report.wrap(per_iteration_gpu.EXPLAINED))
    print(per_iteration_gpu.heading(), flush=True)
    rows, code = [], 0
    try:
        for row in per_iteration_gpu.measure_all(args.quick):
            rows.append(row)
            print(per_iteration_gpu.line(row), flush=True)
    except KeyboardInterrupt:
        code = 130
    print(per_iteration_gpu.notes(rows))
    if args.json:
        report.write_json(args.json, rows, **_about(argv, solvers.get_threads(), on_gpu=True))
        print(f"written: {args.json}")
    return code


def _worker(threads, argv):
    """One number of threads, a line of JSON a case: what the command above reads from its children."""
    with _threads.pinned(threads, argv):
        for case in per_iteration.CASES:
            print(json.dumps(per_iteration.measure(case, threads).to_dict()), flush=True)
    return 0


def _startup(args, argv):
    seconds = startup.measure()
    print(f"{machine.one_line()}\nmedians of 5 fresh processes each")
    print(startup.table(seconds))
    if args.json:
        report.write_json(
            args.json,
            [{"what": name, "seconds": value} for name, value in seconds.items()],
            **_about(argv, None),
        )
    return 0
