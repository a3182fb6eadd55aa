"""Null spaces that constants span: those of diffusion in which a connected component has walls all around.

The rows of such a component sum to zero, so that A maps the constant on it to zero and nothing of it is in the range
of a Hermitian A. Rows of zeros are components of their own. Null spaces of another kind (rigid motions, constants
that a diagonal scales) are not looked for.
"""

import math

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from .. import _backend
from ._means import Means
from ._sweeps import sparse_of

__all__ = ["NullSpace", "has_null_space", "null_space_of", "null_space_of_sparse"]

# Roundings of the sum of a row's absolute values that its sum may be off zero: those of coefficients that were
# rounded one by one before they were added up for the diagonal.
_ROUNDINGS = 64


class NullSpace:
    """The constants on some connected components of the unknowns.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        For each unknown the number of its component; 0 for those on which A is regular.
    """

    def __init__(self, labels):
        self.labels, self.sizes, self._sets = labels, np.bincount(labels).clip(1), Means(labels)

    def _means(self, v):
        parts = (v.real, v.imag) if v.dtype.kind == "c" else (v,)
        means = [np.bincount(self.labels, part, self.sizes.size) / self.sizes for part in parts]
        mean = means[0] if len(means) == 1 else means[0] + 1j * means[1]
        mean[0] = 0
        return mean

    def part(self, v):
        """What of v, of shape (n,) and on the host, is in the null space."""
        return self._means(v)[self.labels]

    def size(self, v):
        """The norm of that, of a finite v."""
        return math.sqrt(float(self.sizes @ np.abs(self._means(v)) ** 2))

    def project(self, v):
        """Take from v, on the host, its part in the null space."""
        self.project_there(v, _backend.kernels("cpu"))

    def project_there(self, v, kernels):
        """The same for a vector in the memory of these kernels."""
        self._sets.subtract(v, kernels)


def null_space_of(system, known):
    """The null space of the matrix of a system that failed, or None.

    Entries at hand are read once. An operator is asked, by two products, whether it has what ``known`` (a NullSpace or
    None) says, and else whether it has the constant on all unknowns.
    """
    matrix = system.matrix
    if matrix.explicit:
        if matrix.null_space is None:
            found = null_space_of_sparse(sparse_of(matrix), matrix.dtype)
            matrix.null_space = (found,)  # one that is not there was looked for too
        return matrix.null_space[0]
    everywhere = NullSpace(np.ones(matrix.n, np.intp))
    return next((each for each in (known, everywhere) if each is not None and has_null_space(system, each)), None)


def has_null_space(system, null):
    """Whether A maps a random vector of it to zero, up to rounding; costs two products."""
    rng, kernels = np.random.default_rng(0), system.kernels
    constants = rng.uniform(1, 2, null.sizes.size)
    constants[0] = 0
    sizes = []
    for v in (constants[null.labels], rng.choice([-1.0, 1.0], system.n)):
        y = system.product(kernels.copy_to_device(v, system.dtype), system.empty())
        sizes.append(system.norm(y))
    return sizes[0] <= _ROUNDINGS * system.eps * sizes[1] < math.inf


def null_space_of_sparse(A, dtype):
    """That of a Hermitian CSR array whose entries were rounded to that dtype, or None."""
    data = A.data.astype(np.result_type(A.dtype, np.float64), copy=False)
    if not np.isfinite(data).all():
        return None
    sizes = _row_sums(np.abs(data), A.indptr)
    flat = np.abs(_row_sums(data, A.indptr)) <= _ROUNDINGS * np.finfo(dtype).eps * sizes
    if not flat.any():
        return None
    count, number = connected_components(_pattern(A), connection="weak")
    free = np.bincount(number, ~flat, count) == 0
    if not free.any():
        return None
    return NullSpace(np.where(free, np.cumsum(free), 0)[number])


def _row_sums(data, indptr):
    """What SciPy's sum(axis=1) gives, without a matrix around the data."""
    sums, filled = np.zeros(indptr.size - 1, data.dtype), np.flatnonzero(np.diff(indptr))
    if filled.size:
        sums[filled] = np.add.reduceat(data, indptr[filled])
    return sums


def _pattern(A):
    """Ones where the entries of a CSR array are not zero."""
    there = A.data != 0
    if there.all():
        return scipy.sparse.csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))[there]
    return scipy.sparse.coo_array((np.ones(rows.size), (rows, A.indices[there])), A.shape).tocsr()
