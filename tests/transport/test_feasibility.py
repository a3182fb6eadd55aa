"""Forbidden pairs: every method names a problem that has no plan, and no problem that has one."""

import numpy as np
import pytest
from hard_problems import METHODS, solve
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from solvers import Status


def carried(C, a, b):
    """The most mass that the permitted pairs can carry, by linear programming."""
    i, j = np.nonzero(np.isfinite(C))
    if i.size == 0:
        return 0.0
    sums = np.zeros((a.size + b.size, i.size))
    sums[i, np.arange(i.size)] = sums[a.size + j, np.arange(i.size)] = 1.0
    return -linprog(-np.ones(i.size), A_ub=sums, b_ub=np.concatenate((a, b))).fun


def blocks(rng, n, split):
    """Costs of two blocks that may not mix, the first with rows[:split[0]] and columns[:split[1]]."""
    C = rng.random((n, n))
    C[: split[0], split[1] :] = C[split[0] :, : split[1]] = np.inf
    return C


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("split", [(20, 20), (10, 30), (22, 20), (1, 39)])
def test_blocks_whose_masses_differ_have_no_plan(rng, method, split):
    res = solve(blocks(rng, 40, split), eps=0.02, method=method, tol=1e-8, maxiter=20_000)
    assert res.status is (Status.CONVERGED if split[0] == split[1] else Status.INFEASIBLE), repr(res)
    assert np.isfinite(res.plan).all() and np.isfinite(res.marginal_error)


@pytest.mark.parametrize("method", METHODS)
def test_a_set_of_rows_that_is_too_heavy_for_its_columns(rng, method):
    C = rng.random((30, 30))
    C[rng.permutation(30)[:9, None], rng.permutation(30)[:22]] = np.inf  # nine rows, eight columns
    assert solve(C, eps=0.1, method=method, maxiter=20_000).status is Status.INFEASIBLE


@pytest.mark.parametrize("method", METHODS)
def test_a_small_eps_hides_nothing(rng, method):
    """So few steps with so large ratios of C to eps tell nothing by the potentials: the flow does."""
    res = solve(blocks(rng, 30, (15, 16)), eps=1e-4, method=method, maxiter=200)
    assert res.status is Status.INFEASIBLE, repr(res)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_without_a_pair_leaves_finite_potentials_whatever_the_start(rng, method):
    C = rng.random((5, 4))
    C[2] = np.inf
    res = solve(C, eps=0.1, method=method, x0=(np.full(5, 1e6), rng.random(4)))
    assert res.status is Status.INFEASIBLE and np.isfinite(res.plan).all() and np.isfinite(res.regularized_value)


@pytest.mark.parametrize("method", METHODS)
def test_an_excess_within_the_tolerance_is_no_reason(method):
    C = np.array([[0.0, np.inf], [np.inf, 0.0]])
    a, b = np.array([0.5 + 1e-9, 0.5 - 1e-9]), np.array([0.5, 0.5])
    assert solve(C, a, b, eps=0.1, method=method, tol=1e-6).converged
    assert solve(C, a, b, eps=0.1, method=method, tol=1e-10, maxiter=1000).status is Status.INFEASIBLE


@pytest.mark.parametrize("method", METHODS)
def test_plans_on_a_diagonal_only_are_not_called_impossible(method):
    C = np.where(np.subtract.outer(np.arange(12), np.arange(12)) > 0, np.inf, 0.5)  # the only plan is the identity
    res = solve(C, eps=0.1, method=method, maxiter=2000, tol=1e-10)
    assert res.status is not Status.INFEASIBLE


@given(seed=st.integers(0, 10**6), part=st.floats(0.2, 0.9), whole=st.booleans(), method=st.sampled_from(METHODS))
@settings(max_examples=60, deadline=None)
def test_random_patterns_against_linear_programming(seed, part, whole, method):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 9, 2)
    C = np.where(rng.random((n, m)) < part, np.inf, rng.random((n, m)))
    a, b = (rng.integers(1, 4, k).astype(float) if whole else rng.random(k) for k in (n, m))
    a, b = a / a.sum(), b / b.sum()
    missing = 1.0 - carried(C, a, b)
    res = solve(C, a, b, eps=0.1, method=method, maxiter=1000, tol=1e-7)
    assert res.status is not Status.INFEASIBLE or missing > 1e-9, (repr(res), missing)
    assert res.status is Status.INFEASIBLE or missing < 1e-6, (repr(res), missing)
