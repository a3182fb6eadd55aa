"""What the learners are compared with: a fixed value, Young's formula, adaptation within the solve, hindsight."""

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks
from ..._errors import InvalidInput
from .._omega import young
from ._base import Policy

__all__ = ["Fixed", "Lanczos", "best_fixed"]


class Fixed(Policy):
    """Always the same value."""

    name = "fixed"

    def __init__(self, value: float):
        super().__init__([_checks.number("value", value)], 0)

    def _weigh(self, context):
        return np.ones(1)

    def _learn(self, arm, cost):
        pass


class Lanczos(Policy):
    """Young's omega from one estimate of the Jacobi radius, moved exactly where the context shifts the diagonal.

    Parameters
    ----------
    beta : float in [0, 1)
        The spectral radius of I - D^-1 A, as ``omega_optimal`` estimates it.
    diagonal : float, optional
        The constant diagonal d of A. The systems are A + c I with the context c, and beta d / (d + c) their radius.
        Without it contexts are ignored.
    """

    name = "lanczos"

    def __init__(self, beta: float, diagonal: float | None = None):
        self.beta = _checks.number("beta", beta, 0)
        if not self.beta < 1.0:
            raise InvalidInput(f"`beta` must be < 1, beyond which omega does not help, got {beta!r}.")
        self.diagonal = None if diagonal is None else _checks.number("diagonal", diagonal)
        super().__init__([young(self.beta)], 0)

    diagonal = None

    def _weigh(self, context):
        beta = self.beta
        if self.diagonal is not None and context is not None and self.diagonal + context != 0.0:
            beta = min(abs(beta * self.diagonal / (self.diagonal + context)), 1.0 - 1e-15)
        self.grid = np.array([young(beta)])
        return np.ones(1)

    def _learn(self, arm, cost):
        pass


def best_fixed(costs: ArrayLike) -> tuple[int, float]:
    """Return the column of the smallest total, and that total: the best single value in hindsight.

    Parameters
    ----------
    costs : array_like, shape (T, d)
        The iterations of every round with every value.
    """
    totals = _checks.finite("costs", _checks.array("costs", costs)).sum(axis=0)
    arm = int(totals.argmin())
    return arm, float(totals[arm])
