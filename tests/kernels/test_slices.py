"""Sliced distances against the quantile formula in plain NumPy, and against POT."""

import numpy as np
import pytest


def quantiles(x, weights, levels):
    order = np.argsort(x, kind="stable")
    ends = np.cumsum(weights[order])
    return x[order][np.minimum(np.searchsorted(ends, levels), len(x) - 1)]


def powers(X, Y, a, b, directions, p):
    """The integral of |F^-1 - G^-1|^p over the levels, which are constant between the steps of both."""
    values = []
    for theta in directions:
        x, y = X @ theta, Y @ theta
        steps = np.concatenate([[0.0], np.cumsum(a[np.argsort(x)]), np.cumsum(b[np.argsort(y)])])
        steps.sort()
        middle = (steps[1:] + steps[:-1]) / 2
        values.append(np.diff(steps) @ np.abs(quantiles(x, a, middle) - quantiles(y, b, middle)) ** p)
    return np.array(values)


def case(rng, n, m, d, L, weighted):
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) * 1.5 + 0.3
    directions = rng.standard_normal((L, d))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    a = rng.dirichlet(np.ones(n)) if weighted else np.full(n, 1 / n)
    b = rng.dirichlet(np.ones(m)) if weighted else np.full(m, 1 / m)
    return X, Y, a, b, directions


@pytest.mark.parametrize("p", [1, 1.7, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, m", [(1, 1), (1, 7), (7, 1), (50, 50), (60, 45), (701, 1303)])
def test_a_power_is_the_integral_over_the_quantiles(cpu, rng, n, m, weighted, p):
    X, Y, a, b, directions = case(rng, n, m, 3, 5, weighted)
    out = np.full(5, np.nan)
    cpu.sliced_powers(X, Y, *((a, b) if weighted else (None, None)), directions, float(p), out)
    assert out == pytest.approx(powers(X, Y, a, b, directions, p), rel=1e-12)
