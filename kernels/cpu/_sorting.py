"""Sorting of the float32 and float64 keys of one projection, with and without the order that sorts them.

Keys are scattered twice by two digits of (x - smallest) * scale, which leaves neighbours in disorder only where
several share a cell; insertion ends it. Where the first digit says that too many would share one (heavy tails, few
different values), the bits of the keys are sorted digit by digit instead. All of it is stable, so nothing but the keys
decides on the answer. The sizes at which NumPy's sort is as fast depend on the processor, and there it gains nothing.
"""

import numpy as np
from numba import uint64
from numba.extending import overload

from ._jit import strict

__all__ = ["COUNTERS", "order", "sort"]

_DIGIT = 11
# For both digits of the cells, or for all digits of the bits.
COUNTERS = 6 << _DIGIT
# Float64 keys that agree in all digits of the bits from this one on (21 bits of the fraction) are few, as a rule.
_FIRST_DIGIT = 3
# Shorter arrays are sorted by insertion.
_SHORT = 48
# Moves of the insertion for a key above which sorting by bits is faster.
_MOST_MOVES = 8


@strict
def sort(x, spare, counters):
    """Sort x; ``spare`` is as long and of its dtype, ``counters`` holds ``COUNTERS`` uint32."""
    if x.size <= _SHORT:
        _insert(x, x.size * x.size)
        return
    lowest, scale, digit = _cells(x)
    if scale > 0 and _count_cells(x, lowest, scale, digit, counters):
        mask = (uint64(1) << digit) - uint64(1)
        for i in range(uint64(x.size)):
            cell = uint64(np.int64((x[i] - lowest) * scale)) & mask
            spare[counters[cell]] = x[i]
            counters[cell] += 1
        high = counters[mask + uint64(1) :]
        for i in range(uint64(x.size)):
            cell = (uint64(np.int64((spare[i] - lowest) * scale)) >> digit) & mask
            x[high[cell]] = spare[i]
            high[cell] += 1
        if _insert(x, _MOST_MOVES * x.size):
            return
    _sort_bits(x, spare, counters, _FIRST_DIGIT if x.itemsize == 8 else 0)
    if not _insert(x, _MOST_MOVES * x.size):
        _sort_bits(x, spare, counters, 0)


@strict
def order(x, index, spare, spare_index, counters):
    """Sort x and write the places its entries came from to ``index``."""
    for i in range(x.size):
        index[i] = i
    if x.size <= _SHORT:
        _insert_pairs(x, index, x.size * x.size)
        return
    lowest, scale, digit = _cells(x)
    if scale > 0 and _count_cells(x, lowest, scale, digit, counters):
        mask = (uint64(1) << digit) - uint64(1)
        for i in range(uint64(x.size)):
            cell = uint64(np.int64((x[i] - lowest) * scale)) & mask
            to = counters[cell]
            spare[to], spare_index[to] = x[i], i
            counters[cell] += 1
        high = counters[mask + uint64(1) :]
        for i in range(uint64(x.size)):
            cell = (uint64(np.int64((spare[i] - lowest) * scale)) >> digit) & mask
            to = high[cell]
            x[to], index[to] = spare[i], spare_index[i]
            high[cell] += 1
        if _insert_pairs(x, index, _MOST_MOVES * x.size):
            return
    _order_bits(x, index, spare, spare_index, counters, _FIRST_DIGIT if x.itemsize == 8 else 0)
    if not _insert_pairs(x, index, _MOST_MOVES * x.size):
        _order_bits(x, index, spare, spare_index, counters, 0)


@strict
def _cells(x):
    """The smallest key, the cells in a unit (0: none that a number can say), and the bits of either digit."""
    # Some 32 cells a key.
    digit = uint64(3)
    while digit < _DIGIT and (np.int64(1) << np.int64(digit + digit)) < 32 * x.size:
        digit += uint64(1)
    lowest = highest = x[0]
    for i in range(x.size):
        lowest, highest = min(lowest, x[i]), max(highest, x[i])
    extent, cells = highest - lowest, x.dtype.type((np.int64(1) << np.int64(digit + digit)) - 1)
    # Less than one cell more than there are, by rounding, would be folded to the first.
    scale = x.dtype.type(0.999999) * cells / extent if extent > 0 else x.dtype.type(0)
    return lowest, scale if 0 < scale < np.inf else x.dtype.type(0), digit


@strict
def _count_cells(x, lowest, scale, digit, counters):
    """Where the entries of each digit begin; False if insertion would have too much to do."""
    base = uint64(1) << digit
    mask = base - uint64(1)
    low, high = counters[:base], counters[base : base + base]
    low[:] = 0
    high[:] = 0
    for i in range(uint64(x.size)):
        cell = uint64(np.int64((x[i] - lowest) * scale))
        low[cell & mask] += 1
        high[(cell >> digit) & mask] += 1
    pairs, before_low, before_high = 0.0, 0, 0
    for k in range(base):
        count = np.int64(high[k])
        pairs += np.float64(count) * np.float64(count)
        before_low, low[k] = before_low + np.int64(low[k]), before_low
        before_high, high[k] = before_high + count, before_high
    # Evenly spread, one in so many of the pairs that share the high digit shares the low one; half are in order.
    return pairs < 2.0 * _MOST_MOVES * x.size * base


@strict
def _insert(x, most):
    """Sort x by insertion; False if that takes more moves than ``most``."""
    for i in range(1, x.size):
        key = x[i]
        if x[i - 1] > key:
            j = i
            while j > 0 and x[j - 1] > key:
                x[j] = x[j - 1]
                j -= 1
            x[j] = key
            most -= i - j
            if most < 0:
                return False
    return True


@strict
def _insert_pairs(x, index, most):
    for i in range(1, x.size):
        key = x[i]
        if x[i - 1] > key:
            j, place = i, index[i]
            while j > 0 and x[j - 1] > key:
                x[j], index[j] = x[j - 1], index[j - 1]
                j -= 1
            x[j], index[j] = key, place
            most -= i - j
            if most < 0:
                return False
    return True


def _words(x):
    """The same memory as unsigned numbers; called from compiled code."""
    raise NotImplementedError("called from compiled code only")


@overload(_words)
def _words_of(x):
    if x.dtype.bitwidth == 64:
        return lambda x: x.view(np.uint64)
    return lambda x: x.view(np.uint32)


@strict
def _bits(word, sign):
    """An unsigned number in the order of the floating-point numbers; ``sign`` is the number of the sign's bit."""
    top = uint64(1) << sign
    # -0 is 0, as it is where keys are compared. No branch: every other one would be guessed wrong.
    word = word if word != top else uint64(0)
    negative = word >> sign
    return word ^ (top | (negative * (top - uint64(1))))


@strict
def _count_digits(words, sign, counters):
    """Where the entries of each digit of the bits begin."""
    size = uint64(1) << uint64(_DIGIT)
    digits = uint64(6) if words.itemsize == 8 else uint64(3)
    counters[: digits * size] = 0
    for i in range(uint64(words.size)):
        bits = _bits(uint64(words[i]), sign)
        for k in range(digits):
            counters[k * size + ((bits >> (k * uint64(_DIGIT))) & (size - uint64(1)))] += 1
    for k in range(digits):
        before = 0
        for i in range(k * size, (k + uint64(1)) * size):
            before, counters[i] = before + np.int64(counters[i]), before


@strict
def _says_nothing(places, first, n):
    """Whether all n entries have the digit of the first."""
    return places[first] == 0 and (first == places.size - 1 or places[first + 1] == n)


@strict
def _sort_bits(x, spare, counters, first):
    """Sort by the digits of the bits from number ``first`` on."""
    words, others = _words(x), _words(spare)
    sign, size = uint64(8 * x.itemsize - 1), uint64(1) << uint64(_DIGIT)
    _count_digits(words, sign, counters)
    moved = False
    for k in range(uint64(first), uint64(6) if x.itemsize == 8 else uint64(3)):
        shift, places = k * uint64(_DIGIT), counters[k * size : (k + uint64(1)) * size]
        if _says_nothing(places, (_bits(uint64(words[0]), sign) >> shift) & (size - uint64(1)), x.size):
            continue
        for i in range(uint64(x.size)):
            digit = (_bits(uint64(words[i]), sign) >> shift) & (size - uint64(1))
            others[places[digit]] = words[i]
            places[digit] += 1
        words, others, moved = others, words, not moved
    if moved:
        x[:] = spare


@strict
def _order_bits(x, index, spare, spare_index, counters, first):
    words, others = _words(x), _words(spare)
    here, there = index, spare_index
    sign, size = uint64(8 * x.itemsize - 1), uint64(1) << uint64(_DIGIT)
    _count_digits(words, sign, counters)
    moved = False
    for k in range(uint64(first), uint64(6) if x.itemsize == 8 else uint64(3)):
        shift, places = k * uint64(_DIGIT), counters[k * size : (k + uint64(1)) * size]
        if _says_nothing(places, (_bits(uint64(words[0]), sign) >> shift) & (size - uint64(1)), x.size):
            continue
        for i in range(uint64(x.size)):
            digit = (_bits(uint64(words[i]), sign) >> shift) & (size - uint64(1))
            to = places[digit]
            others[to], there[to] = words[i], here[i]
            places[digit] += 1
        words, others, here, there, moved = others, words, there, here, not moved
    if moved:
        x[:] = spare
        index[:] = spare_index
