"""What the tests of sweeps on the emulated device share: matrices, and the same run on either backend."""

import numpy as np
import scipy.sparse as sp
from solvers.kernels import cpu

__all__ = ["KINDS", "Krylov", "Run", "matrix", "near", "numbers", "parts_of", "sweep", "wide_levels"]


def numbers(shape, dtype, seed=5):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def near(dtype):
    """How far apart two answers of size 1 may be."""
    return 1e-12 if np.finfo(dtype).dtype == np.float64 else 1e-5


def matrix(dtype, rows=12, columns=25, hermitian=True):
    """Neighbours on a grid and, with a phase, a row further; not Hermitian where that is not asked for."""
    dtype = np.dtype(dtype)
    phase = np.exp(0.4j) if dtype.kind == "c" else 1.0
    upper = sp.diags_array([np.full(columns - 1, -1.1)], offsets=[1], shape=(columns, columns))
    upper = sp.kron(sp.eye_array(rows), upper) + sp.kron(np.eye(rows, k=1), 0.9 * sp.eye_array(columns))
    lower = upper.T.conj() if hermitian else 0.6 * upper.T
    n = rows * columns
    return sp.csr_array(phase * upper + np.conj(phase) * lower + sp.diags_array(np.linspace(4.1, 5, n))).astype(dtype)


def wide_levels(dtype, groups=70, width=100):
    """More than 64 levels of 100 rows: row i of a group is coupled to rows i and i + 1 of the next."""
    n, one = groups * width, np.eye(width) + np.roll(np.eye(width), 1, axis=1)
    A = sp.kron(sp.diags_array([np.ones(groups - 1)], offsets=[1], shape=(groups, groups)), one)
    return sp.csr_array(-A - A.T + sp.diags_array(np.full(n, 4.5))).astype(dtype)


def parts_of(A, ordering):
    """The order, the stages and the triangles of a SciPy array."""
    operand, back = cpu.csr(A.indptr, A.indices, A.data), sp.csr_array(A.T)
    if ordering == "levels":
        order, stages = cpu.order_by_levels(operand.indptr, operand.indices)
    else:
        order, stages = cpu.order_by_colours(*operand[:2], *cpu.csr(back.indptr, back.indices, back.data)[:2])
    return order, stages, cpu.split_rows(operand.indptr, operand.indices, order)


def sweep(kernels, A, ordering):
    order, stages, triangles = parts_of(A, ordering)
    index = np.int64 if kernels is cpu else np.int32
    given = kernels.csr(*(kernels.to_device(part, part.dtype) for part in (A.indptr, A.indices, A.data)))
    made = []
    for indptr, indices, entries in triangles:
        data = kernels.empty(entries.shape, A.dtype)
        kernels.gather(given.data, kernels.to_device(entries, index), data)
        made.append(kernels.csr(*(kernels.to_device(p.view(np.int32), np.int32) for p in (indptr, indices)), data))
    return kernels.sweep(*made, kernels.diagonal(given, kernels.to_device(order, index)), stages)


class Run:
    """x, y and b of relaxation on one backend."""

    def __init__(self, kernels, A, ordering, name="sor_chunk", omega=1.3):
        n, dtype = A.shape[0], A.dtype
        self.S, self.omega, self.kernels = sweep(kernels, A, ordering), omega, kernels
        self.chunk = getattr(kernels, name)
        values = numbers(n, dtype, 1), numbers(n, dtype, 2), np.full(n, np.nan, dtype)
        self.b, self.x, self.y = (kernels.copy_to_device(v, dtype) for v in values)

    def advance(self, steps, threshold=0.0):
        norms = np.full(steps, np.nan)
        taken = self.chunk(self.S, self.b, self.x, self.y, self.omega, norms, threshold, steps)
        assert np.isnan(norms[taken:]).all()
        return norms[:taken]

    def iterate(self):
        return self.kernels.to_host(self.x)

    def bits(self):
        return self.iterate().tobytes()


class Krylov(Run):
    """The same for conjugate gradients with SSOR, started from x = 0."""

    def __init__(self, kernels, A, ordering, omega=1.3, share=None):
        super().__init__(kernels, A, ordering, "ssor_cg_chunk", omega)
        n, dtype = A.shape[0], A.dtype
        self.x, self.t = kernels.zeros(n, dtype), kernels.empty(n, dtype)
        self.s, self.p, self.u = (kernels.empty(n, dtype) for _ in range(3))
        rho = kernels.ssor_cg_start(self.S, omega, self.b, self.s, self.t)
        self.started = kernels.to_host(self.s).copy(), kernels.to_host(self.t).copy()
        kernels.scale(dtype.type(0), self.s, self.t)
        self.scalars = np.array([rho, 0.0, 0.0, np.sqrt(np.finfo(dtype).eps) if share is None else share])
        self.flag = None

    def advance(self, steps, threshold=0.0):
        norms = np.full(steps, np.nan)
        vectors = self.x, self.s, self.t, self.p, self.u
        taken, self.flag = self.chunk(self.S, self.omega, *vectors, self.scalars, norms, threshold, steps)
        assert np.isnan(norms[taken:]).all()
        return norms[:taken]

    def bits(self):
        return super().bits() + self.scalars.tobytes()


KINDS = {
    "sor": lambda kernels, A, ordering: Run(kernels, A, ordering),
    "ssor": lambda kernels, A, ordering: Run(kernels, A, ordering, "ssor_chunk"),
    "ssor_cg": Krylov,
}
