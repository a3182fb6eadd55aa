"""Rows sorted into stages, and sweeps over them, against plain formulas."""

import numpy as np
import pytest
from sorted_rows import as_csr, as_dense, bound, chain, dominant, order_of, poisson, relaxed, sort_rows

ORDERINGS = ("levels", "colours")
both = pytest.mark.parametrize("ordering", ORDERINGS)


def stage_of(order, stages):
    """The stage of each row, and its place."""
    place = np.empty(order.size, int)
    place[order] = np.arange(order.size)
    return np.searchsorted(stages, place, side="right") - 1, place


def coupled(A):
    """The pairs i < j with an entry in either direction."""
    i, j = np.nonzero((A != 0) | (A != 0).T)
    return i[i < j], j[i < j]


def patterns(rng):
    """Dense matrices whose patterns differ in kind: random and not symmetric, one-sided, full rows, grids, none."""
    yield dominant(40, "float64", rng)
    yield np.triu(dominant(40, "float64", rng, 0.1))
    yield dominant(25, "float64", rng, 1.0)
    yield np.eye(7)
    yield np.ones((1, 1))
    yield poisson((6, 7))
    arrow = np.eye(30)
    arrow[0] = arrow[:, 0] = arrow[17] = 1.0
    yield arrow


@both
def test_stages_hold_each_row_once_and_no_two_that_are_coupled(cpu, rng, ordering):
    for A in patterns(rng):
        order, stages = order_of(cpu, as_csr(cpu, A, rng), ordering)
        assert order.dtype == stages.dtype == np.int64
        assert np.array_equal(np.sort(order), np.arange(len(A)))
        assert stages[0] == 0 and stages[-1] == len(A) and np.all(np.diff(stages) > 0)
        stage, _ = stage_of(order, stages)
        i, j = coupled(A)
        assert np.all(stage[i] != stage[j])


def test_levels_keep_the_natural_order_of_rows_coupled_in_either_direction(cpu, rng):
    for A in patterns(rng):
        order, stages = order_of(cpu, as_csr(cpu, A, rng), "levels")
        stage, place = stage_of(order, stages)
        i, j = coupled(A)
        assert np.all(stage[i] < stage[j]) and np.all(place[i] < place[j])


def test_a_level_comes_right_after_the_last_that_it_waits_for(cpu, rng):
    """As few levels as there can be: every row waits for one in the level before."""
    for A in patterns(rng):
        order, stages = order_of(cpu, as_csr(cpu, A, rng), "levels")
        stage, _ = stage_of(order, stages)
        i, j = coupled(A)
        longest = np.full(len(A), -1)
        np.maximum.at(longest, j, stage[i])
        assert np.array_equal(stage, longest + 1)


def test_rows_of_a_stage_are_in_ascending_order(cpu, rng):
    for A in patterns(rng):
        for ordering in ORDERINGS:
            order, stages = order_of(cpu, as_csr(cpu, A, rng), ordering)
            stage, _ = stage_of(order, stages)
            assert np.array_equal(np.lexsort((order, stage[order])), np.arange(len(A)))


def test_a_five_point_grid_has_two_colours_and_a_full_matrix_one_for_each_row(cpu, rng):
    order, stages = order_of(cpu, as_csr(cpu, poisson((6, 7))), "colours")
    red = np.flatnonzero((np.arange(6)[:, None] + np.arange(7)) % 2 == 0)
    assert stages.size == 3 and np.array_equal(order[: stages[1]], red)
    assert order_of(cpu, as_csr(cpu, np.ones((9, 9))), "colours")[1].size == 10


@pytest.mark.parametrize("index", [np.int32, np.int64])
@both
def test_triangles_and_diagonal_are_those_of_the_sorted_matrix(cpu, rng, dtype, ordering, index):
    for seed in (None, rng):
        A = dominant(30, dtype, rng)
        S, order = sort_rows(cpu, as_csr(cpu, A, seed, index), ordering)
        sorted_A, near = A[order][:, order], dict(rtol=0, atol=1e-5 * np.abs(A).max())
        assert np.allclose(as_dense(S.lower, 30), np.tril(sorted_A, -1), **near)
        assert np.allclose(as_dense(S.upper, 30), np.triu(sorted_A, 1), **near)
        assert np.allclose(S.diagonal, np.diag(sorted_A), **near) and np.allclose(S.inverse * S.diagonal, 1)
        assert S.lower.data.dtype == S.inverse.dtype == dtype


def test_entries_of_the_triangles_say_where_they_came_from(cpu, rng):
    A = as_csr(cpu, dominant(30, "float64", rng), rng)
    order, _ = order_of(cpu, A, "levels")
    row = np.repeat(np.arange(30), np.diff(A.indptr.astype(int)))
    for ends, columns, entries in cpu.split_rows(A.indptr, A.indices, order):
        assert np.array_equal(order[columns], A.indices[entries])
        assert np.array_equal(order[np.repeat(np.arange(30), np.diff(ends.astype(int)))], row[entries])


def test_a_diagonal_that_is_absent_is_zero_and_one_given_twice_adds_up(cpu):
    A = cpu.csr(np.array([0, 2, 2, 3], np.int32), np.array([0, 0, 2], np.int32), np.array([1.0, 2.0, 5.0]))
    assert np.array_equal(cpu.diagonal(A, np.array([2, 1, 0])), [5.0, 0.0, 3.0])


def test_a_matrix_without_rows_is_sorted_and_swept(cpu):
    S, order = sort_rows(cpu, cpu.csr(np.zeros(1, np.int32), np.empty(0, np.int32), np.empty(0)))
    norms, empty = np.full(3, np.nan), np.empty(0)
    assert order.size == 0
    assert cpu.sor_chunk(S, empty, empty, empty, 1.0, norms, -1.0, 3) == 3
    assert np.array_equal(norms, np.zeros(3))


def test_blocks_of_a_sweep_cover_each_stage_and_stay_within_it(cpu, draw):
    S, _ = sort_rows(cpu, chain(cpu, 5001, "float64"), "colours")
    assert S.edges[0] == 0 and S.edges[-1] == 5001 and np.all(np.diff(S.edges) > 0)
    assert S.edges[S.first].tolist() == [0, 2501, 5001]
    assert np.diff(S.edges).max() <= 512


def plain_iterates(A, b, x, omega, symmetric, steps):
    for _ in range(steps):
        x = relaxed(A, b, x, omega)
        x = relaxed(A, b, x, omega, backward=True) if symmetric else x
        yield x


@pytest.mark.parametrize("omega", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("symmetric", [False, True])
@both
def test_each_iterate_and_its_norm_are_those_of_row_after_row(cpu, rng, draw, dtype, ordering, symmetric, omega):
    """In the natural order for levels, in that of the colours for colours."""
    for n, seed in ((1, None), (30, None), (30, rng)):
        A, b, x = dominant(n, dtype, rng), draw(n, dtype), draw(n, dtype)
        S, order = sort_rows(cpu, as_csr(cpu, A, seed), ordering)
        at = order if ordering == "colours" else np.arange(n)
        wide = np.result_type(dtype, "float64")
        plain = plain_iterates(A[at][:, at].astype(wide), b[at].astype(wide), x[at].astype(wide), omega, symmetric, 6)
        ours, y = x[order], np.full(n, np.nan, dtype)
        chunk = cpu.ssor_chunk if symmetric else cpu.sor_chunk
        for expected in plain:
            norms = np.empty(1)
            assert chunk(S, b[order], ours, y, omega, norms, 0.0, 1) == 1
            back = np.empty_like(x)
            back[order] = ours
            assert np.linalg.norm(back[at] - expected) <= bound(dtype) * np.linalg.norm(expected)
            norm = np.linalg.norm(b[at] - A[at][:, at].astype(wide) @ expected)
            assert abs(norms[0] - norm) <= bound(dtype) * np.linalg.norm(b)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("symmetric", [False, True])
def test_a_chunk_does_what_chunks_of_one_do(cpu, rng, draw, dtype, symmetric, steps):
    A, b, x = dominant(700, dtype, rng, 0.01), draw(700, dtype), draw(700, dtype)
    S, order = sort_rows(cpu, as_csr(cpu, A))
    chunk = cpu.ssor_chunk if symmetric else cpu.sor_chunk
    at_once, one_by_one, norms, single = x.copy(), x.copy(), np.empty(steps), np.empty(steps)
    assert chunk(S, b, at_once, np.empty_like(x), 1.3, norms, 0.0, steps) == steps
    for step in range(steps):
        chunk(S, b, one_by_one, np.empty_like(x), 1.3, single[step:], 0.0, 1)
    assert at_once.tobytes() == one_by_one.tobytes()
    assert norms.tobytes() == single.tobytes()


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_chunk_ends_at_the_first_iterate_below_the_threshold(cpu, rng, draw, symmetric):
    A, b = dominant(60, "float64", rng), draw(60, "float64")
    S, order = sort_rows(cpu, as_csr(cpu, A))
    b, A = b[order], A[order][:, order]
    chunk = cpu.ssor_chunk if symmetric else cpu.sor_chunk
    norms = np.empty(12)
    assert chunk(S, b, np.zeros(60), np.empty(60), 1.1, norms, 0.0, 12) == 12
    for wanted in range(12):
        threshold = norms[wanted]
        x, found = np.zeros(60), np.full(12, np.nan)
        taken = chunk(S, b, x, np.empty(60), 1.1, found, threshold, 12)
        assert taken == 1 + np.argmax(norms <= threshold)
        assert found[taken - 1] <= threshold and np.isnan(found[taken:]).all()
        # The work space is one sweep ahead: what is left in x is the iterate whose norm it was.
        assert abs(np.linalg.norm(b - A @ x) - found[taken - 1]) <= 1e-13 * np.linalg.norm(b)


def test_a_chunk_ends_where_a_norm_is_not_finite(cpu, draw):
    A = as_csr(cpu, np.array([[1.0, 1e200], [1e200, 1.0]]))
    S, _ = sort_rows(cpu, A)
    norms = np.zeros(50)
    taken = cpu.sor_chunk(S, np.ones(2), np.zeros(2), np.empty(2), 1.0, norms, 0.0, 50)
    assert taken < 50 and not np.isfinite(norms[taken - 1]) and not np.any(norms[taken:])


@both
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_number_of_threads_does_not_change_a_bit(cpu, threads, draw, dtype, ordering, symmetric):
    A = chain(cpu, 300_000, dtype)
    if ordering == "levels":  # rows i, 2 i + 1 and 2 i + 2: few levels, with work for several threads
        row = np.arange(1, 200_000)
        rows, columns = np.concatenate([row, [0], row]), np.concatenate([row, [0], (row - 1) // 2])
        at = np.lexsort((columns, rows))
        ends = np.searchsorted(rows[at], np.arange(200_001)).astype(np.int32)
        A = cpu.csr(ends, columns[at].astype(np.int32), np.where(rows == columns, 3.0, -1.0)[at].astype(dtype))
    S, order = sort_rows(cpu, A, ordering)
    assert S.first.size < 20
    b, x = draw(order.size, dtype), draw(order.size, dtype)
    chunk, answers = cpu.ssor_chunk if symmetric else cpu.sor_chunk, set()
    for n in (1, 2, 3):
        threads(n)
        ours, norms = x.copy(), np.empty(5)
        taken = chunk(S, b, ours, np.empty_like(x), 1.2, norms, 0.0, 5)
        answers.add((taken, ours.tobytes(), norms.tobytes()))
    assert len(answers) == 1


def jacobi_operands(cpu, n, dtype, rng):
    A = dominant(n, dtype, rng)
    yield A, as_csr(cpu, A, rng)
    yield A, cpu.dense(A)
    A = chain(cpu, 400, dtype)
    yield as_dense(A, 400), cpu.diagonals(A)
    weights = np.array([9, -1, -1.2, -0.7], dtype)
    yield as_dense_stencil(cpu, (3, 4, 5), weights), cpu.stencil((3, 4, 5), weights)


def as_dense_stencil(cpu, shape, weights):
    n, A = int(np.prod(shape)), np.zeros((np.prod(shape),) * 2, weights.dtype)
    for j, unit in enumerate(np.eye(n, dtype=weights.dtype)):
        column = np.empty(n, weights.dtype)
        cpu.matvec(cpu.stencil(shape, weights), unit, column)
        A[:, j] = column
    return A


def test_jacobi_steps_and_norms_are_those_of_the_formula(cpu, rng, draw, dtype):
    for A, operand in jacobi_operands(cpu, 30, dtype, rng):
        n, wide = len(A), np.result_type(dtype, "float64")
        b, x, inverse = draw(n, dtype), draw(n, dtype), (1 / np.diag(A)).astype(dtype)
        ours, norms, expected = x.copy(), np.empty(5), x.astype(wide)
        assert cpu.jacobi_chunk(operand, inverse, b, ours, np.empty_like(x), 0.8, norms, 0.0, 5) == 5
        for norm in norms:
            expected = expected + 0.8 * (b - A.astype(wide) @ expected) / np.diag(A)
            assert abs(norm - np.linalg.norm(b - A.astype(wide) @ expected)) <= bound(dtype) * np.linalg.norm(b)
        assert np.linalg.norm(ours - expected) <= bound(dtype) * np.linalg.norm(expected)


def test_jacobi_in_chunks_of_one_and_on_any_threads_gives_the_same_bits(cpu, threads, draw, dtype):
    A = cpu.diagonals(chain(cpu, 100_000, dtype))
    b, inverse, answers = draw(100_000, dtype), np.full(100_000, 0.25, dtype), set()
    for n, pieces in ((1, [5]), (2, [5]), (3, [1, 1, 1, 1, 1]), (2, [2, 3])):
        threads(n)
        x, norms = np.zeros_like(b), []
        for steps in pieces:
            part = np.empty(steps)
            cpu.jacobi_chunk(A, inverse, b, x, np.empty_like(b), 0.9, part, 0.0, steps)
            norms.append(part)
        answers.add((x.tobytes(), np.concatenate(norms).tobytes()))
    assert len(answers) == 1


def test_jacobi_ends_at_the_first_iterate_below_the_threshold(cpu, rng, draw):
    A, b = dominant(60, "float64", rng), draw(60, "float64")
    arguments = cpu.dense(A), 1 / np.diag(A), b
    norms = np.empty(9)
    cpu.jacobi_chunk(*arguments, np.zeros(60), np.empty(60), 1.0, norms, 0.0, 9)
    for wanted in range(9):
        x, found = np.zeros(60), np.full(9, np.nan)
        taken = cpu.jacobi_chunk(*arguments, x, np.empty(60), 1.0, found, norms[wanted], 9)
        assert taken == 1 + np.argmax(norms <= norms[wanted])
        assert abs(np.linalg.norm(b - A @ x) - found[taken - 1]) <= 1e-13 * np.linalg.norm(b)
