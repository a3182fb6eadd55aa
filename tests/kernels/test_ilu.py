"""Incomplete factors on the pattern of the matrix, against dense factorisations."""

import numpy as np
import pytest
from sorted_rows import as_csr, as_dense, bound, dominant, poisson, sort_rows


def product(S):
    """(D + L) D^-1 (D + U), dense."""
    n = S.diagonal.size
    D = np.diag(S.diagonal)
    return (as_dense(S.lower, n) + D) @ np.diag(1 / S.diagonal) @ (as_dense(S.upper, n) + D)


def unsorted_rows(cpu, A, rng):
    """As sparse arrays may come: columns in no order, none given twice."""
    A = as_csr(cpu, A)
    for i in range(A.indptr.size - 1):
        lo, hi = int(A.indptr[i]), int(A.indptr[i + 1])
        mixed = lo + rng.permutation(hi - lo)
        A.indices[lo:hi], A.data[lo:hi] = A.indices[mixed], A.data[mixed]
    return A


def test_it_is_exact_where_elimination_makes_no_fill(cpu, rng, dtype):
    full = dominant(12, dtype, rng, 1.0)
    line = np.diag(np.full(12, 4.0)) + np.diag(rng.uniform(size=11), 1) + np.diag(rng.uniform(size=11), -1)
    arrow = 4 * np.eye(12)
    arrow[-1, :-1] = arrow[:-1, -1] = 0.5
    for A in (full, line.astype(dtype), arrow.astype(dtype), np.full((1, 1), 3, dtype)):
        S, order = sort_rows(cpu, as_csr(cpu, A))
        factors, failed = cpu.ilu0(S, 0.0, 0.0)
        A = A[order][:, order]
        assert failed == -1
        assert np.abs(product(factors) - A).max() <= bound(dtype) * np.abs(A).max()
        assert np.allclose(factors.inverse * factors.diagonal, 1)


@pytest.mark.parametrize("hermitian", [False, True])
def test_the_product_agrees_with_the_matrix_on_its_pattern(cpu, rng, dtype, hermitian):
    A = dominant(40, dtype, rng, 0.1, hermitian)
    S, order = sort_rows(cpu, unsorted_rows(cpu, A, rng))
    factors, failed = cpu.ilu0(S, 0.0, 0.0)
    A = A[order][:, order]
    gap = product(factors) - A
    assert failed == -1 and np.abs(gap[A != 0]).max() <= bound(dtype) * np.abs(A).max()
    assert np.abs(gap[A == 0]).max() > 1e-3  # what was dropped
    if hermitian:
        lower, upper = as_dense(factors.lower, 40), as_dense(factors.upper, 40)
        assert np.abs(upper - lower.conj().T).max() <= bound(dtype) * np.abs(A).max()


@pytest.mark.parametrize("relaxation", [0.0, 0.5, 1.0])
def test_that_share_of_what_is_dropped_is_taken_from_the_diagonal(cpu, dtype, relaxation):
    """So the row sums are kept with relaxation 1."""
    A = poisson((6, 7), dtype)
    S, order = sort_rows(cpu, as_csr(cpu, A))
    factors, _ = cpu.ilu0(S, 0.0, relaxation)
    A = A[order][:, order]
    gap = (product(factors) - A).real
    dropped = np.where(A == 0, gap, 0).sum(axis=1)
    assert dropped.max() > 0.1
    assert np.abs(gap[~np.eye(42, dtype=bool) & (A != 0)]).max() <= bound(dtype)
    assert np.abs(np.diag(gap) + relaxation * dropped).max() <= 10 * bound(dtype)


def test_the_shift_multiplies_the_diagonal_first(cpu, dtype):
    A = poisson((6, 7), dtype)
    S, order = sort_rows(cpu, as_csr(cpu, A))
    shifted, _ = sort_rows(cpu, as_csr(cpu, A + np.diag(np.diag(A)).astype(dtype) * dtype.type(0.5)))
    ours, direct = cpu.ilu0(S, 0.5, 0.0)[0], cpu.ilu0(shifted, 0.0, 0.0)[0]
    assert np.allclose(ours.diagonal, direct.diagonal) and np.allclose(ours.lower.data, direct.lower.data)


def test_what_is_factorised_is_not_changed(cpu):
    S, _ = sort_rows(cpu, as_csr(cpu, poisson((6, 7))))
    arrays = S.lower.data, S.upper.data, S.diagonal, S.inverse
    before = [a.copy() for a in arrays]
    factors, _ = cpu.ilu0(S, 0.1, 0.3)
    assert all(np.array_equal(a, c) for a, c in zip(arrays, before))
    ours = factors.lower.data, factors.upper.data, factors.diagonal, factors.inverse
    assert not any(np.shares_memory(a, c) for a in ours for c in arrays)


@pytest.mark.parametrize("pivot", [0.25, 0.2, 0.0, -1.0, np.nan])
def test_the_first_pivot_that_is_not_positive_is_named(cpu, dtype, pivot):
    """That of row 1 is what is given less 1/4."""
    A = np.diag(np.array([4.0, pivot, 5.0])) + np.eye(3, k=1) + np.eye(3, k=-1)
    S, order = sort_rows(cpu, as_csr(cpu, (A + 1e-300 * np.eye(3)).astype(dtype)))
    factors, failed = cpu.ilu0(S, 0.0, 0.0)
    assert order[failed] == 1


def test_a_matrix_without_rows_has_factors(cpu):
    S, _ = sort_rows(cpu, cpu.csr(np.zeros(1, np.int32), np.empty(0, np.int32), np.empty(0)))
    assert cpu.ilu0(S, 0.0, 0.0)[1] == -1


def test_solving_with_the_factors_is_a_solve_with_their_product(cpu, rng, draw, dtype):
    A = dominant(40, dtype, rng, 0.1)
    S, _ = sort_rows(cpu, as_csr(cpu, A))
    factors, _ = cpu.ilu0(S, 0.01, 0.5)
    r, z = draw(40, dtype), np.empty(40, dtype)
    cpu.ssor_solve(factors, 1.0, r, z)
    assert np.allclose(product(factors) @ z, r, atol=10 * bound(dtype))
