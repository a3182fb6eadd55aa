"""sinkhorn: plans that are right, identities, and what is refused."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import InvalidInput, Status, UnsupportedType, transport

METHODS = ("auto", "log", "scaling", "sor", "newton")


def error_of(P, a, b):
    """The L1 error of both marginals of the plan itself."""
    return np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()


@pytest.mark.parametrize("eps", [1.0, 0.05, 0.005])
@pytest.mark.parametrize("method", METHODS)
def test_converged_means_the_marginals_and_the_form_of_the_plan(problem, method, eps):
    C, a, b = problem()
    res = transport.sinkhorn(C, a, b, eps=eps, method=method, tol=1e-9)
    assert res.status is Status.CONVERGED, repr(res)
    f, g = res.potentials
    assert error_of(res.plan, a, b) <= 1.1e-9 and abs(res.marginal_error - error_of(res.plan, a, b)) <= 1e-11
    assert np.allclose(res.plan, np.exp((f[:, None] + g - C) / eps), rtol=1e-7, atol=1e-300)
    assert np.isclose(res.value, (C * res.plan).sum(), rtol=1e-9)
    entropy = (res.plan * (np.log(np.maximum(res.plan, 1e-300)) - 1)).sum()
    assert np.isclose(res.regularized_value, res.value + eps * entropy, rtol=1e-7)
    assert res.dual_value <= res.regularized_value + 1e-8
    assert abs(a @ f - b @ g) <= 1e-9 and len(res.residuals) >= 2


@pytest.mark.parametrize("method", METHODS)
def test_the_value_lies_between_exact_transport_and_that_plus_the_entropy(problem, method):
    C, a, b = problem(15, 12)
    exact = ot.emd2(a, b, C)
    for eps in (0.3, 0.03, 0.003):
        res = transport.sinkhorn(C, a, b, eps=eps, method=method, tol=1e-8)
        assert res.converged, repr(res)
        assert exact - 1e-7 <= res.value <= exact + eps * np.log(C.size) + 1e-7


@given(seed=st.integers(0, 10**6), eps=st.sampled_from([0.5, 0.05]), shift=st.floats(-5, 5), scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_transposition_shift_scale_and_permutation(seed, eps, shift, scale):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    C, a, b = rng.random((n, m)), rng.random(n) + 0.05, rng.random(m) + 0.05
    a, b = a / a.sum(), b / b.sum()
    base = transport.sinkhorn(C, a, b, eps=eps, tol=1e-11)
    rows, columns = rng.permutation(n), rng.permutation(m)
    others = (
        (transport.sinkhorn(C.T, b, a, eps=eps, tol=1e-11).plan.T, 1),
        (transport.sinkhorn(C + shift, a, b, eps=eps, tol=1e-11).plan, 1),
        (transport.sinkhorn(scale * C, a, b, eps=scale * eps, tol=1e-11).plan, 1),
        (transport.sinkhorn(C, 7 * a, 7 * b, eps=eps, tol=1e-11).plan / 7, 1),
    )
    for plan, _ in others:
        assert np.abs(plan - base.plan).max() <= 1e-8
    permuted = transport.sinkhorn(C[rows][:, columns], a[rows], b[columns], eps=eps, tol=1e-11)
    assert np.abs(permuted.plan - base.plan[rows][:, columns]).max() <= 1e-8


def test_no_cost_gives_the_product_of_the_weights(problem):
    _, a, b = problem()
    res = transport.sinkhorn(np.zeros((a.size, b.size)), a, b, eps=0.1)
    assert res.converged and np.allclose(res.plan, np.outer(a, b)) and abs(res.value) <= 1e-12


def test_the_gaussian_case_in_closed_form():
    """Equal variances s^2, squared costs: the covariance of the plan is sqrt(s^4 + e^2) - e with e = eps / 4."""
    x = np.linspace(-6, 7, 400)
    a, b = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 2)
    a, b = a / a.sum(), b / b.sum()
    res = transport.sinkhorn(np.subtract.outer(x, x) ** 2, a, b, eps=0.5, tol=1e-10)
    covariance = (res.plan * np.outer(x, x - 1)).sum()
    assert abs(covariance - (np.sqrt(1 + 0.125**2) - 0.125)) <= 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_zero_weights_are_pruned_and_restored(problem, method):
    C, a, b = problem()
    a[[0, 7]], b[-1] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    res = transport.sinkhorn(C, a, b, eps=0.02, method=method, tol=1e-8)
    assert res.converged and res.plan.shape == C.shape and error_of(res.plan, a, b) <= 2e-8
    assert not res.plan[[0, 7]].any() and not res.plan[:, -1].any()
    assert np.all(res.potentials[0][[0, 7]] == -np.inf) and res.potentials[1][-1] == -np.inf
    again = transport.sinkhorn(C, a, b, eps=0.02, method="log", tol=1e-8, x0=res.potentials)
    assert again.converged and again.iterations <= 2


def test_forbidden_pairs_get_nothing(problem):
    C, a, b = problem(8, 8)
    C[np.triu_indices(8, 6)] = np.inf
    res = transport.sinkhorn(C, eps=0.05, tol=1e-8)
    assert res.converged and not res.plan[np.isinf(C)].any()


def test_a_row_that_may_go_nowhere_is_infeasible(problem):
    C, a, b = problem(8, 8)
    C[3] = np.inf
    res = transport.sinkhorn(C, a, b, eps=0.05)
    assert res.status is Status.INFEASIBLE and "permitted" in res.message


@pytest.mark.parametrize("method", METHODS)
def test_a_tiny_eps_converges_or_says_that_it_did_not(problem, method):
    C, a, b = problem(40, 40)
    res = transport.sinkhorn(C, a, b, eps=1e-5, method=method, maxiter=300, tol=1e-6)
    assert np.isfinite(res.plan).all() and np.isfinite(res.value)
    assert res.converged == (error_of(res.plan, a, b) <= 1.1e-6)


def test_newton_solves_what_sweeps_do_not(problem):
    C, a, b = problem(40, 40)
    res = transport.sinkhorn(C, a, b, eps=2e-4, method="auto", tol=1e-8)
    assert res.converged and res.newton_steps > 0 and res.iterations < 2000
    assert res.value <= ot.emd2(a, b, C) + 2e-4 * np.log(C.size)


def test_float32_stays_and_integers_and_lists_become_float64(problem):
    C, a, b = problem()
    single = transport.sinkhorn(C.astype(np.float32), a, b, eps=0.05, tol=1e-4)
    assert single.converged and single.plan.dtype == np.float32
    whole = transport.sinkhorn([[0, 1], [1, 0]], eps=0.1)
    assert whole.converged and whole.plan.dtype == np.float64


def test_rounding_makes_the_marginals_exact(problem):
    C, a, b = problem()
    res = transport.sinkhorn(C, a, b, eps=0.01, maxiter=5, method="log")
    assert not res.converged and error_of(res.round(), a, b) <= 1e-14 and (res.round() >= 0).all()


def test_the_sparse_plan_holds_the_large_entries(problem):
    C, a, b = problem()
    res = transport.sinkhorn(C, a, b, eps=0.02)
    sparse = res.sparse_plan(1e-4)
    assert np.allclose(sparse.toarray(), np.where(res.plan >= 1e-4, res.plan, 0), rtol=1e-9)


def test_nothing_of_the_callers_is_changed_or_aliased(problem):
    C, a, b = problem()
    copies = C.copy(), a.copy(), b.copy()
    res = transport.sinkhorn(C, a, b, eps=0.05)
    res.plan[:] = 0
    assert all(np.array_equal(x, y) for x, y in zip((C, a, b), copies))


def test_a_callback_gets_copies_and_may_stop(problem):
    C, a, b = problem()
    seen = []

    def spoil(potentials):
        seen.append(potentials)
        potentials[0][:] = np.nan

    assert transport.sinkhorn(C, a, b, eps=0.05, method="log", callback=spoil).converged and seen

    def stop(potentials):
        raise StopIteration

    assert transport.sinkhorn(C, a, b, eps=0.01, method="log", callback=stop).status is Status.STOPPED


@pytest.mark.parametrize("power, cost", [(2.0, "sqeuclidean"), (1.0, "euclidean"), (3.0, 3.0)])
def test_a_point_cloud_gives_what_its_matrix_gives(rng, power, cost):
    X, Y = rng.random((30, 3)), rng.random((25, 3))
    C = np.linalg.norm(X[:, None] - Y, axis=-1) ** power
    cloud = transport.sinkhorn(transport.PointCloud(X, Y, cost), eps=0.05, tol=1e-9)
    matrix = transport.sinkhorn(C, eps=0.05, tol=1e-9)
    assert cloud.converged and np.abs(cloud.plan - matrix.plan).max() <= 1e-9
    assert np.isclose(cloud.value, matrix.value, rtol=1e-8)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(a=np.array([-1.0, 2.0])), "negative"),
        (dict(a=np.array([np.nan, 1.0])), "finite"),
        (dict(a=np.array([1.0, 2.0])), "same total, got 3 and 1"),
        (dict(a=np.zeros(2)), "positive"),
        (dict(a=np.ones(3)), "shape"),
        (dict(eps=0.0), "eps"),
        (dict(eps=np.inf), "eps"),
        (dict(C=np.array([[np.nan, 1.0], [0.0, 1.0]])), "NaN"),
        (dict(C=np.zeros((0, 2))), "rows"),
        (dict(C=np.zeros(3)), "shape"),
        (dict(method="sinkhorn"), "method"),
        (dict(tol=-1.0), "tol"),
        (dict(maxiter=0), "maxiter"),
        (dict(x0=(np.zeros(2),)), "pair"),
    ],
)
def test_bad_input_is_one_sentence(change, words):
    arguments = dict(C=np.array([[0.0, 1.0], [1.0, 0.0]]), eps=0.1) | change
    with pytest.raises(InvalidInput, match=words) as caught:
        transport.sinkhorn(**arguments)
    assert "\n" not in str(caught.value)


def test_wrong_kinds_and_misspelt_keywords_are_type_errors():
    with pytest.raises(UnsupportedType, match="real"):
        transport.sinkhorn(np.eye(2) * 1j, eps=0.1)
    with pytest.raises(TypeError, match="epsilon"):
        transport.sinkhorn(np.eye(2), epsilon=0.1)


def test_totals_that_differ_are_made_to_agree_on_demand():
    res = transport.sinkhorn(np.eye(2), [1.0, 2.0], [5.0, 1.0], eps=0.1, normalize=True)
    assert res.converged and np.allclose(res.plan.sum(axis=1), [1 / 3, 2 / 3], atol=1e-6)
