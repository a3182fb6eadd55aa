"""Numba kernels. One call does one piece of work on whole arrays; threads never change a bit of the answer."""

from .arrays import copy_to_device, device_id, device_of, empty, is_ready, to_device, to_host, zeros
from .basis import combine, project
from .blocks import block_sor_chunk
from .cg import cg_chunk, judge
from .cg_many import LANES, cg_chunk_many
from .clouds import CostMatrix, PointCosts
from .factors import fit_rows, improve_rows
from .grids import GridLevel, grid_coarsen, grid_components, grid_faces, grid_level, grid_vector, subtract_means
from .ilu import ilu0
from .least_squares import lsmr_chunk, lsqr_chunk
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
from .orders import diagonal, order_by_colours, order_by_levels, split_rows
from .plans import log_sums, log_sums_columns, marginals, plan, threshold_plan
from .point_gradients import point_gradients
from .products import matvec, relax, residual, subtract_product
from .relaxation import Sweep, jacobi_chunk, sor_chunk, ssor_chunk, sweep, sweep_from
from .scaling import Scaling, scaling, scaling_chunk
from .sinkhorn import log_chunk
from .sinkhorn_many import log_chunk_many, marginals_many
from .slices import sliced_gradients, sliced_powers, sorted_powers, sorted_projections
from .ssor import ssor_cg_chunk, ssor_cg_start, ssor_solve
from .storage import CSR, MOST_ENTRIES, Dense, Diagonals, Stencil, csr, dense, diagonals, is_valid_csr, stencil
from .tomography import back_projection, line_integrals
from .unbalanced import unbalanced_chunk
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
    "block_sor_chunk",
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
    "fit_rows",
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
    "improve_rows",
    "inner",
    "is_ready",
    "is_valid_csr",
    "jacobi_chunk",
    "judge",
    "largest",
    "line_integrals",
    "log_chunk",
    "log_chunk_many",
    "log_sums",
    "log_sums_columns",
    "lsmr_chunk",
    "lsqr_chunk",
    "marginals",
    "marginals_many",
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
    "unbalanced_chunk",
    "variation_gap",
    "variation_step",
    "zeros",
]
