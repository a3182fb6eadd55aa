"""solve_gp(method="adam") against its formula in dense NumPy, differences, and the published start of a trajectory."""

import math

import numpy as np
import pytest
from oscillating import CUBIC, PROBLEMS, TWO_PI, relative_error, solve

from solvers import pde
from solvers._result import Status
from solvers.pde._adam import Adam, Objective
from solvers.pde._gram import JITTER, Line, Mixture, diagonal_sums, lag_sums, toeplitz
from solvers.pde._newton import Nonlinear

ENVELOPES = ("gaussian", "matern")
SHAPES = ((13,), (8, 10))
C, FIRST, SECOND, STRENGTH = 0.4, (0.7, -0.3), (1.1, 0.9), 200.0
EASY = {"op": {(2,): 1.0}, "f": lambda x: -np.sin(x), "box": [(0, 3)], "bc": np.sin}


def an_objective(envelope, shape, nonlinear, rng):
    """On a box of sides 1.3, 2.3 with data at three sides or, on a line, both; and a theta."""
    lines = [Line(0.0, 1.3 + i, n, envelope, FIRST[i], SECOND[i]) for i, n in enumerate(shape)]
    ends = [(0, 0), (0, -1), (1, 0)][: 2 * len(shape)]
    ends = [end for end in ends if end[0] < len(shape)]
    sides = [(axis, end, rng.standard_normal(shape[:axis] + shape[axis + 1 :])) for axis, end in ends]
    N = Nonlinear(*CUBIC, with_coordinates=False) if nonlinear else None
    F = rng.standard_normal(shape)
    objective = Objective(lines, C, F, N, sides, STRENGTH)
    mixtures = [Mixture(envelope, rng.normal([[-1], [2], [0]], [[1], [0.3], [2]], (3, 4))) for _ in shape]
    theta = objective.start(mixtures)
    theta[: F.size + 2] = 0.3 * rng.standard_normal(F.size + 2)
    return objective, theta, F, sides


def kernel(envelope, parameters, d):
    """k(d) as it is published; d may be complex, its real part the distance."""
    total = 0.0
    for log_w, log_s, mu in parameters.T:
        if envelope == "gaussian":
            m = np.exp(-np.exp(log_s) * d**2)
        else:
            t = math.sqrt(5) * np.exp(log_s) * d * np.where(np.real(d) < 0, -1, 1)
            m = (1 + t + t**2 / 3) * np.exp(-t)
        total = total + np.exp(log_w) * m * np.cos(2 * np.pi * mu * d)
    return total


def in_dense_numpy(envelope, theta, F, sides, nonlinear, lines):
    """The published formula, with n^2 pairs and differences for the kernel's derivatives."""
    d, N = F.ndim, F.size
    U, (log_tau, log_v), kernels = theta[:N].reshape(F.shape), theta[N : N + 2], theta[N + 2 :].reshape(d, 3, -1)
    LU, determinants, h = C * U, 0.0, 1e-3
    inverses = []
    for axis, (line, p) in enumerate(zip(lines, kernels, strict=True)):
        D = np.subtract.outer(line.x, line.x)
        k = [kernel(envelope, p, D + j * h) for j in range(-3, 4)]
        first = (45 * (k[4] - k[2]) - 9 * (k[5] - k[1]) + (k[6] - k[0])) / (60 * h)
        second = (270 * (k[4] + k[2]) - 27 * (k[5] + k[1]) + 2 * (k[6] + k[0]) - 490 * k[3]) / (180 * h * h)
        K = k[3] + JITTER * np.eye(line.n)
        inverses.append(np.linalg.inv(K))
        determinants += N / line.n * np.linalg.slogdet(K)[1]
        G = (FIRST[axis] * first + SECOND[axis] * second) @ inverses[-1]
        LU = LU + np.moveaxis(np.tensordot(G, U, (1, axis)), 0, axis)
    if nonlinear:
        LU = LU + CUBIC[0](U)
    quadratic = U @ inverses[0] @ U if d == 1 else np.sum((inverses[0] @ U) * (U @ inverses[1]))
    gap = sum(np.sum((np.moveaxis(U, axis, 0)[end] - g) ** 2) for axis, end, g in sides)
    count = sum(g.size for *_, g in sides)
    log_density = -0.5 * determinants - 0.5 * quadratic
    log_density += STRENGTH * (0.5 * count * log_tau - 0.5 * np.exp(log_tau) * gap)
    return -(log_density + 0.5 * N * log_v - 0.5 * np.exp(log_v) * np.sum((LU - F) ** 2))


@pytest.mark.parametrize("nonlinear", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_the_objective_is_the_published_formula(envelope, shape, nonlinear):
    objective, theta, F, sides = an_objective(envelope, shape, nonlinear, np.random.default_rng(1))
    # The third derivative of the Matern kernel jumps at distance zero, where differences see it.
    rtol = 1e-5 if envelope == "gaussian" else 1e-2
    dense = in_dense_numpy(envelope, theta, F, sides, nonlinear, objective.lines)
    assert np.isclose(objective(theta)[0], dense, rtol=rtol)


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_the_kernel_are_those_of_its_values(envelope, order):
    mixture = Mixture(envelope, np.random.default_rng(2).normal(0, 1, (3, 5)))
    d, h = np.linspace(-2, 2, 41), 1e-4
    below, above = (mixture.curve(d + s * h, order - 1) for s in (-1, 1))
    assert np.allclose(mixture.curve(d, order), (above - below) / (2 * h), rtol=0, atol=2e-5 * 100**order)
    assert np.allclose(mixture.curve(d, 0), kernel(envelope, mixture.parameters, d), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("nonlinear", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_gradients_are_those_of_differences(envelope, shape, nonlinear):
    rng = np.random.default_rng(3)
    objective, theta, F, _ = an_objective(envelope, shape, nonlinear, rng)
    gradient, h = objective(theta)[1], 1e-5
    size = F.size + 2
    q = (theta.size - size) // len(shape) // 3
    blocks = [slice(0, F.size), slice(F.size, F.size + 1), slice(F.size + 1, size)]
    blocks += [slice(size + k * q, size + (k + 1) * q) for k in range(3 * len(shape))]
    for block in blocks:
        way = np.zeros(theta.size)
        way[block] = rng.standard_normal(theta[block].size)
        f = [objective(theta + k * h * way)[0] for k in range(-3, 4)]
        difference = (45 * (f[4] - f[2]) - 9 * (f[5] - f[1]) + (f[6] - f[0])) / (60 * h)
        assert abs(difference - gradient @ way) <= 1e-6 * max(abs(difference), 1.0), block


def test_sums_along_diagonals():
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((2, 6, 9))
    A = rng.standard_normal((6, 6))
    A += A.T
    assert np.allclose(diagonal_sums(A), [np.trace(A)] + [2 * np.trace(A, k) for k in range(1, 6)])
    for axis in (0, 1):
        M = X @ Y.T if axis == 0 else X.T @ Y
        even, odd = lag_sums(X, Y, axis)
        below, above = ([np.trace(M, s * k) for k in range(1, len(M))] for s in (-1, 1))
        assert np.allclose(even, [np.trace(M), *np.add(below, above)])
        assert np.allclose(odd, [0, *np.subtract(below, above)])
    assert np.array_equal(toeplitz(np.arange(5)), [[2, 1, 0], [3, 2, 1], [4, 3, 2]])


def test_adam_takes_the_steps_of_its_authors():
    """Algorithm 1 of Kingma and Ba (arXiv:1412.6980) on a parabola."""
    adam, theta, x, m, v = Adam(2), np.array([1.0, -2.0]), np.array([1.0, -2.0]), 0, 0
    for t in range(1, 30):
        g = np.array([2.0, 6.0]) * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        theta = adam.step(theta, np.array([2.0, 6.0]) * theta)
    assert np.allclose(theta, x, rtol=1e-12)


def test_a_hundred_steps_come_where_the_published_code_came():
    """sin 100x, Matern components, 400 nodes: the authors' log has 0.276 after 100 steps."""
    call, u = PROBLEMS["sin 100x"]
    solution = solve(call, method="adam", maxiter=100)
    assert solution.u.shape == (400,) and solution.iterations == 100
    assert abs(relative_error(solution, u, call["box"]) - 0.276) <= 0.1 * 0.276


@pytest.mark.slow
@pytest.mark.parametrize(("name", "expected"), [("sin 100x", 1.4e-2), ("Allen-Cahn sin 100x", 8.5e-3)])
def test_four_thousand_steps_come_to_some_hundredths(name, expected):
    call, u = PROBLEMS[name]
    error = relative_error(solve(call, method="adam", maxiter=4000), u, call["box"])
    assert 0.5 * expected <= error <= 2 * expected


def wave(x):
    return np.sin(20 * x)


def waves(x, y):
    return np.sin(20 * x) * np.sin(20 * y)


def oblique(x, y):
    return np.sin(20 * (x - y))


LINE = {"op": {(2,): 1.0}, "f": lambda x: -400 * wave(x), "box": [(0, TWO_PI)], "bc": wave, "n": 80}
PLANE = {"op": pde.laplacian(2), "f": lambda x, y: -800 * waves(x, y), "box": [(0, 2)] * 2, "bc": waves, "n": 28}


def frequencies_to(cycles, count, envelope="matern"):
    return pde.SpectralMixture(TWO_PI * np.linspace(0, cycles, count), 1.0, 1 / count, envelope=envelope)


@pytest.mark.parametrize(
    ("call", "u", "envelope", "reached"),
    [(LINE, wave, "gaussian", 0.3), (LINE, wave, "matern", 0.2), (PLANE, waves, "matern", 0.3)],
)
def test_the_estimate_is_the_error_all_the_way(call, u, envelope, reached):
    for maxiter in (1, 40, 400):
        solution = solve(call, method="adam", kernel=frequencies_to(4, 9, envelope), maxiter=maxiter)
        error = relative_error(solution, u, call["box"])
        assert 0.85 * error <= solution.error_estimate <= 1.15 * error
        assert solution.status is Status.MAXITER and len(solution.residuals) == min(maxiter, 20) + 1
    assert error < reached
    # Not in the first steps alone.
    assert np.all(np.diff(solution.residuals[:10]) < 0)


def test_inflow_alone_does_not_do_and_the_estimate_says_so():
    """The authors' own run on inflow data alone ended at 0.995, and their tables have all four sides."""
    sides = {(0, 0): oblique, (0, 1): None, (1, 0): oblique, (1, 1): None}
    call = PLANE | {"op": pde.advection([2.0, 1.0]), "f": lambda x, y: 20 * np.cos(20 * (x - y)), "bc": sides}
    solution = solve(call, method="adam", kernel=frequencies_to(4, 9), maxiter=200)
    assert relative_error(solution, oblique, call["box"]) > 0.9
    assert solution.error_estimate > 0.9 and not solution.converged


def test_it_says_converged_where_the_estimate_meets_the_tolerance():
    solution = solve(LINE, method="adam", kernel=frequencies_to(4, 9), tol=0.2, maxiter=400)
    assert solution.converged and solution.iterations < 400
    assert solution.error_estimate <= 0.2
    assert relative_error(solution, wave, LINE["box"]) <= 0.24
    assert solution.estimate.objective.shape == (solution.iterations,)


def test_the_residual_is_what_the_equation_leaves_between_the_nodes():
    solution = solve(EASY, method="adam", n=24, kernel=pde.SquaredExponential(1.0), maxiter=400)
    x = solution.axes[0][:-1] + 0.382 * np.diff(solution.axes[0])
    second = solution.predict(x, derivative=(2,))
    expected = np.linalg.norm(second + np.sin(x)) / max(np.linalg.norm(np.sin(x)), np.linalg.norm(second))
    assert np.isclose(solution.residual, expected, rtol=1e-10)


def test_predictions_are_the_posterior_mean_of_the_learned_kernel():
    nodal = []
    solution = solve(PLANE | {"n": (24, 28)}, method="adam", maxiter=30, kernel=frequencies_to(4, 9),
                     callback=nodal.append)  # fmt: skip
    learned = [Mixture.of(k).parameters for k in solution.estimate.kernels]
    points = np.array([[0.21, 0.77], [0.5, 1.03]])
    gains = []
    for p, x, z in zip(learned, solution.axes, points.T):
        K = kernel("matern", p, np.subtract.outer(x, x)) + JITTER * np.eye(x.size)
        gains.append(np.linalg.solve(K, kernel("matern", p, np.subtract.outer(x, z))))
    expected = np.einsum("im,ij,jm->m", gains[0], nodal[-1], gains[1])
    assert np.allclose(solution.predict(points), expected, rtol=0, atol=1e-6)
    for p, found in zip(learned, solution.frequencies, strict=True):
        assert np.allclose(found, np.sort(TWO_PI * np.abs(p[2])))
    h = 1e-5
    x, step = points[:1], np.array([[h, 0.0]])
    difference = (solution.predict(x + step) - solution.predict(x - step)) / (2 * h)
    assert np.allclose(solution.predict(x, derivative=(1, 0)), difference, rtol=1e-4)


def test_what_was_learned_can_be_handed_on():
    first = solve(EASY, method="adam", n=20, kernel=pde.Matern(2.0), maxiter=50)
    learned = first.estimate.kernels[0]
    assert learned.envelope == "matern" and learned.scales[0] != 2.0
    for envelope in ENVELOPES:
        p = np.abs(np.random.default_rng(5).standard_normal((3, 4)))
        assert np.allclose(Mixture.of(Mixture(envelope, p).as_kernel()).parameters, p, rtol=1e-12, atol=1e-12)
    assert solve(EASY, n=40, kernel=learned).error_estimate < 1e-3


def test_callbacks():
    seen, chunks = [], []

    class Watch:
        def on_chunk(self, iteration, norm):
            chunks.append((iteration, norm))

    def stop(u):
        seen.append(u)
        u[:] = np.nan
        if len(seen) == 3:
            raise StopIteration

    call = EASY | {"method": "adam", "n": 20, "kernel": pde.SquaredExponential(1.0), "maxiter": 40}
    stopped = solve(call, callback=stop)
    assert stopped.status is Status.STOPPED and stopped.iterations == 4
    assert seen[0].shape == (20,) and np.all(np.isfinite(stopped.u))
    whole = solve(call, callback=Watch())
    assert [k for k, _ in chunks] == list(range(0, 41, 2))
    assert np.array_equal([e for _, e in chunks], whole.residuals)


def test_a_step_without_numbers_ends_the_run():
    """N has no value for u near 0.05, on the way from 0 to 1 in steps of 0.01."""
    wall = (lambda u: np.where(abs(u - 0.05) < 0.03, np.nan, 0.0 * u), lambda u: 0.0 * u)
    call = EASY | {"f": 0, "bc": 1.0, "n": 20, "kernel": pde.Matern(0.1), "nonlinear": wall}
    solution = solve(call, method="adam", maxiter=100)
    assert solution.status is Status.STAGNATED
    assert 0 < solution.iterations < 50
    # The last u with numbers, not the one without.
    assert 0.01 < solution.u.max() < 0.02
    assert np.isfinite(solution.residual)


@pytest.mark.parametrize(("axis", "side"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_first_step_goes_towards_the_data_of_the_side_that_has_them(axis, side):
    sides = {(i, j): -1.0 if (i, j) == (axis, side) else None for i in range(2) for j in range(2)}
    nodal = []
    call = {"op": pde.laplacian(2), "f": 0, "box": [(0, 1)] * 2, "bc": sides, "n": (5, 6), "kernel": pde.Matern(0.5)}
    solve(call, method="adam", maxiter=1, callback=nodal.append)
    expected = np.zeros((5, 6))
    expected[(slice(None),) * axis + (-side,)] = -0.01
    assert np.allclose(nodal[-1], expected, rtol=0, atol=1e-9)


def test_zero_in_zero_out():
    solution = pde.solve_gp({(2,): 1.0}, 0, [(0, 1)], 0, n=10, method="adam")
    assert solution.status is Status.CONVERGED and solution.iterations == 0
    assert not solution.u.any()


CUBE = {"op": pde.laplacian(3), "f": 1, "box": [(0, 1)] * 3, "bc": 0}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (CUBE, "`box` must have 1 or 2 dimensions"),
        ({"op": {(2,): lambda x: 1 + x}}, "`op` must have constant coefficients"),
        ({"op": {(4,): 1.0}}, "`op` must have first and second derivatives"),
        (PLANE | {"op": {(1, 1): 1.0}}, "`op` must have first and second derivatives"),
        ({"bc": {(0, 0): 0, (0, 1): ("neumann", 1)}}, r"`bc\[0, 1\]` must be values"),
        ({"f": np.ones(20), "n": 20}, "`f` must be a function or a number"),
        ({"n": 5000}, "`n` must be at most 4096"),
        (PLANE | {"kernel": [pde.Matern(1.0), pde.SquaredExponential(1.0)]}, "`kernel` must have as many frequencies"),
        ({"method": "lbfgs"}, "`method` must be one of 'auto', 'adam'"),
        ({"maxiter": 0}, "`maxiter` must be >= 1"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        solve(EASY | {"method": "adam"} | changes)
    assert "\n" not in str(error.value)


def test_first_order_equations_weigh_their_data_more():
    """The first objective is that of u = 0 and log tau = 0: lambda |g|^2 / 2 apart from the determinant."""

    def first(op, g):
        return solve(EASY | {"op": op, "f": 0, "bc": g, "n": 10, "kernel": pde.Matern(1.0)}, method="adam", maxiter=1)

    for op, strength in (({(2,): 1.0}, 200), ({(1,): 1.0}, 500), ({(1,): 1.0, (2,): 1.0}, 200)):
        rise = first(op, 3.0).estimate.objective[0] - first(op, 1.0).estimate.objective[0]
        assert np.isclose(rise, strength * (9 - 1), rtol=1e-10)


def test_no_third_derivative():
    solution = solve(EASY, method="adam", n=10, kernel=pde.Matern(1.0), maxiter=1)
    with pytest.raises(ValueError, match="`derivative` must have orders up to 2"):
        solution.predict([1.0], derivative=(3,))


def test_highest_published_frequency_is_the_default_start():
    solution = pde.solve_gp({(2,): 1.0}, 1, [(0, TWO_PI)], 0, n=30, method="adam", maxiter=1)
    assert len(solution.frequencies[0]) == 30
    assert np.isclose(solution.frequencies[0].max(), 40 * np.pi, atol=2 * np.pi * 0.011)
    assert solution.estimate.kernels[0].envelope == "matern"


def test_the_table_of_steps(capsys, monkeypatch):
    from solvers.benchmarks import adam_steps

    monkeypatch.setattr(adam_steps, "_PUBLISHED", (("small", (6, 7), 100.0),))
    adam_steps.main()
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:4] == ["small", "6", "x", "7"] and last[5] == "100" and float(last[4]) > 0
