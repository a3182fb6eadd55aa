"""A least-squares problem on stacks: its arrays in a scale of their own, its products, its methods, its verdict."""

import copy
import math

import numpy as np

from .. import _backend, _checks
from .._arrays import enter, leaving, module_of
from .._errors import InvalidInput
from .._loop import told
from .._place import at
from .._result import Status
from .._scale import reach_of, to_one
from .._stacks import columns, norms, taken_rows
from ..linalg._golub_kahan import NONFINITE, NOT_ADJOINT, STOPPED, drive, driven
from ..linalg._least_squares import SLIGHT
from ..linalg._lsmr import LSMR
from ..linalg._lsqr import LSQR
from ._augmented import Augmented
from ._blocks import can_be_shared, exhausted, listed, rows_of, run_blocks, side_by_side, slices
from ._cgls import CGLS
from ._demands import per_row
from ._hybrid import Hybrid
from ._measurement import there
from ._operator import applied, stack_of
from ._result import InverseResult
from ._stopping import DISCREPANCY, GCV, LCURVE, TOLERANCE, AtSteps, Rule
from ._subspace import Subspace
from ._wrapped import as_imaging_operator

__all__ = ["Problem"]

_MAXITER, _LIMIT = 1000, 7
# A is scaled where its norm on the data is outside of this and its reciprocal.
_FAR = 1e30
# A hybrid method keeps so many vectors at most, and so many bytes, unless it is told otherwise.
_HYBRID, _BYTES = 60, 2**31
_CODES = {"discrepancy": DISCREPANCY, "gcv": GCV, "l-curve": LCURVE, None: TOLERANCE}
_REASONS = {
    DISCREPANCY: "discrepancy", TOLERANCE: "tolerance", GCV: "gcv", LCURVE: "l-curve", _LIMIT: "maxiter",
    NONFINITE: "nonfinite", NOT_ADJOINT: "not_adjoint", STOPPED: "callback",
}  # fmt: skip


class Problem:
    """Everything between the arguments and the result of ``least_squares``."""

    def __init__(self, A, b, L, x0, demands):
        self.demands, self.backend = demands, _backend.pick(A=A, b=b, L=L, x0=x0)
        self._leave = leaving(b)
        A, b, L, x0 = enter("A", A), enter("b", b), enter("L", L), enter("x0", x0)
        self._b = b
        kernels = _backend.kernels(self.backend)
        with at(self.backend, b):
            self.A = as_imaging_operator(there(A, kernels))
            self.L = None if L is None else self._penalty(there(L, kernels, "L"))
            self._read(_checks.array("b", b), x0)

    def _penalty(self, L):
        L = as_imaging_operator(L, "L")
        if L.shape[1] != self.A.shape[1]:
            raise InvalidInput(
                f"`L` must take images of {self.A.shape[1]} entries, as `A` does, got one of shape {L.shape}."
            )
        if self.demands.weight is None and self.demands.rule is None:
            raise InvalidInput("`regularization` must be a weight or a rule where `L` is given, got None.")
        return L

    def _read(self, b, x0):
        """Stacks in the working dtype: the data less what x0 explains, times a power of two for each row."""
        kernels, A, demands = _backend.kernels(self.backend), self.A, self.demands
        dtypes = [A.dtype, b.dtype]
        if self.L is not None and self.L.dtype.kind == "c":
            dtypes.append(self.L.dtype)
        B, self._form = stack_of("b", b, A.data_shape, shaped=True)
        k, self._single = len(B), b.shape in (A.data_shape, A.shape[:1])
        if x0 is not None:
            x0 = _checks.finite("x0", _checks.array("x0", x0))
            X0, _ = stack_of("x0", x0, A.image_shape)
            if len(X0) != k:
                raise InvalidInput(f"`x0` must have as many images as `b` has data sets, {k}, got {len(X0)}.")
            dtypes.append(x0.dtype)
        dtype = np.result_type(*dtypes)
        _checks.finite("b", b)
        self.X0 = None if x0 is None else kernels.copy_to_device(X0, dtype)
        self.B = kernels.copy_to_device(B, dtype)
        self.eps, self.n_matvec, self.factor = float(np.finfo(dtype).eps), 0, 1.0
        self.R = self.B.copy()
        if self.X0 is not None:
            self.R -= self.forward(self.X0)
        self.bnorm = norms(self.B)
        zero = np.flatnonzero(self.bnorm == 0)  # whose answer is 0, whatever x0 is
        if self.X0 is not None and zero.size:
            where = module_of(self.B).asarray(zero)
            self.R[where], self.X0[where] = 0, 0
        self.scale = np.array([to_one(norm, reach_of(dtype)) for norm in self.bnorm], float)
        self.R *= columns(self.scale, self.R)
        weight = 0.0 if demands.weight is None else demands.weight
        self.weight = per_row("regularization", weight, k, 0)
        self.targets = demands.tau * demands.noise_norms(A.shape[0], k) * self.scale
        self.probe = self._probe() if demands.stop == "gcv" else None

    def forward(self, X):
        self.n_matvec += len(X)
        return self._times_factor(applied(self.A, self.A.forward_stack, X))

    def adjoint(self, Y):
        self.n_matvec += len(Y)
        return self._times_factor(applied(self.A, self.A.adjoint_stack, Y))

    def _times_factor(self, Z):
        return Z if self.factor == 1.0 else Z * Z.real.dtype.type(self.factor)

    def penalised(self, X):
        """L of each image."""
        return applied(self.L, self.L.forward_stack, X.reshape(len(X), *self.L.image_shape))

    def penalised_back(self, Y):
        """L^H of each penalty."""
        return applied(self.L, self.L.adjoint_stack, Y).reshape(len(Y), *self.A.image_shape)

    def solve(self, executor):
        """The result of all data sets, in blocks."""
        callback, blocks = self.demands.callback, slices(len(self.B), rows_of(self.A, self.backend))
        can_be_shared(executor, callback, self.backend)
        with at(self.backend, self._b), np.errstate(all="ignore"):  # what is not finite ends its row
            parts = map(self._part, blocks)
            if callback is None:
                names = [listed("data set", rows) for rows in blocks]
                shown = lambda _, found: self._leave(found["x"])
                return self._joined(run_blocks(_solved, parts, names, executor, shown))
            walkers = [part.steps(watched=True) for part in parts]
            last = lambda found: (found["residuals"][-1], lambda: found["x"])
            return self._joined(side_by_side(walkers, self._report, last))

    def _part(self, rows):
        """A block of the data sets as a problem of its own, without the way back to the user's form."""
        part, part.demands = copy.copy(self), copy.copy(self.demands)
        part.demands.maxiter, part.demands.callback, part.demands.rng = self._maxiter(), None, None
        for name in ("B", "R", "X0", "bnorm", "scale", "weight", "targets"):
            whole = getattr(self, name)
            setattr(part, name, None if whole is None else whole[rows])
        part.n_matvec, part._b, part._form, part._leave = 0, None, None, None
        return part

    def _report(self, step, news):
        norms, images = zip(*news)
        whole = lambda: self._leave(self._formed(module_of(self.B).concatenate([image() for image in images])))
        return told(self.demands.callback, step, np.concatenate(norms).max(), whole)

    def _formed(self, X):
        return self._form(X, self.A.image_shape)

    def steps(self, watched=False):
        """The solve; where it is watched, it yields the misfits and a function for the images after each step."""
        demands, k = self.demands, len(self.B)
        size = self.bnorm * self.scale
        method = self._in_range(self._method(np.arange(k)))
        if self.X0 is None:
            gradient = method.arnorm.copy()
        else:
            gradient = norms(self.adjoint(self.B * columns(self.scale, self.B)))
        rule = Rule(
            "settled" if demands.rule else demands.stop, np.where(size == 0, np.inf, self.targets), demands.rtol, size,
            gradient, _CODES[demands.rule],
        )  # fmt: skip
        X = module_of(self.B).zeros((k, *self.A.image_shape), self.B.dtype)
        walker, stop = driven(method, rule, X, demands.maxiter, watched), None
        while True:
            try:
                _, rnorm = walker.send(stop)
            except StopIteration as end:
                codes, taken, history, mismatch = end.value
                break
            stop = yield rnorm / self.scale, lambda: self._images(X)
        chosen = taken.copy()
        turned = np.flatnonzero((rule.corner > 0) & np.isin(codes, (LCURVE, _LIMIT)))
        if turned.size:
            again = taken_rows(X, turned)
            drive(self._method(turned), AtSteps(rule.corner[turned]), again, int(rule.corner.max()))
            X[module_of(X).asarray(turned)], chosen[turned] = again, rule.corner[turned]
        for row, (step, x) in rule.kept.items():
            if codes[row] in (GCV, _LIMIT):
                X[row], chosen[row] = x, step
        verdict = self._verdict(X, codes, history[chosen, 0, np.arange(k)], mismatch, gradient)
        if demands.rule:
            self.weight = np.nan_to_num(rule.found)  # as long as a rule finds none, there is none
        return self._found(X, codes, taken, chosen, history, *verdict)

    def _in_range(self, method):
        """The method, begun anew with a power of two times A where squares of its norm would leave the range."""
        if 1 / _FAR < method.arnorm.max(initial=0.0) < _FAR:
            return method
        sizes = norms(self.adjoint(self.R))
        largest = sizes[np.isfinite(sizes)].max(initial=0.0)
        if not largest or 1 / _FAR < largest < _FAR:
            return method
        self.factor = to_one(largest, reach_of(self.B.dtype))
        self.weight = self.weight * self.factor * self.factor
        return self._method(np.arange(len(self.B)))

    def _maxiter(self):
        demands, (m, n) = self.demands, self.A.shape
        if demands.maxiter is not None:
            return demands.maxiter
        if demands.method != "hybrid":
            return _MAXITER
        each = len(self.B) * (m + n + (0 if self.L is None else self.L.shape[0])) * self.B.itemsize
        return min(_HYBRID, max(10, _BYTES // max(1, each)))

    def _method(self, rows):
        """The method for these rows, at its start."""
        demands, weight, R = self.demands, self.weight[rows], taken_rows(self.R, rows)
        L = None if self.L is None else (self.penalised, self.penalised_back)
        if demands.method == "cgls":
            return CGLS(self.forward, self.adjoint, R, weight, L, self.probe)
        if demands.method == "hybrid" and L is None:
            return Hybrid(self.forward, self.adjoint, R, demands.rule or weight, self.targets)
        if demands.method == "hybrid":
            return Subspace(self.forward, self.adjoint, L, R, demands.rule or weight, self.targets)
        return Augmented(LSQR if demands.method == "lsqr" else LSMR, self.forward, self.adjoint, R, weight, L)

    def _probe(self):
        """Random signs, of which a complex number has two."""
        rng, shape, dtype = self.demands.rng, (1, *self.A.data_shape), self.B.dtype
        signs = rng.choice([-1.0, 1.0], shape)
        if dtype.kind == "c":
            signs = (signs + 1j * rng.choice([-1.0, 1.0], shape)) * math.sqrt(0.5)
        return _backend.kernels(self.backend).to_device(signs, dtype)

    def _images(self, X):
        """The iterates as the user counts them, in new memory."""
        X = X * columns(self.factor, X) * columns(1 / self.scale, X)
        return X if self.X0 is None else X + self.X0

    def _verdict(self, X, codes, claimed, mismatch, reference):
        """The statuses and the misfits, both recomputed; what is not finite becomes x0."""
        lost = np.flatnonzero(~np.isfinite(norms(X) * self.factor / self.scale))
        X[module_of(X).asarray(lost)], codes[lost] = 0, NONFINITE
        R = self.R - self.forward(X)
        misfits, gradients = norms(R), np.zeros(len(X))
        misfits = np.where(np.isfinite(misfits), misfits, norms(self.R))  # x = 0, in whose product 0 times NaN is NaN
        misfits = np.where(np.isnan(misfits), np.inf, misfits)  # of an x0 whose product is a NaN
        if (codes == TOLERANCE).any():
            G = self.adjoint(R)
            if self.weight.any():
                P = X if self.L is None else self.penalised_back(self.penalised(X))
                G -= P * columns(self.weight, P)
            gradients = norms(G)
        rows = zip(codes, misfits, gradients, claimed, mismatch, self.bnorm * self.scale, self.targets, reference)
        return tuple(self._status(*row) for row in rows), misfits

    def _status(self, code, misfit, gradient, claimed, mismatch, size, target, reference):
        """What the recomputed norms leave of the code."""
        if size == 0 or code in _SURE:
            return Status.CONVERGED if size == 0 else _SURE[code]
        near, rtol = math.sqrt(self.eps), self.demands.rtol
        stationary = gradient <= (10 * rtol + near) * reference or misfit <= (1.01 * rtol + 16 * self.eps) * size
        if code == DISCREPANCY and misfit <= (1 + near) * target:
            return Status.CONVERGED
        # The bidiagonalisation's claim holds with the true adjoint only; the other methods' would hold with any.
        false, method = abs(misfit - claimed) > 0.01 * size, self.demands.method
        bidiagonal = method in ("lsqr", "lsmr") or (method == "hybrid" and self.L is None)
        if mismatch > SLIGHT or (false and bidiagonal):
            return Status.NOT_ADJOINT
        if code == _LIMIT:
            return Status.MAXITER
        if false:
            return Status.STAGNATED
        if code == TOLERANCE and "discrepancy" in (self.demands.stop, self.demands.rule):
            return Status.UNATTAINABLE
        return Status.CONVERGED if stationary or code in (GCV, LCURVE) else Status.STAGNATED

    def _found(self, X, codes, taken, chosen, history, statuses, misfits):
        """What is known of these data sets: the last axis of each array, or a tuple, has an entry for each."""
        known = np.isfinite(self.targets)
        return dict(
            x=self._images(X),
            status=statuses,
            iterations=taken,
            residuals=np.where(np.isnan(history[:, 0]), np.inf, history[:, 0] / self.scale),
            residual=misfits / self.scale,
            threshold=np.where(known, self.targets, self.demands.rtol * self.bnorm * self.scale) / self.scale,
            regularization=self.weight / self.factor / self.factor,
            stop_reason=tuple(
                str(status) if status not in _PLAIN else _REASONS[code]
                for status, code in zip(statuses, codes.tolist(), strict=True)
            ),
            solution_norms=history[:, 1] * self.factor / self.scale,
            chosen=chosen,
            n_matvec=self.n_matvec,
        )

    def _joined(self, parts):
        """The result of all blocks; a data set that ended earlier repeats its last norms."""
        demands, longest = self.demands, max(len(part["residuals"]) for part in parts)
        for part in parts:
            for name in ("residuals", "solution_norms"):
                part[name] = np.pad(part[name], ((0, longest - len(part[name])), (0, 0)), "edge")
        fields = {name: _along([part[name] for part in parts]) for name in parts[0] if name not in ("x", "n_matvec")}
        if demands.rule is None and demands.weight is None:
            fields["regularization"] = None
        if self._single:
            fields = {name: _only(value) for name, value in fields.items()}
        extra = {name: fields.pop(name) for name in ("solution_norms", "chosen")}
        X = module_of(self.B).concatenate([part["x"] for part in parts])
        return InverseResult(
            self._leave(self._formed(X)), **fields, extra=extra, seconds=0.0, backend=self.backend,
            n_matvec=self.n_matvec + sum(part["n_matvec"] for part in parts),
            method="least_squares", choice=demands.method,
        )  # fmt: skip


def _solved(problem):
    with np.errstate(all="ignore"):
        return exhausted(problem.steps())


def _along(values):
    return sum(values, ()) if isinstance(values[0], tuple) else np.concatenate(values, axis=-1)


_SURE = {NONFINITE: Status.NONFINITE, NOT_ADJOINT: Status.NOT_ADJOINT, STOPPED: Status.STOPPED}
_PLAIN = Status.CONVERGED, Status.MAXITER, Status.STOPPED


def _only(value):
    """That of the only data set."""
    if isinstance(value, np.ndarray):
        return value[..., 0] if value.ndim > 1 else value[0].item()
    return value[0] if isinstance(value, tuple) else value
