"""The named methods: ours, SciPy's, PyAMG's and CuPy's, each as it is called by a user.

A method has two halves. ``solve`` is what the clock sees: the library's own call and nothing else.
``read`` turns its answer into counts; where the library does not count (SciPy), that is a second run
with a counting operator and a callback, which the clock does not see.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import gpu
from ._registry import Registry, present
from .preconditioners import ruge_stuben, smoothed_aggregation

__all__ = ["METHODS", "Method", "Outcome", "Task", "method"]

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


# ---- SciPy's ---------------------------------------------------------------------------------------


class _Counted:
    """A matrix that counts its products."""

    def __init__(self, A):
        from scipy.sparse.linalg import LinearOperator

        self.n = 0
        self._A = A
        self.operator = LinearOperator(A.shape, matvec=self._matvec, dtype=A.dtype)

    def _matvec(self, x):
        self.n += 1
        return self._A @ x


def _scipy(task, name, A=None, callback=None, **options):
    import scipy.sparse.linalg as sla

    return getattr(sla, name)(
        task.A if A is None else A, task.b, rtol=task.rtol, M=task.M, callback=callback, **options
    )


def _read_scipy(entry, task, answer):
    x, info = answer
    counted, norms, steps = _Counted(task.A), [1.0], []
    b_norm = np.linalg.norm(task.b) or 1.0

    def callback(xk):
        steps.append(None)
        if task.history:
            norms.append(float(xk if np.ndim(xk) == 0 else np.linalg.norm(task.b - task.A @ xk) / b_norm))

    entry.solve(task, A=counted.operator, callback=callback)
    status = "converged" if info == 0 else "maxiter" if info > 0 else "breakdown"
    message = "" if info >= 0 else f"SciPy returned info = {info}."
    return Outcome(x, info == 0, status, len(steps), counted.n, norms if task.history else None, message)


@method("scipy:cg", "linalg", "scipy", "scipy.sparse.linalg.cg", read=_read_scipy, needs="spd")
def scipy_cg(task, **run):
    return _scipy(task, "cg", maxiter=task.maxiter, **run)


@method(
    "scipy:minres",
    "linalg",
    "scipy",
    "scipy.sparse.linalg.minres",
    read=_read_scipy,
    needs="symmetric",
    real=True,
    criterion=": it tests against |A| |x| instead of |b|",
)
def scipy_minres(task, **run):
    return _scipy(task, "minres", maxiter=task.maxiter, **run)


@method("scipy:bicgstab", "linalg", "scipy", "scipy.sparse.linalg.bicgstab", read=_read_scipy)
def scipy_bicgstab(task, **run):
    return _scipy(task, "bicgstab", maxiter=task.maxiter, **run)


@method("scipy:gmres", "linalg", "scipy", "scipy.sparse.linalg.gmres, restarted after 20 steps", read=_read_scipy)
def scipy_gmres(task, callback=None, **run):
    kind = None if callback is None else "pr_norm"
    return _scipy(task, "gmres", maxiter=restarts(task), restart=20, callback=callback, callback_type=kind, **run)


def _read_lu(entry, task, x):
    return Outcome(x[0], True, "converged", 1)


def _register_lu(order):
    @method(
        f"scipy:splu-{order.lower()}",
        "linalg",
        "scipy",
        f"scipy.sparse.linalg.splu on the diagonal, in the order {order}; its factors are in its seconds",
        read=_read_lu,
        needs="spd",
        takes_M=False,
    )
    def lu(task):
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        options = {"options": {"SymmetricMode": True}, "diag_pivot_thresh": 0.0}
        return splu(csc_array(task.A), permc_spec=order, **options).solve(task.b), 0


for _order in ("MMD_AT_PLUS_A", "COLAMD"):
    _register_lu(_order)


# ---- PyAMG's ---------------------------------------------------------------------------------------


def _read_pyamg_cg(entry, task, answer):
    x, info = answer
    counted, norms = _Counted(task.A), []
    entry.solve(task, A=counted.operator, residuals=norms)
    status = "converged" if info == 0 else "maxiter" if info > 0 else "indefinite"
    message = "" if info >= 0 else "PyAMG found A or M indefinite."
    relative = (np.array(norms) / norms[0]).tolist() if task.history and norms[0] else None
    return Outcome(x, info == 0, status, len(norms) - 1, counted.n, relative, message)


@method("pyamg:cg", "linalg", "pyamg", "pyamg.krylov.cg", read=_read_pyamg_cg, needs="spd")
def pyamg_cg(task, A=None, residuals=None):
    from pyamg.krylov import cg

    A = task.A if A is None else A
    return cg(A, task.b, tol=task.rtol, maxiter=task.maxiter, M=task.M, residuals=residuals)


def _read_multigrid(entry, task, answer):
    x, info = answer
    norms = []
    entry.solve(task, residuals=norms)
    relative = (np.array(norms) / norms[0]).tolist() if task.history and norms[0] else None
    return Outcome(x, info == 0, "converged" if info == 0 else "maxiter", len(norms) - 1, None, relative)


def _multigrid(task, residuals=None):
    """PyAMG's own cycle, standing alone; ``task.M`` is its hierarchy."""
    return task.M.solve(task.b, tol=task.rtol, maxiter=task.maxiter, residuals=residuals, return_info=True)


for _name, _setup in {"sa": smoothed_aggregation, "rs": ruge_stuben}.items():
    method(
        f"pyamg:{_name}",
        "linalg",
        "pyamg",
        f"V-cycles of PyAMG's {_setup.__name__.replace('_', ' ')}, standing alone",
        read=_read_multigrid,
        setup=_setup,
    )(_multigrid)


# ---- CuPy's ----------------------------------------------------------------------------------------


def _cupyx(task, name, callback=None, **options):
    import cupyx.scipy.sparse.linalg as cla

    tolerance = {"tol" if name == "minres" else "rtol": task.rtol}
    return getattr(cla, name)(task.A, task.b, M=task.M, callback=callback, **tolerance, **options)


def _read_cupyx(entry, task, answer):
    """Iterations are counted in a second run; its products are not counted: cg applies A in a way of its own.

    gmres calls back once a restart, which says nothing of its iterations.
    """
    x, info = answer
    steps = []
    if entry.name != "cupyx:gmres":
        entry.solve(task, callback=lambda _: steps.append(None))
    status = "converged" if info == 0 else "maxiter"
    message = "" if info >= 0 else f"CuPy returned info = {info}."
    return Outcome(gpu.on_host(x), info == 0, status, len(steps) or None, None, None, message)


def _register_cupyx(name, needs="", limit=lambda task: {"maxiter": task.maxiter}):
    @method(
        f"cupyx:{name}",
        "linalg",
        "cupyx",
        f"cupyx.scipy.sparse.linalg.{name}, on the GPU",
        read=_read_cupyx,
        needs=needs,
        backend="gpu",
    )
    def solve(task, callback=None):
        return _cupyx(task, name, callback, **limit(task))


_register_cupyx("cg", needs="spd")
_register_cupyx("minres", needs="symmetric")
_register_cupyx("bicgstab")
_register_cupyx("gmres", limit=lambda task: {"maxiter": task.maxiter, "restart": 20})
