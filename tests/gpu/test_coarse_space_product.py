"""Products with a learned coarse space on the (emulated) device."""

import numpy as np
import pytest
from scipy import sparse

from solvers import UnsupportedType, linalg


def poisson(m):
    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    return sparse.csr_array(sparse.kronsum(line, line))


def test_a_product_is_the_cpus_and_a_foreign_base_is_refused(emulated):
    A, v = poisson(9), np.random.default_rng(0).standard_normal(81)
    M = linalg.CoarseSpace(k=3, rng=0).fit(A)
    z = M @ emulated.asarray(v)
    assert type(z).__module__.startswith("cupy") and np.allclose(z.get(), M @ v, rtol=1e-12, atol=1e-12)
    foreign = linalg.CoarseSpace(k=3, base=lambda A: sparse.diags_array(1 / A.diagonal()), rng=0).fit(A)
    with pytest.raises(UnsupportedType, match="`base`"):
        foreign @ emulated.asarray(v)
