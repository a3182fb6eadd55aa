"""What the soak has found, each pinned by the smallest call that shows it."""

import numpy as np
import pytest
from scipy import sparse

from solvers import InvalidInput, UnsupportedType, inverse, pde, transport


def unsorted():
    """A CSR matrix of two rows, with a duplicate and columns out of order, whose rows sum to zero."""
    data, columns, ends = [1.0, -2.0, 1.0, -2.0, 2.0], [0, 1, 0, 0, 1], [0, 3, 5]
    return sparse.csr_array((np.array(data), np.array(columns), np.array(ends)), shape=(2, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: pde.nodes(np.ones((2, 3)), 4), UnsupportedType, "`box` must be a sequence of pairs"),
        (lambda: pde.nodes([(0, 1)], sparse.eye_array(3)), InvalidInput, "`n` must be"),
        (lambda: pde.solve_gp(np.ones((2, 2)), 1.0, [(0, 1)], 0), UnsupportedType, "`op` must be a mapping"),
        (lambda: pde.solve_gp({(2,): 1.0}, sparse.eye_array(3), [(0, 1)], 0), UnsupportedType, "`f` must be"),
        (lambda: pde.solve_gp({(2,): 1.0}, 1.0, [(0, 1)], sparse.eye_array(3)), UnsupportedType, r"`bc\[0, 0\]` must be"),
        (lambda: pde.solve_gp({(2,): 1.0}, 10**400, [(0, 1)], 0), InvalidInput, "`f` must be a number of double"),
        (lambda: pde.solve_gp({(2,): 1.0}, 10**5000, [(0, 1)], 0), InvalidInput, "`f` must be a number of double"),
        (lambda: pde.div_grad(10**400), UnsupportedType, "`a` must be a function"),
        (lambda: pde.advection(sparse.coo_array(np.ones(3))), UnsupportedType, "`b` must be a sequence"),
        (lambda: pde.advection([1.0] * 4), InvalidInput, "`b` must have 1, 2 or 3 entries"),
        (lambda: inverse.Inpainting([1, [2, 3]]), UnsupportedType, "`mask` must be an array"),
        (lambda: inverse.Downsampling(sparse.eye_array(3), 2), UnsupportedType, "`image_shape` must be"),
        (lambda: transport.pairwise_sliced_wasserstein(10**400), InvalidInput, "`clouds` must be"),
    ],
)
def test_a_value_of_many_lines_or_digits_is_refused_in_one_short_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
