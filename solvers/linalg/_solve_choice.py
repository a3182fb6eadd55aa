"""Which method for which matrix: cheap facts of its pattern and entries, and what each method would cost.

The seconds here are a model: operations by rates that were measured once on one core of a common machine. Only their
order is used. Levels of a breadth-first order tell how a matrix is connected: a profile p (the mean distance from a
row's first entry to its diagonal) is the size of a separator, n / p the length across, which conjugate gradients have
to cross.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from ._grid_operator import grid_of_distances

__all__ = [
    "Facts",
    "band_seconds",
    "candidates",
    "grid_guess",
    "iteration_seconds",
    "lu_seconds",
    "prefers_band",
    "survey",
]

# Seconds: of a flop in a band's Cholesky, of a row of SuperLU and of a squared entry of its factors' columns, and of an
# entry of factors in a solve.
_BAND, _LU_ROW, _LU_SQUARE, _SOLVE = 3.5e-11, 2e-6, 0.6e-9, 2e-9
# Of a row and of an entry in an iteration with a triangular preconditioner, and in one with a diagonal.
_ROW, _ENTRY, _DIAGONAL_ENTRY = 6e-9, 3.2e-9, 1.5e-9
# Of a product of two entries of a row in incomplete factors; of an entry in PyAMG's set-up, and in a cycle.
_PIVOT, _AMG, _CYCLE = 2.3e-9, 1.2e-6, 2e-8
# Of a multigrid cycle on a grid: at all, of a cell in the set-up, and of a cell in all iterations.
_GRID, _GRID_SETUP, _GRID_CELL = 6e-3, 0.3e-6, 0.4e-6
# Cells from which the grid is looked for: below, factors are made sooner.
_LEAST_GRID = 4000
# Bytes that factors may take.
_MOST_BYTES = 3e9


@dataclass(frozen=True)
class Facts:
    """What is known of a sparse matrix.

    Attributes
    ----------
    n, entries, columns : int
        Rows, stored entries, right-hand sides.
    hermitian, positive, diffusive : bool
        A = A^H; a positive diagonal; besides, no positive entries off the diagonal to speak of.
    dominance : float
        The least share of a diagonal that exceeds the sum of its row, the diagonal scaled to one; 0 if none does.
    squares : float
        The sum of the squared numbers of entries of the rows.
    order : ndarray
        Rows in reverse Cuthill-McKee order.
    width : int
        The bandwidth in that order.
    profile, reach : float
        The mean distance from a row's first entry to its diagonal, in that order, and its root mean square.
    """

    n: int
    entries: int
    columns: int
    hermitian: bool
    positive: bool
    diffusive: bool
    dominance: float
    squares: float
    order: np.ndarray
    width: int
    profile: float
    reach: float

    @property
    def across(self):
        """The length of the matrix's graph, in steps."""
        return self.n / max(1.0, self.reach)

    @property
    def steps(self):
        """Iterations with incomplete Cholesky that a well-behaved matrix takes, to 1e-8."""
        steps = 10 + 0.2 * self.across
        return min(steps, 10 * math.sqrt(2 / self.dominance)) if self.dominance > 0 else steps

    @property
    def fill(self):
        """Entries in a column of the sparse factors, by the recursion of nested dissection.

        2^k separators of size p 2^(-k alpha), p = n^alpha; 4.5 makes it minimum degree's (measured, within a factor of
        two or three on grids and structures).
        """
        p, n = max(1.0, self.profile), max(2, self.n)
        alpha = math.log(p) / math.log(n)
        depth = max(1, round(math.log2(n / p)))
        total = sum(2.0 ** (k * (1 - 2 * alpha)) for k in range(depth))
        return max(2.5 * self.entries / n, min(p, 4.5 * total * p * p / n))


def survey(A, hermitian, columns):
    """The Facts of a CSR array on the host."""
    n = A.shape[0]
    counts = np.diff(A.indptr)
    diagonal = A.diagonal()
    positive = bool((diagonal.real > 0).all() and not diagonal.imag.any())
    pattern = scipy.sparse.csr_array((np.ones(A.nnz, np.int8), A.indices, A.indptr), shape=A.shape)
    order = reverse_cuthill_mckee(pattern, symmetric_mode=hermitian)
    width, profile, reach = _envelope(A, order, counts)
    diffusive, dominance = _sums(A, diagonal.real) if hermitian and positive else (False, 0.0)
    squares = float((counts.astype(float) ** 2).sum())
    return Facts(n, A.nnz, columns, hermitian, positive, diffusive, dominance, squares, order, width, profile, reach)


def _envelope(A, order, counts):
    place = np.empty(A.shape[0], np.int64)
    place[order] = np.arange(A.shape[0])
    there = np.flatnonzero(counts)
    if not there.size:
        return 0, 0.0, 0.0
    first = np.minimum.reduceat(place[A.indices], A.indptr[there])
    reach = np.maximum(place[there] - first, 0)
    return int(reach.max()), float(reach.mean()), math.sqrt(float((reach * reach.astype(float)).mean()))


def _sums(A, diagonal):
    """Whether entries off the diagonal are negative, to a tenth of their sum; and the dominance of the diagonal."""
    scale = 1 / np.sqrt(diagonal)
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    scaled = A.data * scale[rows] * scale[A.indices]
    sizes = np.abs(scaled)
    dominance = 2.0 - float(np.bincount(rows, sizes, A.shape[0]).max(initial=0.0))
    if scaled.dtype.kind == "c":
        return False, max(0.0, dominance)
    # Row sums of an M-matrix: 1 - (sum of sizes off the diagonal).
    off = sizes.sum() - A.shape[0]
    positive = (sizes.sum() + scaled.sum()) / 2 - A.shape[0]
    return bool(positive <= 0.1 * off), max(0.0, dominance)


def grid_guess(A):
    """The grid that some rows of a 5- or 7-point stencil tell, or None; whether all obey, its reader will see."""
    n = A.shape[0]
    if n < _LEAST_GRID or A.dtype.kind == "c" or not 2 * n < A.nnz <= 7 * n:
        return None
    rows = np.linspace(0, n - 1, 200).astype(np.int64)
    parts = [A.indices[A.indptr[i] : A.indptr[i + 1]] - i for i in rows]
    steps = np.unique(np.abs(np.concatenate(parts)))
    return grid_of_distances(steps[steps > 0].tolist(), n)


def iteration_seconds(facts):
    """Of one iteration with a triangular preconditioner, for all right-hand sides."""
    return (facts.n * _ROW + facts.entries * _ENTRY) * facts.columns


def setup_seconds(facts):
    """Of incomplete factors: products of entries, the order of rows, and triangles."""
    return facts.squares * _PIVOT + 2e-8 * facts.entries


def candidates(facts, grid):
    """(seconds, name) of what may solve it, cheapest first; ``grid`` says whether it may be a stencil on one."""
    found = [(_direct(facts), "direct")]
    if facts.hermitian and facts.positive:
        found += _iterative(facts)
        if grid:
            found.append((_GRID + facts.n * (_GRID_SETUP + _GRID_CELL * facts.columns), "learned"))
    elif not facts.hermitian:
        found.append((setup_seconds(facts) + 8 * facts.steps * iteration_seconds(facts), "ilu"))
    return sorted((seconds, name) for seconds, name in found if math.isfinite(seconds))


def _iterative(facts):
    each, steps = iteration_seconds(facts), facts.steps
    found = [(setup_seconds(facts) + each * steps, "ic"), (2 * each * steps + 20 * each, "ssor")]
    if facts.diffusive:
        found.append((facts.entries * (_AMG + 15 * _CYCLE * facts.columns), "amg"))
    if facts.dominance > 0.02:
        product = facts.n * _ROW + facts.entries * _DIAGONAL_ENTRY
        found.append((10 * math.sqrt(2 / facts.dominance) * product * facts.columns, "jacobi"))
    return found


def band_seconds(facts):
    """Of a band's Cholesky and the solves; infinite where it does not fit, or is not to be had."""
    if not (facts.hermitian and facts.positive) or 8.0 * facts.n * (facts.width + 1) > _MOST_BYTES:
        return math.inf
    w = facts.width + 1.0
    return facts.n * w * (_BAND * w + _SOLVE * (1.5 + 2 * facts.columns))


def lu_seconds(facts):
    """Of SuperLU and the solves; infinite where its factors would not fit."""
    fill = facts.fill if facts.hermitian else 2 * facts.fill
    if 24.0 * facts.n * fill > _MOST_BYTES:
        return math.inf
    once = facts.n * (_LU_ROW + _LU_SQUARE * fill * fill) + _LU_SQUARE * facts.squares
    return once + _SOLVE * facts.n * fill * facts.columns


def prefers_band(facts):
    """Whether a band is the better bet: the fill of sparse factors is uncertain, a band's is not."""
    return band_seconds(facts) <= 1.5 * lu_seconds(facts)


def _direct(facts):
    return band_seconds(facts) if prefers_band(facts) else lu_seconds(facts)
