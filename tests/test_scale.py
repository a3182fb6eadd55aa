"""Powers of two: exact, within their reach, and one where there is nothing to bring near."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvers._scale import common_unit, reach_of, to_one


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_it_brings_numbers_to_between_a_half_and_one(size):
    power = to_one(size)
    assert 0.5 <= size * power < 1 and math.frexp(power)[0] == 0.5
    unit = common_unit(size)
    assert unit == 1.0 if 2.0**-20 <= size < 2.0**20 else 0.5 <= size / unit < 1


@pytest.mark.parametrize("size", [0.0, math.inf, math.nan, np.float32(0)])
def test_where_there_is_nothing_to_bring_near(size):
    assert to_one(size) == common_unit(size) == 1.0


def test_the_reach_leaves_room_in_each_precision():
    assert to_one(1e-320) == 2.0**1000 and to_one(1e-45, reach_of("f")) == 2.0**120 and reach_of("D") == 1000
    assert to_one(1.7e308, reach=120) == 2.0**-120
