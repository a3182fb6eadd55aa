"""``solve``: a method chosen from the matrix, another one where that fails, and the truth about what came of it."""

import time

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._loop import ended, parts
from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._away import check_away
from ._result import LinearResult
from ._solve_attempts import ATTEMPTS
from ._solve_case import Case
from ._solve_direct import Failed
from ._solve_plan import plan

__all__ = ["solve"]

_METHODS = ("auto", *(name for name in ATTEMPTS if name != "pseudoinverse"))
# Without a tolerance from the caller, by whether the precision is single.
_RTOL = {True: 1e-5, False: 1e-8}
# Where an attempt ends that no other one can better.
_FINAL = Status.CONVERGED, Status.INCONSISTENT, Status.STOPPED


def solve(
    A: MatrixLike,
    b: ArrayLike,
    *,
    method: str = "auto",
    rtol: float | None = None,
    atol: float = 0.0,
    maxiter: int | None = None,
    grid: tuple[int, ...] | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b by the method that suits A, and by another one where that fails.

    Parameters
    ----------
    A : ndarray, sparse array, stencil, LinearOperator or callable, shape (n, n)
        Real or complex, of any kind: definite or not, Hermitian or not, singular too.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them; factors and preconditioners are made once.
    method : str, default "auto"
        "direct", "learned", "amg", "ic", "ssor", "jacobi", "ilu", "cg", "minres", "gmres" or "bicgstab" is that one
        alone, without another after it.
    rtol : float, optional
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``. By default 1e-8, or 1e-5 in single precision;
        then, where no x of this precision meets that, a residual of the size of its own rounding is enough:
        ``norm(b - A @ x) <= 4 eps norm(|A| |x| + |b|)``, which ``threshold`` tells.
    atol : float, default 0
        See ``rtol``.
    maxiter : int, optional
        Most iterations of each attempt; by default what its cost beside a direct solution allows.
    grid : (ny, nx) or (nz, ny, nx), optional
        Of a 5- or 7-point operator whose rows are cells in C order; by default what the entries tell.
    callback : callable, or object with ``on_chunk``, optional
        For each attempt, as in ``cg``; a direct solution's iterations are its refinements.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved by iterative methods, as in ``cg``. What is made of A, direct solutions, and
        attempts that end where they take longer than a direct solution would, stay here.

    Returns
    -------
    x, info : LinearResult
        As from ``cg``, of the last attempt; besides, ``choice`` (its name), ``reason`` (a sentence), ``tried`` (what
        failed before: pairs of a name and a Status) and ``seconds`` and ``n_matvec`` of all attempts. A singular system
        ends as CONVERGED if it has a solution, and else as INCONSISTENT, with a least-squares x.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``cg``. So is a ``method`` that cannot be set up for A.
    TaskError
        If a task of the executor failed: see ``cg``.

    Notes
    -----
    What is chosen, by a model of the costs from n, the entries, symmetry, the signs, the diagonal's dominance, and the
    bandwidth and profile after reordering:

    ==================================  ===============================================================================
    A                                   method
    ==================================  ===============================================================================
    dense                               "direct": Cholesky or LU of LAPACK
    5- or 7-point stencil on a grid     "learned": conjugate gradients with ``MultigridPreconditioner``, pretrained,
                                        which a probe compares with the textbook's; "direct" if small
    Hermitian, diagonal > 0, and        "direct": Cholesky of the band (LAPACK), or SuperLU; where a pivot is not
    factors are cheap                   positive, LU
    ..., factors are dear               "ic", or "amg" where entries off the diagonal are negative and A is large,
                                        "ssor" where rows are long, "jacobi" where the diagonal dominates
    Hermitian, indefinite               "direct" if factors fit in memory, else "minres"
    not Hermitian                       "direct", or "ilu" where factors are dear: gmres with an incomplete LU;
                                        "bicgstab"
    singular                            "direct" in the range where constants span the null space, "pseudoinverse"
                                        up to 2000 rows, else "minres" or "gmres"
    LinearOperator or function          "cg" and "minres" if it seems Hermitian, else "gmres" and "bicgstab"
    on the GPU                          "learned" on a grid, "amg", "cg" and "minres" if A is Hermitian, else
                                        "gmres" and "bicgstab"
    ==================================  ===============================================================================

    A band is as wide as reverse Cuthill-McKee makes it; the fill of sparse factors is estimated from the profile in
    that order, as nested dissection's with separators of that size, to a factor of two or three. Factors beyond 3 GB
    are not made. An iterative method gets the time that a direct solution would take, if that is possible; incomplete
    factors that needed a shift, as those of bending plates and frames do, promise many iterations and are given up.

    References
    ----------
    .. [1] E. Cuthill, J. McKee, Reducing the bandwidth of sparse symmetric matrices, Proc. 24th Nat. Conf. ACM (1969)
       157-172, https://doi.org/10.1145/800195.805928
    .. [2] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, chapter 12,
       https://doi.org/10.1137/1.9780898718027

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from solvers import linalg
    >>> A = sparse.diags_array([-np.ones(999), np.full(1000, 2.0), -np.ones(999)], offsets=[-1, 0, 1], format="csr")
    >>> result = linalg.solve(A, np.ones(1000))
    >>> result.choice, result.converged
    ('direct', True)
    >>> x, info = linalg.solve(np.array([[0.0, 1.0], [2.0, 0.0]]), [3.0, 4.0])
    >>> x
    array([2., 3.])
    """
    began = time.perf_counter()
    _checks.choice("method", method, _METHODS)
    check_away(executor, callback)
    case = Case(A, b, grid, callback)
    case.executor = executor
    case.rtol = _RTOL[case.single] if rtol is None else _checks.tolerance("rtol", rtol)
    case.atol = _checks.tolerance("atol", atol)
    case.maxiter = None if maxiter is None else _checks.limit("maxiter", maxiter)
    best, tried, products = None, [], 0
    for name, most, reason in plan(case, method, tried):
        try:
            with parts():
                result = ATTEMPTS[name](case, most)
        except Failed as failed:
            if method != "auto":
                raise InvalidInput(f"`method` must be one that `A` permits, got {name!r}: {failed}.") from None
            tried += [*case.failures, (name, failed.status)]
            case.failures.clear()
            continue
        tried += case.failures
        case.failures.clear()
        products += result.n_matvec
        result, final = _judged(case, result, strict=rtol is not None)
        result.choice, result.reason, result.tried = name, reason, list(tried)
        if best is None or final or np.sum(result.residual) < np.sum(best.residual):
            best = result
        if final:
            break
        tried.append((name, _worst(result)))
    best.tried = tried if best.tried is None else best.tried
    best.method, best.seconds, best.n_matvec = "solve", time.perf_counter() - began, products
    return ended(callback, best)


def _statuses(result):
    return result.status if isinstance(result.status, tuple) else (result.status,)


def _worst(result):
    return next((status for status in _statuses(result) if status not in _FINAL), Status.MAXITER)


def _judged(case, result, strict):
    """The result, and whether no other method could better it."""
    statuses = list(_statuses(result))
    if case.watch is not None and case.watch.stopped:
        return result, False
    if all(status in _FINAL for status in statuses) or Status.NONFINITE in statuses:
        return result, True
    if not case.explicit or case.backend == "gpu":
        return result, False
    rounding = case.rounding(result.x)
    within = np.ravel(result.residual) <= rounding
    for j, status in enumerate(statuses):
        if status is Status.STAGNATED and within[j] and not strict:
            statuses[j] = Status.CONVERGED
    final = all(s in _FINAL or (s is Status.STAGNATED and w) for s, w in zip(statuses, within))
    if statuses != list(_statuses(result)):
        result = _accepted(result, statuses, rounding)
    return result, final


def _accepted(result, statuses, rounding):
    """The same result with other statuses, whose thresholds are those of rounding."""
    accepted = [now is not then for now, then in zip(statuses, _statuses(result))]
    threshold = np.where(accepted, rounding, np.ravel(result.threshold))
    many = isinstance(result.status, tuple)
    fields = {**result.__dict__, "status": tuple(statuses) if many else statuses[0]}
    fields["threshold"] = threshold if many else float(threshold[0])
    codes = [s.info(int(count)) for s, count in zip(statuses, np.ravel(result.iterations))]
    info = min(codes) if min(codes) < 0 else max(codes)
    return LinearResult((result.x, info), **{name: fields[name] for name in _FIELDS})


_FIELDS = (
    "status", "iterations", "residuals", "residual", "threshold", "n_matvec", "seconds", "backend", "method",
)  # fmt: skip
