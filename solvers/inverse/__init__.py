"""Reconstruction from measurements: what measures, how to invert it, and when to stop.

``A`` is any linear operator, ``b`` noisy data; shaped images come back shaped, flat ones flat.

>>> import numpy as np
>>> from solvers import inverse
>>> A = inverse.ParallelBeam((32, 32), angles=20)
>>> noise = 0.1 * np.random.default_rng(0).standard_normal(A.data_shape)
>>> b = A @ np.pad(np.ones((16, 16)), 8) + noise
>>> result = inverse.least_squares(A, b, noise_norm=np.linalg.norm(noise))
>>> result.x.shape, result.stop_reason
((32, 32), 'discrepancy')
"""

from ._check_adjoint import check_adjoint
from ._complete import complete
from ._denoisers import nlm, tv
from ._diffusion import from_torch
from ._fbp import fbp
from ._fourier import MRI, Blur
from ._gaussian import Gaussian
from ._krosbl import krosbl
from ._least_squares import least_squares
from ._low_rank import LowRank
from ._operator import ImagingOperator
from ._pixels import Downsampling, Gradient, Inpainting
from ._pnp import pnp
from ._priors import GaussianMixture
from ._recover import recover
from ._result import InverseResult
from ._sample import sample
from ._smoothness import Smoothness
from ._tomography import FanBeam, ParallelBeam

__all__ = [
    "Blur",
    "Downsampling",
    "FanBeam",
    "Gaussian",
    "GaussianMixture",
    "Gradient",
    "ImagingOperator",
    "Inpainting",
    "InverseResult",
    "LowRank",
    "MRI",
    "ParallelBeam",
    "Smoothness",
    "check_adjoint",
    "complete",
    "fbp",
    "from_torch",
    "krosbl",
    "least_squares",
    "nlm",
    "pnp",
    "recover",
    "sample",
    "tv",
]
