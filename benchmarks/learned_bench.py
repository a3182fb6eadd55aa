"""``solvers bench learned``: learned preconditioners and their rivals on grids, with what their fit costs."""

from . import _threads, learned_methods, machine, options, report
from ._registry import UsageError, present
from .learned import LEARNED, SEED
from .learned_methods import BASELINE, DEEP, LEARNED_MG
from .learned_run import CAP, CONVERGED, FIRST_SEED, NOT_RUN, TEXTBOOK, run_problem, run_seeds, warm_up
from .report import heading_of, line_of, ratio, seconds

__all__ = ["bench", "heading", "line", "summary"]

# CPU seconds after which a solve is stopped, and those of the training of dcdm's network.
_CAP, _QUICK_CAP = 4.0, 1.0
_TRAINING, _QUICK_TRAINING = 110.0, 8.0
_QUICK = (("box-2d", 64), ("obstacles-2d", 128), ("lognormal-2d", 128), ("obstacles-3d", 32), ("jump-3d", 32))
# The sizes of --seeds: near those of the fit, and the largest, where three seeds show whether iterations grow.
_SEED_SIZES, _FEW = {2: (256, 1024), 3: (64, 128)}, 3
_RTOL = 1e-6

EXPLAINED = (
    "Conjugate gradients to {rtol:g}, white noise on the right, CPU seconds of one thread, medians; total: set-up and "
    f"one solve. fit s: of the fit, for {LEARNED_MG} the evaluations on record times the seconds of one here. "
    "repaid: the solves after which fit and solves have cost less than the best rival without a fit, of one matrix for "
    "coarse-space, with a set-up for each of the others; never: it is not faster. residual: the true one, relative. "
    f"ratio: the total of {BASELINE} over this; > or <: that or this was stopped after {{cap:g}} s."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -15, lambda r: r.problem),
    ("n", 7, lambda r: str(r.n)),
    ("method", -14, lambda r: r.method),
    ("iter", 5, lambda r: "" if r.iterations is None else str(r.iterations)),
    ("set-up", 7, lambda r: seconds(r.setup_seconds)),
    ("solve", 7, lambda r: seconds(r.seconds)),
    ("total", 7, lambda r: seconds(r.total)),
    ("fit s", 6, lambda r: seconds(r.fit_seconds)),
    ("repaid", 6, lambda r: "never" if r.never else "" if r.repaid is None else str(r.repaid)),
    ("residual", 8, lambda r: "" if r.residual is None else f"{r.residual:.1e}"),
    ("ratio", 7, lambda r: _bound(r) + ratio(r.ratio)),
    ("status", -10, lambda r: r.status if r.status in (CONVERGED, CAP) else f"! {r.status}"),
)

_SEED_COLUMNS = (
    ("problem", -15, lambda r: r.problem),
    ("size", 5, lambda r: str(r.size)),
    ("seeds", 5, lambda r: str(r.seeds)),
    ("g = 0", 6, lambda r: f"{r.textbook[0]:.1f}"),
    ("g = 1/4", 7, lambda r: f"{r.textbook[1]:.1f}"),
    ("learned", 7, lambda r: f"{r.learned:.1f}"),
    ("ratio", 5, lambda r: f"{r.ratio:.2f}"),
    ("worst", 5, lambda r: f"{r.worst:+d}"),
    ("kept", 5, lambda r: f"{r.probe}/{r.seeds}"),
    ("", -15, lambda r: "" if r.converged else "! not converged"),
)

SEEDS_EXPLAINED = (
    f"Mean iterations to {{rtol:g}} on systems of seeds {FIRST_SEED} and up, which nothing was fitted to: multigrid "
    "with textbook parameters (interpolation weight g), and with the learned ones after their probe. ratio: learned "
    "over the better of the textbook's; worst: the most iterations by which one system takes more than with g = 0; "
    "kept: where the probe kept the learned parameters."
)


def _bound(row):
    """The baseline's total is at least what it was stopped at; so is this one's."""
    return "" if not row.at_least else "<" if row.status == CAP else ">"


def heading():
    """The line of headings and the rule below it."""
    return heading_of(_COLUMNS)


def line(row):
    """One row of the table."""
    return line_of(_COLUMNS, row)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    refused = "matrix rhs preconditioners dtype baseline csv plot steps sweeps".split()
    threads = options.one_cpu_thread(args, "learned", refused)
    tasks, methods = _tasks(args), learned_methods.select(args.methods)
    if args.seeds > 1 and (args.quick or args.methods or args.model):
        raise UsageError("--seeds excludes --quick, --methods and --model: it compares multigrid's parameters.")
    base = learned_methods.LEARNERS[BASELINE]
    if present(base.package) and base not in methods:
        methods = [base, *methods]
    learned_methods.forget(args.model, _QUICK_TRAINING if args.quick else _TRAINING)
    with _threads.pinned(threads, argv) as said:
        return (_seeds if args.seeds > 1 else _run)(tasks, methods, args, argv, said)


def _tasks(args):
    """Pairs of a problem and its size."""
    if args.quick and args.problems is None and args.size is None:
        return [(LEARNED[name], size) for name, size in _QUICK]
    chosen = list(LEARNED.values()) if args.problems is None else LEARNED.select(args.problems)
    if args.seeds > 1:
        families = [entry for entry in chosen if entry.family != "box"]
        return [(entry, size) for entry in families for size in args.size or _SEED_SIZES[entry.dim]]
    return [(entry, size) for entry in chosen for size in args.size or entry.sizes[: 1 if args.quick else None]]


def _run(tasks, methods, args, argv, threads):
    """Print a problem as it finishes; an interrupt keeps those that did."""
    cap, rtol = args.cap or (_QUICK_CAP if args.quick else _CAP), args.rtol or _RTOL
    repeats = 1 if args.quick else args.repeats
    print(f"{machine.one_line()}\nthreads: {threads}; problems of seed {SEED}")
    print(report.wrap(EXPLAINED.format(rtol=rtol, cap=cap)))
    print(heading(), flush=True)
    rows = []
    about = {"settings": {"rtol": rtol, "cap_seconds": cap, "repeats": repeats, "seed": SEED, "baseline": BASELINE}}
    about["settings"]["training_seconds"] = None if args.model else learned_methods.deep_model.budget
    with report.rows_kept() as outcome:
        warm_up(methods, [entry for entry, _ in tasks], rtol)
        for entry, size in tasks:
            rows += (own := run_problem(entry.make(size), methods, rtol, cap, repeats))
            print("\n".join(line(row) for row in own), flush=True)
            about["dcdm_losses"] = learned_methods.deep_model.losses
            report.write_so_far(args, argv, threads, rows, (entry, size) == tasks[-1], **about)
    for sentence in summary(rows):
        print(report.wrap(sentence, "  "))
    for sentence in _notes(rows):
        print(report.wrap(f"  {sentence}", "    "))
    if args.json and rows:
        print(f"written: {args.json}")
    return outcome.code


def _seeds(tasks, methods, args, argv, threads):
    """The table of unseen seeds."""
    rtol, rows = args.rtol or _RTOL, []
    print(f"{machine.one_line()}\nthreads: {threads}")
    print(report.wrap(SEEDS_EXPLAINED.format(rtol=rtol)))
    print(heading_of(_SEED_COLUMNS), flush=True)
    for entry, size in tasks:
        few = args.size is None and size == _SEED_SIZES[entry.dim][-1]
        rows.append(run_seeds(entry, size, min(args.seeds, _FEW) if few else args.seeds, rtol))
        print(line_of(_SEED_COLUMNS, rows[-1]), flush=True)
        report.write_so_far(args, argv, threads, rows, (entry, size) == tasks[-1], settings={"rtol": rtol})
    if args.json:
        print(f"written: {args.json}")
    return 0


def _notes(rows):
    """What rows have to say beyond their status, each sentence once."""
    places = {}
    for row in rows:
        if row.message and row.status != CAP:
            places.setdefault(f"{row.method}: {row.message}", []).append(f"{row.problem} {row.grid[0]}")
    return [f"{said} ({', '.join(dict.fromkeys(where))})" for said, where in places.items()]


def summary(rows):
    """What the learned multigrid gains over each rival, where it loses, and what the deep method costs."""
    said, counted = [], {status: sum(row.status == status for row in rows) for status in (CONVERGED, CAP, NOT_RUN)}
    other = len(rows) - sum(counted.values())
    counts = ", ".join(f"{count} {status}" for status, count in {**counted, "failed or wrong": other}.items() if count)
    said.append(f"{len(rows)} rows: {counts}.")
    systems = {}
    for row in rows:
        systems.setdefault((row.problem, row.n), {})[row.method] = row
    ours = [own for own in systems.values() if LEARNED_MG in own and own[LEARNED_MG].status == CONVERGED]
    said += [_gains(ours)] if ours else []
    said += [sentence for own in systems.values() if (sentence := _deep(own))]
    return said


def _gains(systems):
    """The range of total seconds of each rival over ours, and how often a rival is faster."""
    parts = []
    for name in dict.fromkeys(name for own in systems for name in own):
        ratios = [own[name].total / own[LEARNED_MG].total for own in systems if _is_rival(own.get(name))]
        if ratios:
            faster = sum(each < 1 for each in ratios)
            lost = f" (faster on {faster} of {len(ratios)})" if faster else ""
            parts.append(f"{name} {ratio(min(ratios))} to {ratio(max(ratios))}{lost}")
    more = sum(_fewest_textbook(own) < own[LEARNED_MG].iterations for own in systems)
    textbook = f"; a textbook setting takes fewer iterations on {more} of {len(systems)}" if more else ""
    return f"Total seconds over those of {LEARNED_MG}: {', '.join(parts)}{textbook}."


def _is_rival(row):
    return row is not None and row.method != LEARNED_MG and row.status in (CONVERGED, CAP) and row.total


def _fewest_textbook(own):
    return min((own[n].iterations for n in TEXTBOOK if n in own and own[n].status == CONVERGED), default=float("inf"))


def _deep(own):
    """What the deep method saves in iterations, and what it costs in seconds."""
    deep, cg = own.get(DEEP), own.get("cg")
    if not (_is_rival(deep) and cg is not None and cg.status == CONVERGED):
        return ""
    where, least = f"{deep.problem} {deep.grid[0]}", "more than " * (deep.status == CAP)
    compared = f"{least}{ratio(deep.total / cg.total)} times its seconds"
    return f"{DEEP} on {where}: {deep.iterations} iterations to cg's {cg.iterations}, {deep.status}, {compared}."
