"""Reconstruction from measurements: what measures, how to invert it, and when to stop.

``A`` is any linear operator, ``b`` noisy data; shaped images come back shaped, flat ones flat.
"""

from ._krosbl import krosbl
from ._operator import ImagingOperator
from ._result import InverseResult

__all__ = [
    "ImagingOperator",
    "InverseResult",
    "krosbl",
]
