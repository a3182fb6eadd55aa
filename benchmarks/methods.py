"""The named methods, each as it is called by a user: ours; SciPy's, PyAMG's and CuPy's are in linalg_rivals.

A method has two halves. ``solve`` is what the clock sees: the library's own call and nothing else.
``read`` turns its answer into counts; where the library does not count (SciPy), that is a second run
with a counting operator and a callback, which the clock does not see.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import gpu
from ._registry import Registry, present

__all__ = ["METHODS", "Method", "Outcome", "Task", "method", "restarts"]

METHODS = Registry("method")


@dataclass(frozen=True)
class Task:
    """One solve: a problem, a preconditioner (or a ready hierarchy), and when to stop."""

    problem: object
    M: object
    rtol: float
    maxiter: int
    backend: str = "auto"
    history: bool = False

    @property
    def A(self):
        return self.problem.A

    @property
    def b(self):
        return self.problem.b


@dataclass
class Outcome:
    """What a library says about its own solve; counts are None where it cannot be known."""

    x: np.ndarray
    claimed: bool
    status: str
    iterations: int | None = None
    matvecs: int | None = None
    residuals: list | None = None
    message: str = ""


@dataclass(frozen=True)
class Method:
    """A registered method.

    ``setup(problem)`` of a standalone method takes the place of a preconditioner, and one with ``takes_M``
    false has none either; ``criterion`` says what the library tests where that is not
    ``||b - A x|| <= rtol ||b||``; ``backend`` is where it runs, where the run's settings do not decide.
    """

    name: str
    area: str
    library: str
    summary: str
    solve: Callable
    read: Callable
    needs: str = ""
    real: bool = False
    criterion: str = ""
    setup: Callable | None = None
    takes_M: bool = True
    backend: str = ""

    @property
    def alone(self):
        """Whether it stands alone, without a preconditioner."""
        return self.setup is not None or not self.takes_M

    @property
    def package(self):
        return "pyamg" if self.library == "pyamg" else ""

    def runs_on(self, backend):
        """``"gpu"`` or ``"cpu"``: ours run where the settings say, others where they are made for."""
        return self.backend or ("gpu" if self.library == "solvers" and backend == "gpu" else "cpu")

    def unsuitable(self, problem):
        """Say why it cannot take this problem here, or return an empty string."""
        if self.library == "cupyx" and (why := gpu.missing(with_cupyx=True)):
            return f"needs a GPU: {why.rstrip('.')}"
        if self.library == "solvers" and self.backend == "cpu" and not present("numba"):
            return "needs numba"
        if self.needs == "spd" and not problem.spd:
            return "needs a positive definite matrix"
        if self.needs == "symmetric" and not problem.symmetric:
            return "needs a symmetric matrix"
        return "needs a real matrix" if self.real and np.iscomplexobj(problem.A) else ""


def method(name, area, library, summary, *, read, **traits):
    """Register ``solve(task)``; ``read(method, task, answer)`` gives the Outcome."""

    def register(solve):
        METHODS.add(Method(name, area, library, summary, solve, read, **traits))
        return solve

    return register


def restarts(task, restart=20):
    """gmres counts its limit in restarts, in SciPy and so in ours."""
    return -(-task.maxiter // restart)


# ---- ours ------------------------------------------------------------------------------------------


def _read_ours(entry, task, result):
    norms = None
    if task.history:
        norms = (result.residuals / (np.linalg.norm(gpu.on_host(task.b)) or 1.0)).tolist()
    message = "" if result.converged else result.message
    return Outcome(
        gpu.on_host(result.x),
        result.converged,
        str(result.status),
        int(result.iterations),
        int(result.n_matvec),
        norms,
        message,
    )


def _ours(task, name, **options):
    import solvers
    from solvers import linalg

    if METHODS[name].takes_M:
        options["M"] = task.M
    with solvers.backend(task.backend):
        return getattr(linalg, name)(task.A, task.b, rtol=task.rtol, **options)


@method("cg", "linalg", "solvers", "our conjugate gradients", read=_read_ours, needs="spd")
def cg(task):
    return _ours(task, "cg", maxiter=task.maxiter)


@method(
    "dcdm",
    "linalg",
    "solvers",
    "our deep conjugate directions along M r, or r alone: what a network would have to beat",
    read=_read_ours,
    needs="spd",
)
def dcdm(task):
    model = None if task.M is None else lambda r: task.M @ r
    return _ours(task, "dcdm", maxiter=task.maxiter, model=model)


@method("minres", "linalg", "solvers", "our minimal residuals", read=_read_ours, needs="symmetric")
def minres(task):
    return _ours(task, "minres", maxiter=task.maxiter)


@method("bicgstab", "linalg", "solvers", "our stabilised biconjugate gradients", read=_read_ours)
def bicgstab(task):
    return _ours(task, "bicgstab", maxiter=task.maxiter)


@method(
    "gmres",
    "linalg",
    "solvers",
    "our generalised minimal residuals, restarted after 20 steps",
    read=_read_ours,
)
def gmres(task):
    return _ours(task, "gmres", maxiter=restarts(task), restart=20)


def _register_relaxation(name, summary, needs=""):
    @method(name, "linalg", "solvers", summary, read=_read_ours, needs=needs, takes_M=False)
    def solve(task):
        return _ours(task, name, maxiter=task.maxiter)


_register_relaxation("sor", "our successive over-relaxation, omega adapting within the solve")
_register_relaxation("gauss_seidel", "our Gauss-Seidel iteration")
_register_relaxation("jacobi", "our Jacobi iteration")
_register_relaxation(
    "ssor_cg",
    "our conjugate gradients preconditioned by SSOR, by Eisenstat's trick; its set-up is in its seconds",
    needs="spd",
)


def _register_least_squares(name, limit, summary):
    @method(name, "linalg", "solvers", summary, read=_read_least_squares, takes_M=False)
    def solve(task):
        import solvers
        from solvers import linalg

        options = {"atol": 0.0, "btol": task.rtol, "conlim": 0.0, limit: task.maxiter}
        with solvers.backend(task.backend):
            result = getattr(linalg, name)(task.A, task.b, **options)
        return result, 0 if result.converged else 1


def _read_least_squares(entry, task, answer):
    return _read_ours(entry, task, answer[0])


_register_least_squares("lsqr", "iter_lim", "our LSQR: convergence follows the square of A's condition")
_register_least_squares("lsmr", "maxiter", "our LSMR: convergence follows the square of A's condition")


def _read_solve(entry, task, result):
    """What rounding keeps above the tolerance is claimed, as direct solvers claim it: the row's check decides."""
    outcome = _read_ours(entry, task, result)
    outcome.claimed = outcome.claimed or outcome.status == "stagnated"
    if outcome.claimed:
        outcome.status, outcome.message = "converged", f"{result.reason}"
    return outcome


@method(
    "solve",
    "linalg",
    "solvers",
    "our choice for the matrix: direct, learned, amg, ic, ssor, ...; its set-up is in its seconds",
    read=_read_solve,
    takes_M=False,
)
def solve(task):
    return _ours(task, "solve")
