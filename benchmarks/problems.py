"""The named problems: each makes a matrix and a right-hand side from a size.

A problem says of itself whether it is Hermitian and whether it is positive definite, so that a method
that needs either is skipped by name; the tests hold these claims against the matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ._registry import Registry, need
from .families import FAMILIES, SIDES, family
from .structures import STRUCTURES

__all__ = ["PROBLEMS", "Problem", "ProblemEntry", "make_problem", "problem", "right_hand_side"]

PROBLEMS = Registry("problem")


@dataclass(frozen=True)
class Problem:
    """A linear system ``A x = b`` with what is known about it.

    ``grid``: the cells whose C order the rows have, None if they are no cells; ``sides``: what holds around the box, as
    ``box_poisson`` takes it.
    """

    name: str
    A: object
    b: np.ndarray
    spd: bool
    symmetric: bool
    size: int | None = None
    near_nullspace: np.ndarray | None = field(default=None, repr=False)
    grid: tuple | None = None
    sides: object = None

    @property
    def n(self):
        return self.A.shape[0]

    @property
    def nnz(self):
        return int(getattr(self.A, "nnz", self.A.size))

    @property
    def kind(self):
        """The narrowest class it is known to be in, in words."""
        symmetric = "Hermitian" if np.iscomplexobj(self.A) else "symmetric"
        return f"{symmetric} positive definite" if self.spd else symmetric if self.symmetric else f"not {symmetric}"


@dataclass(frozen=True)
class ProblemEntry:
    """A registered problem: ``build(size)`` gives A, or A and the keyword arguments to add to Problem."""

    name: str
    area: str
    summary: str
    build: Callable
    size: int | None
    spd: bool
    symmetric: bool
    package: str


def problem(name, area, summary, *, size=None, spd=False, symmetric=None, package=""):
    """Register a function that makes a matrix from a size (a default size of None: it has only one)."""

    def register(build):
        hermitian = spd if symmetric is None else symmetric
        PROBLEMS.add(ProblemEntry(name, area, summary, build, size, spd, hermitian, package))
        return build

    return register


def make_problem(entry, size=None, dtype=None) -> Problem:
    """Make one instance; a problem that has only one size ignores ``size``."""
    need(entry.package, f"The problem {entry.name!r}")
    size = None if entry.size is None else (size or entry.size)
    built = entry.build() if size is None else entry.build(size)
    A, more = built if isinstance(built, tuple) else (built, {})
    A = in_dtype(A, dtype)
    b = more.pop("b", None)
    b = right_hand_side(A) if b is None else b.astype(A.dtype)
    return Problem(entry.name, A, b, entry.spd, entry.symmetric, size, **more)


def in_dtype(A, dtype):
    """Cast A; a complex matrix keeps its imaginary part and takes the precision only."""
    if dtype is None:
        return A
    wanted = np.dtype(dtype)
    if np.iscomplexobj(A) and wanted.kind == "f":
        wanted = np.dtype(f"c{2 * wanted.itemsize}")
    return A.astype(wanted)


def right_hand_side(A):
    """The same standard normal vector for every method, run and machine."""
    rng = np.random.default_rng(0)
    b = rng.standard_normal(A.shape[0])
    if np.iscomplexobj(A):
        b = b + 1j * rng.standard_normal(A.shape[0])
    return b.astype(A.dtype)


def _second_difference(n):
    from scipy import sparse

    return sparse.diags_array([-np.ones(n - 1), np.full(n, 2.0), -np.ones(n - 1)], offsets=[-1, 0, 1], format="csr")


@problem("poisson2d", "linalg", "5-point Laplacian on size x size points", size=200, spd=True)
def poisson2d(size):
    from scipy import sparse

    T = _second_difference(size)
    return sparse.csr_array(sparse.kronsum(T, T, format="csr")), {"grid": (size,) * 2, "sides": "beyond"}


@problem("poisson3d", "linalg", "7-point Laplacian on size^3 points", size=40, spd=True)
def poisson3d(size):
    from scipy import sparse

    T = _second_difference(size)
    A = sparse.csr_array(sparse.kronsum(sparse.kronsum(T, T), T, format="csr"))
    return A, {"grid": (size,) * 3, "sides": "beyond"}


@problem(
    "anisotropic",
    "linalg",
    "bilinear finite elements, diffusion 1000:1 rotated by 30 degrees, size x size points",
    size=100,
    spd=True,
    package="pyamg",
)
def anisotropic(size):
    from pyamg.gallery import diffusion_stencil_2d, stencil_grid
    from scipy import sparse

    stencil = diffusion_stencil_2d(epsilon=1e-3, theta=np.pi / 6, type="FE")
    return sparse.csr_array(stencil_grid(stencil, (size, size), format="csr"))


@problem(
    "jump",
    "linalg",
    "finite volumes, diffusion jumping by 1e4 in a chequerboard, size x size cells",
    size=100,
    spd=True,
)
def jump(size):
    """Fluxes through faces take the harmonic mean of both cells, so A = sum of G^T K G stays symmetric."""
    from scipy import sparse

    cells = np.arange(size) * 8 // size
    k = np.where((cells[:, None] + cells) % 2, 1e4, 1.0)
    grad = sparse.diags_array([np.ones(size), -np.ones(size)], offsets=[0, -1], shape=(size + 1, size))
    one = sparse.eye_array(size)
    Gy, Gx = sparse.kron(grad, one, format="csr"), sparse.kron(one, grad, format="csr")
    Ky, Kx = sparse.diags_array(_faces(k).ravel()), sparse.diags_array(_faces(k.T).T.ravel())
    return sparse.csr_array(Gy.T @ Ky @ Gy + Gx.T @ Kx @ Gx), {"grid": (size,) * 2, "sides": "dirichlet"}


def _faces(k):
    """Diffusion on the faces across axis 0; the outer ones lie half a cell from the Dirichlet boundary."""
    inner = 2.0 / (1.0 / k[1:] + 1.0 / k[:-1])
    return np.concatenate([2 * k[:1], inner, 2 * k[-1:]])


@problem(
    "elasticity",
    "linalg",
    "linear elasticity, Q1 elements, size x size points",
    size=60,
    spd=True,
    package="pyamg",
)
def elasticity(size):
    from pyamg.gallery import linear_elasticity
    from scipy import sparse

    A, rigid_motions = linear_elasticity((size, size), format="csr")
    return sparse.csr_array(A), {"near_nullspace": rigid_motions}


@problem(
    "convection_diffusion2d",
    "linalg",
    "upwind convection with cell Peclet number 2, size x size points",
    size=100,
)
def convection_diffusion2d(size):
    from scipy import sparse

    upwind = sparse.diags_array([np.ones(size), -np.ones(size - 1)], offsets=[0, -1])
    T = _second_difference(size) + 2.0 * upwind
    return sparse.csr_array(sparse.kronsum(T, T, format="csr"))


@problem("arrow", "linalg", "a diagonal with one dense row and column, n = size", size=20_000, spd=True)
def arrow(size):
    """Positive definite: its Schur complement, 1 - sum c^2/d_i, is > 0 for c^2 = 1/(2 size), d_i >= 1."""
    from scipy import sparse

    d = np.linspace(1.0, 100.0, size)
    c = np.full(size - 1, (0.5 / size) ** 0.5)
    zero, rest = np.zeros(size - 1, dtype=np.int32), np.arange(1, size, dtype=np.int32)
    rows, columns = np.concatenate([zero, rest]), np.concatenate([rest, zero])
    tip = sparse.csr_array((np.concatenate([c, c]), (rows, columns)), shape=(size, size))
    return sparse.csr_array(tip + sparse.diags_array(d))


@problem("random60", "linalg", "random symmetric pattern, about 60 entries a row, n = size", size=20_000, spd=True)
def random60(size):
    """Diagonally dominant by a fifth, hence definite; scaled on both sides, or cg needs a dozen steps."""
    from scipy import sparse

    rng = np.random.default_rng(1)
    per_row = min(30, size)
    rows = np.repeat(np.arange(size, dtype=np.int32), per_row)
    columns = rng.integers(0, size, rows.size, dtype=np.int32)
    R = sparse.csr_array((-rng.random(rows.size), (rows, columns)), shape=(size, size))
    R = R + R.T
    scale = sparse.diags_array(np.logspace(0, 1, size))
    return sparse.csr_array(scale @ (R + sparse.diags_array(1.2 * abs(R).sum(axis=1))) @ scale)


@problem("dense", "linalg", "a dense matrix with eigenvalues from 1 to 1000, n = size", size=1000, spd=True)
def dense(size):
    """One Householder reflection of a diagonal: every entry is filled, and the spectrum is known."""
    d = np.logspace(0, 3, size)
    v = np.random.default_rng(1).standard_normal(size)
    v /= np.linalg.norm(v)
    w = d * v
    middle = np.diag(d) - 2 * np.outer(v, w) - 2 * np.outer(w, v)
    return middle + 4 * (v @ w) * np.outer(v, v)


def _family_member(name, dim, size):
    member = family(name, size, dim)
    return member.A, {"b": member.b, "grid": member.grid, "sides": SIDES[dim]}


_FAMILY_SUMMARIES = {
    "obstacles": "pressure around solids, walls and an open top",
    "free-surface": "pressure in a liquid with a wavy surface and solids",
    "lognormal": "lognormal diffusion",
    "jump": "inclusions that conduct a thousand times better",
}

for _name in FAMILIES:
    for _dim, _size in ((2, 256), (3, 32)):
        problem(
            # The chequerboard has the name already.
            ("jump-inclusions" if _name == "jump" else _name) + ("" if _dim == 2 else "3d"),
            "linalg",
            f"{_FAMILY_SUMMARIES[_name]}, size^{_dim} cells",
            size=_size,
            spd=True,
        )(partial(_family_member, _name, _dim))

for _name, (_build, _size, _summary) in STRUCTURES.items():
    problem(f"structure:{_name}", "linalg", f"stiffness of a {_summary}", size=_size, spd=True)(_build)

# What PyAMG ships, by the name of its file: summary, positive definite, Hermitian.
_SHIPPED = {
    "airfoil": ("finite elements around an airfoil", True, True),
    "bar": ("linear elasticity of a bar in 3D", True, True),
    "knot": ("a graph Laplacian in the shape of a knot", True, True),
    "local_disc_galerkin_diffusion": ("local discontinuous Galerkin diffusion", True, True),
    "unit_cube": ("finite elements on the unit cube", True, True),
    "unit_square": ("finite elements on the unit square; singular, b is in its range", False, True),
    "recirc_flow": ("recirculating flow", False, False),
    "helmholtz_2D": ("complex symmetric Helmholtz", False, False),
}


def _load_example(name, singular=False):
    from pyamg.gallery import load_example
    from scipy import sparse

    example = load_example(name)
    A = sparse.csr_array(example["A"])
    more = {"near_nullspace": np.asarray(example["B"])}
    if singular:
        more["b"] = A @ right_hand_side(A)
    return A, more


for _name, (_summary, _spd, _symmetric) in _SHIPPED.items():
    problem(
        f"pyamg:{_name}",
        "linalg",
        f"{_summary} (shipped with PyAMG)",
        spd=_spd,
        symmetric=_symmetric,
        package="pyamg",
    )(partial(_load_example, _name, singular=_name == "unit_square"))
