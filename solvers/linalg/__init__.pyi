# What __init__.py offers, for type checkers: these cannot follow a star import whose names are replaced by ours.
from scipy.sparse.linalg import (
    ArpackError,
    ArpackNoConvergence,
    LaplacianNd,
    LinearOperator,
    MatrixRankWarning,
    SuperLU,
    aslinearoperator,
    bicg,
    cgs,
    dsolve,
    eigen,
    eigs,
    eigsh,
    expm,
    expm_multiply,
    factorized,
    funm_multiply_krylov,
    gcrotmk,
    interface,
    inv,
    is_sptriangular,
    isolve,
    lgmres,
    lobpcg,
    matfuncs,
    matrix_power,
    norm,
    onenormest,
    qmr,
    spbandwidth,
    spilu,
    splu,
    spsolve,
    spsolve_triangular,
    svds,
    tfqmr,
    use_solver,
)

from ._amg import AMGPreconditioner, amg
from ._bicgstab import bicgstab
from ._box import BoxPoisson, box_poisson
from ._cg import cg
from ._chebyshev import ChebyshevPreconditioner, chebyshev
from ._coarse_space import CoarseSpace
from ._dcdm import dcdm
from ._gmres import gmres
from ._kron import KroneckerOperator, kron_matvec, kron_solve
from ._lsmr import lsmr
from ._lsqr import lsqr
from ._minres import minres
from ._multigrid import MultigridPreconditioner
from ._omega import omega_optimal
from ._operator import PreparedOperator
from ._petsc import PETScPreconditioner, to_petsc
from ._prepare import StencilOperator, prepare, stencil
from ._result import LeastSquaresResult, LinearResult
from ._solve import solve
from ._sor import gauss_seidel, jacobi, sor
from ._ssor_cg import ssor_cg
from ._triangular import IncompleteCholesky, SSORPreconditioner, ic, incomplete_cholesky, ssor
from ._tuned import Tuned, TunedChebyshev, TunedIncompleteCholesky, TunedSOR, TunedSSORCG
from ._tuned_batches import solve_batches

OURS: tuple[str, ...]

__all__ = [
    "AMGPreconditioner",
    "ArpackError",
    "ArpackNoConvergence",
    "BoxPoisson",
    "ChebyshevPreconditioner",
    "CoarseSpace",
    "IncompleteCholesky",
    "KroneckerOperator",
    "LaplacianNd",
    "LeastSquaresResult",
    "LinearOperator",
    "LinearResult",
    "MatrixRankWarning",
    "MultigridPreconditioner",
    "PETScPreconditioner",
    "PreparedOperator",
    "SSORPreconditioner",
    "StencilOperator",
    "SuperLU",
    "Tuned",
    "TunedChebyshev",
    "TunedIncompleteCholesky",
    "TunedSOR",
    "TunedSSORCG",
    "amg",
    "aslinearoperator",
    "bicg",
    "bicgstab",
    "box_poisson",
    "cg",
    "cgs",
    "chebyshev",
    "dcdm",
    "dsolve",
    "eigen",
    "eigs",
    "eigsh",
    "expm",
    "expm_multiply",
    "factorized",
    "funm_multiply_krylov",
    "gauss_seidel",
    "gcrotmk",
    "gmres",
    "ic",
    "incomplete_cholesky",
    "interface",
    "inv",
    "is_sptriangular",
    "isolve",
    "jacobi",
    "kron_matvec",
    "kron_solve",
    "lgmres",
    "lobpcg",
    "lsmr",
    "lsqr",
    "matfuncs",
    "matrix_power",
    "minres",
    "norm",
    "omega_optimal",
    "onenormest",
    "prepare",
    "qmr",
    "solve",
    "solve_batches",
    "sor",
    "spbandwidth",
    "spilu",
    "splu",
    "spsolve",
    "spsolve_triangular",
    "ssor",
    "ssor_cg",
    "stencil",
    "svds",
    "tfqmr",
    "to_petsc",
    "use_solver",
]
