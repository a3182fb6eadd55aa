"""A drop-in for ``scipy.sparse.linalg``: every public name of it, ours where ours is better.

``cg`` (and what follows it) returns SciPy's pair with iterations and a recomputed residual beside it, names
its failures, and takes many right-hand sides. ``prepare`` does a matrix's analysis once for many solves.

>>> import numpy as np, scipy.sparse as sp
>>> from solvers import linalg
>>> A = sp.diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(100, 100)).tocsr()
>>> x, info = linalg.cg(A, np.ones(100), rtol=1e-8)
>>> info, bool(np.linalg.norm(A @ x - 1) <= 1e-7)
(0, True)
"""

from scipy.sparse import linalg as _scipy
from scipy.sparse.linalg import *  # noqa: F403
from scipy.sparse.linalg import test

from . import _elsewhere
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

#: Names of this module that do not do what SciPy does.
OURS = (
    "AMGPreconditioner",
    "BoxPoisson",
    "ChebyshevPreconditioner",
    "CoarseSpace",
    "IncompleteCholesky",
    "KroneckerOperator",
    "LeastSquaresResult",
    "LinearResult",
    "MultigridPreconditioner",
    "PETScPreconditioner",
    "PreparedOperator",
    "SSORPreconditioner",
    "StencilOperator",
    "Tuned",
    "TunedChebyshev",
    "TunedIncompleteCholesky",
    "TunedSOR",
    "TunedSSORCG",
    "amg",
    "bicgstab",
    "box_poisson",
    "cg",
    "chebyshev",
    "dcdm",
    "gauss_seidel",
    "gmres",
    "ic",
    "incomplete_cholesky",
    "jacobi",
    "kron_matvec",
    "kron_solve",
    "lsmr",
    "lsqr",
    "minres",
    "omega_optimal",
    "prepare",
    "solve",
    "solve_batches",
    "sor",
    "ssor",
    "ssor_cg",
    "stencil",
    "to_petsc",
)
# The other functions are SciPy's, and go to CuPy's where the GPU is asked for; classes are SciPy's own objects.
globals().update({name: function for name, function in _elsewhere.FUNCTIONS.items() if name not in OURS})

__all__ = sorted({*_scipy.__all__, *OURS})
