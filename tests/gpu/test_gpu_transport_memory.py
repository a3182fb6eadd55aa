"""What transport leaves in the memory of the (emulated) device, and how often the host waits for it."""

import gc

import numpy as np
import pytest
from emulation import device

import solvers
from solvers import transport

METHODS = ("auto", "log", "newton", "scaling", "sor")


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_two_hundred_solves_leave_nothing_behind(emulated, rng):
    given = [emulated.asarray(array) for array in (rng.random((3, 4)),)]
    transport.sinkhorn(*given, eps=0.5)
    gc.collect()
    before = device.live
    gc.disable()  # what only the collector of cycles would free is kept too long on a device
    try:
        for i in range(200):
            transport.sinkhorn(*given, eps=0.5, method=METHODS[i % 5])
        assert device.live == before
    finally:
        gc.enable()


@pytest.mark.parametrize("method", ["log", "sor"])
def test_the_host_reads_once_a_chunk_of_sweeps(emulated, monkeypatch, rng, method):
    monkeypatch.setitem(transport._sinkhorn._CHUNK_ENTRIES, "gpu", 20 * 6 * 6)
    given, reads = [emulated.asarray(array) for array in (rng.random((6, 6)),)], []
    for maxiter in (100, 300):
        before = device.host_reads
        assert transport.sinkhorn(*given, eps=1e-3, method=method, tol=0.0, maxiter=maxiter).iterations == maxiter
        reads.append(device.host_reads - before)
    # "sor" asks whether its potentials are worth going back to.
    assert reads[1] - reads[0] <= (10 if method == "log" else 20)


def test_full_memory_has_its_name(emulated, rng):
    C = emulated.asarray(rng.random((40, 40)))
    device.total = device.live + 6_000
    with pytest.raises(solvers.DeviceMemoryError, match="free"):
        transport.sinkhorn(C, eps=0.1, method="scaling")
