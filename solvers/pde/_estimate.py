"""How far the solution is from the truth, told from where it was not asked to be right: between the nodes."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg

__all__ = ["Estimate", "estimate"]

# Points of an axis to one unknown where not all gaps between the nodes are looked into.
_TO_UNKNOWNS = 1.5
# Estimates of a fifth of u and more have been seen at solutions that were wrong by its hundredfold.
_KNOWN = 0.2
# A residual below this part of what the operator makes of the shortest waves is no doubt about u.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Estimate:
    """Relative errors of u in the mean square: their sum, and its parts.

    Attributes
    ----------
    error : float
        Their sum over what it leaves of u; infinite from a fifth on.
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

    Where f is known at the nodes alone, the residual there stands for it, as far as it is no part of what was solved:
    see ``_left_out``.
    """
    noise = np.random.default_rng(0).standard_normal(grid.sizes)
    points = _of_each(grid, [f] * grid.d, lambda axis, _: axis.x if f.shape is not None else _between(axis, grid.d))
    coefficients = terms.coefficients(np.ix_(*points))
    at = grid.bases_at(points, (*coefficients, (0,) * grid.d))
    u, size, residual, spread = _residual(grid, coefficients, f, N, U, points, at)
    unorm, size = max(_rms(u), 1e-300), max(size, 1e-300)
    if not np.all(np.isfinite(residual)):
        return Estimate(*[np.inf] * 6)
    bases = _of_each(grid, at, lambda axis, own: own[0] @ axis.Z)
    if f.shape is None and grid.d == 1:
        moved, left = _on_the_line(grid.axes[0], coefficients, N, u, points[0], residual, at[0])
        beyond = _rms(left)
    elif f.shape is None:
        inside = grid.multiply(_of_each(grid, bases, lambda _, E: np.linalg.pinv(E, rcond=1e-12)), residual)
        moved = linear.solve_function(inside)
        beyond = _rms(residual - grid.multiply(bases, inside))
    else:
        beyond = _left_out(grid, residual)
        moved = linear.solve(grid.test(grid.root * (min(beyond, 1e300) * noise)))
    gap, data = grid.at_sides(U)
    shaken = linear.solve(grid.test(grid.root * (_rounding(grid) * spread * noise)))
    with np.errstate(all="ignore"):
        found = [
            _rms(grid.multiply(bases, moved)) / unorm,
            beyond / (_symbol(grid, coefficients) * unorm),
            gap / max(unorm, data, 1e-300),
            _mean_square(grid, shaken) / unorm,
        ]
    found = [float(e) if np.isfinite(e) else np.inf for e in found]
    # These are parts of the u at hand; what they leave of it is the least that the true one can be, and where they
    # are much of it, or the residual is as large as the terms, nothing is known.
    total, relative = sum(found), float(_rms(residual) / size)
    # Where all terms cancel to nothing, as those of a constant do, it is u's own size that counts.
    against = max(size, _NOTHING * _symbol(grid, coefficients) * unorm)
    apart = _rms(residual) < (0.5 if f.shape is None else 0.1) * against
    known = total < _KNOWN and apart and linear.unsolved < 0.1
    return Estimate(total / (1.0 - total) if known else np.inf, *found, relative)


def _of_each(grid, given, make):
    """make(axis, its own of ``given``) for each axis; once for those that are one."""
    made = []
    for i, axis in enumerate(grid.axes):
        same = (made[k] for k in range(i) if grid.axes[k] is axis and given[k] is given[i])
        before = next(same, None)
        made.append(make(axis, given[i]) if before is None else before)
    return made


def _on_the_line(axis, coefficients, N, u, x, residual, at):
    """What the residual moves u by, and what is left of it: by least squares between the nodes.

    Not by the equations at the nodes: with almost as many unknowns, the residual has been made small there.
    """
    terms = dict(coefficients)
    if N is not None:
        with np.errstate(all="ignore"):
            terms[0,] = terms.get((0,), 0.0) + np.asarray(N.derivative(u, np.ix_(x)))
    A = sum(np.broadcast_to(c, x.shape)[:, None] * (at[k] @ axis.Z) for (k,), c in terms.items())
    size = np.linalg.norm(A, axis=0)
    size[size == 0] = 1.0
    if not (np.all(np.isfinite(A)) and np.all(np.isfinite(residual))):
        return np.full(A.shape[1], np.inf), residual
    C = scipy.linalg.lstsq(A / size, residual, cond=1e-13, lapack_driver="gelsy")[0] / size
    return C, residual - A @ C


def _residual(grid, coefficients, f, N, U, points, at):
    """u on the grid of some points, the size of the equation's terms, their residual, and the terms' own size."""
    mesh = np.ix_(*points)
    u = grid.sum_of({(0,) * grid.d: 1.0}, U, at)
    right = f(mesh)
    residual, spread = right.copy(), np.zeros(u.shape)
    for index, c in coefficients.items():
        part = c * grid.sum_of({index: 1.0}, U, at)
        residual -= part
        spread += np.abs(part, out=part)
    if N is not None:
        with np.errstate(all="ignore"):
            part = np.asarray(N(u, mesh))
        residual -= part
        spread += np.abs(part)
    spread = _rms(spread)
    return u, max(_rms(right), spread), residual, spread


def _between(axis, d):
    """Points between the nodes: in three dimensions not in all gaps, but half again as many as the unknowns."""
    points = axis.between
    if d < 3:
        return points
    count = min(len(points), math.ceil(_TO_UNKNOWNS * axis.r) + 8)
    return points[np.linspace(0, len(points) - 1, count).round().astype(int)]


def _left_out(grid, residual):
    """The root mean square of what the equation misses between the nodes, from the residual at them.

    Of n nodes to an axis, r - k have been spent on as many unknowns: the rest is left out of the solution, and by
    generalised cross-validation a point that was no node would see n / (n - r + k) times their residual. Infinite
    where nine tenths are spent; and a wave too short for the nodes is seen by none of this.
    """
    spent = np.prod([len(axis.Z.T) / axis.n for axis in grid.axes])
    return _rms(residual) / (1.0 - spent) if spent < 0.9 else np.inf


def _mean_square(grid, C):
    """The root mean square of a function with coefficients C, whose basis is orthonormal on the box."""
    return np.linalg.norm(C) / np.sqrt(np.prod([high - low for low, high in grid.box]))


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
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(np.square(values))))
