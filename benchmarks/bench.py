"""``solvers bench linalg``: from the command's options to the settings of a run, and what is printed."""

import json
import shlex
import sys

from . import _threads, gpu, machine, options, per_iteration, per_iteration_gpu, plot, report, startup
from ._registry import present
from .area import View, show
from .run import FALSE_SUCCESS, run

__all__ = ["bench", "notes", "summary", "view"]

_EXPLAINED = (
    "rtol {settings.rtol:g}, at most {settings.maxiter} iterations, medians of {settings.repeats} solves or "
    "more. ratio: seconds of {settings.baseline} (where it does not apply: {peer}'s method of the same name) "
    "with the same preconditioner / seconds, set-up not counted; above 1 is faster."
)
_EXPLAINED_GPU = (
    " Data is moved before the clock starts; what runs on the GPU is timed by the device's events. vs cpu: seconds "
    "of ours on the CPU (cpu:NAME) / seconds of ours on the GPU."
)


# An aligned table of 119 columns, the same for every run.
_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -16, lambda r: report.shorten(r.problem, 16)),
    ("n", 7, lambda r: str(r.n)),
    ("nnz", 8, lambda r: str(r.nnz)),
    ("method", -14, lambda r: report.shorten(r.method, 14)),
    ("precond", -9, lambda r: report.shorten(r.preconditioner, 9)),
    ("iter", 5, lambda r: report.count(r.iterations)),
    ("matvec", 6, lambda r: report.count(r.matvecs)),
    ("setup s", 7, lambda r: report.seconds(r.setup_seconds)),
    ("seconds", 7, lambda r: report.seconds(r.seconds)),
    ("ratio", 6, lambda r: report.ratio(r.ratio)),
    ("residual", 8, lambda r: report.scientific(r.residual)),
    ("status", -15, lambda r: r.status if r.status in ("converged", "skipped") else f"! {r.status}"),
)
# On the GPU in the place of the products, which CuPy does not let us count.
_VERSUS_CPU = ("vs cpu", 6, lambda r: report.ratio(r.ratio_cpu))


def view(rtol, gpu=False):
    """How the rows are shown; ``gpu``: with the ratio to our CPU."""
    columns = tuple(_VERSUS_CPU if gpu and column[0] == "matvec" else column for column in _COLUMNS)
    return View(columns, lambda rows, path: plot.draw(rows, path, rtol), summary, notes)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    if args.per_iteration and args.worker:
        return _worker(args.threads[0], argv)
    threads = options.one_thread(args)
    if args.startup:
        return _startup(args, argv)
    if args.per_iteration:
        return (_per_iteration_gpu if args.backend == "gpu" else _per_iteration)(args, argv)
    settings = options.settings(args)
    with _threads.pinned(threads, argv) as said:
        return _run(settings, args, argv, said)


def _run(settings, args, argv, threads):
    """The table of a run, with a bar for whoever watches."""
    on_gpu = settings.backend == "gpu"
    explained = _EXPLAINED.format(settings=settings, peer="CuPy" if on_gpu else "SciPy")
    opening, about = [f"threads: {threads}"], {"settings": {"rtol": settings.rtol, "maxiter": settings.maxiter}}
    if on_gpu:
        opening, about = [*opening, gpu.one_line()], about | {"gpu": gpu.describe()}
    opening.append(explained + _EXPLAINED_GPU * on_gpu)
    with _Progress(args) as progress:
        return show(
            view(settings.rtol, on_gpu), [run(settings, progress.expect)], args, argv,
            threads=threads, opening=opening, about=lambda: about, say=progress.write,
        )  # fmt: skip


def summary(rows):
    """One line that counts what happened, the losses included."""
    ran = [r for r in rows if r.status != "skipped"]
    ours = [r for r in ran if r.library == "solvers" and r.ratio is not None]
    parts = [f"{len(ran)} solves", f"{sum(r.status == 'converged' for r in ran)} converged"]
    false = sum(r.status == FALSE_SUCCESS for r in ran)
    parts += [f"{false} false success{'es' if false > 1 else ''}"] if false else []
    if ours:
        slower = sum(r.ratio < 1 for r in ours)
        parts.append(f"ours: {len(ours) - slower} at least as fast as the baseline, {slower} slower")
    return ["; ".join(parts) + "."]


def notes(rows):
    """What rows say beyond their status, and where, each reason once."""
    found = {}
    for row in rows:
        if row.message:
            alone = row.preconditioner in ("-", "none") or row.status == "skipped"
            place = row.problem if alone else f"{row.problem} + {row.preconditioner}"
            found.setdefault(f"{row.method}: {row.message}", []).append(place)
    return [f"{message} ({_some(places)})" for message, places in found.items()]


def _some(places, most=4):
    places = list(dict.fromkeys(places))
    more = len(places) - most
    return ", ".join(places[:most]) + (f", and {more} more" if more > 0 else "")


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
    rows = per_iteration.in_children(threads)
    return _print_all(rows, per_iteration, args, _about(argv, threads))[1]


def _per_iteration_gpu(args, argv):
    import solvers

    with solvers.backend("gpu"):
        pass  # refused here, before any work, where there is none
    print(f"{machine.one_line()}\n{gpu.one_line()}")
    print(report.wrap(per_iteration_gpu.EXPLAINED))
    about = _about(argv, solvers.get_threads(), on_gpu=True)
    rows, code = _print_all(per_iteration_gpu.measure_all(args.quick), per_iteration_gpu, args, about)
    print(per_iteration_gpu.notes(rows))
    return code


def _print_all(found, table, args, about):
    """Rows as they come, and those that came, in a file; an interrupt keeps them."""
    print(table.heading(), flush=True)
    rows = []
    with report.rows_kept() as outcome:
        for row in found:
            rows.append(row)
            print(table.line(row), flush=True)
    if args.json:
        report.write_json(args.json, rows, **about)
        print(f"written: {args.json}")
    return rows, outcome.code


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
