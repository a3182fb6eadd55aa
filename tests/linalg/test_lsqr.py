"""lsqr and lsmr: SciPy's tuples, the least-squares solution, and the truth about it."""

import inspect
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as scipy_linalg

import solvers
from solvers import Status, linalg
from solvers.linalg import _chunks

METHODS = "lsqr", "lsmr"
LENGTH = {"lsqr": 10, "lsmr": 8}


def problem(m, n, dtype=float, seed=0, condition=3.0):
    """A random matrix of that condition, and data with noise."""
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal(shape) for shape in ((m, m), (n, n), (m,))]
    if np.dtype(dtype).kind == "c":
        parts = [part + 1j * rng.standard_normal(part.shape) for part in parts]
    (U, _), (V, _) = (np.linalg.qr(part) for part in parts[:2])
    k = min(m, n)
    A = (U[:, :k] * np.geomspace(1, 1 / condition, k)) @ V[:k]
    return A.astype(dtype), parts[2].astype(dtype)


def ridge(A, b, damp=0.0, x0=None):
    """The minimiser, by LAPACK."""
    n = A.shape[1]
    x0 = np.zeros(n) if x0 is None else x0
    right = np.concatenate([b - A @ x0, np.zeros(n)])
    return x0 + np.linalg.lstsq(np.vstack([A, damp * np.eye(n)]), right, rcond=None)[0]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape, dtype, damp", [((40, 25), "d", 0.0), ((25, 40), "D", 0.3), ((40, 25), "F", 0.0)])
def test_the_minimiser_from_zero_and_from_x0(name, shape, dtype, damp):
    A, b = problem(*shape, dtype)
    x0 = np.linspace(-1, 1, shape[1]).astype(dtype)
    near = 1e-4 if dtype == "F" else 1e-9
    for start in (None, x0):
        result = getattr(linalg, name)(A, b, damp, near / 100, near / 100, 0, 400, x0=start)
        assert result.converged and result.x.dtype == dtype and len(result) == LENGTH[name]
        np.testing.assert_allclose(result.x, ridge(A, b, damp, start), atol=30 * near)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("damp", [0.0, 0.1])
def test_the_tuple_is_scipys(name, damp):
    A, b = problem(40, 25)
    options = {"x0": np.zeros(25), "damp": damp, **({"calc_var": True} if name == "lsqr" else {})}
    ours, theirs = (getattr(each, name)(sp.csr_array(A), b[:, None], **options) for each in (linalg, scipy_linalg))
    assert len(ours) == len(theirs) == LENGTH[name]
    assert ours[1:3] == theirs[1:3] == (ours.istop, ours.iterations)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5, atol=1e-8)
    condition, gradient = 6, {"lsqr": 7, "lsmr": 4}[name]  # the last is rounding, where SciPy stops, too
    for j in {*range(3, LENGTH[name])} - {gradient}:
        np.testing.assert_allclose(ours[j], theirs[j], rtol=0.2 if j == condition else 1e-4, atol=1e-6)
    own, scipys = (inspect.signature(getattr(each, name)).parameters for each in (linalg, scipy_linalg))
    assert [*own] == [*scipys, "executor"]


@pytest.mark.parametrize("name", METHODS)
def test_norms_are_recomputed_and_count_x0(name):
    A, b = problem(40, 25)
    x0, damp = np.linspace(1, 2, 25), 0.2
    x, *rest = result = getattr(linalg, name)(A, b, damp, x0=x0)
    r, d = b - A @ x, damp * (x - x0)
    gradient = A.T @ r - damp * d
    if name == "lsqr":
        assert rest[2] == pytest.approx(np.linalg.norm(r)) and rest[6] == pytest.approx(np.linalg.norm(gradient))
        assert rest[3] == pytest.approx(np.hypot(np.linalg.norm(r), np.linalg.norm(d)))
    assert rest[-2 if name == "lsqr" else -1] == pytest.approx(np.linalg.norm(x))
    assert result.residual == pytest.approx(np.linalg.norm(r))


@pytest.mark.parametrize("name", METHODS)
def test_columns_are_solved_as_if_alone_to_the_bit(name):
    A, _ = problem(60, 30)
    A = sp.csr_array(np.where(abs(A) > 0.05, A, 0.0))
    B = np.random.default_rng(1).standard_normal((60, 3)) * [1.0, 1e-9, 0.0]
    B[:, 1] = 1e-9 * scipy_linalg.svds(A, 1)[0][:, 0]
    result = getattr(linalg, name)(A, B)
    assert result.x.shape == (30, 3) and result.residuals.shape[1] == 3 and result[2].shape == (3,)
    for j in range(3):
        alone = getattr(linalg, name)(A, B[:, j])
        np.testing.assert_array_equal(result.x[:, j], alone.x)
        assert (result.istop[j], result.iterations[j], result.status[j]) == (*alone[1:3], alone.status)
    assert len(set(result.iterations.tolist())) == 3


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype, form", [("d", "csr"), ("D", "csr"), ("D", "csc"), ("f", "csc")])
def test_the_compiled_loop_does_what_the_readable_one_does(name, dtype, form):
    """The second takes operators; both must stop at the same step for the same reason."""
    A, b = problem(40, 25, dtype)
    B = np.stack([b, 0 * b, A[:, 0], b * 2.0**-70], axis=1)
    near = 1e-4 if dtype == "f" else 1e-9
    for scale, options in ((1, {}), (1, {"damp": 0.3, "x0": np.ones((25, 4), dtype)}), (2.0**-80, {"atol": 1e-4})):
        S = sp.csr_array(A * A.dtype.type(scale))
        compiled = getattr(linalg, name)(S.asformat(form), B, **options)
        readable = getattr(linalg, name)(scipy_linalg.aslinearoperator(S), B, **options)
        assert compiled.status == readable.status and compiled.n_matvec == readable.n_matvec
        assert (compiled.istop == readable.istop).all() and (compiled.iterations == readable.iterations).all()
        np.testing.assert_allclose(compiled.x, readable.x, atol=near * abs(readable.x).max())
        assert (abs(compiled.residuals - readable.residuals) <= near * readable.residuals[0]).all()
        for j in (5, 6):  # the estimates of A's norm and condition
            np.testing.assert_allclose(compiled[j], readable[j], rtol=100 * near)


@pytest.mark.parametrize("name", METHODS)
def test_the_length_of_chunks_changes_no_bit_and_show_reports_each(name, monkeypatch, capsys):
    A, b = problem(40, 25)
    whole = getattr(linalg, name)(sp.csr_array(A), b)
    monkeypatch.setattr(_chunks, "_LONGEST", 2)
    cut = getattr(linalg, name)(sp.csr_array(A), b, show=True)
    assert whole.iterations > 4 and np.array_equal(whole.x, cut.x) and np.array_equal(whole.residuals, cut.residuals)
    assert whole[1:8] == cut[1:8]
    assert f"converged in {whole.iterations} iterations" in capsys.readouterr().err
    limit = {"lsqr": "iter_lim", "lsmr": "maxiter"}[name]
    short, last = (getattr(linalg, name)(sp.csr_array(A), b, **{limit: n}) for n in (3, whole.iterations))
    assert short.iterations == 3 and short.istop == 7 and last[1:3] == whole[1:3]


@pytest.mark.parametrize("name", METHODS)
def test_a_step_beyond_the_range_is_not_taken_and_its_products_count(name):
    A = sp.csr_array(np.vstack([np.eye(5)[0], np.append(1.0, np.full(4, 1e308))]))
    results = [getattr(linalg, name)(each, np.eye(2)[0]) for each in (A, scipy_linalg.aslinearoperator(A))]
    for result in results:
        assert result.status is Status.NONFINITE and result.iterations == 0 and not result.x.any()
        assert result.n_matvec == 5 and np.isfinite(result.residuals).all()


@pytest.mark.parametrize("name", METHODS)
def test_scale_changes_nothing_down_to_the_end_of_the_range(name):
    A, b = problem(40, 25)
    one = getattr(linalg, name)(A, b)
    for power in (-1000, -40, 900):
        other = getattr(linalg, name)(A, b * 2.0**power)
        assert other.iterations == one.iterations and other.converged
        np.testing.assert_allclose(other.x * 2.0**-power, one.x, rtol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_each_failure_has_its_name(name):
    A, b = problem(40, 25, condition=1e6)
    solve = getattr(linalg, name)
    assert solve(A, b, conlim=10).status is Status.ILL_CONDITIONED and solve(A, b, conlim=10).istop == 3
    limited = solve(A, b, **{"lsqr": {"iter_lim": 2}, "lsmr": {"maxiter": 2}}[name])
    assert limited.status is Status.MAXITER and limited.istop == 7 and limited.iterations == 2
    assert solve(A, b * 0).istop == 0 and solve(A * 0, b).istop == 0
    assert solve(A[:, :3] * 0 + 1, b * 0, x0=np.ones(3)).x.tolist() == [0, 0, 0]
    A[3, 4] = np.nan
    lost = solve(A, b)
    assert lost.status is Status.NONFINITE and np.isfinite(lost.x).all() and not any(np.isnan(v).any() for v in lost)
    with pytest.raises(solvers.ConvergenceError, match="maxiter"):
        pickle.loads(pickle.dumps(limited)).check()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wrong", [lambda A: 3 * A.T, lambda A: A.T + 0.02])
def test_a_wrong_adjoint_is_named(name, wrong):
    A, b = problem(40, 25)
    B = wrong(A)
    operator = scipy_linalg.LinearOperator(A.shape, lambda x: A @ x, lambda y: B @ y, dtype=float)
    assert getattr(linalg, name)(operator, b).status is Status.NOT_ADJOINT
    right = scipy_linalg.LinearOperator(A.shape, lambda x: A @ x, lambda y: A.T @ y, dtype=float)
    assert getattr(linalg, name)(right, b).converged


@pytest.mark.parametrize("name", METHODS)
def test_an_unreachable_tolerance_is_said(name):
    A, _ = problem(40, 25, condition=1e5)
    result = getattr(linalg, name)(A.astype("f"), (A @ np.ones(25)).astype("f"), 0, 1e-12, 1e-12, 0, 10_000)
    assert result.istop in (4, 5, 7) and np.isfinite(result.x).all()
    assert result.status in (Status.CONVERGED, Status.STAGNATED, Status.MAXITER)
    if result.converged:  # then as far as single precision goes
        assert result.residual <= 100 * np.finfo("f").eps * np.linalg.norm(A @ np.ones(25))


@pytest.mark.parametrize(
    "error, words, call",
    [
        (ValueError, r"`b` must have shape \(4,\) or \(4, k\)", lambda f, A, b: f(A, b[:3])),
        (ValueError, "`b` must be finite, got 1 NaN", lambda f, A, b: f(A, b * [1, np.nan, 1, 1])),
        (ValueError, "`x0` must be finite", lambda f, A, b: f(A, b, x0=[np.inf, 0, 0])),
        (ValueError, r"`x0` must have shape \(3,\)", lambda f, A, b: f(A, b, x0=b)),
        (ValueError, "`atol` must be >= 0, got -1", lambda f, A, b: f(A, b, atol=-1.0)),
        (ValueError, "must be >= 1, got 0", lambda f, A, b: f(A, b, 0, 1, 1, 1, 0)),
        (ValueError, "`damp` must be a number, got nan", lambda f, A, b: f(A, b, np.nan)),
        (TypeError, "`A` must be a NumPy or CuPy array", lambda f, A, b: f([[1.0]], b)),
        (
            TypeError,
            "`A` must have a rmatvec",
            lambda f, A, b: f(scipy_linalg.LinearOperator((4, 3), matvec=lambda x: A @ x, dtype=float), b),
        ),
    ],
)
@pytest.mark.parametrize("name", METHODS)
def test_bad_input_is_one_sentence(name, error, words, call):
    A, b = np.eye(4)[:, :3], np.ones(4)
    with pytest.raises(error, match=words):
        call(getattr(linalg, name), A, b)


def test_show_reports_on_standard_error(capsys):
    linalg.lsqr(np.eye(3), np.ones(3), show=True)
    assert "converged in 1 iteration" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_a_matrix_of_any_scale_is_solved(name):
    rng = np.random.default_rng(0)
    A, b, x0 = rng.standard_normal((40, 20)), rng.standard_normal(40), rng.standard_normal(20)
    plain = getattr(linalg, name)(A, b, damp=0.5, x0=x0)
    for scale in (2.0**-990, 2.0**-600, 2.0**600, 2.0**990):
        result = getattr(linalg, name)(A * scale, b, damp=0.5 * scale, x0=x0 / scale)
        assert result.converged and np.allclose(result.x * scale, plain.x)
        assert np.isclose(result.residual, plain.residual) and np.isclose(result[5] / scale, plain[5])
    lost = getattr(linalg, name)(A * 1e-200, b * 1e200)
    assert lost.status is Status.NONFINITE and np.isfinite(lost.x).all() and np.isfinite(lost.residual)
