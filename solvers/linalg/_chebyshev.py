"""The Chebyshev polynomial of a matrix as a preconditioner (Saad, Iterative Methods, 2nd ed., algorithm 12.1).

It needs products with A only, so that it runs wherever they run, and is symmetric whatever the order of the rows.
"""

from typing import Any

import numpy as np

from .. import _backend, _checks
from .._errors import InvalidInput
from .._place import at
from .._types import MatrixLike
from ._omega import spectrum_of
from ._operator import analyse, place, source
from ._prepare import prepare
from ._products import Preconditioner
from ._sweeps import diagonal_of

__all__ = ["ChebyshevPreconditioner", "chebyshev"]

# The estimate of the largest eigenvalue is from below; the interval begins at this share of its end, below
# which conjugate gradients do the work.
_MARGIN, _SHARE = 1.05, 1 / 30


class ChebyshevPreconditioner(Preconditioner):
    """What ``chebyshev`` returns.

    Attributes
    ----------
    degree : int
    bounds : (float, float)
    """

    def __init__(self, matrix, degree: int, bounds: tuple[float, float]) -> None:
        super().__init__(matrix.dtype, (matrix.n, matrix.n))
        self.degree, self.bounds = degree, bounds
        self._of, self._inverses = matrix, {}

    def on_backend(self, r: Any, backend: str) -> Any:
        """The product with a vector in the memory of that backend."""
        kernels, number = _backend.kernels(backend), r.dtype.type
        operand, inverse = self._of.operand(r.dtype, backend), self._inverse(r.dtype, backend)
        r, d, w, z = r.copy(), *(kernels.empty(r.shape, r.dtype) for _ in range(3))
        centre, half = sum(self.bounds) / 2, (self.bounds[1] - self.bounds[0]) / 2
        sigma = centre / half
        rho = 1 / sigma
        kernels.multiply(inverse, r, d)
        kernels.scale(number(1 / centre), d, d)
        z[:] = d
        for _ in range(self.degree - 1):
            kernels.matvec(operand, d, w)
            kernels.axpy(number(-1), w, r)
            last, rho = rho, 1 / (2 * sigma - rho)
            kernels.multiply(inverse, r, w)
            kernels.scale(number(rho * last), d, d)
            kernels.axpy(number(2 * rho / half), w, d)
            kernels.axpy(number(1), d, z)
        return z

    def _inverse(self, dtype, backend):
        key = place(dtype, backend)
        if key not in self._inverses:
            kernels = _backend.kernels(backend)
            d = kernels.to_host(diagonal_of(self._of, dtype, backend)).real
            self._inverses[key] = kernels.to_device(1 / d, np.finfo(dtype).dtype)
        return self._inverses[key]

    def __repr__(self):
        return f"<Chebyshev preconditioner, {self.shape[0]}x{self.shape[1]}, degree {self.degree}>"


def chebyshev(A: MatrixLike, degree: int = 4, *, bounds: tuple[float, float] | None = None) -> ChebyshevPreconditioner:
    """Make the Chebyshev polynomial preconditioner of a Hermitian positive definite A.

    z = p(D^-1 A) D^-1 r, where 1 - t p(t) is the polynomial of that degree, 1 at 0, that is smallest on the bounds.

    Parameters
    ----------
    A : ndarray, sparse array or stencil, shape (n, n)
        Hermitian, with a positive diagonal D.
    degree : int >= 1, default 4
        A product costs degree - 1 products with A.
    bounds : (float, float), optional
        An interval with the largest eigenvalues of D^-1 A; by default from a thirtieth of the largest one, which is
        estimated by Lanczos steps, to 1.05 times it.

    Returns
    -------
    ChebyshevPreconditioner
        A LinearOperator of shape (n, n) for ``M=`` of any solver, SciPy's too.

    Raises
    ------
    InvalidInput
        If the bounds are not positive and ascending, or the diagonal is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> [linalg.cg(A, np.ones(2500), M=linalg.chebyshev(A, degree)).iterations for degree in (1, 4, 8)]
    [73, 20, 12]
    """
    degree = _checks.count("degree", degree)
    if bounds is not None:
        low, high = _checks.shape_is("bounds", _checks.array("bounds", bounds), [(2,)], "(low, high)").tolist()
        if not (isinstance(low, float) and 0.0 < low < high < np.inf):
            raise InvalidInput(f"`bounds` must be two positive numbers, the smaller first, got ({low!r}, {high!r}).")
        bounds = low, high
    A = prepare(A)  # a copy: it is read in every product, when the caller's may have changed
    matrix, backend = analyse(A), _backend.pick(A=source(A))
    with at(backend, source(A)):
        return _chebyshev(matrix, backend, degree, bounds)


def _chebyshev(matrix, backend, degree, bounds):
    diagonal = _backend.kernels(backend).to_host(diagonal_of(matrix, matrix.dtype, backend))
    if np.any(diagonal.real <= 0) or np.any(diagonal.imag):
        raise InvalidInput("`A` must have a positive diagonal for a Chebyshev polynomial; use gmres or minres without.")
    if bounds is None:
        largest = spectrum_of(matrix, matrix.dtype, backend)[1]
        bounds = _SHARE * largest, _MARGIN * largest
    return ChebyshevPreconditioner(matrix, degree, bounds)
