"""How much memory there is."""

import contextlib
import math
import os

__all__ = ["available"]


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
