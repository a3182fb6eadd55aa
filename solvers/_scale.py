"""Powers of two that bring numbers near one: products with them are exact."""

import math

import numpy as np

__all__ = ["common_unit", "reach_of", "safe_range", "to_one"]

# Numbers within 2^-20 and 2^20 are of common size.
_COMMON = 20


def reach_of(dtype):
    """The largest exponent whose power of two leaves room for what is computed, in the precision of this dtype."""
    return 1000 if np.dtype(dtype).char in "dD" else 120


def safe_range(dtype):
    """Norms between which squares, and squares times a tolerance, stay within the range of this dtype."""
    return (1e-100, 1e100) if np.dtype(dtype).char in "dD" else (1e-10, 1e10)


def to_one(size, reach=1000):
    """The power of two that brings a size to between 1/2 and 1, as far as its exponent is within the reach.

    It is 1 for zero, and for what is not finite.

    >>> to_one(6.0), to_one(0.0), to_one(1e-300, reach=120) == 2.0**120
    (0.125, 1.0, True)
    """
    return 2.0 ** max(-reach, min(reach, -math.frexp(size)[1])) if math.isfinite(size) else 1.0


def common_unit(size):
    """A power of two near the size; 1 where that is of common size, so that common numbers stay as they are.

    >>> common_unit(5.0), common_unit(2.0**40)
    (1.0, 2199023255552.0)
    """
    unit = 1.0 / to_one(size)
    return unit if abs(math.frexp(unit)[1] - 1) > _COMMON else 1.0
