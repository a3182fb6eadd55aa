"""``solvers bench pde``: our Gaussian processes and their rivals at one error, judged by the exact solutions."""

from . import _threads, machine, options, pde_methods, report
from ._registry import present
from .pde_methods import BASELINE, TOL
from .pde_problems import PDES
from .pde_rivals import PDE_METHODS
from .pde_run import POINTS, REACHED, SHORT, TARGET, WRONG, run_problem, warm_up
from .report import heading_of, line_of, ratio, seconds

__all__ = ["bench", "heading", "line", "summary"]

_CAP, _QUICK_CAP = 5.0, 0.5
_QUICK = ("sin100", "sinsin100-2d", "advection", "elliptic-chen")

EXPLAINED = (
    f"n: nodes of the coarsest level whose relative L2 error on {POINTS[1]} ({POINTS[2]}^2, {POINTS[3]}^3) uniform "
    f"points is at most {TARGET:g}, searched outside the clock for all but gp, or those of the best level; n/wave: for "
    "each wavelength of the highest frequency. seconds: CPU, median. least: the least error that any level gave. "
    f"ratio: the seconds of {BASELINE} over these, both at {TARGET:g}. gp finds its sizes within its seconds, for a "
    f"tolerance of {TOL:g}. published: error and seconds of the better of two kernels of GP-HM (arXiv:2311.04465) in "
    f"its authors' logs, on their hardware. Status {WRONG}: said to have converged, but off by more than "
    f"{100 * TOL:g}."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -14, lambda r: r.problem),
    ("method", -15, lambda r: r.method),
    ("n", 11, lambda r: _size(r.n)),
    ("n/wave", 6, lambda r: "" if r.per_wave is None else f"{r.per_wave:.3g}"),
    ("seconds", 7, lambda r: seconds(r.seconds)),
    ("error", 7, lambda r: _scientific(r.error)),
    ("estimate", 8, lambda r: _scientific(r.estimate)),
    ("least", 7, lambda r: _scientific(r.best_error)),
    ("ratio", 6, lambda r: ratio(r.ratio)),
    ("status", -12, lambda r: r.status if r.status in (REACHED, SHORT) else f"! {r.status}"),
    ("published", -15, lambda r: _published(r.published)),
)


def _size(n):
    if n is None:
        return ""
    return f"{n[0]}^{len(n)}" if len(n) > 1 and len(set(n)) == 1 else "x".join(map(str, n))


def _scientific(value):
    return "" if value is None else f"{value:.1e}"


def _published(found):
    if not found:
        return ""
    best = min(found, key=lambda each: each["error"])
    return f"{best['error']:.1e} {best['seconds']:.0f} s"


def heading():
    """The line of headings and the rule below it."""
    return heading_of(_COLUMNS)


def line(row):
    """One row of the table."""
    return line_of(_COLUMNS, row)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    refused = "size matrix rhs preconditioners rtol dtype baseline csv plot steps sweeps".split()
    threads = options.one_cpu_thread(args, "pde", refused)
    problems, methods = _problems(args), pde_methods.select(args.methods)
    base = PDE_METHODS[BASELINE]
    methods = methods if base in methods else [*methods, base]
    with _threads.pinned(threads, argv) as said:
        return _run(problems, methods, args, argv, said)


def _problems(args):
    if args.problems is not None:
        return PDES.select(args.problems)
    return [PDES[name] for name in _QUICK] if args.quick else list(PDES.values())


def _run(problems, methods, args, argv, threads):
    """Print a problem as it finishes; an interrupt keeps those that did."""
    cap = args.cap or (_QUICK_CAP if args.quick else _CAP)
    repeats = 1 if args.quick else args.repeats
    print(f"{machine.one_line()}\nthreads: {threads}; at most {cap:g} s to search one row's levels")
    print(report.wrap(EXPLAINED))
    absent = [name for name, entry in PDE_METHODS.items() if not present(entry.package)]
    if absent:
        print(f"skipped, not installed: {', '.join(absent)}")
    print(heading(), flush=True)
    rows = []
    with report.rows_kept() as outcome:
        warm_up(methods, problems)
        for problem in problems:
            rows += (own := run_problem(problem, methods, cap, repeats))
            print("\n".join(line(row) for row in own), flush=True)
            _write(args, argv, threads, rows, cap, repeats, complete=problem is problems[-1])
    print(report.wrap(summary(rows)))
    for row in rows:
        if row.message:
            print(report.wrap(f"  {row.method} on {row.problem}: {row.message}", "    "))
    if args.json and rows:
        print(f"written: {args.json}")
    return outcome.code


def _write(args, argv, threads, rows, cap, repeats, complete):
    settings = {"target": TARGET, "tol": TOL, "cap_seconds": cap, "repeats": repeats, "points": POINTS}
    report.write_so_far(args, argv, threads, rows, complete, settings=settings)


def summary(rows):
    """What ours reached, where it loses, and what it wins over the published figures."""
    ours = [row for row in rows if row.method == "gp"]
    parts = [f"{len(rows)} rows", f"{sum(row.reached for row in rows)} reach {TARGET:g}"]
    wrong = sum(row.status == WRONG for row in rows)
    parts += [f"{wrong} {WRONG}"] if wrong else []
    if ours:
        parts.append(f"gp reaches it on {sum(row.reached for row in ours)} of {len(ours)} problems")
        lost = [row.problem for row in ours if row.ratio is not None and row.ratio < 1]
        parts.append(f"{BASELINE} is faster than gp on {len(lost)}" + (f" ({', '.join(lost)})" if lost else ""))
        beaten = [row.problem for row in ours if _fastest(row.problem, rows) != "gp"]
        parts.append(f"some rival is on {len(beaten)}" + (f" ({', '.join(beaten)})" if beaten else ""))
    gains = [
        (min(p["error"] for p in row.published) / row.error, min(p["seconds"] for p in row.published) / row.seconds)
        for row in ours
        if row.published and row.error and row.seconds
    ]
    if gains:
        errors, times = (min(column) for column in zip(*gains))
        parts.append(f"against the published: at least {errors:.2g} times less error in {times:.2g} times less time")
    return "; ".join(parts) + "."


def _fastest(problem, rows):
    """Who needs the fewest seconds of those that reach the target, ours with given sizes aside."""
    found = [row for row in rows if row.problem == problem and row.reached and row.method != "gp-n"]
    return min(found, key=lambda row: row.seconds).method if found else "gp"
