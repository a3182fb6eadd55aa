"""The Sinkhorn divergence: zero for equal clouds, positive otherwise, and what it tends to."""

import numpy as np
import ot
import pytest

from solvers import ConvergenceError, InvalidInput, transport


@pytest.fixture
def clouds(rng):
    return rng.random((40, 3)), rng.random((30, 3)) + 0.3


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", 1.5])
@pytest.mark.parametrize("eps", [1.0, 0.05])
def test_it_is_zero_for_equal_clouds_and_positive_otherwise(clouds, cost, eps):
    X, Y = clouds
    same = transport.sinkhorn_divergence(X, X[::-1].copy(), eps=eps, cost=cost, tol=1e-9)
    other = transport.sinkhorn_divergence(X, Y, eps=eps, cost=cost, tol=1e-9)
    assert same.converged and 0 <= same.value <= 1e-7
    assert other.converged and other.value > 1e-3


def test_it_is_symmetric_and_does_not_see_translations(clouds):
    X, Y = clouds
    options = dict(eps=0.1, tol=1e-10)
    value = transport.sinkhorn_divergence(X, Y, **options).value
    assert abs(transport.sinkhorn_divergence(Y, X, **options).value - value) <= 1e-8
    assert abs(transport.sinkhorn_divergence(X + 5, Y + 5, **options).value - value) <= 1e-6


def test_a_translation_costs_its_square(clouds):
    X, _ = clouds
    res = transport.sinkhorn_divergence(X, X + np.array([0.3, 0, 0.4]), eps=0.2, tol=1e-10)
    assert abs(res.value - 0.25) <= 1e-6


def test_for_small_eps_it_is_exact_transport(clouds):
    X, Y = clouds
    small = transport.sinkhorn_divergence(X, Y, eps=1e-3, tol=1e-9)
    exact = ot.emd2(np.full(40, 1 / 40), np.full(30, 1 / 30), ot.dist(X, Y))
    assert small.converged and abs(small.value - exact) <= 0.02 * exact


def test_weights_and_their_totals(clouds, rng):
    X, Y = clouds
    a, b = rng.random(40), rng.random(30)
    with pytest.raises(InvalidInput, match="same total"):
        transport.sinkhorn_divergence(X, Y, a, b, eps=0.1)
    whole = transport.sinkhorn_divergence(X, Y, a, b, eps=0.1, normalize=True, tol=1e-9)
    doubled = transport.sinkhorn_divergence(X, Y, 2 * a / a.sum(), 2 * b / b.sum(), eps=0.1, tol=1e-9)
    assert abs(doubled.value - 2 * whole.value) <= 1e-7


def test_a_part_that_did_not_converge_is_said(clouds):
    X, Y = clouds
    res = transport.sinkhorn_divergence(X, Y, eps=1e-3, maxiter=2)
    assert not res.converged and "not converged" in repr(res)
    with pytest.raises(ConvergenceError):
        res.check()
