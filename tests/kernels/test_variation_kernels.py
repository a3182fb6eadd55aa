"""The kernels of total variation against differences and projections in plain NumPy."""

import numpy as np
import pytest


def differences(x, d):
    """Along the last d axes, each with what follows the last pixel equal to it."""
    axes = range(x.ndim - d, x.ndim)
    return np.stack([np.diff(x, axis=a, append=np.take(x, [-1], a)) for a in axes], axis=1)


def image(V, w, P):
    """V - w D^T P, from the definition of the adjoint: minus the sum of backward differences."""
    d = P.shape[1]
    return V + w.reshape(-1, 1, 1, 1, 1) * sum(np.diff(P[:, a], axis=5 - d + a, prepend=0) for a in range(d))


def given(rng, shape, d, dtype):
    V, w = rng.standard_normal(shape), rng.random(shape[0]) + 0.1
    P, R = (differences(rng.standard_normal(shape), d) / 4 for _ in range(2))
    P /= np.maximum(1, np.sqrt((P**2).sum(axis=(1, 2), keepdims=True)))
    return [each.astype(dtype) for each in (V, w, 1 / (4 * d * w), P, R)]


SHAPES = [((1, 1, 1, 1, 1), 2), ((3, 2, 1, 7, 5), 2), ((2, 1, 1, 150, 70), 2)]
SHAPES += [((2, 2, 4, 3, 6), 3), ((1, 1, 3, 90, 70), 3)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("shape", "d"), SHAPES)
def test_a_step_is_gradient_projection_and_momentum(cpu, rng, shape, d, dtype):
    V, w, steps, P, R = given(rng, shape, d, dtype)
    Q = R + steps.reshape(-1, 1, 1, 1, 1, 1) * differences(image(V, w, R), d)
    Q /= np.maximum(1, np.sqrt((Q**2).sum(axis=(1, 2), keepdims=True)))
    S = Q + 0.7 * (Q - P)
    out = np.full_like(P, np.nan)
    cpu.variation_step(V, w, steps, 0.7, np.arange(len(V)), P, R, out)
    tol = {"float64": 1e-14, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(P, Q, atol=tol)
    np.testing.assert_allclose(out, S, atol=tol)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("shape", "d"), SHAPES)
def test_the_gap_is_that_of_primal_and_dual(cpu, rng, shape, d, dtype):
    V, w, _, P, _ = given(rng, shape, d, dtype)
    X = np.full_like(V, np.nan)
    gaps = cpu.variation_gap(V, w, np.arange(len(V)), P, X)
    x = image(V.astype(float), w.astype(float), P.astype(float))
    np.testing.assert_allclose(X, x, atol={"float64": 1e-14, "float32": 1e-5}[dtype])
    variation = np.sqrt((differences(x, d) ** 2).sum(axis=(1, 2))).reshape(len(V), -1).sum(axis=1)
    norms = [(a.astype(float) ** 2).reshape(len(V), -1).sum(axis=1) / 2 for a in (x - V, V, x)]
    primal, dual = norms[0] + w * variation, norms[1] - norms[2]
    np.testing.assert_allclose(gaps, primal - dual, atol=1e-12 if dtype == "float64" else 1e-4 * primal.max())
    assert gaps.dtype == np.float64 and (gaps >= -1e-12).all()


def test_images_that_are_not_named_are_left_alone(cpu, rng):
    V, w, steps, P, R = given(rng, (3, 1, 1, 6, 6), 2, "float64")
    S, X, before = R.copy(), V.copy(), P.copy()
    cpu.variation_step(V, w, steps, 0.5, np.array([1]), P, R, S)
    cpu.variation_gap(V, w, np.array([1]), P, X)
    for now, then in ((P, before), (S, R), (X, V)):
        changed = [not np.array_equal(a, b) for a, b in zip(now, then, strict=True)]
        assert changed == [False, True, False]


def test_neither_threads_nor_the_number_of_images_change_a_bit(cpu, rng, threads):
    V, w, steps, P, R = given(rng, (4, 2, 2, 130, 128), 3, "float64")
    seen = []
    for team, some in ((1, np.arange(4)), (3, np.arange(4)), (2, np.array([3]))):
        threads(team)
        p, S, X = P.copy(), np.empty_like(P), np.empty_like(V)
        cpu.variation_step(V, w, steps, 0.5, some, p, R, S)
        gaps = cpu.variation_gap(V, w, some, p, X)
        seen.append((p[3].tobytes(), S[3].tobytes(), X[3].tobytes(), gaps[-1].tobytes()))
    assert seen[0] == seen[1] == seen[2]
