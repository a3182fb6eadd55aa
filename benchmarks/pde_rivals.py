"""Differences, sine transforms, SciPy's solve_bvp and GPyTorch, as rivals of ``solvers bench pde``.

Differences are taken at a multiple of 299 steps, so that the test points are among their nodes and no interpolation
adds to their errors.
"""

import math
import warnings

import numpy as np

from .pde_chebyshev import PDE_METHODS
from .pde_methods import Answer, Solver, ladder

__all__ = ["PDE_METHODS"]

_STEPS = 299
_NEWTON_STEPS, _SMALL_STEP = 20, 1e-10
# Of GPyTorch's kernel: its length in steps, which served it best of 2 to 8, and what is added to its diagonal.
_LENGTH, _JITTER = 3.0, 1e-12


def _multiples(last):
    """Of the 299 steps, each at least one more than the one before."""
    return sorted({round(k) for k in ladder(1.0, last)})


def _restricted(U, axes, box):
    """Values at nodes: those of the coordinates that are asked for, which must be among them."""
    places = []
    for points, (low, high), size in zip(axes, box, U.shape):
        place = (points - low) / (high - low) * (size - 1)
        if np.abs(place - np.rint(place)).max() > 1e-6:
            raise ValueError("differences are known at their nodes only, of which the points must be some")
        places.append(np.rint(place).astype(int))
    return U[np.ix_(*places)]


def _grid_answer(U, box, claim=""):
    return Answer(U.shape, lambda axes: _restricted(U, axes, box), claim)


# ---- on a line -------------------------------------------------------------------------------------


def _numerov(problem, multiple):
    """Numerov's differences of fourth order for u'' = f - N(u), tridiagonal; by Newton's method."""
    from scipy.linalg import get_lapack_funcs

    (low, high), n = problem.box[0], multiple * _STEPS
    x = np.linspace(low, high, n + 1)
    h, ends = (high - low) / n, problem.u(np.array([low, high]))
    N, derivative = problem.nonlinear or (None, None)
    (tridiagonal,) = get_lapack_funcs(("gtsv",), (x,))
    source, u = problem.f(x) * (h * h / 12), np.zeros(n + 1)
    u[0], u[-1] = ends
    mean = lambda g: g[:-2] + 10 * g[1:-1] + g[2:]
    slope, reaction = np.zeros(n + 1), 0.0  # the first step meets the linear equation
    for _ in range(_NEWTON_STEPS):
        defect = mean(source - reaction) - (u[:-2] - 2 * u[1:-1] + u[2:])
        step = tridiagonal(1 + slope[1:-2], -2 + 10 * slope[1:-1], 1 + slope[2:-1], defect)[3]
        u[1:-1] += step
        if derivative is None or np.linalg.norm(step) <= _SMALL_STEP * np.linalg.norm(u):
            break
        slope, reaction = derivative(u) * (h * h / 12), N(u) * (h * h / 12)
    return _grid_answer(u, problem.box)


def _solve_bvp(problem, tol):
    """SciPy's collocation of fourth order, adaptive, with the derivatives given to it."""
    from scipy.integrate import solve_bvp

    low, high = problem.box[0]
    ends = problem.u(np.array([low, high]))
    N, derivative = problem.nonlinear or (lambda u: 0.0, lambda u: 0.0)
    jacobian_of_ends = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 0.0]])

    def jacobian(x, y):
        J = np.zeros((2, 2, x.size))
        J[0, 1], J[1, 0] = 1.0, -derivative(y[0])
        return J

    x = np.linspace(low, high, math.ceil(12 * problem.waves[0]))
    found = solve_bvp(
        lambda x, y: np.stack([y[1], problem.f(x) - N(y[0])]),
        lambda left, right: np.array([left[0] - ends[0], right[0] - ends[1]]),
        x,
        np.zeros((2, x.size)),
        fun_jac=jacobian,
        bc_jac=lambda left, right: jacobian_of_ends,
        tol=tol,
        max_nodes=200_000,
    )
    return Answer(found.x.shape, lambda axes: found.sol(axes[0])[0], "converged" if found.success else "max_nodes")


# ---- on grids, by fast sine transforms -------------------------------------------------------------


def _sine(problem, scale):
    """The sine series of f, divided by the eigenvalues of the Laplacian itself: exact for sines, for no others."""
    from scipy.fft import dstn, idstn

    lengths = [high - low for low, high in problem.box]
    sizes = tuple(math.ceil(scale * (2 * waves + 4)) for waves in problem.waves)
    inner = [low + length * np.arange(1, n) / n for (low, _), length, n in zip(problem.box, lengths, sizes)]
    F = np.array(np.broadcast_to(problem.f(*np.ix_(*inner)), [n - 1 for n in sizes]))
    squares = [-((np.arange(1, n) * math.pi / length) ** 2) for n, length in zip(sizes, lengths)]
    series = dstn(F, type=1, overwrite_x=True)
    series /= sum(np.ix_(*squares))
    U = idstn(series, type=1)

    def at(axes):
        found = dstn(U, type=1) / math.prod(sizes)
        for (low, _), length, n, points in zip(problem.box, lengths, sizes, axes):
            sines = np.sin(np.outer(points - low, np.arange(1, n) * math.pi / length))
            found = np.tensordot(found, sines, (0, 1))
        return found

    return Answer(sizes, at)


def _compact(problem, multiple):
    """Collatz's nine points of fourth order for Poisson's equation in a square, by sine transforms."""
    from scipy.fft import dstn, idstn

    n = multiple * _STEPS
    axes = [np.linspace(low, high, n + 1) for low, high in problem.box]
    hx, hy = ((high - low) / n for low, high in problem.box)
    X = np.ix_(*axes)
    F = np.array(np.broadcast_to(problem.f(*X), (n + 1, n + 1)))
    U = np.zeros((n + 1, n + 1))
    for edge in (np.s_[:1, :], np.s_[-1:, :], np.s_[:, :1], np.s_[:, -1:]):
        U[edge] = problem.u(X[0][edge[0]], X[1][:, edge[1]])
    # (d_x/hx^2 + d_y/hy^2 + (1/hx^2 + 1/hy^2)/12 d_x d_y) u = (1 + (d_x + d_y)/12) f, d the second differences.
    mixed = (hx**-2 + hy**-2) / 12
    dx = lambda G: G[:-2] - 2 * G[1:-1] + G[2:]
    dy = lambda G: G[:, :-2] - 2 * G[:, 1:-1] + G[:, 2:]
    b = F[1:-1, 1:-1] + (dx(F)[:, 1:-1] + dy(F)[1:-1]) / 12
    b -= dx(U)[:, 1:-1] / hx**2 + dy(U)[1:-1] / hy**2 + mixed * dx(dy(U))
    waves = -4 * np.sin(math.pi * np.arange(1, n) / (2 * n)) ** 2
    eigenvalues = waves[:, None] / hx**2 + waves / hy**2 + mixed * np.outer(waves, waves)
    U[1:-1, 1:-1] = idstn(dstn(b, type=1) / eigenvalues, type=1)
    return _grid_answer(U, problem.box)


def _vanishes_at_the_sides(problem):
    ends = [np.array([low, high]) for low, high in problem.box]
    inside = [np.linspace(low, high, 23) for low, high in problem.box]
    sides = (np.ix_(*(ends[i] if i == j else inside[i] for i in range(problem.d))) for j in range(problem.d))
    return all(np.abs(problem.u(*side)).max() < 1e-10 for side in sides)


# ---- GPyTorch --------------------------------------------------------------------------------------


def _gpytorch(problem, scale):
    """A GP with a squared-exponential kernel, its second derivatives GPyTorch's, conditioned on f and the two ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gpytorch
        import torch

    (low, high), n = problem.box[0], math.ceil(scale * (2 * problem.waves[0] + 10))
    x = torch.linspace(low, high, n, dtype=torch.float64)
    kernel = gpytorch.kernels.RBFKernelGradGrad().double()
    kernel.lengthscale = _LENGTH * (high - low) / n
    known = torch.from_numpy(np.concatenate([problem.f(x.numpy()), problem.u(x[[0, -1]].numpy())]))

    def covariance(points, rows):
        """Of u at some points, or of what is known, with what is known: u'' everywhere and u at the ends."""
        # Its blocks of unlike sizes have the wrong shape, hence one block of all; rows are sorted by derivatives.
        K, m = kernel(points[:, None]).to_dense(), points.numel()
        K = K.reshape(m, 3, m, 3).permute(1, 0, 3, 2)
        last = torch.arange(m - n, m)
        ends = last[[0, -1]]
        if rows is not None:
            return torch.cat([K[0, rows][:, 2, last], K[0, rows][:, 0, ends]], 1)
        top = torch.cat([K[2, last][:, 2, last], K[2, last][:, 0, ends]], 1)
        return torch.cat([top, torch.cat([K[0, ends][:, 2, last], K[0, ends][:, 0, ends]], 1)])

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies' ages, and of what the errors show anyway
        K = covariance(x, None)
        # The entries differ by the fourth power of the length; the least jitter that the factorisation stands.
        size = K.diagonal().sqrt()
        K = K / size[:, None] / size + _JITTER * torch.eye(n + 2, dtype=torch.float64)
        weights = torch.cholesky_solve((known / size)[:, None], torch.linalg.cholesky(K))[:, 0] / size

    def at(axes):
        points = torch.from_numpy(axes[0])
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = covariance(torch.cat([points, x]), torch.arange(points.numel()))
            return (rows @ weights).numpy()

    return Answer((n,), at)


for _each in (
    Solver(
        "numerov",
        "Numerov's differences of fourth order, tridiagonal (1D)",
        _numerov,
        lambda problem: _multiples(400),
        lambda problem: problem.d == 1,
    ),
    Solver(
        "sine-transform",
        "fast sine transform with the Laplacian's own eigenvalues; u zero at the sides (2D, 3D)",
        _sine,
        lambda problem: ladder(1.0, 8.0 if problem.d < 3 else 2.0),
        lambda problem: problem.d > 1 and problem.poisson and _vanishes_at_the_sides(problem),
    ),
    Solver(
        "sine-4th-order",
        "nine-point differences of fourth order by fast sine transforms (2D)",
        _compact,
        lambda problem: _multiples(8),
        lambda problem: problem.d == 2 and problem.poisson,
    ),
    Solver(
        "scipy:solve_bvp",
        "SciPy's adaptive collocation of fourth order, derivatives supplied (1D)",
        _solve_bvp,
        lambda problem: [10.0**-k for k in range(3, 12)],
        lambda problem: problem.d == 1,
    ),
    Solver(
        "gpytorch",
        "GPyTorch's squared exponential with its second derivatives, dense (1D, linear)",
        _gpytorch,
        lambda problem: ladder(1.0, 6.0),
        lambda problem: problem.d == 1 and problem.poisson,
        package="gpytorch",
    ),
):
    PDE_METHODS.add(_each)
