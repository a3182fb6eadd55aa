"""Products with a matrix, whatever its storage, and the residual that everything is judged by."""

import math

import numpy as np

from ._device import Source, empty, to_host
from .storage import OPERANDS, operand_arguments, operand_grid, operand_type

__all__ = ["matvec", "relax", "residual", "subtract_product"]

_source = Source(
    "products", ("common", "matrices"), matvec=OPERANDS, relax=OPERANDS, residual=OPERANDS, subtract_product=OPERANDS
)


def matvec(A, x, y):
    """y = A x.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
        A CSR matrix may have another number of columns m; the others have n.
    x : cupy.ndarray, shape (m,)
    y : cupy.ndarray, shape (n,)
    """
    _source.launch("matvec", operand_type(A), operand_grid(A), *operand_arguments(A), x, y)


def subtract_product(A, x, b, y):
    """y = b - A x, in the arithmetic of the arrays; ``residual`` is exact to the last bit and measures it.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
        A CSR matrix may have another number of columns m.
    x : cupy.ndarray, shape (m,)
    b, y : cupy.ndarray, shape (n,)
        They may be one array.
    """
    _source.launch("subtract_product", operand_type(A), operand_grid(A), *operand_arguments(A), x, b, y)


def relax(A, d, omega, b, x, y):
    """y = x + omega d (b - A x): a step of Jacobi's method, or of Richardson's where d is constant.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    d : cupy.ndarray of a real dtype, shape (n,)
    omega : float
    b, x, y : cupy.ndarray, shape (n,)
        y is none of the others.
    """
    _source.launch("relax", operand_type(A), operand_grid(A), *operand_arguments(A), d, np.float64(omega), b, x, y)


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
