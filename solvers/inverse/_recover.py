"""A matrix of low rank from linear measurements of which some are wrong: least absolute deviations on its factors."""

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter, kind_of
from .._errors import InvalidInput, UnsupportedType
from .._loop import ended, told
from .._result import Status
from .._types import Callback, MatrixLike
from ._low_rank import LowRank
from ._result import InverseResult
from ._shapes import power_of_two
from ._wrapped import as_imaging_operator

if TYPE_CHECKING:
    from ._result import LowRankResult

__all__ = ["recover"]

# The sum of the smallest deviations counts as lower at this part of the lowest so far; after so many steps without, the
# steps are halved; after so many halvings nothing more is to be had.
_LOWER, _PATIENCE, _HALVINGS = 0.97, 20, 30


def recover(
    A: MatrixLike, b: ArrayLike, shape: tuple[int, int], rank: int, *, outliers: float = 0.35, method: str = "scaled",
    tol: float = 1e-8, maxiter: int = 2000, callback: Callback | None = None,
) -> "LowRankResult":  # fmt: skip
    """Recover a matrix X of low rank from b = A vec(X) + noise, where a part of b is wrong by any amount.

    Parameters
    ----------
    A : array_like, sparse array, LinearOperator, shape (m, n_1 n_2)
        It is applied to X row by row, ``X.reshape(-1)``.
    b : array_like, shape (m,)
    shape : (int, int)
        n_1 and n_2.
    rank : int
        Columns of the factors.
    outliers : float, default 0.35
        An upper bound of the share of wrong entries of b, < 1; the steps are made for it. Above 0.5 there is no
        guarantee.
    method : {"scaled", "plain"}, default "scaled"
        Subgradients of each factor in the metric of the other, whose rate does not depend on the condition of X, or
        without.
    tol : float, default 1e-8
        Done when the sum of the smallest (1 - outliers) m deviations is below this times that of b's entries.
    maxiter : int, default 2000
        Most steps.
    callback : callable, or object with ``on_chunk(iteration, deviation)``, optional
        Called as ``callback(x)`` after each step with the estimate, a ``LowRank``; StopIteration ends the solve.

    Returns
    -------
    InverseResult
        ``x`` is a ``LowRank``; ``outliers`` is True where b deviates by more than six times the median deviation
        allows; ``residuals`` are the sums of the smallest deviations, ``residual`` is |b - A x| over the entries that
        are no outliers, ``stop_reason`` is "tolerance", "stationary" (noise in the other entries) or "maxiter".

    Raises
    ------
    InvalidInput
        If shapes do not fit, b is not finite or all zero, or ``outliers`` is not in [0, 1).

    Notes
    -----
    T. Tong, C. Ma and Y. Chi, "Low-rank matrix recovery with scaled subgradient methods: fast and robust convergence
    without the condition number", IEEE Trans. Signal Process. (2021), from a truncated spectral start (X. Li, Z. Zhu,
    A. Man-Cho So and R. Vidal, "Nonconvex robust low-rank matrix recovery", SIAM J. Optim. (2020)). Polyak's step needs
    the least value f* of the sum of deviations, which the outliers make and nobody knows. Where the fit is good, f - f*
    is the sum of the deviations of the others: the sum of the smallest (1 - outliers) m stands in for it, and the steps
    are halved where that does not fall. Runs on the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 10))
    >>> A = rng.standard_normal((400, 120))
    >>> b = A @ X.ravel()
    >>> b[:60] += 100 * rng.standard_normal(60)
    >>> res = inverse.recover(A, b, (12, 10), 2)
    >>> bool(np.abs(np.asarray(res.x) - X).max() < 1e-6), int(res.outliers.sum())
    (True, 60)
    """
    began = time.perf_counter()
    outliers, tol = _checks.number("outliers", outliers, 0), _checks.tolerance("tol", tol)
    if outliers >= 1:
        raise InvalidInput(f"`outliers` must be < 1, got {outliers!r}.")
    method, maxiter = _checks.choice("method", method, ("scaled", "plain")), _checks.count("maxiter", maxiter, 0)
    _checks.function("callback", callback)
    A, b, shape, rank = _entered(A, b, shape, rank)
    scale = power_of_two(b)
    with np.errstate(all="ignore"):  # what is not finite ends it
        descent = _Descent(A, b * scale, shape, rank, outliers, method == "scaled")
        status, reason = descent.run(tol, maxiter, callback, scale)
        x = LowRank(descent.best[1], descent.best[2] / scale)
        deviations = np.abs(b - A.forward_stack(x.toarray().reshape(1, -1))[0])
    deviations[np.isnan(deviations)] = np.inf
    # Normal noise has a median of absolute values of 0.67 standard deviations.
    wrong = deviations > max(6 / 0.67 * np.median(deviations), 1e-6 * np.abs(b).max())
    result = InverseResult(
        x,
        stop_reason=reason,
        extra={"outliers": wrong},
        status=status,
        iterations=len(descent.sums) - 1,
        residuals=np.array(descent.sums) / scale,
        residual=float(np.linalg.norm(deviations[~wrong] * scale)) / scale,
        threshold=descent.threshold / scale,
        n_matvec=descent.n_matvec + 1,
        seconds=time.perf_counter() - began,
        backend="cpu",
        method="recover", choice=method,
    )
    return ended(callback, result)


class _Descent:
    """The factors L and R of X = L R^H, and the sums of the smallest deviations."""

    def __init__(self, A, b, shape, rank, outliers, scaled):
        self._A, self._b, self._shape, self._scaled = A, b, shape, scaled
        self._kept = max(1, math.ceil((1 - outliers) * b.size))
        size = np.abs(b)
        level = np.partition(size, self._kept - 1)[self._kept - 1]
        start = self._gradient(np.where(size <= level, b, 0) / self._kept)
        # What is not finite shows again in the data of this start.
        U, s, Vh = np.linalg.svd(np.where(np.isfinite(start), start, 0), full_matrices=False)
        root = np.sqrt(s[:rank])
        self.L, self.R = U[:, :rank] * root, Vh[:rank].conj().T * root
        self._fit_scale()
        self.sums, self.best, self.n_matvec = [], (math.inf, self.L, self.R), 2
        self.threshold = 0.0

    def run(self, tol, maxiter, callback, scale):
        self.threshold = tol * self._smallest(self._b)
        part, lowest, since = 1.0, math.inf, 0
        while True:
            r = self._data() - self._b
            self.n_matvec += 2
            gap = self._smallest(r)
            if not math.isfinite(gap):
                self.sums = self.sums or [math.inf]
                return Status.NONFINITE, "nonfinite"
            self.sums.append(gap)
            if gap < self.best[0]:
                self.best = gap, self.L, self.R
            if len(self.sums) > 1 and told(callback, len(self.sums) - 1, gap / scale, lambda: self._copy(scale)):
                return Status.STOPPED, "callback"
            if gap <= self.threshold:
                return Status.CONVERGED, "tolerance"
            since += 1
            if gap < _LOWER * lowest:
                lowest, since = gap, 0
            elif since >= _PATIENCE:
                part, since = part / 2, 0
                self.L, self.R = self.best[1:]
                if part < 0.5**_HALVINGS:
                    return Status.CONVERGED, "stationary"
                r = self._data() - self._b
            if len(self.sums) > maxiter:
                return Status.MAXITER, "maxiter"
            if not self._step(part * gap, r):
                return Status.CONVERGED, "stationary"

    def _step(self, gap, r):
        """A step of Polyak's length for this gap; False where there is no direction."""
        G = self._gradient(np.sign(r))
        of_left, of_right = G @ self.R, G.conj().T @ self.L
        left, right = of_left, of_right
        if self._scaled:
            left, right = (_solved(F, g) for F, g in ((self.R, of_left), (self.L, of_right)))
        slope = np.vdot(left, of_left).real + np.vdot(right, of_right).real
        if not slope > 0:
            return False
        self.L, self.R = self.L - gap / slope * left, self.R - gap / slope * right
        return True

    def _copy(self, scale):
        return LowRank(self.L.copy(), self.R / scale)

    def _fit_scale(self):
        """The start times the number for which half of the data fit best: the median of ratios."""
        data = self._data()
        seen = np.abs(data) > 0
        ratio = np.median(np.abs(self._b[seen]) / np.abs(data[seen])) if seen.any() else 1.0
        if ratio > 0:
            self.L, self.R = self.L * ratio**0.5, self.R * ratio**0.5

    def _data(self):
        return self._A.forward_stack((self.L @ self.R.conj().T).reshape(1, -1))[0]

    def _gradient(self, signs):
        return self._A.adjoint_stack(signs.reshape(1, -1).astype(self._b.dtype))[0].reshape(self._shape)

    def _smallest(self, r):
        return float(np.partition(np.abs(r), self._kept - 1)[: self._kept].sum())


def _solved(F, g):
    """g (F^H F)^-1; a direction that F does not have is left alone."""
    w, Q = np.linalg.eigh(F.conj().T @ F)
    inverse = np.where(w > 1e-12 * max(w[-1], 0.0), 1 / np.where(w > 0, w, 1.0), 0.0)
    return (g @ Q * inverse) @ Q.conj().T


def _entered(A, b, shape, rank):
    if _backend.pick(b=b) == "gpu" or kind_of("A", A) == "gpu":
        raise UnsupportedType("`recover` runs on the CPU only: pass NumPy arrays under backend('cpu').")
    A = as_imaging_operator(enter("A", np.asarray(A) if isinstance(A, list) else A))
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        got = _checks.brief(shape)
        raise InvalidInput(f"`shape` must be two numbers, the rows and columns of the matrix, got {got}.")
    shape = tuple(_checks.count("shape", each) for each in shape)
    if A.shape[1] != math.prod(shape):
        raise InvalidInput(f"`shape` must have {A.shape[1]} entries to go with `A`, got {shape}.")
    rank = _checks.count("rank", rank)
    if rank > min(shape):
        raise InvalidInput(f"`rank` must be at most {min(shape)} for this shape, got {rank}.")
    b = _checks.array("b", enter("b", b))
    _checks.finite("b", _checks.shape_is("b", b, ((A.shape[0],),), "to go with `A`"))
    if not b.any():
        raise InvalidInput("`b` must have an entry other than zero.")
    return A, b.astype(np.result_type(b, A.dtype, np.float64)), shape, rank
