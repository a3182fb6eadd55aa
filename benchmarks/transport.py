"""The named problems of entropic transport: costs, weights and eps, the same on every machine.

The costs are divided by their largest entry, so that eps is relative to it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry, UsageError, need, present

__all__ = ["TRANSPORTS", "Transport", "TransportEntry", "available", "from_files", "select"]

TRANSPORTS = Registry("transport problem")

_EPS = ("1e-2", "1e-3", "1e-4")
_SIDE, _BLOBS, _FLOOR = 28, 5, 0.01


@dataclass(frozen=True)
class Transport:
    """Costs C, weights a and b that sum to 1, and the regularisation."""

    name: str
    C: np.ndarray
    a: np.ndarray
    b: np.ndarray
    eps: float

    @property
    def n(self):
        return self.a.size


@dataclass(frozen=True)
class TransportEntry:
    """A registered problem; ``build`` gives C, a and b."""

    name: str
    summary: str
    eps: float
    build: Callable
    package: str = ""

    def make(self):
        """Make the instance."""
        return Transport(self.name, *self.build(), self.eps)


def select(text):
    """The entries of a comma-separated list, in which ``points-1500`` stands for it with every eps."""
    parts = [part.strip() for part in text.split(",")]
    whole = {f"{part}-{eps}" for part in parts for eps in _EPS} & set(TRANSPORTS)
    parts = [f"{part}-*" if f"{part}-{_EPS[0]}" in whole else part for part in parts]
    chosen = TRANSPORTS.select(",".join(parts))
    for entry in chosen:
        need(entry.package, f"{entry.name!r}")
    return chosen


def available():
    """The entries whose packages are there."""
    return [entry for entry in TRANSPORTS.values() if present(entry.package)]


def from_files(one, other):
    """The images of two files as problems, one for each cost and eps."""
    pair = [_smoothed(_pooled(_gray(path), _SIDE)) for path in (one, other)]
    return _family("files", f"{one} and {other}", lambda: pair)


def _uniform(n):
    return np.full(n, 1.0 / n)


def assignment(n, seed=0):
    """Random costs in [0, 1], uniform weights: a linear assignment problem, smoothed."""
    return np.random.default_rng([n, seed]).random((n, n)), _uniform(n), _uniform(n)


def images(power, side=_SIDE, seeds=(1, 2), pair=None):
    """Two smooth images; the cost is the distance of the pixels, L1 (power 1) or squared L2 (power 2)."""
    line = np.arange(side, dtype=float)
    steps = np.abs(np.subtract.outer(line, line)) ** power
    C = (steps[:, None, :, None] + steps[None, :, None, :]).reshape(side**2, side**2)
    return C / C.max(), *(pair or [_blobs(side, seed) for seed in seeds])


def _blobs(side, seed):
    """Some Gaussians at random places, at most 1 together, and a floor that keeps all weights positive."""
    rng = np.random.default_rng(seed)
    x = (np.arange(side) + 0.5) / side
    image = np.zeros((side, side))
    for (row, column), width in zip(rng.uniform(0.2, 0.8, (_BLOBS, 2)), rng.uniform(0.05, 0.12, _BLOBS)):
        image += np.outer(np.exp(-(((x - row) / width) ** 2)), np.exp(-(((x - column) / width) ** 2)))
    return _smoothed(image)


def _smoothed(image):
    """The weights of an image: a floor keeps all of them positive."""
    weights = (image / max(image.max(), np.finfo(float).tiny) + _FLOOR).ravel()
    return weights / weights.sum()


def digits():
    """The first 0 and the first 1 of scikit-learn's digits, 8 x 8 pixels made larger."""
    from sklearn.datasets import load_digits

    found, labels = load_digits(return_X_y=True)
    return [_smoothed(_pooled(found[np.argmax(labels == label)].reshape(8, 8), _SIDE)) for label in (0, 1)]


def _gray(path):
    """The brightness of an image file."""
    need("matplotlib", "--images")
    from matplotlib.image import imread

    try:
        pixels = np.asarray(imread(path), dtype=np.float64)
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"--images: {path} cannot be read as an image: {error}") from None
    return pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=2)


def _pooled(image, side):
    """An image of ``side`` x ``side`` pixels, each the mean of what it covers."""
    for _ in range(2):
        edges = np.linspace(0, len(image), side + 1)
        below = np.vstack((np.zeros(image.shape[1]), np.cumsum(image, axis=0)))
        sums = np.stack([np.interp(edges, np.arange(len(below)), column) for column in below.T], axis=1)
        image = np.diff(sums, axis=0).T * side / len(image)
    return image


def points(n, seed=0):
    """A uniform cloud in the unit square and three normal ones, squared distances, uniform weights."""
    rng = np.random.default_rng([n, seed])
    X, centres = rng.random((n, 2)), np.array([[0.25, 0.3], [0.7, 0.2], [0.6, 0.75]])
    Y = centres[rng.integers(0, 3, n)] + 0.08 * rng.standard_normal((n, 2))
    C = np.subtract.outer(X[:, 0], Y[:, 0]) ** 2 + np.subtract.outer(X[:, 1], Y[:, 1]) ** 2
    return C / C.max(), _uniform(n), _uniform(n)


def _family(name, what, pair=lambda: None, package=""):
    """Images with each cost and each eps."""
    return [
        TransportEntry(
            f"{name}-{cost}-{eps}", f"{what}, {_SIDE} x {_SIDE} pixels, {words} cost, eps {eps}", float(eps),
            lambda power=power: images(power, pair=pair()), package,
        )
        for cost, power, words in (("l2", 2, "squared L2"), ("l1", 1, "L1"))
        for eps in _EPS
    ]  # fmt: skip


def _register():
    for n in (500, 1000):
        summary = f"random costs in [0, 1], {n} x {n}, uniform weights, eps 1/1200"
        TRANSPORTS.add(TransportEntry(f"lap-{n}", summary, 1 / 1200, lambda n=n: assignment(n)))
    for entry in _family("images", "two images"):
        TRANSPORTS.add(entry)
    for entry in _family("digits", "two of scikit-learn's digits", digits, "sklearn"):
        TRANSPORTS.add(entry)
    for n in (1500, 5000):
        for eps in _EPS:
            summary = f"two clouds of {n} points in the plane, squared distances, eps {eps}"
            TRANSPORTS.add(TransportEntry(f"points-{n}-{eps}", summary, float(eps), lambda n=n: points(n)))


_register()
