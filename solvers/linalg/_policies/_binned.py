"""A policy per bin of the context: what a policy that ignores contexts can do with one."""

import math

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks
from ..._errors import InvalidInput
from ._base import Policy, from_state
from ._interval import grow, place, span_of

__all__ = ["Binned"]


class Binned(Policy):
    """Cut the contexts' interval into bins of equal width, each with a policy of its own.

    Parameters
    ----------
    factory : callable
        ``factory(rng)`` returns a new policy; all must have one grid.
    bins : int, default 5
        How many.
    interval : pair of floats, optional
        The range of the contexts; one outside belongs to the nearest bin. Without it the range is that of the
        contexts so far, and the bins move as it grows: what a bin has learned elsewhere fades.
    rng : None, int or Generator
        Each policy gets a generator spawned from it.
    """

    def __init__(self, factory, bins: int = 5, interval: ArrayLike | None = None, *, rng=None):
        self._policies = [factory(each) for each in _checks.spawned(rng, _checks.count("bins", bins, each=1000))]
        first = self._policies[0]
        if not all(isinstance(each, Policy) and np.array_equal(each.grid, first.grid) for each in self._policies):
            raise InvalidInput("`factory` must return policies that share one grid.")
        self.name, self.grid = f"{first.name}-binned", first.grid
        self._span = span_of(interval)
        self._learns_span = interval is None
        self._bin = 0

    def _weigh(self, context):
        if context is None:
            raise InvalidInput("`context` must be a number for a binned policy, got None.")
        if self._learns_span:
            grow(self._span, context)
        bins = len(self._policies)
        self._bin = min(math.floor((place(self._span, context) + 1.0) / 2.0 * bins), bins - 1)
        policy = self._policies[self._bin]
        policy.choose(context)
        return policy.probabilities

    def _draw(self, p):
        return self._policies[self._bin]._arm

    def _learn(self, arm, cost):
        self._policies[self._bin].observe(cost)

    def state(self):
        policies = self.__dict__.pop("_policies")
        try:
            saved = super().state()
        finally:
            self._policies = policies
        for i, policy in enumerate(policies):
            saved |= {f"{i}.{key}": value for key, value in policy.state().items()}
        return saved

    def _restore(self, saved):
        own = {key: saved[key] for key in saved if "." not in key}
        super()._restore(own)
        self._policies = []
        while f"{len(self._policies)}.policy" in saved:
            prefix = f"{len(self._policies)}."
            parts = {key.removeprefix(prefix): saved[key] for key in saved if key.startswith(prefix)}
            self._policies.append(from_state(parts))
