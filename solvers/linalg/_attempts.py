"""The attempts that ``solve`` makes: each name, how it is set up for a matrix, and how it is run."""

import math
from functools import cached_property

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput, UnsupportedType
from .._loop import Observers
from .._place import at
from .._result import Status
from . import _choice, _direct
from ._amg import amg
from ._bicgstab import bicgstab
from ._cg import cg
from ._direct import Failed
from ._gmres import gmres
from ._grid_operator import grid_shape
from ._minres import minres
from ._multigrid import MultigridPreconditioner
from ._null_space import null_space_of_sparse
from ._operator import Matrix, PreparedOperator, analyse, is_matrix, source
from ._solve import solve as drive
from ._ssor import ssor_cg
from ._sweeps import sparse_of, without_duplicates
from ._triangular import ic, incomplete_cholesky

__all__ = ["ATTEMPTS", "Case", "Watch"]

# A dense matrix with fewer entries than this share, and more rows than that, is treated as a sparse one.
_SPARSE_SHARE, _SPARSE_ROWS = 0.05, 500
# Rows up to which a singular matrix is given to dense eigenvalues or singular values.
_PSEUDOINVERSE = 2000
# What of its own rounding a residual may be, up to that share of b.
_ROUNDINGS, _MOST_ROUNDING = 4.0, 1e-3
# Steps between restarts of gmres.
_RESTART = 50


class Watch:
    """An observer that ends a solve whose residual falls too slowly to meet the tolerance in ``most`` iterations.

    It looks after 12 iterations, and each time these have doubled; ``stopped`` says whether it did.
    """

    def __init__(self, rtol, most):
        self._goal, self._most = math.log(max(rtol, 1e-14)), most
        self._first, self._next, self._last = None, 12, 0
        self.stopped = False

    def on_chunk(self, iteration, norm):
        if self.stopped:
            raise StopIteration
        if self._first is None or iteration <= self._last:  # the next right-hand side
            self._first, self._next = norm, 12
        self._last = iteration
        if iteration >= self._next and norm > 0.0:
            self._next *= 2
            gained = math.log(norm / self._first) if self._first > 0.0 else self._goal
            if gained >= 0.0 or self._goal / gained * iteration > self._most:
                self.stopped = True
                raise StopIteration


class Case:
    """One call of ``solve``: the matrix in the forms that attempts need, each made once, and what the caller asked for.

    Attributes
    ----------
    A : object
        For the iterative methods: the operator analysed, or the caller's own.
    matrix : Matrix or None
        None for a function.
    single : bool
        Whether the work is in single precision.
    columns : int
    watch : Watch or None
        Ends an iterative attempt that would take too long.
    failures : list of (str, Status)
        What a direct attempt tried before what it ended with.
    """

    def __init__(self, A, b, grid, callback):
        A = enter("A", A)
        self.b, self.callback, self.grid = b, callback, grid
        inside = enter("b", b)
        self.backend = _backend.pick(A=source(A), b=inside)
        with at(self.backend, inside):
            checked = _checks.real_array("b", inside)
            plain = callable(A) and not isinstance(A, LinearOperator) and not hasattr(A, "shape")
            self.matrix = None if plain else analyse(A)
            if is_matrix(A) and self.matrix.explicit:
                A = PreparedOperator(self.matrix, A)
        if checked.ndim == 0:
            raise InvalidInput("`b` must have shape (n,) or (n, k), got a single number.")
        rows = self.n if self.matrix is not None else checked.shape[0]
        if grid is not None and math.prod(grid_shape(grid)) != rows:
            raise InvalidInput(f"`grid` must have as many cells as `A` has rows, {rows}, got {grid!r}.")
        self.A = A
        self.columns = max(1, checked.shape[1]) if checked.ndim == 2 else 1
        dtype = None if self.matrix is None else self.matrix.dtype
        self.dtype = checked.dtype if dtype is None else np.result_type(dtype, checked.dtype)
        self.single = self.dtype.char in "fF"
        self.rtol = self.atol = self.maxiter = None
        self.watch, self.failures = None, []

    @property
    def n(self):
        return self.matrix.n

    @property
    def explicit(self):
        """Whether the entries are at hand."""
        return self.matrix is not None and self.matrix.explicit

    @cached_property
    def host(self):
        """A canonical CSR array on the host, in double precision."""
        A = sparse_of(without_duplicates(self.matrix))
        A = scipy.sparse.csr_array(A, dtype=np.result_type(A.dtype, np.float64))
        if not A.has_canonical_format:
            A = A.copy()
            A.sum_duplicates()
        return A

    @cached_property
    def dense(self):
        """A dense array on the host in double precision, for dense methods; None for a sparse matrix."""
        if self.matrix.dense is None or not isinstance(self.matrix.dense, np.ndarray):
            return None
        A = self.matrix.dense
        if self.n > _SPARSE_ROWS and np.count_nonzero(A) < _SPARSE_SHARE * A.size:
            return None
        return np.asarray(A, dtype=np.result_type(A.dtype, np.float64))

    @cached_property
    def finite(self):
        """Whether all entries are."""
        return bool(np.isfinite(self.host.data if self.dense is None else self.dense).all())

    @cached_property
    def hermitian(self):
        """Whether A = A^H, up to rounding; an operator is asked by two products."""
        if self.matrix is None:
            return _function_is_hermitian(self)
        return self.matrix.is_hermitian(self.dtype, self.backend)

    @cached_property
    def facts(self):
        return _choice.survey(self.host, self.hermitian, self.columns)

    @cached_property
    def grid_at_hand(self):
        """The caller's grid, or what the entries tell."""
        return _choice.grid_guess(self.host) if self.grid is None else self.grid

    @cached_property
    def null_space(self):
        """The constants that A maps to zero, or None."""
        return null_space_of_sparse(self.host, self.matrix.dtype)

    def rounding(self, x):
        """What rounding leaves of each residual, 4 eps norm(|A| |x| + |b|); 0 where that is no small share of b."""
        wide = np.result_type(self.dtype, np.float64)
        x, b = (np.asarray(each).astype(wide).reshape(self.n, -1) for each in (x, self.b))
        eps, A = np.finfo(self.dtype).eps, self.host if self.dense is None else self.dense
        with np.errstate(over="ignore", invalid="ignore"):
            sizes = _ROUNDINGS * eps * np.linalg.norm(abs(A) @ abs(x) + abs(b), axis=0)
            return np.where(sizes <= max(_MOST_ROUNDING, 100 * eps) * np.linalg.norm(b, axis=0), sizes, 0.0)

    def limit(self, most):
        """The iterations of an attempt: the caller's limit, or ``most``."""
        return most if self.maxiter is None else self.maxiter

    def cg(self, M, most):
        return cg(self.A, self.b, M=M, **self.tolerances, maxiter=self.limit(most), callback=self.observer)

    @property
    def observer(self):
        """The caller's callback, and ours."""
        both = tuple(each for each in (self.callback, self.watch) if each is not None)
        return Observers(both) if len(both) > 1 else both[0] if both else None

    @property
    def tolerances(self):
        return {"rtol": self.rtol, "atol": self.atol}


def _function_is_hermitian(case):
    n = np.shape(case.b)[0]
    return Matrix(n, case.dtype, apply=case.A).is_hermitian(case.dtype, case.backend) if n else True


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
    yield lambda: _direct.refinement(_direct.dense(case.dense, case.hermitian))


def _sparse_makers(case):
    facts, A = case.facts, case.host
    null = case.null_space if facts.hermitian else None
    if null is not None:
        yield lambda: _direct.refinement(_direct.grounded(_grounded_lu, A, null), null)
        return
    if _choice.prefers_band(facts) and math.isfinite(_choice.band_seconds(facts)):
        yield lambda: _direct.refinement(_direct.banded(A, facts.order, facts.width))
    if math.isfinite(_choice.lu_seconds(facts)):
        yield lambda: _direct.refinement(_direct.sparse_lu(A, facts.hermitian))
        if facts.hermitian:  # with all pivots free
            yield lambda: _direct.refinement(_direct.sparse_lu(A, False))


def _grounded_lu(A):
    facts = _choice.survey(A, True, 1)
    if _choice.prefers_band(facts):
        return _direct.banded(A, facts.order, facts.width)
    return _direct.sparse_lu(A, True)


def _pseudoinverse_attempt(case, most):
    if not case.explicit or case.n > _PSEUDOINVERSE:
        raise Failed(Status.BREAKDOWN, f"more than {_PSEUDOINVERSE} rows are too many for singular values")
    A = case.host.toarray() if case.dense is None else case.dense
    steps = _direct.refinement(*_direct.pseudoinverse(A, case.hermitian))
    return _refined(case, steps)


def _learned(case, most):
    grid = case.grid_at_hand
    off = case.host.data[case.host.data < 0]
    constant = off.size == 0 or off.min() > 1.01 * off.max()
    name = f"mg{3 if grid is not None and len(grid) == 3 else 2}d-{'poisson' if constant else 'variable'}"
    M = _made(lambda: MultigridPreconditioner.pretrained(name).setup(case.host, grid=grid))
    return case.cg(M, min(most, 200))


def _amg(case, most):
    # Jacobi's weights follow the diagonal: where coefficients jump, Chebyshev's take ten times the iterations.
    A = case.A if case.backend == "gpu" else case.host
    classical = case.backend == "cpu" and case.dtype.kind != "c" and case.facts.diffusive
    kind = "ruge_stuben" if classical else "smoothed_aggregation"
    return case.cg(_made(amg, A, kind=kind, smoother="jacobi"), most)


def _ic(case, most):
    M = _made(ic, case.A)
    # A shift says that the matrix is far from what incomplete factors can do: frames and plates need hundreds of steps.
    if case.watch is not None and M.shift > 0:
        raise Failed(Status.BREAKDOWN, f"its pivots needed a shift of {M.shift:g}")
    return case.cg(M, most)


def _jacobi(case, most):
    diagonal = case.host.diagonal().real
    return case.cg(scipy.sparse.diags_array((1 / diagonal).astype(np.finfo(case.dtype).dtype)), most)


def _ssor(case, most):
    options = {**case.tolerances, "maxiter": case.limit(most), "callback": case.observer}
    return _made(ssor_cg, case.A, case.b, **options)


def _ilu(case, most):
    M = _made(incomplete_cholesky, case.A)
    return _gmres(case, most, M)


def _cg(case, most):
    return case.cg(None, most)


def _minres(case, most):
    rtol, size = case.rtol, float(np.linalg.norm(case.b)) if case.backend == "cpu" and np.ndim(case.b) == 1 else 0.0
    if case.atol > 0.0 and size > 0.0:  # minres knows no other tolerance
        rtol = max(rtol, case.atol / size)
    return minres(case.A, case.b, rtol=rtol, maxiter=case.limit(most), callback=case.callback)


def _gmres(case, most, M=None):
    restarts = max(1, -(-case.limit(most) // _RESTART))
    kind = {"callback_type": "x"} if case.callback is not None and not hasattr(case.callback, "on_chunk") else {}
    options = {**case.tolerances, "restart": _RESTART, "maxiter": restarts, "callback": case.callback, **kind}
    return gmres(case.A, case.b, M=M, **options)


def _bicgstab(case, most):
    options = {**case.tolerances, "maxiter": case.limit(most), "callback": case.callback}
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
