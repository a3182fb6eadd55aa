"""A coarse space that is learned from solves: M = M_0 + V (V^H A V)^-1 V^H, for many right-hand sides of one matrix.

The additive two-level preconditioner with an algebraic coarse space (Tang, Nabben, Vuik & Erlangga, J. Sci. Comput. 39
(2009) 340-370, https://doi.org/10.1007/s10915-009-9272-6, where it is AD). V spans what M_0 leaves to do: solutions of
loose solves, in which the smallest eigenvalues dominate, sharpened by inverse iteration A v_new = D v, each solve with
the coarse space found so far, and by a Rayleigh-Ritz step between rounds. M_0 is positive definite and the rest
semidefinite for any V, so that M is positive definite whatever was learned.
"""

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput, UnsupportedType
from .._loop import fitted, parts, told
from .._model_file import read_model, write_model
from .._place import at
from .._types import Callback, MatrixLike, PathLike, Seed
from .._version import __version__
from ._cg import cg
from ._operator import analyse, place, source
from ._products import Preconditioner
from ._sweeps import sparse_of, without_duplicates
from ._triangular import ic

__all__ = ["CoarseSpace"]

_KIND = "coarse space"
# Directions beyond k that are carried along, as a share of k: the last ones of a subspace converge slowest.
_MORE = 0.5
# A loose solve ends there at the latest.
_LONGEST = 1000


class CoarseSpace(Preconditioner):
    """Learn the few directions that a preconditioner leaves to conjugate gradients, and solve for them directly.

    Parameters
    ----------
    k : int >= 1, default 16
        Directions. Each costs 4 n additions and multiplications a product, and n numbers of memory.
    base : "ic" or a function A -> M_0, default "ic"
        A positive definite preconditioner of the CSR array it gets; "ic" is ``linalg.ic``.
    rng : None, int or numpy.random.Generator
        Draws the right-hand sides of the loose solves.

    Attributes
    ----------
    V : ndarray, shape (n, k), or None
        The directions; orthonormal in the inner product of the matrix that was set up last.
    header : dict
        What it was fitted to.

    Notes
    -----
    Worth it where the smallest eigenvalues are few and apart, and for some dozens of right-hand sides or more: on the
    pressure around obstacles on 256^2 cells 16 directions take a third of the iterations of ``ic``, and fitting them
    costs as much as 8 to 10 solves. Where small eigenvalues are many, as behind jumps of the coefficients, little is
    gained. Multigrid (``amg``, ``MultigridPreconditioner``) has the whole of the smooth directions at once.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A, b = linalg.stencil((60, 60), [4, -1, -1]), np.ones(3600)
    >>> M = linalg.CoarseSpace(k=8, rng=0).fit(A)
    >>> M
    <coarse space, 3600x3600, 8 directions, on ic>
    >>> linalg.cg(A, b, M=M).converged
    True
    """

    def __init__(self, k: int = 16, *, base: str | Callable[[Any], Any] = "ic", rng: Seed | None = None) -> None:
        super().__init__(np.dtype(np.float64), (0, 0))
        self.k = _checks.count("k", k)
        if rng is not None:
            _checks.generator(rng)
        if not callable(base):
            _checks.choice("base", base, ("ic",))
        self.base, self._rng = base, rng
        self.V, self.header = None, {}
        self._M0, self._rows, self._elsewhere = None, None, {}

    def fit(
        self, A: MatrixLike, snapshots: ArrayLike | None = None, *, n_rounds: int = 2, rtol: float = 0.1,
        callback: Callback | None = None,
    ) -> Self:  # fmt: skip
        """Learn the directions from a matrix, and set up the preconditioner of it.

        Parameters
        ----------
        A : ndarray, sparse array or stencil, shape (n, n)
            Hermitian positive definite.
        snapshots : array_like, shape (n, m), optional
            Solutions of earlier solves, or their differences: the directions are the best of what they span, and
            nothing is solved.
        n_rounds : int >= 1, default 2
            Rounds of 1.5 k loose solves, without ``snapshots``.
        rtol : float, default 0.1
            How loose.
        callback : callable, or object with ``on_chunk(solves, residual)``, optional
            Called as ``callback(x)`` after each loose solve with a copy of its solution; ``on_chunk`` with their number
            and the norm of the residual over that of the right-hand side. StopIteration ends the fit with the best
            directions of the solves so far.

        Returns
        -------
        CoarseSpace
            This one: a LinearOperator of shape (n, n) for ``M=`` of any solver, SciPy's too.

        Raises
        ------
        InvalidInput
            If A is not positive definite on the directions, or the snapshots do not go with it.
        """
        _checks.function("callback", callback)
        n_rounds, rtol = _checks.count("n_rounds", n_rounds), _checks.tolerance("rtol", rtol)
        host, dtype = _host(A)
        D = _diagonal(host)
        M0 = self._base_of(host)
        if snapshots is None:
            rows, solves = self._learn(host, D, M0, min(self.k, host.shape[0]), n_rounds, rtol, callback)
        else:
            S = _checks.finite("snapshots", _checks.array("snapshots", snapshots))
            if S.ndim != 2 or S.shape[0] != host.shape[0] or S.shape[1] == 0:
                raise InvalidInput(f"`snapshots` must have shape ({host.shape[0]}, m), got {S.shape}.")
            if S.dtype.kind == "c" and host.dtype.kind != "c":
                raise InvalidInput("`snapshots` must be real where `A` is, got complex ones; pass their real parts.")
            rows, solves = _ritz(host, D, S.T)[: self.k], 0
        self.header = {"n": host.shape[0], "k": len(rows), "version": __version__, "iterations": solves}
        self.header |= {"from": "loose solves" if snapshots is None else "snapshots"}
        return fitted(callback, self._ready(M0, rows, dtype))

    def setup(self, A: MatrixLike) -> Self:
        """Return a preconditioner of another matrix with the same directions: a new factorisation, no solve.

        Parameters
        ----------
        A : ndarray, sparse array or stencil, shape (n, n)
            Hermitian positive definite, of the size of that which was fitted; best a slightly different one.

        Returns
        -------
        CoarseSpace
            A new one.
        """
        if self.V is None:
            raise InvalidInput("`setup` must come after fit(A) or load(path): no directions are known yet.")
        host, dtype = _host(A)
        if host.shape[0] != self.V.shape[0]:
            rows = self.V.shape[0]
            raise InvalidInput(f"`A` must have {rows} rows, as the matrix that was fitted, got {host.shape[0]}.")
        rows = _ritz(host, _diagonal(host), self.V.T)
        return copy.copy(self)._ready(self._base_of(host), rows, dtype)

    def save(self, path: PathLike) -> None:
        """Write the directions to an .npz file, which holds no pickled objects; ``base`` is not in it."""
        if self.V is None:
            raise InvalidInput("`save` must come after fit(A): no directions are known yet.")
        write_model(path, _KIND, {"V": self.V}, self.header)

    @classmethod
    def load(cls, path: PathLike, *, base: str | Callable[[Any], Any] = "ic") -> Self:
        """Read what ``save`` wrote; ``setup(A)`` then makes a preconditioner.

        Raises
        ------
        InvalidInput
            If the file is no such file, or its checksum, shapes or numbers do not agree.
        """
        arrays, header = read_model(path, _KIND)
        V = arrays.get("V", np.empty(0))
        shaped = len(arrays) == 1 and V.ndim == 2 and V.dtype.char in "dD" and 1 <= V.shape[1] <= V.shape[0]
        if not (shaped and np.isfinite(V).all()):
            raise InvalidInput(f"`path` must hold finite directions of shape (n, k), unlike {str(path)!r}.")
        model = cls(V.shape[1], base=base)
        model.V, model.header = V, header
        return model

    def _base_of(self, host):
        if isinstance(self.base, str):
            return ic(host)
        M0 = self.base(host)
        if getattr(M0, "shape", None) != host.shape:
            raise InvalidInput(f"`base` must make an operator of shape {host.shape}, got {type(M0).__name__}.")
        return M0

    def _learn(self, A, D, M0, k, n_rounds, rtol, callback):
        """k directions, or fewer where the callback stops the first round, and the iterations that they took."""
        rng, n = np.random.default_rng(self._rng), A.shape[0]
        many = min(n, k + int(np.ceil(_MORE * k)))
        right, rows, iterations, M = rng.standard_normal((many, n)).astype(A.dtype), [], 0, M0
        for i in range(n_rounds):
            found = []
            for b in right:
                with parts():
                    solve = cg(A, b, M=M, rtol=rtol, maxiter=_LONGEST)
                iterations += solve.iterations
                found.append(solve.x)
                share = solve.residual / np.linalg.norm(b)
                stopped = told(callback, i * many + len(found), share, solve.x.copy)
                if stopped:
                    break
            # A round that was cut short goes beside what the one before it had found, a whole one in its place.
            rows = _ritz(A, D, np.array([*found, *rows] if stopped else found))
            if stopped:
                break
            right = D * rows
            right /= np.linalg.norm(right, axis=1)[:, None]
            M = copy.copy(self)._ready(M0, rows[:k], A.dtype)
        return rows[:k], iterations

    def _ready(self, M0, rows, dtype):
        """This one, with a matrix's shape: rows are directions with V^H A V = 1."""
        self.dtype, self.shape = dtype, M0.shape
        self._M0, self._rows, self._elsewhere = M0, np.ascontiguousarray(rows), {}
        self.V = np.ascontiguousarray(rows.T)
        return self

    def on_backend(self, r: Any, backend: str) -> Any:
        """The product with a vector in the memory of that backend."""
        self._refuse_unready()
        kernels, key = _backend.kernels(backend), place(r.dtype, backend)
        if key not in self._elsewhere:
            self._elsewhere[key] = kernels.to_device(self._rows, r.dtype)
        V = self._elsewhere[key]
        if hasattr(self._M0, "on_backend"):
            z = self._M0.on_backend(r, backend)
        elif backend == "cpu":
            z = np.array(self._M0 @ r, dtype=r.dtype)
        else:
            raise UnsupportedType("`base` must make a preconditioner of this library to be used on the GPU; use 'ic'.")
        kernels.combine(kernels.project(V, r), V, z)
        return z

    def _refuse_unready(self):
        if self._M0 is None:
            raise InvalidInput("`M` must be a CoarseSpace that knows its matrix; call fit(A) or setup(A) first.")

    def __repr__(self):
        known = "not fitted" if self.V is None else f"{self.V.shape[1]} directions"
        on = self.base if isinstance(self.base, str) else getattr(self.base, "__name__", "a function")
        return f"<coarse space, {self.shape[0]}x{self.shape[1]}, {known}, on {on}>"


def _host(A):
    """A as a CSR array on the host, in double precision, and its dtype."""
    A = enter("A", A)
    with at(_backend.pick(A=source(A)), source(A)):
        matrix = analyse(A)
        if not matrix.explicit:
            raise UnsupportedType("`A` must have its entries at hand, got an operator; pass a sparse array.")
        wide = np.result_type(matrix.dtype, np.float64)
        return scipy.sparse.csr_array(sparse_of(without_duplicates(matrix)), dtype=wide, copy=True), matrix.dtype


def _diagonal(A):
    D = A.diagonal().real
    if A.shape[0] == 0 or not (D > 0).all():
        raise InvalidInput("`A` must have a positive diagonal, and a row at least, for a coarse space; use gmres.")
    return D


def _ritz(A, D, rows):
    """Ritz vectors of A v = lambda D v in the span of the rows, the smallest lambda first, with V^H A V = 1."""
    scale = np.sqrt(D)
    with np.errstate(all="ignore"):
        S = (rows * scale).T
        Q = np.linalg.qr(S)[0] if np.isfinite(S).all() else S  # orthonormal in the inner product of D, after division
        rows = Q.T / scale
        H = rows.conj() @ (A @ rows.T)
    if not np.isfinite(H).all():
        raise InvalidInput("`A` must have products in the range of numbers for a coarse space; rescale it.")
    values, Y = scipy.linalg.eigh((H + H.conj().T) / 2)
    if not values[0] > 0.0:
        raise InvalidInput(
            f"`A` must be positive definite for a coarse space, got the Ritz value {float(values[0])!r}; use minres."
        )
    return (Y / np.sqrt(values)).T @ rows
