"""What tomography is measured on: Shepp and Logan's head and its integrals, and the table of speeds."""

import numpy as np
from solvers.benchmarks import tomography_speed
from solvers.benchmarks.phantoms import shepp_logan, shepp_logan_integrals


def test_the_head_lies_upright_and_has_its_densities():
    image = shepp_logan(256, np.float32)
    assert image.dtype == np.float32
    assert set(np.unique(np.round(image, 6))) <= {np.float32(round(0.1 * k, 6)) for k in range(11)}
    skull, above, below, outside = image[13, 128], image[64, 128], image[192, 128], image[13, 188]
    assert skull == 1.0 and outside == 0.0
    assert np.isclose(above, 0.3) and np.isclose(below, 0.2)  # the large ellipse lies above the centre


def test_the_integrals_are_those_of_the_image():
    n = 400
    image, at = shepp_logan(n), (2 * np.arange(n) - (n - 1)) / n
    np.testing.assert_allclose(shepp_logan_integrals(0.0, at), image.sum(axis=0) * 2 / n, atol=0.04)
    np.testing.assert_allclose(shepp_logan_integrals(np.pi / 2, -at), image.sum(axis=1) * 2 / n, atol=0.04)
    # The mass is the same from all sides.
    theta = np.linspace(0, 3, 7)[:, None]
    masses = shepp_logan_integrals(theta, at).sum(axis=1) * 2 / n
    np.testing.assert_allclose(masses, image.sum() * 4 / n**2, rtol=5e-3)


def test_an_oblique_integral_is_a_sum_along_its_line():
    n, theta, s = 800, 0.7, 0.21
    image, t = shepp_logan(n), (np.arange(4000) + 0.5) / 2000 - 1
    x, y = s * np.cos(theta) - t * np.sin(theta), s * np.sin(theta) + t * np.cos(theta)
    inside = (np.abs(x) < 1) & (np.abs(y) < 1)
    column, row = ((x[inside] + 1) * n / 2).astype(int), ((1 - y[inside]) * n / 2).astype(int)
    assert np.isclose(shepp_logan_integrals(theta, s), image[row, column].sum() / 2000, rtol=0.01)


def test_the_table_of_speeds_has_a_row_for_each_precision_and_stack():
    rows = tomography_speed.measure(8, 3, rounds=1)
    assert [name for name, *_ in rows[:4]] == [
        "ours float32", "ours float32, 8 images", "ours float64", "ours float64, 8 images"
    ]  # fmt: skip
    assert all(each >= 0 for _, *both in rows for each in both)
