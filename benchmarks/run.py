"""Run the product of problems, preconditioners and methods, and yield a row as each one finishes.

Every row's residual is recomputed here from x, in float64, whatever the library said; a library that
claims success above the tolerance gets the status ``false success``.
"""

import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import numpy as np

from . import gpu
from ._registry import UsageError, need
from .methods import Task
from .plan import baseline_of, on_cpu, plan
from .preconditioners import PRECONDITIONERS, prepare_package

__all__ = ["FALSE_SUCCESS", "Row", "run", "true_residual"]

FALSE_SUCCESS = "false success"

# A row goes on being repeated until it has taken this long.
_LEAST_SECONDS = 0.03


@dataclass
class Row:
    """One line of the table. A ratio above 1 means: faster than the baseline of the same run."""

    problem: str
    n: int
    nnz: int
    method: str
    preconditioner: str
    iterations: int | None = None
    matvecs: int | None = None
    setup_seconds: float | None = None
    seconds: float | None = None
    ratio: float | None = None
    residual: float | None = None
    status: str = ""
    message: str = ""
    library: str = ""
    size: int | None = None
    dtype: str = ""
    repeats: int = 0
    baseline: str = ""
    residuals: list | None = field(default=None, repr=False)
    ratio_cpu: float | None = None
    backend: str = "cpu"

    def to_dict(self):
        """The row as plain values; the residual curve is left out where none was recorded."""
        plain = asdict(self)
        if self.residuals is None:
            del plain["residuals"]
        return plain


@dataclass
class _Ready:
    """A preconditioner that was built, or the reason why not."""

    M: object = None
    seconds: float | None = None
    status: str = ""
    message: str = ""


def run(settings, expect=None) -> Iterator[Row]:
    """Yield rows in the order of the plan; ``expect(name, count)`` is told the rows of each problem."""
    for load in settings.problems:
        problem = load()
        pairs = plan(problem, settings)
        if expect is not None:
            expect(problem.name, sum(len(methods) for _, methods in pairs))
        for name, methods in pairs:
            yield from _group(problem, PRECONDITIONERS[name], methods, settings)


def _group(problem, preconditioner, methods, settings):
    """All methods with one preconditioner: it is set up once, and its seconds stand in each row."""
    ready = _set_up(preconditioner, problem)
    task = Task(problem, ready.M, settings.rtol, settings.maxiter, settings.backend)
    finished, tasks = {}, {"cpu": task}
    for entry in methods:
        row = _blank(problem, preconditioner, entry)
        row.setup_seconds, row.status, row.message = ready.seconds, ready.status, ready.message
        why = entry.unsuitable(problem) or _stays_here(entry, ready.M, settings)
        if why:
            row.status, row.message, row.setup_seconds = "skipped", f"{why}.", None
        elif not ready.status:
            _fill(row, entry, tasks, settings)
        finished[entry.name] = row
        reference = baseline_of(entry, problem, settings)
        row.baseline = reference.name if reference else ""
        row.ratio = _ratio(row, finished.get(row.baseline))
        row.ratio_cpu = _ratio(row, finished.get(on_cpu(entry.name)))
        yield row


def _stays_here(entry, M, settings):
    """Say why a preconditioner cannot go with a method to the GPU, or return an empty string."""
    on_gpu = entry.runs_on(settings.backend) == "gpu"
    return "needs a preconditioner that is a matrix: this one runs on the CPU" if on_gpu and not gpu.can_move(M) else ""


def _blank(problem, preconditioner, entry):
    label = "-" if entry.alone else preconditioner.name
    return Row(
        problem.name,
        problem.n,
        problem.nnz,
        entry.name,
        label,
        library=entry.library,
        size=problem.size,
        dtype=str(problem.A.dtype),
    )


def _set_up(entry, problem):
    """Build the preconditioner, or say why there is none."""
    why = entry.unsuitable(problem)
    if why:
        return _Ready(status="skipped", message=f"{entry.name} {why}.")
    try:
        with _quiet():
            prepare_package(entry, problem)
            start = time.perf_counter()
            M = entry.build(problem)
    except UsageError:
        raise
    except Exception as error:
        return _Ready(status="set-up failed", message=_sentence(error))
    return _Ready(M, None if M is None else time.perf_counter() - start)


def _fill(row, entry, tasks, settings):
    """Run one method and write down what came of it; ``tasks``: the task where it was moved to already.

    Whatever a library raises, ours included, becomes the status of the row: the others still run.
    """
    row.backend = entry.runs_on(settings.backend)
    try:
        with _quiet():
            if row.backend not in tasks:
                tasks[row.backend] = gpu.moved(tasks["cpu"])
            task = replace(tasks[row.backend], backend=row.backend if settings.backend == "gpu" else settings.backend)
            if entry.setup:
                task, row.setup_seconds = _set_up_alone(entry, task)
            answer, row.seconds, row.repeats = _timed(entry, task, settings)
            outcome = entry.read(entry, replace(task, history=settings.history), answer)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        row.status, row.message = "failed", _sentence(error)
        return
    row.iterations, row.matvecs, row.residuals = outcome.iterations, outcome.matvecs, outcome.residuals
    given = tasks["cpu"]
    row.residual, limit = true_residual(given.A, outcome.x, given.b, given.rtol)
    row.status, row.message = _verdict(outcome, row.residual, limit, entry.criterion)


def _set_up_alone(entry, task):
    need(entry.package, f"The method {entry.name!r}")
    if entry.package:
        __import__(entry.package)
    start = time.perf_counter()
    hierarchy = entry.setup(task.problem)
    return replace(task, M=hierarchy), time.perf_counter() - start


def _timed(entry, task, settings):
    """The median of several solves, after a short one that compiles and warms what there is to warm.

    Solves of microseconds are repeated beyond ``repeats``: a median of three of them is noise.
    """
    need(entry.package, f"The method {entry.name!r}")
    clock = gpu.timed if entry.runs_on(settings.backend) == "gpu" else _timed_here
    entry.solve(replace(task, maxiter=2))
    seconds = []
    while not seconds or _again(len(seconds), sum(seconds), settings):
        answer, spent = clock(partial(entry.solve, task))
        seconds.append(spent)
        if answer[1] != 0:
            break  # A failure has no ratio, and often took the longest.
    return answer, statistics.median(seconds), len(seconds)


def _timed_here(run):
    start = time.perf_counter()
    answer = run()
    return answer, time.perf_counter() - start


def _again(count, spent, settings):
    if count < settings.repeats:
        return spent < settings.seconds_per_row
    return spent < min(_LEAST_SECONDS, settings.seconds_per_row) and count < 100


def true_residual(A, x, b, rtol):
    """Return ``||b - A x|| / ||b||`` in float64, and the bound that a converged answer must meet.

    The bound is rtol plus the rounding of this very check, a few eps of ``|A| |x| + |b|``.
    """
    wide = np.complex128 if np.iscomplexobj(A) or np.iscomplexobj(x) else np.float64
    A, x, b = A.astype(wide), np.asarray(x, dtype=wide), b.astype(wide)
    if not np.isfinite(x).all():
        return float("nan"), rtol
    b_norm = np.linalg.norm(b) or 1.0
    rounding = np.linalg.norm(abs(A) @ abs(x) + abs(b)) / b_norm
    return float(np.linalg.norm(b - A @ x) / b_norm), rtol + 4 * np.finfo(float).eps * rounding


def _verdict(outcome, residual, limit, criterion):
    """The status of a row, which is the library's own only where the residual bears it out."""
    if not np.isfinite(residual):
        return (FALSE_SUCCESS if outcome.claimed else "not finite"), "x holds a NaN or an infinity."
    if outcome.claimed and residual > limit:
        return FALSE_SUCCESS, f"reports success with a true residual above the tolerance{criterion}."
    return outcome.status, outcome.message


def _ratio(row, reference):
    """Seconds of the baseline over seconds of the row, set-up not counted, if both converged."""
    both = reference is not None and row.status == reference.status == "converged"
    return reference.seconds / row.seconds if both else None


@contextmanager
def _quiet():
    """Third-party warnings would land between the rows; what they warn of, the status column says."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _sentence(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
