"""Relaxation: successive over-relaxation (Young 1954, https://doi.org/10.2307/1990745), Gauss-Seidel and Jacobi.

What differs from other libraries: rows are sorted into stages whose rows do not wait for each other, which keeps
the natural order's iterates and takes a fraction of its time; the residual of every iterate is had on the way;
omega is honoured in symmetric sweeps too; the true residual is recomputed before "converged" is said.
"""

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._hageman_young import HagemanYoung
from ._iterative import solve
from ._omega import in_range
from ._result import LinearResult
from ._sweeps import ORDERINGS, blocks_of, diagonal_of, sweep_of

__all__ = ["gauss_seidel", "jacobi", "sor"]

# The residual has grown by this factor: it will not come back.
_HOPELESS = 1e12


def sor(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | None = None,
    *,
    omega: float | str = "auto",
    symmetric: bool = False,
    ordering: str = "natural",
    blocks: ArrayLike | int | None = None,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b by successive over-relaxation.

    x_i <- x_i + omega / a_ii (b_i - sum over j of a_ij x_j), row after row, with the newest x_j at hand.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Real or complex, without zeros on its diagonal. The iteration converges for every omega in (0, 2) where
        A is Hermitian positive definite.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other, or by ``executor``.
    x0 : array_like, shape of b, optional
        Starting guess; zero by default.
    omega : float in (0, 2), or "auto", default "auto"
        1 is Gauss-Seidel. "auto" starts from 1.5 and adapts while it solves (Hageman & Young 1981, chapter 9).
        ``omega_optimal`` computes Young's value; ``TunedSOR`` learns it over a sequence of systems.
    symmetric : bool, default False
        Whether each iteration is a sweep forward and one backward.
    ordering : {"natural", "colored", "reversed"}, default "natural"
        The order of the rows. "colored" sweeps over sets of uncoupled rows, which threads and GPUs share: the one to
        use on a GPU, where the others wait some microseconds for each of hundreds or thousands of such sets.
    blocks : array_like of int, shape (n,), or int, optional
        The block of each row, or the size of all blocks: a block's rows are solved for together, exactly where they
        are a line of a grid or small and dense. For couplings that are strong in one direction; on the CPU, with
        positive pivots. The ordering is then that of the blocks' numbers.
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
        SciPy's pair with the attributes of ``solvers.Result``; the status DIVERGED where the residual grew.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``cg``; and for a zero on the diagonal.

    Notes
    -----
    An iteration reads the matrix once (twice if symmetric) and needs no other product; memory is the matrix once
    more, sorted, and 3 vectors. As a solver on its own it needs many iterations: ``ssor_cg`` needs far fewer.

    References
    ----------
    .. [1] D. M. Young, Iterative methods for solving partial difference equations of elliptic type, Trans.
       Amer. Math. Soc. 76 (1954) 92-111, https://doi.org/10.2307/1990745
    .. [2] L. A. Hageman, D. M. Young, Applied Iterative Methods, Academic Press, 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((20, 20), [4, -1, -1])
    >>> [linalg.sor(A, np.ones(400), omega=omega).iterations for omega in (1.0, 1.7)]
    [507, 76]
    """
    settings = _Settings("sor", omega, symmetric, ordering, blocks)
    return _relax("sor", settings, A, b, x0, rtol, atol, maxiter, callback, executor)


def gauss_seidel(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | None = None,
    *,
    symmetric: bool = False,
    ordering: str = "natural",
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b by the Gauss-Seidel iteration, which is ``sor`` with omega = 1.

    Parameters
    ----------
    A, b, x0, symmetric, ordering, rtol, atol, maxiter, callback, executor : as for ``sor``

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``sor``.

    Notes
    -----
    It converges where A is Hermitian positive definite or strictly diagonally dominant. An iteration reads the
    matrix once.

    References
    ----------
    .. [1] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM, 2003, chapter 4,
       https://doi.org/10.1137/1.9780898718003

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> linalg.gauss_seidel(np.array([[4.0, 1.0], [1.0, 3.0]]), np.ones(2)).converged
    True
    """
    settings = _Settings("sor", 1.0, symmetric, ordering)
    return _relax("gauss_seidel", settings, A, b, x0, rtol, atol, maxiter, callback, executor)


def jacobi(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | None = None,
    *,
    omega: float = 1.0,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b by the damped Jacobi iteration x <- x + omega D^-1 (b - A x).

    Parameters
    ----------
    A, b, x0 : as for ``sor``
    omega : float > 0, default 1
        The damping.
    rtol, atol, maxiter, callback, executor : as for ``sor``

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``sor``.

    Notes
    -----
    It converges for omega = 1 where A is strictly diagonally dominant, and for omega < 2 / lambda_max(D^-1 A) where
    A is Hermitian positive definite. An iteration costs one product with A.

    References
    ----------
    .. [1] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM, 2003, chapter 4,
       https://doi.org/10.1137/1.9780898718003

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> linalg.jacobi(np.array([[4.0, 1.0], [1.0, 3.0]]), np.ones(2)).converged
    True
    """
    return _relax("jacobi", _Settings("jacobi", omega), A, b, x0, rtol, atol, maxiter, callback, executor)


class _Settings:
    """What an iteration needs beyond the system."""

    def __init__(self, method, omega, symmetric=False, ordering="natural", blocks=None):
        self.method, self.blocks = method, blocks
        if blocks is not None and ordering != "natural":
            raise InvalidInput(f"`ordering` must be 'natural' with `blocks`, got {ordering!r}; number blocks in it.")
        self.symmetric = _checks.flag("symmetric", symmetric)
        self.ordering = _checks.choice("ordering", ordering, ORDERINGS)
        if method == "jacobi":
            self.omega = _checks.positive("omega", omega)
        else:
            in_range(omega)
            self.omega = None if isinstance(omega, str) else float(omega)
            if omega == "auto" and symmetric and ordering == "colored":
                self.omega = 1.0  # the best between two colours (measured, 100 to 900 unknowns)


def _relax(name, settings, A, b, x0, rtol, atol, maxiter, callback, executor):
    shared = []  # by all right-hand sides

    def adjust(system):
        if not shared:
            shared.append(_sorted(settings, system.matrix, system.dtype, system.backend))
        system.settings, system.sweep = settings, shared[0]

    steps = _jacobi_steps if settings.method == "jacobi" else _steps
    few = settings.method != "jacobi"
    options = dict(adjust=adjust, few_products=few, executor=executor)
    return solve(steps, name, A, b, x0, None, rtol, atol, maxiter, callback, **options)


def _sorted(settings, matrix, dtype, backend):
    """What the iteration reads in the place of A."""
    if settings.method == "jacobi":
        return diagonal_of(matrix, dtype, backend), None
    if settings.blocks is not None:
        return blocks_of(matrix, dtype, backend, settings.blocks)
    return sweep_of(matrix, dtype, backend, settings.ordering)


def _steps(system, control):
    """Chunks of sweeps over the sorted rows."""
    kernels, settings = system.kernels, system.settings
    *sweep, order = system.sweep
    b, x, y = (system.empty() for _ in range(3))
    first = system.residual(y)
    yield [first], None
    chunk = _chunk(kernels, settings)
    rule = HagemanYoung(settings.symmetric) if settings.omega is None else None
    kernels.gather(system.b, order, b)
    kernels.gather(system.x, order, x)
    last, seen, start = first, [], None  # seen: the norms since the rule last looked, from that start
    while True:
        steps, omega = control.max_steps, settings.omega
        if rule is not None:
            steps, omega = min(steps, rule.steps - len(seen)), rule.omega
            start = start if seen else (x.copy(), last)
        norms = np.empty(steps)
        taken = chunk(*sweep, b, x, y, omega, norms, control.threshold, steps)
        system.n_matvec += taken
        last = norms[taken - 1]
        if rule is not None:
            seen.extend(norms[:taken])
            if len(seen) >= rule.steps or not np.isfinite(last):
                if not rule.observe(np.array(seen)):  # in vain
                    x[:], norms[taken - 1] = start
                    last = norms[taken - 1]
                seen = []
        kernels.scatter(x, order, system.x)
        yield norms[:taken], None if seen else _hopeless(norms[:taken], first)


def _hopeless(norms, first):
    """DIVERGED where the last norm is far above the first, or no number after one that is."""
    grown = norms[-1] if np.isfinite(norms[-1]) else np.fmax.reduce(norms)
    return Status.DIVERGED if grown > _HOPELESS * first else None


def _chunk(kernels, settings):
    """The kernel that sweeps: (what ``system.sweep`` holds, b, x, y, omega, norms, threshold, steps) -> taken."""
    if settings.blocks is None:
        return kernels.ssor_chunk if settings.symmetric else kernels.sor_chunk

    def chunk(A, edges, factors, b, x, y, omega, *rest):
        return kernels.block_sor_chunk(A, edges, factors, b, x, y, omega, settings.symmetric, *rest)

    return chunk


def _jacobi_steps(system, control):
    kernels, omega = system.kernels, system.settings.omega
    inverse, y = system.empty(), system.empty()
    with np.errstate(all="ignore"):  # a NaN, or 1 / what is nearly 0, is for the norms to show
        kernels.reciprocal(system.sweep[0], inverse)
    first = system.residual(y)
    yield [first], None
    while True:
        norms = np.empty(control.max_steps)
        taken = kernels.jacobi_chunk(
            system.operand, inverse, system.b, system.x, y, omega, norms, control.threshold, control.max_steps
        )
        system.n_matvec += taken
        yield norms[:taken], _hopeless(norms[:taken], first)
