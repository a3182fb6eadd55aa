"""The detector of races and of accesses out of bounds: what it finds, and what it lets pass, under every schedule."""

import numpy as np
import pytest
from emulation import EmulationError, settings
from planted import BARRIER


@pytest.fixture(autouse=True)
def _checked(emulated):
    settings.mode = "checked"


UNORDERED = {
    "neighbour": "a[t] = t; out[t] = a[(t + 1) % 64];",
    "shared neighbour": "__shared__ double s[64]; s[t] = t; out[t] = s[t ^ 1];",
    "shared read before": "__shared__ double s[64]; s[t] = t; __syncthreads(); out[t] = s[63 - t]; s[t] = 0;",
    "same word": "a[0] = t;",
    "lost atomic": "a[0] = a[0] + 1;",
    "atomic and plain": "atomicAdd(a, 1.0); out[t] = a[0];",
    "warps are not blocks": "a[t] = t; __syncwarp(); out[t] = a[t ^ 32];",
    "shuffles order nothing": "a[t] = t; out[t] = __shfl_sync(0xffffffffu, 1.0, 0) + a[t ^ 1];",
    "volatile": "*(volatile double*)a = t;",
    "volatile read of a plain write": "if (t == 0) a[0] = 1; out[t] = *(volatile double*)a;",
    "plain write of a volatile read": "out[t] = *(volatile double*)a; if (t == 63) a[0] = 1;",
    "beside a volatile read": "atomicAdd(a, 1.0); if (t) out[t] = *(volatile double*)a; else out[0] = 1 + a[0];",
}
ORDERED = {
    "barrier": "a[t] = t; __syncthreads(); out[t] = a[63 - t];",
    "shared": "__shared__ double s[64]; s[t] = t; __syncthreads(); out[t] = s[63 - t]; __syncthreads(); s[t] = 0;",
    "warp": "a[t] = t; __syncwarp(); out[t] = a[t ^ 31];",
    "one writer": "if (t == 0) a[0] = 1; __syncthreads(); out[t] = a[0]; __syncthreads(); if (t == 1) a[0] = 2;",
    "atomics": "atomicAdd(a, 1.0); __syncthreads(); out[t] = a[0];",
    "volatile reads and atomics": "atomicAdd(a, 1.0); out[t] = *(volatile double*)a; atomicAdd(a, 1.0);",
    "volatile and plain reads": "out[t] = a[0] + *(volatile double*)a;",
    "own": "for (int k = 0; k < 3; ++k) { a[t] += k; } double local[4]; local[t % 4] = a[t]; out[t] = local[t % 4];",
}


def _body(text):
    return f"__global__ void body(double* a, double* out) {{ const int t = threadIdx.x; {text} }}"


@pytest.mark.parametrize("name", UNORDERED)
def test_races_are_errors_whatever_the_schedule(start, emulated, schedule, name):
    with pytest.raises(EmulationError, match="race: .* nothing orders the two|before anything was written"):
        start(_body(UNORDERED[name]), 1, 64, emulated.zeros(64), emulated.zeros(64))


@pytest.mark.parametrize("name", ORDERED)
def test_what_barriers_order_is_no_race(start, emulated, schedule, name):
    start(_body(ORDERED[name]), 1, 64, emulated.zeros(64), emulated.zeros(64))


ATOMICALLY = "atomicAdd(arrived, 0u) <"
WAITS = {"by atomics": ATOMICALLY, "by volatile reads": "*(volatile unsigned*)arrived <"}
every_wait = pytest.mark.parametrize("wait", WAITS)


@every_wait
def test_a_grid_barrier_orders_what_blocks_write_and_read(start, emulated, schedule, wait):
    code = BARRIER.replace(ATOMICALLY, WAITS[wait]).replace("__global__", "__global__ __launch_bounds__(64, 4)")
    values, sums, arrived = (emulated.zeros(n, kind) for n, kind in ((128, "i"), (128, "i"), (1, np.uint32)))
    start(code, 2, 64, values, sums, arrived, together=True)
    i = np.arange(128)
    assert np.array_equal(sums.get(), (i + 65) % 128 + 127 - i)


def test_a_grid_barrier_that_waits_by_plain_reads_is_a_race(start, emulated, schedule):
    code = BARRIER.replace(ATOMICALLY, "*arrived <").replace("__global__", "__global__ __launch_bounds__(64, 4)")
    arguments = [emulated.zeros(n, kind) for n, kind in ((128, "i"), (128, "i"), (1, np.uint32))]
    with pytest.raises(EmulationError, match="race: "):
        start(code, 2, 64, *arguments, together=True)


@every_wait
@pytest.mark.parametrize("dropped", ["__syncthreads();", "__threadfence();", "meet(arrived);"])
@pytest.mark.parametrize("last", [False, True])
def test_a_grid_barrier_without_one_of_its_parts_is_a_race(start, emulated, schedule, dropped, last, wait):
    parts = BARRIER.rpartition(dropped) if last else BARRIER.partition(dropped)
    code = (parts[0] + parts[2]).replace(ATOMICALLY, WAITS[wait])
    assert len(parts[0] + parts[2]) < len(BARRIER)
    arguments = [emulated.zeros(128, np.int32), emulated.zeros(128, np.int32), emulated.zeros(1, np.uint32)]
    code = code.replace("__global__ void", "__global__ __launch_bounds__(64, 4) void")
    with pytest.raises(EmulationError, match="race: "):
        start(code, 2, 64, *arguments, together=True)


def test_blocks_of_a_launch_without_barrier_are_not_ordered(start, emulated, schedule):
    with pytest.raises(EmulationError, match=r"race: .*block 0, thread 0.*|race: .*block 1, thread 0"):
        start(
            "__global__ void last(int* a) { if (threadIdx.x == 0) a[0] = blockIdx.x; }",
            2,
            32,
            emulated.zeros(1, np.int32),
        )


OUTSIDE = {
    "read behind": ("out[t] = a[t + 1];", "reads 8 bytes, 0 bytes behind argument 0 of 512 bytes"),
    "read before": ("out[t] = a[t - 1];", "8 bytes before argument 0"),
    "far": ("out[t] = a[t + 100000];", "belongs to no argument"),
    "shared row": ("__shared__ double s[2][32]; s[t % 2][t / 2 + (t == 63)] = 1;", "bounds of its array"),
    "local": ("double s[4]; for (int k = 0; k < 5; ++k) s[(k + t) % 8] = k; out[t] = s[t % 4];", "bounds of its array"),
    "unwritten shared": ("__shared__ double s[64]; out[t] = s[t];", "before anything was written there"),
    "overflow": ("int k = 2147483647 - 5; out[t] = k + t;", "signed sum overflows"),
    "misaligned": ("out[t] = *(double*)((char*)a + 4);", "misaligned"),
    "null": ("double* p = t < 70 ? nullptr : a; out[t] = p[t];", "null|belongs to no argument"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_reads_and_writes_outside_are_errors_with_their_line(start, emulated, name):
    body, sentence = OUTSIDE[name]
    with pytest.raises(EmulationError, match=sentence) as error:
        start('#line 1 "own.cu"\n' + _body(body), 1, 64, emulated.zeros(64), emulated.zeros(64))
    assert "own.cu:1" in str(error.value)


def test_arrays_that_overlap_are_one_memory(start, emulated, schedule):
    a = emulated.zeros(65)
    with pytest.raises(EmulationError, match="race: "):
        start(_body("a[t] = t; out[t] = 1;"), 1, 64, a[:64], a[1:])


def test_what_the_read_only_cache_serves_must_not_be_written(start, emulated):
    code = "__global__ void f(const double* __restrict__ a, double* out) { out[threadIdx.x] = a[threadIdx.x]; }"
    a = emulated.zeros(64)
    start(code, 1, 64, a, emulated.zeros(64))
    with pytest.raises(EmulationError, match="non-coherent"):
        start(code, 1, 64, a, a)
