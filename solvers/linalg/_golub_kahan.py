"""Golub-Kahan bidiagonalisation of stacks, and the readable loop of all least-squares methods.

Each row of a stack is a right-hand side of its own: it has its own scalars, stops by itself, and leaves the stack then.
Golub and Kahan, SIAM J. Numer. Anal. 2 (1965) 205-224, in the lower bidiagonal form of Paige and Saunders,
https://doi.org/10.1145/355984.355989, equations (3.1) and (3.2): A V_k = U_{k+1} B_k.

``solvers._loop`` stops at a norm below a threshold. A least-squares method stops at one of several estimates instead,
none of which is a threshold known beforehand, and the rows of a stack share one product; hence a loop apart, which
hands the decision to a function ``judge``.
"""


import numpy as np

from .._arrays import module_of
from .._stacks import columns, inner_rows, normalise, norms, ratio, taken_rows

__all__ = [
    "GROSS",
    "LIMIT",
    "NONFINITE",
    "NOT_ADJOINT",
    "STOPPED",
    "Bidiagonalisation",
    "drive",
    "driven",
    "mismatch",
    "published",
]

# What ends a row beside the codes > 0 of ``judge``.
NONFINITE, STOPPED, NOT_ADJOINT = -1, -2, -3
# SciPy's word for the iteration limit.
LIMIT = 7
# |<u, A v> - <A^H u, v>| / ||A v|| from here on is no inexact projector but a wrong one: every step would mislead.
GROSS = 0.1


class Bidiagonalisation:
    """One step of the process at a time, for each row of a stack.

    Parameters
    ----------
    forward, adjoint : function
        From a stack (k, ...) to a new one: the products with A and with A^H.
    R : array, shape (k, ...)
        The start, b - A x0; it is overwritten.

    Attributes
    ----------
    U, V : array
        The latest columns; zero where the process has come to its end.
    alpha, beta : ndarray of float64, shape (k,), on the host
    mismatch : ndarray of float64, shape (k,)
        |<u, A v> - <A^H u, v>| / ||A v|| at the first step, which rounding alone makes positive where ``adjoint`` is
        the adjoint of ``forward``.
    """

    def __init__(self, forward, adjoint, R):
        self._forward, self._adjoint = forward, adjoint
        self.U = R
        self.beta = normalise(self.U)
        self.V = adjoint(self.U)
        self.alpha = normalise(self.V)
        self.mismatch = None

    def step(self):
        """The next columns and scalars."""
        U, V = self.U, self.V
        AV = self._forward(V)
        if self.mismatch is None:
            self.mismatch = mismatch(inner_rows(U, AV), self.alpha, AV)
        U *= columns(-self.alpha, U)
        U += AV
        self._orthogonal_to_all("U", U)
        self.beta = normalise(U)
        V *= columns(-self.beta, V)
        V += self._adjoint(U)
        self._orthogonal_to_all("V", V)
        self.alpha = normalise(V)

    def _orthogonal_to_all(self, name, W):
        """A place for those who keep all columns."""

    def keep(self, rows):
        """Go on with these rows alone."""
        self.U, self.V = taken_rows(self.U, rows), taken_rows(self.V, rows)
        self.alpha, self.beta = self.alpha[rows], self.beta[rows]
        self.mismatch = None if self.mismatch is None else self.mismatch[rows]


def drive(method, judge, X, maxiter, report=None):
    """Step until every row has come to its end; what is not finite ends a row, so that nobody need be warned of it.

    Parameters
    ----------
    method : object
        ``step()`` takes one step; ``rnorm`` and ``xnorm`` are the norms of the residuals and of the iterates;
        ``failed`` says which rows have met a NaN and were left where they were; ``mismatch`` is as in
        ``Bidiagonalisation``; ``answer(rows)`` are the iterates of some rows in new memory; ``keep(rows)`` drops the
        others.
    judge : function (method, live, taken) -> ndarray of int
        A code > 0 for each row that is to end; ``live`` are their numbers in the beginning.
    X : array, shape (k, ...)
        The iterates of rows that came to their end; those of the others at the time of a report.
    report : function (taken, norms) -> bool, optional
        Told after each step; True stops.

    Returns
    -------
    codes, taken : ndarray of int, shape (k,)
    history : ndarray, shape (steps + 1, 2, k)
        The norms of the residuals and of the iterates; a row that has ended repeats its last.
    mismatch : ndarray, shape (k,)
    """
    walker, stop = driven(method, judge, X, maxiter, report is not None), None
    while True:
        try:
            step, rnorm = walker.send(stop)
        except StopIteration as end:
            return end.value
        stop = report(step, rnorm)


def driven(method, judge, X, maxiter, watched):
    """``drive`` as a generator: where it is watched, it yields what it would report, and is sent whether to stop."""
    k = len(method.rnorm)
    live, codes, taken = np.arange(k), np.zeros(k, int), np.zeros(k, int)
    history, differs = [np.stack([method.rnorm, method.xnorm])], np.zeros(k)
    ends, step = judge(method, live, 0), 0
    while True:
        live = _without_ended(method, live, ends, codes, X)
        if not live.size:
            return codes, taken, np.array(history), differs
        if step and watched:
            X[module_of(X).asarray(live)] = method.answer(np.arange(live.size))
            if (yield step, history[-1][0]):
                codes[live] = STOPPED
                return codes, taken, np.array(history), differs
        method.step()
        step += 1
        ends = judge(method, live, step)
        differs[live] = method.mismatch
        if step == 1:
            ends = np.where(method.mismatch > GROSS, NOT_ADJOINT, ends)
        went = live
        if method.failed.any():
            ends, went = np.where(method.failed, NONFINITE, ends), live[~method.failed]
        if step >= maxiter:
            ends = np.where(ends == 0, LIMIT, ends)
        taken[went] = step
        history.append(history[-1].copy())
        history[-1][0, live], history[-1][1, live] = method.rnorm, method.xnorm


def _without_ended(method, live, ends, codes, X):
    """Rows at their end leave their iterate in X, and the stack; returns which go on."""
    over = ends != 0
    if not over.any():
        return live
    codes[live] = ends
    X[module_of(X).asarray(live[over])] = method.answer(np.flatnonzero(over))
    if not over.all():
        method.keep(np.flatnonzero(~over))
    return live[~over]


def published(method, found):
    """Set what ``drive`` and its judge read, arrays of shape (k,), where the row has not failed."""
    failed = method.failed.any()
    for name, value in found.items():
        value = value if isinstance(value, np.ndarray) else np.array([value])
        setattr(method, name, np.where(method.failed, getattr(method, name), value) if failed else value)


def mismatch(product, square, Q):
    """How far <u, A p> is from what it would be with the true adjoint, by what it could be at most."""
    return ratio(abs(product - square), norms(Q))
