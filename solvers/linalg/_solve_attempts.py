"""The attempts that ``solve`` makes: each name, how it is set up for a matrix, and how it is run."""

import math

import numpy as np
import scipy.linalg
import scipy.sparse

from .._errors import InvalidInput, UnsupportedType
from .._result import Status
from . import _solve_choice, _solve_direct
from ._amg import amg
from ._bicgstab import bicgstab
from ._gmres import gmres
from ._iterative import solve as drive
from ._minres import minres
from ._multigrid import MultigridPreconditioner
from ._solve_direct import Failed
from ._ssor_cg import ssor_cg
from ._triangular import ic, incomplete_cholesky

__all__ = ["ATTEMPTS"]

# Rows up to which a singular matrix is given to dense eigenvalues or singular values.
_PSEUDOINVERSE = 2000
# Steps between restarts of gmres.
_RESTART = 50


def _made(function, *arguments, **options):
    """What a preconditioner's function makes; what it refuses is an attempt that failed."""
    try:
        return function(*arguments, **options)
    except (InvalidInput, UnsupportedType, MemoryError) as error:
        raise Failed(Status.BREAKDOWN, str(error).rstrip(".") or "it did not fit in memory") from None


def _direct_attempt(case, most):
    """Dense factors, a band, or SuperLU; after a failure of one, the next."""
    refined = None
    for steps in _factorisations(case):
        refined = _refined(case, steps)
        failed = _failure(case, refined)
        if failed is None:
            break
        case.failures.append(("direct", failed))
    else:
        case.failures = case.failures[:-1]  # told by what is returned
    return refined


def _refined(case, steps):
    arguments = case.A, case.b, None, None, case.rtol, case.atol, None, case.callback
    return drive(steps, "solve", *arguments, few_products=True)


def _failure(case, result):
    """The status by which factors failed that others may be without; None where rounding is what is left."""
    statuses = result.status if isinstance(result.status, tuple) else (result.status,)
    if Status.BREAKDOWN in statuses:
        return Status.BREAKDOWN
    if Status.STAGNATED not in statuses:
        return None
    beyond = np.ravel(result.residual) > case.rounding(result.x)
    return Status.STAGNATED if any(s is Status.STAGNATED and more for s, more in zip(statuses, beyond)) else None


def _factorisations(case):
    """The steps of one factorisation after the other, best first; raises what the last one failed by."""
    makers = _dense_makers(case) if case.dense is not None else _sparse_makers(case)
    failure, made = None, 0
    for make in makers:
        steps = None
        try:
            steps = make()
        except Failed as failed:
            failure = failed
        except MemoryError:
            failure = Failed(Status.BREAKDOWN, "its factors did not fit in memory")
        if steps is None:
            case.failures.append(("direct", failure.status))
            continue
        made += 1
        yield steps
    if not made:
        if case.failures:
            case.failures.pop()  # told by what is raised
        raise failure or Failed(Status.BREAKDOWN, "its factors would not fit in memory")


def _dense_makers(case):
    yield lambda: _solve_direct.refinement(_solve_direct.dense(case.dense, case.hermitian))


def _sparse_makers(case):
    facts, A = case.facts, case.host
    null = case.null_space if facts.hermitian else None
    if null is not None:
        yield lambda: _solve_direct.refinement(_solve_direct.grounded(_grounded_lu, A, null), null)
        return
    if _solve_choice.prefers_band(facts) and math.isfinite(_solve_choice.band_seconds(facts)):
        yield lambda: _solve_direct.refinement(_solve_direct.banded(A, facts.order, facts.width))
    if math.isfinite(_solve_choice.lu_seconds(facts)):
        yield lambda: _solve_direct.refinement(_solve_direct.sparse_lu(A, facts.hermitian))
        if facts.hermitian:  # with all pivots free
            yield lambda: _solve_direct.refinement(_solve_direct.sparse_lu(A, False))


def _grounded_lu(A):
    facts = _solve_choice.survey(A, True, 1)
    if _solve_choice.prefers_band(facts):
        return _solve_direct.banded(A, facts.order, facts.width)
    return _solve_direct.sparse_lu(A, True)


def _pseudoinverse_attempt(case, most):
    if not case.explicit or case.n > _PSEUDOINVERSE:
        raise Failed(Status.BREAKDOWN, f"more than {_PSEUDOINVERSE} rows are too many for singular values")
    A = case.host.toarray() if case.dense is None else case.dense
    steps = _solve_direct.refinement(*_solve_direct.pseudoinverse(A, case.hermitian))
    return _refined(case, steps)


def _learned(case, most):
    grid, A = case.grid_at_hand, case.A if case.backend == "gpu" else case.host
    off = case.host.data[case.host.data < 0]
    constant = off.size == 0 or off.min() > 1.01 * off.max()
    name = f"mg{3 if grid is not None and len(grid) == 3 else 2}d-{'poisson' if constant else 'variable'}"
    M = _made(lambda: MultigridPreconditioner.pretrained(name).setup(A, grid=grid))
    return case.cg(M, min(most, 200))


def _amg(case, most):
    A = case.A if case.backend == "gpu" else case.host
    classical = case.backend == "cpu" and case.dtype.kind != "c" and case.facts.diffusive
    kind = "ruge_stuben" if classical else "smoothed_aggregation"
    return case.cg(_made(amg, A, kind=kind), most)


def _ic(case, most):
    M = _made(ic, case.A)
    # A shift says that the matrix is far from what incomplete factors can do: frames and plates need hundreds of steps.
    if case.watch is not None and M.shift > 0:
        raise Failed(Status.BREAKDOWN, f"its pivots needed a shift of {M.shift:g}")
    return case.cg(M, most)


def _jacobi(case, most):
    diagonal = case.host.diagonal().real
    if not diagonal.all():
        raise Failed(Status.BREAKDOWN, "its diagonal has zeros")
    return case.cg(scipy.sparse.diags_array((1 / diagonal).astype(np.finfo(case.dtype).dtype)), most)


def _ssor(case, most):
    options = {**case.tolerances, "maxiter": case.limit(most), **case.elsewhere}
    return _made(ssor_cg, case.A, case.b, **options)


def _ilu(case, most):
    M = _made(incomplete_cholesky, case.A)
    return _gmres(case, most, M)


def _cg(case, most):
    return case.cg(None, most)


def _minres(case, most):
    rtol = case.rtol
    if case.atol > 0.0 and case.backend == "cpu" and np.ndim(case.b) == 1:  # minres knows no other tolerance
        size = scipy.linalg.norm(case.b)  # BLAS scales it
        rtol = max(rtol, case.atol / size) if size > 0.0 else rtol
    return minres(case.A, case.b, rtol=rtol, maxiter=case.limit(most), **case.elsewhere)


def _gmres(case, most, M=None):
    restarts = max(1, -(-case.limit(most) // _RESTART))
    kind = {"callback_type": "x"} if case.callback is not None and not hasattr(case.callback, "on_chunk") else {}
    options = {**case.tolerances, "restart": _RESTART, "maxiter": restarts, **kind, **case.elsewhere}
    return gmres(case.A, case.b, M=M, **options)


def _bicgstab(case, most):
    options = {**case.tolerances, "maxiter": case.limit(most), **case.elsewhere}
    return bicgstab(case.A, case.b, **options)


#: name: function (case, most iterations) -> LinearResult, which raises Failed where it cannot be set up.
ATTEMPTS = {
    "direct": _direct_attempt,
    "learned": _learned,
    "amg": _amg,
    "ic": _ic,
    "ssor": _ssor,
    "jacobi": _jacobi,
    "ilu": _ilu,
    "cg": _cg,
    "minres": _minres,
    "gmres": _gmres,
    "bicgstab": _bicgstab,
    "pseudoinverse": _pseudoinverse_attempt,
}
