"""The methods of SciPy, PyAMG and CuPy for linear systems, registered beside ours."""

import numpy as np

from . import gpu
from .methods import METHODS, Outcome, method, restarts
from .preconditioners import ruge_stuben, smoothed_aggregation

__all__ = ["METHODS"]


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


def _register_least_squares(name, limit):
    @method(f"scipy:{name}", "linalg", "scipy", f"scipy.sparse.linalg.{name}", read=_read_least_squares, takes_M=False)
    def solve(task):
        import scipy.sparse.linalg as sla

        options = {"atol": 0.0, "btol": task.rtol, "conlim": 0.0, limit: task.maxiter}
        answer = getattr(sla, name)(task.A, task.b, **options)
        return answer, 0 if answer[1] == 1 else answer[1]


def _read_least_squares(entry, task, answer):
    (x, _, steps, *_), failed = answer
    return Outcome(x, not failed, "maxiter" if failed == 7 else "stagnated" if failed else "converged", steps)


_register_least_squares("lsqr", "iter_lim")
_register_least_squares("lsmr", "maxiter")


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
