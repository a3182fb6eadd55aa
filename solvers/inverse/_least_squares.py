"""Least squares with noise: CGLS, LSQR, LSMR and hybrid Golub-Kahan-Tikhonov, which know when to stop.

What differs from the peers: the data are scaled by a power of two, so that nothing depends on their unit; each data set
of a stack has its own scalars, weight and end; the misfit is recomputed before a rule is said to be met; and a wrong
adjoint is noticed.
"""

import time

from numpy.typing import ArrayLike

from .._loop import ended
from .._types import Callback, Executor, MatrixLike, Seed
from ._demands import Demands
from ._problem import Problem
from ._result import InverseResult

__all__ = ["least_squares"]


def least_squares(
    A: MatrixLike,
    b: ArrayLike,
    *,
    method: str = "auto",
    regularization: float | str | ArrayLike | None = None,
    stop: str | None = None,
    noise_level: float | None = None,
    noise_norm: float | ArrayLike | None = None,
    tau: float = 1.01,
    L: MatrixLike | None = None,
    x0: ArrayLike | None = None,
    rtol: float = 1e-6,
    maxiter: int | None = None,
    callback: Callback | None = None,
    rng: Seed | None = 0,
    executor: Executor | None = None,
) -> InverseResult:
    """Reconstruct x from b = A x + noise.

    It minimises norm(b - A x)^2 + regularization norm(L (x - x0))^2, and stops before the noise comes in.

    Parameters
    ----------
    A : ImagingOperator, ndarray, sparse array or LinearOperator, shape (m, n)
    b : array_like
        Data of ``A.data_shape``, a stack of them, or flat: (m,) or (m, k).
    method : {"auto", "cgls", "lsqr", "lsmr", "hybrid"}, default "auto"
        "auto" is "hybrid" where ``regularization`` is a rule, else "cgls".
    regularization : float >= 0, array of shape (k,), or {"gcv", "discrepancy", "l-curve"}, optional
        The weight, in units of A^2 (of A^2 / L^2), or the rule by which a hybrid method finds it.
    stop : {"discrepancy", "gcv", "l-curve"}, optional
        How the number of steps is chosen, where this is what regularises. Where the noise is known and without any
        other wish it is "discrepancy"; else a method runs until ``rtol``.
    noise_level : float > 0, optional
        The standard deviation of an entry of the noise in b, as for ``pnp`` and ``sample``.
    noise_norm : float > 0 or array of shape (k,), optional
        Or the norm of the noise in b, which is ``noise_level * sqrt(m)``.
    tau : float >= 1, default 1.01
        The discrepancy principle asks for a misfit of ``tau * noise_norm``.
    L : ImagingOperator, matrix or operator, shape (p, n), optional
        What is to be small, such as ``inverse.Gradient``; the identity by default.
    x0 : array_like, optional
        Where the iteration starts, and what the penalty is centred at; zero by default.
    rtol : float, default 1e-6
        A row is also done where ``norm(b - A x) <= rtol norm(b)``, or where the gradient is at most ``rtol`` times
        that at zero.
    maxiter : int, optional
        Most steps; by default 1000, and for hybrid methods 60, or fewer (10 at least) where their bases would take
        over 2 GiB.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(x)`` after each step with a copy of the iterate; raising StopIteration ends the solve.
    rng : None, int or numpy.random.Generator, default 0
        For the random signs with which ``stop="gcv"`` estimates a trace.
    executor : concurrent.futures executor, optional
        Where blocks of the data sets of a stack are reconstructed, in threads, processes or elsewhere, without a
        ``callback``; on the CPU. A task carries A, L and its data sets.

    Returns
    -------
    InverseResult
        ``x`` in the form of b; ``regularization``, the weight used or None; ``stop_reason``: "discrepancy", "gcv",
        "l-curve", "tolerance", "maxiter", "callback", or the name of a failure; ``residuals``, the misfits; also
        ``solution_norms``, those of L (x - x0) at each step, and ``chosen``, the step that x is of.

    Raises
    ------
    InvalidInput
        A ValueError: a shape, a value or a combination that cannot be worked with.
    UnsupportedType
        A TypeError: an argument of the wrong kind.
    TaskError
        If a task of the executor failed: names its data sets, and has the images of each other block, shape (rows,
        *A.image_shape).

    Notes
    -----
    The data sets of a stack do not depend on each other. They are taken in blocks of 2^16 numbers (2^26 on a GPU) of
    images or data, of four at least where A is a matrix or somebody else's operator; no bit depends on an executor.

    A step costs one product with A and one with A^H ("gcv" as a stop: two of each, the second for the trace). CGLS,
    LSQR and LSMR keep 4 or 5 vectors; a hybrid method keeps k (m + n) numbers after k steps, with an ``L`` of p rows
    k (m + n + p), and reorthogonalises them. With ``L``, a weight leads to the augmented system; a rule to projection
    on a subspace that grows by gradients [4]_, with the weight found at each step by generalised singular values.

    As stops, "discrepancy" needs the noise and is the cheapest, and "gcv" is as good without it, unless the data are
    few: its trace is known to a share of 1 / sqrt(m). "l-curve" is late where the curve is smooth: in tomography at
    0.5 to 5 % noise its error was 1.3 to 1.5 times the least. "gcv" as the rule of a hybrid method is that of the
    projected problem; at 20 % noise its weight was too large there, and the error 1.3 times the least.

    ``n_matvec`` counts the products with A^H, too. An adjoint that is none shows in inner products at hand, and where
    the misfit is not what the recurrence says: that is the status NOT_ADJOINT. ``check_adjoint`` measures it.

    References
    ----------
    .. [1] P. C. Hansen, Discrete inverse problems: insight and algorithms, SIAM 2010,
       https://doi.org/10.1137/1.9780898718836
    .. [2] J. Chung, J. G. Nagy, D. P. O'Leary, A weighted-GCV method for Lanczos-hybrid regularization, ETNA 28 (2008)
       149-167
    .. [3] R. J. Santos, A. R. De Pierro, A cheaper way to compute generalized cross-validation as a stopping rule for
       linear stationary iterative methods, J. Comput. Graph. Stat. 12 (2003) 417-433,
       https://doi.org/10.1198/1061860031743
    .. [4] J. Lampe, L. Reichel, H. Voss, Large-scale Tikhonov regularization via reduction by orthogonal projection,
       Linear Algebra Appl. 436 (2012) 2845-2865, https://doi.org/10.1016/j.laa.2010.07.019

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> t = np.linspace(0, 1, 64)
    >>> A = np.exp(-((t[:, None] - t) ** 2) / 0.005) / 64
    >>> noise = 1e-3 * np.random.default_rng(0).standard_normal(64)
    >>> x = np.sin(np.pi * t) ** 2
    >>> result = inverse.least_squares(A, A @ x + noise, noise_norm=np.linalg.norm(noise))
    >>> result.stop_reason, bool(np.linalg.norm(result.x - x) < 0.05 * np.linalg.norm(x))
    ('discrepancy', True)
    """
    began = time.perf_counter()
    demands = Demands(
        method=method, regularization=regularization, stop=stop, noise_level=noise_level, noise_norm=noise_norm,
        tau=tau, rtol=rtol, maxiter=maxiter, callback=callback, rng=rng,
    )  # fmt: skip
    result = Problem(A, b, L, x0, demands).solve(executor)
    result.seconds = time.perf_counter() - began
    return ended(callback, result)
