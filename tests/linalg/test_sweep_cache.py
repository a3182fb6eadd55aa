"""Sorted patterns are kept between calls: what changes between these must be seen, by every thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse

from solvers import linalg
from solvers.linalg import _sweeps

ORDERINGS = ("natural", "reversed", "colored")


def dominant(n, seed, share=0.1):
    """A sparse, symmetric, diagonally dominant matrix with a pattern of its own."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) * (rng.uniform(size=(n, n)) < share)
    A = A + A.T
    np.fill_diagonal(A, np.abs(A).sum(axis=1) + 1)
    return sparse.csr_array(A)


def answers(A, b):
    """What every user of sorted rows says; each checked against the dense solution."""
    expected = np.linalg.solve(A.toarray(), b)
    found = [linalg.sor(A, b, omega=1.1, ordering=ordering, rtol=1e-11).x for ordering in ORDERINGS]
    found.append(linalg.sor(A, b, omega=1.1, blocks=4, rtol=1e-11).x)
    found.append(linalg.ssor_cg(A, b, omega=1.2, rtol=1e-11).x)
    found.append(linalg.cg(A, b, M=linalg.ssor(A, 1.2, ordering="colored"), rtol=1e-11).x)
    found.append(linalg.cg(A, b, M=linalg.incomplete_cholesky(A), rtol=1e-11).x)
    assert all(np.allclose(x, expected, rtol=1e-9, atol=1e-10) for x in found)
    return [x.tobytes() for x in found]


def test_entries_changed_in_place_are_seen():
    A, b = dominant(40, 0), np.ones(40)
    answers(A, b)
    for _ in range(3):
        A.data *= 1.7
        A.setdiag(A.diagonal() + 0.3)
        answers(A, b)


def test_indices_changed_in_place_are_seen():
    """The same arrays with another pattern: neither identity nor sizes say that it is another one."""
    A, b = dominant(40, 0), np.ones(40)
    answers(A, b)
    rng = np.random.default_rng(1)
    for _ in range(4):
        mixed = rng.permutation(40)
        same = A[mixed][:, mixed]
        same.sort_indices()
        A.indptr[:], A.indices[:], A.data[:] = same.indptr, same.indices, same.data
        answers(A, b)


def test_a_changed_pattern_with_the_same_row_lengths_is_seen():
    """Only ``indices`` differ."""
    n = 12
    first = sparse.csr_array(4 * np.eye(n) - np.roll(np.eye(n), 1, axis=1))
    second = sparse.csr_array(4 * np.eye(n) - np.roll(np.eye(n), 5, axis=1))
    assert np.array_equal(first.indptr, second.indptr)
    for A in (first, second, first, second):
        for ordering in ORDERINGS:
            x = linalg.gauss_seidel(A, np.ones(n), ordering=ordering, rtol=1e-12).x
            assert np.allclose(A @ x, 1.0, atol=1e-10)


def test_more_patterns_than_are_kept_come_round_again():
    systems = [(dominant(30, seed), np.ones(30)) for seed in range(3 * _sweeps._MOST_PATTERNS)]
    before = [answers(A, b) for A, b in systems]
    assert len(_sweeps._patterns) <= _sweeps._MOST_PATTERNS
    assert before == [answers(A, b) for A, b in systems]


def test_a_pattern_is_sorted_once(monkeypatch):
    sorted_patterns = []
    original = _sweeps._new_pattern
    monkeypatch.setattr(_sweeps, "_patterns", [])
    monkeypatch.setattr(_sweeps, "_new_pattern", lambda *given: sorted_patterns.append(given[2]) or original(*given))
    A, b = dominant(40, 5), np.ones((40, 3))
    for _ in range(3):
        A.data *= 1.1
        linalg.sor(A, b, omega=1.0)
        linalg.sor(A.astype("f"), b, omega=1.0, symmetric=True)
        linalg.ssor_cg(A, b)
        linalg.sor(A, b, omega=1.0, ordering="colored")
    assert sorted_patterns == ["natural", "colored"]


def test_what_is_kept_is_not_the_callers_memory():
    A = dominant(40, 6)
    linalg.sor(A, np.ones(40), omega=1.0)
    kept = _sweeps._patterns[-1]
    for array in (kept.indptr, kept.indices, kept.order, *kept.lower, *kept.upper):
        assert not any(np.shares_memory(array, theirs) for theirs in (A.indptr, A.indices, A.data))


def test_threads_that_share_the_cache_give_the_answers_of_one():
    """More patterns than are kept, so that threads put in and take out all the while."""
    systems = [(dominant(30, seed % 6), np.full(30, 1.0 + seed)) for seed in range(24)]
    expected = [answers(A, b) for A, b in systems]
    start = threading.Barrier(4)

    def work(number):
        start.wait()
        return [answers(*systems[i]) for i in range(number, 24, 4)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    assert all(found[i % 4][i // 4] == expected[i] for i in range(24))


def test_threads_may_share_a_prepared_matrix_and_a_preconditioner():
    A = dominant(60, 9)
    prepared, M, b = linalg.prepare(A), linalg.ssor(A, 1.3), np.arange(60.0)
    expected = [linalg.sor(A, b, omega=1.2).x, linalg.cg(A, b, M=M).x, linalg.cg(A, b * 1j, M=M).x]
    fresh = linalg.ssor(A, 1.3)

    def work(_):
        return [linalg.sor(prepared, b, omega=1.2).x, linalg.cg(A, b, M=fresh).x, linalg.cg(A, b * 1j, M=fresh).x]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(8)):
            assert all(np.array_equal(x, y) for x, y in zip(found, expected))


@pytest.mark.parametrize("solve", [linalg.sor, linalg.ssor_cg])
def test_a_prepared_matrix_is_a_copy(solve):
    A, b = dominant(40, 0), np.ones(40)
    for form in (A, A.toarray()):
        prepared = linalg.prepare(form)
        before = solve(prepared, b, omega=1.1).x
        (form.data if sparse.issparse(form) else form)[:] *= 3.0
        assert np.array_equal(solve(prepared, b, omega=1.1).x, before)
        assert np.allclose(solve(prepared, b.astype(complex), omega=1.1).x, before, rtol=1e-12)


def test_int64_and_int32_indices_share_a_pattern_and_an_answer():
    A, b = dominant(40, 3), np.ones(40)
    wide = sparse.csr_array((A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)), shape=A.shape)
    assert wide.indices.dtype == np.int64
    assert answers(A, b) == answers(wide, b) == answers(A, b)
