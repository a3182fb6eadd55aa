"""Batches: each problem gets the answer that it would get alone."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import ConvergenceError, InvalidInput, Status, UnsupportedType, transport

METHODS = ("auto", "log", "scaling", "sor", "newton")


def draw(rng, size=12, n=9, m=11):
    a, b = rng.random((size, n)) + 0.1, rng.random((size, m)) + 0.1
    return rng.random((size, n, m)), a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)


def assert_a_loop(batch, C, a, b, eps, atol=1e-10, **options):
    """The batch equals a loop over single solves."""
    assert len(batch) == len(C)
    for k, (own_a, own_b, own_eps) in enumerate(zip(a, b, eps)):
        one = transport.sinkhorn(C[k], own_a, own_b, eps=own_eps, **options)
        assert one.status is batch.status[k] and (batch.status[k] == "converged") == one.converged
        if one.converged:
            assert np.abs(batch.plan[k] - one.plan).max() <= atol * one.mass
        for name in ("value", "regularized_value", "dual_value", "mass", "marginal_error", "residual"):
            assert np.isclose(getattr(batch, name)[k], getattr(one, name), rtol=1e-6, atol=atol), name


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_a_loop(rng, method):
    C, a, b = draw(rng)
    eps = np.geomspace(1.0, 0.02, len(C))
    batch = transport.sinkhorn(C, a, b, eps=eps, method=method, tol=1e-10)
    assert_a_loop(batch, C, a, b, eps, method=method, tol=1e-10)
    assert batch.converged and batch.check() is batch
    assert batch.iterations.shape == batch.newton_steps.shape == (12,) and np.all(batch.iterations > 0)


def test_marginals_may_be_shared_by_all_problems_or_uniform(rng):
    C, a, b = draw(rng)
    batch = transport.sinkhorn(C, a[0], None, eps=0.1, tol=1e-10)
    assert_a_loop(batch, C, [a[0]] * 12, [None] * 12, [0.1] * 12, tol=1e-10)
    batch = transport.sinkhorn(C, None, 5 * b, eps=0.1, tol=1e-10, normalize=True)
    assert_a_loop(batch, C, [None] * 12, b, [0.1] * 12, tol=1e-10)
    batch = transport.sinkhorn(C, 3 * a, 3 * b, eps=0.1, tol=1e-10)
    assert_a_loop(batch, C, 3 * a, 3 * b, [0.1] * 12, tol=1e-10)
    assert np.allclose(batch.mass, 3.0) and np.allclose(batch.plan.sum(axis=(1, 2)), 3.0)


def test_hard_members_among_easy_ones_go_to_newtons_method(rng):
    C, a, b = draw(rng, 8, 40, 40)
    eps = np.where(np.arange(8) % 3 == 1, 2e-4, 0.1)
    batch = transport.sinkhorn(C, a, b, eps=eps, tol=1e-8)
    assert batch.converged and np.array_equal(batch.newton_steps > 0, eps < 0.01)
    assert_a_loop(batch, C, a, b, eps, tol=1e-8)


def test_problems_too_large_to_be_taken_together_are_solved_in_turn(rng):
    C, a, b = draw(rng, 2, 520, 510)
    assert_a_loop(transport.sinkhorn(C, a, b, eps=0.1), C, a, b, [0.1] * 2)


@pytest.mark.parametrize("method", ["auto", "log"])
def test_zero_weights_are_left_out_and_restored(rng, method):
    C, a, b = draw(rng)
    a[2, [0, 5]], a[7, 1:], b[2, -1], b[9, :4] = 0, 0, 0, 0
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    batch = transport.sinkhorn(C, a, b, eps=0.05, tol=1e-10, method=method)
    assert_a_loop(batch, C, a, b, [0.05] * 12, tol=1e-10, method=method)
    f, g = batch.potentials
    assert np.array_equal(f == -np.inf, a == 0) and np.array_equal(g == -np.inf, b == 0)
    assert not batch.plan[2, [0, 5]].any() and not batch.plan[9, :, :4].any()


def test_forbidden_pairs_and_members_without_a_plan_are_named(rng):
    C, _, _ = draw(rng, 6, 8, 8)
    C[1][np.triu_indices(8, 6)] = np.inf
    C[3, 2] = np.inf
    C[4, :5, :5] = np.inf  # five rows for three columns
    batch = transport.sinkhorn(C, eps=0.05, tol=1e-8)
    expected = [Status.CONVERGED] * 3 + [Status.INFEASIBLE] * 2 + [Status.CONVERGED]
    assert list(batch.status) == expected and not batch.plan[1][np.isinf(C[1])].any()
    assert np.isfinite(batch.value).all() and np.isfinite(batch.plan).all()
    with pytest.raises(ConvergenceError, match=r"2 of 6 problems did not converge: 3 \(infeasible\), 4") as caught:
        batch.check()
    assert caught.value.result is batch


@pytest.mark.parametrize("method", METHODS)
def test_a_limit_is_named_and_nothing_is_nan(rng, method):
    C, a, b = draw(rng)
    for eps, maxiter in ((1e-3, 7), (1e-30, 100)):
        batch = transport.sinkhorn(C, a, b, eps=eps, maxiter=maxiter, tol=1e-12, method=method)
        assert Status.MAXITER in batch.status or Status.NONFINITE in batch.status
        assert np.isfinite(batch.plan).all() and np.isfinite(batch.value).all() and np.isfinite(batch.residual).all()
        error = np.abs(batch.plan.sum(axis=2) - a).sum(axis=1) + np.abs(batch.plan.sum(axis=1) - b).sum(axis=1)
        assert [s == "converged" for s in batch.status] == list(batch.residual <= 1e-12)
        assert np.all(batch.iterations <= maxiter + 1)
        if eps > 1e-10:
            assert np.allclose(error, batch.residual, atol=1e-12)


@given(seed=st.integers(0, 10**6), size=st.integers(0, 7), eps=st.sampled_from([0.5, 0.05]), scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_permutation_part_scale_and_transposition(seed, size, eps, scale):
    rng = np.random.default_rng(seed)
    C, a, b = draw(rng, size, *rng.integers(1, 9, 2))
    base = transport.sinkhorn(C, a, b, eps=eps, tol=1e-11)
    order = rng.permutation(size)
    permuted = transport.sinkhorn(C[order], a[order], b[order], eps=eps, tol=1e-11)
    # Other problems of the batch change no bit.
    assert np.array_equal(permuted.plan, base.plan[order]) and np.array_equal(permuted.value, base.value[order])
    part = transport.sinkhorn(C[: size // 2], a[: size // 2], b[: size // 2], eps=eps, tol=1e-11)
    assert np.array_equal(part.plan, base.plan[: size // 2])
    scaled = transport.sinkhorn(scale * C, a, b, eps=scale * eps, tol=1e-11)
    assert np.allclose(scaled.plan, base.plan, atol=1e-9)
    turned = transport.sinkhorn(C.transpose(0, 2, 1), b, a, eps=eps, tol=1e-11)
    assert np.allclose(turned.plan.transpose(0, 2, 1), base.plan, atol=1e-9)


def test_a_batch_of_none_and_of_one(rng):
    C, a, b = draw(rng)
    empty = transport.sinkhorn(C[:0], a[:0], b[:0], eps=0.1)
    assert len(empty) == 0 and empty.check() is empty and empty.plan.shape == (0, 9, 11) and list(empty) == []
    assert empty.value.shape == (0,) and empty.potentials[1].shape == (0, 11) and json.dumps(empty.to_dict())
    one = transport.sinkhorn(C[:1], a[:1], b[:1], eps=0.1)
    assert len(one) == 1 and one.converged and one.plan.shape == (1, 9, 11)


def test_float32_stays_and_lists_become_float64(rng):
    C, a, b = draw(rng)
    single = transport.sinkhorn(C.astype(np.float32), a, b, eps=0.05, tol=1e-4)
    assert single.converged and single.plan.dtype == single.potentials[0].dtype == np.float32
    double = transport.sinkhorn(C.tolist(), a.tolist(), b.tolist(), eps=0.05, tol=1e-9)
    assert double.plan.dtype == np.float64 and np.abs(single.plan - double.plan).max() <= 1e-4
    assert np.array_equal(transport.sinkhorn(list(C), a, b, eps=0.05, tol=1e-9).plan, double.plan)


def test_members_are_results_of_their_own(rng):
    C, a, b = draw(rng)
    batch = transport.sinkhorn(C, 2 * a, 2 * b, eps=0.05, tol=1e-9)
    for k, one in enumerate(batch):
        assert isinstance(one, transport.TransportResult) and one.converged
        assert np.array_equal(one.plan, batch.plan[k]) and np.isclose(one.value, batch.value[k], rtol=1e-12)
        assert np.allclose(one.potentials[0], batch.potentials[0][k], atol=1e-12)
        assert one.iterations == batch.iterations[k] == len(one.residuals) - 1
        assert np.array_equal(one.residuals, batch.residuals[: len(one.residuals), k])
    assert np.array_equal(batch[-1].plan, batch[11].plan) and batch.residuals.shape == (max(batch.iterations) + 1, 12)
    with pytest.raises(IndexError, match="12 problems"):
        batch[12]
    with pytest.raises(TypeError, match="slice"):
        batch[1:]


def test_a_result_prints_in_one_line_and_pickles(rng):
    C, a, b = draw(rng)
    batch = transport.sinkhorn(C, a, b, eps=0.05)
    assert repr(batch).startswith("TransportBatch(12 of 12 converged in at most") and "\n" not in repr(batch)
    again = pickle.loads(pickle.dumps(batch))
    assert repr(again) == repr(batch) and np.array_equal(again.plan, batch.plan) and again[3].converged
    said = json.loads(json.dumps(batch.to_dict()))
    assert said["value"] == batch.value.tolist() and said["converged"] is True
    assert said["message"] == batch.message and set(said["status"]) == {"converged"}


def test_nothing_of_the_callers_is_changed_or_aliased(rng):
    C, a, b = draw(rng)
    eps, x0 = np.full(12, 0.05), (np.zeros((12, 9)), np.zeros((12, 11)))
    copies = [x.copy() for x in (C, a, b, eps, *x0)]
    batch = transport.sinkhorn(C, a, b, eps=eps, x0=x0)
    expected, first = transport.sinkhorn(C, a, b, eps=eps, x0=x0).plan, batch[0].plan
    assert all(np.array_equal(x, y) for x, y in zip((C, a, b, eps, *x0), copies))
    for each in (C, a, b, eps, *x0):
        each[:] = 7
    first[:] = 0
    assert np.array_equal(batch.plan, expected) and np.array_equal(batch[0].plan, expected[0])


def test_potentials_of_a_result_are_a_start(rng):
    C, a, b = draw(rng)
    a[4, 2] = 0
    a /= a.sum(axis=1, keepdims=True)
    first = transport.sinkhorn(C, 3 * a, 3 * b, eps=0.03, tol=1e-9)
    again = transport.sinkhorn(C, 3 * a, 3 * b, eps=0.03, tol=1e-8, x0=first.potentials)
    assert first.converged and again.converged and not again.iterations.any()


def test_progress_is_told_and_may_stop(rng):
    C, a, b = draw(rng)

    class Observer:
        def __init__(self, most):
            self.most, self.seen, self.end = most, [], None

        def on_chunk(self, iteration, norm):
            self.seen.append((iteration, norm))
            if len(self.seen) >= self.most:
                raise StopIteration

        def on_end(self, result):
            self.end = result

    patient, hasty = Observer(10**6), Observer(1)
    batch = transport.sinkhorn(C, a, b, eps=0.2, tol=1e-9, callback=patient)
    assert batch.converged and patient.end is batch
    assert patient.seen == sorted(patient.seen, key=lambda pair: pair[0]) and patient.seen[-1][1] <= 1e-9
    batch = transport.sinkhorn(C, a, b, eps=[0.02] * 11 + [100.0], tol=1e-12, callback=hasty)
    assert batch.status[0] is Status.STOPPED and batch.status[-1] is Status.CONVERGED and hasty.end is batch
    with pytest.raises(UnsupportedType, match="on_chunk"):
        transport.sinkhorn(C, a, b, eps=0.02, callback=print)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda C, a, b: dict(a=put(a, (3, 1), -1.0)), r"^Problem 3 of the batch: `a` must have no negative weight"),
        (lambda C, a, b: dict(b=put(b, (4, 0), np.nan)), "^Problem 4 of the batch: `b` must be finite"),
        (lambda C, a, b: dict(a=put(a, 5, 0.0)), "^Problem 5 of the batch: `a` must have a positive"),
        (lambda C, a, b: dict(a=put(a, 6, 1.0)), "^Problem 6 of the batch: .*same total"),
        (lambda C, a, b: dict(C=put(C, (7, 1, 2), np.nan)), r"^Problem 7 of the batch: `C` must.*at \[1, 2\]"),
        (lambda C, a, b: dict(C=put(C, (7, 1, 2), -np.inf)), "^Problem 7 of the batch: `C` must"),
        (lambda C, a, b: dict(C=put(C, (8, 1, 2), 1e308)), "^Problem 8 of the batch: `eps` must leave"),
        (lambda C, a, b: dict(eps=put(np.ones(12), 2, 0.0)), "^Problem 2 of the batch: `eps` must be > 0"),
        (lambda C, a, b: dict(eps=-1.0), "^`eps`"),
        (lambda C, a, b: dict(eps=np.ones(11)), r"`eps` must have shape \(12,\)"),
        (lambda C, a, b: dict(a=a[:5]), r"`a` must have shape \(12, 9\) or \(9,\)"),
        (lambda C, a, b: dict(C=C[:, :0]), "rows and columns"),
        (lambda C, a, b: dict(x0=(a,)), "pair"),
        (lambda C, a, b: dict(x0=(a, a)), r"`x0\[1\]` must have shape"),
        (lambda C, a, b: dict(tol=-1.0), "tol"),
        (lambda C, a, b: dict(maxiter=0), "maxiter"),
    ],
)
def test_one_bad_member_is_refused_by_its_number(rng, change, words):
    C, a, b = draw(rng)
    with pytest.raises(InvalidInput, match=words) as caught:
        transport.sinkhorn(**(dict(C=C, a=a, b=b, eps=0.1) | change(C, a, b)))
    assert "\n" not in str(caught.value)


def put(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def test_a_sequence_of_clouds_is_refused_in_one_sentence(rng):
    cloud = transport.PointCloud(rng.random((3, 2)), rng.random((4, 2)))
    with pytest.raises(UnsupportedType, match="one by one"):
        transport.sinkhorn([cloud, cloud], eps=0.1)


def test_the_rule_for_omega_is_that_of_the_single_solve(rng):
    from solvers.transport._over_relaxation import Rate, Rates, remaining, remaining_of_many

    rules, many, everyone = [Rate() for _ in range(50)], Rates(50), np.arange(50)
    rates, level = rng.uniform(0.5, 1.02, 50), np.ones(50)
    for _ in range(8):
        steps, omega = many.steps.copy(), many.omega.copy()
        errors = level[:, None] * rates[:, None] ** np.arange(steps.max()) * rng.uniform(0.97, 1.0, (50, steps.max()))
        errors[rng.random(50) < 0.1, -1] = np.inf
        with np.errstate(all="ignore"):
            grew = many.observe(everyone, errors, steps)
            left = remaining_of_many(errors, steps, np.full(50, 1e-9), omega)
        for k, rule in enumerate(rules):
            assert rule.observe(errors[k, : steps[k]]) == (not grew[k])
            assert (rule.omega, rule.steps) == (pytest.approx(many.omega[k], rel=1e-12), many.steps[k])
            with np.errstate(all="ignore"):
                one = remaining(errors[k, : steps[k]], 1e-9, omega[k])
            assert one == pytest.approx(left[k], rel=1e-9)
        level = np.where(grew, level, errors[everyone, steps - 1])
