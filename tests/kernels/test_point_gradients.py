"""point_gradients against sums over the whole plan in plain NumPy."""

import numpy as np
import pytest


def gradients(X, Y, power, inv_eps, u, v):
    """dX, dY, and the sums of the absolute terms."""
    gaps = X[:, None] - Y
    distance = np.linalg.norm(gaps, axis=-1)
    P = np.exp(u[:, None] + v - distance**power * inv_eps)
    with np.errstate(divide="ignore"):
        slopes = np.where(distance > 0, power * distance ** (power - 2), 0.0)
    terms = (P * slopes)[:, :, None] * gaps
    return terms.sum(axis=1), -terms.sum(axis=0), np.abs(terms).sum(axis=1), np.abs(terms).sum(axis=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("power", [2.0, 1.0, 1.5, 3.0, 0.5])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (5, 9, 2), (70, 130, 3), (300, 70, 5)])
def test_the_gradients_are_the_sums_over_the_plan(cpu, n, m, d, power, dtype):
    rng = np.random.default_rng(n + d)
    X, Y = rng.random((n, d)).astype(dtype), rng.random((m, d)).astype(dtype)
    Y[0] = X[0]  # no slope there, of whatever power
    u, v = (np.log(rng.random(size) / size).astype(dtype) for size in (n, m))
    dX, dY = np.full((n, d), np.nan), np.full((m, d), np.nan)
    cpu.point_gradients(cpu.PointCosts(X, Y, power), 3.0, u, v, dX, dY)
    expected = gradients(*(x.astype(np.float64) for x in (X, Y)), power, 3.0, *(x.astype(np.float64) for x in (u, v)))
    tol = {"float64": 1e-12, "float32": 1e-4}[dtype]
    for ours, right, size in zip((dX, dY), expected[:2], expected[2:]):
        assert (np.abs(ours - right) <= tol * (size + 1e-3)).all()


def test_threads_do_not_change_a_bit(cpu, threads):
    rng = np.random.default_rng(0)
    X, Y, u, v = rng.random((700, 3)), rng.random((600, 3)), rng.random(700), rng.random(600)
    seen = []
    for team in (1, 4):
        threads(team)
        dX, dY = np.empty((700, 3)), np.empty((600, 3))
        cpu.point_gradients(cpu.PointCosts(X, Y, 1.0), 2.0, u, v, dX, dY)
        seen.append((dX, dY))
    assert all(np.array_equal(x, y) for x, y in zip(*seen))
