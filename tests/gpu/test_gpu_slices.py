"""Sorted projections and sliced distances on the emulated device, against NumPy and the kernels of the CPU."""

import importlib

import numpy as np
import pytest
from emulation import device, settings
from solvers.kernels import cpu


@pytest.fixture(params=["64 threads", "256 threads, checked"])
def both_gpus(request, gpu, monkeypatch):
    """Chunks, slabs and blocks of directions are small, so that there are several of each."""
    for name, value in (("_CHUNK", 100), ("_SLAB", 70), ("_NUMBERS", 1500)):
        monkeypatch.setattr(importlib.import_module("solvers.kernels.gpu.slices"), name, value)
    if request.param != "64 threads":
        monkeypatch.setattr(gpu._device, "THREADS", 256)
        settings.mode, settings.schedule = "checked", "random"
        device.multiprocessors = 1
    return gpu


class Case:
    """Two clouds, and their distances on some directions by the kernels of either backend."""

    def __init__(self, n, m, d=3, L=5, weighted=False, real="float64", seed=5):
        rng = np.random.default_rng(seed)
        self.X, self.Y = rng.standard_normal((n, d)).astype(real), (rng.standard_normal((m, d)) + 0.3).astype(real)
        directions = rng.standard_normal((L, d))
        self.directions = directions / np.linalg.norm(directions, axis=1)[:, None]
        self.a, self.b = (rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))) if weighted else (None, None)
        self.weights = rng.standard_normal(L)

    def sent(self, kernels, *arrays):
        return [None if each is None else kernels.copy_to_device(each, each.dtype) for each in arrays]

    def powers(self, kernels, p=2.0):
        out = np.full(len(self.directions), np.nan)
        kernels.sliced_powers(*self.sent(kernels, self.X, self.Y, self.a, self.b), self.directions, p, out)
        return out

    def gradients(self, kernels, p=2.0):
        out = np.full(len(self.directions), np.nan)
        operands = self.sent(kernels, self.X, self.Y, self.a, self.b)
        dX, dY = self.sent(kernels, np.ones(self.X.shape), np.full(self.Y.shape, -2.0))
        kernels.sliced_gradients(*operands, self.directions, self.weights, p, out, dX, dY)
        return out, kernels.to_host(dX), kernels.to_host(dY)

    def sorted(self, kernels, with_index=True):
        (X,), shape = self.sent(kernels, self.X), (len(self.directions), len(self.X))
        out, index = kernels.empty(shape, self.X.dtype), kernels.empty(shape, np.int32) if with_index else None
        kernels.sorted_projections(X, self.directions, out, index)
        return kernels.to_host(out), kernels.to_host(index) if with_index else None


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("n, d, L", [(1, 1, 1), (5, 2, 7), (63, 9, 66), (145, 50, 17), (1000, 4, 3), (301, 17, 3)])
def test_projections_are_inner_products_in_order(both_gpus, real, n, d, L):
    rng = np.random.default_rng(1)
    c = Case(n, 1, d, L, real=real)
    c.X, c.directions = rng.integers(-9, 10, (n, d)).astype(real), rng.integers(-9, 10, (L, d)).astype(float)
    products = c.directions @ c.X.T
    out, index = c.sorted(both_gpus)
    assert np.array_equal(out, np.sort(products, axis=1)) and out.dtype == real
    assert np.array_equal(index, np.argsort(products, axis=1, kind="stable"))
    assert np.array_equal(c.sorted(both_gpus, with_index=False)[0], out)


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_keys_of_all_sizes_and_signs_are_sorted_and_minus_zero_is_zero(both_gpus, real):
    rng, kind = np.random.default_rng(2), np.finfo(real)
    keys = rng.standard_normal(700) * 10.0 ** rng.uniform(-30, 30, 700)
    keys[:6] = kind.max, -kind.max, kind.tiny, -kind.smallest_subnormal, kind.smallest_subnormal, 1.0
    keys[6::3] = rng.choice([0.0, -0.0, 1.0, -1.0], keys[6::3].size)
    c = Case(700, 1, 1, 1, real=real)
    c.X, c.directions = keys.astype(real)[:, None], np.ones((1, 1))
    out, index = c.sorted(both_gpus)
    assert np.array_equal(index[0], np.argsort(c.X[:, 0], kind="stable"))
    assert np.array_equal(out[0], np.sort(c.X[:, 0]))


@pytest.mark.parametrize("p", [1.0, 1.7, 2.0, 3.0, 9.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, m", [(1, 1), (1, 7), (7, 1), (50, 50), (60, 45), (201, 603)])
def test_powers_and_derivatives_are_those_of_the_cpu(both_gpus, n, m, weighted, p):
    c = Case(n, m, weighted=weighted)
    want = c.gradients(cpu, p)
    for ours, theirs in zip((c.powers(both_gpus, p), *c.gradients(both_gpus, p)), (want[0], *want), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("weighted", [False, True])
def test_points_of_single_precision_are_summed_in_double(both_gpus, weighted):
    c = Case(900, 700, weighted=weighted, real="float32")
    np.testing.assert_allclose(c.powers(both_gpus), c.powers(cpu), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, m", [(60, 60), (60, 45)])
def test_powers_of_sorted_projections_are_those_of_the_points(both_gpus, n, m, weighted):
    c, sides = Case(n, m, L=40, weighted=weighted), []
    for Z in (c.X, c.Y):
        (Z,), shape = c.sent(both_gpus, Z), (40, len(Z))
        sides.append((both_gpus.empty(shape, np.float64), both_gpus.empty(shape, np.int32) if weighted else None))
        both_gpus.sorted_projections(Z, c.directions, *sides[-1])
    (x, i), (y, j) = sides
    out = np.full(40, np.nan)
    both_gpus.sorted_powers(x, y, i, j, *c.sent(both_gpus, c.a, c.b), 2.0, out)
    assert np.array_equal(out, c.powers(both_gpus))


def test_one_cloud_may_have_weights_and_the_other_none(both_gpus):
    c = Case(40, 30, weighted=True)
    c.b = None
    np.testing.assert_allclose(c.powers(both_gpus), c.powers(cpu), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_equal_clouds_have_no_distance_and_no_gradient(both_gpus, weighted):
    c = Case(200, 200, weighted=weighted)
    c.Y = c.X[::-1].copy()
    c.b = c.a[::-1].copy() if weighted else None
    for p in (1.0, 2.0):
        out, dX, dY = c.gradients(both_gpus, p)
        np.testing.assert_allclose(out, 0.0, atol=1e-13)
        np.testing.assert_allclose([dX - 1.0, dY + 2.0], 0.0, atol=1e-12)


def test_points_without_weight_have_no_part(both_gpus):
    c = Case(40, 30, weighted=True)
    want = c.gradients(both_gpus, 3.0)
    far = np.full((2, 3), 1e300)  # its square overflows
    c.X, c.a = np.concatenate([far, c.X]), np.concatenate([[0, 0], c.a])
    c.Y, c.b = np.concatenate([c.Y, -far]), np.concatenate([c.b, [0, 0]])
    out, dX, dY = c.gradients(both_gpus, 3.0)
    assert (dX[:2] == 1.0).all() and (dY[-2:] == -2.0).all()
    for ours, theirs in zip((out, dX[2:], dY[:-2]), want, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_ties_are_harmless(both_gpus):
    rng = np.random.default_rng(3)
    c = Case(90, 70, 2, 4, weighted=True)
    c.X, c.Y = rng.integers(-2, 3, (90, 2)).astype(float), rng.integers(-2, 3, (70, 2)).astype(float)
    c.a, c.b = (np.round(w * 400) / np.round(w * 400).sum() for w in (c.a, c.b))
    np.testing.assert_allclose(c.powers(both_gpus), c.powers(cpu), rtol=1e-12)


@pytest.mark.parametrize("schedule", ["reverse", "random"])
@pytest.mark.parametrize("weighted", [False, True])
def test_neither_the_order_of_threads_nor_other_directions_change_a_bit(gpu, weighted, schedule):
    c = Case(500, 300, L=9, weighted=weighted)
    want = c.powers(gpu), *c.gradients(gpu), *c.sorted(gpu)
    settings.schedule = schedule
    again = c.powers(gpu), *c.gradients(gpu), *c.sorted(gpu)
    assert [each.tobytes() for each in again] == [each.tobytes() for each in want]
    c.directions, c.weights = c.directions[4:6], c.weights[4:6]
    assert np.array_equal(c.powers(gpu), want[0][4:6])
    assert np.array_equal(c.sorted(gpu)[0], want[4][4:6])


def test_powers_are_one_read_by_the_host_for_each_block_of_directions(gpu):
    c = Case(70, 90, weighted=True)
    reads = device.host_reads
    c.powers(gpu)
    assert device.host_reads == reads + 1
