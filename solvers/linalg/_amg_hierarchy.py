"""PyAMG's hierarchy of a matrix, for ``amg``: what goes in is checked, copied and brought to a common scale."""


import numpy as np
import scipy.sparse

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput, UnsupportedType
from .._place import at
from .._scale import common_unit
from ._operator import analyse, source
from ._sweeps import sparse_of, without_duplicates

__all__ = ["hierarchy"]

# PyAMG's own prolongation smoother estimates a spectral radius with numbers of NumPy's global generator, which is the
# caller's. With weights of each row, a bound in its place, nothing is drawn; on a grid's interior both are the same.
_PROLONGATION = ("jacobi", {"omega": 4.0 / 3.0, "weighting": "local"})


def hierarchy(A, kind, B):
    """PyAMG's levels, the dtype of A, the kind of hierarchy, and what A was divided by."""
    if hasattr(A, "levels") and hasattr(A, "aspreconditioner"):
        if B is not None:
            raise InvalidInput("`B` must be None for a hierarchy that is built already; give it to PyAMG.")
        return A.levels, A.levels[0].A.dtype, "hierarchy of the caller", 1.0
    host, dtype, hermitian, B = _entered(A, kind, B)
    unit = common_unit(np.abs(host.data).max(initial=0.0))  # PyAMG's thresholds are absolute
    if unit != 1.0:
        host.data /= unit
    return _levels(host, hermitian, B, kind), dtype, kind, unit


def _refuse_what_cannot_be_smoothed(A):
    empty = (A.diagonal() == 0) & (abs(A).sum(axis=1) > 0)
    if empty.any():
        raise InvalidInput(
            f"`A` must have no zero on its diagonal but in rows of zeros, got {int(empty.sum())}, the first in row "
            f"{int(np.argmax(empty))}; use minres or gmres."
        )


def _entered(A, kind, B):
    """A on the host, a copy as CSR (or BSR, whose blocks PyAMG aggregates), its dtype, whether it is Hermitian, and B.

    In double precision: not all of PyAMG's functions know another one.
    """
    A = enter("A", A)
    backend = _backend.pick(A=source(A))
    with at(backend, source(A)):
        matrix = analyse(A)
        if not matrix.explicit:
            raise UnsupportedType("`A` must have its entries at hand, got an operator; pass a sparse array.")
        hermitian = matrix.is_hermitian(matrix.dtype, backend)
        wide = np.result_type(matrix.dtype, np.float64)
        host = scipy.sparse.csr_array(sparse_of(without_duplicates(matrix)), dtype=wide, copy=True)
    if host.shape[0] == 0:
        raise InvalidInput("`A` must have at least one row for multigrid, got shape (0, 0).")
    if not np.isfinite(host.data).all():
        raise InvalidInput("`A` must be finite, got a NaN or an infinite entry; check how it was assembled.")
    _refuse_what_cannot_be_smoothed(host)
    host.sort_indices()
    if max(host.nnz, host.shape[0]) <= np.iinfo(np.int32).max:
        # PyAMG 5.3 has functions for these indices only, and SciPy 1.14 hands 64 bits on.
        host.indices, host.indptr = (each.astype(np.int32, copy=False) for each in (host.indices, host.indptr))
    blocks = getattr(A, "blocksize", (1, 1)) if getattr(A, "format", "") == "bsr" else (1, 1)
    if blocks[0] == blocks[1] > 1 and kind != "ruge_stuben":
        host = scipy.sparse.bsr_array(host, blocksize=blocks)
    if B is None:
        return host, matrix.dtype, hermitian, None
    if kind == "ruge_stuben":
        raise InvalidInput("`B` must be None for kind='ruge_stuben'; use kind='smoothed_aggregation'.")
    B = _checks.finite("B", _checks.array("B", B))
    if B.ndim != 2 or B.shape[0] != host.shape[0] or B.shape[1] == 0:
        raise InvalidInput(f"`B` must have shape ({host.shape[0]}, k), a column for each candidate, got {B.shape}.")
    return host, matrix.dtype, hermitian, np.array(B, dtype=np.result_type(host.dtype, B.dtype))


def _levels(A, hermitian, B, kind):
    """PyAMG's levels; its default smoothers, which nobody will use, are not set up."""
    import pyamg

    none = dict(presmoother=None, postsmoother=None)
    try:
        if kind == "ruge_stuben":
            return pyamg.ruge_stuben_solver(A, **none).levels
        none |= dict(B=B, symmetry="hermitian" if hermitian else "nonsymmetric", improve_candidates=None)
        if kind == "rootnode":
            return pyamg.rootnode_solver(A, **none).levels
        return pyamg.smoothed_aggregation_solver(A, smooth=_PROLONGATION, **none).levels
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError, np.linalg.LinAlgError) as error:
        raise InvalidInput(
            f"`A` must be a matrix that PyAMG can coarsen as {kind!r}, got dtype {A.dtype} and the words "
            f"{str(error)[:80]!r}; try another `kind`, or incomplete_cholesky."
        ) from error
