"""Families of pressure-like systems on grids: each draws a cell-centred matrix from a size, a dimension and a seed.

Coefficients live on faces, a solid cell is a row of the identity, the right-hand side is white noise.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["FAMILIES", "SIDES", "FamilyMatrix", "family"]

#: What holds around the box, by its dimension: the open top is the far side of the first axis, the others are walls.
SIDES = {2: (("neumann", "dirichlet"), "neumann"), 3: (("neumann", "dirichlet"), "neumann", "neumann")}


@dataclass(frozen=True)
class FamilyMatrix:
    """One member: the matrix (CSR), the right-hand side, and the grid whose cells in C order are the rows."""

    name: str
    A: object
    b: np.ndarray
    grid: tuple


def family(name, size, dim=2, seed=0) -> FamilyMatrix:
    """Draw a member of a family on size^dim cells."""
    rng = np.random.default_rng([seed, dim, sum(map(ord, name))])
    grid = (size,) * dim
    fluid, air, k = FAMILIES[name](grid, rng)
    A = _matrix(grid, fluid, air, k)
    b = rng.standard_normal(grid) * fluid
    return FamilyMatrix(name, A, b.ravel(), grid)


def _points(grid):
    return np.meshgrid(*((np.arange(size) + 0.5) / size for size in grid), indexing="ij")


def _solids(grid, rng, count=6):
    """Balls and boxes, a few in the domain; the first axis points upwards."""
    X, inside = _points(grid), np.zeros(grid, bool)
    for i in range(count):
        centre, radius = rng.uniform(0.1, 0.9, len(grid)), rng.uniform(0.04, 0.14)
        distances = [abs(x - c) for x, c in zip(X, centre)]
        inside |= np.maximum.reduce(distances) < radius if i % 2 else sum(d * d for d in distances) < radius**2
    return inside


def _smooth_noise(grid, rng, power):
    """A Gaussian random field with spectrum |k|^-power, mean 0 and variance 1."""
    k = np.sqrt(sum(np.square(f) for f in np.meshgrid(*(np.fft.fftfreq(n) * n for n in grid), indexing="ij")))
    k.flat[0] = np.inf
    noise = np.fft.ifftn(np.fft.fftn(rng.standard_normal(grid)) * np.maximum(k, 1.0) ** (-power / 2)).real
    return (noise - noise.mean()) / noise.std() if noise.std() > 0 else noise


def _obstacles(grid, rng):
    """Walls all around, six solids, an open top."""
    fluid = ~_solids(grid, rng)
    air = np.zeros(grid, bool)
    return fluid, ("top", air), np.ones(grid)


def _free_surface(grid, rng):
    """Liquid below a wavy surface, three solids in it; the air above is a Dirichlet value."""
    X = _points(grid)
    phase = rng.uniform(0, 2 * np.pi, (3, len(grid)))
    height = 0.6 + sum(
        0.06 * np.sin(2 * np.pi * (i + 1) * x + phase[i, j]) for i in range(2) for j, x in enumerate(X[1:])
    )
    liquid = X[0] < height
    fluid = liquid & ~_solids(grid, rng, 3)
    return fluid, ("cells", ~liquid), np.ones(grid)


def _lognormal(grid, rng):
    """Diffusion exp(3/2 times a smooth Gaussian field), walls at the sides, an open top."""
    return np.ones(grid, bool), ("top", np.zeros(grid, bool)), np.exp(1.5 * _smooth_noise(grid, rng, len(grid) + 1))


def _jump(grid, rng):
    """Twelve balls and boxes that conduct a thousand times better than what is around them, an open top."""
    inclusions = _solids(grid, rng, 12)
    return np.ones(grid, bool), ("top", np.zeros(grid, bool)), np.where(inclusions, 1e3, 1.0)


FAMILIES = {"obstacles": _obstacles, "free-surface": _free_surface, "lognormal": _lognormal, "jump": _jump}


def _matrix(grid, fluid, air, k):
    """The CSR matrix: harmonic means on faces, twice the coefficient on the open top (it lies half a cell away)."""
    from scipy import sparse

    index = np.arange(fluid.size, dtype=np.int32).reshape(grid)
    kind, open_cells = air
    diagonal = np.zeros(grid)
    rows, columns, values = [], [], []
    for axis in range(len(grid)):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(len(grid)))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(len(grid)))
        w = 2 / (1 / k[low] + 1 / k[high])
        between = w * (fluid[low] & fluid[high])
        diagonal[low] += between + w * (fluid[low] & open_cells[high])
        diagonal[high] += between + w * (fluid[high] & open_cells[low])
        kept = between > 0
        rows += [index[low][kept], index[high][kept]]
        columns += [index[high][kept], index[low][kept]]
        values += [-between[kept]] * 2
    if kind == "top":
        diagonal[-1] += 2 * k[-1] * fluid[-1]
    diagonal[diagonal == 0] = 1  # solid cells, and fluid cells without a neighbour
    rows, columns = np.concatenate([*rows, index.ravel()]), np.concatenate([*columns, index.ravel()])
    return sparse.csr_array(
        (np.concatenate([*values, diagonal.ravel()]), (rows, columns)), shape=(fluid.size, fluid.size)
    )
