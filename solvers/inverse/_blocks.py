"""Blocks of rows of a stack: in turn, side by side, or on an executor's workers.

A block has as many rows as the sizes of an image and of its data say, whoever works on it: a product of matrices or a
transform may round a row differently beside other rows, so that the bits would depend on the executor else. It also
bounds the memory that a method works in, however many rows there are.
"""

import math

from .._errors import UnsupportedType
from .._tasks import check_executor, run_tasks

__all__ = ["can_be_shared", "exhausted", "listed", "rows_of", "run_blocks", "side_by_side", "slices"]

# Numbers in the images, or in the data, of one block. Half or twice as many take about as long (measured), fewer
# longer, and many no longer fit the caches; a GPU is for large stacks.
_NUMBERS = {"cpu": 2**16, "gpu": 2**26}


def rows_of(A, backend):
    """How many rows of images and of data for this operator a block has."""
    return max(A._together, _NUMBERS[backend] // max(math.prod(A.image_shape), math.prod(A.data_shape)))


def slices(count, size):
    return [slice(first, min(first + size, count)) for first in range(0, max(1, count), size)]


def run_blocks(function, tasks, names, executor, shown):
    """The answers to tasks that are made as they are asked for, where no executor takes them all at once."""
    if executor is None:
        return [function(task) for task in tasks]
    return run_tasks(executor, function, list(tasks), names, shown)


def side_by_side(walkers, report, last):
    """What generators return, taken on step by step together so that a callback sees all rows.

    ``report(step, news)`` of what all of them yielded says whether to stop; ``last(found)`` stands for the news of one
    that returned without any.
    """
    found, news, step, stop = {}, [None] * len(walkers), 0, None
    while True:
        step += 1
        for k, walker in enumerate(walkers):
            if k not in found:
                try:
                    news[k] = walker.send(stop)
                except StopIteration as end:
                    found[k] = end.value
                    news[k] = last(end.value) if news[k] is None else news[k]
        if len(found) == len(walkers):
            return [found[k] for k in range(len(walkers))]
        stop = report(step, news)


def exhausted(walker):
    """What a generator returns."""
    while True:
        try:
            next(walker)
        except StopIteration as end:
            return end.value


def can_be_shared(executor, callback, backend):
    """Refuse an executor that cannot be used, before any work; returns it."""
    if check_executor(executor, callback) is None:
        return None
    if backend != "cpu":
        raise UnsupportedType(
            f"`executor` must be None on the GPU, which takes a whole stack at once, got a {type(executor).__name__}; "
            "leave it out, or bring the data to the CPU."
        )
    return executor


def listed(what, numbers):
    """"sample 3", or "samples 4 to 7 and 9"."""
    numbers = list(range(numbers.start, numbers.stop)) if isinstance(numbers, slice) else numbers
    runs = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [f"{first}" if first == last else f"{first} to {last}" for first, last in runs]
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(parts[:-1])}{' and ' if parts[1:] else ''}{parts[-1]}"
