"""What preconditioners and ``solve`` do with inputs that are broken, extreme, or other operators of this library."""

import numpy as np
import pytest
import scipy.sparse as sp

from solvers import InvalidInput, linalg

MAKERS = {
    "multigrid": lambda A: linalg.MultigridPreconditioner().setup(A, grid=(12, 11)),
    "amg": linalg.amg,
    "coarse": lambda A: linalg.CoarseSpace(k=2, rng=0).fit(A),
    "solve": lambda A: linalg.solve(A, np.ones(A.shape[0])),
}


def laplacian(ny=12, nx=11):
    def line(n):
        return sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))

    return sp.csr_array(sp.kronsum(line(nx), line(ny)))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("part, value", [("indices", 5000), ("indptr", 10**6)])
def test_index_arrays_that_point_elsewhere_are_refused(maker, part, value):
    A = laplacian()
    getattr(A, part)[7] = value  # SciPy and the compiled loops would read or write memory of others
    with pytest.raises(InvalidInput, match="index out of range"):
        MAKERS[maker](A)
