"""sinkhorn(method="newton"): counts, agreement with sweeps and exact transport, degenerate and impossible problems."""

import tracemalloc

import numpy as np
import ot
import pytest

from solvers import Status, transport


def newton(C, a=None, b=None, *, eps, tol=1e-8, maxiter=1000, **options):
    return transport.sinkhorn(C, a, b, eps=eps, method="newton", tol=tol, maxiter=maxiter, **options)


def error_of(res, a, b):
    P = res.plan.astype(np.float64)
    assert np.isfinite(P).all() and np.isfinite(res.value)
    return np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()


def grid(side, power):
    """Costs between the pixels of an image, at most 1."""
    pixels = np.stack(np.meshgrid(*2 * (np.arange(side),), indexing="ij"), -1).reshape(-1, 2).astype(float)
    D = np.abs(pixels[:, None] - pixels[None])
    C = D.sum(axis=2) if power == 1 else (D**2).sum(axis=2)
    return C / C.max()


def blobs(rng, side, floor):
    """Two images of three blobs each; without a floor they are zero in most pixels."""
    pixels = np.stack(np.meshgrid(*2 * (np.arange(side),), indexing="ij"), -1).reshape(-1, 2)
    images = []
    for _ in range(2):
        w = sum(np.exp(-((pixels - rng.uniform(2, side - 2, 2)) ** 2).sum(axis=1) / 3) for _ in range(3))
        w = np.where(w > 0.1, w, 0.0) + floor
        images.append(w / w.sum())
    return images


@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_problem_takes_at_most_10_steps_after_at_most_30_sweeps(seed):
    n = 500
    C, a = np.random.default_rng(seed).random((n, n)), np.full(n, 1 / n)
    res = newton(C, eps=1 / 1200)
    assert res.status is Status.CONVERGED and res.newton_steps <= 10 and res.iterations <= 30, repr(res)
    assert np.hypot(*(np.linalg.norm(res.plan.sum(axis=k) - a) for k in (0, 1))) <= 1e-8


@pytest.mark.parametrize("eps", [0.1, 0.01, 0.003])
def test_it_agrees_with_a_long_run_of_sweeps(problem, eps):
    C, a, b = problem(23, 31)
    res, long = newton(C, a, b, eps=eps, tol=1e-11), transport.sinkhorn(C, a, b, eps=eps, method="log", tol=1e-11)
    assert res.converged and long.converged
    assert np.allclose(res.plan, long.plan, atol=1e-9, rtol=1e-6)
    for ours, theirs in zip(res.potentials, long.potentials):
        assert np.allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("eps", [1e-1, 1e-3, 1e-5])
def test_the_value_lies_between_exact_transport_and_that_plus_the_entropy(problem, eps):
    C, a, b = problem(40, 25)
    exact, res = ot.emd2(a, b, C), newton(C, a, b, eps=eps)
    assert res.converged
    assert exact - 1e-7 <= res.value <= exact + eps * np.log(C.size) + 1e-7


@pytest.mark.parametrize("floor", [0.0, 0.01])
@pytest.mark.parametrize("eps", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("power", [1, 2])
def test_images_converge_also_where_the_cost_is_degenerate(rng, power, eps, floor):
    C, (a, b) = grid(16, power), blobs(rng, 16, floor)
    res = newton(C, a, b, eps=eps)
    assert res.status is Status.CONVERGED and res.newton_steps <= 150, repr(res)
    assert error_of(res, a, b) <= 1.1e-8
    assert res.value <= ot.emd2(a, b, C) + eps * np.log(C.size) + 1e-7


def test_a_cost_along_a_line_where_many_plans_are_best(rng):
    C = np.abs(np.subtract.outer(np.sort(rng.random(200)), np.sort(rng.random(200))))
    res = newton(C, eps=1e-4)
    assert res.converged and error_of(res, 1 / 200, 1 / 200) <= 1.1e-8


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_the_scale_and_the_shift_of_the_costs_change_no_count(problem, scale):
    C, a, b = problem(60, 50)
    plain = newton(C, a, b, eps=1e-3)
    for other in (newton(scale * C, a, b, eps=1e-3 * scale), newton(C + 10, a, b, eps=1e-3)):
        assert other.converged and (other.iterations, other.newton_steps) == (plain.iterations, plain.newton_steps)
        assert np.allclose(other.plan, plain.plan, atol=1e-9)


def test_weights_over_many_orders_of_magnitude_and_zeros(rng):
    C = grid(10, 2)
    a, b = np.exp(12 * rng.standard_normal(100)), rng.random(100)
    a[::7] = 0
    a, b = a / a.sum(), b / b.sum()
    res = newton(C, a, b, eps=1e-3)
    assert res.converged and error_of(res, a, b) <= 1.1e-8 and not res.plan[::7].any()


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 30), (30, 1), (7, 90), (90, 7)])
def test_shapes(problem, n, m):
    C, a, b = problem(n, m)
    res = newton(C, a, b, eps=1e-2, tol=1e-10)
    assert res.converged and error_of(res, a, b) <= 1.1e-10


def test_a_point_mass_goes_wherever_it_must(problem):
    C, _, b = problem(12, 20)
    a = np.zeros(12)
    a[5] = 1
    res = newton(C, a, b, eps=1e-3)
    assert res.converged and np.allclose(res.plan[5], b, atol=1e-9) and np.isclose(res.value, C[5] @ b)


def test_float32_converges_to_what_it_can_and_names_what_it_cannot():
    rng = np.random.default_rng(1)
    C, (a, b) = grid(12, 2), (w.astype(np.float32) for w in blobs(rng, 12, 0.01))
    res = newton(C.astype(np.float32), a, b, eps=1e-3, tol=1e-4)
    assert res.converged and res.plan.dtype == np.float32 and error_of(res, a, b) <= 1.1e-4
    res = newton(C.astype(np.float32), a, b, eps=1e-3, tol=1e-12)
    assert res.status is Status.STAGNATED and res.marginal_error <= 1e-4 and res.newton_steps <= 100


def test_permitted_pairs_that_suffice(rng):
    C = np.where(rng.random((80, 80)) < 0.7, np.inf, rng.random((80, 80)))
    C[np.arange(80), rng.permutation(80)] = 0.9  # one assignment is always permitted
    res = newton(C, eps=1e-3)
    assert res.converged and not res.plan[np.isinf(C)].any() and error_of(res, 1 / 80, 1 / 80) <= 1.1e-8


def test_permitted_pairs_that_only_just_suffice(rng):
    C = rng.random((60, 60))
    C[:30, 30:] = np.inf  # the lower left quarter cannot be used
    res = newton(C, eps=1e-2)
    assert res.converged and res.plan[30:, :30].sum() <= 1e-8


@pytest.mark.parametrize("rows", [31, 45])
def test_permitted_pairs_that_cannot_carry_the_weights_are_named(rng, rows):
    C = rng.random((60, 60))
    C[:rows, 30:] = np.inf
    res = newton(C, eps=1e-2)
    assert res.status is Status.INFEASIBLE and np.isfinite(res.marginal_error), repr(res)


def test_a_warm_start_takes_no_path(problem):
    C, a, b = problem(50, 50)
    first = newton(C, a, b, eps=1e-3)
    again = newton(C, a, b, eps=1.001e-3, x0=first.potentials)
    assert again.converged and again.iterations + again.newton_steps < first.iterations + first.newton_steps
    done = newton(C, a, b, eps=1e-3, x0=first.potentials)
    assert done.converged and done.newton_steps == 0


def test_the_limit_on_steps_holds_and_the_potentials_are_those_of_eps(problem):
    C, a, b = problem(50, 50)
    for most in (1, 5, 9):
        res = newton(C, a, b, eps=1e-4, maxiter=most)
        assert res.status is Status.MAXITER and res.iterations + res.newton_steps == most == len(res.residuals) - 1
        assert abs(error_of(res, a, b) - res.marginal_error) <= 1e-8


def test_a_callback_sees_every_step(problem):
    C, a, b = problem(30, 40)
    seen = []
    res = newton(C, a, b, eps=1e-3, callback=lambda potentials: seen.append([p.copy() for p in potentials]))
    assert len(seen) == res.iterations + res.newton_steps and np.isfinite(np.concatenate(seen[0])).all()


def test_the_same_problem_as_points_and_as_costs(rng):
    X, Y = rng.random((120, 2)), rng.random((90, 2))
    C = ((X[:, None] - Y[None]) ** 2).sum(axis=2)
    points, costs = newton(transport.PointCloud(X, Y), eps=1e-3), newton(C, eps=1e-3)
    assert points.converged and costs.converged and np.allclose(points.plan, costs.plan, atol=1e-8)


def test_points_whose_plan_is_wide_keep_memory_small(rng):
    n = 2500
    cloud = transport.PointCloud(rng.random((n, 2)), rng.random((n, 2)))
    newton(cloud, eps=0.05, maxiter=4)  # compiles
    tracemalloc.start()
    res = newton(cloud, eps=0.05, tol=1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert res.converged and res.newton_steps > 0 and peak <= 8 * 0.9 * n * n, (repr(res), peak / (8 * n * n))


def test_memory_beyond_the_costs_is_at_most_twice_theirs(rng):
    n = 700
    C = rng.random((n, n))
    newton(C, eps=0.3, maxiter=4)
    tracemalloc.start()
    newton(C, eps=0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 2 * C.nbytes, peak / C.nbytes
