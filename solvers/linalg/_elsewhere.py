"""The rest of ``scipy.sparse.linalg``: SciPy's functions, and CuPy's of the same name where the GPU is asked for."""

import functools
import inspect

from scipy.sparse import linalg as _scipy

from .. import _backend
from .._arrays import kind_of, kinds, leaving
from .._errors import BackendUnavailable, UnsupportedType
from .._matrices import sent
from .._place import at
from ._operator import source
from ._sweeps import entries

__all__ = ["FUNCTIONS"]

# A setting of SciPy's, without arrays.
_AS_THEY_ARE = ("use_solver",)
# What CuPy answers with lives on the GPU, and has no counterpart in SciPy that it could be turned into.
_OBJECTS = ("aslinearoperator", "spilu", "splu")
_ARRAYS = frozenset(("A", "B", "M", "M1", "M2", "Minv", "OPinv", "X", "Y", "b", "v0", "x", "x0"))


def _dispatching(function):
    """SciPy's function, which goes to CuPy's where an argument lives on the GPU or the backend is set to it."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if _backend.stays_on_cpu(args, kwargs.values()):
            return function(*args, **kwargs)
        return _elsewhere(function, args, kwargs)

    wrapper.__module__ = __package__  # where pickle finds it
    return wrapper


def _elsewhere(function, args, kwargs):
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return function(*args, **kwargs)  # Python's own words are better
    arrays = {name: source(value) for name, value in given.items() if name in _ARRAYS}
    if _backend.pick(**arrays) == "cpu":
        return function(*args, **kwargs)
    name, twin = function.__name__, _twin(function.__name__)
    if name in _OBJECTS and "gpu" not in [kind_of(each, value) for each, value in arrays.items()]:
        raise UnsupportedType(
            f"`{name}` answers with an object that stays on the GPU: pass a cupyx matrix to have that, or use "
            "solvers.backend('cpu')."
        )
    decisive = arrays.get("b", next(iter(arrays.values())))
    with at("gpu", decisive):
        given.update({each: sent(each, entries(given[each])) for each in arrays})
        if kinds[type(decisive)] == "gpu":
            return _called(function, twin, given)
        leave = leaving(decisive)
        if given.get("callback") is not None:
            callback = given["callback"]
            given["callback"] = lambda x: callback(_brought(x, leave))
        return _brought(_called(function, twin, given), leave)


def _twin(name):
    """CuPy's function of that name."""
    if (missing := _backend.cupyx_missing()) is not None:
        raise BackendUnavailable(f"`{name}` is cupyx's where the GPU is asked for, and cannot run here: {missing}")
    from cupyx.scipy.sparse import linalg as cupyx_linalg

    if not hasattr(cupyx_linalg, name):
        raise UnsupportedType(
            f"`{name}` runs on the CPU only, as cupyx.scipy.sparse.linalg has no such function: pass NumPy or SciPy "
            "arrays under solvers.backend('cpu')."
        )
    return getattr(cupyx_linalg, name)


def _called(function, twin, given):
    """The answer of CuPy's function to the arguments of SciPy's."""
    ours, theirs = inspect.signature(function).parameters, inspect.signature(twin).parameters
    first, *names = given
    keywords = {}
    for name in names:
        if _is_default(given[name], ours[name].default):
            continue  # CuPy's defaults are the same, or its parameter does not exist
        if name not in theirs:
            raise UnsupportedType(
                f"`{name}` is not a parameter of cupyx's `{function.__name__}`; leave it out, or use "
                "solvers.backend('cpu')."
            )
        keywords[name] = given[name]
    return twin(given[first], **keywords)


def _is_default(value, default):
    return value is default or (isinstance(value, bool | int | float | str) and value == default)


def _brought(answer, leave):
    """What CuPy answered, as the kind of array that was sent; within tuples and lists, and by functions too."""
    if isinstance(answer, tuple | list):
        return type(answer)([_brought(each, leave) for each in answer])
    if inspect.isroutine(answer):
        return lambda b: _brought(answer(sent("b", b)), leave)
    if kinds[type(answer)] != "gpu" or not hasattr(answer, "get"):
        return answer
    answer = leave(answer)
    return answer[()] if kinds[type(answer)] == "cpu" and answer.ndim == 0 else answer


#: By name: every function of SciPy's that takes arrays.
FUNCTIONS = {
    name: _dispatching(getattr(_scipy, name))
    for name in _scipy.__all__
    if inspect.isfunction(getattr(_scipy, name)) and name not in _AS_THEY_ARE
}
