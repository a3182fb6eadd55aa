"""From what a user passed to checked systems: shapes, dtypes, preconditioner, starting guess, limits."""

import math
from functools import partial

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._errors import InvalidInput
from .._loop import Limits
from ._operator import Matrix, analyse
from ._system import System, norm

__all__ = ["linear_system"]

# Multiply-adds of one chunk: some 10 to 80 ms, so that Ctrl-C and a progress report are prompt.
_CHUNK_WORK = 1.5e8
_LONGEST_CHUNK = 4096
# Outside these a square, or a square times the tolerance, may over- or underflow.
_SAFE = {"d": (1e-100, 1e100), "D": (1e-100, 1e100), "f": (1e-10, 1e10), "F": (1e-10, 1e10)}


def linear_system(A, b, x0, M, tolerances, callback, default_maxiter):
    """Check everything a user passed; returns the systems (one per column), the shape of x, and their limits."""
    backend = _backend.pick(A=A, b=b, x0=x0, M=M)
    b = _checks.real_array("b", b)
    matrix = _from_function(A, b) if _is_function(A) else analyse(A)
    b, shape = _right_hand_sides(b, matrix.n)
    dtype = _working_dtype(matrix, b)
    preconditioner = _preconditioner(A, M, matrix.n, dtype)
    x0 = _starting_guess(x0, shape, dtype, b, preconditioner)
    rtol, atol = _checks.tolerance("rtol", tolerances[0]), _checks.tolerance("atol", tolerances[1])
    maxiter = default_maxiter * max(1, matrix.n) if tolerances[2] is None else _checks.count("maxiter", tolerances[2])

    columns = [(b, x0)] if len(shape) == 1 else [(b[:, j], None if x0 is None else x0[:, j]) for j in range(shape[1])]
    systems, limits = [], []
    for right, start in columns:
        system = _one_system(matrix, preconditioner, right, start, dtype, backend)
        systems.append(system)
        limits.append(_limits(system, rtol, atol, maxiter, callback))
    return systems, shape, limits


def _one_system(matrix, preconditioner, b, x0, dtype, backend):
    b = np.ascontiguousarray(b, dtype=dtype)
    if not b.flags.writeable:
        b = b.copy()  # compiled code knows read-only arrays as another type, and would be compiled for it anew
    kernels = _backend.kernels(backend)
    size = norm(b, kernels)
    if not math.isfinite(size):
        _checks.finite("b", b)
    start = None if x0 is None else np.array(x0, dtype=dtype, order="C")
    scale = 1.0
    smallest, largest = _SAFE[dtype.char]
    if size and not smallest < size < largest:
        # A power of two: scaling by it is exact, unless x0 leaves the range, which then rules.
        power = 2.0 ** min(-int(np.frexp(np.abs(b).max())[1]), 1000)
        with np.errstate(over="ignore"):
            scaled = None if start is None else (start * power).astype(dtype)
        if scaled is None or np.abs(scaled).max(initial=0.0) < largest:
            scale, start = power, scaled
            b = (b * scale).astype(dtype)
            size = norm(b, kernels)
    system = System(matrix, preconditioner, b, size, start, dtype, backend)
    system.scale = scale
    return system


def _limits(system, rtol, atol, maxiter, callback):
    threshold = max(atol * system.scale, rtol * system.size) if system.size else 0.0
    if callback is not None and not hasattr(callback, "on_chunk"):
        chunk = 1
    else:
        entries = system.operand[-1].size if system.operand is not None else 0
        chunk = max(1, min(_LONGEST_CHUNK, int(_CHUNK_WORK / (entries + 16 * system.n + 1))))
    return Limits(threshold, maxiter, chunk, callback)


def _is_function(A):
    return callable(A) and not isinstance(A, LinearOperator) and not hasattr(A, "shape")


def _from_function(A, b):
    if b.ndim == 0:
        raise InvalidInput("`b` must have shape (n,) or (n, k), got a single number.")
    return Matrix(b.shape[0], None, apply=A)


def _right_hand_sides(b, n):
    """b as (n,) or (n, k), and the shape of x; SciPy answers (n, 1) with (n,)."""
    if b.ndim not in (1, 2) or b.shape[0] != n:
        raise InvalidInput(f"`b` must have shape ({n},) or ({n}, k) to go with `A` of shape ({n}, {n}), got {b.shape}.")
    if b.ndim == 2 and not np.isfinite(b).all():
        _checks.finite("b", b)  # counted over all columns
    if b.shape == (n, 1):
        b = b.reshape(n)
    return b, b.shape


def _working_dtype(matrix, b):
    """That of A and b together; what does not say its dtype works in that of b."""
    return b.dtype if matrix.dtype is None else np.result_type(matrix.dtype, b.dtype)


def _starting_guess(x0, shape, dtype, b, preconditioner):
    if x0 is None:
        return None
    if isinstance(x0, str):
        if x0 != "Mb":
            raise InvalidInput(f"`x0` must be an array or 'Mb' (which starts from M @ b), got {x0!r}.")
        columns = [_once(preconditioner, c.astype(dtype)) for c in (b.T if b.ndim == 2 else [b])]
        return np.stack(columns, axis=1) if b.ndim == 2 else columns[0]
    x0 = _checks.real_array("x0", x0)
    n = shape[0]
    _checks.shape_is("x0", x0, [shape, (n, 1)] if len(shape) == 1 else [shape], "to go with `b`")
    if x0.dtype.kind == "c" and dtype.kind != "c":
        raise InvalidInput("`x0` must be real where `A` and `b` are, got a complex array; pass x0.real.")
    return _checks.finite("x0", x0).reshape(shape)


def _once(preconditioner, r):
    diagonal, apply = preconditioner
    if apply is not None:
        return np.array(apply(r), dtype=r.dtype)
    return r if diagonal is None else diagonal * r


def _preconditioner(A, M, n, dtype):
    """(diagonal, None), (None, function) or (None, None)."""
    if M is None:
        psolve = getattr(A, "psolve", None)  # SciPy's old way to attach one
        return None, None if psolve is None else Matrix(n, dtype, apply=psolve).product
    if callable(M) and not isinstance(M, LinearOperator) and not hasattr(M, "shape"):
        return None, Matrix(n, dtype, apply=M).product
    matrix = analyse(M, "M")
    if matrix.n != n:
        raise InvalidInput(f"`M` must have the shape of `A`, ({n}, {n}), got {tuple(M.shape)}.")
    if matrix.dtype is not None and matrix.dtype.kind == "c" and dtype.kind != "c":
        raise InvalidInput("`M` must be real where `A` and `b` are; convert `b` with b.astype(complex).")
    if (diagonal := _diagonal_of(M, dtype)) is not None:
        return diagonal, None
    if matrix.explicit:
        matrix.operand(dtype, "cpu", many_products=False)
        return None, partial(_explicit_product, matrix, dtype)
    return None, matrix.product


def _diagonal_of(M, dtype):
    """The diagonal of a sparse M that is nothing else, if it is real."""
    if not issparse(M) or M.format not in ("dia", "csr"):
        return None
    if M.format == "dia":
        pure = M.offsets.size == 1 and M.offsets[0] == 0
    else:
        n = M.shape[0]
        pure = M.nnz == n and np.array_equal(M.indptr, np.arange(n + 1)) and np.array_equal(M.indices, np.arange(n))
    if not pure:
        return None
    diagonal = M.diagonal()
    if diagonal.dtype.kind == "c":
        if np.any(diagonal.imag):
            return None
        diagonal = diagonal.real
    return np.ascontiguousarray(diagonal, dtype=np.finfo(dtype).dtype)


def _explicit_product(matrix, dtype, r):
    y = np.empty_like(r)
    _backend.kernels("cpu").matvec(matrix.operand(dtype, "cpu"), r, y)
    return y
