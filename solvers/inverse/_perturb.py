"""Exact samples of a Gaussian posterior by perturb and optimise: a block of them in one solve.

Noise is added to the data and to the prior's mean, and the least-squares problem of the posterior mean is solved for
each perturbed pair (Papandreou and Yuille, NIPS 2010; Orieux, Feron and Giovannelli, IEEE SPL 19, 2012). The solutions
have the mean and the covariance of the posterior, as exactly as the systems are solved.
"""

import numpy as np

from .._arrays import module_of
from ._operator import ImagingOperator, applied
from ._tweedie import normals

__all__ = ["deviations", "posterior_means"]

_MEAN = 0.01  # a deviation is far smaller than the mean, which is solved for this part of its tolerance


@np.errstate(over="ignore")  # a square of the noise beyond the range of single precision leaves the prior
def posterior_means(problem, prior, maxiter, rtol):
    """The mean for each data set less the prior's, in the coordinates of the prior, and the iterations for each."""
    system = _System(problem, prior)
    rhs = system.adjoint(problem.B - problem.forward(system.mean)) / problem.noise_level**2
    return problem.solve(rhs, rtol=_MEAN * rtol, maxiter=maxiter, **system.options)


@np.errstate(over="ignore")
def deviations(problem, generators, centres, prior, maxiter, rtol):
    """A sample for each data set with one of ``posterior_means``, and the iterations of conjugate gradients for each.

    What is solved for in one block are the deviations from the mean, so that the tolerance is one on them.
    """
    system = _System(problem, prior)
    noise = lambda shape: module_of(problem.B).asarray(normals(generators, shape, problem.dtype))
    E = problem.noise_level * noise(problem.A.data_shape)
    rhs = system.adjoint(E) / problem.noise_level**2 + system.of_prior(noise)
    found, iterations = problem.solve(rhs, rtol=rtol, maxiter=maxiter, **system.options)
    return system.mean + system.colour(centres + found), iterations


class _System:
    """The normal equations of the posterior mean, in coordinates in which a Gaussian prior is white."""

    def __init__(self, problem, prior):
        shape, dtype, B = problem.A.image_shape, problem.dtype, problem.B
        self._problem, self._white, self._L = problem, None, None
        self.options = {"weight": 1 / problem.noise_level**2}
        if hasattr(prior, "penalty"):
            self._L, self.mean = prior.penalty(B, shape), prior.centre(B, shape, dtype)
            self.options["more"] = prior.precision_product
        else:
            # x = m + F z
            _, mean, variances, basis = prior.arrays(B)
            self.mean = mean.reshape(1, *shape).astype(dtype)
            deviations = module_of(B).sqrt(variances[0])
            self._white = _Whitened(problem.A, deviations, None if basis is None else basis[0], dtype)
            self.options |= {"A": self._white, "shift": 1.0}

    def adjoint(self, Y):
        return self._problem.adjoint(Y, self._white)

    def colour(self, Z):
        return Z if self._white is None else self._white.colour(Z)

    def of_prior(self, noise):
        """What the prior adds to a right-hand side."""
        L = self._L
        return noise(self._problem.A.image_shape) if L is None else applied(L, L.adjoint_stack, noise(L.data_shape))


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
        return applied(self._A, self._A.forward_stack, self.colour(X))

    def adjoint_stack(self, Y):
        X = applied(self._A, self._A.adjoint_stack, Y)
        Z = X.reshape(len(X), -1)
        Z = (Z if self._basis is None else Z @ self._basis.conj()) * self._deviations
        return module_of(Z).ascontiguousarray(Z).reshape(X.shape).astype(X.dtype, copy=False)
