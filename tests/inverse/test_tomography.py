"""ParallelBeam and FanBeam: Joseph's weights from the documented geometry, identities, exact integrals, peers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solvers.benchmarks.phantoms import shepp_logan, shepp_logan_integrals

from solvers import InvalidInput, inverse

DEGREES = np.deg2rad([0, 30, 45, 80, 90, 120, 135, 180, 200, 270, 300])


def joseph(shape, points, ways, p):
    """The matrix of lines through these points, x and y, in these directions, y upwards; pixels are of side p."""
    ny, nx = shape
    x, y = (np.arange(nx) - (nx - 1) / 2) * p, ((ny - 1) / 2 - np.arange(ny))[:, None] * p
    (a, b), (u, v) = (np.moveaxis(each, -1, 0)[..., None, None] for each in (points, ways))
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = p * np.hypot(1, u / v) * np.maximum(1 - np.abs(x - a - (y - b) * u / v) / p, 0)
        other = p * np.hypot(1, v / u) * np.maximum(1 - np.abs(y - b - (x - a) * v / u) / p, 0)
    return np.where(np.abs(v) >= np.abs(u) - 1e-12, steep, other)


def lines_of(A):
    """Points and directions of the lines, from the formulas in the docstrings."""
    d = np.arange(A.data_shape[1])
    s = ((d - (d.size - 1) / 2) * A.detector_spacing + A.offset)[:, None]
    t = A.angles[:, None, None]
    across, along = np.concatenate([np.cos(t), np.sin(t)], -1), np.concatenate([-np.sin(t), np.cos(t)], -1)
    if isinstance(A, inverse.ParallelBeam):
        return s * across, along + 0 * s
    source, detector = -A.source_distance * along, A.detector_distance * along + s * across
    return detector, detector - source


def fan(shape, angles, n_detectors=None, **options):
    distance = 1.5 * np.hypot(*shape) * options.get("pixel_size", 1) + 2
    return inverse.FanBeam(
        shape, angles, n_detectors, source_distance=distance, detector_distance=0.7 * distance, **options
    )


both = pytest.mark.parametrize("made", [inverse.ParallelBeam, fan], ids=["parallel", "fan"])


@both
@pytest.mark.parametrize("shape", [(6, 9), (1, 1), (8, 5)])
def test_products_are_those_of_the_documented_lines(made, shape):
    A = made(shape, DEGREES, 23, detector_spacing=0.8, pixel_size=1.3, offset=0.45)
    matrix = joseph(shape, *lines_of(A), 1.3)
    # At 45 degrees rounding decides in which way a line is sampled.
    sure = np.abs(np.diff(np.abs(lines_of(A)[1]))[..., 0]) > 1e-9
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape), rng.standard_normal(A.data_shape) * sure
    np.testing.assert_allclose((A @ x)[sure], np.einsum("adij,ij->ad", matrix, x)[sure], rtol=0, atol=1e-11)
    np.testing.assert_allclose(A.H @ y, np.einsum("adij,ad->ij", matrix, y), rtol=0, atol=1e-11)


@both
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_adjoint_is_the_adjoint(made, data):
    """Odd and even sizes, angles along the axes and diagonals, detectors that miss; both precisions."""
    shape = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    angles = data.draw(st.lists(st.sampled_from([*DEGREES, 0.123, 2.0]), min_size=1, max_size=5))
    offset, spacing = data.draw(st.sampled_from([0.0, 3.25, 40.0])), data.draw(st.floats(0.1, 5))
    dtype, tol = data.draw(st.sampled_from([(np.float64, 1e-13), (np.float32, 1e-6)]))
    A = made(shape, angles, data.draw(st.integers(1, 50)), detector_spacing=spacing, offset=offset, dtype=dtype)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, y = rng.standard_normal(shape).astype(dtype), rng.standard_normal(A.data_shape).astype(dtype)
    Ax, Ay = A @ x, A.H @ y
    assert Ax.dtype == Ay.dtype == dtype
    gap = np.vdot(Ax.astype(float), y) - np.vdot(x.astype(float), Ay)
    assert abs(gap) <= tol * np.linalg.norm(Ax) * np.linalg.norm(y)


@both
def test_products_are_linear_and_every_form_is_taken(made):
    rng = np.random.default_rng(3)
    A, x = made((12, 9), 7), rng.standard_normal((3, 12, 9))
    once = A @ x
    np.testing.assert_allclose(A @ (x[0] - 2 * x[1]), once[0] - 2 * once[1], atol=1e-12)
    np.testing.assert_array_equal(A @ x.reshape(3, -1).T, once.reshape(3, -1).T)
    np.testing.assert_allclose(A @ (x[0] + 1j * x[1]), once[0] + 1j * once[1], atol=1e-14)
    np.testing.assert_allclose(A.H @ (once[0] + 1j * once[1]), A.H @ once[0] + 1j * (A.H @ once[1]), atol=1e-12)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_along_the_axes_the_integrals_are_sums_of_columns_and_rows(ny, nx, seed):
    x = np.random.default_rng(seed).random((ny, nx))
    np.testing.assert_allclose(inverse.ParallelBeam((ny, nx), [0.0], nx) @ x, [x.sum(axis=0)])
    np.testing.assert_allclose(inverse.ParallelBeam((ny, nx), [np.pi / 2], ny) @ x, [x.sum(axis=1)[::-1]])
    both_ends = inverse.ParallelBeam((ny, nx), [0.0, np.pi], nx, pixel_size=2.0) @ x
    np.testing.assert_allclose(both_ends[0], both_ends[1, ::-1])


@both
def test_turning_the_image_by_a_right_angle_turns_the_views(made):
    n = 8
    A, x = made((13, 13), 4 * n), np.random.default_rng(4).random((13, 13))
    if made is inverse.ParallelBeam:  # [0, pi) once around
        A = inverse.ParallelBeam((13, 13), A.angles * 2 + 0.05)
    else:
        A = fan((13, 13), A.angles + 0.05)
    np.testing.assert_allclose(A @ np.rot90(x), np.roll(A @ x, n, axis=0), atol=1e-10)


@both
def test_the_integrals_of_the_head_are_nearly_the_exact_ones(made):
    n = 128
    A = made((n, n), 40, pixel_size=2 / n)
    point, way = lines_of(A)
    theta = np.arctan2(-way[..., 0], way[..., 1])
    right = shepp_logan_integrals(theta, point[..., 0] * np.cos(theta) + point[..., 1] * np.sin(theta))
    assert np.linalg.norm(A @ shepp_logan(n) - right) <= 0.04 * np.linalg.norm(right)  # of its edges
    outermost = (A @ np.ones((n, n)))[:, [0, 1, -2, -1]].max(axis=0)  # in pixels' lengths of 2 / n
    assert (outermost[[0, 3]] < 1 / n).all() and (outermost[[1, 2]] > 1 / n).all(), "detectors lack or look past it"


def test_what_is_given_is_kept_and_neither_written_nor_shared():
    angles = np.array([0.5, 1.0])
    A = inverse.ParallelBeam((4, 4), angles)
    before = A @ np.eye(4)
    angles[:] = 0
    np.testing.assert_array_equal(A @ np.eye(4), before)
    assert A.angles.tolist() == [0.5, 1.0]
    assert (A @ np.eye(4)).dtype == np.float64 and (A @ np.eye(4, dtype=np.float32)).dtype == np.float32
    np.testing.assert_allclose(inverse.ParallelBeam((4, 4), 4).angles, np.arange(4) * np.pi / 4)
    np.testing.assert_allclose(fan((4, 4), 4).angles, np.arange(4) * np.pi / 2)


FAN = {"source_distance": 9.0, "detector_distance": 1.0}


@pytest.mark.parametrize(
    ("made", "arguments", "options", "sentence"),
    [
        (inverse.ParallelBeam, (5, 3), {}, r"`image_shape` must be two integers, \(ny, nx\), got 5"),
        (inverse.ParallelBeam, ((5, 3, 2), 3), {}, "a volume's slices are a stack"),
        (inverse.ParallelBeam, ((5, 0), 3), {}, "`image_shape` must be >= 1, got 0"),
        (inverse.ParallelBeam, ((2**31, 2), 3), {}, r"`image_shape` must have fewer than 2\^32 pixels"),
        (inverse.ParallelBeam, ((5, 3), 0), {}, "`angles` must be >= 1, got 0"),
        (inverse.ParallelBeam, ((5, 3), [0.0, np.inf]), {}, "`angles` must be finite, got 1 NaN or infinite entry"),
        (inverse.ParallelBeam, ((5, 3), [[0.0]]), {}, r"`angles` must be an integer or radians of shape \(n_angles,\)"),
        (inverse.ParallelBeam, ((5, 3), []), {}, "`angles` must be an integer or radians"),
        (inverse.ParallelBeam, ((5, 3), 3, 0), {}, "`n_detectors` must be >= 1, got 0"),
        (inverse.ParallelBeam, ((5, 3), 3), {"detector_spacing": 0.0}, "`detector_spacing` must be > 0 and finite"),
        (inverse.ParallelBeam, ((5, 3), 3), {"detector_spacing": 1e-300}, "`detector_spacing` must be larger than"),
        (inverse.ParallelBeam, ((5, 3), 3), {"pixel_size": -1.0}, "`pixel_size` must be > 0 and finite"),
        (inverse.ParallelBeam, ((5, 3), 3), {"offset": np.inf}, "`offset` must be finite, got inf"),
        (inverse.ParallelBeam, ((5, 3), 3, 4), {"offset": 1e12}, "`pixel_size` must be such that source and detector"),
        (inverse.FanBeam, ((9, 9), 3), FAN | {"source_distance": 7.0}, r"`source_distance` must exceed 7.77817, half"),
        (inverse.FanBeam, ((9, 9), 3), FAN | {"source_distance": np.nan}, "`source_distance` must be a number, got"),
        (inverse.FanBeam, ((9, 9), 3), FAN | {"detector_distance": -1}, "`detector_distance` must be >= 0, got -1"),
    ],
)
def test_a_bad_geometry_is_one_sentence(made, arguments, options, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        made(*arguments, **options)


def test_a_bad_kind_is_one_sentence():
    with pytest.raises(TypeError, match="`dtype` must be float32 or float64, got complex128"):
        inverse.ParallelBeam((4, 4), 3, dtype=complex)
    with pytest.raises(TypeError, match="`angles` must be an integer or a NumPy array of real numbers"):
        inverse.ParallelBeam((4, 4), np.ones(3, complex))
    with pytest.raises(InvalidInput, match=r"`x` must have shape \(4, 4\) or \(k, 4, 4\)"):
        inverse.ParallelBeam((4, 4), 3) @ np.ones((4, 5))


def test_it_equals_astras_linear_projector():
    astra = pytest.importorskip("astra", exc_type=ImportError)
    n, angles = 64, np.linspace(0, np.pi, 37, endpoint=False) + 0.01
    A, x = inverse.ParallelBeam((n, n + 11), angles, 97), np.random.default_rng(5).random((n, n + 11))
    geometry = astra.create_proj_geom("parallel", 1.0, 97, angles), astra.create_vol_geom(n, n + 11)
    W = astra.OpTomo(astra.create_projector("linear", *geometry))
    for ours, theirs in ((A @ x, W @ x.ravel()), (A.H @ (A @ x), W.T @ (W @ x.ravel()))):
        assert np.linalg.norm(ours.ravel() - theirs) <= 1e-4 * np.linalg.norm(theirs)
    flat = astra.create_proj_geom("fanflat", 1.5, 120, angles, 90.0, 40.0)
    W = astra.OpTomo(astra.create_projector("line_fanflat", flat, geometry[1]))
    A = inverse.FanBeam((n, n + 11), angles, 120, source_distance=90.0, detector_distance=40.0, detector_spacing=1.5)
    smooth = np.exp(-(((np.arange(n)[:, None] - 20) / 9) ** 2) - ((np.arange(n + 11) - 50) / 7) ** 2)
    right = W @ smooth.ravel()
    assert np.linalg.norm((A @ smooth).ravel() - right) <= 0.01 * np.linalg.norm(right)


def test_it_is_near_scikit_images_radon():
    transform = pytest.importorskip("skimage.transform", exc_type=ImportError)
    n, degrees = 63, np.array([0.0, 20.0, 70.0, 100.0, 165.0])
    image = np.exp(-(((np.arange(n)[:, None] - 20) / 5) ** 2) - ((np.arange(n) - 38) / 7) ** 2)
    image[image < 1e-3] = 0  # it wants nothing outside of a circle
    right = transform.radon(image, degrees, circle=True).T
    ours = inverse.ParallelBeam((n, n), np.deg2rad(degrees), n) @ image
    assert np.linalg.norm(ours - right) <= 0.05 * np.linalg.norm(right)
