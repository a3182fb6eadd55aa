"""Parity of the kernels of tomography, beside Joseph's matrix in plain NumPy."""

from functools import partial
from itertools import product

import numpy as np

from ._parity_compare import bound_of, compare

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64")
# Shape of the image, views, lines.
_SIZES = (((1, 1), 3, 2), ((5, 8), 9, 15), ((30, 21), 12, 41), ((64, 70), 16, 111))


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, geometry, dtype and size."""
    for (kernel, check), t, dtype, (shape, n_views, n_lines) in product(CHECKS, (0.0, 1.0), _DTYPES, _SIZES):
        n = int(np.prod(shape))
        name = f"kernel:{kernel}-{'fan' if t else 'parallel'}-{dtype}-{n}"
        given = partial(_Given, np.dtype(dtype), shape, n_views, n_lines, t)
        yield f"kernel:{kernel}", name, n, dtype, partial(check, given=given)


class _Given:
    """Two images and their data; lines from all sides, some along the axes.

    None is at 45 degrees, where rounding, which backends do in their own ways, decides how a line is sampled.
    """

    def __init__(self, dtype, shape, n_views, n_lines, t):
        rng = np.random.default_rng(n_lines)
        angle = np.arange(n_views) * np.pi / 4 + 0.03 * (np.arange(n_views) % 2)
        c, s = (np.where(np.abs(part) < 1e-15, 0.0, part) for part in (np.cos(angle), np.sin(angle)))
        across, distance = 1.3 * np.array([c, -s]), np.hypot(*shape) + 3
        middle = np.array([[(shape[1] - 1) / 2], [(shape[0] - 1) / 2]])
        beside = (n_lines - 1) / 2 * across
        along = distance * np.array([-s, -c])  # from the source to the middle, which is where the detector is
        ways = along - t * beside
        self.views = np.column_stack([*(middle - beside), *across, *ways, np.full(n_views, t)])
        self.dtype, self.pixel = dtype, 0.75
        self.X = rng.integers(-9, 10, (2, *shape)).astype(dtype)
        self.Y = rng.integers(-9, 10, (2, n_views, n_lines)).astype(dtype)

    def matrix(self):
        """Joseph's weights, entry by entry, shape (n_views, n_lines, ny, nx)."""
        p, q, dp, dq, u, w, t = (each[:, None, None, None] for each in self.views.T)
        d = np.arange(self.Y.shape[2])[:, None, None]
        i, j = np.arange(self.X.shape[1])[:, None], np.arange(self.X.shape[2])
        x, y, across, down = p + d * dp, q + d * dq, u + d * t * dp, w + d * t * dq
        with np.errstate(divide="ignore", invalid="ignore"):
            steep = np.hypot(1, across / down) * np.maximum(1 - np.abs(j - x - (i - y) * across / down), 0)
            other = np.hypot(1, down / across) * np.maximum(1 - np.abs(i - y - (j - x) * down / across), 0)
        return self.pixel * np.where(np.abs(down) >= np.abs(across), steep, other)

    def sent(self, kernels):
        return [kernels.copy_to_device(each, each.dtype) for each in (self.views, self.X, self.Y)]


def _line_integrals(target, given):
    g = given()

    def run(kernels):
        views, X, Y = g.sent(kernels)
        kernels.line_integrals(views, g.pixel, X, Y)
        return (kernels.to_host(Y),)

    A = g.matrix()
    want, terms = (np.einsum("vdij,kij->kvd", A, X) for X in (g.X.astype(float), np.abs(g.X).astype(float)))
    compare(target, run, [(want, bound_of(g.dtype, sum(g.X.shape), terms) + 1e-10)])


def _back_projection(target, given):
    g = given()

    def run(kernels):
        views, X, Y = g.sent(kernels)
        kernels.back_projection(views, g.pixel, Y, X)
        return (kernels.to_host(X),)

    A = g.matrix()
    want, terms = (np.einsum("vdij,kvd->kij", A, Y) for Y in (g.Y.astype(float), np.abs(g.Y).astype(float)))
    compare(target, run, [(want, bound_of(g.dtype, g.Y.shape[1], terms) + 1e-10)])


#: kernel, check
CHECKS = (("line_integrals", _line_integrals), ("back_projection", _back_projection))
