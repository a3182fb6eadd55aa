"""The way through of lsqr and lsmr: validate, iterate, recompute, and say SciPy's tuple."""

import copy
import math
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from .. import _backend, _checks
from .._arrays import enter, leaving, module_of
from .._errors import InvalidInput
from .._loop import ended
from .._place import at
from .._progress import progress
from .._result import Status
from .._scale import reach_of, safe_range, to_one
from .._stacks import columns, norms, numbers, taken_rows
from .._tasks import only_on_cpu, run_tasks
from ._away import check_away, cut, names_of
from ._chunks import drive_in_chunks
from ._golub_kahan import LIMIT, NONFINITE, NOT_ADJOINT, Bidiagonalisation, drive
from ._operator import source
from ._rectangular import Rectangular
from ._result import LeastSquaresResult

__all__ = ["SLIGHT", "Demands", "least_squares"]

#: A mismatch of the adjoint from here on is named where the estimates turn out wrong.
SLIGHT = 1e-3
# The code of a row whose start is the solution.
_EXACT = 8
# A is scaled by a norm outside of this and its reciprocal.
_FAR = 1e50


@dataclass(slots=True)
class Demands:
    """What the user asks for, as it was passed."""

    damp: object
    atol: object
    btol: object
    conlim: object
    maxiter: object
    name_of_maxiter: str
    times_n: int | None
    show: object
    calc_var: object = False

    def check(self, shape):
        """The same with numbers in the place of None, checked."""
        most = self.times_n * shape[1] if self.times_n else min(shape)
        maxiter = max(1, most) if self.maxiter is None else _checks.count(self.name_of_maxiter, self.maxiter)
        damp = _checks.number("damp", 0.0 if self.damp is None else self.damp)
        if math.isinf(damp):
            raise InvalidInput("`damp` must be finite, got inf.")
        defaults = {"atol": 1e-6, "btol": 1e-6, "conlim": 1e8}
        given = [(name, getattr(self, name)) for name in defaults]
        read = [_checks.tolerance(name, defaults[name] if value is None else value) for name, value in given]
        flags = _checks.flag("show", self.show), _checks.flag("calc_var", self.calc_var)
        return Demands(abs(damp), *read, maxiter, self.name_of_maxiter, self.times_n, *flags)


def least_squares(name, method, A, b, x0, demands, executor):
    """Everything between a user's call and SciPy's tuple; ``method`` is LSQR or LSMR."""
    check_away(executor, show=demands.show)
    backend, leave = _backend.pick(A=source(A), b=b, x0=x0), leaving(b)
    A, b, x0 = enter("A", A), enter("b", b), enter("x0", x0)
    with at(backend, b):
        A, b = Rectangular(A, backend), _checks.array("b", b)
        problem = _Problem(A, b, x0, demands.check(A.shape), backend)
        result_of = partial(problem.result, name, leave)
        found = problem.solve(method) if executor is None else _away(executor, method, problem, result_of)
        result = result_of(*found)
    return ended(problem.observer, result)


class _Problem:
    """The right-hand sides as rows, in a scale where nothing overflows."""

    def __init__(self, A, b, x0, demands, backend):
        kernels = _backend.kernels(backend)
        self.A, self.demands, self.backend = A, demands, backend
        self.observer = progress() if demands.show else None
        B, self._many = _rows(b, A.shape[0])
        X0 = None if x0 is None else _start(x0, A.shape[1], len(B), self._many)
        dtype = np.result_type(A.dtype, B.dtype, B.dtype if X0 is None else X0.dtype)
        self.B = kernels.copy_to_device(B, dtype)
        self.X0 = kernels.zeros((len(B), A.shape[1]), dtype) if X0 is None else kernels.copy_to_device(X0, dtype)
        self._given = X0 is not None
        self.bnorm = norms(self.B)
        if not np.isfinite(self.bnorm).all():
            _checks.finite("b", kernels.to_host(b))
        if self._given and not np.isfinite(norms(self.X0)).all():
            _checks.finite("x0", kernels.to_host(_checks.array("x0", x0)))
        self.scale = self._scale()
        self.eps = float(np.finfo(dtype).eps)
        self._trivial = (self.bnorm == 0) & (demands.damp == 0)  # SciPy's answer is 0 whatever x0 is
        self._anorm, self._acond = np.zeros((2, len(B)))

    def _scale(self):
        """Powers of two, one a row: scaling is exact."""
        smallest, largest = safe_range(self.B.dtype)
        scale = np.ones(len(self.bnorm))
        reach = reach_of(self.B.dtype)
        for j, norm in enumerate(self.bnorm):
            if norm and not smallest < norm < largest:
                scale[j] = to_one(norm, reach)
        if (scale != 1).any():
            self.B *= columns(scale, self.B)
            self.X0 *= columns(scale, self.X0)
            self.bnorm = norms(self.B)
        return scale

    def part(self, rows):
        """The problem of some right-hand sides."""
        part = copy.copy(self)
        part.A = copy.copy(self.A)
        for each in ("B", "X0", "bnorm", "scale", "_trivial", "_anorm", "_acond"):
            setattr(part, each, getattr(self, each)[rows].copy())
        return part

    def __getstate__(self):
        return only_on_cpu(self.backend, self.__dict__)

    def solve(self, method):
        """SciPy's values, of both functions together, and the fields of a result; one row each."""
        began, A, demands = time.perf_counter(), self.A, self.demands
        with np.errstate(all="ignore"):  # what is not finite ends its row
            X, process = self._begun()
            options = {"calc_var": True} if demands.calc_var else {}
            steps = method(process, X.copy(), self._damp, **options)
            codes, taken, history, mismatch = self._iterate(steps, X)
            statuses, (r1, r2, gradient, size) = self._recomputed(X, codes, history[-1, 0], mismatch)
            back = A.factor / self.scale
            X *= columns(back, X)
            # beyond the range of the dtype
            lost = np.flatnonzero(~np.isfinite(norms(X))) if (back != 1).any() else np.empty(0, int)
            if lost.size:
                X[module_of(X).asarray(lost)], size[lost], codes[lost] = 0, 0, NONFINITE
                statuses = [Status.NONFINITE if row in lost else each for row, each in enumerate(statuses)]
                r1[lost], r2[lost], gradient[lost] = self.bnorm[lost], np.inf, np.inf
            r1, r2 = r1 / self.scale, r2 / self.scale
            gradient, size = gradient / A.factor / self.scale, size * A.factor / self.scale
            anorm, bnorm = self._anorm / A.factor, self.bnorm / self.scale
            var = steps.var * np.square(A.factor) if demands.calc_var else abs(X) * 0
            threshold = demands.btol * bnorm + demands.atol * np.nan_to_num(anorm * size, nan=0.0)
        istop = np.where(codes == _EXACT, 0, np.where(codes < 0, LIMIT, codes))
        fields = dict(
            status=tuple(statuses),
            iterations=taken,
            residuals=np.where(np.isnan(history[:, 0]), np.inf, history[:, 0] / self.scale),
            residual=r1,
            threshold=threshold,
            n_matvec=A.n_matvec,
            seconds=time.perf_counter() - began,
        )
        return [X, istop, taken, r1, r2, anorm, self._acond, gradient, size, var], fields

    def _iterate(self, steps, X):
        """What ``drive`` returns, from the compiled loop where that can be."""
        demands, operand = self.demands, None if self.demands.calc_var else self.A.operand(self.B.dtype)
        if operand is None:
            return drive(steps, self._judge, X, demands.maxiter, self._report())
        rules = np.empty((len(X), 7))
        rules[:] = 0, demands.atol, demands.btol, demands.conlim or math.inf, self.eps, self._damp, self.A.factor
        rules[:, 0] = self.bnorm
        ends = self._judge(steps, np.arange(len(X)), 0)
        *found, scalars, products = drive_in_chunks(steps, operand, ends, rules, demands.maxiter, self._report_of_row())
        X[:], self._anorm, self._acond = steps.X, scalars[:, 2], scalars[:, 3]
        self.A.n_matvec += products
        return *found, np.zeros(len(X))

    def _begun(self):
        """The start and the first columns of the process, with A in a scale where squares of its norm are in range."""
        A = self.A
        X, process = self._first()
        largest = process.alpha[np.isfinite(process.alpha)].max(initial=0.0)
        if largest and not 1 / _FAR < largest < _FAR:
            A.factor = to_one(largest)
            self.X0 *= columns(1 / A.factor, self.X0)
            X, process = self._first()
        self._damp = self.demands.damp * A.factor
        return X, process

    def _first(self):
        X, R = self.X0.copy(), self.B.copy()
        X *= columns(~self._trivial, X)
        if self._given:
            R -= self.A.forward(X)
        return X, Bidiagonalisation(self.A.forward, self.A.adjoint, R)

    def _judge(self, method, live, taken):
        """SciPy's codes; 1 rules over 2, and so on."""
        self._anorm[live], self._acond[live] = method.anorm, method.acond
        if taken == 0:
            ends = np.where(method.failed, NONFINITE, np.where(method.arnorm == 0, _EXACT, 0))
            return np.where(self._trivial[live], _EXACT, ends)
        demands, alone = self.demands, live.size == 1
        read = self.bnorm[live], method.rnorm, method.arnorm, method.anorm, method.xnorm, method.acond
        bnorm, r, Ar, a, x, acond = (numbers(each, alone) for each in read)
        met = {
            6: acond >= 2 / self.eps,
            5: Ar <= self.eps / 2 * a * r,
            4: r <= self.eps / 2 * (bnorm + a * x),
            3: acond >= (demands.conlim or math.inf),
            2: Ar <= demands.atol * a * r,
            1: r <= demands.btol * bnorm + demands.atol * a * x,
        }
        if alone:
            return np.array([min((code for code, holds in met.items() if holds), default=0)])
        ends = np.zeros(live.size, int)
        for code, holds in met.items():
            ends[holds] = code
        return ends

    def _report(self):
        if self.observer is None:
            return None

        def report(taken, rnorm):
            self.observer.on_chunk(taken, float((rnorm / self.scale).max()))
            return False

        return report

    def _report_of_row(self):
        if self.observer is None:
            return None
        return lambda row, taken, norm: self.observer.on_chunk(taken, float(norm / self.scale[row]))

    def _recomputed(self, X, codes, claimed, mismatch):
        """The status of each row, and the norms of its residual, of the damped one, of the gradient and of x."""
        A, damp, size = self.A, self._damp, norms(X)
        if not np.isfinite(size).all():
            lost = np.flatnonzero(~np.isfinite(size))
            X[module_of(X).asarray(lost)] = taken_rows(self.X0, lost)
            codes[lost], size = NONFINITE, norms(X)
        R = self.B - A.forward(X)
        G = A.adjoint(R)
        r1 = r2 = np.where(size == 0, self.bnorm, norms(R))  # also where A is not finite
        if damp:
            D = X - self.X0
            G -= G.dtype.type(np.square(damp)) * D
            r2 = np.hypot(r1, damp * norms(D))
        gradient = norms(G)
        r1, r2, gradient = (np.where(np.isnan(value), np.inf, value) for value in (r1, r2, gradient))
        statuses = [
            self._status(*row)
            for row in zip(codes, r2, gradient, self.bnorm, self._anorm, size, claimed, mismatch, strict=True)
        ]
        return statuses, (r1, r2, gradient, size)

    def _status(self, code, r, Ar, bnorm, anorm, xnorm, claimed, mismatch):
        """What the recomputed norms leave of the code."""
        if code in _SURE:
            return _SURE[code]
        whole = bnorm + anorm * xnorm
        atol, btol = (self.demands.atol, self.demands.btol) if code in (1, 2) else (self.eps, self.eps)
        rounding = 16 * self.eps * whole
        solved = r <= 1.01 * (btol * bnorm + atol * anorm * xnorm) + rounding
        if code != LIMIT and (solved or Ar <= 1.01 * atol * anorm * r + anorm * rounding):
            return Status.CONVERGED
        if not (math.isfinite(r) and math.isfinite(Ar)):
            return Status.NONFINITE
        if mismatch > SLIGHT or r - claimed > math.sqrt(self.eps) * whole:
            return Status.NOT_ADJOINT
        return Status.MAXITER if code == LIMIT else Status.STAGNATED

    def result(self, name, leave, values, fields):
        """What the caller of that function gets, as the arrays that b is of."""
        X, istop, taken, r1, r2, anorm, acond, gradient, size, var = values
        if name == "lsmr":
            values = [X, istop, taken, r2, gradient, anorm, acond, size]
        fields = fields | {"backend": self.backend, "method": name}
        if self._many:
            values = [leave(value.T) if np.ndim(value) == 2 else value for value in values]
        else:
            values = [leave(value[0]) if np.ndim(value) == 2 else value[0].item() for value in values]
            fields["status"], fields["residuals"] = fields["status"][0], fields["residuals"][:, 0]
            fields |= {name: fields[name][0].item() for name in ("iterations", "residual", "threshold")}
        return LeastSquaresResult(values, **fields)


def _away(executor, method, problem, result_of):
    """What ``problem.solve`` returns, from workers where no bit depends on who is solved beside whom."""
    if problem.A.together or len(problem.B) < 2:
        return problem.solve(method)
    began, blocks = time.perf_counter(), cut(len(problem.B))
    tasks = [(method, problem.part(block)) for block in blocks]
    answers = run_tasks(executor, _solve_part, tasks, names_of(blocks), lambda _, answer: result_of(*answer))
    values = [np.concatenate(each) for each in zip(*(values for values, _ in answers))]
    found = [fields for _, fields in answers]
    fields = {name: np.concatenate([each[name] for each in found]) for name in ("iterations", "residual", "threshold")}
    steps = max(len(each["residuals"]) for each in found)
    longer = [np.pad(each["residuals"], [(0, steps - len(each["residuals"])), (0, 0)], "edge") for each in found]
    return values, fields | {
        "status": tuple(status for each in found for status in each["status"]),
        "residuals": np.concatenate(longer, axis=1),
        "n_matvec": sum(each["n_matvec"] for each in found),
        "seconds": time.perf_counter() - began,
    }


def _solve_part(task):
    method, problem = task
    return problem.solve(method)


_SURE = {
    _EXACT: Status.CONVERGED,
    3: Status.ILL_CONDITIONED,
    6: Status.ILL_CONDITIONED,
    NONFINITE: Status.NONFINITE,
    NOT_ADJOINT: Status.NOT_ADJOINT,
}


def _rows(b, m):
    """b as rows, and whether it has several columns; SciPy takes (m, 1), (1, m), and a number for m = 1."""
    if b.ndim == 2 and b.shape[0] == m and b.shape[1] != 1:
        return b.T, True
    if b.size != m or b.ndim > 2:
        raise InvalidInput(f"`b` must have shape ({m},) or ({m}, k) to go with `A` of {m} rows, got {b.shape}.")
    return b.reshape(1, m), False


def _start(x0, n, k, many):
    x0 = _checks.array("x0", x0)
    _checks.shape_is("x0", x0, [(n, k)] if many else [(n,), (n, 1)], "to go with `A` and `b`")
    return x0.T if many else x0.reshape(1, n)
