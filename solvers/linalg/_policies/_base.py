"""What every policy has in common: the protocol, the checks, the draw, and saving."""

import json

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks
from ..._errors import InvalidInput

__all__ = ["Policy", "from_state", "grid_of"]

# Beyond these a count or a context is a mistake, and sums of them would overflow.
_LARGEST_COUNT, _LARGEST_CONTEXT = 1e15, 1e100
_CLASSES = {}


class Policy:
    """Chooses a value of ``grid`` for each solve and learns from the iterations that it took.

    ``choose(context)`` and ``observe(iterations)`` alternate. A choice that is never observed (the solve raised)
    is forgotten at the next one.

    Attributes
    ----------
    grid : ndarray, shape (d,)
        The values among which it chooses, increasing.
    probabilities : ndarray, shape (d,), or None
        With which the last value was drawn; they sum to 1.
    """

    name = ""
    # What is None is not saved, so that these are the defaults of a restored policy too.
    probabilities = None
    _arm = None

    def __init_subclass__(cls):
        _CLASSES[cls.__name__] = cls

    def __init__(self, grid: ArrayLike, rng=None):
        self.grid = grid_of(grid)
        self._rng = _checks.generator(rng)

    def choose(self, context: float | None = None) -> float:
        """Return the value to solve with; ``context`` is a number that describes the system."""
        if context is not None:
            context = _context(context)
        self.probabilities = p = self._weigh(context)
        self._arm = self._draw(p)
        return float(self.grid[self._arm])

    def observe(self, iterations: float) -> None:
        """Learn what the chosen value cost; a solve that did not converge costs the most permitted iterations."""
        cost = _cost(iterations)
        if self._arm is None:
            raise InvalidInput("`observe` must follow a `choose`, got two in a row or none before it.")
        arm, self._arm = self._arm, None
        self._learn(arm, cost)

    def state(self) -> dict[str, np.ndarray]:
        """Return all that it knows, the generator included, as arrays by name: what ``numpy.savez`` takes."""
        saved = {"policy": np.array(type(self).__name__)}
        for key, value in vars(self).items():
            if isinstance(value, np.random.Generator):
                saved[key] = np.array(json.dumps(value.bit_generator.state, default=np.ndarray.tolist))
            elif value is not None:
                saved[key] = np.array(value)
        return saved

    def _restore(self, saved):
        for key, value in saved.items():
            value = np.array(value)
            if key == "_rng":
                self._rng = _restored_generator(json.loads(str(value)))
            elif key != "policy":
                setattr(self, key, value if value.ndim else value.item())

    def _draw(self, p):
        return min(int(p.cumsum().searchsorted(self._rng.random(), "right")), p.size - 1)

    def _weigh(self, context):
        raise NotImplementedError

    def _learn(self, arm, cost):
        raise NotImplementedError

    def __repr__(self):
        values = f"{self.grid.size} values in [{self.grid[0]:g}, {self.grid[-1]:g}]"
        return f"{type(self).__name__}({self.name!r}, {values})"


def from_state(saved) -> Policy:
    """Return the policy whose ``state()`` this is; it continues to the bit."""
    kind = str(saved["policy"]) if "policy" in saved else None
    if kind not in _CLASSES:
        raise InvalidInput(f"`saved` must be what a policy's state() returned, got one of kind {kind!r}.")
    policy = object.__new__(_CLASSES[kind])
    policy._restore(saved)
    return policy


def grid_of(grid):
    """The values to choose from, as an array: real and increasing."""
    grid = np.array(_checks.finite("grid", _checks.array("grid", grid)))
    if grid.ndim != 1 or grid.size == 0 or grid.dtype.kind == "c":
        raise InvalidInput(f"`grid` must be a list of real numbers, got shape {grid.shape}, dtype {grid.dtype}.")
    if np.any(np.diff(grid) <= 0):
        raise InvalidInput(f"`grid` must increase, got {grid.tolist() if grid.size < 9 else 'one that does not'}.")
    return grid.astype(np.float64)


def _restored_generator(state):
    kind = getattr(np.random, state["bit_generator"], None)
    if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
        raise InvalidInput(f"`saved` must name a bit generator of NumPy, got {state['bit_generator']!r}.")
    bits = kind()
    bits.state = state
    return np.random.Generator(bits)


def _context(context):
    if type(context) is not float:
        context = _checks.number("context", context)
    if not abs(context) < _LARGEST_CONTEXT:
        raise InvalidInput(f"`context` must be a finite number below {_LARGEST_CONTEXT:g}, got {context!r}.")
    return context


def _cost(iterations):
    if type(iterations) is not int:
        iterations = _checks.number("iterations", iterations, 0)
    if not 0 <= iterations <= _LARGEST_COUNT:
        raise InvalidInput(f"`iterations` must be in [0, {_LARGEST_COUNT:g}], got {iterations!r}.")
    return float(iterations)
