"""One call of ``solve``: what the caller passed, and what its attempts need to know of that."""

import math
from functools import cached_property

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter, on_host
from .._errors import InvalidInput
from .._loop import Observers
from .._place import at
from .._result import Status
from . import _solve_choice
from ._cg import cg
from ._grid_operator import grid_shape
from ._null_space import null_space_of_sparse
from ._operator import Matrix, PreparedOperator, analyse, is_matrix, source
from ._setup import check_right_hand_sides
from ._solve_direct import Failed
from ._sweeps import sparse_of, without_duplicates

__all__ = ["Case", "Watch"]

# A dense matrix with fewer entries than this share, and more rows than that, is treated as a sparse one.
_SPARSE_SHARE, _SPARSE_ROWS = 0.05, 500
# What of its own rounding a residual may be, up to that share of b.
_ROUNDINGS, _MOST_ROUNDING = 4.0, 1e-3


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
    executor : executor or None
        The caller's.
    failures : list of (str, Status)
        What a direct attempt tried before what it ended with.
    """

    def __init__(self, A, b, grid, callback):
        A = enter("A", A)
        _checks.function("callback", callback)
        self.b, self.callback, self.grid = b, callback, grid
        inside = enter("b", b)
        self.backend = _backend.pick(A=source(A), b=inside)
        with at(self.backend, inside):
            checked = _checks.array("b", inside)
            plain = callable(A) and not isinstance(A, LinearOperator) and not hasattr(A, "shape")
            self.matrix = None if plain else analyse(A)
            if is_matrix(A) and self.matrix.explicit:
                A = PreparedOperator(self.matrix, A)
        if checked.ndim == 0:
            raise InvalidInput("`b` must have shape (n,) or (n, k), got a single number.")
        rows = self.n if self.matrix is not None else checked.shape[0]
        with at(self.backend, inside):
            check_right_hand_sides(checked, rows)
        if grid is not None and math.prod(grid_shape(grid)) != rows:
            raise InvalidInput(f"`grid` must have as many cells as `A` has rows, {rows}, got {grid!r}.")
        self.A = A
        self.columns = max(1, checked.shape[1]) if checked.ndim == 2 else 1
        dtype = None if self.matrix is None else self.matrix.dtype
        self.dtype = checked.dtype if dtype is None else np.result_type(dtype, checked.dtype)
        self.single = self.dtype.char in "fF"
        self.rtol = self.atol = self.maxiter = None
        self.watch, self.executor, self.failures = None, None, []

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
        if not self.explicit:
            raise Failed(Status.BREAKDOWN, "it needs the entries of `A`, got an operator")
        A = sparse_of(without_duplicates(self.matrix))
        A = scipy.sparse.csr_array(A, dtype=np.result_type(A.dtype, np.float64))
        if not A.has_canonical_format:
            A = A.copy()
            A.sum_duplicates()
        return A

    @cached_property
    def dense(self):
        """A dense array on the host in double precision, for dense methods; None for a sparse matrix."""
        if not self.explicit or not isinstance(self.matrix.dense, np.ndarray):
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
        return _solve_choice.survey(self.host, self.hermitian, self.columns)

    @cached_property
    def grid_at_hand(self):
        """The caller's grid, or what the entries tell."""
        return _solve_choice.grid_guess(self.host) if self.grid is None else self.grid

    @cached_property
    def null_space(self):
        """The constants that A maps to zero, or None."""
        return null_space_of_sparse(self.host, self.matrix.dtype)

    def rounding(self, x):
        """What rounding leaves of each residual, 4 eps norm(|A| |x| + |b|); 0 where that is no small share of b."""
        wide = np.result_type(self.dtype, np.float64)
        x, b = (np.asarray(on_host(each)).astype(wide).reshape(self.n, -1) for each in (x, self.b))
        eps, A = np.finfo(self.dtype).eps, self.host if self.dense is None else self.dense
        with np.errstate(over="ignore", invalid="ignore"):
            sizes = _ROUNDINGS * eps * np.linalg.norm(abs(A) @ abs(x) + abs(b), axis=0)
            return np.where(sizes <= max(_MOST_ROUNDING, 100 * eps) * np.linalg.norm(b, axis=0), sizes, 0.0)

    def limit(self, most):
        """The iterations of an attempt: the caller's limit, or ``most``."""
        return most if self.maxiter is None else self.maxiter

    def cg(self, M, most):
        return cg(self.A, self.b, M=M, **self.tolerances, maxiter=self.limit(most), **self.elsewhere)

    @property
    def observer(self):
        """The caller's callback, and ours."""
        both = tuple(each for each in (self.callback, self.watch) if each is not None)
        return Observers(both) if len(both) > 1 else both[0] if both else None

    @property
    def elsewhere(self):
        """Who looks on, or where columns are solved: our own observer cannot follow them."""
        executor = self.executor if self.watch is None else None
        return {"callback": self.observer, "executor": executor}

    @property
    def tolerances(self):
        return {"rtol": self.rtol, "atol": self.atol}


def _function_is_hermitian(case):
    n = np.shape(case.b)[0]
    return Matrix(n, case.dtype, apply=case.A).is_hermitian(case.dtype, case.backend) if n else True
