"""The interval of the contexts, given or learned."""

import math

import numpy as np

from ... import _checks
from ..._errors import InvalidInput

__all__ = ["grow", "place", "span_of"]


def span_of(interval):
    """Return [low, high]; NaN where no interval was given and none has been seen."""
    if interval is None:
        return np.full(2, np.nan)
    span = np.array(_checks.finite("interval", _checks.array("interval", interval)))
    if span.shape != (2,) or not span[0] < span[1]:
        raise InvalidInput(f"`interval` must be a pair (low, high) with low < high, got {span.tolist()}.")
    return span


def grow(span, context):
    """Widen a learned interval, in place, until the context lies within; returns whether that was needed.

    It takes in a tenth of its width more, so that a creeping extreme seldom moves it.
    """
    low, high = span
    if low <= context <= high:
        return False
    if math.isnan(low):
        span[:] = context
    elif context < low:
        span[0] = context - 0.1 * (high - context)
    else:
        span[1] = context + 0.1 * (context - low)
    return True


def place(span, context):
    """Where the context lies, -1 at the low end and 1 at the high; beyond an end is at the end."""
    low, high = span
    if low == high:
        return 0.0
    return min(max((2.0 * context - low - high) / (high - low), -1.0), 1.0)
