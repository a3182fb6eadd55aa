"""A phantom of magnetic resonance: Shepp and Logan's head with a smooth phase, seen by several coils, undersampled."""

from dataclasses import dataclass

import numpy as np

from .phantoms import shepp_logan

__all__ = ["Phantom", "coil_sensitivities", "phantom", "psnr", "sampled_columns"]


@dataclass(frozen=True)
class Phantom:
    """A complex image, what measures it, and noisy data.

    Attributes
    ----------
    image : ndarray of complex, shape (n, n)
    A : solvers.inverse.MRI
    b : ndarray, shape A.data_shape
    noise_level : float
        The standard deviation of an entry e of the noise, E|e|^2 = noise_level^2.
    """

    image: np.ndarray
    A: object
    b: np.ndarray
    noise_level: float


def phantom(n=128, n_coils=6, reduction=4, centre=0.08, noise_level=0.01, seed=0):
    """Return a Phantom.

    Parameters
    ----------
    n : int
        Pixels of a side.
    n_coils : int
    reduction : int
        Every how-many-th column of k-space is sampled.
    centre : float
        The part of the columns, in the middle, that is sampled beside these.
    noise_level : float
        Beside an image with magnitudes up to 1.
    seed : int
        Of the noise.
    """
    from solvers import inverse

    at = np.linspace(-1, 1, n)
    y, x = at[:, None], at[None, :]
    image = shepp_logan(n) * np.exp(1j * (0.8 * x + 0.6 * y**2 - 0.7 * x * y))
    A = inverse.MRI(coil_sensitivities(n, n_coils), sampled_columns(n, reduction, centre))
    b, rng = A @ image, np.random.default_rng(seed)
    noise = rng.standard_normal(b.shape) + 1j * rng.standard_normal(b.shape)
    return Phantom(image, A, b + noise_level / np.sqrt(2) * noise, noise_level)


def coil_sensitivities(n, n_coils):
    """Wide bells around the image with linear phases, of which the sum of squares is one at every pixel."""
    at = np.linspace(-1, 1, n)
    y, x = at[:, None], at[None, :]
    turns = 2 * np.pi * np.arange(n_coils).reshape(-1, 1, 1) / n_coils
    away = (x - 1.1 * np.cos(turns)) ** 2 + (y - 1.1 * np.sin(turns)) ** 2
    coils = np.exp(-away / 5) * np.exp(1j * (turns + 0.8 * (x * np.cos(turns) + y * np.sin(turns))))
    return coils / np.sqrt((np.abs(coils) ** 2).sum(axis=0))


def sampled_columns(n, reduction, centre=0.08):
    """Every ``reduction``-th column through the middle one, and the part ``centre`` of them around it."""
    columns = np.arange(n) - n // 2
    return (columns % reduction == 0) | (2 * np.abs(columns) < centre * n)


def psnr(x, image):
    """The peak signal-to-noise ratio in dB, for the largest magnitude of the image."""
    return float(20 * np.log10(np.abs(image).max() / np.sqrt(np.mean(np.abs(x - image) ** 2))))
