"""The border: where an array lives, how it comes in, and how the answer leaves.

NumPy, SciPy and CuPy objects, and array-likes such as lists, pass untouched. Arrays of other libraries come and
go through DLPack; none of those libraries is ever imported here.
"""

import sys
from functools import partial

import numpy as np

from ._errors import UnsupportedType

__all__ = ["FOREIGN", "enter", "first_line", "kind_of", "kinds", "leaving", "module_at", "module_of", "on_host"]

#: The kind of a type whose objects may live anywhere: each object is asked.
FOREIGN = "foreign"
# Numbers of DLPack: memory of the CPU (and what is pinned for a GPU), and CUDA's (and what is managed).
_CPU, _CUDA = (1, 3), (2, 13)
_NARROW = ("float16", "bfloat16", "complex32", "float8", "float4")


class _Kinds(dict):
    """``"cpu"``, ``"gpu"``, None for what can be either, or FOREIGN, by type; filled as types come by.

    A library is recognised by its name, so that nobody who does not use CuPy or torch imports it.
    """

    def __missing__(self, type_):
        self[type_] = kind = _kind_of_type(type_)
        return kind


kinds = _Kinds()


def _kind_of_type(type_):
    for base in type_.__mro__:
        library = base.__module__.partition(".")[0]
        if library in ("cupy", "cupyx"):
            return "gpu"
        if library == "numpy":
            return "cpu" if issubclass(base, np.ndarray) else None  # scalars and generators go anywhere
        if library == "scipy":
            return "cpu"
        if library == "solvers":
            return None  # a prepared operator works on both
        if library == "jax" and base.__name__ == "Tracer":
            return FOREIGN
    return FOREIGN if hasattr(type_, "__dlpack__") and hasattr(type_, "__dlpack_device__") else None


def kind_of(name, value):
    """``"cpu"`` or ``"gpu"``, where the array lives; None for what can be worked with on both.

    Parameters
    ----------
    name : str
        What the caller's parameter is called, for the sentence.
    value : object

    Raises
    ------
    UnsupportedType
        If it lives on another device, or on none.
    """
    kind = kinds[type(value)]
    return _where(name, value) if kind is FOREIGN else kind


def enter(name, value):
    """The array as the library works with it: foreign arrays become NumPy's or CuPy's, all else passes untouched.

    Memory is shared where that is possible, and is then read only. A torch tensor in CSR layout becomes a
    SciPy or CuPy ``csr_array``.

    Parameters
    ----------
    name : str
        What the caller's parameter is called, for the sentence.
    value : object
        Anything that a user may pass for A, b, x0 or M, None included.

    Raises
    ------
    UnsupportedType
        If it requires gradients, is of a layout or a precision that is not worked with, or on another device.
    """
    return value if kinds[type(value)] is not FOREIGN else _imported(name, value)


def module_of(array):
    """NumPy, or CuPy for an array of CuPy's: functions of one name for both."""
    return module_at("gpu" if kinds[type(array)] == "gpu" else "cpu")


def module_at(backend):
    """NumPy or CuPy: functions of one name for arrays of this backend."""
    if backend == "cpu":
        return np
    import cupy

    return cupy


def on_host(value):
    """The same as NumPy's or SciPy's where it is CuPy's; anything else as it is."""
    return value.get() if kinds[type(value)] == "gpu" and hasattr(value, "get") else value


def leaving(value):
    """How an answer to this right-hand side leaves: a function of our NumPy or CuPy array.

    The array it returns is NumPy's for NumPy's and for array-likes, whichever backend worked; CuPy's for CuPy's;
    torch's for torch's, and so on, on the device of ``value``. It may share memory with ours. Sparse answers, which
    DLPack does not know, stay SciPy's or CuPy's.

    >>> leaving([1.0, 2.0])(np.ones(2))
    array([1., 1.])
    """
    kind = kinds[type(value)]
    if kind is not FOREIGN:
        return _untouched if kind == "gpu" else on_host
    return partial(_exported, _from_dlpack_of(value), _where("b", value))


def _untouched(x):
    return x


def _where(name, value):
    try:
        device = value.__dlpack_device__()[0]
    except Exception as error:  # each library has its own
        raise UnsupportedType(
            f"`{name}` is a {_brief(value)} without memory of its own ({first_line(error)}); pass it outside of "
            "jit, grad and other transformations."
        ) from None
    if device in _CPU:
        return "cpu"
    if device in _CUDA:
        return "gpu"
    raise UnsupportedType(f"`{name}` must live on the CPU or a CUDA device, got a {_brief(value)} on another one.")


def _imported(name, value):
    where = _where(name, value)
    if getattr(value, "requires_grad", False) is True:
        raise UnsupportedType(f"`{name}` requires gradients, which solvers do not propagate; pass {name}.detach().")
    dtype = str(getattr(value, "dtype", "")).rpartition(".")[2]
    if dtype.startswith(_NARROW):
        raise UnsupportedType(f"`{name}` must be of single precision or better, got {dtype}; convert it to float32.")
    layout = str(getattr(value, "layout", "")).rpartition(".")[2]
    if "sparse" in layout:
        return _csr(name, value, layout, where)
    for pending in ("resolve_conj", "resolve_neg"):  # torch conjugates lazily, which DLPack cannot say
        if hasattr(value, pending):
            value = getattr(value, pending)()
    try:
        return module_at(where).from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedType(
            f"`{name}` is a {_brief(value)} that cannot be read through DLPack ({first_line(error)}); convert it to "
            "a NumPy array."
        ) from None


def _csr(name, value, layout, where):
    """torch's CSR tensor as SciPy's or CuPy's array."""
    if layout != "sparse_csr":
        raise UnsupportedType(f"`{name}` must be dense or of CSR layout, got {layout}; pass {name}.to_sparse_csr().")
    if value.ndim != 2:
        raise UnsupportedType(f"`{name}` must be one matrix, got a batch of shape {tuple(value.shape)}.")
    if where == "gpu":
        from cupyx.scipy.sparse import csr_array
    else:
        from scipy.sparse import csr_array
    data, indices, indptr = (enter(name, part()) for part in (value.values, value.col_indices, value.crow_indices))
    return csr_array((data, indices, indptr), shape=tuple(value.shape))


def _from_dlpack_of(value):
    """The function by which the library of an array takes in ours, or None."""
    if hasattr(value, "__array_namespace__"):
        return value.__array_namespace__().from_dlpack
    for base in type(value).__mro__:
        library = sys.modules.get(base.__module__.partition(".")[0])
        if hasattr(library, "from_dlpack"):
            return library.from_dlpack
    return None


def _exported(from_dlpack, where, x):
    if where == "cpu":
        x = on_host(x)
        if hasattr(x, "flags") and not x.flags.writeable:
            x = x.copy()  # torch takes no others
    return x if from_dlpack is None or hasattr(x, "tocsr") else from_dlpack(x)


def _brief(value):
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"


def first_line(error):
    """The first line of what an exception says, to be put within a sentence; its class, if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
