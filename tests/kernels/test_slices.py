"""Sliced distances against the quantile formula in NumPy and against POT, derivatives against differences."""

import tracemalloc

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = [(1, 1), (1, 7), (7, 1), (50, 50), (60, 45), (701, 1303)]


def powers(X, Y, a, b, directions, p):
    """The integral of |F^-1 - G^-1|^p over the levels; both are constant between the steps of either."""
    values = []
    for theta in directions:
        x, y = X @ theta, Y @ theta
        steps = np.concatenate([[0.0], np.cumsum(a[np.argsort(x)]), np.cumsum(b[np.argsort(y)])])
        steps.sort()
        middle = (steps[1:] + steps[:-1]) / 2
        values.append(np.diff(steps) @ np.abs(quantiles(x, a, middle) - quantiles(y, b, middle)) ** p)
    return np.array(values)


def quantiles(x, weights, levels):
    order = np.argsort(x, kind="stable")
    ends = np.cumsum(weights[order])
    return x[order][np.minimum(np.searchsorted(ends, levels), len(x) - 1)]


class Case:
    """Two clouds, and their distances on some directions by our kernels."""

    def __init__(self, cpu, rng, n, m, d=3, L=5, weighted=False, real="float64"):
        self.cpu = cpu
        self.X, self.Y = (
            rng.standard_normal((n, d)).astype(real),
            (1.5 * rng.standard_normal((m, d)) + 0.3).astype(real),
        )
        directions = rng.standard_normal((L, d))
        self.directions = directions / np.linalg.norm(directions, axis=1)[:, None]
        self.a, self.b = (rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))) if weighted else (None, None)
        self.weights = rng.standard_normal(L)

    @property
    def masses(self):
        n, m = len(self.X), len(self.Y)
        return np.full(n, 1 / n) if self.a is None else self.a, np.full(m, 1 / m) if self.b is None else self.b

    def powers(self, p=2.0):
        out = np.full(len(self.directions), np.nan)
        self.cpu.sliced_powers(self.X, self.Y, self.a, self.b, self.directions, p, out)
        return out

    def gradients(self, p=2.0, dX=0.0, dY=0.0):
        out = np.full(len(self.directions), np.nan)
        dX, dY = np.full(self.X.shape, dX), np.full(self.Y.shape, dY)
        self.cpu.sliced_gradients(self.X, self.Y, self.a, self.b, self.directions, self.weights, p, out, dX, dY)
        return out, dX, dY

    def sorted_projections(self):
        out = np.full((len(self.directions), len(self.X)), np.nan, self.X.dtype)
        self.cpu.sorted_projections(self.X, self.directions, out, None)
        return out


@pytest.fixture
def case(cpu, rng):
    return lambda *arguments, **options: Case(cpu, rng, *arguments, **options)


@pytest.mark.parametrize("p", [1.0, 1.7, 2.0, 3.0, 9.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, m", SIZES)
def test_a_power_is_the_integral_over_the_quantiles(case, n, m, weighted, p):
    c = case(n, m, weighted=weighted)
    # The formula's running sums of weights round, and a high power is that of the outermost quantiles.
    expected = pytest.approx(powers(c.X, c.Y, *c.masses, c.directions, p), rel=1e-12 if p < 9 else 1e-10)
    assert c.powers(p) == expected
    assert c.gradients(p)[0] == expected


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, m, d", [(2000, 2000, 3), (150, 200, 3), (300, 400, 64)])
def test_powers_are_those_of_pot(case, n, m, d, weighted, p):
    # Of more points POT's running sums of weights are wrong in the twelfth digit.
    c = case(n, m, d, L=20, weighted=weighted)
    a, b = c.masses
    of_pot = ot.sliced_wasserstein_distance(c.X, c.Y, a, b, projections=c.directions.T.copy(), p=p, log=True)[1]
    assert c.powers(p) == pytest.approx(of_pot["projected_emds"], rel=1e-12)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_clouds_of_different_sizes_are_as_exact_as_their_points_repeated(case, weighted, p):
    c = case(15_000, 20_000, L=4)
    x = (np.repeat(np.sort(c.X @ theta), 4) for theta in c.directions)
    y = (np.repeat(np.sort(c.Y @ theta), 3) for theta in c.directions)
    exact = [(np.abs(s - t) ** p).mean() for s, t in zip(x, y)]
    c.a, c.b = c.masses if weighted else (None, None)
    assert c.powers(p) == pytest.approx(exact, rel=1e-12)


def test_one_cloud_may_have_weights_and_the_other_none(case):
    c = case(40, 30, weighted=True)
    expected = powers(c.X, c.Y, c.masses[0], np.full(30, 1 / 30), c.directions, 2)
    c.b = None
    assert c.powers() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_float32_points_give_six_digits_where_sizes_differ(case, weighted):
    # Weights summed up in float32 are wrong by a tenth here.
    c = case(100_000, 80_000, L=4, weighted=weighted)
    exact = c.powers()
    c.X, c.Y = c.X.astype(np.float32), c.Y.astype(np.float32)
    assert c.powers() == pytest.approx(exact, rel=1e-6)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_ties_and_zero_weights_are_harmless(data):
    import solvers.kernels.cpu as cpu

    def cloud():
        n = data.draw(st.integers(1, 12))
        points = data.draw(st.lists(st.integers(-3, 3), min_size=2 * n, max_size=2 * n))
        units = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
        return np.array(points, float).reshape(n, 2), np.array(units) / sum(units)

    (X, a), (Y, b) = cloud(), cloud()
    directions, out, again = np.array([[1.0, 0.0], [-0.5, 2.0]]), np.empty(2), np.empty(2)
    cpu.sliced_powers(X, Y, a, b, directions, 2.0, out)
    assert out == pytest.approx(powers(X, Y, a, b, directions, 2), rel=1e-12, abs=1e-14)
    cpu.sliced_powers(Y, X, b, a, directions, 2.0, again)
    assert again == pytest.approx(out, rel=1e-13, abs=1e-15)
    cpu.sliced_powers(X, X[::-1].copy(), a, a[::-1].copy(), directions, 2.0, out)
    assert out == pytest.approx(0.0, abs=1e-14)


def test_a_point_without_weight_changes_no_bit(case):
    c = case(40, 30, weighted=True)
    expected = [c.powers(), *c.gradients(3.0)]
    far = np.full((2, 3), 1e300)  # its square overflows
    c.X, c.a = np.concatenate([far, c.X]), np.concatenate([[0, 0], c.a])
    c.Y, c.b = np.concatenate([c.Y, -far]), np.concatenate([c.b, [0, 0]])
    power, out, dX, dY = c.powers(), *c.gradients(3.0)
    assert (dX[:2] == 0).all() and (dY[-2:] == 0).all()
    for ours, without in zip([power, out, dX[2:], dY[:-2]], expected):
        assert np.array_equal(ours, without)


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("n, m", [(90, 90), (90, 64)])
def test_the_smallest_and_far_off_numbers_are_exact(cpu, rng, real, n, m):
    # A lattice, whose distances are whole numbers of its unit, of 1 / n or of 1 / (n m).
    i, j = rng.integers(0, 500, n), rng.integers(0, 500, m)
    exact = np.abs(np.repeat(np.sort(i), m) - np.repeat(np.sort(j), n)).sum()
    for unit, offset in ((np.finfo(real).smallest_subnormal, 0.0), (1.0, 2.0**23), (-0.0, -0.0), (2.0**80, 0.0)):
        X, Y = (((k * np.float64(unit) + offset)[:, None]).astype(real) for k in (i, j))
        out = np.empty(1)
        cpu.sliced_powers(X, Y, None, None, np.ones((1, 1)), 1.0, out)
        assert out[0] == pytest.approx(exact * np.float64(unit) / (n * m), rel=1e-12, abs=1e-323)


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize(
    "n, d, L", [(1, 1, 1), (5, 2, 7), (6, 3, 8), (7, 3, 9), (145, 50, 17), (1000, 4, 40), (301, 300, 33)]
)
def test_projections_are_inner_products_in_order(cpu, rng, real, n, d, L):
    X, directions = rng.integers(-9, 10, (n, d)).astype(real), rng.integers(-9, 10, (L, d)).astype(float)
    out = np.full((L, n), np.nan, real)
    cpu.sorted_projections(X, directions, out, None)
    assert np.array_equal(out, np.sort(directions @ X.T, axis=1))
    index = np.full((L, n), -1, np.int32)
    cpu.sorted_projections(X, directions, out, index)
    assert np.array_equal(out, np.sort(directions @ X.T, axis=1))
    assert np.array_equal(index, np.argsort(directions @ X.T, axis=1, kind="stable"))


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, m", [(1, 1), (60, 60), (60, 45)])
def test_powers_of_sorted_projections_are_those_of_the_points(cpu, rng, n, m, weighted, real):
    c = Case(cpu, rng, n, m, weighted=weighted, real=real)
    sides = []
    for Z in (c.X, c.Y):
        keys = np.empty((len(c.directions), len(Z)), real)
        index = np.empty(keys.shape, np.int32) if weighted else None
        cpu.sorted_projections(Z, c.directions, keys, index)
        sides.append((keys, index))
    (x, i), (y, j) = sides
    for p in (1.0, 2.0, 3.5):
        out = np.full(len(x), np.nan)
        cpu.sorted_powers(x, y, i, j, c.a, c.b, p, out)
        assert np.array_equal(out, c.powers(p))


def test_an_answer_depends_on_no_other_direction_and_on_no_thread(case, threads):
    for n, m, weighted in ((3000, 3000, False), (3000, 2000, False), (3000, 2000, True)):
        c = case(n, m, d=5, L=40, weighted=weighted)
        threads(1)
        expected = [c.powers(), *c.gradients(), c.sorted_projections()]
        for count in (2, 3):
            threads(count)
            again = [c.powers(), *c.gradients(), c.sorted_projections()]
            assert [each.tobytes() for each in again] == [each.tobytes() for each in expected]
        c.directions, c.weights = c.directions[:7], c.weights[:7]
        assert np.array_equal(c.powers(), expected[0][:7])
        assert np.array_equal(c.gradients()[0], expected[1][:7])
        assert np.array_equal(c.sorted_projections(), expected[4][:7])


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 4.3])
@pytest.mark.parametrize("n, m, weighted", [(30, 30, False), (30, 21, False), (30, 21, True), (1, 9, True)])
def test_gradients_are_those_of_differences(case, n, m, weighted, p):
    c = case(n, m, d=3, L=18, weighted=weighted)
    _, dX, dY = c.gradients(p)
    for points, derivative in ((c.X, dX), (c.Y, dY)):
        for place in [(0, 0), (len(points) // 2, 2), (len(points) - 1, 1)]:
            kept, sums = points[place], []
            for step in (1e-6, -1e-6):
                points[place] = kept + step
                sums.append(c.weights @ c.powers(p))
            points[place] = kept
            assert derivative[place] == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-6, abs=1e-7)


def test_gradients_are_added_to_what_is_there(case):
    c = case(20, 30, d=300, L=35)
    _, dX, dY = c.gradients()
    _, more_X, more_Y = c.gradients(dX=1.0, dY=-2.0)
    assert more_X - 1.0 == pytest.approx(dX, abs=1e-14) and more_Y + 2.0 == pytest.approx(dY, abs=1e-14)
    # For p = 2 moving both clouds along changes nothing.
    assert dX.sum(axis=0) == pytest.approx(-dY.sum(axis=0), abs=1e-12)


def test_coupled_points_at_one_place_have_a_gradient_of_zero(case):
    c = case(20, 20)
    c.Y = c.X[::-1].copy()
    for p in (1.0, 1.5, 2.0):
        out, dX, dY = c.gradients(p)
        assert (out == 0).all() and (dX == 0).all() and (dY == 0).all()


def test_the_points_are_not_written_to(case):
    c = case(100, 80, weighted=True)
    before = [each.copy() for each in (c.X, c.Y, c.a, c.b, c.directions, c.weights)]
    c.powers(), c.gradients(), c.sorted_projections()
    assert all(map(np.array_equal, before, (c.X, c.Y, c.a, c.b, c.directions, c.weights)))


@pytest.mark.parametrize("d, most", [(3, 30e6), (300, 55e6)])
def test_memory_does_not_grow_with_the_number_of_directions(case, d, most):
    c = case(100_000, 100_000, d=d, L=64)
    tracemalloc.start()
    try:
        c.powers()
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
