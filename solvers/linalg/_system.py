"""A linear system as the driver sees it: its arrays, its products, its true residual."""

import math

import numpy as np

from .. import _backend
from .._errors import InvalidInput
from .._loop import Record
from .._result import Status
from .._scale import to_one
from .._tasks import only_on_cpu

__all__ = ["System", "norm", "trivial"]


class System:
    """A x = b for one right-hand side: its arrays, its products (counted) and its true residual.

    Attributes
    ----------
    x, b : ndarray, shape (n,)
        In the working dtype. ``x`` is ours, ``b`` is only read.
    size : float
        The norm of b.
    operand : the kernels' form of A, or None for an operator
    diagonal : None or ndarray, shape (n,)
        The preconditioner, where it is a diagonal.
    fused : bool
        Whether the compiled loop takes this system: entries at hand, no preconditioner but a diagonal.
    shift : float
        The matrix is A - shift I.
    certified : float or None
        The norm of b - A x where the method has just recomputed it itself.
    leave : function (array) -> array
        Turns an array of this backend into the kind that the user sent.
    sweep : (Sweep, order)
        The sorted matrix of methods that sweep over its rows.
    null_space : None or NullSpace
        What residuals and preconditioned residuals are freed from, after ``project_on_range``.
    settings, maxiter, outer : objects that a method keeps here; ``outer`` is what SciPy's ``info`` counts
        where that is not the iterations.
    """

    def __init__(self, problem, b, size, x):
        matrix = self.matrix = problem.matrix
        self.backend, self.kernels, self.dtype, self.leave = (
            problem.backend, problem.kernels, problem.dtype, problem.leave
        )  # fmt: skip
        self.diagonal, self._apply_M = problem.preconditioner
        # With a real preconditioner there will be few.
        many_products = self._apply_M is None and not problem.few_products
        self.operand = matrix.operand(self.dtype, self.backend, many_products) if matrix.explicit else None
        self.fused = self.operand is not None and self._apply_M is None
        self.x_is_zero = x is None
        self.b, self.size = b, size
        self.x = self.kernels.zeros(matrix.n, self.dtype) if x is None else x
        self.x0 = None if x is None else x.copy()
        self.scale = 1.0
        self.shift = 0.0
        self.n_matvec = 0
        self.certified = self._hermitian = None
        self.outer = self.settings = self.maxiter = self.sweep = self.null_space = None
        self.eps = float(np.finfo(self.dtype).eps)

    def __getstate__(self):
        return only_on_cpu(self.backend, {name: value for name, value in self.__dict__.items() if name != "kernels"})

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.kernels = _backend.kernels(self.backend)

    @property
    def n(self):
        return self.matrix.n

    @property
    def preconditioned(self):
        return self.diagonal is not None or self._apply_M is not None

    def empty(self, *shape):
        """A vector, or vectors as rows, of arbitrary entries."""
        return self.kernels.empty((*shape, self.n), self.dtype)

    def inner(self, p, q):
        """p^H q, accumulated in float64."""
        return self.kernels.inner(p, q)

    def norm(self, v):
        """The 2-norm, accumulated in float64."""
        return norm(v, self.kernels)

    def matvec(self, v, out):
        """out = A v."""
        self.n_matvec += 1
        if self.operand is not None:
            self.kernels.matvec(self.operand, v, out)
        else:
            _store(self.matrix.product(v), out, "A")
        if self.shift:
            self.kernels.axpy(self.dtype.type(-self.shift), v, out)

    def product(self, v, buffer):
        """Return A v, to be read before the next product: ``buffer``, filled, or the array of the user's function."""
        if self.operand is None and not self.shift:
            self.n_matvec += 1
            return self._to_read(self.matrix.product(v), buffer, "A")
        self.matvec(v, buffer)
        return buffer

    def psolve(self, r, out):
        """Return M r: r itself without a preconditioner, else ``out``, filled."""
        if self.null_space is not None:
            return self._psolve_in_range(r, out)
        if self._apply_M is not None:
            _store(self._apply_M(r), out, "M")
        elif self.diagonal is not None:
            self.kernels.multiply(self.diagonal, r, out)
        else:
            return r
        return out

    def preconditioned_residual(self, r, buffer):
        """Return M r, to be read before the next one: ``buffer``, filled, or the array of the user's function."""
        if self._apply_M is not None and self.null_space is None:
            return self._to_read(self._apply_M(r), buffer, "M")
        return self.psolve(r, buffer)

    def _psolve_in_range(self, r, out):
        """M r without what of it, and of r, has come into the null space by rounding: M may enlarge that at will."""
        null, self.null_space = self.null_space, None
        null.project_there(r, self.kernels)
        z = self.psolve(r, out)
        if z is not r:
            null.project_there(z, self.kernels)
        self.null_space = null
        return z

    def project_on_range(self, null):
        """Start anew with the b that has nothing in the null space, and keep it so in every step."""
        self.b = self.b.copy()
        null.project_there(self.b, self.kernels)
        self.size, self.null_space, self.fused = self.norm(self.b), null, False
        self.x[:] = 0 if self.x0 is None else self.x0
        self.x_is_zero, self.certified = self.x0 is None, None
        if hasattr(self.settings, "begin"):
            self.settings.begin()

    def back_to(self, b):
        """Return to that right-hand side, and the norm of its residual."""
        self.b, self.size, self.null_space, self.certified = b, self.norm(b), None, None
        return self.true_norm()

    def residual(self, out):
        """out = b - A x; returns its norm."""
        size = self._residual(out)
        if self.null_space is not None:
            self.null_space.project_there(out, self.kernels)
            return self.norm(out)
        return size

    def _residual(self, out):
        if self.x_is_zero:
            self.x_is_zero = False
            out[:] = self.b
            return self.size
        self.n_matvec += 1
        if self.operand is not None:
            size = self.kernels.residual(self.operand, self.x, self.b, out)
            return self._add_shift(out) if self.shift else self._in_range(size, out)
        # A copy of x: the user's function may write to what it gets.
        y = _real_where_ours_is(self.matrix.product(self.x.copy()), self.dtype, "A")
        wide = np.result_type(self.dtype, np.float64)
        y = self.kernels.to_device(y, self.dtype if y.dtype == self.dtype else wide)
        size = self.kernels.difference(self.b, y, out)
        return self._add_shift(out) if self.shift else self._in_range(size, out)

    def _in_range(self, size, out):
        """The norm of ``out``, of which the kernel's sum of squares may be below or beyond the range of numbers."""
        return size if 1e-140 < size < 1e140 else self.norm(out)

    def is_hermitian(self):
        """Whether A = A^H up to rounding; asking an operator costs two products."""
        if self._hermitian is None:
            if not self.matrix.explicit:
                self.n_matvec += 2
            self._hermitian = self.matrix.is_hermitian(self.dtype, self.backend)
        return self._hermitian

    def _to_read(self, y, buffer, name):
        """y where the kernels can read it as it is, else the buffer with its numbers."""
        if y.dtype == buffer.dtype and self.kernels.is_ready(y):
            return y
        _store(y, buffer, name)
        return buffer

    def true_norm(self):
        """The norm of b - A x, recomputed."""
        certified, self.certified = self.certified, None
        return self.residual(self.empty()) if certified is None else certified

    def _add_shift(self, out):
        self.kernels.axpy(self.dtype.type(self.shift), self.x, out)
        return self.norm(out)

    def save(self):
        return self.x.copy()

    def restore(self, saved):
        self.x[:] = saved

    def iterate(self):
        """A copy of x for the user's callback, in the user's scale."""
        if self.scale == 1.0:
            return self.leave(self.x.copy())
        with np.errstate(over="ignore"):
            return self.leave(self.kernels.to_device(self.kernels.to_host(self.x) / self.scale, self.dtype))

    def is_finite(self):
        """Whether all of x is."""
        return math.isfinite(self.kernels.largest(self.x))

    def last_finite(self, residual):
        """After a NaN: leave in x the finite one of x, x0 and 0 with the smallest true residual; return that."""
        with np.errstate(all="ignore"):
            candidates = [(residual, self.x.copy())]
            if self.x0 is not None:
                self.x[:] = self.x0
                candidates.append((self.true_norm(), self.x0))
        candidates.append((self.size, self.kernels.zeros(self.n, self.dtype)))
        finite = [c for c in candidates if math.isfinite(c[0]) and math.isfinite(self.kernels.largest(c[1]))]
        best = min(finite, key=lambda c: c[0])
        self.restore(best[1])
        return best[0]


def norm(v, kernels):
    """The 2-norm as a Python float, accumulated in float64; not by BLAS, whose threads stay awake beside ours."""
    square = kernels.inner(v, v).real
    if 1e-280 < square < 1e280:
        return math.sqrt(square)
    # Out of the range of a square: scale first, by a power of two.
    largest = kernels.largest(v)
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    power = to_one(largest)
    scaled = kernels.empty(v.shape, v.dtype)
    kernels.scale(v.dtype.type(power), v, scaled)
    return math.sqrt(kernels.inner(scaled, scaled).real) / power


def _store(y, out, name):
    """out = y, where a complex y is no surprise."""
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and ends as NONFINITE
        out[:] = _real_where_ours_is(y, out.dtype, name)


def _real_where_ours_is(y, dtype, name):
    if y.dtype.kind == "c" and dtype.kind != "c":
        raise InvalidInput(
            f"`{name}` must give real products where its dtype is real, got complex ones; declare dtype=complex, "
            "or pass a complex `b`."
        )
    return y


def trivial(system):
    """b = 0 has the answer 0, whatever A, x0 and M are; nothing is computed. Else None."""
    if system.size:
        return None
    system.x[:] = 0
    return Record(Status.CONVERGED, 0, np.zeros(1), 0.0, 0.0)
