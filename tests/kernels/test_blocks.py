"""Sweeps over blocks of rows, each solved exactly, against dense formulas."""

import numpy as np
import pytest
from sorted_rows import as_csr, bound, chain, dominant, poisson

EDGES = (np.array([0, 30]), np.array([0, 7, 8, 20, 30]), np.arange(31))


def factors_of(cpu, A, edges):
    """The factors of the block diagonal, in the order of A."""
    block = np.repeat(np.arange(edges.size - 1), np.diff(edges))
    inside = as_csr(cpu, np.where(block[:, None] == block, A, 0))
    order = np.arange(len(A))
    lower, upper = (
        cpu.CSR(ends, columns, inside.data[entries])
        for ends, columns, entries in cpu.split_rows(inside.indptr, inside.indices, order)
    )
    S = cpu.sweep(lower, upper, cpu.diagonal(inside, order), np.array([0, len(A)]))
    factors, failed = cpu.ilu0(S, 0.0, 0.0)
    assert failed == -1
    return factors


def plain_sweep(A, edges, b, x, omega, backward=False):
    x = x.copy()
    blocks = list(zip(edges[:-1], edges[1:]))
    for lo, hi in reversed(blocks) if backward else blocks:
        x[lo:hi] += omega * np.linalg.solve(A[lo:hi, lo:hi], b[lo:hi] - A[lo:hi] @ x)
    return x


@pytest.mark.parametrize("omega", [0.8, 1.0, 1.5])
@pytest.mark.parametrize("symmetric", [False, True])
def test_each_iterate_and_its_norm_are_those_of_block_after_block(cpu, rng, draw, dtype, symmetric, omega):
    full = dominant(30, dtype, rng, 1.0)  # its blocks are full: no fill is dropped
    wide = np.result_type(dtype, "float64")
    for edges in EDGES:
        factors, A = factors_of(cpu, full, edges), full.astype(wide)
        b, x = draw(30, dtype), draw(30, dtype)
        expected, ours, y = x.astype(wide), x.copy(), np.full(30, np.nan, dtype)
        for _ in range(5):
            norms = np.empty(1)
            arguments = as_csr(cpu, full), edges, factors, b, ours, y, omega, symmetric, norms, 0.0, 1
            assert cpu.block_sor_chunk(*arguments) == 1
            expected = plain_sweep(A, edges, b, expected, omega)
            expected = plain_sweep(A, edges, b, expected, omega, True) if symmetric else expected
            assert np.linalg.norm(ours - expected) <= bound(dtype) * np.linalg.norm(expected)
            assert abs(norms[0] - np.linalg.norm(b - A @ expected)) <= bound(dtype) * np.linalg.norm(b)


def test_one_block_that_is_a_line_is_solved_in_one_sweep(cpu, draw, dtype):
    line, edges, b = chain(cpu, 50, dtype), np.array([0, 50]), draw(50, dtype)
    A = np.zeros((50, 50), dtype)
    A[np.repeat(np.arange(50), np.diff(line.indptr.astype(int))), line.indices] = line.data
    x, norms = np.zeros_like(b), np.empty(4)
    threshold = 10 * bound(dtype) * np.linalg.norm(b)
    taken = cpu.block_sor_chunk(
        line, edges, factors_of(cpu, A, edges), b, x, np.empty_like(b), 1.0, False, norms, threshold, 4
    )
    assert taken == 1 and np.linalg.norm(b - A @ x) <= 2 * threshold


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_chunk_does_what_chunks_of_one_do_and_ends_below_the_threshold(cpu, draw, symmetric):
    A, edges = poisson((6, 7)), np.arange(0, 43, 7)
    operand, factors, b = as_csr(cpu, A), factors_of(cpu, A, edges), draw(42, "float64")

    def chunk(x, norms, threshold, steps):
        return cpu.block_sor_chunk(
            operand, edges, factors, b, x, np.empty(42), 1.2, symmetric, norms, threshold, steps
        )

    norms, single, at_once, one_by_one = np.empty(9), np.empty(9), np.zeros(42), np.zeros(42)
    assert chunk(at_once, norms, 0.0, 9) == 9
    for step in range(9):
        chunk(one_by_one, single[step:], 0.0, 1)
    assert at_once.tobytes() == one_by_one.tobytes()
    assert norms.tobytes() == single.tobytes()
    for wanted in range(9):
        threshold = norms[wanted]
        x, found = np.zeros(42), np.full(9, np.nan)
        taken = chunk(x, found, threshold, 9)
        assert taken == 1 + np.argmax(norms <= threshold)
        assert abs(np.linalg.norm(b - A @ x) - found[taken - 1]) <= 1e-13 * np.linalg.norm(b)


def test_a_matrix_without_rows_is_swept(cpu):
    A = cpu.csr(np.zeros(1, np.int32), np.empty(0, np.int32), np.empty(0))
    edges, empty, norms = np.zeros(1, np.int64), np.empty(0), np.full(2, np.nan)
    factors = factors_of(cpu, np.empty((0, 0)), edges)
    assert cpu.block_sor_chunk(A, edges, factors, empty, empty, empty, 1.0, False, norms, -1.0, 2) == 2
    assert np.array_equal(norms, np.zeros(2))
