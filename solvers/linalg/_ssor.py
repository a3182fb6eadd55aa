"""Symmetric successive over-relaxation as a preconditioner, and conjugate gradients with it.

``ssor_cg`` is ``cg`` with ``ssor`` as M, by Eisenstat's trick (1981, https://doi.org/10.1137/0902001), which does
without products with A. What differs from the paper: the norm of the true residual, not of the transformed one, is
tested in every step (it is had on the way), and recomputed at the end.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from .. import _backend, _checks
from .._errors import InvalidInput
from .._result import Status
from ._omega import for_ssor, omega_of
from ._operator import analyse
from ._result import LinearResult
from ._solve import solve
from ._sweeps import ORDERINGS, sweep_of

__all__ = ["SSORPreconditioner", "ssor", "ssor_cg"]

_FLAGS = (None, Status.NONFINITE, Status.INDEFINITE, Status.NOT_HERMITIAN)


class SSORPreconditioner(LinearOperator):
    """What ``ssor`` returns: the product with the inverse of the SSOR matrix.

    Attributes
    ----------
    omega : float
    """

    def __init__(self, matrix, omega, ordering):
        super().__init__(matrix.dtype, (matrix.n, matrix.n))
        self.omega = omega
        self._sorted, self._ordering = matrix, ordering

    def on_backend(self, r, backend):
        """The product with a vector in the memory of that backend."""
        kernels = _backend.kernels(backend)
        sweep, order = sweep_of(self._sorted, r.dtype, backend, self._ordering)
        s, z = kernels.empty(r.shape, r.dtype), kernels.empty(r.shape, r.dtype)
        kernels.gather(r, order, s)
        kernels.ssor_solve(sweep, self.omega, s, s)
        kernels.scatter(s, order, z)
        return z

    def _matvec(self, v):
        dtype = np.result_type(self.dtype, v.dtype)
        return self.on_backend(np.ascontiguousarray(np.ravel(v), dtype=dtype), "cpu")

    def _adjoint(self):
        return self

    def __repr__(self):
        return f"<SSOR preconditioner, {self.shape[0]}x{self.shape[1]}, omega {self.omega:g}>"


def ssor(A, omega: float | str = "auto", *, ordering: str = "natural") -> SSORPreconditioner:
    """Make the symmetric over-relaxation preconditioner of a Hermitian A.

    M^-1 = (2 - omega)/omega K^-H D K^-1 with K = D/omega + L, D the diagonal and L the lower triangle of A.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Hermitian, with a positive diagonal.
    omega : float in (0, 2), or "auto"
        "auto" estimates it by Lanczos steps, see ``omega_optimal``.
    ordering : {"natural", "colored", "reversed"}
        Keep "natural" where it preconditions: with colours, conjugate gradients need several times the iterations.

    Returns
    -------
    SSORPreconditioner
        A LinearOperator of shape (n, n) for ``M=`` of any solver, SciPy's too.

    Raises
    ------
    InvalidInput
        If omega is not in (0, 2), or the diagonal has a zero.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> [linalg.cg(A, np.ones(2500), M=M).iterations for M in (None, linalg.ssor(A, 1.8))]
    [73, 18]
    """
    matrix = analyse(A)
    backend = _backend.pick(A=A)
    _checks.choice("ordering", ordering, ORDERINGS)
    sweep_of(matrix, matrix.dtype, backend, ordering)
    return SSORPreconditioner(matrix, _omega(omega, matrix, matrix.dtype, backend), ordering)


def ssor_cg(
    A,
    b: ArrayLike,
    x0: ArrayLike | None = None,
    *,
    omega: float | str = "auto",
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback=None,
) -> LinearResult:
    """Solve A x = b for a Hermitian positive definite A by conjugate gradients preconditioned by SSOR.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Hermitian positive definite.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other.
    x0 : array_like, shape of b, optional
        Starting guess; zero by default.
    omega : float in (0, 2), or "auto"
        "auto" estimates it by Lanczos steps, see ``omega_optimal``; ``TunedSSORCG`` learns it over a sequence.
    rtol, atol : float, default 1e-5 and 0
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``.
    maxiter : int, default 10 n
        Most iterations.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(xk)`` after each iteration with a copy of the iterate.

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
    of numbers; ``cg`` with that M reads the matrix twice.

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
    _in_range(omega)

    def adjust(system):
        system.sweep = sweep_of(system.matrix, system.dtype, system.backend, "natural")
        system.settings = _omega(omega, system.matrix, system.dtype, system.backend)

    options = dict(adjust=adjust, few_products=True, hermitian=True)
    return solve(_steps, "ssor_cg", A, b, x0, None, rtol, atol, maxiter, callback, **options)


def _in_range(omega):
    if isinstance(omega, str):
        if omega != "auto":
            raise InvalidInput(f"`omega` must be a number or 'auto', got {omega!r}.")
    elif not 0.0 < _checks.number("omega", omega) < 2.0:
        raise InvalidInput(f"`omega` must be > 0 and < 2, outside of which M is not definite, got {omega!r}.")


def _omega(omega, matrix, dtype, backend):
    _in_range(omega)
    return for_ssor(omega_of(matrix, dtype, backend)) if isinstance(omega, str) else float(omega)


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
    kernels.scale(system.dtype.type(0), s, t)
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
        status = _FLAGS[flag]
        if status is Status.NOT_HERMITIAN and system.is_hermitian():
            scalars[3], status = math.inf, None  # an imaginary part made by rounding
            if taken == 0:
                continue
        yield norms[:taken], status
