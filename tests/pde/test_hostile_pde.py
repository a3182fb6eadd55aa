"""What a stranger tries: extreme numbers, functions that misbehave, results that are pickled, keywords misspelt."""

import copy
import json
import pickle

import numpy as np
import pytest

from solvers import pde
from solvers._errors import ConvergenceError, InvalidInput, UnsupportedType
from solvers._result import Status

LINE, SECOND = [(0, 1)], {(2,): 1.0}
x = pde.nodes(LINE, 60, grid="uniform")[0]
NOISY = np.sin(np.pi * x) + 1e-3 * np.random.default_rng(0).standard_normal(60)


def wave(x):
    return np.sin(10 * x)


def source(x):
    return -100 * np.sin(10 * x)


def solve(op=SECOND, f=source, box=LINE, bc=wave, **options):
    return pde.solve_gp(op, f, box, bc, **options)


def estimate(operators=None, u=NOISY, f=lambda x: -(np.pi**2) * np.sin(np.pi * x), **options):
    return pde.infer_coefficients([SECOND] if operators is None else operators, u, f, LINE, 0, **options)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"op": {(2,): 1e300}}, InvalidInput, "take other units"),
        ({"op": {(2,): 1e-300}}, InvalidInput, "take other units"),
        ({"f": 1e300}, InvalidInput, "`f` must be finite, at most"),
        ({"f": lambda x: np.exp(600 * x)}, InvalidInput, "`f` must be at most"),
        ({"f": lambda x: 1 / (x > 0.5)}, InvalidInput, "`f` must be finite, got inf at"),
        ({"f": np.ones(30) * 1j}, UnsupportedType, "`f` must hold real numbers"),
        ({"bc": -1e200}, InvalidInput, "`bc` must be at most"),
        ({"box": [(0, 1e300)]}, InvalidInput, "take another unit of length"),
        ({"box": [(0, 1e-300)]}, InvalidInput, "take another unit of length"),
        ({"box": [(1e16, 1e16 + 2)]}, InvalidInput, "move the origin"),
        ({"box": [("0", "1")]}, UnsupportedType, r"`box\[0\]` must be a real number"),
        ({"box": [{0, 1}]}, UnsupportedType, "`box` must be a sequence of pairs"),
        ({"box": ["01"]}, UnsupportedType, "`box` must be a sequence of pairs"),
        ({"noise": 1e-300, "n": 40}, InvalidInput, "`noise` must be from"),
        ({"noise": 1e300, "n": 40}, InvalidInput, "`noise` must be from"),
        ({"noise": 1e-3, "n": 4}, InvalidInput, "`n` must be >= 8 with `noise`"),
        ({"kernel": pde.Matern(1e9)}, InvalidInput, "`kernel` must have Matern lengths"),
        ({"nonlinear": (lambda u: 1j * u, lambda u: u)}, UnsupportedType, r"`nonlinear\[0\]` must give real numbers"),
        ({"nonlinear": (lambda u: u, lambda u: u[:3])}, UnsupportedType, r"`nonlinear\[1\]` must give real numbers"),
        ({"nonlinear": (lambda u: None, lambda u: u)}, UnsupportedType, r"`nonlinear\[0\]` must give real numbers"),
    ],
)
def test_what_cannot_be_is_one_sentence(change, error, words):
    with pytest.raises(error, match=words) as caught:
        solve(**change)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_mixed_derivatives_alone_are_refused():
    with pytest.raises(UnsupportedType, match="`op` must have a derivative along one axis alone"):
        pde.solve_gp({(1, 1): 1.0}, 1.0, [(0, 1)] * 2, 0)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: pde.SpectralMixture([1e300], 1.0), InvalidInput),
        (lambda: pde.SpectralMixture([1.0], 1e60), InvalidInput),
        (lambda: pde.SpectralMixture([1j], 1.0), UnsupportedType),
        (lambda: pde.helmholtz(2, np.inf), InvalidInput),
        (lambda: pde.div_grad(lambda x: x, gradient=3), UnsupportedType),
        (lambda: pde.div_grad(lambda x: x, gradient=["a"]), UnsupportedType),
        (lambda: solve().predict([1j]), UnsupportedType),
        (lambda: solve().predict([0.5], derivative=40), InvalidInput),
        (lambda: solve().predict([0.5], return_std="yes"), UnsupportedType),
        (lambda: pde.infer_source(SECOND, NOISY * 1j, LINE, 0), UnsupportedType),
        (lambda: estimate(theta0=[1j]), UnsupportedType),
    ],
)
def test_helpers_and_results_refuse_too(call, error):
    with pytest.raises(error, match="`"):
        call()


@pytest.mark.parametrize("misspelt", ["tolerance", "max_iter", "rtol"])
def test_python_names_a_misspelt_keyword(misspelt):
    for call in (lambda **k: solve(**k), lambda **k: pde.infer_source(SECOND, NOISY, LINE, 0, **k), estimate):
        with pytest.raises(TypeError, match=misspelt):
            call(**{misspelt: 1})


@pytest.mark.parametrize(
    "nonlinear",
    [
        (lambda u: np.nan * u, lambda u: u),
        (lambda u: u**3, lambda u: np.nan * u),
        (lambda u: np.sqrt(u - 5), lambda u: 0.5 / np.sqrt(u - 5)),
        (lambda u: np.exp(1000 * (u + 2)), lambda u: np.exp(1000 * (u + 2))),
    ],
)
def test_a_nonlinear_term_without_numbers_diverges(nonlinear):
    for d in (1, 2):
        solution = pde.solve_gp(pde.laplacian(d), 1.0, [(0, 1)] * d, 0.3, nonlinear=nonlinear, n=12)
        assert solution.status is Status.DIVERGED and np.all(np.isfinite(solution.u))
        assert solution.error_estimate == np.inf


def test_functions_that_write_to_their_arguments_change_nothing():
    def writes(x):
        x *= 10
        return -100 * np.sin(x)

    def keeps(x):
        kept.append(x)
        return np.sin(10 * x)

    kept = []
    solution = solve(f=writes, bc=keeps, nonlinear=(lambda u, x: np.multiply(u, 0, out=u), lambda u, x: 0 * x))
    for array in kept:
        array[...] = np.nan
    assert solution.converged and np.max(np.abs(solution.predict(([0.1, 0.7],)) - wave(np.array([0.1, 0.7])))) < 1e-8


def test_arrays_of_the_caller_are_neither_written_nor_kept():
    f, u = source(pde.nodes(LINE, 48)[0]), NOISY.copy()
    f.flags.writeable = u.flags.writeable = False
    for result in (solve(f=f), pde.infer_source(SECOND, u, LINE, 0), estimate(u=u)):
        for name in ("u", "f", "theta"):
            own = getattr(result, name, None)
            assert own is None or (
                own.flags.writeable and not np.shares_memory(own, f) and not np.shares_memory(own, u)
            )


def test_a_tolerance_that_cannot_be_met_stagnates_near_rounding():
    for tol in (0.0, 1e-30):
        solution = solve(tol=tol)
        assert solution.status is Status.STAGNATED and solution.error_estimate < 1e-10
        assert solve(tol=solution.error_estimate * 1.01).converged
    assert solve(tol=np.inf).converged


RESULTS = {
    "converged": solve,
    "on a square": lambda: pde.solve_gp(pde.laplacian(2), 1.0, [(0, 1)] * 2, lambda x, y: 0 * x * y, n=12),
    "in a cube": lambda: pde.solve_gp(pde.laplacian(3), 1.0, [(0, 1)] * 3, 0, n=10),
    "nonlinear": lambda: solve(nonlinear=(lambda u: u**3, lambda u: 3 * u * u)),
    "coefficient": lambda: solve(op={(2,): lambda x: 1 + x}),
    "noise": lambda: solve(noise=0.01, n=50),
    "adam": lambda: solve(method="adam", maxiter=3, n=20),
    "unknown": lambda: solve(bc={(0, 0): 0, (0, 1): None}),
    "source": lambda: pde.infer_source(SECOND, NOISY, LINE, lambda x: 0 * x),
    "estimate": estimate,
    "undetermined": lambda: estimate([SECOND, SECOND]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_travel(name):
    result = RESULTS[name]()
    for other in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert repr(other) == repr(result) and other.message == result.message
        np.testing.assert_array_equal(other.u, result.u)
        if hasattr(result, "predict"):
            np.testing.assert_array_equal(other.predict(result.axes), result.predict(result.axes))
        if name in ("converged", "noise", "on a square", "source"):
            np.testing.assert_array_equal(other.std, result.std)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["status"] == str(result.status)
    assert "\n" not in repr(result) and result.message.endswith(".")
    if result.converged:
        assert result.check() is result
    else:
        with pytest.raises(ConvergenceError):
            result.check()


def test_the_names_of_linear_algebra_stay_out_of_what_is_said():
    for name in RESULTS:
        message = RESULTS[name]().message
        assert not any(word in message for word in ("`A`", "`M`", "`x0`", "residual", "recurrence"))


@pytest.mark.parametrize("method", ["auto", "adam"])
def test_callbacks_may_stop_fail_and_write(method):
    def stops(u):
        raise StopIteration

    def fails(u):
        raise KeyError("mine")

    def writes(u):
        u[:] = np.nan

    options = {"method": method, "n": 12, "maxiter": 5}
    assert solve(callback=stops, **options).status is Status.STOPPED
    with pytest.raises(KeyError, match="mine"):
        solve(callback=fails, **options)
    np.testing.assert_array_equal(solve(callback=writes, **options).u, solve(**options).u)


def test_one_step_is_no_success_and_more_are():
    nonlinear = (lambda u: u**3 - u, lambda u: 3 * u**2 - 1)
    few, many = (solve(nonlinear=nonlinear, maxiter=steps) for steps in (1, 100))
    assert few.status is Status.MAXITER and few.iterations >= 1 and many.converged


@pytest.mark.parametrize("size", [1e-300, 1e-90, 9e99])
def test_sources_of_any_size(size):
    found = pde.infer_source(SECOND, size * NOISY, LINE, 0)
    assert np.all(np.isfinite(found.f)) and np.all(np.isfinite(found.std)) and np.isfinite(found.noise)
    if size > 1e-100:
        ordinary = pde.infer_source(SECOND, NOISY, LINE, 0)
        np.testing.assert_allclose(found.f / size, ordinary.f, rtol=1e-6, atol=1e-6)
        assert np.isclose(found.noise / size, ordinary.noise, rtol=1e-6)


@pytest.mark.parametrize("noise", ["auto", 1e-3])
def test_no_data_is_no_noise_and_no_nan(noise):
    solution = solve(f=np.zeros(30), bc=0, noise=noise)
    assert np.all(solution.u == 0) and np.all(np.isfinite(solution.std))
    found = pde.infer_source(SECOND, np.zeros(30), LINE, 0, noise=noise)
    assert np.all(found.f == 0) and np.all(np.isfinite(found.std))


@pytest.mark.parametrize(
    ("f", "u", "options"),
    [
        (0.0, NOISY, {}),
        (lambda x: -(np.pi**2) * np.sin(np.pi * x), np.zeros(60), {}),
        (lambda x: -(np.pi**2) * np.sin(np.pi * x), NOISY, {"theta0": [0.0]}),
        (lambda x: -(np.pi**2) * np.sin(np.pi * x), NOISY, {"theta0": [1e-99]}),
        (lambda x: -(np.pi**2) * np.sin(np.pi * x), NOISY, {"theta0": [-1.0]}),
    ],
)
def test_coefficients_that_nothing_determines(f, u, options):
    found = estimate(u=u, f=f, **options)
    assert not np.isnan(found.noise) and not np.any(np.isnan(found.residuals))
    assert np.all(np.isfinite(found.u)) and np.all(np.isfinite(found.theta))
    assert (found.status is Status.BREAKDOWN) == bool(np.all(np.isinf(found.std)))
