"""``solvers bench inverse``: reconstruction, posteriors, sparse and low-rank signals, against the truth and rivals."""

from . import _threads, machine, options, picture, report, tomography_speed
from .area import View, show
from .inverse_methods import select
from .inverse_problems import INVERSES
from .inverse_rivals import INVERTERS
from .inverse_run import NOT_RUN, run_problem, warm_up
from .report import align, count, ratio, seconds

__all__ = ["VIEW", "bench", "summary"]

_QUICK = ("ct-2", "mri", "mixtures", "bimodal", "kronecker-25", "kronecker-e-step", "outliers")
# A difference that is rounding.
_NOTHING = 1e-9
# Errors below it are those of rounding.
_ROUNDING = 1e-12

EXPLAINED = (
    "seconds: of the processor, for all cases of a problem. ratio: the seconds of the problem's baseline over these. "
    "quality: error, relative in the 2-norm; dB, the peak signal-to-noise ratio; MSE, NMSE, mean squared errors; mean, "
    "the error of the posterior's mean, relative, with the ratio of the variances beside it; weight, of a mode. to "
    "best: the quality over that of a method which is told the truth (best:...), in dB the difference. Data of "
    "ct-... are exact integrals over detectors, not products with the operator; noise norms are those of the noise."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how a row fills it
    ("problem", -16, lambda r: r.problem),
    ("n", 7, lambda r: count(r.n)),
    ("method", -19, lambda r: r.method),
    ("iter", 5, lambda r: count(r.iterations)),
    ("products", 8, lambda r: count(r.products)),
    ("calls", 5, lambda r: count(r.calls)),
    ("seconds", 7, lambda r: seconds(r.seconds)),
    ("ratio", 6, lambda r: ratio(r.ratio) if r.ratio is None or r.ratio < 1000 else f"{r.ratio:.0f}"),
    ("quality", 8, lambda r: _quality(r.quality)),
    ("", -6, lambda r: r.unit if r.quality is not None else ""),
    ("to best", 7, lambda r: _to_best(r)),
    ("status", -15, lambda r: f"! {r.status}" if r.quality is None else report.shorten(r.remark or r.status, 15)),
)


def _quality(value):
    return "" if value is None else f"{value:.4g}" if value == 0 or value >= 1e-3 else f"{value:.1e}"


def _to_best(row):
    if row.to_best is None:
        return ""
    return f"{row.to_best:+.2f}" if row.unit == "dB" else f"{row.to_best:.3f}"


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
    entries = INVERSES.select(args.problems or (",".join(_QUICK) if args.quick else "*"))
    methods = select(args.methods)
    whole = args.problems is args.methods is None and not args.quick
    with _threads.pinned(threads, argv) as said:
        if args.projectors:
            print(f"{machine.one_line()}\nthreads: {said}")
            found = _projectors()
            if args.json:
                report.write_so_far(args, argv, said, found, True)
                print(f"written: {args.json}")
            return 0
        return _run(entries, methods, args, argv, said, whole)


def _run(entries, methods, args, argv, threads, whole):
    """The table of the problems, and of tomography's products where everything is run."""
    more = {}

    def groups():
        warm_up(entries, methods)
        for entry in entries:
            yield run_problem(entry.make(), methods, args.repeats)
        if whole:
            more["projectors"] = _projectors()

    opening = [f"threads: {threads}", EXPLAINED]
    return show(VIEW, groups(), args, argv, threads=threads, opening=opening, about=lambda: more)


def _projectors():
    """Milliseconds of a product and of its adjoint, ours and those of the rivals that are there."""
    print("256 x 256 pixels, 180 parallel views, 363 detectors: milliseconds of the processor, of one image")
    print(f"{'':24} {align('forward', 9)} {align('adjoint', 9)}")
    found = []
    for name, forward, adjoint in tomography_speed.measure():
        found.append({"name": name, "forward_ms": forward, "adjoint_ms": adjoint})
        print(f"{name:24} {forward:9.1f} {adjoint:9.1f}", flush=True)
    return found


def summary(rows):
    """One line that counts what happened, the losses included."""
    done = [row for row in rows if row.quality is not None]
    absent = sum(row.status == NOT_RUN for row in rows)
    parts = [f"{len(rows)} rows", f"{absent} not run", f"{len(rows) - len(done) - absent} failed"]
    parts += [f"ours is not the best on {problem}: {names}" for problem, names in _beaten(done)]
    return ["; ".join(parts) + "."]


def notes(rows):
    """What rows have to say beyond their status, each sentence once."""
    return list(dict.fromkeys(f"{row.method}: {row.message}" for row in rows if row.message))


def _beaten(rows):
    """Problems on which a rival's answer is better than the best of ours, and which rivals."""
    for problem in dict.fromkeys(row.problem for row in rows):
        here = [row for row in rows if row.problem == problem]
        sign = -1.0 if here[0].unit == "dB" else 1.0
        ours = [sign * row.quality for row in here if INVERTERS[row.method].ours]
        rivals = [row for row in here if ":" in row.method and not row.method.startswith("best")]
        better = [row.method for row in rivals if ours and sign * row.quality < min(ours) - _NOTHING]
        if better:
            yield problem, ", ".join(better)


# ---- the picture -----------------------------------------------------------------------------------


def _draw(rows, path):
    shown = [row for row in rows if row.status != NOT_RUN]
    picture.draw([_mark(row, shown) for row in shown], _SIDES, path)


_SIDES = picture.Sides(
    "error", "error beside the least of the problem (from dB: the ratio of the errors)",
    "speed relative to the baseline", "times as fast as the method of the problem at 1.00x",
)  # fmt: skip


def _mark(row, rows):
    here = [_as_error(each) for each in rows if each.problem == row.problem and each.quality is not None]
    # Answers that differ by rounding are as good as each other.
    least, error = max(min(here, default=1.0), _ROUNDING), None if row.quality is None else _as_error(row)
    kind = "told the truth" if row.method.startswith("best") else "ours" if INVERTERS[row.method].ours else "other"
    value = None if error is None else max(error / least, 1.0)
    group = row.problem if row.n is None else f"{row.problem}, n = {row.n:,}"
    return picture.Mark(group, row.method, value, row.ratio, kind, "" if here else row.status)


def _as_error(row):
    return 10 ** (-row.quality / 20) if row.unit == "dB" else row.quality


VIEW = View(_COLUMNS, _draw, summary, notes)
