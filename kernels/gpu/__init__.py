"""CUDA kernels, launched through CuPy. One call does one piece of work on whole arrays; no call changes a bit.

Patterns are sorted, connected cells found and incomplete factors made on the host: those functions are the CPU's own.
"""

import importlib

from .arrays import copy_to_device, device_id, device_of, empty, is_ready, to_device, to_host, zeros
from .basis import combine, project
from .cg import cg_chunk, judge
from .cg_many import LANES, cg_chunk_many
from .clouds import CostMatrix, PointCosts
from .grids import GridLevel, grid_coarsen, grid_faces, grid_level, grid_vector, subtract_means
from .multigrid import (
    grid_enter,
    grid_leave,
    grid_product,
    grid_prolong,
    grid_residual,
    grid_restrict,
    grid_smooth,
    grid_start,
)
from .plans import log_sums, log_sums_columns, marginals, plan, threshold_plan
from .point_gradients import point_gradients
from .products import matvec, relax, residual, subtract_product
from .relaxation import Sweep, diagonal, jacobi_chunk, sor_chunk, ssor_chunk, sweep, sweep_from
from .scaling import Scaling, scaling, scaling_chunk
from .sinkhorn import log_chunk
from .slices import sliced_gradients, sliced_powers, sorted_powers, sorted_projections
from .ssor import ssor_cg_chunk, ssor_cg_start, ssor_solve
from .storage import CSR, MOST_ENTRIES, Dense, Diagonals, Stencil, csr, dense, diagonals, is_valid_csr, stencil
from .tomography import back_projection, line_integrals
from .variation import variation_gap, variation_step
from .vectors import (
    axpy,
    difference,
    gather,
    inner,
    largest,
    multiply,
    reciprocal,
    scale,
    scatter,
    step_direction,
    step_iterate,
)

__all__ = [
    "CSR",
    "CostMatrix",
    "Dense",
    "Diagonals",
    "GridLevel",
    "LANES",
    "MOST_ENTRIES",
    "PointCosts",
    "Scaling",
    "Stencil",
    "Sweep",
    "axpy",
    "back_projection",
    "cg_chunk",
    "cg_chunk_many",
    "combine",
    "copy_to_device",
    "csr",
    "dense",
    "device_id",
    "device_of",
    "diagonal",
    "diagonals",
    "difference",
    "empty",
    "gather",
    "grid_coarsen",
    "grid_components",
    "grid_enter",
    "grid_faces",
    "grid_leave",
    "grid_level",
    "grid_product",
    "grid_prolong",
    "grid_residual",
    "grid_restrict",
    "grid_smooth",
    "grid_start",
    "grid_vector",
    "ilu0",
    "inner",
    "is_ready",
    "is_valid_csr",
    "jacobi_chunk",
    "judge",
    "largest",
    "line_integrals",
    "log_chunk",
    "log_sums",
    "log_sums_columns",
    "marginals",
    "matvec",
    "multiply",
    "order_by_colours",
    "order_by_levels",
    "plan",
    "point_gradients",
    "project",
    "reciprocal",
    "relax",
    "residual",
    "scale",
    "scaling",
    "scaling_chunk",
    "scatter",
    "sliced_gradients",
    "sliced_powers",
    "sor_chunk",
    "sorted_powers",
    "sorted_projections",
    "split_rows",
    "ssor_cg_chunk",
    "ssor_cg_start",
    "ssor_chunk",
    "ssor_solve",
    "stencil",
    "step_direction",
    "step_iterate",
    "subtract_means",
    "subtract_product",
    "sweep",
    "sweep_from",
    "threshold_plan",
    "to_device",
    "to_host",
    "variation_gap",
    "variation_step",
    "zeros",
]

_OF_THE_CPU = ("grid_components", "ilu0", "order_by_colours", "order_by_levels", "split_rows")


def __getattr__(name):
    """The functions of the host, loaded with Numba on first use."""
    if name in _OF_THE_CPU:
        return getattr(importlib.import_module("..cpu", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
