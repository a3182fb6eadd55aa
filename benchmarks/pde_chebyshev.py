"""Chebyshev's polynomials as rivals of ``solvers bench pde``: collocation with the matrices of the axes, as one who
knows them would write it, and spectral integration.

Second derivatives between Dirichlet sides map even functions to even ones and odd to odd ones: each axis falls into
two halves, which makes the eigenvalues four times and the products twice as cheap (Solomonoff 1992). The equations in
the eigenvectors' coordinates are divisions (Haidvogel and Zang 1979). Newton's method with GMRES solves the
nonlinear ones, preconditioned by the same divisions.
"""

import math

import numpy as np

from .pde_methods import PDE_METHODS, Answer, Solver, ladder

__all__ = ["PDE_METHODS"]

_NEWTON_STEPS, _SMALL_STEP, _GMRES_RTOL = 20, 1e-12, 1e-5


class _Axis:
    """Gauss and Lobatto's points of one side of the box and the matrix of its part of the operator.

    Rows and columns of ``A`` belong to the nodes where u is not given; ``given`` are the columns of those where it is.
    """

    def __init__(self, n, low, high, terms, known):
        self.x, D, D2 = _matrices(n)
        half = 0.5 * (high - low)
        full = sum(c * (D / half if order == 1 else D2 / half**2) for order, c in terms)
        self.nodes = low + half * (self.x + 1)
        self.known = np.array([(0, n - 1)[side] for side in known])
        self.free = np.setdiff1d(np.arange(n), self.known)
        self.A, self.given = full[np.ix_(self.free, self.free)], full[np.ix_(self.free, self.known)]
        self.even = all(order == 2 for order, _ in terms) and len(known) == 2
        self._span = low, half

    def at(self, points):
        """The matrix that interpolates from the nodes to points: the barycentric formula."""
        low, half = self._span
        difference = (points[:, None] - low) / half - 1 - self.x
        hit = np.abs(difference) < 1e-15
        weights = (-1.0) ** np.arange(self.x.size)
        weights[[0, -1]] *= 0.5
        quotients = weights / np.where(hit, 1.0, difference)
        matrix = quotients / quotients.sum(axis=1, keepdims=True)
        on = hit.any(axis=1)
        matrix[on] = hit[on]
        return matrix


def _matrices(n):
    """Nodes on [-1, 1] and the matrices of the first and second derivative, with sums of rows that are exactly zero."""
    theta = math.pi * np.arange(n)[::-1] / (n - 1)
    differences = 2 * np.sin((theta[:, None] + theta) / 2) * np.sin((theta - theta[:, None]) / 2)
    np.fill_diagonal(differences, 1.0)
    c = (-1.0) ** np.arange(n)
    c[[0, -1]] *= 2
    D = (c[:, None] / c) / differences
    np.fill_diagonal(D, 0.0)
    np.fill_diagonal(D, -D.sum(axis=1))
    D2 = 2 * D * (np.diag(D)[:, None] - 1 / differences)
    np.fill_diagonal(D2, 0.0)
    np.fill_diagonal(D2, -D2.sum(axis=1))
    return np.cos(theta), D, D2


def _along(matrix, U, axis):
    """The product of a matrix with an array along one of its axes."""
    if axis == U.ndim - 1:
        return U @ matrix.T
    shape = U.shape
    product = matrix @ U.reshape(math.prod(shape[:axis]), shape[axis], -1)
    return product.reshape(*shape[:axis], -1, *shape[axis + 1 :])


class _Halves:
    """Eigenvalues and vectors of a matrix of an even number of rows that commutes with the reversal."""

    def __init__(self, A):
        from scipy.linalg import eig

        self._half = h = A.shape[0] // 2
        mirrored = A[:h, h:][:, ::-1]
        found = [eig(part, check_finite=False) for part in (A[:h, :h] + mirrored, A[:h, :h] - mirrored)]
        self.values = np.concatenate([values.real for values, _ in found])
        self._vectors = [vectors.real for _, vectors in found]
        self._inverses = [0.5 * np.linalg.inv(vectors) for vectors in self._vectors]

    def forward(self, U, axis):
        """To coordinates in the eigenvectors."""
        h, found = self._half, np.empty_like(U)
        X, Y = _in_the_middle(U, axis), _in_the_middle(found, axis)
        low, high = X[:, :h], X[:, : -h - 1 : -1]
        _times(self._inverses[0], low + high, Y[:, :h])
        _times(self._inverses[1], low - high, Y[:, h:])
        return found

    def backward(self, U, axis):
        """Back to values at the nodes."""
        h, found = self._half, np.empty_like(U)
        X, Y = _in_the_middle(U, axis), _in_the_middle(found, axis)
        even, odd = (_times(V, part, np.empty_like(part)) for V, part in zip(self._vectors, (X[:, :h], X[:, h:])))
        np.add(even, odd, out=Y[:, :h])
        np.subtract(even, odd, out=Y[:, : -h - 1 : -1])
        return found


def _in_the_middle(U, axis):
    """A view of three axes, of which the middle one is meant."""
    return U.reshape(math.prod(U.shape[:axis]), U.shape[axis], -1)


def _times(matrix, X, out):
    """The product along the middle axis; a last one of length 1 would make vectors of the columns."""
    if X.shape[2] == 1:
        np.matmul(X[:, :, 0], matrix.T, out=out[:, :, 0])
    else:
        np.matmul(matrix, X, out=out)
    return out


class _Collocation:
    """The equations of a problem at the nodes, the given values moved to the right-hand side."""

    def __init__(self, problem, sizes):
        made = {}
        for axis, n in enumerate(sizes):
            terms = tuple((index[axis], c) for index, c in problem.op.items() if index[axis])
            sides = (0, 1) if problem.sides is None else tuple(side for on, side in problem.sides if on == axis)
            made[axis] = n, *problem.box[axis], terms, sides
        # Axes that are alike are made, and have their eigenvalues found, once.
        alike = {key: _Axis(*key) for key in set(made.values())}
        self.axes = [alike[key] for key in made.values()]
        self.inside = np.ix_(*(axis.free for axis in self.axes))
        self.U = np.zeros(sizes)
        coordinates = self._coordinates([axis.free for axis in self.axes])
        self.b = np.array(np.broadcast_to(problem.f(*coordinates), [axis.free.size for axis in self.axes]))
        for i, axis in enumerate(self.axes):
            side = [axis.known if j == i else np.arange(a.nodes.size) for j, a in enumerate(self.axes)]
            self.U[np.ix_(*side)] = problem.u(*self._coordinates(side))
            within = [axis.known if j == i else a.free for j, a in enumerate(self.axes)]
            self.b -= _along(axis.given, self.U[np.ix_(*within)], i)

    def _coordinates(self, indices):
        return np.ix_(*(axis.nodes[which] for axis, which in zip(self.axes, indices)))

    def apply(self, U):
        return sum(_along(axis.A, U, i) for i, axis in enumerate(self.axes))

    def inverse(self):
        """The function that solves the linear equations with a shift: (b, shift) -> U."""
        if not all(axis.even for axis in self.axes):
            from scipy.linalg import solve_sylvester

            one, two = self.axes
            return lambda b, shift: solve_sylvester(one.A + shift * np.eye(one.free.size), two.A.T, b)
        halves = {id(axis): _Halves(axis.A) for axis in self.axes}
        of_axis = [halves[id(axis)] for axis in self.axes]
        *small, last = np.meshgrid(*(half.values for half in of_axis), indexing="ij", sparse=True)
        total = sum(small)

        def solve(b, shift):
            for i, half in enumerate(of_axis):
                b = half.forward(b, i)
            b /= total + (last + shift)
            for i, half in enumerate(of_axis):
                b = half.backward(b, i)
            return b

        return solve

    def answer(self, U, claim=""):
        self.U[self.inside] = U

        def at(axes):
            found = self.U
            for i, (axis, points) in enumerate(zip(self.axes, axes)):
                found = _along(axis.at(points), found, i)
            return found

        return Answer(self.U.shape, at, claim)


def _sizes(problem, scale):
    """Even numbers of nodes: pi of them to a wavelength, and some more."""
    return tuple(2 * math.ceil(0.5 * scale * (math.pi * waves + 12)) for waves in problem.waves)


def _collocate(problem, scale):
    equations = _Collocation(problem, _sizes(problem, scale))
    solve = _line_solver(equations) if problem.d == 1 else equations.inverse()
    U = solve(equations.b, 0.0)
    if problem.nonlinear is None:
        return equations.answer(U)
    return equations.answer(*_newton(equations, problem.nonlinear, U, solve))


def _line_solver(equations):
    """On a line: linear equations by halves, with a diagonal in addition as a whole."""
    A = equations.axes[0].A
    h = A.shape[0] // 2

    def solve(b, shift):
        if np.ndim(shift):
            return np.linalg.solve(A + np.diag(shift), b)
        mirrored, low, high = A[:h, h:][:, ::-1], b[:h], b[h:][::-1]
        even = np.linalg.solve(A[:h, :h] + mirrored, 0.5 * (low + high))
        odd = np.linalg.solve(A[:h, :h] - mirrored, 0.5 * (low - high))
        return np.concatenate([even + odd, (even - odd)[::-1]])

    return solve


def _newton(equations, nonlinear, U, solve):
    """Newton's method from the linear problem's solution; returns U and whether its steps became small."""
    N, derivative = nonlinear
    for _ in range(_NEWTON_STEPS):
        defect, slope = equations.b - equations.apply(U) - N(U), derivative(U)
        step = solve(defect, slope) if U.ndim == 1 else _krylov(equations, defect, slope, solve)
        U = U + step
        if np.linalg.norm(step) <= _SMALL_STEP * np.linalg.norm(U):
            return U, "converged"
        if not np.all(np.isfinite(U)):
            break
    # Steps do not become smaller than rounding lets them.
    return U, "converged" if np.linalg.norm(step) <= 1e3 * _SMALL_STEP * np.linalg.norm(U) else "diverged"


def _krylov(equations, defect, slope, solve):
    from scipy.sparse.linalg import LinearOperator, gmres

    shape, mean = defect.shape, float(slope.mean())
    jacobian = lambda v: (equations.apply(v.reshape(shape)) + slope * v.reshape(shape)).ravel()
    nearby = lambda v: solve(v.reshape(shape), mean).ravel()
    operators = [LinearOperator((defect.size,) * 2, matvec=each, dtype=float) for each in (jacobian, nearby)]
    step, _ = gmres(operators[0], defect.ravel(), M=operators[1], rtol=_GMRES_RTOL, maxiter=5, restart=40)
    return step.reshape(shape)


def _integrate(problem, scale):
    """u'' = f: the Chebyshev series of f, integrated twice, and a straight line that meets the ends."""
    from numpy.polynomial import chebyshev
    from scipy.fft import dct

    (low, high), n = problem.box[0], _sizes(problem, scale)[0]
    half = 0.5 * (high - low)
    x = np.cos(math.pi * (np.arange(n) + 0.5) / n)
    series = dct(problem.f(low + half * (x + 1))) / n
    series[0] *= 0.5
    for _ in range(2):
        series = half * _antiderivative(series)
    signs = (-1.0) ** np.arange(series.size)
    ends = problem.u(np.array([low, high])) - [series @ signs, series.sum()]
    series[:2] += 0.5 * (ends[1] + ends[0]), 0.5 * (ends[1] - ends[0])
    return Answer((n,), lambda axes: chebyshev.chebval((axes[0] - low) / half - 1, series))


def _antiderivative(series):
    """Of a Chebyshev series, up to a constant."""
    twice_first = np.concatenate([2 * series[:1], series[1:], np.zeros(2)])
    found = np.zeros(series.size + 1)
    found[1:] = (twice_first[:-2] - twice_first[2:]) / (2 * np.arange(1, found.size))
    return found


PDE_METHODS.add(
    Solver(
        "chebyshev",
        "Chebyshev collocation, axis by axis, even and odd parts apart: the baseline",
        _collocate,
        lambda problem: ladder(0.8, 8.0) if problem.d < 3 else ladder(1.1, 1.5),
    )
)
PDE_METHODS.add(
    Solver(
        "integration",
        "u'' = f by integrating the Chebyshev series of f twice, O(n log n)",
        _integrate,
        lambda problem: ladder(0.8, 5.0),
        lambda problem: problem.d == 1 and problem.poisson,
    )
)
