"""What a kernel package itself can fail with."""

__all__ = ["DeviceMemoryError"]


class DeviceMemoryError(MemoryError):
    """The memory of the device is full.

    Attributes
    ----------
    requested, free, total : int
        Bytes: of the allocation that failed, free at that moment, and of the device.
    """

    def __init__(self, requested: int, free: int, total: int) -> None:
        self.requested, self.free, self.total = requested, free, total
        super().__init__(
            f"The device has no room for another {_size(requested)}: {_size(free)} of {_size(total)} are free; "
            "release arrays, solve fewer right-hand sides at once, or use float32."
        )

    def __reduce__(self):
        return type(self), (self.requested, self.free, self.total)


def _size(number):
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number} bytes" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
