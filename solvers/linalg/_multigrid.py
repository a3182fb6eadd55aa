"""A multigrid cycle with some fifteen fitted numbers as a preconditioner for systems on grids.

``_cycle`` has the formula and why it is symmetric positive definite. The numbers are the smoothing roots w_1 to w_K,
the factor c of the correction and the interpolation weight g, for the finest level, the next, and all below. Most of
the speed is multigrid's and the kernels'; the fit, with more steps on the coarse levels than on the finest, takes a
fifth to a third of the iterations that textbook values need. Those steps alone do most of that.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _backend, _checks
from .._errors import InvalidInput, UnsupportedType
from .._loop import fitted, told
from .._types import Callback, MatrixLike, PathLike, Seed
from ._cycle import Hierarchy, certificate, textbook
from ._grid_operator import Grid, GridOperator
from ._mg_file import read, write
from ._mg_probe import better, roots
from ._products import Preconditioner

__all__ = ["MultigridPreconditioner"]

_SHIPPED = pathlib.Path(__file__).parent / "pretrained"
# Levels that a fit tells apart: the finest, the next, all below.
_SLOTS = 3


class MultigridPreconditioner(Preconditioner):
    """A multigrid cycle for 5- and 7-point systems on grids, with fitted parameters.

    M = S' + (I - S A) c P B P^T (I - A S): polynomial smoothing, aggregates of 2^d cells, the same cycle below. It is
    symmetric positive definite whatever the parameters are (on what A does not map to zero).

    Parameters
    ----------
    parameters : array_like, shape (slots, K + 2), optional
        Rows (w_1, ..., w_K, c, g), one for each level, the last one for all below; a w of zero is a step left out.
        Textbook values by default: Chebyshev roots on [0.5, 2], c = 2, g = 0.
    K : int >= 1 or sequence of them, default 2
        Smoothing steps before and after the correction, where no parameters are given. A sequence has those of the
        finest level, of the next, and so on, the last for all below: more of them there cost little.
    dtype : numpy.float32 or numpy.float64, default float64
        The precision of the cycle; float32 reads half the bytes, and serves solves in float64 too: best on a GPU, which
        waits for memory.
    rng : None, int or numpy.random.Generator
        For ``fit``.

    Attributes
    ----------
    parameters : ndarray, shape (slots, K + 2)
    choice : str
        After ``setup``: "given", or what the probe chose, "learned" or "textbook".
    operator : LinearOperator
        After ``setup``: the matrix, without storage.
    header : dict
        What is known of the parameters: family, training problems, seed, version, certificate.

    References
    ----------
    .. [1] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, chapter 13.
    .. [2] N. Hansen, The CMA Evolution Strategy: A Tutorial, 2016, https://arxiv.org/abs/1604.00772

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> faces = np.ones((127, 128)), np.ones((128, 127))
    >>> side = np.zeros((128, 128))
    >>> side[-1] = 2.0
    >>> M = linalg.MultigridPreconditioner.pretrained("mg2d-poisson").setup(faces=faces, boundary=side)
    >>> x, info = linalg.cg(M.operator, np.ones(128 * 128), M=M, rtol=1e-6)
    >>> info
    0
    """

    def __init__(
        self,
        parameters: ArrayLike | None = None,
        *,
        K: int | Sequence[int] = 2,
        dtype: DTypeLike = np.float64,
        rng: Seed | None = None,
    ) -> None:
        super().__init__(np.dtype(np.float64), (0, 0))
        K = _smoothing_steps(K)
        _checks.generator(rng)
        self.precision, self._rng = _precision(dtype), rng
        self._learned = parameters is not None
        self.parameters: NDArray[np.float64] = textbook(K) if parameters is None else _valid(parameters)
        self._given = self.parameters  # those of a cycle that is set up may be the textbook's in their place
        self.header: dict[str, Any] = {}
        self.operator: Any = None
        self.choice, self._hierarchy = "given", None
        self.null_space = None  # for ``cg``, which then needs not look for it

    @classmethod
    def pretrained(cls, name: str, *, dtype: DTypeLike = np.float64) -> Self:
        """The parameters shipped with the library.

        Parameters
        ----------
        name : "mg2d-poisson", "mg3d-poisson", "mg2d-variable" or "mg3d-variable"
            For constant coefficients around solids and below free surfaces, or for varying ones.
        dtype : numpy.float32 or numpy.float64, default float64
            The precision of the cycle.

        Raises
        ------
        InvalidInput
            If there are none of that name.
        """
        names = sorted(path.stem for path in _SHIPPED.glob("*.npz"))
        return cls.load(_SHIPPED / f"{_checks.choice('name', name, names)}.npz", dtype=dtype)

    @classmethod
    def load(cls, path: PathLike, *, dtype: DTypeLike = np.float64) -> Self:
        """Read parameters that ``save`` wrote; a pickle, or a file that was changed since, is refused.

        Raises
        ------
        InvalidInput
            If the file is no such file, or its checksum, shapes, numbers or certificate do not agree.
        """
        parameters, header = read(path)
        loaded = cls(parameters, dtype=dtype)
        loaded.header = header
        return loaded

    def save(self, path: PathLike) -> None:
        """Write the parameters and what is known of them to an ``.npz`` file without pickled objects."""
        write(path, self._given, self.header)

    def fit(
        self,
        matrices: Sequence[MatrixLike],
        *,
        grid: tuple[int, ...] | Sequence[tuple[int, ...]] | None = None,
        budget: int = 400,
        n_steps: int = 8,
        family: str = "own",
        callback: Callback | None = None,
    ) -> "MultigridPreconditioner":
        """Fit the parameters to a family of systems by CMA-ES, from the textbook's.

        Parameters
        ----------
        matrices : sequence of sparse arrays
            Members of the family; sizes as large as those to be solved, or half of that, are best: parameters fitted
            to small grids alone may serve larger ones badly.
        grid : tuple, or sequence of tuples, optional
            (ny, nx) or (nz, ny, nx), one for all or one each; by default what the matrices' entries tell.
        budget : int >= 1, default 400
            Evaluations of the objective, each ``n_steps`` iterations on every matrix.
        n_steps : int >= 1, default 8
            The objective is the mean log10 residual after so many iterations of conjugate gradients.
        family : str, default "own"
            A name for the header.
        callback : callable, or object with ``on_chunk(evaluations, share)``, optional
            Called as ``callback(parameters)`` after each evaluation with a copy of the best so far; ``on_chunk`` with
            the share of the residual that they leave, the geometric mean. StopIteration ends the fit with them.

        Returns
        -------
        MultigridPreconditioner
            A new one. The same seed gives the same numbers on any number of threads.

        Raises
        ------
        ImportError
            Without the cma package: pip install 'adaptive-solvers[learned]'.
        """
        from ._mg_fit import fit_parameters

        _checks.function("callback", callback)
        budget, n_steps = _checks.count("budget", budget), _checks.count("n_steps", n_steps)
        if not isinstance(matrices, list | tuple) or not matrices:
            raise UnsupportedType("`matrices` must be a list of sparse matrices, one or more.")
        each_its_own = isinstance(grid, list | tuple) and all(isinstance(one, list | tuple) for one in grid)
        grids = grid if each_its_own or isinstance(grid, list) else [grid] * len(matrices)
        if len(grids) != len(matrices):
            raise InvalidInput(f"`grid` must be one for all matrices or one each, {len(matrices)}, got {len(grids)}.")
        systems = [Grid.of_matrix(A, each) for A, each in zip(matrices, grids)]
        if not all(system.level.inverse.any() for system in systems):
            raise InvalidInput("`matrices` must have cells that are connected with others, got one in which none are.")
        K, rng = roots(self.parameters), np.random.default_rng(self._rng)
        K = K * _SLOTS if len(K) == 1 else K
        report = lambda used, value, best: told(callback, used, 10.0 ** min(value, 300.0), best)
        found, value, first, used = fit_parameters([Hierarchy(s) for s in systems], K, budget, n_steps, rng, report)
        model = MultigridPreconditioner(found, dtype=self.precision, rng=self._rng)
        model.header = {
            "family": str(family),
            "training": [[s for s in system.shape if s > 1] for system in systems],
            "seed": int(self._rng) if isinstance(self._rng, int | np.integer) else None,
            "K": K,
            "budget": used,
            "steps": n_steps,
            "objective": [first, value],
        }
        return fitted(callback, model)

    def setup(
        self,
        A: MatrixLike | None = None,
        *,
        grid: tuple[int, ...] | None = None,
        faces: Sequence[ArrayLike] | None = None,
        boundary: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        gate: bool = True,
    ) -> "MultigridPreconditioner":
        """Make the preconditioner of one system.

        Parameters
        ----------
        A : sparse array of SciPy or CuPy, or stencil, shape (n, n), optional
            A 5- or 7-point operator: symmetric, no positive entry off the diagonal, no negative row sum. Rows of zeros
            and rows with a diagonal alone are solid cells.
        grid : (ny, nx) or (nz, ny, nx), optional
            The rows of A are its cells in C order; by default what the entries of A tell.
        faces : sequence of arrays, optional
            Instead of A: for each axis the coefficients of the faces between neighbours, one fewer along that axis.
        boundary : array_like, shape of the grid, optional
            With ``faces``: what Dirichlet sides add to the diagonal; walls add nothing.
        mask : array of bool, shape of the grid, optional
            With ``faces``: the cells that take part.
        gate : bool, default True
            Run up to 8 steps of conjugate gradients with the learned and with the textbook parameters, on the finest
            level with at most 20,000 cells, and keep the textbook's if they leave a tenth less in log10 of the
            residual. It ends sooner where the learned ones are clearly ahead.

        Returns
        -------
        MultigridPreconditioner
            A new one, a LinearOperator of shape (n, n) for ``M=`` of any solver, on the CPU and on the GPU: what it
            needs there is sent with the first product. Where A has the constants on a component as null space, it
            leaves their mean at zero.

        Raises
        ------
        InvalidInput
            If A is no such operator: the sentence names the first entry that does not fit.
        """
        gate = _checks.flag("gate", gate)
        if (A is None) == (faces is None):
            raise InvalidInput("`setup` must be given either a matrix `A` or `faces`.")
        if A is not None and (boundary is not None or mask is not None):
            raise InvalidInput("`boundary` and `mask` go with `faces`; a matrix tells both itself.")
        system = Grid.of_faces(faces, boundary, mask, grid) if A is None else Grid.of_matrix(A, grid)
        hierarchy = Hierarchy(system, self.precision)
        ready = MultigridPreconditioner(self._given, dtype=self.precision, rng=self._rng)
        ready._learned = self._learned
        if gate and self._learned:
            ready.parameters, ready.choice = better(hierarchy, self._given)
        ready.header, ready._hierarchy, ready.operator = self.header, hierarchy, GridOperator(system)
        ready.shape, ready.null_space = (system.n, system.n), system.null_space
        return ready

    def on_backend(self, r: Any, backend: str) -> Any:
        """The product with a vector in the memory of that backend."""
        self._refuse_unready()
        kernels = _backend.kernels(backend)
        if r.dtype.kind == "c":
            z = kernels.empty(r.shape, r.dtype)
            for half, out in ((r.real, z.real), (r.imag, z.imag)):
                out[:] = self.on_backend(kernels.to_device(half, half.dtype), backend)
            return z
        if backend == "gpu":
            return self._hierarchy.on(backend).precondition(self.parameters, r)
        # Of one dtype: each takes half a second of compilation.
        z = self._hierarchy.precondition(self.parameters, np.ascontiguousarray(r, np.float64))
        return z.astype(r.dtype, copy=False)

    def _refuse_unready(self):
        if self._hierarchy is None:
            raise InvalidInput("`M` must be set up before it is used: M.setup(A, grid=...).")

    def _dtype_of_products(self, x):
        return np.result_type(x.dtype, np.float32)

    def __repr__(self):
        K = ", ".join(map(str, roots(self.parameters)))
        what = f"{self.header.get('family', 'own parameters' if self._learned else 'textbook')}, K = {K}"
        if self._hierarchy is None:
            return f"<multigrid preconditioner, not set up, {what}>"
        return f"<multigrid preconditioner, {self.shape[0]}x{self.shape[1]}, {what}, {self.choice}>"


def _precision(dtype):
    try:
        precision = np.dtype(dtype)
    except (TypeError, ValueError):
        raise UnsupportedType(f"`dtype` must be float32 or float64, got {_checks.brief(dtype)}.") from None
    if precision not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise UnsupportedType(f"`dtype` must be float32 or float64, got {precision}.")
    return precision


def _smoothing_steps(K):
    """A number, or a list of them."""
    if not isinstance(K, tuple | list):
        return _checks.count("K", K)
    if not K:
        raise InvalidInput("`K` must be a number of smoothing steps or one for each level, got an empty sequence.")
    return [_checks.count("K", each) for each in K]


def _valid(parameters):
    """The parameters as an array of ours, with a certificate."""
    array = _checks.finite("parameters", _checks.array("parameters", parameters))
    if array.dtype.kind == "c":
        raise UnsupportedType(f"`parameters` must be real, got dtype {array.dtype}.")
    array = array.astype(np.float64)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 3:
        raise InvalidInput(f"`parameters` must have shape (slots, K + 2) with K >= 1, got {array.shape}.")
    worst = max(certificate(row[:-2]) for row in array)
    if not worst < 1:
        raise InvalidInput(
            f"`parameters` must have smoothing roots with |prod(1 - w t)| < 1 on (0, 2], got {worst:g}: "
            "the cycle would not be positive definite."
        )
    if array[:, -2].min() <= 0:
        raise InvalidInput(f"`parameters` must have factors c > 0, got {array[:, -2].min():g}.")
    return array
