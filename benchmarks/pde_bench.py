"""``solvers bench pde``: our Gaussian processes and their rivals at one error, judged by the exact solutions."""

from . import _threads, options, pde_methods, picture, report
from .area import View, show, skipped
from .pde_methods import BASELINE, TOL
from .pde_problems import PDES
from .pde_rivals import PDE_METHODS
from .pde_run import POINTS, REACHED, SHORT, TARGET, WRONG, run_problem, warm_up
from .report import ratio, scientific, seconds

__all__ = ["VIEW", "bench", "summary"]

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
    ("n", 9, lambda r: _size(r.n)),
    ("iter", 4, lambda r: report.count(r.iterations or None)),
    ("n/wave", 6, lambda r: "" if r.per_wave is None else f"{r.per_wave:.3g}"),
    ("seconds", 7, lambda r: seconds(r.seconds)),
    ("error", 7, lambda r: scientific(r.error)),
    ("estimate", 8, lambda r: scientific(r.estimate)),
    ("least", 7, lambda r: scientific(r.best_error)),
    ("ratio", 6, lambda r: ratio(r.ratio)),
    ("status", -11, lambda r: r.status if r.status in (REACHED, SHORT) else f"! {r.status}"),
    ("published", -14, lambda r: _published(r.published)),
)


def _size(n):
    if n is None:
        return ""
    return f"{n[0]}^{len(n)}" if len(n) > 1 and len(set(n)) == 1 else "x".join(map(str, n))


def _published(found):
    if not found:
        return ""
    best = min(found, key=lambda each: each["error"])
    return f"{best['error']:.1e} {best['seconds']:.0f} s"


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
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
    """The table of the problems."""
    cap = args.cap or (_QUICK_CAP if args.quick else _CAP)

    def groups():
        warm_up(methods, problems)
        for problem in problems:
            yield run_problem(problem, methods, cap, args.repeats)

    settings = {"target": TARGET, "tol": TOL, "cap_seconds": cap, "repeats": args.repeats, "points": POINTS}
    said = f"threads: {threads}; at most {cap:g} s to search one row's levels"
    opening = [said, EXPLAINED, *skipped(PDE_METHODS)]
    about = {"settings": settings}
    return show(VIEW, groups(), args, argv, threads=threads, opening=opening, about=lambda: about)


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
    return ["; ".join(parts) + "."]


def notes(rows):
    """What rows have to say beyond their status."""
    return [f"{row.method} on {row.problem}: {row.message}" for row in rows if row.message]


def _fastest(problem, rows):
    """Who needs the fewest seconds of those that reach the target, ours with given sizes aside."""
    found = [row for row in rows if row.problem == problem and row.reached and row.method != "gp-n"]
    return min(found, key=lambda row: row.seconds).method if found else "gp"


# ---- the picture -----------------------------------------------------------------------------------

_SIDES = picture.Sides(
    "error", "relative L2 error at uniform points", "speed relative to the baseline",
    f"times as fast as {BASELINE}, both at {TARGET:g}", TARGET, "the target",
)  # fmt: skip


def _mark(row):
    kind = "ours" if row.method in ("gp", "gp-n") else "other"
    remark = "" if row.status == REACHED else row.status
    return picture.Mark(row.problem, f"{row.method}  {_size(row.n)}", row.error, row.ratio, kind, remark)


VIEW = View(_COLUMNS, picture.drawn_by(_mark, _SIDES), summary, notes)
