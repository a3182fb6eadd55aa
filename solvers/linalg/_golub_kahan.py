"""Golub-Kahan bidiagonalisation of stacks, and the one loop of all least-squares methods.

Each row of a stack is a right-hand side of its own: it has its own scalars, stops by itself, and leaves the stack then.
Golub and Kahan, SIAM J. Numer. Anal. 2 (1965) 205-224, in the lower bidiagonal form of Paige and Saunders,
https://doi.org/10.1145/355984.355989, equations (3.1) and (3.2): A V_k = U_{k+1} B_k.

``solvers._loop`` stops at a norm below a threshold. A least-squares method stops at one of several estimates instead,
none of which is a threshold known beforehand, and the rows of a stack share one product; hence a loop apart, which
hands the decision to a function ``judge``.
"""

import math

import numpy as np

from .._arrays import module_of
from .._place import inner_rows
from .._scale import to_one

__all__ = [
    "GROSS",
    "NONFINITE",
    "NOT_ADJOINT",
    "STOPPED",
    "Bidiagonalisation",
    "columns",
    "drive",
    "driven",
    "mismatch",
    "normalise",
    "norms",
    "numbers",
    "published",
    "ratio",
    "rotation",
    "taken_rows",
    "unless",
]

# What ends a row beside the codes > 0 of ``judge``.
NONFINITE, STOPPED, NOT_ADJOINT = -1, -2, -3
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
            X[_rows(X, live)] = method.answer(np.arange(live.size))
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
            ends = np.where(ends == 0, _LIMIT, ends)
        taken[went] = step
        history.append(history[-1].copy())
        history[-1][0, live], history[-1][1, live] = method.rnorm, method.xnorm


# SciPy's word for the iteration limit.
_LIMIT = 7


def _without_ended(method, live, ends, codes, X):
    """Rows at their end leave their iterate in X, and the stack; returns which go on."""
    over = ends != 0
    if not over.any():
        return live
    codes[live] = ends
    X[_rows(X, live[over])] = method.answer(np.flatnonzero(over))
    if not over.all():
        method.keep(np.flatnonzero(~over))
    return live[~over]


def _rows(X, rows):
    return module_of(X).asarray(rows)


def taken_rows(X, rows):
    """Those rows of an array, which may be on the device, in new memory."""
    return X[_rows(X, rows)]


def norms(X):
    """The 2-norm of each row, on the host: also where its square is out of range."""
    squares = inner_rows(X, X)
    found = np.sqrt(squares)
    if len(X) == 1 and 1e-280 < squares[0] < 1e280:
        return found
    safe = (squares > 1e-280) & (squares < 1e280)
    for j in () if safe.all() else np.flatnonzero(~safe):
        largest = float(abs(X[j]).max()) if X[j].size else 0.0
        if largest == 0.0 or not math.isfinite(largest):
            found[j] = largest
        else:
            power = to_one(largest)
            wide = X[j : j + 1].astype(np.result_type(X.dtype, np.float64)) * power
            found[j] = math.sqrt(inner_rows(wide, wide)[0]) / power
    return found


def normalise(X):
    """Divide each row by its norm, in place, where that is not zero; returns the norms."""
    sizes = norms(X)
    X *= columns(ratio(1.0, numbers(sizes, len(X) == 1)), X)
    return sizes


def columns(scalars, X):
    """Numbers of the host, one a row, in the precision of a stack that they are to multiply."""
    real = np.dtype(X.dtype.char.lower())
    if isinstance(scalars, float):
        return real.type(scalars)
    real = np.asarray(scalars, real)
    if real.size == 1:
        return real.reshape(())[()]
    return module_of(X).asarray(real).reshape((-1,) + (1,) * (X.ndim - 1))


def ratio(a, b):
    """a / b, and 0 where b is 0; of arrays, or of numbers."""
    if isinstance(b, float):
        return a / b if b else 0.0
    return a / np.where(b == 0, np.inf, b)


def rotation(a, b):
    """c, s, r with c a + s b = r and c b - s a = 0."""
    r = np.hypot(a, b)
    return ratio(a, r), ratio(b, r), r


def numbers(values, alone):
    """The scalars of a stack; of one row alone as a number, with which Python reckons ten times as fast."""
    return float(values[0]) if alone else values


def unless(failed, values):
    """The values, and 0 for rows that have failed."""
    if isinstance(values, float):
        return 0.0 if failed[0] else values
    return np.where(failed, 0.0, values)


def published(method, found):
    """Set what ``drive`` and its judge read, arrays of shape (k,), where the row has not failed."""
    failed = method.failed.any()
    for name, value in found.items():
        value = value if isinstance(value, np.ndarray) else np.array([value])
        setattr(method, name, np.where(method.failed, getattr(method, name), value) if failed else value)


def mismatch(product, square, Q):
    """How far <u, A p> is from what it would be with the true adjoint, by what it could be at most."""
    return ratio(abs(product - square), norms(Q))
