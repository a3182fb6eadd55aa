"""Memory of the CPU backend: what is copied and what is not."""

import numpy as np


def test_to_device_copies_only_where_it_must(cpu):
    x = np.arange(6.0)
    assert cpu.to_device(x, np.float64) is x
    assert cpu.to_device(x[::2], np.float64).flags.c_contiguous
    assert cpu.to_device(x, np.float32).dtype == np.float32


def test_to_device_gives_writeable_memory(cpu):
    x = np.arange(6.0)
    x.flags.writeable = False
    ours = cpu.to_device(x, np.float64)
    assert ours.flags.writeable and np.array_equal(ours, x) and not np.shares_memory(ours, x)


def test_copy_to_device_always_copies(cpu):
    x = np.arange(6.0)
    ours = cpu.copy_to_device(x, np.float64)
    assert np.array_equal(ours, x) and not np.shares_memory(ours, x)


def test_shapes_and_dtypes_of_new_arrays(cpu):
    assert cpu.empty((2, 3), np.float32).shape == (2, 3) and not cpu.zeros(4, np.complex64).any()
    assert cpu.to_host(cpu.zeros(4, np.complex64)).dtype == np.complex64


def test_is_ready_wants_contiguous_memory(cpu):
    x = np.arange(6.0)
    assert cpu.is_ready(x) and not cpu.is_ready(x[::2])
