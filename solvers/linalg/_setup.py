"""From what a user passed to checked systems: shapes, dtypes, preconditioner, starting guess, limits."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._arrays import enter, kinds, leaving
from .._errors import InvalidInput, UnsupportedType
from .._loop import Limits
from .._matrices import fetched
from .._place import at
from .._scale import reach_of, safe_range, to_one
from ._operator import Matrix, analyse, source
from ._system import System, norm

__all__ = ["check_right_hand_sides", "linear_system"]

# Multiply-adds of one chunk: some 10 to 80 ms, so that Ctrl-C and a progress report are prompt.
_CHUNK_WORK = {"cpu": 1.5e8, "gpu": 1.5e10}
_LONGEST_CHUNK = 4096


@dataclass(slots=True)
class _Problem:
    """What all right-hand sides share.

    ``preconditioner`` is (diagonal, None), (None, function) or (None, None); ``leave`` turns an array of the
    backend into the kind that b is; ``few_products`` says that the method's work is not in products with A.
    """

    backend: str
    kernels: object
    leave: object
    matrix: Matrix
    dtype: np.dtype
    preconditioner: tuple
    few_products: bool


def linear_system(A, b, x0, M, tolerances, callback, default_maxiter, few_products=False):
    """Check everything a user passed; returns the systems (one per column), the shape of x, and their limits."""
    backend = _backend.pick(A=source(A), b=b, x0=x0, M=source(M))
    kernels, leave = _backend.kernels(backend), leaving(b)
    A, b, x0, M = enter("A", A), enter("b", b), enter("x0", x0), enter("M", M)
    with at(backend, b):
        b = _checks.array("b", b)
        matrix = _from_function(A, b, leave) if _is_function(A) else analyse(A)
        matrix.refuse_where_too_large(kernels)
        b, shape = _right_hand_sides(b, matrix.n)
        dtype = _working_dtype(matrix, b)
        preconditioner = _preconditioner(A, M, matrix.n, dtype, backend, leave)
        problem = _Problem(backend, kernels, leave, matrix, dtype, preconditioner, few_products)
        _refuse_host_code(problem, b)
        x0 = _starting_guess(x0, shape, dtype)
        rtol, atol = _checks.tolerance("rtol", tolerances[0]), _checks.tolerance("atol", tolerances[1])
        most = default_maxiter * max(1, matrix.n) if tolerances[2] is None else _checks.limit("maxiter", tolerances[2])

        systems, limits = [], []
        for j in range(1 if len(shape) == 1 else shape[1]):
            system = _one_system(problem, b, x0, j)
            systems.append(system)
            limits.append(_limits(system, rtol, atol, most, callback))
    return systems, shape, limits


def _refuse_host_code(problem, b):
    """A user's function goes where b lives: one written in NumPy cannot be sent to the GPU."""
    if problem.backend == "gpu" and kinds[type(b)] != "gpu":
        for name, black_box in (("A", not problem.matrix.explicit), ("M", _is_black_box(problem.preconditioner[1]))):
            if black_box:
                raise UnsupportedType(
                    f"`{name}` must have its entries at hand to be sent to the GPU, got a function or an operator; "
                    f"pass CuPy arrays and a function that takes them, or a sparse matrix."
                )


def _one_system(problem, b, x0, j):
    """Column j of b, or b itself, as a system."""
    kernels, dtype = problem.kernels, problem.dtype
    right, start = (b, x0) if b.ndim == 1 else (b[:, j], x0[:, j] if _is_given(x0) else x0)
    right = kernels.to_device(right, dtype)
    size = norm(right, kernels)
    if not math.isfinite(size):
        _checks.finite("b", fetched(b))  # counted over all columns
    if isinstance(start, str):
        start = _once(problem.preconditioner, right)
    elif start is not None:
        with np.errstate(over="ignore"):  # beyond the dtype it is infinite, which ends as NONFINITE
            start = kernels.copy_to_device(start, dtype)
    scale = 1.0
    smallest, largest = safe_range(dtype)
    if size and not smallest < size < largest:
        scaled = _scaled(kernels.to_host(right), None if start is None else kernels.to_host(start), largest)
        if scaled is not None:
            scale, right, start = scaled
            right = kernels.to_device(right, dtype)
            start = None if start is None else kernels.to_device(start, dtype)
            size = norm(right, kernels)
    system = System(problem, right, size, start)
    system.scale = scale
    return system


def _scaled(b, x0, largest):
    """A power of two, b and x0 times it: scaling is exact. x0 must stay in range; None where that leaves nothing."""
    power = to_one(float(np.abs(b).max()), reach_of(b.dtype))
    if x0 is None:
        return power, (b * power).astype(b.dtype), None
    room = largest / max(float(np.abs(x0).max(initial=0.0)), 1e-200)
    if not power < room:
        power = math.ldexp(1.0, math.frexp(room)[1] - 2)
        if power <= 1.0:
            return None
    return power, (b * power).astype(b.dtype), (x0 * power).astype(x0.dtype)


def _is_given(x0):
    return x0 is not None and not isinstance(x0, str)


def _limits(system, rtol, atol, maxiter, callback):
    threshold = max(atol * system.scale, rtol * system.size) if system.size else 0.0
    if callback is not None and not hasattr(callback, "on_chunk"):
        chunk = 1
    else:
        entries = system.operand[-1].size if system.operand is not None else 0
        work = entries + 16 * system.n + 1
        chunk = max(1, min(_LONGEST_CHUNK, int(_CHUNK_WORK[system.backend] / work)))
    return Limits(threshold, maxiter, chunk, callback)


def _is_function(A):
    return callable(A) and not isinstance(A, LinearOperator) and not hasattr(A, "shape")


def _from_function(A, b, leave):
    if b.ndim == 0:
        raise InvalidInput("`b` must have shape (n,) or (n, k), got a single number.")
    return Matrix(b.shape[0], None, apply=_bridge("A", A, leave))


def _bridge(name, function, leave):
    """A user's function gets the kind of array that b is, and gives that kind."""
    return partial(_crossed, name, function, leave)


def _crossed(name, function, leave, v):
    return enter(name, function(leave(v)))


def check_right_hand_sides(b, n):
    """Refuse at once what the solvers would refuse of b when they get it."""
    _right_hand_sides(b, n)
    if kinds[type(b)] != "gpu" or not _is_finite_there(b):
        _checks.finite("b", fetched(b))


def _right_hand_sides(b, n):
    """b as (n,) or (n, k), and the shape of x; SciPy answers (n, 1) with (n,)."""
    if b.ndim not in (1, 2) or b.shape[0] != n:
        raise InvalidInput(f"`b` must have shape ({n},) or ({n}, k) to go with `A` of shape ({n}, {n}), got {b.shape}.")
    if b.shape == (n, 1):
        b = b.reshape(n)
    return b, b.shape


def _working_dtype(matrix, b):
    """That of A and b together; what does not say its dtype works in that of b."""
    return b.dtype if matrix.dtype is None else np.result_type(matrix.dtype, b.dtype)


def _starting_guess(x0, shape, dtype):
    """None, "Mb", or an array of the shape of x."""
    if x0 is None:
        return None
    if isinstance(x0, str):
        if x0 != "Mb":
            raise InvalidInput(f"`x0` must be an array or 'Mb' (which starts from M @ b), got {x0!r}.")
        return x0
    x0 = _checks.array("x0", x0)
    n = shape[0]
    _checks.shape_is("x0", x0, [shape, (n, 1)] if len(shape) == 1 else [shape], "to go with `b`")
    if x0.dtype.kind == "c" and dtype.kind != "c":
        raise InvalidInput("`x0` must be real where `A` and `b` are, got a complex array; pass x0.real.")
    if kinds[type(x0)] != "gpu" or not _is_finite_there(x0):
        _checks.finite("x0", fetched(x0))
    return x0.reshape(shape)


def _is_finite_there(array):
    """Whether all entries of an array on the device are finite, asked there."""
    kernels = _backend.kernels("gpu")
    return math.isfinite(kernels.largest(kernels.to_device(array, array.dtype).reshape(-1)))


def _once(preconditioner, r):
    """M r, in memory of its own."""
    diagonal, apply = preconditioner
    if apply is not None:
        return apply(r.copy()).astype(r.dtype)
    return r.copy() if diagonal is None else diagonal * r


def _preconditioner(A, M, n, dtype, backend, leave):
    """(diagonal, None), (None, function) or (None, None)."""
    if M is None:
        psolve = getattr(A, "psolve", None)  # SciPy's old way to attach one
        return None, None if psolve is None else Matrix(n, dtype, "M", apply=psolve).product
    _checks.made("M", M)
    if _is_function(M):
        return None, Matrix(n, dtype, "M", apply=_bridge("M", M, leave)).product
    matrix = analyse(M, "M")
    if hasattr(M, "on_backend") and matrix.n == n:
        return None, partial(_own_product, M, backend)
    if matrix.n != n:
        remedy = "; it is not set up: pass M.setup(A)" if matrix.n == 0 and hasattr(M, "setup") else ""
        raise InvalidInput(f"`M` must have the shape of `A`, ({n}, {n}), got {tuple(M.shape)}{remedy}.")
    if matrix.dtype is not None and matrix.dtype.kind == "c" and dtype.kind != "c":
        raise InvalidInput("`M` must be real where `A` and `b` are; convert `b` with b.astype(complex).")
    if (diagonal := _diagonal_of(M, dtype, _backend.kernels(backend))) is not None:
        return diagonal, None
    if matrix.explicit:
        matrix.operand(dtype, backend, many_products=False)
        return None, partial(_explicit_product, matrix, backend)
    return None, matrix.product


def _is_black_box(apply):
    return apply is not None and getattr(apply, "func", None) not in (_explicit_product, _own_product)


def _diagonal_of(M, dtype, kernels):
    """The diagonal of a sparse M that is nothing else, if it is real; nothing of it leaves the device for this."""
    if not (issparse(M) or kinds[type(M)] == "gpu") or getattr(M, "format", None) not in ("dia", "csr"):
        return None
    n = M.shape[0]
    if M.format == "dia":
        pure = M.offsets.size == 1 and int(fetched(M.offsets)[0]) == 0
    else:
        pure = M.nnz == n and _counts_up(M.indptr, n + 1) and _counts_up(M.indices, n)
    if not pure:
        return None
    diagonal = M.diagonal() if M.format == "dia" else M.data
    if diagonal.dtype.kind == "c":
        if fetched((diagonal.imag != 0).any()):
            return None
        diagonal = diagonal.real
    return kernels.to_device(diagonal, np.finfo(dtype).dtype)


def _counts_up(indices, size):
    """Whether they are 0, 1, ..., size - 1: asked on the device, where they are there."""
    if isinstance(indices, np.ndarray):
        return np.array_equal(indices, np.arange(size))
    counted = _backend.kernels("gpu").to_device(np.arange(size), indices.dtype)
    return indices.size == size and bool(fetched((indices == counted).all()))


def _own_product(M, backend, r):
    """A preconditioner of this library works on either backend."""
    return M.on_backend(r, backend)


def _explicit_product(matrix, backend, r):
    kernels = _backend.kernels(backend)
    y = kernels.empty(r.shape, r.dtype)
    kernels.matvec(matrix.operand(r.dtype, backend), r, y)
    return y
