"""What the planted bugs are found by: every source run once, against plain NumPy, each check a function of the kernels.

A check runs under whatever mode, schedule and number of threads is set; it says nothing, or raises.
"""

import numpy as np
from planted_slices import slices
from planted_transport import transport, transport_plans

__all__ = ["BARRIER", "CHECKS"]

# A kernel of its own: every block adds one; nobody goes on before all have, and then each sees what the others wrote.
BARRIER = """
__device__ void meet(unsigned* arrived) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(arrived, 1u);
        while (atomicAdd(arrived, 0u) < gridDim.x) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
}
__global__ void pass_on(int* values, int* sums, unsigned* arrived) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
    values[i] = i;
    meet(arrived);
    sums[i] = values[(i + blockDim.x + 1) % n] + values[n - 1 - i];
}
"""

_N = 900  # 15 blocks' worth of rows at 64 threads a block, on the 8 that there are


def _numbers(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def _close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def _send(gpu, *arrays):
    return [gpu.copy_to_device(array, array.dtype) for array in arrays]


def vectors(gpu):
    x, y, d = _numbers((3, _N), 1)
    X, Y, D, R = _send(gpu, x, y, d, y)
    gpu.axpy(np.float64(2.5), X, Y)
    _close(gpu.to_host(Y), y + 2.5 * x)
    gpu.multiply(D, X, R)
    _close(gpu.to_host(R), d * x)
    _close(gpu.difference(X, D, R), np.linalg.norm(x - d))
    _close(gpu.inner(X, D), x @ d)
    _close(gpu.largest(X), abs(x).max())
    order = np.random.default_rng(4).permutation(_N).astype(np.int32)
    (places,) = _send(gpu, order)
    gpu.gather(X, places, Y)
    _close(gpu.to_host(Y), x[order])
    gpu.scatter(Y, places, R)
    _close(gpu.to_host(R), x)
    gpu.reciprocal(X, R)
    _close(gpu.to_host(R), 1 / x)


def basis(gpu):
    """Rows that fill no group of the kernels, and more than one."""
    V, w, h = _numbers((19, 500), 2), _numbers(500, 3), _numbers(19, 4)
    on_device = _send(gpu, V, w)
    _close(gpu.project(*on_device), V @ w)
    gpu.combine(h, *on_device)
    _close(gpu.to_host(on_device[1]), w + h @ V)


def _sparse(n, seed=5):
    """About six entries a row, none in some, and more than a warp sums at once in one; as parts of CSR and as array."""
    array = np.where(_numbers((n, n), seed) > 2.5, _numbers((n, n), seed + 1), 0.0)
    array[::7] = 0.0
    array[n // 2] = _numbers(n, seed + 2)
    row, column = np.nonzero(array)
    return np.searchsorted(row, np.arange(n + 1)).astype(np.int32), column.astype(np.int32), array[row, column], array


def _bands(n):
    offsets = np.array([-30, -1, 0, 1, 30])
    data = np.full((5, n), np.nan)
    array = np.zeros((n, n))
    for held, k in zip(data, offsets):
        values = np.full(n - abs(k), 4.5 if k == 0 else -1.0)
        held[max(0, -k) : min(n, n - k)] = values
        array += np.diag(values, k)
    return offsets, data, array


def _grid(shape, weights):
    """The constant stencil as an array."""
    n = int(np.prod(shape))
    at, array = np.arange(n).reshape(shape), weights[0] * np.eye(n)
    for axis, weight in enumerate(weights[1:]):
        low, high = np.delete(at, -1, axis).ravel(), np.delete(at, 0, axis).ravel()
        array[low, high] += weight
        array[high, low] += weight
    return array


def _operands(gpu):
    """Every storage: (operand, the array that it stands for)."""
    *parts, array = _sparse(1100)
    yield gpu.csr(*_send(gpu, *parts)), array
    offsets, data, array = _bands(_N)
    yield gpu.Diagonals(*_send(gpu, offsets, data)), array
    array = _numbers((250, 250), 6)
    yield gpu.dense(*_send(gpu, array)), array
    weights = np.array([6.0, -1.0, -1.1, -1.2])
    yield gpu.stencil((5, 7, 11), weights), _grid((5, 7, 11), weights)


def products(gpu):
    for operand, array in _operands(gpu):
        x, b = _numbers((2, len(array)), 7)
        X, B, Y, R = _send(gpu, x, b, np.full_like(x, np.nan), np.full_like(x, np.nan))
        gpu.matvec(operand, X, Y)
        _close(gpu.to_host(Y), array @ x)
        _close(gpu.residual(operand, X, B, R), np.linalg.norm(b - array @ x))
        _close(gpu.to_host(R), b - array @ x)


def storage(gpu):
    offsets, _, array = _bands(_N)
    row, column = np.nonzero(array)
    indptr, indices = np.searchsorted(row, np.arange(_N + 1)).astype(np.int32), column.astype(np.int32)
    good = _send(gpu, indptr, indices)
    assert gpu.is_valid_csr(*good, indices.size)
    assert not gpu.is_valid_csr(*_send(gpu, indptr, np.full_like(indices, _N)), indices.size)
    found = gpu.diagonals(gpu.csr(*good, *_send(gpu, array[row, column])))
    assert type(found) is gpu.Diagonals
    _close(gpu.to_host(found.offsets), offsets)
    for held, k in zip(gpu.to_host(found.data), offsets):
        _close(held[max(0, -k) : min(_N, _N - k)], np.diag(array, k))


def _steps(array, d, b, steps):
    """x, r, p and the norms of r after some iterations of conjugate gradients."""
    x, r, norms = np.zeros_like(b), b.copy(), []
    p = d * r
    for _ in range(steps):
        alpha = (r @ (d * r)) / (p @ array @ p)
        x, before, r = x + alpha * p, r @ (d * r), r - alpha * (array @ p)
        p = d * r + (r @ (d * r)) / before * p
        norms.append(np.linalg.norm(r))
    return x, r, p, np.array(norms)


def _hermitian(gpu, shape):
    offsets, data, array = _bands(int(np.prod(shape)))
    yield gpu.Diagonals(*_send(gpu, offsets, data)), array
    weights = np.array([6.0, -1.0, -1.1])
    yield gpu.stencil(shape, weights), _grid(shape, weights)


def cg(gpu):
    d, b = 1.0 + abs(_numbers(_N, 8)), _numbers(_N, 9)
    for operand, array in _hermitian(gpu, (30, 30)):
        D, x, r, p, q = _send(gpu, d, np.zeros(_N), b, d * b, np.full(_N, np.nan))
        scalars, norms = np.array([b @ (d * b), 0.0, 1e-8]), np.full(4, np.nan)
        assert gpu.cg_chunk(operand, D, x, r, p, q, scalars, norms, 0.0, 4) == (4, 0)
        expected = _steps(array, d, b, 4)
        for one, other in zip((*map(gpu.to_host, (x, r)), norms), (*expected[:2], expected[3])):
            _close(one, other)


def cg_many(gpu):
    n, k = 200, 9 * gpu.LANES  # more than one tile of columns
    d, B = 1.0 + abs(_numbers(n, 8)), _numbers((n, k), 9)
    for operand, array in _hermitian(gpu, (10, 20)):
        D, X, R, P, Q = _send(gpu, d, np.zeros((n, k)), B, d[:, None] * B, np.full((n, k), np.nan))
        scalars = np.stack([(B * d[:, None] * B).sum(axis=0), np.zeros(k), np.full(k, 1e-8)])
        norms, states, counts = np.full((2, k), np.nan), np.zeros(k, np.int64), np.zeros(k, np.int64)
        gpu.cg_chunk_many(operand, D, X, R, P, Q, scalars, norms, np.zeros(k), states, counts, 2)
        assert (counts == 2).all() and (states == 0).all()
        for j in range(0, k, 17):
            x, r, _, expected = _steps(array, d, B[:, j], 2)
            _close(gpu.to_host(X)[:, j], x)
            _close(gpu.to_host(R)[:, j], r)
            _close(norms[:, j], expected)


def _in_stages():
    """Symmetric matrices with the stage of each row: two colours of a grid, levels as wide as several blocks, one."""
    array = _grid((20, 25), np.array([4.5, -1.0, -1.1]))
    yield array, np.add.outer(np.arange(20), np.arange(25)).ravel() % 2
    at = np.arange(450)
    array = 4.5 * np.eye(450)
    for k in (140, 150):
        array[at[k:], at[:-k]] = array[at[:-k], at[k:]] = -1.0
    level = at // 140
    yield array, level
    yield np.diag(np.linspace(1.0, 2.0, 300)), np.zeros(300, int)


def _csr(gpu, array):
    row, column = np.nonzero(array)
    indptr = np.searchsorted(row, np.arange(len(array) + 1))
    return gpu.csr(*_send(gpu, indptr.astype(np.int32), column.astype(np.int32), array[row, column]))


def _sorted(gpu):
    """(Sweep, the array in the order of its rows)."""
    for array, stage in _in_stages():
        order = np.argsort(stage, kind="stable").astype(np.int32)
        stages = np.searchsorted(stage[order], np.arange(stage.max() + 2))
        (places,) = _send(gpu, order)
        d, array = gpu.diagonal(_csr(gpu, array), places), array[order][:, order]
        _close(gpu.to_host(d), np.diag(array))
        yield gpu.sweep(_csr(gpu, np.tril(array, -1)), _csr(gpu, np.triu(array, 1)), d, stages), array


def _relaxed(array, b, x, omega, symmetric):
    """x after a sweep, row after row."""
    x, rows = x.copy(), range(len(b))
    for i in [*rows, *reversed(rows)] if symmetric else rows:
        x[i] += omega / array[i, i] * (b[i] - array[i] @ x)
    return x


def sweeps(gpu):
    for S, array in _sorted(gpu):
        b, start = _numbers((2, len(array)), 10)
        for symmetric, chunk in enumerate((gpu.sor_chunk, gpu.ssor_chunk)):
            expected = start
            B, x, y = _send(gpu, b, start, np.full_like(b, np.nan))
            norms = np.full(3, np.nan)
            assert chunk(S, B, x, y, 1.3, norms, 0.0, 3) == 3
            for norm in norms:
                expected = _relaxed(array, b, expected, 1.3, symmetric)
                _close(norm, np.linalg.norm(b - array @ expected))
            _close(gpu.to_host(x), expected)
    for operand, array in _operands(gpu):
        b, x = _numbers((2, len(array)), 11)
        inverse = np.full_like(b, 0.1)
        B, X, Y, weights = _send(gpu, b, x, np.full_like(x, np.nan), inverse)
        norms = np.full(3, np.nan)
        assert gpu.jacobi_chunk(operand, weights, B, X, Y, 0.9, norms, 0.0, 3) == 3
        for norm in norms:
            x = x + 0.09 * (b - array @ x)
            _close(norm, np.linalg.norm(b - array @ x))
        _close(gpu.to_host(X), x)


def ssor(gpu):
    omega = 1.3
    for S, array in _sorted(gpu):
        n, b = len(array), _numbers(len(array), 12)
        D = np.diag(np.diag(array))
        K = np.linalg.inv(D / omega + np.tril(array, -1))
        M = (2 - omega) / omega * K.T @ D @ K
        r, z, x, s, t, p, u = _send(gpu, b, *np.full((6, n), np.nan))
        gpu.ssor_solve(S, omega, r, z)
        _close(gpu.to_host(z), M @ b)
        rho = gpu.ssor_cg_start(S, omega, r, s, t)
        _close(gpu.to_host(s), K @ b)
        _close(gpu.to_host(t), D @ K @ b)
        _close(rho, b @ K.T @ D @ K @ b)
        x.fill(0)
        t.fill(0)
        scalars, norms = np.array([rho, 0.0, 0.0, 1e-8]), np.full(3, np.nan)
        assert gpu.ssor_cg_chunk(S, omega, x, s, t, p, u, scalars, norms, 0.0, 3) == (3, 0)
        expected = _preconditioned(array, M, b, 3)
        _close(norms, expected[1])
        _close(gpu.to_host(x), expected[0])


def _preconditioned(array, M, b, steps):
    """x and the norms of r after some iterations of conjugate gradients."""
    x, r, norms = np.zeros_like(b), b, []
    p = M @ r
    for _ in range(steps):
        before = r @ (M @ r)
        alpha = before / (p @ array @ p)
        x, r = x + alpha * p, r - alpha * (array @ p)
        p = M @ r + (r @ (M @ r)) / before * p
        norms.append(np.linalg.norm(r))
    return x, np.array(norms)


_ALL = vectors, basis, products, storage, cg, cg_many, sweeps, ssor, transport, transport_plans, slices
CHECKS = {each.__name__: each for each in _ALL}
