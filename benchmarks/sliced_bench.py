"""``solvers bench sliced``: sliced distances, what the same projections are worth, and what they cost."""

from . import _threads, machine, options, picture, report, sliced_speed
from ._registry import UsageError, need, present
from .area import View, show, skipped
from .report import ratio, seconds
from .sliced import SLICED, from_files
from .sliced_methods import BASELINE, DEFAULT, SLICERS, select
from .sliced_run import PROJECTIONS, RTOL, memory, pairwise, run_problem, warm_up

__all__ = ["VIEW", "bench", "summary"]

_QUICK = ("gauss-3-500", "gauss-10-500", "torus-chair", "digits-0-1")
_SPEED = ((3, 100_000, 100_000, False), (768, 100_000, 100_000, False), (3, 100_000, 80_000, True))

EXPLAINED = (
    "error: of the distance from so many projections (proj), relative, root mean square of many estimates. ratio: the "
    "variance of plain Monte Carlo over the mean squared error of SW_2^2 from as many (>: the reference is no more "
    f"accurate). seconds: CPU time of one estimate. s to rtol: CPU time to a standard error of {RTOL:g} of the "
    "distance; =: measured, since the method stops there, else the time of as many projections as the error asks for. "
    "MB: the most that NumPy allocates. POT's accuracy is found with our kernels on its directions; its seconds and "
    "its memory are its own."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -17, lambda r: report.shorten(r.problem, 17)),
    ("d", 4, lambda r: str(r.d)),
    ("n", 6, lambda r: str(r.n)),
    ("m", 6, lambda r: str(r.m)),
    ("method", -20, lambda r: r.method),
    ("proj", 4, lambda r: str(r.projections)),
    ("error", 7, lambda r: report.scientific(r.error)),
    ("ratio", 8, lambda r: "" if r.ratio is None else (">" if r.at_least else "") + f"{r.ratio:.3g}"),
    ("seconds", 8, lambda r: seconds(r.seconds)),
    ("s to rtol", 9, lambda r: ("=" if r.measured else "") + seconds(r.to_rtol)),
    ("MB", 6, lambda r: "" if r.megabytes is None else f"{r.megabytes:.1f}"),
    ("", -9, lambda r: "" if r.status == "done" else "! not run"),
)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
    problems, methods = _problems(args), select(args.methods)
    whole = args.problems is args.methods is args.clouds is None and not args.quick
    with _threads.pinned(threads, argv) as said:
        return _run(problems, methods, args, argv, said, whole)


def _problems(args):
    """What was asked for must be there; of the rest, what is there is taken."""
    if args.clouds is not None:
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
    """The table of the problems, and speed and memory where everything is run."""
    more = {"settings": {"projections": PROJECTIONS, "rtol": RTOL, "baseline": BASELINE}}

    def groups():
        for entry in problems:
            problem = entry.make()
            warm_up(problem, methods)
            yield run_problem(problem, methods, args.quick)
        if whole:
            _more(more)

    opening = [f"{machine.pot()}; threads: {threads}", EXPLAINED, *skipped(SLICERS)]
    return show(VIEW, groups(), args, argv, threads=threads, opening=opening, about=lambda: more)


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


def summary(rows):
    """One line that counts what happened, the losses included."""
    done = [row for row in rows if row.ratio is not None]
    worse = [row for row in done if ":" not in row.method and row.method not in (BASELINE, "pot") and row.ratio < 1]
    parts = [f"{len(rows)} rows", f"{len(rows) - len(done)} not run"]
    names = ", ".join(f"{row.method} on {row.problem} {ratio(row.ratio)}" for row in worse[:6])
    parts.append(f"{len(worse)} less accurate than plain Monte Carlo" + (f" ({names})" if worse else ""))
    beaten = [f"{name} on {problem}" for problem, name in _beaten(done)]
    parts += [f"more accurate than {DEFAULT}, which has an error bar: {', '.join(beaten)}"] if beaten else []
    return ["; ".join(parts) + "."]


def notes(rows):
    """Why rows were not run, each sentence once."""
    return list(dict.fromkeys(f"{row.method}, d = {row.d}: {row.status}" for row in rows if row.status != "done"))


def _beaten(rows):
    """Problems and rivals that are more accurate than ours as it comes."""
    ours = {row.problem: row for row in rows if row.method == DEFAULT}
    for row in rows:
        if row.method.startswith("pot") and row.problem in ours and row.ratio > ours[row.problem].ratio:
            yield row.problem, row.method


# ---- the picture -----------------------------------------------------------------------------------

_SIDES = picture.Sides(
    "error", f"relative error of the distance from {PROJECTIONS} projections",
    "what a projection is worth", f"times less squared error than {BASELINE}, with as many projections",
)  # fmt: skip


def _mark(row):
    kind = "other" if row.method.startswith("pot") else "ours"
    group = f"{row.problem}, d = {row.d}, n = {row.n:,}"
    return picture.Mark(group, row.method, row.error, row.ratio, kind, bound=">" * row.at_least)


VIEW = View(_COLUMNS, picture.drawn_by(_mark, _SIDES, lambda row: row.status == "done"), summary, notes)
