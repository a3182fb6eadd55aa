"""Which rows of a matrix a rank gives to PETSc, and their entries; none of it needs PETSc."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from solvers import InvalidInput, UnsupportedType, linalg
from solvers.linalg._petsc_rows import check_layout, for_petsc, own_rows, rows_of

FLOAT, INT = np.float64, np.int32
KINDS = "csr", "csc", "coo", "bsr", "lil", "dia"
STENCILS = [
    ((5,), [2, -1]),
    ((1,), [2, 3]),
    ((4, 3), [4, -1, -2]),
    ((3, 1, 4), [6, -1, -2, -3]),
    ((2, 4, 3), [6, -1, -2, -3]),
]


@pytest.mark.parametrize("made", [np.asarray, linalg.prepare, *(getattr(scipy.sparse, f"{k}_array") for k in KINDS)])
def test_the_rows_of_a_matrix_are_taken_of_the_whole_or_as_they_are(made):
    whole = np.arange(20.0).reshape(5, 4)[:, [0, 1, 2, 3, 0]]
    for begin, end in [(0, 5), (1, 3), (4, 4)]:
        given = [whole] if made is linalg.prepare else [whole, whole[begin:end]]
        for A in given:
            assert np.array_equal(rows_of(made(A), begin, end).toarray(), whole[begin:end])


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr"])
@pytest.mark.parametrize("n_rows", [2, 6])
def test_index_arrays_that_do_not_fit_are_refused(kind, n_rows):
    for spoil in (
        lambda A: A.indices.__setitem__(1, 6),
        lambda A: A.indices.__setitem__(1, -1),
        lambda A: A.indptr.__setitem__(1, A.indptr[-1] + 1),
        lambda A: A.indptr.__setitem__(0, 1),
    ):
        A = scipy.sparse.csr_array(np.ones((n_rows, 6)))
        A = A.tobsr((2, 2)) if kind == "bsr" else A.asformat(kind)
        rows_of(A, 0, n_rows)
        spoil(A)
        with pytest.raises(InvalidInput, match="index arrays that fit its shape"):
            rows_of(A, 0, n_rows)


@pytest.mark.parametrize("shape, weights", STENCILS)
def test_the_rows_of_a_stencil_are_those_of_its_products(shape, weights):
    A = linalg.stencil(shape, weights)
    n = A.shape[0]
    for begin, end in [(0, n), (n // 3, n), (0, 0), (n - 1, n)]:
        rows = rows_of(A, begin, end)
        assert np.array_equal(rows.toarray(), (A @ np.eye(n))[begin:end])
        assert np.count_nonzero(rows.data == 0) == 0


@pytest.mark.parametrize("grid", [(4, 5), (3, 4, 2), (1, 6)])
def test_the_rows_of_a_grid_operator_are_those_of_its_products(grid):
    rng = np.random.default_rng(0)
    faces = [rng.random(tuple(size - (axis == k) for k, size in enumerate(grid))) for axis in range(len(grid))]
    M = linalg.MultigridPreconditioner().setup(faces=faces, boundary=rng.random(grid), mask=rng.random(grid) > 0.2)
    A, n = M.operator, int(np.prod(grid))
    for begin, end in [(0, n), (2, n - 1)]:
        assert np.array_equal(rows_of(A, begin, end).toarray(), (A @ np.eye(n))[begin:end])


@pytest.mark.parametrize("n, size", [(7, 3), (2, 5), (6, 2), (0, 2), (100_000, 1)])
def test_without_rows_the_ranks_share_them_as_petsc_does(n, size):
    A = scipy.sparse.csr_array((n, n))
    parts = [own_rows(A, None, rank, size) for rank in range(size)]
    check_layout(parts)
    assert [end - begin for begin, end, _ in parts] == [n // size + (rank < n % size) for rank in range(size)]


def test_a_stencil_of_any_size_costs_a_rank_its_rows_alone():
    A = linalg.stencil((2**24, 2**20), [4, -1, -1])
    begin, end, _ = own_rows(A, (2**40, 2**40 + 3), 1, 4)
    rows = rows_of(A, begin, end)
    assert rows.shape == (3, 2**44)
    assert rows.indices.tolist()[:4] == [2**40 - 2**20, 2**40, 2**40 + 1, 2**40 + 2**20]


@pytest.mark.parametrize(
    "parts, words",
    [
        ([(0, 4, 8), (4, 8, 9)], "as many columns on every rank, got 8 on rank 0, 9 on 1"),
        ([(0, 5, 8), (4, 8, 8)], "begin at 5 on rank 1"),
        ([(0, 3, 8), (4, 8, 8)], "begin at 3 on rank 1"),
        ([(1, 8, 8)], "begin at 0 on rank 0"),
        ([(0, 4, 8), (4, 7, 8)], "all 8 rows of `A` on the ranks together, got the first 7"),
    ],
)
def test_rows_that_are_not_those_of_one_matrix_are_refused(parts, words):
    with pytest.raises(InvalidInput, match=words):
        check_layout(parts)


@pytest.mark.parametrize(
    "A, rows, words",
    [
        (np.ones((3, 4)), None, "square, got shape"),
        (np.ones((3, 4)), (0, 2), "the 2 rows that `rows` says, or all 4"),
        (np.ones((4, 4)), (3, 2), "0 <= begin <= end <= 4"),
        (np.ones((4, 4)), (0, 5), "0 <= begin <= end <= 4"),
        (np.ones((4, 4)), (-1, 4), "must be >= 0, got -1"),
        (np.ones((4, 4)), 3, r"must be \(begin, end\)"),
        (LinearOperator((2, 4), matvec=np.sum, dtype=float), (0, 2), "all 4, got shape"),
    ],
)
def test_rows_that_do_not_fit_the_matrix_are_refused(A, rows, words):
    with pytest.raises((InvalidInput, UnsupportedType), match=words) as caught:
        own_rows(A, rows, 0, 1)
    assert str(caught.value).endswith(".") and str(caught.value).count(". ") == 0


def test_what_petsc_cannot_hold_is_refused():
    A = scipy.sparse.csr_array(np.eye(3))
    with pytest.raises(UnsupportedType, match="real for this PETSc, whose scalars are float64, got complex128"):
        for_petsc(A * 1j, FLOAT, INT)
    with pytest.raises(InvalidInput, match="at most 127 rows, and stored entries on a rank, .* got 200"):
        for_petsc(scipy.sparse.eye_array(200, format="csr"), FLOAT, np.int8)
    data = for_petsc(A.astype(np.int64), np.complex64, np.int64)
    assert [each.dtype for each in data] == [np.int64, np.int64, np.complex64]


def test_duplicates_are_summed_and_left_as_they_are():
    A = scipy.sparse.csr_array((np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3, 3, 3])), shape=(3, 3))
    indptr, indices, data = for_petsc(A, FLOAT, INT)
    assert (indptr.tolist(), indices.tolist(), data.tolist()) == ([0, 2, 2, 2], [0, 2], [2.0, 4.0])
    assert A.indices.tolist() == [2, 0, 2] and A.data.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_entry_that_is_not_finite_is_refused_with_its_place(value):
    A = np.eye(4)
    A[2, 1] = value
    with pytest.raises(InvalidInput, match=rf"`A` must be finite, got 1 .*\({value}\) in row 1 .* column 1\."):
        for_petsc(rows_of(scipy.sparse.csr_array(A), 1, 4), FLOAT, INT)
