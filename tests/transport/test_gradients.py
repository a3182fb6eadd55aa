"""Derivatives with respect to costs and points, against differences of the recomputed value."""

import numpy as np
import pytest

from solvers import InvalidInput, transport

STEP = 1e-5


def slopes(value, *arrays):
    """Central differences of value(*arrays) by every entry of every array."""
    out = []
    for k, x in enumerate(arrays):
        slope = np.empty_like(x)
        for place in np.ndindex(x.shape):
            ends = []
            for sign in (1, -1):
                moved = [y.copy() for y in arrays]
                moved[k][place] += sign * STEP
                ends.append(value(*moved))
            slope[place] = (ends[0] - ends[1]) / (2 * STEP)
        out.append(slope)
    return out


@pytest.fixture
def clouds(rng):
    """Points and weights, the third row and the second column without any."""
    a, b = rng.random(7) + 0.1, rng.random(6) + 0.1
    a[2] = b[1] = 0
    return rng.random((7, 2)), rng.random((6, 2)), 3 * a / a.sum(), 3 * b / b.sum()


@pytest.mark.parametrize("method", ["log", "newton"])
def test_the_derivative_by_the_costs_is_the_plan(problem, method):
    C, a, b = problem(5, 6)
    a, b = 3 * a, 3 * b

    def solve(C):
        return transport.sinkhorn(C, a, b, eps=0.05, tol=1e-13, method=method)

    expected = slopes(lambda C: solve(C).regularized_value, C)[0]
    assert np.abs(solve(C).grad_cost - expected).max() <= 1e-8


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", 1.5, 3.0])
def test_the_derivatives_by_the_points(clouds, cost):
    X, Y, a, b = clouds

    def solve(X, Y):
        return transport.sinkhorn(transport.PointCloud(X, Y, cost), a, b, eps=0.1, tol=1e-13)

    gradients = solve(X, Y).grad_points
    for ours, expected in zip(gradients, slopes(lambda X, Y: solve(X, Y).regularized_value, X, Y)):
        assert ours.shape == expected.shape and np.abs(ours - expected).max() <= 2e-8
    assert not gradients[0][2].any() and not gradients[1][1].any()


@pytest.mark.parametrize("cost", ["sqeuclidean", 1.5])
def test_the_derivatives_of_the_divergence(clouds, cost):
    X, Y, a, b = clouds

    def solve(X, Y):
        return transport.sinkhorn_divergence(X, Y, a, b, eps=0.2, cost=cost, tol=1e-13)

    for ours, expected in zip(solve(X, Y).grad_points, slopes(lambda X, Y: solve(X, Y).value, X, Y)):
        assert np.abs(ours - expected).max() <= 2e-8


def test_the_divergence_of_a_cloud_from_itself_is_flat(rng):
    X = rng.random((20, 3))
    dX, dY = transport.sinkhorn_divergence(X, X.copy(), eps=0.1, tol=1e-12).grad_points
    assert np.abs(dX).max() <= 1e-10 and np.abs(dY).max() <= 1e-10


@pytest.mark.parametrize("cost", ["euclidean", 1.5, 0.5])
def test_points_in_one_place_have_no_slope(cost):
    X = np.ones((3, 2))
    dX, dY = transport.sinkhorn(transport.PointCloud(X, X, cost), eps=0.1).grad_points
    assert not dX.any() and not dY.any()


def test_translations_add_to_nothing_and_a_shift_pulls_everywhere_alike(rng):
    X, Y = rng.random((30, 2)), rng.random((40, 2)) + 0.2
    dX, dY = transport.sinkhorn(transport.PointCloud(X, Y, "euclidean"), eps=0.05, tol=1e-9).grad_points
    assert np.allclose(dX.sum(axis=0), -dY.sum(axis=0), atol=1e-12)
    dX, _ = transport.sinkhorn_divergence(X, X + [0.3, 0.0], eps=0.2, tol=1e-11).grad_points
    assert np.allclose(dX, [-0.6 / 30, 0.0], atol=1e-9)


def test_they_own_their_memory_and_have_the_dtype_of_the_points(rng):
    X, Y = rng.random((6, 2)).astype(np.float32), rng.random((5, 2)).astype(np.float32)
    result = transport.sinkhorn(transport.PointCloud(X, Y), eps=0.1, tol=1e-4)
    before = X.copy(), Y.copy()
    for gradient in result.grad_points:
        assert gradient.dtype == np.float32
        gradient[:] = np.nan
    assert np.array_equal(X, before[0]) and np.array_equal(Y, before[1]) and np.isfinite(result.grad_points[0]).all()


def test_a_matrix_has_no_points():
    with pytest.raises(InvalidInput, match="`C` must be a PointCloud") as caught:
        transport.sinkhorn(np.eye(3), eps=0.1).grad_points  # noqa: B018
    assert "\n" not in str(caught.value)


def test_a_torch_function_with_a_derivative(rng):
    torch = pytest.importorskip("torch")

    class Transport(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, Y, eps):
            cloud = transport.PointCloud(X.detach(), Y.detach())
            result = transport.sinkhorn(cloud, eps=eps, tol=1e-12).check()
            ctx.save_for_backward(*result.grad_points)
            return X.new_tensor(result.regularized_value)

        @staticmethod
        def backward(ctx, grad):
            dX, dY = ctx.saved_tensors
            return grad * dX, grad * dY, None

    X, Y = (torch.tensor(rng.random((n, 2)), requires_grad=True) for n in (5, 6))
    assert torch.autograd.gradcheck(lambda X, Y: Transport.apply(X, Y, 0.1), (X, Y), eps=1e-5, atol=1e-7)


def test_a_jax_function_with_a_derivative(rng):
    jax = pytest.importorskip("jax")

    def solve(X, Y):
        return transport.sinkhorn(transport.PointCloud(np.array(X), np.array(Y)), eps=0.1, tol=1e-6)

    @jax.custom_vjp
    def value(X, Y):
        return solve(X, Y).regularized_value

    def forward(X, Y):
        result = solve(X, Y)
        return result.regularized_value, result.grad_points

    value.defvjp(forward, lambda gradients, grad: tuple(grad * g for g in gradients))
    X, Y = (jax.numpy.asarray(rng.random((n, 2)), dtype=jax.numpy.float32) for n in (5, 6))
    dX, dY = jax.grad(value, argnums=(0, 1))(X, Y)
    expected = solve(X, Y).grad_points
    assert np.allclose(dX, expected[0]) and np.allclose(dY, expected[1])
