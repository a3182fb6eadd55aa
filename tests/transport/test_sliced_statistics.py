"""Error bars of sliced distances cover the truth, and errors are smaller than those of plain Monte Carlo."""

import numpy as np
import pytest
from sliced_cases import gaussians

from solvers import transport

sliced = transport.sliced_wasserstein


def coverage(X, Y, seeds, **options):
    truth = sliced(X, Y, n_projections=40_000, rng=10**6).distance
    found = [sliced(X, Y, rng=seed, **options) for seed in range(seeds)]
    inside = [low <= truth <= high for low, high in (r.confidence_interval() for r in found)]
    assert all(r.bounds[0] <= r.distance <= r.bounds[1] for r in found)
    return np.mean(inside)


DATA = {"d2": (2, 60), "d3": (3, 60), "d6": (6, 60), "d12": (12, 60), "d20": (20, 60)}


@pytest.mark.parametrize("d, n", DATA.values(), ids=DATA)
def test_intervals_cover(d, n):
    X, Y = gaussians(d, n)
    assert 0.88 <= coverage(X, Y, 150, n_projections=100) <= 0.99  # 0.95 +- 3.5 standard deviations


@pytest.mark.slow
@pytest.mark.parametrize("d, n", DATA.values(), ids=DATA)
@pytest.mark.parametrize("options", [dict(n_projections=100), dict(n_projections=100, directions="iid")], ids=str)
def test_intervals_cover_over_many_seeds(d, n, options):
    X, Y = gaussians(d, n)
    assert 0.92 <= coverage(X, Y, 1000, **options) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("d, n", DATA.values(), ids=DATA)
@pytest.mark.parametrize("control", ["gaussian", None])
def test_intervals_cover_where_doubling_stopped(d, n, control):
    X, Y = gaussians(d, n)
    typical = sliced(X, Y, n_projections=200, control=control, rng=0)
    rtol = typical.standard_error / typical.distance
    assert coverage(X, Y, 1000, rtol=rtol, control=control) >= 0.90


@pytest.mark.parametrize("d, gain", [(3, 1e5), (10, 1e4), (30, 1e3)])
def test_squared_errors_are_much_smaller_than_those_of_plain_monte_carlo(d, gain):
    X, Y = gaussians(d, 1000)
    truth = sliced(X, Y, n_projections=10_000, rng=10**6).power
    plain = sliced(X, Y, n_projections=5000, directions="iid", control=None, rng=1).values.var() / 100
    ours = np.mean([(sliced(X, Y, n_projections=100, rng=seed).power - truth) ** 2 for seed in range(30)])
    assert plain >= gain * ours


@pytest.mark.parametrize("d", [10, 30])
def test_ten_times_better_than_orthogonal_directions_alone(d):
    """Against complete Haar bases (UnifOrtho), by the definition: rows of QR factors with the signs of R taken off."""
    X, Y = gaussians(d, 500)
    truth, rng = sliced(X, Y, n_projections=10_000, rng=10**6).power, np.random.default_rng(0)

    def rival():
        Q, R = np.linalg.qr(rng.standard_normal((-(-100 // d), d, d)))
        h = (Q * np.sign(np.diagonal(R, axis1=1, axis2=2))[:, None, :]).swapaxes(1, 2).reshape(-1, d)[:100]
        return np.mean((np.sort(X @ h.T, axis=0) - np.sort(Y @ h.T, axis=0)) ** 2)

    theirs = np.mean([(rival() - truth) ** 2 for _ in range(30)])
    ours = np.mean([(sliced(X, Y, n_projections=100, rng=seed).power - truth) ** 2 for seed in range(30)])
    assert theirs >= 10 * ours


@pytest.mark.slow
@pytest.mark.parametrize("classes, gain", [("low or high", 40), ("0 or 1", 5e3)])
def test_squared_errors_on_images(classes, gain):
    images, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    X, Y = (images[labels < 5], images[labels >= 5]) if gain < 100 else (images[labels == 0], images[labels == 1])
    truth = sliced(X, Y, n_projections=40_000, rng=10**6).power
    plain = sliced(X, Y, n_projections=20_000, directions="iid", control=None, rng=1).values.var() / 100
    ours = np.mean([(sliced(X, Y, n_projections=100, rng=seed).power - truth) ** 2 for seed in range(200)])
    assert plain >= gain * ours
