"""Systems on grids that the learned preconditioners are measured on: the families, and the box of the deep method."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._registry import Registry
from .families import FAMILIES, SIDES, family

__all__ = ["LEARNED", "SEED", "LearnedEntry", "LearnedProblem"]

LEARNED = Registry("learned problem")

#: No parameters were fitted to a member drawn from it (``pretrain.TRAINING`` has the seeds that were used).
SEED = 101

_SIZES = {2: (128, 256, 512, 1024), 3: (32, 64, 128)}
_VARIABLE = ("lognormal", "jump")


@dataclass(frozen=True)
class LearnedProblem:
    """One system: the matrix (CSR), the right-hand side and the grid; ``sides`` as ``box_poisson`` takes them."""

    name: str
    A: object
    b: np.ndarray
    grid: tuple
    sides: tuple
    pretrained: str

    @property
    def n(self):
        return self.A.shape[0]

    @cached_property
    def solid(self):
        """The cells that take no part: their row is a diagonal entry alone."""
        return (np.diff(self.A.indptr) == 1).reshape(self.grid)


@dataclass(frozen=True)
class LearnedEntry:
    """A registered problem: ``make(size, seed)`` draws it on size^dim cells."""

    name: str
    summary: str
    family: str
    dim: int
    sizes: tuple

    def make(self, size, seed=SEED):
        """Draw one member."""
        if self.family == "box":
            return _box(self.name, size, seed)
        drawn = family(self.family, size, self.dim, seed)
        kind = "variable" if self.family in _VARIABLE else "poisson"
        return LearnedProblem(self.name, drawn.A, drawn.b, drawn.grid, SIDES[self.dim], f"mg{self.dim}d-{kind}")


def _box(name, size, seed):
    """The empty box with zero a whole step outside, which the deep method's published network is trained on."""
    from .problems import poisson2d

    b = np.random.default_rng(seed).standard_normal(size * size)
    return LearnedProblem(name, poisson2d(size)[0], b, (size, size), "beyond", "mg2d-poisson")


LEARNED.add(LearnedEntry("box-2d", "an empty box, zero outside: dcdm's network is trained on it; 2D", "box", 2, (64,)))
for _dim, _sizes in _SIZES.items():
    for _name, _draw in FAMILIES.items():
        _said = _draw.__doc__.splitlines()[0].rstrip(".")
        _summary = f"{_said[0].lower()}{_said[1:]}; {_dim}D"
        LEARNED.add(LearnedEntry(f"{_name}-{_dim}d", _summary, _name, _dim, _sizes))
