"""Newton's method for L u + N(u) = f, with a line search, and continuation in the strength of N where that fails."""

import numpy as np

from .._errors import UnsupportedType
from ._linear import Linear
from ._sampling import LARGEST

__all__ = ["Newton", "Nonlinear", "solve_linear"]

# The error after a step is about its square, or the inner tolerance times its length: after a step as small as this
# beside u none is needed. Where no step lowers the residual, one of this size was hidden by rounding.
_LAST, _SMALL, _INNER_RTOL = 3e-8, 1e-8, 1e-7
_HALVINGS, _STEPS = 8, 30
# So many steps that have not halved the residual together lead nowhere, nor does one that GMRES left this much of.
_PATIENCE, _UNSOLVED = 6, 0.01
# Continuation: the first and the least step in the strength of N.
_FIRST_STEP, _LEAST_STEP = 0.25, 1.0 / 64


class Nonlinear:
    """N and its derivative, called with u and, where they take them, the coordinates."""

    def __init__(self, N, dN, with_coordinates):
        self._N, self._dN, self._with = N, dN, with_coordinates

    def __call__(self, u, mesh):
        return self._of("nonlinear[0]", self._N, u, mesh)

    def derivative(self, u, mesh):
        return self._of("nonlinear[1]", self._dN, u, mesh)

    def _of(self, name, function, u, mesh):
        """Values of u's shape, which may be infinite or NaN where a step has gone too far."""
        with np.errstate(all="ignore"):
            values = function(u.copy(), *map(np.array, mesh)) if self._with else function(u.copy())
        try:
            values = np.asarray(values)
            if values.dtype.kind not in "biuf":
                raise TypeError
            return np.broadcast_to(values.astype(np.float64, copy=False), u.shape)
        except (TypeError, ValueError):
            kind = f"an array of shape {values.shape} and dtype {values.dtype}"
            raise UnsupportedType(
                f"`{name}` must give real numbers of the shape of u, {u.shape}, got {kind}."
            ) from None


def solve_linear(grid, coefficients, F, rtol=_INNER_RTOL, form=Linear):
    """Coefficients of the solution of L u = F (values at the nodes), and the Linear that made them; rtol is GMRES's."""
    U, linear = grid.lifted(getattr(form, "lifts", lambda grid: None)(grid)), form(grid, coefficients)
    if not linear.singular:
        right = grid.test(grid.root * F) - grid.tested(coefficients, U)
        U = U + grid.outer(linear.solve(right, rtol))
    if linear.free:
        one = grid.project(np.ones(grid.sizes))
        U = U - one * (np.vdot(one, U) / np.vdot(one, one))
    return U, linear


class Newton:
    """Newton's method on one grid.

    Attributes
    ----------
    steps : int
    n_matvec, krylov : int
        Products and steps of the inner method.
    residuals : list of float
        Norms of the tested residual over that of f.
    linear : Linear
        Of the last step.
    """

    def __init__(self, grid, coefficients, F, N, maxiter):
        self._grid, self._coefficients, self._F, self._N = grid, coefficients, F, N
        self._maxiter, self._zero = maxiter, (0,) * grid.d
        self.steps = self.n_matvec = self.krylov = 0
        self.residuals, self.linear = [], None

    def solve(self, U):
        """The solution from U, and whether it is one; if need be by continuation from the linear problem."""
        done, found = self._run(U, 1.0)
        if done:
            return found, True
        strength, step = 0.0, _FIRST_STEP
        while strength < 1.0 and step >= _LEAST_STEP and self.steps < self._maxiter:
            target = min(1.0, strength + step)
            done, found = self._run(U, target)
            if done:
                strength, U, step = target, found, 2 * step
            else:
                step /= 2
        return U, strength == 1.0

    def _run(self, U, strength):
        """Newton's steps for one strength of N: whether they converged, and where they ended."""
        right, norm = self._residual(U, strength)
        if right is None:
            return False, U
        scale = max(float(np.linalg.norm(self._grid.root * self._F)), norm, 1e-300)
        self.residuals.append(norm / scale)
        norms = [norm]
        for _ in range(_STEPS):
            slow = len(norms) > _PATIENCE and norm > 0.5 * norms[-1 - _PATIENCE]
            if slow or not np.isfinite(norm) or self.steps >= self._maxiter:
                break
            step = self._step(U, right, strength)
            if step is None:
                break
            self.steps += 1
            length = float(np.linalg.norm(step)) / max(float(np.linalg.norm(U)), 1e-300)
            better = self._search(U, step, norm, strength)
            if better is None:
                return length <= _SMALL, U
            U, right, norm = better
            norms.append(norm)
            self.residuals.append(norm / scale)
            if length <= _LAST:
                return True, U
        return False, U

    def _step(self, U, right, strength):
        slope = strength * self._N.derivative(self._values(U), self._grid.nodes)
        if not np.all(np.abs(slope) <= LARGEST):
            return None
        changed = self._coefficients | {self._zero: self._coefficients.get(self._zero, 0.0) + slope}
        self.linear = linear = Linear(self._grid, changed)
        if linear.singular:
            return None
        step = self._grid.outer(linear.solve(right, _INNER_RTOL))
        self.n_matvec, self.krylov = self.n_matvec + linear.n_matvec, self.krylov + linear.iterations
        return step if linear.unsolved <= _UNSOLVED else None

    def _search(self, U, step, norm, strength):
        """The longest of some steps that lowers the residual, or None."""
        for halving in range(_HALVINGS):
            trial = U + 0.5**halving * step
            right, after = self._residual(trial, strength)
            if np.isfinite(after) and after < (1.0 - 1e-4 * 0.5**halving) * norm:
                return trial, right, after
        return None

    def _residual(self, U, strength):
        grid = self._grid
        N = self._N(self._values(U), grid.nodes)
        if not np.all(np.abs(N) <= LARGEST):
            return None, np.inf
        right = grid.test(grid.root * (self._F - strength * N)) - grid.tested(self._coefficients, U)
        return right, float(np.linalg.norm(right))

    def _values(self, U):
        return self._grid.apply({self._zero: 1.0}, U) / self._grid.root
