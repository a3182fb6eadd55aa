"""dcdm: what it equals for linear models, what it makes of bad ones, and that it never claims more than is true."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import splu
from small_systems import poisson

from solvers import InvalidInput, UnsupportedType, linalg, testing
from solvers._result import Status

A = poisson(24, 24)
N = A.shape[0]
b = np.random.default_rng(0).standard_normal(N)
SIZE = np.linalg.norm(b)


def iterates(solve, *args, **options):
    seen = []
    solve(*args, callback=seen.append, **options)
    return np.array(seen)


def paper(A, b, model, m, steps):
    """The algorithm as it is written, in plain NumPy."""
    x, r, kept = np.zeros_like(b), b.copy(), []
    xs = []
    for _ in range(steps):
        raw = model(r / np.linalg.norm(r))
        p = raw - sum((q * (np.vdot(A @ q, raw) / np.vdot(q, A @ q)) for q in kept), 0 * raw)
        kept = (kept + [p])[-m:] if m else []
        x = x + p * (np.vdot(p, r) / np.vdot(p, A @ p))
        r = b - A @ x
        xs.append(x)
    return np.array(xs)


def crooked(r):
    """Nonlinear, of the wrong sign: a network trained up to sign."""
    return -(r + 0.5 * np.abs(np.roll(r, 1)))


@pytest.mark.parametrize("model", [None, lambda r: r])
def test_the_identity_gives_the_iterates_of_cg(model):
    ours, cg = (iterates(s, A, b, rtol=1e-12) for s in (lambda *a, **k: linalg.dcdm(*a, model=model, **k), linalg.cg))
    steps = 60
    assert np.abs(ours[:steps] - cg[:steps]).max() <= 1e-12 * np.abs(cg).max()


def test_a_definite_matrix_gives_the_iterates_of_pcg():
    M = linalg.ssor(A, 1.5)
    ours = iterates(linalg.dcdm, A, b, model=lambda r: M @ r, rtol=1e-10)
    pcg = iterates(linalg.cg, A, b, M=M, rtol=1e-10)
    assert len(ours) == len(pcg) > 10
    assert np.abs(ours - pcg).max() <= 1e-12 * np.abs(pcg).max()


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("m", [0, 1, 2])
def test_the_iterates_are_those_of_the_paper(m, dtype):
    B = testing.test_matrix(40, dtype)
    c = np.random.default_rng(1).standard_normal(40).astype(dtype)
    ours = iterates(linalg.dcdm, B, c, model=crooked, n_ortho=m, maxiter=12, rtol=0)
    theirs = paper(B, c, crooked, m, 12)
    assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs).max()


def test_a_full_window_makes_all_directions_conjugate():
    B = testing.test_matrix(30, "float64")
    result = linalg.dcdm(B, np.ones(30), model=lambda r: np.sign(r), n_ortho=30, rtol=1e-10)
    assert result.converged and result.iterations <= 31 and result.fell_back_at is None


@given(power=st.integers(-900, 900), sign=st.sampled_from([-1.0, 1.0]))
@settings(max_examples=20, deadline=None)
def test_a_factor_of_the_model_changes_no_bit(power, sign):
    plain = iterates(linalg.dcdm, A, b, model=crooked, maxiter=8)
    scaled = iterates(linalg.dcdm, A, b, model=lambda r: crooked(r) * sign * 2.0**power, maxiter=8)
    assert np.array_equal(plain, scaled)


def test_the_size_of_b_changes_no_bit():
    plain = iterates(linalg.dcdm, A, b, model=crooked, maxiter=8)
    scaled = iterates(linalg.dcdm, A, b * 2.0**-70, model=crooked, maxiter=8)
    assert np.array_equal(plain * 2.0**-70, scaled)


def test_the_model_gets_unit_residuals_that_it_may_keep_and_overwrite():
    kept = []

    def model(r):
        kept.append(r)
        answer = r.copy()
        r *= 2
        return answer

    result = linalg.dcdm(A, b, model=model, rtol=1e-8)
    assert result.converged and result.iterations == len(kept)
    assert np.allclose([np.linalg.norm(r) for r in kept], 2, rtol=1e-14)
    assert not any(np.array_equal(r, s) for r, s in zip(kept, kept[1:]))
    assert result.iterations == linalg.dcdm(A, b, model=None, rtol=1e-8).iterations


def test_a_model_in_single_precision_solves_to_double():
    inverse = splu(A.tocsc())
    result = linalg.dcdm(A, b, model=lambda r: inverse.solve(r).astype(np.float32), rtol=1e-12)
    assert result.converged and result.iterations <= 3
    assert np.linalg.norm(b - A @ result.x) <= 1e-12 * SIZE


@pytest.mark.parametrize("shape", ["flat", "column"])
def test_a_column_is_a_vector(shape):
    model = (lambda r: r[:, None]) if shape == "column" else (lambda r: list(r))
    plain = linalg.dcdm(A, b, model=None)
    assert np.array_equal(linalg.dcdm(A, b, model=model).x, plain.x)


def half(r):
    """Sees only half of the unknowns: its directions stall for certain."""
    return np.where(np.arange(r.size) < r.size // 2, r, 0)


STALLING = {"half": half, "constant": np.ones_like, "alternating": lambda r: (-1.0) ** np.arange(r.size)}


@pytest.mark.parametrize("name", STALLING)
@pytest.mark.parametrize("m", [0, 2, 12])
def test_a_stall_is_restarted_and_then_finished_by_cg(name, m):
    result = linalg.dcdm(A, b, model=STALLING[name], n_ortho=m, rtol=1e-8)
    assert result.converged and np.linalg.norm(b - A @ result.x) <= 1e-8 * SIZE
    assert result.restarts >= 1 and result.reason == "its directions stalled"
    assert 0 < result.fell_back_at < result.iterations
    stopped = linalg.dcdm(A, b, model=STALLING[name], n_ortho=m, rtol=1e-8, on_stall="stop")
    assert stopped.status is Status.STALLED and stopped.fell_back_at is None and stopped.info == stopped.iterations
    assert stopped.residual == pytest.approx(np.linalg.norm(b - A @ stopped.x))


def test_the_fall_back_uses_the_preconditioner():
    M = linalg.ssor(A, 1.7)
    plain, helped = (linalg.dcdm(A, b, model=half, M=each, rtol=1e-8) for each in (None, M))
    assert helped.fell_back_at == plain.fell_back_at
    assert helped.iterations - helped.fell_back_at < 0.7 * (plain.iterations - plain.fell_back_at)


def test_steepest_descent_is_a_stall_although_each_step_gains():
    """Without a window r itself zigzags: an old direction offers as much as the new one."""
    result = linalg.dcdm(A, b, model=None, n_ortho=0, rtol=1e-8)
    assert result.converged and result.fell_back_at is not None and result.iterations < 400


def test_the_plateaus_of_cg_are_no_stall():
    """Ill-conditioned: the residual grows for a long time, and is reviewed often."""
    d = np.logspace(-7, 0, 400)
    c = d * np.random.default_rng(3).standard_normal(400)
    B = scipy.sparse.diags_array(d).tocsr()
    result = linalg.dcdm(B, c, model=None, rtol=1e-6)
    assert result.n_matvec > 2 * result.iterations  # reviews took place
    assert (result.restarts, result.fell_back_at) == (0, None)
    assert result.converged


@pytest.mark.parametrize("bad, status", [(np.nan, Status.NONFINITE), (np.inf, Status.NONFINITE), (0.0, Status.STALLED)])
@pytest.mark.parametrize("when", [0, 7])
def test_a_direction_of_no_use_is_named(bad, status, when):
    def model(r):
        calls.append(0)
        return np.full_like(r, bad) if len(calls) > when else r

    calls = []
    result = linalg.dcdm(A, b, model=model, on_stall="stop")
    assert result.status is status and np.isfinite(result.x).all() and np.isfinite(result.residual)
    assert result.iterations == when
    calls = []
    result = linalg.dcdm(A, b, model=model, rtol=1e-9)
    assert result.converged and result.fell_back_at == when and result.reason.startswith("it gave a ")
    assert "it gave" not in result.message  # which says what became of it all


@pytest.mark.parametrize(
    "model, error, words",
    [
        (lambda r: r[1:], InvalidInput, r"`model\(r\)` must have shape"),
        (lambda r: np.outer(r, r), InvalidInput, r"`model\(r\)` must have shape"),
        (lambda r: 1.0, InvalidInput, r"`model\(r\)` must have shape"),
        (lambda r: 1j * r, InvalidInput, r"`model\(r\)` must be real"),
        (lambda r: None, UnsupportedType, r"`model\(r\)` must"),
        (lambda r: r.astype(str), UnsupportedType, r"`model\(r\)` must hold numbers"),
        (A, UnsupportedType, "`model` must be a function"),
        ("pcg", UnsupportedType, "`model` must be a function"),
    ],
)
def test_what_is_no_model_is_refused_with_one_sentence(model, error, words):
    with pytest.raises(error, match=words) as caught:
        linalg.dcdm(A, b, model=model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"n_ortho": -1}, {"n_ortho": 1.5}, {"on_stall": "cg"}, {"on_stall": None}])
def test_a_bad_option_is_refused(options):
    with pytest.raises((InvalidInput, UnsupportedType), match=f"`{next(iter(options))}`"):
        linalg.dcdm(A, b, model=None, **options)


def test_an_indefinite_matrix_is_named_and_a_negative_one_solved():
    d = np.linspace(1, 9, 30)
    assert linalg.dcdm(np.diag(-d), np.ones(30), model=None, rtol=1e-10).converged
    d[::2] *= -1
    assert linalg.dcdm(np.diag(d), np.ones(30), model=None).status is Status.INDEFINITE


def test_a_matrix_that_is_not_hermitian_is_named():
    B = np.eye(30) + np.triu(np.random.default_rng(0).standard_normal((30, 30)), 1)
    result = linalg.dcdm(B, np.ones(30), model=None, rtol=1e-10)
    assert result.status is Status.NOT_HERMITIAN and result.residual == pytest.approx(np.linalg.norm(1 - B @ result.x))


def test_columns_have_their_own_restarts():
    def model(r):
        return half(r) if r[-1] else r

    left = np.where(np.arange(N) < N // 2, b, 0)
    B = scipy.sparse.diags_array(np.linspace(1, 50, N)).tocsr()
    result = linalg.dcdm(B, np.stack([left, b, 0 * b], axis=1), model=model, rtol=1e-8)
    assert result.converged and result.fell_back_at[0] is None and result.fell_back_at[2] is None
    assert result.fell_back_at[1] > 0 and result.restarts[0] == 0 and result.restarts[1] >= 1
    assert result.to_dict()["fell_back_at"] == list(result.fell_back_at)


def test_a_longer_window_helps_a_model_that_is_not_linear():
    inverse = splu(A.tocsc())

    def model(r):
        return inverse.solve(np.where(np.abs(r) > 0.6 * np.abs(r).max(), r, 0))

    short, long = (linalg.dcdm(A, b, model=model, n_ortho=m, rtol=1e-6) for m in (2, 20))
    assert long.converged and short.converged and long.fell_back_at is None
    assert long.iterations < 0.8 * short.iterations


def test_a_limit_of_steps_counts_both_phases():
    whole = linalg.dcdm(A, b, model=half, rtol=1e-8)
    cut = linalg.dcdm(A, b, model=half, rtol=1e-8, maxiter=whole.iterations - 1)
    assert cut.status is Status.MAXITER and cut.iterations == whole.iterations - 1
    assert cut.residual == pytest.approx(np.linalg.norm(b - A @ cut.x))
    early = linalg.dcdm(A, b, model=half, rtol=1e-8, maxiter=5)
    assert early.status is Status.MAXITER and early.fell_back_at is None


def test_rounding_is_not_blamed_on_the_model():
    result = linalg.dcdm(A, b, model=None, rtol=1e-17, on_stall="stop")
    assert result.status is Status.STAGNATED and result.residual <= 1e-12 * SIZE
