"""Hostile input: refused before any work with one sentence, or solved with a finite x and a named status."""

import inspect
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from solvers import InvalidInput, Status, UnsupportedType, linalg

METHODS = [linalg.cg, linalg.minres, linalg.bicgstab, linalg.gmres]
FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]

N = 4
every_method = pytest.mark.parametrize("solve", METHODS, ids=lambda f: f.__name__)


def spd(n=N, dtype=float):
    """2 on the diagonal, -1 beside it."""
    return (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)).astype(dtype)


def with_entry(value, at, n=N, dtype=float):
    b = np.ones(n, dtype=dtype)
    b[at] = value
    return b


def arrays_of(value):
    """The memory of an argument: its own array, or the parts of a sparse one."""
    if isinstance(value, np.ndarray):
        return [value]
    if sparse.issparse(value):
        parts = [getattr(value, name, None) for name in ("data", "indices", "indptr", "row", "col", "offsets")]
        return [p for p in parts if isinstance(p, np.ndarray)]
    return []


def photograph(value):
    if sparse.issparse(value) and value.format in ("lil", "dok"):
        return value.toarray().tobytes()
    if isinstance(value, list | tuple | dict | set | str | bytes):
        return repr(value)
    return [(a.shape, a.dtype, repr(a.tolist()) if a.dtype.kind in "OV" else a.tobytes()) for a in arrays_of(value)]


def refused(solve, kind, name, shows, A, b, **options):
    """Assert that the call raises ``kind`` with one sentence about `name`, and that nothing was written to."""
    given = {"A": A, "b": b, **options}
    before = {key: photograph(value) for key, value in given.items()}
    with pytest.raises(kind) as caught:
        solve(A, b, **options)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert f"`{name}`" in message
    assert shows in message
    assert is_one_sentence(message), message
    assert {key: photograph(value) for key, value in given.items()} == before


def is_one_sentence(message):
    return (
        message.endswith(".")
        and not message.endswith("..")
        and "\n" not in message
        and re.search(r"[.!?]\s+[A-Z`]", message) is None
        and (message[0].isupper() or message[0] == "`")
    )


def solved(solve, A, b, **options):
    """Assert what holds for every call that is taken: a named status, finite numbers, inputs left alone."""
    given = {"A": A, "b": b, **options}
    before = {key: photograph(value) for key, value in given.items()}
    result = solve(A, b, **options)
    assert isinstance(result.status, Status)
    assert (result.info == 0) == (result.status is Status.CONVERGED)
    assert np.isfinite(result.x).all()
    assert not np.isnan(result.residuals).any() and np.isfinite(result.residual)
    assert {key: photograph(value) for key, value in given.items()} == before
    for value in given.values():
        assert not any(np.shares_memory(result.x, part) for part in arrays_of(value) if part.dtype.kind != "O")
    return result


def is_solution(result, A, b, rtol=1e-4):
    A = A.toarray() if sparse.issparse(A) else np.asarray(A)
    A, b = (v.astype(complex if v.dtype.kind == "c" else float) for v in (A, np.ravel(np.asarray(b))))
    return result.info == 0 and np.linalg.norm(b - A @ result.x) <= rtol * np.linalg.norm(b)



def takes(solve, options):
    return set(options) <= set(inspect.signature(solve).parameters)


def table(rows):
    """Each row for each method that has its options."""
    return [
        pytest.param(solve, *row[1:], id=f"{row[0]}-{solve.__name__}")
        for row in rows
        for solve in METHODS
        if takes(solve, row[-1])
    ]


# ------------------------------------------------------------------------------------------------ refused: b

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


# ----------------------------------------------------------------------------------------------- refused: x0

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


# -------------------------------------------------------------------------------------- refused: the numbers

BAD_OPTIONS = [
    (f"{name}={value!r}", kind, name, shows, {name: value})
    for name in ("rtol", "atol")
    for kind, shows, value in [
        (InvalidInput, "-1e-05", -1e-5),
        (InvalidInput, "-inf", -np.inf),
        (InvalidInput, "nan", np.nan),
        (InvalidInput, "None", None),
        (InvalidInput, "'legacy'", "legacy"),
        (InvalidInput, "'1e-5'", "1e-5"),
        (UnsupportedType, "1j", 1j),
        (UnsupportedType, "True", True),
        (UnsupportedType, "list [1e-05]", [1e-5]),
        (UnsupportedType, "ndarray", np.array([1e-5])),
        (UnsupportedType, "dict", {}),
    ]
] + [
    ("maxiter=0", InvalidInput, "maxiter", "got 0", {"maxiter": 0}),
    ("maxiter=-3", InvalidInput, "maxiter", "got -3", {"maxiter": -3}),
    ("maxiter=2.5", UnsupportedType, "maxiter", "2.5", {"maxiter": 2.5}),
    ("maxiter='10'", UnsupportedType, "maxiter", "'10'", {"maxiter": "10"}),
    ("maxiter=nan", UnsupportedType, "maxiter", "nan", {"maxiter": float("nan")}),
    ("maxiter=inf", UnsupportedType, "maxiter", "inf", {"maxiter": float("inf")}),
    ("maxiter=True", UnsupportedType, "maxiter", "True", {"maxiter": True}),
    ("maxiter=[3]", UnsupportedType, "maxiter", "[3]", {"maxiter": [3]}),
    ("callback=3", UnsupportedType, "callback", "3", {"callback": 3}),
    ("callback='print'", UnsupportedType, "callback", "'print'", {"callback": "print"}),
    ("callback=[print]", UnsupportedType, "callback", "list", {"callback": [print]}),
    ("callback=(3,)", UnsupportedType, "callback", "3", {"callback": (3,)}),
    ("shift=nan", InvalidInput, "shift", "nan", {"shift": np.nan}),
    ("shift=inf", InvalidInput, "shift", "inf", {"shift": np.inf}),
    ("shift=1j", UnsupportedType, "shift", "1j", {"shift": 1j}),
    ("shift=None", UnsupportedType, "shift", "None", {"shift": None}),
    ("shift='1'", UnsupportedType, "shift", "'1'", {"shift": "1"}),
    ("show='yes'", UnsupportedType, "show", "'yes'", {"show": "yes"}),
    ("check=1", UnsupportedType, "check", "1", {"check": 1}),
    ("restart=0", InvalidInput, "restart", "got 0", {"restart": 0}),
    ("restart=-1", InvalidInput, "restart", "got -1", {"restart": -1}),
    ("restart=2.5", UnsupportedType, "restart", "2.5", {"restart": 2.5}),
    ("restart='20'", UnsupportedType, "restart", "'20'", {"restart": "20"}),
    ("callback_type='norm'", InvalidInput, "callback_type", "'norm'", {"callback_type": "norm"}),
    ("callback_type=1", InvalidInput, "callback_type", "got int 1", {"callback_type": 1}),
]


@pytest.mark.filterwarnings("ignore:gmres called without:DeprecationWarning")
@pytest.mark.parametrize("solve, kind, name, shows, options", table(BAD_OPTIONS))
def test_a_bad_option_is_refused_with_one_sentence(solve, kind, name, shows, options):
    refused(solve, kind, name, shows, spd(), np.ones(N), **options)


@every_method
@pytest.mark.parametrize("misspelt", ["tol", "rtoll", "max_iter", "precond", "verbose", "X0"])
def test_a_misspelt_keyword_is_named_by_python(solve, misspelt):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{misspelt}'"):
        solve(spd(), np.ones(N), **{misspelt: 1})


@every_method
def test_a_positional_tolerance_is_a_type_error(solve):
    with pytest.raises(TypeError, match="positional"):
        solve(spd(), np.ones(N), None, 1e-5)


@every_method
def test_a_missing_b_is_a_type_error(solve):
    with pytest.raises(TypeError, match="'b'"):
        solve(spd())


def test_minres_has_no_atol_as_in_scipy():
    with pytest.raises(TypeError, match="atol"):
        linalg.minres(spd(), np.ones(N), atol=1e-5)


# --------------------------------------------------------------------------------------------- refused: A, M

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


# ------------------------------------------------------------------------------------------------- accepted


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


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, aslinearoperator])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_matrix_with_a_nan_or_inf_is_nonfinite_with_a_finite_x(solve, value, storage):
    A = spd()
    A[1, 2] = A[2, 1] = value
    result = solved(solve, storage(A), np.ones(N))
    assert result.status is Status.NONFINITE


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_a_complex_matrix_with_a_nan_is_nonfinite_with_a_finite_x(solve, storage):
    A = spd(dtype=complex)
    A[1, 2], A[2, 1] = complex(0, np.nan), complex(0, np.nan)
    assert solved(solve, storage(A), np.ones(N)).status is Status.NONFINITE


@every_method
def test_of_x0_and_zero_the_better_comes_back_from_a_nonfinite_matrix(solve):
    A = spd()
    A[0, 1] = A[1, 0] = np.nan
    result = solved(solve, A, np.ones(N), x0=np.full(N, 1e6))
    assert result.status is Status.NONFINITE
    assert np.array_equal(result.x, np.zeros(N))
    assert result.residual == np.linalg.norm(np.ones(N))


@every_method
def test_a_matrix_with_nan_among_many_right_hand_sides_is_nonfinite_in_each(solve):
    A = spd()
    A[1, 2] = A[2, 1] = np.nan
    result = solve(sparse.csr_array(A), np.arange(1.0, 9).reshape(N, 2))
    assert set(result.status) == {Status.NONFINITE}
    assert np.isfinite(result.x).all() and not np.isnan(result.residuals).any()


@every_method
def test_the_zero_matrix_ends_with_a_name_and_a_finite_x(solve):
    result = solved(solve, np.zeros((N, N)), np.ones(N))
    assert result.info < 0
    assert result.residual == 2.0


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


# ------------------------------------------------------------------------------------------ preconditioners


@every_method
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_a_zero_preconditioner_ends_with_a_name_and_a_finite_x(solve, make):
    result = solved(solve, spd(), np.ones(N), M=make(np.zeros((N, N))))
    assert result.info < 0
    assert result.residual <= np.linalg.norm(np.ones(N))


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres], ids=lambda f: f.__name__)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_an_indefinite_preconditioner_is_named_or_converges(solve, make):
    result = solved(solve, spd(), np.array([1.0, 2, 3, 5]), M=make(np.diag([1.0, -1.0, 1.0, -1.0])))
    assert result.status in (Status.INDEFINITE, Status.CONVERGED)


@pytest.mark.parametrize("solve", [linalg.bicgstab, linalg.gmres], ids=lambda f: f.__name__)
def test_an_indefinite_preconditioner_is_no_obstacle_to_the_general_methods(solve):
    b = np.array([1.0, 2, 3, 5])
    assert is_solution(solved(solve, spd(), b, M=np.diag([1.0, -1.0, 1.0, -1.0])), spd(), b)


@every_method
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_a_preconditioner_with_nan_is_nonfinite_with_a_finite_x(solve, make):
    M = np.diag([1.0, np.nan, 1.0, 1.0])
    assert solved(solve, spd(), np.ones(N), M=make(M)).status is Status.NONFINITE


@every_method
def test_a_preconditioner_that_returns_the_wrong_shape_is_refused(solve):
    with pytest.raises(InvalidInput) as caught:
        solve(spd(), np.ones(N), M=lambda v: v[:-1])
    assert is_one_sentence(str(caught.value))
    assert "(3,)" in str(caught.value)


@every_method
def test_an_exception_of_the_preconditioner_propagates_unchanged(solve):
    error = KeyError("mine")

    def M(v):
        raise error

    with pytest.raises(KeyError) as caught:
        solve(spd(), np.ones(N), M=M)
    assert caught.value is error


@every_method
def test_a_preconditioner_that_gives_complex_products_for_a_real_system_is_refused(solve):
    with pytest.raises(InvalidInput, match="`M`.*real.*complex") as caught:
        solve(spd(), np.ones(N), M=lambda v: v * 1j)
    assert is_one_sentence(str(caught.value))


@every_method
def test_a_preconditioner_that_writes_to_its_input_does_not_hurt_the_caller(solve):
    def M(v):
        v *= 0.5
        return v

    solved(solve, spd(), np.ones(N), M=M)


# ------------------------------------------------------------------------------------------------ operators


def operator(matvec, dtype=float, n=N):
    return LinearOperator((n, n), matvec=matvec, dtype=dtype)


@every_method
@pytest.mark.parametrize(
    "product, shows",
    [
        (lambda v: v[:-1], "(3,)"),
        (lambda v: np.append(v, 1.0), "(5,)"),
        (lambda v: np.outer(v, v), "(4, 4)"),
        (lambda v: v.reshape(1, -1), "(1, 4)"),
        (lambda v: 1.0, "()"),
        (lambda v: v.reshape(2, 2), "(2, 2)"),
    ],
    ids=["short", "long", "square", "row", "number", "two by two"],
)
def test_an_operator_that_returns_the_wrong_shape_is_refused(solve, product, shows):
    for A in (operator(product), product):
        with pytest.raises(InvalidInput) as caught:
            solve(A, np.ones(N))
        assert shows in str(caught.value)
        assert is_one_sentence(str(caught.value))


@every_method
@pytest.mark.parametrize("product", [lambda v: None, lambda v: "abcd", lambda v: v.astype(str)])
def test_an_operator_that_returns_no_numbers_is_refused(solve, product):
    for A in (operator(product), product):
        with pytest.raises((InvalidInput, UnsupportedType)) as caught:
            solve(A, np.ones(N))
        assert is_one_sentence(str(caught.value))


@every_method
@pytest.mark.parametrize("raised_at", [1, 2, 3])
def test_an_exception_of_the_operator_propagates_unchanged(solve, raised_at):
    error = ZeroDivisionError("mine")
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        if count == raised_at:
            raise error
        return spd() @ v

    with pytest.raises(ZeroDivisionError) as caught:
        solve(operator(matvec), np.arange(1.0, 5), rtol=1e-12)
    assert caught.value is error


@every_method
def test_a_stop_iteration_of_the_operator_does_not_pass_for_an_answer(solve):
    def matvec(v):
        raise StopIteration

    with pytest.raises((StopIteration, RuntimeError)):
        solve(operator(matvec), np.ones(N))


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("midway", [1, 2, 3, 5])
def test_an_operator_that_returns_nan_midway_is_nonfinite_with_a_finite_x(solve, midway, value):
    n, count = 12, 0

    def matvec(v):
        nonlocal count
        count += 1
        return spd(n) @ v if count < midway else np.full(n, value)

    result = solved(solve, operator(matvec, n=n), np.arange(1.0, n + 1), rtol=1e-12)
    assert result.status is Status.NONFINITE


@every_method
def test_an_operator_that_fails_late_keeps_a_finite_iterate_no_worse_than_zero(solve):
    n, count = 12, 0
    b = np.arange(1.0, n + 1)

    def matvec(v):
        nonlocal count
        count += 1
        return spd(n) @ v if count != 6 else np.full(n, np.nan)

    result = solved(solve, operator(matvec, n=n), b, rtol=1e-12)
    assert result.status is Status.NONFINITE
    assert result.residual <= np.linalg.norm(b)
    assert np.linalg.norm(b - spd(n) @ result.x) == pytest.approx(result.residual)


@every_method
def test_an_operator_of_real_dtype_with_complex_products_is_refused(solve):
    with pytest.raises(InvalidInput, match="`A`.*real.*complex") as caught:
        solve(operator(lambda v: v * (1 + 1j)), np.ones(N))
    assert is_one_sentence(str(caught.value))


@every_method
def test_an_operator_that_returns_its_own_input_is_the_identity(solve):
    b = np.arange(1.0, 5)
    for A in (operator(lambda v: v), lambda v: v):
        result = solved(solve, A, b)
        assert np.allclose(result.x, b)
        assert result.iterations == 1


@every_method
def test_an_operator_that_returns_one_buffer_each_time_is_solved(solve):
    buffer = np.empty(N)

    def matvec(v):
        np.matmul(spd(), v, out=buffer)
        return buffer

    b = np.arange(1.0, 5)
    result = solved(solve, operator(matvec), b, rtol=1e-10)
    assert is_solution(result, spd(), b, 1e-10)
    assert not np.shares_memory(result.x, buffer)


@every_method
@pytest.mark.parametrize("x0", [None, np.arange(4.0)])
def test_an_operator_that_writes_to_its_input_never_writes_to_the_callers_arrays(solve, x0):
    def matvec(v):
        y = spd() @ v
        v[:] = 0
        return y

    result = solved(solve, operator(matvec), np.arange(1.0, 5), x0=x0)
    assert result.info != 0 or is_solution(result, spd(), np.arange(1.0, 5))


@every_method
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "product",
    [
        lambda v: (spd() @ v).tolist(),
        lambda v: (spd() @ v).reshape(-1, 1),
        lambda v: (spd() @ v).astype(np.longdouble),
        lambda v: np.asmatrix(spd() @ v).T,
        lambda v: (spd() @ v).astype(">f8"),
    ],
    ids=["list", "column", "longdouble", "numpy.matrix", "big-endian"],
)
def test_an_operator_that_returns_an_unusual_vector_is_solved(solve, product):
    b = np.arange(1.0, 5)
    for A in (operator(product), product):
        assert is_solution(solved(solve, A, b, rtol=1e-8), spd(), b, 1e-8)


@every_method
def test_an_operator_without_a_dtype_is_solved(solve):
    class Bare:
        shape = (N, N)

        def matvec(self, v):
            return spd() @ v

    assert is_solution(solved(solve, Bare(), np.ones(N)), spd(), np.ones(N))


@every_method
def test_an_operator_of_integer_dtype_is_solved_in_floats(solve):
    A = operator(lambda v: spd() @ v, dtype=int)
    assert is_solution(solved(solve, A, np.arange(1, 5)), spd(), np.arange(1, 5))


# ------------------------------------------------------------------------------------------------ callbacks

by_x = {linalg.gmres: {"callback_type": "x", "restart": 2}}


def with_callback(solve, callback, n=12, **options):
    b = np.arange(1.0, n + 1)
    return solved(solve, spd(n), b, callback=callback, rtol=1e-10, **by_x.get(solve, {}), **options)


@every_method
def test_an_exception_of_the_callback_propagates_unchanged(solve):
    error = LookupError("mine")

    def callback(x):
        raise error

    with pytest.raises(LookupError) as caught:
        with_callback(solve, callback)
    assert caught.value is error


@every_method
def test_keyboard_interrupt_in_the_callback_propagates(solve):
    def callback(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_callback(solve, callback)


@every_method
@pytest.mark.parametrize("after", [1, 2])
def test_stop_iteration_in_the_callback_stops_with_the_iterate_of_that_moment(solve, after):
    seen = []

    def callback(x):
        seen.append(x)
        if len(seen) == after:
            raise StopIteration

    result = with_callback(solve, callback)
    assert result.status is Status.STOPPED
    assert result.info > 0
    assert np.array_equal(result.x, seen[-1])


@every_method
def test_a_callback_that_writes_into_x_changes_nothing(solve):
    def callback(x):
        x[:] = np.nan

    assert np.array_equal(with_callback(solve, callback).x, with_callback(solve, lambda x: None).x)


@every_method
def test_the_iterates_a_callback_keeps_stay_what_they_were(solve):
    kept, copies = [], []

    def callback(x):
        kept.append(x)
        copies.append(x.copy())

    result = with_callback(solve, callback)
    assert len(kept) > 1
    assert all(np.array_equal(k, c) for k, c in zip(kept, copies))
    assert not any(np.shares_memory(result.x, k) for k in kept)
    assert len({k.ctypes.data for k in kept}) == len(kept)


@every_method
def test_a_callback_changes_nothing_in_the_answer(solve):
    b = np.arange(1.0, 13)
    options = {"rtol": 1e-10, **{k: v for k, v in by_x.get(solve, {}).items() if k == "restart"}}
    plain = solve(spd(12), b, **options)
    watched = with_callback(solve, lambda x: None)
    assert np.array_equal(plain.x, watched.x)
    assert plain.iterations == watched.iterations


@every_method
def test_an_exception_of_on_chunk_propagates_unchanged(solve):
    class Observer:
        def on_chunk(self, iteration, norm):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        solve(spd(), np.arange(1.0, 5), callback=Observer())


@every_method
def test_stop_iteration_of_on_chunk_stops_the_solve(solve):
    class Observer:
        def on_chunk(self, iteration, norm):
            raise StopIteration

    result = solve(spd(60), np.arange(1.0, 61), rtol=0, callback=Observer())
    assert result.status is Status.STOPPED
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("kind", ["pr_norm", "legacy"])
def test_stop_iteration_of_a_norm_callback_stops_gmres(kind):
    seen = []

    def callback(norm):
        seen.append(norm)
        if len(seen) == 3:
            raise StopIteration

    result = solved(linalg.gmres, spd(12), np.arange(1.0, 13), callback=callback, callback_type=kind, rtol=1e-10)
    assert result.status is Status.STOPPED
    assert result.iterations == 3


def test_gmres_without_a_callback_type_warns_as_scipy_does():
    with pytest.warns(DeprecationWarning, match="callback_type"):
        linalg.gmres(spd(), np.ones(N), callback=lambda norm: None)


# ------------------------------------------------------------------------------------------------- breakdowns


@every_method
def test_a_singular_system_ends_with_a_name_and_a_finite_x(solve):
    A = np.diag([1.0, 2.0, 3.0, 0.0])
    result = solved(solve, A, np.ones(N))
    assert result.info != 0
    assert result.residual >= 1.0 - 1e-12


@every_method
def test_a_skew_symmetric_matrix_ends_with_a_name_and_a_finite_x(solve):
    A = np.array([[0, 1.0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 0, 2.0], [0, 0, -2.0, 0]])
    b = np.array([1.0, 2.0, 3.0, 4.0])
    result = solved(solve, A, b)
    assert is_solution(result, A, b) == (result.info == 0)


@every_method
def test_a_matrix_of_norm_near_overflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd() * 1e307, np.ones(N))


@every_method
def test_a_matrix_of_norm_near_underflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd() * 1e-307, np.ones(N))


@every_method
def test_a_float32_system_near_overflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd(dtype="f") * np.float32(1e30), np.full(N, 1e30, dtype="f"))


@every_method
def test_an_x0_near_overflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd(), np.ones(N), x0=np.full(N, 1e305))
