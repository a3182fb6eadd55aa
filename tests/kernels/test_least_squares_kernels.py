"""Chunks of LSQR and LSMR against the minimiser over the Krylov space, by NumPy's dense least squares."""

import numpy as np
import pytest

M, N, STEPS = 30, 12, 5
RNORM, ARNORM, ANORM, ACOND, XNORM, ALPHA = range(6)


class Case:
    """A matrix, a right-hand side, and all that a kernel goes on from at x = 0."""

    def __init__(self, cpu, draw, dtype, name, by_rows, damp=0.0, factor=1.0, conlim=np.inf, tolerance=0.0):
        self.dense, self.b, self.damp = draw((M, N), dtype), draw(M, dtype), damp
        self.dense[draw((M, N), np.float64) > 0.5] = 0
        stored = self.dense / dtype.type(factor)
        self.operand = csr(cpu, stored if by_rows else stored.T)
        beta = np.linalg.norm(self.b)
        self.u = (self.b / beta).astype(dtype)
        v = self.dense.conj().T @ self.u
        alpha = np.linalg.norm(v)
        self.v, self.x = (v / alpha).astype(dtype), np.zeros(N, dtype)
        own = [beta, alpha, 0, 0, 1] if name == "lsqr" else [alpha, alpha * beta, 1, 1, 1, 0, 0, beta, 0, 1, 0, 0, 0, 0]
        own = own if name == "lsqr" else [*own, np.inf, 0]
        a2 = 0 if name == "lsqr" else alpha**2
        self.scalars = np.array([beta, alpha * beta, 0, 0, 0, alpha, a2, *own])
        self.rule = np.array([beta, tolerance, tolerance, conlim, np.finfo(dtype).eps, damp, factor])
        self.directions = [self.v.copy()] if name == "lsqr" else [self.v.copy(), np.zeros(N, dtype)]
        self.norms, self.buffer = np.full((100, 2), np.nan), np.empty(M, dtype)
        self.by_rows, self.kernel = by_rows, getattr(cpu, f"{name}_chunk")

    def go(self, steps, begin=0):
        vectors = self.u, self.v, *self.directions, self.x, self.buffer
        return self.kernel(self.operand, self.by_rows, *vectors, self.rule, self.scalars, self.norms[begin:], steps)

    def best(self, steps, gradient):
        """The minimiser of the residual, or of its gradient, over the Krylov space of that many steps."""
        A = np.vstack([self.dense, self.damp * np.eye(N)]).astype(np.result_type(self.dense.dtype, np.float64))
        b = np.append(self.b, np.zeros(N))
        Q = A.conj().T @ b[:, None]
        for _ in range(steps - 1):
            Q = np.linalg.qr(np.column_stack([Q, A.conj().T @ (A @ Q[:, -1])]))[0]
        H = A.conj().T if gradient else np.eye(M + N)
        x = Q @ np.linalg.lstsq(H @ A @ Q, H @ b, rcond=None)[0]
        r = b - A @ x
        return x, np.linalg.norm(r), np.linalg.norm(A.conj().T @ r)


def csr(cpu, A):
    rows, columns = np.nonzero(A)
    indptr = np.searchsorted(rows, np.arange(len(A) + 1)).astype(np.int32)
    return cpu.csr(indptr, columns.astype(np.int32), A[rows, columns])


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_a_chunk_ends_at_the_minimiser_over_the_krylov_space(cpu, draw, dtype, name, by_rows):
    near = 1e3 * float(np.finfo(dtype).eps)
    for damp, factor in ((0.0, 1.0), (1.5, 0.25)):
        case = Case(cpu, draw, dtype, name, by_rows, damp, factor)
        assert case.go(2) == (2, 0) and case.go(STEPS - 2, 2) == (STEPS - 2, 0)
        x, r, gradient = case.best(STEPS, name == "lsmr")
        np.testing.assert_allclose(case.x, x, atol=near * np.linalg.norm(x))
        assert case.scalars[[RNORM, ARNORM, XNORM]] == pytest.approx([r, gradient, np.linalg.norm(x)], rel=near)
        for k in range(STEPS):
            x, r, _ = case.best(k + 1, name == "lsmr")
            assert case.norms[k] == pytest.approx([r, np.linalg.norm(x)], rel=near)
        assert np.isnan(case.norms[STEPS:]).all()
        assert 1 < case.scalars[ACOND] and 0 < case.scalars[ANORM] < 2 * np.sqrt(STEPS) * np.linalg.norm(case.dense)


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_chunks_of_any_length_have_the_same_bits(cpu, draw, name):
    dtype, outcomes = np.dtype(np.float64), []
    for lengths in ([6], [1, 2, 3], [1] * 6):
        case = Case(cpu, lambda *a: np.random.default_rng(3).standard_normal(a[0]), dtype, name, True)
        begin = 0
        for length in lengths:
            assert case.go(length, begin) == (length, 0)
            begin += length
        outcomes.append((case.x.tobytes(), case.scalars.tobytes(), case.norms.tobytes()))
    assert len({*outcomes}) == 1


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_each_of_scipys_tests_ends_it(cpu, draw, name):
    dtype = np.dtype(np.float64)
    assert Case(cpu, draw, dtype, name, True, tolerance=1.0).go(9) == (1, 1)
    case = Case(cpu, draw, dtype, name, True)
    case.rule[1] = 1e-3
    taken, code = case.go(50)
    assert code == 2 and case.scalars[ARNORM] <= 1e-3 * case.scalars[ANORM] * case.scalars[RNORM]
    assert taken == np.isfinite(case.norms[:, 0]).sum()
    taken, code = Case(cpu, draw, dtype, name, True, conlim=2.0).go(50)
    assert code == 3 and taken > 1
    case = Case(cpu, draw, dtype, name, True)
    case.rule[0] = 1e18  # of b's norm the residual is nothing
    assert case.go(50) == (1, 4)
    assert Case(cpu, draw, dtype, name, True).go(50)[1] == 5
    case = Case(cpu, draw, dtype, name, True)
    case.scalars[10 if name == "lsqr" else -2] = 1e40 if name == "lsqr" else 1e-20  # left by steps before
    assert case.go(50) == (1, 6) and case.scalars[ACOND] > 2 / np.finfo(dtype).eps


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_what_is_not_finite_leaves_the_iterate_as_it_was(cpu, draw, dtype, name):
    case = Case(cpu, draw, dtype, name, True)
    assert case.go(2) == (2, 0)
    x = case.x.copy()
    case.operand.data[0] = np.inf
    assert case.go(9, 2) == (0, -1) and np.array_equal(case.x, x) and np.isnan(case.norms[2:]).all()


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
@pytest.mark.parametrize("size", [2.0**-600, 2.0**600])
def test_norms_whose_squares_are_out_of_range(cpu, draw, name, size):
    case = Case(cpu, draw, np.dtype(np.float64), name, True)
    u, v, alpha = case.u.copy(), case.v.copy(), case.scalars[ALPHA]
    case.operand.data[:] *= size
    case.scalars[ALPHA] *= size
    case.go(1)
    u = case.dense @ v - alpha * u
    beta = np.linalg.norm(u)
    v = case.dense.T @ u / beta - beta * v
    np.testing.assert_allclose(case.u, u / beta, atol=1e-14)
    np.testing.assert_allclose(case.v, v / np.linalg.norm(v), atol=1e-13)
    assert case.scalars[ALPHA] == pytest.approx(np.linalg.norm(v) * size, rel=1e-13)
