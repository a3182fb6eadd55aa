"""How much memory a grid takes, said before any of it is allocated."""

import math

from .._errors import InvalidInput
from .._memory import available

__all__ = ["fits", "refuse_too_large"]

# Arrays of the grid's size alive at once (measured: 9 to 12), one more for each term of the operator that varies, and
# GMRES's basis. Features of an axis are at most so many to a node, and some arrays of them are alive at once.
_ARRAYS, _KRYLOV, _FEATURES, _OF_AXIS = 12, 80, 2.0, 8


def needed(sizes, varying, krylov):
    """Bytes, about."""
    grid = math.prod(float(n) for n in sizes) * (_ARRAYS + varying + (_KRYLOV if krylov else 0))
    axes = sum(_FEATURES * float(n) * min(float(n), 2000.0) * _OF_AXIS for n in sizes)
    return 8.0 * (grid + axes)


def fits(sizes, terms, krylov):
    return needed(sizes, len(terms.varying), krylov) <= available()


def refuse_too_large(sizes, terms, krylov):
    """Raise InvalidInput for a grid that memory cannot hold."""
    need, have = needed(sizes, len(terms.varying), krylov), available()
    if need > have:
        raise InvalidInput(
            f"`n` must be a grid that fits in memory, got {' x '.join(map(str, sizes))} nodes, which take about "
            f"{need / 2**30:.3g} GiB where {have / 2**30:.3g} GiB are free; take fewer nodes."
        )
