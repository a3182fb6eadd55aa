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


def kinds(C):
    """The same numbers, as users send them."""
    fixed = C.astype(float)
    fixed.flags.writeable = False
    yield from (C, C.astype(np.float32), C.tolist(), np.asfortranarray(C.astype(float)), fixed, C.astype(object))
    yield np.repeat(C.astype(float), 2, axis=1)[:, ::2]


COSTS = {
    "sinkhorn": lambda C: transport.sinkhorn(C, eps=0.5).value,
    "small eps": lambda C: transport.sinkhorn(C, eps=0.02).value,
    "batch": lambda C: transport.sinkhorn([C, C], eps=0.5).value[1],
    "newton_sparse": lambda C: transport.sinkhorn_newton_sparse(C, eps=0.2).value,
    "unbalanced": lambda C: transport.sinkhorn(C, eps=0.02, marginal_penalty=5.0).value,
    "partial": lambda C: transport.partial(C, mass=0.5, eps=0.1).value,
    "all but all": lambda C: transport.partial(C, mass=0.999, eps=0.02).value,
}
POINTS = {
    "cloud": lambda X: transport.sinkhorn(transport.PointCloud(X, 2 * np.asarray(X, float)), eps=1.0).value,
    "divergence": lambda X: transport.sinkhorn_divergence(X, 2 * np.asarray(X, float), eps=1.0).value,
    "sliced": lambda X: transport.sliced_wasserstein(X, 2 * np.asarray(X, float), rng=0).distance,
    "max": lambda X: transport.max_sliced_wasserstein(X, 2 * np.asarray(X, float), rng=0, tol=1e-4).distance,
    "pairwise": lambda X: transport.pairwise_sliced_wasserstein([X, 2 * np.asarray(X, float)], rng=0)[0, 1],
}


@pytest.mark.parametrize("name", [*COSTS, *POINTS])
def test_every_kind_of_array_gives_the_same_answer(rng, name):
    integers = rng.integers(0, 10, (12, 15) if name in COSTS else (12, 3))
    answers = [(COSTS | POINTS)[name](C) for C in kinds(integers)]
    assert answers == pytest.approx([answers[0]] * len(answers), rel=2e-4, abs=1e-5)
