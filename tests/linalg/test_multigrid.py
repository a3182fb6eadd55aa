"""The multigrid preconditioner: definite by construction, few iterations, honest files, refusals in a sentence."""

import json
import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg as scipy_linalg
from solvers.benchmarks.families import FAMILIES, family

import solvers
from solvers import linalg
from solvers._model_file import write_model
from solvers.linalg._cycle import certificate

MG = linalg.MultigridPreconditioner
SHIPPED = ("mg2d-poisson", "mg2d-variable", "mg3d-poisson", "mg3d-variable")


def right_parameters(name, dim):
    return f"mg{dim}d-{'poisson' if name in ('obstacles', 'free-surface') else 'variable'}"


def matrix_of(M):
    return np.array([M @ e for e in np.eye(M.shape[0])]).T


def iterations(M, P, rtol=1e-6):
    solved = linalg.cg(P.A, P.b, M=M, rtol=rtol)
    assert solved.converged
    return solved.iterations


def random_parameters(rng, K):
    """Roots whose product stays below 1, and whatever there is for the rest."""
    return np.column_stack([rng.uniform(0.05, 0.99, (3, K)), 10 ** rng.uniform(-1, 0.7, 3), rng.uniform(-3, 3, 3)])


@pytest.mark.parametrize("grid", [(32, 32), (8, 8, 8), (13, 21), (1, 150), (5, 3, 9)], ids=str)
def test_the_cycle_is_symmetric_positive_definite_whatever_the_parameters_are(grid):
    rng = np.random.default_rng(0)
    mask = rng.random(grid) > 0.15
    faces = [rng.choice([1.0, 1e-3, 50.0], [s - (k == axis) for k, s in enumerate(grid)]) for axis in range(len(grid))]
    side = rng.random(grid) * (rng.random(grid) > 0.7)
    side[mask] += 1e-3  # no cell without an equation: on those M is zero
    for draw in range(4):
        parameters = [[0.3, 0.9, 5.0, -0.7]] if draw == 0 else random_parameters(rng, 1 + draw)
        M = MG(parameters).setup(faces=faces, boundary=side, mask=mask, gate=False)
        B = matrix_of(M)[np.ix_(mask.ravel(), mask.ravel())]
        assert np.abs(B - B.T).max() < 1e-13 * np.abs(B).max()
        assert np.linalg.eigvalsh((B + B.T) / 2).min() > 0


def test_the_cycle_is_its_formula_on_two_levels():
    """M = S' + (I - SA) c P B P^T (I - AS), where the coarse operator is solved exactly."""
    P = family("lognormal", 14, 2, 3)
    w, c = [0.5, 1.2], 1.7
    M, A = MG([[*w, c, 0.0]]).setup(P.A, grid=P.grid), P.A.toarray()
    one, D = np.eye(196), np.diag(1 / np.diag(A))
    E = (one - w[0] * D @ A) @ (one - w[1] * D @ A)
    number = np.add.outer(np.arange(14) // 2 * 7, np.arange(14) // 2).ravel()
    T = (number[:, None] == np.arange(49)).astype(float)
    correction = E @ T @ np.linalg.solve(T.T @ A @ T, T.T @ E.T) * c
    np.testing.assert_allclose(matrix_of(M), (one - E @ E) @ np.linalg.inv(A) + correction, atol=1e-12)


def test_a_level_may_have_steps_of_its_own_and_a_root_of_zero_is_none():
    P = family("lognormal", 32, 2, 3)  # three levels
    short, long = [[0.5, 1.2, 1.7, 0.1]], [[0.5, 0.0, 1.2, 1.7, 0.1], [0.5, 1.2, 0.0, 1.7, 0.1]]
    assert np.array_equal(matrix_of(MG(short).setup(P.A)), matrix_of(MG(long).setup(P.A)))
    M = MG(K=(1, 2, 4))
    assert np.array_equal(np.count_nonzero(M.parameters[:, :-2], axis=1), [1, 2, 4]) and "K = 1, 2, 4" in repr(M)
    B = matrix_of(M.setup(P.A))
    assert np.abs(B - B.T).max() < 1e-13 * np.abs(B).max() and np.linalg.eigvalsh((B + B.T) / 2).min() > 0
    with pytest.raises(ValueError, match="`K` must be .*empty"):
        MG(K=())
    with pytest.raises(ValueError, match="`K` must be"):
        MG(K=(2, 0))


@pytest.mark.parametrize("roots", [[1.0], [1.1, 0.8, -1.0], [-0.5], [3.0, 0.1], [np.nan], [0.5, -0.5]])
def test_roots_that_would_not_be_definite_are_refused(roots):
    with pytest.raises(ValueError, match="`parameters`"):
        MG([[*roots, 2.0, 0.0]])


def test_other_parameters_without_sense_are_refused():
    with pytest.raises(ValueError, match="c > 0, got -1"):
        MG([[0.5, -1.0, 0.0]])
    with pytest.raises(ValueError, match=r"shape \(slots, K \+ 2\)"):
        MG([0.5, 2.0, 0.0])
    with pytest.raises(TypeError, match="float32 or float64"):
        MG(dtype=np.float16)


@pytest.mark.parametrize("dim, size", [(2, 64), (3, 20), (2, 61), (3, 17)])
@pytest.mark.parametrize("name", FAMILIES)
def test_shipped_parameters_take_no_more_than_one_iteration_more_than_the_textbook(name, dim, size):
    P = family(name, size, dim, 300)
    learned = iterations(MG.pretrained(right_parameters(name, dim)).setup(P.A, grid=P.grid), P)
    assert learned <= iterations(MG().setup(P.A, grid=P.grid), P) + 1


@pytest.mark.slow
@pytest.mark.parametrize("name, size, dim, share", [
    ("obstacles", 256, 2, 0.92), ("free-surface", 256, 2, 0.92), ("lognormal", 256, 2, 0.92),
    ("obstacles", 64, 3, 0.92), ("free-surface", 64, 3, 0.92), ("jump", 256, 2, 0.92),
    ("lognormal", 48, 3, 0.92), ("jump", 48, 3, 0.92),
])  # fmt: skip
def test_learned_parameters_need_fewer_iterations_on_ten_unseen_members(name, size, dim, share):
    learned, textbook = 0, 0
    for seed in range(200, 210):
        P = family(name, size, dim, seed)
        more = iterations(MG().setup(P.A, grid=P.grid), P)
        fewer = iterations(MG.pretrained(right_parameters(name, dim)).setup(P.A, grid=P.grid), P)
        assert fewer <= more + 1
        learned, textbook = learned + fewer, textbook + more
    assert learned <= share * textbook


@pytest.mark.slow
@pytest.mark.parametrize("size, dim, most", [(512, 2, 8), (1024, 2, 8), (64, 3, 7), (128, 3, 8)])
def test_iterations_on_obstacles_do_not_grow_with_the_size(size, dim, most):
    P = family("obstacles", size, dim, 101)
    M = MG.pretrained(f"mg{dim}d-poisson").setup(P.A, grid=P.grid)
    assert iterations(M, P) <= most
    assert iterations(M, P, 1e-4) <= 5 + (size == 1024)


def test_scipys_cg_takes_it_and_faces_and_matrix_are_one():
    P = family("obstacles", 48, 2, 5)
    M = MG.pretrained("mg2d-poisson").setup(P.A, grid=P.grid)
    count = []
    x, info = scipy_linalg.cg(P.A, P.b, M=M, rtol=1e-6, callback=count.append)
    assert info == 0 and len(count) <= 8
    assert np.linalg.norm(P.b - P.A @ x) <= 2e-6 * np.linalg.norm(P.b)
    np.testing.assert_allclose(M.operator @ P.b, P.A @ P.b, atol=1e-12)
    assert linalg.cg(M.operator, P.b, M=M, rtol=1e-6).iterations == len(count)


def test_a_single_precision_cycle_in_a_double_precision_solve_costs_at_most_one_iteration():
    P = family("obstacles", 64, 2, 7)
    double, single = (
        iterations(MG.pretrained("mg2d-poisson", dtype=d).setup(P.A, grid=P.grid), P, 1e-12)
        for d in (np.float64, np.float32)
    )
    assert single <= double + 1
    M = MG(dtype=np.float32).setup(P.A, grid=P.grid)
    np.testing.assert_allclose(M @ (1e200 * P.b), 1e200 * (M @ P.b), rtol=1e-5, atol=1e195)
    assert (M @ P.b.astype(np.float32)).dtype == np.float32


def test_the_grid_is_read_from_the_matrix_and_its_dtype_may_be_single():
    P = family("free-surface", 24, 2, 5)
    B = matrix_of(MG().setup(P.A, grid=P.grid))
    assert np.array_equal(matrix_of(MG().setup(P.A)), B)
    assert MG().setup(family("jump", 8, 3).A).shape == (512, 512)
    np.testing.assert_allclose(matrix_of(MG().setup(P.A.astype(np.float32))), B, atol=1e-4)
    with pytest.raises(ValueError, match="`grid` must be given"):
        MG().setup(sparse.csr_array(np.eye(5)))


def test_rows_of_zeros_and_of_the_identity_are_solid_cells():
    P = family("obstacles", 32, 2, 1)
    solid = np.asarray(P.A.diagonal() == 1) & (np.diff(P.A.indptr) == 1)
    assert solid.sum() > 10
    zeros = P.A - sparse.diags_array(solid.astype(float))
    M, N = MG().setup(P.A, grid=P.grid), MG().setup(zeros, grid=P.grid)
    v = np.random.default_rng(0).standard_normal(1024)
    np.testing.assert_allclose((M @ v)[solid], v[solid], rtol=1e-15)
    assert not (N @ v)[solid].any()
    assert np.array_equal((M @ v)[~solid], (N @ v)[~solid])


def test_a_consistent_system_between_walls_converges_and_its_mean_stays_zero():
    rng = np.random.default_rng(0)
    M = MG.pretrained("mg2d-poisson").setup(faces=(np.ones((62, 50)), np.ones((63, 49))))
    b = rng.standard_normal(63 * 50)
    solved = linalg.cg(M.operator, b - b.mean(), M=M, rtol=1e-10)
    assert solved.converged and solved.iterations <= 14 and abs(solved.x.mean()) < 1e-12
    assert not linalg.cg(M.operator, b, M=M, maxiter=60).converged
    inconsistent = linalg.cg(M.operator, b, M=M, rtol=1e-10, maxiter=60)
    assert inconsistent.residuals.max() <= 2 * inconsistent.residuals[0]
    assert np.abs(inconsistent.x).max() < 1e3


def test_each_component_between_walls_has_its_own_null_space():
    rng, mask = np.random.default_rng(0), np.ones((40, 40), bool)
    mask[:, 13] = mask[20, :13] = False
    side = np.zeros((40, 40))
    side[:, -1] = 2.0  # the right part alone is open
    M = MG().setup(faces=(np.ones((39, 40)), np.ones((40, 39))), mask=mask, boundary=side)
    b = rng.standard_normal((40, 40)) * mask
    for part in (np.s_[:20, :13], np.s_[21:, :13]):
        b[part] -= b[part].mean()
    solved = linalg.cg(M.operator, b.ravel(), M=M, rtol=1e-9)
    x = solved.x.reshape(40, 40)
    assert solved.converged and solved.iterations <= 20
    assert abs(x[:20, :13].mean()) < 1e-10 and abs(x[21:, :13].mean()) < 1e-10 and not x[~mask].any()


def poisson(n=6):
    T = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    return sparse.lil_array(sparse.kronsum(T, T))


@pytest.mark.parametrize("row, column, value, words", [
    (0, 9, -0.1, r"A\[0, 9\] = -0.1 is not"), (2, 3, 0.5, r"A\[2, 3\] = 0.5"), (8, 8, 1.0, r"A\[8, 8\] = 1"),
    (5, 6, -1.0, r"A\[5, 6\] = -1"), (8, 9, -0.5, r"symmetric, but"), (7, 7, np.nan, r"A\[7, 7\] = nan"),
    (7, 7, np.inf, r"A\[7, 7\] = inf"), (7, 8, np.nan, "nan"),
])  # fmt: skip
def test_a_matrix_without_the_stencil_is_refused_by_its_first_entry(row, column, value, words):
    A = poisson()
    A[row, column] = value
    with pytest.raises(ValueError, match=words):
        MG().setup(A, grid=(6, 6))


def test_bad_input_is_one_sentence():
    A, ones = poisson().tocsr(), (np.ones((5, 6)), np.ones((6, 5)))
    for more, words in [
        (dict(A=A, grid=(6, 7)), "`grid` must have as many cells"),
        (dict(A=A, grid=36), "`grid` must be"),
        (dict(A=A, faces=ones), "either a matrix `A` or `faces`"),
        (dict(), "either a matrix `A` or `faces`"),
        (dict(A=A, mask=np.ones((6, 6), bool)), "go with `faces`"),
        (dict(faces=(ones[0], ones[0])), "`faces` must have shape"),
        (dict(faces=(-ones[0], ones[1])), "`faces` must be >= 0"),
        (dict(faces=ones, boundary=-np.ones((6, 6))), "`boundary` must be >= 0"),
        (dict(faces=ones, mask=np.ones((6, 6))), "`mask` must be an array of bool"),
        (dict(faces=(np.full((5, 6), np.nan), ones[1])), "`faces` must be finite"),
    ]:
        with pytest.raises(ValueError, match=words):
            MG().setup(**more)
    with pytest.raises(TypeError, match="sparse"):
        MG().setup(A.toarray(), grid=(6, 6))
    with pytest.raises(TypeError, match="real"):
        MG().setup(A * 1j, grid=(6, 6))
    with pytest.raises(ValueError, match="set up before"):
        MG()._matvec(np.ones(36))


def test_the_caller_keeps_his_arrays():
    P = family("obstacles", 16, 2, 1)
    before, b = P.A.copy(), P.b.copy()
    M = MG().setup(P.A, grid=P.grid)
    z = M @ P.b
    assert not np.shares_memory(z, P.b) and np.array_equal(P.b, b) and (P.A != before).nnz == 0
    P.A.data[:] = 0
    assert np.array_equal(M @ b, z)


def test_the_probe_rejects_parameters_that_are_worse():
    P = family("lognormal", 64, 2, 1)
    bad = MG([[0.9, 0.02, 0.0, 0.3, -0.6]])  # with two steps, as the textbook
    chosen = bad.setup(P.A, grid=P.grid)
    assert chosen.choice == "textbook" and iterations(chosen, P) == iterations(MG().setup(P.A, grid=P.grid), P)
    assert iterations(bad.setup(P.A, grid=P.grid, gate=False), P) > iterations(chosen, P)
    assert MG.pretrained("mg2d-variable").setup(P.A, grid=P.grid).choice == "learned"


def test_a_fit_is_better_than_its_start_and_the_same_for_a_seed():
    pytest.importorskip("cma")
    members = [family("obstacles", 24, 2, seed) for seed in (1, 2)]
    state = np.random.get_state()[1].copy()
    first, again, other = (
        MG(rng=seed).fit([P.A for P in members], budget=40, n_steps=4).setup(members[0].A) for seed in (3, 3, 4)
    )
    assert np.array_equal(np.random.get_state()[1], state)
    assert np.array_equal(first.parameters, again.parameters) and not np.array_equal(first.parameters, other.parameters)
    start, found = first.header["objective"]
    assert found < start and first.header["budget"] <= 40
    assert first.parameters.shape == (3, 4) and first.header["K"] == [2, 2, 2]
    uneven = MG(K=(1, 2), rng=3).fit([P.A for P in members], budget=20, n_steps=4)
    assert np.array_equal(uneven.parameters == 0, [[False, True, False, False], [False] * 4])
    assert MG(uneven.parameters).setup(members[0].A, gate=False).choice == "given"


def test_a_callback_is_told_of_every_evaluation_of_a_fit_and_may_end_it():
    pytest.importorskip("cma")
    matrices, shares, ends, best = [family("obstacles", 16, 2, 1).A], [], [], []

    class Watch:
        def on_chunk(self, evaluations, share):
            shares.append(share)
            assert evaluations == len(shares)

        def on_end(self, model):
            ends.append(model)

    def stop(parameters):
        best.append(parameters.copy())
        parameters[:] = np.nan  # a copy, which is the user's
        if len(best) == 17:  # within a generation
            raise StopIteration

    whole = MG(rng=3).fit(matrices, budget=30, n_steps=3, callback=Watch())
    assert ends == [whole] and len(shares) == 30 and shares == sorted(shares, reverse=True) and shares[-1] < shares[0]
    np.testing.assert_allclose(np.log10([shares[0], shares[-1]]), whole.header["objective"], rtol=1e-12)
    cut = MG(rng=3).fit(matrices, budget=30, n_steps=3, callback=stop)
    assert cut.header["budget"] == len(best) == 17 and np.array_equal(cut.parameters, best[-1])
    assert cut.header["objective"][1] == pytest.approx(np.log10(shares[16]), rel=1e-12)
    least = MG(rng=3).fit(matrices, budget=30, n_steps=3, callback=solvers.maxtime(1e-9))
    assert least.header["budget"] == 1 and np.array_equal(least.parameters, best[0])


def test_without_cma_a_fit_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cma", None)
    with pytest.raises(ImportError, match=r"pip install 'adaptive-solvers\[learned\]'"):
        MG().fit([family("jump", 8).A])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_parameters_say_where_they_come_from(name):
    M = MG.pretrained(name)
    assert M.header["family"] == name and M.header["seed"] == 0 and M.header["training"]
    assert max(M.header["certificate"]) < 1
    with pytest.raises(ValueError, match="`name` must be one of 'mg2d-poisson'"):
        MG.pretrained("mg4d")


def test_what_is_saved_is_loaded_again(tmp_path):
    M = MG([[0.4, 1.1, 2.0, 0.1]])
    M.save(tmp_path / "mine.npz")
    loaded = MG.load(tmp_path / "mine.npz")
    assert np.array_equal(loaded.parameters, M.parameters) and loaded.header["schema"] == 1


def tampered(path, **changes):
    with np.load(path) as file:
        content = dict(file)
    header = json.loads(content["header"].tobytes()) | changes.pop("header", {})
    content["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    np.savez(path, **content | changes)


def test_pickles_and_files_that_were_changed_are_refused_by_name(tmp_path):
    path = tmp_path / "mine.npz"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"parameters": 1}))
    np.savez(tmp_path / "objects.npz", parameters=np.array([None]), header=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("model.pkl", "objects.npz", "text.npz"):
        with pytest.raises(ValueError, match=f"{name}'; pickled models are not read"):
            MG.load(tmp_path / name)
    for changes, words in [
        (dict(parameters=np.array([[0.5, 1.1, 2.0, 0.1]])), "checksum"),
        (dict(header={"family": "another"}), "checksum"),
        (dict(header={"schema": 2}), "schema"),
        (dict(header={"certificate": [0.5]}), "checksum"),
    ]:
        MG([[0.4, 1.1, 2.0, 0.1]]).save(path)
        tampered(path, **changes)
        with pytest.raises(ValueError, match=words + ".*mine.npz|mine.npz.*" + words):
            MG.load(path)
    with pytest.raises(FileNotFoundError):
        MG.load(tmp_path / "nowhere.npz")
    with np.load(path) as file:
        np.savez_compressed(tmp_path / "small.npz", **file)  # which may unfold to any size
    with pytest.raises(ValueError, match="must be an .npz file that save.. wrote, got .*small.npz"):
        MG.load(tmp_path / "small.npz")


def test_parameters_are_looked_at_where_the_checksum_agrees(tmp_path):
    path, kind = tmp_path / "mine.npz", "set of multigrid parameters"
    good, known = np.array([[0.4, 1.1, 2.0, 0.1]]), {"certificate": [certificate([0.4, 1.1])]}
    write_model(path, kind, {"parameters": good}, known)
    assert np.array_equal(MG.load(path).parameters, good)
    for other, arrays, header, words in [
        ("coarse space", {"parameters": good}, known, "must hold a set of multigrid parameters of schema 1"),
        (kind, {"parameters": good}, {"certificate": [0.5]}, "must have the certificate"),
        (kind, {"parameters": good}, {"certificate": None}, "must have the certificate"),
        (kind, {"parameters": good, "more": good}, known, "finite float64 parameters"),
        (kind, {"parameters": good[:, :2]}, known, "finite float64 parameters"),
        (kind, {"parameters": good * np.nan}, known, "finite float64 parameters"),
        (kind, {"parameters": good.astype("f")}, known, "finite float64 parameters"),
        (kind, {"parameters": np.ones((50_000, 4))}, known, "must be an .npz file"),
        # A cycle that is not definite, and says so.
        (kind, {"parameters": good * 3}, {"certificate": [certificate([1.2, 3.3])]}, "smoothing roots"),
    ]:
        write_model(path, other, arrays, header)
        with pytest.raises(ValueError, match=words):
            MG.load(path)
