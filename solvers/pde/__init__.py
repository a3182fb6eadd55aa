"""Differential equations on boxes, solved by Gaussian processes whose kernels factorise along the axes.

``solve_gp`` gives the solution, an estimate of its error, and its derivatives anywhere in the box.
"""

from ._infer_coefficients import CoefficientEstimate, infer_coefficients
from ._infer_source import SourceEstimate, infer_source
from ._kernels import Matern, SpectralMixture, SquaredExponential
from ._operators import advection, div_grad, helmholtz, laplacian
from ._solution import GPSolution
from ._solve_gp import solve_gp
from ._source import nodes

__all__ = [
    "CoefficientEstimate",
    "GPSolution",
    "Matern",
    "SourceEstimate",
    "SpectralMixture",
    "SquaredExponential",
    "advection",
    "div_grad",
    "helmholtz",
    "infer_coefficients",
    "infer_source",
    "laplacian",
    "nodes",
    "solve_gp",
]
