"""Posterior samplers against textbook loops, and against posteriors that are known."""

import json
import pickle

import numpy as np
import pytest
from solvers.benchmarks import posterior_cases as cases

from solvers import InvalidInput, Status, UnsupportedType, inverse
from solvers.inverse._schedules import injected, levels


def small(complex_=False, shape=(2, 3), m=4):
    rng = np.random.default_rng(0)
    part = lambda *size: rng.standard_normal(size) + (1j * rng.standard_normal(size) if complex_ else 0)
    n = int(np.prod(shape))
    prior = inverse.GaussianMixture([1, 2], part(2, *shape), [0.1, 0.3])
    return part(m, n) / 2, part(m), prior


class Draws:
    """The noise of sample i, in the order in which it is drawn."""

    def __init__(self, seed, n_samples, shape, complex_):
        self._each = [g.spawn(1)[0] for g in np.random.default_rng(seed).spawn(n_samples)]
        self._shape, self._complex = shape, complex_

    def __call__(self):
        if not self._complex:
            return np.array([g.standard_normal(self._shape) for g in self._each])
        pairs = [g.standard_normal((2, *self._shape)) for g in self._each]
        return np.array([(one + 1j * other) / np.sqrt(2) for one, other in pairs])


def cg(H, rhs, x, steps):
    """Conjugate gradients for one vector, as in the paper."""
    r = p = rhs - H @ x
    for _ in range(steps):
        alpha = np.vdot(r, r) / np.vdot(p, H @ p)
        x, r, last = x + alpha * p, r - alpha * (H @ p), r
        p = r + np.vdot(r, r) / np.vdot(last, last) * p
    return x


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("gamma", [None, 3.0])
def test_dds_is_the_variance_preserving_loop_of_the_paper(complex_, gamma):
    A, b, prior = small(complex_)
    eta, T, M = 0.6, 10, 2
    a = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[np.arange(0, 1000, 1000 // T)[::-1]]
    draw = Draws(7, 3, (6,), complex_)
    x = draw()
    for i in range(T):
        sigma = np.sqrt((1 - a[i]) / a[i])
        x0 = prior.denoise((x / np.sqrt(a[i])).reshape(3, 2, 3), sigma).reshape(3, 6)
        e = (x - np.sqrt(a[i]) * x0) / np.sqrt(1 - a[i])
        H, AHb = A.conj().T @ A, A.conj().T @ b
        if gamma is None:
            found = np.array([cg(H, AHb, each, M) for each in x0])
        else:
            found = np.array([cg(np.eye(6) + gamma * H, each + gamma * AHb, each, M) for each in x0])
        if i + 1 < T:
            noise = draw() if i + 2 < T else 0
            x = np.sqrt(a[i + 1]) * found + np.sqrt(1 - a[i + 1]) * (np.sqrt(1 - eta**2) * e + eta * noise)
    options = dict(n_samples=3, n_steps=T, n_cg=M, rtol=0, gamma=gamma, rule="dds", eta=eta, rng=7)
    res = inverse.sample(A, b, prior=prior, **options)
    np.testing.assert_allclose(res.samples, found, rtol=1e-8)
    np.testing.assert_allclose(res.x, found.mean(axis=0), rtol=1e-8)
    assert res.n_denoiser == T and res.residuals.shape == (T + 1,) and res.converged
    assert res.residual == pytest.approx(np.linalg.norm(b - A @ res.x))


@pytest.mark.parametrize("complex_", [False, True])
def test_mmps_with_enough_steps_is_the_closed_form(complex_):
    A, b, prior = small(complex_)
    s, sigmas, draw = 0.3, np.array([3.0, 1.0, 0.2]), Draws(2, 2, (6,), complex_)
    parts = (lambda z: np.concatenate([z.real, z.imag], axis=-1)) if complex_ else (lambda z: z)
    x = 3.0 * draw()
    for i, sigma in enumerate(sigmas):
        stack = x.reshape(2, 2, 3)
        x0 = prior.denoise(stack, sigma).reshape(2, 6)
        found = np.empty_like(x)
        for j in range(2):
            unit = np.concatenate([np.eye(6), 1j * np.eye(6)]) if complex_ else np.eye(6)
            point = np.repeat(stack[j : j + 1], len(unit), axis=0)
            V = sigma**2 * prior.jacobian_product(point, sigma, unit.reshape(-1, 2, 3)).reshape(len(unit), 6)
            V, B, r = parts(V).T, np.array([parts(A @ e) for e in unit]).T, parts(b - A @ x0[j])
            change = V @ B.T @ np.linalg.solve(s**2 * np.eye(len(r)) + B @ V @ B.T, r)
            found[j] = x0[j] + (change[:6] + 1j * change[6:] if complex_ else change)
        if i < 2:
            fresh = sigmas[i + 1] * np.sqrt(1 - (sigmas[i + 1] / sigma) ** 2)
            x = found + np.sqrt(sigmas[i + 1] ** 2 - fresh**2) / sigma * (x - found) + (fresh * draw() if i < 1 else 0)
    options = dict(noise_level=s, method="mmps", n_samples=2, n_cg=20, rtol=1e-13, schedule=sigmas, rng=2)
    np.testing.assert_allclose(inverse.sample(A, b, prior=prior, **options).samples, found, rtol=1e-7)
    # A denoiser alone, whose Jacobian is a difference of two calls.
    as_image = lambda x, sigma: prior.denoise(x.reshape(-1, 2, 3), sigma).reshape(x.shape)
    near = inverse.sample(A, b, denoiser=as_image, **options)
    np.testing.assert_allclose(near.samples, found, rtol=0.01, atol=0.01)
    assert near.n_denoiser > 3 * 3


def test_admm_tv_keeps_its_state_between_levels():
    rng = np.random.default_rng(0)
    A, b, shape, rho, weight = rng.standard_normal((5, 12)), rng.standard_normal(5), (3, 2, 2), 2.0, 0.3
    D = np.kron(np.roll(np.eye(3), 1, axis=1) - np.eye(3), np.eye(4))
    z = u = np.zeros(12)
    H = A.T @ A + rho * D.T @ D
    seen, sigmas = [], [1.0, 0.5, 0.2]
    for x0 in (np.full(12, 0.5), np.full(12, 1.0), np.arange(12.0)):
        x = cg(H, A.T @ b + rho * D.T @ (z - u), x0, 2)
        v = D @ x + u
        z = np.sign(v) * np.maximum(np.abs(v) - weight / rho, 0)
        u, _ = v - z, seen.append(x)
    images = iter((np.full(shape, 0.5), np.full(shape, 1.0), np.arange(12.0).reshape(shape)))
    got = []
    inverse.sample(
        Volume(A, shape), b, denoiser=lambda x, sigma: next(images)[None], schedule=sigmas, n_cg=2, rtol=0,
        data_step="admm-tv", rho=rho, tv_weight=weight, rng=0, callback=lambda S: got.append(S[0]),
    )  # fmt: skip
    np.testing.assert_allclose(np.reshape(got, (3, 12)), seen, rtol=1e-9)


class Volume(inverse.ImagingOperator):
    """A matrix between volumes and vectors."""

    def __init__(self, matrix, shape):
        super().__init__(matrix.dtype, shape, matrix.shape[:1])
        self._matrix = matrix

    def forward_stack(self, X):
        return X.reshape(len(X), -1) @ self._matrix.T

    def adjoint_stack(self, Y):
        return (Y @ self._matrix).reshape(len(Y), *self.image_shape)


@pytest.mark.parametrize("method", ["dds", "mmps", "gaussian", "exact"])
def test_a_sample_depends_on_its_seed_alone(method):
    A, b, _ = small()
    prior = inverse.Gaussian(np.zeros((2, 3)), 0.5)
    run = lambda b, n: inverse.sample(A, b, prior=prior, noise_level=0.2, method=method, n_samples=n, n_steps=8, rng=3)
    many, few, two = run(b, 5), run(b, 2), run(np.stack([b, 2 * b], axis=1), 2)
    np.testing.assert_allclose(many.samples[:2], few.samples, rtol=1e-9)
    np.testing.assert_allclose(two.samples[:, :, 0], few.samples, rtol=1e-9)
    assert two.x.shape == (6, 2) and two.std.shape == (6, 2) and two.residual.shape == (2,) and len(two.status) == 2
    assert run(b, 1).std is None and np.abs(many.samples[0] - many.samples[1]).max() > 0.01


def test_perturb_and_optimise_has_the_exact_moments():
    A, b, _ = small(m=9)
    L = np.diff(np.eye(6), axis=0)
    C = 0.2 * np.eye(6) + 0.3
    for prior in (inverse.Smoothness(2 * L), inverse.Gaussian(np.ones(6), C), inverse.Gaussian(np.ones(6), 0.4)):
        truth = prior.posterior(A, b, noise_level=0.3)
        options = dict(prior=prior, noise_level=0.3, method="gaussian", n_samples=8000, rng=0)
        res = inverse.sample(A, b, **options, rtol=1e-8)
        assert res.converged and res.iterations <= 20 and res.stop_reason == "tolerance"
        np.testing.assert_allclose(res.x, truth.mean, atol=5 * truth.std.max() / 80)
        np.testing.assert_allclose(np.cov(res.samples.T), truth.covariance, atol=0.06 * truth.covariance.max())
    assert inverse.sample(A, b, **options, n_cg=1).status is Status.MAXITER


def test_perturb_and_optimise_of_complex_images():
    A, b, _ = small(True)
    root = small(True, shape=(6,), m=6)[0]
    prior = inverse.Gaussian(np.ones(6) + 1j, root @ root.conj().T)
    truth = prior.posterior(A, b, noise_level=0.3)
    res = inverse.sample(A, b, prior=prior, noise_level=0.3, method="gaussian", n_samples=4000, rng=0, rtol=1e-8)
    D = res.samples - truth.mean
    np.testing.assert_allclose(res.x, truth.mean, atol=5 * truth.std.max() / 60)
    np.testing.assert_allclose(D.T @ D.conj() / 4000, truth.covariance, atol=0.08 * np.abs(truth.covariance).max())
    assert np.abs(D.T @ D).max() / 4000 < 0.08 * np.abs(truth.covariance).max()  # circular


def test_gaussian_samples_of_a_scan_take_few_iterations():
    case = cases.smooth_field(size=16)
    res = inverse.sample(
        case.A, case.b, prior=case.prior, noise_level=case.noise_level, method="gaussian", n_samples=800, rng=0
    )
    error, spread = cases.errors(case, res.samples)
    assert res.iterations <= 25 and abs(spread - 1) < 0.02 and error < 0.1 and res.x.shape == (16, 16)


def suite(method, count, **options):
    """Errors and spreads over the cases of the mixture suite."""
    found = []
    for case in cases.mixture_suite():
        res = inverse.sample(
            case.A, case.b, prior=case.prior, noise_level=0.05, method=method, n_samples=count, rng=0, **options
        )
        found.append(cases.errors(case, res.samples))
    return np.mean(found, axis=0)


@pytest.mark.slow
def test_the_mixture_suite():
    error, spread = suite("exact", 200)
    assert error < 0.02 and 0.9 < spread < 1.1
    error, spread = suite("dds", 200, rule="dds", eta=0.5)
    assert error == pytest.approx(0.088, abs=0.01) and spread > 1.3
    error, spread = suite("mmps", 200)
    assert error <= 0.02 and 0.75 < spread < 1.15


def test_moment_matching_is_nearer_to_the_posterior_than_dds():
    assert suite("mmps", 50)[0] < 0.5 * suite("dds", 50, rule="dds")[0]


def test_two_modes_get_their_shares():
    case = cases.bimodal()
    options = dict(prior=case.prior, noise_level=case.noise_level, n_samples=1000, rng=0)
    share = lambda method: np.mean(inverse.sample(case.A, case.b, method=method, **options).samples[:, 0] < 0)
    assert case.truth.weights[0] == pytest.approx(0.46, abs=0.005)
    assert share("exact") == pytest.approx(case.truth.weights[0], abs=0.05)
    assert share("mmps") == pytest.approx(case.truth.weights[0], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["drawn", "scikit-learn"])
def test_tomographed_digits_come_near_the_exact_mean(data, monkeypatch):
    if data == "scikit-learn":
        pytest.importorskip("sklearn")
    else:
        monkeypatch.setattr(cases, "digits", lambda: cases.glyphs(1797))
    case = cases.digits_case()
    options = dict(prior=case.prior, noise_level=case.noise_level, n_samples=16, rng=0)
    exact = inverse.sample(case.A, case.b, method="exact", **options)
    best = np.mean([(p.mean - image) ** 2 for p, image in zip(exact.posterior, case.image, strict=True)])
    for method in ("exact", "mmps", "dds"):
        error = np.mean((inverse.sample(case.A, case.b, method=method, **options).x - case.image) ** 2)
        assert error <= (1.2 if method == "dds" else 1.1) * best


def test_single_precision_and_complex_images_stay():
    A, b, _ = small(True)
    shrink = lambda x, sigma: x / (1 + sigma**2)
    res = inverse.sample(A.astype(np.complex64), b.astype(np.complex64), denoiser=shrink, n_steps=5, rng=0)
    assert res.samples.dtype == np.complex64 and np.isfinite(res.x).all()
    real = inverse.sample(A, b, prior=inverse.Gaussian(np.zeros(6), 1.0), n_steps=5, rng=0)
    assert real.samples.dtype == np.float64


def test_schedules_go_down_and_their_ends_are_those_of_the_processes():
    for schedule, spacing in (("vp", None), ("vp", "karras"), ("vp", "log"), ("ve", None), ("ve", "karras")):
        sigmas = levels(schedule, 30, spacing, 2.0)
        assert len(sigmas) == 30 and (np.diff(sigmas) < 0).all() and sigmas[-1] == pytest.approx(0.02, rel=1e-3)
    for rule in ("ddim", "dds"):
        kept, fresh = injected(rule, 0.7, 2.0, 1.5)
        assert kept**2 + fresh**2 == pytest.approx(1.5**2)
    assert injected("ddim", 1.0, 2.0, 1.5)[1] == pytest.approx(1.5 * np.sqrt(1 - (1.5 / 2) ** 2))


def test_the_walk_begins_at_noise_around_the_start():
    options = dict(denoiser=lambda x, sigma: x, schedule=[0.1], n_samples=500, rng=0)
    res = inverse.sample(np.zeros((1, 6)), [0.0], x0=np.arange(6.0), **options)
    np.testing.assert_allclose(res.x, np.arange(6.0), atol=0.02)
    np.testing.assert_allclose(res.std, 0.1, rtol=0.15)


def test_a_denoiser_may_write_to_its_argument_and_reuse_its_answer():
    A, b, _ = small()
    buffer = np.empty((2, 6))

    def greedy(x, sigma):
        np.divide(x, 1 + sigma**2, out=buffer)
        x[...] = np.nan
        return buffer

    run = lambda f: inverse.sample(A, b, denoiser=f, noise_level=0.1, method="mmps", n_samples=2, n_steps=4, rng=0)
    np.testing.assert_array_equal(run(greedy).samples, run(lambda x, sigma: x / (1 + sigma**2)).samples)


@pytest.mark.parametrize("when", [0, 3])
def test_a_nan_of_the_denoiser_is_nonfinite_and_never_in_the_answer(when):
    A, b, _ = small()
    calls = iter(range(99))
    spoilt = lambda x, sigma: x / (1 + sigma**2) if next(calls) < when else x * np.nan
    res = inverse.sample(A, b, denoiser=spoilt, n_samples=2, rng=0)
    assert res.status is Status.NONFINITE and np.isfinite(res.samples).all() and res.iterations == when
    assert res.stop_reason == "denoiser"


def test_a_callback_sees_the_samples_and_may_stop():
    A, b, prior = small()
    seen = []

    def stop(S):
        seen.append(S)
        if len(seen) == 4:
            raise StopIteration

    res = inverse.sample(A, b, prior=prior, n_samples=2, callback=stop, rng=0)
    assert res.status is Status.STOPPED and res.iterations == 4 and seen[0].shape == (2, 6)
    np.testing.assert_array_equal(seen[-1], res.samples)


@pytest.mark.parametrize("method", ["mmps", "exact"])
def test_a_result_travels_as_json_and_as_a_pickle(method):
    A, b, prior = small()
    res = inverse.sample(A, b, prior=prior, noise_level=0.2, method=method, n_samples=2, n_steps=3, rng=0)
    assert json.loads(json.dumps(res.to_dict()))["converged"] is True
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(res)).samples, res.samples)


def test_torch_denoisers_work_through_dlpack():
    torch = pytest.importorskip("torch")
    A, b, _ = small()
    weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
    run = lambda f: inverse.sample(A, b, denoiser=f, n_samples=2, n_steps=5, rng=0)
    ours = run(inverse.from_torch(lambda x, sigma: weight * x / (1 + sigma**2)))
    np.testing.assert_allclose(ours.samples, run(lambda x, sigma: x / (1 + sigma**2)).samples)


GIVEN = dict(denoiser=lambda x, sigma: x, noise_level=0.1)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({}, InvalidInput, "One of `prior` and `denoiser`"),
        (dict(denoiser=3), UnsupportedType, "`denoiser` must be a function"),
        (dict(denoiser=lambda x, s: x[0]), InvalidInput, r"shape of its first argument, a stack \(1, 6\), got \(6,\)"),
        (dict(denoiser=lambda x, s: x * 1j), UnsupportedType, "real images for real ones"),
        (dict(denoiser=lambda x, s: None), UnsupportedType, "must return an array, got NoneType"),
        (dict(GIVEN, method="exact"), InvalidInput, "`prior` must be given for method='exact'"),
        (dict(GIVEN, method="mmps", noise_level=None), InvalidInput, "`noise_level` must be given"),
        (dict(GIVEN, noise_level=-1), InvalidInput, "`noise_level` must be > 0"),
        (dict(GIVEN, eta=1.5), InvalidInput, "`eta` must be between 0 and 1, got 1.5"),
        (dict(GIVEN, schedule=[0.1, 0.2]), InvalidInput, "`schedule` must decrease"),
        (dict(GIVEN, schedule="ve", spacing="time"), InvalidInput, "`spacing` must be 'log' or 'karras'"),
        (dict(GIVEN, n_steps=1), InvalidInput, "`n_steps` must be >= 2"),
        (dict(GIVEN, data_step="admm-tv"), InvalidInput, "is for volumes"),
        (dict(GIVEN, data_step=lambda x, s: x[0]), InvalidInput, "`data_step` must return"),
        (dict(GIVEN, gamma=lambda s: -1), InvalidInput, r"`gamma\(sigma\)` must be > 0"),
        (dict(GIVEN, method="mmps", gamma=2.0), InvalidInput, "`gamma` is of method='dds'"),
        (dict(GIVEN, rng=-1), InvalidInput, "`rng` must be"),
        (dict(GIVEN, x0=np.ones(3)), InvalidInput, "`x0` must have shape"),
        (dict(prior=inverse.Gaussian(np.zeros(5), 1)), InvalidInput, "`prior` must be of images of shape"),
        (dict(prior=np.ones(6)), UnsupportedType, "`prior` must be a GaussianMixture"),
        (dict(prior=small()[2], method="gaussian", noise_level=1), InvalidInput, "one Gaussian .* got 2 components"),
    ],
)
def test_a_bad_call_is_one_sentence(options, error, words):
    A, b, _ = small()
    with pytest.raises(error, match=words):
        inverse.sample(A, b, **options)
    with pytest.raises(InvalidInput, match="`b` must be finite"):
        inverse.sample(A, b * np.nan, **GIVEN)
