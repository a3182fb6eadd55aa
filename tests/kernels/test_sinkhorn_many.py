"""Sweeps of a batch and its marginals, against log-sum-exps in plain NumPy and against the kernels of one problem."""

import numpy as np
import pytest
from scipy.special import logsumexp


class Batch:
    """Problems with a zero weight in some of them, and potentials of zero."""

    def __init__(self, rng, size, n, m, dtype="float64"):
        self.C = rng.random((size, n, m)).astype(dtype)
        self.inv_eps = rng.uniform(1.0, 20.0, size)
        self.a, self.b = (np.maximum(rng.random((size, k)) - 0.2, 0) + (np.arange(k) == 0) for k in (n, m))
        self.a, self.b = ((w / w.sum(axis=1, keepdims=True)).astype(dtype) for w in (self.a, self.b))
        self.u, self.v = np.where(self.a > 0, 0, -np.inf).astype(dtype), np.where(self.b > 0, 0, -np.inf).astype(dtype)

    def sweep(self, cpu, which, steps, omega=1.0, threshold=-1.0):
        which, steps = np.array(which, np.int64), np.broadcast_to(steps, len(which)).astype(np.int64)
        errors, taken = np.full((len(which), steps.max(initial=1)), np.nan), np.zeros(len(which), np.int64)
        limits = np.full(len(which), omega), errors, np.full(len(which), threshold), steps, taken
        cpu.log_chunk_many(self.C, self.inv_eps, self.a, self.b, self.u, self.v, which, *limits)
        return errors, taken


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("omega", [1.0, 1.5])
@pytest.mark.parametrize("n, m", [(1, 1), (7, 5), (70, 530)])
def test_sweeps_are_log_sum_exps_over_what_has_weight(cpu, rng, dtype, omega, n, m):
    batch = Batch(rng, 5, n, m, dtype)
    errors, taken = batch.sweep(cpu, [3, 0, 4], 6, omega)
    tol = 1e-10 if dtype == "float64" else 1e-3
    assert np.array_equal(taken, [6, 6, 6]) and not np.where(batch.a > 0, batch.u, 0)[[1, 2]].any()
    for place, k in enumerate([3, 0, 4]):
        rows, columns = batch.a[k] > 0, batch.b[k] > 0
        G = -batch.C[k].astype(float)[rows][:, columns] * batch.inv_eps[k]
        a, b = batch.a[k][rows].astype(float), batch.b[k][columns].astype(float)
        u, v = np.zeros(a.size), np.zeros(b.size)
        for step in range(6):
            u += omega * (np.log(a) - logsumexp(G + v, axis=1) - u)
            P = np.exp(G + u[:, None] + v)
            error = np.abs(P.sum(axis=0) - b).sum() + np.abs(P.sum(axis=1) - a).sum()
            assert abs(errors[place, step] - error) <= tol
            v += omega * (np.log(b) - logsumexp(G + u[:, None], axis=0) - v)
        assert np.allclose(batch.u[k][rows], u, atol=tol) and np.allclose(batch.v[k][columns], v, atol=tol)
        assert np.all(batch.u[k][~rows] == -np.inf) and np.all(batch.v[k][~columns] == -np.inf)


def test_each_problem_has_its_own_limits(cpu, rng):
    batch = Batch(rng, 4, 6, 8)
    errors, taken = batch.sweep(cpu, range(4), [3, 0, 50, 1], threshold=1e-6)
    assert list(taken[[0, 1, 3]]) == [3, 0, 1] and 3 < taken[2] <= 50 and errors[2, taken[2] - 1] <= 1e-6
    assert np.isnan(errors[1]).all() and np.isnan(errors[0, 3:]).all()


def test_no_bit_depends_on_the_threads_or_on_the_other_problems(cpu, rng):
    import solvers

    state, answers = rng.bit_generator.state, []
    for threads in (1, 2, 5):
        rng.bit_generator.state = state
        batch = Batch(rng, 60, 64, 64)  # enough work for several threads
        solvers.set_threads(threads)
        try:
            errors, _ = batch.sweep(cpu, range(60), 20)
        finally:
            solvers.set_threads(None)
        answers.append((batch.u, batch.v, errors))
    rng.bit_generator.state = state
    alone = Batch(rng, 60, 64, 64)
    for k in range(60):
        alone.sweep(cpu, [k], 20)
    assert all(np.array_equal(x, y) for others in answers[1:] for x, y in zip(answers[0], others))
    assert np.array_equal(alone.u, batch.u) and np.array_equal(alone.v, batch.v)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n, m", [(1, 1), (7, 5), (70, 530)])
def test_marginals_are_sums_over_plans_to_which_forbidden_pairs_add_nothing(cpu, rng, dtype, n, m):
    batch = Batch(rng, 5, n, m, dtype)
    batch.C[1, 0, 0] = np.inf
    batch.u += rng.random(batch.u.shape).astype(dtype)
    which = np.array([4, 1])
    rows, columns, values = np.empty((2, n)), np.empty((2, m)), np.empty(2)
    cpu.marginals_many(batch.C, batch.inv_eps, batch.u, batch.v, which, rows, columns, values)
    for place, k in enumerate(which):
        C, u, v = batch.C[k].astype(float), batch.u[k].astype(float), batch.v[k].astype(float)
        P = np.exp(u[:, None] + v - C * batch.inv_eps[k])
        assert np.allclose(rows[place], P.sum(axis=1), rtol=1e-12) and np.allclose(columns[place], P.sum(axis=0))
        assert np.isclose(values[place], (P * np.where(np.isfinite(C), C, 0)).sum(), rtol=1e-12)
