"""Solve a sequence of systems and learn a parameter of the solver from the iterations that it takes.

The idea and the experiments are those of Learning to Relax (Khodak, Chow, Balcan, Talwalkar, ICLR 2024): the
parameter of one solve is drawn by a bandit, which sees nothing but the count. What the policies do differently is
said where they are.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._model_file import read_model, write_model
from .._plot import pyplot
from .._types import MatrixLike, PathLike, Seed
from ._cg import cg
from ._chebyshev import chebyshev
from ._omega import omega_optimal
from ._policies import from_state, grid_of, make_policy
from ._sor import sor
from ._ssor_cg import ssor_cg
from ._triangular import incomplete_cholesky

__all__ = ["Tuned", "TunedChebyshev", "TunedIncompleteCholesky", "TunedSOR", "TunedSSORCG"]

_KIND = "tuned parameter"
# What a file has of each system.
_RECORDS = ("values", "iterations", "costs", "contexts", "chances")
_OMEGAS = np.linspace(1.0, 1.95, 20)
_RELAXATIONS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
# Draws (in effect, weights counted) from which a mean is taken.
_LEAST_DRAWS = 5
_DEGREES = (1, 2, 3, 4, 6, 8, 12, 16)


class Tuned:
    """A solver that chooses one of its parameters anew for each system, and learns from the iterations.

    Parameters
    ----------
    solve : callable (A, b, *, <parameter>, **options) -> result
        The result has ``iterations`` and ``converged``, as those of this library.
    parameter : str, default "omega"
        The keyword of ``solve`` that is tuned.
    grid : array_like, shape (d,)
        The values to choose from, increasing.
    policy : str or object, default "auto"
        How values are chosen: "chebyshev" (regression on the context and the value; without contexts, on the value),
        "chebcb" (Learning to Relax), "tsallis-inf" (the best fixed value, whatever comes), "tsallis-inf-binned", or
        a number (that value always); "auto" is "chebyshev". An object has ``choose(context)`` and ``observe(cost)``.
    rng : None, int or numpy.random.Generator
        Where the draws come from.
    cost : callable (result, value) -> number, optional
        What is learned from; by default the iterations. A solve that did not converge is charged the most
        iterations it was allowed.

    Attributes
    ----------
    values, iterations, costs, contexts : ndarray, shape (T,)
        What was chosen, how many iterations it took, what was charged, and the context (NaN where there was none).

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> tuned = linalg.TunedSOR(rng=0)
    >>> for c in np.linspace(0, 0.4, 30):
    ...     x, info = tuned(linalg.stencil((10, 10), [4 + c, -1, -1]), np.ones(100), context=c)
    >>> bool(tuned.iterations[-10:].mean() < tuned.iterations[:10].mean())
    True
    """

    def __init__(
        self, solve: Callable[..., Any], parameter: str = "omega", *, grid: ArrayLike, policy: Any = "auto",
        rng: Seed | None = None, cost: Callable[[Any, Any], float] | None = None,
    ) -> None:  # fmt: skip
        self._solve, self.parameter, self.grid = solve, parameter, grid_of(grid)
        self._rng = _checks.generator(rng)
        self._named = policy if isinstance(policy, str) else getattr(policy, "name", type(policy).__name__)
        policy = "chebyshev" if isinstance(policy, str) and policy == "auto" else policy
        self.policy = make_policy(policy, grid, self._rng)
        self._cost = cost
        self._rounds = []  # what _RECORDS names, one tuple a system: an interruption leaves whole ones

    def __call__(self, A: MatrixLike, b: ArrayLike, *, context: float | None = None, **options: Any) -> Any:
        """Solve A x = b with the parameter that the policy chooses; returns what ``solve`` returns.

        Parameters
        ----------
        A, b : as ``solve`` takes them
        context : float, optional
            A number that describes the system, such as the size of the time step.
        **options
            For ``solve``.
        """
        if self.parameter in options:
            raise InvalidInput(f"`{self.parameter}` is chosen here; call the solver itself to choose it yourself.")
        value = self._value(A, context)
        result = self._solve(A, b, **{self.parameter: value}, **options)
        cost = self._charge(result, value, options.get("maxiter"), np.shape(b)[0])
        number = np.nan if isinstance(value, str) else value
        place = np.nan if context is None else float(context)
        self.policy.observe(cost)
        self._rounds.append((number, int(np.max(result.iterations)), cost, place, self._chance(value)))
        return result

    def _recorded(self, name, dtype=None):
        return np.array([round_[_RECORDS.index(name)] for round_ in self._rounds], dtype)

    def _value(self, A, context):
        return self.policy.choose(context)

    def _chance(self, value):
        """The probability with which the last value was drawn."""
        probabilities = getattr(self.policy, "probabilities", None)
        if probabilities is None or len(probabilities) != self.grid.size:
            return 1.0
        return float(np.clip(probabilities[int(np.argmin(abs(self.grid - value)))], 1e-12, 1.0))

    def _charge(self, result, value, maxiter, n):
        iterations = int(np.max(result.iterations))
        if not result.converged:
            iterations = max(iterations, 10 * n if maxiter is None else int(maxiter))
        if self._cost is None:
            return iterations
        return self._cost(result, value) * max(1.0, iterations / max(1, int(np.max(result.iterations))))

    @property
    def values(self) -> NDArray[Any]:
        return self._recorded("values")

    @property
    def iterations(self) -> NDArray[np.int_]:
        return self._recorded("iterations", int)

    @property
    def costs(self) -> NDArray[Any]:
        return self._recorded("costs")

    @property
    def contexts(self) -> NDArray[np.float64]:
        return self._recorded("contexts")

    def regret(self, costs: ArrayLike | None = None) -> NDArray[Any]:
        """What was charged beyond the best fixed value, summed up to each system; shape (T,).

        Parameters
        ----------
        costs : array_like, shape (T, d), optional
            The cost of every value of the grid on every system, for the exact regret. Without it they are
            estimated: by what the policy has learned ("chebyshev"), else by the mean cost of each value over the
            systems on which it was drawn, each weighed by one over its probability; NaN while none was drawn often
            enough.
        """
        charged = self.costs
        if costs is not None:
            table = _checks.array("costs", costs)
            _checks.shape_is("costs", table, [(charged.size, self.grid.size)], "(systems, values of the grid)")
        elif hasattr(self.policy, "expected") and charged.size:
            table = np.array([self.policy.expected(c if np.isfinite(c) else None) for c in self.contexts])
        else:
            return np.cumsum(charged - self._best_mean())
        return np.cumsum(charged - table[:, int(np.argmin(table.sum(axis=0)))])

    def _best_mean(self):
        """The smallest mean cost of a value, of those that were drawn often enough; NaN where none was."""
        charged, values, weights, means = self.costs, self.values, 1.0 / self._recorded("chances"), []
        for value in np.unique(values[np.isfinite(values)]):
            drawn = values == value
            if weights[drawn].sum() ** 2 >= _LEAST_DRAWS * (weights[drawn] ** 2).sum():
                means.append(np.average(charged[drawn], weights=weights[drawn]))
        return min(means, default=np.nan)

    def plot(self, ax: Any = None) -> Any:
        """Draw the chosen values and the costs over the sequence; returns the two axes."""
        plt = pyplot()
        axes = plt.subplots(2, sharex=True, layout="constrained")[1] if ax is None else ax
        axes[0].plot(self.values, ".", ms=3)
        axes[0].set_ylabel(self.parameter)
        axes[1].plot(self.costs, ".", ms=3, alpha=0.4)
        width = max(1, len(self._rounds) // 50)
        mean = np.convolve(self.costs, np.ones(width) / width, "valid") if self._rounds else []
        axes[1].plot(np.arange(len(mean)) + width // 2, mean, lw=2)
        axes[1].set(xlabel="system", ylabel="cost (iterations)")
        return axes

    def save(self, path: PathLike) -> None:
        """Write what was learned and what happened to an ``.npz`` file, which holds no pickled objects."""
        if not hasattr(self.policy, "state"):
            raise UnsupportedType(
                f"`policy` must be one of this library to be saved, got a {type(self.policy).__name__}; pickle it."
            )
        learned = {f"policy_{k}": v for k, v in self.policy.state().items()}
        happened = {name: self._recorded(name) for name in _RECORDS}
        header = {"parameter": self.parameter, "named": str(self._named)}
        write_model(path, _KIND, {"grid": self.grid} | happened | learned, header)

    def load(self, path: PathLike) -> Self:
        """Take over what ``save`` wrote, and go on from there; returns self.

        Raises
        ------
        InvalidInput
            If the file is no such file, is one for another parameter, or its checksum or records do not agree.
        """
        saved, header = read_model(path, _KIND)
        if header.get("parameter") != self.parameter:
            raise InvalidInput(
                f"`path` must be a file that save() wrote for {self.parameter!r}, got one for "
                f"{header.get('parameter')!r}."
            )
        if not (_of_one_length(saved) and "grid" in saved):
            raise InvalidInput(f"`path` must hold a grid and one record for each system, unlike {str(path)!r}.")
        learned = {k.removeprefix("policy_"): v for k, v in saved.items() if k.startswith("policy_")}
        policy = _Classical(str(learned["classical"])) if "classical" in learned else from_state(learned)
        rounds = list(zip(*(saved[name].tolist() for name in _RECORDS)))
        self.policy, self.grid, self._named, self._rounds = policy, saved["grid"], str(header.get("named")), rounds
        return self

    def __repr__(self):
        mean = f", {np.mean(self.costs):.1f} a system" if self._rounds else ""
        return f"{type(self).__name__}({self.parameter}, {self._named}, {len(self._rounds)} systems{mean})"


def _of_one_length(saved):
    shapes = [saved[name].shape if name in saved else () for name in _RECORDS]
    return len(shapes[0]) == 1 and len(set(shapes)) == 1


class _Classical:
    """What omega was chosen by before anything was learned from a sequence."""

    def __init__(self, name):
        self.name = name

    def choose(self, A):
        return "auto" if self.name == "hageman-young" else omega_optimal(A)

    def observe(self, cost):
        """Nothing goes from one system to the next."""

    def state(self):
        return {"classical": np.array(self.name)}


class TunedSOR(Tuned):
    """``sor`` with omega tuned over a sequence of systems.

    Parameters
    ----------
    policy : str or object, default "auto"
        See ``Tuned``; also two that learn nothing from one system to the next: "hageman-young" (omega adapts within
        each solve) and "lanczos" (Young's formula from an estimate for each system).
    grid : array_like, default linspace(1, 1.95, 20)
    rng : None, int or numpy.random.Generator

    Attributes
    ----------
    omegas, iterations, costs, contexts : ndarray, shape (T,)
        ``omegas`` are NaN where omega changed within the solve.
    """

    def __init__(self, policy: Any = "auto", *, grid: ArrayLike = _OMEGAS, rng: Seed | None = None) -> None:
        if isinstance(policy, str) and policy in ("hageman-young", "lanczos"):
            policy = _Classical(policy)
        super().__init__(sor, "omega", grid=grid, policy=policy, rng=rng)

    @property
    def omegas(self) -> NDArray[Any]:
        return self.values

    def _value(self, A, context):
        return self.policy.choose(A if isinstance(self.policy, _Classical) else context)


class TunedSSORCG(Tuned):
    """``ssor_cg`` with omega tuned over a sequence of systems.

    Parameters
    ----------
    policy, grid, rng : as for ``Tuned``; the grid is linspace(1, 1.95, 20) by default.

    Attributes
    ----------
    omegas, iterations, costs, contexts : ndarray, shape (T,)
    """

    def __init__(self, policy: Any = "auto", *, grid: ArrayLike = _OMEGAS, rng: Seed | None = None) -> None:
        super().__init__(ssor_cg, "omega", grid=grid, policy=policy, rng=rng)

    @property
    def omegas(self) -> NDArray[Any]:
        return self.values


class TunedIncompleteCholesky(Tuned):
    """``cg`` with ``incomplete_cholesky`` as M, its relaxation tuned; parameters as ``TunedSOR``."""

    def __init__(self, policy: Any = "auto", *, grid: ArrayLike = _RELAXATIONS, rng: Seed | None = None) -> None:
        super().__init__(_with_cholesky, "relaxation", grid=grid, policy=policy, rng=rng)


class TunedChebyshev(Tuned):
    """``cg`` with ``chebyshev`` as M, its degree tuned by the products with A; parameters as ``TunedSOR``."""

    def __init__(self, policy: Any = "auto", *, grid: ArrayLike = _DEGREES, rng: Seed | None = None) -> None:
        super().__init__(_with_chebyshev, "degree", grid=grid, policy=policy, rng=rng, cost=_products)


def _with_cholesky(A, b, *, relaxation, **options):
    return cg(A, b, M=incomplete_cholesky(A, relaxation), **options)


def _with_chebyshev(A, b, *, degree, **options):
    return cg(A, b, M=chebyshev(A, int(degree)), **options)


def _products(result, degree):
    return int(np.max(result.iterations)) * degree
