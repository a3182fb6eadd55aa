"""The way to PETSc, for one system larger than a machine: its matrices of ours, and our preconditioners in its solvers.

PETSc (https://petsc.org; Balay et al., Efficient management of parallelism in object oriented numerical software
libraries, 1997, https://doi.org/10.1007/978-1-4612-1986-6_8) distributes a matrix by rows over the ranks of MPI. A
preconditioner of this library works within a rank: with M_p made of the block A_pp of the rank's own rows and columns,
z_p = M_p r_p, which is block Jacobi, or a subdomain's solve in PETSc's overlapping Schwarz methods.

petsc4py is imported where a matrix is made. What one rank refuses is refused on all: the others would wait for it.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .. import _checks
from .._arrays import enter, kinds
from .._errors import InvalidInput, UnsupportedType
from .._matrices import is_plain
from .._types import MatrixLike
from ._operator import Matrix, is_matrix, source
from ._petsc_rows import check_layout, for_petsc, has_rows, own_rows, refuse_complex, refuse_more_than, rows_of

__all__ = ["PETScPreconditioner", "to_petsc"]


def to_petsc(A: MatrixLike, comm: Any | None = None, *, rows: Sequence[int] | None = None) -> Any:
    """Make a PETSc matrix, distributed over the ranks of a communicator.

    Every rank of the communicator calls it, and stores the entries of its own rows only.

    Parameters
    ----------
    A : ndarray, sparse array, stencil, grid operator or LinearOperator, shape (n, n), or (end - begin, n)
        A matrix is whole, and the same, on every rank; or each rank gives its own rows alone, with the columns of the
        whole matrix, and says with ``rows`` which they are. Of a ``stencil``, which holds no entries, each rank makes
        its own rows, and nothing of the size of the whole is made anywhere. The ``operator`` of a
        ``MultigridPreconditioner`` gives its rows too. Any other operator becomes a shell matrix, on one rank only.
    comm : petsc4py.PETSc.Comm or mpi4py.MPI.Comm, optional
        ``PETSc.COMM_WORLD`` by default.
    rows : (int, int), optional
        The rows begin to end - 1 of this rank; in the order of the ranks, they are all n. By default those that PETSc
        gives to a rank: n / size, and one more on each of the first n mod size ranks.

    Returns
    -------
    petsc4py.PETSc.Mat
        Assembled, of type aij; python for an operator. It shares no memory with A.

    Raises
    ------
    ImportError
        Without petsc4py, or, on several ranks, without mpi4py.
    InvalidInput
        If A is not square or not finite, the rows are not those of A, or there are more than PETSc's integers count.
    UnsupportedType
        If A is complex and PETSc is not, lives on a GPU, or is an operator on several ranks.

    Notes
    -----
    Entries become ``PETSc.ScalarType``, indices ``PETSc.IntType``, which are 32 bits wide where PETSc is built by
    default. Entries of zero in an ndarray are not stored. Null spaces are not handed on: ``Mat.setNullSpace`` takes
    them. PETSc's own report of convergence is that of a norm which it updates; recompute b - A x where that matters.

    References
    ----------
    .. [1] S. Balay et al., PETSc/TAO Users Manual, Argonne National Laboratory, https://petsc.org/release/manual
    .. [2] L. Dalcin, R. Paz, P. Kler & A. Cosimo, Parallel distributed computing using Python, Adv. Water Resour. 34
       (2011) 1124-1139, https://doi.org/10.1016/j.advwatres.2011.04.013

    Examples
    --------
    >>> from petsc4py import PETSc  # doctest: +SKIP
    >>> from solvers import linalg
    >>> A = linalg.to_petsc(linalg.stencil((50, 50), [4, -1, -1]))  # doctest: +SKIP
    >>> x, b = A.createVecs()  # doctest: +SKIP
    >>> b.set(1.0)  # doctest: +SKIP
    >>> ksp = PETSc.KSP().create()  # doctest: +SKIP
    >>> ksp.setOperators(A)  # doctest: +SKIP
    >>> ksp.setType("cg")  # doctest: +SKIP
    >>> ksp.getPC().setType("python")  # doctest: +SKIP
    >>> ksp.getPC().setPythonContext(linalg.PETScPreconditioner(linalg.amg))  # doctest: +SKIP
    >>> ksp.solve(b, x)  # doctest: +SKIP
    >>> ksp.getConvergedReason() > 0, ksp.getIterationNumber() < 10  # doctest: +SKIP
    (True, True)
    """
    PETSc = _petsc()
    comm = _communicator(PETSc, comm)
    with _together(comm):
        A = _entered("A", A)
        begin, end, n = own_rows(A, rows, comm.getRank(), comm.getSize())
        refuse_more_than(PETSc.IntType, n)  # before they are made
        shell = csr = None
        if has_rows(A):
            csr = for_petsc(rows_of(A, begin, end), PETSc.ScalarType, PETSc.IntType)
        else:
            shell = _shell(A, comm.getSize(), PETSc.ScalarType)
    check_layout(_gathered(comm, (begin, end, n)))
    size = (end - begin, n), (end - begin, n)
    if csr is not None:
        return PETSc.Mat().createAIJ(size, csr=csr, comm=comm)
    return PETSc.Mat().createPython(size, shell, comm=comm)


class PETScPreconditioner:
    """A preconditioner of this library, or any other operator, as the context of a PETSc PC of type python.

    Parameters
    ----------
    M : function A -> operator, or LinearOperator, shape (m, m)
        A function gets the square block of the matrix that couples the m rows of the rank with each other, a
        ``csr_array``, and returns an approximate inverse of it: ``linalg.amg``, ``linalg.ic``, or one of yours. It is
        called again when the matrix has changed. An operator is applied as it is.

    Attributes
    ----------
    operator : LinearOperator or None
        What is applied on this rank; None before the PC is set up, where M is a function.

    Notes
    -----
    On several ranks it is block Jacobi: no rank hears of another's unknowns, and the iterations grow with the number
    of ranks. As the PC of the subdomains of PETSc's ``asm`` it is overlapping Schwarz. Conjugate gradients need an M
    that is Hermitian positive definite on every rank, as those of this library are for such a matrix. What M raises
    ends in a ``PETSc.Error``, whose ``__cause__`` it is.

    Examples
    --------
    >>> from solvers import linalg
    >>> linalg.PETScPreconditioner(linalg.amg)  # for pc.setType("python"); pc.setPythonContext(...)
    <PETSc preconditioner: amg, not set up>
    """

    def __init__(self, M: Callable[[Any], Any] | Any) -> None:
        self.operator: Any = None
        self._make = self._products = None
        if is_matrix(M) or _is_operator(M):
            self.operator = _operator("M", M)
        elif callable(M):
            self._make = M
        else:
            raise _checks.wrong_kind("M", "an operator, or a function that makes one of a csr_array", M)

    def setUp(self, pc: Any) -> None:
        """Make the operator of the rank's block; PETSc calls it."""
        _, P = pc.getOperators()
        with _together(pc.getComm()):
            m, _ = P.getLocalSize()
            if self._make is not None:
                # A rank may have no rows, of which few functions make anything.
                self.operator = _operator("M", self._make(_diagonal_block(P)) if m else csr_array((0, 0)))
            if self.operator.shape != (m, m):
                raise InvalidInput(
                    f"`M` must have shape {(m, m)}, for the rows of this rank, got {self.operator.shape}; pass a "
                    "function that makes it of the block of these rows."
                )
            self._products = _Products(self.operator, "M")

    def apply(self, pc: Any, x: Any, y: Any) -> None:
        """Form y = M x on the rank; PETSc calls it."""
        self._products.mult(pc, x, y)

    def applyTranspose(self, pc: Any, x: Any, y: Any) -> None:
        """Form y = M^T x on the rank; PETSc calls it."""
        self._products.multTranspose(pc, x, y)

    def __repr__(self) -> str:
        if self.operator is not None:
            return f"<PETSc preconditioner: {self.operator!r}>"
        return f"<PETSc preconditioner: {getattr(self._make, '__name__', 'a function')}, not set up>"


class _Products:
    """The products of an operator with PETSc's vectors, on one rank: the context of a shell matrix."""

    def __init__(self, A, name):
        self._operator, self._name = A, name
        # SciPy's wrapper reshapes a wrong answer until it fits; the hook below it does not.
        apply = A._matvec if is_plain(A, "matvec") else A.matvec
        self._product = Matrix(A.shape[0], None, name, apply=apply).product

    def mult(self, _, x, y):
        self._put(self._product(x.getArray(readonly=True).copy()), y)

    def multTranspose(self, _, x, y):
        """A^T x is the conjugate of A^H times that of x."""
        self._put(np.conj(self._operator.rmatvec(np.conj(x.getArray(readonly=True)))), y)

    def _put(self, product, y):
        out = y.getArray()
        refuse_complex(self._name, product.dtype, out.dtype)
        out[:] = product


# ---- what comes in ----


def _is_operator(A):
    return isinstance(A, LinearOperator) or (hasattr(A, "matvec") and hasattr(A, "shape"))


def _entered(name, A):
    A = enter(name, A)
    if not (is_matrix(A) or _is_operator(A)):
        raise UnsupportedType(
            f"`{name}` must be a NumPy array, a sparse array, a stencil or a LinearOperator for PETSc, got "
            f"{type(A).__name__}; use numpy.asarray({name}) for nested lists."
        )
    if kinds[type(source(A))] == "gpu":
        raise UnsupportedType(
            f"`{name}` must live on the CPU for PETSc, got a {type(source(A)).__name__} on the GPU; pass {name}.get()."
        )
    return A


def _operator(name, A):
    A = _entered(name, A)
    return A if isinstance(A, LinearOperator) else aslinearoperator(A)


def _shell(A, size, scalar):
    """The context of a shell matrix."""
    if size > 1:
        raise UnsupportedType(
            f"`A` must have entries to be distributed over {size} ranks, got a {type(A).__name__}; pass a matrix, a "
            "stencil, or petsc4py's COMM_SELF as `comm`."
        )
    A = _operator("A", A)
    if A.dtype is not None:
        refuse_complex("A", A.dtype, scalar)
    return _Products(A, "A")


def _diagonal_block(P):
    """The block of the rank's own rows and columns, as a csr_array."""
    if P.getType() in ("python", "shell"):
        raise UnsupportedType(
            f"`M` must be an operator for a matrix without entries, of type {P.getType()}, got a function of a block; "
            "or give the PC a matrix of type aij as its second."
        )
    block = P.getDiagonalBlock()
    if block.getType() != "seqaij":
        block = block.duplicate(copy=True).convert("seqaij")
    indptr, indices, data = block.getValuesCSR()
    return csr_array((data, indices, indptr), shape=block.getSize())


# ---- PETSc and its ranks ----


def _petsc():
    """``petsc4py.PETSc``, or how to install it."""
    try:
        from petsc4py import PETSc
    except ImportError as error:
        raise ImportError(
            "to_petsc needs petsc4py: pip install 'adaptive-solvers[petsc]', which builds PETSc as docs/petsc.rst says."
        ) from error
    return PETSc


def _communicator(PETSc, comm):
    if comm is None:
        return PETSc.COMM_WORLD
    try:
        return PETSc.Comm(comm)
    except TypeError:
        raise _checks.wrong_kind("comm", "None, a PETSc.Comm or a communicator of mpi4py", comm) from None


def _gathered(comm, value):
    """The values of all ranks, on every rank."""
    return [value] if comm.getSize() == 1 else comm.tompi4py().allgather(value)


@contextlib.contextmanager
def _together(comm):
    """Raise on every rank what is raised on one: the others would wait for it for ever."""
    refusal = None
    try:
        yield
    except Exception as error:
        refusal = error
    said = _gathered(comm, None if refusal is None else str(refusal))
    if refusal is not None:
        raise refusal
    for rank, sentence in enumerate(said):
        if sentence is not None:
            raise InvalidInput(f"Rank {rank} refused: {sentence}")
