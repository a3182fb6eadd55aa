"""What a result keeps is its own: it may be copied, pickled and asked for its plan whatever became of the costs."""

import copy
import pickle

import numpy as np
import pytest

from solvers import transport


def as_matrix(C):
    return C


def as_clouds(C):
    points = C.reshape(-1)  # memory of C
    return transport.PointCloud(points[:46].reshape(23, 2), points[46:86].reshape(20, 2))


@pytest.fixture(params=[as_matrix, as_clouds])
def solved(request, rng):
    """The costs, and a function that solves anew with them."""
    C = rng.random((23, 31))
    costs = request.param(C)
    weights = rng.random(costs.shape[0])
    return C, lambda: transport.sinkhorn(costs, weights / weights.sum(), eps=0.1)


def test_a_plan_that_is_asked_for_late_is_that_of_the_solve(solved):
    C, solve = solved
    late, expected = solve(), solve().plan
    C[:] = 7.0
    assert np.array_equal(late.plan, expected)
    assert np.array_equal(late.sparse_plan(0.0).toarray(), expected)


@pytest.mark.parametrize("carried", [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_a_copy_says_what_the_result_says(solved, carried):
    result = solved[1]()
    twin = carried(result)
    assert repr(twin) == repr(result) and twin.to_dict() == result.to_dict()
    assert np.array_equal(twin.plan, result.plan)
    assert all(np.array_equal(p, q) for p, q in zip(twin.potentials, result.potentials))
