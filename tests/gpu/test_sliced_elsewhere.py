"""Sliced distances of clouds on the (emulated) GPU: the CPU's answers, in the kind of array that was sent."""

import numpy as np
import pytest

import solvers
from solvers import transport


@pytest.fixture
def cupy(emulated):
    return emulated


def clouds(n=60, m=45, d=4, dtype="float64"):
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((n, d)).astype(dtype), (rng.standard_normal((m, d)) + 0.5).astype(dtype)
    return X, Y, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


def agree(here, there, rtol=1e-11):
    assert (here.backend, there.backend) == ("cpu", "gpu")
    assert there.status is here.status and there.n_projections == here.n_projections
    np.testing.assert_allclose(there.values, here.values, rtol=rtol)
    assert there.distance == pytest.approx(here.distance, rel=rtol)
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-6)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_clouds_of_the_device_answer_as_on_the_cpu(cupy, weighted, p):
    X, Y, *weights = clouds()
    given = (X, Y, *(weights if weighted else ()))
    options = dict(p=p, n_projections=64, grad=True, rng=3)
    here = transport.sliced_wasserstein(*given, **options)
    there = transport.sliced_wasserstein(*map(cupy.asarray, given), **options)
    agree(here, there)
    for ours, theirs in ((here.grad_X, there.grad_X), (here.grad_Y, there.grad_Y)):
        assert isinstance(theirs, cupy.ndarray)
        np.testing.assert_allclose(theirs.get(), ours, rtol=1e-9, atol=1e-12)


def test_a_chosen_backend_takes_numpy_and_gives_numpy(cupy):
    X, Y, a, b = clouds(dtype="float32")
    options = dict(rtol=0.05, grad=True, rng=3)
    here = transport.sliced_wasserstein(X, Y, a, b, **options)
    with solvers.backend("gpu"):
        there = transport.sliced_wasserstein(X, Y, a, b, **options)
    agree(here, there, rtol=1e-6)
    assert type(there.grad_X) is np.ndarray
    np.testing.assert_allclose(there.grad_X, here.grad_X, rtol=1e-4, atol=1e-6)


def test_an_exact_answer_is_one_there_too(cupy):
    X, Y = clouds(d=1)[:2]
    here, there = transport.sliced_wasserstein(X, Y), transport.sliced_wasserstein(cupy.asarray(X), cupy.asarray(Y))
    assert there.distance == pytest.approx(here.distance, rel=1e-12) and there.backend == "gpu"
    with solvers.backend("gpu"):
        assert transport.sliced_wasserstein(X, X, grad=True).distance == 0.0


def test_the_largest_direction_is_found_there_too(cupy):
    X, Y = clouds()[:2]
    here = transport.max_sliced_wasserstein(X, Y, rng=0)
    there = transport.max_sliced_wasserstein(cupy.asarray(X), cupy.asarray(Y), rng=0)
    assert there.backend == "gpu" and there.distance == pytest.approx(here.distance, rel=1e-8)


def test_mixed_clouds_are_refused(cupy):
    X, Y = clouds()[:2]
    with pytest.raises(solvers.UnsupportedType, match="GPU"):
        transport.sliced_wasserstein(X, cupy.asarray(Y))


def test_many_clouds_are_refused_with_a_remedy(cupy):
    X, Y = clouds()[:2]
    with pytest.raises(solvers.UnsupportedType, match="CPU: bring them over"):
        transport.pairwise_sliced_wasserstein([cupy.asarray(X), cupy.asarray(Y)])
    with solvers.backend("gpu"), pytest.raises(solvers.UnsupportedType, match="CPU: bring them over"):
        transport.pairwise_sliced_wasserstein([X, Y])
