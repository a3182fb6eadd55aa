"""A bad matrix or preconditioner is refused before any product with one sentence, broken indices too."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hostile import N, refused, spd, with_entry
from krylov import METHODS, every_method
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from solvers import InvalidInput, UnsupportedType, linalg

BAD_MATRICES = [
    ("wide", InvalidInput, "(4, 5)", lambda: np.ones((N, 5))),
    ("tall", InvalidInput, "(5, 4)", lambda: np.ones((5, N))),
    ("one axis", InvalidInput, "(4,)", lambda: np.ones(N)),
    ("three axes", InvalidInput, "(4, 4, 1)", lambda: np.ones((N, N, 1))),
    ("0-d", InvalidInput, "()", lambda: np.array(2.0)),
    ("wide sparse", InvalidInput, "(4, 5)", lambda: sparse.csr_array(np.ones((N, 5)))),
    ("wide operator", InvalidInput, "(4, 5)", lambda: aslinearoperator(np.ones((N, 5)))),
    ("list", UnsupportedType, "list", lambda: [1.0, 2.0, 3.0, 4.0]),
    ("list of lists", UnsupportedType, "list", lambda: spd().tolist()),
    ("tuple of arrays", UnsupportedType, "tuple", lambda: tuple(spd())),
    ("str", UnsupportedType, "str", lambda: "poisson"),
    ("number", UnsupportedType, "float", lambda: 2.0),
    ("dict", UnsupportedType, "dict", lambda: {(0, 0): 1.0}),
    ("array of objects", UnsupportedType, "object", lambda: spd().astype(object)),
    ("array of words", UnsupportedType, "<U1", lambda: np.full((N, N), "a")),
    ("array of dates", UnsupportedType, "datetime64", lambda: np.zeros((N, N), dtype="datetime64[D]")),
    ("masked", UnsupportedType, "masked", lambda: np.ma.array(spd(), mask=spd() == 0)),
]


@every_method
@pytest.mark.parametrize("kind, shows, make", [pytest.param(*row[1:], id=row[0]) for row in BAD_MATRICES])
def test_a_bad_matrix_is_refused_with_one_sentence(solve, kind, shows, make):
    refused(solve, kind, "A", shows, make(), np.ones(N))


@every_method
@pytest.mark.parametrize("kind, shows, make", [pytest.param(*row[1:], id=row[0]) for row in BAD_MATRICES])
def test_a_bad_preconditioner_is_refused_with_one_sentence(solve, kind, shows, make):
    refused(solve, kind, "M", shows, spd(), np.ones(N), M=make())


@every_method
def test_no_matrix_is_refused_with_one_sentence(solve):
    refused(solve, UnsupportedType, "A", "NoneType", None, np.ones(N))


@every_method
@pytest.mark.parametrize("make", [np.eye, sparse.eye_array, lambda n: aslinearoperator(np.eye(n))])
def test_a_preconditioner_of_another_size_is_refused(solve, make):
    refused(solve, InvalidInput, "M", "(3, 3)", spd(), np.ones(N), M=make(3))


@every_method
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_a_complex_preconditioner_of_a_real_system_is_refused(solve, make):
    refused(solve, InvalidInput, "M", "real", spd(), np.ones(N), M=make(np.diag([1j, 1, 1, 1])))


@pytest.mark.parametrize("kind, shows, make", [pytest.param(*row[1:], id=row[0]) for row in BAD_MATRICES])
def test_prepare_refuses_a_bad_matrix_with_one_sentence(kind, shows, make):
    refused(lambda A, b: linalg.prepare(A), kind, "A", shows, make(), None)


def broken_csr(how, index=np.int32):
    A = sparse.csr_array(spd())
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    if how == "column too large":
        A.indices[1] = N
    elif how == "column far too large":
        A.indices[-1] = np.iinfo(np.int32).max
    elif how == "column negative":
        A.indices[2] = -1
    elif how == "column negative, 2^31 below":
        A.indices[2] = np.iinfo(np.int32).min
    elif how == "row pointers decreasing":
        A.indptr[2] = A.indptr[1] - 1
    elif how == "row pointers negative":
        A.indptr[1] = -1
    elif how == "row pointers beyond the entries":
        A.indptr[-1] += 5
    elif how == "row pointers beyond, in the middle":
        A.indptr[2] = 10**6
    elif how == "row pointers short of the entries":
        A.indptr[-1] -= 1
    elif how == "row pointers begin late":
        A.indptr[0] = 1
    elif how == "entries missing":
        A.data = A.data[:-2].copy()
    elif how == "indices missing":
        A.indices = A.indices[:-2].copy()
    return A


BROKEN = [
    "column too large",
    "column far too large",
    "column negative",
    "column negative, 2^31 below",
    "row pointers decreasing",
    "row pointers negative",
    "row pointers beyond the entries",
    "row pointers beyond, in the middle",
    "row pointers short of the entries",
    "row pointers begin late",
    "entries missing",
    "indices missing",
]


@every_method
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("how", BROKEN)
def test_a_csr_matrix_with_bad_indices_is_refused_with_one_sentence(solve, how, index):
    refused(solve, InvalidInput, "A", "index", broken_csr(how, index), np.ones(N))


@pytest.mark.parametrize("how", BROKEN)
def test_prepare_refuses_a_csr_matrix_with_bad_indices(how):
    with pytest.raises(InvalidInput, match="`A`.*index"):
        linalg.prepare(broken_csr(how))


@every_method
@pytest.mark.parametrize("how", ["column too large", "column negative", "row pointers decreasing"])
def test_a_preconditioner_with_bad_indices_is_refused_by_its_name(solve, how):
    refused(solve, InvalidInput, "M", "index", spd(), np.ones(N), M=broken_csr(how))


def test_a_large_int64_index_that_wraps_in_int32_is_refused():
    A = sparse.csr_array(spd())
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    A.indices[0] = 2**32  # 0 in 32 bits
    refused(linalg.cg, InvalidInput, "A", "index", A, np.ones(N))


def test_a_csc_or_coo_matrix_with_bad_indices_is_refused_and_does_not_crash():
    # In a process of its own: SciPy's conversion to CSR writes wherever such an index points.
    program = """
        import numpy as np, solvers
        from scipy import sparse
        from solvers import linalg
        refused = 0
        for make, part in ((sparse.csc_array, "indices"), (sparse.coo_array, "row"), (sparse.coo_array, "col")):
            for bad in (4, 10**9, -1, -(10**9)):
                A = make(2.0 * np.eye(4))
                old = getattr(A, part)
                if part == "indices":
                    old[1] = bad
                else:
                    A.coords[0 if part == "row" else 1][1] = bad
                try:
                    linalg.cg(A, np.ones(4))
                except solvers.InvalidInput as error:
                    refused += "`A`" in str(error)
        print(refused)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, "12"), run.stderr[-500:]


def test_bad_input_is_refused_before_any_product():
    products = []

    def matvec(v):
        products.append(v)
        return 2.0 * v

    A = LinearOperator((N, N), matvec=matvec, dtype=float)
    for options in ({"rtol": -1}, {"maxiter": 0}, {"x0": np.ones(3)}, {"M": "jacobi"}, {"callback": 1}):
        for solve in METHODS:
            with pytest.raises((InvalidInput, UnsupportedType)):
                solve(A, np.ones(N), **options)
    for solve in METHODS:
        with pytest.raises(InvalidInput):
            solve(A, with_entry(np.nan, 0))
    assert products == []


def test_bad_input_is_refused_before_any_product_with_a_function():
    products = []

    def A(v):
        products.append(v)
        return 2.0 * v

    for solve in METHODS:
        for b, options in ((np.ones(N), {"rtol": -1}), (np.ones(N), {"maxiter": 0}), (with_entry(np.nan, 0), {})):
            with pytest.raises(InvalidInput):
                solve(A, b, **options)
    assert products == []
