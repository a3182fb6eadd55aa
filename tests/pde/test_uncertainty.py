"""Noise in the source: what solve_gp says of it, against repeated draws and against dense matrices."""

import numpy as np
import pytest

from solvers import pde
from solvers._errors import InvalidInput, UnsupportedType
from solvers.pde._boundary import Boundary
from solvers.pde._grid import Grid
from solvers.pde._operators import Terms
from solvers.pde._posterior import posterior

SQUARE = [(0, 1), (0, 1)]
LAPLACE = pde.laplacian(2)


def u(x, y):
    return np.exp(x) * np.sin(3 * y) + np.cos(5 * x * y)


def f(x, y):
    return -8 * np.exp(x) * np.sin(3 * y) - 25 * (x * x + y * y) * np.cos(5 * x * y)


def noisy(level, rng, n=48, grid="uniform"):
    """Values of f with noise of a part of their root mean square, and its standard deviation."""
    values = f(*np.ix_(*pde.nodes(SQUARE, n, grid=grid)))
    sigma = level * np.sqrt(np.mean(values**2))
    return values + sigma * rng.standard_normal(values.shape), sigma


@pytest.mark.parametrize(
    ("grid", "level", "most"), [("legendre", 0.01, 1.2e-3), ("legendre", 0.1, 9.5e-3), ("uniform", 0.1, 9.5e-3)]
)
def test_intervals_of_95_percent_hold_u_that_often(grid, level, most):
    rng = np.random.default_rng(7)
    points = (np.linspace(0.02, 0.98, 25),) * 2
    truth, held, errors, noises = u(*np.ix_(*points)), [], [], []
    for _ in range(100):
        data, sigma = noisy(level, rng, 48, grid)
        solution = pde.solve_gp(LAPLACE, data, SQUARE, u, noise="auto", grid=grid)
        mean, std = solution.predict(points, return_std=True)
        held.append(np.mean(np.abs(mean - truth) <= 1.96 * std))
        errors.append(np.linalg.norm(mean - truth) / np.linalg.norm(truth))
        noises.append(solution.noise / sigma)
    assert 0.90 <= np.mean(held) <= 0.99
    assert np.median(errors) <= most
    assert abs(np.mean(noises) - 1) <= 0.02


def dense(grid, sigma, points, orders):
    """The same posterior by matrices of the size of the grid squared, in the basis of what is zero at the sides."""
    kept = [a.deviations > 1e-8 * a.deviations[0] for a in grid.axes]
    Z = [np.linalg.svd(a.B[:, k])[2][len(a.B) :].T for a, k in zip(grid.axes, kept, strict=True)]
    x, w = np.polynomial.legendre.leggauss(80)
    slopes = [
        np.sqrt(w / 2)[:, None] * (a.at((x + 1) / 2, 1)[:, k] @ z) for a, k, z in zip(grid.axes, kept, Z, strict=True)
    ]
    K = [s.T @ s for s in slopes]
    H = -np.kron(K[0], np.eye(len(K[1]))) - np.kron(np.eye(len(K[0])), K[1])
    E = [a.at(np.array(p), o)[:, k] @ z for a, p, o, k, z in zip(grid.axes, points, orders, kept, Z, strict=True)]
    return Z, K, H, np.kron(E[0], E[1])


@pytest.mark.parametrize("orders", [(0, 0), (1, 0), (0, 2)])
def test_the_deviation_is_that_of_a_dense_gaussian_process(orders):
    sigma, points = 0.3, ([0.11, 0.5, 0.83], [0.2, 0.6])
    kernels = (pde.SquaredExponential(0.1),) * 2
    grid = Grid(SQUARE, (20, 20), kernels, Boundary(0, SQUARE), Terms(LAPLACE, 2), "legendre")
    values = f(*np.ix_(*(a.x for a in grid.axes)))
    p = posterior(grid, values, lambda modes: modes.symbol(LAPLACE), sigma, False)
    Z, K, H, E = dense(grid, sigma, points, orders)
    # Eigenvectors only to say what the prior and the noise are; all else is inverted as it stands.
    V = np.kron(*(np.linalg.eigh(k)[1] for k in K))
    prior = V @ np.diag(p.fit.prior.ravel()) @ V.T
    noise = sigma**2 * V @ np.diag(p.modes.noise().ravel()) @ V.T
    gram = H @ prior @ H.T + noise
    covariance = prior - prior @ H.T @ np.linalg.solve(gram, H @ prior)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", E, covariance, E)).reshape(3, 2)
    got = p.std([np.array(x) for x in points], orders)
    assert np.max(np.abs(got - expected)) <= 1e-8 * np.max(expected)


def test_derivatives_have_deviations_that_hold_them():
    rng = np.random.default_rng(3)
    points = (np.linspace(0.1, 0.9, 20),) * 2
    x, y = np.ix_(*points)
    truth, held = np.exp(x) * np.sin(3 * y) - 5 * y * np.sin(5 * x * y), []
    for _ in range(30):
        solution = pde.solve_gp(LAPLACE, noisy(0.1, rng)[0], SQUARE, u, noise="auto", grid="uniform")
        mean, std = solution.predict(points, derivative=(1, 0), return_std=True)
        held.append(np.mean(np.abs(mean - truth) <= 1.96 * std))
    assert 0.88 <= np.mean(held) <= 1.0


def test_twice_the_noise_is_twice_the_deviation_where_the_prior_is_wide():
    data, sigma = noisy(1e-3, np.random.default_rng(0))
    one, two = (
        pde.solve_gp(LAPLACE, data, SQUARE, u, noise=k * sigma, grid="uniform").predict([[0.5, 0.5]], return_std=True)[
            1
        ]
        for k in (1, 2)
    )
    assert abs(two[0] / one[0] - 2) <= 0.1


def test_points_and_grids_agree():
    solution = pde.solve_gp(LAPLACE, noisy(0.1, np.random.default_rng(1))[0], SQUARE, u, noise="auto", grid="uniform")
    axes = (np.array([0.2, 0.7]), np.array([0.1, 0.4, 0.9]))
    on_grid = solution.predict(axes, return_std=True)
    at_points = solution.predict([[x, y] for x in axes[0] for y in axes[1]], return_std=True)
    for grid, points in zip(on_grid, at_points, strict=True):
        assert np.allclose(grid.ravel(), points, rtol=1e-12)
    assert np.allclose(solution.std, solution.predict(solution.axes, return_std=True)[1])


def test_the_estimate_of_a_noisy_problem_is_of_the_size_of_its_error():
    solution = pde.solve_gp(LAPLACE, noisy(0.1, np.random.default_rng(4))[0], SQUARE, u, noise="auto", grid="uniform")
    truth = u(*np.ix_(*solution.axes))
    error = np.linalg.norm(solution.u - truth) / np.linalg.norm(truth)
    assert 0.2 * error <= solution.error_estimate <= 10 * error
    assert "std" in solution.message and solution.converged


def test_noise_alone_leaves_u_unknown_and_not_zero_for_sure():
    noise = np.random.default_rng(5).standard_normal((40, 40))
    solution = pde.solve_gp(LAPLACE, noise, SQUARE, 0, noise="auto", grid="uniform")
    assert np.all(solution.predict([[0.5, 0.5], [0.2, 0.9]], return_std=True)[1] > 1e-4)
    assert np.mean(np.abs(solution.u) <= 1.96 * solution.std + 1e-12) >= 0.9


def test_a_line_and_a_cube():
    rng = np.random.default_rng(6)
    (x,) = pde.nodes([(0, 1)], 400, grid="uniform")
    line = pde.solve_gp(
        {(2,): 1.0}, np.sin(7 * x) + 0.1 * rng.standard_normal(400), [(0, 1)], lambda x: -np.sin(7 * x) / 49,
        noise="auto", grid="uniform",
    )  # fmt: skip
    assert np.mean(np.abs(line.u + np.sin(7 * x) / 49) <= 2.6 * line.std + 1e-12) >= 0.8
    axes = np.ix_(*pde.nodes([(0, 1)] * 3, 16, grid="uniform"))
    truth = np.prod(np.broadcast_arrays(*(np.sin(np.pi * a) for a in axes)), axis=0)
    data = -3 * np.pi**2 * truth + rng.standard_normal(truth.shape)
    cube = pde.solve_gp(pde.laplacian(3), data, [(0, 1)] * 3, 0, noise="auto", grid="uniform")
    assert np.mean(np.abs(cube.u - truth) <= 2.6 * cube.std + 1e-12) >= 0.8


def test_without_noise_the_deviation_is_positive_and_small():
    solution = pde.solve_gp(LAPLACE, f, SQUARE, u)
    std = solution.predict((np.linspace(0.05, 0.95, 20),) * 2, return_std=True)[1]
    assert np.all(np.isfinite(std)) and np.all(std > 0) and std.max() < 1e-6
    assert solution.noise is None


@pytest.mark.parametrize(
    ("op", "nonlinear", "named"),
    [
        ({(2, 0): 1.0, (0, 2): 1.0, (1, 0): 1.0}, None, r"the term \(1, 0\)"),
        ({(2, 0): 1.0, (0, 2): lambda x, y: 1 + x + 0 * y}, None, r"varies, op\[\(0, 2\)\]"),
        (LAPLACE, (lambda u: u**3, lambda u: 3 * u**2), "nonlinear"),
    ],
)
def test_what_the_symmetric_form_cannot_do_is_refused(op, nonlinear, named):
    data, _ = noisy(0.1, np.random.default_rng(0), 12)
    with pytest.raises(UnsupportedType, match=f"`noise` must .*{named}"):
        pde.solve_gp(op, data, SQUARE, u, noise="auto", grid="uniform", nonlinear=nonlinear)
    with pytest.raises(UnsupportedType, match=f"`return_std` must .*{named}"):
        pde.solve_gp(op, f, SQUARE, u, n=16, nonlinear=nonlinear).predict([[0.5, 0.5]], return_std=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"noise": 0.0}, "`noise` must be > 0"),
        ({"noise": "much"}, "`noise` must be one of 'auto'"),
        ({"noise": 0.1}, "`n` must be given with `noise`"),
        ({"noise": 0.1, "form": "strong"}, "`form` must be"),
        ({"noise": 0.1, "method": "adam", "n": 10}, "`method` must be"),
        ({"form": "other"}, "`form` must be one of"),
    ],
)
def test_bad_noise_is_refused_in_a_sentence(options, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        pde.solve_gp(LAPLACE, f, SQUARE, u, **options)
