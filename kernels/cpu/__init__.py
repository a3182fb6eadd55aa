"""Numba kernels. One call does one piece of work on whole arrays; threads never change a bit of the answer."""

from .cg import cg_chunk, judge
from .cg_many import LANES, cg_chunk_many
from .products import matvec, residual
from .storage import CSR, Dense, Diagonals, Stencil, csr, dense, diagonals, is_valid_csr, stencil
from .vectors import axpy, inner, step_direction, step_iterate

__all__ = [
    "CSR",
    "Dense",
    "Diagonals",
    "LANES",
    "Stencil",
    "axpy",
    "cg_chunk",
    "cg_chunk_many",
    "csr",
    "dense",
    "diagonals",
    "inner",
    "is_valid_csr",
    "judge",
    "matvec",
    "residual",
    "stencil",
    "step_direction",
    "step_iterate",
]
