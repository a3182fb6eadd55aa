"""Conjugate gradients (Hestenes & Stiefel 1952, https://doi.org/10.6028/jres.049.044, section 3).

What differs from SciPy's: the residual is recomputed before "converged" is said, an indefinite or non-Hermitian
matrix is named, the loop runs compiled in chunks of iterations, and b may have many columns.
"""

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._iterative import solve
from ._many import run_many, run_spread
from ._result import LinearResult

__all__ = ["FLAGS", "cg", "steps_from"]

#: What the kernels' flags say of a step, by number.
FLAGS = (None, Status.NONFINITE, Status.INDEFINITE, Status.NOT_HERMITIAN)


def cg(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: MatrixLike | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b for a Hermitian positive definite A by conjugate gradients.

    Parameters
    ----------
    A : ndarray, sparse array, LinearOperator or callable, shape (n, n)
        Real symmetric or complex Hermitian, positive definite (a negative definite one is solved too).
        A function ``v -> A v`` is taken as well, and what ``prepare`` returns.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, each with its own stopping.
    x0 : array_like, shape of b, or "Mb", optional
        Starting guess; zero by default. "Mb" starts from ``M @ b``.
    rtol, atol : float, default 1e-5 and 0
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``.
    maxiter : int, default 10 n
        Most iterations.
    M : ndarray, sparse array, LinearOperator or callable, shape (n, n), optional
        Approximation of the inverse of A, Hermitian positive definite. A sparse diagonal one stays in the
        compiled loop.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(xk)`` after each iteration with a copy of the iterate, of shape (n,), column
        after column where b has several; raising StopIteration ends the solve. ``solvers.progress()`` reports
        without asking for the iterate.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, in at most 16 tasks: threads, processes, Dask's or MPI's; by default here.
        No bit depends on it. A task takes A and M along, so that they must pickle where it goes to another process;
        it runs on one thread there. One column is solved here. Not together with ``callback``.

    Returns
    -------
    x, info : LinearResult
        The pair that SciPy returns, x of shape (n,) or (n, k), info 0 if converged; with the attributes
        ``status``, ``iterations``, ``residuals``, ``residual`` (recomputed), ``n_matvec``, ``message``.

    Raises
    ------
    InvalidInput
        A ValueError: a shape, a value or a tolerance that cannot be worked with.
    UnsupportedType
        A TypeError: an argument of the wrong kind.
    TaskError
        If a task of the executor failed: names its columns, and has the results of the others.

    Notes
    -----
    An iteration costs one product with A, one with M, and reads or writes 8 vectors; memory is 4 vectors.
    Use minres where A may be indefinite, gmres or bicgstab where it is not Hermitian.

    Where the solve fails, A is looked at for connected components whose rows sum to zero, as those of diffusion between
    walls do: there the constant is in the null space. The solve is then done again without what b, and rounding, have
    in it. It ends as CONVERGED if b was consistent within the tolerance, else as INCONSISTENT: x is then the
    least-squares solution with the mean of ``x0``, zero by default, on each such component, which makes it the
    shortest; ``residual`` is that of the whole b; ``iterations`` and ``residuals`` are those of the second solve. Of an
    operator only the constant on all unknowns is tried, and what an M made by ``amg`` or ``MultigridPreconditioner``
    knows. On a consistent system that is solved at once, the means are what M makes of them.

    References
    ----------
    .. [1] M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J. Res.
       Natl. Bur. Stand. 49 (1952) 409-436, https://doi.org/10.6028/jres.049.044

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> x, info = linalg.cg(A, np.ones(3), rtol=1e-10)
    >>> info
    0
    >>> linalg.cg(A, np.ones(3), rtol=1e-10).iterations
    3
    """
    options = dict(many=_many, hermitian=True, finds_null=True, executor=executor)
    return solve(_steps, "cg", A, b, x0, M, rtol, atol, maxiter, callback, **options)


def _steps(system, control):
    """One chunk a yield: compiled where the entries of A are at hand, else one readable step."""
    r = system.empty()
    yield [system.residual(r)], None
    yield from steps_from(r, system, control)


def steps_from(r, system, control):
    """The steps after the first yield, from x and its residual r, which is written to."""
    p, q = system.empty(), system.empty()
    yield from (_chunks if system.fused else _loop)(system, control, r, p, q)


def _chunks(system, control, r, p, q):
    kernels, x, d = system.kernels, system.x, system.diagonal
    z = system.psolve(r, p)
    if z is r:
        p[:] = r
    scalars = np.array([system.inner(r, p).real, 0.0, math.sqrt(system.eps)])
    if not (scalars[0] != 0.0 and math.isfinite(scalars[0])):
        yield [], Status.INDEFINITE if math.isfinite(scalars[0]) else Status.NONFINITE
    while True:
        norms = np.empty(control.max_steps)
        taken, flag = kernels.cg_chunk(
            system.operand, d, x, r, p, q, scalars, norms, control.threshold, control.max_steps
        )
        system.n_matvec += taken + (1 if flag and taken < control.max_steps else 0)
        status = FLAGS[flag]
        if status is Status.NOT_HERMITIAN and system.is_hermitian():
            scalars[2], status = math.inf, None  # an imaginary part made by rounding
            if taken == 0:
                continue
        yield norms[:taken], status


def _loop(system, control, r, p, q):
    """The same iteration with A and M as black boxes, in the letters of the paper."""
    kernels, x = system.kernels, system.x
    buffer = system.empty()
    rho, sign, share = 0.0, 0.0, math.sqrt(system.eps)
    while True:
        z = system.preconditioned_residual(r, buffer)
        rho_last, rho = rho, float(system.inner(r, z).real)
        if not math.isfinite(rho):
            yield [], Status.NONFINITE
        if rho == 0.0 or (rho_last != 0.0 and (rho > 0.0) != (rho_last > 0.0)):
            yield [], Status.INDEFINITE
        if rho_last == 0.0:
            p[:] = z
        else:
            kernels.step_direction(z, rho / rho_last, p)
        Ap = system.product(p, q)
        pAp = complex(system.inner(p, Ap))
        size = system.norm(p) * system.norm(Ap) if system.dtype.kind == "c" else 0.0
        status = FLAGS[kernels.judge(pAp.real, pAp.imag, size, sign, share)]
        if status is Status.NOT_HERMITIAN and system.is_hermitian():
            share, status = math.inf, None
        if status is not None:
            yield [], status
        sign = math.copysign(1.0, pAp.real)
        yield [kernels.step_iterate(rho / pAp.real, p, Ap, x, r)], None


# Bytes of a cache shared by cores: a solve that stays within it is not held up by memory.
_CACHE = 3e7
# Fewer columns than this are faster one by one, smaller systems than these on one thread, and as long as
# random access to one vector stays cheap (all measured).
_FEWEST, _LEAST_ROWS, _MANY_ROWS = 6, 1000, 20_000


def _many(systems, limits):
    """How all right-hand sides are solved at once where that pays, or one by one on all threads; None if neither does.

    A matrix stored by diagonals costs a column less than its own vectors do: as long as all of that stays
    in the cache, the columns are faster one by one (measured).
    """
    first, callback = systems[0], limits[0].callback
    if not first.fused or (callback is not None and not hasattr(callback, "on_chunk")):
        return None
    if first.backend == "gpu":
        return partial(run_many, _steps, FLAGS, first.operand)  # its launches are what one column costs
    stored_by_diagonals = type(first.operand).__name__ == "Diagonals"
    in_cache = (first.operand[-1].size + 9 * first.n) * first.x.itemsize < _CACHE
    long_rows = first.operand[-1].size >= 16 * first.n
    pays = not in_cache if stored_by_diagonals else first.n >= _MANY_ROWS or long_rows
    if len(systems) >= _FEWEST and first.matrix.sparse and pays:
        operand = first.operand
        if stored_by_diagonals:
            operand = first.matrix.csr_operand(first.dtype, first.backend)
        return partial(run_many, _steps, FLAGS, operand)
    if len(systems) > 1 and first.n >= _LEAST_ROWS and callback is None:
        return partial(run_spread, _steps)
    return None
