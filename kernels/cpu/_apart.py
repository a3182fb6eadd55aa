"""Memory for what a loop writes while it adds up, so that the order of the sum does not depend on where arrays lie.

Of a loop that reads some arrays and writes another LLVM makes two, with vectors and without, and takes the second where
the arrays may overlap: where the one written begins within four vectors behind the beginning of one that is read.
Arrays shorter than that do so by chance, next to each other in memory, and the sum then has other last bits.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import FLAGS

__all__ = ["GAP", "apart"]

#: Bytes: more than four vectors of any processor.
GAP = 512


@register_jitable(**FLAGS)
def apart(rows, size, like):
    """An array of shape (rows, size) in the dtype of ``like``, behind a gap; sums may read each of its rows alone."""
    unused = 1 + GAP // max(1, size * like.itemsize)
    return np.empty((unused + rows, size), like.dtype)[unused:]
