"""Relaxation: iterates against dense formulas and PyAMG, orderings, blocks, divergence, and every kind of A."""

import numpy as np
import pyamg.relaxation.relaxation as pyamg
import pytest
from scipy import sparse
from small_systems import iterates, poisson, right

from solvers import Status, linalg

every_dtype = pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
EPS = {"f": 1e-5, "F": 1e-5, "d": 1e-12, "D": 1e-12}


def irregular(n=60, dtype="d", seed=0):
    """Sparse, diagonally dominant, not symmetric in pattern nor entries."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) * (rng.uniform(size=(n, n)) < 0.1)
    if np.dtype(dtype).kind == "c":
        A = A * (1 + 0.5j)
    A[n // 2] = 0.1
    np.fill_diagonal(A, 0)
    np.fill_diagonal(A, np.abs(A).sum(axis=1) + 1)
    return A.astype(dtype)


def sweep(A, b, x, omega, rows):
    x = x.copy()
    for i in rows:
        x[i] += omega / A[i, i] * (b[i] - A[i] @ x)
    return x


@every_dtype
@pytest.mark.parametrize("omega", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("ordering", ["natural", "reversed"])
def test_iterates_are_those_of_row_after_row(dtype, omega, symmetric, ordering):
    A, b, x = irregular(dtype=dtype), right(60, dtype), right(60, dtype, 2)
    rows = range(60) if ordering == "natural" else range(59, -1, -1)
    options = dict(omega=omega, symmetric=symmetric, ordering=ordering)
    for ours in iterates(linalg.sor, sparse.csr_array(A), b, x, **options):
        x = sweep(A, b, x, omega, rows)
        x = sweep(A, b, x, omega, reversed(rows)) if symmetric else x
        assert np.linalg.norm(ours - x) <= EPS[dtype] * np.linalg.norm(x)


@every_dtype
def test_iterates_in_natural_order_are_those_of_pyamg(dtype):
    A, b = sparse.csr_array(irregular(dtype=dtype)), right(60, dtype)
    x = np.zeros_like(b)
    for ours in iterates(linalg.sor, A, b, omega=1.3, steps=8):
        pyamg.sor(A, x, b, 1.3)
        assert np.linalg.norm(ours - x) <= EPS[dtype] * np.linalg.norm(x)
    x[:] = 0
    for ours in iterates(linalg.gauss_seidel, A, b, ordering="reversed"):
        pyamg.gauss_seidel(A, x, b, sweep="backward")
        assert np.linalg.norm(ours - x) <= EPS[dtype] * np.linalg.norm(x)
    x[:] = 0
    for ours in iterates(linalg.jacobi, A, b, omega=0.7):
        pyamg.jacobi(A, x, b, omega=0.7)
        assert np.linalg.norm(ours - x) <= EPS[dtype] * np.linalg.norm(x)


def test_reversed_is_sor_of_the_flipped_matrix_bit_for_bit():
    A, b = irregular(), right(60)
    ours = linalg.sor(sparse.csr_array(A), b, omega=1.2, ordering="reversed", rtol=1e-9)
    flipped = linalg.sor(sparse.csr_array(A[::-1, ::-1]), b[::-1].copy(), omega=1.2, rtol=1e-9)
    assert ours.iterations == flipped.iterations
    assert np.allclose(ours.x, flipped.x[::-1], rtol=1e-13)


def test_coloured_sweeps_are_those_of_red_rows_and_then_black_ones():
    A, b = poisson(7, 8), right(56)
    red = (np.arange(7)[:, None] + np.arange(8)).ravel() % 2 == 0
    rows, x = np.concatenate([np.flatnonzero(red), np.flatnonzero(~red)]), np.zeros(56)
    for ours in iterates(linalg.sor, A, b, omega=1.4, ordering="colored"):
        x = sweep(A.toarray(), b, x, 1.4, rows)
        assert np.allclose(ours, x, rtol=1e-13)


@pytest.mark.parametrize("omega", [1.0, 1.4])
def test_lines_as_blocks_are_solved_for_exactly(omega):
    A, b, x = poisson(6, 7), right(42), np.zeros(42)
    full, lines = A.toarray(), np.repeat(np.arange(6), 7)
    for ours in iterates(linalg.sor, A, b, omega=omega, blocks=7):
        for line in range(6):
            rows = np.flatnonzero(lines == line)
            x[rows] += omega * np.linalg.solve(full[np.ix_(rows, rows)], b[rows] - full[rows] @ x)
        assert np.allclose(ours, x, rtol=1e-12)
    given = linalg.sor(A, b, omega=omega, blocks=lines, maxiter=4, rtol=0)
    assert np.array_equal(given.x, ours)


def test_blocks_may_be_scattered_rows_in_any_numbers():
    A, b = irregular(30), right(30)
    labels = np.array([7, -3, 100] * 10)
    x = np.zeros(30)
    for ours in iterates(linalg.sor, A, b, omega=1.0, blocks=labels):
        for label in (-3, 7, 100):
            rows = np.flatnonzero(labels == label)
            inside = sparse.csr_array(A[np.ix_(rows, rows)])
            x[rows] += linalg.incomplete_cholesky(inside, shift=0.0) @ (b[rows] - A[rows] @ x)
        assert np.allclose(ours, x, rtol=1e-11)


def test_lines_along_the_strong_coupling_save_sweeps():
    line = sparse.diags_array([-np.ones(29), 2 * np.ones(30), -np.ones(29)], offsets=[-1, 0, 1])
    A = sparse.csr_array(sparse.kronsum(line, 1e-3 * line))
    b, across = right(900), np.tile(np.arange(30), 30)
    points, along, other = (linalg.sor(A, b, omega=1.0, blocks=each, maxiter=20_000) for each in (None, 30, across))
    assert points.converged and along.converged and other.converged
    assert along.iterations < points.iterations / 20 and other.iterations > points.iterations / 20


def kinds_of(A):
    """The same 5-point matrix in every form that is taken."""
    yield A.toarray()
    yield np.asfortranarray(A.toarray())
    for form in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
        yield A.asformat(form)
    yield sparse.csr_matrix(A)
    yield sparse.bsr_array(A, blocksize=(2, 2))
    yield sparse.csr_array((A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)), shape=A.shape)
    yield linalg.prepare(A)
    yield linalg.prepare(A.toarray())
    yield linalg.stencil((6, 8), [4, -1, -1])
    twice = sparse.coo_array(A)
    halves = np.concatenate([twice.data / 2] * 2), tuple(np.concatenate([index] * 2) for index in twice.coords)
    unsorted = sparse.csr_array(A)
    for i in range(48):
        row = slice(unsorted.indptr[i], unsorted.indptr[i + 1])
        unsorted.data[row], unsorted.indices[row] = unsorted.data[row][::-1].copy(), unsorted.indices[row][::-1].copy()
    unsorted.has_sorted_indices = False
    yield unsorted
    yield sparse.coo_array(halves, shape=A.shape)
    by_row = np.argsort(halves[1][0], kind="stable")
    ends = np.searchsorted(halves[1][0][by_row], np.arange(49))
    yield sparse.csr_array((halves[0][by_row], halves[1][1][by_row], ends), shape=A.shape)


OPTIONS = (
    dict(omega=1.3),
    dict(omega=1.3, symmetric=True),
    dict(omega=1.3, ordering="colored"),
    dict(omega=1.3, blocks=8),
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_kind_of_matrix_gives_the_same_iterates(options):
    A, b = poisson(6, 8), right(48)
    expected = linalg.sor(A, b, **options)
    for same in kinds_of(A):
        if options.get("ordering") == "colored" and getattr(same, "blocksize", (1, 1)) == (2, 2):
            continue  # its stored zeros are couplings, which cost colours
        result = linalg.sor(same, b, **options)
        assert result.iterations == expected.iterations
        assert np.allclose(result.x, expected.x, rtol=1e-12, atol=1e-14)


def test_every_kind_of_matrix_gives_the_same_jacobi_iterates():
    A, b = poisson(6, 8), right(48)
    expected = linalg.jacobi(A, b)
    for same in kinds_of(A):
        assert np.allclose(linalg.jacobi(same, b).x, expected.x, rtol=1e-12, atol=1e-14)


def test_integer_matrices_are_solved_in_float64():
    A = poisson(4, 4).astype(int)
    x, info = linalg.sor(A, np.ones(16, int), omega=1.2)
    assert info == 0 and x.dtype == np.float64


@pytest.mark.parametrize("coupling", [3.0, 1e6])
@pytest.mark.parametrize("x0", [None, [0.2, 0.3]])
@every_dtype
def test_divergence_is_named_and_the_best_iterate_returned(dtype, coupling, x0):
    A, b = np.array([[1.0, coupling], [coupling, 1.0]], dtype), np.ones(2, dtype)
    start = np.zeros(2) if x0 is None else np.array(x0)
    for solve, options in (
        (linalg.gauss_seidel, {}),
        (linalg.sor, dict(omega=1.5, symmetric=True)),
        (linalg.sor, dict(omega=1.0, blocks=1)),
        (linalg.sor, dict(omega="auto")),
        (linalg.jacobi, dict(maxiter=200)),
        (linalg.gauss_seidel, dict(callback=lambda x: None)),
    ):
        result = solve(A, b, x0, **{"maxiter": 1000} | options)
        assert result.status is Status.DIVERGED and result.info == -14, repr(result)
        least = min(np.linalg.norm(b - A @ start), np.linalg.norm(b))
        assert np.isfinite(result.x).all() and np.linalg.norm(b - A @ result.x) <= least * (1 + 1e-5)
        assert abs(result.residual - np.linalg.norm(b - A @ result.x)) <= 1e-5 * result.residual
        assert np.isfinite(result.residuals).all()


def test_the_number_of_right_hand_sides_changes_no_answer():
    A, B = poisson(6, 8), np.stack([right(48, seed=seed) for seed in range(4)], axis=1)
    B[:, 2] = 0
    for options in (*OPTIONS, {}):
        many = linalg.sor(A, B, **options)
        assert many.x.shape == (48, 4) and many.info == 0 and many.iterations[2] == 0
        for j in range(4):
            alone = linalg.sor(A, B[:, j].copy(), **options)
            assert np.array_equal(alone.x, many.x[:, j]) and alone.iterations == many.iterations[j]


def test_b_of_another_layout_is_taken():
    A, B = poisson(6, 8), np.asfortranarray(np.stack([right(48), right(48, seed=3)], axis=1))
    wide = np.zeros((48, 6))
    wide[:, ::3] = B
    ours = linalg.sor(A, wide[:, ::3], omega=1.2)
    assert np.array_equal(ours.x, linalg.sor(A, B.copy("C"), omega=1.2).x)


def test_a_callback_may_stop_and_changes_no_bit():
    A, b, seen = poisson(6, 8), right(48), []
    for options in (*OPTIONS, {}):
        seen.clear()
        plain, watched = linalg.sor(A, b, **options), linalg.sor(A, b, callback=seen.append, **options)
        assert len(seen) == plain.iterations == watched.iterations
        assert plain.x.tobytes() == watched.x.tobytes() == seen[-1].tobytes()
        assert plain.residuals.tobytes() == watched.residuals.tobytes()
        assert len({id(x) for x in seen}) == len(seen)

    def stop(x):
        seen.append(x)
        if len(seen) == 3:
            raise StopIteration

    seen.clear()
    stopped = linalg.sor(A, b, omega=1.3, callback=stop)
    assert stopped.status is Status.STOPPED and stopped.iterations == 3 and np.array_equal(stopped.x, seen[-1])


def test_nothing_of_the_callers_is_written_to():
    A, b, x0 = poisson(6, 8), right(48), right(48, seed=5)
    parts = A.data, A.indices, A.indptr, b, x0
    before = [part.copy() for part in parts]
    for part in parts:
        part.flags.writeable = False
    for options in (*OPTIONS, {}):
        x, _ = linalg.sor(A, b, x0, **options)
        assert not any(np.shares_memory(x, part) for part in parts)
    linalg.jacobi(A, b, x0)
    linalg.ssor_cg(A, b, x0)
    linalg.cg(A, b, M=linalg.incomplete_cholesky(A))
    assert all(np.array_equal(part, copy) for part, copy in zip(parts, before))


@pytest.mark.parametrize("power", [-660, 660])
def test_the_scale_of_the_matrix_changes_no_count(power):
    A, b = poisson(6, 8), right(48)
    for options in (*OPTIONS, {}):
        plain, scaled = linalg.sor(A, b, **options), linalg.sor(A * 2.0**power, b, **options)
        assert np.array_equal(plain.x, scaled.x * 2.0**power) and plain.iterations == scaled.iterations
    plain, scaled = linalg.jacobi(A, b), linalg.jacobi(A * 2.0**power, b)
    assert np.array_equal(plain.x, scaled.x * 2.0**power)


@pytest.mark.parametrize("solve", [linalg.sor, linalg.jacobi, linalg.ssor_cg])
def test_a_diagonal_near_zero_warns_nobody(solve):
    A = sparse.csr_array(np.array([[1e-310, 1.0], [1.0, 2.0]]))
    result = solve(A, np.ones(2), omega=1.0)
    assert not result.converged and np.isfinite(result.x).all()
