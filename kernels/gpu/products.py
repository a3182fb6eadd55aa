"""Products with a matrix, whatever its storage, and the residual that everything is judged by."""

import math

import numpy as np

from ._device import Source, empty, to_host
from .storage import OPERANDS, operand_arguments, operand_grid, operand_type

__all__ = ["matvec", "residual"]

_source = Source("products", ("common", "matrices"), matvec=OPERANDS, residual=OPERANDS)


def matvec(A, x, y):
    """y = A x.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    x, y : cupy.ndarray, shape (n,)
    """
    _source.launch("matvec", operand_type(A), operand_grid(A), *operand_arguments(A), x, y)


def residual(A, x, b, r):
    """r = b - A x, accumulated in float64 (complex128), rounded once; returns the norm before that rounding.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    x, b, r : cupy.ndarray, shape (n,)
    """
    grid = operand_grid(A)
    parts = empty(grid, np.float64)
    _source.launch("residual", operand_type(A), grid, *operand_arguments(A), x, b, r, parts)
    return math.sqrt(to_host(parts).sum())
