"""Large matrices, written in CSR form at once: ten million unknowns in seconds."""

import math

import numpy as np

__all__ = ["laplacian", "scattered"]


def laplacian(shape, dtype=np.float64):
    """The 5-point (2D) or 7-point (3D) Laplacian on a grid, columns of a row in order."""
    from scipy import sparse

    n, axes = math.prod(shape), len(shape)
    steps = [math.prod(shape[axis + 1 :]) for axis in range(axes)]
    columns = np.empty((n, 2 * axes + 1), np.int32)
    there = np.ones((n, 2 * axes + 1), bool)
    rows = np.arange(n, dtype=np.int32)
    columns[:, axes] = rows
    for axis, step in enumerate(steps):
        place = rows // step % shape[axis]
        columns[:, axis], columns[:, 2 * axes - axis] = rows - step, rows + step
        there[:, axis], there[:, 2 * axes - axis] = place > 0, place < shape[axis] - 1
    indptr = np.zeros(n + 1, np.int32)
    np.cumsum(there.sum(axis=1), out=indptr[1:])
    indices = columns[there]
    data = np.full(indices.size, -1.0, dtype)
    data[indptr[:-1] + there[:, :axes].sum(axis=1)] = 2 * axes
    return sparse.csr_array((data, indices, indptr), shape=(n, n))


def scattered(n, per_row=60, dtype=np.float64):
    """A symmetric matrix with ``per_row`` neighbours a row in random places, diagonally dominant by a fifth.

    The pattern is that of a circulant under a random numbering of the unknowns, so that it is symmetric
    without sorting; scaled on both sides over a decade, or cg would need a dozen steps.
    """
    from scipy import sparse

    rng = np.random.default_rng(1)
    half = max(1, min(per_row // 2, (n - 1) // 2))
    shifts = rng.choice(np.arange(1, (n + 1) // 2), half, replace=False)
    place = rng.permutation(n).astype(np.int32)
    owner = np.empty_like(place)
    owner[place] = np.arange(n, dtype=np.int32)
    columns = np.empty((n, 2 * half + 1), np.int32)
    columns[:, 0] = np.arange(n)
    for k, shift in enumerate(shifts):
        columns[:, 2 * k + 1] = owner[(place + shift) % n]
        columns[:, 2 * k + 2] = owner[(place - shift) % n]
    columns.sort(axis=1)
    scale = np.logspace(0, 1, n)
    data = -scale[:, None] * scale[columns]
    data[columns == np.arange(n)[:, None]] = 1.2 * 2 * half * scale**2
    indptr = np.arange(0, columns.size + 1, 2 * half + 1, dtype=np.int32)
    return sparse.csr_array((data.ravel().astype(dtype), columns.ravel(), indptr), shape=(n, n))
