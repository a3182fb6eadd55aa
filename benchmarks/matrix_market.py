"""A Matrix Market file as a problem, with one sentence for each way in which it cannot be one."""

import inspect
import os

import numpy as np

from ._registry import UsageError
from .problems import Problem, in_dtype, right_hand_side

__all__ = ["load_problem"]

# Entries this close, relative to the largest, count as mirrored: files carry rounded decimals.
_MIRRORED = 1e-12


def load_problem(matrix, rhs=None, dtype=None) -> Problem:
    """Read ``A`` from ``matrix`` (.mtx or .mtx.gz) and ``b`` from ``rhs`` (.mtx, .mtx.gz or .npy)."""
    A = in_dtype(_read_matrix(matrix), dtype)
    symmetric = _is_hermitian(A)
    b = right_hand_side(A) if rhs is None else _read_rhs(rhs, A, matrix)
    name = os.path.basename(matrix).removesuffix(".gz").removesuffix(".mtx")
    return Problem(name, A, b, symmetric and _may_be_definite(A), symmetric)


def _read_matrix(path):
    from scipy import io, sparse

    n_rows, n_columns, _, layout, field, _ = _attempt(io.mminfo, path)
    if field == "pattern":
        raise UsageError(f"{path} is a pattern file: it says where entries are but not their values.")
    if n_rows != n_columns or n_rows == 0:
        raise UsageError(f"{path} holds a {n_rows} x {n_columns} matrix; a linear system needs a square one.")
    A = _attempt(_read, path)
    A = A if layout == "array" else sparse.csr_array(A)
    A = A.astype(np.result_type(A.dtype, np.float64))
    if not np.isfinite(A.data if sparse.issparse(A) else A).all():
        raise UsageError(f"{path} holds a NaN or an infinity.")
    return A


def _read(path):
    """A sparse array, or an array: SciPy 1.18 warns where it is not told, and 1.14 cannot be."""
    from scipy import io

    told = {"spmatrix": False} if "spmatrix" in inspect.signature(io.mmread).parameters else {}
    return io.mmread(path, **told)


def _attempt(read, path):
    """Call SciPy's reader; what it raises depends on how the file is broken."""
    try:
        return read(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, TypeError, OverflowError, EOFError) as error:
        reason = str(error).strip().rstrip(".").splitlines() or [type(error).__name__]
        raise UsageError(f"{path} is not a Matrix Market file that can be read: {reason[0]}.") from error


def _is_hermitian(A):
    return bool(abs(A - A.conj().T).max() <= _MIRRORED * abs(A).max())


def _may_be_definite(A):
    """A positive diagonal is necessary, not sufficient; where it misleads, the row's status says so."""
    return bool((A.diagonal().real > 0).all())


def _read_rhs(path, A, matrix):
    from scipy import sparse

    try:
        b = np.load(path) if path.endswith(".npy") else _attempt(_read, path)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} is not a NumPy file that can be read: {error}.") from error
    b = b.toarray() if sparse.issparse(b) else np.asarray(b)
    if b.size != A.shape[0] or max(b.shape) != b.size:
        shape = " x ".join(map(str, b.shape))
        raise UsageError(f"{path} holds {shape} values; {matrix} needs one right-hand side of length {A.shape[0]}.")
    if b.dtype.kind not in "iufc" or not np.isfinite(b).all():
        raise UsageError(f"{path} must hold finite numbers.")
    if np.iscomplexobj(b) and not np.iscomplexobj(A):
        raise UsageError(f"{path} is complex and {matrix} is real; pass --dtype complex128.")
    return b.ravel().astype(A.dtype)
