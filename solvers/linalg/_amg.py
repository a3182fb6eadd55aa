"""Algebraic multigrid as a preconditioner: PyAMG builds the hierarchy, the kernels of this library run the cycle.

PyAMG (https://github.com/pyamg/pyamg; Bell, Olson, Schroder & Southworth, JOSS 8 (2023) 5495,
https://doi.org/10.21105/joss.05495) aggregates unknowns and smooths the interpolation, or splits them in fine and
coarse ones. One V-cycle with b, from x = 0, is then, on a level with operator A, interpolation P and restriction R:

    x = s(0, b);  x = x + P cycle(R (b - A x));  x = s(x, b)

where s are the smoother's steps x + omega_i d (b - A x). Its weights are PyAMG's: 1 / rho(D^-1 A) with d = 1 / diagonal
for Jacobi; for Chebyshev, whose polynomial 1 - t p(t) is the product of 1 - t omega_i, the inverses of its roots, with
d = 1. So are the cycles, up to rounding. With d = 1 / diagonal the same polynomial is of D^-1 A: where the diagonal
varies a thousandfold it takes 7 to 16 iterations instead of 43 to 174, and on constant ones as many. Different is how
they run: the first step from zero needs no product, every other is one pass over a level's matrix, on all threads or on
the device, and a level on a grid is stored by diagonals.
"""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._errors import InvalidInput
from .._types import MatrixLike, Seed
from ._amg_hierarchy import hierarchy
from ._null_space import null_space_of_sparse
from ._operator import Matrix, place
from ._products import Preconditioner

__all__ = ["AMGPreconditioner", "amg"]

KINDS = ("smoothed_aggregation", "ruge_stuben", "rootnode")
SMOOTHERS = ("chebyshev_jacobi", "chebyshev", "jacobi")
# PyAMG's: the Chebyshev polynomial is small from a thirtieth of the largest eigenvalue to 1.1 times its estimate.
_INTERVAL = 1 / 30, 1.1
# An eigenvalue of the coarsest matrix, as a share of the largest, that is zero where a null space is known.
_NULL = 1e-10


class _Level:
    """A level's matrices, on the host, and its smoother: x + omega d (b - A x) for each omega of the weights."""

    __slots__ = ("A", "P", "R", "d", "weights")

    def __init__(self, A, P, R, d, weights):
        self.A, self.P, self.R, self.d, self.weights = A, P, R, d, weights

    def adjoint(self):
        A, P, R = (scipy.sparse.csr_array(each.conj().T) for each in (self.A, self.R, self.P))
        return _Level(A, P, R, self.d, self.weights[::-1])

    def on(self, dtype, kernels, backend):
        """The operands: A, -P, R and the smoother's diagonal, with entries of that dtype."""
        A = Matrix(self.A.shape[0], self.A.dtype, csr=self.A).operand(dtype, backend)
        # The kernels form b - A x: what is added has the other sign.
        minus, R = _rectangular(-self.P, dtype, kernels), _rectangular(self.R, dtype, kernels)
        return A, minus, R, kernels.to_device(self.d, np.finfo(dtype).dtype)


def _rectangular(A, dtype, kernels):
    indptr, indices = (kernels.to_device(each, A.indices.dtype) for each in (A.indptr, A.indices))
    return kernels.csr(indptr, indices, kernels.to_device(A.data, dtype))


class AMGPreconditioner(Preconditioner):
    """What ``amg`` returns.

    Attributes
    ----------
    kind, smoother : str
    sizes : tuple of int
        The unknowns of each level, the finest first.
    complexity : float
        The stored entries of all levels' matrices, as a multiple of those of A.
    hermitian : bool
        Whether the cycle is its own adjoint, so that it may precondition conjugate gradients.
    null_space : object or None
        The constants that a Hermitian A maps to zero, for solvers, which then need not look for them.
    """

    def __init__(self, dtype, levels, coarsest, coarse_nnz, kind: str, smoother: str, hermitian: bool) -> None:
        n = levels[0].A.shape[0] if levels else coarsest.shape[0]
        super().__init__(dtype, (n, n))
        self.kind, self.smoother, self.hermitian = kind, smoother, hermitian
        self.sizes = (*(level.A.shape[0] for level in levels), coarsest.shape[0])
        stored = [level.A.nnz for level in levels] + [coarse_nnz]
        self.complexity = sum(stored) / max(1, stored[0])
        self._levels, self._coarsest, self._coarse_nnz = levels, coarsest, coarse_nnz
        self.null_space, self._elsewhere = None, {}
        self._unit = 1.0  # of the levels' matrices

    def on_backend(self, r: Any, backend: str) -> Any:
        """One V-cycle with a vector in the memory of that backend."""
        kernels, key = _backend.kernels(backend), place(r.dtype, backend)
        if key not in self._elsewhere:
            inverse = kernels.dense(kernels.to_device(self._coarsest, r.dtype))
            self._elsewhere[key] = [level.on(r.dtype, kernels, backend) for level in self._levels], inverse
        operands, inverse = self._elsewhere[key]
        z = self._cycle(kernels, operands, inverse, r, 0)
        if self._unit != 1.0:
            kernels.scale(r.dtype.type(1 / self._unit), z, z)
        return z

    def _cycle(self, kernels, operands, inverse, b, number):
        x = kernels.empty(b.shape, b.dtype)
        if number == len(operands):
            kernels.matvec(inverse, b, x)
            return x
        (A, minus, R, d), weights = operands[number], self._levels[number].weights
        y = kernels.empty(b.shape, b.dtype)
        kernels.multiply(d, b, x)
        kernels.scale(b.dtype.type(weights[0]), x, x)
        for omega in weights[1:]:
            kernels.relax(A, d, omega, b, x, y)
            x, y = y, x
        kernels.subtract_product(A, x, b, y)
        coarse = kernels.empty((self.sizes[number + 1],), b.dtype)
        kernels.matvec(R, y, coarse)
        coarse = self._cycle(kernels, operands, inverse, coarse, number + 1)
        kernels.subtract_product(minus, coarse, x, x)
        for omega in weights:
            kernels.relax(A, d, omega, b, x, y)
            x, y = y, x
        return x

    def _adjoint(self):
        if self.hermitian:
            return self
        levels, coarsest = [level.adjoint() for level in self._levels], np.ascontiguousarray(self._coarsest.conj().T)
        M = AMGPreconditioner(self.dtype, levels, coarsest, self._coarse_nnz, self.kind, self.smoother, False)
        M._unit = self._unit
        return M

    def __getstate__(self):
        return {**super().__getstate__(), "_elsewhere": {}}

    def __repr__(self):
        n, levels = self.shape[0], len(self.sizes)
        return f"<algebraic multigrid, {n}x{n}, {levels} level{'s' * (levels > 1)}, {self.kind}, {self.smoother}>"


def amg(
    A: MatrixLike,
    *,
    kind: str = "smoothed_aggregation",
    smoother: str = "chebyshev_jacobi",
    degree: int | None = None,
    B: ArrayLike | None = None,
    rng: Seed | None = 0,
) -> AMGPreconditioner:
    """Make an algebraic multigrid preconditioner: a V-cycle of PyAMG's hierarchy, on all threads or on the GPU.

    Parameters
    ----------
    A : ndarray, sparse array or stencil, shape (n, n); or a hierarchy of PyAMG
        Hermitian positive definite for conjugate gradients; other matrices where PyAMG takes them. A
        ``pyamg.MultilevelSolver`` serves with the options it was built with: its matrices are copied, its smoothers and
        its coarse solver are not used.
    kind : {"smoothed_aggregation", "ruge_stuben", "rootnode"}, default "smoothed_aggregation"
        PyAMG's function of that name makes the hierarchy, on the host, with its defaults, but interpolation by
        smoothed aggregation is weighted row by row. "ruge_stuben" is for real matrices.
    smoother : {"chebyshev_jacobi", "chebyshev", "jacobi"}, default "chebyshev_jacobi"
        Chebyshev's polynomial in D^-1 A, or in A as PyAMG has it, which is slow where the diagonal varies, or damped
        Jacobi; with PyAMG's weights, see the module's formula.
    degree : int >= 1, optional
        Steps of the smoother, before and after; by default 1 for Jacobi and 3 for the others, as in PyAMG.
    B : array_like, shape (n, k), optional
        Near-null-space candidates, columns that A nearly maps to zero: rigid body modes for elasticity. By default the
        constant. Not for "ruge_stuben".
    rng : None, int or numpy.random.Generator, default 0
        Estimates of spectral radii start at random.

    Returns
    -------
    AMGPreconditioner
        A LinearOperator of shape (n, n) for ``M=`` of any solver, SciPy's too.

    Raises
    ------
    InvalidInput
        If the diagonal has entries that are not real, B has not n rows, or PyAMG cannot coarsen A.
    UnsupportedType
        If the entries of A are not at hand.

    Notes
    -----
    PyAMG builds on one thread. A cycle costs 2 ``degree`` products with each level's matrix, and one with P and with R;
    the levels hold ``complexity`` times the entries of A, and a cycle takes two vectors a level. Where the matrix is
    small, or of a box with constant coefficients, ``ic`` or ``box_poisson`` are ready sooner.

    References
    ----------
    .. [1] P. Vanek, J. Mandel & M. Brezina, Computing 56 (1996) 179-196, https://doi.org/10.1007/BF02238511
    .. [2] J. W. Ruge & K. Stueben, Algebraic multigrid, in: Multigrid Methods, SIAM, 1987, 73-130,
       https://doi.org/10.1137/1.9781611971057.ch4

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> M = linalg.amg(A)
    >>> M
    <algebraic multigrid, 2500x2500, 4 levels, smoothed_aggregation, chebyshev_jacobi>
    >>> linalg.cg(A, np.ones(2500), M=M).iterations < 10
    True
    """
    _checks.choice("kind", kind, KINDS)
    _checks.choice("smoother", smoother, SMOOTHERS)
    degree = _checks.count("degree", (1 if smoother == "jacobi" else 3) if degree is None else degree, each=64)
    levels, dtype, kind, unit = hierarchy(A, kind, B)
    M = _from_levels(levels, dtype, kind, smoother, degree, _checks.generator(rng))
    M._unit = unit
    return M


def _from_levels(made, dtype, kind, smoother, degree, rng):
    levels = [_level(each, smoother, degree, rng) for each in made[:-1]]
    last = scipy.sparse.csr_array(made[-1].A)
    hermitian = all(_is_adjoint(level.A, level.A) and _is_adjoint(level.P, level.R) for level in levels)
    hermitian = hermitian and _is_adjoint(last, last)
    null = null_space_of_sparse(levels[0].A if levels else last, dtype) if hermitian else None
    coarsest = scipy.linalg.pinv(last.toarray()) if null is None else _pseudo_inverse(last.toarray(), null.sizes.size)
    if hermitian:
        coarsest = (coarsest + coarsest.conj().T) / 2
    M = AMGPreconditioner(dtype, levels, np.ascontiguousarray(coarsest), last.nnz, kind, smoother, hermitian)
    M.null_space = null
    return M


def _pseudo_inverse(A, most):
    """That of a Hermitian matrix with at most so many null vectors, whose eigenvalues rounding has made small."""
    values, vectors = scipy.linalg.eigh(A)
    size = np.abs(values)
    small = np.zeros(size.size, bool)
    small[np.argsort(size)[:most]] = True
    kept = ~(small & (size <= _NULL * size.max(initial=0)))
    return vectors[:, kept] / values[kept] @ vectors[:, kept].conj().T


def _is_adjoint(A, B):
    """Whether A^H is B up to rounding."""
    gap = abs(A.conj().T - B)
    return gap.nnz == 0 or bool(gap.max() <= 1e3 * np.finfo(A.dtype).eps * abs(A).max())


def _level(made, smoother, degree, rng):
    A, P, R = (scipy.sparse.csr_array(each, copy=True) for each in (made.A, made.P, made.R))
    d = A.diagonal()
    if np.abs(np.imag(d)).max(initial=0) > 1e3 * np.finfo(A.dtype).eps * np.abs(d).max(initial=0):
        raise InvalidInput("`A` must have a real diagonal on every level for these smoothers, got complex numbers.")
    if smoother == "chebyshev":
        inverse, rho = np.ones(d.size), _radius(made.A, "rho", A, rng)
    else:
        inverse = np.divide(1, d.real, out=np.zeros(d.size, d.real.dtype), where=d.real != 0)
        rho = _radius(made.A, "rho_D_inv", scipy.sparse.diags_array(inverse) @ A, rng)
    if smoother == "jacobi":
        return _Level(A, P, R, inverse, [1.0 / rho] * degree)
    low, high = (share * rho for share in _INTERVAL)
    roots = (high + low) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(degree) + 0.5) / degree)
    return _Level(A, P, R, inverse, (1 / roots).tolist())


def _radius(kept, name, A, rng):
    """PyAMG's estimate of the spectral radius of A; the one it keeps with its matrix, if its own smoothers use that."""
    from pyamg.util.linalg import approximate_spectral_radius

    if hasattr(kept, name):
        return float(getattr(kept, name))
    if not A.count_nonzero():
        return 1.0
    return float(approximate_spectral_radius(A, initial_guess=rng.uniform(size=(A.shape[0], 1))))
