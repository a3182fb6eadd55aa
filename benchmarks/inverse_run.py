"""Every method on one inverse problem: CPU seconds, products, denoiser calls, and how good the answer is."""

import statistics
import time
import warnings
from dataclasses import asdict, dataclass

import numpy as np

from ._registry import present

__all__ = ["NOT_RUN", "InverseRow", "run_problem", "warm_up"]

NOT_RUN = "not run"
# Quick ones are timed several times after a first one, which may compile; a slow one's first time is taken.
_QUICK, _MOST = 1.0, 5


@dataclass
class InverseRow:
    """One method on one problem with ``n`` unknowns.

    ``ratio``: the baseline's seconds over this one's; ``to_best``: the quality over that of the method that is told the
    truth, in dB the difference.
    """

    problem: str
    n: int | None
    method: str
    status: str = NOT_RUN
    iterations: int | None = None
    products: int | None = None
    calls: int | None = None
    seconds: float | None = None
    ratio: float | None = None
    quality: float | None = None
    unit: str = ""
    to_best: float | None = None
    remark: str = ""
    message: str = ""

    def to_dict(self):
        return asdict(self)


def warm_up(entries, methods):
    """Compile and import what there is on small problems, so that no clock sees it; failures come again in the rows."""
    seen = set()
    for entry in entries:
        problem = entry.make(small=True)
        if problem.kind in seen:
            continue
        seen.add(problem.kind)
        for method in methods:
            if problem.kind in method.kinds and present(method.package):
                _measure(InverseRow(problem.name, problem.n, method.name), problem, method, 1)


def run_problem(problem, methods, repeats=3):
    """The rows of all methods made for the problem's kind, in their order."""
    rows, made_for_it = [], [method for method in methods if problem.kind in method.kinds]
    for method in made_for_it:
        rows.append(row := InverseRow(problem.name, problem.n, method.name, unit=problem.unit))
        if not present(method.package):
            row.message = f"needs {method.package}, which is not installed"
            continue
        _measure(row, problem, method, repeats)
    found = {row.method: row for row in rows}
    base = found.get(problem.baseline)
    for row, method in zip(rows, made_for_it, strict=True):
        if base is not None and base.seconds and row.seconds:
            row.ratio = base.seconds / row.seconds
        best = method.best and found.get(method.best, found.get("best:cgls"))
        if best and best.quality and row.quality is not None:
            row.to_best = row.quality - best.quality if problem.unit == "dB" else row.quality / best.quality
    return rows


def _measure(row, problem, method, repeats):
    """Fill the row; what a method raises becomes its status, and the others still run."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            answer, spent = _timed(problem, method)
            if repeats > 1 and spent < _QUICK:
                spent = statistics.median(_timed(problem, method)[1] for _ in range(min(repeats, _MOST)))
            row.quality, row.remark = problem.assess(answer.x)
    except (Exception, SystemExit) as error:
        row.status, row.message = "failed", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return
    row.seconds, row.status = spent, answer.status
    row.iterations, row.products, row.calls = answer.iterations, answer.products, answer.calls


def _timed(problem, method):
    """One answer and its CPU seconds; a method that times a part of what it does says so itself."""
    start = time.process_time()
    answer = method.solve(problem)
    seconds = time.process_time() - start
    return answer, seconds if answer.seconds is None else answer.seconds
