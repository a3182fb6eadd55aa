"""ssor, incomplete_cholesky and chebyshev as M, and omega_optimal."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse.linalg as scipy_linalg
from scipy import sparse
from small_systems import dense_ssor, phased, poisson, right

from solvers import linalg

every_dtype = pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])


MAKERS = {
    "ssor": lambda A: linalg.ssor(A, 1.5),
    "ssor auto": linalg.ssor,
    "ssor colored": lambda A: linalg.ssor(A, 1.1, ordering="colored"),
    "ssor reversed": lambda A: linalg.ssor(A, 1.5, ordering="reversed"),
    "ic": linalg.incomplete_cholesky,
    "mic": lambda A: linalg.incomplete_cholesky(A, 0.97),
    "chebyshev": linalg.chebyshev,
    "chebyshev 1": lambda A: linalg.chebyshev(A, 1),
    "chebyshev 9": lambda A: linalg.chebyshev(A, 9, bounds=(0.1, 2.1)),
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@every_dtype
@every_maker
def test_it_is_hermitian_and_definite(make, dtype):
    A = phased(poisson(5, 6), dtype)
    M = make(A)
    P = np.stack([M @ e for e in np.eye(30, dtype=dtype)], axis=1)
    near = 1e-5 if dtype in "fF" else 1e-13
    assert P.dtype == dtype and np.abs(P - P.conj().T).max() <= near
    assert np.linalg.eigvalsh(P).min() > 0.01
    u, v = right(30, dtype), right(30, dtype, 2)
    assert abs(np.vdot(u, M @ v) - np.vdot(M @ u, v)) <= 30 * near
    assert np.allclose(M.rmatvec(v), M @ v) and np.allclose(M.H @ v, M @ v)
    assert np.allclose(M @ np.stack([u, v], axis=1), P @ np.stack([u, v], axis=1), atol=30 * near)


@every_dtype
@every_maker
def test_it_saves_iterations_of_our_cg_and_of_scipys(make, dtype):
    A = phased(poisson(20, 21), dtype)
    b, M = right(420, dtype), make(A)
    for solve in (linalg.cg, scipy_linalg.cg):
        counts = []
        for preconditioner in (None, M):
            seen = []
            x, info = solve(A, b, rtol=1e-4, M=preconditioner, callback=seen.append)
            assert info == 0 and np.linalg.norm(b - A @ x) <= 1.1e-4 * np.linalg.norm(b)
            counts.append(len(seen))
        assert counts[1] < 0.75 * counts[0] or make is MAKERS["chebyshev 1"]


@pytest.mark.parametrize("solve", [linalg.minres, linalg.bicgstab, linalg.gmres, linalg.bicg, linalg.lgmres])
@every_maker
def test_it_serves_every_solver(make, solve):
    A, b = poisson(8, 9), right(72)
    x, info = solve(A, b, rtol=1e-8, M=make(A))
    assert info == 0 and np.linalg.norm(b - A @ x) <= 1e-5 * np.linalg.norm(b)


@pytest.mark.parametrize("omega", [0.5, 1.0, 1.8])
@every_dtype
def test_ssor_is_the_dense_formula(omega, dtype):
    A, v = phased(poisson(5, 6), dtype), right(30, dtype)
    expected = dense_ssor(A.toarray(), omega) @ v
    assert np.linalg.norm(linalg.ssor(A, omega) @ v - expected) <= (1e-5 if dtype in "fF" else 1e-13) * 30
    backward = dense_ssor(A.toarray()[::-1, ::-1], omega) @ v[::-1]
    gap = linalg.ssor(A, omega, ordering="reversed") @ v - backward[::-1]
    assert np.linalg.norm(gap) <= (1e-5 if dtype in "fF" else 1e-13) * 30


def test_incomplete_cholesky_is_exact_where_there_is_no_fill():
    for A in (poisson(30), sparse.csr_array(np.linalg.inv(poisson(12).toarray()))):
        b = right(A.shape[0])
        M = linalg.incomplete_cholesky(A)
        assert M.shift == 0.0 and np.allclose(A @ (M @ b), b, rtol=0, atol=1e-11)


def test_duplicate_and_unsorted_entries_are_added_up_before_they_are_factorised():
    rng, n = np.random.default_rng(0), 30
    G = rng.standard_normal((n, n)) * (rng.uniform(size=(n, n)) < 0.2)
    A = sparse.coo_array(G + G.T + np.diag(np.abs(G + G.T).sum(axis=1) + 1))  # elimination changes its triangles
    row, column = A.coords
    mixed = rng.permutation(2 * row.size)
    row, column, data = np.tile(row, 2), np.tile(column, 2), np.concatenate([A.data * 0.3, A.data * 0.7])
    row, column, data = row[mixed], column[mixed], data[mixed]
    by_row = np.argsort(row, kind="stable")
    ends = np.searchsorted(row[by_row], np.arange(n + 1))
    twice = sparse.csr_array((data[by_row], column[by_row], ends), shape=(n, n))
    before = twice.indices.copy(), twice.data.copy()
    v = right(n)
    for make in MAKERS.values():
        assert np.allclose(make(twice) @ v, make(A) @ v, rtol=1e-12)
    assert np.array_equal(twice.indices, before[0]) and np.array_equal(twice.data, before[1])


def kershaw():
    """Positive definite, and yet a pivot of its incomplete factors is negative (D. S. Kershaw 1978)."""
    return sparse.csr_array(np.array([[3.0, -2, 0, 2], [-2, 3, -2, 0], [0, -2, 3, -2], [2, 0, -2, 3]]))


def test_a_shift_repairs_factors_that_break_down():
    A, b = kershaw(), np.arange(1.0, 5.0)
    assert np.linalg.eigvalsh(A.toarray()).min() > 0
    with pytest.raises(ValueError, match=r"`A` must be positive definite .* row 3 with shift 0"):
        linalg.incomplete_cholesky(A, shift=0.0)
    M = linalg.incomplete_cholesky(A)
    assert 0.001 <= M.shift < 1.0 and "shift" in repr(M)
    assert np.linalg.eigvalsh(np.stack([M @ e for e in np.eye(4)], axis=1)).min() > 0
    assert linalg.cg(A, b, M=M, rtol=1e-10).converged
    # The smallest of those tried: a quarter of it does not do.
    with pytest.raises(ValueError, match="pivot"):
        linalg.incomplete_cholesky(A, shift=M.shift / 4)


@pytest.mark.parametrize("degree", [1, 2, 5])
def test_chebyshev_is_the_polynomial(degree):
    """1 - t p(t) is the scaled Chebyshev polynomial of that degree."""
    A, (low, high) = poisson(5, 6), (0.2, 2.2)
    M = linalg.chebyshev(A, degree, bounds=(low, high))
    d = A.diagonal()
    t, V = np.linalg.eigh(A.toarray() / d[0])
    assert M.degree == degree and M.bounds == (low, high) and np.ptp(d) == 0

    def T(x):
        return np.polynomial.Chebyshev.basis(degree)(x)

    expected = (1 - T((high + low - 2 * t) / (high - low)) / T((high + low) / (high - low))) / t
    ours = np.diag(V.T @ np.stack([M @ v for v in V.T], axis=1)) * d[0]
    assert np.allclose(ours, expected, rtol=1e-11)


@every_maker
def test_later_changes_of_the_matrix_are_not_seen(make):
    """Neither by products in the dtype of A nor in another one; large matrices are stored in another way."""
    for shape in ((5, 6), (18, 19)):
        for form in (sparse.csr_array, lambda A: A.toarray()):
            A = form(poisson(*shape))
            n = A.shape[0]
            M, v = make(A), right(n, "D")
            untouched = make(form(poisson(*shape)))
            (A.data if sparse.issparse(A) else A)[:] *= 7.0
            assert np.array_equal(M @ v.real, untouched @ v.real)
            assert np.allclose(M @ v, untouched @ v, rtol=1e-12)
            assert np.allclose(M @ v.real.astype("f"), untouched @ v.real.astype("f"))


@every_maker
def test_it_takes_vectors_of_any_dtype_and_layout(make):
    A = poisson(5, 6)
    M, v = make(A), right(30)
    expected = M @ v
    wide = np.zeros((30, 3))
    wide[:, 1] = v
    for same in (wide[:, 1], v[:, None], v.astype(np.longdouble), v.astype(object)):
        assert np.allclose(np.ravel(M @ same), expected, rtol=1e-12)
    assert np.allclose(M @ np.arange(30), M @ np.arange(30.0))
    assert np.allclose(M @ (1j * v), 1j * expected)
    with pytest.raises(ValueError):
        M @ np.ones(29)
    frozen = v.copy()
    M @ v
    assert np.array_equal(v, frozen) and not np.shares_memory(M @ v, v)


@every_maker
def test_it_pickles_copies_and_prints_in_one_line(make):
    A, v = poisson(5, 6), right(30)
    M = make(A)
    for again in (pickle.loads(pickle.dumps(M)), copy.deepcopy(M)):
        assert np.array_equal(again @ v, M @ v) and repr(again) == repr(M)
    assert "30x30" in repr(M) and "\n" not in repr(M)


@every_maker
def test_every_kind_of_matrix_gives_the_same_preconditioner(make):
    A, v = poisson(6, 8), right(48)
    expected = make(A) @ v
    for same in (A.toarray(), A.tocsc(), A.tolil(), linalg.prepare(A), linalg.stencil((6, 8), [4, -1, -1])):
        assert np.allclose(make(same) @ v, expected, rtol=1e-12)


def test_a_float32_matrix_preconditions_a_float64_system():
    A, b = poisson(10, 11), right(110)
    for make in MAKERS.values():
        result = linalg.cg(A, b, M=make(A.astype("f")), rtol=1e-10)
        assert result.converged and result.x.dtype == np.float64


def test_systems_of_no_and_of_one_row():
    for make in MAKERS.values():
        assert (make(np.full((1, 1), 4.0)) @ np.ones(1)).item() == pytest.approx(0.25, rel=0.9)
        if make not in (MAKERS["ssor auto"],):
            assert (make(np.empty((0, 0))) @ np.empty(0)).size == 0


def test_omega_optimal_is_youngs_formula_on_poisson_problems():
    assert linalg.omega_optimal(linalg.stencil((10, 10), [4, -1, -1])) == pytest.approx(1.5604, abs=5e-5)
    for m in (5, 20, 40):
        exact = 2 / (1 + np.sin(np.pi / (m + 1)))
        for A in (poisson(m, m), poisson(m, m).astype("f"), poisson(m, m) * 1e-30, phased(poisson(m, m), "D")):
            assert linalg.omega_optimal(A, n_steps=100) == pytest.approx(exact, abs=1e-3)
    assert 1.0 <= linalg.omega_optimal(poisson(40, 40)) <= 2 / (1 + np.sin(np.pi / 41)) + 1e-9
    assert linalg.omega_optimal(np.diag(np.arange(1.0, 6.0))) == pytest.approx(1.0)


def test_omega_optimal_is_where_sor_is_fastest():
    A, b = poisson(15, 15), right(225)
    counts = {omega: linalg.sor(A, b, omega=omega, rtol=1e-8).iterations for omega in np.arange(1.5, 1.95, 0.05)}
    assert linalg.sor(A, b, omega=linalg.omega_optimal(A), rtol=1e-8).iterations <= 1.05 * min(counts.values()) + 1
