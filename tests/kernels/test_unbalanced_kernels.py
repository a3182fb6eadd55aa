"""Sweeps with marginals that give, and with slack beside the costs, against log-sum-exps in plain NumPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

REAL = ("float64", "float32")
SHAPES = ((1, 7), (7, 1), (5, 3), (70, 90), (66, 513), (1100, 1030))
NONE = -np.inf
# Which marginals give, and what the row and the column beside the costs weigh.
KINDS = {
    "hard": (0, 0, NONE, NONE),
    "rows give": (1, 0, NONE, NONE),
    "both give": (1, 1, NONE, NONE),
    "slack": (0, 0, 0.3, 0.4),
    "columns give, a column beside": (0, 1, NONE, 0.4),
    "both give, a row beside": (1, 1, 0.3, NONE),
}


class Case:
    """A problem, its start from zero, and what the sweeps should give."""

    def __init__(self, cpu, rng, shape, kind="both give", dtype="float64", inv_eps=30.0):
        n, m = shape
        rows, columns, *weights = KINDS[kind]
        self.cpu, self.inv_eps, self.C = cpu, inv_eps, rng.random(shape).astype(dtype)
        self.cost = cpu.CostMatrix(self.C)
        self.log_a, self.log_b = np.log((rng.random(n) + 0.1) / n), np.log((rng.random(m) + 0.1) / m)
        self.k, self.l = rows * rng.random(n), columns * rng.random(m)
        self.k[::3] = 0  # a mixture
        self.log_slack = np.array([w if w == NONE else np.log(w) for w in weights])
        self.slack = np.where(self.log_slack > NONE, 0.0, NONE)
        self.u, self.v = np.zeros(n, dtype), np.zeros(m, dtype)

    def sweep(self, steps, threshold=-1.0):
        errors = np.full(steps, np.nan)
        vectors = self.log_a, self.log_b, self.k, self.l, self.log_slack, self.u, self.v, self.slack
        return errors[: self.cpu.unbalanced_chunk(self.cost, self.inv_eps, *vectors, errors, threshold, steps)]

    def expected(self, steps):
        """u, v, slack and errors by log-sum-exps."""
        G, (row, column), (u0, v0) = -self.C.astype(float) * self.inv_eps, self.log_slack, self.slack
        v, errors = self.v.astype(float), []
        for _ in range(steps):
            u0 = row - logsumexp(v) if row > NONE else u0
            u = (self.log_a - np.logaddexp(logsumexp(G + v, axis=1), v0)) / (1 + self.k)
            sums = np.logaddexp(logsumexp(G + u[:, None], axis=0), u0)
            gaps = np.abs(np.exp(sums + v) - np.exp(self.log_b - self.l * v)).sum()
            gaps += abs(np.exp(u + v0).sum() - np.exp(column))
            errors.append(gaps / np.exp(G + u[:, None] + v).sum())
            v = (self.log_b - sums) / (1 + self.l)
            v0 = column - logsumexp(u) if column > NONE else v0
        return u, v, np.array([u0, v0]), np.array(errors)

    def state(self):
        return [x.tobytes() for x in (self.u, self.v, self.slack)]


@pytest.fixture
def case(cpu, rng):
    return lambda *args, **options: Case(cpu, rng, *args, **options)


def assert_as_expected(c, steps):
    u, v, slack, errors = c.expected(steps)
    # Exponents as large as ``size`` are rounded.
    size = 1 + np.abs(u).max() + np.abs(v).max()
    tol = 10 * size * np.finfo(c.u.dtype).eps
    assert np.allclose(c.sweep(steps), errors, rtol=tol, atol=tol)
    assert np.abs(c.u - u).max() <= tol and np.abs(c.v - v).max() <= tol
    assert np.array_equal(np.isinf(c.slack), np.isinf(slack))
    assert np.allclose(c.slack[np.isfinite(slack)], slack[np.isfinite(slack)], rtol=0, atol=tol)


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_is_that_of_log_sum_exps(case, shape, kind, real):
    assert_as_expected(case(shape, kind, real), 4)


@pytest.mark.parametrize("real, inv_eps", [("float64", 3000.0), ("float32", 300.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_exponents_out_of_range_are_formed_again(case, kind, real, inv_eps):
    """From zero all exponentials vanish, in rows and in columns."""
    assert_as_expected(case((80, 600), kind, real, inv_eps), 6)


@pytest.mark.parametrize("start", [1e4, -1e4])
def test_a_start_far_off_overflows_nowhere(case, start):
    c = case((40, 50), "hard")
    c.u += start
    c.v += start
    assert_as_expected(c, 3)


def test_pairs_that_are_all_forbidden_leave_rows_and_columns_to_the_slack(case):
    c = case((70, 90), "slack")
    c.C[3], c.C[:, 5] = np.inf, np.inf
    with np.errstate(divide="ignore"):
        u, v, slack, errors = c.expected(4)
    assert np.allclose(c.sweep(4), errors, rtol=1e-12)
    assert np.allclose(c.u, u, atol=1e-12) and np.allclose(c.v, v, atol=1e-12) and np.allclose(c.slack, slack)


def test_at_the_threshold_the_rows_are_exact_and_the_error_is_that_of_the_plan(case):
    c, other = case((70, 90)), case((70, 90))
    for name in ("C", "log_a", "log_b", "k", "l"):
        getattr(other, name)[:] = getattr(c, name)
    threshold = other.sweep(50)[3] * (1 + 1e-6)
    errors = c.sweep(50, threshold)
    P = np.exp(c.u[:, None] + c.v - c.C * c.inv_eps)
    rows, columns = np.exp(c.log_a - c.k * c.u), np.exp(c.log_b - c.l * c.v)
    assert len(errors) == 4 and np.allclose(P.sum(axis=1), rows, rtol=1e-12)
    assert errors[-1] == pytest.approx(np.abs(P.sum(axis=0) - columns).sum() / P.sum(), rel=1e-9)


@pytest.mark.parametrize("kind", ["both give", "slack"])
def test_a_chunk_of_ten_sweeps_is_ten_chunks_of_one_to_the_bit(case, kind):
    c = case((70, 600), kind)
    errors, state = c.sweep(10), c.state()
    c.u[:], c.v[:], c.slack[:] = 0, 0, np.where(c.log_slack > NONE, 0.0, NONE)
    singles = np.concatenate([c.sweep(1) for _ in range(10)])
    assert errors.tobytes() == singles.tobytes() and state == c.state()


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("kind", ["both give", "slack"])
def test_threads_do_not_change_a_bit(case, cpu, rng, threads, kind, points):
    c = case((1100, 1030), kind, inv_eps=2000.0)
    if points:
        c.cost = cpu.PointCosts(rng.random((1100, 3)), rng.random((1030, 3)), 2.0)
    answers = []
    for team in (1, 2, 3):
        threads(team)
        c.u[:], c.v[:], c.slack[:] = 0, 0, np.where(c.log_slack > NONE, 0.0, NONE)
        answers.append([c.sweep(3).tobytes(), *c.state()])
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("real", REAL)
def test_costs_of_points_are_as_those_of_their_matrix(case, cpu, rng, real):
    c = case((70, 600), "slack", real, 3.0)
    X, Y = rng.random((70, 3)).astype(real), rng.random((600, 3)).astype(real)
    c.C[:] = cdist(X.astype(float), Y.astype(float)) ** 2
    u, v, _, errors = c.expected(3)
    c.cost = cpu.PointCosts(X, Y, 2.0)
    tol = {"float64": 1e-11, "float32": 1e-4}[real]
    assert np.allclose(c.sweep(3), errors, atol=tol) and np.allclose(c.u, u, atol=tol) and np.allclose(c.v, v, atol=tol)


def test_what_cannot_be_solved_ends_with_an_error_that_is_no_number(case):
    c = case((70, 90))
    c.C[30, 40] = np.nan
    errors = c.sweep(1000)
    assert len(errors) < 1000 and not np.isfinite(errors[-1])


def test_no_steps_take_none_and_change_nothing(case):
    c = case((5, 6), "slack")
    before = c.state()
    assert c.sweep(0).size == 0 and c.state() == before
