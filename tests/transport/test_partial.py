"""partial: against the larger balanced problem, exact partial transport and SP2OT's scaling; and edges."""

import tracemalloc

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, xlogy

from solvers import InvalidInput, Status, UnsupportedType, transport


@pytest.fixture
def uneven(problem):
    """Costs, and weights of totals 1 and 1.4."""
    C, a, b = problem()
    return C, a, 1.4 * b


def larger(C, a, b, mass):
    """The balanced problem with the slack in C: the common pair is forbidden."""
    corner = np.pad(C, ((0, 1), (0, 1)))
    corner[-1, -1] = np.inf
    return corner, np.append(a, b.sum() - mass), np.append(b, a.sum() - mass)


@pytest.mark.parametrize("eps", [0.5, 0.05])
@pytest.mark.parametrize("mass", [0.05, 0.5, 0.9])
def test_it_is_the_balanced_problem_with_a_row_and_a_column_more(uneven, mass, eps):
    C, a, b = uneven
    res = transport.partial(C, a, b, mass=mass, eps=eps, tol=1e-11)
    whole = transport.sinkhorn(*larger(C, a, b, mass), eps=eps, tol=1e-12)
    assert res.converged and np.abs(res.plan - whole.plan[:-1, :-1]).max() <= 1e-9
    assert abs(res.plan.sum() - mass) <= 1e-10 and abs(res.mass - mass) <= 1e-10
    p, q = a - res.plan.sum(axis=1), b - res.plan.sum(axis=0)
    assert p.min() >= -1e-10 and q.min() >= -1e-10
    assert res.value == pytest.approx((C * res.plan).sum(), rel=1e-12)
    entropy = sum((xlogy(x, x) - x).sum() for x in (res.plan, np.maximum(p, 0), np.maximum(q, 0)))
    assert res.regularized_value == pytest.approx(res.value + eps * entropy, abs=1e-9)
    assert res.dual_value == pytest.approx(res.regularized_value, abs=1e-9)
    assert res.dual_value == pytest.approx(whole.dual_value, abs=1e-9)
    f, g = res.potentials
    assert np.allclose(res.plan, np.exp((f[:, None] + g - C) / eps), rtol=1e-9) and abs(a @ f - b @ g) <= 1e-9


@pytest.mark.parametrize("mass", [0.3, 0.8])
def test_the_cost_tends_to_that_of_exact_partial_transport(problem, mass):
    C, a, b = problem(12, 9)
    b = 1.4 * b
    exact = (ot.partial.partial_wasserstein(a, b, C, m=mass) * C).sum()
    total = a.sum() + b.sum() - mass
    for eps in (0.1, 0.01, 0.003):
        res = transport.partial(C, a, b, mass=mass, eps=eps, tol=1e-8)
        assert res.converged, repr(res)
        assert exact - 1e-7 <= res.value <= exact + eps * total * np.log(13 * 10) + 1e-7
    assert res.value <= exact + 0.02  # far below the bound


def test_no_mass_is_the_plan_of_zeros(uneven):
    C, a, b = uneven
    for cost in (C, transport.PointCloud(np.zeros((23, 2)), np.ones((31, 2)))):
        res = transport.partial(cost, a, b, mass=0, eps=0.1)
        assert res.converged and res.mass == res.value == 0 and not res.plan.any() and res.plan.shape == C.shape
        entropy = 0.1 * sum((xlogy(w, w) - w).sum() for w in (a, b))
        assert res.regularized_value == res.dual_value == pytest.approx(entropy)
        assert all(np.all(p == -np.inf) for p in res.potentials) and res.sparse_plan().nnz == 0


def test_all_the_mass_of_one_side_uses_it_up(uneven):
    C, a, b = uneven
    for mass in (a.sum(), np.float32(a.sum()) * (1 + 2e-7)):  # a sum may be above the total by rounding
        res = transport.partial(C, a, b, mass=mass, eps=0.05, tol=1e-10)
        assert res.converged and np.allclose(res.plan.sum(axis=1), a, atol=1e-9)
        assert np.all(res.plan.sum(axis=0) <= b + 1e-9)


def test_all_the_mass_of_both_sides_is_the_balanced_problem(problem):
    C, a, b = problem()
    res = transport.partial(C, a, b, mass=1.0, eps=0.05, tol=1e-10)
    assert np.abs(res.plan - transport.sinkhorn(C, a, b, eps=0.05, tol=1e-10).plan).max() <= 1e-9


def relaxed_scaling(C, a, b, mass, eps, sigma, steps=3000):
    """Rows hard, columns drawn to b, a virtual hard column: the scaling of SP2OT by log-sum-exps."""
    G = np.pad(-C / eps, ((0, 0), (0, 1)))
    log_b = np.log(np.append(b, a.sum() - mass))
    phi = np.append(np.where(np.isinf(sigma), 1.0, 1 / (1 + eps / sigma)), 1.0)
    v = np.zeros(b.size + 1)
    for _ in range(steps):
        u = np.log(a) - logsumexp(G + v, axis=1)
        v = phi * (log_b - logsumexp(G + u[:, None], axis=0))
    return np.exp(G + u[:, None] + v)[:, :-1]


@pytest.mark.parametrize("mixture", [False, True])
def test_columns_drawn_to_their_weights_are_the_scaling_step_of_sp2ot(problem, rng, mixture):
    C, a, b = problem(20, 6)
    mass, eps, sigma = 0.6, 0.1, 10.0 ** rng.uniform(-1, 1, 6)
    if mixture:
        sigma[::2] = np.inf
    res = transport.partial(C, a, mass * b, mass=mass, eps=eps, marginal_penalty=(None, sigma), tol=1e-12)
    assert res.converged and abs(res.mass - mass) <= 1e-11
    assert np.abs(res.plan - relaxed_scaling(C, a, mass * b, mass, eps, sigma)).max() <= 1e-9
    assert np.all(res.plan.sum(axis=1) <= a + 1e-11)
    assert res.dual_value == pytest.approx(res.regularized_value, abs=1e-9)
    turned = transport.partial(C.T, mass * b, a, mass=mass, eps=eps, marginal_penalty=(sigma, None), tol=1e-12)
    assert np.abs(turned.plan.T - res.plan).max() <= 1e-10


@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95), shift=st.floats(-3, 3), scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_transposition_shift_scale_and_permutation(seed, share, shift, scale):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    C, a, b, eps = rng.random((n, m)), rng.random(n) + 0.05, rng.random(m) + 0.05, 0.3
    mass = share * min(a.sum(), b.sum())
    base = transport.partial(C, a, b, mass=mass, eps=eps, tol=1e-11)
    assert base.converged, repr(base)
    rows, columns = rng.permutation(n), rng.permutation(m)
    permuted = transport.partial(C[rows][:, columns], a[rows], b[columns], mass=mass, eps=eps, tol=1e-11)
    for plan, expected in (
        (transport.partial(C.T, b, a, mass=mass, eps=eps, tol=1e-11).plan.T, base.plan),
        (transport.partial(scale * C, a, b, mass=mass, eps=scale * eps, tol=1e-11).plan, base.plan),
        # The mass is given, so that what all pairs cost more changes nothing.
        (transport.partial(C + shift, a, b, mass=mass, eps=eps, tol=1e-11).plan, base.plan),
        (transport.partial(C, 7 * a, 7 * b, mass=7 * mass, eps=eps, tol=1e-11).plan / 7, base.plan),
        (permuted.plan, base.plan[rows][:, columns]),
    ):
        assert np.abs(plan - expected).max() <= 1e-8


def test_zero_weights_get_nothing(uneven):
    C, a, b = uneven
    a[[0, 7]], b[-1] = 0, 0
    res = transport.partial(C, a, b, mass=0.5, eps=0.05, tol=1e-10)
    kept = np.delete(C[:, :-1], [0, 7], axis=0), np.delete(a, [0, 7]), b[:-1]
    small = transport.partial(*kept, mass=0.5, eps=0.05, tol=1e-10)
    assert res.converged and not res.plan[[0, 7]].any() and not res.plan[:, -1].any()
    assert np.allclose(np.delete(res.plan[:, :-1], [0, 7], axis=0), small.plan, rtol=1e-7)
    again = transport.partial(C, a, b, mass=0.5, eps=0.05, x0=res.potentials, tol=1e-8)
    assert again.converged and again.iterations <= 2


def test_what_may_go_nowhere_stays_where_there_is_slack(problem):
    C, a, b = problem(8, 9)
    C[2], C[:, 4] = np.inf, np.inf
    res = transport.partial(C, a, b, mass=0.5, eps=0.05, tol=1e-9)
    assert res.converged and not res.plan[2].any() and not res.plan[:, 4].any() and abs(res.mass - 0.5) <= 1e-8
    too_much = transport.partial(C, a, b, mass=1 - a[2] / 2, eps=0.05)
    assert too_much.status is Status.INFEASIBLE and "permitted" in too_much.message


def test_float32_stays_and_normalize_makes_the_mass_a_share(uneven):
    C, a, b = uneven
    single = transport.partial(C.astype(np.float32), a, b, mass=0.5, eps=0.05, tol=1e-4)
    double = transport.partial(C, 3 * a, b, mass=0.5, eps=0.05, normalize=True, tol=1e-9)
    assert single.converged and single.plan.dtype == np.float32
    assert double.converged and np.all(double.plan.sum(axis=0) <= b / 1.4 + 1e-8) and abs(double.mass - 0.5) <= 1e-8
    exact = transport.partial(C, a, b, mass=0.5, eps=0.05, tol=1e-9)
    assert np.abs(single.plan - exact.plan).max() <= 1e-4


def test_a_point_cloud_gives_what_its_matrix_gives_without_its_memory(rng):
    n = 2000
    X, Y = rng.random((n, 3)), rng.random((n, 3))
    small = slice(0, 60)
    C = ((X[small, None] - Y[small]) ** 2).sum(-1)
    cloud = transport.partial(transport.PointCloud(X[small], Y[small]), mass=0.7, eps=0.1, tol=1e-10)
    assert np.abs(cloud.plan - transport.partial(C, mass=0.7, eps=0.1, tol=1e-10).plan).max() <= 1e-10
    tracemalloc.start()
    try:
        res = transport.partial(transport.PointCloud(X, Y), mass=0.7, eps=0.5, tol=1e-4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert res.converged and peak <= 8 * 100 * 2 * n < 0.2 * 8 * n * n


def test_costs_are_not_copied(rng):
    C = rng.random((1200, 1000))
    transport.partial(C, mass=0.7, eps=0.5, maxiter=1)  # compiles
    tracemalloc.start()
    try:
        problem = transport._unbalanced.RelaxedProblem(C, None, None, 0.5, None, False, (np.array(np.inf),) * 2, 0.7)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert problem.cost.C is C and peak <= 0.3 * C.nbytes


def test_rounding_is_refused_and_nothing_of_the_callers_is_changed(uneven):
    C, a, b = uneven
    copies = C.copy(), a.copy(), b.copy()
    res = transport.partial(C, a, b, mass=0.5, eps=0.1)
    res.plan[:] = 0
    assert all(np.array_equal(x, y) for x, y in zip((C, a, b), copies)) and "mass 0.5" in repr(res)
    with pytest.raises(InvalidInput, match="`round` needs"):
        res.round()


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(mass=-0.1), "mass"),
        (dict(mass=np.nan), "mass"),
        (dict(mass=np.inf), "`mass` must be finite"),
        (dict(mass=1.1), "`mass` must be at most the total of `a`, 1, got 1.1"),
        (dict(mass=0.9, b=[0.4, 0.4]), "total of `b`, 0.8, got 0.9"),
        (dict(marginal_penalty=1.0), "one side hard"),
        (dict(marginal_penalty=(None, [np.inf, 1.0]), b=[0.6, 1.0]), "`b` must have hard weights of less than"),
        (dict(marginal_penalty=(None, np.ones(3))), "shape"),
        (dict(a=[-1.0, 2.0]), "negative"),
        (dict(eps=0.0), "eps"),
        (dict(tol=-1.0), "tol"),
    ],
)
def test_bad_input_is_one_sentence(change, words):
    arguments = dict(C=np.array([[0.0, 1.0], [1.0, 0.0]]), eps=0.1, mass=0.5) | change
    with pytest.raises(InvalidInput, match=words) as caught:
        transport.partial(**arguments)
    assert "\n" not in str(caught.value)


def test_the_mass_has_to_be_given_and_a_number():
    with pytest.raises(TypeError, match="mass"):
        transport.partial(np.eye(2), eps=0.1)
    with pytest.raises(UnsupportedType, match="mass"):
        transport.partial(np.eye(2), eps=0.1, mass="half")


def inliers(n=60):
    """Clouds of which seven tenths have a partner nearby, and their mass: where sweeps converge like 1 / sweeps."""
    rng = np.random.default_rng(4)
    X, Y, kept = rng.random((n, 2)), rng.random((n, 2)), 7 * n // 10
    X[kept:] += 5
    Y[kept:] -= 5
    return X, Y, kept / n


@pytest.mark.parametrize("eps", [0.1, 0.001])
@pytest.mark.parametrize("cloud", [False, True])
def test_just_the_mass_of_the_inliers_takes_few_steps(cloud, eps):
    X, Y, mass = inliers()
    C = ((X[:, None] - Y[None]) ** 2).sum(axis=2)
    res = transport.partial(transport.PointCloud(X, Y) if cloud else C, mass=mass, eps=eps, tol=1e-9, maxiter=400)
    assert res.converged and res.newton_steps > 0 and abs(res.mass - mass) <= 1e-9
    uniform = np.full(60, 1 / 60)
    whole = transport.sinkhorn(*larger(C, uniform, uniform, mass), eps=eps, tol=1e-9)
    assert whole.converged and np.abs(res.plan - whole.plan[:-1, :-1]).max() <= 1e-8
    assert res.regularized_value == pytest.approx(res.dual_value, abs=1e-7)


def test_newton_steps_on_a_cloud_keep_memory_small():
    X, Y, mass = inliers(1200)
    cloud = transport.PointCloud(X, Y)
    transport.partial(cloud, mass=mass, eps=0.001, tol=1e-6)
    tracemalloc.start()
    res = transport.partial(cloud, mass=mass, eps=0.001, tol=1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert res.converged and res.newton_steps > 0 and peak <= 256 * 2400 * 52  # bytes an entry


@pytest.mark.parametrize("side", [0, 1])
def test_all_the_mass_of_a_side_and_newton_steps(uneven, side):
    C, *w = uneven if side == 0 else (uneven[0].T.copy(), uneven[2], uneven[1])
    res = transport.partial(C, *w, mass=w[side].sum(), eps=5e-4, tol=1e-9, maxiter=3000)
    assert res.converged and res.newton_steps > 0
    assert np.allclose(res.plan.sum(axis=1 - side), w[side], atol=1e-9)
