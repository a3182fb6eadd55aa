"""Relaxation and preconditioners on the (emulated) GPU through the public functions, beside the CPU."""

import numpy as np
import pytest
import scipy.sparse as sp
from emulation import device, settings

import solvers
from solvers import linalg
from solvers.linalg import _sweeps

SHAPE = (11, 12)
N = SHAPE[0] * SHAPE[1]
b = np.random.default_rng(7).standard_normal(N)

METHODS = {
    "sor": lambda A, b: linalg.sor(A, b, omega=1.5),
    "sor-colored": lambda A, b: linalg.sor(A, b, ordering="colored"),
    "sor-reversed-symmetric": lambda A, b: linalg.sor(A, b, omega=1.4, symmetric=True, ordering="reversed"),
    "gauss_seidel": lambda A, b: linalg.gauss_seidel(A, b, ordering="colored"),
    "jacobi": lambda A, b: linalg.jacobi(A, b, omega=0.9, rtol=1e-3),
    "ssor_cg": lambda A, b: linalg.ssor_cg(A, b),
    "cg-ssor": lambda A, b: linalg.cg(A, b, M=linalg.ssor(A)),
    "cg-ssor-colored": lambda A, b: linalg.cg(A, b, M=linalg.ssor(A, 1.2, ordering="colored")),
    "cg-incomplete_cholesky": lambda A, b: linalg.cg(A, b, M=linalg.incomplete_cholesky(A, 0.9)),
    "cg-chebyshev": lambda A, b: linalg.cg(A, b, M=linalg.chebyshev(A)),
}
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def cupy(emulated):
    return emulated


def poisson(dtype="float64", phase=1.0):
    """Neighbours on a grid."""
    return sp.csr_array(
        sp.kronsum(*(sp.diags_array([-1 / phase, 2.0, -phase], offsets=[-1, 0, 1], shape=(m, m)) for m in SHAPE[::-1]))
    ).astype(dtype)


def on_device(A):
    from cupyx.scipy import sparse

    return sparse.csr_array(A)


def agrees(found, expected, kind):
    assert type(found.x) is kind and found.backend == "gpu"
    assert found.converged and found.iterations == expected.iterations and found.n_matvec == expected.n_matvec
    x = found.x if kind is np.ndarray else found.x.get()
    near = 1e3 * np.finfo(x.dtype).eps
    assert np.linalg.norm(x - expected.x) <= near * np.linalg.norm(expected.x)
    np.testing.assert_allclose(found.residuals, expected.residuals, rtol=0, atol=near * expected.residuals[0])


@every_method
def test_numpy_goes_there_and_comes_back_with_the_answer_of_the_cpu(cupy, method):
    A, solve = poisson(), METHODS[method]
    expected, launches = solve(A, b), settings.launches
    with solvers.backend("gpu"):
        found = solve(A, b)
    assert settings.launches > launches
    agrees(found, expected, np.ndarray)


@every_method
def test_cupy_stays_there_and_gives_the_bits_of_numpy(cupy, method):
    A, solve = poisson(), METHODS[method]
    with solvers.backend("gpu"):
        sent = solve(A, b)
    found = solve(on_device(A), cupy.asarray(b))
    agrees(found, solve(A, b), cupy.ndarray)
    assert found.x.get().tobytes() == sent.x.tobytes() and found.residuals.tobytes() == sent.residuals.tobytes()


@pytest.mark.parametrize("method", ["sor", "jacobi", "ssor_cg", "cg-incomplete_cholesky", "cg-chebyshev"])
@pytest.mark.parametrize("form", ["dense", "stencil"])
def test_other_forms_of_the_matrix_are_taken(cupy, method, form):
    A, solve = poisson(), METHODS[method]
    expected, given = solve(A, b), cupy.asarray(A.toarray()) if form == "dense" else linalg.stencil(SHAPE, [4, -1, -1])
    agrees(solve(given, cupy.asarray(b)), expected, cupy.ndarray)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("power", [-1000, -500, 500, 1000])
def test_a_matrix_of_any_scale_is_solved_as_on_the_cpu(cupy, power, dtype):
    """Squares of its entries, or of those of x, are out of range."""
    A = sp.csr_array(poisson(dtype) * 2.0**power)
    expected, found = linalg.ssor_cg(A, b, omega=1.5), linalg.ssor_cg(on_device(A), cupy.asarray(b), omega=1.5)
    assert found.status is expected.status is solvers.Status.CONVERGED
    assert found.iterations == expected.iterations
    x, y = (2.0 ** (power // 2) * each for each in (found.x.get(), expected.x))
    np.testing.assert_allclose(x, y, rtol=0, atol=1e-10 * abs(y).max())
    np.testing.assert_allclose(found.residuals, expected.residuals, rtol=0, atol=1e-10 * expected.residuals[0])


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
@pytest.mark.parametrize("method", ["sor-colored", "ssor_cg", "cg-ssor"])
def test_other_precisions_and_complex_numbers_are_taken(cupy, method, dtype):
    dtype = np.dtype(dtype)
    A = poisson(dtype, np.exp(0.4j) if dtype.kind == "c" else 1.0)
    right = (b + 1j * b[::-1] if dtype.kind == "c" else b).astype(dtype)
    expected, found = METHODS[method](A, right), METHODS[method](on_device(A), cupy.asarray(right))
    assert found.converged and abs(found.iterations - expected.iterations) <= 1
    gap = np.linalg.norm(right - A.astype(np.complex128) @ found.x.get())
    assert gap <= 1.01e-5 * np.linalg.norm(right) and found.x.dtype == dtype


@pytest.mark.parametrize("method", ["sor", "sor-colored", "sor-reversed-symmetric", "sor-symmetric-auto", "ssor_cg"])
def test_launches_that_take_fewer_steps_are_gone_on_with(cupy, monkeypatch, method):
    """Where stages are many, a launch may take one step however many were asked for."""
    from solvers.kernels.gpu import relaxation

    solve = METHODS.get(method, lambda A, b: linalg.sor(A, b, symmetric=True))
    A, right, answers = on_device(poisson()), cupy.asarray(b), []
    for most in (relaxation._MOST_STAGES, 0):
        monkeypatch.setattr(relaxation, "_MOST_STAGES", most)
        settings.kernels.clear()
        found = solve(A, right)
        chunks = sum("_chunk" in each for each in settings.kernels)
        answers.append((found.n_matvec, found.residuals.tobytes(), found.x.get().tobytes()))
    assert found.converged and found.iterations == chunks
    assert answers[0] == answers[1]


@pytest.mark.parametrize("make", [linalg.ssor, linalg.incomplete_cholesky, linalg.chebyshev])
def test_a_preconditioner_made_from_numpy_serves_there(cupy, make):
    A = poisson()
    M = make(A)
    agrees(linalg.cg(on_device(A), cupy.asarray(b), M=M), linalg.cg(A, b, M=M), cupy.ndarray)


@pytest.mark.parametrize("make", [linalg.ssor, linalg.incomplete_cholesky])
def test_a_preconditioner_made_there_serves_here(cupy, make):
    A = poisson()
    M = make(on_device(A))
    found, expected = linalg.cg(A, b, M=M), linalg.cg(A, b, M=make(A))
    assert found.backend == "cpu" and found.iterations == expected.iterations
    np.testing.assert_allclose(M @ b, make(A) @ b, rtol=1e-10)


def test_a_pattern_is_sorted_and_sent_once(cupy, monkeypatch):
    A = poisson()
    with solvers.backend("gpu"):
        linalg.sor(A, b, ordering="colored")
        before = device.uploads
        monkeypatch.setattr(_sweeps, "_new_pattern", None)  # would fail
        other = A.copy()
        other.data *= np.linspace(1, 1.1, other.nnz)
        found = linalg.sor(other, b, ordering="colored")
    # The matrix (3), the right-hand side, where the stages begin.
    assert device.uploads - before == 5 < before
    monkeypatch.undo()
    assert found.iterations == linalg.sor(other, b, ordering="colored").iterations


def test_a_zero_on_the_diagonal_is_named_there_too(cupy):
    A = poisson()
    A.setdiag(np.where(np.arange(N) == 17, 0.0, 4.0))
    for method in ("sor", "jacobi", "ssor_cg"):
        with pytest.raises(solvers.InvalidInput, match="no zero on its diagonal for relaxation, got 1, .* row 17"):
            METHODS[method](on_device(A), cupy.asarray(b))


def test_blocks_are_refused_there(cupy):
    with pytest.raises(solvers.UnsupportedType, match="run on the CPU only"):
        linalg.sor(on_device(poisson()), cupy.asarray(b), blocks=11)


def test_entries_given_twice_are_added_there(cupy):
    A, full = poisson(), METHODS["sor"](poisson(), b)
    halves = (A.data / 2, A.data / 2)
    data = np.concatenate([part[lo:hi] for lo, hi in zip(A.indptr, A.indptr[1:]) for part in halves])
    indices = np.concatenate([A.indices[lo:hi] for lo, hi in zip(A.indptr, A.indptr[1:]) for _ in halves])
    twice = sp.csr_array((data, indices, 2 * A.indptr))
    found = METHODS["sor"](on_device(twice), cupy.asarray(b))
    agrees(found, full, cupy.ndarray)
    expected = METHODS["cg-incomplete_cholesky"](A, b)
    agrees(METHODS["cg-incomplete_cholesky"](on_device(twice), cupy.asarray(b)), expected, cupy.ndarray)
