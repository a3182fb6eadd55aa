"""The multigrid cycle M = S' + (I - S A) c P B P^T (I - A S) on levels of aggregates.

S r is K Richardson steps in D^-1 A with the roots w, so S = p(D^-1 A) D^-1 with 1 - t p(t) = prod (1 - w_i t) =: q(t),
and S' = 2 S - S A S. The eigenvalues of D^-1 A lie in [0, 2] (Gershgorin), so S' is positive definite if |q| < 1 on
(0, 2]; the other term is positive semidefinite for every c > 0, every P and every positive semidefinite B. So M is
symmetric positive definite whatever c and the interpolation weight g are. B is the same cycle one level down.
"""

import copy

import numpy as np

from .. import _backend
from .._errors import InvalidInput
from .._scale import to_one
from ._operator import place

__all__ = ["Hierarchy", "certificate", "chebyshev_roots", "textbook"]

# Cells of the coarsest level, whose system is solved by a dense inverse.
_COARSEST = 100
# The largest number of an inverse, of diagonals near 1, in single precision.
_MOST_SINGLE = 1e30


def chebyshev_roots(K, low, high=2.0):
    """The inverses of the Chebyshev points of the interval."""
    points = np.cos((2 * np.arange(K) + 1) * np.pi / (2 * K))
    return 1 / ((high + low) / 2 + (high - low) / 2 * points)


def textbook(K=2, c=2.0, g=0.0, low=0.5):
    """Chebyshev smoothing of the upper part of the spectrum, and the correction doubled: aggregates are too stiff.

    K is the number of roots, or a sequence of them, one for each level and the last for all below. More roots reach
    further down the spectrum: from 1 / K on, where that is less than ``low``.
    """
    if not isinstance(K, tuple | list):
        return np.array([[*chebyshev_roots(K, low), c, g]])
    rows = np.zeros((len(K), max(K) + 2))
    for row, count in zip(rows, K):
        row[:count] = chebyshev_roots(count, min(low, 1 / count))
        row[-2:] = c, g
    return rows


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
    """The levels of one grid, from the finest to one that is solved directly; used by any parameters.

    Attributes
    ----------
    backend : str
        In whose memory they are; ``on`` gives those of another one.
    """

    def __init__(self, grid, dtype=np.float64):
        self.backend, self.grid, self.dtype = "cpu", grid, np.dtype(dtype)
        levels = _coarsened(grid.level, self._kernels)
        inverse = _inverse(levels[-1])
        if self.dtype == np.float32 and max(np.abs(each).max() for each in _inverses(levels, inverse)) > _MOST_SINGLE:
            raise InvalidInput(f"`dtype` must be float64 for coefficients that vary by {_MOST_SINGLE:g} or more.")
        self.inverse = inverse.astype(self.dtype)
        self.levels = [_cast(each, self.dtype, self._kernels) for each in levels]
        # Sets of vectors, one for each cycle that runs at the same time; and what was made for other places.
        self._free, self._elsewhere, self._alone = [], {}, {}

    @property
    def _kernels(self):
        return _backend.kernels(self.backend)

    def on(self, backend):
        """The same levels in the memory of that backend, made there once for each device."""
        if backend == "cpu":
            return self
        key = place(self.dtype, backend)
        if key not in self._elsewhere:
            self._elsewhere[key] = self._made_there(backend)
        return self._elsewhere[key]

    def _made_there(self, backend):
        there, kernels, level = copy.copy(self), _backend.kernels(backend), self.grid.level
        if self.grid.n > kernels.MOST_ENTRIES:
            raise InvalidInput(
                f"`M` must have at most {kernels.MOST_ENTRIES} cells on this backend, got {self.grid.n}; use "
                "solvers.backend('cpu')."
            )
        faces, diagonal = (kernels.to_device(each, np.float64) for each in (level.faces, level.diagonal))
        levels = _coarsened(kernels.grid_level(level.shape, faces, diagonal), kernels)
        there.backend, there._alone = backend, {}
        there.levels = [_cast(each, self.dtype, kernels) for each in levels]
        there.inverse = kernels.dense(kernels.to_device(self.inverse, self.dtype))
        return there

    def __getstate__(self):
        return {**self.__dict__, "_free": [], "_elsewhere": {}, "_alone": {}}

    def _vectors(self):
        """For each level four vectors, each with the part of it that holds the cells."""
        if self.backend == "cpu":
            try:
                return self._free.pop()
            except IndexError:
                return [[self._kernels.grid_vector(L.shape, self.dtype) for _ in range(4)] for L in self.levels]
        # Fresh ones: the device may still work with those of the last cycle, on another stream.
        blocks = [self._kernels.empty((4, L.diagonal.size), self.dtype) for L in self.levels]
        *most, last = [[(each, None) for each in block] for block in blocks]
        pad = self.levels[-1].pad
        return [*most, [(each, each[pad:-pad]) for each, _ in last]]

    def _give_back(self, vectors):
        if self.backend == "cpu":
            self._free.append(vectors)

    def precondition(self, parameters, r):
        """M r as a new vector, for r of shape (n,) in single or double precision, in the memory of this backend."""
        kernels, null = self._kernels, self.grid.null_space
        if null is not None:
            r = r.copy()
            null.project_there(r, kernels)
        factor = to_one(kernels.largest(r)) if self.dtype == np.float32 else 1.0
        vectors, z = self._vectors(), kernels.empty(r.shape, r.dtype)
        kernels.grid_enter(self.levels[0], factor, r, vectors[0][0][0])
        kernels.grid_leave(self.levels[0], 1 / factor / self.grid.unit, self._cycle(parameters, vectors, 0, 0)[0], z)
        self._give_back(vectors)
        self._solve_alone(r, z)
        if null is not None:
            null.project_there(z, kernels)
        return z

    def _solve_alone(self, r, z):
        """The equations of the cells that are connected with no other."""
        kernels, grid = self._kernels, self.grid
        if not grid.alone.size:
            return
        if r.dtype not in self._alone:
            index = np.int32 if grid.n <= np.iinfo(np.int32).max else np.int64
            with np.errstate(over="ignore"):
                inverse = grid.inverse_alone.astype(r.dtype)
            self._alone[r.dtype] = kernels.to_device(grid.alone, index), kernels.to_device(inverse, r.dtype)
        cells, inverse = self._alone[r.dtype]
        part = kernels.empty(cells.shape, r.dtype)
        kernels.gather(r, cells, part)
        kernels.multiply(inverse, part, part)
        kernels.scatter(part, cells, z)

    def apply(self, parameters, r, z, begin=0):
        """z = B r for vectors of shape (n,) on the level ``begin``, where every cell takes part; on the CPU."""
        vectors = self._vectors()
        vectors[begin][0][1][:] = r
        z[:] = self._cycle(parameters, vectors, begin, 0)[1]
        self._give_back(vectors)

    def _cycle(self, parameters, vectors, number, depth):
        """The cycle from a level down; its right-hand side lies in the first vector, the answer is returned."""
        L, (r, x, y, t), kernels = self.levels[number], vectors[number], self._kernels
        if number == len(self.levels) - 1:
            self._solve(r[1], x[1])
            return x
        *roots, c, g = parameters[min(depth, len(parameters) - 1)].tolist()
        roots = [w for w in roots if w]  # a root of zero fills a row whose level has fewer steps than another
        kernels.grid_start(L, roots[0], r[0], x[0])
        x, y = self._smooth(L, roots[1:], r, x, y)
        kernels.grid_residual(L, r[0], x[0], t[0])
        C = self.levels[number + 1]
        kernels.grid_restrict(L, C, g, t[0], vectors[number + 1][0][0])
        below = self._cycle(parameters, vectors, number + 1, depth + 1)
        kernels.grid_prolong(L, C, g, c, below[0], x[0])
        return self._smooth(L, roots[::-1], r, x, y)[0]

    def _solve(self, r, x):
        """The coarsest level's system, for vectors without margins."""
        if self.backend == "cpu":
            np.dot(self.inverse, r, out=x)
        else:
            self._kernels.matvec(self.inverse, r, x)

    def _smooth(self, L, roots, r, x, y):
        """The steps with these roots; returns the vector with the answer and the other one."""
        for w in roots:
            self._kernels.grid_smooth(L, w, r[0], x[0], y[0])
            x, y = y, x
        return x, y

    def probe(self, parameters, b, steps, begin=0):
        """log10 of the share of b that remains after so many steps of preconditioned conjugate gradients."""
        *_, last = self.probes(parameters, b, steps, begin)
        return last

    def probes(self, parameters, b, steps, begin=0):
        """Yield what ``probe`` gives, after each step; where the steps end early the last number is repeated."""
        L, cpu = self.levels[begin], self._kernels
        (r, residual), (p, direction), (q, _) = (cpu.grid_vector(L.shape, self.dtype) for _ in range(3))
        residual[:] = b
        z, rho, norm, size, zeros = np.empty_like(b), 0.0, 1.0, np.sqrt(cpu.inner(b, b)), np.zeros(p.size, self.dtype)
        for _ in range(steps):
            self.apply(parameters, residual, z, begin)
            rho_last, rho = rho, cpu.inner(residual, z)
            if rho > 0:  # else it is exact, or no preconditioner at all
                cpu.step_direction(z, rho / rho_last if rho_last else 0.0, direction)
                cpu.grid_product(L, p, q)
                norm = cpu.step_iterate(rho / cpu.inner(p, q), p, q, zeros, r)
            yield float(np.log10(max(norm / size, 1e-16))) if norm == norm and size else np.inf

    def right_hand_side(self, rng, begin=0):
        """White noise on the cells that take part, without a mean where A has the constants as null space."""
        L = self.levels[begin]
        b = rng.standard_normal(L.diagonal.size - 2 * L.pad) * (L.inverse[L.pad : -L.pad] > 0)
        if begin == 0:
            self.grid.project(b)
        elif self.grid.null_space is not None:
            b -= b.mean()
        return b.astype(self.dtype)


def _inverses(levels, inverse):
    return [*(L.inverse for L in levels), inverse]


def _coarsened(level, kernels):
    """This level and all below."""
    levels = [level]
    while levels[-1].shape[0] * levels[-1].shape[1] * levels[-1].shape[2] > _COARSEST:
        levels.append(kernels.grid_coarsen(levels[-1]))
    return levels


def _cast(L, dtype, kernels):
    arrays = {name: kernels.to_device(getattr(L, name), dtype) for name in ("diagonal", "inverse", "faces", "weights")}
    return L._replace(**arrays)


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
