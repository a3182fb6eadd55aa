"""The check of the kernels of transport for planted bugs, against log-sum-exps in plain NumPy."""

import numpy as np

__all__ = ["transport", "transport_plans"]


def _problem(shape, points=0):
    """Costs as a matrix, and the clouds that they belong to if they do; weights."""
    rng = np.random.default_rng(11)
    n, m = shape
    X, Y = rng.random((n, points or 1)), rng.random((m, points or 1))
    C = ((X[:, None] - Y) ** 2).sum(axis=2) if points else rng.random(shape)
    weights = (rng.random(k) + 0.1 for k in shape)
    return C, (X, Y), *(w / w.sum() for w in weights)


def _operand(gpu, C, clouds, points):
    send = gpu.to_device
    return gpu.PointCosts(*(send(X, X.dtype) for X in clouds), 2.0) if points else gpu.CostMatrix(send(C, C.dtype))


def _log_sum(G):
    most = G.max(axis=1)
    return most + np.log(np.exp(G - most[:, None]).sum(axis=1))


def _swept(C, inv_eps, a, b, steps):
    u, v, errors, G = np.zeros_like(a), np.zeros_like(b), [], -C * inv_eps
    for _ in range(steps):
        u = np.log(a) - _log_sum(G + v)
        errors.append(np.abs(np.exp(G + u[:, None] + v).sum(axis=0) - b).sum())
        v = np.log(b) - _log_sum(G.T + u)
    return u, v, errors


# Rows for a warp and for a block, of both kernels at 64 threads; clouds of two stretches of coordinates; sums that are
# in range and that are not.
_CASES = (
    ((37, 70), 0, 20.0), ((37, 70), 0, 2e5), ((20, 600), 0, 20.0), ((20, 600), 0, 2e5), ((9, 1100), 0, 2e5),
    ((9, 2700), 0, 20.0), ((70, 90), 9, 5.0), ((70, 190), 3, 1e5),
)  # fmt: skip


def transport(gpu):
    """Sweeps in the log domain and on scalings."""
    for shape, points, inv_eps in _CASES:
        C, clouds, a, b = _problem(shape, points)
        cost, A, B = _operand(gpu, C, clouds, points), *(gpu.to_device(w, w.dtype) for w in (a, b))
        want = _swept(C, inv_eps, a, b, 3)
        for scalings in (False, True):
            u, v = gpu.zeros(shape[0], np.float64), gpu.zeros(shape[1], np.float64)
            errors = np.full(3, np.nan)
            if scalings:
                S = gpu.scaling(cost, inv_eps, u, v)
                taken = gpu.scaling_chunk(cost, inv_eps, A, B, u, v, S, errors, -1.0, 3)
            else:
                taken = gpu.log_chunk(cost, inv_eps, A, B, u, v, 1.0, errors, -1.0, 3)
            assert taken == 3, f"{taken} sweeps taken"
            for got, expected in zip((gpu.to_host(u), gpu.to_host(v), errors), want, strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12 * inv_eps)


def transport_plans(gpu):
    """Plans, their sums and their large entries."""
    for shape, points in (((70, 90), 0), ((5, 300), 0), ((300, 5), 0), ((70, 90), 9)):
        C, clouds, a, b = _problem(shape, points)
        cost, inv_eps = _operand(gpu, C, clouds, points), 10.0
        u, v, _ = _swept(C, inv_eps, a, b, 1)
        U, V = (gpu.to_device(x, x.dtype) for x in (u, v))
        rows, columns = (gpu.empty(size, np.float64) for size in shape)
        plan, G = gpu.empty(shape, np.float64), -C * inv_eps
        value = gpu.marginals(cost, inv_eps, U, V, rows, columns)
        gpu.plan(cost, inv_eps, U, V, plan)
        P = np.exp(G + u[:, None] + v)
        cut = float(np.median(P))
        sums = [gpu.to_host(x) for x in (rows, columns, plan, *gpu.threshold_plan(cost, inv_eps, U, V, cut))]
        gpu.log_sums(cost, inv_eps, V, rows)
        gpu.log_sums_columns(cost, inv_eps, U, columns)
        large = np.nonzero(P >= cut)
        counts = np.append(0, np.cumsum((P >= cut).sum(axis=1)))
        want = P.sum(axis=1), P.sum(axis=0), P, counts, large[1], P[large], _log_sum(G + v), _log_sum(G.T + u)
        for got, expected in zip((*sums, gpu.to_host(rows), gpu.to_host(columns)), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(value, (P * C).sum(), rtol=1e-11)
