"""The rows of a matrix that one rank stores, as PETSc takes them: which they are, and their entries."""

import math

import numpy as np
from scipy.sparse import csr_array, issparse

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices
from ._grid_operator import GridOperator
from ._operator import analyse, is_matrix

__all__ = ["check_layout", "for_petsc", "has_rows", "own_rows", "refuse_complex", "refuse_more_than", "rows_of"]


def has_rows(A):
    """Whether any rows of it can be made without the others."""
    return is_matrix(A) or isinstance(A, GridOperator) or analyse(A).explicit


def own_rows(A, rows, rank, size):
    """(begin, end, n) of this rank, which has to have them."""
    if len(A.shape) != 2 or (rows is None and A.shape[0] != A.shape[1]):
        raise InvalidInput(f"`A` must be square, got shape {tuple(A.shape)}; with `rows`, it may be those rows alone.")
    n = int(A.shape[1])
    if rows is None:
        share, more = divmod(n, size)
        return rank * share + min(rank, more), (rank + 1) * share + min(rank + 1, more), n
    if not isinstance(rows, tuple | list) or len(rows) != 2:
        raise UnsupportedType(f"`rows` must be (begin, end), the rows of this rank, got {rows!r}.")
    begin, end = (_checks.count("rows", each, least=0) for each in rows)
    if not begin <= end <= n:
        raise InvalidInput(f"`rows` must be 0 <= begin <= end <= {n}, the columns of `A`, got {(begin, end)}.")
    if A.shape[0] not in (n, end - begin) or (not is_matrix(A) and A.shape[0] != n):
        raise InvalidInput(
            f"`A` must have the {end - begin} rows that `rows` says, or all {n}, got shape {tuple(A.shape)}."
        )
    return begin, end, n


def check_layout(parts):
    """The rows of all ranks, as (begin, end, n), are those of one matrix in the order of the ranks."""
    n, reached = parts[0][2], 0
    for rank, (begin, end, columns) in enumerate(parts):
        if columns != n:
            raise InvalidInput(f"`A` must have as many columns on every rank, got {n} on rank 0, {columns} on {rank}.")
        if begin != reached:
            raise InvalidInput(
                f"`rows` must begin at {reached} on rank {rank}, where those before it end, got {(begin, end)}."
            )
        reached = end
    if reached != n:
        raise InvalidInput(f"`rows` must be all {n} rows of `A` on the ranks together, got the first {reached}.")


def rows_of(A, begin, end):
    """The rows begin to end - 1 of what has them, as a csr_array, which may share memory with A."""
    n = A.shape[1]
    if isinstance(A, GridOperator):
        return _of_bands(_bands_of_grid(A._whole, begin, end), begin, end, n)
    if not is_matrix(A):
        matrix = analyse(A)
        if matrix.stencil is not None:
            return _of_bands(_bands_of_stencil(*matrix.stencil, begin, end), begin, end, n)
        A = matrix.csr if matrix.sparse else matrix.dense
    if issparse(A):
        check_indices(A, "A")  # SciPy trusts them with memory
        _checks.float_dtype("A", A.dtype)
        A = csr_array(A)
    own = A[begin:end] if A.shape[0] == n else A
    return own if issparse(own) else csr_array(_checks.array("A", own))


def _bands_of_stencil(shape, weights, begin, end):
    """From a distance from the diagonal to the entries there, 0 where the grid ends."""
    cells = np.arange(begin, end)
    bands, stride = {0: np.full(cells.size, weights[0])}, math.prod(shape)
    for size, w in zip(shape, weights[1:]):
        stride //= size
        if size > 1:
            place = cells // stride % size
            bands[-stride], bands[stride] = np.where(place > 0, w, 0), np.where(place < size - 1, w, 0)
    return bands


def _bands_of_grid(level, begin, end):
    """The same of a grid operator, whose face p lies between the cells p and p + stride."""
    first, last = level.pad + begin, level.pad + end
    bands, stride = {0: level.diagonal[first:last]}, math.prod(level.shape)
    for size, faces in zip(level.shape, level.faces):
        stride //= size
        if size > 1:
            bands[-stride], bands[stride] = -faces[first - stride : last - stride], -faces[first:last]
    return bands


def _of_bands(bands, begin, end, n):
    distances = np.array(sorted(bands))
    values = np.stack([bands[distance] for distance in distances.tolist()], axis=1)
    stored = (values != 0) | (distances == 0)
    columns = (np.arange(begin, end)[:, None] + distances)[stored]
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(stored, axis=1))])
    return csr_array((values[stored], columns, indptr), shape=(end - begin, n))


def for_petsc(A, scalar, integer):
    """(indptr, indices, data) in PETSc's types, sorted, without duplicates; they may share memory with A."""
    refuse_complex("A", A.dtype, scalar)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    refuse_more_than(integer, A.nnz)
    _refuse_nan(A)
    dtypes = integer, integer, scalar
    return tuple(each.astype(dtype, copy=False) for each, dtype in zip((A.indptr, A.indices, A.data), dtypes))


def _refuse_nan(A):
    """Refuse entries that are not finite, of which PETSc tells only that its norms are not."""
    bad = np.flatnonzero(~np.isfinite(A.data))
    if bad.size:
        first = bad[0]
        row, column = np.searchsorted(A.indptr, first, side="right") - 1, A.indices[first]
        raise InvalidInput(
            f"`A` must be finite, got {bad.size} NaN or infinite entr{'y' if bad.size == 1 else 'ies'}, the first "
            f"({A.data[first]}) in row {row} of this rank and column {column}."
        )


def refuse_more_than(integer, count):
    """Refuse a number of rows or entries that PETSc's integers cannot count."""
    most = np.iinfo(integer).max
    if count > most:
        raise InvalidInput(
            f"`A` must have at most {most} rows, and stored entries on a rank, for this PETSc, got {count}; build it "
            "with --with-64-bit-indices."
        )


def refuse_complex(name, dtype, scalar):
    """Refuse numbers that are complex where PETSc's are not."""
    if np.dtype(dtype).kind == "c" and np.dtype(scalar).kind == "f":
        raise UnsupportedType(
            f"`{name}` must be real for this PETSc, whose scalars are {np.dtype(scalar)}, got {dtype}; build it with "
            "--with-scalar-type=complex."
        )
