"""Solutions of an equation as functions of its coefficients: in modes where they are diagonal, by solutions else."""

from dataclasses import dataclass

import numpy as np

from ._grid import Grid
from ._linear import Linear
from ._newton import solve_linear
from ._posterior import Posterior, rest_of
from ._sampling import LARGEST

__all__ = ["ByNodes", "InModes", "Observations"]


@dataclass
class Observations:
    """u_obs and f at the nodes of a grid, what the sides make of u, and the Posterior of the rest of u."""

    grid: Grid
    u: np.ndarray
    F: np.ndarray
    lift: np.ndarray
    smooth: Posterior


class InModes:
    """u_k(theta) = (f_k - sum_t theta_t l_tk) / sum_t theta_t mu_tk, with l_t = op_t of what the sides make of u."""

    name, n_matvec = "modes", 0

    def __init__(self, data, terms, known):
        grid, self._data, self._modes = data.grid, data, data.smooth.modes
        modes = self._modes
        lifted = [modes.analyse(_at_nodes(grid, t.constant, data.lift)).ravel() for t in terms]
        self._l, self._mu = np.array(lifted), np.array([modes.symbol(t.constant).ravel() for t in terms])
        self._f = modes.analyse(data.F - _at_nodes(grid, known.constant, data.lift)).ravel()
        self._mu0 = modes.symbol(known.constant).ravel()
        values = data.u - _at_nodes(grid, {(0,) * grid.d: 1.0}, data.lift)
        self._weight = 1.0 / np.sqrt(modes.noise().ravel())
        self._u, self._rest = modes.analyse(values).ravel(), rest_of(grid, values)

    def _u_of(self, theta):
        below = self._mu0 + theta @ self._mu
        with np.errstate(all="ignore"):
            return (self._f - theta @ self._l) / below, below

    def __call__(self, theta):
        """Residuals and the derivatives of u, both in units of the noise at a node."""
        u, below = self._u_of(theta)
        with np.errstate(all="ignore"):
            J = -(self._l + self._mu * u) / below
            return self._weight * (self._u - u), (self._weight * J).T

    def start(self):
        """From the equation with u smoothed, in units of u, so that low modes count most."""
        c, size = self._data.smooth.mean.ravel(), np.maximum(np.abs(self._mu).max(axis=0), 1e-300)
        rows = (self._mu * c + self._l) / size
        return np.linalg.lstsq(rows.T, (self._f - self._mu0 * c) / size, rcond=None)[0]

    def mean_square(self, cost):
        return (cost + self._rest.squares / self._rest.variance) / (self._u.size + self._rest.count)

    def variance(self, cost, q):
        count = self._u.size + self._rest.count
        return self.mean_square(cost) * count / max(count - q, 1.0)

    def solution(self, theta):
        u = self._u_of(theta)[0]
        # Where theta has no solution, what there is of one.
        u = np.where(np.abs(u) <= LARGEST, u, 0.0).reshape(self._modes.shape)
        U = self._data.lift + self._modes.coefficients(u)
        return _at_nodes(self._data.grid, {(0,) * self._data.grid.d: 1.0}, U)


class ByNodes:
    """The same by a solution for u and one for each derivative."""

    def __init__(self, data, terms, known):
        self._data, self.n_matvec, self.name = data, 0, "solutions"
        nodes = data.grid.nodes
        self._terms, self._known = [t.coefficients(nodes) for t in terms], known.coefficients(nodes)

    def _solved(self, theta):
        coefficients = dict(self._known)
        for t, term in zip(theta, self._terms, strict=True):
            for index, c in term.items():
                coefficients[index] = coefficients.get(index, 0.0) + t * c
        U, linear = solve_linear(self._data.grid, coefficients, self._data.F, form=Linear)
        self.name = linear.name
        return U, linear

    def __call__(self, theta):
        grid = self._data.grid
        U, linear = self._solved(theta)
        if linear.singular:
            return np.full(self._data.u.size, np.inf), np.full((self._data.u.size, len(theta)), np.nan)
        columns = []
        for term in self._terms:
            V = grid.outer(linear.solve(-grid.test(grid.apply(term, U))))
            columns.append(self._values(V).ravel())
        self.n_matvec += linear.n_matvec
        return (self._data.u - self._values(U)).ravel(), np.array(columns).T

    def _values(self, U):
        return _at_nodes(self._data.grid, {(0,) * self._data.grid.d: 1.0}, U)

    def start(self):
        grid, data = self._data.grid, self._data
        U = data.lift + data.smooth.modes.coefficients(data.smooth.mean)
        rows = np.array([_at_nodes(grid, term, U).ravel() for term in self._terms])
        right = data.F - _at_nodes(grid, self._known, U)
        return np.linalg.lstsq(rows.T, right.ravel(), rcond=None)[0]

    def mean_square(self, cost):
        return cost / self._data.u.size

    def variance(self, cost, q):
        return cost / max(self._data.u.size - q, 1)

    def solution(self, theta):
        return self._values(self._solved(theta)[0])


def _at_nodes(grid, coefficients, U):
    return grid.apply(coefficients, U) / grid.root if coefficients else np.zeros(grid.sizes)
