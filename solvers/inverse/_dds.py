"""The data steps of the Decomposed Diffusion Sampler (Chung, Lee and Ye, ICLR 2024).

A few steps of conjugate gradients, started at the denoised image, on A^H A x = A^H y or, with noise, on the proximal
problem (I + gamma A^H A) x = x0 + gamma A^H y. Started there, they are the steps from zero for the correction x - x0,
whose right-hand side is A^H (y - A x0): that is how they are taken here.

The released code differs in three places that are faults: its right-hand side for complex data, inner products without
conjugation, and an adjoint of CT that is not one. Its weights (gamma, rho, lambda) do not carry over to a true adjoint.
"""

import numpy as np

from .. import _checks
from .._arrays import enter, kind_of, module_of
from .._errors import InvalidInput, UnsupportedType

__all__ = ["admm_tv_step", "cg_step", "own_step"]


def cg_step(problem, gamma, n_cg, rtol):
    """The step of equation 21 of the paper, noiseless for ``gamma`` None, else proximal."""

    def step(mean, _, sigma, residual):
        weight = gamma
        if callable(gamma):
            weight = _checks.positive("gamma(sigma)", gamma(sigma))
        rhs = problem.adjoint(residual)
        if weight is None:
            change, _ = problem.solve(rhs, maxiter=n_cg, rtol=rtol)
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite ends the sample
                rhs = weight * rhs
            change, _ = problem.solve(rhs, shift=1.0, weight=weight, maxiter=n_cg, rtol=rtol)
        return mean + change, mean

    return step


def admm_tv_step(problem, rho, tv_weight, n_cg, rtol):
    """One iteration of ADMM on |A x - y|^2 / 2 + tv_weight |D x|_1, D the periodic differences across slices.

    The slices are the first axis of an image. z and u stay between the levels of noise.
    """
    if len(problem.A.image_shape) != 3:
        raise InvalidInput(
            "`data_step` 'admm-tv' is for volumes of shape (slices, height, width), got an image of shape "
            f"{problem.A.image_shape}."
        )
    kept = {}

    def step(mean, _, sigma, residual):
        z, u = kept.get("z", 0), kept.get("u", 0)
        rhs = problem.adjoint(residual) + rho * _back(z - u - _across(mean))
        more = lambda P: rho * _back(_across(P))
        found = mean + problem.solve(rhs, maxiter=n_cg, rtol=rtol, more=more)[0]
        D = _across(found)
        kept["z"] = _soft(D + u, tv_weight / rho)
        kept["u"] = u + D - kept["z"]
        return found, mean

    return step


def own_step(function):
    """A user's function (denoised stack, sigma) -> stack."""

    def step(mean, _, sigma, residual):
        found = enter("data_step", function(mean.copy(), sigma))
        if getattr(found, "shape", None) != mean.shape:
            raise InvalidInput(
                f"`data_step` must return an array of the shape of its first argument, {mean.shape}, got "
                f"{getattr(found, 'shape', type(found).__name__)}."
            )
        if kind_of("data_step", found) != kind_of("mean", mean) or found.dtype.kind not in "biuf" + mean.dtype.kind:
            raise UnsupportedType(
                f"`data_step` must return the kind of array and of numbers that it gets, {mean.dtype}, got "
                f"{type(found).__module__}'s of {found.dtype}."
            )
        return found.astype(mean.dtype, copy=True), mean

    return step


def _across(X):
    """D x: the next slice minus this one, the first after the last."""
    return module_of(X).roll(X, -1, axis=1) - X


def _back(Z):
    """D^H z."""
    return module_of(Z).roll(Z, 1, axis=1) - Z


def _soft(Z, threshold):
    """Z / |Z| max(|Z| - threshold, 0), for complex numbers, too."""
    xp = module_of(Z)
    size = xp.abs(Z)
    return Z * xp.where(size > threshold, 1 - threshold / xp.where(size > 0, size, 1), 0)
