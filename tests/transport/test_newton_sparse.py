"""sinkhorn_newton_sparse: the paper's counts, the safe rule, and named failures."""

import numpy as np
import ot
import pytest

from solvers import InvalidInput, Status, transport
from solvers.transport._sinkhorn_newton_sparse import sinkhorn_newton_sparse


def error_of(res, a, b):
    P = res.plan.astype(np.float64)
    assert np.isfinite(P).all() and np.isfinite(res.value)
    return np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()


def assignment(seed, n=500):
    return np.random.default_rng(seed).random((n, n))


@pytest.mark.parametrize("seed", range(5))
def test_the_papers_counts_on_its_assignment_problem(seed):
    res = sinkhorn_newton_sparse(assignment(seed), eps=1 / 1200, rule="top-k", tol=1e-11)
    assert res.converged and res.iterations == 20 and 6 <= res.newton_steps <= 10, repr(res)


def test_a_quarter_of_the_entries_takes_several_times_the_steps():
    C = assignment(0)
    few, many = (
        sinkhorn_newton_sparse(C, eps=1 / 1200, rule="top-k", density=k / 500, tol=1e-11) for k in (2, 8)
    )
    assert few.converged and many.converged and few.newton_steps > 3 * many.newton_steps


@pytest.mark.parametrize("seed", range(3))
def test_the_safe_rule_needs_no_density(seed):
    res = sinkhorn_newton_sparse(assignment(seed), eps=1 / 1200, tol=1e-8)
    assert res.converged and res.iterations == 20 and res.newton_steps <= 10, repr(res)


def test_the_safe_rule_converges_where_a_fixed_number_of_entries_does_not(rng):
    X = rng.random((60, 2))
    C = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    a = rng.random(60)
    a /= a.sum()
    options = dict(eps=2e-3, tol=1e-10, max_newton_steps=30)
    safe = sinkhorn_newton_sparse(C, a, **options)
    few = sinkhorn_newton_sparse(C, a, rule="top-k", density=1 / 60, **options)
    assert safe.converged and error_of(safe, a, 1 / 60) <= 1.1e-10
    assert not few.converged and error_of(few, a, 1 / 60) > 1e-10


@pytest.mark.parametrize("rule", ["safe", "top-k"])
@pytest.mark.parametrize("eps", [0.1, 0.01])
def test_both_rules_agree_with_a_long_run_of_sweeps(problem, rule, eps):
    C, a, b = problem(23, 31)
    res = sinkhorn_newton_sparse(C, a, b, eps=eps, rule=rule, density=0.5 if rule == "top-k" else None, tol=1e-11)
    long = transport.sinkhorn(C, a, b, eps=eps, method="log", tol=1e-11)
    assert res.converged and long.converged and res.method == "sinkhorn_newton_sparse"
    assert np.allclose(res.plan, long.plan, atol=1e-9, rtol=1e-6)


def test_the_value_lies_between_exact_transport_and_that_plus_the_entropy(problem):
    C, a, b = problem(40, 25)
    exact = ot.emd2(a, b, C)
    for eps in (1e-1, 1e-2, 1e-3):
        res = sinkhorn_newton_sparse(C, a, b, eps=eps, tol=1e-8)
        assert res.converged and exact - 1e-7 <= res.value <= exact + eps * np.log(C.size) + 1e-7


@pytest.mark.parametrize("eps", [1e-2, 1e-3, 1e-4])
def test_no_wrong_plan_on_a_degenerate_grid(rng, eps):
    pixels = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), -1).reshape(-1, 2)
    C = np.abs(pixels[:, None] - pixels[None]).sum(axis=2) / 18
    a, b = rng.random(100) ** 4, rng.random(100) ** 4
    a, b = a / a.sum(), b / b.sum()
    for options in ({}, dict(warmup=0), dict(rule="top-k"), dict(rule="top-k", warmup=700)):
        res = sinkhorn_newton_sparse(C, a, b, eps=eps, tol=1e-8, **options)
        assert error_of(res, a, b) <= 1.1e-8 or not res.converged
        assert res.converged or "rule" in options or eps < 1e-3, repr(res)


@pytest.mark.parametrize("rule", ["safe", "top-k"])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 30), (30, 1), (7, 60)])
def test_shapes_and_zero_weights(problem, rule, n, m):
    C, a, b = problem(n, m)
    if m > 3:
        b[::3] = 0
        b /= b.sum()
    res = sinkhorn_newton_sparse(C, a, b, eps=1e-1, rule=rule, tol=1e-9)
    assert res.converged and error_of(res, a, b) <= 1.1e-9, repr(res)


@pytest.mark.parametrize("rule", ["safe", "top-k"])
def test_permitted_pairs_that_cannot_carry_the_weights_are_named(rng, rule):
    C = rng.random((40, 40))
    C[:30, 20:] = np.inf
    res = sinkhorn_newton_sparse(C, eps=1e-1, rule=rule)
    expected = (Status.INFEASIBLE,) if rule == "safe" else (Status.INFEASIBLE, Status.STAGNATED)
    assert res.status in expected and np.isfinite(res.marginal_error), repr(res)


def test_float32_names_what_it_cannot_reach(problem):
    C, a, b = (x.astype(np.float32) for x in problem(40, 40))
    res = sinkhorn_newton_sparse(C, a, b, eps=1e-2, tol=1e-4, normalize=True)
    assert res.converged
    res = sinkhorn_newton_sparse(C, a, b, eps=1e-2, tol=1e-12, normalize=True)
    assert res.status is Status.STAGNATED and res.marginal_error <= 1e-4


def test_the_limit_on_newton_steps_holds():
    res = sinkhorn_newton_sparse(assignment(0), eps=1 / 1200, max_newton_steps=3, tol=1e-11)
    assert res.status is Status.MAXITER and (res.iterations, res.newton_steps) == (20, 3)


@pytest.mark.parametrize(
    "bad", [dict(rule="other"), dict(density=0.0), dict(density=1.5), dict(warmup=-1), dict(max_newton_steps=-1)]
)
def test_refused(bad):
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        sinkhorn_newton_sparse(np.ones((3, 3)), **dict(eps=1.0, rule="top-k") | bad)
