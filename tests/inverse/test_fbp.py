"""Filtered back-projection of many views: the head, scales, forms, and what it refuses."""

import numpy as np
import pytest
from solvers.benchmarks.phantoms import shepp_logan, shepp_logan_integrals

from solvers import InvalidInput, inverse


def blob(n, pixel):
    x = (np.arange(n) - (n - 1) / 2) * pixel
    return np.exp(-(((x[:, None] - 3 * pixel) / (6 * pixel)) ** 2) - (x / (9 * pixel)) ** 2)


@pytest.mark.parametrize("turn", [np.pi, 2 * np.pi])
@pytest.mark.parametrize(("pixel", "spacing"), [(1.0, 1.0), (0.3, 0.15), (2.0, 2.6)])
def test_a_smooth_image_comes_back_in_its_own_units(turn, pixel, spacing):
    angles = np.arange(90) * (turn / 90)
    A = inverse.ParallelBeam((48, 48), angles, pixel_size=pixel, detector_spacing=spacing)
    image = blob(48, pixel)
    assert np.abs(inverse.fbp(A, A @ image) - image).max() <= 0.015


def test_the_head_comes_back_from_its_exact_integrals():
    n, angles = 128, np.arange(200) * np.pi / 200
    A = inverse.ParallelBeam((n, n), angles, dtype=np.float32)
    s = (np.arange(A.data_shape[1]) - (A.data_shape[1] - 1) / 2) * 2 / n
    b = (shepp_logan_integrals(angles[:, None], s) * n / 2).astype(np.float32)
    errors = {}
    for filter in ("ramp", "shepp-logan", "cosine", "hamming", "hann"):
        x = inverse.fbp(A, b, filter=filter)
        assert x.dtype == np.float32
        errors[filter] = np.linalg.norm(x - shepp_logan(n)) / np.linalg.norm(shepp_logan(n))
        # The brain around the ventricles: no offset, whatever the filter.
        assert abs(x[60:64, 60:68].mean() - 0.2) <= 0.01
    assert errors["ramp"] <= 0.25 and sorted(errors, key=errors.get) == list(errors)


def test_every_form_is_taken_and_complex_data_are():
    A, rng = inverse.ParallelBeam((9, 7), 12), np.random.default_rng(0)
    B = rng.standard_normal((3, *A.data_shape))
    X = inverse.fbp(A, B)
    np.testing.assert_allclose(inverse.fbp(A, B[1]), X[1], atol=1e-12)
    np.testing.assert_allclose(inverse.fbp(A, B.reshape(3, -1).T), X.reshape(3, -1).T, atol=1e-12)
    np.testing.assert_allclose(inverse.fbp(A, B[0] + 1j * B[2]), X[0] + 1j * X[2], atol=1e-12)


def test_what_it_refuses_is_one_sentence():
    A = inverse.ParallelBeam((4, 4), 3)
    with pytest.raises(InvalidInput, match="`filter` must be one of 'ramp', 'shepp-logan'"):
        inverse.fbp(A, np.ones(A.data_shape), filter="sharp")
    with pytest.raises(InvalidInput, match="`b` must be finite"):
        inverse.fbp(A, np.full(A.data_shape, np.nan))
    with pytest.raises(InvalidInput, match="`b` must have shape"):
        inverse.fbp(A, np.ones((4, 4)))
    fan = inverse.FanBeam((4, 4), 3, source_distance=9.0, detector_distance=1.0)
    with pytest.raises(TypeError, match="`A` must be a ParallelBeam, got FanBeam; least_squares inverts any operator"):
        inverse.fbp(fan, np.ones(fan.data_shape))
