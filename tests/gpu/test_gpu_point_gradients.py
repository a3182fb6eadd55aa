"""point_gradients on the emulated device, against sums over the whole plan in plain NumPy and the kernel of the CPU."""


import numpy as np
import pytest
from solvers.kernels import cpu


def gradients(kernels, given, power):
    X, Y, u, v = (kernels.copy_to_device(each, each.dtype) for each in given)
    parts = [kernels.to_device(np.full(each.shape, np.nan), np.float64) for each in given[:2]]
    kernels.point_gradients(kernels.PointCosts(X, Y, power), 3.0, u, v, *parts)
    return [kernels.to_host(each) for each in parts]


def expected(given, power):
    """dX, dY, and the sums of the absolute terms."""
    X, Y, u, v = (each.astype(np.float64) for each in given)
    gaps = X[:, None] - Y
    distance = np.linalg.norm(gaps, axis=-1)
    P = np.exp(u[:, None] + v - 3.0 * distance**power)
    with np.errstate(divide="ignore"):
        slopes = np.where(distance > 0, power * distance ** (power - 2), 0.0)
    terms = (P * slopes)[:, :, None] * gaps
    return terms.sum(axis=1), -terms.sum(axis=0), np.abs(terms).sum(axis=1), np.abs(terms).sum(axis=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("power", [2.0, 1.0, 1.5, 0.5])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (5, 40, 2), (70, 33, 4), (12, 65, 9)])
def test_the_gradients_are_the_sums_over_the_plan(either, gpu, n, m, d, power, dtype):
    rng = np.random.default_rng(n + d)
    X, Y = rng.random((n, d)).astype(dtype), rng.random((m, d)).astype(dtype)
    Y[0] = X[0]  # no slope there, of whatever power
    given = X, Y, *(np.log(rng.random(size) / size).astype(dtype) for size in (n, m))
    got, here, right = gradients(gpu, given, power), gradients(cpu, given, power), expected(given, power)
    tol = {"float64": 1e-12, "float32": 1e-4}[dtype]
    for ours, theirs, want, size in zip(got, here, right[:2], right[2:], strict=True):
        assert (np.abs(ours - want) <= tol * (size + 1e-3)).all()
        assert (np.abs(ours - theirs) <= tol * (size + 1e-3)).all()


def test_forbidden_by_distance_adds_nothing(gpu):
    """Entries that underflow, and distances whose square does."""
    given = np.array([[0.0], [1e-170]]), np.array([[0.0], [1e6]]), np.zeros(2), np.zeros(2)
    for part in gradients(gpu, given, 1.0):
        assert np.isfinite(part).all() and np.abs(part[1] - part[0]).max() <= 1.0
