"""Products and residuals against sums over triplets in plain NumPy."""

import inspect

import numpy as np
import pytest

# A block has 512 rows.
SIZES = (1, 2, 5, 511, 512, 513, 5000)
BANDS = {
    "tridiagonal": (-1, 0, 1),
    "no diagonal below": (0, 3),
    "only below, beyond a block": (-3000, -2, -1),
    "far on both sides": (-4999, -2100, 0, 1, 2100),
    "only above": (1, 2048),
}
GRIDS = ((1,), (7,), (2049,), (1, 5), (5, 1), (1, 1, 1), (3, 4, 5), (50, 41), (1, 1, 2100), (2100, 1, 1), (17, 13, 11))


def product(m, x):
    """A x, and |A| |x|, in double precision."""
    wide = np.result_type(x.dtype, np.float64)
    terms = m.value.astype(wide) * x[m.column]
    y, size = np.zeros(m.n, wide), np.zeros(m.n)
    np.add.at(y, m.row, terms)
    np.add.at(size, m.row, np.abs(terms))
    return y, size


def assert_product(cpu, m, x):
    y = np.full_like(x, np.nan)
    cpu.matvec(m.operand, x, y)
    expected, size = product(m, x)
    most = np.bincount(m.row, minlength=m.n).max()
    assert (np.abs(y - expected) <= (most + 4) * np.finfo(x.dtype).eps * size).all()


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("n", SIZES)
def test_a_csr_product_is_the_sum_over_its_entries(cpu, matrices, draw, dtype, n, index):
    assert_product(cpu, matrices.sparse(n, dtype, index), draw(n, dtype))


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("n", SIZES)
def test_a_product_by_diagonals_is_the_sum_over_its_entries(cpu, matrices, draw, dtype, n, band):
    if not any(abs(k) < n for k in BANDS[band]):
        return  # the matrix has none of these diagonals
    assert_product(cpu, matrices.banded(n, dtype, BANDS[band]), draw(n, dtype))


@pytest.mark.parametrize("n", SIZES[:-1])  # at 5000 a complex array takes 400 MB and shows nothing new
def test_a_dense_product_is_the_sum_over_its_entries(cpu, matrices, draw, dtype, n):
    m, x = matrices.dense(n, dtype), draw(n, dtype)
    y = np.full_like(x, np.nan)
    cpu.matvec(m.operand, x, y)
    A = m.operand.array
    assert (np.abs(y - A @ x) <= (2 * n + 4) * np.finfo(dtype).eps * (np.abs(A) @ np.abs(x))).all()


@pytest.mark.parametrize("shape", GRIDS, ids=str)
def test_a_stencil_product_is_the_sum_over_the_neighbours(cpu, matrices, draw, dtype, shape):
    m = matrices.stencil(shape, dtype)
    assert_product(cpu, m, draw(m.n, dtype))


def test_an_empty_system_has_an_empty_product(cpu):
    A = cpu.csr(np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0))
    y = np.empty(0)
    cpu.matvec(A, np.empty(0), y)
    assert cpu.residual(A, np.empty(0), np.empty(0), y) == 0.0


@pytest.mark.parametrize("kind", ["sparse", "banded", "dense", "stencil"])
def test_the_residual_is_b_minus_the_product_and_its_norm(cpu, matrices, draw, dtype, kind):
    n = 300 if kind == "dense" else 2049
    argument = {"banded": [(-700, -1, 0, 5)], "stencil": []}.get(kind, [])
    m = matrices.stencil((3, 683), dtype) if kind == "stencil" else getattr(matrices, kind)(n, dtype, *argument)
    x, b = draw(m.n, dtype), draw(m.n, dtype)
    r = np.full_like(x, np.nan)
    norm = cpu.residual(m.operand, x, b, r)
    expected, size = product(m, x)
    expected = b - expected
    bound = (m.n + 4) * np.finfo(np.float64).eps * (size + np.abs(b))
    assert (np.abs(r - expected) <= bound + np.finfo(dtype).eps * np.abs(expected)).all()
    assert norm == pytest.approx(np.linalg.norm(expected), rel=1e-12)


@pytest.mark.parametrize("kind", ["sparse", "banded", "dense", "stencil"])
def test_relaxation_and_subtraction_are_their_formulas(cpu, matrices, draw, dtype, kind):
    n = 300 if kind == "dense" else 2049
    argument = {"banded": [(-700, -1, 0, 5)], "stencil": []}.get(kind, [])
    m = matrices.stencil((3, 683), dtype) if kind == "stencil" else getattr(matrices, kind)(n, dtype, *argument)
    x, b, d = draw(m.n, dtype), draw(m.n, dtype), draw(m.n, np.finfo(dtype).dtype)
    y = np.full_like(x, np.nan)
    expected, size = product(m, x)
    bound = (m.n + 4) * np.finfo(dtype).eps * (size + np.abs(b) + np.abs(x))
    cpu.relax(m.operand, d, 0.7, b, x, y)
    assert (np.abs(y - (x + 0.7 * d * (b - expected))) <= bound * (1 + np.abs(d))).all()
    y[:] = b
    cpu.subtract_product(m.operand, x, y, y)
    assert (np.abs(y - (b - expected)) <= bound).all()


@pytest.mark.parametrize("shape", [(3, 1100), (1100, 3), (1, 1), (700, 0)], ids=str)
def test_a_csr_matrix_need_not_be_square(cpu, threads, draw, dtype, shape):
    A = draw(shape, dtype)
    indptr, indices = np.arange(0, A.size + 1, shape[1]) if A.size else np.zeros(shape[0] + 1), np.indices(shape)[1]
    operand = cpu.csr(indptr.astype(np.int32), indices.ravel().astype(np.int32), A.ravel())
    x, b, y = draw(shape[1], dtype), draw(shape[0], dtype), np.full(shape[0], np.nan, dtype)
    bound = 100 * np.finfo(dtype).eps * (np.abs(A) @ np.abs(x) + 1)
    cpu.matvec(operand, x, y)
    assert (np.abs(y - A @ x) <= bound).all()
    cpu.subtract_product(operand, x, b, y)
    assert (np.abs(y - (b - A @ x)) <= bound + 4 * np.finfo(dtype).eps * np.abs(b)).all()


@pytest.mark.parametrize("kind", ["csr", "diagonals", "dense", "stencil"])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_the_residual_of_a_single_precision_system_is_accumulated_in_double(cpu, matrices, draw, dtype, kind):
    n = 600
    m = matrices.tridiagonal(n, dtype)
    if kind == "csr":
        order = np.argsort(m.row, kind="stable")
        indptr = np.searchsorted(m.row[order], np.arange(n + 1)).astype(np.int32)
        m.operand = cpu.csr(indptr, m.column[order].astype(np.int32), m.value[order])
    elif kind == "dense":
        A = np.zeros((n, n), dtype)
        A[m.row, m.column] = m.value
        m.operand = cpu.dense(A)
    elif kind == "stencil":
        m = matrices.stencil((20, 30), dtype)
    x = draw(n, dtype)
    b = product(m, x)[0].astype(dtype)  # so that b - A x is all rounding
    r, y = np.empty(n, dtype), np.empty(n, dtype)
    norm = cpu.residual(m.operand, x, b, r)
    expected = b - product(m, x)[0]
    assert np.linalg.norm(r - expected) <= 1e-7 * np.linalg.norm(expected)
    assert norm == pytest.approx(np.linalg.norm(expected), rel=1e-7)
    cpu.matvec(m.operand, x, y)
    assert np.linalg.norm((b - y) - expected) > 1e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("band", BANDS)
def test_storage_by_diagonals_keeps_every_entry(cpu, matrices, draw, dtype, band):
    m = matrices.banded(5000, dtype, BANDS[band])
    indptr = np.searchsorted(m.row, np.arange(m.n + 1)).astype(np.int32)
    given = cpu.csr(indptr, m.column.astype(np.int32), m.value)
    stored = cpu.diagonals(given)
    if band in ("tridiagonal", "no diagonal below"):  # full ones; the others may stay as they are
        assert isinstance(stored, cpu.Diagonals)
    if stored is not given:
        assert np.array_equal(stored.offsets, m.operand.offsets)
        assert np.array_equal(stored.data, m.operand.data)


def test_storage_by_diagonals_adds_up_entries_in_any_order_and_given_twice(cpu):
    # 400 blocks of [[5, 2, 0], [32, 16, 8], [0, 128, 64]], the 5 given as 1 + 4.
    counts, indices = np.tile([3, 3, 2], 400), [1, 0, 0, 2, 1, 0, 2, 1] + 3 * np.arange(400)[:, None]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    A = cpu.diagonals(cpu.csr(indptr, indices.ravel().astype(np.int32), np.tile([2.0, 1, 4, 8, 16, 32, 64, 128], 400)))
    assert A.offsets.tolist() == [-1, 0, 1]
    assert A.data[:, :3].tolist() == [[0, 32, 128], [5, 16, 64], [2, 8, 0]]
    assert np.array_equal(A.data, np.tile(A.data[:, :3], 400))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize(
    "indptr, indices",
    [
        ([0, 1, 2], [0, 2]),
        ([0, 1, 2], [0, -1]),
        ([0, 2, 1], [0, 1]),
        ([1, 1, 2], [0, 1]),
        ([0, 1, 3], [0, 1]),
        ([0, 1, 1], [0, 1]),
        ([0, -1, 2], [0, 1]),
    ],
    ids=["column n", "column -1", "falling", "starts at 1", "too long", "too short", "negative"],
)
def test_index_arrays_that_reach_outside_are_not_valid(cpu, indptr, indices, index):
    assert not cpu.is_valid_csr(np.array(indptr, index), np.array(indices, index), 2)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("indptr, indices", [([0], []), ([0, 0], []), ([0, 1, 2], [1, 0]), ([0, 0, 3], [1, 0, 1])])
def test_index_arrays_in_any_order_and_with_repeats_are_valid(cpu, indptr, indices, index):
    assert cpu.is_valid_csr(np.array(indptr, index), np.array(indices, index), len(indices))


def test_a_csr_operand_shares_the_arrays_it_is_given(cpu):
    indptr, indices, data = np.array([0, 1], np.int32), np.array([0], np.int32), np.ones(1)
    A = cpu.csr(indptr, indices, data)
    assert all(np.shares_memory(mine, given) for mine, given in zip(A, (indptr, indices, data), strict=True))


@pytest.mark.parametrize("kind", ["sparse", "tridiagonal", "stencil", "dense"])
def test_threads_do_not_change_a_bit_of_products_and_residuals(cpu, matrices, draw, threads, kind):
    if kind == "stencil":
        m = matrices.stencil((400, 500), "float64")
    else:
        m = getattr(matrices, kind)(2500 if kind == "dense" else 200_000, "float64")
    x, b = draw(m.n, "float64"), draw(m.n, "float64")
    answers = []
    for n in (1, 2, 3):
        threads(n)
        y, r = np.empty(m.n), np.empty(m.n)
        cpu.matvec(m.operand, x, y)
        answers.append((y.tobytes(), cpu.residual(m.operand, x, b, r), r.tobytes()))
    assert answers[0] == answers[1] == answers[2]


# What another backend has to offer, name by name.
SIGNATURES = {
    "CSR": "(indptr, indices, data)",
    "CostMatrix": "(C)",
    "Dense": "(array)",
    "Diagonals": "(offsets, data)",
    "GridLevel": "(shape, pad, diagonal, inverse, faces, weights)",
    "LANES": "int",
    "MOST_ENTRIES": "int",
    "PointCosts": "(X, Y, power)",
    "Scaling": "(K, u, v)",
    "Stencil": "(shape, weights)",
    "Sweep": "(lower, upper, diagonal, inverse, edges, first)",
    "axpy": "(alpha, x, y)",
    "back_projection": "(views, pixel, Y, X)",
    "block_sor_chunk": "(A, edges, factors, b, x, y, omega, symmetric, norms, threshold, steps)",
    "cg_chunk": "(A, d, x, r, p, q, scalars, norms, threshold, steps)",
    "cg_chunk_many": "(A, d, X, R, P, Q, scalars, norms, thresholds, states, counts, steps)",
    "combine": "(h, V, w)",
    "copy_to_device": "(values, dtype)",
    "csr": "(indptr, indices, data)",
    "dense": "(array)",
    "device_id": "()",
    "device_of": "(array)",
    "diagonal": "(A, order)",
    "diagonals": "(A)",
    "difference": "(b, y, r)",
    "empty": "(shape, dtype)",
    "gather": "(x, order, y)",
    "grid_coarsen": "(L)",
    "grid_components": "(L)",
    "grid_enter": "(L, factor, r, s)",
    "grid_faces": "(indptr, indices, data, shape, tolerance, faces, diagonal)",
    "grid_leave": "(L, factor, s, z)",
    "grid_level": "(shape, faces, diagonal)",
    "grid_product": "(L, x, y)",
    "grid_prolong": "(L, C, g, c, xc, x)",
    "grid_residual": "(L, r, x, y)",
    "grid_restrict": "(L, C, g, r, rc)",
    "grid_smooth": "(L, w, r, x, y)",
    "grid_start": "(L, w, r, y)",
    "grid_vector": "(shape, dtype)",
    "ilu0": "(S, shift, relaxation)",
    "inner": "(p, q)",
    "is_ready": "(array)",
    "is_valid_csr": "(indptr, indices, nnz)",
    "jacobi_chunk": "(A, inverse, b, x, y, omega, norms, threshold, steps)",
    "judge": "(re, im, size, sign, imaginary_share)",
    "largest": "(v)",
    "line_integrals": "(views, pixel, X, Y)",
    "log_chunk": "(cost, inv_eps, a, b, u, v, omega, errors, threshold, steps)",
    "log_chunk_many": "(C, inv_eps, a, b, u, v, which, omega, errors, thresholds, steps, taken)",
    "log_sums": "(cost, inv_eps, v, out)",
    "log_sums_columns": "(cost, inv_eps, u, out)",
    "lsmr_chunk": "(A, by_rows, u, v, h, hbar, x, q, rule, scalars, norms, steps)",
    "lsqr_chunk": "(A, by_rows, u, v, w, x, q, rule, scalars, norms, steps)",
    "marginals": "(cost, inv_eps, u, v, rows, columns)",
    "marginals_many": "(C, inv_eps, u, v, which, rows, columns, values)",
    "matvec": "(A, x, y)",
    "multiply": "(d, x, y)",
    "order_by_colours": "(indptr, indices, transposed_indptr, transposed_indices)",
    "order_by_levels": "(indptr, indices)",
    "plan": "(cost, inv_eps, u, v, P)",
    "fit_rows": "(known, V, ridge, U, misfits)",
    "improve_rows": "(known, V, ridge, steps, U, misfits)",
    "point_gradients": "(cost, inv_eps, u, v, dX, dY)",
    "project": "(V, w)",
    "reciprocal": "(x, y)",
    "relax": "(A, d, omega, b, x, y)",
    "residual": "(A, x, b, r)",
    "scale": "(alpha, x, y)",
    "scaling": "(cost, inv_eps, u, v)",
    "scaling_chunk": "(cost, inv_eps, a, b, u, v, S, errors, threshold, steps)",
    "scatter": "(x, order, y)",
    "sliced_gradients": "(X, Y, a, b, directions, weights, p, out, dX, dY)",
    "sliced_powers": "(X, Y, a, b, directions, p, out)",
    "sor_chunk": "(S, b, x, y, omega, norms, threshold, steps)",
    "sorted_powers": "(x, y, i, j, a, b, p, out)",
    "sorted_projections": "(X, directions, out, index)",
    "split_rows": "(indptr, indices, order)",
    "ssor_cg_chunk": "(S, omega, x, s, t, p, u, scalars, norms, threshold, steps)",
    "ssor_cg_start": "(S, omega, r, s, t)",
    "ssor_chunk": "(S, b, x, y, omega, norms, threshold, steps)",
    "ssor_solve": "(S, omega, r, z)",
    "stencil": "(shape, weights)",
    "step_direction": "(z, beta, p)",
    "step_iterate": "(alpha, p, q, x, r)",
    "subtract_means": "(cells, edges, first, last, v)",
    "subtract_product": "(A, x, b, y)",
    "sweep": "(lower, upper, diagonal, stages)",
    "sweep_from": "(S, dtype)",
    "threshold_plan": "(cost, inv_eps, u, v, cut)",
    "to_device": "(values, dtype)",
    "to_host": "(array)",
    "unbalanced_chunk": (
        "(cost, inv_eps, log_a, log_b, row_give, column_give, log_slack, u, v, slack, errors, threshold, steps)"
    ),
    "variation_gap": "(V, weights, which, P, X)",
    "variation_step": "(V, weights, steps, momentum, which, P, R, S)",
    "zeros": "(shape, dtype)",
}


def test_the_public_kernels_and_their_signatures_are_those_listed(cpu):
    public = {name: getattr(cpu, name) for name in cpu.__all__}
    shown = {
        name: str(inspect.signature(value)) if callable(value) else type(value).__name__
        for name, value in public.items()
    }
    assert shown == SIGNATURES


def test_every_public_function_of_a_kernel_module_says_what_it_does(cpu):
    functions = [getattr(cpu, name) for name in cpu.__all__ if name.islower()]
    assert [f.__name__ for f in functions if not (f.__doc__ or "").strip()] == []
