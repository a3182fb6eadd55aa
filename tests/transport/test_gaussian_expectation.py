"""The mean over directions of the distance between Gaussians: closed forms, a fine spiral, and its derivatives."""

import math

import numpy as np
import pytest
from sliced_cases import spiral

from solvers.transport._sliced_gaussian import gaussian_mean


def wishart(rng, d, rank):
    Z = rng.standard_normal((rank, d))
    return Z.T @ Z / rank


def mean_product(A, B):
    """E s t, for which a sphere's means are known, from E (s - t)^2 = E s^2 + E t^2 - 2 E s t."""
    return (np.trace(A) / len(A) + np.trace(B) / len(B) - gaussian_mean(A, B)) / 2


@pytest.mark.parametrize("d", [1, 2, 3, 10, 50, 200])
def test_equal_covariances(rng, d):
    A = wishart(rng, d, d + 2)
    assert abs(mean_product(A, 7 * A) / (math.sqrt(7) * np.trace(A) / d) - 1) <= 1e-12
    assert gaussian_mean(A, A) == 0.0
    assert gaussian_mean(A, 4 * A) == pytest.approx(np.trace(A) / d, rel=1e-12)


@pytest.mark.parametrize("ranks", [(5, 9), (30, 4), (2, 2), (1, 3)])
def test_against_a_million_points_of_a_spiral(rng, ranks):
    A, B = (wishart(rng, 3, rank) for rank in ranks)
    h = spiral(10**6)
    s, t = (np.sqrt(((h @ C) * h).sum(axis=1)) for C in (A, B))
    tolerance = 1e-8 if min(ranks) > 2 else 1e-7  # where a standard deviation has a zero, the spiral errs more
    assert abs(mean_product(A, B) / np.mean(s * t) - 1) <= tolerance
    assert abs(gaussian_mean(A, B) / np.mean((s - t) ** 2) - 1) <= tolerance * np.trace(A) / gaussian_mean(A, B)


@pytest.mark.parametrize("d", [2, 3, 50])
@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.3, 1.2, math.pi / 2])
def test_two_lines(d, angle):
    """E |XY| of correlated normal numbers is (2 / pi) (sqrt(1 - r^2) + r arcsin r)."""
    u, v, r = np.zeros(d), np.zeros(d), math.cos(angle)
    u[0], v[0], v[1] = 1, r, math.sin(angle)
    exact = 2 / math.pi * (math.sqrt(1 - r * r) + r * math.asin(r)) / d
    assert abs(mean_product(3 * np.outer(u, u), np.outer(v, v)) / (math.sqrt(3) * exact) - 1) <= 1e-8


def test_close_covariances_keep_their_digits():
    """For A = I and B = I + e D with tr D = 0, the mean is e^2 E (h'Dh)^2 / 4 = e^2 |D|^2 / (2 d (d + 2))."""
    D, e = np.diag([1.0, -2.0, 1.0]), 1e-7
    assert gaussian_mean(np.eye(3), np.eye(3) + e * D) == pytest.approx(e**2 * 6 / (4 * 15) * 2, rel=1e-5)


@pytest.mark.parametrize("condition", [1e3, 1e6])
def test_ill_conditioned_covariances(condition):
    h = spiral(10**6)
    A, B = np.diag([1 / condition, 1, 0.5]), np.diag([1, 1 / condition, 0.3])
    s, t = (np.sqrt(((h @ C) * h).sum(axis=1)) for C in (A, B))
    assert abs(mean_product(A, B) / np.mean(s * t) - 1) <= 1e-8


def test_what_neither_sees_counts_as_dimension_only(rng):
    A, B = wishart(rng, 4, 6), wishart(rng, 4, 9)
    wide = np.zeros((2, 10, 10))
    wide[:, :4, :4] = A, B
    assert mean_product(*wide) == pytest.approx(0.4 * mean_product(A, B), rel=1e-10)


def test_a_point_has_no_spread(rng):
    A, zero = wishart(rng, 4, 6), np.zeros((4, 4))
    assert mean_product(A, zero) == 0.0 and gaussian_mean(zero, zero) == 0.0
    assert gaussian_mean(A, zero) == pytest.approx(np.trace(A) / 4)


def test_it_is_symmetric_and_does_not_see_rotations(rng):
    A, B = wishart(rng, 6, 8), wishart(rng, 6, 20)
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    value = gaussian_mean(A, B)
    assert gaussian_mean(B, A) == pytest.approx(value, rel=1e-10)
    assert gaussian_mean(Q @ A @ Q.T, Q @ B @ Q.T) == pytest.approx(value, rel=1e-9)
    assert gaussian_mean(9 * A, 9 * B) == pytest.approx(9 * value, rel=1e-12)


@pytest.mark.parametrize("ranks", [(8, 20), (3, 20)])
def test_derivatives_agree_with_differences(rng, ranks):
    A, B = (wishart(rng, 6, rank) for rank in ranks)
    _, by_a, by_b = gaussian_mean(A, B, gradient=True)
    # Euler: both are half of what E s t is homogeneous of.
    assert np.sum(by_a * A) == pytest.approx(mean_product(A, B), rel=1e-8)
    assert np.sum(by_b * B) == pytest.approx(mean_product(A, B), rel=1e-8)
    E, e = wishart(rng, 6, 3), 1e-5
    difference = (gaussian_mean(A, B + e * E) - gaussian_mean(A, B - e * E)) / (2 * e)
    assert np.trace(E) / 6 - np.sum(by_b * E) == pytest.approx(difference, rel=1e-7)


def test_a_high_dimension_agrees_with_directions(rng):
    A, B = wishart(rng, 80, 90), wishart(rng, 80, 30)
    h = rng.standard_normal((20_000, 80))
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    gaps = (np.sqrt(((h @ A) * h).sum(axis=1)) - np.sqrt(((h @ B) * h).sum(axis=1))) ** 2
    assert abs(gaussian_mean(A, B) - gaps.mean()) <= 4 * gaps.std() / math.sqrt(len(h))
