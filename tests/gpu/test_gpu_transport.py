"""Kernels of transport on the emulated device, against log-sum-exps in plain NumPy and the kernels of the CPU."""


import numpy as np
import pytest
from emulation import device, settings
from scipy.special import logsumexp
from solvers.kernels import cpu

import solvers

# Rows for a warp, for a block, and longer than a block holds in either kernel, at 64 threads a block.
SHAPES = ((1, 1), (1, 7), (7, 1), (5, 3), (70, 90), (33, 515), (9, 1100), (6, 2600), (130, 20))
REAL = ("float64", "float32")
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture(params=["64 threads", "256 threads, checked"])
def both_gpus(request, gpu, monkeypatch):
    if request.param != "64 threads":
        monkeypatch.setattr(gpu._device, "THREADS", 256)
        settings.mode, settings.schedule = "checked", "random"
        device.multiprocessors = 1
    return gpu


class Problem:
    """Costs, weights and potentials on the host; runs a kernel of either backend on copies of them."""

    def __init__(self, shape, real="float64", inv_eps=30.0, points=None, power=2.0, seed=7):
        rng = np.random.default_rng(seed)
        n, m = shape
        self.inv_eps, self.real, self.points = inv_eps, np.dtype(real), None
        if points:
            X, Y = rng.random((n, points)).astype(real), rng.random((m, points)).astype(real)
            Y[: min(n, m) // 2] = X[: min(n, m) // 2]  # no distance at all
            self.points = X, Y, power
            square = ((X.astype(float)[:, None] - Y.astype(float)) ** 2).sum(axis=2)
            self.C = square ** (power / 2)
        else:
            self.C = rng.random(shape).astype(real)
        self.a, self.b = (self.weights(rng, k) for k in shape)
        self.u, self.v = np.zeros(n, real), np.zeros(m, real)

    def weights(self, rng, size):
        w = rng.random(size) + 0.1
        return (w / w.sum()).astype(self.real)

    def cost(self, kernels):
        if self.points:
            X, Y, power = self.points
            return kernels.PointCosts(*self.sent(kernels, X, Y), power)
        return kernels.CostMatrix(*self.sent(kernels, self.C))

    def sent(self, kernels, *arrays):
        return [kernels.copy_to_device(each, each.dtype) for each in arrays]

    def sweep(self, kernels, steps, omega=1.0, threshold=-1.0):
        """u, v and errors after a chunk."""
        errors = np.full(steps, np.nan)
        a, b, u, v = self.sent(kernels, self.a, self.b, self.u, self.v)
        taken = kernels.log_chunk(self.cost(kernels), self.inv_eps, a, b, u, v, omega, errors, threshold, steps)
        return kernels.to_host(u), kernels.to_host(v), errors[:taken]

    def scale(self, kernels, *chunks, threshold=-1.0):
        """The same on the scalings, with a stored kernel that is kept between chunks."""
        a, b, u, v = self.sent(kernels, self.a, self.b, self.u, self.v)
        cost, found = self.cost(kernels), []
        S = kernels.scaling(cost, self.inv_eps, u, v)
        for steps in chunks:
            errors = np.full(steps, np.nan)
            taken = kernels.scaling_chunk(cost, self.inv_eps, a, b, u, v, S, errors, threshold, steps)
            found += list(errors[:taken])
        return kernels.to_host(u), kernels.to_host(v), np.array(found)

    def expected(self, steps, omega=1.0):
        """The same by log-sum-exps."""
        G, a, b = -self.C.astype(float) * self.inv_eps, self.a.astype(float), self.b.astype(float)
        u, v, errors = self.u.astype(float), self.v.astype(float), []
        for _ in range(steps):
            u = u + omega * (np.log(a) - logsumexp(G + v, axis=1) - u)
            log_columns = logsumexp(G + u[:, None], axis=0)
            P = np.exp(G + u[:, None] + v)
            errors.append(np.abs(P.sum(axis=0) - b).sum() + np.abs(P.sum(axis=1) - a).sum())
            v = v + omega * (np.log(b) - log_columns - v)
        return u, v, np.array(errors)

    def close(self, got, want, factor=1.0):
        size = 1 + max(np.abs(each).max(initial=0.0) for each in want if np.isfinite(each).all())
        for ours, theirs in zip(got, want, strict=True):
            assert np.shape(ours) == np.shape(theirs)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=factor * size * TOLERANCE[self.real.name])


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("omega", [1.0, 1.3])
def test_a_sweep_is_that_of_log_sum_exps_and_of_the_cpu(both_gpus, shape, real, omega):
    p = Problem(shape, real)
    got = p.sweep(both_gpus, 3, omega)
    p.close(got, p.expected(3, omega))
    p.close(got, p.sweep(cpu, 3, omega))


@pytest.mark.parametrize("points", [None, 3])
@pytest.mark.parametrize(
    "real, inv_eps, omega",
    [("float64", 1e5, 1.0), ("float64", 3000.0, 1.0), ("float32", 300.0, 1.0), ("float64", 700.0, 1.5)],
)
def test_exponents_out_of_range_are_formed_again(gpu, real, inv_eps, omega, points):
    """From zero all exponentials vanish, in rows and in columns."""
    p = Problem((80, 600), real, inv_eps, points)
    p.close(p.sweep(gpu, 6, omega), p.expected(6, omega), 0.1)


@pytest.mark.parametrize("start", [1e4, -1e4])
@pytest.mark.parametrize("shape", [(40, 50), (9, 1100), (6, 2600)], ids=str)
@pytest.mark.parametrize("points", [None, 2])
def test_a_start_far_off_overflows_nowhere(both_gpus, start, shape, points):
    p = Problem(shape, points=points)
    p.u += start
    p.v += start
    got = p.sweep(both_gpus, 3)
    assert all(np.isfinite(each).all() for each in got)
    p.close(got, p.expected(3), 0.01)


@pytest.mark.parametrize("power", [1.0, 2.0, 1.7])
@pytest.mark.parametrize("d", [1, 3, 20])
@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", [(1, 1), (70, 90), (65, 300)], ids=str)
def test_costs_of_points_are_powers_of_their_distance(both_gpus, shape, d, power, real):
    p = Problem(shape, real, 10.0 / d, d, power)
    got = p.sweep(both_gpus, 3, 1.2)
    p.close(got, p.expected(3, 1.2), 20)
    p.close(got, p.sweep(cpu, 3, 1.2), 20)


@pytest.mark.parametrize("points", [None, 3])
@pytest.mark.parametrize("omega", [1.0, 1.3])
def test_at_the_threshold_the_sweep_ends_before_the_columns(both_gpus, points, omega):
    p = Problem((70, 90), points=points)
    errors = p.sweep(both_gpus, 12, omega)[2]
    assert len(errors) == 12
    got = p.sweep(both_gpus, 12, omega, errors[3] * (1 + 1e-6))
    want = p.sweep(cpu, 12, omega, errors[3] * (1 + 1e-6))
    assert len(got[2]) == 4
    p.close(got, want)
    p.u, p.v = got[:2]
    P = np.exp(p.u[:, None] + p.v - p.C * p.inv_eps)
    assert np.abs(P.sum(axis=1) - p.a).sum() + np.abs(P.sum(axis=0) - p.b).sum() == pytest.approx(errors[3], abs=1e-12)


@pytest.mark.parametrize("points", [None, 3])
@pytest.mark.parametrize("inv_eps", [30.0, 2000.0])
def test_a_chunk_of_five_sweeps_is_five_chunks_of_one_to_the_bit(both_gpus, points, inv_eps):
    p, other = (Problem((70, 600), inv_eps=inv_eps, points=points) for _ in range(2))
    u, v, errors = p.sweep(both_gpus, 5)
    for k in range(5):
        other.u, other.v, error = other.sweep(both_gpus, 1)
        assert error[0] == errors[k]
    assert np.array_equal(u, other.u) and np.array_equal(v, other.v)


@pytest.mark.parametrize("schedule", ["reverse", "random"])
@pytest.mark.parametrize("points", [None, 3])
def test_the_order_of_threads_changes_no_bit(gpu, schedule, points):
    p = Problem((70, 600), points=points)
    want = p.sweep(gpu, 3)
    settings.schedule = schedule
    assert [each.tobytes() for each in p.sweep(gpu, 3)] == [each.tobytes() for each in want]


def test_a_chunk_is_one_launch_and_one_read_by_the_host(gpu):
    for points in (None, 3):
        p = Problem((70, 90), points=points)
        operands = [p.cost(gpu), p.inv_eps, *p.sent(gpu, p.a, p.b, p.u, p.v)]
        launches, reads = settings.launches, device.host_reads
        assert gpu.log_chunk(*operands, 1.0, np.empty(50), -1.0, 50) == 50
        assert (settings.launches - launches, device.host_reads - reads) == (1, 1)


@pytest.mark.parametrize("points", [None, 3])
def test_full_memory_is_the_named_error(gpu, points):
    p = Problem((70, 90), points=points)
    operands = [p.cost(gpu), p.inv_eps, *p.sent(gpu, p.a, p.b, p.u, p.v)]
    try:
        device.total = device.live + 1000
        with pytest.raises(solvers.DeviceMemoryError):
            gpu.log_chunk(*operands, 1.0, np.empty(5), -1.0, 5)
    finally:
        device.total = 2**30
    assert gpu.log_chunk(*operands, 1.0, np.empty(5), -1.0, 5) == 5


def test_no_steps_change_nothing(gpu):
    p = Problem((5, 6))
    u, v, errors = p.sweep(gpu, 0)
    assert not u.any() and not v.any() and not errors.size


def test_forbidden_pairs_get_nothing(both_gpus):
    p = Problem((70, 90))
    p.C[np.add.outer(np.arange(70), np.arange(90)) % 3 == 0] = np.inf
    got = p.sweep(both_gpus, 40)
    p.close(got, p.sweep(cpu, 40))
    assert got[2][-1] < 1e-3 < got[2][0]


@pytest.mark.parametrize("where", ["an entry", "a row", "a column"])
def test_what_cannot_be_solved_ends_with_an_error_that_is_no_number(both_gpus, where):
    p = Problem((70, 90))
    if where == "an entry":
        p.C[30, 40] = np.nan
    else:
        p.C[(30, slice(None)) if where == "a row" else (slice(None), 40)] = np.inf
    errors = p.sweep(both_gpus, 100)[2]
    assert len(errors) < 100 and np.isfinite(errors[:-1]).all() and not np.isfinite(errors[-1])


class Sums:
    """All that the kernels say of a plan."""

    def __init__(self, p, kernels, cut=1e-3):
        n, m = p.C.shape
        cost, u, v = p.cost(kernels), *p.sent(kernels, p.u, p.v)
        rows, columns, by_rows, by_columns = (kernels.empty(size, np.float64) for size in (n, m, n, m))
        self.value = kernels.marginals(cost, p.inv_eps, u, v, rows, columns)
        kernels.log_sums(cost, p.inv_eps, v, by_rows)
        kernels.log_sums_columns(cost, p.inv_eps, u, by_columns)
        P, narrow = kernels.empty((n, m), np.float64), kernels.empty((n, m), p.real)
        kernels.plan(cost, p.inv_eps, u, v, P)
        kernels.plan(cost, p.inv_eps, u, v, narrow)
        made = rows, columns, by_rows, by_columns, P, narrow, *kernels.threshold_plan(cost, p.inv_eps, u, v, cut)
        host = map(kernels.to_host, made)
        self.rows, self.columns, self.by_rows, self.by_columns, self.P, self.narrow, *self.sparse = host


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (70, 90), (3, 700), (700, 3)], ids=str)
@pytest.mark.parametrize("points", [None, 2])
def test_sums_over_a_plan_are_those_of_its_entries(both_gpus, shape, real, points):
    p = Problem(shape, real, points=points)
    p.u, p.v, _ = p.sweep(cpu, 2)
    s, other = Sums(p, both_gpus), Sums(p, cpu)
    G, tol = -p.C.astype(float) * p.inv_eps, 1e-12 if real == "float64" or not points else 1e-4
    P = np.exp(G + p.u[:, None].astype(float) + p.v)
    for want, close in ((P, {"rtol": tol, "atol": tol}), (other.P, {"rtol": min(tol * 10, 1e-5), "atol": 0})):
        np.testing.assert_allclose(s.P, want, **close)
        np.testing.assert_allclose(s.rows, want.sum(axis=1), **close)
        np.testing.assert_allclose(s.columns, want.sum(axis=0), **close)
        assert s.value == pytest.approx(float((want * p.C).sum()), rel=tol, abs=tol)
    np.testing.assert_allclose(s.by_rows, logsumexp(G + p.v, axis=1), rtol=tol, atol=tol)
    np.testing.assert_allclose(s.by_columns, logsumexp(G + p.u[:, None].astype(float), axis=0), rtol=tol, atol=tol)
    assert s.value == pytest.approx(other.value, rel=min(tol * 10, 1e-5))
    np.testing.assert_array_equal(s.narrow, s.P.astype(real))
    indptr, indices, data = s.sparse
    large = s.P >= 1e-3
    assert indptr.dtype == indices.dtype == np.int32 and indptr[0] == 0 and data.dtype == real
    assert np.array_equal(np.diff(indptr), large.sum(axis=1)) and np.array_equal(indices, np.nonzero(large)[1])
    assert np.array_equal(data, s.P[large].astype(real))


def test_a_cut_of_zero_keeps_all_entries_and_a_large_one_none(both_gpus):
    p = Problem((5, 130), inv_eps=1e5)
    assert Sums(p, both_gpus, 0.0).sparse[0].tolist() == [130 * i for i in range(6)]
    assert Sums(p, both_gpus, 2.0).sparse[0].tolist() == [0] * 6


@pytest.mark.parametrize("points", [None, 2])
def test_log_sums_neither_overflow_nor_vanish(both_gpus, points):
    p = Problem((30, 140), inv_eps=1e5, points=points)
    p.u -= 5e4
    p.v += 5e4
    s, G = Sums(p, both_gpus), -p.C * p.inv_eps
    np.testing.assert_allclose(s.by_rows, logsumexp(G + p.v, axis=1), rtol=1e-12)
    np.testing.assert_allclose(s.by_columns, logsumexp(G + p.u[:, None], axis=0), rtol=1e-12)


def test_forbidden_pairs_add_nothing_to_sums(both_gpus):
    p = Problem((70, 90))
    p.C[np.add.outer(np.arange(70), np.arange(90)) % 3 == 0] = np.inf
    p.C[5], p.C[:, 7] = np.inf, np.inf
    s = Sums(p, both_gpus)
    P = np.exp(-p.C * p.inv_eps)
    np.testing.assert_allclose(s.rows, P.sum(axis=1), rtol=1e-12)
    assert s.value == pytest.approx(float((P * np.where(np.isinf(p.C), 0, p.C)).sum()), rel=1e-12)
    assert s.by_rows[5] == s.by_columns[7] == -np.inf


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sweeps_on_scalings_are_those_in_the_log_domain(both_gpus, shape, real):
    p = Problem(shape, real)
    got = p.scale(both_gpus, 3)
    p.close(got, p.expected(3))
    p.close(got, p.scale(cpu, 3))


def test_scalings_of_points_are_those_of_the_matrix(both_gpus):
    p = Problem((70, 90), points=3)
    p.close(p.scale(both_gpus, 3), p.expected(3))


@pytest.mark.parametrize("real, inv_eps", [("float64", 3e4), ("float32", 2000.0)])
def test_scalings_that_leave_their_range_are_absorbed(both_gpus, real, inv_eps):
    """In one chunk, and in chunks that keep the stored kernel: no sweep is lost or counted twice."""
    p = Problem((70, 90), real, inv_eps)
    want = p.sweep(both_gpus, 20)
    p.close(p.scale(both_gpus, 20), want)
    p.close(p.scale(both_gpus, 9, 1, 10), want)


def test_at_the_threshold_the_scalings_end_before_the_columns(both_gpus):
    p = Problem((70, 90))
    errors = p.scale(both_gpus, 12)[2]
    got = p.scale(both_gpus, 12, threshold=errors[3] * (1 + 1e-6))
    assert len(got[2]) == 4
    p.close(got, p.scale(cpu, 12, threshold=errors[3] * (1 + 1e-6)))


@pytest.mark.parametrize("where", ["an entry", "a row", "a column"])
def test_scalings_of_what_cannot_be_solved_end_with_an_error_that_is_no_number(both_gpus, where):
    p = Problem((70, 90))
    if where == "an entry":
        p.C[30, 40] = np.nan
    else:
        p.C[(30, slice(None)) if where == "a row" else (slice(None), 40)] = np.inf
    errors = p.scale(both_gpus, 100)[2]
    assert len(errors) < 100 and np.isfinite(errors[:-1]).all() and not np.isfinite(errors[-1])
