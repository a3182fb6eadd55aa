"""Policies: they tune a scalar from nothing but iteration counts, and a number that describes each system.

``choose(context)`` gives the value for the next solve, ``observe(iterations)`` tells what it cost.
"""

from numpy.typing import ArrayLike

from ... import _checks
from ._base import Policy, from_state
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
    "make",
]

#: The policies that need nothing but a grid.
NAMES = ("chebyshev", "chebcb", "tsallis-inf", "tsallis-inf-binned", "tsallis-inf-released")


def make(name: str, grid: ArrayLike, *, interval: ArrayLike | None = None, rng=None) -> Policy:
    """Return the policy of this name; ``interval`` is the range of the contexts, learned if not given."""
    _checks.choice("policy", name, NAMES)
    if name == "chebyshev":
        return Chebyshev(grid, interval, rng=rng)
    if name == "chebcb":
        return ChebCB(grid, interval, rng=rng)
    if name == "tsallis-inf-binned":
        return Binned(lambda rng: TsallisINF(grid, rng=rng), interval=interval, rng=rng)
    return TsallisINF(grid, rng=rng, released=name == "tsallis-inf-released")
