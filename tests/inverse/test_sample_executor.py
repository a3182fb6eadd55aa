"""Posterior samples on executors: the bits of the call without one, whatever fails by its name."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, Status, TaskError, UnsupportedType, inverse
from solvers.inverse import _blocks
from solvers.inverse._wrapped import _Wrapped

FIELDS = "samples x std residuals residual n_matvec n_denoiser iterations status stop_reason threshold".split()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Two images of 6 or 9 numbers a block, and so several blocks."""
    monkeypatch.setattr(_blocks, "_NUMBERS", {"cpu": 18})
    monkeypatch.setattr(_Wrapped, "_together", 1)


def data(rng, complex_=False, several=False):
    part = lambda *size: rng.standard_normal(size) + (1j * rng.standard_normal(size) if complex_ else 0)
    mixture = inverse.GaussianMixture([1, 2], part(2, 2, 3), [0.1, 0.3])
    return part(9, 6) / 2, part(9, 3) if several else part(9), mixture


def assert_same(one, other):
    for name in FIELDS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def shrunk(x, sigma):
    return x / (1 + sigma**2)


def raised_weight(sigma):
    return 2 * sigma


def run(A, b, **options):
    return inverse.sample(A, b, **dict(n_samples=7, n_steps=6, noise_level=0.3, rng=4) | options)


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("several", [False, True], ids=["one", "stack"])
@pytest.mark.parametrize("method", ["dds", "mmps", "gaussian", "exact"])
def test_samples_on_threads_have_the_bits_of_one_call(method, several, complex_):
    A, b, mixture = data(np.random.default_rng(0), complex_, several)
    priors = (inverse.Gaussian(np.zeros(6), 0.5), inverse.Smoothness(np.diff(np.eye(6), axis=0)))
    for prior in priors if method == "gaussian" else (mixture, priors[0]):
        serial = run(A, b, prior=prior, method=method)
        with ThreadPoolExecutor(3) as pool:
            assert_same(run(A, b, prior=prior, method=method, executor=pool), serial)
        assert serial.converged and serial.samples.shape[0] == 7 and (serial.std > 0).all()
        # The blocks are what the samples are, but for rounding.
        whole = _blocks._NUMBERS["cpu"]
        _blocks._NUMBERS["cpu"] = 10**6
        together = run(A, b, prior=prior, method=method)
        _blocks._NUMBERS["cpu"] = whole
        for name in ("samples", "x", "std", "residuals", "residual"):
            np.testing.assert_allclose(getattr(together, name), getattr(serial, name), rtol=1e-6, atol=1e-9)
        assert (together.n_denoiser, together.status) == (serial.n_denoiser, serial.status)


class Volume(inverse.ImagingOperator):
    """A matrix between volumes and vectors, which may refuse data."""

    def __init__(self, matrix, shape, refused=None):
        super().__init__(matrix.dtype, shape, matrix.shape[:1])
        self._matrix, self._refused = matrix, refused

    def forward_stack(self, X):
        if self._refused is not None and (X.reshape(len(X), -1)[:, 0] == self._refused).any():
            raise OverflowError("the scanner is hot")
        return X.reshape(len(X), -1) @ self._matrix.T

    def adjoint_stack(self, Y):
        return (Y @ self._matrix).reshape(len(Y), *self.image_shape)


def operators(rng):
    mask = rng.random((3, 3)) < 0.7
    blur = inverse.Blur(np.ones((3, 3)) / 9, (3, 3))
    yield inverse.ParallelBeam((3, 3), 4)
    yield inverse.FanBeam((3, 3), 4, source_distance=9.0, detector_distance=9.0)
    yield inverse.MRI(None, mask)
    yield inverse.MRI(rng.standard_normal((2, 3, 3)) + 1j, mask)
    yield from (blur, 2 * blur, inverse.Inpainting(mask) @ blur, inverse.Downsampling((4, 4), 2))
    yield from (inverse.Blur(np.ones((3, 3)) / 9, (3, 3), boundary=each) for each in ("zero", "reflect"))
    yield from (inverse.Gradient((3, 3)).H @ inverse.Gradient((3, 3)), Volume(rng.standard_normal((5, 9)), (3, 3)))


def test_operators_pickle_before_and_after_they_were_used():
    rng = np.random.default_rng(1)
    for A in operators(rng):
        X = rng.standard_normal((2, *A.image_shape)).astype(A.dtype)
        before = pickle.loads(pickle.dumps(A))
        Y = A.forward_stack(X)
        back = A.adjoint_stack(Y)
        for twin in (before, pickle.loads(pickle.dumps(A))):
            assert np.array_equal(twin.forward_stack(X), Y) and np.array_equal(twin.adjoint_stack(Y), back), A
            assert repr(twin) == repr(A)


def cases(rng):
    """Every way that a task may go to another process."""
    for A in operators(rng):
        b = A @ rng.random(A.image_shape)
        yield A, b, dict(denoiser=inverse.tv(1.5, power=1), gamma=raised_weight)
    A, b, mixture = data(rng)
    for method in ("dds", "mmps"):
        yield A, b, dict(prior=mixture, method=method)
        yield Volume(A, (2, 3)), b, dict(denoiser=mixture.denoise, method=method)
    for prior in (inverse.Gaussian(np.zeros(6), np.eye(6) + 0.5), inverse.Smoothness(3 * inverse.Gradient((6,)))):
        yield A, np.stack([b, 2 * b], axis=1), dict(prior=prior, method="gaussian")
    yield A, b, dict(prior=mixture, method="exact")
    yield Volume(A, (3, 1, 2)), b, dict(denoiser=shrunk, data_step="admm-tv", x0=np.ones((3, 1, 2)))


def test_processes_give_the_same_bits():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for A, b, options in cases(np.random.default_rng(2)):
            options |= dict(n_samples=3, n_steps=3)
            assert_same(run(A, b, **options, executor=pool), run(A, b, **options))
        with pytest.raises(TaskError, match="sample.*; define functions in a module, not by lambda"):
            run(A, b, denoiser=lambda x, sigma: x, executor=pool)


def test_non_local_means_pickle():
    pytest.importorskip("skimage")
    denoiser, x = inverse.nlm(), np.random.default_rng(0).random((2, 16, 16))
    assert np.array_equal(pickle.loads(pickle.dumps(denoiser))(x, 0.1), denoiser(x, 0.1))


def test_priors_leave_their_copies_for_a_device_behind():
    A, b, mixture = data(np.random.default_rng(0))
    smooth = inverse.Smoothness(np.eye(6))
    mixture._there[0] = smooth._sent = lambda: "on a device"
    for prior, method in ((mixture, "mmps"), (smooth, "gaussian")):
        twin = pickle.loads(pickle.dumps(prior))
        assert_same(run(A, b, prior=twin, method=method), run(A, b, prior=prior, method=method))


def test_denoisers_of_torch_pickle():
    pytest.importorskip("torch")
    denoiser, x = inverse.from_torch(shrunk), np.random.default_rng(0).random((2, 3))
    assert np.array_equal(pickle.loads(pickle.dumps(denoiser))(x, 0.1), shrunk(x, 0.1))


def unchanged(x, sigma):
    return x


def test_a_failed_block_is_named_and_the_other_images_are_kept():
    A, b, _ = data(np.random.default_rng(0))
    options = dict(denoiser=unchanged, n_samples=7, schedule=[1.0, 0.05])
    serial = run(Volume(A, (6,)), b, **options)
    first = np.random.default_rng(4).spawn(7)[3].spawn(1)[0].standard_normal(6)[0]  # of what sample 3 begins with
    hot = Volume(A, (6,), first)
    with pytest.raises(OverflowError, match="the scanner is hot"):
        run(hot, b, **options)
    words = r"^1 of 4 tasks failed: samples 2 to 3 \(OverflowError: the scanner is hot\)"
    with ThreadPoolExecutor(2) as pool, pytest.raises(TaskError, match=words) as caught:
        run(hot, b, **options, executor=pool)
    error = caught.value
    assert error.names == ("samples 0 to 1", "samples 2 to 3", "samples 4 to 5", "sample 6")
    for k in (0, 2, 3):
        assert np.array_equal(error.results[k], serial.samples[2 * k : 2 * k + 2])
    assert error.results[1] is None


def test_tasks_of_stacks_are_named_by_both_numbers():
    A, b, mixture = data(np.random.default_rng(0), several=True)

    def fails(x, sigma):
        raise ValueError("no")

    with ThreadPoolExecutor(1) as pool:
        words = "^3 of 3 .*: sample 0 of data set 0 to sample 0 of data set 1 .ValueError: no"
        with pytest.raises(TaskError, match=words) as caught:
            run(A, b, denoiser=fails, n_samples=2, executor=pool)
        assert caught.value.names[1] == "sample 0 of data set 2 to sample 1 of data set 0"
        with pytest.raises(TaskError, match="^2 of 2 .*: mean of data sets 0 to 1 .OverflowError"):
            run(Volume(A, (6,), 0.0), b, prior=inverse.Gaussian(np.zeros(6), 0.5), method="gaussian", executor=pool)


@pytest.mark.parametrize("shared", [False, True], ids=["here", "threads"])
def test_samples_that_fail_are_named_and_the_others_go_on(shared):
    A, b, _ = data(np.random.default_rng(0))
    first = np.random.default_rng(4).spawn(7)[3].spawn(1)[0].standard_normal(6)[0]

    def spoilt(x, sigma):
        return np.where((x[:, :1] == first), np.nan, shrunk(x, sigma))

    options = dict(schedule=[1.0, 0.2, 0.05], n_samples=7)
    healthy = run(A, b, denoiser=shrunk, **options)
    with ThreadPoolExecutor(2) as pool:
        found = run(A, b, denoiser=spoilt, **options, executor=pool if shared else None)
    assert found.status is Status.NONFINITE and found.stop_reason == "denoiser in samples 2 to 3"
    assert found.message.startswith("sample nonfinite by denoiser in samples 2 to 3: misfit")
    good = [0, 1, 4, 5, 6]
    assert np.array_equal(found.samples[good], healthy.samples[good]) and np.isfinite(found.samples).all()
    assert found.iterations == 3 and found.residuals.shape == (4,) and found.n_denoiser == 3


def test_samples_around_a_mean_that_was_not_reached_are_not_converged():
    A, b, _ = data(np.random.default_rng(0))
    options = dict(prior=inverse.Gaussian(np.zeros(6), 0.5), method="gaussian", rtol=0.3)
    enough = run(A, b, **options)
    assert enough.converged
    few = run(A, b, **options, n_cg=int(enough.iterations) - 1)
    assert few.status is Status.MAXITER and few.stop_reason == "maxiter"


def test_a_callback_sees_all_samples_of_a_level_at_once_and_changes_no_bit():
    A, b, mixture = data(np.random.default_rng(0), several=True)
    seen = []
    found = run(A, b, prior=mixture, callback=seen.append)
    assert_same(found, run(A, b, prior=mixture))
    assert len(seen) == 6 and {S.shape for S in seen} == {(7, 6, 3)} and np.array_equal(seen[-1], found.samples)

    class Stop:
        def on_chunk(self, step, norm):
            if step == 4:
                raise StopIteration

    found = run(A, b, prior=mixture, callback=Stop())
    assert found.status == (Status.STOPPED,) * 3 and found.stop_reason == "callback" and found.iterations.max() == 4
    assert np.array_equal(found.samples, seen[3]) and found.residuals.shape == (5, 3)


def test_no_stack_is_larger_than_a_block():
    A, b, _ = data(np.random.default_rng(0))
    sizes = []

    def seen(x, sigma):
        sizes.append(len(x))
        return shrunk(x, sigma)

    run(A, b, denoiser=seen, n_samples=7, n_steps=2)
    assert sizes == [2, 2, 2, 2, 2, 2, 1, 1]


def test_what_cannot_be_shared_is_refused_in_one_sentence():
    A, b, mixture = data(np.random.default_rng(0))

    class Unused:
        def submit(self, function, task):
            raise AssertionError("a task was sent")

    for wrong, error, words in (
        (dict(callback=solvers.progress()), InvalidInput, "^`callback` must be None where there is an `executor`"),
        (dict(executor=3), UnsupportedType, "^`executor` must be None or an open executor"),
        (dict(gamma=-1.0), InvalidInput, "^`gamma` must be > 0"),
        (dict(data_step="none"), InvalidInput, "^`data_step` must be one of"),
        (dict(data_step="admm-tv"), InvalidInput, "^`data_step` 'admm-tv' is for volumes"),
        (dict(x0=np.ones(4)), InvalidInput, "^`x0` must have shape"),
    ):
        with pytest.raises(error, match=words):
            run(A, b, **dict(prior=mixture, executor=Unused()) | wrong)
