"""The box as a grid of axes: functions on it, their coefficients, and the data at its sides."""

import numpy as np

from .. import _backend
from .._errors import InvalidInput
from .._tensors import mode_products, outer
from ._axis import Axis

__all__ = ["Grid"]


class Grid:
    """The product of the axes.

    Parameters
    ----------
    box : list of (low, high)
    sizes : tuple of int
        Nodes of each axis.
    kernels : sequence of objects with ``features``
    boundary : Boundary
    terms : Terms
    kind : "legendre" or "uniform"
    backend : "cpu" or "gpu"
        Where products of the grid's size run. Bases and factorisations, which are small, are made on the host.
    """

    def __init__(self, box, sizes, kernels, boundary, terms, kind, backend="cpu"):
        self.box, self.sizes, self.boundary, self.d, self.backend = box, sizes, boundary, len(box), backend
        made = []
        self.axes = []
        for i in range(self.d):
            given = (*box[i], sizes[i], kernels[i], boundary.ends[i], terms.orders(i), kind)
            # Equal axes are one, whose basis is made once.
            same = (axis for axis, of in zip(self.axes, made, strict=True) if of == given)
            self.axes.append(next(same, None) or Axis(*given))
            made.append(given)
        for i, axis in enumerate(self.axes):
            if axis.r <= len(axis.ends):
                raise InvalidInput(f"`n` must give axis {i} more than {len(axis.ends)} unknowns, got {axis.r}.")
        self.nodes = np.ix_(*(axis.x for axis in self.axes))
        self.root = outer([axis.root for axis in self.axes])
        self.shape = tuple(axis.Z.shape[1] for axis in self.axes)

    def __getstate__(self):
        # Users' functions at the sides often cannot be pickled, and solutions no longer need them.
        return self.__dict__ | {"boundary": None}

    @property
    def frequencies(self):
        """What each axis was given, in radians per unit of length."""
        return tuple(np.unique(np.round(axis.omegas, 12)) for axis in self.axes)

    def multiply(self, As, X):
        """``mode_products`` where the backend is: matrices and X are shipped to a GPU, and the answer comes back."""
        if self.backend == "cpu":
            return mode_products(As, X)
        kernels = _backend.kernels(self.backend)
        there = [kernels.to_device(A, A.dtype) for A in (*As, X)]
        return kernels.to_host(mode_products(there[:-1], there[-1]))

    def project(self, values):
        """Coefficients of values at the nodes: shape (r_1, ..., r_d)."""
        return self.multiply([axis.project for axis in self.axes], values)

    def inner(self, U):
        """Coefficients tested by what is zero at the sides: Z^T U."""
        return mode_products([axis.Z.T for axis in self.axes], U)

    def test(self, weighted):
        """What a residual (at the nodes, times the root of the weights) is held against.

        On a line all nodes count, by least squares; else its part in the span of what is zero at the sides.
        """
        if self.d == 1:
            return weighted
        return self.inner(self.multiply([axis.Q.T for axis in self.axes], weighted))

    def outer(self, C):
        """Coefficients of a function that is zero at the sides: Z C."""
        return mode_products([axis.Z for axis in self.axes], C)

    def apply(self, coefficients, U):
        """sum of c times derivatives of U at the nodes, times the root of the weights."""
        return self.sum_of(coefficients, U, [axis.E for axis in self.axes])

    def tested(self, coefficients, U):
        """``test`` of ``apply``: terms whose coefficients are numbers never leave the space of coefficients."""
        if self.d == 1:
            return self.apply(coefficients, U)
        numbers = {index: c for index, c in coefficients.items() if np.ndim(c) == 0}
        varying = {index: c for index, c in coefficients.items() if np.ndim(c)}
        right = self.inner(self.sum_of(numbers, U, [axis.D for axis in self.axes])) if numbers else 0.0
        return right + self.test(self.apply(varying, U)) if varying else right

    def apply_at(self, coefficients, U, points):
        """The same, unweighted, on the grid of some points of each axis; ``coefficients`` are of that grid."""
        return self.sum_of(coefficients, U, self.bases_at(points, coefficients))

    def bases_at(self, points, indices):
        """For each axis the derivatives of its basis, by order, that some multi-indices have, at some points."""
        found = []
        for i, (axis, x) in enumerate(zip(self.axes, points, strict=True)):
            orders = {index[i] for index in indices}
            same = (k for k in range(i) if self.axes[k] is axis and points[k] is x and found[k].keys() == orders)
            before = next(same, None)
            found.append(axis.at_all(x, orders) if before is None else found[before])
        return found

    def sum_of(self, coefficients, U, bases):
        """sum of c times derivatives of U in the bases of ``bases_at``."""
        total = 0.0
        for index, c in coefficients.items():
            total = total + c * self.multiply([basis[k] for basis, k in zip(bases, index, strict=True)], U)
        return total

    def lifted(self, lifts=None):
        """Coefficients of the function of least prior norm with the data at the sides, or of that by other lifts.

        One axis after another: what an axis adds is zero at the sides of those before it, as far as the data agree.
        """
        U = np.zeros(tuple(axis.r for axis in self.axes))
        lifts = [axis.lift for axis in self.axes] if lifts is None else lifts
        for i, axis in enumerate(self.axes):
            if not axis.ends:
                continue
            others = [other for k, other in enumerate(self.axes) if k != i]
            faces = [
                mode_products([o.project for o in others], self.boundary.values(i, side, [o.x for o in others]))
                for side, _ in axis.ends
            ]
            have = np.moveaxis(np.tensordot(axis.B, U, (1, i)), 0, i)
            U = U + np.moveaxis(np.tensordot(lifts[i], np.stack(faces, axis=i) - have, (1, i)), 0, i)
        return U

    def carried(self, other, V, U):
        """The function V of another grid of the same box on this one, with the data at the sides that U has."""
        values = other.apply_at({(0,) * self.d: 1.0}, V, [axis.x for axis in self.axes])
        return U + self.outer(self.inner(self.project(values) - U))

    def at_sides(self, U):
        """The largest difference to the data at the sides, between the nodes, relative to the data's largest."""
        gap, size = 0.0, 0.0
        for i, axis in enumerate(self.axes):
            others = [other for k, other in enumerate(self.axes) if k != i]
            points = [o.between for o in others]
            for row, (side, _) in zip(axis.B, axis.ends, strict=True):
                face = np.tensordot(row, U, (0, i))
                here = mode_products([o.at(x) for o, x in zip(others, points, strict=True)], face)
                data = self.boundary.values(i, side, points)
                gap, size = max(gap, float(np.max(np.abs(here - data)))), max(size, float(np.max(np.abs(data))))
        return gap, size
