"""Robust recovery of a matrix of low rank from measurements with outliers."""

import numpy as np
import pytest

from solvers import InvalidInput, Status, inverse


def drawn(seed, n=40, r=3, condition=5, share=0.2, noise=0.0, dtype=float):
    """Gaussian measurements, ten for each unknown of a factor, a share of them wrong by ten times the norm of X."""
    rng = np.random.default_rng(seed)

    def gaussian(*shape):
        return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype is complex else 0)

    U, V = (np.linalg.qr(gaussian(n, r))[0] for _ in range(2))
    X = (U * np.geomspace(1, 1 / condition, r)) @ V.conj().T
    A = gaussian(10 * n * r, n * n)
    wrong = rng.random(len(A)) < share
    b = A @ X.ravel() + noise * gaussian(len(A))
    b[wrong] += 10 * gaussian(wrong.sum())
    return A, X, b, wrong


def error(x, X):
    return np.linalg.norm(np.asarray(x) - X) / np.linalg.norm(X)


def test_a_fifth_of_wrong_measurements_is_found_in_fewer_than_150_steps():
    A, X, b, wrong = drawn(0)
    res = inverse.recover(A, b, X.shape, 3)
    assert res.stop_reason == "tolerance" and res.iterations <= 150 and error(res.x, X) < 1e-7
    np.testing.assert_array_equal(res.outliers, wrong)
    plain = inverse.recover(A, b, X.shape, 3, method="plain")
    assert plain.converged and plain.iterations > 1.5 * res.iterations


def test_the_rate_does_not_depend_on_the_condition_of_the_matrix():
    counts = []
    for condition in (1, 50):
        A, X, b, _ = drawn(1, n=24, r=2, condition=condition)
        counts.append(inverse.recover(A, b, X.shape, 2).check().iterations)
    assert counts[1] < 1.5 * counts[0]


def test_more_outliers_than_said_still_converge():
    A, X, b, _ = drawn(2, n=24, r=2, share=0.3)
    res = inverse.recover(A, b, X.shape, 2, outliers=0.2)
    assert res.converged and error(res.x, X) < 1e-5


def test_noise_ends_as_stationary_near_the_truth():
    A, X, b, wrong = drawn(3, n=24, r=2, noise=0.01)
    res = inverse.recover(A, b, X.shape, 2)
    assert res.stop_reason == "stationary" and error(res.x, X) < 0.01
    assert res.residual < 0.015 * len(b) ** 0.5 and (res.outliers | ~wrong).mean() > 0.99


def test_complex_matrices_and_units():
    A, X, b, _ = drawn(4, n=16, r=2, dtype=complex)
    one, small = (inverse.recover(A, b * s, X.shape, 2) for s in (1.0, 2.0**-40))
    assert one.converged and error(one.x, X) < 1e-6 and small.iterations == one.iterations
    np.testing.assert_array_equal(np.asarray(small.x) * 2.0**40, np.asarray(one.x))


def test_limits_callbacks_and_the_smallest_matrix():
    A, X, b, _ = drawn(5, n=8, r=1)
    assert inverse.recover(A, b, X.shape, 1, maxiter=3).status is Status.MAXITER

    def stop(x):
        raise StopIteration

    assert inverse.recover(A, b, X.shape, 1, callback=stop).iterations == 1
    res = inverse.recover(np.ones((1, 1)), [2.0], (1, 1), 1)
    np.testing.assert_allclose(np.asarray(res.x), [[2.0]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(shape=(3, 3)), "`shape` must have 6 entries"),
        (dict(rank=3), "`rank` must be at most 2"),
        (dict(b=np.zeros(5)), "`b` must have an entry other than zero"),
        (dict(b=np.full(5, np.inf)), "`b` must be finite"),
        (dict(b=np.ones(4)), r"`b` must have shape \(5,\)"),
        (dict(outliers=1.0), "`outliers` must be < 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_input_to_recover_is_one_sentence(change, words):
    given = dict(A=np.ones((5, 6)), b=np.ones(5), shape=(2, 3), rank=1) | change
    with pytest.raises(InvalidInput, match=words):
        inverse.recover(given.pop("A"), given.pop("b"), given.pop("shape"), given.pop("rank"), **given)
