"""CUDA on the CPU: the unmodified sources of kernels/gpu, compiled with g++, behind a package that looks like CuPy.

EMULATION.md says how it works and what it cannot show.
"""

from . import build
from .launch import SCHEDULES, EmulationError, settings
from .memory import device
from .package import installed
