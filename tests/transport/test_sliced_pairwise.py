"""Distances between all pairs are those of the pairs, whatever computes them."""

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import InvalidInput, TaskError, UnsupportedType, transport
from solvers.transport import _sliced_pairwise

pairwise, sliced = transport.pairwise_sliced_wasserstein, transport.sliced_wasserstein


def family(rng, k=4, n=30, d=3, unequal=False):
    sizes = [n + 3 * i * unequal for i in range(k)]
    return [rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d) for m in sizes]


def mean_distance(*measures, p=2, **options):
    """The mean over the directions, which no bracket has cut."""
    values = sliced(*measures, p=p, control=None, **options).values
    return values.mean() ** (1 / p) if values.size else 0.0


def one_by_one(clouds, weights=None, **options):
    k = len(clouds)
    weights = weights or [None] * k
    pairs = [[(clouds[i], clouds[j], weights[i], weights[j]) for j in range(k)] for i in range(k)]
    return np.array([[mean_distance(*pair, **options) for pair in row] for row in pairs])


@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize("unequal, weighted", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("d", [1, 2, 3, 20])
def test_every_entry_is_what_the_pair_has(rng, p, unequal, weighted, d):
    clouds = family(rng, unequal=unequal, d=d)
    weights = [rng.dirichlet(np.ones(len(c))) for c in clouds] if weighted else None
    options = dict(p=p, n_projections=40, rng=3)
    D = pairwise(clouds, weights, control=None, **options)
    assert np.allclose(D, one_by_one(clouds, weights, **options), rtol=1e-12, atol=0)
    assert D.shape == (4, 4) and not np.diagonal(D).any() and np.array_equal(D, D.T)


def test_the_distances_are_those_of_pot(rng):
    clouds = family(rng, d=5)
    h = rng.standard_normal((25, 5))
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    D = pairwise(clouds, directions=h, control=None)
    for i in range(4):
        for j in range(i):
            assert D[i, j] == pytest.approx(
                ot.sliced_wasserstein_distance(clouds[i], clouds[j], projections=h.T), rel=1e-12
            )


@pytest.mark.parametrize("directions", ["auto", "iid", "orthogonal", "sobol"])
@pytest.mark.parametrize("d", [2, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_control_and_the_errors_are_those_of_the_pair(rng, directions, d, weighted):
    clouds = family(rng, d=d, unequal=weighted)
    weights = [rng.dirichlet(np.ones(len(c))) for c in clouds] if weighted else [None] * 4
    options = dict(n_projections=64, rng=1, directions=directions)
    for control in ("gaussian", None):
        D, S = pairwise(clouds, weights, control=control, errors=True, **options)
        for i, j in ((0, 1), (3, 1)):
            res = sliced(clouds[i], clouds[j], weights[i], weights[j], control=control, **options)
            expected = res.distance if control else np.sqrt(res.values.mean())
            assert D[i, j] == pytest.approx(expected, rel=1e-11)
            error = res.power_standard_error / (2 * expected)
            assert S[i, j] == pytest.approx(error, rel=1e-6, abs=1e-9 * expected)
        assert not np.diagonal(S).any() and np.array_equal(S, S.T)


def test_auto_takes_the_control_where_its_means_are_cheap(rng, monkeypatch):
    few, many = family(rng, k=3, n=3000), family(rng, k=6, n=500)
    options = dict(n_projections=64, rng=0)
    assert np.array_equal(pairwise(few, **options), pairwise(few, control="gaussian", **options))
    assert np.array_equal(pairwise(many, **options), pairwise(many, control=None, **options))
    assert np.array_equal(pairwise(few, p=1, **options), pairwise(few, p=1, control=None, **options))


@pytest.mark.parametrize("size", [1e-3, 1e-8, 1e-12])
def test_near_clouds_do_not_cancel(rng, size):
    """A translation by t is |t| / sqrt(d) away, beside clouds far away."""
    X, t = rng.standard_normal((50, 3)), rng.standard_normal(3)
    D = pairwise([X, X + size * t, X + 5, 3 * X], control=None, n_projections=512, rng=0)
    h = mean_distance(X, X + 2**10 * t, n_projections=512, rng=0) / 2**10
    assert D[0, 1] == pytest.approx(size * h, rel=1e-15 / size + 1e-10)
    # The same two, when neither is the first.
    other = pairwise([X + 5, X, X + size * t], control=None, n_projections=512, rng=0)
    assert other[1, 2] == pytest.approx(size * h, rel=1e-13 / size + 1e-10)


def test_equal_clouds_are_at_distance_zero(rng):
    X = rng.standard_normal((40, 3))
    order = rng.permutation(40)
    w = rng.dirichlet(np.ones(40))
    for control in (None, "gaussian"):
        D, S = pairwise([X + 1, X, X[order], X], control=control, errors=True, rng=0)
        assert not D[1:, 1:].any() and not S[1:, 1:].any() and D[0, 1] > 1.0 / 3
        assert not pairwise([X, X[order]], [w, w[order]], control=control, rng=0).any()
    assert pairwise([X], errors=True)[0].tolist() == [[0.0]]


def test_float32_is_kept_and_summed_in_float64(rng):
    clouds = [np.float32(c) + np.float32(100) for c in family(rng, n=500)]
    wide = [c.astype(np.float64) for c in clouds]
    options = dict(n_projections=64, rng=0)
    assert np.allclose(pairwise(clouds, **options), pairwise(wide, **options), rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [1e-200, 1e140])
def test_units_do_not_matter(rng, size):
    clouds = family(rng)
    options = dict(n_projections=64, rng=0)
    assert np.allclose(pairwise([size * c for c in clouds], **options), size * pairwise(clouds, **options), rtol=1e-9)


def same(one, other):
    assert all(np.array_equal(x, y) for x, y in zip(one, other))


@pytest.mark.parametrize("case", [dict(), dict(control="gaussian"), dict(p=1), dict(directions="orthogonal")], ids=str)
def test_no_bit_depends_on_the_executor(rng, case):
    clouds, options = family(rng, d=4), dict(n_projections=100, rng=5, errors=True) | case
    serial = pairwise(clouds, **options)
    with ThreadPoolExecutor(3) as executor:
        same(serial, pairwise(clouds, executor=executor, **options))


def test_no_bit_depends_on_other_processes(rng):
    clouds, options = family(rng, d=3, unequal=True), dict(n_projections=64, rng=5, errors=True, control="gaussian")
    serial = pairwise(clouds, **options)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        same(serial, pairwise(clouds, executor=executor, **options))


def test_memory_is_bounded_by_taking_few_directions_at_a_time(rng, monkeypatch):
    clouds, options = family(rng, d=4), dict(n_projections=100, rng=5)
    whole, seen = pairwise(clouds, **options), []
    powers = _sliced_pairwise._powers
    monkeypatch.setattr(_sliced_pairwise, "_NUMBERS", 500)
    monkeypatch.setattr(_sliced_pairwise, "_powers", lambda *args: seen.append(len(args[3])) or powers(*args))
    assert np.allclose(pairwise(clouds, **options), whole, rtol=1e-13) and max(seen) * 120 <= 500


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 4), p=st.sampled_from([1.0, 2.0, 3.0]), alike=st.booleans())
def test_a_metric(seed, d, p, alike):
    rng = np.random.default_rng(seed)
    clouds = [rng.standard_normal((6 if alike else rng.integers(1, 9), d)) * rng.exponential() for _ in range(4)]
    D = pairwise(clouds, p=p, n_projections=20, rng=0, control=None)
    assert (D[:, None] <= D[:, :, None] + D[None] + 1e-12).all() and np.array_equal(D, D.T) and (D >= 0).all()
    assert np.allclose(pairwise(clouds[::-1], p=p, n_projections=20, rng=0, control=None), D[::-1, ::-1], atol=1e-14)


def test_nothing_of_the_callers_is_touched(rng):
    clouds = family(rng)
    kept = [c.copy() for c in clouds]
    for c in clouds:
        c.flags.writeable = False
    pairwise(clouds, n_projections=32)
    assert all(np.array_equal(c, k) for c, k in zip(clouds, kept))
    whole = np.array(clouds)
    assert np.array_equal(pairwise(whole, rng=0), pairwise(clouds, rng=0))
    assert np.array_equal(pairwise([[[0, 0], [2, 0]], [[1, 0], [3, 0]]], rng=0).shape, (2, 2))


WRONG = [
    (dict(clouds=[]), "`clouds` must hold at least one cloud"),
    (dict(clouds=3), "`clouds` must be a sequence"),
    (dict(clouds=[np.zeros((4, 3)), np.zeros((4, 2))]), r"`clouds\[1\]` must have at least one point of 3 coord"),
    (dict(clouds=[np.zeros((4, 3)), np.zeros((0, 3))]), r"`clouds\[1\]` must have at least one point"),
    (dict(clouds=[np.zeros((4, 3)), np.full((4, 3), np.nan)]), r"`clouds\[1\]` must be finite"),
    (dict(clouds=[np.zeros((4, 3)), np.full((4, 3), 1e300) * np.arange(4)[:, None]]), "`clouds` must have an extent"),
    (dict(weights=[None]), "`weights` must be one entry a cloud, 2, got 1"),
    (dict(weights=[None, [0.5] * 4]), r"`weights\[1\]` must have total 1, got 2; pass normalize=True"),
    (dict(weights=[[-1, 1, 1, 0], None]), r"`weights\[0\]` must have no negative weight"),
    (dict(p=0.5), "`p` must be >= 1"),
    (dict(p=math.nan), "`p` must be a number"),
    (dict(n_projections=1), "`n_projections` must be >= 2"),
    (dict(directions="random"), "`directions` must be one of"),
    (dict(control="lower"), "`control` must be one of 'auto', 'gaussian'"),
    (dict(control="gaussian", p=1), "`control` must be None or 'auto' for p = 1"),
    (dict(rng=-1), "`rng` must be None"),
]


@pytest.mark.parametrize("wrong, sentence", WRONG, ids=[sentence for _, sentence in WRONG])
def test_bad_input_is_refused_in_one_sentence(rng, wrong, sentence):
    arguments = dict(clouds=[rng.standard_normal((4, 3)), rng.standard_normal((4, 3))]) | wrong
    with pytest.raises(InvalidInput, match=sentence):
        pairwise(arguments.pop("clouds"), **arguments)


def test_unsupported_kinds(rng):
    with pytest.raises(UnsupportedType, match="`errors` must be True or False"):
        pairwise([rng.standard_normal((4, 3))], errors=1)
    assert pairwise(family(rng), [[1] * 30] * 4, normalize=True, n_projections=32).shape == (4, 4)


@pytest.mark.parametrize("executor", [3, ThreadPoolExecutor], ids=["number", "class"])
def test_what_takes_no_tasks_is_one_sentence(rng, executor):
    with pytest.raises(UnsupportedType, match=r"^`executor` must [^\n]*\.$"):
        pairwise(family(rng), executor=executor)


def test_what_a_worker_raises_is_named(rng, monkeypatch):
    monkeypatch.setattr(_sliced_pairwise, "_powers", lambda *_: 1 / 0)
    with ThreadPoolExecutor(2) as executor, pytest.raises(TaskError, match="directions 0 to [0-9]+ .ZeroDivisionError"):
        pairwise(family(rng), executor=executor)


@pytest.mark.parametrize("options", [dict(rng="seed"), dict(directions="few"), dict(executor=3)], ids=str)
def test_one_cloud_is_no_excuse_for_bad_options(rng, options):
    with pytest.raises((InvalidInput, UnsupportedType), match=f"`{next(iter(options))}` must be"):
        pairwise(family(rng, k=1), **options)
