"""Kronecker-structured sparse Bayesian learning, against the dense posterior and least squares on the true support."""

import numpy as np
import pytest
from solvers.benchmarks import sparse_cases

from solvers import InvalidInput, Status, UnsupportedType, inverse, linalg


def drawn(*arguments, **options):
    case = sparse_cases.kronecker(*arguments, **options)
    return case.dictionaries, case.support, case.x, case.b, case.noise_level


def error(x, truth):
    return np.linalg.norm(x - truth) ** 2 / np.linalg.norm(truth) ** 2


@pytest.mark.parametrize("decibels", [15, 25])
def test_as_good_as_least_squares_on_the_true_support(decibels):
    ratios = []
    for seed in range(30):
        case = sparse_cases.kronecker(np.random.default_rng(seed), decibels=decibels)
        found = inverse.krosbl(case.dictionaries, case.b, noise_level=case.noise_level).x
        ratios.append((error(found, case.x), error(case.known_support(), case.x)))
    ours, oracle = np.median(ratios, axis=0)
    assert ours <= 1.3 * oracle


def test_the_posterior_is_the_dense_one():
    """Mean and variance of N(0, G) given b, by the covariance that is never formed."""
    A, _, _, y, level = drawn(np.random.default_rng(0), (5, 4, 6), (3, 4, 5), 2, 20, complex)
    res = inverse.krosbl(A, y.ravel(), noise_level=level, prune=0.0, maxiter=3)
    g = np.einsum("i,j,k", *res.variances).ravel()
    K = np.kron(np.kron(A[0], A[1]), A[2])
    gain = g[:, None] * K.conj().T @ np.linalg.inv(level**2 * np.eye(len(K)) + (K * g) @ K.conj().T)
    np.testing.assert_allclose(res.x, gain @ y.ravel(), rtol=1e-9, atol=1e-12 * abs(res.x).max())
    np.testing.assert_allclose(res.std**2, g - np.einsum("ij,ji->i", gain, K * g).real, rtol=1e-6, atol=1e-14)
    assert res.status is Status.MAXITER and res.iterations == 3
    assert res.residual == pytest.approx(np.linalg.norm(y.ravel() - K @ res.x))


def test_both_rules_find_a_clear_support_and_complex_dictionaries_work():
    A, support, x, y, level = drawn(np.random.default_rng(3), count=2, decibels=40, dtype=complex)
    for method, most in (("svd", 1e-3), ("am", 2e-2)):
        res = inverse.krosbl(linalg.KroneckerOperator(A), y, noise_level=level, method=method, maxiter=400)
        assert res.converged and error(res.x, x) < most
        for found, right in zip(res.support, support, strict=True):
            assert 0 < len(found) and set(found) <= set(right)


def test_units_do_not_matter():
    A, _, _, y, level = drawn(np.random.default_rng(4))
    one, other = (inverse.krosbl(A, y * s, noise_level=level * s) for s in (1.0, 1e-12))
    assert other.iterations == one.iterations
    np.testing.assert_allclose(other.x, one.x * 1e-12, rtol=1e-8, atol=1e-24)
    np.testing.assert_allclose(other.variances[0], one.variances[0] * 1e-24, rtol=1e-8)


def test_one_axis_is_ordinary_sparse_bayesian_learning():
    rng = np.random.default_rng(5)
    A, x = rng.standard_normal((20, 40)), np.zeros(40)
    x[[3, 17, 31]] = 2.0, -1.0, 3.0
    res = inverse.krosbl([A], A @ x, noise_level=1e-4)
    assert res.support[0].tolist() == [3, 17, 31] and np.abs(res.x - x).max() < 1e-3


def test_data_of_zeros_give_zero():
    A = [np.eye(3), np.eye(4)]
    for method in ("svd", "am"):
        res = inverse.krosbl(A, np.zeros((3, 4)), noise_level=1.0, method=method)
        assert res.converged and not res.x.any() and not res.std.any()


def test_nothing_of_the_callers_is_changed_and_a_callback_stops():
    A, _, _, y, level = drawn(np.random.default_rng(6))
    copies = [each.copy() for each in (*A, y)]
    seen = []

    def stop(x):
        seen.append(x.copy())
        x[:] = 7
        if len(seen) == 2:
            raise StopIteration

    res = inverse.krosbl(A, y, noise_level=level, callback=stop)
    assert res.status is Status.STOPPED and res.iterations == 2 and not np.array_equal(res.x, np.full_like(y, 7))
    for each, copy in zip((*A, y), copies, strict=True):
        np.testing.assert_array_equal(each, copy)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (dict(A=np.eye(3)), UnsupportedType, "`A` must be a list of matrices"),
        (dict(A=[np.eye(3), np.ones(3)]), InvalidInput, r"`A\[1\]` must be a matrix"),
        (dict(b=np.ones(5)), InvalidInput, r"`b` must have shape \(3, 2\) or \(6,\)"),
        (dict(b=np.full((3, 2), np.nan)), InvalidInput, "`b` must be finite"),
        (dict(noise_level=0.0), InvalidInput, "`noise_level` must be > 0"),
        (dict(method="em"), InvalidInput, "`method` must be one of 'svd', 'am'"),
        (dict(prune=1.0), InvalidInput, "`prune` must be < 1"),
    ],
    ids=repr,
)
def test_bad_input_is_one_sentence(change, error, words):
    given = dict(A=[np.eye(3), np.eye(2)], b=np.ones((3, 2)), noise_level=0.1) | change
    with pytest.raises(error, match=words):
        inverse.krosbl(given.pop("A"), given.pop("b"), **given)
