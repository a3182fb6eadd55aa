"""``solvers bench transport``: entropic plans, ours and rivals', judged by their recomputed marginals and cost."""

from . import _threads, machine, options, picture, report, transport, transport_methods, transport_sweeps
from ._registry import UsageError
from .area import View, show, skipped
from .report import count, ratio, scientific, seconds
from .transport import TRANSPORTS
from .transport_methods import BASELINE, CAP, POT_TOL, TOL
from .transport_rivals import TRANSPORTERS
from .transport_run import INACCURATE, WRONG, run_problem, warm_up

__all__ = ["VIEW", "bench", "summary"]

# All that is registered takes under six minutes with the first; a stopped baseline leaves a bound as its ratio.
_CAP, _QUICK_CAP = 1.0, 0.5
_QUICK = ("images-l2-1e-2", "images-l2-1e-3")

EXPLAINED = (
    "iter: sweeps. seconds: CPU time, the dense plan included. error: the L1 error of both marginals of the plan, "
    f"recomputed, as is its cost (value). ratio: the seconds of {BASELINE} over these; >: it was stopped before its "
    f"end. Status {WRONG}: returned without a failure, but marginals or cost are off by more than 1e-3; {INACCURATE}: "
    f"returned so, but above ten times the tolerance of {TOL:g}; {CAP}: stopped by this benchmark after its seconds. "
    f"POT tests one marginal in L2, here for {POT_TOL:g}."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -16, lambda r: r.problem),
    ("n", 5, lambda r: str(r.n)),
    ("eps", 7, lambda r: f"{r.eps:.2g}"),
    ("method", -23, lambda r: r.method),
    ("iter", 7, lambda r: count(r.sweeps)),
    ("Newton", 6, lambda r: str(r.newton_steps or "")),
    ("seconds", 7, lambda r: seconds(r.seconds)),
    ("error", 7, lambda r: scientific(r.marginal_error)),
    ("value", 10, lambda r: "" if r.value is None else f"{r.value:.7g}"),
    ("ratio", 7, lambda r: (">" if r.at_least else "") + ratio(r.ratio)),
    ("status", -12, lambda r: r.status if r.status in ("converged", CAP) else f"! {r.status}"),
)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
    if args.sweeps:
        with _threads.pinned(threads, argv) as said:
            return _sweeps(args, argv, said)
    problems, methods = _problems(args), transport_methods.select(args.methods)
    if BASELINE in TRANSPORTERS and transport_methods.available(TRANSPORTERS[BASELINE]):
        methods = list(dict.fromkeys([*methods, TRANSPORTERS[BASELINE]]))
    with _threads.pinned(threads, argv) as said:
        return _run(problems, methods, args, argv, said)


def _sweeps(args, argv, threads):
    """The table of single sweeps."""
    sizes, rows = (transport_sweeps.SIZES[:1] if args.quick else transport_sweeps.SIZES), []
    print(f"{machine.one_line()}, {machine.pot()}\nthreads: {threads}\n{transport_sweeps.heading()}")
    for n in sizes:
        rows.append({"n": n, "seconds": transport_sweeps.measure(n)})
        print(transport_sweeps.line(**rows[-1]), flush=True)
    report.write_so_far(args, argv, threads, rows, True)
    return 0


def _problems(args):
    if args.images:
        if len(files := args.images.split(",")) != 2:
            raise UsageError(f"--images takes two files, separated by a comma, got {args.images!r}.")
        return transport.from_files(*files)
    if args.problems is not None:
        return transport.select(args.problems)
    return [TRANSPORTS[name] for name in _QUICK] if args.quick else transport.available()


def _run(problems, methods, args, argv, threads):
    """The table of the problems."""
    cap = args.cap or (_QUICK_CAP if args.quick else _CAP)

    def groups():
        warm_up(methods)
        for entry in problems:
            yield run_problem(entry.make(), methods, cap, args.repeats)

    about = {"settings": {"tol": TOL, "pot_stopThr": POT_TOL, "cap_seconds": cap, "repeats": args.repeats}}
    opening = [f"{machine.pot()}; threads: {threads}; at most {cap:g} s a row", EXPLAINED, *skipped(TRANSPORTERS)]
    return show(VIEW, groups(), args, argv, threads=threads, opening=opening, about=lambda: about)


def summary(rows):
    """One line that counts what happened, the losses included."""
    ours = [row for row in rows if ":" not in row.method and row.ratio is not None]
    slower = sum(row.ratio < 1 and not row.at_least for row in ours)
    open_ = sum(row.ratio < 1 and row.at_least for row in ours)
    counted = {status: sum(row.status == status for row in rows) for status in ("converged", WRONG, INACCURATE, CAP)}
    parts = [f"{len(rows)} solves", *(f"{count} {status}" for status, count in counted.items() if count)]
    if ours:
        parts.append(f"ours: {len(ours) - slower - open_} at least as fast as {BASELINE}, {slower} slower")
        parts += [f"{open_} undecided, since it was stopped"] if open_ else []
    return ["; ".join(parts) + "."]


def notes(rows):
    """What rows have to say beyond their status."""
    return [f"{row.method} on {row.problem}: {row.message}" for row in rows if row.message and row.status != CAP]


# ---- the picture -----------------------------------------------------------------------------------

_SIDES = picture.Sides(
    "error", "L1 error of both marginals of the plan", "speed relative to the baseline",
    f"times as fast as {BASELINE}", TOL, "the tolerance",
)  # fmt: skip


def _mark(row):
    kind = "other" if ":" in row.method else "ours"
    remark, bound = "" if row.status == "converged" else row.status, ">" * row.at_least
    group = f"{row.problem}, n = {row.n}"
    return picture.Mark(group, row.method, row.marginal_error, row.ratio, kind, remark, bound)


VIEW = View(_COLUMNS, picture.drawn_by(_mark, _SIDES), summary, notes)
