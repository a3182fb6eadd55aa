"""Direct solution: factors from LAPACK or SuperLU, whose solves are refined until the residual meets the tolerance.

A Hermitian matrix is reordered to a narrow band (reverse Cuthill-McKee, https://doi.org/10.1145/800195.805928) and
factorised there as long as that is cheap: the band's L L^H runs at BLAS 3's speed, and beats sparse LU with many times
fewer operations on most matrices of a few ten thousand rows (measured). Beyond, and for other matrices, it is SuperLU.
Refinement (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., chapter 12) is a method like any other:
x += F (b - A x), driven, stopped and verified as all are.
"""

import math

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from .._result import Status

__all__ = ["Failed", "Range", "banded", "dense", "grounded", "pseudoinverse", "refinement", "sparse_lu"]


class Failed(Exception):
    """No factors: a status, and what was in the way."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def banded(A, order, width):
    """Solves with a Hermitian positive definite CSR array whose rows, in that order, have their entries in a band."""
    n, place = A.shape[0], np.empty(A.shape[0], np.int64)
    place[order] = np.arange(n)
    row, column = place[np.repeat(np.arange(n), np.diff(A.indptr))], place[A.indices]
    low = row >= column
    row, column = row[low], column[low]
    try:
        band = np.zeros((width + 1, n), A.dtype, order="F")
    except MemoryError:
        raise Failed(Status.BREAKDOWN, f"a band of {width} did not fit in memory") from None
    band[row - column, column] = A.data[low]
    try:
        factor = scipy.linalg.cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise Failed(Status.INDEFINITE, "a pivot was not positive") from None

    def solve(r):
        z = np.empty_like(r)
        z[order] = scipy.linalg.cho_solve_banded((factor, True), r[order], check_finite=False)
        return z

    return solve


def dense(A, hermitian):
    """Solves with a dense matrix, by L L^H where it is Hermitian and that exists, else by pivoted LU."""
    if hermitian and (A.diagonal().real > 0).all():
        (potrf,) = scipy.linalg.get_lapack_funcs(("potrf",), (A,))
        factor, failed_at = potrf(A, lower=True, clean=False)
        if not failed_at:
            return lambda r: scipy.linalg.cho_solve((factor, True), r, check_finite=False)
    (getrf,) = scipy.linalg.get_lapack_funcs(("getrf",), (A,))  # lu_factor would warn of what is told here
    *factor, zero_pivot = getrf(A)
    if zero_pivot:
        raise Failed(Status.BREAKDOWN, "the matrix is exactly singular")
    return lambda r: scipy.linalg.lu_solve(factor, r, check_finite=False)


def sparse_lu(A, hermitian):
    """Solves with a CSR array by SuperLU: on the diagonal in the order of A + A^H, or with all pivots free."""
    # Pivots off the diagonal spoil that order: a plate's factors took 500 times as long with them.
    options = dict(options={"SymmetricMode": True}, diag_pivot_thresh=0.0) if hermitian else {}
    order = "MMD_AT_PLUS_A" if hermitian else "COLAMD"
    try:
        factor = scipy.sparse.linalg.splu(A.tocsc(), permc_spec=order, **options)
    except MemoryError:
        raise Failed(Status.BREAKDOWN, "its factors did not fit in memory") from None
    except (RuntimeError, ValueError) as error:
        raise Failed(Status.BREAKDOWN, str(error).strip().rstrip(".").lower()[:80]) from None

    def solve(r):
        if r.dtype.kind == "c" and A.dtype.kind != "c":
            return factor.solve(np.ascontiguousarray(r.real)) + 1j * factor.solve(np.ascontiguousarray(r.imag))
        return factor.solve(r)

    return solve


class Range:
    """What of a vector is in the range of a singular matrix, given an orthonormal basis of that."""

    def __init__(self, basis):
        self._basis = basis

    def project(self, v):
        v[:] = self._basis @ (self._basis.conj().T @ v)


def pseudoinverse(A, hermitian):
    """Solves with the pseudoinverse of a dense matrix, and its Range; singular values below n eps count as zero."""
    try:
        if hermitian:
            values, left = np.linalg.eigh(A)
            right = left.conj().T
        else:
            left, values, right = np.linalg.svd(A)
    except (np.linalg.LinAlgError, MemoryError) as error:
        raise Failed(Status.BREAKDOWN, str(error)[:80]) from None
    sizes = np.abs(values)
    kept = sizes > A.shape[0] * np.finfo(A.dtype).eps * sizes.max(initial=0.0)
    left, values, right = left[:, kept], values[kept], right[kept]
    return lambda r: right.conj().T @ ((left.conj().T @ r) / values), Range(left)


def grounded(factorise, A, null):
    """Solves with a matrix whose null space the constants on components span: one unknown of each is held at zero.

    ``factorise`` is for the rest of A, which is regular.
    """
    n = A.shape[0]
    held = np.unique(null.labels, return_index=True)[1][int((null.labels == 0).any()) :]
    free = np.delete(np.arange(n), held)
    solve_rest = factorise(scipy.sparse.csr_array(A[free][:, free])) if free.size else np.copy

    def solve(r):
        z = np.zeros_like(r)
        z[free] = solve_rest(r[free])
        null.project(z)
        return z

    return solve


def refinement(solve_factors, null=None):
    """The steps x += F (b - A x) of a factorisation F, for the driver.

    ``null.project(r)`` leaves of r what is in the range of A, where that is singular; F then inverts A there.
    """

    def steps(system, control):
        r, kernels = system.empty(), system.kernels
        norm = system.residual(r)
        yield [norm], None
        rest = _in_range(r, null, norm, system)
        while True:
            kept = system.save()
            with np.errstate(all="ignore"):
                z = solve_factors(kernels.to_host(r).astype(np.result_type(r.dtype, np.float64)))  # factors live there
                system.x += kernels.to_device(z.astype(system.dtype), system.dtype)
                new = system.residual(r)
            if not math.isfinite(new):
                system.restore(kept)
                yield [norm], Status.BREAKDOWN
            last, rest = rest, _in_range(r, null, new, system)
            if rest > last:
                system.restore(kept)
            else:
                norm = new
            stalled = rest > 0.5 * last
            if null is not None and norm > control.threshold and (stalled or rest <= control.threshold):
                inconsistent = min(rest, last) < 0.5 * norm
                yield [norm], Status.INCONSISTENT if inconsistent else Status.STAGNATED
            yield [norm], Status.STAGNATED if stalled and norm > control.threshold else None

    return steps


def _in_range(r, null, norm, system):
    """The norm of what of r, whose norm is that, is in the range of A; r becomes that."""
    if null is None:
        return norm
    there = system.kernels.to_host(r)
    null.project(there)
    if there is not r:
        r[:] = system.kernels.to_device(there, r.dtype)
    return system.norm(r)
