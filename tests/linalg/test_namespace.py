"""The names of solvers.linalg: all of scipy.sparse.linalg's; ours, SciPy's own objects, and SciPy's functions in a
wrapper that knows the GPU."""

import inspect
import pickle

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg as scipy_linalg

import solvers
from solvers import linalg

REPLACED = sorted(set(linalg.OURS) & set(scipy_linalg.__all__))
FUNCTIONS = [name for name in linalg.OURS if inspect.isfunction(getattr(linalg, name))]
WRAPPED = sorted(
    name
    for name in set(scipy_linalg.__all__) - {*linalg.OURS, "use_solver"}
    if inspect.isfunction(getattr(scipy_linalg, name))
)


def test_scipy_has_names():
    assert len(scipy_linalg.__all__) >= 40


@pytest.mark.parametrize("name", scipy_linalg.__all__)
def test_every_public_name_of_scipy_is_here(name):
    assert hasattr(linalg, name)
    assert name in linalg.__all__


@pytest.mark.parametrize("name", sorted({*scipy_linalg.__all__, "test"} - {*linalg.OURS, *WRAPPED}))
def test_a_class_or_a_module_is_scipys_own_object(name):
    assert getattr(linalg, name) is getattr(scipy_linalg, name)


@pytest.mark.parametrize("name", WRAPPED)
def test_a_function_that_is_not_ours_is_scipys_in_a_wrapper(name):
    ours, theirs = getattr(linalg, name), getattr(scipy_linalg, name)
    assert ours is not theirs and ours.__wrapped__ is theirs
    assert (ours.__name__, ours.__doc__) == (name, theirs.__doc__)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert pickle.loads(pickle.dumps(ours)) is ours


def test_many_functions_are_wrapped():
    assert {"spsolve", "eigsh", "splu", "norm", "expm", "aslinearoperator", "cgs"} <= {*WRAPPED}


def test_a_wrapped_function_answers_what_scipy_answers():
    A = scipy.sparse.csc_array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])
    b = np.array([1.0, 2.0, 3.0])
    assert np.array_equal(linalg.spsolve(A, b), scipy_linalg.spsolve(A, b))
    assert np.array_equal(linalg.cgs(A, b, rtol=1e-8)[0], scipy_linalg.cgs(A, b, rtol=1e-8)[0])
    assert linalg.norm(A, "fro") == scipy_linalg.norm(A, "fro") == np.sqrt(33.0)
    assert (linalg.expm(A) != scipy_linalg.expm(A)).nnz == 0
    assert isinstance(linalg.splu(A), scipy_linalg.SuperLU)
    with pytest.raises(TypeError, match="unexpected keyword"):
        linalg.spsolve(A, rhs=b)


def test_the_four_iterative_methods_are_ours():
    assert set(REPLACED) >= {"bicgstab", "cg", "gmres", "minres"}


@pytest.mark.parametrize("name", linalg.OURS)
def test_what_is_ours_is_defined_here_and_not_in_scipy(name):
    assert getattr(linalg, name).__module__.startswith("solvers.linalg")
    assert getattr(linalg, name) is not getattr(scipy_linalg, name, None)
    assert getattr(linalg, name).__name__ == name
    assert name in linalg.__all__


def test_the_linear_operator_is_scipys_class():
    assert linalg.LinearOperator is scipy_linalg.LinearOperator
    assert isinstance(linalg.aslinearoperator(np.eye(2)), scipy_linalg.LinearOperator)
    assert isinstance(linalg.prepare(np.eye(2)), scipy_linalg.LinearOperator)
    assert isinstance(linalg.stencil((2, 2), [4, -1, -1]), scipy_linalg.LinearOperator)


def test_all_lists_existing_names_once_and_no_private_ones():
    assert len(set(linalg.__all__)) == len(linalg.__all__)
    assert all(hasattr(linalg, name) for name in linalg.__all__)
    assert not any(name.startswith("_") for name in linalg.__all__)


def test_all_of_solvers_lists_existing_names_once():
    assert len(set(solvers.__all__)) == len(solvers.__all__)
    assert all(hasattr(solvers, name) for name in solvers.__all__ if name != "testing")


@pytest.mark.parametrize("name", REPLACED)
def test_the_parameters_are_scipys_in_scipys_order_with_scipys_defaults(name):
    ours = inspect.signature(getattr(linalg, name)).parameters
    theirs = inspect.signature(getattr(scipy_linalg, name)).parameters
    shared = [p for p in ours if p in theirs]
    assert shared == list(theirs)
    assert list(ours)[: len(shared)] == shared
    for parameter in shared:
        assert ours[parameter].kind is theirs[parameter].kind, parameter
        assert ours[parameter].default == theirs[parameter].default, parameter


@pytest.mark.parametrize("name", linalg.OURS)
def test_no_function_swallows_keywords(name):
    value = getattr(linalg, name)
    if inspect.isfunction(value):
        kinds = {p.kind for p in inspect.signature(value).parameters.values()}
        assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


def sections(docstring):
    """The underlined headings of a numpydoc docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    return [a for a, b in zip(lines, lines[1:]) if a and set(b) == {"-"} and len(a) == len(b)]


@pytest.mark.parametrize("name", REPLACED)
@pytest.mark.parametrize("section", ["Parameters", "Returns", "Raises", "Notes", "References", "Examples"])
def test_the_docstring_of_a_method_has_the_section(name, section):
    assert section in sections(getattr(linalg, name).__doc__)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(REPLACED)))
@pytest.mark.parametrize("section", ["Parameters", "Returns", "Raises", "Examples"])
def test_the_docstring_of_a_function_beyond_scipys_has_the_section(name, section):
    assert section in sections(getattr(linalg, name).__doc__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_names_every_parameter_in_order(name):
    function = getattr(linalg, name)
    text = inspect.cleandoc(function.__doc__)
    body = text.split("Parameters\n----------\n")[1].split("\nReturns\n")[0]
    heads = [line.split(" : ")[0] for line in body.splitlines() if " : " in line and not line.startswith(" ")]
    named = [n.strip() for head in heads for n in head.split(",")]
    assert named == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", linalg.OURS)
def test_the_docstring_begins_with_one_line_that_is_a_sentence(name):
    first, second, *_ = [*inspect.cleandoc(getattr(linalg, name).__doc__).splitlines(), "", ""]
    assert first.endswith(".") and len(first) <= 110
    assert second == ""


def test_the_areas_are_found_by_name_and_a_wrong_one_is_python_error():
    assert "linalg" in dir(solvers)
    with pytest.raises(AttributeError, match="linag"):
        solvers.linag  # noqa: B018
