"""Hard problems with default options: no NaN, no wrong plan that is called converged, hardly a failure."""

from types import SimpleNamespace

import numpy as np
import pytest
from hard_problems import METHODS, error_of, judge, solve, suite
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import InvalidInput, Status, transport
from solvers.transport._feasibility import _Floor

SUITE = list(suite())
SMALL = list(suite(side=10, n=80))


def tally(cases, **options):
    """Judge every case; names of those that did not converge."""
    failed = []
    for name, C, a, b, eps in cases:
        res = transport.sinkhorn(C, a, b, eps=eps, **options)
        judge(res, C, a, b, eps, options.get("tol", 1e-6))
        failed += [] if res.converged else [(name, repr(res))]
    return failed


def permuted(cases, rng):
    for name, C, a, b, eps in cases:
        rows, columns = rng.permutation(a.size), rng.permutation(b.size)
        yield f"{name}, permuted and transposed", C[rows][:, columns].T, b[columns], a[rows], eps


def test_at_least_97_percent_of_the_hard_problems_converge(rng):
    cases = [*SUITE, *permuted(SUITE, rng)]
    failed = tally(cases)
    assert len(cases) >= 74 and len(failed) <= 0.03 * len(cases), failed


@pytest.mark.slow
def test_and_of_those_to_a_tight_tolerance():
    failed = tally(SUITE, tol=1e-10)
    assert len(failed) <= 0.03 * len(SUITE), failed


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_no_method_returns_a_wrong_plan(method):
    for _, C, a, b, eps in SUITE:
        judge(solve(C, a, b, eps=eps, method=method, maxiter=300), C, a, b, eps)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_returns_a_wrong_plan_of_a_small_problem(method):
    for _, C, a, b, eps in SMALL:
        judge(solve(C, a, b, eps=eps, method=method, maxiter=1000), C, a, b, eps)


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_the_scale_of_the_costs_with_eps_scaled_or_not(scale):
    failed = tally((name, scale * C, a, b, scale * eps) for name, C, a, b, eps in SMALL)
    assert len(failed) <= 0.03 * len(SMALL), failed
    for _, C, a, b, eps in SMALL[::3]:
        # C / eps of up to 1e10, or of at most 1e-2.
        res = transport.sinkhorn(scale * C, a, b, eps=eps, maxiter=2000)
        judge(res, scale * C, a, b, eps)
        assert res.converged or scale > 1


def test_single_precision():
    for _, C, a, b, eps in SMALL:
        C, a, b = (x.astype(np.float32) for x in (C, a, b))
        judge(transport.sinkhorn(C, a, b, eps=eps, tol=1e-4, normalize=True), C, a / a.sum(), b / b.sum(), eps, 1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("eps", [0.1, 1e-3])
def test_weights_of_twelve_orders_of_magnitude(rng, method, eps):
    C = rng.random((40, 50))
    a, b = 10.0 ** rng.uniform(-12, 0, 40), 10.0 ** rng.uniform(-12, 0, 50)
    a, b = a / a.sum(), b / b.sum()
    res = solve(C, a, b, eps=eps, method=method, maxiter=5000)
    judge(res, C, a, b, eps)
    assert res.converged or method not in ("auto", "newton"), repr(res)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mass", [1e-250, 1e-9, 1e9, 1e250])
def test_totals_tiny_and_huge(rng, method, mass):
    C, a, b = rng.random((9, 7)), rng.random(9), rng.random(7)
    a, b = mass * a / a.sum(), mass * b / b.sum()
    res = solve(C, a, b, eps=0.05, method=method)
    judge(res, C, a, b, 0.05)
    assert res.converged and np.isclose(res.plan.sum(), mass, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
@pytest.mark.parametrize("eps", [1e3, 1e-2, 1e-8])
def test_a_single_row_or_column_has_one_plan(rng, method, shape, eps):
    C, a, b = rng.random(shape), *(rng.random(k) + 0.1 for k in shape)
    a, b = a / a.sum(), b / b.sum()
    res = solve(C, a, b, eps=eps, method=method)
    judge(res, C, a, b, eps)
    assert res.converged and np.abs(res.plan - np.outer(a, b)).max() <= 1e-6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("constant", [0.0, 1.0, -3.0, 1e8])
def test_a_constant_cost(rng, method, constant):
    a, b = rng.random(8), rng.random(6)
    a, b = a / a.sum(), b / b.sum()
    C = np.full((8, 6), constant)
    res = solve(C, a, b, eps=0.1, method=method)
    judge(res, C, a, b, 0.1)
    assert res.converged and np.abs(res.plan - np.outer(a, b)).max() <= 2e-6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
def test_points_in_one_place(rng, method, cost):
    X = np.repeat(rng.random((4, 2)), 5, axis=0)
    cloud = transport.PointCloud(X, X[::-1].copy(), cost)
    C = np.linalg.norm(X[:, None] - X[::-1], axis=-1) ** cloud.power
    for eps in (0.1, 1e-3):
        res = solve(cloud, eps=eps, method=method, maxiter=3000)
        judge(res, C, np.full(20, 0.05), np.full(20, 0.05), eps)
        assert res.converged


@pytest.mark.parametrize("method", METHODS)
def test_all_points_in_one_place(method):
    res = solve(transport.PointCloud(np.ones((6, 3)), np.ones((5, 3))), eps=1e-3, method=method)
    assert res.converged and np.allclose(res.plan, 1 / 30, atol=1e-7)


def test_weights_below_the_range_of_single_precision_weigh_nothing(rng):
    C, a = rng.random((5, 4)).astype(np.float32), np.array([1.0, 1e-42, 1.0, 1e-60, 1.0])
    res = transport.sinkhorn(C, a, eps=0.05, tol=1e-4, normalize=True)
    assert res.converged and not res.plan[[1, 3]].any() and (res.potentials[0][[1, 3]] == -np.inf).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e3, 1e9, 1e200])
def test_any_start_leads_to_the_plan(rng, method, size):
    C, a = rng.random((12, 10)), np.full(12, 1 / 12)
    x0 = size * rng.standard_normal(12), size * rng.standard_normal(10)
    res = solve(C, eps=0.05, method=method, x0=x0, maxiter=3000)
    judge(res, C, a, np.full(10, 0.1), 0.05)
    assert res.converged, repr(res)


def test_an_over_relaxation_that_spoils_a_plan_from_above_an_error_of_1_is_noticed():
    rng = np.random.default_rng(3)
    C = (10 * rng.standard_normal((5, 7))).astype(np.float32)
    a, b = np.array([7e-7, 3e-4, 0.972, 1e-18, 0.0277]), rng.random(7)
    res = transport.sinkhorn(C, a, b, eps=0.0145, method="sor", tol=1e-3, maxiter=5000, normalize=True)
    assert res.converged, repr(res)


@pytest.mark.parametrize(
    ("C", "eps"),
    [
        (np.array([[1e300, 0.0], [0.0, 1.0]]), 1e-10),
        (np.eye(2), 1e-309),
        (np.eye(2, dtype=np.float32), 1e-38),
        (transport.PointCloud(np.array([0.0, 1e160]), np.array([0.0, 1.0])), 1.0),
        (transport.PointCloud(np.array([0.0, 1e10]), np.array([0.0, 1.0]), 40.0), 1.0),
    ],
)
def test_costs_over_eps_that_overflow_are_refused(C, eps):
    with pytest.raises(InvalidInput, match="`eps` must leave C / eps below") as caught:
        transport.sinkhorn(C, eps=eps)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("mass", "dtype"), [(1e35, np.float32), (1e-35, np.float32), (1e290, np.float64)])
def test_a_total_beyond_the_range_of_a_plan_is_refused(mass, dtype):
    with pytest.raises(InvalidInput, match="`a` must have a total between"):
        transport.sinkhorn(np.eye(2, dtype=dtype), mass * np.ones(2), mass * np.ones(2), eps=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_where_c_over_eps_has_no_digits_left_that_is_said(rng, method):
    C = 1e15 + rng.random((15, 13))
    res = solve(C, eps=1e-7, method=method, maxiter=300)
    judge(res, C, np.full(15, 1 / 15), np.full(13, 1 / 13), 1e-7)
    assert res.status is not Status.CONVERGED


COSTS = {
    "uniform": lambda rng, n, m: rng.random((n, m)),
    "integers": lambda rng, n, m: rng.integers(0, 3, (n, m)).astype(float),
    "a line": lambda rng, n, m: np.abs(np.subtract.outer(rng.random(n), rng.random(m))),
    "16 orders of magnitude": lambda rng, n, m: 10.0 ** rng.uniform(-8, 8, (n, m)),
    "either sign": lambda rng, n, m: 10 * rng.standard_normal((n, m)),
    "some forbidden": lambda rng, n, m: np.where(rng.random((n, m)) < 0.4, np.inf, rng.random((n, m))),
    "far from zero": lambda rng, n, m: 1e9 + rng.random((n, m)),
}
WEIGHTS = {
    "even": lambda rng, n: np.ones(n),
    "uniform": lambda rng, n: rng.random(n) + 1e-3,
    "some zero": lambda rng, n: rng.random(n) * (np.arange(n) % 2 == 0),
    "24 orders of magnitude": lambda rng, n: 10.0 ** rng.uniform(-24, 0, n),
    "lognormal": lambda rng, n: np.exp(12 * rng.standard_normal(n)),
}


@given(
    seed=st.integers(0, 10**6), cost=st.sampled_from(sorted(COSTS)), weights=st.sampled_from(sorted(WEIGHTS)),
    eps=st.floats(-6, 1), tol=st.integers(-11, -3), method=st.sampled_from(METHODS), single=st.booleans(),
    warm=st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_whatever_is_asked_the_answer_is_true(seed, cost, weights, eps, tol, method, single, warm):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 25, 2)
    C, a, b = COSTS[cost](rng, n, m), WEIGHTS[weights](rng, n), WEIGHTS[weights](rng, m)
    C, a, b = C.astype(np.float32 if single else np.float64), a / a.sum(), b / b.sum()
    x0 = (rng.standard_normal(n), rng.standard_normal(m)) if warm else None
    eps, tol = 10.0**eps, 10.0**tol
    res = solve(C, a, b, eps=eps, method=method, tol=tol, maxiter=500, x0=x0)
    judge(res, C, a, b, eps, tol)


def test_the_judge_sees_a_wrong_plan(rng):
    C, a, b = rng.random((6, 6)), np.full(6, 1 / 6), np.full(6, 1 / 6)
    res = transport.sinkhorn(C, eps=0.01, method="log", maxiter=2)
    assert error_of(res, C, a, b, 0.01) > 1e-3 and not res.converged
    res.status = Status.CONVERGED
    with pytest.raises(AssertionError):
        judge(res, C, a, b, 0.01)


def unattainable(C):
    """Solves to no tolerance at all, of every kind that sweeps."""
    for method in ("log", "sor", "scaling", "auto"):
        yield transport.sinkhorn(C, eps=0.1, method=method, tol=0)
        yield transport.sinkhorn([C, 2 * C], eps=0.1, method=method, tol=0)
    for method in ("log", "auto"):
        yield transport.sinkhorn(C, eps=0.1, method=method, tol=0, marginal_penalty=1.0)
    yield transport.partial(C, eps=0.1, mass=0.5, tol=0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sweeps_that_rounding_holds_up_end_soon_as_stagnated(rng, dtype):
    for res in unattainable(rng.random((30, 40)).astype(dtype)):
        statuses = res.status if isinstance(res.status, tuple) else (res.status,)
        assert set(statuses) == {Status.STAGNATED}, repr(res)
        assert np.max(res.iterations + res.newton_steps) <= 10_000
        assert np.max(res.residual) <= 50 * np.finfo(dtype).eps


def test_slow_sweeps_and_large_errors_are_not_taken_for_rounding(rng):
    problem = SimpleNamespace(eps=2.0**-52, u=np.full(30, 5.0), v=np.full(40, -5.0))
    rounding, slow = 1e-15 * rng.uniform(1, 3, 4000), 1e-14 * 0.9999 ** np.arange(4000)
    for errors, rests in ((rounding, True), (slow, False), (1e6 * rounding, False)):
        floor = _Floor(problem)
        assert any(floor.reached(part) for part in np.array_split(errors, 60)) is rests


@pytest.mark.parametrize("method", METHODS)
def test_costs_whose_ratios_to_eps_have_no_digits_end_at_once(rng, method):
    C = 1e300 * rng.random((6, 7))
    for res in (solve(C, eps=0.1, method=method), solve(C, eps=0.1, method=method, maxiter=200)):
        assert res.status is Status.NONFINITE and res.iterations + res.newton_steps <= 500
        assert np.isfinite(res.plan).all()
