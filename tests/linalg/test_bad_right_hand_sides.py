"""A bad b or x0 is refused before any work, with one sentence."""

import numpy as np
import pytest
from hostile import N, refused, spd, with_entry
from krylov import every_method
from scipy import sparse

from solvers import InvalidInput, UnsupportedType

BAD_B = [
    ("too long", InvalidInput, "(5,)", np.ones(5)),
    ("too short", InvalidInput, "(3,)", np.ones(3)),
    ("empty", InvalidInput, "(0,)", np.ones(0)),
    ("block with too few rows", InvalidInput, "(3, 2)", np.ones((3, 2))),
    ("row vector", InvalidInput, "(1, 4)", np.ones((1, N))),
    ("three axes", InvalidInput, "(4, 1, 1)", np.ones((N, 1, 1))),
    ("0-d array", InvalidInput, "()", np.array(1.0)),
    ("number", InvalidInput, "()", 1.0),
    ("ragged list", InvalidInput, "NumPy", [1.0, [2.0, 3.0], 4.0, 5.0]),
    ("None", UnsupportedType, "NoneType", None),
    ("str", UnsupportedType, "'abcd'", "abcd"),
    ("bytes", UnsupportedType, "b'abcd'", b"abcd"),
    ("dict", UnsupportedType, "dict", {0: 1.0}),
    ("set", UnsupportedType, "set", {1.0, 2.0}),
    ("generator", UnsupportedType, "objects", (float(i) for i in range(N))),
    ("array of words", UnsupportedType, "<U1", np.array(list("abcd"))),
    ("array of bytes", UnsupportedType, "|S1", np.array([b"a"] * N)),
    ("array of objects", UnsupportedType, "objects", np.array([1.0, "two", None, 4.0], dtype=object)),
    ("array of dates", UnsupportedType, "datetime64", np.array(["2020-01-01"] * N, dtype="datetime64[D]")),
    ("array of durations", UnsupportedType, "timedelta64", np.ones(N, dtype="timedelta64[s]")),
    ("records", UnsupportedType, "dtype", np.ones(N, dtype=[("x", float)])),
    ("sparse array", UnsupportedType, "sparse", sparse.csr_array(np.ones((N, 1)))),
    ("sparse COO vector", UnsupportedType, "sparse", sparse.coo_array(np.ones(N))),
    ("masked", UnsupportedType, "masked", np.ma.array(np.ones(N), mask=[0, 1, 0, 0])),
    ("one NaN", InvalidInput, "1 NaN or infinite entry, the first at [2] (nan)", with_entry(np.nan, 2)),
    ("two NaN", InvalidInput, "2 NaN or infinite entries, the first at [1] (nan)", with_entry(np.nan, [1, 3])),
    ("inf", InvalidInput, "the first at [0] (inf)", with_entry(np.inf, 0)),
    ("-inf, integer-like list", InvalidInput, "the first at [3] (-inf)", [1, 2, 3, -np.inf]),
    ("NaN in float32", InvalidInput, "the first at [2]", with_entry(np.nan, 2, dtype="f")),
    ("NaN in the imaginary part", InvalidInput, "the first at [1]", with_entry(complex(0, np.nan), 1, dtype=complex)),
    ("inf and -inf", InvalidInput, "2 NaN or infinite entries, the first at [0]", np.array([np.inf, -np.inf, 1, 1])),
    ("longdouble beyond float64", InvalidInput, "the first at [3]", with_entry(np.longdouble("1e4000"), 3, dtype="g")),
    ("NaN in an object array", InvalidInput, "the first at [1]", np.array([1, float("nan"), 2, 3], dtype=object)),
]


@every_method
@pytest.mark.parametrize("kind, shows, b", [pytest.param(*row[1:], id=row[0]) for row in BAD_B])
def test_a_bad_b_is_refused_with_one_sentence(solve, kind, shows, b):
    refused(solve, kind, "b", shows, spd(), b)


@every_method
def test_a_nan_in_one_of_many_columns_is_refused_with_its_place(solve):
    b = np.ones((N, 3))
    b[1, 2] = np.nan
    refused(solve, InvalidInput, "b", "1 NaN or infinite entry", spd(), b)
    with pytest.raises(InvalidInput, match=r"the first at \[1, 2\]"):
        solve(spd(), b)


@every_method
def test_a_b_that_does_not_fit_a_function_is_refused(solve):
    refused(solve, InvalidInput, "b", "number", lambda v: 2 * v, 1.0)


BAD_X0 = [
    ("too long", InvalidInput, "(5,)", np.ones(5)),
    ("too short", InvalidInput, "(3,)", np.ones(3)),
    ("two columns", InvalidInput, "(4, 2)", np.ones((N, 2))),
    ("row vector", InvalidInput, "(1, 4)", np.ones((1, N))),
    ("three axes", InvalidInput, "(4, 1, 1)", np.ones((N, 1, 1))),
    ("number", InvalidInput, "()", 0.0),
    ("complex for a real system", InvalidInput, "complex", np.ones(N) + 1j),
    ("another word", InvalidInput, "'zeros'", "zeros"),
    ("empty word", InvalidInput, "''", ""),
    ("NaN", InvalidInput, "the first at [2] (nan)", with_entry(np.nan, 2)),
    ("two infinities", InvalidInput, "2 NaN or infinite entries, the first at [0]", np.array([np.inf, -np.inf, 1, 1])),
    ("array of words", UnsupportedType, "<U1", np.array(list("abcd"))),
    ("array of objects", UnsupportedType, "objects", np.array([{}, 1, 2, 3], dtype=object)),
    ("bytes", UnsupportedType, "b'Mb'", b"Mb"),
    ("dict", UnsupportedType, "dict", {}),
    ("sparse", UnsupportedType, "sparse", sparse.csr_array(np.ones((N, 1)))),
    ("masked", UnsupportedType, "masked", np.ma.array(np.ones(N), mask=[0, 1, 0, 0])),
]


@every_method
@pytest.mark.parametrize("kind, shows, x0", [pytest.param(*row[1:], id=row[0]) for row in BAD_X0])
def test_a_bad_x0_is_refused_with_one_sentence(solve, kind, shows, x0):
    refused(solve, kind, "x0", shows, spd(), np.ones(N), x0=x0)
