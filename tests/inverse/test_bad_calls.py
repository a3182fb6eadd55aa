"""What a user may get wrong in `solvers.inverse` is said in one sentence, before any work; nothing comes out as NaN."""

import pickle

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from solvers import InvalidInput, UnsupportedType, inverse, linalg
from solvers._result import Status

A = inverse.ParallelBeam((8, 8), 6)
B = A @ np.ones((8, 8))
MATRIX = np.random.default_rng(0).standard_normal((20, 10))


def denoiser(x, sigma):
    return 0.5 * x


def sample(**options):
    return inverse.sample(A, B, **({"denoiser": denoiser, "n_steps": 3, "rng": 0} | options))


REFUSED = {
    "`rng` must be None": [
        lambda: inverse.least_squares(A, B, rng="a"),
        lambda: inverse.complete(np.ones((4, 4)), 1, mask=np.ones((4, 4), bool), rng=-1),
        lambda: inverse.check_adjoint(A, rng=1.5),
        lambda: sample(rng=np.random.RandomState(0)),
    ],
    "`tau` must be finite": [lambda: inverse.least_squares(A, B, noise_norm=1.0, tau=np.inf)],
    "`noise_norm` must be a real number": [lambda: inverse.least_squares(A, B, noise_norm=True)],
    "`sigmas` must be": [
        lambda: inverse.pnp(A, B, denoiser, sigmas="a"),
        lambda: inverse.pnp(A, B, denoiser, sigmas=[1, 1j]),
    ],
    "`b` must hold at least one": [
        lambda: inverse.pnp(A, B[None][:0], inverse.tv(0.1)),
        lambda: inverse.sample(A, B[None][:0], denoiser=denoiser),
    ],
    "`b` must have a largest entry": [
        lambda: inverse.pnp(A, 1e-100 * B, inverse.tv(0.1)),
        lambda: inverse.sample(A, 1e100 * B, denoiser=denoiser),
    ],
    "`rho` must be > 0": [lambda: sample(rho=-1)],
    "`x0` is of the diffusion": [
        lambda: sample(denoiser=None, prior=inverse.Gaussian(B * 0, 1.0), method="exact", noise_level=1.0, x0=B)
    ],
    "`data_step` must return the kind": [lambda: sample(data_step=lambda x, sigma: x + 1j)],
    "`dtype` must be": [lambda: inverse.ParallelBeam((4, 4), 3, dtype="x")],
    "`axes` must be an integer": [lambda: inverse.Gradient((4, 4), axes="a")],
    "`rows` and `columns` must": [lambda: inverse.LowRank(MATRIX, MATRIX).entries([0, 1], [0, 1, 2])],
    "must be an integer or radians of shape .*got 30.0; pass an integer": [
        lambda: inverse.ParallelBeam((4, 4), 30.0),
        lambda: inverse.FanBeam((4, 4), 30.0, source_distance=9, detector_distance=9),
    ],
    "`denoiser` must be a function .x, sigma. -> x0, such as inverse.tv.., got str 'tv'": [
        lambda: inverse.pnp(A, B, "tv"),
        lambda: sample(denoiser="tv"),
    ],
    "`noise_level` must be comparable": [lambda: inverse.krosbl([MATRIX], 1e-300 * MATRIX[:, 0], noise_level=1e300)],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_wrong_argument_is_one_sentence(sentence):
    for call in REFUSED[sentence]:
        with pytest.raises((InvalidInput, UnsupportedType), match=sentence):
            call()


def test_products_that_are_not_finite_are_never_a_success():
    nan, b = np.full((20, 10), np.nan), np.ones(20)
    results = [
        inverse.pnp(nan, b, inverse.tv(0.1), maxiter=3),
        inverse.sample(nan, b, denoiser=denoiser, n_steps=3, rng=0),
        inverse.recover(nan, b, (5, 2), 1),
        inverse.least_squares(nan, b),
    ]
    for result in results:
        assert result.status is Status.NONFINITE
        assert np.isfinite(np.asarray(result.x)).all() and not np.isnan(result.residual), result.method
        assert not np.isnan(result.residuals).any() and result.iterations >= 0, result.method


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_sparse_and_low_rank_data_may_have_any_unit(scale):
    x = np.zeros(10)
    x[[2, 5]] = 1.0, -2.0
    b = MATRIX @ x
    result = inverse.krosbl([MATRIX], scale * b, noise_level=1e-3 * scale)
    assert np.allclose(result.x / scale, x, atol=1e-2)
    assert np.isclose(result.residual / scale, np.linalg.norm(b - MATRIX @ (result.x / scale)), rtol=1e-6)
    exact = inverse.krosbl([MATRIX], b, noise_level=1e-300)
    assert np.allclose(exact.x, x, atol=1e-10)
    tall = np.random.default_rng(1).standard_normal((60, 10))
    result = inverse.recover(tall, scale * (tall @ np.ones(10)), (5, 2), 1)
    assert result.converged and 0 < result.residual < 1e-5 * scale


def test_a_mixture_answers_for_any_image_and_any_noise():
    prior = inverse.GaussianMixture([1e308, 1e308], [[0.0, 0.0], [1.0, 1.0]], [0.1, 0.0])
    assert np.allclose(prior.weights, 0.5) and prior.weights.dtype == np.float64
    for x in ([1e200, 1e200], [1e308, -1e308], [0.0, 0.0]):
        for sigma in (1e-300, 1.0, 1e300):
            assert np.isfinite(prior.denoise(x, sigma)).all(), (x, sigma)
    assert np.allclose(prior.denoise([3.0, 4.0], 1e300), 0.5)
    assert prior.denoise(np.zeros((0, 2)), 1.0).shape == (0, 2)


@pytest.mark.parametrize(
    "options",
    [{"method": m, "noise_norm": 2.0} for m in ("cgls", "lsqr", "lsmr", "hybrid")]
    + [{"regularization": "gcv"}, {"regularization": 3.0}, {"regularization": 3.0, "L": np.eye(10)}],
    ids=str,
)
def test_an_operator_may_have_any_unit(options):
    b = MATRIX @ np.ones(10) + np.sin(np.arange(20.0))
    plain = inverse.least_squares(MATRIX, b, **options)
    weight = options.get("regularization")
    has_weight = isinstance(weight, float)
    for scale in (2.0**-400, 2.0**400) if has_weight else (2.0**-600, 2.0**-200, 2.0**200, 2.0**600):
        asked = options | {"regularization": weight * scale**2} if has_weight else options
        result = inverse.least_squares(MATRIX * scale, b, **asked)
        assert (result.status, result.iterations) == (plain.status, plain.iterations)
        assert np.allclose(result.x * scale, plain.x) and np.isclose(result.residual, plain.residual)
        assert np.allclose(result.solution_norms * scale, plain.solution_norms)
        if has_weight:
            assert result.regularization == weight * scale**2


def test_a_solution_out_of_range_is_no_success():
    result = inverse.least_squares(MATRIX * 1e-200, 1e200 * np.ones(20))
    assert result.status is Status.NONFINITE and not result.x.any() and np.isfinite(result.residual)


def test_what_is_made_of_arrays_keeps_its_own():
    M, U = MATRIX.copy(), MATRIX.copy()
    prior, low_rank = inverse.Smoothness(M), inverse.LowRank(U, U)
    before = prior.denoise(np.ones(10), 1.0), low_rank.toarray()
    M *= 3
    U *= 3
    assert np.array_equal(prior.denoise(np.ones(10), 1.0), before[0])
    assert np.array_equal(low_rank.toarray(), before[1])
    for array in (A.angles, inverse.Inpainting(np.eye(3)).mask, inverse.MRI(np.ones((1, 3, 3)), np.ones(3)).mask):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_denoisers_can_be_pickled():
    noisy = np.random.default_rng(0).standard_normal((1, 16, 16))
    for denoiser in (inverse.tv(0.1, power=1), inverse.nlm()):
        again = pickle.loads(pickle.dumps(denoiser))
        assert np.array_equal(again(noisy, 0.5), denoiser(noisy, 0.5))
        assert getattr(again, "proximal", None) == getattr(denoiser, "proximal", None)


def test_a_callback_that_ends_it_is_the_reason():
    def stop(x):
        raise StopIteration

    for result in (
        inverse.least_squares(A, B, callback=stop),
        inverse.pnp(A, B, inverse.tv(0.1), callback=stop),
        sample(callback=stop),
        inverse.krosbl([MATRIX], MATRIX[:, 0], noise_level=0.1, callback=stop),
        inverse.recover(MATRIX, np.arange(1.0, 21.0), (5, 2), 1, callback=stop),
    ):
        assert (result.status, result.stop_reason) == (Status.STOPPED, "callback"), result.method


def test_a_matrix_may_have_any_dtype_and_no_masks():
    A, b = np.arange(12).reshape(4, 3) % 5, np.ones(4)
    plain = inverse.pnp(A.astype(float), b, inverse.tv(0.1), maxiter=3).x
    for each in (A, A.astype(np.longdouble), A.astype(np.int8), np.asmatrix(A)):
        assert np.array_equal(inverse.pnp(each, b, inverse.tv(0.1), maxiter=3).x, plain)
    with pytest.raises(UnsupportedType, match="`A` must have no masked"):
        inverse.least_squares(np.ma.array(A, mask=A == 1), b)
    with pytest.raises(UnsupportedType, match="got list; pass numpy.asarray.A."):
        inverse.least_squares(A.tolist(), b)


def test_where_steps_run_out_on_noise_more_steps_are_not_all_that_is_advised():
    result = inverse.least_squares(MATRIX, np.ones(20), maxiter=2, rtol=0.0)
    assert "pass `noise_level`, or regularization='gcv': more steps fit the noise" in result.message
    other = inverse.pnp(A, B, inverse.tv(0.1), maxiter=2)
    assert other.status is Status.MAXITER and "noise" not in other.message


def test_an_operator_without_an_adjoint_is_refused():
    A = LinearOperator((4, 4), matvec=lambda x: x, matmat=lambda X: X, dtype=float)
    for call in (
        lambda: inverse.least_squares(A, np.ones(4)),
        lambda: inverse.pnp(A, np.ones((4, 2)), inverse.tv(0.1)),
        lambda: inverse.check_adjoint(A),
    ):
        with pytest.raises(UnsupportedType, match="`A` must have a rmatvec, got an operator without"):
            call()


def test_a_real_operator_with_complex_products_is_refused():
    A = LinearOperator((4, 3), matvec=lambda x: 1j * np.ones(4), rmatvec=lambda y: np.ones(3), dtype=float)
    for call in (lambda: inverse.least_squares(A, np.ones(4)), lambda: inverse.pnp(A, np.ones(4), inverse.tv(0.1))):
        with pytest.raises(InvalidInput, match="must give real products"):
            call()


@pytest.mark.parametrize("kind", [object, "U3"], ids=["objects", "words"])
@pytest.mark.parametrize("as_operator", [False, True], ids=["matrix", "operator"])
def test_what_holds_no_numbers_is_refused_as_linalg_refuses_it(kind, as_operator):
    A = np.eye(3).astype(kind)
    A = aslinearoperator(A) if as_operator else A
    for solve in (inverse.least_squares, linalg.cg):
        with pytest.raises(UnsupportedType, match="`A` must hold numbers, got dtype .*; use A.astype.float."):
            solve(A, np.ones(3))
