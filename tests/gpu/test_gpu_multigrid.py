"""The multigrid preconditioner on the (emulated) device: the CPU's iterations and answers."""

import pickle

import numpy as np
import pytest
from emulation import device
from solvers.benchmarks.families import family

import solvers
from solvers import linalg

MG = linalg.MultigridPreconditioner


def on_device(A):
    from cupyx.scipy import sparse

    return sparse.csr_array(A)


def agrees(found, expected, near=1e-10):
    assert found.backend == "gpu" and found.converged and abs(found.iterations - expected.iterations) <= 1
    x = found.x if isinstance(found.x, np.ndarray) else found.x.get()
    assert np.linalg.norm(x - expected.x) <= near * np.linalg.norm(expected.x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name, size, dim", [
    ("obstacles", 32, 2), ("obstacles", 16, 3), ("lognormal", 33, 2), ("free-surface", 9, 3),
])  # fmt: skip
def test_a_solve_on_the_device_is_the_cpus(emulated, name, size, dim, dtype):
    P = family(name, size, dim, 3)
    M = MG.pretrained(f"mg{dim}d-poisson", dtype=dtype)
    there, here = M.setup(on_device(P.A), grid=P.grid), M.setup(P.A, grid=P.grid)
    assert there.choice == here.choice
    found = linalg.cg(on_device(P.A), emulated.asarray(P.b), M=there, rtol=1e-12)
    assert type(found.x).__module__.startswith("cupy")
    agrees(found, linalg.cg(P.A, P.b, M=here, rtol=1e-12))


def test_one_made_of_numpy_serves_on_both_and_is_sent_once(emulated):
    P = family("obstacles", 32, 2, 3)
    M = MG(dtype=np.float32).setup(P.A, grid=P.grid)
    expected = linalg.cg(P.A, P.b, M=M, rtol=1e-12)
    with solvers.backend("gpu"):
        agrees(linalg.cg(P.A, P.b, M=M, rtol=1e-12), expected)
    there, b = on_device(P.A), emulated.asarray(P.b)
    before = device.uploads
    agrees(linalg.cg(there, b, M=M, rtol=1e-12), expected)
    assert device.uploads == before
    agrees(linalg.cg(there, b, M=pickle.loads(pickle.dumps(M)), rtol=1e-12), expected)


@pytest.mark.parametrize("real", ["float32", "float64", "complex64", "complex128"])
def test_products_are_the_cpus_with_solid_cells_lonely_ones_and_walls(emulated, real):
    rng, grid = np.random.default_rng(0), (13, 21)
    mask, side = rng.random(grid) > 0.2, np.zeros(grid)
    mask[:, 10] = False  # the left part floats
    mask[4:7, 4:7] = False
    mask[5, 5], side[5, 5], side[:, -1] = True, 3.0, 1.0
    faces = [rng.random([s - (k == axis) for k, s in enumerate(grid)]) for axis in range(2)]
    M = MG([[0.4, 1.1, 1.7, 0.2]]).setup(faces=faces, mask=mask, boundary=side)
    v = rng.standard_normal(273) + (1j * rng.standard_normal(273) if "complex" in real else 0)
    v = v.astype(real)
    kept, z = emulated.asarray(v), M @ v
    found = M @ kept
    assert found.dtype == real and np.array_equal(kept.get(), v)
    assert np.linalg.norm(found.get() - z) <= 20 * np.finfo(real).eps * np.linalg.norm(z)
    lonely = np.ravel_multi_index((5, 5), grid)
    assert not found.get()[~mask.ravel()].any() and np.isclose(found.get()[lonely], v[lonely] / 3, rtol=1e-6)
    single = MG(M.parameters, dtype=np.float32).setup(faces=faces, mask=mask, boundary=side) @ emulated.asarray(1e3 * v)
    assert np.linalg.norm(single.get() - 1e3 * z) <= 1e-5 * np.linalg.norm(1e3 * z)
    if "complex" not in real:
        expected, y = M.operator @ v.astype(float), M.operator @ kept
        assert np.linalg.norm(y.get() - expected) <= 1e-14 * np.linalg.norm(expected)


def test_between_walls_the_matrix_free_operator_is_solved_with(emulated):
    faces = emulated.ones((62, 50)), emulated.ones((63, 49))
    M = MG.pretrained("mg2d-poisson").setup(faces=faces, mask=emulated.ones((63, 50)) > 0)
    b = np.random.default_rng(0).standard_normal(63 * 50)
    b -= b.mean()
    expected = linalg.cg(M.operator, b, M=M, rtol=1e-10)
    found = linalg.cg(M.operator, emulated.asarray(b), M=M, rtol=1e-10)
    agrees(found, expected)
    assert abs(found.x.get().mean()) < 1e-12


def test_a_matrix_that_does_not_fit_is_refused_there_by_its_first_entry(emulated):
    P = family("obstacles", 32, 2, 3)
    A = P.A.tolil()
    A[40, 45] = A[45, 40] = -1.0
    with pytest.raises(solvers.InvalidInput, match=r"A\[40, 45\] = -1 is not"):
        MG().setup(on_device(A.tocsr()), grid=P.grid)
    with pytest.raises(solvers.UnsupportedType, match="real"):
        MG().setup(on_device(P.A * 1j))
    with solvers.backend("cpu"), pytest.raises(solvers.UnsupportedType, match="lives on the GPU"):
        MG().setup(on_device(P.A))
    assert MG().setup(on_device(P.A)).shape == P.A.shape  # the grid is read from it


def test_a_cycle_asks_the_host_nothing_and_runs_in_its_precision(emulated):
    P = family("obstacles", 32, 2, 3)
    for dtype, reads in ((np.float64, 0), (np.float32, 1)):  # the largest entry of what comes in
        M, v = MG(dtype=dtype).setup(P.A, grid=P.grid), emulated.asarray(P.b)
        M @ v
        before = device.host_reads
        M @ v
        assert device.host_reads - before == reads


def test_parts_in_the_null_space_are_taken_where_the_vector_lives(emulated, monkeypatch):
    from solvers.kernels import gpu

    from solvers.linalg import _means
    from solvers.linalg._null_space import NullSpace

    monkeypatch.setattr(_means, "_CHUNK", 50)
    labels, rng = np.random.default_rng(0).integers(0, 5, 700), np.random.default_rng(1)
    null, v = NullSpace(labels), rng.standard_normal(700) + 1j * rng.standard_normal(700)
    for want in (v, v.real.astype(np.float32)):
        there, want = emulated.asarray(want), want.copy()
        before = device.host_reads
        null.project_there(there, gpu)
        assert device.host_reads == before
        null.project(want)
        for k in range(1, 5):
            assert abs(want[labels == k].mean()) < 1e-7 and abs(want[labels == 0]).min() > 0
        np.testing.assert_allclose(there.get(), want, atol=1e-15 if want.dtype.kind == "c" else 1e-7)


def test_a_box_poisson_is_refused_there(emulated):
    M = linalg.box_poisson((6, 6))
    with pytest.raises(solvers.UnsupportedType, match="`M` must not be a box_poisson on the GPU.*use amg"):
        M @ emulated.asarray(np.ones(36))
