"""An entropic transport problem as the driver sees it: checked, without zero weights, costs copied only if need be."""

import math

import numpy as np

from .. import _backend, _checks
from .._arrays import enter, kinds, leaving, module_at
from .._errors import InvalidInput
from .._loop import Record
from .._place import at, inner
from .._result import Status
from ._costs import PointCloud, checked, ratio_is_finite
from ._measures import real, same_totals, weights
from ._over_relaxation import LOST

__all__ = ["Problem", "potentials_of", "threshold_of"]

# The error of the plan of nothing is 2, up to rounding.
_NOTHING = 2.1


class Problem:
    """min <C, P> + eps sum P (log P - 1) over plans P with row sums a and column sums b.

    Attributes
    ----------
    backend : str
        ``"cpu"`` or ``"gpu"``; all arrays live there.
    leave : function (array) -> array
        Turns one of ours into the kind that the user sent.
    stays : bool
        Whether that kind lives on the device.
    cost : the kernels' form of C, restricted to positive weights
    given : PointCloud, ndarray or None
        What the costs were made from; no matrix is kept beyond the solve.
    reg : float
        The regularisation eps, in the units of C.
    a, b : ndarray
        Positive weights that sum to 1.
    u, v : ndarray
        The potentials over eps; methods update them in place.
    mass : float
        What the user's weights sum to.
    eps : float
        The unit roundoff of the dtype.
    rows, columns : ndarray of int or None
        Which rows and columns of the user's have positive weight; None for all.
    sweeps, newton_steps : int
    relaxed : bool
        Whether the plan's marginals may differ from the weights.
    """

    relaxed = False

    def __init__(self, C, a, b, eps, x0, normalize):
        self.reg, x0, normalize = _checks.positive("eps", eps), potentials_of(x0), _checks.flag("normalize", normalize)
        cloud = isinstance(C, PointCloud)
        decisive = C.X if cloud else C
        self.backend = _backend.pick(C=decisive, a=a, b=b, **{f"x0[{i}]": x0[i] for i in (0, 1)})
        self.leave = C._leave if cloud else leaving(C)
        decisive = enter("C", decisive)
        self.stays = kinds[type(decisive)] == "gpu"
        with at(self.backend, decisive):
            self.given, self.shape, self.dtype = checked(C if cloud else decisive)
            ratio_is_finite(self.given, self.reg, self.dtype)
            self._weigh(a, b, normalize)
            self.cost = self._operand()
            self.u, self.v = self._start(x0)
        self.eps = float(np.finfo(self.dtype).eps)
        self.sweeps = self.newton_steps = 0
        self._seen = None

    def _weigh(self, a, b, normalize):
        n, m = self.shape
        a, total_a = weights("a", a, n, self.dtype)
        b, total_b = weights("b", b, m, self.dtype)
        if not normalize:
            same_totals(total_a, total_b)
            _representable(total_a, self.dtype)
        self.mass = 1.0 if normalize else total_a
        self.rows, self.a = self._positive(a, total_a)
        self.columns, self.b = self._positive(b, total_b)

    def _positive(self, values, total):
        """The places of positive weights (None: all) and their parts of the total.

        A part that the dtype holds only as zero, or with few digits, is as good as none.
        """
        values = self.kernels.to_device(values, values.dtype).astype(np.float64) / total
        enough = values >= float(np.finfo(self.dtype).tiny)
        keep = None if bool(enough.all()) else self.xp.flatnonzero(enough)
        return keep, self.kernels.to_device(values if keep is None else values[keep], self.dtype)

    def _operand(self):
        C, put = self.given, self.kernels.to_device
        if isinstance(C, PointCloud):
            X, Y = put(C.X, self.dtype), put(C.Y, self.dtype)
            X, Y = (p if keep is None else p[keep] for p, keep in ((X, self.rows), (Y, self.columns)))
            return self.kernels.PointCosts(X, Y, C.power)
        if self.rows is not None or self.columns is not None:
            every = slice(None)
            C = put(C, self.dtype)
            C = C[every if self.rows is None else self.rows][:, every if self.columns is None else self.columns]
        return self.kernels.CostMatrix(put(C, self.dtype))

    def _start(self, x0):
        xp = self.xp
        u, v = (self.kernels.zeros(w.size, self.dtype) for w in (self.a, self.b))
        for i, ours, keep in ((0, u, self.rows), (1, v, self.columns)):
            if x0[i] is None:
                continue
            values = real(f"x0[{i}]", x0[i])
            _checks.shape_is(f"x0[{i}]", values, [(self.shape[i],)], "to go with the costs")
            values = self.kernels.to_device(values, values.dtype)
            values = values if keep is None else values[keep]
            with np.errstate(all="ignore"):
                values = values / self.reg - math.log(self.mass) / 2
                # A potential of no mass is -inf, and one of another eps may be too large.
                ours[:] = values
            ours[~xp.isfinite(ours)] = 0.0
        if not self.relaxed:
            # Sums u_i + v_j of a large u and a large v would have few digits in all sweeps to come.
            shift = v.max()
            u += shift
            v -= shift
        return u, v

    def place(self):
        """A context: allocations happen where the arrays of this problem live."""
        return at(self.backend, self.u)

    @property
    def kernels(self):
        """The kernel package of the backend; not kept, as modules cannot be pickled."""
        return _backend.kernels(self.backend)

    @property
    def xp(self):
        """NumPy or CuPy."""
        return module_at(self.backend)

    @property
    def inv_eps(self):
        return 1.0 / self.reg

    def places(self):
        """The user's rows and columns with weight."""
        n, m = self.shape
        return (
            self.xp.arange(n) if self.rows is None else self.rows,
            self.xp.arange(m) if self.columns is None else self.columns,
        )

    def spread(self, values, axis):
        """Values of the rows (axis 0) or columns (axis 1) with weight, in the user's places; zero elsewhere."""
        keep = self.rows if axis == 0 else self.columns
        if keep is None:
            return values.astype(np.float64, copy=False)
        out = self.kernels.zeros(self.shape[axis], np.float64)
        out[keep] = values
        return out

    def potentials(self):
        """f and g in the units of C, <a, f> = <b, g>, -inf where there is no weight."""
        f, g = self.u.astype(np.float64) * self.reg, self.v.astype(np.float64) * self.reg
        shift = (inner(self.a, f) - inner(self.b, g)) / 2
        scale = self.reg * math.log(self.mass) / 2  # the weights here sum to 1
        out = []
        for values, axis, keep in ((f - shift + scale, 0, self.rows), (g + shift + scale, 1, self.columns)):
            if keep is not None:
                whole = self.xp.full(self.shape[axis], -np.inf)
                whole[keep] = values
                values = whole
            out.append(values.astype(self.dtype))
        return tuple(out)

    def marginals(self):
        """Row sums, column sums and <C, P> / mass of the plan at hand."""
        if self._seen is None:
            rows, columns = (self.kernels.empty(w.size, np.float64) for w in (self.a, self.b))
            value = self.kernels.marginals(self.cost, self.inv_eps, self.u, self.v, rows, columns)
            self._seen = rows, columns, value
        return self._seen

    def sweeps_at(self, inv_eps, u, v, errors, threshold):
        """Plain sweeps at any eps, as many as there are errors at most; returns how many."""
        return self.kernels.log_chunk(
            self.cost, inv_eps, self.a, self.b, u, v, 1.0, errors, threshold, errors.size
        )

    def large_entries(self, inv_eps, u, v, cut):
        """The entries of P of at least ``cut``, in CSR form."""
        return self.kernels.threshold_plan(self.cost, inv_eps, u, v, cut)

    def objectives(self, f, g):
        """<C, P>, the regularised value, the dual value and the mass, with potentials as ``potentials`` gives them."""
        rows, columns, value = self.marginals()
        xp = self.xp
        f, g = (xp.where(xp.isfinite(p), p, 0.0).astype(np.float64) for p in (f, g))
        a, b, rows, columns = (
            self.spread(w, axis) for w, axis in ((self.a, 0), (self.b, 1), (rows, 0), (columns, 1))
        )
        # log P = (f + g - C) / eps, so that <C, P> + eps sum P log P = sum P (f + g).
        regularized = inner(rows, f) + inner(columns, g) - self.reg * float(rows.sum())
        dual = inner(a, f) + inner(b, g) - self.reg
        return self.mass * value, self.mass * regularized, self.mass * dual, self.mass

    def true_norm(self):
        """The L1 error of both marginals, relative to the mass, recomputed; infinite with a potential that is so."""
        self._seen = None
        if not self.is_finite():  # rows without a plan may still leave an error within a loose tolerance
            return math.inf
        with np.errstate(all="ignore"):
            rows, columns, _ = self.marginals()
            return float(abs(rows - self.a).sum() + abs(columns - self.b).sum())

    def save(self):
        return self.u.copy(), self.v.copy()

    def restore(self, saved):
        self.u[:], self.v[:], self._seen = *saved, None

    def iterate(self):
        """The potentials (f, g) in the units of C, for the user's callback."""
        return self.leave(self.u * self.reg), self.leave(self.v * self.reg)

    def is_finite(self):
        """Whether the potentials are, in the units of C too, with room for a shift."""
        most = sum(float(abs(p).max()) for p in (self.u, self.v) if p.size)
        return most * max(self.reg, 1.0) < float(np.finfo(self.dtype).max) / 2

    def last_finite(self, residual):
        """After a NaN, or an error above that of no plan at all: leave a finite plan; returns its error."""
        if self.is_finite() and residual <= _NOTHING:
            return residual
        self.u[:], self.v[:] = 0, 0
        log_rows, xp = self.kernels.empty(self.u.size, self.dtype), self.xp
        self.kernels.log_sums(self.cost, self.inv_eps, self.v, log_rows)
        with np.errstate(all="ignore"):
            start = xp.log(self.a) - log_rows
            self.u[:] = xp.where(xp.isfinite(start), start, 0.0)
        residual = self.true_norm()
        if not residual <= _NOTHING:
            # C / eps is so large that its numbers have no fractions: the plan of nothing is all that is left.
            self.u[:] = -float(np.finfo(self.dtype).max) / 8 / max(self.reg, 1.0)
            residual = self.true_norm()
        return residual

    def infeasible(self):
        """A record that says so where a row or a column with weight has nowhere to go, else None."""
        if isinstance(self.given, PointCloud):
            return None
        C, isfinite = self.cost.C, self.xp.isfinite
        if isfinite(C.min(axis=1)).all() & isfinite(C.min(axis=0)).all():
            return None
        residual = self.last_finite(math.nan)
        return Record(Status.INFEASIBLE, 0, np.array([residual]), residual, 0.0)

    def plan(self):
        """P of the user's shape and mass, where the arrays live; no memory but its own."""
        inner = self.kernels.empty((self.a.size, self.b.size), self.dtype)
        self.kernels.plan(self.cost, self.inv_eps, self.u, self.v, inner)
        inner *= self.dtype.type(self.mass)
        if inner.shape == self.shape:
            return inner
        rows, columns = self.places()
        whole = self.kernels.zeros(self.shape, self.dtype)
        whole[rows[:, None], columns] = inner
        return whole

    def sparse_plan(self, cut):
        """(data, indices, indptr) in CSR form of the entries that are at least ``cut`` times the mass."""
        indptr, indices, data = self.kernels.threshold_plan(self.cost, self.inv_eps, self.u, self.v, cut)
        if self.columns is not None:
            indices = self.columns.astype(indices.dtype)[indices]
        if self.rows is not None:
            indptr = indptr[self.xp.searchsorted(self.rows, self.xp.arange(self.shape[0] + 1))]
        return data * self.mass, indices, indptr

    def own(self):
        """Copy what the caller may change, at the end of a solve: the plan is made when it is asked for."""
        if isinstance(self.given, PointCloud):
            self.cost = self.cost._replace(X=self.cost.X.copy(), Y=self.cost.Y.copy())
            return
        if self.cost.C is self.given:
            self.cost = self.cost._replace(C=self.given.copy())
        self.given = None


def potentials_of(x0):
    """The starting potentials, or twice None."""
    if x0 is None:
        return None, None
    if not isinstance(x0, tuple | list) or len(x0) != 2:
        raise InvalidInput("`x0` must be a pair (f, g) of potentials, such as the `potentials` of a result.")
    return tuple(x0)


def threshold_of(tol):
    """The tolerance, kept below the error of no plan at all, which is 2: met by that, it would demand nothing."""
    return min(_checks.tolerance("tol", tol), LOST)


def _representable(total, dtype):
    """Refuse a total with which a plan of this dtype would overflow, or lose its digits."""
    most = {4: 1e30, 8: 1e280}[dtype.itemsize]
    if not 1.0 / most <= total <= most:
        raise InvalidInput(
            f"`a` must have a total between {1.0 / most:.0e} and {most:.0e} for a plan in {dtype}, got {total!r}; pass "
            "normalize=True."
        )
