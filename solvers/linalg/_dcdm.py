"""Deep conjugate directions (Kaneda et al. 2023, https://proceedings.mlr.press/v202/kaneda23a.html, Algorithm 1).

A model, such as a trained network, proposes each direction; made A-orthogonal to the last few and searched along
exactly, it need be neither linear, nor symmetric, nor of the right sign or size. What differs from the paper: each
proposal is scaled by a power of two, which changes no digit of an iterate; directions that no longer help are noticed,
and conjugate gradients finish the solve.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._arrays import enter, kinds
from .._errors import InvalidInput, UnsupportedType
from .._result import Status
from .._scale import to_one
from .._types import Callback, Executor, MatrixLike
from ._cg import FLAGS, steps_from
from ._iterative import solve
from ._result import LinearResult

__all__ = ["dcdm"]

# Steps between two reviews, at least; the part of a step of steepest descent, and of what an old direction still
# offers, that tell a stall from the plateaus of conjugate gradients (which give 1 or more, and 0).
_STRETCH, _POOR, _STALE = 20, 0.5, 0.1


def dcdm(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | str | None = None,
    *,
    model: Callable[[Any], Any],
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    n_ortho: int = 2,
    on_stall: str = "pcg",
    M: MatrixLike | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b for a Hermitian positive definite A along directions that a model proposes.

    Parameters
    ----------
    A : ndarray, sparse array, LinearOperator or callable, shape (n, n)
        Real symmetric or complex Hermitian, positive definite (a negative definite one is solved too).
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other, or by ``executor``.
    x0 : array_like, shape of b, or "Mb", optional
        Starting guess; zero by default. "Mb" starts from ``M @ b``.
    model : callable or None
        ``model(r)`` gets a residual of norm 1, of shape (n,) and of the kind of array that b is, which it may keep
        or overwrite, and gives a direction of that shape: ideally the inverse of A times r, up to a factor of any
        size and sign. None proposes r itself, which makes the method that of conjugate gradients.
    rtol, atol : float, default 1e-5 and 0
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``.
    maxiter : int, default 10 n
        Most iterations, those of the fall-back included.
    n_ortho : int, default 2
        Directions to which a new one is made A-orthogonal; at least 0. Two are the paper's, and enough for a model
        that is linear and definite. 10 to 20 are better for a network.
    on_stall : {"pcg", "stop"}, default "pcg"
        What follows where the directions stall even after a restart, or where the model gives zero or a NaN:
        conjugate gradients from the iterate reached, or the end as STALLED.
    M : ndarray, sparse array, LinearOperator or callable, shape (n, n), optional
        Preconditioner of the fall-back: an approximation of the inverse of A, Hermitian positive definite.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(xk)`` after each iteration with a copy of the iterate.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``callback``; see ``cg``.

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``, and ``restarts``, how often the stored directions
        were dropped; ``fell_back_at``, the iteration after which conjugate gradients took over, or None; ``reason``,
        why they did, or None. For b of shape (n, k): tuples of k of them.

    Raises
    ------
    InvalidInput
        A ValueError: see ``cg``; also where the model gives a wrong shape, or complex numbers for a real system.
    UnsupportedType
        A TypeError: see ``cg``; also where the model gives no numbers.

    Notes
    -----
    An iteration costs one call of the model, two products with A (the residual is recomputed), and
    ``4 n_ortho + 10`` vectors read; memory is ``2 n_ortho + 4`` vectors. Every 20 steps or more that do not halve the
    residual are reviewed, with one more product: the directions have stalled if a step lowers the energy by less
    than half of what a step of steepest descent would, or if an old direction offers a tenth of the step again.
    Neither happens in conjugate gradients, however long their plateaus.

    On a CPU a deep network costs more than the iterations it saves: see ``MultigridPreconditioner`` for ``M=`` of
    ``cg`` first. Up to ``n_ortho=2`` the coefficients are formed from the model's own direction, as in the paper,
    beyond that one after the other, which is more stable.

    References
    ----------
    .. [1] A. Kaneda, O. Akar, J. Chen, V. A. T. Kala, D. Hyde, J. Teran, A deep conjugate direction method for
       iteratively solving linear systems, ICML 2023, https://proceedings.mlr.press/v202/kaneda23a.html

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> d = np.linspace(1.0, 1000.0, 50)
    >>> A = np.diag(d) + np.ones((50, 50))
    >>> result = linalg.dcdm(A, np.arange(50.0), model=lambda r: -7 * r / d, rtol=1e-10)
    >>> result.iterations, result.restarts, result.fell_back_at
    (2, 0, None)
    """
    if model is not None and not callable(model):
        raise UnsupportedType(
            f"`model` must be a function r -> direction, or None, got {type(model).__name__}; pass lambda r: M @ r "
            "for a matrix."
        )
    n_ortho = _checks.count("n_ortho", n_ortho, least=0)
    falls_back = _checks.choice("on_stall", on_stall, ("pcg", "stop")) == "pcg"
    told = []

    def adjust(system):
        if model is not None and system.backend == "gpu" and kinds[type(b)] != "gpu" and not hasattr(b, "__dlpack__"):
            raise UnsupportedType("`model` cannot be sent to the GPU; pass CuPy arrays and a model that takes them.")
        system.settings = _Settings(model, n_ortho, falls_back)
        told.append(system.settings)

    options = dict(adjust=adjust, hermitian=True, finds_null=True, executor=executor)
    result = solve(_steps, "dcdm", A, b, x0, M, rtol, atol, maxiter, callback, **options)
    for name in ("restarts", "fell_back_at", "reason"):
        values = tuple(getattr(each, name) for each in told)
        setattr(result, name, values if isinstance(result.status, tuple) else values[0])
    return result


class _Settings:
    """What the user chose, and what outlives a restart by the driver."""

    def __init__(self, model, n_ortho, falls_back):
        self.model, self.n_ortho, self.falls_back = model, n_ortho, falls_back
        self.begin()

    def begin(self):
        """Forget what happened."""
        self.taken = self.restarts = 0
        self.fell_back_at = self.reason = None

    @property
    def told(self):
        """What the result says of it."""
        return self.restarts, self.fell_back_at, self.reason

    @told.setter
    def told(self, values):
        self.restarts, self.fell_back_at, self.reason = values


def _steps(system, control):
    """Steps along the model's directions and, once these have failed, conjugate gradients."""
    settings, r = system.settings, system.empty()
    yield [system.residual(r)], None
    if settings.fell_back_at is None:
        reason, status = yield from _directions(system, r)
        if not settings.falls_back:
            yield [], status
        settings.fell_back_at, settings.reason, system.certified = settings.taken, reason, None
    yield from steps_from(r, system, control)


def _directions(system, r):
    """The paper's loop. Returns why the directions fail and the status for it; a failure of A ends the solve here."""
    settings, scalar = system.settings, system.dtype.type
    window, spare, sign, share = [], (system.empty(), system.empty()), 0.0, math.sqrt(system.eps)
    r_norm = system.norm(r)
    review = _Review(system, max(_STRETCH, 2 * settings.n_ortho), r_norm)
    while True:
        p, Ap = spare
        failure = _direction(system, r, r_norm, p, window)
        if failure is not None:
            return failure
        system.matvec(p, Ap)
        pAp = complex(system.inner(p, Ap))
        size = system.norm(p) * system.norm(Ap) if system.dtype.kind == "c" else 0.0
        status = FLAGS[system.kernels.judge(pAp.real, pAp.imag, size, sign, share)]
        if status is Status.NOT_HERMITIAN and system.is_hermitian():
            share, status = math.inf, None  # an imaginary part made by rounding
        if status is not None:
            yield [], status
        pr, pAp = system.inner(p, r), pAp.real
        with np.errstate(over="ignore"):
            alpha = scalar(pr / pAp)
        if not np.isfinite(alpha):
            yield [], Status.NONFINITE
        sign = math.copysign(1.0, pAp)
        verdict = review.verdict(r, r_norm, p, pr, pAp)
        system.kernels.axpy(alpha, p, system.x)
        r_norm = system.certified = system.residual(r)
        settings.taken += 1
        yield [r_norm], None
        if verdict == "stalled":
            return "its directions stalled", _status_of_a_stall(system, r_norm, p, Ap)
        if verdict == "restart":
            settings.restarts += 1
            window.clear()
        window.append((p, Ap, pAp))
        spare = window.pop(0)[:2] if len(window) > settings.n_ortho else (system.empty(), system.empty())


def _direction(system, r, r_norm, p, window):
    """p = the model's direction for r, A-orthogonal to those in the window; or why not, and the status for that."""
    failure = _propose(system, r, r_norm, p)
    if failure is None and not _orthogonalise(system, p, window):
        system.settings.restarts += 1
        window.clear()
        failure = _propose(system, r, r_norm, p)
    return failure


def _propose(system, r, r_norm, p):
    """p = the model's direction for r, times the power of two that brings its norm below 1."""
    unit, scalar = system.empty(), system.dtype.type  # the model may keep it
    system.kernels.scale(scalar(1.0 / r_norm), r, unit)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        p[:] = unit if system.settings.model is None else _answer(system, unit)
    if system.null_space is not None and math.isfinite(system.norm(p)):
        system.null_space.project_there(p, system.kernels)
    size = system.norm(p)
    if not math.isfinite(size):
        return "it gave a NaN or an infinity", Status.NONFINITE
    if size == 0.0:
        return "it gave a zero direction", Status.STALLED
    power = to_one(size, -int(np.finfo(system.dtype).minexp))
    if power != 1.0:
        system.kernels.scale(scalar(power), p, p)
    return None


def _answer(system, unit):
    """What the model gives for this residual, as numbers of shape (n,)."""
    try:
        y = enter("model(r)", system.settings.model(system.leave(unit)))
    except StopIteration:
        raise InvalidInput("`model` must not raise StopIteration; raise it in `callback` to end a solve.") from None
    if system.backend == "gpu" and kinds[type(y)] != "gpu":
        raise UnsupportedType(f"`model(r)` must be an array on the GPU, as r is, got {type(y).__name__}.")
    y = _checks.array("model(r)", y)
    _checks.shape_is("model(r)", y, [(system.n,), (system.n, 1)], "as r has")
    if y.dtype.kind == "c" and system.dtype.kind != "c":
        raise InvalidInput("`model(r)` must be real where `A` and `b` are, got a complex array; return its real part.")
    return y.reshape(system.n)


def _orthogonalise(system, p, window):
    """p -= p_j (p_j^H A p) / (p_j^H A p_j) for the stored p_j; False where no digit of p is left."""
    axpy, scalar = system.kernels.axpy, system.dtype.type
    if len(window) <= 2:
        shares = [system.inner(Aq, p) / qAq for _, Aq, qAq in window]
        for share, (q, _, _) in zip(shares, window):
            axpy(scalar(-share), q, p)
    else:
        for q, Aq, qAq in window:
            axpy(scalar(-system.inner(Aq, p) / qAq), q, p)
    return not window or system.norm(p) > 8 * system.eps


class _Review:
    """Tells directions that have stalled from a plateau of conjugate gradients.

    There a step lowers the energy by no less than one of steepest descent would, and the residual is orthogonal to
    all old directions, not only to those in the window.
    """

    def __init__(self, system, stretch, r_norm):
        self.system, self.stretch, self.step = system, stretch, 0
        self.best_before = self.best = r_norm
        self.old, self.old_form, self.restarted = system.empty(), 0.0, False

    def verdict(self, r, r_norm, p, pr, pAp):
        """None, "restart" or "stalled", for a step along p from the residual r."""
        self.step += 1
        self.best = min(self.best, r_norm)
        if self.step == 2:  # an even number of steps before the review: steepest descent goes to and fro
            self.old[:] = p
            self.old_form = abs(pAp)
        if self.step < self.stretch:
            return None
        progress = self.best <= 0.5 * self.best_before
        self.step, self.best_before = 0, min(self.best, self.best_before)
        if progress:
            self.restarted = False
            return None
        if not self._has_stalled(r, r_norm, (abs(pr) / r_norm) ** 2 / abs(pAp)):
            return None
        if self.restarted:
            return "stalled"
        self.restarted = True
        return "restart"

    def _has_stalled(self, r, r_norm, gain):
        """Gains are of energy, in units of ||r||^2."""
        system = self.system
        unit, product = system.empty(), system.empty()
        system.kernels.scale(system.dtype.type(1.0 / r_norm), r, unit)
        system.matvec(unit, product)
        form = abs(system.inner(unit, product))
        steepest = 1.0 / form if form and math.isfinite(form) else 0.0
        stale = abs(system.inner(self.old, unit)) ** 2 / self.old_form
        return gain < _POOR * steepest or stale > _STALE * gain


def _status_of_a_stall(system, r_norm, p, Ap):
    """STAGNATED where the residual is at the level of its rounding errors."""
    level = system.norm(Ap) / system.norm(p) * system.norm(system.x) + system.size
    return Status.STAGNATED if r_norm <= 8 * system.eps * level else Status.STALLED
