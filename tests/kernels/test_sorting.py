"""The sort of rows against NumPy's stable one, whichever way a row goes: insertion, cells, or digits of the bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

# 48 and fewer are sorted by insertion; 70,000 have the largest digits.
SIZES = (0, 1, 2, 47, 48, 49, 500, 5000, 70_000)
ROWS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "far from zero": lambda rng, n: 1e6 + rng.standard_normal(n),
    "sorted": lambda rng, n: np.sort(rng.random(n)),
    "reversed": lambda rng, n: -np.sort(rng.random(n)),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** 3,
    "any exponent": lambda rng, n: rng.choice([-1.0, 1.0], n) * 2.0 ** rng.integers(-120, 120, n),
    "few values": lambda rng, n: rng.integers(-3, 4, n).astype(float),
    "one value": lambda rng, n: np.full(n, -2.5),
    "both zeros": lambda rng, n: rng.choice([-0.0, 0.0, 1.0, -1.0, 1e30], n),
    "denormals": lambda rng, n: rng.integers(-(2**20), 2**20, n) * 2.0**-149,
    "an extent beyond the largest number": lambda rng, n: rng.choice([-3e38, 3e38, 1.0, np.inf, -np.inf], n),
    # As float64; the large one leaves all others a single cell.
    "differences in the last bits": lambda rng, n: np.append(1 + rng.integers(0, 2**20, n) * 2.0**-52, 1e30)[1:],
}


@pytest.fixture
def sort_rows():
    from solvers.kernels.cpu._sorting import sort_rows

    return sort_rows


def assert_sorted(sort_rows, rows):
    expected = np.argsort(rows, axis=1, kind="stable")
    alone, x, index = rows.copy(), rows.copy(), np.full(rows.shape, -1, np.int32)
    sort_rows(alone, None)
    sort_rows(x, index)
    assert np.array_equal(index, expected)
    # Bit by bit: -0 and 0 stay what they are where they are.
    assert x.tobytes() == alone.tobytes() == np.take_along_axis(rows, expected, 1).tobytes()


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", ROWS)
def test_rows_are_sorted_and_equal_keys_stay_in_order(sort_rows, rng, real, n, kind):
    rows = np.array([ROWS[kind](rng, n) for _ in range(2)])
    assert_sorted(sort_rows, rows.astype(real))


@pytest.mark.parametrize("width", [32, 64])
def test_any_keys_are_sorted(sort_rows, width):
    keys = st.floats(width=width, allow_nan=False)

    @settings(deadline=None, max_examples=150)
    @given(arrays(f"float{width}", st.tuples(st.just(1), st.integers(1, 400)), elements=keys))
    def sorts(rows):
        assert_sorted(sort_rows, rows)

    sorts()


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("n", [20, 3000])
def test_keys_that_are_no_numbers_lose_no_other(sort_rows, rng, real, n):
    rows = rng.standard_normal((2, n)).astype(real)
    rows[:, ::7] = np.nan
    rows[:, 1::7] = -np.float64(np.nan)
    x, index = rows.copy(), np.empty(rows.shape, np.int32)
    sort_rows(x, index)
    assert np.array_equal(np.sort(index), [range(n)] * 2)
    assert np.array_equal(np.sort(x), np.sort(rows), equal_nan=True)


def test_threads_sort_alike(sort_rows, rng, threads):
    rows = rng.integers(0, 1000, (7, 20_000)) / 7.0
    answers = []
    for count in (1, 2, 3):
        threads(count)
        x, index = rows.copy(), np.empty(rows.shape, np.int32)
        sort_rows(x, index)
        answers.append(x.tobytes() + index.tobytes())
    assert answers[0] == answers[1] == answers[2]
