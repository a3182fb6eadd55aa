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


def perturbed_solutions(problem, B, prior, generators, maxiter, rtol):
    """A sample for each row of B and its generator, and the iterations of conjugate gradients, shape (k,)."""
    xp, sigma = module_of(B), problem.noise_level
    noise = lambda shape: xp.asarray(normals(generators, shape, problem.dtype))
    B = B + sigma * noise(problem.A.data_shape).astype(B.dtype, copy=False)
    options = {"weight": 1 / sigma**2, "maxiter": maxiter, "rtol": rtol}
    if hasattr(prior, "penalty"):
        L, mean = prior.penalty(problem.A.image_shape), prior.centre(B, problem.A.image_shape, problem.dtype)
        shifted = _applied(L, L.forward_stack, mean) + noise(L.data_shape)
        rhs = problem.adjoint(B) / sigma**2 + _applied(L, L.adjoint_stack, shifted)
        more = prior.precision_product
        return problem.solve(rhs, more=more, **options)
    # In the coordinates z of x = m + F z, in which the prior is white and the system as well posed as it gets.
    _, mean, variances, basis = prior.arrays(B)
    white = _Whitened(problem.A, xp.sqrt(variances[0]), None if basis is None else basis[0], problem.dtype)
    mean = mean.reshape(1, *problem.A.image_shape).astype(problem.dtype)
    rhs = problem.adjoint(B - problem.forward(mean), white) / sigma**2 + noise(problem.A.image_shape)
    Z, iterations = problem.solve(rhs, A=white, shift=1.0, **options)
    return mean + white.colour(Z), iterations


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
