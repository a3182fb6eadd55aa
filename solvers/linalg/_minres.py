"""MINRES (Paige & Saunders 1975, https://doi.org/10.1137/0712047); the names of the recurrence are theirs.

What differs from SciPy's: the test is on the residual norm that the user asked for, not on its ratio to
||A|| ||x||; complex Hermitian matrices are taken; a singular system whose b is not in the range ends as
INCONSISTENT with the least-squares x, where SciPy says success.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._loop import Observers
from .._progress import progress
from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._away import check_away
from ._iterative import solve
from ._result import LinearResult

__all__ = ["minres"]


def minres(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | str | None = None,
    *,
    rtol: float = 1e-5,
    shift: float = 0.0,
    maxiter: int | None = None,
    M: MatrixLike | None = None,
    callback: Callback | None = None,
    show: bool = False,
    check: bool = False,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve (A - shift I) x = b for a Hermitian A, definite or not, by the minimal residual method.

    Parameters
    ----------
    A : ndarray, sparse array, LinearOperator or callable, shape (n, n)
        Real symmetric or complex Hermitian; it may be indefinite or singular.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other, or by ``executor``.
    x0 : array_like, shape of b, or "Mb", optional
        Starting guess; zero by default.
    rtol : float, default 1e-5
        The tolerance: ``norm(b - (A - shift I) @ x) <= rtol * norm(b)``.
    shift : float, default 0
        Real shift of the spectrum.
    maxiter : int, default 5 n
        Most iterations.
    M : ndarray, sparse array, LinearOperator or callable, shape (n, n), optional
        Approximation of the inverse of A, Hermitian positive definite.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(xk)`` after each iteration with a copy of the iterate.
    show : bool, default False
        Report the progress, as ``callback=solvers.progress()`` does.
    check : bool, default False
        Refuse a matrix or a preconditioner that is not Hermitian.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``callback``; see ``cg``.

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``. For a singular system with b outside the
        range of A, x is a least-squares solution and the status INCONSISTENT; where the null space is the constants
        of ``cg``'s notes, it is the one with their mean at that of x0.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``cg``.

    Notes
    -----
    An iteration costs one product with A, one with M; memory is 8 vectors. Use cg where A is definite:
    it needs half the vector work.

    References
    ----------
    .. [1] C. C. Paige, M. A. Saunders, Solution of sparse indefinite systems of linear equations, SIAM J.
       Numer. Anal. 12 (1975) 617-629, https://doi.org/10.1137/0712047

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = np.diag([1.0, -2.0, 3.0])
    >>> linalg.minres(A, np.ones(3), rtol=1e-10).iterations
    3
    """
    shift = _checks.number("shift", shift)
    if not math.isfinite(shift):
        raise InvalidInput(f"`shift` must be finite, got {shift}.")
    check_away(executor, callback, show)
    observers = callback
    if _checks.flag("show", show):
        observers = progress() if callback is None else Observers((progress(), _checks.function("callback", callback)))
    prepare = _refuse_unsymmetric if _checks.flag("check", check) else None

    def with_shift(system):
        system.shift = shift
        if prepare is not None:
            prepare(system)

    options = dict(default_maxiter=5, adjust=with_shift, hermitian=True, finds_null=True, executor=executor)
    return solve(_steps, "minres", A, b, x0, M, rtol, 0.0, maxiter, observers, **options)


def _refuse_unsymmetric(system):
    if not system.is_hermitian():
        raise InvalidInput("`A` must be Hermitian, got a matrix that is not; use gmres, or pass (A + A^H)/2.")
    rng = np.random.default_rng(0)
    u, v = (system.kernels.to_device(w, system.dtype) for w in rng.standard_normal((2, system.n)))
    Mu, Mv = system.psolve(u, system.empty()), system.psolve(v, system.empty())
    if abs(system.inner(u, Mv) - system.inner(Mu, v)) > system.eps**0.5 * system.norm(u) * system.norm(Mv):
        raise InvalidInput("`M` must be Hermitian, got a preconditioner that is not; use gmres.")


def _steps(system, control):
    x, axpy, scale, scalar = system.x, system.kernels.axpy, system.kernels.scale, system.dtype.type
    r1, r2, v, w, w1, w2 = (system.kernels.zeros(system.n, system.dtype) for _ in range(6))
    y = system.empty()
    rnorm = system.residual(r2)
    yield [rnorm], None
    # With a preconditioner phibar is the norm of the residual in the metric of M; the residual itself
    # follows r_k = sn^2 r_(k-1) - phibar cs r2 / beta.
    r = r2.copy() if system.preconditioned else None
    buffer = system.empty()
    z = system.preconditioned_residual(r2, buffer)
    beta = _metric(system, r2, z)
    oldb, dbar, epsln, phibar, cs, sn, tnorm = 0.0, 0.0, 0.0, beta, -1.0, 0.0, 0.0
    share = math.sqrt(system.eps)
    guard = _Guard(x, system.eps)
    while True:
        if not 0.0 < beta < math.inf:
            yield [], Status.INDEFINITE if beta <= 0.0 else Status.NONFINITE
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the dtype's range: named as not finite
            scale(scalar(1.0 / beta), z, v)
        system.matvec(v, y)
        if oldb:
            axpy(scalar(-beta / oldb), r1, y)
        product = complex(system.inner(v, y))
        alfa = product.real
        if product.imag != 0.0 and abs(product.imag) > share * system.norm(v) * system.norm(y):
            if not system.is_hermitian():
                yield [], Status.NOT_HERMITIAN
            share = math.inf
        if not math.isfinite(alfa):
            yield [], Status.NONFINITE
        axpy(scalar(-alfa / beta), r2, y)
        r1, r2, y = r2, y, r1
        z = system.preconditioned_residual(r2, buffer)
        oldb, beta = beta, _metric(system, r2, z)
        # The Frobenius norm of the tridiagonal matrix so far; its first off-diagonal is not that of the start.
        tnorm = math.hypot(tnorm, alfa, beta, oldb if epsln or dbar else 0.0)
        beta = max(beta, 0.0)

        oldeps = epsln
        delta = cs * dbar + sn * alfa
        gbar = sn * dbar - cs * alfa
        epsln = sn * beta
        dbar = -cs * beta
        gamma = math.hypot(gbar, beta)
        gradient = math.hypot(gbar, dbar) / tnorm if tnorm else 0.0
        if guard.says_stop(gradient, rnorm, control.threshold) or gamma <= 10 * system.eps * tnorm:
            guard.restore()
            yield [], Status.INCONSISTENT
        cs, sn = gbar / gamma, beta / gamma
        phi, phibar = cs * phibar, sn * phibar

        w1, w2, w = w2, w, w1
        with np.errstate(over="ignore", invalid="ignore"):
            scale(scalar(-oldeps), w1, w)
            axpy(scalar(-delta), w2, w)
            axpy(scalar(1.0), v, w)
            scale(scalar(1.0 / gamma), w, w)
            axpy(scalar(phi), w, x)
        if r is None:
            rnorm = phibar
        else:
            scale(scalar(sn * sn), r, r)
            if beta > 0.0:
                axpy(scalar(-phibar * cs / beta), r2, r)
            rnorm = system.norm(r)
        yield [rnorm], None
        if beta == 0.0:
            yield [], Status.BREAKDOWN


def _metric(system, r, z):
    """sqrt(r^H z): the norm of r in the metric of the preconditioner; NaN and negative squares come out as such."""
    if z is r:
        return system.norm(r)
    square = float(system.inner(r, z).real)
    return math.sqrt(square) if square >= 0.0 else square


class _Guard:
    """Keeps the iterate at which the gradient ||A r|| / (||A|| ||r||) became small.

    There x is the least-squares solution of a singular system, and the steps to come go along the null space;
    or A has a small eigenvalue, and they soon better the residual tenfold.
    """

    def __init__(self, x, eps):
        self.x, self.small = x, eps**0.6
        self.step, self.kept, self.norm, self.deadline = 0, None, 0.0, 0

    def says_stop(self, gradient, norm, threshold):
        """Whether the kept iterate has waited for too long; asked once before every step."""
        self.step += 1
        if self.kept is None and gradient <= self.small and norm > threshold:
            self.kept, self.norm, self.deadline = self.x.copy(), norm, 2 * self.step + 20
        if self.kept is not None and norm <= 0.1 * self.norm:
            self.kept = None
        return self.kept is not None and self.step >= self.deadline

    def restore(self):
        """Put the kept iterate, if any, back into x."""
        if self.kept is not None:
            self.x[:] = self.kept
