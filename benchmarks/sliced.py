"""The named problems of sliced distances: pairs of clouds, the same on every machine, or from the user's files.

The Gaussians have unequal means and covariances G G' with Gaussian G; the shapes are surfaces and a curve in space.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry
from .sliced_files import read

__all__ = ["SLICED", "SlicedEntry", "SlicedProblem", "from_files"]

SLICED = Registry("sliced problem")
_POINTS = 2048


@dataclass(frozen=True)
class SlicedProblem:
    """Two clouds of equal weights."""

    name: str
    X: np.ndarray
    Y: np.ndarray

    @property
    def d(self):
        return self.X.shape[1]


@dataclass(frozen=True)
class SlicedEntry:
    """A registered problem; ``build`` gives X and Y."""

    name: str
    summary: str
    build: Callable
    package: str = ""

    def make(self):
        """Make the instance."""
        return SlicedProblem(self.name, *(np.ascontiguousarray(Z, dtype=np.float64) for Z in self.build()))


def from_files(one, other):
    """The clouds of two files as a problem."""
    clouds = [read(path) for path in (one, other)]
    return SlicedEntry("files", f"{one} and {other}", lambda: clouds)


def gaussians(d, n):
    """Two samples of Gaussians whose means and covariances differ."""
    rng = np.random.default_rng([d, n])
    return [
        rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d) + shift for shift in (1, -1)
    ]


def digits(first, second):
    """scikit-learn's digits (64 pixels) of some classes, and of others."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return [images[np.isin(labels, classes)] for classes in (first, second)]


def photographs(first, second, n=5000):
    """Colours of pixels of two of scikit-image's photographs, in [0, 1]."""
    from skimage import data

    rng = np.random.default_rng(0)
    pixels = [getattr(data, name)().reshape(-1, 3) / 255 for name in (first, second)]
    return [each[rng.choice(len(each), n, replace=False)] for each in pixels]


def _sphere(rng, n):
    points = rng.standard_normal((n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _torus(rng, n, thickness=0.35):
    u, v = 2 * np.pi * rng.random((2, n))
    radius = 1 + thickness * np.cos(v)
    return np.stack([radius * np.cos(u), radius * np.sin(u), thickness * np.sin(v)], axis=1)


def _helix(rng, n):
    turn = 6 * np.pi * rng.random(n)
    line = np.stack([np.cos(turn), np.sin(turn), turn / (3 * np.pi) - 1], axis=1)
    return line + 0.05 * rng.standard_normal((n, 3))


def _boxes(rng, n, boxes):
    """Points in boxes (lowest corner, extent), each drawn in proportion to its volume."""
    low, extent = (np.array(side, dtype=float) for side in zip(*boxes))
    volumes = extent.prod(axis=1)
    which = rng.choice(len(boxes), n, p=volumes / volumes.sum())
    return low[which] + extent[which] * rng.random((n, 3))


_CHAIR = (
    ((0, 0, 0), (1, 1, 0.1)),
    ((0, 0.9, 0.1), (1, 0.1, 0.9)),
    *(((x, y, -0.8), (0.1, 0.1, 0.8)) for x in (0, 0.9) for y in (0, 0.9)),
)
_AEROPLANE = (
    ((-1, -0.12, -0.12), (2, 0.24, 0.24)),
    ((-0.2, -1, -0.02), (0.4, 2, 0.04)),
    ((-1, -0.3, 0.1), (0.2, 0.6, 0.04)),
)
_SHAPES = {
    "sphere": _sphere,
    "torus": _torus,
    "helix": _helix,
    "chair": lambda rng, n: _boxes(rng, n, _CHAIR),
    "aeroplane": lambda rng, n: _boxes(rng, n, _AEROPLANE),
}


def shapes(first, second, n=_POINTS):
    """Points of two shapes."""
    rng = np.random.default_rng(n)
    return [_SHAPES[name](rng, n) for name in (first, second)]


def _register():
    for d in (3, 10, 50, 200):
        for n in (500, 5000):
            summary = f"two unequal Gaussians in {d} dimensions, {n} points each"
            SLICED.add(SlicedEntry(f"gauss-{d}-{n}", summary, lambda d=d, n=n: gaussians(d, n)))
    for name, classes, words in (
        ("digits-low-high", (range(5), range(5, 10)), "below 5 and from 5 on"),
        ("digits-0-1", ([0], [1]), "0 and 1"),
    ):
        build = lambda classes=classes: digits(*map(list, classes))
        SLICED.add(SlicedEntry(name, f"scikit-learn's digits {words}, 64 pixels", build, "sklearn"))
    for pair in (("torus", "chair"), ("sphere", "helix"), ("chair", "aeroplane")):
        summary = f"a {pair[0]} and a {pair[1]} in space, {_POINTS} points each"
        SLICED.add(SlicedEntry("-".join(pair), summary, lambda pair=pair: shapes(*pair)))
    for pair in (("astronaut", "coffee"), ("chelsea", "coffee")):
        summary = f"colours of pixels of scikit-image's {pair[0]} and {pair[1]}"
        SLICED.add(SlicedEntry("-".join(pair), summary, lambda pair=pair: photographs(*pair), "skimage"))


_register()
