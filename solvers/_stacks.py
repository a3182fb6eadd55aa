"""Stacks: arrays (k, ...) whose rows are vectors, each with scalars of its own, on the host or on a device.

Scalars of a stack are arrays (k,) on the host; those of one row alone may be Python's numbers, which are faster.
"""

import math

import numpy as np

from . import _backend
from ._arrays import module_of, on_host
from ._scale import to_one

__all__ = [
    "columns",
    "inner_rows",
    "normalise",
    "norms",
    "numbers",
    "ratio",
    "rotation",
    "taken_rows",
    "unless",
]

# From so many entries on, passes over memory cost more than a call for each row.
_LONG = 500


def inner_rows(x, y):
    """Re <x, y> of each pair of rows, accumulated in float64, on the host.

    The last bits do not depend on how many rows there are: short products are formed in float64 before they are summed,
    as a sum that casts goes through a buffer, whose borders are those of the whole stack.
    """
    xp, size = module_of(x), math.prod(x.shape[1:])
    y = None if x is y else xp.ascontiguousarray(y).reshape(len(y), size)
    x = xp.ascontiguousarray(x).reshape(len(x), size)
    y = x if y is None else y
    if xp is np and size >= _LONG and x.dtype == y.dtype:
        inner_of = _backend.kernels("cpu").inner
        return np.array([inner_of(a, b).real for a, b in zip(x, y, strict=True)], float)
    if x.dtype.kind == "c":
        x, y = (a.view(a.real.dtype) for a in (x, y))
    with np.errstate(all="ignore"):  # what is not finite shows in the sum
        sums = xp.multiply(x, y, dtype=np.float64).sum(axis=1)
    return on_host(sums)


def norms(X):
    """The 2-norm of each row, on the host: also where its square is out of range."""
    squares = inner_rows(X, X)
    found = np.sqrt(squares)
    if len(X) == 1 and 1e-280 < squares[0] < 1e280:
        return found
    safe = (squares > 1e-280) & (squares < 1e280)
    for j in () if safe.all() else np.flatnonzero(~safe):
        largest = float(abs(X[j]).max()) if X[j].size else 0.0
        if largest == 0.0 or not math.isfinite(largest):
            found[j] = largest
        else:
            power = to_one(largest)
            wide = X[j : j + 1].astype(np.result_type(X.dtype, np.float64)) * power
            found[j] = math.sqrt(inner_rows(wide, wide)[0]) / power
    return found


def normalise(X):
    """Divide each row by its norm, in place, where that is not zero; returns the norms."""
    sizes = norms(X)
    X *= columns(ratio(1.0, numbers(sizes, len(X) == 1)), X)
    return sizes


def taken_rows(X, rows):
    """Those rows of an array, which may be on the device, in new memory."""
    return X[_rows(X, rows)]


def _rows(X, rows):
    return module_of(X).asarray(rows)


def columns(scalars, X):
    """Numbers of the host, one a row, in the precision of a stack that they are to multiply."""
    real = np.dtype(X.dtype.char.lower())
    if isinstance(scalars, float):
        return real.type(scalars)
    real = np.asarray(scalars, real)
    if real.size == 1:
        return real.reshape(())[()]
    return module_of(X).asarray(real).reshape((-1,) + (1,) * (X.ndim - 1))


def numbers(values, alone):
    """The scalars of a stack; of one row alone as a number, with which Python reckons ten times as fast."""
    return float(values[0]) if alone else values


def unless(failed, values):
    """The values, and 0 for rows that have failed."""
    if isinstance(values, float):
        return 0.0 if failed[0] else values
    return np.where(failed, 0.0, values)


def ratio(a, b):
    """a / b, and 0 where b is 0; of arrays, or of numbers."""
    if isinstance(b, float):
        return a / b if b else 0.0
    return a / np.where(b == 0, np.inf, b)


def rotation(a, b):
    """c, s, r with c a + s b = r and c b - s a = 0."""
    r = np.hypot(a, b)
    return ratio(a, r), ratio(b, r), r
