"""Test images of tomography: Shepp and Logan's head, and its exact line integrals.

The head is a sum of ellipses (Shepp and Logan, IEEE Trans. Nucl. Sci. 21, 1974), here with the densities of Toft (The
Radon Transform, 1996, appendix B), whose contrast can be seen. Data computed from the ellipses instead of the image
do not favour a method that knows the discretisation.
"""

import numpy as np

__all__ = ["shepp_logan", "shepp_logan_integrals"]

# Density, semi-axes along x and y, centre, and angle in degrees, on the square from -1 to 1.
_ELLIPSES = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
)


def shepp_logan(n, dtype=np.float64):
    """Return the head on n x n pixels, sampled at their centres, with values from 0 to 1; the first row is its top.

    Parameters
    ----------
    n : int
        Pixels of a side.
    dtype : dtype

    Returns
    -------
    ndarray, shape (n, n)

    Examples
    --------
    >>> from solvers.benchmarks.phantoms import shepp_logan
    >>> image = shepp_logan(64)
    >>> image.shape, float(image.min()), float(image.max())
    ((64, 64), 0.0, 1.0)
    """
    at = (2 * np.arange(n) - (n - 1)) / n
    x, y = at[None, :], -at[:, None]
    image = np.zeros((n, n))
    for density, a, b, x0, y0, angle in _ELLIPSES:
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        across, along = (x - x0) * c + (y - y0) * s, (y - y0) * c - (x - x0) * s
        image[(across / a) ** 2 + (along / b) ** 2 <= 1] += density
    return np.clip(image, 0.0, 1.0).astype(dtype)  # sums of tenths round


def shepp_logan_integrals(theta, s):
    """Return the exact integrals of the head, on the square from -1 to 1, along x cos(theta) + y sin(theta) = s.

    Parameters
    ----------
    theta, s : array
        Radians and distances from the centre, of shapes that broadcast; for an image of n pixels of side 1, distances
        are (2 / n) times those in pixels, and integrals n / 2 times these.

    Returns
    -------
    ndarray
        Of the common shape.
    """
    total = np.zeros(np.broadcast_shapes(np.shape(theta), np.shape(s)))
    for density, a, b, x0, y0, angle in _ELLIPSES:
        turned = theta - np.deg2rad(angle)
        half_width = (a * np.cos(turned)) ** 2 + (b * np.sin(turned)) ** 2
        gap = s - x0 * np.cos(theta) - y0 * np.sin(theta)
        total += 2 * density * a * b * np.sqrt(np.maximum(half_width - gap**2, 0.0)) / half_width
    return total
