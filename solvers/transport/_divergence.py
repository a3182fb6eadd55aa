"""The Sinkhorn divergence (Feydy, Sejourne, Vialard, Amari, Trouve & Peyre 2019, arXiv:1810.08278).

S(a, b) = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2, with OT regularised by eps KL(P | a b^T): zero where the clouds
agree, positive where they do not. Entropies of a and b cancel, so that the linear parts of the duals are enough.
"""

import math
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .._loop import ended, parts
from .._result import Result
from .._types import Callback
from ._costs import PointCloud
from ._gradients import divergence_gradients
from ._result import TransportResult
from ._sinkhorn import sinkhorn

__all__ = ["SinkhornDivergence", "sinkhorn_divergence"]

# A marginal error with which potentials say nothing about the cost.
_LOST = 0.5


class SinkhornDivergence(Result):
    """A Sinkhorn divergence and the three transport problems it is made of.

    Attributes
    ----------
    value : float
        Not negative: what rounding and the tolerance leave below zero is zero.
    error : float
        A bound on what the marginal errors make of it; infinite where a plan misses half of its mass or more.
    xy, xx, yy : TransportResult
    iterations, n_matvec, seconds
        Of all three together; ``residual`` is the largest of their marginal errors, ``residuals`` are those of ``xy``.
    """

    _PARTS = ("xy", "xx", "yy")

    def __init__(
        self, value: float, error: float, xy: TransportResult, xx: TransportResult, yy: TransportResult
    ) -> None:
        self.value, self.error = value, error
        self.xy, self.xx, self.yy = xy, xx, yy
        parts = xy, xx, yy
        worst = next((part for part in parts if not part.converged), xy)
        super().__init__(
            status=worst.status,
            iterations=sum(part.iterations for part in parts),
            residuals=xy.residuals,
            residual=max(part.residual for part in parts),
            threshold=xy.threshold,
            n_matvec=sum(part.n_matvec for part in parts),
            seconds=sum(part.seconds for part in parts),
            backend=xy.backend,
            method="sinkhorn_divergence",
        )

    @property
    def grad_points(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The derivatives of ``value`` by X and by Y, of their shapes, as if it were not cut off at zero."""
        return divergence_gradients(self.xy, self.xx, self.yy)

    @property
    def message(self) -> str:
        """One line: how it ended, and what to do about the first problem that was not solved."""
        failed = self._failed
        if failed is None:
            return f"{self!r}: All three problems were solved."
        return f"sinkhorn_divergence, {failed} of xy, xx and yy: {getattr(self, failed).message}"

    @property
    def _failed(self):
        return next((name for name in self._PARTS if not getattr(self, name).converged), None)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for ``json.dumps``; those of the three problems by their names."""
        return super().to_dict() | {name: getattr(self, name).to_dict() for name in self._PARTS}

    _not_in_dict = frozenset(_PARTS)
    _answer = "value"

    def plot(self, ax: Any = None) -> Any:
        """Draw the marginal errors of the three problems over the steps; returns the axes."""
        for name in self._PARTS:
            ax = getattr(self, name).plot(ax)
            ax.lines[-2].set_label(name)  # the last is the tolerance
        ax.set_title(repr(self))
        ax.legend()
        return ax

    def __repr__(self):
        state = "converged" if self.converged else "not converged"
        return (
            f"SinkhornDivergence({self.value:.6g} +- {self.error:.1e}, {state} in {self.iterations} sweeps, "
            f"{self.backend})"
        )


def sinkhorn_divergence(
    X: ArrayLike,
    Y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    eps: float,
    cost: str | float = "sqeuclidean",
    tol: float = 1e-6,
    maxiter: int | None = None,
    normalize: bool = False,
    callback: Callback | None = None,
) -> SinkhornDivergence:
    """Compare two clouds of points by the debiased entropic transport cost.

    Parameters
    ----------
    X : array_like, shape (n, d)
    Y : array_like, shape (m, d)
    a, b : array_like, shapes (n,) and (m,), optional
        Weights of the same total; uniform by default.
    eps : float > 0
        Regularisation, in the units of the cost.
    cost : {"sqeuclidean", "euclidean"} or float, default "sqeuclidean"
        See ``PointCloud``.
    tol, maxiter, normalize, callback : as for ``sinkhorn``
        The callback is told of the three problems, one after the other.

    Returns
    -------
    SinkhornDivergence
        ``value``, ``error``, and the three results.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``sinkhorn``.

    Notes
    -----
    Memory is O((n + m) d) where plain sweeps suffice: no matrix of costs is formed.

    References
    ----------
    .. [1] J. Feydy et al., Interpolating between optimal transport and MMD using Sinkhorn divergences, AISTATS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> X = np.random.default_rng(0).random((50, 2))
    >>> [round(transport.sinkhorn_divergence(X, X + shift, eps=0.1).value, 3) for shift in (0.0, 0.5)]
    [0.0, 0.5]
    """
    options = dict(eps=eps, tol=tol, maxiter=maxiter, normalize=normalize, callback=callback)
    with parts():
        xy = sinkhorn(PointCloud(X, Y, cost), a, b, **options)
        xx = sinkhorn(PointCloud(X, X, cost), a, a, **options)
        yy = sinkhorn(PointCloud(Y, Y, cost), b, b, **options)
    value = _linear(xy) - (_linear(xx) + _linear(yy)) / 2
    error = _error(xy) + (_error(xx) + _error(yy)) / 2
    value = max(0.0, value) if math.isfinite(value) else math.inf
    return ended(callback, SinkhornDivergence(value, error, xy, xx, yy))


def _linear(result):
    """<a, f> + <b, g>, entropies left out, which cancel."""
    return result.dual_value + result.eps * result.mass


def _error(result):
    """The largest potential (in the gauge of its mean) times the marginal error."""
    if not result.marginal_error < _LOST:
        return math.inf
    problem = result._problem
    with problem.place():
        spread = sum(float(p.max() - p.min()) for p in (problem.u, problem.v)) * result.eps
    return spread * result.marginal_error * result.mass
