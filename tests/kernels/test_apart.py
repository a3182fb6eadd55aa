"""No sum depends on where arrays lie in memory: its bits are those of arrays far from each other."""

import numpy as np
import pytest
from solvers.kernels.cpu._apart import GAP, apart
from solvers.kernels.cpu.sinkhorn import _columns, exponentials_ahead

SIZES = (7, 31, 40, 70)


def placed(memory, start, values):
    """The values at so many bytes within some memory."""
    here = memory[start : start + values.nbytes].view(values.dtype)
    here[:] = values
    return here


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_behind_the_gap_a_sum_has_one_order(rng, size, dtype):
    w, c = rng.random((2, size)).astype(dtype)
    memory, middle = np.zeros(16384, np.uint8), 8192
    behind = middle + max(GAP, w.nbytes)
    sums = set()
    for start in (0, *range(behind, behind + 1024, 8)):
        here, e = placed(memory, middle, w), placed(memory, start, np.zeros_like(w))
        sums.add(exponentials_ahead(c, dtype(3), dtype(0.5), here, e, size))
    assert len(sums) == 1


@pytest.mark.parametrize("size", SIZES)
def test_what_lies_behind_the_gap_is_that_far_from_what_was_there_before(size):
    rows = apart(3, size, np.ones(1, np.float32))
    assert rows.shape == (3, size) and rows.dtype == np.float32 and rows.flags.c_contiguous
    assert rows.ctypes.data - rows.base.ctypes.data >= GAP


@pytest.mark.parametrize("size", [10, 12, 15])
def test_the_error_of_columns_has_one_order_wherever_the_new_ones_lie(rng, size):
    memory, middle, sums = np.zeros(8192, np.uint8), 4096, np.empty(size)
    for v, b in rng.random((9, 2, size)) + 0.1:
        parts, seen = rng.random((2, size)) + 0.1, set()
        for start in (0, *range(middle + v.nbytes, middle + v.nbytes + 512, 8)):
            old, new = placed(memory, middle, v), placed(memory, start, np.zeros_like(v))
            seen.add((_columns(b, old, 1.0, 0.0, 1e30, 0, size, parts, sums, new), new.tobytes()))
        assert len(seen) == 1


@pytest.mark.parametrize("size", SIZES)
def test_the_residual_has_one_norm_wherever_it_is_written(rng, cpu, size):
    memory, middle = np.zeros(16384, np.uint8), 8192
    for values, x, b in zip(rng.random((9, size, size)), *rng.random((2, 9, size)), strict=True):
        A, norms = cpu.Dense(values), set()
        for start in (0, *range(middle + b.nbytes, middle + b.nbytes + 512, 8)):
            right, r = placed(memory, middle, b), placed(memory, start, np.zeros_like(b))
            norms.add(cpu.residual(A, x, right, r))
            assert np.allclose(r, b - values @ x, rtol=0, atol=1e-13 * size)
        assert len(norms) == 1
