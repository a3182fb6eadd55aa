"""Sinkhorn's algorithm for entropic optimal transport (Cuturi 2013, arXiv:1306.0895).

What differs from other libraries: a sweep costs one exponential and one pass over the costs, in the log domain where
nothing can overflow; the error of both marginals is tested in every sweep, and recomputed before "converged" is said;
over-relaxation (Thibault, Chizat, Dossal & Papadakis 2021, https://doi.org/10.3390/a14050143) chooses omega from the
rate that it sees, and falls back to 1; small eps goes to a Newton method.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._loop import Limits, ended, run
from .._result import Status
from .._tasks import check_executor
from .._types import Callback, Executor, Penalty
from ._batch import solve_batch
from ._costs import PointCloud
from ._feasibility import guarded, named
from ._many_problems import Problems, is_batch
from ._problem import Problem, threshold_of
from ._relaxed_steps import relaxed_auto_steps, unbalanced_steps
from ._result import TransportResult, chosen
from ._sinkhorn_steps import NEWTON_COSTS, STEPS
from ._unbalanced import RelaxedProblem, penalties

__all__ = ["sinkhorn", "solve"]

_METHODS = ("auto", "log", "scaling", "sor", "newton")
_MAXITER = 100_000
# Kernel entries of one chunk: some 10 to 50 ms, so that Ctrl-C and a progress report are prompt.
_CHUNK_ENTRIES = {"cpu": 4e7, "gpu": 4e9}


def sinkhorn(
    C: ArrayLike | PointCloud,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    eps: float,
    marginal_penalty: Penalty | None = None,
    method: str = "auto",
    tol: float = 1e-6,
    maxiter: int | None = None,
    x0: tuple[ArrayLike, ArrayLike] | None = None,
    normalize: bool = False,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> TransportResult | Any:  # a TransportBatch for a batch
    """Transport a to b at the least cost, smoothed by entropy: min <C, P> + eps sum P (log P - 1).

    Parameters
    ----------
    C : array_like, shape (n, m) or (B, n, m), or PointCloud
        Costs; inf forbids a pair. A third dimension makes a batch of B problems, see Notes. float32 stays, other
        numbers become float64. Potentials and plan are arrays of the same kind: NumPy's, CuPy's, torch's, ...
    a : array_like, shape (n,), optional
        Weights >= 0 of the rows; uniform by default.
    b : array_like, shape (m,), optional
        Weights >= 0 of the columns; the same total as a, unless marginals give.
    eps : float > 0
        Regularisation, in the units of C.
    marginal_penalty : float, or pair (rows, columns) of floats and vectors of shapes (n,) and (m,), optional
        Unbalanced transport: rho > 0, in the units of C, lets a marginal x of the plan differ from its weight w for
        rho KL(x | w), where KL(x | w) = x log(x / w) - x + w; inf, or None in a pair, is a hard marginal. A vector has
        a price for each entry. Only "auto" and "log" run it, on the CPU; "log" is sweeps alone.
    method : {"auto", "log", "scaling", "sor", "newton"}, default "auto"
        "log": sweeps on the potentials; "scaling": sweeps on the scalings of a stored kernel, faster by a third for
        large eps; "sor": over-relaxed sweeps; "newton": a semi-dual sparse Newton method that follows eps down from
        large values, for small eps; "auto": sweeps, and Newton's method where their rate says that it will be faster.
    tol : float, default 1e-6
        On the L1 error of both marginals, relative to the mass. Where they give, of what is left of the conditions for
        the best plan: ||P 1 - a exp(-f / rho)||_1 + ||P^T 1 - b exp(-g / sigma)||_1 over the sum of P. The plan of
        zeros has an error of 2: what is above 1.9 is taken as that.
    maxiter : int, default 100,000
        Most sweeps and Newton steps.
    x0 : (f, g), optional
        Potentials to start from, in the units of C, such as those of a result.
    normalize : bool, default False
        Divide a and b by their totals.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback((f, g))`` after each sweep with copies of the potentials; StopIteration ends the solve.
    executor : concurrent.futures executor, optional
        Where blocks of a batch are solved, in threads, processes or elsewhere; one problem is solved here. Not together
        with ``callback``.

    Returns
    -------
    TransportResult, or TransportBatch for a batch
        ``value``, ``plan``, ``potentials``, ``marginal_error``, ``status`` and the rest.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.
    TaskError
        If a task of the executor failed: names its problems, and has a TransportBatch of each other block.

    Notes
    -----
    A sweep in the log domain reads C once. Memory beyond C: a few vectors for "log" and "sor" (and for any method on
    a ``PointCloud`` but "scaling"), one n x m array for "scaling", the large entries of P for "newton". The result
    keeps a copy of C where it would share the caller's, for a plan that is asked for later.

    On the GPU (CuPy's arrays, torch's and others of CUDA, or ``solvers.backend("gpu")``) every pass over the n m pairs
    runs there, and the host reads once a chunk of sweeps. Newton's linear systems stay there too, as matrices of the
    large entries of P beside the sums of all, on which one launch takes up to 256 steps of conjugate gradients; the CPU
    halves the number of steps with the Schur complement. Their solutions agree to the inner tolerance, so that the
    number of Newton steps may differ. Only the proof that forbidden pairs leave no plan is found on the host, from one
    byte a pair.

    A batch has weights of its own, of shapes (B, n) and (B, m), or shares those of shapes (n,) and (m,); ``eps`` is one
    number or B; ``x0`` holds shapes (B, n) and (B, m). Each problem gets the answer that it would get alone; sweeps of
    "auto", "log" and "sor" on problems of up to 2^18 entries are taken together, one problem a thread, and what takes
    long is handed to the single solve. The batch copies C. A ``callback`` needs ``on_chunk``, and is told of the most
    sweeps and the largest error. Batches have hard marginals and run on the CPU. With an ``executor`` a task is a
    block of 2^18 entries of C, or one problem: no bit depends on it.

    With ``marginal_penalty`` the plan makes <C, P> + eps sum P (log P - 1) + sum_i rho_i KL((P 1)_i | a_i) +
    sum_j sigma_j KL((P^T 1)_j | b_j) smallest, which is ``regularized_value``; ``dual_value`` is - sum_i rho_i a_i
    (exp(-f_i / rho_i) - 1) - sum_j sigma_j b_j (exp(-g_j / sigma_j) - 1) - eps sum P, with a_i f_i and b_j g_j in the
    places of hard marginals; both agree at the best plan, and its potentials have no freedom left. ``mass`` is the sum
    of the plan. Totals may differ where a side can give, and are divided by a common scale inside. Between sweeps the
    best t for (f + t, g - t) is found [2]_: without it large rho / eps take as many sweeps again as that ratio.
    A row that gives and has no pair that is allowed has no mass, and the potential inf.

    References
    ----------
    .. [1] M. Cuturi, Sinkhorn distances: lightspeed computation of optimal transport, NeurIPS 2013.
    .. [2] T. Sejourne, F.-X. Vialard, G. Peyre, Faster unbalanced optimal transport: translation invariant Sinkhorn and
       1-D Frank-Wolfe, AISTATS 2022, arXiv:2201.00730.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> C = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    >>> res = transport.sinkhorn(C, [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], eps=0.05)
    >>> res.converged, round(res.value, 3)
    (True, 1.0)
    >>> res = transport.sinkhorn(C, [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.9], eps=0.05, marginal_penalty=(2.0, None))
    >>> round(res.mass, 3)
    1.5
    >>> transport.sinkhorn([C, 2 * C, 3 * C], eps=0.5).converged
    True
    """
    _checks.choice("method", method, _METHODS)
    check_executor(executor, _checks.function("callback", callback))
    prices = penalties(marginal_penalty)
    if any(np.isfinite(each).any() for each in prices):
        if method not in ("auto", "log"):
            raise InvalidInput(f"`method` must be 'auto' or 'log' where `marginal_penalty` is finite, got {method!r}.")
        problem = RelaxedProblem(C, a, b, eps, x0, normalize, prices)
        steps = unbalanced_steps if method == "log" else relaxed_auto_steps
        return solve(steps, "sinkhorn", problem, tol, maxiter, callback, "log" if method == "auto" else method)
    if is_batch(C):
        most = _MAXITER if maxiter is None else _checks.count("maxiter", maxiter)
        problems = Problems(C, a, b, eps, x0, normalize)
        return solve_batch(problems, method, STEPS[method], NEWTON_COSTS, tol, most, callback, executor)
    problem = Problem(C, a, b, eps, x0, normalize)
    method = "log" if method == "scaling" and isinstance(C, PointCloud) else method
    return solve(STEPS[method], "sinkhorn", problem, tol, maxiter, callback, method)


def solve(steps, name, problem, tol, maxiter, callback, method=None):
    """Drive a method on a checked problem, and make the result; ``method`` is the user's, where there is one."""
    _checks.function("callback", callback)
    limits = Limits(
        threshold_of(tol),
        _MAXITER if maxiter is None else _checks.count("maxiter", maxiter),
        _chunk(problem, callback),
        callback,
    )
    with problem.place():
        record = problem.infeasible() or named(run(guarded(steps), problem, limits), problem, limits.threshold)
        if record.status is not Status.CONVERGED:
            record.residual = problem.last_finite(record.residual)
        return _finish(name, problem, record, limits, callback, method)


def _finish(name, problem, record, limits, callback, method=None):
    """The result of a record."""
    problem.own()
    result = TransportResult(
        problem=problem,
        status=record.status,
        iterations=problem.sweeps,
        newton_steps=problem.newton_steps,
        residuals=record.residuals,
        residual=record.residual,
        threshold=limits.threshold,
        n_matvec=problem.sweeps,
        seconds=record.seconds,
        backend=problem.backend,
        method=name,
        choice=method and chosen(method, problem.newton_steps),
    )
    return ended(callback, result)


def _chunk(problem, callback):
    if callback is not None and not hasattr(callback, "on_chunk"):
        return 1
    return max(1, min(1000, int(_CHUNK_ENTRIES[problem.backend] / max(1, problem.a.size * problem.b.size))))
