"""Grid operators and the pieces of their multigrid cycle on the emulated device, beside dense matrices and the CPU."""


import numpy as np
import pytest
from scipy import sparse
from solvers.kernels import cpu

SHAPES = ((1, 7, 9), (5, 6, 7), (1, 1, 11), (3, 1, 5), (1, 16, 12))


def given(shape, seed=0):
    """Faces, some of them closed, and a diagonal, with margins, in NumPy; the dense matrix; which cells take part."""
    rng = np.random.default_rng(seed)
    n, pad = int(np.prod(shape)), cpu.grid_vector(shape, "float64")[0].size
    pad = (pad - n) // 2
    faces, diagonal, A = np.zeros((3, n + 2 * pad)), np.zeros(n + 2 * pad), np.zeros((n, n))
    cells = np.arange(n).reshape(shape)
    for axis in range(3):
        for i, j in zip(*(np.delete(cells, end, axis).ravel() for end in (-1, 0))):
            faces[axis, pad + i] = A[i, j] = A[j, i] = rng.uniform(0.5, 2) * (rng.random() > 0.2)
    A[0] = A[:, 0] = 0  # a solid cell
    faces[:, pad] = 0
    diagonal[pad : pad + n] = (A.sum(axis=1) + rng.random(n) * (rng.random(n) > 0.5)) * (np.arange(n) > 0)
    return faces, diagonal, np.diag(diagonal[pad : pad + n]) - A


def levels(kernels, shape, dtype="float64"):
    faces, diagonal, _ = given(shape)
    L = kernels.grid_level(shape, *(kernels.copy_to_device(each, each.dtype) for each in (faces, diagonal)))
    return [
        each._replace(**{name: kernels.copy_to_device(getattr(each, name), dtype) for name in each._fields[2:]})
        for each in (L, kernels.grid_coarsen(L))
    ]


def vector(kernels, L, seed):
    whole, inside = kernels.grid_vector(L.shape, L.diagonal.dtype)
    values = np.random.default_rng(seed).standard_normal(inside.size).astype(inside.dtype)
    if kernels is not cpu:
        whole.fill(np.nan)  # margins are not read
    inside[...] = kernels.copy_to_device(values, values.dtype)
    return whole, values.astype(np.float64)


def cells_of(kernels, L, whole):
    return kernels.to_host(whole)[L.pad : -L.pad].astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_levels_are_those_of_the_cpu_to_the_bit(either, gpu, shape):
    for ours, theirs in zip(levels(gpu, shape), levels(cpu, shape)):
        assert ours.shape == theirs.shape and ours.pad == theirs.pad
        for name in ours._fields[2:]:
            assert np.array_equal(gpu.to_host(getattr(ours, name)), getattr(theirs, name)), name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_residuals_and_smoothing_steps_are_those_of_the_matrix(either, gpu, shape, dtype):
    (L, _), A = levels(gpu, shape, dtype), given(shape)[2]
    (x, xi), (r, ri), (y, _) = (vector(gpu, L, seed) for seed in (1, 2, 3))
    eps, d = 50 * np.finfo(dtype).eps, np.diag(A)
    inverse = np.divide(1, d, out=np.zeros(d.size), where=d > 0)
    for call, want in [
        (lambda: gpu.grid_product(L, x, y), A @ xi),
        (lambda: gpu.grid_residual(L, r, x, y), ri - A @ xi),
        (lambda: gpu.grid_smooth(L, 0.7, r, x, y), xi + 0.7 * inverse * (ri - A @ xi)),
        (lambda: gpu.grid_start(L, 0.7, r, y), 0.7 * inverse * ri),
    ]:
        call()
        np.testing.assert_allclose(cells_of(gpu, L, y), want, rtol=0, atol=eps * np.abs(want).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("g", [0.0, -0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_transfers_are_those_of_the_cpu(either, gpu, shape, g, dtype):
    answers = []
    for kernels in (gpu, cpu):
        L, C = levels(kernels, shape, dtype)
        (r, _), (x, _) = (vector(kernels, L, seed) for seed in (1, 2))
        (rc, _), (xc, _) = (vector(kernels, C, seed) for seed in (3, 4))
        kernels.grid_restrict(L, C, g, r, rc)
        kernels.grid_prolong(L, C, g, 1.7, xc, x)
        answers.append((cells_of(kernels, C, rc), cells_of(kernels, L, x)))
    for ours, theirs in zip(*answers):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=50 * np.finfo(dtype).eps * np.abs(theirs).max())


@pytest.mark.parametrize("of", ["float64", "float32"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_enters_and_leaves_is_scaled_on_the_cells_that_take_part(either, gpu, dtype, of):
    L, _ = levels(gpu, (5, 6, 7), dtype)
    s, _ = vector(gpu, L, 0)
    r = np.random.default_rng(1).standard_normal(210).astype(of)
    z, inside = gpu.copy_to_device(np.full(210, np.nan), of), np.arange(210) > 0
    gpu.grid_enter(L, 0.3, gpu.copy_to_device(r, of), s)
    eps = 2 * np.finfo(np.float32 if "float32" in (dtype, of) else np.float64).eps
    np.testing.assert_allclose(cells_of(gpu, L, s), 0.3 * r * inside, rtol=eps)
    gpu.grid_leave(L, 5.0, s, z)
    assert z.dtype == of
    np.testing.assert_allclose(gpu.to_host(z), 1.5 * r * inside, rtol=2 * eps)


@pytest.mark.parametrize("kernels", ["gpu", "cpu"])
def test_means_are_taken_from_sets_of_cells(request, either, kernels):
    kernels = request.getfixturevalue("gpu") if kernels == "gpu" else cpu
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 500) * (rng.random(500) > 0.2)
    want = rng.standard_normal(500)
    v = kernels.copy_to_device(want, np.float64)
    sets = [np.flatnonzero(labels == k) for k in (1, 2, 3)]
    edges, first, last = [0], [], []
    for one in sets:
        ends = [*range(70, one.size, 70), one.size]
        first, last = first + [len(first)] * len(ends), last + [len(first) + len(ends)] * len(ends)
        edges += (edges[-1] + np.array(ends)).tolist()
        want[one] -= want[one].mean()
    kernels.subtract_means(
        *(kernels.copy_to_device(np.array(each), np.int32) for each in (np.concatenate(sets), edges, first, last)), v
    )
    np.testing.assert_allclose(kernels.to_host(v), want, atol=1e-14)


def read(kernels, A, shape):
    diagonal, _ = kernels.grid_vector(shape, "float64")
    faces = kernels.zeros((3, diagonal.size), np.float64)
    parts = (kernels.copy_to_device(each, each.dtype) for each in (A.indptr, A.indices, A.data))
    found = kernels.grid_faces(*parts, shape, 1e-6, faces, diagonal)
    return found, kernels.to_host(faces), kernels.to_host(diagonal)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_is_read_into_the_faces_it_was_made_of(either, gpu, shape, dtype):
    faces, diagonal, A = given(shape)
    found, ours, d = read(gpu, sparse.csr_array(A.astype(dtype)), shape)
    assert found == (-1, -1)
    assert np.array_equal(ours, faces.astype(dtype)) and np.array_equal(d, diagonal.astype(dtype))


@pytest.mark.parametrize("row, column, value", [
    (3, 20, -1.0), (3, 4, -1.5), (7, 8, -0.5), (5, 5, 0.1), (5, 6, 1.0), (9, 9, np.nan), (9, 10, np.nan),
    (6, 6, np.inf), (63, 62, -9.0),
])  # fmt: skip
def test_the_first_entry_that_does_not_fit_is_the_cpus(either, gpu, row, column, value):
    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(8, 8))
    A = sparse.lil_array(sparse.kronsum(line, line))
    A[row, column] = value
    A[40, 45] = -0.1  # a later one
    A = sparse.csr_array(A)
    assert read(gpu, A, (1, 8, 8))[0] == read(cpu, A, (1, 8, 8))[0] != (-1, -1)
