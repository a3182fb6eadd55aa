"""Stacks of data sets on executors: the bits of the call without one, and what fails by its name."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, Status, TaskError, inverse
from solvers.inverse import _blocks
from solvers.inverse._wrapped import _Wrapped

SHAPE = (6, 6)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Two data sets a block."""
    monkeypatch.setattr(_blocks, "_NUMBERS", {"cpu": 80})
    monkeypatch.setattr(_Wrapped, "_together", 2)


def assert_same(one, other, *more):
    fields = "x residuals residual n_matvec iterations status stop_reason threshold regularization".split()
    for name in (*fields, *more):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def scan(rng, k=5):
    """A blur, and blurred images of different sizes with noise."""
    A = inverse.Blur(np.ones((3, 3)) / 9, SHAPE, boundary="zero")
    image = np.kron(np.eye(2), np.ones((3, 3)))
    b = A @ (np.geomspace(1, 20, k)[:, None, None] * image)
    return A, b + 0.01 * rng.standard_normal(b.shape)


def assert_repeats_last(curves, steps):
    for curve, taken in zip(curves.T, steps):
        assert (curve[taken:] == curve[taken]).all() and curve[taken] > 0


def mean_filter(x, sigma):
    return (x + sigma * x.mean(axis=(1, 2), keepdims=True)) / (1 + sigma)


PNP = [
    dict(denoiser=inverse.tv(0.02), tol=1e-3),
    dict(denoiser=mean_filter, noise_level=0.1, maxiter=12),
    dict(denoiser=mean_filter, noise_level=0.1, sigmas=(1.0, 0.1), maxiter=9, method="admm"),
    dict(denoiser=mean_filter, sigmas=0.3, method="hqs", x0=np.ones(36), tol=1e-2),
]


@pytest.mark.parametrize("options", PNP, ids=["proximal", "schedule", "admm", "level"])
@pytest.mark.parametrize("kind", ["operator", "matrix"])
def test_pnp_on_threads_has_the_bits_of_one_call(options, kind):
    A, b = scan(np.random.default_rng(0))
    if kind == "matrix":
        power = 2 if "tol" in options and "sigmas" not in options else 1
        options = options | dict(denoiser=inverse.tv(0.02, power=power, image_shape=SHAPE))
        A, b = np.array([(A @ each).ravel() for each in np.eye(36)]).T, b.reshape(5, 36).T
    serial = inverse.pnp(A, b, **options)
    seen = []
    with ThreadPoolExecutor(3) as pool:
        assert_same(inverse.pnp(A, b, **options, executor=pool), serial, "sigmas", "n_denoiser")
    # All blocks are reported together, and are what the data sets are by themselves.
    assert_same(inverse.pnp(A, b, **options, callback=seen.append), serial, "sigmas", "n_denoiser")
    assert len(seen) == max(serial.iterations) and np.array_equal(seen[-1], serial.x)
    assert_repeats_last(serial.residuals, serial.iterations)
    single = inverse.pnp(A, b[:, 3] if kind == "matrix" else b[3], **options)
    np.testing.assert_allclose(single.x, serial.x[:, 3] if kind == "matrix" else serial.x[3], atol=1e-8)
    assert (single.status, single.stop_reason) == (serial.status[3], serial.stop_reason[3])


L = inverse.Gradient(SHAPE)
SQUARES = [
    dict(noise_norm=0.06 * np.ones(5)),
    dict(stop="gcv"),
    dict(stop="l-curve", method="lsqr"),
    dict(method="lsmr", regularization=np.geomspace(0.01, 0.1, 5), L=L, x0=np.ones((5, *SHAPE))),
    dict(method="hybrid"),
    dict(regularization="discrepancy", noise_level=0.01, L=L),
]


@pytest.mark.parametrize("options", SQUARES, ids=["cgls", "gcv", "l-curve", "weights", "hybrid", "subspace"])
@pytest.mark.parametrize("kind", ["operator", "matrix", "complex"])
def test_least_squares_on_threads_has_the_bits_of_one_call(options, kind):
    A, b = scan(np.random.default_rng(0))
    b[2] = 0
    if kind == "complex":
        b = (1 + 2j) * b
    if kind == "matrix":
        A, b = np.array([(A @ each).ravel() for each in np.eye(36)]).T, b.reshape(5, 36).T
        options = options | dict(x0=np.ones((36, 5))) if "x0" in options else options
    more = ("solution_norms", "chosen")
    serial = inverse.least_squares(A, b, **options)
    seen = []
    with ThreadPoolExecutor(3) as pool:
        assert_same(inverse.least_squares(A, b, **options, executor=pool), serial, *more)
    assert_same(inverse.least_squares(A, b, **options, callback=seen.append), serial, *more)
    assert len(seen) == max(serial.iterations) - 1 and {each.shape for each in seen} == {serial.x.shape}
    assert len(set(serial.iterations)) > 1
    assert_repeats_last(serial.residuals[:, [0, 1, 3, 4]], serial.iterations[[0, 1, 3, 4]])
    assert_repeats_last(serial.solution_norms[:, [0, 1, 3, 4]], serial.iterations[[0, 1, 3, 4]])
    if kind != "matrix":  # whose products round otherwise in one block, by which "gcv" here takes another weight
        _blocks._NUMBERS["cpu"] = 10**6
        whole = inverse.least_squares(A, b, **options)
        np.testing.assert_allclose(whole.x, serial.x, atol=1e-8)
        assert (whole.status, whole.stop_reason) == (serial.status, serial.stop_reason)


def test_a_generator_moves_on_alike_wherever_the_work_is_done():
    A, b = scan(np.random.default_rng(0))
    here, there = np.random.default_rng(7), np.random.default_rng(7)
    one = inverse.least_squares(A, b, stop="gcv", rng=here)
    with ThreadPoolExecutor(2) as pool:
        assert_same(inverse.least_squares(A, b, stop="gcv", rng=there, executor=pool), one)
    assert here.random() == there.random()


class Hot(inverse.ImagingOperator):
    """The identity, which refuses data that are negative."""

    def forward_stack(self, X):
        return X.copy()

    def adjoint_stack(self, Y):
        if (Y < 0).any():
            raise OverflowError("the scanner is hot")
        return Y.copy()


def test_a_failed_block_of_least_squares_is_named():
    A, b = Hot(float, SHAPE, SHAPE), np.ones((5, *SHAPE)) / 4
    whole = inverse.least_squares(A, b)
    b[3] = -1
    words = r"^1 of 3 tasks failed: data sets 2 to 3 .OverflowError: the scanner is hot"
    with ThreadPoolExecutor(2) as pool, pytest.raises(TaskError, match=words) as caught:
        inverse.least_squares(A, b, executor=pool)
    assert np.array_equal(caught.value.results[0], whole.x[:2])
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInput, match="^`callback` must be None where there is an"):
        inverse.least_squares(A, b, callback=print, executor=pool)


def test_processes_give_the_same_bits():
    A, b = scan(np.random.default_rng(1))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for options in (dict(stop="gcv"), dict(regularization="gcv", L=L)):
            assert_same(inverse.least_squares(A, b, **options, executor=pool), inverse.least_squares(A, b, **options))
        options = dict(denoiser=mean_filter, noise_level=0.1, maxiter=4)
        assert_same(inverse.pnp(A, b, **options, executor=pool), inverse.pnp(A, b, **options))
        with pytest.raises(TaskError, match="data sets 0 to 1 .*define functions in a module"):
            inverse.pnp(A, b, lambda x, sigma: x, noise_level=0.1, executor=pool)


def test_a_failed_block_of_data_sets_is_named():
    A, b = scan(np.random.default_rng(2))

    def fails(x, sigma):
        if len(x) == 1:
            raise ValueError("one alone")
        return mean_filter(x, sigma)

    options = dict(denoiser=fails, noise_level=0.1, sigmas=(1.0, 0.1), maxiter=3)
    whole = inverse.pnp(A, b, **options | dict(denoiser=mean_filter))
    words = "^1 of 3 tasks failed: data set 4 .ValueError: one alone"
    with ThreadPoolExecutor(2) as pool, pytest.raises(TaskError, match=words) as caught:
        inverse.pnp(A, b, **options, executor=pool)
    assert np.array_equal(np.concatenate(caught.value.results[:2]), whole.x[:4])


def test_a_callback_may_stop_all_blocks():
    A, b = scan(np.random.default_rng(3))

    class Stop:
        def on_chunk(self, step, norm):
            if step == 2:
                raise StopIteration

    found = inverse.pnp(A, b, mean_filter, noise_level=0.1, callback=Stop())
    assert found.status == (Status.STOPPED,) * 5 and found.iterations.tolist() == [2] * 5
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInput, match="^`callback` must be None where there is an"):
        inverse.pnp(A, b, mean_filter, noise_level=0.1, callback=solvers.progress(), executor=pool)
