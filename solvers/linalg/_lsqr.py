"""LSQR (Paige and Saunders 1982, https://doi.org/10.1145/355984.355989, section 4).

What differs from SciPy's: norms of the residual, of its gradient and of x are recomputed at the end, ``x0`` counts in
all of them, precision and the kind of the arrays are kept, and b may have many columns. Where the entries of A are at
hand, the loop runs compiled in chunks of iterations (``_chunks``).
"""

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import module_of
from .._stacks import columns, norms, numbers, ratio, rotation, taken_rows, unless
from .._types import Executor, MatrixLike
from ._golub_kahan import Bidiagonalisation, published
from ._least_squares import Demands, least_squares
from ._result import LeastSquaresResult

__all__ = ["LSQR", "lsqr"]


def lsqr(
    A: MatrixLike,
    b: ArrayLike,
    damp: float = 0.0,
    atol: float = 1e-6,
    btol: float = 1e-6,
    conlim: float = 1e8,
    iter_lim: int | None = None,
    show: bool = False,
    calc_var: bool = False,
    x0: ArrayLike | None = None,
    *,
    executor: Executor | None = None,
) -> LeastSquaresResult:
    """Minimise norm(b - A x)^2 + damp^2 norm(x - x0)^2 by LSQR.

    Parameters
    ----------
    A : ndarray, sparse array or LinearOperator, shape (m, n)
        Of any shape and rank.
    b : array_like, shape (m,), (m, 1) or (m, k)
        One right-hand side, or k of them, each with its own stopping.
    damp : float, default 0
    atol, btol : float, default 1e-6
        It stops with ``istop`` 1 where ``norm(r) <= btol norm(b) + atol norm(A) norm(x)``, and with 2 where
        ``norm(A^H r) <= atol norm(A) norm(r)``, r the residual of the damped system.
    conlim : float, default 1e8
        It stops with ``istop`` 3 where the estimated condition of A reaches this; 0 is no limit.
    iter_lim : int, default 2 n
        Most iterations.
    show : bool, default False
        Report the progress on standard error.
    calc_var : bool, default False
        Estimate the diagonal of ``(A^H A + damp^2 I)^-1`` (from below).
    x0 : array_like, shape (n,) or (n, k), optional
        Starting guess, and what ``damp`` pulls towards; zero by default.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``show``; see ``cg``. Those of a dense A are solved together, here:
        one product of BLAS serves all of them.

    Returns
    -------
    x, istop, itn, r1norm, r2norm, anorm, acond, arnorm, xnorm, var : LeastSquaresResult
        The ten that SciPy returns: x; why it stopped, 0 to 7; the iterations; the norms of ``b - A x`` and of the
        damped residual; estimates of the Frobenius norm and of the condition of the damped A; the norms of the gradient
        and of x; the variances, or zeros. For b of shape (m, k) each has one more axis of length k. The attributes
        ``status``, ``iterations``, ``residuals``, ``residual``, ``n_matvec`` and ``message`` are beside them.

    Raises
    ------
    InvalidInput
        A ValueError: a shape, a value or a tolerance that cannot be worked with.
    UnsupportedType
        A TypeError: an argument of the wrong kind.

    Notes
    -----
    An iteration costs one product with A, one with A^H, and some ten passes over vectors; memory is 1 vector of length
    m and 3 of length n. On the CPU, iterations with a sparse A of the answer's own dtype are compiled, on one thread;
    not with ``calc_var``. ``istop`` is SciPy's, by the estimates of the recurrence; ``status`` is CONVERGED only if the
    recomputed norms confirm it. On noisy data the least-squares solution is mostly noise where A is ill-conditioned:
    ``solvers.inverse.least_squares`` stops before that, or regularises.

    References
    ----------
    .. [1] C. C. Paige, M. A. Saunders, LSQR: an algorithm for sparse linear equations and sparse least squares, ACM
       Trans. Math. Softw. 8 (1982) 43-71, https://doi.org/10.1145/355984.355989

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> x, istop, itn, r1norm = linalg.lsqr(A, np.array([1.0, 0.01, -1.0]))[:4]
    >>> istop, itn, round(r1norm, 6)
    (2, 2, 0.005774)
    """
    demands = Demands(damp, atol, btol, conlim, iter_lim, "iter_lim", 2, show, calc_var)
    return least_squares("lsqr", LSQR, A, b, x0, demands, executor)


class LSQR:
    """The recurrence on a stack, in the letters of the paper: a method of ``_golub_kahan.drive``.

    Parameters
    ----------
    process : Bidiagonalisation
        Begun with the residual of X.
    X : array, shape (k, ...)
        The start; it is overwritten.
    damp : float or ndarray of shape (k,)
    calc_var : bool

    Attributes
    ----------
    rnorm, arnorm, anorm, acond, xnorm : ndarray, shape (k,)
        The norms of the damped residual, of the gradient, of the damped A (Frobenius), its condition, and that of X.
    var : array or None
        Of all rows there were in the beginning.
    """

    chunk = "lsqr_chunk"

    def __init__(self, process: Bidiagonalisation, X, damp=0.0, calc_var=False):
        self.process, self.X, self._alone = process, X, len(X) == 1
        alpha, beta = self._scalars()
        self._damp = numbers(np.broadcast_to(np.asarray(damp, float), process.alpha.shape), self._alone)
        self._W = process.V.copy()
        self._phibar, self._rhobar = beta, alpha
        self._psi2 = self._d2 = self._a2 = alpha * 0
        self.var, self._live = abs(X) * 0 if calc_var else None, np.arange(len(X))
        self.rnorm, self.arnorm, self.xnorm = process.beta, process.alpha * process.beta, norms(X)
        self.anorm = self.acond = np.zeros_like(process.alpha)
        self.failed = ~np.isfinite(process.alpha * process.beta)

    @property
    def mismatch(self):
        return self.process.mismatch

    def _scalars(self):
        return numbers(self.process.alpha, self._alone), numbers(self.process.beta, self._alone)

    def carried(self):
        """What the kernel of that name goes on from: its scalars, and the vectors beside those of the process."""
        norms_then = self.rnorm, self.arnorm, self.anorm, self.acond, self.xnorm
        own = self._phibar, self._rhobar, self._psi2, self._d2, norms(self._W)
        return (*norms_then, self.process.alpha, self._a2, *own), (self._W,)

    def step(self):
        damp, (alpha, _) = self._damp, self._scalars()
        self._a2 = self._a2 + alpha * alpha + damp * damp
        self.process.step()
        alpha, beta = self._scalars()
        self._a2 = self._a2 + beta * beta
        self.failed = ~np.isfinite(self.process.alpha + self.process.beta)
        c1, s1, rho1 = rotation(self._rhobar, damp)
        psi, phibar = s1 * self._phibar, c1 * self._phibar
        c, s, rho = rotation(rho1, beta)
        theta, rhobar = s * alpha, -c * alpha
        phi, phibar = c * phibar, s * phibar
        self._update(ratio(phi, rho), ratio(theta, rho), rho)
        self._rhobar, self._phibar = rhobar, phibar
        self._psi2 = self._psi2 + psi * psi
        self._estimate(np.hypot(phibar, np.sqrt(self._psi2)), alpha * abs(s * phi))

    def _update(self, length, back, rho):
        X, W = self.X, self._W
        share = ratio(numbers(norms(W), self._alone), rho)
        self._d2 = self._d2 + share * share
        if self.var is not None:
            rows = taken_rows(self.var, self._live) + abs(W * columns(ratio(1.0, rho), W)) ** 2
            self.var[module_of(X).asarray(self._live)] = rows
        X += W * columns(unless(self.failed, length), W)
        W *= columns(-back, W)
        W += self.process.V

    def _estimate(self, rnorm, arnorm):
        anorm = np.sqrt(self._a2)
        found = {"rnorm": rnorm, "arnorm": arnorm, "anorm": anorm, "acond": anorm * np.sqrt(self._d2)}
        published(self, found)
        self.xnorm = norms(self.X)

    def answer(self, rows):
        return taken_rows(self.X, rows)

    def keep(self, rows):
        self.process.keep(rows)
        self.X, self._W = taken_rows(self.X, rows), taken_rows(self._W, rows)
        for name in ("_live", "_damp", "_phibar", "_rhobar", "_psi2", "_d2", "_a2", *_READ):
            setattr(self, name, getattr(self, name)[rows])


_READ = ("rnorm", "arnorm", "anorm", "acond", "xnorm", "failed")
