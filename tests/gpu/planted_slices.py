"""The check of the kernels of sliced distances for planted bugs, against sorts and quantiles in plain NumPy."""

import numpy as np

__all__ = ["slices"]


def _coupling(a, b):
    """(i, j, mass): which of two sorted clouds' points share how much mass."""
    ends = np.concatenate([np.cumsum(a), np.cumsum(b)])
    ends = np.sort(ends)[:-1]
    starts = np.concatenate([[0.0], ends[:-1]])
    middle = (starts + ends) / 2
    i, j = (np.minimum(np.searchsorted(np.cumsum(w), middle), len(w) - 1) for w in (a, b))
    return i, j, ends - starts


def _expected(X, Y, a, b, directions, weights):
    """Powers for p = 2 and the derivatives of their weighted sum."""
    out, dX, dY = np.empty(len(directions)), np.zeros_like(X), np.zeros_like(Y)
    for l, theta in enumerate(directions):
        x, y = X @ theta, Y @ theta
        i, j = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
        k, m, mass = _coupling(a[i], b[j])
        gap = x[i][k] - y[j][m]
        out[l] = mass @ gap**2
        slope = 2.0 * weights[l] * mass * gap
        np.add.at(dX, i[k], slope[:, None] * theta)
        np.add.at(dY, j[m], -slope[:, None] * theta)
    return out, dX, dY


def slices(gpu):
    """Rows of more keys than a chunk; few points of many coordinates; weights and none."""
    for n, m, d, L, weighted in ((2300, 70, 2, 2, False), (70, 90, 19, 40, True), (90, 90, 3, 3, False)):
        rng = np.random.default_rng(8)
        X, Y, directions = rng.standard_normal((n, d)), rng.standard_normal((m, d)), rng.standard_normal((L, d))
        a, b = (rng.dirichlet(np.ones(k)) if weighted else np.full(k, 1 / k) for k in (n, m))
        weights, out = rng.standard_normal(L), np.full(L, np.nan)
        want = _expected(X, Y, a, b, directions, weights)
        points, masses = [gpu.copy_to_device(Z, Z.dtype) for Z in (X, Y)], (None, None)
        if weighted:
            masses = [gpu.copy_to_device(w, w.dtype) for w in (a, b)]
        keys, index = gpu.empty((L, n), np.float64), gpu.empty((L, n), np.int32)
        gpu.sorted_projections(points[0], directions, keys, index)
        np.testing.assert_allclose(gpu.to_host(keys), np.sort(directions @ X.T), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(gpu.to_host(index), np.argsort(directions @ X.T), err_msg="order")
        gradients = [gpu.zeros(Z.shape, np.float64) for Z in (X, Y)]
        gpu.sliced_gradients(*points, *masses, directions, weights, 2.0, out, *gradients)
        for got, expected in zip((out, *map(gpu.to_host, gradients)), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)
