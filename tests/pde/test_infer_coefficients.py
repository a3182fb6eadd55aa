"""infer_coefficients against coefficients that are known."""

import numpy as np
import pytest

import solvers
from solvers import pde
from solvers._errors import InvalidInput, UnsupportedType
from solvers._result import Status

SQUARE, TERMS = [(0, 1)] * 2, [{(2, 0): 1.0}, {(0, 2): 1.0}, {(0, 0): 1.0}]
THETA = np.array([1.0, 2.0, -60.0])
# Amplitude and numbers of half waves along x and y.
WAVES = [(1.0, 1, 1), (0.8, 3, 1), (0.8, 1, 3), (0.6, 4, 4)]


def u(x, y):
    return sum(a * np.sin(k * np.pi * x) * np.sin(m * np.pi * y) for a, k, m in WAVES)


def f(x, y):
    symbol = [THETA @ [-((k * np.pi) ** 2), -((m * np.pi) ** 2), 1] for _, k, m in WAVES]
    terms = zip(WAVES, symbol, strict=True)
    return sum(s * a * np.sin(k * np.pi * x) * np.sin(m * np.pi * y) for (a, k, m), s in terms)


def observe(u, level, seed, n=100):
    values = u(*np.ix_(*pde.nodes(SQUARE, n, grid="uniform")))
    noise = np.random.default_rng(seed).standard_normal(values.shape)
    return values + level * np.sqrt(np.mean(values**2)) * noise


def test_three_coefficients_from_five_percent_noise():
    found = [pde.infer_coefficients(TERMS, observe(u, 0.05, seed), f, SQUARE, 0) for seed in range(60)]
    errors = np.array([np.abs(r.theta / THETA - 1) for r in found])
    held = np.array([np.abs(r.theta - THETA) <= 1.96 * r.std for r in found])
    assert all(r.converged and r.choice == "modes" for r in found)
    assert np.all(np.median(errors, axis=0) <= [0.002, 0.004, 0.01])
    assert np.all((held.mean(axis=0) >= 0.86) & (held.mean(axis=0) <= 1.0))


def test_the_covariance_is_that_of_repeated_draws():
    found = [pde.infer_coefficients(TERMS, observe(u, 0.05, seed, 40), f, SQUARE, 0) for seed in range(150)]
    drawn = np.cov(np.array([r.theta for r in found]).T)
    scale = np.sqrt(np.outer(np.diag(drawn), np.diag(drawn)))
    assert np.max(np.abs(found[0].covariance - drawn) / scale) <= 0.35


def general(x, y):
    return np.exp(x) * np.sin(3 * y) + np.cos(5 * x * y)


def general_source(x, y, drift=0.0):
    wave, c = np.exp(x) * np.sin(3 * y), np.cos(5 * x * y)
    u_x = wave - 5 * y * np.sin(5 * x * y)
    return 1.5 * (wave - 25 * y * y * c) + 0.7 * (-9 * wave - 25 * x * x * c) - 4 * (wave + c) + drift * u_x


def test_sides_that_are_not_zero():
    found = pde.infer_coefficients(TERMS, observe(general, 0.01, 0, 48), general_source, SQUARE, general)
    assert found.converged
    assert np.all(np.abs(found.theta - [1.5, 0.7, -4]) <= 4 * found.std)
    assert np.max(found.std / np.abs(found.theta)) <= 0.05


def test_an_operator_out_of_the_symmetric_class():
    data = observe(general, 0.01, 0, 32)
    found = pde.infer_coefficients(
        [*TERMS, {(1, 0): lambda x, y: 1 + 0 * x * y}], data, lambda x, y: general_source(x, y, 2.0), SQUARE, general
    )
    assert found.converged and found.choice == "gmres"
    assert np.all(np.abs(found.theta - [1.5, 0.7, -4, 2]) <= 4 * found.std)


def test_both_ways_give_the_same():
    """A mixed derivative with no weight sends the same problem through solutions."""
    data = observe(u, 0.05, 1, 32)
    modes = pde.infer_coefficients(TERMS, data, f, SQUARE, 0)
    solved = pde.infer_coefficients(TERMS, data, f, SQUARE, 0, known={(1, 1): lambda x, y: 0 * x * y})
    assert (modes.choice, solved.choice) == ("modes", "gmres")
    assert np.all(np.abs(modes.theta - solved.theta) <= 0.5 * modes.std)
    assert np.allclose(modes.std, solved.std, rtol=0.1)


def test_a_known_part_and_a_line():
    (x,) = pde.nodes([(0, 1)], 200, grid="uniform")
    data = np.sin(3 * x) + 0.01 * np.random.default_rng(0).standard_normal(200)
    found = pde.infer_coefficients(
        [{(0,): 1.0}], data, lambda x: (-9 + 20) * np.sin(3 * x), [(0, 1)], lambda x: np.sin(3 * x), known={(2,): 1.0}
    )
    assert abs(found.theta[0] - 20) <= 4 * found.std[0] <= 2.0


def test_given_noise_is_taken():
    data = observe(u, 0.05, 0, 40)
    one, two = (pde.infer_coefficients(TERMS, data, f, SQUARE, 0, noise=s).std for s in (0.05, 0.1))
    assert np.allclose(2 * one, two, rtol=1e-3)


def test_a_far_start_ends_at_the_same_place():
    data = observe(u, 0.05, 0, 40)
    near = pde.infer_coefficients(TERMS, data, f, SQUARE, 0)
    far = pde.infer_coefficients(TERMS, data, f, SQUARE, 0, theta0=[3.0, 3.0, -10.0])
    assert np.all(np.abs(near.theta - far.theta) <= 1e-2 * near.std)


def test_coefficients_that_cannot_be_told_apart_are_not_made_up():
    twice = [{(2, 0): 1.0, (0, 2): 1.0}, {(2, 0): 2.0, (0, 2): 2.0}]
    found = pde.infer_coefficients(twice, observe(u, 0.05, 0, 32), f, SQUARE, 0)
    assert found.status is Status.BREAKDOWN and np.all(np.isinf(found.std)) and np.all(np.isfinite(found.theta))
    assert "apart" in found.message


def test_one_step_is_not_enough_and_says_so():
    found = pde.infer_coefficients(TERMS, observe(u, 0.05, 0, 32), f, SQUARE, 0, theta0=[5, 5, -5], maxiter=1)
    assert found.status is Status.MAXITER and "theta0" in found.message


def test_a_callback_is_told_of_every_step_and_may_end_the_fit():
    data, seen, ends = observe(u, 0.05, 0, 32), [], []

    class Watch:
        def on_chunk(self, steps, level):
            seen.append((steps, level))

        def on_end(self, result):
            ends.append(result)

    given = dict(operators=TERMS, u_obs=data, f=f, box=SQUARE, bc=0, theta0=[5, 5, -5])
    whole = pde.infer_coefficients(**given, callback=Watch())
    assert ends == [whole] and whole.converged
    assert seen == list(enumerate(whole.residuals.tolist()))[1:] and len(seen) == whole.iterations > 2
    thetas = []

    def stop(theta):
        thetas.append(theta.copy())
        theta[:] = np.nan  # a copy, which is the user's
        if len(thetas) == 2:
            raise StopIteration

    cut = pde.infer_coefficients(**given, callback=stop)
    assert cut.status is Status.STOPPED and cut.iterations == 2 and "StopIteration" in cut.message
    assert np.array_equal(cut.theta, thetas[-1]) and np.isfinite(cut.std).all() and np.isfinite(cut.u).all()
    assert pde.infer_coefficients(**given, callback=solvers.maxtime(1e-9)).status is Status.STOPPED


@pytest.mark.parametrize(
    ("operators", "options", "kind", "sentence"),
    [
        ([], {}, UnsupportedType, "`operators` must be a list"),
        ({(2, 0): 1.0}, {}, UnsupportedType, "`operators` must be a list"),
        ([{(2,): 1.0}], {}, InvalidInput, "indices of 2 orders"),
        ([{(0, 0): 1.0}], {}, InvalidInput, "`operators` must have a derivative"),
        (TERMS, {"theta0": [1.0]}, InvalidInput, "`theta0` must have shape"),
        (TERMS, {"callback": 3}, UnsupportedType, "`callback` must be a function"),
        (TERMS, {"noise": -1.0}, InvalidInput, "`noise` must be > 0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(operators, options, kind, sentence):
    with pytest.raises(kind, match=sentence):
        pde.infer_coefficients(operators, observe(u, 0.05, 0, 16), f, SQUARE, 0, **options)
