"""line_integrals and back_projection against Joseph's weights in plain NumPy."""

import numpy as np
import pytest


def fan(n_views, shape, n_lines, t=1.0):
    """Views from all sides; of the first, the lines are parallel to the axes and 45 degrees off."""
    ny, nx = shape
    angle = np.arange(n_views) * np.pi / 4 + 0.3 * (np.arange(n_views) > 8)
    c, s = np.cos(angle), np.sin(angle)
    distance = 1.2 * np.hypot(ny + 2, nx + 2) / 2
    middle = (n_lines - 1) / 2 * 1.7
    far = 2 * distance if t else 1.0
    across = np.array([c, -s])
    along = far * np.array([-s, -c])
    start = along * (distance / far) - middle * across + [[(nx - 1) / 2], [(ny - 1) / 2]]
    return np.column_stack([*start, *1.7 * across, *(along - t * middle * across), np.full(n_views, t)])


def joseph(views, pixel, shape, n_lines):
    """The matrix, entry by entry from the documented formulas."""
    ny, nx = shape
    i, j = np.arange(ny)[:, None], np.arange(nx)[None, :]
    A = np.zeros((len(views), n_lines, ny, nx))
    for v, (p, q, dp, dq, u, w, t) in enumerate(views):
        for d in range(n_lines):
            x, y, across, down = p + d * dp, q + d * dq, u + d * t * dp, w + d * t * dq
            if abs(down) >= abs(across):
                gap, length = j - x - (i - y) * across / down, np.hypot(1, across / down)
            else:
                gap, length = i - y - (j - x) * down / across, np.hypot(1, down / across)
            A[v, d] = pixel * length * np.maximum(1 - np.abs(gap), 0)
    return A


@pytest.mark.parametrize("t", [0.0, 1.0], ids=["parallel", "fan"])
@pytest.mark.parametrize(("k", "shape"), [(2, (7, 12)), (5, (1, 1)), (11, (16, 5))])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_directions_are_josephs_matrix(cpu, draw, k, shape, t, dtype):
    views, n_lines = fan(11, shape, 31, t), 31
    A = joseph(views, 0.7, shape, n_lines)
    X, Y = draw((k, *shape), dtype), draw((k, 11, n_lines), dtype)
    got_Y, got_X = np.full_like(Y, np.nan), np.full_like(X, np.nan)
    cpu.line_integrals(views, 0.7, X, got_Y)
    cpu.back_projection(views, 0.7, Y, got_X)
    tol = {"float64": 1e-12, "float32": 3e-6}[dtype] * A.max() * sum(shape)
    np.testing.assert_allclose(got_Y, np.einsum("vdij,kij->kvd", A, X), rtol=0, atol=tol)
    np.testing.assert_allclose(got_X, np.einsum("vdij,kvd->kij", A, Y), rtol=0, atol=tol)
    inner = np.vdot(got_Y.astype(float), Y), np.vdot(X.astype(float), got_X)
    scale = np.linalg.norm(got_Y) * np.linalg.norm(Y)
    assert abs(inner[0] - inner[1]) <= {"float64": 1e-14, "float32": 1e-7}[dtype] * scale


def test_threads_do_not_change_a_bit(cpu, draw, threads):
    views = fan(60, (150, 133), 211)
    X, Y, answers = draw((5, 150, 133), "float32"), draw((5, 60, 211), "float32"), []
    for n in (1, 2, 3):
        threads(n)
        sums, image = np.empty_like(Y), np.empty_like(X)
        for images in (slice(1), slice(1, 5)):  # alone, and side by side
            cpu.line_integrals(views, 1.0, X[images], sums[images])
            cpu.back_projection(views, 1.0, Y[images], image[images])
        answers.append((sums.tobytes(), image.tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_an_image_taken_in_parts_is_the_whole(cpu, draw, monkeypatch):
    from solvers.kernels.cpu import tomography

    views, Y = fan(9, (40, 30), 41), draw((5, 9, 41), "float64")
    whole, parts = np.empty((2, 5, 40, 30))
    cpu.back_projection(views, 1.0, Y, whole)
    monkeypatch.setattr(tomography, "_BYTES", 7 * 43 * 8)
    cpu.back_projection(views, 1.0, Y, parts)
    np.testing.assert_array_equal(parts, whole)
    cpu.back_projection(views, 1.0, Y[:1], parts[:1])
    np.testing.assert_allclose(parts, whole, atol=1e-13)


def test_lines_that_miss_or_are_far_give_nothing(cpu):
    views = np.array([[50.0, 0, 1, 0, 0, 1, 0], [1e9, 0, 1, 0, 0.5, 1, 0], [0, -9.0, 0, -1, 1, 0, 0]])
    Y, X = np.full((1, 3, 6), np.nan), np.full((1, 5, 4), np.nan)
    cpu.line_integrals(views, 1.0, np.ones((1, 5, 4)), Y)
    cpu.back_projection(views, 1.0, np.ones((1, 3, 6)), X)
    assert not Y.any() and not X.any()


def test_entries_that_are_not_finite_stay_on_their_lines(cpu):
    views = fan(9, (8, 8), 15, 0.0)
    X, Y = np.ones((1, 8, 8)), np.empty((1, 9, 15))
    X[0, 2, 3] = np.nan
    cpu.line_integrals(views, 1.0, X, Y)
    A = joseph(views, 1.0, (8, 8), 15)
    assert (np.isnan(Y[0]) >= (A[:, :, 2, 3] > 1e-9)).all() and np.isfinite(Y).sum() > 60
