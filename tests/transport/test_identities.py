"""What holds of every entropic plan, by every method: symmetry, scaling, bounds and cases in closed form."""

import numpy as np
import ot
import pytest
from hard_problems import METHODS, solve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solvers import transport

TOL = 1e-11
seeds, methods = st.integers(0, 10**6), st.sampled_from(METHODS)
regularisations = st.sampled_from([0.5, 0.05, 0.02])


def draw(seed, most=12):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, most, 2)
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng, rng.random((n, m)), a / a.sum(), b / b.sum()


def plan(C, a, b, eps, method):
    res = solve(C, a, b, eps=eps, method=method, tol=TOL)
    # The fixed number of entries of "top-k" does not suffice for every plan.
    assert res.converged or method == "top-k", repr(res)
    return res.plan if res.converged else solve(C, a, b, eps=eps, tol=TOL).check().plan


@given(seed=seeds, eps=regularisations, method=methods)
@settings(max_examples=40, deadline=None)
def test_the_transposed_problem_has_the_transposed_plan(seed, eps, method):
    _, C, a, b = draw(seed)
    assert np.abs(plan(C.T, b, a, eps, method).T - plan(C, a, b, eps, method)).max() <= 1e-8


@given(seed=seeds, eps=regularisations, method=methods)
@example(seed=631797, eps=0.02, method="sor")  # over-relaxation takes the plan apart, and has to notice
@settings(max_examples=40, deadline=None)
def test_terms_of_the_rows_and_the_columns_change_nothing_but_the_potentials(seed, eps, method):
    rng, C, a, b = draw(seed)
    p, q = rng.uniform(-3, 3, a.size), rng.uniform(-3, 3, b.size)
    moved = solve(C + p[:, None] + q, a, b, eps=eps, tol=TOL)
    assert np.abs(moved.check().plan - plan(C, a, b, eps, method)).max() <= 1e-8
    assert abs(moved.value - (C * moved.plan).sum() - a @ p - b @ q) <= 1e-8


@given(seed=seeds, eps=regularisations, method=methods, scale=st.sampled_from([1e-9, 1e-3, 2.0, 1e6]))
@settings(max_examples=40, deadline=None)
def test_costs_and_eps_have_one_unit(seed, eps, method, scale):
    _, C, a, b = draw(seed)
    assert np.abs(plan(scale * C, a, b, scale * eps, method) - plan(C, a, b, eps, method)).max() <= 1e-8


@given(seed=seeds, eps=regularisations, method=methods)
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_and_columns_does_not_matter(seed, eps, method):
    rng, C, a, b = draw(seed)
    i, j = rng.permutation(a.size), rng.permutation(b.size)
    there = plan(C[i][:, j], a[i], b[j], eps, method)
    assert np.abs(there - plan(C, a, b, eps, method)[i][:, j]).max() <= 1e-8


@given(seed=seeds, eps=st.floats(-3, 0), method=methods)
@settings(max_examples=40, deadline=None)
def test_the_value_lies_between_exact_transport_and_that_plus_the_entropy(seed, eps, method):
    _, C, a, b = draw(seed, 25)
    eps = 10.0**eps
    res = solve(C, a, b, eps=eps, method=method, tol=1e-9, maxiter=20_000)
    exact = ot.emd2(a, b, C)
    if res.converged:
        assert exact - 1e-8 <= res.value <= exact + eps * np.log(C.size) + 1e-8
    assert res.converged or method not in ("auto", "newton"), repr(res)


@given(seed=seeds, eps=regularisations, method=methods)
@settings(max_examples=30, deadline=None)
def test_a_separable_cost_gives_the_product_of_the_weights(seed, eps, method):
    rng, C, a, b = draw(seed)
    p, q = rng.uniform(-1, 1, a.size), rng.uniform(-1, 1, b.size)
    res = solve(p[:, None] + q, a, b, eps=eps, method=method, tol=TOL).check()
    assert np.abs(res.plan - np.outer(a, b)).max() <= 1e-10
    assert abs(res.value - a @ p - b @ q) <= 1e-9
    entropy = np.outer(a, b) * (np.log(np.outer(a, b)) - 1)
    assert abs(res.regularized_value - res.value - eps * entropy.sum()) <= 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_equal_weights_without_a_cost(rng, method):
    a = rng.random(9)
    a /= a.sum()
    res = solve(np.zeros((9, 9)), a, a, eps=0.3, method=method, tol=TOL).check()
    assert np.abs(res.plan - np.outer(a, a)).max() <= 1e-12 and abs(res.value) <= 1e-12
    assert np.allclose(*res.potentials, atol=1e-10)


@given(seed=seeds, eps=regularisations)
@settings(max_examples=20, deadline=None)
def test_a_symmetric_problem_has_a_symmetric_plan(seed, eps):
    rng = np.random.default_rng(seed)
    X, a = rng.random((10, 2)), rng.random(10) + 0.1
    res = transport.sinkhorn(transport.PointCloud(X, X), a, a, eps=eps, tol=TOL, normalize=False).check()
    assert np.abs(res.plan - res.plan.T).max() <= 1e-9
    # What clusters of points exchange is all that ties their potentials: the Laplacian of the plan as a graph.
    ties = np.linalg.eigvalsh(np.diag(res.plan.sum(axis=1)) - res.plan)[1]
    assert np.allclose(*res.potentials, atol=1e-8 + eps * TOL * res.mass / ties)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("s", "t", "mean", "eps"), [(1.0, 1.0, 0.0, 2.0), (0.8, 1.3, 0.7, 0.5), (0.5, 1.0, -1.0, 4.0)])
def test_gaussians_on_a_line_in_closed_form(method, s, t, mean, eps):
    """Janati, Muzellec, Peyre & Cuturi 2020 (arXiv:2006.02572), theorem 1, in one dimension.

    The plan for |x - y|^2 + eps KL is the Gaussian with covariance k = sqrt(s^2 t^2 + (eps / 4)^2) - eps / 4, and with
    P the product, KL(plan | P) = -log(1 - k^2 / (s t)^2) / 2.
    """
    x, y = np.linspace(-7.5, 7.5, 150) * s, np.linspace(-7.5, 7.5, 160) * t
    a, b = np.exp(-((x / s) ** 2) / 2), np.exp(-((y / t) ** 2) / 2)
    a, b, y = a / a.sum(), b / b.sum(), y + mean
    res = solve(np.subtract.outer(x, y) ** 2, a, b, eps=eps, method=method, tol=1e-12)
    res = res if res.converged or method != "top-k" else solve(np.subtract.outer(x, y) ** 2, a, b, eps=eps, tol=1e-12)
    k = np.sqrt((s * t) ** 2 + (eps / 4) ** 2) - eps / 4
    assert res.converged and abs((res.plan * np.outer(x, y - mean)).sum() - k) <= 1e-7
    assert abs(res.value - (mean**2 + s**2 + t**2 - 2 * k)) <= 1e-7
    divergence = (res.regularized_value - res.value) / eps + 1 - a @ np.log(a) - b @ np.log(b)
    assert abs(divergence + np.log(1 - (k / (s * t)) ** 2) / 2) <= 1e-7
