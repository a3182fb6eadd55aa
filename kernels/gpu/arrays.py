"""Memory of this backend: the device's, through CuPy."""

from ._device import copy_to_device, device_id, device_of, empty, is_ready, to_device, to_host, zeros

__all__ = ["copy_to_device", "device_id", "device_of", "empty", "is_ready", "to_device", "to_host", "zeros"]
