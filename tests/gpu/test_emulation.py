"""The emulated device itself: right numbers from what CUDA offers, and an error for each thing a kernel must not do."""

import numpy as np
import pytest
from emulation import SCHEDULES, EmulationError, device, settings
from planted import BARRIER

TYPES = {"int": np.int32, "long long": np.int64, "float": np.float32, "double": np.float64}


@pytest.mark.parametrize("T, dtype", TYPES.items())
def test_shuffles_move_values_between_lanes(start, emulated, either, T, dtype):
    code = """__global__ void move(const T* a, T* b) {
        const int t = threadIdx.x;
        b[t] = __shfl_down_sync(0xffffffffu, a[t], 3, 16);
        b[t + 64] = __shfl_up_sync(0xffffffffu, a[t], 2);
        b[t + 128] = __shfl_xor_sync(0xffffffffu, a[t], 5);
        b[t + 192] = __shfl_sync(0xffffffffu, a[t], 7, 8);
    }"""
    a, b = np.arange(64, dtype=dtype) * 3, emulated.empty(256, dtype)
    start(code.replace("T*", f"{T}*"), 1, 64, emulated.asarray(a), b)
    lane = np.arange(64)
    down, up = np.where(lane % 16 < 13, lane + 3, lane), np.where(lane % 32 < 2, lane, lane - 2)
    np.testing.assert_array_equal(b.get().reshape(4, 64), a[np.array([down, up, lane ^ 5, lane // 8 * 8 + 7])])


def test_votes_and_partial_masks(start, emulated, either):
    code = """__global__ void vote(unsigned* b) {
        const unsigned t = threadIdx.x;
        b[t] = __ballot_sync(0xffffffffu, t % 3 == 0);
        b[t + 32] = __any_sync(0xffffffffu, t == 40) + 2 * __all_sync(0xffffffffu, t < 32);
        if (t < 4) b[t] += __shfl_sync(0xfu, t, 3) + __popc(b[t]) * 0 + __ffs(8) * 0;
    }"""
    b = emulated.empty(64, np.uint32)
    start(code, 1, 32, b)
    expected = sum(1 << t for t in range(0, 32, 3))
    np.testing.assert_array_equal(b.get(), [expected + 3] * 4 + [expected] * 28 + [2] * 32)


def test_atomics_lose_nothing(start, emulated, either, schedule):
    code = """__global__ void count(unsigned* n, double* sum, int* most, unsigned long long* bits, float* f) {
        const int i = blockIdx.x * blockDim.x + threadIdx.x;
        atomicAdd(n, 1u);
        atomicAdd(sum, double(i));
        atomicMax(most, i);
        atomicOr(bits, 1ull << (i % 64));
        atomicAdd(f, 1.0f);
        unsigned seen = atomicAdd(n + 1, 0u);
        while (true) {
            const unsigned before = atomicCAS(n + 1, seen, seen + 2);
            if (before == seen) break;
            seen = before;
        }
    }"""
    n, total, most, bits, f = (emulated.zeros(2, t) for t in (np.uint32, float, np.int32, np.uint64, np.float32))
    start(code, 3, 64, n, total, most, bits, f)
    assert n.get().tolist() == [192, 384]
    assert (total.get()[0], most.get()[0], bits.get()[0], f.get()[0]) == (191 * 96, 191, 2**64 - 1, 192)


def test_blocks_meet_at_a_barrier_of_the_grid(start, emulated, either, schedule):
    values, sums, arrived = (emulated.zeros(256, np.int32 if n else np.uint32) for n in (2, 1, 0))
    code = BARRIER.replace("__global__ void", "__global__ __launch_bounds__(64, 4) void")
    start(code, 4, 64, values, sums, arrived, together=True)
    i = np.arange(256)
    np.testing.assert_array_equal(sums.get(), (i + 65) % 256 + 255 - i)


def test_shared_memory_belongs_to_the_block_and_starts_as_nan(start, emulated, schedule):
    code = """__global__ void own(double* out, unsigned* arrived) {
        __shared__ double box[64];
        out[blockIdx.x * 64 + threadIdx.x] = box[threadIdx.x];
        box[threadIdx.x] = blockIdx.x;
        __syncthreads();
        if (threadIdx.x == 0) atomicAdd(arrived, 1u);
        if (threadIdx.x == 0) while (atomicAdd(arrived, 0u) < gridDim.x) __nanosleep(1);
        __syncthreads();
        out[128 + blockIdx.x * 64 + threadIdx.x] = box[63 - threadIdx.x];
    }"""
    out = emulated.zeros(256)
    start(code, 2, 64, out, emulated.zeros(1, np.uint32), together=True)
    assert np.isnan(out.get()[:128]).all()
    np.testing.assert_array_equal(out.get()[128:], np.repeat([0.0, 1.0], 64))


ERRORS = {
    "returned early": (
        "if (threadIdx.x == 5) return; __syncthreads(); a[threadIdx.x] = 1;",
        "which a thread that returned early|thread 5 has returned",
    ),
    "another barrier": (
        "if (threadIdx.x < 32) {\n __syncthreads();\n } else {\n __syncthreads(); }",
        "__syncthreads at .* while",
    ),
    "lane never comes": ("if (threadIdx.x != 3) a[0] = __shfl_sync(0xffffffffu, 1.0, 0);", "thread 3"),
    "lane waits elsewhere": (
        "if (threadIdx.x != 3) __syncwarp(); else __syncthreads();",
        "deadlock: .* (thread 3 waits at __syncthreads|waits at __syncwarp)",
    ),
    "other shuffle": (
        "if (threadIdx.x % 2)\n __syncwarp(); else\n a[0] = __shfl_sync(0xffffffffu, 1.0, 0);",
        "in another exchange",
    ),
    "not in the mask": ("__syncwarp(0xffu);", "is not in the mask"),
    "outside the mask": ("if (threadIdx.x < 4) a[0] = __shfl_sync(0xfu, 1.0, 9);", "reads a lane outside the mask"),
    "width": ("a[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.0, 1, 12);", "width"),
    "spins": ("while (atomicAdd((int*)a, 0) == 0) __nanosleep(9);", "deadlock: .* waits in a loop"),
    "atomic outside": ("atomicAdd(a + 64, 1.0);", "atomic out of bounds"),
    "atomic misaligned": ("atomicAdd((double*)((char*)a + 4), 1.0);", "atomic on a misaligned"),
    "writes behind": (
        "a[threadIdx.x + 1] = 0;",
        "wrote beside|out of bounds: writes 8 bytes, 0 bytes behind argument 0",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_end_the_launch_with_a_sentence(start, emulated, either, schedule, name):
    body, sentence = ERRORS[name]
    with pytest.raises(EmulationError, match=sentence):
        start(f"__global__ void wrong(double* a) {{ {body} }}", 1, 64, emulated.zeros(64))
    # The next launch is not disturbed by what the last one left.
    a = emulated.zeros(64)
    start("__global__ void right(double* a) { __syncthreads(); a[threadIdx.x] = 1; }", 1, 64, a)
    assert (a.get() == 1).all()


def test_a_thread_that_never_waits_is_stopped(start, emulated, either):
    settings.patience = 1
    # In the checked mode a volatile read lets other threads run, and that none changes anything is seen at once.
    how = "waits in a loop for what no other" if settings.mode == "checked" else "runs on and on"
    with pytest.raises(EmulationError, match=f"block 0, thread 0.*{how}"):
        start("__global__ void f(double* a) { while (*(volatile double*)a == 0) {} }", 1, 32, emulated.zeros(1))
    test_votes_and_partial_masks(start, emulated, either)


def test_blocks_that_wait_for_each_other_need_a_cooperative_launch(start, emulated, either):
    arguments = [emulated.zeros(128, np.int32), emulated.zeros(128, np.int32), emulated.zeros(1, np.uint32)]
    with pytest.raises(EmulationError, match="the launch is not cooperative"):
        start(BARRIER, 2, 64, *arguments)


ARGUMENTS = {
    "count": (lambda cupy: (cupy.zeros(64),), "takes 3 arguments, got 1"),
    "dtype": (
        lambda cupy: (cupy.zeros(64, np.float32), np.int32(1), np.float64(1)),
        r"argument 0 \(double\*\): got an array",
    ),
    "host": (lambda cupy: (np.zeros(64), np.int32(1), np.float64(1)), "a cupy.ndarray or a null pointer"),
    "strided": (lambda cupy: (cupy.zeros(128)[::2], np.int32(1), np.float64(1)), "not C-contiguous"),
    "misaligned": (
        lambda cupy: (cupy.zeros(65, np.float32)[1:].view(np.float64), np.int32(1), np.float64(1)),
        r"argument 0 \(double\*\): the array is misaligned for float64",
    ),
    "python int": (lambda cupy: (cupy.zeros(64), 1, np.float64(1)), r"argument 1 \(int\): got int"),
    "integer": (lambda cupy: (cupy.zeros(64), np.int64(1), np.float64(1)), r"argument 1 \(int\): got int64"),
    "float": (lambda cupy: (cupy.zeros(64), np.int32(1), np.float32(1)), r"argument 2 \(double\): got float32"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_do_not_fit_are_refused(start, emulated, name):
    make, sentence = ARGUMENTS[name]
    code = "__global__ void f(double* a, int n, double b) { if (a) a[threadIdx.x] = n + b; }"
    start(code, 1, 64, emulated.zeros(64), np.int32(1), np.float64(2))
    start(code, 1, 64, np.uint64(0), np.int32(1), np.float64(2))
    with pytest.raises(EmulationError, match=sentence):
        start(code, 1, 64, *make(emulated))


def test_launches_beyond_what_was_promised_are_refused(start, emulated):
    code = "__global__ __launch_bounds__(128, 3) void f(double* a) {}"
    start(code, 6, 128, emulated.zeros(1), together=True)
    with pytest.raises(EmulationError, match="__launch_bounds__ says 128"):
        start(code, 1, 160, emulated.zeros(1))
    with pytest.raises(EmulationError, match="cannot run at once, only 6"):
        start(code, 7, 128, emulated.zeros(1), together=True)


def test_order_shows_in_what_depends_on_it(start, emulated):
    code = "__global__ void last(int* a) { a[atomicAdd(a + 64, 1)] = threadIdx.x; }"
    seen = set()
    for settings.schedule in SCHEDULES:
        a = emulated.zeros(65, np.int32)
        start(code, 1, 64, a)
        seen.add(tuple(a.get()))
    assert len(seen) == 3


def test_memory_is_limited_counted_and_poisoned(emulated):
    live = device.live
    a = emulated.empty(1000)
    assert np.isnan(a.get()).all() and device.live == live + 8000
    b = a[10:20].reshape(5, 2)
    del a
    assert device.live == live + 8000  # the view holds it
    del b
    assert device.live == live
    device.total = live + 100
    with pytest.raises(emulated.cuda.memory.OutOfMemoryError):
        emulated.empty(13)


def test_arrays_keep_apart_from_numpy(emulated):
    a = emulated.asarray(np.arange(6.0).reshape(2, 3))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(a)
    with pytest.raises(TypeError):
        a + np.ones(3)
    with pytest.raises(TypeError):
        np.ones(3) + a
    with pytest.raises(TypeError):
        a[0] = np.ones(3)
    a[:, 1] = 7
    a[1] += a[0]
    np.testing.assert_array_equal((2 * a @ a.T).get(), [[106, 224], [224, 508]])
    before = device.host_reads
    assert float(a.sum()) == 33 and bool((a > -1).all()) and device.host_reads == before + 2
