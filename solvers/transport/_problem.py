"""An entropic transport problem as the driver sees it: checked, without zero weights, costs copied only if need be."""

import math

import numpy as np

from .. import _backend, _checks
from .._errors import InvalidInput
from .._loop import Record
from .._result import Status
from ._measures import points, real, same_totals, weights

__all__ = ["PointCloud", "Problem"]


class PointCloud:
    """The costs between two clouds of points, |x_i - y_j|^p, which are computed where they are needed.

    Parameters
    ----------
    X : array_like, shape (n, d)
    Y : array_like, shape (m, d)
    cost : {"sqeuclidean", "euclidean"} or float, default "sqeuclidean"
        A number is the power p > 0 of the distance.

    Raises
    ------
    InvalidInput
        If the points have no common dimension, are not finite, or the cost is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> transport.PointCloud(np.zeros((3, 2)), np.ones((4, 2)))
    <point cloud, 3 x 4, 2 dimensions, sqeuclidean>
    """

    def __init__(self, X, Y, cost="sqeuclidean"):
        self.X, self.Y = points("X", X), points("Y", Y)
        if self.X.shape[1] != self.Y.shape[1]:
            raise InvalidInput(
                f"`Y` must have points of {self.X.shape[1]} coordinates as `X` has, got {self.Y.shape[1]}."
            )
        self.cost = cost
        if isinstance(cost, str):
            self.power = {"sqeuclidean": 2.0, "euclidean": 1.0}[
                _checks.choice("cost", cost, ("sqeuclidean", "euclidean"))
            ]
        else:
            self.power = _checks.number("cost", cost)
            if not 0.0 < self.power < math.inf:
                raise InvalidInput(f"`cost` must be a power > 0, got {self.power!r}.")

    @property
    def shape(self):
        """(n, m)."""
        return self.X.shape[0], self.Y.shape[0]

    @property
    def dtype(self):
        """That of the potentials: float32 where both clouds are."""
        return np.result_type(self.X.dtype, self.Y.dtype)

    def __repr__(self):
        n, m = self.shape
        return f"<point cloud, {n} x {m}, {self.X.shape[1]} dimensions, {self.cost}>"


class Problem:
    """min <C, P> + eps sum P (log P - 1) over plans P with row sums a and column sums b.

    Attributes
    ----------
    cost : the kernels' form of C, restricted to positive weights
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
        self.backend = "cpu"
        self.reg = _checks.positive("eps", eps)
        self.given, self.shape, self.dtype = _costs(C)
        n, m = self.shape
        a, total_a = weights("a", a, n, self.dtype)
        b, total_b = weights("b", b, m, self.dtype)
        if not normalize:
            same_totals(total_a, total_b)
        self.mass = 1.0 if normalize else total_a
        self.rows, self.columns = _positive_places(a), _positive_places(b)
        self.a = _restricted(a, self.rows, total_a, self.dtype)
        self.b = _restricted(b, self.columns, total_b, self.dtype)
        self.kernels = _backend.kernels("cpu")
        self.cost = self._operand()
        self.u, self.v = self._start(x0)
        self.eps = float(np.finfo(self.dtype).eps)
        self.sweeps = self.newton_steps = 0
        self._seen = None

    def _operand(self):
        C = self.given
        if isinstance(C, PointCloud):
            X, Y = (points.astype(self.dtype, copy=False) for points in (C.X, C.Y))
            X, Y = (p if keep is None else p[keep] for p, keep in ((X, self.rows), (Y, self.columns)))
            return self.kernels.PointCosts(np.ascontiguousarray(X), np.ascontiguousarray(Y), C.power)
        if self.rows is not None or self.columns is not None:
            every = slice(None)
            C = C[every if self.rows is None else self.rows][:, every if self.columns is None else self.columns]
        return self.kernels.CostMatrix(np.ascontiguousarray(C))

    def _start(self, x0):
        u, v = np.zeros(self.a.size, self.dtype), np.zeros(self.b.size, self.dtype)
        if x0 is None:
            return u, v
        if not isinstance(x0, tuple | list) or len(x0) != 2:
            raise InvalidInput("`x0` must be a pair (f, g) of potentials, such as the `potentials` of a result.")
        for name, ours, theirs, size, keep in (
            ("x0[0]", u, x0[0], self.shape[0], self.rows), ("x0[1]", v, x0[1], self.shape[1], self.columns),
        ):  # fmt: skip
            values = real(name, theirs)
            _checks.shape_is(name, values, [(size,)], "to go with the costs")
            values = values if keep is None else values[keep]
            # A potential of no mass is -inf.
            ours[:] = np.where(np.isfinite(values), values, 0.0) / self.reg - math.log(self.mass) / 2
        return u, v

    @property
    def inv_eps(self):
        return 1.0 / self.reg

    def places(self):
        """The user's rows and columns with weight."""
        n, m = self.shape
        return (
            np.arange(n) if self.rows is None else self.rows,
            np.arange(m) if self.columns is None else self.columns,
        )

    def spread(self, values, axis):
        """Values of the rows (axis 0) or columns (axis 1) with weight, in the user's places; zero elsewhere."""
        keep = self.rows if axis == 0 else self.columns
        if keep is None:
            return np.asarray(values, dtype=np.float64)
        out = np.zeros(self.shape[axis])
        out[keep] = values
        return out

    def potentials(self):
        """f and g in the units of C, <a, f> = <b, g>, -inf where there is no weight."""
        f, g = self.u.astype(np.float64) * self.reg, self.v.astype(np.float64) * self.reg
        shift = (float(self.a @ f) - float(self.b @ g)) / 2
        scale = self.reg * math.log(self.mass) / 2  # the weights here sum to 1
        out = []
        for values, axis, keep in ((f - shift + scale, 0, self.rows), (g + shift + scale, 1, self.columns)):
            if keep is not None:
                whole = np.full(self.shape[axis], -np.inf)
                whole[keep] = values
                values = whole
            out.append(values.astype(self.dtype))
        return tuple(out)

    def marginals(self):
        """Row sums, column sums and <C, P> / mass of the plan at hand."""
        if self._seen is None:
            rows, columns = np.empty(self.a.size), np.empty(self.b.size)
            value = self.kernels.marginals(self.cost, self.inv_eps, self.u, self.v, rows, columns)
            self._seen = rows, columns, value
        return self._seen

    def objectives(self, f, g):
        """<C, P>, the regularised value, the dual value and the mass, with potentials as ``potentials`` gives them."""
        rows, columns, value = self.marginals()
        f, g = (np.where(np.isfinite(p), p, 0.0).astype(np.float64) for p in (f, g))
        a, b, rows, columns = (
            self.mass * self.spread(w, axis) for w, axis in ((self.a, 0), (self.b, 1), (rows, 0), (columns, 1))
        )
        # log P = (f + g - C) / eps, so that <C, P> + eps sum P log P = sum P (f + g).
        regularized = float(rows @ f + columns @ g) - self.reg * float(rows.sum())
        return self.mass * value, regularized, float(a @ f + b @ g) - self.reg * self.mass, self.mass

    def true_norm(self):
        """The L1 error of both marginals, relative to the mass, recomputed."""
        self._seen = None
        with np.errstate(all="ignore"):
            rows, columns, _ = self.marginals()
            return float(np.abs(rows - self.a).sum() + np.abs(columns - self.b).sum())

    def save(self):
        return self.u.copy(), self.v.copy()

    def restore(self, saved):
        self.u[:], self.v[:], self._seen = *saved, None

    def iterate(self):
        """The potentials (f, g) in the units of C, for the user's callback."""
        return self.u * self.reg, self.v * self.reg

    def is_finite(self):
        return bool(np.isfinite(self.u).all() and np.isfinite(self.v).all())

    def last_finite(self, residual):
        """After a NaN: leave finite potentials; returns the error that goes with them."""
        if not (self.is_finite() and math.isfinite(residual)):
            self.u[:], self.v[:] = 0, 0
            log_rows = np.empty_like(self.u)
            self.kernels.log_sums(self.cost, self.inv_eps, self.v, log_rows)
            with np.errstate(all="ignore"):
                self.u[:] = np.nan_to_num(np.log(self.a) - log_rows, posinf=0.0, neginf=0.0)
            residual = self.true_norm()
        return residual if math.isfinite(residual) else math.inf

    def infeasible(self):
        """A record that says so where a row or a column with weight has nowhere to go, else None."""
        if isinstance(self.given, PointCloud):
            return None
        C = self.cost[0]
        blocked = not np.isfinite(C.min(axis=1)).all() or not np.isfinite(C.min(axis=0)).all()
        return Record(Status.INFEASIBLE, 0, np.array([2.0]), 2.0, 0.0) if blocked else None


def _costs(C):
    """The costs as they are used, their shape and dtype."""
    if isinstance(C, PointCloud):
        return C, _not_empty(C.shape), C.dtype
    C = real("C", C)
    if C.ndim != 2:
        raise InvalidInput(f"`C` must have shape (n, m), got {C.shape}.")
    bad = np.isnan(C) | (C == -np.inf)
    if bad.any():
        i, j = np.unravel_index(int(np.argmax(bad)), C.shape)
        raise InvalidInput(
            f"`C` must hold numbers, or inf for forbidden pairs, got {int(bad.sum())} that are NaN or -inf, the first "
            f"at [{i}, {j}]."
        )
    return C, _not_empty(C.shape), C.dtype


def _not_empty(shape):
    if 0 in shape:
        raise InvalidInput(f"`C` must have rows and columns, got shape {shape}.")
    return shape


def _positive_places(values):
    return None if np.all(values > 0) else np.flatnonzero(values > 0)


def _restricted(values, keep, total, dtype):
    values = values if keep is None else values[keep]
    return np.ascontiguousarray(values.astype(np.float64) / total, dtype=dtype)
