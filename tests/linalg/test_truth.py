"""Truth in convergence: info 0 means that the residual was recomputed; a failure has a name and a remedy."""

import functools
import re
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg as scipy_linalg
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from small_systems import operator, poisson

import solvers
from solvers import InvalidInput, Status, linalg

METHODS = [linalg.cg, linalg.minres, linalg.bicgstab, linalg.gmres]
SHORT_CYCLES = {linalg.gmres: {"restart": 1}}  # so that maxiter counts iterations
MANY = dict.fromkeys(METHODS, 2000) | {linalg.gmres: 40}  # far more iterations, or cycles, than are needed

every_method = pytest.mark.parametrize("solve", METHODS, ids=lambda f: f.__name__)
every_dtype = pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
every_storage = pytest.mark.parametrize(
    "storage", [np.asarray, sparse.csr_array, aslinearoperator], ids=["dense", "csr", "operator"]
)


def hermitian(eigenvalues, dtype="d", seed=0):
    """A dense Hermitian matrix with these eigenvalues."""
    rng = np.random.default_rng(seed)
    n = len(eigenvalues)
    Q = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    Q = np.linalg.qr(Q)[0]
    A = (Q * eigenvalues) @ Q.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


def true_residual(A, x, b):
    """||b - A x|| in long double, and the size of that computation's rounding."""
    wide = np.clongdouble if np.result_type(A, x, b).kind == "c" else np.longdouble
    A, x, b = (v.astype(wide) for v in (A, x, b))
    size = np.abs(A) @ np.abs(x) + np.abs(b)
    return float(np.linalg.norm(b - A @ x)), float(np.linalg.norm(size))


# ------------------------------------------------------------------------------------- the table, row by row


@every_method
@every_dtype
@every_storage
def test_success_on_the_last_permitted_iteration_is_success(solve, dtype, storage):
    A, b = storage(hermitian(np.linspace(1, 2, 30), dtype)), np.ones(30, dtype)
    options = {"rtol": 1e-3, **SHORT_CYCLES.get(solve, {})}
    needed = solve(A, b, **options).iterations
    assert needed > 1
    result = solve(A, b, maxiter=needed, **options)
    assert (result.info, result.status, result.iterations) == (0, Status.CONVERGED, needed)


@every_method
@every_dtype
@every_storage
def test_one_iteration_less_than_needed_is_maxiter(solve, dtype, storage):
    A, b = storage(hermitian(np.linspace(1, 2, 30), dtype)), np.ones(30, dtype)
    options = {"rtol": 1e-3, **SHORT_CYCLES.get(solve, {})}
    needed = solve(A, b, **options).iterations
    result = solve(A, b, maxiter=needed - 1, **options)
    assert (result.info, result.status, result.iterations) == (needed - 1, Status.MAXITER, needed - 1)
    assert result.residual > result.threshold


@pytest.mark.parametrize("dtype, rtol", [("f", 1e-8), ("F", 1e-8), ("d", 1e-16), ("D", 1e-16)])
@every_method
def test_a_tolerance_below_rounding_ends_as_stagnated_with_the_true_residual(solve, dtype, rtol):
    A = poisson(20, 20)
    b = np.random.default_rng(0).standard_normal(400).astype(dtype)
    result = solve(A.astype(dtype), b, rtol=rtol, maxiter=MANY[solve])
    true, size = true_residual(A.toarray(), result.x, b)
    assert result.status is Status.STAGNATED
    assert true > result.threshold
    assert result.residual == pytest.approx(true, rel=1e-2)
    # It gave up at the level of rounding, not before.
    assert true <= 100 * np.finfo(dtype).eps * size


def test_scipys_cg_says_success_where_ours_says_stagnated():
    A, b = poisson(60, 60).astype("f"), np.random.default_rng(0).standard_normal(3600).astype("f")
    x, info = scipy_linalg.cg(A, b, rtol=1e-8)
    theirs = np.linalg.norm(b - A.astype("d") @ x.astype("d"))
    result = linalg.cg(A, b, rtol=1e-8)
    assert info == 0 and theirs > 10 * result.threshold
    assert result.status is Status.STAGNATED
    assert result.residual <= theirs


@every_method
def test_restarts_reach_a_tolerance_that_the_first_recurrence_missed(solve):
    # 1e-14 is above the attainable residual, yet below where the recursive one parts from the true.
    A = hermitian(np.geomspace(1, 1e3, 100))
    b = np.random.default_rng(1).standard_normal(100)
    result = solve(A, A @ b, rtol=1e-14, maxiter=MANY[solve])
    true, size = true_residual(A, result.x, A @ b)
    assert result.converged == (true <= result.threshold + 4e-16 * size)
    assert true <= 2e-14 * np.linalg.norm(A @ b)


@every_method
@every_storage
def test_nan_in_b_is_refused_with_a_count_and_the_first_index(solve, storage):
    b = np.array([1.0, 2.0, np.nan, np.inf])
    with pytest.raises(InvalidInput, match=r"^`b` must be finite, got 2 NaN .* the first at \[2\]"):
        solve(storage(np.eye(4)), b)


@every_dtype
@every_storage
def test_cg_names_an_indefinite_matrix(dtype, storage):
    A = hermitian(np.array([-3.0, -1.0, 1.0, 2.0, 3.0, 5.0]), dtype)
    result = linalg.cg(storage(A), np.ones(6, dtype), rtol=1e-4)
    assert (result.status, result.info) == (Status.INDEFINITE, -11)
    assert np.isfinite(result.x).all()


@every_storage
def test_cg_names_a_direction_without_curvature(storage):
    # p^H A p = 0 at the first step: SciPy divides by it.
    result = linalg.cg(storage(np.diag([1.0, -1.0])), np.ones(2))
    assert result.status is Status.INDEFINITE
    assert np.array_equal(result.x, np.zeros(2))


@every_dtype
@every_storage
def test_cg_solves_a_negative_definite_matrix(dtype, storage):
    A = -hermitian(np.linspace(1, 2, 10), dtype)
    result = linalg.cg(storage(A), np.ones(10, dtype), rtol=1e-4)
    assert result.status is Status.CONVERGED
    assert true_residual(A, result.x, np.ones(10, dtype))[0] <= 1.01e-4 * np.sqrt(10)


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["F", "D"])
@every_storage
def test_a_complex_matrix_that_is_not_hermitian_is_named(solve, dtype, storage):
    A = hermitian(np.linspace(1, 2, 10), dtype)
    A += 0.5j * np.diag(np.arange(1, 11)).astype(dtype)
    result = solve(storage(A.astype(dtype)), np.ones(10, dtype), rtol=1e-4)
    assert (result.status, result.info) == (Status.NOT_HERMITIAN, -11)


@every_method
@every_dtype
@every_storage
def test_nan_in_the_matrix_is_nonfinite_at_the_first_step(solve, dtype, storage):
    A = np.eye(6, dtype=dtype)
    A[2, 2] = np.nan
    result = solve(storage(A), np.ones(6, dtype))
    assert (result.status, result.info, result.iterations) == (Status.NONFINITE, -12, 0)
    assert np.array_equal(result.x, np.zeros(6))


@every_method
@every_dtype
@every_storage
@pytest.mark.parametrize("x0", [None, "ones"])
def test_b_zero_gives_a_fresh_zero_vector(solve, dtype, storage, x0):
    b = np.zeros(5, dtype)
    x0 = np.ones(5, dtype) if x0 else None
    result = solve(storage(np.eye(5, dtype=dtype)), b, x0=x0)
    assert (result.info, result.iterations, result.residual) == (0, 0, 0.0)
    assert np.array_equal(result.x, b) and result.x.dtype == dtype
    assert not np.shares_memory(result.x, b)
    assert x0 is None or not np.shares_memory(result.x, x0)


@every_method
@pytest.mark.parametrize("options", [{"maxiter": 0}, {"rtol": -1.0}, {"x0": np.ones(3)}], ids=str)
def test_what_has_no_meaning_is_refused_with_one_sentence(solve, options):
    (name,) = options
    with pytest.raises(InvalidInput, match=f"^`{name}` must [^\n]*\\.$"):
        solve(np.eye(4), np.ones(4), **options)


@every_method
@every_dtype
@pytest.mark.parametrize("fails_at", range(1, 9))
def test_nan_in_a_product_gives_the_finite_iterate_at_hand_and_its_residual(solve, dtype, fails_at):
    A, b = hermitian(np.geomspace(1, 100, 20), dtype), np.arange(1, 21).astype(dtype)
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        return A @ v if count != fails_at else np.full(20, np.nan)

    result = solve(LinearOperator(A.shape, matvec=matvec, dtype=A.dtype), b, rtol=1e-6)
    assert result.status is Status.NONFINITE
    true, size = true_residual(A, result.x, b)
    assert result.residual == pytest.approx(true, abs=8 * float(np.finfo(dtype).eps) * size)
    assert result.residual <= np.linalg.norm(b) * (1 + 1e-6)


@every_method
def test_nan_with_a_good_x0_gives_x0(solve):
    A, x0 = np.diag([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.9])
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        return A @ v if count != 2 else np.full(3, np.nan)

    result = solve(LinearOperator(A.shape, matvec=matvec, dtype=float), A @ np.ones(3), x0=x0)
    assert result.status is Status.NONFINITE
    assert np.array_equal(result.x, x0)


@every_method
@every_dtype
@every_storage
@pytest.mark.parametrize("x0", [None, "given"])
def test_an_infinite_tolerance_is_met_at_once(solve, dtype, storage, x0):
    x0 = np.arange(6).astype(dtype) if x0 else None
    result = solve(storage(np.eye(6, dtype=dtype)), np.ones(6, dtype), x0=x0, rtol=np.inf)
    assert (result.info, result.iterations) == (0, 0)
    assert np.array_equal(result.x, np.zeros(6) if x0 is None else x0)


@every_method
@every_dtype
@every_storage
def test_a_tolerance_of_zero_runs_until_stagnation_or_the_exact_answer(solve, dtype, storage):
    A, b = hermitian(np.linspace(1, 3, 25), dtype), np.arange(1, 26).astype(dtype)
    result = solve(storage(A), b, rtol=0, maxiter=MANY[solve])
    true, size = true_residual(A, result.x, b)
    assert result.status in (Status.STAGNATED, Status.CONVERGED)
    assert true <= 20 * np.finfo(dtype).eps * size
    assert result.status is Status.STAGNATED or true == 0.0


@every_method
def test_a_tolerance_of_zero_accepts_an_exact_answer(solve):
    result = solve(2.0 * np.eye(4), np.array([4.0, 0.0, 0.0, 0.0]), rtol=0)
    assert (result.status, result.residual) == (Status.CONVERGED, 0.0)


@pytest.mark.parametrize("n", [8, 12, 14, 20])
def test_gmres_starts_again_where_rounding_ends_a_full_cycle_above_the_tolerance(n):
    # After n steps the Krylov space is exhausted, yet a large x0 has left more than the tolerance.
    A = hermitian(np.geomspace(1, 1e6, n), seed=n)
    b, x0 = np.random.default_rng(n).standard_normal((2, n))
    result = linalg.gmres(A, b, x0=1e4 * x0, rtol=1e-8)
    assert result.status is Status.CONVERGED


@every_dtype
@pytest.mark.parametrize("scale", [1e-9, 1e6, 1e9, 1e15, 1e18])
def test_minres_does_not_call_a_regular_system_with_a_large_b_inconsistent(dtype, scale):
    A, b = hermitian(np.linspace(1, 2, 40), dtype), np.full(40, scale, dtype)
    assert linalg.minres(A, b, rtol=1e-3).status is Status.CONVERGED


def test_minres_returns_the_least_squares_solution_of_an_inconsistent_system():
    A, b = np.diag([1.0, 2.0, 3.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
    result = linalg.minres(A, b, rtol=1e-10)
    assert (result.status, result.info) == (Status.INCONSISTENT, -13)
    assert np.allclose((A @ (b - A @ result.x)), 0, atol=1e-9)
    assert result.residual == pytest.approx(4.0)


@every_method
def test_a_singular_system_with_b_in_the_range_is_solved(solve):
    A = poisson(6, 6).toarray()
    A -= np.diag(A.sum(axis=1))  # Neumann values: the constants are the null space
    b = A @ np.random.default_rng(0).standard_normal(36)
    result = solve(A, b, rtol=1e-6)
    assert result.status is Status.CONVERGED
    assert true_residual(A, result.x, b)[0] <= 1.001e-6 * np.linalg.norm(b)


# ------------------------------------------------------------------------------------------ 200 random cases

CASES = 200
DTYPES = "fdFD"


class Case:
    """A random system: size, conditioning, storage, tolerance, preconditioner and starting guess all drawn."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.dtype = np.dtype(DTYPES[seed % 4])
        self.symmetric = seed % 3 != 0
        n = int(rng.integers(1, 201))
        eigenvalues = 10.0 ** rng.uniform(0, rng.uniform(0, 14), n)
        scale = 10.0 ** rng.uniform(-3, 3)
        self.array = self._matrix(eigenvalues * scale, rng)
        self.storage = rng.choice(["dense", "csr", "operator"])
        self.A = {"dense": np.asarray, "csr": sparse.csr_array, "operator": operator}[self.storage](self.array)
        self.b = self._vector(n, rng) if rng.random() < 0.7 else self.array @ self._vector(n, rng)
        self.rtol = 10.0 ** rng.uniform(-8.5 if self.dtype.char in "fF" else -17, -2)
        self.atol = 0.0 if rng.random() < 0.7 else self.rtol * float(np.linalg.norm(self.b)) * rng.uniform(0.1, 10)
        self.x0 = None if rng.random() < 0.5 else self._vector(n, rng) * self.dtype.type(10.0 ** rng.uniform(-2, 4))
        self.M = None
        if rng.random() < 0.5:
            diagonal = np.abs(self.array.diagonal())
            self.M = sparse.diags_array((1 / np.where(diagonal > 0, diagonal, 1)).astype(self.dtype))

    def _vector(self, n, rng):
        v = rng.standard_normal(n)
        return (v + 1j * rng.standard_normal(n) if self.dtype.kind == "c" else v).astype(self.dtype)

    def _matrix(self, eigenvalues, rng):
        n = eigenvalues.size
        if rng.random() < 0.4:
            # Sparse: a chain of weights drawn from the spectrum, diagonally dominant.
            weights = eigenvalues[: max(n - 1, 0)]
            A = np.diag(-weights, 1) + np.diag(-weights, -1)
            A = A + np.diag(np.abs(A).sum(axis=1) + eigenvalues.min())
            A = A.astype(self.dtype)
            if self.dtype.kind == "c":
                phases = np.exp(1j * rng.uniform(0, 6, n)).astype(self.dtype)
                A = phases[:, None] * A * phases.conj()
                A = (A + A.conj().T) / 2
        else:
            A = hermitian(eigenvalues, self.dtype, seed=rng)
        if not self.symmetric:
            A = A + rng.uniform(0.05, 0.5) * np.triu(A, 1)
        return np.ascontiguousarray(A, dtype=self.dtype)

    def methods(self):
        return METHODS if self.symmetric else [linalg.bicgstab, linalg.gmres]

    def solve(self, solve):
        n = self.b.size
        options = {"rtol": self.rtol, "x0": None if self.x0 is None else self.x0.copy(), "M": self.M}
        if solve.__name__ != "minres":
            options["atol"] = self.atol
        options["maxiter"] = 8 if solve.__name__ == "gmres" else 4 * n
        return solve(self.A, self.b, **options)

    def excess(self, solve, x, roundings=4):
        """How far the true residual lies above the tolerance; 1 is on it, the checker's own rounding allowed."""
        atol = 0.0 if solve.__name__ == "minres" else self.atol
        threshold = max(atol, self.rtol * float(np.linalg.norm(self.b.astype(np.result_type(self.dtype, "d")))))
        true, size = true_residual(self.array, x, self.b)
        # The library accumulates the products of an array in float64; an operator rounds in its own dtype.
        eps = np.finfo(self.dtype if self.storage == "operator" else "d").eps
        return true / (threshold + roundings * eps * size)


@functools.cache
def ours_on(seed):
    case = Case(seed)
    return case, [(solve, case.solve(solve)) for solve in case.methods()]


@pytest.mark.parametrize("seed", range(CASES))
def test_info_0_means_that_the_recomputed_residual_meets_the_tolerance(seed):
    case, results = ours_on(seed)
    for solve, result in results:
        assert np.isfinite(result.x).all()
        assert result.x.dtype == case.dtype
        assert (result.info == 0) == (result.status is Status.CONVERGED) == result.converged
        assert result.info != 0 or case.excess(solve, result.x) <= 1, solve.__name__


@pytest.mark.parametrize("seed", range(CASES))
def test_the_residual_reported_is_the_recomputed_one(seed):
    case, results = ours_on(seed)
    for solve, result in results:
        true, size = true_residual(case.array, result.x, case.b)
        eps = np.finfo(case.dtype if case.storage == "operator" else "d").eps
        assert abs(result.residual - true) <= 8 * eps * size, solve.__name__


def test_scipy_breaks_on_the_same_cases_what_ours_keep():
    claims, broken, met, worst, ours, ours_broken = ({s.__name__: 0 for s in METHODS} for _ in range(6))
    for seed in range(CASES):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            case, results = ours_on(seed)
        for solve, result in results:
            name = solve.__name__
            theirs = getattr(scipy_linalg, name)
            if name == "minres" and case.dtype.kind == "c":
                continue
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                x, info = case.solve(theirs)
            ours[name] += result.converged
            ours_broken[name] += result.converged and case.excess(solve, result.x) > 1
            if info == 0:
                excess = case.excess(solve, x)
                claims[name] += 1
                broken[name] += excess > 1 or np.isnan(excess)
                met[name] += case.excess(solve, x, roundings=0) <= 1
                worst[name] = max(worst[name], excess)
    for name in claims:
        print(
            f"\n{name}: SciPy says success {claims[name]} times, false {broken[name]} times "
            f"(at worst {worst[name]:.1e} times the tolerance); ours {ours[name]} times, false {ours_broken[name]}.",
            end="",
        )
    assert not any(ours_broken.values())
    assert broken["cg"] >= 1
    assert sum(broken.values()) >= 10
    # Ours do not tell the truth by giving up: they succeed about as often as SciPy really does.
    assert all(ours[name] >= met[name] - 2 for name in claims)


# ------------------------------------------------------------------------------------------ the words for it


@pytest.mark.parametrize("status", Status)
def test_a_status_has_one_sentence_that_ends_with_a_period(status):
    assert status.sentence.endswith(".")
    assert "\n" not in status.sentence
    assert re.search(r"\.\s", status.sentence) is None


REMEDIES = ("raise `", "loosen ", "allow ", "use ", "pass ", "project ", "solve in", "look for", "rescale", "accept x")


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.CONVERGED, Status.STOPPED)])
def test_the_sentence_of_a_failure_names_a_remedy(status):
    assert any(remedy in status.sentence for remedy in REMEDIES)


def failures():
    """One result a status."""
    b, nan = np.ones(6), np.diag([1.0, 2.0, np.nan, 4.0, 5.0, 6.0])
    A = hermitian(np.linspace(1, 9, 6))

    def stop(x):
        raise StopIteration

    yield Status.MAXITER, linalg.cg(A, b, maxiter=1)
    yield Status.STAGNATED, linalg.cg(A, b, rtol=0)
    yield Status.INDEFINITE, linalg.cg(np.diag([1.0, -1, 1, -1, 1, -1]), b)
    yield Status.NOT_HERMITIAN, linalg.cg(A + 1j * np.diag(np.arange(6)), b)
    yield Status.INCONSISTENT, linalg.minres(np.diag([1.0, 2, 3, 4, 5, 0]), b)
    yield Status.BREAKDOWN, linalg.bicgstab(np.kron(np.eye(3), np.array([[0, 1.0], [-1.0, 0]])), b)
    yield Status.NONFINITE, linalg.cg(nan, b)
    yield Status.DIVERGED, linalg.gauss_seidel(np.array([[1.0, 3.0], [2.0, 1.0]]), b[:2])
    yield Status.STALLED, linalg.dcdm(A, b, model=np.zeros_like, on_stall="stop")
    yield Status.STOPPED, linalg.cg(A, b, callback=stop)


@pytest.mark.parametrize("status, result", [pytest.param(*f, id=str(f[0])) for f in failures()])
def test_the_message_of_a_failure_holds_its_status_its_numbers_and_its_sentence(status, result):
    assert result.status is status
    assert result.message.endswith(status.sentence)
    assert f"cg {status}" in result.message or str(status) in result.message
    assert f"{result.residual:.1e}" in result.message and f"{result.threshold:.1e}" in result.message
    assert "\n" not in result.message


@pytest.mark.parametrize("status, result", [pytest.param(*f, id=str(f[0])) for f in failures()])
def test_check_raises_the_message_and_carries_the_result(status, result):
    with pytest.raises(solvers.ConvergenceError) as caught:
        result.check()
    assert str(caught.value) == result.message
    assert caught.value.result is result


def test_every_failure_has_its_own_code():
    codes = {status: result.info for status, result in failures()}
    assert codes[Status.BREAKDOWN] == -10
    assert codes[Status.INDEFINITE] == codes[Status.NOT_HERMITIAN] == -11
    assert codes[Status.NONFINITE] == -12
    assert codes[Status.INCONSISTENT] == -13
    assert codes[Status.DIVERGED] == -14
    assert all(codes[s] >= 1 for s in (Status.MAXITER, Status.STAGNATED, Status.STALLED, Status.STOPPED))


def test_every_failure_of_the_table_is_made_by_some_call():
    """INFEASIBLE is for transport, the others of these are for least squares."""
    elsewhere = {Status.INFEASIBLE, Status.ILL_CONDITIONED, Status.NOT_ADJOINT, Status.UNATTAINABLE}
    assert {status for status, _ in failures()} == set(Status) - {Status.CONVERGED} - elsewhere


@every_method
def test_check_returns_the_result_of_a_success(solve):
    result = solve(np.eye(3), np.ones(3))
    assert result.check() is result


def test_of_many_right_hand_sides_the_message_names_the_worst_column():
    b = np.ones((3, 2))
    b[:, 1] = [1.0, 1.0, 0.0]
    result = linalg.cg(np.diag([1.0, -1.0, 1.0]), b)
    assert result.info == -11
    assert "column" in result.message and result.message.endswith(Status.INDEFINITE.sentence)


@pytest.mark.parametrize("solve", METHODS, ids=lambda s: s.__name__)
def test_an_answer_beyond_the_range_of_its_dtype_is_no_success(solve):
    A = np.diag([1e-20, 2e-20, 3e-20]).astype(np.float32)
    result = solve(A, np.full(3, 1e25, dtype=np.float32))
    assert not result.converged and np.isfinite(result.x).all() and np.isfinite(result.residual)


@pytest.mark.parametrize("solve", METHODS, ids=lambda s: s.__name__)
def test_an_answer_that_underflows_is_no_success_with_a_residual_it_does_not_have(solve):
    A = np.diag([1.0, 2.0, 3.0]) * 1e15
    b = np.array([1.0, 5.0, 7.0]) * 1e-306
    result = solve(A, b, rtol=1e-10)
    gap = np.linalg.norm((b - A @ result.x) * 2.0**1000) / 2.0**1000
    assert result.converged == (gap <= 1e-10 * np.linalg.norm(b * 2.0**1000) / 2.0**1000)
    assert result.residual == pytest.approx(gap, rel=1e-3)


@pytest.mark.parametrize("many", [1, 8, 20])
def test_a_zero_column_gives_zero_whatever_x0_is_among_any_number_of_columns(many):
    rng = np.random.default_rng(0)
    n = 400
    draws = rng.random((n, n))
    G = sparse.csr_array(np.where(draws < 0.1, 10 * draws, 0))
    A = (G + G.T + 60 * sparse.eye_array(n)).tocsr()
    B, X0 = rng.standard_normal((2, n, many + 1))
    B[:, 0] = 0
    result = linalg.cg(A, B, X0, rtol=1e-8)
    assert result.converged and not result.x[:, 0].any() and result.iterations[0] == 0


def test_minres_on_a_singular_inconsistent_system_stops_at_the_least_squares_solution():
    A = np.array(
        [
            [-6, -1, 3, 2, -5, -3, -6],
            [-1, -2, -2, 1, 0, 0, -1],
            [3, -2, -2, 2, 2, 0, 3],
            [2, 1, 2, 2, 1, 1, 2],
            [-5, 0, 2, 1, -2, -1, -5],
            [-3, 0, 0, 1, -1, 2, -3],
            [-6, -1, 3, 2, -5, -3, -6],
        ],
        float,
    )
    b = np.array([1.0, -2, 3, 2, 2, 1, -3])
    result = linalg.minres(A, b)
    least = np.linalg.norm(b - A @ np.linalg.lstsq(A, b)[0])
    assert result.status is Status.INCONSISTENT
    assert result.residual == pytest.approx(least, rel=1e-6) and np.abs(result.x).max() < 1e3


@pytest.mark.parametrize("dtype, smallest", [("float32", 1e-4), ("float64", 1e-12)])
def test_minres_does_not_call_an_ill_conditioned_definite_matrix_inconsistent(dtype, smallest):
    A = np.diag([1, 2, 3, smallest]).astype(dtype)
    assert linalg.minres(A, np.ones(4, dtype), rtol=1e-3).status is not Status.INCONSISTENT


def test_minres_names_a_preconditioner_that_overflows():
    result = linalg.minres(np.diag([1.0, 2, 3]), np.ones(3), M=np.eye(3) * 1e300 * 1e8)
    assert result.status is Status.NONFINITE and np.isfinite(result.x).all()


def test_every_callback_of_many_columns_gets_vectors():
    rng = np.random.default_rng(0)
    draws = rng.random((300, 300))
    G = sparse.csr_array(np.where(draws < 0.1, 10 * draws, 0))
    A, B, shapes = (G + G.T + 60 * sparse.eye_array(300)).tocsr(), rng.standard_normal((300, 8)), set()
    linalg.cg(A, B, rtol=1e-8, callback=lambda xk: shapes.add(xk.shape))
    assert shapes == {(300,)}
