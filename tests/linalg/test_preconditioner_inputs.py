"""What preconditioners and ``solve`` do with inputs that are broken, extreme, or other operators of this library."""

import numpy as np
import pytest
import scipy.sparse as sp

from solvers import InvalidInput, UnsupportedType, linalg

MAKERS = {
    "multigrid": lambda A: linalg.MultigridPreconditioner().setup(A, grid=(12, 11)),
    "amg": linalg.amg,
    "coarse": lambda A: linalg.CoarseSpace(k=2, rng=0).fit(A),
    "solve": lambda A: linalg.solve(A, np.ones(A.shape[0])),
}


def laplacian(ny=12, nx=11):
    def line(n):
        return sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))

    return sp.csr_array(sp.kronsum(line(nx), line(ny)))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("part, value", [("indices", 5000), ("indptr", 10**6)])
def test_index_arrays_that_point_elsewhere_are_refused(maker, part, value):
    A = laplacian()
    getattr(A, part)[7] = value  # SciPy and the compiled loops would read or write memory of others
    with pytest.raises(InvalidInput, match="index out of range"):
        MAKERS[maker](A)


@pytest.mark.parametrize(
    "shape, weights", [((9, 8), [4, -1, -1]), ((5, 6, 7), [7, -1, -2, -0.5]), ((1, 30), [4, -1, -1])]
)
def test_multigrid_takes_a_stencil_as_it_takes_its_matrix(shape, weights):
    A = linalg.stencil(shape, weights)
    r = np.random.default_rng(0).standard_normal(A.shape[0])
    M = linalg.MultigridPreconditioner().setup(A)
    dense = sp.csr_array(A @ np.eye(r.size))
    assert np.allclose(M @ r, linalg.MultigridPreconditioner().setup(dense, grid=shape) @ r, rtol=1e-12)
    assert np.allclose(M.operator @ r, A @ r, rtol=1e-12)
    assert np.allclose(linalg.MultigridPreconditioner().setup(linalg.prepare(dense), grid=shape) @ r, M @ r, rtol=1e-12)


@pytest.mark.parametrize(
    "weights, word", [([1, -1, -1], "centre >= 4"), ([4, 1, -1], "positive"), ([4, -1, -1j], "real")]
)
def test_multigrid_refuses_stencils_that_are_not_of_diffusion(weights, word):
    with pytest.raises((InvalidInput, UnsupportedType), match=word):
        linalg.MultigridPreconditioner().setup(linalg.stencil((5, 6), weights))
    with pytest.raises(InvalidInput, match="that of the stencil"):
        linalg.MultigridPreconditioner().setup(linalg.stencil((5, 6), [4, -1, -1]), grid=(6, 5))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [2.0**-700, 2.0**700])
def test_the_scale_of_the_coefficients_is_no_matter_to_a_cycle(dtype, scale):
    A, r = laplacian(), np.random.default_rng(0).standard_normal(132)
    usual = linalg.MultigridPreconditioner(dtype=dtype).setup(A, grid=(12, 11))
    scaled = linalg.MultigridPreconditioner(dtype=dtype).setup(A * scale, grid=(12, 11))
    gap = (scaled @ r) * scale - usual @ r
    assert np.linalg.norm(gap) <= 100 * np.finfo(dtype).eps * np.linalg.norm(usual @ r)
    assert np.array_equal(scaled.operator @ r / scale, usual.operator @ r)


def test_coefficients_beyond_single_precision_need_double():
    faces = np.ones((11, 11)), np.ones((12, 10))
    faces[0][:] *= 10.0 ** -(4.0 * np.arange(11))[:, None]
    faces[1][:] *= 10.0 ** -(4.0 * np.arange(12))[:, None]
    with pytest.raises(InvalidInput, match="float64"):
        linalg.MultigridPreconditioner(dtype=np.float32).setup(faces=faces)
    with pytest.raises(InvalidInput, match="between 1e-300"):
        linalg.MultigridPreconditioner().setup(laplacian() * 1e-310, grid=(12, 11))


@pytest.mark.parametrize("kind", ["smoothed_aggregation", "ruge_stuben", "rootnode"])
@pytest.mark.parametrize("scale", [2.0**-660, 2.0**660])
def test_the_scale_of_a_matrix_is_no_matter_to_amg(kind, scale, capfd):
    A, r = laplacian(), np.random.default_rng(0).standard_normal(132)
    usual, scaled = linalg.amg(A, kind=kind), linalg.amg(A * scale, kind=kind)
    assert np.allclose((scaled @ r) * scale, usual @ r, rtol=1e-9)
    assert np.allclose((scaled.H @ r) * scale, usual @ r, rtol=1e-9)
    assert capfd.readouterr().out == ""  # PyAMG's loops print where their own thresholds are met


def test_amg_refuses_zeros_on_the_diagonal_and_takes_rows_of_zeros(capfd):
    A = laplacian()
    with pytest.raises(InvalidInput, match="132, the first in row 0"):
        linalg.amg(A - 4 * sp.eye_array(132), kind="ruge_stuben")
    M = linalg.amg(sp.csr_array(sp.block_diag([A, sp.csr_array((30, 30))])))
    assert np.isfinite(M @ np.ones(162)).all()
    assert not np.any(linalg.amg(sp.csr_array((30, 30))) @ np.ones(30))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("method", ["auto", "direct", "learned", "amg", "ic", "jacobi", "gmres"])
def test_solve_of_no_unknowns_is_solved(method):
    result = linalg.solve(sp.csr_array((0, 0)), np.zeros(0), method=method)
    assert result.converged and result.x.shape == (0,)


def test_solve_says_so_where_a_diagonal_has_zeros():
    A = sp.csr_array([[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(InvalidInput, match="its diagonal has zeros"):
        linalg.solve(A, np.ones(2), method="jacobi")
    assert linalg.solve(A, [3.0, 4.0]).converged


@pytest.mark.parametrize("wrong, word", [
    (dict(b=np.full(132, np.nan)), "132 NaN"), (dict(b=np.ones(5)), "to go with"), (dict(callback=3), "callback"),
])  # fmt: skip
def test_solve_refuses_before_it_makes_factors(wrong, word, monkeypatch):
    monkeypatch.setattr("solvers.linalg._solve.ATTEMPTS", {})
    with pytest.raises((InvalidInput, UnsupportedType), match=word):
        linalg.solve(laplacian(), **(dict(b=np.ones(132)) | wrong))


@pytest.mark.parametrize("dtype", [bool, np.int8])
def test_solve_reads_matrices_of_booleans_and_short_integers(dtype):
    A = np.array([[1, -100], [100, 1]]).astype(dtype)  # of int8: the difference of the two is -200, or 56
    A[0, 1] = -100 if dtype is np.int8 else 0
    for each in (A, sp.csr_array(A)):
        x, info = linalg.solve(each, np.ones(2))
        assert info == 0 and np.allclose(A.astype(float) @ x, 1)


def test_norms_beyond_double_precision_do_not_warn():
    A, b = laplacian(), np.random.default_rng(0).standard_normal(132)
    for scale in (1e200, 1e307):
        found = linalg.solve(A, b * scale, method="minres")
        assert found.converged and np.linalg.norm(A @ (found.x / scale) - b) <= 1e-8 * np.linalg.norm(b)


def test_a_cycle_that_chose_the_textbook_keeps_the_learned_parameters_for_other_matrices(tmp_path):
    bad = [[0.3, 0.3, 0.3, 2.5], [0.3, 0.3, 0.01, 0.0]]  # definite, and slow
    A, M = laplacian(40, 40), linalg.MultigridPreconditioner(bad)
    ready = M.setup(A, grid=(40, 40))
    assert ready.choice == "textbook" and "own parameters" in repr(ready)
    assert np.array_equal(ready.setup(A, grid=(40, 40), gate=False).parameters, bad)
    ready.save(tmp_path / "own.npz")
    assert np.array_equal(linalg.MultigridPreconditioner.load(tmp_path / "own.npz").parameters, bad)
    assert "textbook" in repr(linalg.MultigridPreconditioner().setup(A, grid=(40, 40)))


def test_products_of_a_grid_operator_with_complex_vectors():
    M = linalg.MultigridPreconditioner().setup(laplacian(), grid=(12, 11))
    v = np.array([1, 1j]) @ np.random.default_rng(0).standard_normal((2, 132))
    assert np.allclose(M.operator @ v, laplacian() @ v, rtol=1e-12)
    assert linalg.cg(M.operator, v, M=M).converged


@pytest.mark.parametrize("make, word", [
    (lambda MG: MG([[0.5j, 2, 0]]), "`parameters` must be real"),
    (lambda MG: MG(rng="seed"), "`rng`"),
    (lambda MG: MG.load(None), "`path`"),
    (lambda MG: MG().fit([sp.csr_array((25, 25))], grid=(5, 5), budget=2), "connected"),
    (lambda MG: MG().setup(faces=(np.full((1, 2), 1e308), np.full((2, 1), 1e308))), "divide"),
    (lambda MG: linalg.CoarseSpace(rng=-1), "`rng`"),
    (lambda MG: MG() @ np.ones(5), "set up before"),
    (lambda MG: linalg.CoarseSpace().matvec(np.ones(5)), "fit"),
    (lambda MG: linalg.amg(laplacian(), rng="seed"), "`rng`"),
    (lambda MG: linalg.CoarseSpace(base=lambda A: None).fit(laplacian()), "`base`"),
    (lambda MG: linalg.CoarseSpace().fit(laplacian(), 1j * np.ones((132, 2))), "`snapshots` must be real"),
    (lambda MG: linalg.box_poisson((3, 3), sides=[5, 6]), "`sides`"),
    (lambda MG: linalg.box_poisson((3, 3), weights=1e-310), "`weights`"),
    (lambda MG: linalg.dcdm(laplacian(), np.ones(132), model=lambda r: next(iter([]))), "`callback`"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(make, word):
    with pytest.raises((InvalidInput, UnsupportedType), match=word):
        make(linalg.MultigridPreconditioner)
