"""What solve asks of a sparse matrix before it chooses, against the same question to its dense form."""

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.linalg._null_space import null_space_of_sparse
from solvers.linalg._operator import analyse

EPS = np.finfo(float).eps


def is_hermitian(A):
    return analyse(A).is_hermitian(np.result_type(A.dtype, float), "cpu")


def arranged(A, how):
    """The same matrix: its entries in another order, given in two parts, or with zeros stored on one side."""
    A = sp.csr_array(A)
    if how == "unsorted":
        return backwards(A)
    if how == "twice":
        share = np.where(A.tocoo().row < A.indices, 0.25, 0.75)
        data = np.column_stack([A.data * share, A.data * (1 - share)]).ravel()
        return sp.csr_array((data, np.repeat(A.indices, 2), 2 * A.indptr), A.shape)
    if how == "zeros":
        return sp.csr_array((np.append(A.data, 0), np.append(A.indices, 0), [*A.indptr[:-1], A.nnz + 1]), A.shape)
    return A


def backwards(A):
    """Each row from its end."""
    order = np.concatenate([np.arange(b, a, -1) - 1 for a, b in zip(A.indptr[:-1], A.indptr[1:])])
    return sp.csr_array((A.data[order], A.indices[order], A.indptr), A.shape)


@pytest.mark.parametrize("how", ["plain", "unsorted", "twice", "zeros"])
@pytest.mark.parametrize("dtype", ["d", "D", "i"])
def test_a_matrix_is_hermitian_up_to_eight_roundings_of_its_largest_entry(how, dtype):
    rng = np.random.default_rng(0)
    A = rng.integers(1, 9, (12, 12)) * (rng.random((12, 12)) < 0.3) + 9 * np.eye(12)
    A = (A + 1j * np.triu(A, 1)).astype(dtype) if dtype == "D" else A.astype(dtype)
    symmetric = A + A.conj().T
    assert is_hermitian(arranged(symmetric, how))
    assert not is_hermitian(arranged(A, how))
    at = tuple(np.argwhere(np.triu(symmetric, 1))[0])
    if dtype != "i":
        for gap, expected in ((4 * EPS, True), (16 * EPS, False)):
            near = symmetric.copy()
            near[at] += gap * abs(symmetric).max()
            assert is_hermitian(arranged(near, how)) == expected
        symmetric[at] = np.nan
        assert not is_hermitian(arranged(symmetric, how))
    if dtype == "D":
        assert not is_hermitian(arranged(A + A.T, how))  # symmetric is something else


def test_equal_entries_in_other_places_are_not_hermitian():
    assert not is_hermitian(sp.csr_array(np.roll(np.eye(5), 1, axis=1)))
    assert is_hermitian(sp.csr_array(np.eye(5)[::-1]))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("how", ["plain", "unsorted", "twice", "zeros"])
def test_constants_on_closed_components_are_found_in_any_form(how, index):
    """A row of zeros, two closed chains, one with a leak, and an unknown of its own."""
    chain = np.diag([1.0, 2, 2, 1]) - np.eye(4, k=1) - np.eye(4, k=-1)
    A = np.zeros((14, 14))
    A[1:5, 1:5], A[5:9, 5:9], A[9:13, 9:13], A[13, 13] = chain, chain, chain, 3
    A[9, 9] += 1e-3
    A = arranged(A, how)
    A.indptr, A.indices = A.indptr.astype(index), A.indices.astype(index)
    found = null_space_of_sparse(A, A.dtype)
    assert found.labels.tolist() == [1] + [2] * 4 + [3] * 4 + [0] * 5
    assert null_space_of_sparse(arranged(np.diag([2.0, 1, 1]) - 0.5 * np.eye(3, k=1), how), A.dtype) is None


def test_a_zero_that_is_stored_connects_nothing():
    A = sp.csr_array(np.array([[1.0, -1, 1], [-1, 1, 0], [1, 0, 2]]))
    A.data[A.data == 1] = [1, 0, 1, 0]
    assert null_space_of_sparse(A, A.dtype).labels.tolist() == [1, 1, 0]
