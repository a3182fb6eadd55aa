"""least_squares: what it minimises, when it stops, and that neither unit nor company of the data matters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from solvers.benchmarks.phantoms import shepp_logan

from solvers import InvalidInput, Status, inverse
from solvers.inverse import least_squares

ITERATIVE = "cgls", "lsqr", "lsmr"
METHODS = *ITERATIVE, "hybrid"


def problem(m=40, n=24, dtype="d", seed=0, condition=20.0):
    """A matrix of that condition, an x and data with a little noise."""
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal(shape) for shape in ((m, m), (n, n), n, m)]
    if np.dtype(dtype).kind == "c":
        parts = [part + 1j * rng.standard_normal(part.shape) for part in parts]
    (U, _), (V, _) = (np.linalg.qr(part) for part in parts[:2])
    k = min(m, n)
    A = (U[:, :k] * np.geomspace(1, 1 / condition, k)) @ V[:k]
    return A.astype(dtype), (A @ parts[2] + 0.01 * parts[3]).astype(dtype)


def blurred(noise=0.01, n=96, seed=0):
    """An ill-posed problem: a smooth x, a sparse wide blur, the data, and the norm of their noise."""
    t = np.linspace(0, 1, n)
    A = np.exp(-(((t[:, None] - t) / 0.03) ** 2)) * (abs(t[:, None] - t) < 0.12)
    x = np.where(abs(t - 0.3) < 0.12, 1.0, 0.0) + np.exp(-(((t - 0.7) / 0.08) ** 2))
    e = np.random.default_rng(seed).standard_normal(n)
    e *= noise * np.linalg.norm(A @ x) / np.linalg.norm(e)
    return sparse.csr_array(A), x, A @ x + e, np.linalg.norm(e)


def ridge(A, b, weight, L=None):
    L = np.eye(A.shape[1]) if L is None else L
    rows = np.vstack([A, np.sqrt(weight) * L])
    return np.linalg.lstsq(rows, np.concatenate([b, np.zeros(len(L))]), rcond=None)[0]


def error(x, truth):
    return np.linalg.norm(x - truth) / np.linalg.norm(truth)


def least_error(A, x, b):
    """Of all steps of CGLS."""
    found = []
    least_squares(A, b, method="cgls", maxiter=60, callback=lambda each: found.append(error(each, x)))
    return min(found)


DIFFERENCES = np.diff(np.eye(24), axis=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype, weight, L", [("d", 0.0, None), ("D", 0.02, DIFFERENCES), ("F", 0.02, None)])
def test_the_minimiser_is_lapacks(method, dtype, weight, L):
    A, b = problem(dtype=dtype)
    tight = 1e-4 if dtype == "F" else 1e-10
    result = least_squares(A, b, method=method, regularization=weight, L=L, rtol=tight, maxiter=200)
    assert result.converged and result.stop_reason == "tolerance" and result.x.dtype == dtype
    np.testing.assert_allclose(result.x, ridge(A, b, weight, L), atol=300 * tight)
    assert result.residual == pytest.approx(np.linalg.norm(b - A @ result.x), rel=1e-3)
    penalty = result.x if L is None else L @ result.x
    assert result.solution_norms[-1] == pytest.approx(np.linalg.norm(penalty), rel=1e-3)
    assert result.residuals[-1] == pytest.approx(result.residual, rel=1e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(3, 12), st.sampled_from(METHODS))
def test_any_shape_and_x0_is_the_centre_of_the_penalty(seed, m, n, method):
    A, b = problem(m, n, seed=seed)
    x0 = np.random.default_rng(seed).standard_normal(n)
    result = least_squares(A, b, method=method, regularization=0.3, x0=x0, rtol=1e-11, maxiter=100)
    np.testing.assert_allclose(result.x, x0 + ridge(A, b - A @ x0, 0.3), atol=1e-7)


@pytest.mark.parametrize("options", [{"regularization": 0.1}, {"regularization": "gcv"}, {"regularization": "l-curve"}])
def test_an_identity_as_l_is_no_l(options):
    A, x, b, _ = blurred()
    without = least_squares(A, b, maxiter=30, **options)
    with_l = least_squares(A, b, maxiter=30, L=sparse.eye_array(96), **options)
    np.testing.assert_allclose(with_l.regularization, without.regularization, rtol=1e-5)
    np.testing.assert_allclose(with_l.x, without.x, atol=1e-5)


EVERY = (
    {"method": "cgls", "stop": "discrepancy"},
    {"method": "lsqr", "stop": "discrepancy"},
    {"method": "lsmr", "stop": "discrepancy"},
    {"stop": "gcv"},
    {"stop": "l-curve"},
    {"regularization": "gcv"},
    {"regularization": "discrepancy"},
    {"regularization": "l-curve"},
    {"regularization": "discrepancy", "L": inverse.Gradient((96,))},
    {"regularization": "gcv", "L": inverse.Gradient((96,))},
)


def ids(options):
    return "-".join(str(value) for value in options.values() if isinstance(value, str)) + "-L" * ("L" in options)


@pytest.mark.parametrize("options", EVERY, ids=ids)
def test_every_rule_keeps_the_noise_out(options):
    A, x, b, noise = blurred()
    least = least_error(A, x, b)
    result = least_squares(A, b, noise_norm=noise, **options)
    reason = options.get("stop") or options["regularization"]
    assert result.converged and result.stop_reason == reason and "tolerance" not in result.message
    # One random vector of 96 signs says little of a trace; and a penalty on differences rounds the corners of x.
    assert error(result.x, x) <= (1.12 if reason == "discrepancy" else 1.5) * least
    if reason == "discrepancy":
        assert result.residual <= 1.0101 * noise
    assert (result.regularization is None) == ("stop" in options)


@pytest.mark.parametrize("options", EVERY, ids=ids)
def test_a_stack_is_solved_as_if_each_were_alone_to_the_bit(options):
    A, _, b, noise = blurred()
    B = np.stack([b, blurred(0.1, seed=1)[2] * 1e-9, np.zeros(96), blurred(0.001, seed=2)[2]])
    norms = noise * np.array([1, 1e-8, 1, 0.1])
    together = least_squares(A, B.T, noise_norm=norms, **options)
    assert together.x.shape == (96, 4) and len(together.stop_reason) == 4
    for j, noise_norm in enumerate(norms):
        alone = least_squares(A, B[j], noise_norm=noise_norm, **options)
        np.testing.assert_array_equal(together.x[:, j], alone.x)
        assert (together.iterations[j], together.chosen[j], together.status[j], together.stop_reason[j]) == (
            alone.iterations, alone.chosen, alone.status, alone.stop_reason,
        )  # fmt: skip
    assert not together.x[:, 2].any() and together.status[2] is Status.CONVERGED


@pytest.mark.parametrize("options", EVERY, ids=ids)
def test_the_unit_of_the_data_changes_nothing(options):
    A, x, b, noise = blurred()
    one = least_squares(A, b, noise_norm=noise, **options)
    by_level = least_squares(A, b, noise_level=noise / b.size**0.5, **options)
    np.testing.assert_allclose(by_level.x, one.x, rtol=1e-9, atol=1e-9)
    for scale in (1e-12, 2.0**-900, 1e30):
        other = least_squares(A, b * scale, noise_norm=noise * scale, **options)
        assert other.stop_reason == one.stop_reason
        assert error(other.x / scale, x) == pytest.approx(error(one.x, x), rel=0.03)
        if scale == 2.0**-900:  # then nothing rounds otherwise
            assert other.iterations == one.iterations
            np.testing.assert_array_equal(other.x / scale, one.x)


def test_an_image_stays_an_image():
    A = inverse.Blur(np.ones((3, 3)) / 9, (12, 10))
    truth = np.add.outer(np.arange(12.0), np.arange(10.0))
    b = A @ truth
    options = dict(L=inverse.Gradient((12, 10)), regularization=1e-6, rtol=1e-8)
    shaped, flat = least_squares(A, b, **options), least_squares(A, b.ravel(), **options)
    assert shaped.x.shape == (12, 10) and flat.x.shape == (120,) and isinstance(shaped.iterations, int)
    np.testing.assert_array_equal(shaped.x.ravel(), flat.x)
    stack = least_squares(A, np.stack([b, 2 * b]), **options)
    np.testing.assert_array_equal(stack.x[0], shaped.x)
    assert stack.x.shape == (2, 12, 10) and stack.residuals.shape[1] == 2


@pytest.mark.parametrize("L", [None, DIFFERENCES])
@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_adjoint_is_named(method, L):
    A, b = problem()
    rng = np.random.default_rng(3)
    unseen = rng.standard_normal(40)  # what the first step does not see
    unseen -= b * (unseen @ b) / (b @ b)
    wrong = 2 * A.T, A.T + 0.05, A.T + 0.05 * np.outer(rng.standard_normal(24), unseen)
    for B in wrong:
        operator = LinearOperator(A.shape, lambda x: A @ x, lambda y, B=B: B @ y, dtype=float)
        result = least_squares(operator, b, method=method, regularization=0.01, L=L, maxiter=100)
        assert result.status is Status.NOT_ADJOINT and result.stop_reason == "not_adjoint"
        assert np.isfinite(result.x).all() and (B is not wrong[0] or result.iterations == 1)
    right = LinearOperator(A.shape, lambda x: A @ x, lambda y: A.T @ y, dtype=float)
    assert least_squares(right, b, method=method, regularization=0.01, L=L, maxiter=100).converged


@pytest.mark.parametrize("method", METHODS)
def test_no_nan_comes_out(method):
    A, b = problem()
    A[3, 5] = np.nan
    result = least_squares(A, b, method=method)
    assert result.status is Status.NONFINITE and not result.x.any() and np.isfinite(result.residual)


@pytest.mark.parametrize("options", [{}, {"stop": "l-curve"}, {"regularization": "gcv"}, {"stop": "gcv"}])
def test_exact_data_are_solved_and_no_data_give_zero(options):
    A, _ = problem(condition=3.0)
    x = np.linspace(-1, 1, 24)
    near = 0.02 if "regularization" in options else 1e-4  # the rule puts some weight on any penalty
    np.testing.assert_allclose(least_squares(A, A @ x, **options).x, x, atol=near)
    none = least_squares(A, np.zeros(40), x0=x, **options)
    assert not none.x.any() and none.converged and none.iterations == 0


def test_noise_that_no_x_explains_is_said():
    A, b = problem()
    for options in ({"stop": "discrepancy"}, {"regularization": "discrepancy"}):
        result = least_squares(A, b, noise_norm=1e-3, maxiter=500, **options)
        assert result.status is Status.UNATTAINABLE and "raise `noise_level`" in result.message
        assert result.regularization == (0.0 if "regularization" in options else None)
    assert least_squares(A, b, noise_norm=100.0).iterations == 0


def test_the_limit_and_a_callback_end_it():
    A, _, b, noise = blurred()
    limited = least_squares(A, b, noise_norm=noise, maxiter=2)
    assert limited.status is Status.MAXITER and limited.stop_reason == "maxiter" and len(limited.residuals) == 3
    seen = []

    def stop(x):
        seen.append(x)
        if len(seen) == 2:
            raise StopIteration

    stopped = least_squares(A, b, method="lsqr", callback=stop)
    assert stopped.status is Status.STOPPED and stopped.stop_reason == "callback"
    np.testing.assert_array_equal(seen[1], stopped.x)
    np.testing.assert_array_equal(limited.x, least_squares(A, b, maxiter=2).x)


def test_single_precision_stays_and_stops_alike():
    A, _, b, noise = blurred()
    double = least_squares(A, b, noise_norm=noise)
    for scale in (1.0, 1e-30):
        single = least_squares(A.astype("f"), (b * scale).astype("f"), noise_norm=noise * scale)
        assert single.x.dtype == "f" and abs(single.iterations - double.iterations) <= 1
        np.testing.assert_allclose(single.x / np.float32(scale), double.x, atol=0.02)


@pytest.mark.parametrize(
    "words, options",
    [
        ("`noise_level` must be given", {"stop": "discrepancy"}),
        ("`noise_norm` must be left out", {"noise_norm": 1.0, "noise_level": 0.1}),
        ("`noise_level` must be > 0", {"noise_level": 0.0}),
        ("`noise_norm` must be > 0 and finite, got -1.0", {"noise_norm": -1.0}),
        ("`tau` must be >= 1, got 0.5", {"noise_norm": 1.0, "tau": 0.5}),
        ("`regularization` must be >= 0 and finite, got -2.0", {"regularization": -2.0}),
        ("`regularization` must be one of", {"regularization": "best"}),
        ("`method` must be 'hybrid' or 'auto'", {"regularization": "gcv", "method": "lsqr"}),
        ("`method` must be 'cgls' or 'auto' for stop='gcv'", {"stop": "gcv", "method": "lsqr"}),
        ("`stop` must be None", {"regularization": "gcv", "stop": "l-curve"}),
        ("`regularization` must be a weight or a rule where `L`", {"L": np.eye(24)}),
        ("`L` must take images of 24 entries", {"L": np.eye(7), "regularization": 1.0}),
        ("`x0` must have shape", {"x0": np.ones(3)}),
        ("`b` must be finite, got 1 NaN", {"b": np.full(40, 1.0) * np.where(np.arange(40) == 3, np.nan, 1)}),
        ("`b` must have shape", {"b": np.ones(39)}),
    ],
)
def test_bad_input_is_one_sentence(words, options):
    A, b = problem()
    with pytest.raises(InvalidInput, match=words):
        least_squares(A, options.pop("b", b), **options)


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05])
def test_tomography_stops_near_the_best_step_and_finds_the_best_weight(noise):
    A, x = inverse.ParallelBeam((128, 128), angles=60), shepp_logan(128)
    b = A @ x
    e = np.random.default_rng(0).standard_normal(b.shape)
    e *= noise * np.linalg.norm(b) / np.linalg.norm(e)
    b, norm = b + e, np.linalg.norm(e)
    errors = []
    least_squares(A, b, maxiter=45, callback=lambda each: errors.append(error(each, x)))
    stopped = least_squares(A, b, noise_norm=norm)
    assert stopped.iterations <= 20 and error(stopped.x, x) <= 1.1 * min(errors)
    tiny = least_squares(A, b * 1e-12, noise_norm=norm * 1e-12)
    assert error(tiny.x * 1e12, x) == pytest.approx(error(stopped.x, x), rel=1e-3)
    assert error(least_squares(A, b, stop="gcv").x, x) <= 1.03 * min(errors)
    found = least_squares(A, b, regularization="gcv")
    weights = found.regularization * np.array([0.1, 0.3, 1, 3])
    fixed = least_squares(A, np.stack([b] * 4), method="hybrid", regularization=weights, rtol=0, maxiter=30).x
    assert found.iterations <= 40 and error(found.x, x) <= 1.1 * min(error(each, x) for each in fixed)
