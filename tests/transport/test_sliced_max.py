"""The largest distance along a direction: what is known of it, and what random directions find, is not missed."""

import copy
import json
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvers
from solvers import InvalidInput, UnsupportedType, transport
from solvers._result import Status

largest = transport.max_sliced_wasserstein


def along(X, Y, h, p=2):
    """W_p of projections on the rows of h, for equally many points."""
    x, y = np.sort(X @ h.T, axis=0), np.sort(Y @ h.T, axis=0)
    return np.mean(np.abs(x - y) ** p, axis=0) ** (1 / p)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("d", [2, 5, 40])
def test_a_shift_is_found(rng, p, d):
    X, t = rng.standard_normal((60, d)), rng.standard_normal(d)
    res = largest(X, X + t, p=p, rng=1)
    assert res.distance == pytest.approx(np.linalg.norm(t), rel=1e-9) and res.converged
    assert abs(res.direction @ t) == pytest.approx(np.linalg.norm(t), rel=1e-6)


def test_gaussians_of_many_points_differ_most_where_gaussians_do(rng):
    """max (h'z)^2 + (s - t)^2, found on a fine grid of the half circle."""
    G, H, z = rng.standard_normal((2, 2)), 3 * rng.standard_normal((2, 2)), np.array([1.0, 0.5])
    X, Y = rng.standard_normal((40_000, 2)) @ G.T, rng.standard_normal((40_000, 2)) @ H.T + z
    angle = np.linspace(0, np.pi, 20_001)
    h = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    s, t = (np.linalg.norm(h @ F, axis=1) for F in (G, H))
    res = largest(X, Y, n_starts=2, rng=0)
    assert res.power == pytest.approx(np.max((h @ z) ** 2 + (s - t) ** 2), rel=0.03)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("n", [5, 30, 200])
def test_in_the_plane_no_direction_of_a_fine_grid_is_higher(rng, n, p):
    X, Y = rng.standard_normal((2, n, 2))
    angle = np.linspace(0, np.pi, 5001)
    res = largest(X, Y, p=p, rng=0)
    best = along(X, Y, np.stack([np.cos(angle), np.sin(angle)], axis=1), p).max()
    assert res.distance >= best * (1 - 1e-4)
    assert res.distance == pytest.approx(along(X, Y, res.direction[None], p)[0], rel=1e-12)
    assert np.linalg.norm(res.direction) == pytest.approx(1, abs=1e-14)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(2, 12),
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    p=st.sampled_from([1.0, 2.0, 3.0]),
)
def test_random_directions_of_pot_find_no_more(seed, d, n, m, p):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) * rng.exponential(size=d)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    res = largest(X, Y, a, b, p=p, rng=0)
    theirs = ot.max_sliced_wasserstein_distance(X, Y, a, b, n_projections=50, p=p, seed=seed)
    assert res.distance >= theirs * (1 - 1e-9)
    mean = transport.sliced_wasserstein(X, Y, a, b, p=p, n_projections=32, rng=0, directions="iid", control=None)
    assert res.power >= mean.power * (1 - 1e-12) and math.isfinite(res.distance)


@pytest.mark.parametrize("p", [1, 2, 2.5])
def test_one_dimension_is_exact(rng, p):
    x, y = rng.standard_normal(40), rng.standard_normal(30) + 1
    a, b = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(30))
    res = largest(x, y, a, b, p=p)
    assert res.power == pytest.approx(ot.wasserstein_1d(x, y, a, b, p=p), rel=1e-12)
    assert res.direction.tolist() == [1.0] and res.converged and res.n_matvec == 1


def test_equal_measures_have_distance_zero(rng):
    X = rng.standard_normal((20, 3))
    res = largest(X, X[::-1])
    assert res.distance == res.power == 0.0 and res.converged and np.linalg.norm(res.direction) == 1


def test_the_seed_decides_and_starts_are_counted(rng):
    X, Y = rng.standard_normal((2, 40, 6))
    one, again, other = (largest(X, Y, rng=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.direction, again.direction) and np.array_equal(one.distances, again.distances)
    assert not np.array_equal(one.distances, other.distances)
    assert len(one.distances) == 8 and one.distance == one.distances.max()
    assert one.n_reached == np.sum(one.distances >= (1 - 1e-4) * one.distance) >= 1
    more = largest(X, Y, n_starts=1, rng=3)
    assert len(more.distances) == 1


def test_it_ascends_beyond_its_starts(rng):
    X, Y = rng.standard_normal((2, 200, 20)) * np.linspace(0.5, 2, 20)
    start, end = largest(X, Y, rng=0, maxiter=0), largest(X, Y, rng=0)
    assert start.status is Status.MAXITER and start.iterations == 0
    assert np.all(end.distances >= start.distances) and end.distance > 1.05 * start.distance
    steps = largest(X, Y, rng=0, maxiter=3)
    assert steps.iterations == 3 and np.all(steps.distances > 1.02 * start.distances)  # gradients lead up, and fast


def test_what_stops_early_says_so(rng):
    X, Y = rng.standard_normal((2, 100, 10))
    res = largest(X, Y, maxiter=3, rng=0)
    assert res.status is Status.MAXITER and "Raise `maxiter`" in res.message and "maxiter, distance" in repr(res)
    assert len(res.residuals) == 3 and res.residual == res.residuals[-1] and res.threshold == 1e-7


def test_two_clusters_have_local_maxima_and_the_best_is_returned():
    """Mass moved along two axes: the longer move is the larger maximum."""
    X = np.array([[0.0, 0], [0, 0], [10, 10], [10, 10]])
    Y = np.array([[2.0, 0], [-2, 0], [10, 13], [10, 7]])
    angle = np.linspace(0, np.pi, 20_001)
    best = along(X, Y, np.stack([np.cos(angle), np.sin(angle)], axis=1)).max()
    res = largest(X, Y, n_starts=8, rng=0)
    assert res.distance == pytest.approx(best, rel=1e-6) and res.distances.min() <= res.distance


def test_units_and_float32_do_not_matter(rng):
    X, Y = rng.standard_normal((2, 50, 4))
    Y += 1
    one = largest(X, Y, rng=0).distance
    for size in (1e-200, 1e140):
        assert largest(size * X, size * Y, rng=0).distance == pytest.approx(size * one, rel=1e-5)
    assert largest(np.float32(X), np.float32(Y), rng=0).distance == pytest.approx(one, rel=1e-4)


def test_a_result_travels_and_nothing_of_the_callers_is_touched(rng):
    X, Y = rng.standard_normal((2, 9, 3))
    kept = X.copy(), Y.copy()
    X.flags.writeable = Y.flags.writeable = False
    res = largest(X, Y, rng=0)
    assert np.array_equal(X, kept[0]) and np.array_equal(Y, kept[1])
    for other in (pickle.loads(pickle.dumps(res)), copy.deepcopy(res)):
        assert other.distance == res.distance and np.array_equal(other.direction, res.direction)
    assert json.loads(json.dumps(res.to_dict()))["distance"] == res.distance
    assert res.check() is res and "No step leads higher" in res.message and "8 starts" in repr(res)


WRONG = [
    (dict(Y=np.zeros((4, 2))), "`Y` must have points of 3 coordinates"),
    (dict(X=np.full((4, 3), np.inf)), "`X` must be finite"),
    (dict(a=[1, 1, 1, 1]), "`a` must have total 1, got 4; pass normalize=True"),
    (dict(p=0.9), "`p` must be >= 1"),
    (dict(n_starts=0), "`n_starts` must be >= 1"),
    (dict(maxiter=-1), "`maxiter` must be >= 0"),
    (dict(tol=0), "`tol` must be > 0"),
    (dict(tol=math.nan), "`tol` must be >= 0"),
    (dict(rng=-1), "`rng` must be None"),
]


@pytest.mark.parametrize("wrong, sentence", WRONG, ids=[sentence for _, sentence in WRONG])
def test_bad_input_is_refused_in_one_sentence(rng, wrong, sentence):
    arguments = dict(X=rng.standard_normal((4, 3)), Y=rng.standard_normal((5, 3))) | wrong
    with pytest.raises(InvalidInput, match=sentence):
        largest(arguments.pop("X"), arguments.pop("Y"), **arguments)


def test_unsupported_kinds(rng):
    with pytest.raises(UnsupportedType):
        largest(rng.standard_normal((4, 3)) * 1j, rng.standard_normal((4, 3)))
    res = largest(rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), [1] * 4, normalize=True, rng=0)
    assert res.converged


def test_a_callback_is_told_of_every_step_and_may_end_the_search_with_the_best_so_far(rng):
    X, Y = rng.standard_normal((2, 40, 6))
    X, seen, ends = 1.5 * X, [], []

    class Watch:
        def on_chunk(self, steps, rise):
            seen.append((steps, rise))

        def on_end(self, result):
            ends.append(result)

    whole = largest(X, Y, rng=0, callback=Watch())
    assert ends == [whole] and [steps for steps, _ in seen] == list(range(1, len(seen) + 1))
    assert whole.distance == largest(X, Y, rng=0).distance and len(seen) > whole.iterations
    directions = []

    def stop(direction):
        directions.append(direction.copy())
        direction[:] = np.nan  # a copy, which is the user's
        if len(directions) == 3:
            raise StopIteration

    cut = largest(X, Y, rng=0, callback=stop)
    assert cut.status is Status.STOPPED and len(directions) == 3 and "StopIteration" in cut.message
    assert np.array_equal(cut.direction, directions[-1]) and 0 < cut.distance < whole.distance
    assert cut.distance == pytest.approx(along(X, Y, cut.direction[None])[0], rel=1e-12)
    assert largest(X, Y, rng=0, callback=solvers.maxtime(1e-9)).status is Status.STOPPED
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInput, match="^`callback` must be None where there is an"):
        largest(X, Y, callback=solvers.progress(), executor=pool)
