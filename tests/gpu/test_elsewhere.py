"""What scipy.sparse.linalg has beyond the iterative methods, with arrays of the (emulated) device."""

import ast
import importlib.util
import inspect
import pathlib
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as scipy_linalg

import solvers
from solvers import linalg

N = 12
rng = np.random.default_rng(3)
A = sp.csr_array(sp.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)))
b = rng.standard_normal(N)
x = scipy_linalg.spsolve(A.tocsc(), b)


def is_on_device(value):
    return type(value).__module__.partition(".")[0] in ("cupy", "cupyx")


def answers(call):
    """By name: a call of every function that CuPy has too; the answer is compared with SciPy's."""
    return {
        "aslinearoperator": lambda A, b: call("aslinearoperator")(A).matvec(b),
        "cgs": lambda A, b: call("cgs")(A, b, rtol=1e-10),
        "eigsh": lambda A, b: call("eigsh")(A, k=3, which="LA", return_eigenvectors=False),
        "factorized": lambda A, b: call("factorized")(A)(b),
        "lobpcg": lambda A, b: call("lobpcg")(A, b[:, None].copy(), maxiter=300, tol=1e-6)[0],
        "matrix_power": lambda A, b: call("matrix_power")(A, 3),
        "norm": lambda A, b: call("norm")(A, ord="fro"),  # with ord=1 SciPy 1.14 fails for sparse arrays
        "spilu": lambda A, b: call("spilu")(A).solve(b),
        "splu": lambda A, b: call("splu")(A).solve(b),
        "spsolve": lambda A, b: call("spsolve")(A, b),
        "spsolve_triangular": lambda A, b: call("spsolve_triangular")(A, b, lower=True),
        "svds": lambda A, b: call("svds")(A, k=2, return_singular_vectors=False),
    }


NAMES = sorted(answers(None))
OBJECTS = {"aslinearoperator", "spilu", "splu"}


def matrix_for(name):
    if name in ("spsolve_triangular",):
        return sp.csr_array(sp.tril(A))
    return A.tocsc() if name in ("factorized", "spilu", "splu", "spsolve") else A


def plain(value):
    """The numbers of an answer, as NumPy has them."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    value = value.get() if hasattr(value, "get") else value
    return value.toarray() if sp.issparse(value) else np.asarray(value)


def expected(name):
    return plain(answers(lambda n: getattr(scipy_linalg, n))[name](matrix_for(name), b))


def assert_close(given, wanted):
    if isinstance(wanted, list):
        assert len(given) == len(wanted)
        for one, other in zip(given, wanted):
            assert_close(one, other)
    else:
        np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-8)


def test_every_function_that_cupyx_has_is_tried(emulated):
    from cupyx.scipy.sparse import linalg as cupyx_linalg

    shared = {name for name in scipy_linalg.__all__ if inspect.isfunction(getattr(cupyx_linalg, name, None))}
    assert shared - set(linalg.OURS) == {*NAMES}


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_the_device_get_cupyx_and_the_answer_stays(sent, emulated, name):
    answer = answers(lambda n: getattr(linalg, n))[name](sent(matrix_for(name)), sent(b))
    assert is_on_device(answer[0] if isinstance(answer, tuple) else answer)
    assert_close(plain(answer), expected(name))


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("name", sorted({*NAMES} - OBJECTS))
def test_numpy_arrays_are_sent_there_and_the_answer_comes_back(emulated, name):
    from emulation import device

    with solvers.backend("gpu"):
        before = device.allocated
        answer = answers(lambda n: getattr(linalg, n))[name](matrix_for(name), b)
        assert device.allocated > before
    for each in answer if isinstance(answer, tuple) else (answer,):
        assert not is_on_device(each)
    assert_close(plain(answer), expected(name))


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_objects_of_the_device_are_not_made_of_numpy_arrays(emulated, name):
    with solvers.backend("gpu"), pytest.raises(solvers.UnsupportedType, match=f"`{name}` answers with an object"):
        getattr(linalg, name)(A)


@pytest.mark.parametrize("name", sorted({"expm", "inv", "onenormest", "spbandwidth"} & {*scipy_linalg.__all__}))
def test_what_cupyx_lacks_is_refused_by_name(sent, name):
    with pytest.raises(solvers.UnsupportedType, match=f"`{name}` runs on the CPU only"):
        getattr(linalg, name)(sent(A))
    with solvers.backend("gpu"), pytest.raises(solvers.UnsupportedType, match=f"`{name}` runs on the CPU only"):
        getattr(linalg, name)(A)


def test_a_parameter_that_cupyx_lacks_is_refused_by_name_unless_it_is_the_default(sent):
    with pytest.raises(solvers.UnsupportedType, match="`sigma` is not a parameter of cupyx's `eigsh`"):
        linalg.eigsh(sent(A), k=2, sigma=0.5)
    assert is_on_device(linalg.eigsh(sent(A), k=2, sigma=None, mode="normal", return_eigenvectors=False))


def test_mixtures_are_refused_and_named(sent):
    with pytest.raises(solvers.UnsupportedType, match="`b` lives on the GPU and `A` does not"):
        linalg.spsolve(A, sent(b))
    with solvers.backend("cpu"), pytest.raises(solvers.UnsupportedType, match="while the backend is set to 'cpu'"):
        linalg.spsolve(sent(A), sent(b))


def test_operators_in_numpy_cannot_be_sent(emulated):
    operator = scipy_linalg.aslinearoperator(A)
    with solvers.backend("gpu"), pytest.raises(solvers.UnsupportedType, match="`A` must have its entries at hand"):
        linalg.cgs(operator, b)


def test_a_wrong_call_is_pythons_own_error(sent):
    with pytest.raises(TypeError, match="rhs"):
        linalg.spsolve(sent(A), rhs=sent(b))


def test_a_callback_gets_the_kind_of_array_that_was_sent(sent, emulated):
    seen = []
    with solvers.backend("gpu"):
        linalg.cgs(A, b, callback=seen.append)
    assert seen and not any(is_on_device(each) for each in seen)
    seen.clear()
    linalg.cgs(sent(A), sent(b), callback=seen.append)
    assert seen and all(is_on_device(each) for each in seen)


def test_lists_and_integers_are_sent_as_floats(emulated):
    whole = sp.csr_matrix(np.array([[4, 1], [1, 3]]))
    with solvers.backend("gpu"):
        answer, square = linalg.spsolve(whole, [1, 2]), linalg.matrix_power(whole, 2)
    np.testing.assert_allclose(answer, [1 / 11, 7 / 11])
    assert type(answer) is np.ndarray
    assert square.dtype == np.float64 and type(square) is sp.csr_matrix  # cupyx has no matrices of integers


def test_a_number_comes_back_as_a_number(emulated):
    with solvers.backend("gpu"):
        assert isinstance(linalg.norm(A, "fro"), float)


def test_the_functions_leave_what_they_get_alone(emulated):
    before, right = A.copy(), b.copy()
    with solvers.backend("gpu"):
        linalg.spsolve(A, b)
    assert (A != before).nnz == 0 and np.array_equal(b, right)


def test_without_cublas_the_missing_part_is_named(sent, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse.linalg", None)
    solvers._backend.forget()
    with pytest.raises(solvers.BackendUnavailable, match="`spsolve` .* cuBLAS, cuSPARSE or cuSOLVER cannot be loaded"):
        linalg.spsolve(sent(A), sent(b))


@pytest.mark.parametrize("there", [True, False], ids=["with cublas", "without"])
def test_info_names_the_device_and_what_cupyx_lacks(emulated, monkeypatch, capsys, there):
    from solvers.__main__ import main

    if not there:
        monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse.linalg", None)
    solvers._backend.forget()
    assert main(["info"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "gpu available: Emulated device" in out
    assert ("spsolve, eigsh and the like are not: cuBLAS" in out) != there


def test_the_answer_to_foreign_arrays_of_the_device_is_foreign(sent, emulated):
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self, **keywords):
            return self.array.__dlpack__(**keywords)

        def __array_namespace__(self):
            import types

            return types.SimpleNamespace(from_dlpack=Foreign)

    answer = linalg.spsolve(sent(A), Foreign(sent(b)))
    assert type(answer) is Foreign
    np.testing.assert_allclose(answer.array.get(), x)


def test_the_cpu_is_left_alone(emulated):
    from emulation import device

    before = device.allocated
    assert np.array_equal(linalg.spsolve(A.tocsc(), b), x)
    assert device.allocated == before


def cupys_own_parameters():
    """By name: the parameters of the functions of the installed cupyx, read from its text (its import needs cuBLAS)."""
    found = importlib.util.find_spec("cupyx")
    if found is None:
        pytest.skip("cupy is not installed: pip install 'adaptive-solvers[test]'")
    parameters = {}
    for path in pathlib.Path(found.submodule_search_locations[0], "scipy", "sparse", "linalg").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                parameters[node.name] = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
    return parameters


def test_the_fake_cupyx_has_the_functions_and_the_parameters_of_the_installed_one(request):
    theirs = cupys_own_parameters()
    request.getfixturevalue("emulated")
    from cupyx.scipy.sparse import linalg as fake

    for name in {*theirs} & {*scipy_linalg.__all__}:
        mine = list(inspect.signature(getattr(fake, name)).parameters)
        assert mine == [p for p in theirs[name] if p != "options"], name
    assert {*theirs} & {*scipy_linalg.__all__} > {*NAMES}
