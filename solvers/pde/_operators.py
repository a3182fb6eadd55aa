"""Linear differential operators as mappings from multi-indices to coefficients, and their checks.

``{(2, 0): 1.0, (0, 2): 1.0, (0, 0): c}`` is u_xx + u_yy + c u, where c is a number or a function of (x, y).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._checks import brief
from .._errors import InvalidInput, UnsupportedType
from ._sampling import LARGEST, bounded, evaluate

__all__ = ["Terms", "advection", "div_grad", "helmholtz", "laplacian"]

# Derivatives of products of features in every order are exact, but no term beyond these has been tried.
_HIGHEST = 4


def laplacian(d: int) -> dict[tuple[int, ...], Any]:
    """Return the Laplace operator in d dimensions, the sum of the second derivatives.

    Examples
    --------
    >>> from solvers import pde
    >>> pde.laplacian(2)
    {(2, 0): 1.0, (0, 2): 1.0}
    """
    d = _dimension(d)
    return {tuple(2 * (i == j) for j in range(d)): 1.0 for i in range(d)}


def helmholtz(d: int, k: float) -> dict[tuple[int, ...], Any]:
    """Return the Helmholtz operator Delta u + k^2 u with wavenumber k, in radians per unit of length.

    Examples
    --------
    >>> from solvers import pde
    >>> pde.helmholtz(1, 3.0)
    {(2,): 1.0, (0,): 9.0}
    """
    k = bounded("k", _checks.number("k", k))
    return laplacian(d) | {(0,) * _dimension(d): k * k}


def advection(b: Sequence[float | Callable[..., Any]]) -> dict[tuple[int, ...], Any]:
    """Return b . grad u; the entries of b are numbers or functions of the coordinates.

    Examples
    --------
    >>> from solvers import pde
    >>> pde.advection([200.0, 1.0])
    {(1, 0): 200.0, (0, 1): 1.0}
    """
    if not isinstance(b, list | tuple) and not (isinstance(b, np.ndarray) and b.ndim == 1):
        got = brief(b)
        raise UnsupportedType(f"`b` must be a sequence of numbers or functions, one for each dimension, got {got}.")
    d = len(b)
    if not 1 <= d <= 3:
        raise InvalidInput(f"`b` must have 1, 2 or 3 entries, one for each dimension, got {d}.")
    return {tuple(int(i == j) for j in range(d)): b[i] for i in range(d)}


def div_grad(
    a: Callable[..., Any], gradient: Sequence[Callable[..., Any]] | None = None, d: int | None = None
) -> dict[tuple[int, ...], Any]:
    """Return div(a grad u) = a Delta u + grad a . grad u.

    Parameters
    ----------
    a : callable
        A function of the coordinates, one array each.
    gradient : sequence of callable, optional
        Its partial derivatives. By default they are taken by complex steps, which are exact to rounding where a is
        built of analytic NumPy functions, and by differences of sixth order, to some ten digits, elsewhere.
    d : int, optional
        The number of dimensions; by default the number of arguments of a, or of entries of the gradient.

    Examples
    --------
    >>> from solvers import pde
    >>> sorted(pde.div_grad(lambda x, y: 2 + x * y))
    [(0, 1), (0, 2), (1, 0), (2, 0)]
    """
    if not _checks.is_function(a):
        raise UnsupportedType(
            f"`a` must be a function of the coordinates, got {brief(a)}; a number times laplacian(d) else."
        )
    if gradient is not None:
        if not isinstance(gradient, list | tuple) or not all(map(_checks.is_function, gradient)):
            got = brief(gradient)
            raise UnsupportedType(f"`gradient` must be a list of functions, one for each dimension, got {got}.")
        d = len(gradient) if d is None else d
    d = _dimension(_arguments(a) if d is None else d)
    if gradient is None:
        gradient = [_partial(a, axis) for axis in range(d)]
    if len(gradient) != d:
        raise InvalidInput(f"`gradient` must have {d} entries, got {len(gradient)}.")
    return dict.fromkeys(laplacian(d), a) | advection(gradient)


def _arguments(a):
    import inspect

    try:
        parameters = inspect.signature(a).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)
    if not 1 <= count <= 3:
        raise InvalidInput(f"`d` must be given where `a` does not show its 1 to 3 coordinates, got {count} of them.")
    return count


def _partial(a, axis):
    def derivative(*x):
        exact = _complex_step(a, axis, x)
        rough = _differences(a, axis, x)
        if exact is None or not np.allclose(exact, rough, rtol=1e-6, atol=1e-6 * (np.max(np.abs(rough)) + 1e-300)):
            return rough
        return exact

    return derivative


def _complex_step(a, axis, x):
    """Im a(x + i h) / h, or None where a cannot take complex numbers."""
    h = 1e-30
    shifted = [xi + 1j * h if i == axis else xi for i, xi in enumerate(x)]
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(a(*shifted))
    except Exception:  # whatever the user's function says of complex numbers, real ones will do
        return None
    return values.imag / h if values.dtype.kind == "c" and np.all(np.isfinite(values)) else None


def _differences(a, axis, x):
    """Central differences of sixth order."""
    h = 2e-3 * max(1e-3, float(np.ptp(x[axis])) if np.size(x[axis]) > 1 else 1.0)
    total = 0.0
    for k, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
        up, down = (a(*(xi + s * k * h if i == axis else xi for i, xi in enumerate(x))) for s in (1, -1))
        total = total + weight * (np.asarray(up, float) - np.asarray(down, float))
    return total / (60.0 * h)


def _dimension(d):
    d = _checks.count("d", d)
    if d > 3:
        raise InvalidInput(f"`d` must be 1, 2 or 3, got {d}.")
    return d


class Terms:
    """A checked operator: its terms with constant coefficients, and those whose coefficients vary.

    ``part`` says that it is a part of one, which may have no derivative, or no term at all.

    Attributes
    ----------
    d : int
    constant : dict, multi-index to float
    varying : dict, multi-index to callable
    """

    def __init__(self, op, d, name="op", part=False):
        if not isinstance(op, Mapping) or not (op or part):
            raise UnsupportedType(
                f"`{name}` must be a mapping of multi-indices to coefficients, such as laplacian({d}), got {brief(op)}."
            )
        self.d, self.constant, self.varying = d, {}, {}
        for index, coefficient in op.items():
            index = _index(index, d)
            if _checks.is_function(coefficient):
                self.varying[index] = coefficient
            else:
                value = _checks.number(f"{name}[{index}]", coefficient)
                if value and not 1.0 / LARGEST <= abs(value) <= LARGEST:
                    raise InvalidInput(
                        f"`{name}[{index}]` must be finite, and 0 or from {1 / LARGEST:g} to {LARGEST:g} in size, got "
                        f"{value!r}; take other units."
                    )
                if value:
                    self.constant[index] = value
        if not part and not any(sum(index) for index in (*self.constant, *self.varying)):
            raise InvalidInput("`op` must have a derivative, got coefficients of u alone.")

    def orders(self, axis):
        """The orders of derivatives along an axis, in rising order."""
        return sorted({0} | {index[axis] for index in (*self.constant, *self.varying)})

    @property
    def separable(self):
        """Whether all coefficients are constant and no derivative is mixed."""
        return not self.varying and all(np.count_nonzero(index) <= 1 for index in self.constant)

    def coefficients(self, grid):
        """All coefficients on a grid: numbers, and arrays of the grid's shape."""
        return self.constant | {index: evaluate(f"op[{index}]", c, grid) for index, c in self.varying.items()}


def _index(index, d):
    entries = (index,) if isinstance(index, int | np.integer) else index
    if (
        not isinstance(entries, tuple)
        or len(entries) != d
        or not all(isinstance(e, int | np.integer) and not isinstance(e, bool) and 0 <= e <= _HIGHEST for e in entries)
    ):
        raise InvalidInput(
            f"`op` must have multi-indices of {d} orders from 0 to {_HIGHEST}, as `box` has {d} dimensions, "
            f"got {brief(index)}."
        )
    return tuple(int(e) for e in entries)
