"""Exact samples of a Gaussian posterior by perturb and optimise: all of them in one block solve.

Noise is added to the data and to the prior's mean, and the least-squares problem of the posterior mean is solved for
each perturbed pair (Papandreou and Yuille, NIPS 2010; Orieux, Feron and Giovannelli, IEEE SPL 19, 2012). The solutions
have the mean and the covariance of the posterior, as exactly as the systems are solved.
"""

import numpy as np

from .._arrays import module_of
from ._operator import ImagingOperator, _applied
from ._tweedie import normals

__all__ = ["perturbed_solutions"]


_MEAN = 0.01  # a deviation is far smaller than the mean, which is solved for this part of its tolerance


def perturbed_solutions(problem, batch, prior, maxiter, rtol):
    """A sample for each row of ``batch.B``, the iterations of conjugate gradients for them, and whether all converged.

    What is solved for in one block are the deviations from the mean, so that the tolerance is one on them.
    """
    xp, sigma = module_of(batch.B), problem.noise_level
    noise = lambda shape: xp.asarray(normals(batch.generators, shape, problem.dtype))
    E, shape = sigma * noise(problem.A.data_shape), problem.A.image_shape
    if hasattr(prior, "penalty"):
        L, mean = prior.penalty(E, shape), prior.centre(E, shape, problem.dtype)
        W = _applied(L, L.adjoint_stack, noise(L.data_shape))
        system = {"more": prior.precision_product}
        adjoint, colour = problem.adjoint, lambda Z: Z
    else:
        # In the coordinates z of x = m + F z, in which the prior is white.
        _, mean, variances, basis = prior.arrays(E)
        mean = mean.reshape(1, *shape).astype(problem.dtype)
        white = _Whitened(problem.A, xp.sqrt(variances[0]), None if basis is None else basis[0], problem.dtype)
        W = noise(shape)
        system = {"A": white, "shift": 1.0}
        adjoint, colour = lambda Y: problem.adjoint(Y, white), white.colour
    system |= {"weight": 1 / sigma**2, "maxiter": maxiter}
    centres, first = problem.solve(adjoint(problem.B - problem.forward(mean)) / sigma**2, rtol=_MEAN * rtol, **system)
    deviations, iterations = problem.solve(adjoint(E) / sigma**2 + W, rtol=rtol, **system)
    X = mean + colour(xp.concatenate([centres] * batch.n_samples) + deviations)
    return X, iterations, max(first.max(), iterations.max()) < maxiter


class _Whitened(ImagingOperator):
    """A F for the root F of a covariance: eigenvectors, or the identity, times deviations."""

    def __init__(self, A, deviations, basis, dtype):
        super().__init__(np.result_type(A.dtype, dtype), A.image_shape, A.data_shape)
        self._A, self._deviations, self._basis = A, deviations, basis

    def colour(self, Z):
        X = Z.reshape(len(Z), -1) * self._deviations
        X = X if self._basis is None else X @ self._basis.T
        return module_of(X).ascontiguousarray(X).reshape(Z.shape).astype(Z.dtype, copy=False)

    def forward_stack(self, X):
        return _applied(self._A, self._A.forward_stack, self.colour(X))

    def adjoint_stack(self, Y):
        X = _applied(self._A, self._A.adjoint_stack, Y)
        Z = X.reshape(len(X), -1)
        Z = (Z if self._basis is None else Z @ self._basis.conj()) * self._deviations
        return module_of(Z).ascontiguousarray(Z).reshape(X.shape).astype(X.dtype, copy=False)
