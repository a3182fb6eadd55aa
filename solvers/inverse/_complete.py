"""The matrix of low rank through some known entries, by alternating least squares that are not solved to the end."""

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import svds

from .. import _backend, _checks
from .._arrays import enter, kinds
from .._errors import InvalidInput, UnsupportedType
from .._loop import ended, told
from .._matrices import check_indices
from .._result import Status
from .._types import Callback, MatrixLike, Seed
from ._low_rank import LowRank
from ._result import InverseResult
from ._shapes import boolean, power_of_two

if TYPE_CHECKING:
    from ._result import LowRankResult

__all__ = ["complete"]

# From this rank on, steps of conjugate gradients take less time than factors of k x k matrices (measured).
_INEXACT_FROM = 20
# The misfit stands still where a sweep takes away less than this part of it.
_STILL = 1e-5


def complete(
    M: MatrixLike, rank: int, *, mask: ArrayLike | None = None, method: str = "auto", n_cg: int = 2,
    ridge: float = 0.0, tol: float = 1e-8, held_out: float = 0.0, maxiter: int = 500, rng: Seed | None = None,
    callback: Callback | None = None,
) -> "LowRankResult":  # fmt: skip
    """Complete a matrix of low rank from some of its entries.

    Parameters
    ----------
    M : sparse array, or array_like of shape (n, m) with ``mask``
        The known entries: what a sparse array stores, zeros included, or where ``mask`` is True. Real.
    rank : int
        Columns of the factors.
    mask : array_like of bool, shape (n, m), optional
        Which entries of a dense ``M`` are known.
    method : {"auto", "exact", "inexact"}, default "auto"
        How the rows of a factor are found while the other one stands: by Cholesky's factors, or by ``n_cg`` steps of
        conjugate gradients from the last rows, in an orthonormal basis. "auto" is the latter from rank 20 on.
    n_cg : int, default 2
        Steps of conjugate gradients for a row, where it is "inexact".
    ridge : float, default 0
        Weight of |u|^2 in each row's problem, beside the sum of squares over its entries, with the other factor
        orthonormal; against noise.
    tol : float, default 1e-8
        Done when the misfit on the known entries is below this times their norm.
    held_out : float, default 0
        Share of the known entries, < 1, that is held out; the sweep that fits them best is returned, and five sweeps
        without improvement end it. For noisy entries.
    maxiter : int, default 500
        Most sweeps; each improves both factors once.
    rng : None, int or numpy.random.Generator
        Draws the entries held out, and starts the singular vectors of the first guess.
    callback : callable, or object with ``on_chunk(iteration, misfit)``, optional
        Called as ``callback(x)`` after each sweep with the estimate, a ``LowRank``; StopIteration ends the solve.

    Returns
    -------
    InverseResult
        ``x`` is a ``LowRank``: ``x.entries(rows, columns)``, ``np.asarray(x)``. ``residual`` is the misfit on all known
        entries; ``stop_reason`` is "tolerance", "stationary" (noise keeps the misfit up), "held-out" or "maxiter";
        ``held_out_error`` the root mean square on the entries held out, or None; ``undetermined`` two arrays with
        the rows and the columns of fewer known entries than ``rank``: what stands there is a guess.

    Raises
    ------
    InvalidInput
        If shapes do not fit, nothing is known, or an entry is not finite.

    Notes
    -----
    Y. Gu, Z. Song, J. Yin and L. Zhang, "Low rank matrix completion via robust alternating minimization in nearly
    linear time" (arXiv 2302.11068, ICLR 2024), who allow inexact rows. Each half-sweep first takes the QR factors of
    the factor that stands: without them two steps need four times the sweeps. O(known entries * rank * n_cg) for a
    sweep, against * rank^2. Runs on the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> rng = np.random.default_rng(0)
    >>> M = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 50))
    >>> res = inverse.complete(M, 3, mask=rng.random(M.shape) < 0.4, rng=0)
    >>> res.converged, bool(np.abs(np.asarray(res.x) - M).max() < 1e-5)
    (True, True)
    """
    began = time.perf_counter()
    rank, maxiter, n_cg = _checks.count("rank", rank), _checks.count("maxiter", maxiter), _checks.count("n_cg", n_cg)
    method = _checks.choice("method", method, ("auto", "exact", "inexact"))
    ridge, tol = _checks.tolerance("ridge", ridge), _checks.tolerance("tol", tol)
    held_out = _checks.number("held_out", held_out, 0)
    if not held_out < 1 or not ridge < math.inf:
        raise InvalidInput(f"`held_out` must be < 1 and `ridge` finite, got {held_out!r} and {ridge!r}.")
    _checks.function("callback", callback)
    rng, known = _checks.generator(rng), _known(M, mask)
    if rank > min(known.shape):
        raise InvalidInput(f"`rank` must be at most {min(known.shape)} for this matrix, got {rank}.")
    scale = power_of_two(known.data)
    known.data *= scale
    fit, apart = _split(known, held_out, rng)
    steps = 0 if method == "exact" or (method == "auto" and rank < _INEXACT_FROM) else n_cg
    sweeps = _Sweeps(fit, apart, rank, steps, ridge, rng)
    status, reason = sweeps.run(tol * _size(fit.data), maxiter, callback, scale)
    x = LowRank(sweeps.U, sweeps.V * (1 / scale))
    misfit = _misfit(_triple(known.tocsr()), sweeps.U, sweeps.V)
    least = [np.flatnonzero(np.bincount(index, minlength=size) < rank)
             for index, size in zip((fit.row, fit.col), known.shape)]
    result = InverseResult(
        x,
        regularization=ridge,
        stop_reason=reason,
        extra={
            "undetermined": tuple(least),
            "held_out_error": None if apart is None else sweeps.best_apart / scale / apart.data.size**0.5,
        },
        status=status,
        iterations=len(sweeps.misfits) - 1,
        residuals=np.array(sweeps.misfits) / scale,
        residual=misfit / scale,
        threshold=tol * _size(known.data) / scale,
        n_matvec=len(sweeps.misfits),
        seconds=time.perf_counter() - began,
        backend="cpu",
        method="complete", choice="inexact" if steps else "exact",
    )
    return ended(callback, result)


class _Sweeps:
    """Both factors, improved in turn."""

    def __init__(self, fit, apart, rank, steps, ridge, rng):
        self._by_rows, self._by_columns = (_triple(each) for each in (fit.tocsr(), fit.T.tocsr()))
        self._steps, self._ridge = steps, ridge
        self._apart = None if apart is None else _triple(apart.tocsr())
        self.U, self.V = _first_guess(fit, rank, rng)
        self.misfits = [_misfit(self._by_rows, self.U, self.V)]
        self.best_apart, self._best, self._since = math.inf, None, 0
        self._judge_apart()

    def run(self, threshold, maxiter, callback, scale):
        while True:
            if self.misfits[-1] <= threshold:
                return self._end(Status.CONVERGED, "tolerance")
            if self._apart is not None and self._since >= 5:
                return self._end(Status.CONVERGED, "held-out")
            if len(self.misfits) > 2 and self.misfits[-1] >= (1 - _STILL) * self.misfits[-2]:
                return self._end(Status.CONVERGED, "stationary")
            if len(self.misfits) > maxiter:
                return self._end(Status.MAXITER, "maxiter")
            self.U, self.V = self._half(self._by_columns, self.U, self.V)
            self.V, self.U = self._half(self._by_rows, self.V, self.U)
            if not math.isfinite(self.misfits[-1]):
                self.misfits.pop()
                return self._end(Status.NONFINITE, "nonfinite")
            self._judge_apart()
            if told(callback, len(self.misfits) - 1, self.misfits[-1] / scale, lambda: self._copy(scale)):
                return self._end(Status.STOPPED, "callback")

    def _half(self, known, standing, moving):
        """The standing factor's orthonormal basis, and the other factor improved for it; the misfit is noted."""
        kernels = _backend.kernels("cpu")
        Q, R = np.linalg.qr(standing)
        moved, misfits = np.ascontiguousarray(moving @ R.T), np.empty(len(moving))
        if self._steps:
            kernels.improve_rows(known, Q, self._ridge, self._steps, moved, misfits)
        else:
            kernels.fit_rows(known, Q, self._ridge, moved, misfits)
        if known is self._by_rows:
            self.misfits.append(float(misfits.sum() ** 0.5))
        return Q, moved

    def _judge_apart(self):
        if self._apart is None:
            return
        error = _misfit(self._apart, self.U, self.V)
        self._since += 1
        if error < self.best_apart:
            self.best_apart, self._best, self._since = error, (self.U, self.V), 0

    def _copy(self, scale):
        return LowRank(self.U.copy(), self.V / scale)

    def _end(self, status, reason):
        if self._best is not None:
            self.U, self.V = self._best
        return status, reason


def _first_guess(fit, rank, rng):
    """Singular vectors of the known entries over their share, zeros elsewhere."""
    n, m = fit.shape
    share = fit.data.size / (n * m)
    if rank < min(n, m) / 2 and fit.data.any():
        U, s, Vh = svds(fit.tocsr(), k=rank, v0=rng.standard_normal(min(n, m)))
    else:
        U, s, Vh = (part[..., :rank] if i < 2 else part[:rank]
                    for i, part in enumerate(np.linalg.svd(fit.toarray(), full_matrices=False)))
    return np.ascontiguousarray(U), np.ascontiguousarray(Vh.T * (s / share))


def _split(known, held_out, rng):
    count = int(held_out * known.data.size)
    if count == 0:
        return known, None
    order = rng.permutation(known.data.size)
    parts = [sparse.coo_array((known.data[at], (known.row[at], known.col[at])), shape=known.shape)
             for at in (np.sort(order[count:]), np.sort(order[:count]))]
    return tuple(parts)


def _misfit(known, U, V):
    """The norm of what is left on the known entries: rows improved by no step."""
    misfits = np.empty(len(U))
    _backend.kernels("cpu").improve_rows(known, V, 0.0, 0, U, misfits)
    return float(misfits.sum() ** 0.5)


def _triple(A):
    return A.indptr.astype(np.int64), A.indices.astype(np.int64), A.data


def _size(values):
    return float(np.linalg.norm(values))


def _known(M, mask):
    """The known entries as a COO array of float64, without duplicates."""
    if kinds[type(M)] == "gpu" or _backend.pick(M=M) == "gpu":
        raise UnsupportedType("`complete` runs on the CPU only: pass SciPy or NumPy arrays under backend('cpu').")
    if sparse.issparse(M):
        if mask is not None:
            raise InvalidInput("`mask` must be left out for a sparse `M`, whose stored entries are the known ones.")
        if M.ndim != 2:
            raise InvalidInput(f"`M` must be a matrix, got shape {M.shape}.")
        check_indices(M, "M")
        known = sparse.coo_array(M, copy=True)
        known.sum_duplicates()
    else:
        if np.ma.is_masked(M):
            raise UnsupportedType("`M` must have no masked entries; pass M.data with mask=~M.mask.")
        M = _checks.array("M", enter("M", M))
        if mask is None:
            raise InvalidInput(
                "`mask` must say which entries of a dense `M` are known; M != 0 if zeros are not, ~numpy.isnan(M) if "
                "NaN stands for those that are not."
            )
        mask = boolean("mask", mask)
        if M.ndim != 2 or mask.shape != M.shape:
            raise InvalidInput(f"`mask` must have the shape of the matrix `M`, {M.shape}, got {mask.shape}.")
        at = np.nonzero(mask)
        known = sparse.coo_array((M[at], at), shape=M.shape)
    if known.data.dtype.kind not in "biuf":
        raise UnsupportedType(f"`M` must hold real numbers, got dtype {known.data.dtype}.")
    if known.data.size == 0:
        raise InvalidInput(f"`M` must have known entries, got none in shape {known.shape}.")
    _checks.finite("M", known.data)
    if not known.data.any():
        raise InvalidInput("`M` must have a known entry other than zero.")
    return sparse.coo_array((known.data.astype(np.float64), (known.row, known.col)), shape=known.shape)
