"""``solvers bench sliced``: sliced distances, what the same projections are worth, and what they cost."""

from . import _threads, machine, options, report, sliced_speed
from ._registry import UsageError, need, present
from .report import heading_of, line_of, ratio, seconds
from .sliced import SLICED, from_files
from .sliced_methods import BASELINE, DEFAULT, select
from .sliced_run import PROJECTIONS, RTOL, memory, pairwise, run_problem, warm_up

__all__ = ["bench", "heading", "line", "summary"]

_QUICK = ("gauss-3-500", "gauss-10-500", "torus-chair", "digits-0-1")
_SPEED = ((3, 100_000, 100_000, False), (768, 100_000, 100_000, False), (3, 100_000, 80_000, True))

EXPLAINED = (
    f"ratio: the variance of plain Monte Carlo over the mean squared error of SW_2^2, both from {PROJECTIONS} "
    "projections (repeats: how many estimates; >: the reference is no more accurate). seconds: CPU time of one "
    f"estimate. s to rtol: CPU time to a standard error of {RTOL:g} of the distance; =: measured, since the method "
    "stops there, else the time of as many projections as the error asks for. MB: the most that NumPy allocates. POT's "
    "accuracy is found with our kernels on its directions; its seconds and its memory are its own."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -17, lambda r: report.shorten(r.problem, 17)),
    ("d", 4, lambda r: str(r.d)),
    ("n", 6, lambda r: str(r.n)),
    ("m", 6, lambda r: str(r.m)),
    ("method", -20, lambda r: r.method),
    ("repeats", 7, lambda r: str(r.repeats or "")),
    ("ratio", 10, lambda r: "" if r.ratio is None else (">" if r.at_least else "") + f"{r.ratio:.3g}"),
    ("seconds", 8, lambda r: seconds(r.seconds)),
    ("s to rtol", 9, lambda r: ("=" if r.measured else "") + seconds(r.to_rtol)),
    ("MB", 6, lambda r: "" if r.megabytes is None else f"{r.megabytes:.1f}"),
    ("", -12, lambda r: "" if r.status == "done" else "! not run"),
)


def heading():
    """The line of headings and the rule below it."""
    return heading_of(_COLUMNS)


def line(row):
    """One row of the table."""
    return line_of(_COLUMNS, row)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    refused = "size matrix rhs preconditioners rtol dtype baseline csv plot steps cap sweeps startup".split()
    threads = options.one_cpu_thread(args, "sliced", refused)
    problems, methods = _problems(args), select(args.methods)
    whole = args.problems is args.methods is args.clouds is None and not args.quick
    with _threads.pinned(threads, argv) as said:
        return _run(problems, methods, args, argv, said, whole)


def _problems(args):
    """What was asked for must be there; of the rest, what is there is taken."""
    if args.clouds is not None:
        if args.problems is not None:
            raise UsageError("--clouds and --problems exclude each other.")
        if len(files := args.clouds.split(",")) != 2:
            raise UsageError(f"--clouds takes two files, separated by a comma, got {args.clouds!r}.")
        return [from_files(*map(str.strip, files))]
    if args.problems is not None:
        chosen = SLICED.select(args.problems)
        for entry in chosen:
            need(entry.package, f"{entry.name!r}")
        return chosen
    chosen = SLICED.select(",".join(_QUICK)) if args.quick else SLICED.values()
    return [entry for entry in chosen if present(entry.package)]


def _run(problems, methods, args, argv, threads, whole):
    """Print rows as they finish; an interrupt keeps those that did."""
    print(f"{machine.one_line()}, POT {machine.versions()['POT']}\nthreads: {threads}")
    print(report.wrap(EXPLAINED))
    print(heading(), flush=True)
    rows, more = [], {}
    with report.rows_kept() as outcome:
        for entry in problems:
            problem = entry.make()
            warm_up(problem, methods)
            for row in run_problem(problem, methods, args.quick):
                rows.append(row)
                print(line(row), flush=True)
            _write(args, argv, threads, rows, more, complete=False)
        if whole:
            _more(more)
        _write(args, argv, threads, rows, more, complete=True)
    print(report.wrap(summary(rows)))
    for message in dict.fromkeys(f"  {row.method}, d = {row.d}: {row.status}" for row in rows if row.status != "done"):
        print(report.wrap(message, "    "))
    if args.json and rows:
        print(f"written: {args.json}")
    return outcome.code


def _more(more):
    """All pairs, seconds a projection, memory: what a complete run adds to the table."""
    with_pot = present("ot")
    if with_pot:
        more["pairwise"] = found = pairwise()
        print(
            "all pairs of {clouds} x {points} points, d = {d}, {projections} projections: {plain:.3f} s (with "
            "the control {default:.3f} s), POT {pot:.1f} s; ratio {ratio:.0f} ({ratio_default:.0f}), distances differ "
            "by {difference:.1e}".format(**found),
            flush=True,
        )
        print(f"milliseconds for {PROJECTIONS} projections\n{sliced_speed.heading()}", flush=True)
        more["speed"] = []
        for row in sliced_speed.in_children(_SPEED):
            more["speed"].append(row.to_dict())
            print(sliced_speed.line(row), flush=True)
    more["memory_megabytes"] = found = memory(with_pot)
    pot = f", POT with 25: {found['pot_25']:.0f} MB" if with_pot else ""
    print(f"memory beyond 2 x 100,000 points, 1,000 projections: {found['ours_1000']:.0f} MB{pot}", flush=True)


def _write(args, argv, threads, rows, more, complete):
    settings = {"projections": PROJECTIONS, "rtol": RTOL, "baseline": BASELINE}
    report.write_so_far(args, argv, threads, rows, complete, settings=settings, **more)


def summary(rows):
    """One line that counts what happened, the losses included."""
    done = [row for row in rows if row.ratio is not None]
    worse = [row for row in done if ":" not in row.method and row.method not in (BASELINE, "pot") and row.ratio < 1]
    parts = [f"{len(rows)} rows", f"{len(rows) - len(done)} not run"]
    names = ", ".join(f"{row.method} on {row.problem} {ratio(row.ratio)}" for row in worse[:6])
    parts.append(f"{len(worse)} less accurate than plain Monte Carlo" + (f" ({names})" if worse else ""))
    beaten = [f"{name} on {problem}" for problem, name in _beaten(done)]
    parts += [f"more accurate than {DEFAULT}, which has an error bar: {', '.join(beaten)}"] if beaten else []
    return "; ".join(parts) + "."


def _beaten(rows):
    """Problems and rivals that are more accurate than ours as it comes."""
    ours = {row.problem: row for row in rows if row.method == DEFAULT}
    for row in rows:
        if row.method.startswith("pot") and row.problem in ours and row.ratio > ours[row.problem].ratio:
            yield row.problem, row.method
