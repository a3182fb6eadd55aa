"""LSMR (Fong and Saunders 2011, https://doi.org/10.1137/10079687X, sections 2 to 5).

It is MINRES on the normal equations: the norm of the gradient falls at every step, so that it may be stopped earlier
than LSQR. What differs from SciPy's is what differs in ``_lsqr``.
"""

import numpy as np
from numpy.typing import ArrayLike

from .._stacks import columns, norms, numbers, ratio, rotation, taken_rows, unless
from .._types import Executor, MatrixLike
from ._golub_kahan import Bidiagonalisation, published
from ._least_squares import Demands, least_squares
from ._result import LeastSquaresResult

__all__ = ["LSMR", "lsmr"]


def lsmr(
    A: MatrixLike,
    b: ArrayLike,
    damp: float = 0.0,
    atol: float = 1e-6,
    btol: float = 1e-6,
    conlim: float = 1e8,
    maxiter: int | None = None,
    show: bool = False,
    x0: ArrayLike | None = None,
    *,
    executor: Executor | None = None,
) -> LeastSquaresResult:
    """Minimise norm(b - A x)^2 + damp^2 norm(x - x0)^2 by LSMR.

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
    maxiter : int, default min(m, n)
        Most iterations.
    show : bool, default False
        Report the progress on standard error.
    x0 : array_like, shape (n,) or (n, k), optional
        Starting guess, and what ``damp`` pulls towards; zero by default.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``show``; see ``cg``. Those of a dense A are solved together, here:
        one product of BLAS serves all of them.

    Returns
    -------
    x, istop, itn, normr, normar, norma, conda, normx : LeastSquaresResult
        The eight that SciPy returns: x; why it stopped, 0 to 7; the iterations; the norms of the (damped) residual and
        of its gradient; estimates of the Frobenius norm and of the condition of A; the norm of x. For b of shape (m, k)
        each has one more axis of length k. The attributes ``status``, ``iterations``, ``residuals``, ``residual``,
        ``n_matvec`` and ``message`` are beside them.

    Raises
    ------
    InvalidInput
        A ValueError: a shape, a value or a tolerance that cannot be worked with.
    UnsupportedType
        A TypeError: an argument of the wrong kind.

    Notes
    -----
    An iteration costs one product with A, one with A^H, and some ten passes over vectors; memory is 1 vector of length
    m and 4 of length n. On the CPU, iterations with a sparse A of the answer's own dtype are compiled, on one thread.
    ``istop`` is SciPy's, by the estimates of the recurrence; ``status`` is CONVERGED only if the recomputed norms
    confirm it.

    References
    ----------
    .. [1] D. C.-L. Fong, M. A. Saunders, LSMR: an iterative algorithm for sparse least-squares problems, SIAM J. Sci.
       Comput. 33 (2011) 2950-2971, https://doi.org/10.1137/10079687X

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> linalg.lsmr(A, np.array([1.0, 0.0, -1.0])).x.round(12).tolist()
    [1.0, -1.0]
    """
    demands = Demands(damp, atol, btol, conlim, maxiter, "maxiter", None, show)
    return least_squares("lsmr", LSMR, A, b, x0, demands, executor)


class LSMR:
    """The recurrence on a stack, in the letters of the paper: a method of ``_golub_kahan.drive``.

    Parameters and attributes are those of ``_lsqr.LSQR``.
    """

    var, chunk = None, "lsmr_chunk"

    def __init__(self, process: Bidiagonalisation, X, damp=0.0):
        self.process, self.X, self._alone = process, X, len(X) == 1
        alpha, beta = self._scalars()
        zero = alpha * 0
        one = zero + 1
        self._damp = numbers(np.broadcast_to(np.asarray(damp, float), process.alpha.shape), self._alone)
        self._H, self._Hbar = process.V.copy(), process.V * 0
        self._alphabar, self._zetabar = alpha, alpha * beta
        self._rho = self._rhobar = self._cbar = one
        self._sbar = self._zeta = zero
        self._betadd, self._betad, self._rhod = beta, zero, one
        self._tautilde = self._thetatilde = self._d = zero
        self._a2, self._largest, self._smallest = alpha * alpha, zero, zero + np.inf
        self.rnorm, self.arnorm, self.xnorm = process.beta, process.alpha * process.beta, norms(X)
        self.failed = ~np.isfinite(self.arnorm)
        self.anorm, self.acond = np.where(self.failed, 0.0, process.alpha), np.ones_like(process.alpha)

    @property
    def mismatch(self):
        return self.process.mismatch

    def _scalars(self):
        return numbers(self.process.alpha, self._alone), numbers(self.process.beta, self._alone)

    def carried(self):
        """What the kernel of that name goes on from: its scalars, and the vectors beside those of the process."""
        norms_then = self.rnorm, self.arnorm, self.anorm, self.acond, self.xnorm
        rotations = self._alphabar, self._zetabar, self._rho, self._rhobar, self._cbar, self._sbar, self._zeta
        residual = self._betadd, self._betad, self._rhod, self._tautilde, self._thetatilde, self._d
        own = *rotations, *residual, self._largest, self._smallest, 0.0
        return (*norms_then, self.process.alpha, self._a2, *own), (self._H, self._Hbar)

    def step(self):
        self.process.step()
        alpha, beta = self._scalars()
        self.failed = ~np.isfinite(self.process.alpha + self.process.beta)
        chat, shat, alphahat = rotation(self._alphabar, self._damp)
        rhoold = self._rho
        c, s, self._rho = rotation(alphahat, beta)
        thetanew, self._alphabar = s * alpha, c * alpha
        rhobarold, zetaold = self._rhobar, self._zeta
        thetabar, rhotemp = self._sbar * self._rho, self._cbar * self._rho
        self._cbar, self._sbar, self._rhobar = rotation(rhotemp, thetanew)
        self._zeta, self._zetabar = self._cbar * self._zetabar, -self._sbar * self._zetabar
        self._update(
            ratio(thetabar * self._rho, rhoold * rhobarold),
            ratio(self._zeta, self._rho * self._rhobar),
            ratio(thetanew, self._rho),
        )
        rnorm = self._residual(chat, shat, c, s, thetabar, zetaold)
        self._estimate(rnorm, rhobarold, rhotemp, alpha, beta)

    def _update(self, back, length, turn):
        X, H, Hbar = self.X, self._H, self._Hbar
        Hbar *= columns(-back, Hbar)
        Hbar += H
        X += Hbar * columns(unless(self.failed, length), Hbar)
        H *= columns(-turn, H)
        H += self.process.V

    def _residual(self, chat, shat, c, s, thetabar, zetaold):
        """The norm of the residual by the third rotation, section 5.1."""
        betaacute, betacheck = chat * self._betadd, -shat * self._betadd
        betahat, self._betadd = c * betaacute, -s * betaacute
        thetatildeold = self._thetatilde
        ctilde, stilde, rhotilde = rotation(self._rhod, thetabar)
        self._thetatilde, self._rhod = stilde * self._rhobar, ctilde * self._rhobar
        self._betad = -stilde * self._betad + ctilde * betahat
        self._tautilde = ratio(zetaold - thetatildeold * self._tautilde, rhotilde)
        taud = ratio(self._zeta - self._thetatilde * self._tautilde, self._rhod)
        self._d = self._d + betacheck * betacheck
        return np.hypot(np.hypot(np.sqrt(self._d), self._betad - taud), self._betadd)

    def _estimate(self, rnorm, rhobarold, rhotemp, alpha, beta):
        anorm = np.sqrt(self._a2 + beta * beta)
        self._a2 = self._a2 + alpha * alpha + beta * beta
        if self._first:  # rhobar before the first step is no singular value
            self._first = False
        else:
            self._largest = np.maximum(self._largest, rhobarold)
            self._smallest = np.minimum(self._smallest, rhobarold)
        acond = ratio(np.maximum(self._largest, rhotemp), np.minimum(self._smallest, rhotemp))
        published(self, {"rnorm": rnorm, "arnorm": abs(self._zetabar), "anorm": anorm, "acond": acond})
        self.xnorm = norms(self.X)

    _first = True

    def answer(self, rows):
        return taken_rows(self.X, rows)

    def keep(self, rows):
        self.process.keep(rows)
        self.X, self._H, self._Hbar = (taken_rows(Y, rows) for Y in (self.X, self._H, self._Hbar))
        for name, value in self.__dict__.items():
            if isinstance(value, np.ndarray) and value.ndim == 1:
                setattr(self, name, value[rows])
