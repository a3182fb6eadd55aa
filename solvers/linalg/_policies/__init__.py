"""Policies: they tune a scalar from nothing but iteration counts, and a number that describes each system.

``choose(context)`` gives the value for the next solve, ``observe(iterations)`` tells what it cost.
"""

from numpy.typing import ArrayLike

from ... import _checks
from ._base import Policy, from_state, grid_of
from ._binned import Binned
from ._chebcb import ChebCB
from ._chebyshev import Chebyshev
from ._classical import Fixed, Lanczos, best_fixed
from ._tsallis import TsallisINF

__all__ = [
    "NAMES",
    "Binned",
    "ChebCB",
    "Chebyshev",
    "Fixed",
    "Lanczos",
    "Policy",
    "TsallisINF",
    "best_fixed",
    "from_state",
    "grid_of",
    "make_policy",
]

#: The policies that need nothing but a grid.
NAMES = ("chebyshev", "chebcb", "tsallis-inf", "tsallis-inf-binned", "tsallis-inf-released")


def make_policy(policy, grid: ArrayLike, rng=None, *, interval: ArrayLike | None = None):
    """Return the policy of this name over the grid; a number is that value always, an object with choose is itself.

    Parameters
    ----------
    policy : str, float or object
        One of ``NAMES``, a value, or an object with ``choose(context)`` and ``observe(iterations)``.
    grid : array_like, shape (d,)
        The values to choose from, increasing.
    rng : None, int or Generator
        Where the draws come from.
    interval : pair of floats, optional
        The range of the contexts, learned if not given.
    """
    if hasattr(policy, "choose") and hasattr(policy, "observe"):
        return policy
    if not isinstance(policy, str):
        return Fixed(_checks.number("policy", policy))
    _checks.choice("policy", policy, NAMES)
    if policy == "chebyshev":
        return Chebyshev(grid, interval, rng=rng)
    if policy == "chebcb":
        return ChebCB(grid, interval, rng=rng)
    if policy == "tsallis-inf-binned":
        return Binned(lambda rng: TsallisINF(grid, rng=rng), interval=interval, rng=rng)
    return TsallisINF(grid, rng=rng, released=policy == "tsallis-inf-released")
