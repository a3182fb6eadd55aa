"""CUDA kernels, launched through CuPy. One call does one piece of work on whole arrays; no call changes a bit."""

from .arrays import copy_to_device, device_of, empty, is_ready, to_device, to_host, zeros
from .basis import combine, project
from .cg import cg_chunk, judge
from .cg_many import LANES, cg_chunk_many
from .products import matvec, residual
from .storage import CSR, MOST_ENTRIES, Dense, Diagonals, Stencil, csr, dense, diagonals, is_valid_csr, stencil
from .vectors import axpy, difference, inner, largest, multiply, scale, step_direction, step_iterate

__all__ = [
    "CSR",
    "Dense",
    "Diagonals",
    "LANES",
    "MOST_ENTRIES",
    "Stencil",
    "axpy",
    "cg_chunk",
    "cg_chunk_many",
    "combine",
    "copy_to_device",
    "csr",
    "dense",
    "device_of",
    "diagonals",
    "difference",
    "empty",
    "inner",
    "is_ready",
    "is_valid_csr",
    "judge",
    "largest",
    "matvec",
    "multiply",
    "project",
    "residual",
    "scale",
    "stencil",
    "step_direction",
    "step_iterate",
    "to_device",
    "to_host",
    "zeros",
]
