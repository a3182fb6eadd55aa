"""What the transport tests share: problems."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20261121)


@pytest.fixture
def problem(rng):
    """``problem(n, m)``: costs in [0, 1] and weights that sum to 1."""

    def make(n=23, m=31):
        C = rng.random((n, m))
        a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
        return C, a / a.sum(), b / b.sum()

    return make
