"""What a stranger tries: odd kinds of arrays and numbers, results taken apart; sentences must speak of transport."""

import json
import re

import numpy as np
import pytest

from solvers import ConvergenceError, InvalidInput, Status, UnsupportedType, transport

LINEAR_ALGEBRA = re.compile(r"preconditioner|`A`|`M`|\bmatvec|\bx is\b|minres|gmres")


@pytest.fixture
def C(rng):
    return rng.random((4, 5))


def stop(anything):
    raise StopIteration


@pytest.mark.parametrize("kind", [">f8", ">f4", "<f8", ">i4"])
def test_the_order_of_bytes_does_not_matter(C, kind):
    given = (10 * C).astype(kind)
    native = given.astype(given.dtype.newbyteorder("="))
    for solve, options in ((transport.sinkhorn, {}), (transport.partial, dict(mass=0.5))):
        res, same = (solve(costs, eps=0.5, **options) for costs in (given, native))
        assert res.converged and res.value == same.value and res.plan.dtype.isnative
    X, Y = given[:, :2], given[:3, 2:4]
    assert transport.sliced_wasserstein(X, Y, rng=0).power == transport.sliced_wasserstein(
        native[:, :2], native[:3, 2:4], rng=0
    ).power


def test_masks_of_stacked_problems_are_not_dropped(C):
    masked = np.ma.masked_greater(C, 0.5)
    with pytest.raises(UnsupportedType, match="`C` must have no masked entries"):
        transport.sinkhorn([C, masked], eps=0.1)


@pytest.mark.parametrize("odd", [np.ones(3), np.ones((2, 2)), np.array([2]), [2], np.matrix([[1.0, 2.0]])], ids=repr)
def test_arrays_in_the_places_of_numbers_are_one_sentence(rng, C, odd):
    X, Y = rng.random((6, 2)), rng.random((5, 2))
    calls = {
        "maxiter": lambda: transport.sinkhorn(C, eps=0.1, maxiter=odd),
        "tol": lambda: transport.sinkhorn(C, eps=0.1, tol=odd),
        "eps": lambda: transport.sinkhorn(C, eps=odd),
        "method": lambda: transport.sinkhorn(C, eps=0.1, method=odd),
        "normalize": lambda: transport.sinkhorn(C, eps=0.1, normalize=odd),
        "warmup": lambda: transport.sinkhorn_newton_sparse(C, eps=0.1, warmup=odd),
        "rule": lambda: transport.sinkhorn_newton_sparse(C, eps=0.1, rule=odd),
        "mass": lambda: transport.partial(C, eps=0.1, mass=odd),
        "cost": lambda: transport.PointCloud(X, Y, cost=odd),
        "n_projections": lambda: transport.sliced_wasserstein(X, Y, n_projections=odd),
        "control": lambda: transport.sliced_wasserstein(X, Y, control=odd),
        "coefficient": lambda: transport.sliced_wasserstein(X, Y, control="lower", coefficient=odd),
    }
    for name, call in calls.items():
        with pytest.raises((InvalidInput, UnsupportedType), match=f"^`{name}` must be [^\n]*\\.$"):
            call()


@pytest.mark.parametrize("odd", ["yes", 1, None, 0.0])
def test_normalize_is_true_or_false(C, odd):
    for call in (
        lambda: transport.sinkhorn(C, eps=0.1, normalize=odd),
        lambda: transport.sinkhorn([C, C], eps=0.1, normalize=odd),
        lambda: transport.partial(C, mass=0.5, eps=0.1, normalize=odd),
    ):
        with pytest.raises(UnsupportedType, match="`normalize` must be True or False"):
            call()


def test_ragged_prices_and_regularisations_are_refused(C):
    with pytest.raises(InvalidInput, match=r"`marginal_penalty\[0\]` must be an array of numbers"):
        transport.sinkhorn(C, eps=0.1, marginal_penalty=([[1, 2], [3]], None))
    with pytest.raises(InvalidInput, match="`eps` must be an array of numbers"):
        transport.sinkhorn([C, C], eps=[[1, 2], [3]])


@pytest.mark.parametrize("odd", [np.matrix([[1.0, 2.0]]), np.ones((2, 2)), "seed", 1.5, -1], ids=repr)
def test_what_seeds_nothing_is_one_sentence(rng, odd):
    with pytest.raises(InvalidInput, match="^`rng` must be None, an integer >= 0 or [^\n]*\\.$"):
        transport.sliced_wasserstein(rng.random((6, 2)), rng.random((5, 2)), rng=odd)


def failures(C):
    """A result of each kind of failure, by its status."""
    yield Status.MAXITER, transport.sinkhorn(C, eps=1e-3, maxiter=1)
    yield Status.MAXITER, transport.sinkhorn([C, C], eps=1e-3, maxiter=1)
    yield Status.MAXITER, transport.partial(C, eps=1e-3, mass=0.5, maxiter=1)
    yield Status.MAXITER, transport.sinkhorn_newton_sparse(C, eps=1e-3, warmup=0, max_newton_steps=0)
    yield Status.STAGNATED, transport.sinkhorn(C, eps=0.1, tol=0)
    yield Status.NONFINITE, transport.sinkhorn(1e300 * C, eps=0.1, marginal_penalty=1.0)
    yield Status.STOPPED, transport.sinkhorn(C, eps=0.1, callback=stop)
    yield Status.INFEASIBLE, transport.sinkhorn(np.full((2, 2), np.inf), eps=0.1)


def test_failures_speak_of_transport(C):
    for status, res in failures(C):
        got = res.status if isinstance(res.status, Status) else res.status[0]
        assert got is status and not res.converged
        assert not LINEAR_ALGEBRA.search(res.message) and res.message.endswith(".") and "\n" not in res.message
        assert res.message == json.loads(json.dumps(res.to_dict(), allow_nan=False))["message"]
    assert "`max_newton_steps`" in transport.sinkhorn_newton_sparse(C, eps=1e-3, warmup=0, max_newton_steps=0).message
    assert not LINEAR_ALGEBRA.search(transport.sinkhorn(C, eps=0.1).message)


def test_batches_converge_as_one_thing(C):
    batch = transport.sinkhorn([C, np.full_like(C, np.inf)], eps=0.1)
    assert batch.converged is False and batch.to_dict()["converged"] is False
    assert [str(status) for status in batch.status] == ["converged", "infeasible"]
    assert transport.sinkhorn([C, C], eps=0.1).converged is True


def test_an_empty_batch_can_be_drawn():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot

    axes = transport.sinkhorn(np.empty((0, 4, 5)), eps=0.1).plot()
    assert axes.get_ylabel() == "marginal error (L1)"
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize("control", [None, "lower", "upper", "both", "harmonics", "gaussian"])
def test_for_squares_every_estimate_is_within_its_bounds(rng, control):
    X, Y = rng.standard_normal((2, 60, 3))
    for seed in range(10):
        res = transport.sliced_wasserstein(X, Y + 3, control=control, directions="iid", n_projections=40, rng=seed)
        low, high = res.confidence_interval()
        assert res.bounds[0] <= low <= res.distance <= high <= res.bounds[1]
    own = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    along = transport.sliced_wasserstein(X, Y + [9, 9, 0], control=None, directions=own)
    assert along.power == along.unclipped_power == along.values.mean() and along.distance > along.bounds[1]


def test_a_divergence_has_what_other_results_have(rng):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot

    X, Y = rng.random((6, 2)), rng.random((5, 2))
    for res in (transport.sinkhorn_divergence(X, Y, eps=0.1), transport.sinkhorn_divergence(X, Y, eps=1e-3, maxiter=1)):
        said = json.loads(json.dumps(res.to_dict(), allow_nan=False))
        assert said["converged"] is res.converged and said["message"] == res.message
        assert said["xx"]["message"] == res.xx.message
        assert res.message.endswith(".") and "\n" not in res.message and not LINEAR_ALGEBRA.search(res.message)
        axes = res.plot()
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["xy", "xx", "yy"]
        assert axes.get_title() == repr(res)
        matplotlib.pyplot.close(axes.figure)
    with pytest.raises(ConvergenceError, match="sinkhorn_divergence, xy of"):
        res.check()


def test_no_error_bar_is_made_from_potentials_of_nothing(rng):
    X, Y = rng.random((6, 2)), rng.random((5, 2))
    far = transport.sinkhorn_divergence(1e30 * X, Y, eps=0.1, maxiter=50)
    assert not far.converged and far.error == np.inf and far.to_dict()["error"] is None
    assert np.isfinite(far.value) or far.value == np.inf
