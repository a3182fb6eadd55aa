"""Cell-centred 5- and 7-point operators on grids: read from a sparse matrix, or made of face coefficients.

A row is d_i x_i - sum_f w_f x_j with w_f > 0 and d_i = sum_f w_f + a Dirichlet term >= 0: constant or variable
coefficients, walls (a face less) and open sides (a Dirichlet term). A row of zeros or one with a diagonal alone is a
solid cell: it takes no part in the cycle.
"""

import math

import numpy as np
from scipy.sparse import issparse

from .. import _backend, _checks
from .._arrays import enter, kinds, on_host
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices
from .._place import at
from .._scale import common_unit
from ._null_space import NullSpace
from ._operator import PreparedOperator, analyse, is_matrix, place, source
from ._products import Operator

__all__ = ["Grid", "GridOperator", "grid_of_distances", "grid_shape"]

_WORKING = (np.dtype(np.float32), np.dtype(np.float64))
# Within these bounds a diagonal has an inverse, and so has the power of two that it is scaled by.
_LEAST, _MOST = 1e-300, 1e306


class Grid:
    """A grid operator after analysis.

    Attributes
    ----------
    shape : tuple of 3 ints
    level : GridLevel
        Without the cells that are connected with no other, and divided by ``unit``.
    faces, diagonal : ndarray
        Of the whole operator, with margins.
    unit : float
        A power of two, 1 for coefficients of common size.
    alone, inverse_alone : ndarray
        The indices of those with a diagonal, and its inverse.
    solid : ndarray
        The indices of all that are connected with no other.
    null_space : None or NullSpace
        The constants on the components without a Dirichlet term, cells with rows of zeros among them.
    """

    def __init__(self, shape, faces, diagonal, dtype):
        self.shape, self.dtype = shape, dtype
        n, pad = math.prod(shape), (diagonal.size - math.prod(shape)) // 2
        self.n, inside = n, slice(pad, pad + n)
        self.faces, self.diagonal = faces, diagonal
        d, sums = diagonal[inside], np.zeros(n)
        _refuse_extremes(d)
        for axis, stride in enumerate((shape[1] * shape[2], shape[2], 1)):
            if shape[axis] > 1:
                sums += faces[axis, inside] + faces[axis, pad - stride : pad - stride + n]
        lonely = (sums == 0) & (d > 0)
        self.alone = np.flatnonzero(lonely)
        self.inverse_alone = 1 / d[self.alone]
        self.solid = np.flatnonzero(sums == 0)
        if self.alone.size:
            diagonal = diagonal.copy()
            diagonal[inside][self.alone] = 0
        self.unit = common_unit(diagonal[inside].max(initial=0.0))
        if self.unit != 1.0:
            faces, diagonal = faces / self.unit, diagonal / self.unit
        self.level = _backend.kernels("cpu").grid_level(shape, faces, diagonal)
        term = d - sums
        self.null_space = self._null_space(term > 1e3 * np.finfo(dtype).eps * d, sums > 0, d == 0)

    def _null_space(self, anchored, fluid, empty):
        """The components of cells without any Dirichlet term."""
        held = np.zeros(self.n, bool)
        first = _backend.kernels("cpu").grid_components(self.level) if fluid.any() else np.arange(self.n)
        held[first[anchored]] = True
        free = (fluid & ~held[first]) | (empty & ~fluid)
        if not free.any():
            return None
        _, number = np.unique(first[free], return_inverse=True)
        labels = np.zeros(self.n, np.intp)
        labels[free] = number + 1
        return NullSpace(labels)

    def project(self, v):
        """Take from v, of shape (n,), its mean on each component that has the constants as null space."""
        if self.null_space is not None:
            self.null_space.project(v)

    @classmethod
    def of_matrix(cls, A, grid):
        """Read a sparse matrix whose rows are the cells of the grid in C order, where it lives."""
        A = enter("A", A)
        with at(_backend.pick(A=source(A)), source(A)):
            return cls._of_matrix(A, grid)

    @classmethod
    def _of_matrix(cls, A, grid):
        if isinstance(A, PreparedOperator):
            prepared = analyse(A)
            if prepared.stencil is not None:
                return cls._of_stencil(*prepared.stencil, grid)
            A = A if prepared.csr is None else prepared.csr
        there = is_matrix(A) and kinds[type(A)] == "gpu"
        if not (issparse(A) or (there and hasattr(A, "tocsr"))):
            raise UnsupportedType(
                f"`A` must be a sparse matrix of SciPy or CuPy, or a stencil, got {type(A).__name__}; or pass faces=."
            )
        if A.shape[0] != A.shape[1] or A.shape[0] == 0:
            raise InvalidInput(f"`A` must be square and not empty, got shape {A.shape}.")
        check_indices(A, "A")
        A = A.tocsr()
        if A.dtype.kind not in "fiu":
            raise UnsupportedType(f"`A` must be real for a multigrid cycle, got dtype {A.dtype}; use chebyshev.")
        shape = grid_shape(grid_of(on_host(A)) if grid is None else grid)
        if math.prod(shape) != A.shape[0]:
            raise InvalidInput(f"`grid` must have as many cells as `A` has rows, {A.shape[0]}, got {grid!r}.")
        dtype = A.dtype if A.dtype in _WORKING else np.dtype(np.float64)
        if there:
            kernels, parts = _backend.kernels("gpu"), analyse(A).csr_operand(dtype, "gpu")
        else:
            kernels, data = _backend.kernels("cpu"), A.data if A.dtype in _WORKING else A.data.astype(np.float64)
            parts = A.indptr, A.indices, data
        diagonal, _ = kernels.grid_vector(shape, np.float64)
        faces = kernels.zeros((3, diagonal.size), np.float64)
        row, column = kernels.grid_faces(*parts, shape, 64 * float(np.finfo(dtype).eps), faces, diagonal)
        if row >= 0:
            raise InvalidInput(_why(on_host(A), int(row), int(column), shape))
        return cls(shape, kernels.to_host(faces), kernels.to_host(diagonal), dtype)

    @classmethod
    def _of_stencil(cls, sizes, weights, grid):
        """A constant stencil, whose value beyond the grid is zero."""
        shape = (1,) * (3 - len(sizes)) + tuple(sizes)
        if grid is not None and grid_shape(grid) != shape:
            raise InvalidInput(f"`grid` must be that of the stencil, {tuple(sizes)}, got {grid!r}; leave it out.")
        if weights.dtype.kind == "c":
            raise UnsupportedType(f"`A` must be real for a multigrid cycle, got dtype {weights.dtype}; use chebyshev.")
        centre, *sides = weights.astype(np.float64).tolist()
        if max(sides) > 0:
            raise InvalidInput(f"`A` must have no positive weight off the centre, got {max(sides):g}; use linalg.ssor.")
        least = -sum(w * min(2, size - 1) for w, size in zip(sides, sizes))
        if not centre >= least * (1 - 64 * float(np.finfo(weights.dtype).eps)):
            raise InvalidInput(f"`A` must have a centre >= {least:g}, for its sides, got {centre:g}; use linalg.ssor.")
        diagonal, cells = _backend.kernels("cpu").grid_vector(shape, np.float64)
        cells[:] = max(centre, least)
        faces, pad = np.zeros((3, diagonal.size)), (diagonal.size - cells.size) // 2
        for axis, w in enumerate(sides, 3 - len(sides)):
            across = faces[axis, pad : pad + cells.size].reshape(shape)
            np.moveaxis(across, axis, 0)[:-1] = -w
        return cls(shape, faces, diagonal, weights.dtype)

    @classmethod
    def of_faces(cls, faces, boundary, mask, grid):
        """Make the operator of face coefficients, one array an axis, and of a Dirichlet term for each cell."""
        if not isinstance(faces, tuple | list) or len(faces) not in (2, 3):
            raise InvalidInput("`faces` must be 2 or 3 arrays, one for the faces across each axis of the grid.")
        faces, boundary, mask = [on_host(f) for f in faces], on_host(boundary), on_host(mask)
        arrays = [_checks.finite("faces", _real("faces", f)) for f in faces]
        if grid is None:
            if any(f.ndim != len(arrays) for f in arrays):
                raise InvalidInput("`faces` must have as many axes each as there are arrays.")
            grid = tuple(size + (axis == 0) for axis, size in enumerate(arrays[0].shape))
        shape = grid_shape(grid)
        if len(arrays) != len(grid):
            raise InvalidInput(f"`faces` must be one array for each axis of the grid {tuple(grid)}, got {len(arrays)}.")
        return cls(shape, *_assemble(arrays, boundary, mask, tuple(grid), shape), np.dtype(np.float64))


class GridOperator(Operator):
    """The matrix of a grid operator without the matrix: its products are formed from the face coefficients."""

    def __init__(self, grid):
        super().__init__(np.dtype(np.float64), (grid.n, grid.n))
        self.null_space = grid.null_space
        # With the cells that are connected with no other.
        self._whole = grid.level._replace(diagonal=grid.diagonal, faces=grid.faces)
        self._elsewhere = {}

    def _matvec(self, v):
        x, inside = _backend.kernels("cpu").grid_vector(self._whole.shape, np.float64)
        y, out = _backend.kernels("cpu").grid_vector(self._whole.shape, np.float64)
        v = _checks.array("v", np.ravel(v))
        if v.dtype.kind == "c":
            return self._matvec(v.real) + 1j * self._matvec(v.imag)
        inside[:] = v
        _backend.kernels("cpu").grid_product(self._whole, x, y)
        return out

    def product_on_gpu(self, v):
        if v.dtype.kind == "c":
            return self.product_on_gpu(v.real) + 1j * self.product_on_gpu(v.imag)
        L, kernels = self._level_there(), _backend.kernels("gpu")
        x, y = (kernels.empty(L.diagonal.shape, np.float64) for _ in range(2))  # margins are not read there
        x[L.pad : -L.pad] = v
        kernels.grid_product(L, x, y)
        return y[L.pad : -L.pad]

    def _level_there(self):
        key = place(np.float64, "gpu")
        if key not in self._elsewhere:
            kernels, L = _backend.kernels("gpu"), self._whole
            faces, diagonal = (kernels.to_device(each, np.float64) for each in (L.faces, L.diagonal))
            self._elsewhere[key] = kernels.grid_level(L.shape, faces, diagonal)._replace(weights=None)
        return self._elsewhere[key]

    def __getstate__(self):
        return {**super().__getstate__(), "_elsewhere": {}}

    def _adjoint(self):
        return self

    def __repr__(self):
        shape = "x".join(str(s) for s in self._whole.shape if s > 1)
        return f"<grid operator on {shape or 1} cells>"


def _refuse_extremes(d):
    """Refuse a diagonal of which there is no inverse in double precision."""
    positive = d[d > 0]
    if positive.size and not (positive.min() >= _LEAST and positive.max() <= _MOST):
        found = positive.min() if positive.min() < _LEAST else positive.max()
        raise InvalidInput(
            f"`A` must have diagonals of 0 or between {_LEAST:g} and {_MOST:g}, got {found:g}; divide the system by it."
        )


def grid_shape(grid):
    """(nz, ny, nx) of a grid of two or three axes."""
    if not isinstance(grid, tuple | list) or len(grid) not in (2, 3):
        raise InvalidInput(f"`grid` must be (ny, nx) or (nz, ny, nx), got {_checks.brief(grid)}.")
    sizes = tuple(_checks.count("grid", size) for size in grid)
    return (1,) * (3 - len(sizes)) + sizes


def grid_of(A):
    """The grid that the distances of a stencil's entries from the diagonal tell."""
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    distances = np.unique(np.abs(A.indices - rows)[A.data != 0])
    grid = grid_of_distances(distances[distances > 0].tolist(), A.shape[0])
    if grid is None:
        raise InvalidInput("`grid` must be given, as (ny, nx) or (nz, ny, nx): the entries of `A` do not tell it.")
    return grid


def grid_of_distances(distances, n):
    """The grid of n cells whose neighbours are at these distances, ascending; None where there is none."""
    if len(distances) == 2 and distances[0] == 1 and n % distances[1] == 0:
        return n // distances[1], distances[1]
    if len(distances) == 3 and distances[0] == 1 and distances[2] % distances[1] == 0 and n % distances[2] == 0:
        return n // distances[2], distances[2] // distances[1], distances[1]
    return None


def _why(A, row, column, shape):
    """The sentence for the first entry that does not fit."""
    value, sizes = A[row, column], tuple(s for s in shape if s > 1)
    found = f"A[{row}, {column}] = {value:g}"
    if row == column:
        return f"`A` must have finite diagonals >= minus the rest of the row's sum, but {found}; use linalg.ssor."
    if abs(row - column) not in {1, shape[2], shape[1] * shape[2]}:
        return f"`A` must be a 5- or 7-point stencil on the grid {sizes}, but {found} is not; use linalg.ssor."
    if value > 0 or value != value:
        return f"`A` must have no positive entry off the diagonal, but {found}; use linalg.ssor or minres."
    if A[column, row] != value:
        return f"`A` must be symmetric, but {found} and A[{column}, {row}] = {A[column, row]:g}; use gmres or bicgstab."
    return f"`A` must not connect cells across the ends of the grid {sizes}, but {found}; use linalg.ssor."


def _real(name, value):
    array = _checks.array(name, value)
    if array.dtype.kind == "c":
        raise UnsupportedType(f"`{name}` must be real for a multigrid cycle, got dtype {array.dtype}.")
    return array


def _assemble(arrays, boundary, mask, grid, shape):
    """Faces and diagonal with margins."""
    inside = np.ones(grid, bool) if mask is None else np.asarray(mask)
    if inside.shape != grid or inside.dtype != bool:
        raise InvalidInput(f"`mask` must be an array of bool of shape {grid}, True where cells take part.")
    total = np.zeros(grid)
    if boundary is not None:
        total += _checks.shape_is(
            "boundary", _checks.finite("boundary", _real("boundary", boundary)), [grid], "(the grid's)"
        )
        if total.min() < 0:
            raise InvalidInput(f"`boundary` must be >= 0, got {total.min():g}.")
        total *= inside
    diagonal, cells = _backend.kernels("cpu").grid_vector(shape, np.float64)
    out = np.zeros((3, diagonal.size))
    pad = (diagonal.size - cells.size) // 2
    for axis, given in enumerate(arrays):
        wanted = tuple(size - (k == axis) for k, size in enumerate(grid))
        _checks.shape_is("faces", given, [wanted], f"across axis {axis} of the grid {grid}")
        if given.size and given.min() < 0:
            raise InvalidInput(f"`faces` must be >= 0, got {given.min():g}.")
        first = tuple(slice(0, -1) if k == axis else slice(None) for k in range(len(grid)))
        second = tuple(slice(1, None) if k == axis else slice(None) for k in range(len(grid)))
        given = given * (inside[first] & inside[second])
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            total[first] += given
            total[second] += given
        out[axis + 3 - len(grid), pad : pad + cells.size].reshape(grid)[first] = given
    cells[:] = total.ravel()
    return out, diagonal
