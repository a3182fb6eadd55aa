"""The pieces of the multigrid cycle against dense matrices."""

import numpy as np
import pytest
from scipy import sparse

SHAPES = ((1, 7, 9), (1, 16, 12), (5, 6, 7), (4, 4, 4), (1, 1, 11), (1, 9, 1), (3, 1, 5), (2, 30, 41))


def level(cpu, rng, shape, dtype="float64"):
    """A level with random faces, some of them closed, and its dense matrix by a sum over pairs of cells."""
    diagonal, inside = cpu.grid_vector(shape, dtype)
    n, pad = inside.size, (diagonal.size - inside.size) // 2
    faces, A = np.zeros((3, diagonal.size), dtype), np.zeros((n, n))
    index = np.arange(n).reshape(shape)
    for axis in range(3):
        for i, j in zip(
            index.take(range(shape[axis] - 1), axis).ravel(), index.take(range(1, shape[axis]), axis).ravel()
        ):
            w = rng.uniform(0.5, 2) * (rng.random() > 0.2)
            faces[axis, pad + i] = w
            A[i, j] = A[j, i] = -faces[axis, pad + i]
    np.fill_diagonal(A, -A.sum(axis=1) + rng.random(n) * (rng.random(n) > 0.5))
    inside[:] = np.diag(A)
    A[np.diag_indices(n)] = inside
    return cpu.grid_level(shape, faces, diagonal), A


def vector(cpu, shape, values, dtype="float64"):
    whole, inside = cpu.grid_vector(shape, dtype)
    inside[:] = values
    return whole, inside


def dense(cpu, shape, result_shape, apply):
    """The matrix of a linear map between two grids."""
    columns = []
    for e in np.eye(np.prod(shape)):
        y, inside = cpu.grid_vector(result_shape, "float64")
        apply(vector(cpu, shape, e)[0], y)
        columns.append(inside.copy())
    return np.array(columns).T


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_residuals_and_smoothing_steps_are_those_of_the_matrix(cpu, rng, shape, real):
    L, A = level(cpu, rng, shape, real)
    n, eps = A.shape[0], 50 * np.finfo(real).eps
    (x, xi), (r, ri), (y, yi) = (vector(cpu, shape, rng.standard_normal(n), real) for _ in range(3))
    d = np.diag(A)
    inverse = np.divide(1, d, out=np.zeros(n), where=d > 0)
    cpu.grid_product(L, x, y)
    np.testing.assert_allclose(yi, A @ xi, atol=eps)
    cpu.grid_residual(L, r, x, y)
    np.testing.assert_allclose(yi, ri - A @ xi, atol=eps)
    cpu.grid_smooth(L, 0.7, r, x, y)
    np.testing.assert_allclose(yi, xi + 0.7 * inverse * (ri - A @ xi), atol=10 * eps)
    cpu.grid_start(L, 0.7, r, y)
    np.testing.assert_allclose(yi, 0.7 * inverse * ri, atol=10 * eps)
    assert not y[: L.pad].any() and not y[L.pad + n :].any()


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_what_enters_and_leaves_is_scaled_on_the_cells_that_take_part(cpu, rng, real):
    L, A = level(cpu, rng, (2, 30, 41), real)
    L.inverse[L.pad + 7] = 0
    r, inside = rng.standard_normal(A.shape[0]), np.arange(A.shape[0]) != 7
    (s, si), z = cpu.grid_vector(L.shape, real), np.full(r.size, np.nan)
    cpu.grid_enter(L, 0.3, r, s)
    np.testing.assert_allclose(si, 0.3 * r * inside, rtol=np.finfo(real).eps)
    si[7] = 3.0
    cpu.grid_leave(L, 5.0, s, z)
    np.testing.assert_allclose(z, 5.0 * si.astype(float) * inside, rtol=1e-15)


def test_means_are_taken_from_sets_of_cells(cpu, rng):
    cells, v = rng.permutation(50)[:40].astype(np.int32), rng.standard_normal(50)
    want = v.copy()
    for one in (cells[:25], cells[25:]):
        want[one] -= want[one].mean()
    edges, first, last = (np.array(each, np.int32) for each in ([0, 10, 20, 25, 40], [0, 0, 0, 3], [3, 3, 3, 4]))
    cpu.subtract_means(cells, edges, first, last, v)
    np.testing.assert_allclose(v, want, atol=1e-15)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_coarse_operator_is_that_of_sums_over_aggregates(cpu, rng, shape):
    L, A = level(cpu, rng, shape)
    C = cpu.grid_coarsen(L)
    P = dense(cpu, C.shape, shape, lambda v, out: cpu.grid_prolong(L, C, 0.0, 1.0, v, out))
    assert (P.sum(axis=1) == 1).all() and set(P.ravel()) == {0.0, 1.0}
    coarse = dense(cpu, C.shape, C.shape, lambda v, out: cpu.grid_product(C, v, out))
    np.testing.assert_allclose(coarse, P.T @ A @ P, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("g", [0.0, 0.25, -0.7])
def test_restriction_is_the_transpose_of_prolongation_and_constants_are_kept(cpu, rng, shape, g):
    L, _ = level(cpu, rng, shape)
    C = cpu.grid_coarsen(L)
    P = dense(cpu, C.shape, shape, lambda v, out: cpu.grid_prolong(L, C, g, 1.0, v, out))
    R = dense(cpu, shape, C.shape, lambda v, out: cpu.grid_restrict(L, C, g, v, out))
    np.testing.assert_allclose(R, P.T, atol=1e-15)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-14)


def test_prolongation_with_a_quarter_is_linear_interpolation_inside_a_uniform_grid(cpu):
    shape = (1, 1, 16)
    diagonal, inside = cpu.grid_vector(shape, "float64")
    faces = np.zeros((3, diagonal.size))
    pad = (diagonal.size - 16) // 2
    faces[2, pad : pad + 15], inside[:] = 1, 2
    L = cpu.grid_level(shape, faces, diagonal)
    C = cpu.grid_coarsen(L)
    (xc, _), (x, xi) = vector(cpu, C.shape, 2 * np.arange(8) + 0.5), cpu.grid_vector(shape, "float64")
    cpu.grid_prolong(L, C, 0.25, 3.0, xc, x)
    np.testing.assert_allclose(xi[1:-1], 3.0 * np.arange(1, 15), atol=1e-14)


def test_a_matrix_is_read_into_the_faces_it_was_made_of(cpu, rng):
    for shape in SHAPES:
        L, A = level(cpu, rng, shape)
        S = sparse.csr_array(A)
        diagonal, _ = cpu.grid_vector(shape, "float64")
        faces = np.zeros((3, diagonal.size))
        assert cpu.grid_faces(S.indptr, S.indices, S.data, shape, 1e-13, faces, diagonal) == (-1, -1)
        assert np.array_equal(faces, L.faces) and np.array_equal(diagonal, L.diagonal)


@pytest.mark.parametrize(
    "entry, value", [((3, 20), -1.0), ((3, 4), -1.5), ((7, 8), -0.5), ((5, 5), 0.1), ((5, 6), 1.0)]
)
def test_the_first_entry_that_does_not_fit_is_told(cpu, entry, value):
    A = sparse.lil_array(sparse.kronsum(*[sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(8, 8))] * 2))
    A[entry] = value
    S = sparse.csr_array(A)
    diagonal, _ = cpu.grid_vector((1, 8, 8), "float64")
    found = cpu.grid_faces(S.indptr, S.indices, S.data, (1, 8, 8), 1e-13, np.zeros((3, diagonal.size)), diagonal)
    assert found in (entry, entry[::-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_components_are_those_of_the_graph_of_faces(cpu, rng, shape):
    L, A = level(cpu, rng, shape)
    number, labels = sparse.csgraph.connected_components(A, directed=False)
    first = cpu.grid_components(L)
    assert len(np.unique(first)) == number
    assert (labels[first] == labels).all() and (first <= np.arange(first.size)).all()


def test_threads_do_not_change_a_bit_of_the_cycle(cpu, rng, threads):
    shape = (1, 601, 700)
    diagonal, inside = cpu.grid_vector(shape, "float64")
    pad = (diagonal.size - inside.size) // 2
    faces = np.zeros((3, diagonal.size))
    faces[1:, pad : pad + inside.size] = rng.random((2, inside.size))
    faces[2, pad : pad + inside.size].reshape(601, 700)[:, -1] = 0
    faces[1, pad : pad + inside.size].reshape(601, 700)[-1] = 0
    inside[:] = 4
    L = cpu.grid_level(shape, faces, diagonal)
    C = cpu.grid_coarsen(L)
    r, x = (vector(cpu, shape, rng.standard_normal(inside.size))[0] for _ in range(2))
    answers = []
    for n in (1, 2, 3):
        threads(n)
        (y, _), (z, _), (rc, _) = (cpu.grid_vector(s, "float64") for s in (shape, shape, C.shape))
        cpu.grid_product(L, x, y)
        cpu.grid_smooth(L, 0.6, r, x, z)
        cpu.grid_restrict(L, C, 0.2, r, rc)
        cpu.grid_prolong(L, C, 0.2, 2.0, rc, z)
        cpu.grid_residual(L, z, x, y)
        answers.append((y.tobytes(), z.tobytes(), rc.tobytes()))
    assert answers[0] == answers[1] == answers[2]
