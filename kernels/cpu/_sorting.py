"""Sorting of the float32 and float64 keys of projections, a row each, with or without the order that sorts them.

Keys are scattered twice by two digits of (x - smallest) * scale, which leaves neighbours in disorder only where
several share a cell; insertion ends it. Where the first digit says that too many would share one (heavy tails, few
different values), the bits of the keys are sorted digit by digit instead. All of it is stable, so nothing but the keys
decides on the answer.

Nanoseconds a key on one thread of a busy Zen 5 (NumPy 2.4, normal keys): this sort without and with the order; NumPy's
sort with AVX-512, without it, and its stable order:

    float64  500 keys  3.7  4.0    2.0  4.1   34      float32  500 keys  3.3  3.9    0.6  2.6   36
             1e5       4.0  5.4    4.6  8.1   83               1e5       3.0  4.2    2.3  3.6   78
             1e6        12   22    7.5  7.2  130               1e6        11   12    2.7  4.1  105

On a Zen 4, where one of its AVX-512 instructions is microcode, NumPy's sort of 1e5 float64 took 41 to 54.
"""

from functools import partial

import numpy as np
from llvmlite import ir
from numba import types, uint64
from numba.extending import intrinsic

from ._jit import strict
from ._team import even_shares, launch

__all__ = ["sort_rows"]

_DIGIT = 11
_SIZE = 1 << _DIGIT
# Digits of the bits; those of a float64 from _FIRST on (21 bits of the fraction) tell nearly all keys apart.
_FIRST, _DIGITS, _DIGITS_SINGLE = 3, 6, 3
# Cells for each key, roughly.
_CELLS = 32
# Shorter rows are sorted by insertion.
_SHORT = 48
# Moves of the insertion for each key above which the next way is faster.
_MOST_MOVES = 8
# A key is worth so many multiply-adds.
_WORK = 16


def sort_rows(x, index):
    """Sort each row of x in place, and write to ``index`` which of the row's entries comes where.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (L, n)
    index : ndarray of int32, shape (L, n), or None
    """
    L, n = x.shape
    launch(_sort_rows, _WORK * L * n, L, partial(even_shares, L), x, index)


@strict
def _sort_rows(x, index, flags, share, member, team):
    n = x.shape[1]
    spare, counters = np.empty(n, x.dtype), np.empty(_DIGITS * _SIZE, np.uint32)
    if index is None:
        for row in range(share[member], share[member + 1]):
            _sort(x[row], None, spare, None, counters)
    else:
        spare_index = np.empty(n, np.int32)
        for row in range(share[member], share[member + 1]):
            for i in range(n):
                index[row, i] = i
            _sort(x[row], index[row], spare, spare_index, counters)


@strict
def _sort(x, index, spare, spare_index, counters):
    first, most = np.int64(-1), _MOST_MOVES * x.size
    if x.size <= _SHORT:
        most = x.size * x.size
    else:
        lowest, scale, digit = _cells(x)
        if scale > 0 and _count_cells(x, lowest, scale, digit, counters):
            _scatter(x, index, spare, spare_index, counters, lowest, scale, digit)
        else:
            first = np.int64(_FIRST if x.itemsize == 8 else 0)
    while True:
        if first >= 0:
            _sort_bits(x, index, spare, spare_index, counters, first)
        if first == 0 or _insert(x, index, most):
            return
        first = np.int64(_FIRST if first < 0 and x.itemsize == 8 else 0)


@strict
def _cells(x):
    """The smallest key, the cells in a unit (0: none that a number can say), and the bits of either digit."""
    digit = uint64(3)
    while digit < _DIGIT and (1 << (2 * np.int64(digit))) < _CELLS * x.size:
        digit += uint64(1)
    lowest = highest = x[0]
    for i in range(x.size):
        lowest, highest = min(lowest, x[i]), max(highest, x[i])
    extent = highest - lowest
    # Rounding must not lead beyond the last cell.
    cells = x.dtype.type(0.999999) * x.dtype.type((1 << (2 * np.int64(digit))) - 1)
    scale = cells / extent if extent > 0 else x.dtype.type(0)
    return lowest, scale if 0 < scale < np.inf else x.dtype.type(0), digit


@strict
def _count_cells(x, lowest, scale, digit, counters):
    """Where the entries of either digit begin; False if insertion would have too much to do."""
    base = uint64(1) << digit
    mask = base - uint64(1)
    for k in range(uint64(2) * base):
        counters[k] = 0
    for i in range(uint64(x.size)):
        cell = uint64(np.int64((x[i] - lowest) * scale))
        counters[cell & mask] += 1
        counters[base + ((cell >> digit) & mask)] += 1
    pairs, low, high = 0.0, 0, 0
    for k in range(base):
        count = np.int64(counters[base + k])
        pairs += np.float64(count) * np.float64(count)
        low, counters[k] = low + np.int64(counters[k]), low
        high, counters[base + k] = high + count, high
    # Evenly spread, one in so many of the pairs that share the high digit shares the low one; half are in order.
    return pairs < 2.0 * _MOST_MOVES * x.size * base


@strict
def _scatter(x, index, spare, spare_index, counters, lowest, scale, digit):
    """By the low digit to the spare rows, and by the high digit back."""
    base = uint64(1) << digit
    mask = base - uint64(1)
    for i in range(uint64(x.size)):
        cell = uint64(np.int64((x[i] - lowest) * scale)) & mask
        to = counters[cell]
        counters[cell] = to + 1
        spare[to] = x[i]
        if index is not None:
            spare_index[to] = i
    for i in range(uint64(x.size)):
        cell = base + ((uint64(np.int64((spare[i] - lowest) * scale)) >> digit) & mask)
        to = counters[cell]
        counters[cell] = to + 1
        x[to] = spare[i]
        if index is not None:
            index[to] = spare_index[i]


@strict
def _insert(x, index, most):
    """Sort by insertion; False if that takes more moves than ``most``."""
    for i in range(1, x.size):
        key = x[i]
        if x[i - 1] > key:
            j = i
            if index is not None:
                place = index[i]
            while j > 0 and x[j - 1] > key:
                x[j] = x[j - 1]
                if index is not None:
                    index[j] = index[j - 1]
                j -= 1
            x[j] = key
            if index is not None:
                index[j] = place
            most -= i - j
            if most < 0:
                return False
    return True


@intrinsic
def _word(typing_context, x):
    """The bits of x."""
    word = types.uint64 if x.bitwidth == 64 else types.uint32

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(signature.args[0].bitwidth))

    return word(x), generate


@strict
def _bits(x, sign):
    """A whole number in the order of the floating-point numbers; ``sign`` is the number of the sign's bit."""
    top, word = uint64(1) << sign, uint64(_word(x))
    # -0 is 0, as it is where keys are compared. No branch: every other one would be guessed wrong.
    word = word if word != top else uint64(0)
    return word ^ (top | ((word >> sign) * (top - uint64(1))))


@strict
def _count_digits(x, sign, counters):
    """Where the entries of each digit of the bits begin; returns the number of digits."""
    size, mask = uint64(_SIZE), uint64(_SIZE - 1)
    digits = uint64(_DIGITS) if x.itemsize == 8 else uint64(_DIGITS_SINGLE)
    for k in range(digits * size):
        counters[k] = 0
    for i in range(uint64(x.size)):
        bits = _bits(x[i], sign)
        for k in range(digits):
            counters[k * size + ((bits >> (k * uint64(_DIGIT))) & mask)] += 1
    for k in range(digits):
        before = 0
        for place in range(k * size, (k + uint64(1)) * size):
            before, counters[place] = before + np.int64(counters[place]), before
    return digits


@strict
def _sort_bits(x, index, spare, spare_index, counters, first):
    """Sort by the digits of the bits from number ``first`` on."""
    sign, size, mask = uint64(8 * x.itemsize - 1), uint64(_SIZE), uint64(_SIZE - 1)
    here, there, here_index, there_index = x, spare, index, spare_index
    moved = False
    for k in range(uint64(first), _count_digits(x, sign, counters)):
        base, shift = k * size, k * uint64(_DIGIT)
        alike = (_bits(here[0], sign) >> shift) & mask
        if counters[base + alike] == 0 and (alike == mask or counters[base + alike + uint64(1)] == x.size):
            continue  # all have the digit of the first
        for i in range(uint64(x.size)):
            digit = base + ((_bits(here[i], sign) >> shift) & mask)
            to = counters[digit]
            counters[digit] = to + 1
            there[to] = here[i]
            if index is not None:
                there_index[to] = here_index[i]
        here, there, here_index, there_index = there, here, there_index, here_index
        moved = not moved
    if moved:
        for i in range(x.size):
            x[i] = spare[i]
            if index is not None:
                index[i] = spare_index[i]
