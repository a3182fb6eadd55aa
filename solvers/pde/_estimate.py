"""How far the solution is from the truth, told from where it was not asked to be right: between the nodes."""

from dataclasses import dataclass

import numpy as np

from ..linalg._kron import mode_products

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """Relative errors of u in the mean square: their sum, and its parts.

    Attributes
    ----------
    error : float
        Their sum over what it leaves of u; infinite from a half on.
    residual : float
        What the residual between the nodes, as far as the basis can represent it, moves u by.
    beyond : float
        What is left of the residual, over the operator's symbol above the band, and over u.
    sides : float
        The gap to the data at the sides, between their nodes.
    rounding : float
        What the rounding of the terms at the nodes moves u by.
    relative_residual : float
        The norm of the residual between the nodes, over the size of the terms.
    """

    error: float
    residual: float
    beyond: float
    sides: float
    rounding: float
    relative_residual: float


def estimate(grid, terms, f, N, U, linear):
    """Estimate the error of U from the residual between the nodes.

    The residual is split: its part in the span of the basis goes through the operator's inverse, at the cost of one
    more solution; the rest is of frequencies that the basis does not have, all of which lie above its band, and the
    inverse divides it by the operator's symbol there.
    """
    points = [axis.between for axis in grid.axes]
    mesh = np.ix_(*points)
    zero = (0,) * grid.d
    coefficients = terms.coefficients(mesh)
    parts = [np.asarray(c) * grid.apply_at({index: 1.0}, U, points) for index, c in coefficients.items()]
    u = grid.apply_at({zero: 1.0}, U, points)
    if N is not None:
        parts.append(N(u, mesh))
    right = f(mesh)
    residual = right - sum(parts)
    size, unorm = max(_rms(right), _rms(sum(np.abs(p) for p in parts))), _rms(u)
    bases = [axis.at(x) @ axis.Z for axis, x in zip(grid.axes, points, strict=True)]
    inside = mode_products([np.linalg.pinv(E, rcond=1e-12) for E in bases], residual)
    moved = mode_products(bases, linear.solve_function(inside))
    beyond = residual - mode_products(bases, inside)
    gap, data = grid.at_sides(U)
    noise = np.random.default_rng(0).standard_normal(grid.nodes[0].size if grid.d == 1 else grid.sizes)
    noise *= _rounding(grid) * _rms(sum(np.abs(p) for p in parts))
    shaken = mode_products(bases, linear.solve(grid.test(grid.root * noise)))
    unorm, size = max(unorm, 1e-300), max(size, 1e-300)
    found = [
        _rms(moved) / unorm,
        _rms(beyond) / (_symbol(grid, coefficients) * unorm),
        gap / max(unorm, data),
        _rms(shaken) / unorm,
    ]
    found = [float(e) if np.isfinite(e) else np.inf for e in found]
    # These are parts of the u at hand; what they leave of it is the least that the true one can be, and where they
    # are most of it, or the residual is as large as the terms, nothing is known.
    total, relative = sum(found), float(_rms(residual) / size)
    return Estimate(total / (1.0 - total) if total < 0.5 and relative < 0.5 else np.inf, *found, relative)


def _symbol(grid, coefficients):
    """What the operator multiplies a function by that oscillates faster than the band of some axis."""
    along = []
    for i, axis in enumerate(grid.axes):
        terms = [(index[i], _rms(c)) for index, c in coefficients.items() if sum(index) == index[i] > 0]
        along.append(sum(c * axis.band**k for k, c in terms))
    return max(min((a for a in along if a > 0), default=1.0), 1e-300)


def _rounding(grid):
    """The relative rounding of a feature: that of its phase."""
    phases = (axis.omegas.max() * max(abs(axis.low), abs(axis.high)) for axis in grid.axes)
    return np.finfo(np.float64).eps * max(1.0, *phases)


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values))))
