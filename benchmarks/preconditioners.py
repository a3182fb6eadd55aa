"""The named preconditioners: each makes ``M``, an approximate inverse of A, from a problem."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ._registry import Registry, need

__all__ = ["PRECONDITIONERS", "Preconditioner", "preconditioner", "prepare_package"]

PRECONDITIONERS = Registry("preconditioner")


@dataclass(frozen=True)
class Preconditioner:
    """A registered preconditioner: ``build(problem)`` gives M, or None for the identity."""

    name: str
    summary: str
    build: Callable
    package: str
    dense: bool
    ours: bool = False
    on_grid: bool = False

    def unsuitable(self, problem):
        """Say why it cannot be built for this problem, or return an empty string."""
        from scipy import sparse

        if self.on_grid and problem.grid is None:
            return "needs a problem on a grid"
        return "" if self.dense or sparse.issparse(problem.A) else "needs a sparse matrix"


def preconditioner(name, summary, *, package="", dense=False, ours=False, on_grid=False):
    """Register a function that makes M from a problem; ``dense``: of dense matrices too; ``on_grid``: of cells only."""

    def register(build):
        PRECONDITIONERS.add(Preconditioner(name, summary, build, package, dense, ours, on_grid))
        return build

    return register


def prepare_package(entry, problem):
    """Import what an entry needs, and compile what is ours, so that no set-up time includes either."""
    if entry.package:
        need(entry.package, f"{entry.name!r}")
        __import__(entry.package)
    if entry.ours:
        entry.build(_corner(problem))


def _corner(problem):
    """The same problem on a few rows, or on a corner of the grid large enough for coarser ones."""
    if problem.grid is None:
        return replace(problem, A=problem.A[:8, :8], b=problem.b[:8], near_nullspace=None)
    grid = tuple(min(size, 16) for size in problem.grid)
    rows = np.arange(problem.n).reshape(problem.grid)[tuple(map(slice, grid))].ravel()
    return replace(problem, A=problem.A[rows][:, rows], b=problem.b[rows], grid=grid, near_nullspace=None)


@preconditioner("none", "no preconditioner", dense=True)
def none(problem):
    return None


@preconditioner("jacobi", "the diagonal of A", dense=True)
def jacobi(problem):
    from scipy import sparse

    return sparse.diags_array(1.0 / problem.A.diagonal())


@preconditioner("ilu", "SciPy's spilu(drop_tol=1e-3, fill_factor=10); not symmetric, so cg may fail with it")
def ilu(problem):
    from scipy.sparse.linalg import LinearOperator, spilu

    factors = spilu(problem.A.tocsc(), drop_tol=1e-3, fill_factor=10)
    return LinearOperator(problem.A.shape, matvec=factors.solve, dtype=problem.A.dtype)


def _register_ours(name, summary, function, **options):
    @preconditioner(name, summary, dense=True, ours=True)
    def build(problem):
        from solvers import linalg

        return getattr(linalg, function)(problem.A, **options)


_register_ours("ssor", "our SSOR, omega estimated by Lanczos steps", "ssor")
_register_ours("ic", "our incomplete_cholesky(A), without relaxation: IC(0)", "incomplete_cholesky")
_register_ours("ic-auto", "our ic(A): incomplete Cholesky, relaxed where it can be, shifted where it must be", "ic")
_register_ours("mic", "our modified incomplete Cholesky, relaxation 0.97", "incomplete_cholesky", relaxation=0.97)
_register_ours("chebyshev", "our Chebyshev polynomial of degree 4", "chebyshev", degree=4)


@preconditioner("amg", "our cycle on PyAMG's smoothed aggregation", package="pyamg", ours=True)
def amg(problem):
    from solvers import linalg

    return linalg.amg(problem.A, B=problem.near_nullspace)


@preconditioner("mg", "our multigrid with learned parameters", ours=True, on_grid=True)
def mg(problem):
    from scipy import sparse

    from solvers import linalg

    entries = problem.A - sparse.diags_array(problem.A.diagonal())
    varies = entries.nnz > 0 and np.ptp(entries.data[entries.data != 0]) > 0
    name = f"mg{len(problem.grid)}d-{'variable' if varies else 'poisson'}"
    return linalg.MultigridPreconditioner.pretrained(name).setup(problem.A, grid=problem.grid)


@preconditioner("box", "the inverse on the empty box, by cosine or sine transforms", ours=True, on_grid=True)
def box(problem):
    from solvers import linalg

    takes_part = (np.diff(problem.A.indptr) != 1).reshape(problem.grid)
    return linalg.box_poisson(problem.grid, sides=problem.sides, mask=takes_part)


@preconditioner("coarse", "16 learned directions on ic-auto; its set-up is the fit", dense=True, ours=True)
def coarse(problem):
    from solvers import linalg

    return linalg.CoarseSpace(k=16, rng=0).fit(problem.A)


@preconditioner("sa", "PyAMG's smoothed aggregation, one V-cycle", package="pyamg")
def sa(problem):
    return smoothed_aggregation(problem).aspreconditioner()


@preconditioner("rs", "PyAMG's classical (Ruge-Stueben) multigrid, one V-cycle", package="pyamg")
def rs(problem):
    return ruge_stuben(problem).aspreconditioner()


def smoothed_aggregation(problem):
    """PyAMG's hierarchy, given the near-nullspace where the problem knows it."""
    from pyamg import smoothed_aggregation_solver

    symmetry = "hermitian" if problem.symmetric else "nonsymmetric"
    B = problem.near_nullspace
    B = None if B is None else B.astype(np.result_type(problem.A.dtype, np.float32))
    return smoothed_aggregation_solver(problem.A, B=B, symmetry=symmetry)


def ruge_stuben(problem):
    """PyAMG's hierarchy by classical coarsening."""
    from pyamg import ruge_stuben_solver

    return ruge_stuben_solver(problem.A)
