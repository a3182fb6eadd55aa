"""sinkhorn(marginal_penalty=...): against POT, the dual and its limits; identities, and what is refused."""

import tracemalloc

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import xlogy

from solvers import InvalidInput, Status, UnsupportedType, transport


def relaxed(C, a, b, rho, eps=0.05, tol=1e-11, **options):
    return transport.sinkhorn(C, a, b, marginal_penalty=rho, eps=eps, tol=tol, **options)


def kl(x, w):
    return xlogy(x, x / w) - x + w


def primal(P, C, a, b, eps, rho, sigma):
    """The objective of a plan, with hard marginals left out; a forbidden pair adds nothing."""
    value = (P * np.where(P > 0, C, 0)).sum() + eps * (xlogy(P, P) - P).sum()
    for x, w, price in ((P.sum(axis=1), a, rho), (P.sum(axis=0), b, sigma)):
        soft = np.isfinite(price) & (w > 0)
        value += (price[soft] * kl(x[soft], w[soft])).sum()
    return value


def dual(f, g, C, a, b, eps, rho, sigma):
    """Its dual, by the formula of the docstring."""
    value = -eps * np.exp((f[:, None] + g - C) / eps).sum()
    for p, w, price in ((f, a, rho), (g, b, sigma)):
        soft = np.isfinite(price)
        value += (w * p)[~soft].sum() - (price[soft] * w[soft] * np.expm1(-p[soft] / price[soft])).sum()
    return value


@pytest.mark.parametrize("ratio", [1.0, 30.0])
@pytest.mark.parametrize("eps", [0.5, 0.05])
def test_the_plan_is_that_of_pot(problem, eps, ratio):
    """POT's "entropy" is ours: sum P (log P - 1), no reference measure."""
    C, a, b = problem()
    b = 1.7 * b
    ones = np.ones_like(C)
    theirs = ot.unbalanced.sinkhorn_unbalanced(
        a, b, C, eps, (eps * ratio, 2 * eps * ratio), c=ones, numItermax=100_000, stopThr=1e-15
    )
    res = relaxed(C, a, b, (eps * ratio, 2 * eps * ratio), eps)
    assert res.converged, repr(res)
    assert np.abs(res.plan - theirs).max() <= 1e-9 * theirs.max()
    assert np.isclose(res.mass, theirs.sum(), rtol=1e-9) and np.isclose(res.value, (C * theirs).sum(), rtol=1e-9)


MIXTURES = {
    "one price": (0.7, 0.7),
    "rows hard": (np.inf, 0.3),
    "columns hard": (2.0, None),
    "vectors": ("vector", "vector"),
    "mixtures": ("mixture", "mixture"),
    "a mixture and hard columns": ("mixture", np.inf),
}


def prices(kind, n, m, rng):
    """The argument, and both sides' prices as vectors."""
    given, every = [], []
    for each, size in zip(MIXTURES[kind], (n, m)):
        if isinstance(each, str):
            vector = 10.0 ** rng.uniform(-1, 1, size)
            vector[:: 2 if each == "mixture" else size + 1] = np.inf
            each = vector
        given.append(each)
        every.append(np.full(size, np.inf) if each is None else np.broadcast_to(each, (size,)).astype(float))
    return tuple(given), *every


@pytest.mark.parametrize("kind", MIXTURES)
@pytest.mark.parametrize("eps", [0.3, 0.03])
def test_the_result_meets_the_conditions_for_the_best_plan(problem, rng, kind, eps):
    C, a, b = problem()
    a, b = 3 * a, 2.2 * b
    given_prices, rho, sigma = prices(kind, *C.shape, rng)
    if kind == "a mixture and hard columns":
        a /= 2  # what is hard must leave the others some
    res = relaxed(C, a, b, given_prices, eps)
    (f, g), P = res.potentials, res.plan
    assert res.status is Status.CONVERGED and np.allclose(P, np.exp((f[:, None] + g - C) / eps), rtol=1e-9)
    gaps = np.abs(P.sum(axis=1) - a * np.exp(-f / rho)).sum() + np.abs(P.sum(axis=0) - b * np.exp(-g / sigma)).sum()
    assert abs(gaps / P.sum() - res.marginal_error) <= 1e-12 and res.marginal_error <= 1e-11
    assert np.isclose(res.mass, P.sum(), rtol=1e-12) and np.isclose(res.value, (C * P).sum(), rtol=1e-12)
    assert np.isclose(res.regularized_value, primal(P, C, a, b, eps, rho, sigma), rtol=1e-12, atol=1e-12)
    assert np.isclose(res.dual_value, dual(f, g, C, a, b, eps, rho, sigma), rtol=1e-12, atol=1e-12)
    assert np.isclose(res.dual_value, res.regularized_value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["one price", "vectors", "mixtures"])
def test_the_value_is_the_largest_that_the_dual_has(problem, rng, kind):
    C, a, b = problem(4, 5)
    given_prices, rho, sigma = prices(kind, 4, 5, rng)
    best = minimize(lambda x: -dual(x[:4], x[4:], C, a, 2 * b, 0.2, rho, sigma), np.zeros(9), options=dict(gtol=1e-8))
    res = relaxed(C, a, 2 * b, given_prices, 0.2)
    assert res.converged and res.regularized_value == pytest.approx(-best.fun, abs=1e-9)


def test_what_is_hard_everywhere_is_the_balanced_problem_to_the_bit(problem):
    C, a, b = problem()
    base = transport.sinkhorn(C, a, b, eps=0.05)
    for hard in (None, np.inf, (None, np.inf), (np.full(23, np.inf), None)):
        res = transport.sinkhorn(C, a, b, eps=0.05, marginal_penalty=hard)
        assert res.plan.tobytes() == base.plan.tobytes() and repr(res) == repr(base)


def test_large_prices_give_the_balanced_plan_in_as_many_sweeps(problem):
    """Without the translation between sweeps, rho = 1e4 eps takes some 1e5 of them."""
    C, a, b = problem()
    base = transport.sinkhorn(C, a, b, eps=0.05, method="log", tol=1e-9)
    for rho in (500.0, (np.full(23, 500.0), 400.0 + np.arange(31))):
        res = relaxed(C, a, b, rho, tol=1e-9)
        assert res.converged and res.iterations <= 2 * base.iterations + 20
        assert np.abs(res.plan - base.plan).max() <= 5e-5  # of the order of 1 / rho


def test_totals_that_differ_by_much_take_few_sweeps(problem):
    C, a, b = problem()
    res = relaxed(C, 1e3 * a, 1e-3 * b, 500.0, tol=1e-9)
    assert res.converged and res.iterations <= 300 and res.mass == pytest.approx(1.0, rel=0.01)


@given(seed=st.integers(0, 10**6), eps=st.sampled_from([0.5, 0.05]), shift=st.floats(-3, 3), scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_transposition_shift_scale_and_permutation(seed, eps, shift, scale):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    C, a, b, rho, sigma = rng.random((n, m)), *(rng.random(k) + 0.05 for k in (n, m, n, m))
    base = relaxed(C, a, b, (rho, sigma), eps)
    assert base.converged, repr(base)
    rows, columns = rng.permutation(n), rng.permutation(m)
    permuted = relaxed(C[rows][:, columns], a[rows], b[columns], (rho[rows], sigma[columns]), eps)
    one = relaxed(C, a, b, 0.4, eps)
    pairs = (
        (relaxed(C.T, b, a, (sigma, rho), eps).plan.T, base.plan),
        (relaxed(scale * C, a, b, (scale * rho, scale * sigma), scale * eps).plan, base.plan),
        (permuted.plan, base.plan[rows][:, columns]),
        # One price a side: a shift of the costs, and of the units of mass, multiply the plan.
        (relaxed(C + shift, a, b, 0.4, eps).plan, one.plan * np.exp(-shift / (0.8 + eps))),
        (relaxed(C, scale * a, scale * b, 0.4, eps).plan, one.plan * scale ** (0.8 / (0.8 + eps))),
    )
    for plan, expected in pairs:
        assert np.abs(plan - expected).max() <= 1e-8 * expected.max()


def test_zero_weights_are_pruned_and_restored(problem):
    C, a, b = problem()
    a[[0, 7]], b[-1] = 0, 0
    vector = np.linspace(0.1, 2, 23)
    res, small = relaxed(C, a, b, (vector, 0.5)), relaxed(
        np.delete(C[:, :-1], [0, 7], axis=0), np.delete(a, [0, 7]), b[:-1], (np.delete(vector, [0, 7]), 0.5)
    )
    assert res.converged and not res.plan[[0, 7]].any() and not res.plan[:, -1].any()
    assert np.allclose(np.delete(res.plan[:, :-1], [0, 7], axis=0), small.plan, rtol=1e-8)
    assert np.all(res.potentials[0][[0, 7]] == -np.inf) and res.regularized_value == pytest.approx(
        small.regularized_value
    )
    again = relaxed(C, a, b, (vector, 0.5), x0=res.potentials, tol=1e-9)
    assert again.converged and again.iterations <= 1


def test_forbidden_pairs_and_rows_that_give_all(problem):
    C, a, b = problem(8, 9)
    C[np.add.outer(np.arange(8), np.arange(9)) % 3 == 0] = np.inf
    C[2], C[:, 4] = np.inf, np.inf
    rho, sigma = np.full(8, 0.5), np.full(9, 0.7)
    res = relaxed(C, a, b, (rho, sigma))
    assert res.converged and not res.plan[np.isinf(C)].any() and res.potentials[0][2] == np.inf
    assert res.regularized_value == pytest.approx(primal(res.plan, C, a, b, 0.05, rho, sigma), rel=1e-10)
    assert res.dual_value == pytest.approx(res.regularized_value, rel=1e-9)
    rho[2] = np.inf
    hard = relaxed(C, a, b, (rho, sigma))
    assert hard.status is Status.INFEASIBLE and not np.isnan(hard.value)


def test_where_all_pairs_are_forbidden_the_plan_is_empty():
    res = relaxed(np.full((2, 3), np.inf), [1.0, 2.0], [1.0, 1.0, 1.0], 0.5)
    assert res.converged and not res.plan.any() and res.regularized_value == res.dual_value == 0.5 * 6


@pytest.mark.parametrize("rho", [0.01, 0.001])
def test_a_plan_of_almost_nothing_is_found_by_its_logarithm(problem, rho):
    """Costs of 5 and more, at such prices: the plan's sum is some e^-250 and e^-2500."""
    C, a, b = problem()
    res = relaxed(C + 5, a, b, rho, 0.1 * rho, tol=1e-6)
    near = relaxed(C, a, b, rho, 0.1 * rho, tol=1e-6)
    assert res.converged and near.converged
    for ours, theirs in zip(res.potentials, near.potentials):
        # f and g both grow by as much, where C grows by 5.
        assert np.allclose(ours, theirs + 5 / 2.1, rtol=0, atol=1e-5 * rho)
    assert res.mass < 1e-100 and res.value <= 1e-99 and not res.sparse_plan(0.5).nnz > 23 * 31
    assert res.regularized_value == res.dual_value == pytest.approx(2 * rho, rel=1e-9)


@pytest.mark.parametrize("rho", [0.01, 0.001])
def test_in_single_precision_such_a_plan_is_found_or_a_failure_is_named(problem, rho):
    C, a, b = problem()
    res = relaxed((C + 5).astype(np.float32), a, b, rho, 0.1 * rho, tol=1e-4, maxiter=500)
    assert res.converged or res.status in (Status.STAGNATED, Status.MAXITER)
    assert np.isfinite([res.value, res.regularized_value, res.dual_value]).all() and np.isfinite(res.plan).all()


def test_float32_stays(problem):
    C, a, b = problem()
    res = relaxed(C.astype(np.float32), a, b, (0.5, np.linspace(0.1, 2, 31)), tol=1e-5)
    wide = relaxed(C, a, b, (0.5, np.linspace(0.1, 2, 31)))
    assert res.converged and res.plan.dtype == np.float32 and np.abs(res.plan - wide.plan).max() <= 1e-5


def test_a_point_cloud_gives_what_its_matrix_gives(rng):
    X, Y = rng.random((30, 3)), rng.random((25, 3))
    rho = (np.linspace(0.1, 1, 30), None)
    cloud = relaxed(transport.PointCloud(X, Y), None, None, rho)
    matrix = relaxed(((X[:, None] - Y) ** 2).sum(-1), None, None, rho)
    assert cloud.converged and np.abs(cloud.plan - matrix.plan).max() <= 1e-10


def test_clouds_take_no_memory_of_the_size_of_the_plan(rng):
    n = 2000
    X, Y = rng.random((n, 3)), rng.random((n, 3))
    relaxed(transport.PointCloud(X[:9], Y[:9]), None, None, 1.0)  # compiles
    tracemalloc.start()
    try:
        res = relaxed(transport.PointCloud(X, Y), None, None, 1.0, 0.5, tol=1e-4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert res.converged and peak <= 8 * 100 * 2 * n < 0.2 * 8 * n * n


def test_the_sparse_plan_holds_the_large_entries(problem):
    C, a, b = problem()
    res = relaxed(C, 50 * a, 70 * b, 0.3)
    sparse = res.sparse_plan(1e-4)
    assert np.allclose(sparse.toarray(), np.where(res.plan >= 1e-4 * res.mass, res.plan, 0), rtol=1e-9)


def test_nothing_of_the_callers_is_changed(problem):
    C, a, b = problem()
    rho = np.linspace(0.1, 1, 23)
    copies = [x.copy() for x in (C, a, b, rho)]
    relaxed(C, a, b, (rho, 0.5)).plan[:] = 0
    assert all(np.array_equal(x, y) for x, y in zip((C, a, b, rho), copies))


def test_a_callback_sees_the_potentials_and_may_stop(problem):
    C, a, b = problem()
    seen = []
    res = relaxed(C, 5 * a, 7 * b, 0.5, callback=seen.append)
    assert len(seen) == res.iterations
    assert all(np.allclose(p, q, atol=1e-8) for p, q in zip(seen[-1], res.potentials))

    def stop(potentials):
        raise StopIteration

    assert relaxed(C, a, b, 0.5, callback=stop).status is Status.STOPPED


def test_a_limit_is_named_and_the_line_says_the_mass(problem):
    C, a, b = problem()
    res = relaxed(C, a, b, 0.5, maxiter=2)
    assert res.status is Status.MAXITER and res.iterations == 2 and f"mass {res.mass:.6g}" in repr(res)
    f, g = res.potentials
    # The best translation also of what is not solved: both sides agree on the mass.
    assert np.isclose(a @ np.exp(-f / 0.5), b @ np.exp(-g / 0.5), rtol=1e-12)
    with pytest.raises(InvalidInput, match="`round` needs"):
        res.round()


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(marginal_penalty=0.0), "marginal_penalty.* > 0"),
        (dict(marginal_penalty=np.nan), "nan"),
        (dict(marginal_penalty=(1.0, 2.0, 3.0)), "pair"),
        (dict(marginal_penalty=(np.ones(3), 1.0)), "shape"),
        (dict(marginal_penalty=(np.array([1.0, -1.0]), 1.0)), "-1.0"),
        (dict(marginal_penalty=(np.array([1.0, np.nan]), 1.0)), "nan"),
        (dict(marginal_penalty=0), r"must be > 0 everywhere \(inf: a hard marginal\), got 0\.0\.$"),
        (dict(marginal_penalty=1.0, method="newton"), "`method` must be 'auto' or 'log'"),
        (dict(marginal_penalty=1.0, method="scaling"), "`method` must be 'auto' or 'log'"),
        (dict(marginal_penalty=(1.0, None), b=np.zeros(2)), "positive"),
        (dict(marginal_penalty=(None, [np.inf, 1.0]), b=[2.0, 1.0]), "hard weights of less than .* total of 1, got 2"),
        (dict(marginal_penalty=([np.inf, 1.0], None), b=[0.2, 0.2]), "hard weights of less than"),
        (dict(marginal_penalty=([np.inf, 1.0], None), a=[1.0, 0.0], b=[0.2, 0.2]), "same total"),
    ],
)
def test_bad_input_is_one_sentence(change, words):
    arguments = dict(C=np.array([[0.0, 1.0], [1.0, 0.0]]), eps=0.1) | change
    with pytest.raises(InvalidInput, match=words) as caught:
        transport.sinkhorn(**arguments)
    assert "\n" not in str(caught.value)


def test_a_price_that_is_no_number_is_a_type_error():
    with pytest.raises(UnsupportedType, match="marginal_penalty"):
        transport.sinkhorn(np.eye(2), eps=0.1, marginal_penalty="1")


def test_mixtures_that_some_plan_has_are_solved():
    C = np.array([[0.0, 1.0], [1.0, 0.0]])
    for rho, b in (((None, [np.inf, 1.0]), [0.99, 5.0]), (([np.inf, 1.0], [1.0, np.inf]), [0.1, 9.0])):
        res = relaxed(C, None, b, rho, 0.1)
        assert res.converged, repr(res)


@pytest.mark.parametrize("kind", ["one", "large", "rows", "vectors"])
@pytest.mark.parametrize("cloud", [False, True])
def test_small_eps_takes_few_steps_and_gives_what_sweeps_give(rng, kind, cloud):
    X, Y, a, b = rng.random((40, 2)), rng.random((50, 2)), rng.random(40) + 0.1, rng.random(50) + 0.1
    C = ((X[:, None] - Y[None]) ** 2).sum(axis=2)
    b *= 0.8 * a.sum() / b.sum()
    rho = {"one": 1.0, "large": 30.0, "rows": (5.0, None), "vectors": (np.full(40, 3.0), np.full(50, 0.5))}[kind]
    cost = transport.PointCloud(X, Y) if cloud else C
    res = relaxed(cost, a, b, rho, eps=2e-3, tol=1e-9, maxiter=400)
    slow = relaxed(C, a, b, rho, eps=2e-3, tol=1e-9, method="log")
    assert res.converged and slow.converged and res.newton_steps > 0
    assert res.iterations + res.newton_steps < slow.iterations / 2 and slow.newton_steps == 0
    assert np.allclose(res.plan, slow.plan, atol=1e-7)
    assert res.regularized_value == pytest.approx(res.dual_value, abs=1e-6)
