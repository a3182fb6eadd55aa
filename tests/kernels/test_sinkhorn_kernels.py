"""Sweeps of Sinkhorn's iteration and the sums over plans, against log-sum-exps in plain NumPy."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

REAL = ("float64", "float32")
# Below, at and above blocks of 64 rows, of 512 columns and groups of four rows; the last is shared out among threads.
SHAPES = ((1, 1), (1, 7), (7, 1), (5, 3), (70, 90), (64, 512), (66, 513), (1100, 1030))


class Case:
    """A problem, its start from zero, and what the sweeps should give."""

    def __init__(self, cpu, rng, shape, dtype="float64", inv_eps=30.0, scale=1.0):
        n, m = shape
        self.cpu, self.inv_eps, self.C = cpu, inv_eps, (scale * rng.random(shape)).astype(dtype)
        self.a, self.b = (weights(rng, k, dtype) for k in shape)
        self.cost = cpu.CostMatrix(self.C)
        self.u, self.v = np.zeros(n, dtype), np.zeros(m, dtype)
        self.tol = {"float64": 1e-12, "float32": 1e-5}[dtype]

    def sweep(self, steps, omega=1.0, threshold=-1.0, chunk=None):
        """Errors of up to ``steps`` sweeps in the log domain."""
        errors = np.full(steps, np.nan)
        operands = self.cost, self.inv_eps, self.a, self.b, self.u, self.v
        taken = self.cpu.log_chunk(*operands, omega, errors, threshold, steps)
        return errors[:taken]

    def scale(self, steps, threshold=-1.0, S=None):
        """The same on the scalings."""
        errors = np.full(steps, np.nan)
        S = S or self.cpu.scaling(self.cost, self.inv_eps, self.u, self.v)
        operands = self.cost, self.inv_eps, self.a, self.b, self.u, self.v
        return errors[: self.cpu.scaling_chunk(*operands, S, errors, threshold, steps)]

    def expected(self, steps, omega=1.0):
        """u, v and errors by log-sum-exps."""
        G, a, b = -self.C.astype(float) * self.inv_eps, self.a.astype(float), self.b.astype(float)
        u, v, errors = self.u.astype(float), self.v.astype(float), []
        for _ in range(steps):
            u = u + omega * (np.log(a) - logsumexp(G + v, axis=1) - u)
            log_columns = logsumexp(G + u[:, None], axis=0)
            P = np.exp(G + u[:, None] + v)
            errors.append(np.abs(P.sum(axis=0) - b).sum() + np.abs(P.sum(axis=1) - a).sum())
            v = v + omega * (np.log(b) - log_columns - v)
        return u, v, np.array(errors)

    def plan(self):
        return np.exp(self.u.astype(float)[:, None] + self.v - self.C.astype(float) * self.inv_eps)


def weights(rng, size, dtype):
    w = rng.random(size) + 0.1
    return (w / w.sum()).astype(dtype)


@pytest.fixture
def case(cpu, rng):
    return lambda *args, **options: Case(cpu, rng, *args, **options)


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("omega", [1.0, 1.3])
def test_a_sweep_is_that_of_log_sum_exps(case, shape, real, omega):
    c = case(shape, real)
    u, v, errors = c.expected(4, omega)
    assert np.allclose(c.sweep(4, omega), errors, rtol=c.tol, atol=c.tol)
    size = 1 + np.abs(u).max() + np.abs(v).max()
    assert np.abs(c.u - u).max() <= c.tol * size and np.abs(c.v - v).max() <= c.tol * size


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize(
    "real, inv_eps, omega",
    [("float64", 1e5, 1.0), ("float64", 3000.0, 1.0), ("float32", 300.0, 1.0), ("float64", 700.0, 1.5)],
)
def test_exponents_out_of_range_are_formed_again(case, real, inv_eps, omega, scale):
    """From zero all exponentials vanish, in rows and in columns; the scale of the costs does not matter."""
    c = case((80, 600), real, inv_eps / scale, scale)
    assert c.C.max() * c.inv_eps > 100
    u, v, errors = c.expected(6, omega)
    size = 1 + np.abs(u).max() + np.abs(v).max()
    # Exponents as large as ``size`` are rounded.
    tol = 8 * size * np.finfo(real).eps
    assert np.allclose(c.sweep(6, omega), errors, rtol=tol, atol=tol)
    assert np.abs(c.u - u).max() <= tol * size and np.abs(c.v - v).max() <= tol * size


@pytest.mark.parametrize("start", [1e4, -1e4])
def test_a_start_far_off_overflows_nowhere(case, start):
    c = case((40, 50))
    c.u += start
    c.v += start
    u, v, _ = c.expected(3)
    assert np.isfinite(c.sweep(3)).all()
    assert np.allclose(c.u, u, rtol=0, atol=1e-10) and np.allclose(c.v, v, rtol=0, atol=1e-10)


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("how", ["sweep", "scale"])
def test_at_the_threshold_the_rows_are_exact_and_the_columns_within_it(case, real, how):
    c, other = case((70, 90), real), case((70, 90), real)
    other.C[:], other.a[:], other.b[:] = c.C, c.a, c.b
    all_errors = other.sweep(50)
    threshold = float(all_errors[3])
    errors = getattr(c, how)(50, threshold=threshold * (1 + 1e-6))
    assert len(errors) == 4 and errors[-1] == pytest.approx(threshold, rel=1e-3)
    P = c.plan()
    assert np.abs(P.sum(axis=1) - c.a).sum() <= 10 * np.finfo(real).eps * 10
    assert np.abs(P.sum(axis=0) - c.b).sum() == pytest.approx(threshold, rel=1e-2)


def test_the_error_of_an_over_relaxed_sweep_is_that_of_the_plan_where_it_ends(case):
    c = case((70, 90))
    errors = c.sweep(50, 1.4, threshold=0.02)
    assert 1 < len(errors) < 50
    P = c.plan()
    assert errors[-1] == pytest.approx(np.abs(P.sum(axis=1) - c.a).sum() + np.abs(P.sum(axis=0) - c.b).sum(), abs=1e-12)


@pytest.mark.parametrize("real, omega", [("float64", 1.0), ("float64", 1.4), ("float32", 1.0)])
def test_a_chunk_of_twenty_sweeps_is_twenty_chunks_of_one_to_the_bit(case, real, omega):
    c, other = case((70, 600), real, 500.0), case((70, 600), real, 500.0)
    other.C[:], other.a[:], other.b[:] = c.C, c.a, c.b
    errors = c.sweep(20, omega)
    singles = np.concatenate([other.sweep(1, omega) for _ in range(20)])
    assert (errors.tobytes(), c.u.tobytes(), c.v.tobytes()) == (singles.tobytes(), other.u.tobytes(), other.v.tobytes())


@pytest.mark.parametrize("points", [False, True])
def test_threads_do_not_change_a_bit(case, cpu, rng, threads, points):
    c = case((1100, 1030), "float64", 2000.0)
    if points:
        c.cost = cpu.PointCosts(rng.random((1100, 3)), rng.random((1030, 3)), 2.0)
    answers = []
    for team in (1, 2, 3):
        threads(team)
        c.u[:], c.v[:] = 0, 0
        got = [c.sweep(3), c.u.copy(), c.v.copy(), *sums(c)]
        c.u[:], c.v[:] = 0, 0
        got += [c.scale(3), c.u.copy(), c.v.copy()]
        answers.append([np.asarray(x).tobytes() for x in got])
    assert answers[0] == answers[1] == answers[2]


def sums(c):
    """All that the kernels say of the plan at hand."""
    (n, m), k = (c.u.size, c.v.size), c.cpu
    rows, columns, by_rows, by_columns, P = np.empty(n), np.empty(m), np.empty(n), np.empty(m), np.empty((n, m))
    value = k.marginals(c.cost, c.inv_eps, c.u, c.v, rows, columns)
    k.log_sums(c.cost, c.inv_eps, c.v, by_rows)
    k.log_sums_columns(c.cost, c.inv_eps, c.u, by_columns)
    k.plan(c.cost, c.inv_eps, c.u, c.v, P)
    return value, rows, columns, by_rows, by_columns, P, *k.threshold_plan(c.cost, c.inv_eps, c.u, c.v, 1e-3)


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_over_a_plan_are_those_of_its_entries(case, shape, real):
    c = case(shape, real)
    c.sweep(2)
    value, rows, columns, by_rows, by_columns, P, indptr, indices, data = sums(c)
    expected, G = c.plan(), -c.C.astype(float) * c.inv_eps
    assert np.allclose(P, expected, rtol=1e-12, atol=0)
    assert np.allclose(rows, expected.sum(axis=1), rtol=1e-12, atol=0)
    assert np.allclose(columns, expected.sum(axis=0), rtol=1e-12, atol=0)
    assert value == pytest.approx(float((expected * c.C).sum()), rel=1e-12)
    assert np.allclose(by_rows, logsumexp(G + c.v, axis=1), rtol=1e-12, atol=1e-12)
    assert np.allclose(by_columns, logsumexp(G + c.u[:, None].astype(float), axis=0), rtol=1e-12, atol=1e-12)
    large = P >= 1e-3
    assert np.array_equal(np.diff(indptr), large.sum(axis=1)) and np.array_equal(indices, np.nonzero(large)[1])
    assert np.array_equal(data, P[large].astype(real)) and data.dtype == real


def test_a_cut_of_zero_keeps_all_entries_and_a_large_one_none(case):
    c = case((5, 130))
    assert c.cpu.threshold_plan(c.cost, 1e5, c.u, c.v, 0.0)[0].tolist() == [130 * i for i in range(6)]
    assert c.cpu.threshold_plan(c.cost, 1e5, c.u, c.v, 2.0)[0].tolist() == [0] * 6


def test_log_sums_neither_overflow_nor_vanish(case):
    c = case((30, 40), inv_eps=1e5)
    c.u -= 5e4
    c.v += 5e4
    _, _, _, by_rows, by_columns, *_ = sums(c)
    G = -c.C * c.inv_eps
    assert np.allclose(by_rows, logsumexp(G + c.v, axis=1), rtol=1e-12)
    assert np.allclose(by_columns, logsumexp(G + c.u[:, None], axis=0), rtol=1e-12)


@pytest.mark.parametrize("how", ["sweep", "scale"])
def test_forbidden_pairs_get_nothing_and_cost_nothing(case, how):
    c = case((70, 90))
    forbidden = np.add.outer(np.arange(70), np.arange(90)) % 3 == 0
    c.C[forbidden] = np.inf
    errors = getattr(c, how)(300)
    assert errors[-1] < 1e-9 < errors[0]
    value, _, _, _, _, P, indptr, *_ = sums(c)
    assert (P[forbidden] == 0).all() and indptr[-1] <= (~forbidden).sum()
    assert value == pytest.approx(float((P * np.where(forbidden, 0, c.C)).sum()), rel=1e-12)


@pytest.mark.parametrize("how", ["sweep", "scale"])
@pytest.mark.parametrize("where", ["an entry", "a row", "a column"])
def test_what_cannot_be_solved_ends_with_an_error_that_is_no_number(case, how, where):
    c = case((70, 90))
    if where == "an entry":
        c.C[30, 40] = np.nan
    else:
        c.C[(30, slice(None)) if where == "a row" else (slice(None), 40)] = np.inf
    with np.errstate(all="ignore"):
        errors = getattr(c, how)(1000)
    assert len(errors) < 1000 and np.isfinite(errors[:-1]).all() and not np.isfinite(errors[-1])


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)], ids=str)
def test_empty_problems_end(case, shape):
    c = case(shape)
    assert c.sweep(3).size in (0, 3) and c.scale(3).size in (0, 3)
    assert sums(c)[0] == 0.0


def test_no_steps_take_none_and_change_nothing(case):
    c = case((5, 6))
    assert c.sweep(0).size == c.scale(0).size == 0 and not c.u.any() and not c.v.any()


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sweeps_on_scalings_are_those_in_the_log_domain(case, shape, real):
    c, other = case(shape, real), case(shape, real)
    other.C[:], other.a[:], other.b[:] = c.C, c.a, c.b
    assert np.allclose(c.scale(5), other.sweep(5), rtol=0, atol=c.tol)
    assert np.allclose(c.plan(), other.plan(), rtol=0, atol=c.tol)


@pytest.mark.parametrize("real, inv_eps", [("float64", 3e4), ("float32", 2000.0)])
def test_scalings_that_leave_their_range_are_absorbed(case, real, inv_eps):
    """In one chunk, and in chunks that keep the stored kernel: no sweep is lost or counted twice."""
    c, other = case((70, 90), real, inv_eps), case((70, 90), real, inv_eps)
    other.C[:], other.a[:], other.b[:] = c.C, c.a, c.b
    S = c.cpu.scaling(c.cost, c.inv_eps, c.u, c.v)
    first = S.u.copy()
    errors = np.concatenate([c.scale(15, S=S), c.scale(1, S=S), c.scale(14, S=S)])
    tol = 100 * np.finfo(real).eps * np.abs(c.u).max()
    assert not np.array_equal(S.u, first)
    assert np.allclose(errors, other.sweep(30), rtol=0, atol=tol)


@pytest.mark.parametrize("power", [1.0, 2.0, 1.7, 3.0])
@pytest.mark.parametrize("d", [1, 2, 3, 64])
@pytest.mark.parametrize("real", REAL)
def test_costs_of_points_are_powers_of_their_distance(case, cpu, rng, d, power, real):
    c, other = case((70, 600), real, 10.0 / d), case((70, 600), real, 10.0 / d)
    X, Y = rng.random((70, d)).astype(real), rng.random((600, d)).astype(real)
    Y[:30] = X[:30]  # no distance at all
    c.cost = cpu.PointCosts(X, Y, power)
    C = cdist(X.astype(float), Y.astype(float)) ** power
    other.C[:], other.a[:], other.b[:] = C, c.a, c.b
    tol = 20 * c.tol
    assert np.allclose(c.sweep(3), other.sweep(3), rtol=0, atol=tol)
    for ours, theirs in zip(sums(c)[:6], sums(other)[:6], strict=True):
        assert np.allclose(ours, theirs, rtol=tol, atol=tol)


@pytest.mark.parametrize("points", [False, True])
def test_a_sweep_takes_memory_for_some_rows_only(case, cpu, rng, points):
    """16 blocks of partial sums, a few rows of buffers: far below the n m numbers of the plan."""
    n, m = 1500, 2000
    c = case((n, m))
    if points:
        c.cost = cpu.PointCosts(rng.random((n, 3)), rng.random((m, 3)), 2.0)
    rows, columns = np.empty(n), np.empty(m)

    def work():
        c.sweep(1)
        cpu.marginals(c.cost, c.inv_eps, c.u, c.v, rows, columns)
        cpu.log_sums(c.cost, c.inv_eps, c.v, rows)
        cpu.log_sums_columns(c.cost, c.inv_eps, c.u, columns)

    work()  # compiles
    tracemalloc.start()
    try:
        work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 8 * (2 * 16 + 16) * (n + m)
