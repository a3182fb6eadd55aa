"""Features reproduce the kernel: sum_k s_k^2 cos(omega_k d) = k(d)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import pde
from solvers._errors import InvalidInput, UnsupportedType
from solvers.pde._kernels import Automatic

LIMIT = 4000.0


def from_features(kernel, d, length, limit=LIMIT):
    omegas, deviations = kernel.features(length, limit)
    return np.cos(np.multiply.outer(d, omegas)) @ deviations**2


def matern(t):
    return (1 + t + t**2 / 3) * np.exp(-t)


@settings(max_examples=25, deadline=None)
@given(length=st.floats(0.1, 10), ratio=st.floats(0.05, 20))
def test_squared_exponential(length, ratio):
    d = np.linspace(0, length, 40)
    scale = ratio * length
    found = from_features(pde.SquaredExponential(scale), d, length, 100 / scale)
    np.testing.assert_allclose(found, np.exp(-0.5 * (d / scale) ** 2), atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 0.5, 2.0])
def test_matern(scale):
    d = np.linspace(0, 1, 40)
    found = from_features(pde.Matern(scale), d, 1.0)
    np.testing.assert_allclose(found, matern(np.sqrt(5) * d / scale), atol=1e-8)


@pytest.mark.parametrize("envelope", ["gaussian", "matern"])
def test_mixtures(envelope):
    kernel = pde.SpectralMixture([0.0, 40.0, 90.0], [0.3, 0.5, 2.0], [1.0, 0.25, 2.0], envelope)
    d = np.linspace(0, 1, 60)
    truth = 0.0
    for omega, scale, weight in zip(kernel.frequencies, kernel.scales, kernel.weights, strict=True):
        shape = np.exp(-0.5 * (d / scale) ** 2) if envelope == "gaussian" else matern(np.sqrt(5) * d / scale)
        truth = truth + weight * shape * np.cos(omega * d)
    np.testing.assert_allclose(from_features(kernel, d, 1.0), truth, atol=1e-7)


def test_the_automatic_band_stays_below_what_the_nodes_carry():
    kernel = Automatic(np.array([300.0, 250.0, 50.0]), 200)
    omegas, deviations = kernel.features(1.0, np.pi * 40)
    assert kernel.band_limit(1.0, np.pi * 40) <= 0.4 * np.pi * 40
    assert np.any(np.abs(omegas - 300) < 5) and deviations.shape == omegas.shape
    assert not np.any(np.abs(kernel.features(1.0, np.pi * 20)[0] - 300) < 5)


def test_of_peaks_as_many_are_taken_as_leave_nodes_over():
    omegas = Automatic(np.array([300.0, 250.0, 400.0, 350.0]), 20).features(1.0, np.pi * 60)[0]
    assert [bool(np.any(np.abs(omegas - peak) < 5)) for peak in (300, 250, 400, 350)] == [True, True, False, False]


def test_a_kernel_of_the_right_frequency_needs_few_nodes():
    def u(x):
        return np.sin(100 * x)

    kernel = pde.SpectralMixture([0.0, 100.0], scales=4.0)
    solution = pde.solve_gp({(2,): 1.0}, lambda x: -1e4 * u(x), [(0, 2 * np.pi)], u, kernel=kernel)
    assert solution.converged
    x = np.linspace(0, 2 * np.pi, 300)
    assert np.max(np.abs(solution.predict((x,)) - u(x))) < 1e-7


@pytest.mark.parametrize("kernel", [pde.Matern(1.0), pde.SquaredExponential(0.3)])
def test_smooth_kernels_solve_a_smooth_problem(kernel):
    solution = pde.solve_gp(pde.laplacian(2), lambda x, y: -2 * np.sin(x) * np.cos(y), [(0, 1)] * 2,
                            lambda x, y: np.sin(x) * np.cos(y), kernel=kernel, tol=1e-6)  # fmt: skip
    assert solution.converged
    assert abs(solution.predict([[0.3, 0.4]])[0] - np.sin(0.3) * np.cos(0.4)) < 1e-6


def test_a_kernel_without_the_frequency_does_not_claim_success():
    kernel = pde.SpectralMixture([30.0], scales=4.0)
    solution = pde.solve_gp({(2,): 1.0}, lambda x: -1e4 * np.sin(100 * x), [(0, 2 * np.pi)], 0, kernel=kernel)
    assert not solution.converged
    assert solution.error_estimate > 0.1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: pde.SpectralMixture([-1.0], 1.0), InvalidInput, "`frequencies` must be >= 0"),
        (lambda: pde.SpectralMixture([1.0], 0.0), InvalidInput, "`scales` must be > 0"),
        (lambda: pde.SpectralMixture([1.0, 2.0], [1.0, 2.0, 3.0]), InvalidInput, "`scales` must have shape"),
        (lambda: pde.SpectralMixture([np.nan], 1.0), InvalidInput, "`frequencies`"),
        (lambda: pde.SpectralMixture([1.0], 1.0, envelope="cauchy"), InvalidInput, "`envelope`"),
        (lambda: pde.Matern(-1.0), InvalidInput, "`length` must be > 0"),
        (lambda: pde.SquaredExponential("1"), UnsupportedType, "`length`"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_they_are_shown_in_a_line():
    assert repr(pde.SpectralMixture([3.0], 1.0)) == "SpectralMixture(1 frequency from 3 to 3)"
    assert (repr(pde.Matern(2.0)), repr(pde.SquaredExponential(0.5))) == ("Matern(2)", "SquaredExponential(0.5)")
