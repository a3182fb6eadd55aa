"""Means over sets of unknowns, taken from vectors where these live."""

import numpy as np

__all__ = ["Means"]

# Unknowns of one chunk: thousands of chunks keep a device busy, and each reads the sums of all those of its set.
_CHUNK = 8192


class Means:
    """Takes from a vector its mean on each of several sets.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        For each unknown the number of its set, 1, 2, ...; 0 for those that stay as they are.
    """

    def __init__(self, labels):
        cells = np.flatnonzero(labels)
        number = labels[cells]
        if number.size and number.min() != number.max():
            # Few numbers need few bits, which a stable sort takes one by one.
            order = np.argsort(number.astype(np.min_scalar_type(number.max())), kind="stable")
            cells, number = cells[order], number[order]
        index = np.int32 if labels.size <= np.iinfo(np.int32).max else np.int64
        begins = np.flatnonzero(np.diff(number, prepend=0))
        sizes = np.diff(begins, append=cells.size)
        chunks = -(-sizes // _CHUNK)
        first = np.cumsum(chunks) - chunks
        within = np.arange(chunks.sum()) - np.repeat(first, chunks)
        edges = np.append(np.repeat(begins, chunks) + within * _CHUNK, cells.size)
        last = first + chunks
        parts = cells, edges, np.repeat(first, chunks), np.repeat(last, chunks)
        self._parts, self._elsewhere = [part.astype(index) for part in parts], {}

    def subtract(self, v, kernels):
        """Take them from v, of shape (n,) and in the memory of these kernels."""
        parts = self._on(v, kernels)
        if v.dtype.kind != "c":
            kernels.subtract_means(*parts, v)
            return
        for half in (v.real, v.imag):
            copy = kernels.copy_to_device(half, half.dtype)
            kernels.subtract_means(*parts, copy)
            half[:] = copy

    def _on(self, v, kernels):
        if isinstance(v, np.ndarray):
            return self._parts
        key = kernels.device_id()
        if key not in self._elsewhere:
            self._elsewhere[key] = [kernels.copy_to_device(part, np.int32) for part in self._parts]
        return self._elsewhere[key]

    def __getstate__(self):
        return {**self.__dict__, "_elsewhere": {}}
