"""What test_petsc.py asks of one and of several ranks: mpirun -n 2 python -m mpi4py petsc_ranks.py FOLDER.

Rank 0 writes what was found to answers.json, and the vectors to x.npz.
"""

import json
import pathlib
import sys

import numpy as np
from petsc4py import PETSc
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import LinearOperator

import solvers
from solvers import linalg

comm = PETSc.COMM_WORLD
rank, size = comm.getRank(), comm.getSize()
mpi = comm.tompi4py()


def solved(A, setup, b):
    """(iterations, reason, x of all ranks) of conjugate gradients as far as the true residual of 1e-8."""
    ksp = PETSc.KSP().create(comm)
    ksp.setOperators(A)
    ksp.setType("cg")
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=1e-8)
    setup(ksp.getPC())
    right, x = A.createVecs()
    right.setArray(b[slice(*right.getOwnershipRange())])
    ksp.solve(right, x)
    return ksp.getIterationNumber(), int(ksp.getConvergedReason()), np.concatenate(mpi.allgather(x.getArray()))


def ours(make):
    def setup(pc):
        pc.setType("python")
        pc.setPythonContext(linalg.PETScPreconditioner(make))

    return setup


def entries(A):
    """All entries of a distributed matrix."""
    begin, _ = A.getOwnershipRange()
    indptr, indices, data = A.getValuesCSR()
    parts = mpi.allgather((np.repeat(np.arange(begin, begin + indptr.size - 1), np.diff(indptr)), indices, data))
    row, column, value = (np.concatenate(each) for each in zip(*parts))
    return coo_array((value, (row, column)), shape=A.getSize()).toarray()


def sentence(function, *args, **kwargs):
    """What each rank says to it."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        said = error.__cause__ or error  # PETSc's own has ours as its cause
        return mpi.allgather(f"{type(said).__name__}: {said}")
    return mpi.allgather("nothing")


def poisson():
    """Conjugate gradients on 200 x 200 cells."""
    grid = linalg.stencil((200, 200), [4, -1, -1])
    A, b = linalg.to_petsc(grid), np.random.default_rng(0).standard_normal(40_000)
    found = {"jacobi": solved(A, lambda pc: pc.setType("jacobi"), b)}
    for make in (linalg.ic, linalg.amg):
        found[make.__name__] = solved(A, ours(make), b)
    return found


def distributed():
    """How far matrices are from what they were made of."""
    rng = np.random.default_rng(1)
    whole = rng.integers(1, 9, (11, 11)) * (rng.random((11, 11)) < 0.4).astype(float)
    cut = [0, 3, 11][rank : rank + 2] if size == 2 else [0, 11]
    grid = linalg.stencil((4, 3), [4, -1, -2])
    made = {
        "whole": (linalg.to_petsc(coo_array(whole)), whole),
        "whole, rows": (linalg.to_petsc(whole, rows=cut), whole),
        "own rows": (linalg.to_petsc(csr_array(whole[slice(*cut)]), mpi, rows=tuple(cut)), whole),
        "stencil": (linalg.to_petsc(grid), grid @ np.eye(12)),
    }
    return {name: float(np.abs(entries(A) - dense).max()) for name, (A, dense) in made.items()}


def on_rank_0_alone():
    """All rows on the first rank, none on the others."""
    A = linalg.to_petsc(linalg.stencil((6, 6), [4, -1, -1]), rows=(0, 36) if rank == 0 else (36, 36))
    return [solved(A, ours(make), np.ones(36))[1] for make in (linalg.ic, linalg.amg)]


def refused():
    """What several ranks say where one of them, or each, is wrong."""
    half = (0, 4) if rank == 0 else (4, 8)
    operator = LinearOperator((8, 8), matvec=lambda v: v, dtype=float)

    def fails_on_the_last(block):
        if rank == size - 1:
            raise ValueError("no pivot")
        return linalg.ic(block)

    A = linalg.to_petsc(np.eye(8))
    return {
        "operator": sentence(linalg.to_petsc, operator),
        "overlap": sentence(linalg.to_petsc, np.eye(8), rows=(0, 5) if rank == 0 else (4, 8)),
        "too few": sentence(linalg.to_petsc, np.eye(8), rows=(0, 4) if rank == 0 else (4, 7)),
        "columns": sentence(linalg.to_petsc, np.ones((4, 8 + rank)), rows=half),
        "one alone": sentence(linalg.to_petsc, np.eye(8) if rank == 0 else np.ones((3, 8)), rows=half),
        "pivot": sentence(solved, A, ours(fails_on_the_last), np.ones(8)),
        "whole M": sentence(solved, A, ours(linalg.ic(np.eye(8))), np.ones(8)),
    }


if __name__ == "__main__":
    solvers.set_threads(1)
    steps = poisson()
    answers = {"size": size, "steps": {name: found[:2] for name, found in steps.items()}, "gaps": distributed()}
    if size > 1:
        answers |= {"alone": on_rank_0_alone(), "refused": refused()}
    if rank == 0:
        folder = pathlib.Path(sys.argv[1])
        np.savez(folder / "x.npz", **{name: found[2] for name, found in steps.items()})
        (folder / "answers.json").write_text(json.dumps(answers))
