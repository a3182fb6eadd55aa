"""infer_source against sources that are known."""

import numpy as np
import pytest

from solvers import pde
from solvers._errors import InvalidInput

SQUARE = [(0, 1)] * 2


def u(x, y):
    return np.sin(np.pi * x) * np.sin(np.pi * y) + 4 * np.sin(4 * np.pi * x) * np.sin(4 * np.pi * y)


def f(x, y):
    pi = np.pi
    return -2 * pi**2 * (np.sin(pi * x) * np.sin(pi * y) + 64 * np.sin(4 * pi * x) * np.sin(4 * pi * y))


def smooth(x, y):
    return np.exp(x) * np.sin(3 * y) + np.cos(5 * x * y)


def smooth_source(x, y):
    return -8 * np.exp(x) * np.sin(3 * y) - 25 * (x * x + y * y) * np.cos(5 * x * y)


def observe(u, level, n=48, grid="uniform", seed=0):
    values = u(*np.ix_(*pde.nodes(SQUARE, n, grid=grid)))
    sigma = level * np.sqrt(np.mean(values**2))
    return values + sigma * np.random.default_rng(seed).standard_normal(values.shape), sigma


def relative(estimate, truth, where=np.s_[:, :]):
    return np.linalg.norm((estimate - truth)[where]) / np.linalg.norm(truth[where])


@pytest.mark.parametrize("grid", ["uniform", "legendre"])
@pytest.mark.parametrize(("level", "most"), [(0.001, 0.084), (0.01, 0.174), (0.05, 0.269)])
@pytest.mark.parametrize(("u", "f"), [(u, f), (smooth, smooth_source)])
def test_the_source_is_found_where_differences_would_drown_it(u, f, grid, level, most):
    data, sigma = observe(u, level, grid=grid)
    found = pde.infer_source(pde.laplacian(2), data, SQUARE, u, grid=grid)
    truth, inside = f(*np.ix_(*found.axes)), np.s_[4:-4, 4:-4]
    assert found.converged and abs(found.noise / sigma - 1) < 0.1
    assert relative(found.f, truth, inside) <= most
    assert np.mean((np.abs(found.f - truth) <= 1.96 * found.std)[inside]) >= 0.85
    if grid == "uniform" and level > 0.001:
        h = 1 / 47
        second = sum(
            np.diff(data, 2, axis=i)[tuple(np.s_[1:-1] if k != i else np.s_[:] for k in (0, 1))] for i in (0, 1)
        )
        assert relative(second / h**2, truth[1:-1, 1:-1]) > 2 * relative(found.f, truth)


def test_intervals_of_95_percent_hold_the_source_that_often():
    held = []
    for seed in range(30):
        found = pde.infer_source(pde.laplacian(2), observe(u, 0.01, seed=seed)[0], SQUARE, u)
        held.append(np.mean(np.abs(found.f - f(*np.ix_(*found.axes))) <= 1.96 * found.std))
    assert 0.90 <= np.mean(held) <= 0.995


def test_any_linear_operator_will_do():
    op = {(1, 0): 2.0, (0, 1): lambda x, y: 1 + x + 0 * y, (0, 0): 1.0}
    data, _ = observe(smooth, 0.001)
    found = pde.infer_source(op, data, SQUARE, smooth)
    x, y = np.ix_(*found.axes)
    u_x = np.exp(x) * np.sin(3 * y) - 5 * y * np.sin(5 * x * y)
    u_y = 3 * np.exp(x) * np.cos(3 * y) - 5 * x * np.sin(5 * x * y)
    assert relative(found.f, 2 * u_x + (1 + x) * u_y + smooth(x, y)) <= 0.01
    grid = found.predict((np.array([0.3]), np.array([0.4, 0.8])), return_std=True)
    points = found.predict([[0.3, 0.4], [0.3, 0.8]], return_std=True)
    assert all(np.allclose(g.ravel(), p, rtol=1e-10) for g, p in zip(grid, points, strict=True))


def test_the_deviation_is_that_of_draws_of_the_posterior():
    found = pde.infer_source(pde.helmholtz(2, 3.0), observe(u, 0.05)[0], SQUARE, 0)
    modes, rng = found._posterior.modes, np.random.default_rng(0)
    point = [np.array([0.37]), np.array([0.61])]
    phi = np.multiply.outer(*(e[0] for e in modes.at(point, (0, 0))))
    values = phi * (9 - np.add.outer(*modes.values)) * np.sqrt(found._posterior.variance)
    draws = np.tensordot(rng.standard_normal((20000, *values.shape)), values, 2)
    assert abs(np.std(draws) / found.predict([[0.37, 0.61]], return_std=True)[1][0] - 1) <= 0.03


def test_a_line_without_data_at_an_end():
    (x,) = pde.nodes([(0, 2)], 300, grid="uniform")
    data = np.sin(5 * x) + 1e-3 * np.random.default_rng(0).standard_normal(300)
    found = pde.infer_source({(1,): 1.0}, data, [(0, 2)], {(0, 0): 0.0, (0, 1): None})
    assert relative(found.f[None, 10:-10], 5 * np.cos(5 * x)[None, 10:-10]) <= 0.02


@pytest.mark.parametrize("data", [np.zeros((4, 30)), np.zeros(30), np.full((30, 30), np.nan)])
def test_bad_values_are_refused(data):
    with pytest.raises(InvalidInput, match="`u_obs` must"):
        pde.infer_source(pde.laplacian(2), data, SQUARE, 0)


def test_it_draws_and_says_what_it_is(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    found = pde.infer_source(pde.laplacian(2), observe(u, 0.05)[0], SQUARE, 0)
    assert found.plot() is not None
    assert "noise" in repr(found) and "std" in found.message and "f" not in found.to_dict()
