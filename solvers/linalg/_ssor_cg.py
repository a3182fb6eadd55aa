"""Conjugate gradients preconditioned by symmetric successive over-relaxation.

``ssor_cg`` is ``cg`` with ``ssor`` as M, by Eisenstat's trick (1981, https://doi.org/10.1137/0902001), which does
without products with A. What differs from the paper: the norm of the true residual, not of the transformed one, is
tested in every step (it is had on the way), and recomputed at the end.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._cg import FLAGS
from ._iterative import solve
from ._omega import in_range
from ._result import LinearResult
from ._sweeps import sweep_of
from ._triangular import omega_for_ssor

__all__ = ["ssor_cg"]


def ssor_cg(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | None = None,
    *,
    omega: float | str = "auto",
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b for a Hermitian positive definite A by conjugate gradients preconditioned by SSOR.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Hermitian positive definite.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other, or by ``executor``.
    x0 : array_like, shape of b, optional
        Starting guess; zero by default.
    omega : float in (0, 2), or "auto", default "auto"
        "auto" estimates it by Lanczos steps, see ``omega_optimal``; ``TunedSSORCG`` learns it over a sequence.
    rtol, atol : float, default 1e-5 and 0
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``.
    maxiter : int, default 10 n
        Most iterations.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(xk)`` after each iteration with a copy of the iterate.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``callback``; see ``cg``.

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``, and ``omega``.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``sor``.

    Notes
    -----
    The iterates are those of ``cg`` with ``M=ssor(A, omega)``. An iteration reads the matrix once and 17 vectors
    of numbers; ``cg`` with that M reads the matrix twice. Rows are swept in their natural order, where it
    preconditions best; on a GPU an iteration on a large grid then waits for thousands of sets of rows, one after the
    other: ``cg`` with ``M=chebyshev(A)`` has no such order.

    References
    ----------
    .. [1] S. C. Eisenstat, Efficient implementation of a class of preconditioned conjugate gradient methods,
       SIAM J. Sci. Stat. Comput. 2 (1981) 1-4, https://doi.org/10.1137/0902001

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> linalg.ssor_cg(A, np.ones(2500), omega=1.8).iterations
    18
    """
    in_range(omega)

    shared = []  # by all right-hand sides

    def adjust(system):
        if not shared:
            known = system.matrix, system.dtype, system.backend
            shared.extend([sweep_of(*known, "natural"), omega_for_ssor(omega, *known)])
        system.sweep, system.settings = shared

    options = dict(adjust=adjust, few_products=True, hermitian=True, finds_null=True, executor=executor)
    result = solve(_steps, "ssor_cg", A, b, x0, None, rtol, atol, maxiter, callback, **options)
    result.omega = shared[1] if shared else None  # of an empty b
    return result


def _steps(system, control):
    """Chunks of iterations on the sorted rows."""
    kernels, omega = system.kernels, system.settings
    sweep, order = system.sweep
    x, r, s, t, p, u = (system.empty() for _ in range(6))
    norm = system.residual(r)
    yield [norm], None
    kernels.gather(system.x, order, x)
    kernels.gather(r, order, u)
    rho = kernels.ssor_cg_start(sweep, omega, u, s, t)
    t[:] = 0
    scalars = np.array([rho, 0.0, 0.0, math.sqrt(system.eps)])
    if not (rho > 0.0 and math.isfinite(rho)):
        yield [], Status.NONFINITE if not math.isfinite(rho) else Status.INDEFINITE
    while True:
        norms = np.empty(control.max_steps)
        taken, flag = kernels.ssor_cg_chunk(
            sweep, omega, x, s, t, p, u, scalars, norms, control.threshold, control.max_steps
        )
        kernels.scatter(x, order, system.x)
        system.n_matvec += taken
        status = FLAGS[flag]
        if status is Status.NOT_HERMITIAN and system.is_hermitian():
            scalars[3], status = math.inf, None  # an imaginary part made by rounding
            scalars[1] = 0.0  # t is one direction ahead: start again from the residual
            if taken == 0:
                continue
        yield norms[:taken], status
