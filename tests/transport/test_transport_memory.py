"""Memory beyond the costs: two more words for each pair at most, and for clouds of points no n x m array at all."""

import tracemalloc

import numpy as np
import pytest
from hard_problems import METHODS, solve

from solvers import Status, transport

N, POINTS = 2000, 20_000


def peak_of(function):
    """The most memory that was held at a time beyond what was there before, and the answer."""
    tracemalloc.start()
    try:
        answer = function()
        return tracemalloc.get_traced_memory()[1], answer
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def costs():
    return np.random.default_rng(0).random((N, N))


@pytest.mark.parametrize("eps", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_solve_takes_two_words_a_pair_beyond_the_costs_and_the_plan_one(costs, method, eps):
    solve(costs[:50, :50], eps=eps, method=method, maxiter=60)  # compiles
    peak, res = peak_of(lambda: solve(costs, eps=eps, method=method, maxiter=60))
    assert peak <= 2.0 * costs.nbytes, peak / costs.nbytes
    peak, plan = peak_of(lambda: res.plan)
    assert plan.nbytes <= peak <= 1.02 * costs.nbytes


@pytest.mark.parametrize(("rows", "status"), [(1000, Status.CONVERGED), (1100, Status.INFEASIBLE)])
def test_forbidden_pairs_take_no_more(costs, rows, status):
    C = costs.copy()
    C[:rows, 1000:] = C[rows:, :1000] = np.inf
    solve(C[900:1100, 900:1100].copy(), eps=0.05, maxiter=60)
    peak, res = peak_of(lambda: solve(C, eps=0.05))
    assert res.status is status and peak <= 2.0 * C.nbytes, (repr(res), peak / C.nbytes)


@pytest.mark.parametrize("method", ["auto", "scaling"])
def test_a_cloud_takes_some_vectors(rng, method):
    X, Y = rng.random((POINTS, 3)), rng.random((POINTS, 3))
    cloud = transport.PointCloud(X, Y)
    solve(transport.PointCloud(X[:50], Y[:50]), eps=0.1, method=method, maxiter=3).grad_points  # noqa: B018
    peak, res = peak_of(lambda: solve(cloud, eps=0.1, method=method, maxiter=2))
    vectors = X.nbytes + Y.nbytes
    assert res.iterations == 2 and peak <= 12 * vectors, peak / vectors
    peak, _ = peak_of(lambda: res.grad_points)
    assert peak <= 20 * vectors, peak / vectors
