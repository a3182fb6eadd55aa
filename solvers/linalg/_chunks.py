"""The compiled loop of lsqr and lsmr: one right-hand side after the other, so that no bit depends on the others.

It takes the place of ``_golub_kahan.drive`` where the entries of A are at hand. Those make the adjoint, too: nothing is
asked about it.
"""

import numpy as np

from .. import _backend
from ._golub_kahan import LIMIT, NONFINITE

__all__ = ["drive_in_chunks"]

# Multiply-adds, and steps, of one chunk: some 10 to 80 ms, so that Ctrl-C and a report are prompt.
_WORK, _LONGEST = 1.5e8, 4096


def drive_in_chunks(method, operand, ends, rules, maxiter, report=None):
    """Step until every row has come to its end.

    Parameters
    ----------
    method : LSQR or LSMR
        At its start; its ``X`` become the iterates.
    operand : (CSR, bool)
        A of the kernels, and whether it is stored by rows.
    ends : ndarray of int, shape (k,)
        A code for each row that is not to start, else 0.
    rules : ndarray of float64, shape (k, 7)
        As the kernels take them.
    report : function (row, taken, norm), optional
        Told after each chunk.

    Returns
    -------
    codes, taken : ndarray of int, shape (k,)
    history : ndarray, shape (steps + 1, 2, k)
        The norms of the residuals and of the iterates; a row that has ended repeats its last.
    scalars : ndarray of float64, shape (k, ...)
        Those of the kernels, at the end.
    products : int
        With A and with its adjoint.
    """
    scalars, run = _runner(method, operand, rules)
    codes, taken, histories = ends.copy(), np.zeros(len(ends), int), []
    longest = _longest(operand, method)
    for row, start in enumerate(zip(method.rnorm, method.xnorm, strict=True)):
        norms = [[start]]
        while not codes[row]:
            some = np.empty((min(longest, maxiter - taken[row]), 2))
            done, codes[row] = run(row, some)
            taken[row] += done
            norms.append(some[:done])
            if report is not None and done:
                report(row, int(taken[row]), some[done - 1, 0])
            if not codes[row] and taken[row] >= maxiter:
                codes[row] = LIMIT
        histories.append(np.concatenate(norms))
    products = 2 * int(taken.sum() + (codes[ends == 0] == NONFINITE).sum())
    return codes, taken, _together(histories), scalars, products


def _runner(method, operand, rules):
    """The scalars of the rows, and a function that takes steps with one row, as many as there is room for norms."""
    columns, vectors = method.carried()
    scalars = np.empty((len(rules), len(columns)))
    for j, column in enumerate(columns):
        scalars[:, j] = column
    U, V, X = method.process.U, method.process.V, method.X
    chunk = getattr(_backend.kernels("cpu"), method.chunk)
    buffer = np.empty(max(U.shape[1], V.shape[1]), U.dtype)

    def run(row, norms):
        own = (W[row] for W in vectors)
        return chunk(*operand, U[row], V[row], *own, X[row], buffer, rules[row], scalars[row], norms, len(norms))

    return scalars, run


def _longest(operand, method):
    """The most steps of a chunk."""
    (A, _), (U, V) = operand, (method.process.U, method.process.V)
    return max(1, min(_LONGEST, int(_WORK / (2 * A.data.size + 4 * U.shape[1] + 8 * V.shape[1] + 1))))


def _together(histories):
    """The histories of all rows as one array, each as long as the longest."""
    history = np.empty((max(map(len, histories), default=1), 2, len(histories)))
    for row, each in enumerate(histories):
        history[: len(each), :, row] = each
        history[len(each) :, :, row] = each[-1]
    return history
