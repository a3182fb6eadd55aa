"""Optimal transport: entropic plans that are right, or a named failure.

``sinkhorn`` and ``sinkhorn_newton_sparse`` return the plan's cost, its potentials and its recomputed marginal error;
``partial`` transports a given mass; ``sinkhorn_divergence`` compares clouds of points without the bias of the entropy.
``sliced_wasserstein`` compares them along random directions, with an error bar; ``pairwise_sliced_wasserstein`` does so
for all pairs of many, and ``max_sliced_wasserstein`` looks for the direction that tells two apart best.

>>> import numpy as np
>>> from solvers import transport
>>> X, Y = np.random.default_rng(0).random((2, 50, 3))
>>> result = transport.sinkhorn(transport.PointCloud(X, Y), eps=0.05, tol=1e-8)
>>> result.converged, result.plan.shape, result.marginal_error <= 1e-8
(True, (50, 50), True)
"""

from ._batch import TransportBatch
from ._costs import PointCloud
from ._divergence import SinkhornDivergence, sinkhorn_divergence
from ._partial import partial
from ._result import TransportResult
from ._sinkhorn import sinkhorn
from ._sinkhorn_newton_sparse import sinkhorn_newton_sparse
from ._sliced import sliced_wasserstein
from ._sliced_max import MaxSlicedResult, max_sliced_wasserstein
from ._sliced_pairwise import pairwise_sliced_wasserstein
from ._sliced_result import SlicedResult

__all__ = [
    "MaxSlicedResult",
    "PointCloud",
    "SinkhornDivergence",
    "SlicedResult",
    "TransportBatch",
    "TransportResult",
    "max_sliced_wasserstein",
    "pairwise_sliced_wasserstein",
    "partial",
    "sinkhorn",
    "sinkhorn_divergence",
    "sinkhorn_newton_sparse",
    "sliced_wasserstein",
]
