"""A matrix as the sweeps read it: its triangles, with rows sorted into stages that are independent.

The order and the triangles belong to the pattern, and the last few patterns are kept: a simulation changes the
entries of its matrix from step to step, and its pattern never.
"""

import math
import os
import threading
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse

from .. import _backend, _checks
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices, fetched
from .._place import drops_when_full
from ._operator import Matrix, PreparedOperator, place, source

__all__ = [
    "ORDERINGS",
    "blocks_of",
    "diagonal_of",
    "entries",
    "forget",
    "forget_devices",
    "order_on",
    "sparse_of",
    "sweep_of",
    "without_duplicates",
]

ORDERINGS = ("natural", "reversed", "colored")
# Its one stage is not of independent rows: for factors, not for sweeps.
_AS_IT_IS = "as it is"


@dataclass(eq=False, slots=True)
class _Pattern:
    """The order of a pattern's rows, and where the entries of its triangles come from; on the host.

    ``elsewhere`` is the order and the triangles on other devices, ``shown`` its index arrays there, where a matrix
    that lives there came by.
    """

    ordering: str
    indptr: np.ndarray
    indices: np.ndarray
    order: np.ndarray
    stages: np.ndarray
    lower: tuple
    upper: tuple
    elsewhere: dict = field(default_factory=dict)
    shown: dict = field(default_factory=dict)

    def is_of(self, ordering, indptr, indices):
        return (
            self.ordering == ordering
            and np.array_equal(self.indptr, indptr)
            and np.array_equal(self.indices, indices)
        )

    def is_of_there(self, ordering, A, kernels):
        """The same question about a matrix on a device, answered there; no where it has not come by."""
        shown = self.shown.get(A.data.device.id)
        if self.ordering != ordering or shown is None or shown[1].size != A.indices.size:
            return False
        if shown[0].size != A.indptr.size:
            return False
        same = (shown[0] == A.indptr).all() & (shown[1] == A.indices).all()
        return bool(kernels.to_host(same))

    def on(self, backend, A):
        """The order and the triangles where the kernels of that backend read A."""
        if backend == "cpu":
            return self.order, self.lower, self.upper
        device = A.data.device.id
        kept = self.elsewhere.get(device)
        if kept is None:
            kernels = _backend.kernels(backend)
            triangles = (tuple(kernels.copy_to_device(part, np.int32) for part in t) for t in (self.lower, self.upper))
            kept = self.elsewhere[device] = order_on(self.order, backend), *triangles
            _make_room()
        return kept

    def show(self, A, kernels):
        """Keep the index arrays of a matrix on a device, to compare the next ones with."""
        if A.data.device.id not in self.shown:
            self.shown[A.data.device.id] = [kernels.copy_to_device(part, np.int32) for part in (A.indptr, A.indices)]
            _make_room()

    def bytes_elsewhere(self):
        kept = [part for order, *triangles in [*self.elsewhere.values()] for part in (order, *sum(triangles, ()))]
        return sum(part.nbytes for part in [*kept, *sum([*self.shown.values()], [])])

    def release(self):
        self.elsewhere, self.shown = {}, {}


_MOST_PATTERNS = 4
# Of the memory of devices, over all patterns.
_MOST_BYTES = 2**28
_patterns: list[_Pattern] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child must not wait for a thread that it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def sweep_of(matrix, dtype, backend, ordering):
    """The kernels' ``Sweep`` of a matrix and the order of its rows; kept with the matrix.

    Raises
    ------
    UnsupportedType
        If the entries are not at hand.
    InvalidInput
        If an entry of the diagonal is zero.
    """
    key = *place(dtype, backend), ordering
    if key not in matrix.sweeps:
        kernels = _backend.kernels(backend)
        A, at_hand = _csr(matrix, dtype, backend)
        pattern = _known_there(A, ordering, kernels) if at_hand is A and backend != "cpu" else None
        if pattern is None:
            pattern = _pattern_of(*_unsigned(at_hand, kernels), ordering)
            if at_hand is A and backend != "cpu":
                pattern.show(A, kernels)
        order, *triangles = pattern.on(backend, A)
        d = _without_zeros(kernels.diagonal(A, order), pattern.order, kernels)
        lower, upper = (_gathered(A, triangle, kernels) for triangle in triangles)
        matrix.sweeps[key] = kernels.sweep(lower, upper, d, pattern.stages), order
    return matrix.sweeps[key]


def forget():
    """Drop the patterns that are kept, and what they hold of a device's memory; for tests."""
    with _lock:
        _patterns.clear()


@drops_when_full
def forget_devices():
    """Release what the kept patterns hold of the memory of devices."""
    with _lock:
        for pattern in _patterns:
            pattern.release()


def _make_room():
    """Release the oldest patterns' memory of devices while all hold too much; their users keep what they read."""
    with _lock:
        total = sum(pattern.bytes_elsewhere() for pattern in _patterns)
        for pattern in _patterns:
            if total <= _MOST_BYTES:
                return
            total -= pattern.bytes_elsewhere()
            pattern.release()


def order_on(order, backend):
    """An order of rows where the kernels of that backend read it: their indices have 32 bits on the GPU."""
    return order if backend == "cpu" else _backend.kernels(backend).copy_to_device(order, np.int32)


def _gathered(A, triangle, kernels):
    """A triangle with its entries, which those of A are."""
    indptr, indices, entries = triangle
    data = kernels.empty(entries.shape, A.data.dtype)
    kernels.gather(A.data, entries, data)
    return kernels.CSR(indptr, indices, data)


def entries(A):
    """What CuPy's functions can take in the place of an operator of ours: its matrix, for a stencil on the host."""
    if not isinstance(A, PreparedOperator):
        return A
    return source(A) if A._matrix.stencil is None else sparse_of(A._matrix).astype(A.dtype)


def blocks_of(matrix, dtype, backend, labels):
    """CSR sorted by blocks, where these begin, the factors of the block diagonal, and the order of the rows.

    Raises
    ------
    InvalidInput
        If a block's elimination meets a pivot that is not positive.
    """
    if backend != "cpu":
        raise UnsupportedType("`blocks` must be None on the GPU: sweeps over blocks run on the CPU only.")
    kernels, n = _backend.kernels(backend), matrix.n
    labels = _block_numbers(labels, n)
    order = np.argsort(labels, kind="stable")
    edges = np.concatenate(([0], np.flatnonzero(np.diff(labels[order])) + 1, [n] if n else [])).astype(np.int64)
    A = scipy.sparse.csr_array(sparse_of(without_duplicates(matrix)))[order][:, order].astype(dtype)
    row, column = np.repeat(np.arange(n), np.diff(A.indptr)), A.indices
    inside = labels[order][row] == labels[order][column]
    diagonal = scipy.sparse.csr_array((A.data[inside], (row[inside], column[inside])), shape=(n, n))
    sweep, _ = sweep_of(Matrix(n, A.dtype, csr=diagonal), dtype, backend, _AS_IT_IS)
    factors, failed = kernels.ilu0(sweep, 0.0, 0.0)
    if failed >= 0 and np.isfinite(A.data).all():  # else the sweeps name what is wrong
        raise InvalidInput(
            f"`blocks` must have positive pivots, got one that is not in row {int(order[failed])}; choose other "
            "blocks, or use gmres."
        )
    return kernels.csr(A.indptr, A.indices, A.data), edges, factors, order


def _block_numbers(labels, n):
    """The block of each row, from these or from the size of all."""
    if np.ndim(labels) == 0 and not isinstance(labels, str):
        return np.arange(n) // _checks.count("blocks", labels)
    labels = _checks.finite("blocks", _checks.array("blocks", labels))
    if labels.dtype.kind == "c" or np.any(labels != np.floor(labels)):
        raise InvalidInput("`blocks` must hold integers, got others; number the blocks, or give the size of all.")
    return _checks.shape_is("blocks", labels, [(n,)], "(the block of each row), or be the size of all")


def diagonal_of(matrix, dtype, backend):
    """The diagonal of a matrix in its own order, refused where it has a zero."""
    kernels, order = _backend.kernels(backend), np.arange(matrix.n)
    A, _ = _csr(matrix, dtype, backend)
    return _without_zeros(kernels.diagonal(A, order_on(order, backend)), order, kernels)


def without_duplicates(matrix):
    """The same matrix, no entry of which is given twice."""
    if matrix.csr is None:
        return matrix
    check_indices(matrix.csr, "A")  # SciPy trusts them with memory
    if getattr(matrix.csr, "has_canonical_format", True):
        return matrix
    A = fetched(matrix.csr).copy()
    A.sum_duplicates()
    return Matrix(matrix.n, matrix.dtype, csr=A)


def _csr(matrix, dtype, backend):
    """The kernels' CSR form of any matrix, and where its index arrays are at hand: on the host, if they are there."""
    if not matrix.explicit:
        raise UnsupportedType(
            "`A` must have its entries at hand for relaxation, got an operator; pass a sparse or dense array, or use "
            "cg, minres or gmres."
        )
    if not matrix.sparse or (backend == "cpu" and not scipy.sparse.issparse(matrix.csr)):
        matrix = Matrix(matrix.n, matrix.dtype, csr=sparse_of(matrix))
    A = matrix.csr_operand(dtype, backend)
    return A, matrix.csr if backend != "cpu" and scipy.sparse.issparse(matrix.csr) else A


def _unsigned(A, kernels):
    """The index arrays on the host, as the functions that sort rows take them."""
    if A.indptr.dtype.kind == "u":
        return A.indptr, A.indices
    return (np.ascontiguousarray(fetched(part), np.int32).view(np.uint32) for part in (A.indptr, A.indices))


def sparse_of(matrix):
    """The CSR array of a matrix, on the host."""
    if matrix.sparse:
        check_indices(matrix.csr, "A")
        return fetched(matrix.csr)
    if matrix.stencil is None:
        dense = fetched(matrix.dense)
        return scipy.sparse.csr_array(dense.astype(matrix.dtype) if dense.dtype.char == "e" else dense)
    shape, weights = matrix.stencil
    lines = [
        scipy.sparse.diags_array([w, w], offsets=[-1, 1], shape=(length, length))
        for length, w in zip(shape, weights[1:])
    ]
    A = lines[0]
    for line in lines[1:]:
        A = scipy.sparse.kronsum(line, A)
    return scipy.sparse.csr_array(A + weights[0] * scipy.sparse.eye_array(matrix.n))


def _known_there(A, ordering, kernels):
    """The kept pattern of a matrix on a device, or None; nothing but the answer leaves the device."""
    with _lock:
        known = _patterns[::-1]
    return next((pattern for pattern in known if pattern.is_of_there(ordering, A, kernels)), None)


def _pattern_of(indptr, indices, ordering):
    with _lock:
        known = _patterns[::-1]
    for pattern in known:
        if pattern.is_of(ordering, indptr, indices):
            return pattern
    pattern = _new_pattern(indptr, indices, ordering)
    with _lock:
        _patterns.append(pattern)
        del _patterns[:-_MOST_PATTERNS]
    return pattern


def _new_pattern(indptr, indices, ordering):
    kernels = _backend.kernels("cpu")
    if ordering == "colored":
        n = indptr.size - 1
        ones = np.ones(indices.size, np.int8)
        signed = indices.view(np.int32 if indices.dtype.itemsize == 4 else np.int64)
        ends = indptr.view(signed.dtype)
        transposed = scipy.sparse.csr_array((ones, signed, ends), shape=(n, n)).T.tocsr()
        order, stages = kernels.order_by_colours(
            indptr, indices, transposed.indptr.view(indptr.dtype), transposed.indices.view(indices.dtype)
        )
    elif ordering == _AS_IT_IS:
        order, stages = np.arange(indptr.size - 1), np.array([0, indptr.size - 1])
    else:
        order, stages = kernels.order_by_levels(indptr, indices)
        if ordering == "reversed":
            order, stages = order[::-1].copy(), stages[-1] - stages[::-1]
    lower, upper = kernels.split_rows(indptr, indices, order)
    return _Pattern(ordering, indptr.copy(), indices.copy(), order, stages, lower, upper)


def _without_zeros(d, order, kernels):
    if not isinstance(d, np.ndarray):
        inverse = kernels.empty(d.shape, d.dtype)
        kernels.reciprocal(d, inverse)
        if math.isfinite(kernels.largest(inverse)):
            return d
    zeros = np.flatnonzero(kernels.to_host(d) == 0)
    if zeros.size:
        raise InvalidInput(
            f"`A` must have no zero on its diagonal for relaxation, got {zeros.size}, the first in row "
            f"{int(order[zeros].min())}; permute its rows, or use gmres or minres."
        )
    return d
