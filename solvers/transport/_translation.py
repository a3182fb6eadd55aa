"""Where the dual of unbalanced transport is largest along (f + t, g - t) (Sejourne, Vialard & Peyre 2022).

There the sum that the rows should have, and that the columns should have, agree. For one price a side t has a closed
form (arXiv:2201.00730); where each entry has its own, t is the zero of one monotone function.
"""

import math

import numpy as np

__all__ = ["best_translation"]

_NEWTON_STEPS = 100
# A step of t by this over the smallest slope changes every sum from all to nothing.
_REACH = 700.0


def best_translation(x, k, y, l):
    """t where sum exp(x - k t), which falls, meets sum exp(y + l t), which grows; and the logarithm of both there.

    Newton's method on the logarithms: for one price a side the first step is exact.
    """
    below, above, t = -np.inf, np.inf, 0.0
    reach = _REACH / min(np.min(k, where=k > 0, initial=np.inf), np.min(l, where=l > 0, initial=np.inf))
    for _ in range(_NEWTON_STEPS):
        (r, slope_r), (q, slope_q) = _log_sum(x - k * t, k), _log_sum(y + l * t, l)
        gap = r - q
        if not abs(gap) > 1e-15 * max(1.0, abs(r)):
            break
        below, above = (t, above) if gap > 0 else (below, t)
        step = gap / (slope_r + slope_q) if slope_r + slope_q > 0 else math.copysign(math.inf, gap)
        there = t + max(-reach, min(reach, step))
        if not below < there < above:
            if not (math.isfinite(below) and math.isfinite(above)):
                break
            there = 0.5 * (below + above)
        if there == t:
            break
        t = there
    return (t, q) if math.isfinite(t + q) else (0.0, 0.0)


def _log_sum(x, k):
    """log sum exp(x), and the mean of k by its terms."""
    most = x.max()
    e = np.exp(x - most)
    s = e.sum()
    return most + math.log(s), float(k @ e) / s
