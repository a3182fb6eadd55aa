"""Identities that hold for every system: scaling, permutation, similarity, exact cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from krylov import SLACK, SYMMETRIC, close, every_dtype, every_method, quick, seeds, sizes, system
from scipy import sparse
from scipy.sparse import linalg as scipy_linalg
from small_systems import poisson

from solvers import Status, linalg

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

    A, b = poisson(20, 20), np.random.default_rng(0).standard_normal(400)
    for ours, theirs in ((linalg.cg, scipy_linalg.cg), (linalg.bicgstab, scipy_linalg.bicgstab)):
        steps = []
        theirs(A, b, rtol=1e-4, callback=steps.append)
        assert abs(ours(A, b, rtol=1e-4).iterations - len(steps)) <= 1
    steps = []
    scipy_linalg.gmres(A, b, rtol=1e-4, callback=steps.append, callback_type="pr_norm")
    assert abs(linalg.gmres(A, b, rtol=1e-4).iterations - len(steps)) <= 1
