"""The data step of moment matching: Rozet, Andry, Lanusse and Louppe, NeurIPS 2024 (MMPS).

Given x, x0 is taken as Gaussian of the denoiser's mean and of the covariance V = sigma^2 J that the denoiser's Jacobian
says (Tweedie's formula of second order). Its mean given the data, too, is x0 + V A^H u with (sigma_y^2 I + A V A^H) u =
y - A x0, solved by a few steps of conjugate gradients, each of which costs one product with J. The surrogate of STSL
(Rout et al., CVPR 2024), which keeps only the trace of V, is this without the system.
"""

from ._normal import conjugate_gradients

__all__ = ["moment_matching_step"]


def moment_matching_step(problem, n_cg, rtol):
    """The noise at hand is measured from the new mean, which knows the data."""

    def step(mean, covariance_product, sigma, residual):
        spread = lambda U: covariance_product(problem.adjoint(U))
        product = lambda U: problem.noise_level**2 * U + problem.forward(spread(U))
        U, _, _ = conjugate_gradients(product, residual, maxiter=n_cg, rtol=rtol)
        found = mean + spread(U)
        return found, found

    return step
