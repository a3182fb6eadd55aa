"""Chunks of conjugate gradients for many right-hand sides on the emulated device, column by column against the CPU's."""

import numpy as np
import pytest
from solvers.kernels import cpu
from test_gpu_cg import DTYPES, STORAGES, Run, hermitian, numbers, pair

NONFINITE, INDEFINITE, NOT_HERMITIAN, REACHED = 1, 2, 3, 4


@pytest.fixture
def gpu(emulated):
    from solvers.kernels import gpu

    return gpu


class Block:
    """The arrays of ``cg_chunk_many`` for X = 0, and the same columns one by one on the CPU."""

    def __init__(self, gpu, storage, array, B, d=None):
        n, self.k = B.shape
        A, self.A = pair(gpu, storage, array)
        self.gpu, self.alone = gpu, [Run(cpu, A, np.ascontiguousarray(b), d) for b in B.T]
        self.d = None if d is None else gpu.to_device(d, d.dtype)
        self.X, self.R, self.P, self.Q = (
            gpu.copy_to_device(np.stack([getattr(run, name) for run in self.alone], axis=1), B.dtype) for name in "xrpq"
        )
        self.scalars = np.stack([run.scalars for run in self.alone], axis=1)
        self.thresholds, self.states = np.zeros(self.k), np.zeros(self.k, dtype=np.int64)

    def advance(self, steps):
        """Take steps; returns the norms of each column's own steps."""
        norms, counts = np.full((steps, self.k), np.nan), np.full(self.k, -1)
        self.gpu.cg_chunk_many(
            self.A, self.d, self.X, self.R, self.P, self.Q, self.scalars, norms, self.thresholds, self.states, counts, steps
        )  # fmt: skip
        return [norms[:count, j] for j, count in enumerate(counts)]

    def host(self, name):
        return self.gpu.to_host(getattr(self, name))

    def bits(self):
        return [self.host(name).tobytes() for name in "XRP"] + [self.scalars.tobytes(), self.states.tobytes()]


@pytest.mark.parametrize("n, k", [(1, 8), (65, 24), (130, 8), (301, 16), (200, 40), (90, 72)])
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_each_column_takes_the_steps_it_takes_alone(gpu, storage, preconditioned, n, k):
    for dtype in map(np.dtype, DTYPES):
        real = np.finfo(dtype).dtype
        d = np.random.default_rng(1).uniform(0.5, 1.5, n).astype(real) if preconditioned else None
        B = numbers((n, k), dtype)
        block = Block(gpu, storage, hermitian(n, dtype), B, d)
        steps = 1 if n == 1 else 6
        norms = block.advance(steps)
        bound = 1e-12 if real == np.float64 else 1e-5
        for j, run in enumerate(block.alone):
            expected, flag = run.advance(steps)
            size = np.linalg.norm(B[:, j])
            assert norms[j].size == expected.size
            assert n == 1 or block.states[j] == flag == 0
            assert np.abs(norms[j] - expected).max() <= bound * size
            for name in "xrp":
                v = run.vector(name)
                assert np.linalg.norm(block.host(name.upper())[:, j] - v) <= 10 * bound * size
            assert abs(block.scalars[0, j] - run.scalars[0]) <= 10 * bound * size**2
            assert block.scalars[1, j] == 1.0
