"""Identities that hold for every system: scaling, permutation, similarity, exact cases, storage, threads, columns."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from small_systems import operator, poisson

import solvers
from solvers import Status, linalg

METHODS = [linalg.cg, linalg.minres, linalg.bicgstab, linalg.gmres]
SYMMETRIC = [linalg.cg, linalg.minres]
GENERAL = [linalg.bicgstab, linalg.gmres]

every_method = pytest.mark.parametrize("solve", METHODS, ids=lambda f: f.__name__)
every_dtype = pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])

# Iterations by which rounding alone may move the end; bicgstab's norms jump.
SLACK = dict.fromkeys(METHODS, 1) | {linalg.bicgstab: 3}

quick = settings(deadline=None, max_examples=20, derandomize=True, database=None)
sizes = st.integers(2, 40)
seeds = st.integers(0, 2**32 - 1)


def rotation(n, dtype, rng):
    Q = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    return np.linalg.qr(Q)[0]


def system(n, seed, dtype="d", condition=100.0, eigenvalues=None):
    """A dense Hermitian positive definite matrix and a right-hand side."""
    rng = np.random.default_rng(seed)
    if eigenvalues is None:
        eigenvalues = np.geomspace(1, condition, n)
    Q = rotation(n, dtype, rng)
    A = (Q * eigenvalues) @ Q.conj().T
    b = rng.standard_normal(n) + (1j * rng.standard_normal(n) if np.dtype(dtype).kind == "c" else 0)
    return ((A + A.conj().T) / 2).astype(dtype), b.astype(dtype)


def close(x, y, rtol):
    return np.linalg.norm(x - y) <= rtol * np.linalg.norm(y)


# ------------------------------------------------------------------------------------------------- scaling


@every_method
@quick
@given(n=sizes, seed=seeds, power=st.integers(-40, 40))
def test_scaling_the_matrix_by_a_power_of_two_gives_the_same_iterates(solve, n, seed, power):
    A, b = system(n, seed)
    plain, scaled = solve(A, b, rtol=1e-8), solve(A * 2.0**power, b, rtol=1e-8)
    assert scaled.iterations == plain.iterations
    assert np.array_equal(scaled.x * 2.0**power, plain.x)
    assert np.array_equal(scaled.residuals, plain.residuals)


@every_method
@quick
@given(n=sizes, seed=seeds, power=st.integers(-300, 300) | st.sampled_from([-900, -664, 664, 900]))
def test_scaling_b_by_a_power_of_two_gives_the_same_iterates(solve, n, seed, power):
    A, b = system(n, seed)
    plain, scaled = solve(A, b, rtol=1e-8), solve(A, b * 2.0**power, rtol=1e-8)
    assert scaled.iterations == plain.iterations
    assert np.array_equal(scaled.x * 2.0**-power, plain.x)
    assert np.allclose(scaled.residuals * 2.0**-power, plain.residuals, rtol=1e-12, atol=0)


@every_method
@pytest.mark.parametrize("scale", [2.0**p for p in (-996, -664, -498, -332, 332, 498, 664, 996)])
def test_tiny_and_huge_right_hand_sides_converge_in_the_same_number_of_iterations(solve, scale):
    A, b = system(30, 0)
    plain, scaled = solve(A, b, rtol=1e-8), solve(A, b * scale, rtol=1e-8)
    assert scaled.status is Status.CONVERGED
    assert abs(scaled.iterations - plain.iterations) <= SLACK[solve]
    assert close(scaled.x / scale, plain.x, 1e-6)


@every_method
@pytest.mark.parametrize("dtype", ["f", "F"])
@pytest.mark.parametrize("scale", [1e-25, 1e-15, 1e15, 1e25])
def test_single_precision_does_not_overflow_in_squares(solve, dtype, scale):
    A, b = system(30, 0, dtype)
    result = solve(A, b * np.dtype(dtype).type(scale), rtol=1e-3)
    assert result.status is Status.CONVERGED
    assert close(result.x.astype("D") / scale, solve(A, b, rtol=1e-3).x, 1e-2)


@every_method
@quick
@given(n=sizes, seed=seeds, factor=st.floats(-8, 8).filter(lambda f: abs(f) > 1e-3))
def test_the_solution_is_linear_in_b(solve, n, seed, factor):
    A, b = system(n, seed)
    c = np.random.default_rng(seed + 1).standard_normal(n)
    x, y, z = (solve(A, v, rtol=1e-12).x for v in (b, c, b + factor * c))
    assert np.linalg.norm(x + factor * y - z) <= 1e-8 * (np.linalg.norm(x) + np.linalg.norm(factor * y))


# ------------------------------------------------------------------------------- permutation and similarity


@every_method
@quick
@given(n=sizes, seed=seeds)
def test_a_permutation_of_the_unknowns_permutes_the_solution(solve, n, seed):
    A, b = system(n, seed, condition=10)
    order = np.random.default_rng(seed).permutation(n)
    plain, permuted = solve(A, b, rtol=1e-8), solve(A[np.ix_(order, order)], b[order], rtol=1e-8)
    assert abs(permuted.iterations - plain.iterations) <= SLACK[solve]
    assert close(permuted.x, plain.x[order], 1e-5)


@every_method
@quick
@given(n=sizes, seed=seeds)
def test_a_diagonal_unitary_similarity_turns_the_solution(solve, n, seed):
    A, b = system(n, seed, "D", condition=10)
    u = np.exp(2j * np.pi * np.random.default_rng(seed).random(n))
    turned_A = u[:, None] * A * u.conj()
    turned_A = (turned_A + turned_A.conj().T) / 2
    plain, turned = solve(A, b, rtol=1e-8), solve(turned_A, u * b, rtol=1e-8)
    assert abs(turned.iterations - plain.iterations) <= SLACK[solve]
    assert close(turned.x, u * plain.x, 1e-5)


@every_method
@quick
@given(n=sizes, seed=seeds)
def test_a_real_system_in_complex_clothes_takes_the_same_iterations(solve, n, seed):
    A, b = system(n, seed, condition=10)
    real, clothed = solve(A, b, rtol=1e-8), solve(A.astype(complex), b.astype(complex), rtol=1e-8)
    assert abs(clothed.iterations - real.iterations) <= SLACK[solve]
    assert close(clothed.x.real, real.x, 1e-5)
    assert np.abs(clothed.x.imag).max() <= 1e-10 * np.abs(real.x).max()


@pytest.mark.parametrize("solve", SYMMETRIC, ids=lambda f: f.__name__)
@quick
@given(n=sizes, seed=seeds)
def test_the_negative_matrix_gives_the_negative_solution(solve, n, seed):
    A, b = system(n, seed)
    plain, negative = solve(A, b, rtol=1e-8), solve(-A, b, rtol=1e-8)
    assert negative.iterations == plain.iterations
    assert np.array_equal(negative.x, -plain.x)


# --------------------------------------------------------------------------------------------- exact cases


@every_method
@every_dtype
@quick
@given(n=st.integers(1, 200), seed=seeds)
def test_the_identity_is_solved_in_one_iteration(solve, dtype, n, seed):
    b = np.random.default_rng(seed).standard_normal(n).astype(dtype)
    result = solve(sparse.eye_array(n, dtype=dtype, format="csr"), b)
    assert (result.info, result.iterations) == (0, 1)
    assert close(result.x, b, 1e-5)


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres, linalg.gmres], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["d", "D"])
@quick
@given(k=st.integers(1, 6), repeats=st.integers(1, 6), seed=seeds)
def test_k_distinct_eigenvalues_take_at_most_k_iterations(solve, dtype, k, repeats, seed):
    A, b = system(k * repeats, seed, dtype, eigenvalues=np.repeat(np.arange(1.0, k + 1), repeats))
    result = solve(A, b, rtol=1e-9)
    assert result.info == 0
    assert result.iterations <= k


@every_method
@quick
@given(n=sizes, seed=seeds)
def test_the_exact_inverse_as_preconditioner_takes_one_iteration(solve, n, seed):
    A, b = system(n, seed, condition=10)
    result = solve(A, b, M=np.linalg.inv(A), rtol=1e-8)
    assert (result.info, result.iterations) == (0, 1)


@every_method
@every_dtype
@quick
@given(n=sizes, seed=seeds)
def test_the_solution_as_x0_takes_no_iteration(solve, dtype, n, seed):
    rng = np.random.default_rng(seed)
    A = np.diag(2.0 ** rng.integers(0, 5, n)).astype(dtype)
    x0 = rng.integers(1, 9, n).astype(dtype)
    result = solve(A, A @ x0, x0=x0)
    assert (result.info, result.iterations, result.residual) == (0, 0, 0.0)
    assert np.array_equal(result.x, x0)
    assert not np.shares_memory(result.x, x0)


@every_method
@quick
@given(n=sizes, seed=seeds)
def test_x0_shifts_the_system(solve, n, seed):
    # A (x0 + d) = b and A d = b - A x0 are one problem, with tolerances made equal.
    A, b = system(n, seed, condition=10)
    x0 = np.random.default_rng(seed + 1).standard_normal(n)
    r = b - A @ x0
    tolerance = 1e-8 * np.linalg.norm(b)
    started = solve(A, b, x0=x0, rtol=1e-8)
    shifted = solve(A, r, rtol=tolerance / np.linalg.norm(r))
    assert abs(started.iterations - shifted.iterations) <= SLACK[solve]
    assert close(started.x, x0 + shifted.x, 1e-5)


def test_the_iterations_are_those_of_scipy():
    from scipy.sparse import linalg as scipy_linalg

    A, b = poisson(20, 20), np.random.default_rng(0).standard_normal(400)
    for ours, theirs in ((linalg.cg, scipy_linalg.cg), (linalg.bicgstab, scipy_linalg.bicgstab)):
        steps = []
        theirs(A, b, rtol=1e-4, callback=steps.append)
        assert abs(ours(A, b, rtol=1e-4).iterations - len(steps)) <= 1
    steps = []
    scipy_linalg.gmres(A, b, rtol=1e-4, callback=steps.append, callback_type="pr_norm")
    assert abs(linalg.gmres(A, b, rtol=1e-4).iterations - len(steps)) <= 1


# --------------------------------------------------------------------------------- many right-hand sides


@every_method
@every_dtype
@pytest.mark.parametrize("storage", ["dense", "csr", "operator"])
def test_many_right_hand_sides_are_what_they_are_one_by_one(solve, dtype, storage):
    A, _ = system(30, 7, dtype)
    rng = np.random.default_rng(3)
    B = rng.standard_normal((30, 5)).astype(dtype) * np.array([1, 1e-3, 1e3, 0, 1]).astype(dtype)
    B[:, 4] = A @ np.eye(30, dtype=dtype)[:, 0]
    A = {"dense": np.asarray, "csr": sparse.csr_array, "operator": operator}[storage](A)
    together = solve(A, B, rtol=1e-3)
    singles = [solve(A, b, rtol=1e-3) for b in B.T]
    assert together.x.shape == (30, 5) and together.x.dtype == dtype
    assert together.info == 0
    assert together.status == tuple(s.status for s in singles)
    assert np.abs(together.iterations - [s.iterations for s in singles]).max() <= 1
    for column, single, residual in zip(together.x.T, singles, together.residual):
        assert np.linalg.norm(column - single.x) <= 2e-3 * 100 * np.linalg.norm(single.x)
        assert residual <= single.threshold
    assert together.residuals.shape == (together.iterations.max() + 1, 5)


@every_method
@quick
@given(n=sizes, k=st.integers(2, 7), seed=seeds)
def test_many_right_hand_sides_agree_to_rounding(solve, n, k, seed):
    A, _ = system(n, seed)
    B = np.random.default_rng(seed).standard_normal((n, k))
    together = solve(sparse.csr_array(A), B, rtol=1e-10)
    singles = [solve(sparse.csr_array(A), b, rtol=1e-10) for b in B.T]
    assert together.converged
    assert np.abs(together.iterations - [s.iterations for s in singles]).max() <= 1
    assert all(close(x, s.x, 1e-7) for x, s in zip(together.x.T, singles))


@every_method
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_many_right_hand_sides_in_memory_does_not_matter(solve, order):
    A, _ = system(20, 1)
    B = np.random.default_rng(0).standard_normal((20, 3))
    assert np.array_equal(solve(A, np.array(B, order=order)).x, solve(A, B[:, :]).x)


@every_method
def test_one_column_gives_a_vector(solve):
    A, b = system(12, 0)
    column, vector = solve(A, b[:, None], rtol=1e-8), solve(A, b, rtol=1e-8)
    assert column.x.shape == (12,)
    assert np.array_equal(column.x, vector.x)
    assert isinstance(column.status, Status)


@every_method
def test_x0_of_many_columns_is_taken_column_by_column(solve):
    A, _ = system(12, 0)
    X = np.random.default_rng(0).integers(1, 5, (12, 3)).astype(float)
    B = A @ X
    X0 = X.copy()
    X0[:, 1] = 0
    result = solve(sparse.csr_array(A), B, x0=X0, rtol=1e-8)
    assert result.converged
    assert result.iterations[0] == result.iterations[2] == 0 < result.iterations[1]


@every_method
def test_a_column_that_fails_does_not_hold_up_the_others(solve):
    A = np.diag([1.0, 2.0, 3.0, 0.0])
    B = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    result = solve(sparse.csr_array(A), B, rtol=1e-8)
    assert result.status[0] is Status.CONVERGED
    assert result.status[1] is not Status.CONVERGED
    assert result.info != 0 and not result.converged
    assert close(A @ result.x[:, 0], B[:, 0], 1e-8)


# ---------------------------------------------------------------------------------- storage and threads


@every_method
@every_dtype
@pytest.mark.parametrize("make", [sparse.csr_array, np.asarray])
def test_a_prepared_matrix_gives_the_same_bits(solve, dtype, make):
    A, b = system(40, 5, dtype)
    A = make(A)
    prepared = linalg.prepare(A)
    assert np.array_equal(solve(prepared, b, rtol=1e-4).x, solve(A, b, rtol=1e-4).x)
    assert solve(prepared, b, rtol=1e-4).iterations == solve(A, b, rtol=1e-4).iterations


@every_method
def test_a_prepared_banded_matrix_gives_the_same_bits(solve):
    A, b = poisson(20, 20), np.random.default_rng(0).standard_normal(400)
    assert np.array_equal(solve(linalg.prepare(A), b, rtol=1e-8).x, solve(A, b, rtol=1e-8).x)


def test_a_prepared_matrix_is_a_copy():
    A, b = system(10, 0)
    prepared = linalg.prepare(A)
    before = linalg.cg(prepared, b).x
    A[:] = 0
    assert np.array_equal(linalg.cg(prepared, b).x, before)
    assert np.array_equal(prepared @ before, prepared.matvec(before))
    assert close(prepared @ before, b, 1e-4)


@every_method
@every_dtype
def test_all_storages_of_one_matrix_agree(solve, dtype):
    A = poisson(16, 16).astype(dtype)
    b = np.random.default_rng(0).standard_normal(256).astype(dtype)
    order = np.random.default_rng(1).permutation(256)  # scattered: no longer a matrix of few diagonals
    back = np.argsort(order)
    forms = {
        "diagonals": (A, b, slice(None)),
        "csr": (sparse.csr_array(A[order][:, order]), b[order], back),
        "dense": (A.toarray(), b, slice(None)),
        "operator": (operator(A), b, slice(None)),
        "function": (lambda v: A @ v, b, slice(None)),
        "stencil": (linalg.stencil((16, 16), np.array([4, -1, -1], dtype=dtype)), b, slice(None)),
    }
    results = {name: (solve(M, right, rtol=1e-3), where) for name, (M, right, where) in forms.items()}
    first = results["diagonals"][0]
    for name, (result, where) in results.items():
        assert result.status is Status.CONVERGED, name
        assert abs(result.iterations - first.iterations) <= 1, name
        assert close(result.x[where], first.x, 1e-2), name


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("form", ["diagonals", "csr", "stencil"])
@every_method
def test_the_number_of_threads_does_not_change_a_bit(solve, form, dtype):
    m = 245  # 60,025 unknowns
    few = {"maxiter": 15} if solve is not linalg.gmres else {"maxiter": 1, "restart": 10}
    A = poisson(m, m).astype(dtype)
    b = np.random.default_rng(0).standard_normal(m * m).astype(dtype)
    if form == "csr":
        far = sparse.coo_array(([1e-3, 1e-3], ([0, m * m - 1], [m * m - 1, 0])), shape=A.shape)
        order = np.random.default_rng(1).permutation(m * m)
        A = sparse.csr_array((A + far).astype(dtype))[order][:, order]
    elif form == "stencil":
        A = linalg.stencil((m, m), np.array([4, -1, -1], dtype=dtype))
    results = []
    before = solvers.get_threads()
    try:
        for threads in (1, 2):
            solvers.set_threads(threads)
            results.append(solve(A, b, rtol=1e-12, **few))
    finally:
        solvers.set_threads(before)
    one, two = results
    assert one.iterations == two.iterations >= 10
    assert np.array_equal(one.x, two.x)
    assert np.array_equal(one.residuals, two.residuals)


def test_the_number_of_threads_does_not_change_a_bit_of_many_columns():
    m = 245
    A, B = poisson(m, m), np.random.default_rng(0).standard_normal((m * m, 3))
    before = solvers.get_threads()
    try:
        solvers.set_threads(1)
        one = linalg.cg(A, B, maxiter=15)
        solvers.set_threads(2)
        two = linalg.cg(A, B, maxiter=15)
    finally:
        solvers.set_threads(before)
    assert np.array_equal(one.x, two.x)


@every_method
def test_the_same_call_gives_the_same_bits(solve):
    A, b = poisson(30, 30), np.random.default_rng(0).standard_normal(900)
    assert np.array_equal(solve(A, b, rtol=1e-8).x, solve(A, b, rtol=1e-8).x)


# ---------------------------------------------------------------------------------------------- the dtype


@every_method
@every_dtype
@pytest.mark.parametrize("storage", ["dense", "csr", "operator"])
@pytest.mark.parametrize("k", [None, 3])
def test_the_dtype_is_kept(solve, dtype, storage, k):
    A, b = system(10, 0, dtype)
    A = {"dense": np.asarray, "csr": sparse.csr_array, "operator": operator}[storage](A)
    b = b if k is None else np.stack([b] * k, axis=1)
    assert solve(A, b, rtol=1e-3).x.dtype == np.dtype(dtype)


@every_method
@pytest.mark.parametrize("pair", ["fdd", "dfd", "fFF", "dFD", "FdD"])
def test_the_dtype_is_the_wider_of_a_and_b(solve, pair):
    a, b, x = pair
    A, right = system(10, 0, a)[0], system(10, 0, b)[1]
    assert solve(A, right, rtol=1e-3).x.dtype == np.dtype(x)


# --------------------------------------------------------------------------------------------- the result


def results(solve):
    A, b = system(12, 0)
    yield solve(A, b)
    yield solve(A, np.stack([b, 2 * b], axis=1))
    yield solve(A, b, maxiter=1, **({"restart": 1} if solve is linalg.gmres else {}))
    yield solve(A * np.nan, b)
    yield solve(A, np.zeros(12))
    yield solve(A, np.zeros((12, 0)))


@every_method
def test_a_result_is_scipys_pair(solve):
    for result in results(solve):
        x, info = result
        assert len(result) == 2 and isinstance(result, tuple)
        assert x is result.x and info is result.info
        assert isinstance(info, int)


def same(a, b):
    assert type(a) is type(b)
    assert np.array_equal(a.x, b.x) and a.info == b.info
    assert a.__dict__.keys() == b.__dict__.keys()
    assert all(np.array_equal(a.__dict__[key], b.__dict__[key]) for key in a.__dict__)
    assert repr(a) == repr(b)
    return True


@every_method
def test_a_result_survives_pickling(solve):
    for result in results(solve):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert same(pickle.loads(pickle.dumps(result, protocol)), result)


@every_method
def test_a_result_can_be_copied(solve):
    for result in results(solve):
        assert same(copy.copy(result), result)
        deep = copy.deepcopy(result)
        assert same(deep, result)
        assert not result.x.size or not np.shares_memory(deep.x, result.x)


@every_method
def test_the_dictionary_of_a_result_is_json(solve):
    for result in results(solve):
        back = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert back["method"] == solve.__name__
        assert back["converged"] == result.converged
        assert back["message"] == result.message


@every_method
def test_the_repr_of_a_result_is_one_line_with_its_numbers(solve):
    for result in results(solve):
        assert repr(result).startswith("Result(") and repr(result).endswith("cpu)")
        assert "\n" not in repr(result)
        assert f"{result.n_matvec} matvec" in repr(result)


@every_method
@quick
@given(n=sizes, seed=seeds, rtol=st.sampled_from([1e-2, 1e-5, 1e-9]))
def test_the_norms_begin_with_that_of_b_and_are_one_more_than_the_iterations(solve, n, seed, rtol):
    A, b = system(n, seed)
    result = solve(A, b, rtol=rtol)
    assert result.residuals.shape == (result.iterations + 1,)
    assert result.residuals[0] == pytest.approx(np.linalg.norm(b))
    assert result.residual <= result.threshold == pytest.approx(rtol * np.linalg.norm(b))


@pytest.mark.parametrize("solve", [linalg.minres, linalg.gmres], ids=lambda f: f.__name__)
@quick
@given(n=sizes, seed=seeds)
def test_the_norms_of_a_minimal_residual_method_never_grow(solve, n, seed):
    A, b = system(n, seed)
    norms = solve(A, b, rtol=1e-8).residuals
    assert np.all(np.diff(norms) <= 1e-10 * norms[0])


@every_method
@pytest.mark.parametrize("preconditioned", [False, True])
def test_every_product_with_an_operator_is_counted(solve, preconditioned):
    A, b = system(25, 0)
    products = 0

    def matvec(v):
        nonlocal products
        products += 1
        return A @ v

    M = np.diag(1 / np.diag(A)) if preconditioned else None
    result = solve(LinearOperator(A.shape, matvec=matvec, dtype=float), b, rtol=1e-8, M=M)
    assert result.n_matvec == products


@pytest.mark.parametrize("solve", GENERAL, ids=lambda f: f.__name__)
@quick
@given(n=sizes, seed=seeds)
def test_the_general_methods_solve_unsymmetric_systems(solve, n, seed):
    rng = np.random.default_rng(seed)
    A = np.eye(n) * 4 + rng.standard_normal((n, n)) / np.sqrt(n)
    x = rng.standard_normal(n)
    assume(np.linalg.cond(A) < 100)
    result = solve(A, A @ x, rtol=1e-10)
    assert result.info == 0
    assert close(result.x, x, 1e-7)
