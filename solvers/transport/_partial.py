"""Partial transport: a given mass goes from a to b, and the rest stays (Caffarelli & McCann 2010; Chapel et al. 2020).

A column beside C takes what a keeps, and a row beside it what b lacks, both without cost; what is left is a problem
with hard marginals. They live in vectors: C is neither copied nor made.
"""

import math

from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._types import Callback, Penalty
from ._costs import PointCloud
from ._relaxed_steps import relaxed_auto_steps
from ._result import TransportResult
from ._sinkhorn import solve
from ._unbalanced import RelaxedProblem, penalties

__all__ = ["partial"]


def partial(
    C: ArrayLike | PointCloud,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    mass: float,
    eps: float,
    marginal_penalty: Penalty | None = None,
    tol: float = 1e-6,
    maxiter: int | None = None,
    x0: tuple[ArrayLike, ArrayLike] | None = None,
    normalize: bool = False,
    callback: Callback | None = None,
) -> TransportResult:
    """Transport a given mass at the least cost, smoothed by entropy, with P 1 <= a, P^T 1 <= b and sum P = mass.

    Parameters
    ----------
    C : array_like, shape (n, m), or PointCloud
        Costs; inf forbids a pair. float32 stays, other numbers become float64.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of the rows and columns, of any totals; uniform of total 1 by default.
    mass : float >= 0
        What is transported, at most the total of a and that of b.
    eps : float > 0
        Regularisation, in the units of C.
    marginal_penalty : pair (rows, columns) of floats and vectors of shapes (n,) and (m,), optional
        Prices rho for one side, as for ``sinkhorn``; the other is None. That side has no slack: its marginal x costs
        rho KL(x | w) in the place of x <= w, or is exactly w where rho is inf, and its total may be any.
    tol : float, default 1e-6
        On the L1 error of all marginals, the slack's included, relative to the sum of the plan.
    maxiter : int, default 100,000
        Most sweeps and Newton steps.
    x0 : (f, g), optional
        Potentials to start from, in the units of C, such as those of a result.
    normalize : bool, default False
        Divide a and b by their totals; ``mass`` is then a share.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback((f, g))`` after each sweep with copies of the potentials; StopIteration ends the solve.

    Returns
    -------
    TransportResult
        ``mass`` is the sum of ``plan``. ``regularized_value`` is <C, P> + eps sum P (log P - 1), and the same entropy
        of the slacks p = a - P 1 and q = b - P^T 1, and what the marginals cost; ``dual_value`` is that of sinkhorn,
        with the potentials times the weights of the slacks, less eps sum p + eps sum q.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.

    Notes
    -----
    The slack carries entropy too: eps also spreads what stays behind, and P solves the balanced problem of size
    (n + 1) x (m + 1). ``ot.partial.entropic_partial_wasserstein`` has entropy of P alone and projects on P 1 <= a and
    P^T 1 <= b in turn, so that its plan is another one for the same eps; both tend to the exact partial plan. The cost
    of this one exceeds the exact one's by at most eps times the entropy of the larger problem's plan.

    Where some weights are used up and others are not touched at all, as where ``mass`` is just that of the points with
    a partner, the error of sweeps falls like 1 / sweeps only. Where their rate says that they will take long, Newton's
    method on the semi-dual takes over, with the row and the column of slack as vectors.

    A sweep reads C once, and memory beyond C is O(n + m); Newton's method keeps the large entries of P, of a cloud's
    at most some hundred a point. ``mass`` of 0 is the plan of zeros; at the total of a there
    is no column of slack, at that of b no row.

    References
    ----------
    .. [1] L. Chapel, M. Z. Alaya, G. Gasso, Partial optimal transport with applications on positive-unlabeled learning,
       NeurIPS 2020, arXiv:2002.08276.

    Examples
    --------
    Two of three points have a partner nearby, and give nine tenths of what they have; the third stays:

    >>> import numpy as np
    >>> from solvers import transport
    >>> X, Y = np.array([0.0, 1.0, 9.0]), np.array([0.1, 1.1, 5.0])
    >>> res = transport.partial(transport.PointCloud(X, Y), mass=0.6, eps=0.02)
    >>> res.converged, np.round(3 * res.plan.sum(axis=1), 2)
    (True, array([0.9, 0.9, 0. ]))
    """
    prices, mass = penalties(marginal_penalty), _checks.number("mass", mass, 0.0)
    if math.isinf(mass):
        raise InvalidInput("`mass` must be finite, got inf.")
    problem = RelaxedProblem(C, a, b, eps, x0, normalize, prices, mass)
    return solve(relaxed_auto_steps, "partial", problem, tol, maxiter, callback)
