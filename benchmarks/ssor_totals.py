"""``solvers bench ssor``: whole solves by SSOR-preconditioned CG, set-up included, against what a user would take.

Every contender starts from a CSR matrix that it has not seen, and ours has forgotten its pattern: the sorting of rows,
the estimate of omega, PyAMG's hierarchy are in the seconds. A sample takes all contenders in turn.
"""

import statistics
import time
from dataclasses import asdict, dataclass

from . import _threads, options, picture
from ._registry import need
from .area import View, show
from .problems import PROBLEMS, make_problem
from .report import ratio, seconds
from .run import true_residual

__all__ = ["CASES", "VIEW", "Total", "bench", "measure"]

CASES = (("poisson2d", 300), ("poisson3d", 45), ("poisson2d", 1000), ("poisson3d", 100))
_QUICK = (("poisson2d", 100), ("poisson3d", 20))
_RTOL, _CAP = 1e-8, 20_000
_EXPLAINED = (
    "Seconds of whole solves to rtol {rtol:g}, set-up included, medians of {repeats}. ssor_cg tuned: the omega of a "
    "grid with the fewest iterations; finding it is not timed. ratio, sa, rs: seconds of scipy:cg alone, with PyAMG's "
    "smoothed aggregation, with its classical multigrid / seconds; above 1 is faster."
)


@dataclass
class Total:
    """One contender on one problem; ``vs``: seconds of the three baselines over its own."""

    problem: str
    n: int
    nnz: int
    contender: str
    omega: float | None
    iterations: int
    seconds: float
    fastest: float
    residual: float
    converged: bool
    vs: dict
    samples: int

    def to_dict(self):
        return asdict(self)


def measure(case, repeats):
    """Rows of all contenders on one problem."""
    from solvers.linalg import _sweeps

    problem = make_problem(PROBLEMS[case[0]], case[1])
    omega = _best_omega(problem)
    contenders = {
        "scipy:cg": lambda A, b: _scipy(A, b, None),
        "scipy:cg + sa": lambda A, b: _scipy(A, b, "smoothed_aggregation_solver"),
        "scipy:cg + rs": lambda A, b: _scipy(A, b, "ruge_stuben_solver"),
        "cg": lambda A, b: _ours("cg", A, b),
        "ssor_cg auto": lambda A, b: _ours("ssor_cg", A, b),
        "ssor_cg tuned": lambda A, b: _ours("ssor_cg", A, b, omega=omega),
    }
    small = make_problem(PROBLEMS[case[0]], 8)
    for solve in contenders.values():  # compiled and imported before the clock runs
        solve(small.A, small.b)
    _ours("cg", problem.A, problem.b, limit=2)  # large systems have a kernel of their own
    times, answers = {name: [] for name in contenders}, {}
    for _ in range(repeats):
        for name, solve in contenders.items():
            A, b = problem.A.copy(), problem.b
            _sweeps.forget()
            start = time.perf_counter()
            answers[name] = solve(A, b)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    baselines = {short: medians[name] for short, name in _BASELINES.items()}
    for name, (x, iterations) in answers.items():
        residual, limit = true_residual(problem.A, x, problem.b, _RTOL)
        yield Total(
            problem.name,
            problem.n,
            problem.nnz,
            name,
            omega if name == "ssor_cg tuned" else None,
            iterations,
            medians[name],
            min(times[name]),
            residual,
            converged=bool(residual <= limit),
            vs={short: spent / medians[name] for short, spent in baselines.items()},
            samples=repeats,
        )


_BASELINES = {"cg": "scipy:cg", "sa": "scipy:cg + sa", "rs": "scipy:cg + rs"}


def _best_omega(problem):
    """The omega with the fewest iterations on the grid 2 - omega = 0.8 * 0.8^k.

    From its upper end down, as the iterations first fall and then rise with omega.
    """
    from solvers import linalg

    best, fewest, worse, distance = 1.2, _CAP + 1, 0, 0.8
    while worse < 2 and distance > 1e-3:
        count = linalg.ssor_cg(problem.A, problem.b, omega=2.0 - distance, rtol=_RTOL, maxiter=_CAP).iterations
        worse = worse + 1 if count >= fewest else 0
        if count < fewest:
            best, fewest = 2.0 - distance, count
        distance *= 0.8
    return best


def _ours(name, A, b, limit=_CAP, **how):
    from solvers import linalg

    result = getattr(linalg, name)(A, b, rtol=_RTOL, maxiter=limit, **how)
    return result.x, int(result.iterations)


def _scipy(A, b, hierarchy):
    """SciPy's cg; the iterations are counted by a callback, which costs less than a microsecond each."""
    import pyamg
    from scipy.sparse.linalg import cg

    M = None if hierarchy is None else getattr(pyamg, hierarchy)(A).aspreconditioner()
    steps = []
    x, _ = cg(A, b, rtol=_RTOL, maxiter=_CAP, M=M, callback=lambda _: steps.append(None))
    return x, len(steps)


def bench(args, argv):
    """Carry out the command; return its exit code."""
    threads = options.one_thread(args)
    need("pyamg", "bench ssor")
    groups = (measure(case, args.repeats) for case in (_QUICK if args.quick else CASES))
    with _threads.pinned(threads, argv) as said:
        opening = [f"threads: {said}", _EXPLAINED.format(rtol=_RTOL, repeats=args.repeats)]
        about = {"settings": {"rtol": _RTOL, "maxiter": _CAP, "repeats": args.repeats}}
        return show(VIEW, groups, args, argv, threads=said, opening=opening, about=lambda: about)


_COLUMNS = (
    ("problem", -10, lambda r: r.problem),
    ("n", 8, lambda r: str(r.n)),
    ("method", -14, lambda r: r.contender),
    ("omega", 6, lambda r: "" if r.omega is None else f"{r.omega:.4f}"),
    ("iter", 5, lambda r: str(r.iterations)),
    ("seconds", 8, lambda r: seconds(r.seconds)),
    ("fastest", 8, lambda r: seconds(r.fastest)),
    *(("ratio" if name == "cg" else name, 6, lambda r, name=name: ratio(r.vs[name])) for name in _BASELINES),
    ("residual", 8, lambda r: f"{r.residual:.1e}"),
    ("status", -13, lambda r: "converged" if r.converged else "! not so"),
)
_SIDES = picture.Sides(
    "iterations", "iterations, logarithmic", "speed relative to the baseline",
    "whole solves, set-up included: times as fast as scipy:cg",
)  # fmt: skip


def _mark(row):
    kind = "other" if ":" in row.contender else "told the truth" if row.contender.endswith("tuned") else "ours"
    remark = "" if row.converged else "not converged"
    return picture.Mark(f"{row.problem}, n = {row.n:,}", row.contender, row.iterations, row.vs["cg"], kind, remark)


VIEW = View(_COLUMNS, picture.drawn_by(_mark, _SIDES))
