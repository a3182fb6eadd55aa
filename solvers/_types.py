"""What several public signatures take, by one name each; for readers and type checkers, never checked at run time.

Where what comes back depends on the values of the arguments, it is annotated as ``common case | Any``: the common
case is checked, and no other one is refused.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Box",
    "Callback",
    "DifferentialOperator",
    "Executor",
    "Function",
    "MatrixLike",
    "PathLike",
    "Penalty",
    "Seed",
    "Sides",
]


class _Shaped(Protocol):
    """What sparse arrays, SciPy's operators and those of this library have in common."""

    @property
    def shape(self) -> tuple[int, ...]: ...


class _OnChunk(Protocol):
    """What is told after each chunk of iterations, such as ``solvers.progress()``."""

    def on_chunk(self, iteration: Any, norm: Any, /) -> object: ...


class Executor(Protocol):
    """What runs a batch: any executor of concurrent.futures, of Dask or of MPI."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any: ...


#: A matrix: an array, a sparse array, an operator, or its product with a vector as a function.
MatrixLike: TypeAlias = ArrayLike | _Shaped | Callable[[Any], Any]
Callback: TypeAlias = Callable[..., object] | _OnChunk
#: Of the marginals in unbalanced transport: one price, or a pair of prices and vectors of them.
Penalty: TypeAlias = float | tuple[ArrayLike | None, ArrayLike | None]
Seed: TypeAlias = int | np.random.Generator
PathLike: TypeAlias = str | os.PathLike[str]

# ---- differential equations ----

#: A pair (low, high) for each axis.
Box: TypeAlias = Sequence[Sequence[float]] | NDArray[Any]
#: A function of the coordinates, a number, or values at the nodes.
Function: TypeAlias = Callable[..., Any] | ArrayLike
#: From multi-indices to numbers or functions of the coordinates. (A Mapping's keys take no supertype, hence Any.)
DifferentialOperator: TypeAlias = Mapping[Any, SupportsFloat | Callable[..., Any]]
#: What is known at all sides, or from (axis, side) to it.
Sides: TypeAlias = Callable[..., Any] | SupportsFloat | Mapping[Any, Any]
