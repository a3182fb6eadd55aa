"""Preconditioners (D + L) D^-1 (D + U) whose triangles are solved with in sorted rows: SSOR and incomplete Cholesky.

SSOR takes the triangles of A itself (D/omega for D); incomplete Cholesky changes them so that the product agrees
with A on its pattern (Meijerink & van der Vorst 1977, https://doi.org/10.1090/S0025-5718-1977-0438681-4).
"""

import math
from typing import Any

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput
from .._place import at
from .._types import MatrixLike
from ._omega import for_ssor, in_range, omega_of
from ._operator import analyse, place, source
from ._products import Preconditioner
from ._sweeps import ORDERINGS, order_on, sweep_of, without_duplicates

__all__ = ["IncompleteCholesky", "SSORPreconditioner", "ic", "incomplete_cholesky", "omega_for_ssor", "ssor"]


class _Triangular(Preconditioner):
    """The product with the inverse of (D + L) D^-1 (D + U), rows sorted."""

    def __init__(self, matrix, omega: float) -> None:
        super().__init__(matrix.dtype, (matrix.n, matrix.n))
        self._omega = omega

    def _sweep(self, dtype, backend):
        raise NotImplementedError("each kind has its own triangles")

    def on_backend(self, r: Any, backend: str) -> Any:
        """The product with a vector in the memory of that backend."""
        kernels = _backend.kernels(backend)
        sweep, order = self._sweep(r.dtype, backend)
        s, z = kernels.empty(r.shape, r.dtype), kernels.empty(r.shape, r.dtype)
        kernels.gather(r, order, s)
        kernels.ssor_solve(sweep, self._omega, s, s)
        kernels.scatter(s, order, z)
        return z


class SSORPreconditioner(_Triangular):
    """What ``ssor`` returns.

    Attributes
    ----------
    omega : float
    """

    def __init__(self, matrix, omega: float, ordering: str) -> None:
        super().__init__(matrix, omega)
        self.omega = omega
        self._of, self._ordering, self._cast = matrix, ordering, {}

    def _sweep(self, dtype, backend):
        if backend != "cpu":
            return sweep_of(self._of, dtype, backend, self._ordering)
        if dtype not in self._cast:  # not from A, which may have changed since
            sweep, order = sweep_of(self._of, self.dtype, backend, self._ordering)
            self._cast[dtype] = _backend.kernels(backend).sweep_from(sweep, dtype), order
        return self._cast[dtype]

    def __repr__(self):
        return f"<SSOR preconditioner, {self.shape[0]}x{self.shape[1]}, omega {self.omega:g}>"


class IncompleteCholesky(_Triangular):
    """What ``incomplete_cholesky`` returns.

    Attributes
    ----------
    relaxation, shift : float
        The diagonal was multiplied by 1 + shift, so that every pivot is positive.
    """

    def __init__(self, matrix, factors, order, relaxation: float, shift: float) -> None:
        super().__init__(matrix, 1.0)
        self.relaxation, self.shift = relaxation, shift
        self._factors, self._order = factors, order
        self._elsewhere = {}

    def _sweep(self, dtype, backend):
        key = place(dtype, backend)
        if key not in self._elsewhere:
            kernels = _backend.kernels(backend)
            self._elsewhere[key] = kernels.sweep_from(self._factors, dtype), order_on(self._order, backend)
        return self._elsewhere[key]

    def __repr__(self):
        shift = f", shift {self.shift:g}" if self.shift else ""
        return f"<incomplete Cholesky, {self.shape[0]}x{self.shape[1]}, relaxation {self.relaxation:g}{shift}>"


def ssor(A: MatrixLike, omega: float | str = "auto", *, ordering: str = "natural") -> SSORPreconditioner:
    """Make the symmetric over-relaxation preconditioner of a Hermitian A.

    M^-1 = (2 - omega)/omega K^-H D K^-1 with K = D/omega + L, D the diagonal and L the lower triangle of A.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Hermitian, with a positive diagonal.
    omega : float in (0, 2), or "auto", default "auto"
        "auto" estimates it by Lanczos steps, see ``omega_optimal``.
    ordering : {"natural", "colored", "reversed"}, default "natural"
        Keep "natural" where it preconditions: with colours, conjugate gradients need several times the iterations.
        On the GPU a product with "natural" waits at a barrier for each of many stages, some microseconds each.

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
    _checks.choice("ordering", ordering, ORDERINGS)
    A = enter("A", A)
    backend = _backend.pick(A=source(A))
    with at(backend, source(A)):
        matrix = analyse(A)
        sweep_of(matrix, matrix.dtype, backend, ordering)
        return SSORPreconditioner(matrix, omega_for_ssor(omega, matrix, matrix.dtype, backend), ordering)


def omega_for_ssor(omega, matrix, dtype, backend):
    """The number that ``omega`` is, or an estimate."""
    in_range(omega)
    return for_ssor(omega_of(matrix, dtype, backend)) if isinstance(omega, str) else float(omega)


# The first shift that is tried where a pivot is not positive, and the factor from one to the next.
_FIRST_SHIFT, _LARGER = 1e-3, 4.0


def incomplete_cholesky(
    A: MatrixLike, relaxation: float = 0.0, *, shift: float | str | None = "auto"
) -> IncompleteCholesky:
    """Make the incomplete Cholesky preconditioner of a Hermitian A, on its own pattern.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Hermitian positive definite.
    relaxation : float in [0, 1], default 0
        The share of the dropped fill that is taken from the diagonal. 0 is IC(0); near 1 (0.95 to 0.99), the sums
        of rows are kept, and discretised Laplacians need far fewer iterations (modified incomplete Cholesky).
    shift : float or "auto", default "auto"
        The diagonal is multiplied by 1 + shift first. "auto", or None, is the smallest of 0, 0.001, 0.004, ... for
        which all pivots are positive.

    Returns
    -------
    IncompleteCholesky
        A LinearOperator of shape (n, n) for ``M=`` of any solver, SciPy's too.

    Raises
    ------
    InvalidInput
        If a pivot is not positive with the shift that was asked for.

    References
    ----------
    .. [1] I. Gustafsson, A class of first order factorization methods, BIT 18 (1978) 142-156,
       https://doi.org/10.1007/BF01931691
    .. [2] T. A. Manteuffel, An incomplete factorization technique for positive definite linear systems, Math. Comp.
       34 (1980) 473-497, https://doi.org/10.1090/S0025-5718-1980-0559197-0

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> [linalg.cg(A, np.ones(2500), M=linalg.incomplete_cholesky(A, r)).iterations for r in (0.0, 0.97)]
    [28, 17]
    """
    relaxation = _checks.number("relaxation", relaxation, 0.0)
    if relaxation > 1.0:
        raise InvalidInput(f"`relaxation` must be in [0, 1], got {relaxation!r}.")
    shift = None if shift is None or _is_auto("shift", shift) else _checks.number("shift", shift, 0.0)
    if shift == math.inf:
        raise InvalidInput("`shift` must be finite, got inf.")
    A = enter("A", A)
    with at(_backend.pick(A=source(A)), source(A)):
        matrix = without_duplicates(analyse(A))
        sweep, order = sweep_of(matrix, matrix.dtype, "cpu", "natural")
    tried = 0.0 if shift is None else shift
    while True:
        factors, failed = _backend.kernels("cpu").ilu0(sweep, tried, relaxation)
        if failed < 0:
            return IncompleteCholesky(matrix, factors, order, relaxation, tried)
        if shift is not None or tried > 1e6:
            raise InvalidInput(
                f"`A` must be positive definite for incomplete Cholesky, got a pivot that is not in row "
                f"{int(order[failed])} with shift {tried:g}; leave `shift` out, or use ssor."
            )
        tried = _LARGER * tried or _FIRST_SHIFT


def _is_auto(name, value):
    return isinstance(value, str) and _checks.choice(name, value, ("auto",)) == "auto"


# Of the dropped fill: 0.95 to 0.99 take about as many iterations, 1 more on large grids in 3D, where one bad pivot
# spoils many rows.
_RELAXATION = 0.99


def ic(A: MatrixLike, *, relaxation: float | str = "auto", shift: float | str = "auto") -> IncompleteCholesky:
    """Make an incomplete Cholesky preconditioner of a Hermitian A: relaxed if it can be, shifted if it must be.

    Parameters
    ----------
    A : ndarray or sparse array, shape (n, n)
        Hermitian positive definite.
    relaxation : float in [0, 1] or "auto", default "auto"
        As in ``incomplete_cholesky``. "auto" is 0.99 where all pivots are positive with that and without a shift, as
        for discretised diffusion; else 0.
    shift : float or "auto", default "auto"
        As in ``incomplete_cholesky``: the smallest of 0, 0.001, 0.004, ... for which all pivots are positive.

    Returns
    -------
    IncompleteCholesky
        A LinearOperator of shape (n, n) for ``M=`` of any solver, SciPy's too. Its ``relaxation`` and ``shift`` say
        what was taken.

    Raises
    ------
    InvalidInput
        If a pivot is not positive with the shift that was asked for.

    Notes
    -----
    A product with M reads each entry of the factors once, as one with A does, but rows wait for each other: threads
    help little. Without relaxation and shift this is IC(0), which breaks down on many matrices of structural mechanics.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> linalg.ic(A)
    <incomplete Cholesky, 2500x2500, relaxation 0.99>
    >>> [linalg.cg(A, np.ones(2500), M=linalg.ic(A, relaxation=r)).iterations for r in (0.0, "auto")]
    [28, 18]
    """
    if not _is_auto("relaxation", relaxation):
        return incomplete_cholesky(A, relaxation, shift=shift)
    try:
        return incomplete_cholesky(A, _RELAXATION, shift=0.0 if _is_auto("shift", shift) else shift)
    except InvalidInput:  # of the pivots; what else is wrong comes up again
        return incomplete_cholesky(A, 0.0, shift=shift)
