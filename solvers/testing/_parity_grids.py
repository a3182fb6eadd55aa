"""Parity of grid operators and of the pieces of their multigrid cycle, beside sparse matrices of SciPy."""

import math
from functools import cached_property, partial
from itertools import product

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ._parity_compare import bound_of, compare

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64")
_SHAPES = ((1, 3, 11), (5, 6, 7), (1, 16, 12), (50, 41, 49))


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, dtype and shape."""
    for (kernel, check), dtype, shape in product(CHECKS, _DTYPES, _SHAPES):
        n = math.prod(shape)
        name = f"kernel:{kernel}-{dtype}-{n}"
        yield f"kernel:{kernel}", name, n, dtype, partial(check, given=partial(_Given, shape, np.dtype(dtype)))


class _Given:
    """A grid with faces, some of them closed, and a solid cell; what belongs to it as matrices; vectors."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype, self.n = shape, dtype, math.prod(shape)
        nz, ny, nx = shape
        self.steps = ny * nx, nx, 1
        self.pad = 2 * max(nx * ny if nz > 1 else 1, nx if ny > 1 else 1, 1)
        self.rng = np.random.default_rng(self.n)
        cells = np.arange(self.n).reshape(shape)
        self.place = np.unravel_index(cells.ravel(), shape)
        self.faces = np.zeros((3, self.n))
        for axis in range(3):
            w = self.rng.integers(1, 40, self.n) / 8 * (self.rng.random(self.n) > 0.2)
            self.faces[axis] = w * (self.place[axis] + 1 < shape[axis]) * (cells.ravel() > 0)
        self.diagonal = self._flow().sum(axis=1) + self.rng.integers(0, 2, self.n) * (cells.ravel() > 0)
        self.matrix = sparse.csr_array(sparse.diags_array(self.diagonal) - self._flow())
        self.coarse = tuple(-(-size // 2) for size in shape)

    def _flow(self):
        """The faces as a symmetric matrix."""
        upper = sum(
            sparse.diags_array([w[: self.n - step]], offsets=[step], shape=(self.n, self.n))
            for w, step in zip(self.faces, self.steps)
            if step < self.n
        )
        return sparse.csr_array(upper + upper.T)

    def padded(self, values):
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(self.pad, self.pad)])

    def draw(self, n, seed):
        return np.random.default_rng(seed).standard_normal(n).astype(self.dtype)

    def levels(self, kernels):
        """The level and the next one, in the precision of the vectors."""
        made = (kernels.copy_to_device(self.padded(each), np.float64) for each in (self.faces, self.diagonal))
        L = kernels.grid_level(self.shape, *made)
        return [
            each._replace(**{k: kernels.copy_to_device(getattr(each, k), self.dtype) for k in each._fields[2:]})
            for each in (L, kernels.grid_coarsen(L))
        ]

    def vector(self, kernels, L, values):
        whole, inside = kernels.grid_vector(L.shape, self.dtype)
        inside[...] = kernels.copy_to_device(values, self.dtype)
        return whole

    def prolongation(self, g):
        """P as a matrix."""
        number = np.ravel_multi_index([c // 2 for c in self.place], self.coarse)
        P = _ones(number, math.prod(self.coarse))
        for axis, w in enumerate(self.weights):
            there = self.place[axis] // 2 + 2 * (self.place[axis] % 2) - 1
            moved = [np.clip(there, 0, self.coarse[a] - 1) if a == axis else c // 2 for a, c in enumerate(self.place)]
            beyond = _ones(np.ravel_multi_index(moved, self.coarse), math.prod(self.coarse))
            P = P + g * sparse.diags_array(w) @ (beyond - _ones(number, math.prod(self.coarse)))
        return sparse.csr_array(P)

    @cached_property
    def weights(self):
        """2 outer / (outer + inner) where both faces of a cell along an axis are open."""
        made = np.zeros((3, self.n))
        for axis, (w, step) in enumerate(zip(self.faces, self.steps)):
            before = np.concatenate([np.zeros(min(step, self.n)), w])[: self.n]
            second = self.place[axis] % 2 == 1
            outer, inner = np.where(second, w, before), np.where(second, before, w)
            both = (outer > 0) & (inner > 0)
            made[axis, both] = 2 * outer[both] / (outer + inner)[both]
        return made


def _ones(columns, m):
    n = columns.size
    return sparse.csr_array((np.ones(n), (np.arange(n), columns)), shape=(n, m))


def _inside(kernels, L, whole):
    return kernels.to_host(whole)[..., L.pad : -L.pad]


def _levels(target, given):
    g = given()

    def run(kernels):
        L, C = g.levels(kernels)
        parts = [_inside(kernels, each, part) for each in (L, C) for part in (each.diagonal, each.inverse, each.faces)]
        return (*parts, _inside(kernels, L, L.weights))

    P, eps = g.prolongation(0.0), np.finfo(g.dtype).eps
    A = sparse.csr_array(P.T @ g.matrix @ P)
    expected = [g.diagonal, _reciprocal(g.diagonal), g.faces, A.diagonal(), _reciprocal(A.diagonal())]
    cells, steps = np.unravel_index(np.arange(A.shape[0]), g.coarse), (g.coarse[1] * g.coarse[2], g.coarse[2], 1)
    between = [np.pad(-A.diagonal(step), (0, min(step, A.shape[0]))) if step < A.shape[0] else 0 for step in steps]
    ends = [c + 1 < size for c, size in zip(cells, g.coarse)]
    expected += [np.array([w * inside for w, inside in zip(between, ends)]), g.weights]
    # Sums of eighths are exact.
    compare(target, run, [(each, 2 * eps * np.abs(each)) for each in expected])


def _reciprocal(d):
    return np.divide(1, d, out=np.zeros(d.size), where=d > 0)


def _steps(target, given):
    g = given()
    r, x = g.draw(g.n, 1), g.draw(g.n, 2)

    def run(kernels):
        (L, _), answers = g.levels(kernels), []
        r_, x_ = (g.vector(kernels, L, each) for each in (r, x))
        for name, arguments in [("product", (x_,)), ("residual", (r_, x_)), ("smooth", (0.7, r_, x_)),
                                ("start", (0.7, r_))]:  # fmt: skip
            y, _ = kernels.grid_vector(g.shape, g.dtype)
            getattr(kernels, f"grid_{name}")(L, *arguments, y)
            answers.append(_inside(kernels, L, y))
        return tuple(answers)

    Ax, terms, step = g.matrix @ x, abs(g.matrix) @ np.abs(x), 0.7 * _reciprocal(g.diagonal)
    rest = terms + np.abs(r)
    expected = [(Ax, terms), (r - Ax, rest), (x + step * (r - Ax), np.abs(x) + step * rest), (step * r, step * rest)]
    compare(target, run, [(value, bound_of(g.dtype, 12, size)) for value, size in expected])


def _transfers(target, given):
    g = given()
    r, x, xc = g.draw(g.n, 1), g.draw(g.n, 2), g.draw(math.prod(g.coarse), 3)

    def run(kernels):
        (L, C), answers = g.levels(kernels), []
        for share in (0.0, -0.3):
            (rc, _), moved = kernels.grid_vector(C.shape, g.dtype), g.vector(kernels, L, x)
            kernels.grid_restrict(L, C, share, g.vector(kernels, L, r), rc)
            kernels.grid_prolong(L, C, share, 1.7, g.vector(kernels, C, xc), moved)
            answers += [_inside(kernels, C, rc), _inside(kernels, L, moved)]
        return tuple(answers)

    expected = []
    for share in (0.0, -0.3):
        P = g.prolongation(share)
        size = abs(g.prolongation(0.0)) + abs(P)
        expected += [(P.T @ r, 4 * (size.T @ np.abs(r) + 1)), (x + 1.7 * (P @ xc), 4 * (np.abs(x) + size @ np.abs(xc)))]
    compare(target, run, [(value, bound_of(g.dtype, 32, terms)) for value, terms in expected])


def _border(target, given):
    g = given()
    r = np.random.default_rng(1).standard_normal(g.n)

    def run(kernels):
        (L, _), z = g.levels(kernels), kernels.empty(g.n, np.float64)
        s, _ = kernels.grid_vector(g.shape, g.dtype)
        kernels.grid_enter(L, 0.3, kernels.copy_to_device(r, np.float64), s)
        kernels.grid_leave(L, 5.0, s, z)
        return _inside(kernels, L, s), kernels.to_host(z)

    part = 0.3 * r * (g.diagonal > 0)
    compare(target, run, [(part, bound_of(g.dtype, 2, np.abs(part))), (5 * part, bound_of(g.dtype, 2, 5 * abs(part)))])


def _read(target, given):
    """What a matrix is made of, and the first entry that does not fit."""
    g = given()
    A = g.matrix.astype(g.dtype)
    wrong = A.copy()
    wrong.data[A.indptr[g.n // 2] :] *= -1

    def run(kernels):
        answers = []
        for each in (A, wrong):
            made, (d, _) = kernels.zeros((3, g.n + 2 * g.pad), np.float64), kernels.grid_vector(g.shape, np.float64)
            parts = (kernels.copy_to_device(part, part.dtype) for part in (each.indptr, each.indices, each.data))
            found = kernels.grid_faces(*parts, g.shape, 1e-6, made, d)
            answers.append(np.array(found))
            if each is A:
                answers += [kernels.to_host(made), kernels.to_host(d)]
        return tuple(answers)

    first = g.n // 2 + np.flatnonzero(wrong.diagonal()[g.n // 2 :] < 0)[0]
    expected = [np.array([-1, -1]), g.padded(g.faces), g.padded(g.diagonal), np.array([first, first])]
    compare(target, run, [(each, 0) for each in expected])


def _components(target, given):
    """On the host, as a function of the CPU's."""
    g = given()

    def run(kernels):
        host = type(g.levels(kernels)[0])(g.shape, g.pad, *(g.padded(v) for v in (g.diagonal, g.diagonal, g.faces)), 0)
        return (kernels.grid_components(host),)

    _, number = connected_components(g.matrix, directed=False)
    compare(target, run, [(np.unique(number, return_index=True)[1][number], 0)])


def _means(target, given):
    g = given()
    cells = g.rng.permutation(g.n).astype(np.int32)[: g.n - 5]
    edges = np.linspace(0, cells.size, 6).astype(np.int32)
    first, last = np.array([0, 0, 0, 3, 3], np.int32), np.array([3, 3, 3, 5, 5], np.int32)
    v = g.draw(g.n, 1)

    def run(kernels):
        out, parts = kernels.copy_to_device(v, g.dtype), (cells, edges, first, last)
        kernels.subtract_means(*(kernels.copy_to_device(each, np.int32) for each in parts), out)
        return (kernels.to_host(out),)

    want = v.astype(np.float64)
    for one in (cells[: edges[3]], cells[edges[3] :]):
        want[one] -= want[one].mean()
    compare(target, run, [(want, bound_of(g.dtype, 2, np.abs(v) + 1))])


CHECKS = (
    ("grid_level", _levels),
    ("grid_smooth", _steps),
    ("grid_restrict", _transfers),
    ("grid_enter", _border),
    ("grid_faces", _read),
    ("grid_components", _components),
    ("subtract_means", _means),
)
