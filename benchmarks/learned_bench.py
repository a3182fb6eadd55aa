"""``solvers bench learned``: learned preconditioners and their rivals on grids, with what their fit costs."""

from . import _threads, learned_methods, options, picture, report
from ._registry import present
from .area import View, show
from .learned import LEARNED, SEED
from .learned_methods import BASELINE, DEEP, LEARNED_MG
from .learned_run import CAP, CONVERGED, FIRST_SEED, NOT_RUN, TEXTBOOK, run_problem, run_seeds, warm_up
from .report import ratio, seconds

__all__ = ["SEEDS_VIEW", "VIEW", "bench", "summary"]

# CPU seconds after which a solve is stopped, and those of the training of dcdm's network.
_CAP, _QUICK_CAP = 4.0, 1.0
_TRAINING, _QUICK_TRAINING = 110.0, 8.0
_QUICK = (("box-2d", 64), ("obstacles-2d", 128), ("lognormal-2d", 128), ("obstacles-3d", 32), ("jump-3d", 32))
# The sizes of --seeds: near those of the fit, and the largest, where three seeds show whether iterations grow.
_SEED_SIZES, _FEW = {2: (256, 1024), 3: (64, 128)}, 3
_RTOL = 1e-6

EXPLAINED = (
    "Conjugate gradients to {rtol:g}, white noise on the right, CPU seconds of one thread, medians; seconds: set-up "
    f"and one solve. fit s: of the fit, for {LEARNED_MG} the evaluations on record times the seconds of one here. "
    "repaid: the solves after which fit and solves have cost less than the best rival without a fit, of one matrix for "
    "coarse-space, with a set-up for each of the others; never: it is not faster. residual: the true one, relative. "
    f"ratio: the seconds of {BASELINE} over these; > or <: those or these were stopped after {{cap:g}} s."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -15, lambda r: r.problem),
    ("n", 7, lambda r: str(r.n)),
    ("method", -14, lambda r: r.method),
    ("iter", 5, lambda r: report.count(r.iterations)),
    ("set-up", 7, lambda r: seconds(r.setup_seconds)),
    ("solve", 7, lambda r: seconds(r.seconds)),
    ("seconds", 7, lambda r: seconds(r.total)),
    ("fit s", 6, lambda r: seconds(r.fit_seconds)),
    ("repaid", 6, lambda r: "never" if r.never else "" if r.repaid is None else str(r.repaid)),
    ("residual", 8, lambda r: report.scientific(r.residual)),
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


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
    tasks, methods = _tasks(args), learned_methods.select(args.methods)
    base = learned_methods.LEARNERS[BASELINE]
    if present(base.package) and base not in methods:
        methods = [base, *methods]
    learned_methods.forget(args.model, _QUICK_TRAINING if args.quick else _TRAINING)
    with _threads.pinned(threads, argv) as said:
        return (_seeds if args.seeds > 1 else _run)(tasks, methods, args, argv, said)


def _tasks(args):
    """Pairs of a problem and its size."""
    quick = args.quick and args.problems is None
    if quick and args.size is None:
        return [(LEARNED[name], size) for name, size in _QUICK]
    names = ",".join(name for name, _ in _QUICK) if quick else "*"
    chosen = LEARNED.select(names if args.problems is None else args.problems)
    if args.seeds > 1:
        families = [entry for entry in chosen if entry.family != "box"]
        return [(entry, size) for entry in families for size in args.size or _SEED_SIZES[entry.dim]]
    return [(entry, size) for entry in chosen for size in args.size or entry.sizes[: 1 if args.quick else None]]


def _run(tasks, methods, args, argv, threads):
    """The table of the problems."""
    cap, rtol = args.cap or (_QUICK_CAP if args.quick else _CAP), args.rtol or _RTOL
    deep_model = learned_methods.deep_model
    settings = {"rtol": rtol, "cap_seconds": cap, "repeats": args.repeats, "seed": SEED, "baseline": BASELINE}
    settings["training_seconds"] = None if args.model else deep_model.budget

    def groups():
        warm_up(methods, [entry for entry, _ in tasks], rtol)
        for entry, size in tasks:
            yield run_problem(entry.make(size), methods, rtol, cap, args.repeats)

    opening = [f"threads: {threads}; problems of seed {SEED}", EXPLAINED.format(rtol=rtol, cap=cap)]
    about = lambda: {"settings": settings, "dcdm_losses": deep_model.losses}
    return show(VIEW, groups(), args, argv, threads=threads, opening=opening, about=about)


def _seeds(tasks, methods, args, argv, threads):
    """The table of unseen seeds."""
    rtol = args.rtol or _RTOL

    def groups():
        for entry, size in tasks:
            few = args.size is None and size == _SEED_SIZES[entry.dim][-1]
            yield [run_seeds(entry, size, min(args.seeds, _FEW) if few else args.seeds, rtol)]

    opening, about = [f"threads: {threads}", SEEDS_EXPLAINED.format(rtol=rtol)], {"settings": {"rtol": rtol}}
    return show(SEEDS_VIEW, groups(), args, argv, threads=threads, opening=opening, about=lambda: about)


def notes(rows):
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
    return f"Seconds over those of {LEARNED_MG}: {', '.join(parts)}{textbook}."


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


# ---- the picture -----------------------------------------------------------------------------------


_SIDES = picture.Sides(
    "iterations", "iterations of conjugate gradients, logarithmic", "speed relative to the baseline",
    f"times as fast as {BASELINE}, set-up and one solve",
)  # fmt: skip


def _mark(row):
    kind = "ours" if ":" not in row.method else "other"
    remark, group = "" if row.status == CONVERGED else row.status, f"{row.problem}, n = {row.n:,}"
    return picture.Mark(group, row.method, row.iterations, row.ratio, kind, remark, _bound(row))


_draw = picture.drawn_by(_mark, _SIDES, lambda row: row.status != NOT_RUN)
VIEW = View(_COLUMNS, _draw, summary, notes)
SEEDS_VIEW = View(_SEED_COLUMNS, _draw)
