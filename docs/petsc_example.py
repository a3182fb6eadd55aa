"""One Poisson system over the ranks of MPI, by PETSc's conjugate gradients with preconditioners of this library.

mpirun -n 2 python -m mpi4py docs/petsc_example.py
"""

from petsc4py import PETSc

import solvers
from solvers import linalg

SIDE = 200
comm = PETSc.COMM_WORLD
rank, size = comm.getRank(), comm.getSize()
solvers.set_threads(1)  # a core a rank

# Each rank owns whole lines of the grid, and makes the entries of its rows alone.
rows = SIDE * (SIDE * rank // size), SIDE * (SIDE * (rank + 1) // size)
A = linalg.to_petsc(linalg.stencil((SIDE, SIDE), [4, -1, -1]), comm, rows=rows)
x, b = A.createVecs()
b.set(1.0)


def multigrid(block):
    """The cycle with fitted numbers on the lines of one rank."""
    return linalg.MultigridPreconditioner.pretrained("mg2d-poisson").setup(block, grid=(block.shape[0] // SIDE, SIDE))


def block_jacobi(make):
    """The preconditioner that ``make`` makes of each rank's block."""

    def setup(pc):
        pc.setType("python")
        pc.setPythonContext(linalg.PETScPreconditioner(make))

    return setup


def overlapping(make, lines=4):
    """The same on each rank's lines and some of its neighbours': additive Schwarz."""

    def setup(pc):
        pc.setType("asm")
        pc.setASMType(PETSc.PC.ASMType.BASIC)  # the symmetric one, for conjugate gradients
        pc.setASMOverlap(lines)
        pc.setUp()
        for ksp in pc.getASMSubKSP():
            block_jacobi(make)(ksp.getPC())

    return setup


def joined(make):
    """PETSc's multigrid, which has coarse levels over all ranks, then each rank's block, then the multigrid again."""

    def setup(pc):
        pc.setType("composite")
        pc.setCompositeType(PETSc.PC.CompositeType.SYMMETRIC_MULTIPLICATIVE)
        pc.addCompositePCType("gamg")
        pc.addCompositePCType("python")
        block_jacobi(make)(pc.getCompositePC(1))

    return setup


METHODS = {
    "PETSc's Jacobi": lambda pc: pc.setType("jacobi"),
    "PETSc's gamg": lambda pc: pc.setType("gamg"),
    "ic of each block": block_jacobi(linalg.ic),
    "amg of each block": block_jacobi(linalg.amg),
    "multigrid of each block": block_jacobi(multigrid),
    "amg, 4 lines of overlap": overlapping(linalg.amg),
    "gamg and amg of blocks": joined(linalg.amg),
}
PETSc.Sys.Print(f"{SIDE * SIDE:,} unknowns on {size} rank{'s' * (size > 1)}, conjugate gradients, rtol 1e-8")
for name, setup in METHODS.items():
    ksp = PETSc.KSP().create(comm)
    ksp.setOperators(A)
    ksp.setType("cg")
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=1e-8)
    setup(ksp.getPC())
    x.set(0.0)
    ksp.solve(b, x)
    true = (b - A * x).norm() / b.norm()  # recomputed: PETSc's own is updated from step to step
    steps = ksp.getIterationNumber()
    PETSc.Sys.Print(f"{name:<26}{steps:>5} iterations   |b - A x| / |b| = {true:.1e}")
    if ksp.getConvergedReason() <= 0 or true > 1.1e-8:
        raise RuntimeError(f"{name} did not converge")
