"""GMRES(m) (Saad & Schultz 1986, https://doi.org/10.1137/0907058), left-preconditioned, counted as in SciPy.

What differs from SciPy's: the basis is orthogonalised by two sweeps of classical Gram-Schmidt, which are four
matrix-vector products instead of 2 m vector operations; a breakdown is named; the residual at the end of a cycle
is accumulated in float64. The rule by which the tolerance of a cycle follows the true residual is SciPy's.
"""

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._away import check_away
from ._iterative import solve
from ._result import LinearResult

__all__ = ["gmres"]


def gmres(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: MatrixLike | None = None,
    callback: Callback | None = None,
    callback_type: str | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b for a general square A by the restarted generalised minimal residual method.

    Parameters
    ----------
    A : ndarray, sparse array, LinearOperator or callable, shape (n, n)
        Real or complex.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other, or by ``executor``.
    x0 : array_like, shape of b, or "Mb", optional
        Starting guess; zero by default.
    rtol, atol : float, default 1e-5 and 0
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``.
    restart : int, default min(20, n)
        Iterations of a cycle.
    maxiter : int, default 10 n
        Most cycles; most iterations where ``callback_type`` is "legacy".
    M : ndarray, sparse array, LinearOperator or callable, shape (n, n), optional
        Approximation of the inverse of A, applied from the left: a cycle minimises ``norm(M (b - A x))``.
    callback : callable, or object with ``on_chunk``, optional
        What it is called with is the choice of ``callback_type``; ``on_chunk`` comes once a cycle.
    callback_type : {"x", "pr_norm", "legacy"}, optional
        "x": a copy of the iterate, once a cycle. "pr_norm": the norm of the preconditioned residual over
        that of b, once an iteration. "legacy", the default: as "pr_norm", and ``maxiter`` counts iterations.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``callback``; see ``cg``.

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``; ``info`` counts cycles (as ``maxiter``
        does), ``iterations`` the steps in them. ``residuals`` within a cycle are norms of the
        preconditioned residual, at the end of each cycle those of the true one.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``cg``.

    Notes
    -----
    The products with the basis are BLAS's: its number of threads, not ``solvers.set_threads``, may change the
    last bits. The j-th iteration of a cycle costs one product with A, one with M and 4 j vector products; memory is
    ``restart`` + 5 vectors. Use minres where A is Hermitian.

    References
    ----------
    .. [1] Y. Saad, M. H. Schultz, GMRES: a generalized minimal residual algorithm for solving nonsymmetric
       linear systems, SIAM J. Sci. Stat. Comput. 7 (1986) 856-869, https://doi.org/10.1137/0907058

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = np.array([[4.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0]])
    >>> linalg.gmres(A, np.ones(3), rtol=1e-10).iterations
    3
    """
    check_away(executor, callback)
    _checks.function("callback", callback)
    if callback_type is not None:
        _checks.choice("callback_type", callback_type, ("x", "pr_norm", "legacy"))
    takes_chunks = hasattr(callback, "on_chunk")
    if callback is None or takes_chunks:
        callback_type = None
    elif callback_type is None:
        warnings.warn(
            "gmres called without specifying `callback_type`: the default, 'legacy', will change; pass "
            "'x' or 'pr_norm', or 'legacy' to keep it.",
            DeprecationWarning,
            stacklevel=2,
        )
        callback_type = "legacy"
    restart = 20 if restart is None else _checks.count("restart", restart)
    per_step = callback if callback_type in ("pr_norm", "legacy") else None

    def adjust(system):
        system.settings = _Settings(restart, callback_type == "legacy", per_step)

    observer = callback if callback_type == "x" or takes_chunks else None
    options = dict(adjust=adjust, counts_own=True, executor=executor)
    return solve(_steps, "gmres", A, b, x0, M, rtol, atol, maxiter, observer, **options)


class _Settings:
    """What a cycle needs beyond the system, and the counts that outlive a restart by the driver."""

    def __init__(self, restart, legacy, per_step):
        self.restart, self.legacy, self.per_step = restart, legacy, per_step
        self.cycles = self.steps = 0

    def done(self, maxiter):
        return (self.steps if self.legacy else self.cycles) >= maxiter


def _steps(system, control):
    """One cycle a yield."""
    settings, x = system.settings, system.x
    m = max(1, min(settings.restart, system.n))
    r, w, V = system.empty(), system.empty(), system.empty(m + 1)
    H = np.zeros((m, m + 1), dtype=system.dtype)  # row j: column j of the Hessenberg matrix
    r_norm = system.residual(r)
    yield [r_norm], None
    b_norm = system.size
    factor = 1.0
    target = system.norm(system.psolve(system.b.copy(), w)) * min(factor, control.threshold / b_norm)
    beta = presid = math.inf
    while True:
        beta_last, beta = beta, system.norm(system.psolve(r, w))
        if beta > 2 * presid and beta > 0.5 * beta_last:
            # The last cycle promised presid, its correction did not keep it: rounding has taken over.
            yield [], Status.STAGNATED
        norms, y, ended = _cycle(system, r, V, H, w, beta, target, b_norm)
        settings.cycles += 1
        if not len(norms):
            yield [], ended
        presid, r_last = norms[-1], r_norm
        if y is not None:
            system.kernels.combine(y, V[: y.size], x)
        r_norm = norms[-1] = system.residual(r)
        system.certified = r_norm
        system.outer = settings.steps if settings.legacy else settings.cycles
        if ended is Status.BREAKDOWN and r_norm <= 0.5 * r_last:
            ended = None  # an exact solution up to rounding: the next cycle goes on from it
        if ended is None and r_norm > control.threshold and settings.done(system.maxiter):
            ended = Status.MAXITER
        yield norms, ended
        if presid <= target:
            # The cycle met its target, the true residual did not.
            factor = max(system.eps, 0.25 * factor)
        else:
            factor = min(1.0, 1.5 * factor)
        target = presid * min(factor, control.threshold / r_norm)


def _cycle(system, r, V, H, w, beta, target, b_norm):
    """Arnoldi with Givens rotations from z = M r, of norm beta.

    z is in w, or in r where there is no M. Returns the norms, the coefficients of the update, and a status or None.
    """
    settings = system.settings
    z = w if system.preconditioned else r
    if not math.isfinite(beta):
        return [], None, Status.NONFINITE
    if beta == 0.0:
        return [], None, Status.BREAKDOWN
    system.kernels.scale(system.dtype.type(1.0 / beta), z, V[0])
    S, rotations, norms = [complex(beta) if system.dtype.kind == "c" else beta], [], []
    product = system.empty()
    ended = None
    for j in range(V.shape[0] - 1):
        system.matvec(V[j], product)
        z = system.psolve(product, w)
        if z is not w:
            w[:] = z
        h0, h1 = _orthogonalise(system, V[: j + 1], w, H[j])
        if not math.isfinite(h1):
            ended = Status.NONFINITE
            break
        if h1 <= system.eps * h0:
            h1, ended = 0.0, Status.BREAKDOWN
        else:
            system.kernels.scale(system.dtype.type(1.0 / h1), w, V[j + 1])
        H[j, j + 1] = h1
        _rotate(H[j], rotations, S, j)
        norms.append(abs(S[j + 1]))
        settings.steps += 1
        if settings.per_step is not None:
            try:
                settings.per_step(norms[-1] / b_norm)
            except StopIteration:
                ended = Status.STOPPED
        if ended is not None or norms[-1] <= target or (settings.legacy and settings.steps == system.maxiter):
            break
    return norms, _coefficients(H, S, len(norms)) if norms else None, ended


def _orthogonalise(system, V, w, h):
    """Two sweeps of classical Gram-Schmidt; h gets the coefficients. Returns the norm of w before and after."""
    h0 = system.norm(w)
    if not math.isfinite(h0):
        return h0, h0
    project, combine = system.kernels.project, system.kernels.combine
    first = project(V, w)
    combine(-first, V, w)
    second = project(V, w)
    combine(-second, V, w)
    h[: V.shape[0]] = first + second
    return h0, system.norm(w)


def _rotate(h, rotations, S, j):
    """Apply the rotations so far to a new column and make the one that removes its last entry."""
    for k, (c, s) in enumerate(rotations):
        h[k], h[k + 1] = c * h[k] + s * h[k + 1], -np.conj(s) * h[k] + c * h[k + 1]
    f, g = h[j], h[j + 1]
    size = math.hypot(abs(f), abs(g))
    if size == 0.0:
        c, s = 1.0, 0.0
    elif f == 0:
        c, s = 0.0, 1.0
    else:
        c, s = abs(f) / size, (f / abs(f)) * np.conj(g) / size
    rotations.append((c, s))
    h[j], h[j + 1] = c * f + s * g, 0
    S.append(-np.conj(s) * S[j])
    S[j] = c * S[j]


def _coefficients(H, S, j):
    """Solve the triangular system of the cycle; a zero pivot, which a singular A makes, gives a zero."""
    y = np.array(S[:j], dtype=H.dtype)
    with np.errstate(all="ignore"):  # what is not finite ends as NONFINITE
        for k in range(j - 1, -1, -1):
            y[k] = y[k] / H[k, k] if H[k, k] != 0 else 0
            y[:k] -= y[k] * H[k, :k]
    return y
