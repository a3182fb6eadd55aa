"""What every area asks of a matrix or an operator that a user passes, before it is worked with."""

from scipy.sparse import csr_array, issparse, sparray
from scipy.sparse.linalg import LinearOperator

from . import _backend, _checks
from ._arrays import enter, kinds
from ._errors import InvalidInput, UnsupportedType

__all__ = ["check_indices", "fetched", "instead", "is_plain", "sent"]


def check_indices(A, name):
    """Refuse index arrays that point outside of the matrix: the compiled loops do not look."""
    kind = getattr(A, "format", None)
    if kind in ("csr", "csc") and A.shape[0] == A.shape[1]:
        kernels = _backend.kernels("gpu" if kinds[type(A)] == "gpu" else "cpu")
        good = kernels.is_valid_csr(A.indptr, A.indices, A.data.size)
    elif kind in ("csr", "csc"):
        good = _is_compressed(A, *(A.shape if kind == "csr" else A.shape[::-1]))
    elif kind == "bsr":
        good = _is_compressed(A, A.shape[0] // A.blocksize[0], A.shape[1] // A.blocksize[1])
    elif kind == "coo":
        good = all(_within(index, size) for index, size in zip((A.row, A.col), A.shape))
    else:
        return
    if not good:
        raise InvalidInput(
            f"`{name}` must have index arrays that fit its shape {A.shape}, got an index out of range; "
            f"{name}.check_format(full_check=True) or {name}.coords shows it."
        )


def _is_compressed(A, lines, length):
    """Whether its index arrays are those of so many lines of that length."""
    ends = A.indptr.size == lines + 1 and A.indptr[0] == 0 and A.indptr[-1] == A.indices.size == A.data.shape[0]
    return bool(ends) and bool((A.indptr[1:] >= A.indptr[:-1]).all()) and _within(A.indices, length)


def _within(indices, size):
    return indices.size == 0 or (int(indices.min()) >= 0 and int(indices.max()) < size)


def is_plain(A, name):
    """Whether that product of A is SciPy's own wrapper, which reshapes a wrong answer until it fits.

    The hook below it, of that name with an underscore in front, does not.
    """
    return isinstance(A, LinearOperator) and getattr(type(A), name) is getattr(LinearOperator, name)


def instead(A, name):
    """What to pass in the place of something that is no matrix, if that can be told."""
    if hasattr(A, "aspreconditioner"):  # PyAMG's hierarchies
        return f"; pass {name}.aspreconditioner()"
    if callable(getattr(A, "solve", None)):  # SciPy's factors
        return f"; pass {name}.solve"
    return f"; pass numpy.asarray({name})" if isinstance(A, list | tuple) or hasattr(A, "__array__") else ""


def sent(name, value):
    """An argument, on the GPU."""
    value = enter(name, value)
    if value is None or kinds[type(value)] == "gpu":
        return value
    if issparse(value):
        return _sparse(value)
    if hasattr(value, "matvec"):
        raise UnsupportedType(
            f"`{name}` must have its entries at hand to be sent to the GPU, got an operator; pass a sparse matrix, or "
            "an operator of cupyx and CuPy arrays."
        )
    value = _checks.array(name, value)
    return _backend.kernels("gpu").to_device(value, value.dtype)


def fetched(value):
    """An array or a sparse matrix, in CSR form, on the host: by the kernels, which count what comes back."""
    if kinds[type(value)] != "gpu":
        return value
    to_host = _backend.kernels("gpu").to_host
    if not hasattr(value, "tocsr"):
        return to_host(value)
    A = value.tocsr()
    return csr_array((to_host(A.data), to_host(A.indices), to_host(A.indptr)), shape=A.shape)


def _sparse(matrix):
    from cupyx.scipy import sparse

    if matrix.dtype.char not in "fdFD":
        matrix = matrix.astype(complex if matrix.dtype.kind == "c" else float)
    return (sparse.csr_array if isinstance(matrix, sparray) else sparse.csr_matrix)(matrix.tocsr())
