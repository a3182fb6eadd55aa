"""The memory of the device that is not there: limited, counted, poisoned and guarded."""

import os
import weakref

import numpy as np

#: Bytes beside every allocation that no kernel may write; none under the address sanitizer, which has its own.
GUARD = 0 if os.environ.get("EMULATION_GUARD") == "0" else 256
_POISON = 0xFF  # NaN as a float, -1 as an integer
_ALIGNMENT = 256


class OutOfMemoryError(MemoryError):
    """As CuPy's."""

    __module__ = "cupy.cuda.memory"


class _Device:
    """What a test may set and count; `reset` puts the defaults back."""

    def __init__(self):
        self.live = 0
        self.reset()

    def reset(self):
        self.total = 2**30
        self.multiprocessors = 2
        self.devices = 1
        self.allocated = 0  # allocations ever
        self.peak = self.live
        self.host_reads = 0  # values that came back: get, float(), bool() ...
        self.uploads = 0


device = _Device()


class _Block:
    """An allocation; it leaves the count when the last view of it goes."""

    def __init__(self, size):
        if device.live + size > device.total:
            used = f"allocated so far: {device.live:,} bytes"
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes ({used}).")
        if GUARD:
            whole = np.full(size + 2 * GUARD + _ALIGNMENT, _POISON, np.uint8)
            start = GUARD + -(whole.ctypes.data + GUARD) % _ALIGNMENT
        else:
            whole, start = np.full(size, _POISON, np.uint8), 0
        self.size, self.whole, self.start = size, whole, start
        device.live += size
        device.allocated += 1
        device.peak = max(device.peak, device.live)


_blocks = {}


def allocate(shape, dtype):
    """A NumPy array in the memory of the device, full of NaN."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    block = _Block(size)
    memory = block.whole[block.start : block.start + size]
    # The base of every view of it is `whole`: NumPy collapses chains of views.
    _blocks[id(block.whole)] = block
    weakref.finalize(block.whole, _free, id(block.whole), size)
    del block.whole
    block.whole_reference = weakref.ref(memory.base)
    return memory.view(dtype).reshape(shape)


def _free(key, size):
    del _blocks[key]
    device.live -= size


def check_guards(array, kernel):
    """Raise where a kernel wrote beside the allocation that this is a view of."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    block = _blocks.get(id(base))
    if block is None or not GUARD:
        return
    before, after = base[: block.start], base[block.start + block.size :]
    if (before != _POISON).any() or (after != _POISON).any():
        before[:] = after[:] = _POISON
        from .launch import EmulationError

        raise EmulationError(f"{kernel}: wrote beside an array of {block.size} bytes")
