"""Unusual but meaningful input is taken: every format, dtype, shape and number that has a meaning."""

import numpy as np
import pytest
from hostile import N, is_solution, solved, spd, table
from krylov import every_method
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from solvers import Status, linalg

FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]


@every_method
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_sparse_format_is_solved(solve, form, kind):
    A = getattr(sparse, f"{form}_{kind}")(spd())
    result = solved(solve, A, np.ones(N))
    assert is_solution(result, A, np.ones(N))


class ArrayLike:
    """As a pandas Series: an object that becomes an array when NumPy asks."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype)


GOOD_B = {
    "int64": np.arange(1, 5),
    "int8": np.arange(1, 5, dtype=np.int8),
    "uint8": np.arange(1, 5, dtype=np.uint8),
    "bool": np.array([True, False, True, True]),
    "float16": np.arange(1, 5, dtype=np.float16),
    "float32": np.arange(1, 5, dtype=np.float32),
    "longdouble": np.arange(1, 5, dtype=np.longdouble),
    "big-endian": np.arange(1, 5, dtype=">f8"),
    "objects that are numbers": np.array([1, 2.0, 3, 4], dtype=object),
    "list": [1.0, 2, 3, 4],
    "tuple": (1, 2, 3, 4),
    "range": range(1, 5),
    "column": np.arange(1.0, 5).reshape(N, 1),
    "numpy.matrix": np.asmatrix(np.arange(1.0, 5)).T,
    "strided": np.arange(8.0)[::2] + 1,
    "reversed view": np.arange(1.0, 5)[::-1],
    "read-only": np.broadcast_to(1.0, N),
    "unmasked masked array": np.ma.array(np.arange(1.0, 5)),
    "__array__": ArrayLike([1.0, 2.0, 3.0, 4.0]),
    "zeros": np.zeros(N),
    "negative zeros": -np.zeros(N),
    "denormal": np.full(N, 5e-324),
    "tiny": np.full(N, 1e-300),
    "huge": np.full(N, 1e300),
    "tiny and huge": np.array([1e-300, 1e300, 1, 0]),
}


@every_method
@pytest.mark.parametrize("b", GOOD_B.values(), ids=GOOD_B.keys())
def test_every_numeric_b_is_solved(solve, b):
    result = solved(solve, spd(), b)
    assert result.info == 0
    assert result.x.shape == (N,)


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, aslinearoperator])
def test_a_complex_b_of_a_real_matrix_gives_a_complex_x(solve, storage):
    A, b = spd(), np.array([1, 1j, -1, 2 - 1j])
    result = solved(solve, storage(A), b, rtol=1e-10)
    assert result.x.dtype == complex
    assert is_solution(result, A, b, 1e-10)


@every_method
def test_a_complex_b_of_long_doubles_is_solved(solve):
    b = np.array([1, 1j, -1, 2], dtype=np.clongdouble)
    assert is_solution(solved(solve, spd(), b), spd(), b)


GOOD_A = {
    "int64": spd(dtype=int),
    "int8": spd(dtype=np.int8),
    "bool": np.eye(N, dtype=bool),
    "float16": spd(dtype=np.float16),
    "float32": spd(dtype=np.float32),
    "longdouble": spd(dtype=np.longdouble),
    "clongdouble": spd(dtype=np.clongdouble),
    "big-endian": spd(dtype=">f8"),
    "Fortran order": np.asfortranarray(np.diag([1.0, 2, 3, 4])),
    "strided view": np.kron(spd(), np.ones((2, 2)))[::2, ::2],
    "transposed": spd().T,
    "read-only": np.broadcast_to(np.eye(N), (N, N)),
    "numpy.matrix": np.asmatrix(spd()),
    "unmasked masked array": np.ma.array(spd()),
    "sparse int64": sparse.csr_array(spd(dtype=int)),
    "sparse bool": sparse.eye_array(N, dtype=bool, format="csr"),
    "sparse longdouble": sparse.csr_array(spd(dtype=np.longdouble)),
    "huge entries": spd() * 1e200,
    "tiny entries": spd() * 1e-200,
}


@every_method
@pytest.mark.parametrize("A", GOOD_A.values(), ids=GOOD_A.keys())
def test_every_numeric_matrix_is_solved(solve, A):
    assert solved(solve, A, np.ones(N)).info == 0


@every_method
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_csr_matrix_of_either_index_width_is_solved(solve, index):
    A = sparse.csr_array(spd())
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    assert is_solution(solved(solve, A, np.ones(N)), A, np.ones(N))


def uncanonical():
    """Columns out of order, an entry in two halves, a stored zero."""
    data = [-1.0, 1.0, 1.0, 2.0, -1.0, -1.0, 2.0, -1.0, -1.0, 2.0, 0.0, -1.0]
    indices = [1, 0, 0, 1, 0, 2, 2, 1, 3, 3, 0, 2]
    return sparse.csr_array((data, indices, [0, 3, 6, 9, 12]), shape=(N, N))


@every_method
def test_a_csr_matrix_with_duplicates_and_unsorted_columns_is_solved(solve):
    A = uncanonical()
    assert not A.has_canonical_format
    assert np.array_equal(A.toarray(), spd())
    assert is_solution(solved(solve, A, np.ones(N), rtol=1e-10), spd(), np.ones(N), 1e-10)


@every_method
def test_a_coo_matrix_with_duplicates_is_left_alone_and_solved(solve):
    A = sparse.coo_array(([1.0, 1.0, 2.0, 3.0, 4.0], ([0, 0, 1, 2, 3], [0, 0, 1, 2, 3])), shape=(N, N))
    result = solved(solve, A, np.ones(N), rtol=1e-10)
    assert A.nnz == 5
    assert np.allclose(result.x, [1 / 2, 1 / 2, 1 / 3, 1 / 4])


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, aslinearoperator])
def test_an_empty_system_has_an_empty_solution(solve, storage):
    result = solved(solve, storage(np.zeros((0, 0))), np.zeros(0))
    assert result.info == 0
    assert result.x.shape == (0,)


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, aslinearoperator])
def test_a_system_of_one_unknown_is_solved_in_one_iteration(solve, storage):
    result = solved(solve, storage(np.array([[4.0]])), np.array([2.0]))
    assert (result.x.tolist(), result.iterations) == ([0.5], 1)


@every_method
def test_no_right_hand_sides_give_no_solutions(solve):
    result = solve(spd(), np.ones((N, 0)))
    assert result.x.shape == (N, 0)
    assert result.info == 0


GOOD_OPTIONS = [
    ("rtol=inf", {"rtol": np.inf}),
    ("atol=inf", {"atol": np.inf}),
    ("rtol=0", {"rtol": 0, "atol": 0}),
    ("rtol=float32", {"rtol": np.float32(1e-3)}),
    ("rtol=0-d array", {"rtol": np.array(1e-3)}),
    ("rtol=1", {"rtol": 1}),
    ("atol=1e-300", {"atol": 1e-300}),
    ("maxiter=1e3", {"maxiter": 1e3}),
    ("maxiter=int8", {"maxiter": np.int8(100)}),
    ("maxiter=10**30", {"maxiter": 10**30}),
    ("x0 of ints", {"x0": np.arange(N)}),
    ("x0 of one column", {"x0": np.ones((N, 1))}),
    ("x0 as a list", {"x0": [1, 2, 3, 4]}),
    ("x0 = Mb", {"x0": "Mb"}),
    ("x0 = Mb with M", {"x0": "Mb", "M": 0.5 * np.eye(N)}),
    ("x0 read-only", {"x0": np.broadcast_to(1.0, N)}),
    ("M of ints", {"M": np.eye(N, dtype=int)}),
    ("M as a function", {"M": lambda v: 0.5 * v}),
    ("M diagonal", {"M": sparse.diags_array(np.full(N, 0.5))}),
    ("M lil", {"M": sparse.lil_array(0.5 * np.eye(N))}),
    ("M an operator", {"M": aslinearoperator(0.5 * np.eye(N))}),
    ("M prepared", {"M": linalg.prepare(0.5 * np.eye(N))}),
    ("restart=1", {"restart": 1}),
    ("restart=10**6", {"restart": 10**6}),
    ("shift=-1", {"shift": -1}),
]


@pytest.mark.parametrize("solve, options", table(GOOD_OPTIONS))
def test_an_unusual_but_meaningful_option_is_taken(solve, options):
    options = {"maxiter": 200, **options}
    result = solved(solve, spd(), np.arange(1.0, 5), **options)
    assert result.status in (Status.CONVERGED, Status.STAGNATED)


@every_method
def test_a_real_x0_of_a_complex_system_is_taken(solve):
    b = np.array([1, 1j, 2, -1j])
    assert is_solution(solved(solve, spd(dtype=complex), b, x0=np.ones(N)), spd(), b)
