"""The multigrid cycle M = S' + (I - S A) c P B P^T (I - A S) on levels of aggregates.

S r is K Richardson steps in D^-1 A with the roots w, so S = p(D^-1 A) D^-1 with 1 - t p(t) = prod (1 - w_i t) =: q(t),
and S' = 2 S - S A S. The eigenvalues of D^-1 A lie in [0, 2] (Gershgorin), so S' is positive definite if |q| < 1 on
(0, 2]; the other term is positive semidefinite for every c > 0, every P and every positive semidefinite B. So M is
symmetric positive definite whatever c and the interpolation weight g are. B is the same cycle one level down.
"""

import numpy as np

from .. import _backend

__all__ = ["Hierarchy", "certificate", "chebyshev_roots", "textbook"]

# Cells of the coarsest level, whose system is solved by a dense inverse.
_COARSEST = 100


def chebyshev_roots(K, low, high=2.0):
    """The inverses of the Chebyshev points of the interval."""
    points = np.cos((2 * np.arange(K) + 1) * np.pi / (2 * K))
    return 1 / ((high + low) / 2 + (high - low) / 2 * points)


def textbook(K=2, c=2.0, g=0.0, low=0.5):
    """Chebyshev smoothing of the upper part of the spectrum, and the correction doubled: aggregates are too stiff."""
    return np.array([[*chebyshev_roots(K, low), c, g]])


def certificate(roots):
    """The largest |prod (1 - w t)| on [0, 2], or infinity where it leaves 1 upwards at 0; below 1: S' is definite.

    At t = 0 the product is 1: its slope there is -sum(w), so the sum must be positive. The largest value on the rest
    is at t = 2 or at a root of the derivative; 1 itself is not attained there if the answer is below 1.
    """
    roots = np.asarray(roots, dtype=float)
    if not (np.isfinite(roots).all() and roots.sum() > 0 and np.abs(roots).max() < 1e6):
        return np.inf
    q = np.polynomial.Polynomial([1.0])
    for w in roots:
        q = q * np.polynomial.Polynomial([1.0, -w])
    extrema = q.deriv().roots() if roots.size > 1 else np.zeros(0)
    # A double root of the derivative may come out as a pair with small imaginary parts: its real part serves.
    points = [2.0, *(t for t in np.real(extrema) if 0 < t < 2)]
    return float(np.abs(q(np.array(points))).max())


class Hierarchy:
    """The levels of one grid, from the finest to one that is solved directly; used by any parameters."""

    def __init__(self, grid, dtype=np.float64):
        cpu = self._kernels = _backend.kernels("cpu")
        self.grid, self.dtype = grid, np.dtype(dtype)
        level = grid.level
        self.levels = [level]
        while level.shape[0] * level.shape[1] * level.shape[2] > _COARSEST:
            level = cpu.grid_coarsen(level)
            self.levels.append(level)
        self.inverse = _inverse(level).astype(self.dtype)
        if self.dtype != np.float64:
            self.levels = [_cast(each, self.dtype) for each in self.levels]
        # Sets of vectors, one for each cycle that runs at the same time.
        self._free = []

    def _vectors(self):
        try:
            return self._free.pop()
        except IndexError:
            return [[self._kernels.grid_vector(L.shape, self.dtype) for _ in range(4)] for L in self.levels]

    def apply(self, parameters, r, z, begin=0):
        """z = M r for vectors of shape (n,) on the level ``begin``."""
        vectors = self._vectors()
        vectors[begin][0][1][:] = r
        z[:] = self._cycle(parameters, vectors, begin, 0)[1]
        self._free.append(vectors)

    def _cycle(self, parameters, vectors, number, depth):
        """The cycle from a level down; its right-hand side lies in the first vector, the answer is returned."""
        L, (r, x, y, t), cpu = self.levels[number], vectors[number], self._kernels
        if number == len(self.levels) - 1:
            np.dot(self.inverse, r[1], out=x[1])
            return x
        *roots, c, g = parameters[min(depth, len(parameters) - 1)].tolist()
        cpu.grid_start(L, roots[0], r[0], x[0])
        x, y = self._smooth(L, roots[1:], r, x, y)
        cpu.grid_residual(L, r[0], x[0], t[0])
        C = self.levels[number + 1]
        cpu.grid_restrict(L, C, g, t[0], vectors[number + 1][0][0])
        below = self._cycle(parameters, vectors, number + 1, depth + 1)
        cpu.grid_prolong(L, C, g, c, below[0], x[0])
        return self._smooth(L, roots[::-1], r, x, y)[0]

    def _smooth(self, L, roots, r, x, y):
        """The steps with these roots; returns the vector with the answer and the other one."""
        for w in roots:
            self._kernels.grid_smooth(L, w, r[0], x[0], y[0])
            x, y = y, x
        return x, y

    def probe(self, parameters, b, steps, begin=0):
        """log10 of the share of b that remains after so many steps of preconditioned conjugate gradients."""
        L, cpu = self.levels[begin], self._kernels
        (r, residual), (p, direction), (q, _) = (cpu.grid_vector(L.shape, self.dtype) for _ in range(3))
        residual[:] = b
        z, rho, norm = np.empty_like(b), 0.0, 1.0
        for _ in range(steps):
            self.apply(parameters, residual, z, begin)
            rho_last, rho = rho, cpu.inner(residual, z)
            if not rho > 0:  # exact, or no preconditioner at all
                break
            cpu.step_direction(z, rho / rho_last if rho_last else 0.0, direction)
            cpu.grid_product(L, p, q)
            norm = cpu.step_iterate(rho / cpu.inner(p, q), p, q, np.zeros(p.size, self.dtype), r)
        size = np.sqrt(cpu.inner(b, b))
        return float(np.log10(max(norm / size, 1e-16))) if norm == norm and size else np.inf

    def right_hand_side(self, rng, begin=0):
        """White noise on the cells that take part, without a mean where A has the constants as null space."""
        L = self.levels[begin]
        b = rng.standard_normal(L.diagonal.size - 2 * L.pad) * (L.inverse[L.pad : -L.pad] > 0)
        if begin == 0:
            self.grid.project(b)
        elif self.grid.null_space is not None:
            b -= b.mean()
        return b.astype(self.dtype)


def _cast(L, dtype):
    return L._replace(**{name: getattr(L, name).astype(dtype) for name in ("diagonal", "inverse", "faces", "weights")})


def _inverse(L):
    """The pseudo-inverse of the operator of a level, by the spectrum of D^-1/2 A D^-1/2: symmetric, semidefinite."""
    n, cpu = L.diagonal.size - 2 * L.pad, _backend.kernels("cpu")
    x, inside = cpu.grid_vector(L.shape, np.float64)
    y, out = cpu.grid_vector(L.shape, np.float64)
    A = np.empty((n, n))
    for i in range(n):
        inside[i] = 1
        cpu.grid_product(L, x, y)
        A[i], inside[i] = out, 0
    root = np.sqrt(L.inverse[L.pad : L.pad + n])
    values, vectors = np.linalg.eigh(A * root[:, None] * root)
    kept = values > 1e-12
    basis = root[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return basis @ basis.T
