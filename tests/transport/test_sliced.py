"""Sliced Wasserstein distances: exact along each direction, honest about the error."""

import copy
import json
import math
import pickle

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sliced_cases import gaussians, sphere

import solvers
from solvers import ConvergenceError, InvalidInput, transport
from solvers._result import Status
from solvers.transport._sliced_clouds import Clouds

sliced = transport.sliced_wasserstein


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("n, m, weighted", [(60, 60, False), (60, 45, False), (60, 45, True), (60, 60, True)])
def test_each_direction_equals_pot(rng, p, n, m, weighted):
    X, Y, h = rng.standard_normal((n, 5)), rng.standard_normal((m, 5)) + 0.3, sphere(rng, 20, 5)
    a, b = (rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))) if weighted else (None, None)
    res = sliced(X, Y, a, b, p=p, directions=h, control=None)
    expected = ot.wasserstein_1d(X @ h.T, Y @ h.T, a, b, p=p)
    assert np.abs(res.values / expected - 1).max() <= 1e-12
    whole = ot.sliced_wasserstein_distance(X, Y, a, b, projections=h.T, p=p)
    assert res.distance == pytest.approx(whole, rel=1e-12)
    assert res.directions == "own" and res.control is None and res.n_projections == 20


@pytest.mark.parametrize("p", [1, 2, 2.5])
def test_one_dimension_is_exact(rng, p):
    x, y = rng.standard_normal(40), rng.standard_normal(30) + 1
    a, b = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(30))
    res = sliced(x, y, a, b, p=p, rtol=1e-9)
    assert res.power == pytest.approx(ot.wasserstein_1d(x, y, a, b, p=p), rel=1e-12)
    assert res.standard_error == 0 and res.converged and res.n_projections == 1 and res.directions == "exact"
    assert res.confidence_interval() == (res.distance, res.distance)
    assert p != 2 or res.bounds[0] <= res.distance <= res.bounds[1]


def test_integers_are_numbers(rng):
    X, Y = rng.integers(-5, 6, (30, 3)), rng.integers(-5, 6, (20, 3))
    h = sphere(rng, 12, 3)
    assert np.array_equal(sliced(X, Y, directions=h).values, sliced(X * 1.0, Y * 1.0, directions=h).values)
    assert sliced([0, 2], [1, 3], p=1).distance == 1.0


def test_equal_measures_have_distance_zero(rng):
    X, a = rng.standard_normal((50, 4)), rng.dirichlet(np.ones(50))
    order = rng.permutation(50)
    split, weights = np.concatenate([X, X[:5]]), np.concatenate([a, a[:5] / 2])
    weights[:5] /= 2
    for Y, b in ((X, a), (X[order], a[order]), (split, weights)):
        res = sliced(X, Y, a, b, grad=True)
        assert res.distance == res.power == res.standard_error == 0.0 and res.converged
        assert res.bounds == (0.0, 0.0) and not res.grad_X.any() and res.grad_Y.shape == Y.shape
    assert sliced(X, X[order]).distance == 0.0
    assert sliced(X, X[order], a, a).distance > 0.0


@pytest.mark.parametrize("d", [2, 3, 6])
def test_a_translation_is_exact(rng, d):
    """W_2^2 along h is (h't)^2, of mean |t|^2 / d."""
    X, t = rng.standard_normal((40, d)), rng.standard_normal(d)
    res = sliced(X, X + t, n_projections=64, rng=1)
    assert res.power == pytest.approx(t @ t / d, rel=1e-12) and res.standard_error <= 1e-12
    assert res.bounds[0] == pytest.approx(res.distance, rel=1e-12)


@pytest.mark.parametrize("d, kind", [(2, "lattice"), (3, "spiral"), (5, "orthogonal"), (12, "orthogonal"), (40, "iid")])
def test_what_auto_picks_is_said(d, kind):
    X, Y = gaussians(d, 50)
    res = sliced(X, Y, n_projections=200, rng=0)
    assert (res.directions, res.control, res.coefficient) == (kind, "gaussian", 1.0)
    assert f"{kind} directions, gaussian control, cpu)" in repr(res)
    assert res.n_rotations >= 8 and res.n_projections <= 200
    other = sliced(X, Y, n_projections=200, rng=0, p=1)
    assert (other.directions, other.control, other.bounds) == (kind, None, None)
    assert sliced(X, Y, n_projections=12, rng=0).directions == "iid"


@pytest.mark.parametrize("d", [2, 3, 10, 40])
@pytest.mark.parametrize("control", ["gaussian", "lower", "upper", "both", None])
def test_the_tolerance_is_met_and_the_truth_is_near(d, control):
    X, Y = gaussians(d, 100)
    truth = sliced(X, Y, n_projections=30_000, rng=99)
    res = sliced(X, Y, rtol=5e-3, control=control, rng=3)
    assert res.converged and res.standard_error <= 5e-3 * res.distance == res.threshold
    assert abs(res.distance - truth.distance) <= 4 * res.standard_error + 4 * truth.standard_error
    assert res.residuals[-1] == res.standard_error and len(res.residuals) == res.iterations


def test_absolute_tolerances_and_limits():
    X, Y = gaussians(10, 100)
    res = sliced(X, Y, atol=1e-2, control=None, rng=0)
    assert res.converged and res.standard_error <= 1e-2 == res.threshold
    res = sliced(X, Y, rtol=1e-9, max_projections=300, rng=0)
    assert res.status is Status.MAXITER and not res.converged and 290 <= res.n_projections <= 300
    assert "`max_projections`" in res.message and "asked for" in res.message and "maxiter" in repr(res)
    with pytest.raises(ConvergenceError, match="max_projections"):
        res.check()
    own = sliced(X, Y, rtol=1e-9, directions=np.eye(10))
    assert own.status is Status.MAXITER and "Pass more directions" in own.message
    assert sliced(X, Y, rng=0).n_projections == 250 and sliced(X, Y, rng=0).converged


def test_callbacks_see_the_rounds_and_can_stop():
    X, Y = gaussians(10, 100)
    seen = []

    def stop(res):
        seen.append(res.n_projections)
        if len(seen) == 2:
            raise StopIteration

    res = sliced(X, Y, rtol=1e-9, callback=stop, rng=0)
    assert res.status is Status.STOPPED and seen == [120, 250] and "StopIteration" in res.message

    class Report:
        lines = []

        def on_chunk(self, number, error):
            self.lines.append((number, error))

    res = sliced(X, Y, rtol=1e-9, max_projections=600, callback=Report(), rng=0)
    assert [n for n, _ in Report.lines] == [120, 250, 510, 600] and Report.lines[-1][1] == res.standard_error


@pytest.mark.parametrize("d, kind", [(3, "iid"), (10, "auto"), (40, "auto")])
def test_values_are_nested_and_do_not_depend_on_threads(d, kind):
    X, Y = gaussians(d, 200)
    few = sliced(X, Y, n_projections=10 * d, directions=kind, rng=4)
    many = sliced(X, Y, n_projections=40 * d, directions=kind, rng=4)
    assert d == 40 or np.array_equal(few.values, many.values[: len(few.values)])
    before = solvers.get_threads()
    try:
        answers = []
        for threads in (1, 2):
            solvers.set_threads(threads)
            answers.append(sliced(X, Y, n_projections=200, directions=kind, rng=4, grad=True))
    finally:
        solvers.set_threads(before)
    one, two = answers
    assert np.array_equal(one.values, two.values) and one.power == two.power
    assert np.array_equal(one.grad_X, two.grad_X) and np.array_equal(one.grad_Y, two.grad_Y)


def test_doubling_keeps_the_directions_it_has():
    X, Y = gaussians(40, 100)
    res = sliced(X, Y, rtol=1e-9, max_projections=1000, rng=0)
    assert res.n_matvec == res.n_projections == 1000
    assert np.array_equal(res.values, sliced(X, Y, n_projections=1000, directions="iid", rng=0).values)


CASES = [
    dict(),
    dict(directions="iid"),
    dict(control=None),
    dict(control="lower"),
    dict(control="upper", directions="iid"),
    dict(control="both", directions="iid"),
    dict(control="harmonics"),
    dict(coefficient="ols", directions="iid"),
    dict(p=3),
    dict(p=1.5, control="upper"),
    dict(p=3, control="gaussian"),
]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_agree_with_differences(rng, options, weighted):
    X, Y = rng.standard_normal((12, 3)), rng.standard_normal((9, 3)) * 0.5 + 0.3
    U, V = rng.standard_normal((12, 3)), rng.standard_normal((9, 3))
    a, b = (rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(9))) if weighted else (None, None)
    options = dict(n_projections=64, rng=0) | options

    def power(e):
        return sliced(X + e * U, Y + e * V, a, b, **options).unclipped_power

    e = 1e-5
    difference = (8 * (power(e) - power(-e)) - power(2 * e) + power(-2 * e)) / (12 * e)
    res = sliced(X, Y, a, b, grad=True, **options)
    assert res.unclipped_power == power(0)
    assert np.sum(res.grad_X * U) + np.sum(res.grad_Y * V) == pytest.approx(difference, rel=1e-6)
    assert sliced(X, Y, a, b, **options).grad_X is None


def test_gradients_in_one_dimension_and_in_units(rng):
    x, y = rng.standard_normal(7), rng.standard_normal(7)
    res = sliced(x, y, grad=True)
    order, match = np.argsort(x), np.sort(y)
    assert np.allclose(res.grad_X[order, 0], 2 / 7 * (x[order] - match), atol=1e-14)
    X, Y = rng.standard_normal((2, 8, 3))
    small, large = (sliced(s * X, s * Y, n_projections=64, grad=True, rng=0) for s in (1.0, 2.0**400))
    assert np.allclose(large.grad_X / 2.0**400, small.grad_X, rtol=1e-12, atol=0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(2, 5),
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    p=st.sampled_from([1.0, 2.0, 3.0]),
)
def test_identities(seed, d, n, m, p):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) * rng.exponential(size=d)
    options = dict(p=p, n_projections=32, rng=5)
    res = sliced(X, Y, **options)
    near = dict(rel=1e-9, abs=1e-12)
    assert sliced(Y, X, **options).distance == pytest.approx(res.distance, **near)
    assert sliced(X + 7, Y + 7, **options).distance == pytest.approx(res.distance, **near)
    assert sliced(-3 * X, -3 * Y, **options).distance == pytest.approx(3 * res.distance, **near)
    assert sliced(X[::-1], Y, **options).distance == pytest.approx(res.distance, **near)
    twice = sliced(np.repeat(X, 2, axis=0), Y, np.full(2 * n, 0.5 / n), **options)
    assert twice.distance == pytest.approx(res.distance, **near)
    low, high = res.confidence_interval()
    assert 0 <= low <= res.distance <= high < math.inf and res.power >= 0
    if p == 2:
        assert res.bounds[0] <= res.distance <= res.bounds[1]


def test_degenerate_clouds(rng):
    X = np.zeros((5, 4))
    X[:, 0] = rng.standard_normal(5)
    for Y in (np.ones((3, 4)), np.zeros((1, 4)), X[:, ::-1].copy(), np.eye(4)[:2]):
        for options in (dict(), dict(control="lower"), dict(control="both", directions="iid"), dict(p=1)):
            res = sliced(X, Y, n_projections=64, grad=True, rng=0, **options)
            assert math.isfinite(res.distance) and res.distance > 0 and math.isfinite(res.standard_error)
            assert np.isfinite(res.grad_X).all() and np.isfinite(res.grad_Y).all()
    point = sliced(np.ones((1, 3)), np.zeros((4, 3)), n_projections=64, rng=0)
    assert point.power == pytest.approx(1.0, rel=1e-12)
    wide = sliced(*rng.standard_normal((2, 5, 300)), n_projections=64, rng=0)
    assert wide.bounds[0] <= wide.distance <= wide.bounds[1]


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e30, 1e140])
def test_sizes_do_not_matter(size):
    X, Y = gaussians(4, 30)
    one, other = (sliced(s * X, s * Y, n_projections=64, rng=0) for s in (1.0, size))
    assert other.distance == pytest.approx(size * one.distance, rel=1e-9)
    assert other.standard_error == pytest.approx(size * one.standard_error, rel=1e-6)


def test_offsets_do_not_cost_digits_of_float32():
    X, Y = (np.float32(c) for c in gaussians(3, 500))
    options = dict(n_projections=64, rng=0)
    exact = sliced(X.astype(np.float64), Y.astype(np.float64), **options).distance
    assert sliced(X, Y, **options).distance == pytest.approx(exact, rel=1e-6)
    far_X, far_Y = X + np.float32(1e6), Y + np.float32(1e6)
    exact = sliced(far_X.astype(np.float64), far_Y.astype(np.float64), **options).distance
    assert sliced(far_X, far_Y, **options).distance == pytest.approx(exact, rel=1e-6)


def test_nothing_of_the_callers_is_touched(rng):
    X, Y, a = rng.standard_normal((9, 3)), rng.standard_normal((6, 3)), rng.dirichlet(np.ones(9))
    kept = X.copy(), Y.copy(), a.copy()
    for array in (X, Y, a):
        array.flags.writeable = False
    res = sliced(X, Y, a, grad=True, n_projections=32)
    assert all(np.array_equal(x, y) for x, y in zip((X, Y, a), kept))
    assert np.shares_memory(Clouds(X, Y, a, None, 2.0, False).X, X)  # no copy where none is needed
    assert not any(np.shares_memory(mine, x) for mine in (res.grad_X, res.grad_Y, res.values) for x in (X, Y))


def test_a_result_travels():
    X, Y = gaussians(3, 40)
    res = sliced(X, Y, n_projections=64, rng=0, grad=True)
    for other in (pickle.loads(pickle.dumps(res)), copy.deepcopy(res)):
        assert other.distance == res.distance and other.confidence_interval() == res.confidence_interval()
    plain = json.loads(json.dumps(res.to_dict()))
    assert plain["power"] == res.power and plain["converged"] and "grad_X" not in plain
    assert repr(res).startswith("SlicedResult(distance ") and "64 projections, spiral directions" in repr(res)
    assert not isinstance(res, tuple) and res.check() is res


def test_the_plot_shows_the_distances():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, Y = gaussians(3, 40)
    for res in (sliced(X, Y, n_projections=64, rng=0), sliced(X, X)):
        axes = res.plot()
        assert axes.get_title() == repr(res)
        matplotlib.pyplot.close(axes.figure)


def test_no_estimate_leaves_what_is_known():
    X, Y = gaussians(6, 50)
    for seed in range(5):
        options = dict(directions="iid", n_projections=20, rng=seed)
        wild = [sliced(X, Y, control="lower", coefficient=c, **options) for c in (-1e6, 1e6)]
        assert sorted(r.distance for r in wild) == pytest.approx(wild[0].bounds)
        assert all(r.standard_error > 0 for r in wild) and min(r.unclipped_power for r in wild) < 0
        odd = [sliced(X, Y, p=3, control="lower", coefficient=c, **options) for c in (-1e6, 1e6)]
        assert min(r.power for r in odd) == 0.0 and all(r.bounds is None for r in odd)
        held = [sliced(X, Y, control="gaussian", coefficient=c, **options) for c in (-1e6, 1e6)]
        assert sorted(r.distance for r in held) == pytest.approx(held[0].bounds)


def test_errors_and_intervals_agree(rng):
    X, Y = gaussians(6, 50)
    res = sliced(X, Y, p=3, control=None, directions="iid", n_projections=400, rng=0)
    assert res.power_standard_error == pytest.approx(res.values.std(ddof=1) / 20)
    assert res.standard_error == pytest.approx(res.power_standard_error / (3 * res.distance**2))
    low, high = res.confidence_interval(0.95)
    assert high**3 - low**3 == pytest.approx(2 * 1.966 * res.power_standard_error, rel=1e-3)
    assert res.confidence_interval(0.5)[1] < high
    for level in (0.0, 1.0, -1, math.nan):
        with pytest.raises(InvalidInput, match="`level`"):
            res.confidence_interval(level)
