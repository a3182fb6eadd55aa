"""Every validation and its sentence: the parameter, the demand, the value received, the remedy."""

import math
import numbers
from types import FunctionType

import numpy as np

from ._arrays import kinds, module_of
from ._errors import InvalidInput, UnsupportedType
from ._memory import available

__all__ = [
    "array",
    "brief",
    "choice",
    "count",
    "deviation",
    "finite",
    "flag",
    "float_dtype",
    "function",
    "generator",
    "is_function",
    "limit",
    "made",
    "number",
    "positive",
    "room",
    "shape_is",
    "spawned",
    "tolerance",
    "wrong_kind",
]

# Bytes that are taken without asking how many there are.
_LITTLE = 2**28


def number(name, value, least=None):
    """A real number, not NaN, at least ``least``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        if not (isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"):
            raise wrong_kind(name, "a real number", value)
    try:
        value = float(value)
    except OverflowError:
        raise InvalidInput(f"`{name}` must be a number of double precision, got an integer beyond its range.") from None
    if math.isnan(value):
        raise InvalidInput(f"`{name}` must be a number, got nan.")
    if least is not None and value < least:
        raise InvalidInput(f"`{name}` must be >= {least}, got {value!r}.")
    return value


def positive(name, value):
    """A finite number > 0."""
    value = number(name, value)
    if not 0.0 < value < math.inf:
        raise InvalidInput(f"`{name}` must be > 0 and finite, got {value!r}.")
    return value


def deviation(name, value):
    """A number > 0 that can be squared, and divided by its square."""
    value = positive(name, value)
    if not 1e-150 <= value <= 1e150:
        raise InvalidInput(f"`{name}` must be from 1e-150 to 1e150, so that its square is a number, got {value!r}.")
    return value


def tolerance(name, value):
    """A real number >= 0; infinity is one."""
    if value is None or isinstance(value, str):
        # SciPy's word for these is a ValueError, and its users catch that.
        raise InvalidInput(f"`{name}` must be a number >= 0, got {value!r}.")
    if type(value) is float and value >= 0.0:
        return value
    try:
        value = number(name, value)
    except InvalidInput:
        raise InvalidInput(f"`{name}` must be >= 0, got nan.") from None
    if value < 0:
        raise InvalidInput(f"`{name}` must be >= 0, got {value!r}.")
    return value


def count(name, value, least=1, each=0):
    """An integer >= least, with which arrays can be counted; where one takes so many bytes, no more than fit."""
    value = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(value, bool | np.bool_ | np.ndarray | type) or not hasattr(value, "__index__"):
        if isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_) and float(value).is_integer():
            value = int(value)  # SciPy takes maxiter=1e3
        else:
            raise wrong_kind(name, f"an integer >= {least}", value)
    value = int(value)
    if not least <= value < 2**63:
        raise InvalidInput(f"`{name}` must be {f'>= {least}' if value < least else 'below 2^63'}, got {brief(value)}.")
    return room(name, value, value * each)


def limit(name, value):
    """The most of something, an integer >= 1; one that no count can reach is the largest."""
    beyond = isinstance(value, numbers.Integral) and value >= 2**63
    return count(name, 2**63 - 1 if beyond else value)


def room(name, value, need):
    """Refuse a value that takes more memory than is free, in bytes; returns it."""
    if need > _LITTLE and need > (have := available()):
        raise InvalidInput(
            f"`{name}` must be small enough for memory, got {brief(value)}, which takes at least "
            f"{need / 2**30:.3g} GiB where {have / 2**30:.3g} GiB are free; lower it."
        )
    return value


def flag(name, value):
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise wrong_kind(name, "True or False", value)
    return bool(value)


def choice(name, value, among):
    """One of the given strings."""
    if not isinstance(value, str) or value not in among:
        words = ", ".join(repr(a) for a in among)
        raise InvalidInput(
            f"`{name}` must be one of {words}, got {repr(value) if isinstance(value, str) else _brief(value)}."
        )
    return value


def function(name, value):
    """None, a callable, or an object with ``on_chunk``."""
    made(name, value)
    if value is not None and not is_function(value) and not hasattr(value, "on_chunk"):
        raise wrong_kind(name, "a function, or an object with on_chunk(iteration, norm)", value)
    return value


def is_function(value):
    """Whether a value can be called with points or iterates; SciPy's operators can be called, too, for products."""
    return callable(value) and not hasattr(value, "matvec")


def generator(rng):
    """A ``numpy.random.Generator`` of None, a seed or a Generator."""
    if isinstance(rng, np.ndarray):
        rng = np.asarray(rng)  # of a numpy.matrix NumPy takes rows until the stack is full
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"`rng` must be None, an integer >= 0 or a numpy.random.Generator, got {brief(rng)}."
        ) from None


def spawned(rng, count):
    """So many generators that are independent of each other."""
    try:
        return generator(rng).spawn(count)
    except TypeError:
        raise InvalidInput(
            "`rng` must be None, an integer or a Generator with a SeedSequence, which spawns others, got one without; "
            "use numpy.random.default_rng(seed)."
        ) from None


def array(name, value):
    """Anything array-like of numbers, as an array of a float or complex dtype; never a copy without need.

    CuPy's arrays stay where they are, all else becomes NumPy's.
    """
    if type(value) is not np.ndarray:
        value = _as_array(name, value)
    if value.dtype.char in "dfDF":
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    kind = value.dtype.kind
    if kind not in "biufcO":
        raise UnsupportedType(f"`{name}` must hold numbers, got an array of dtype {value.dtype}.")
    if kind == "O":
        return _from_objects(name, value)
    with np.errstate(over="ignore"):  # a wide float beyond float64 becomes infinite, and is refused as that
        return value.astype(np.complex128 if kind == "c" else np.float64)


def float_dtype(name, dtype):
    """float32, float64, complex64 and complex128 stay; the other numbers become float64 or complex128, as in SciPy."""
    if dtype.char in "fdFD":
        return dtype.newbyteorder("=")
    if dtype.kind not in "biufc":
        raise UnsupportedType(f"`{name}` must hold numbers, got dtype {dtype}; use {name}.astype(float).")
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _as_array(name, value):
    rows = value if isinstance(value, list | tuple) and len(value) and isinstance(value[0], np.ndarray) else (value,)
    if any(map(_is_masked, rows)):  # NumPy stacks masked rows without a word of their masks
        raise UnsupportedType(f"`{name}` must have no masked entries; fill them with {name}.filled(...).")
    if hasattr(value, "tocsr"):
        raise UnsupportedType(f"`{name}` must be a dense array, got a sparse one; pass {name}.toarray().")
    if value is None or isinstance(value, str | bytes | dict | set):
        raise wrong_kind(name, "an array of numbers", value)
    if kinds[type(value)] == "gpu" and hasattr(value, "flags"):
        return value
    try:
        return np.asarray(value)
    except UnsupportedType as error:  # a result in the place of its answer, which says so itself
        raise UnsupportedType(f"`{name}` must be an array of numbers. {error}") from None
    except (ValueError, TypeError):
        raise InvalidInput(
            f"`{name}` must be an array of numbers, got a {type(value).__name__} that NumPy cannot make one of: "
            "its rows are of unequal length or of mixed kinds."
        ) from None


def _is_masked(value):
    return isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)


def _from_objects(name, value):
    for dtype in (np.float64, np.complex128):
        try:
            return value.astype(dtype)
        except OverflowError:
            raise InvalidInput(
                f"`{name}` must hold numbers of double precision, got an integer beyond their range."
            ) from None
        except (ValueError, TypeError):
            continue
    raise UnsupportedType(f"`{name}` must hold numbers, got an array of Python objects.")


def shape_is(name, array, shapes, because):
    """The array has one of these shapes."""
    if array.shape not in shapes:
        wanted = " or ".join(str(s) for s in shapes)
        raise InvalidInput(f"`{name}` must have shape {wanted} {because}, got {array.shape}.")
    return array


def finite(name, array):
    """No NaN and no infinity: the sentence counts them and names the first."""
    xp = module_of(array)
    bad = ~xp.isfinite(array)
    how_many = int(xp.count_nonzero(bad))
    if how_many:
        first = np.unravel_index(int(bad.argmax()), array.shape)
        place = ", ".join(str(int(i)) for i in first)
        raise InvalidInput(
            f"`{name}` must be finite, got {how_many} NaN or infinite entr{'y' if how_many == 1 else 'ies'}, "
            f"the first at [{place}] ({array[first].item()})."
        )
    return array


def made(name, value):
    """Refuse one of our own public functions or classes in the place of what it returns."""
    own = isinstance(value, FunctionType | type) and value.__module__.startswith("solvers.")
    if own and value.__qualname__ == value.__name__ and not value.__name__.startswith("_"):
        what = "class" if isinstance(value, type) else "function"
        call = f"{value.__name__}(...)"
        raise UnsupportedType(f"`{name}` must be what {call} returns, got the {what} itself; pass {name}={call}.")


def wrong_kind(name, demand, value):
    """The error for a value of another type, to be raised."""
    return UnsupportedType(f"`{name}` must be {demand}, got {_brief(value)}.")


def brief(value):
    """What a sentence says of a value: how it is written, if that is short, else its type."""
    return _written(value, 60) or _kind(value)


def _brief(value):
    return f"{_kind(value)} {_written(value, 40)}".strip()


def _kind(value):
    """The name of its type; an integer too long to be written has its length beside it."""
    if type(value) is int and not -(10**40) < value < 10**40:
        return f"an integer of {value.bit_length()} bits"
    return type(value).__name__


def _written(value, most):
    """Its repr, or nothing where that has several lines or too many letters, or cannot be had."""
    try:
        text = repr(value)
    except Exception:  # an object of the user's, or an integer of more digits than Python writes
        return ""
    return text if len(text) <= most and "\n" not in text else ""
