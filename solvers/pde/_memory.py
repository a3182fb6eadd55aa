"""How much memory a grid takes, said before any of it is allocated."""

import contextlib
import math
import os

from .._errors import InvalidInput

__all__ = ["fits", "refuse_too_large"]

# Arrays of the grid's size alive at once (measured: 9 to 12), one more for each term of the operator that varies, and
# GMRES's basis. Features of an axis are at most so many to a node, and some arrays of them are alive at once.
_ARRAYS, _KRYLOV, _FEATURES, _OF_AXIS = 12, 80, 2.0, 8


def needed(sizes, varying, krylov):
    """Bytes, about."""
    grid = math.prod(float(n) for n in sizes) * (_ARRAYS + varying + (_KRYLOV if krylov else 0))
    axes = sum(_FEATURES * float(n) * min(float(n), 2000.0) * _OF_AXIS for n in sizes)
    return 8.0 * (grid + axes)


def available():
    """Bytes of memory that are free or can be freed; infinity where the system does not say."""
    # Elsewhere than on Linux there is no such file; what is installed must then do.
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf


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
