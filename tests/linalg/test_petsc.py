"""PETSc's matrices of ours, and our preconditioners in its solvers. What needs petsc4py is skipped without it."""

import doctest
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from solvers import InvalidInput, UnsupportedType, linalg
from solvers.linalg._petsc_rows import rows_of

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def PETSc():
    return pytest.importorskip("petsc4py.PETSc", reason="petsc4py is built by .ci/petsc")


def poisson(n=30):
    return linalg.stencil((n, n), [4, -1, -1])


def random_matrix(n=40, seed=0):
    A = scipy.sparse.random_array((n, n), density=0.1, rng=np.random.default_rng(seed), format="csr")
    return (A + A.T + scipy.sparse.eye_array(n) * 4).tocsr()


# ---- without PETSc ----


def test_without_petsc4py_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    with pytest.raises(ImportError, match=r"pip install 'adaptive-solvers\[petsc\]'") as caught:
        linalg.to_petsc(np.eye(2))
    assert str(caught.value).count(". ") == 0


def test_a_context_is_made_of_a_preconditioner_or_of_a_function():
    assert repr(linalg.PETScPreconditioner(linalg.ic)) == "<PETSc preconditioner: ic, not set up>"
    M = linalg.ssor(poisson(3))
    assert linalg.PETScPreconditioner(M).operator is M
    with pytest.raises(UnsupportedType, match="`M` must be an operator, or a function"):
        linalg.PETScPreconditioner(3)


def test_what_lives_on_a_gpu_is_refused():
    there = type("ndarray", (), {"__module__": "cupy", "flags": None, "shape": (3, 3)})()
    with pytest.raises(UnsupportedType, match=r"`M` must live on the CPU for PETSc, got a ndarray on the GPU"):
        linalg.PETScPreconditioner(there)


# ---- on one rank ----


def dense(A):
    indptr, indices, data = A.getValuesCSR()
    return scipy.sparse.csr_array((data, indices, indptr), shape=A.getSize()).toarray()


@pytest.mark.parametrize(
    "made",
    [
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        scipy.sparse.coo_array,
        scipy.sparse.csr_array.toarray,
        linalg.prepare,
        scipy.sparse.linalg.aslinearoperator,
        lambda A: A.astype(np.float32),
        lambda A: A.astype(int),
    ],
)
def test_a_matrix_of_any_kind_keeps_its_entries(PETSc, made):
    A = made(random_matrix())
    expected = A @ np.eye(40)
    P = linalg.to_petsc(A)
    assert P.getType() == "seqaij" and P.assembled
    assert np.array_equal(dense(P), expected)


def test_the_callers_matrix_is_neither_changed_nor_shared(PETSc):
    A, before = random_matrix(), random_matrix()
    for each in (A.data, A.indices, A.indptr):
        each.flags.writeable = False
    P = linalg.to_petsc(A, PETSc.COMM_SELF)
    P.scale(2.0)
    assert (A != before).nnz == 0
    P = linalg.to_petsc(A := random_matrix())
    A.data[:] = 7
    assert np.array_equal(dense(P), before.toarray())


def test_an_operator_becomes_a_shell_with_its_products(PETSc):
    rng = np.random.default_rng(0)
    B = rng.standard_normal((6, 6))
    operator = LinearOperator((6, 6), matvec=lambda v: B @ v, rmatvec=lambda v: B.T @ v, dtype=float)
    P = linalg.to_petsc(operator)
    assert P.getType() == "python"
    x, y = P.createVecs()
    x.setArray(v := rng.standard_normal(6))
    P.mult(x, y)
    assert np.allclose(y.getArray(), B @ v, rtol=1e-14)
    P.multTranspose(x, y)
    assert np.allclose(y.getArray(), B.T @ v, rtol=1e-14)
    assert np.array_equal(x.getArray(), v)


def cause(PETSc, function, *args):
    """What PETSc's error, in which Python's end that pass through it, was caused by."""
    with pytest.raises(PETSc.Error) as caught:
        function(*args)
    return repr(caught.value.__cause__)


def test_an_operator_with_a_wrong_product_is_refused(PETSc):
    for wrong, words in [(lambda v: v[:3], "must have shape"), (lambda v: v * 1j, "real for this PETSc")]:
        P = linalg.to_petsc(LinearOperator((6, 6), matvec=wrong, dtype=float))
        assert words in cause(PETSc, P.mult, *P.createVecs())


@pytest.mark.parametrize(
    "A, options, words",
    [
        (np.eye(3) * 1j, {}, "real for this PETSc"),
        (LinearOperator((3, 3), matvec=lambda v: v, dtype=complex), {}, "real for this PETSc"),
        ([[1.0]], {}, "NumPy array, a sparse array, a stencil or a LinearOperator for PETSc, got list"),
        (np.eye(3), {"comm": 3}, "`comm` must be None, a PETSc.Comm or a communicator of mpi4py"),
        (np.eye(3), {"rows": (0, 2)}, "all 3 rows of `A`"),
        (np.ones((2, 3)), {}, "square"),
        (linalg.stencil((2**16, 2**16), [4, -1, -1]), {}, "--with-64-bit-indices"),
    ],
)
def test_what_cannot_become_a_matrix_is_refused(PETSc, A, options, words):
    if np.dtype(PETSc.ScalarType).kind == "c" or np.dtype(PETSc.IntType).itemsize == 8:
        pytest.skip("for PETSc with real scalars and integers of 32 bits")
    with pytest.raises((InvalidInput, UnsupportedType), match=words) as caught:
        linalg.to_petsc(A, **options)
    assert str(caught.value).count(". ") == 0


def conjugate_gradients(PETSc, A, M, rtol=1e-8):
    ksp = PETSc.KSP().create(A.getComm())
    ksp.setOperators(A)
    ksp.setType("cg")
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=rtol, max_it=500)
    ksp.getPC().setType("python")
    ksp.getPC().setPythonContext(linalg.PETScPreconditioner(M))
    return ksp


def slab(A):
    return linalg.MultigridPreconditioner().setup(A, grid=(30, 30))


OURS = [linalg.amg, linalg.ic, linalg.incomplete_cholesky, linalg.ssor, linalg.chebyshev, slab]


@pytest.mark.parametrize("make", OURS)
def test_conjugate_gradients_with_ours_takes_the_steps_of_ours(PETSc, make):
    grid, b = poisson(), np.random.default_rng(0).standard_normal(900)
    A = linalg.to_petsc(grid)
    right, x = A.createVecs()
    right.setArray(b)
    ksp = conjugate_gradients(PETSc, A, make)
    ksp.solve(right, x)
    ours = linalg.cg(grid, b, rtol=1e-8, M=make(rows_of(grid, 0, 900)))
    assert ksp.getConvergedReason() > 0
    assert abs(ksp.getIterationNumber() - ours.iterations) <= 1
    assert np.linalg.norm(b - grid @ x.getArray()) <= 1.01e-8 * np.linalg.norm(b)


def test_the_preconditioner_is_made_again_where_the_matrix_has_changed(PETSc):
    A, blocks = linalg.to_petsc(random_matrix()), []
    ksp = conjugate_gradients(PETSc, A, lambda block: blocks.append(block) or linalg.ic(block))
    x, b = A.createVecs()
    b.set(1.0)
    ksp.solve(b, x)
    ksp.solve(b, x)
    A.scale(2.0)
    ksp.setOperators(A)
    ksp.solve(b, x)
    assert len(blocks) == 2
    for k, block in enumerate(blocks, 1):
        assert np.array_equal(block.toarray(), k * random_matrix().toarray())


def test_the_block_of_a_matrix_of_another_type_is_its_entries(PETSc):
    S = random_matrix()
    A, blocks = linalg.to_petsc(S), []
    A.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    for kind in ("sbaij", "dense"):
        other = A.copy().convert(kind)
        conjugate_gradients(PETSc, other, lambda block: blocks.append(block) or linalg.ic(block)).setUp()
        assert np.array_equal(blocks[-1].toarray(), S.toarray())
        assert other.getType() == f"seq{kind}"
    assert len(blocks) == 2


def test_a_transposed_product_is_the_adjoints(PETSc):
    rng = np.random.default_rng(0)
    B = rng.standard_normal((40, 40))
    ksp = conjugate_gradients(PETSc, linalg.to_petsc(random_matrix()), B)
    ksp.setUp()
    x, y = ksp.getOperators()[0].createVecs()
    x.setArray(v := rng.standard_normal(40))
    ksp.getPC().applyTranspose(x, y)
    assert np.allclose(y.getArray(), B.T @ v, rtol=1e-13)


def test_a_shell_takes_an_operator_and_no_function(PETSc):
    grid, b = poisson(), np.ones(900)
    A = linalg.to_petsc(LinearOperator((900, 900), matvec=lambda v: grid @ v, dtype=float))
    right, x = A.createVecs()
    right.set(1.0)
    conjugate_gradients(PETSc, A, linalg.ic(grid)).solve(right, x)
    assert np.linalg.norm(b - grid @ x.getArray()) <= 1.01e-8 * np.linalg.norm(b)
    assert "an operator for a matrix without entries" in cause(PETSc, conjugate_gradients(PETSc, A, linalg.ic).setUp)


def test_what_a_function_raises_or_makes_wrongly_is_told(PETSc):
    A = linalg.to_petsc(random_matrix())
    wrong = [
        (lambda block: 1 / 0, "ZeroDivisionError('division by zero')"),
        (linalg.ic(poisson(3)), "must have shape (40, 40), for the rows of this rank, got (9, 9)"),
        (lambda block: None, "got NoneType"),
        (LinearOperator((40, 40), matvec=lambda r: r[:3], dtype=float), "must have shape (40,), got (3,)"),
    ]
    x, b = A.createVecs()
    b.set(1.0)
    for M, words in wrong:
        assert words in cause(PETSc, conjugate_gradients(PETSc, A, M).solve, b, x)


def test_a_preconditioner_that_gives_nan_is_no_success(PETSc):
    A = linalg.to_petsc(random_matrix())
    ksp = conjugate_gradients(PETSc, A, LinearOperator((40, 40), matvec=lambda v: v * np.nan, dtype=float))
    x, b = A.createVecs()
    b.set(1.0)
    ksp.solve(b, x)
    assert ksp.getConvergedReason() < 0


def test_the_docstrings_example_prints_what_it_says(PETSc):
    text = linalg.to_petsc.__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "to_petsc", None, 0)
    assert len(test.examples) > 8
    assert doctest.DocTestRunner().run(test).failed == 0


# ---- on two ranks ----


def ranks(size, *command):
    """Run it on so many ranks; what it prints."""
    # What this process's own MPI has set is not for the ranks.
    foreign = ("OMPI_", "PMIX_", "PRTE_", "PMI_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    for library in ("OMPI", "PRTE"):
        environment |= {f"{library}_ALLOW_RUN_AS_ROOT": "1", f"{library}_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    launcher = ["mpirun", "--oversubscribe", "-n", str(size)] if size > 1 else []
    done = subprocess.run(
        [*launcher, sys.executable, "-W", "error", "-m", "mpi4py", *map(str, command)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def answers(PETSc, tmp_path_factory):
    """What one rank and two ranks found: their answers and their x."""
    pytest.importorskip("mpi4py", reason="two ranks need mpi4py")
    if shutil.which("mpirun") is None:
        pytest.skip("two ranks need mpirun")
    found = {}
    for size in (1, 2):
        folder = tmp_path_factory.mktemp(f"ranks{size}")
        ranks(size, pathlib.Path(__file__).with_name("petsc_ranks.py"), folder)
        with np.load(folder / "x.npz") as x:
            found[size] = json.loads((folder / "answers.json").read_text()), dict(x)
        assert found[size][0]["size"] == size
    return found


def test_conjugate_gradients_with_jacobi_take_the_same_steps_on_one_and_two_ranks(answers):
    one, two = (answers[size][0]["steps"]["jacobi"] for size in (1, 2))
    assert one == two and one[1] > 0
    assert np.allclose(answers[1][1]["jacobi"], answers[2][1]["jacobi"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["jacobi", "ic", "amg"])
@pytest.mark.parametrize("size", [1, 2])
def test_the_true_residual_meets_the_tolerance(answers, size, name):
    found, x = answers[size]
    A, b = poisson(200), np.random.default_rng(0).standard_normal(40_000)
    assert found["steps"][name][1] > 0
    assert np.linalg.norm(b - A @ x[name]) <= 1.01e-8 * np.linalg.norm(b)


def test_a_preconditioner_of_each_block_saves_steps_on_two_ranks_too(answers):
    steps = {size: {name: each[0] for name, each in answers[size][0]["steps"].items()} for size in (1, 2)}
    for name in ("ic", "amg"):
        assert steps[1][name] <= steps[2][name] < steps[2]["jacobi"] / 4


@pytest.mark.parametrize("size", [1, 2])
def test_the_ranks_together_hold_the_matrix(answers, size):
    gaps = answers[size][0]["gaps"]
    assert len(gaps) == 4 and not any(gaps.values())


def test_a_rank_may_have_no_rows(answers):
    assert [reason > 0 for reason in answers[2][0]["alone"]] == [True, True]


def test_what_one_rank_refuses_is_refused_on_both(answers):
    refused = answers[2][0]["refused"]
    words = {
        "operator": ("UnsupportedType: `A` must have entries",) * 2,
        "overlap": ("InvalidInput: `rows` must begin at 5 on rank 1",) * 2,
        "too few": ("InvalidInput: `rows` must be all 8 rows",) * 2,
        "columns": ("InvalidInput: `A` must have as many columns",) * 2,
        "one alone": ("InvalidInput: Rank 1 refused: `A` must have the 4", "InvalidInput: `A` must have the 4 rows"),
        "pivot": ("InvalidInput: Rank 1 refused: no pivot", "ValueError: no pivot"),
        "whole M": ("InvalidInput: `M` must have shape (4, 4)",) * 2,
    }
    assert refused.keys() == words.keys()
    for name, each in words.items():
        assert [said.startswith(word) for said, word in zip(refused[name], each)] == [True, True], refused[name]


def test_the_example_of_the_page_prints_what_it_says(answers):
    """On two ranks, in docs/petsc.rst."""
    printed = ranks(2, ROOT / "docs" / "petsc_example.py").split("\n")
    page = (ROOT / "docs" / "petsc.rst").read_text(encoding="utf-8").splitlines()
    lines = [line.partition("|b")[0].split() for line in printed if line]
    assert len(lines) == 8
    shown = [line.partition("|b")[0].split() for line in page]
    assert [line for line in lines if line not in shown] == []
