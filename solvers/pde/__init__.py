"""Differential equations on boxes, solved by Gaussian processes whose kernels factorise along the axes.

``solve_gp`` gives the solution, an estimate of its error, and its derivatives anywhere in the box.

>>> import numpy as np
>>> from solvers import pde
>>> u = lambda x: np.sin(20 * x)
>>> solution = pde.solve_gp(pde.laplacian(1), lambda x: -400 * u(x), box=[(0, 1)], bc=u)
>>> solution.converged, bool(abs(solution.predict([0.3])[0] - u(0.3)) < 1e-8)
(True, True)
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
