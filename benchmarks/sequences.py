"""The named sequences of systems: the experiments of Learning to Relax (Khodak, Chow, Balcan, Talwalkar, ICLR 2024).

Everything about an instance is drawn before anybody solves it, its starting guess included, so that all contenders
meet the same systems and every value of the grid can be tried on each of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry
from .grids import laplacian

__all__ = ["CAP", "GRID", "RTOL", "SEQUENCES", "Instance", "Sequence"]

SEQUENCES = Registry("sequence")

#: What omega is chosen from, the tolerance, and the most iterations, as in the paper.
GRID = np.linspace(1.0, 1.95, 20)
RTOL, CAP = 1e-8, 10_000


@dataclass(frozen=True)
class Instance:
    """A x = b from x0; ``beta`` is the spectral radius of its Jacobi iteration, for Young's formula."""

    A: object
    b: np.ndarray
    x0: np.ndarray | None
    context: float
    beta: float


@dataclass(frozen=True)
class Sequence:
    """A registered sequence: ``draw(seed, steps)`` yields instances, to be solved by ``solver`` of ``linalg``."""

    name: str
    summary: str
    solver: str
    n: int
    steps: int
    quick_steps: int
    interval: tuple
    bins: int
    draw: Callable


class _Shifted:
    """d I - w N on an m x m grid, N the sum of the four neighbours: one pattern, two numbers."""

    def __init__(self, m):
        self._L = laplacian((m, m))
        self._on = self._L.data > 0
        self._cosine = math.cos(math.pi / (m + 1))

    def matrix(self, d, w):
        A = self._L.copy()
        A.data[:] = np.where(self._on, d, -w)
        return A

    def beta(self, d, w):
        return 4 * w * self._cosine / d


def _poisson(a, b, low, width):
    """A + c I with c = low + width Beta(a, b), and Gaussian right-hand sides of norm 10 at most."""

    def draw(seed, steps):
        rng, family = np.random.default_rng(seed), _Shifted(10)
        for _ in range(steps):
            c = low + width * rng.beta(a, b)
            side = rng.standard_normal(100)
            while np.linalg.norm(side) > 10.0:
                side = rng.standard_normal(100)
            yield Instance(family.matrix(4 + c, 1.0), side, None, c, family.beta(4 + c, 1.0))

    return draw


for _name, _a, _b in (("high", 0.5, 1.5), ("low", 2.0, 6.0)):
    SEQUENCES.add(
        Sequence(
            f"poisson-{_name}",
            f"SOR on 10 x 10 Poisson problems, shifted by -0.15 + 0.6 Beta({_a:g}, {_b:g})",
            "sor",
            n=100,
            steps=5000,
            quick_steps=200,
            interval=(-0.15, 0.45),
            bins=5,
            draw=_poisson(_a, _b, -0.15, 0.6),
        )
    )


def _diffusion(t):
    wave = math.sin(2 * math.pi * t)
    return max(0.1 * wave, -10 * wave)


def _bump(X, Y, x, y, radius):
    """exp(1 - 1/(1 - d^2)), d the distance to (x, y) over the radius; 0 beyond it."""
    inside = 1 - ((X - x) ** 2 + (Y - y) ** 2) / radius**2
    return np.where(inside > 0, np.exp(1 - 1 / np.maximum(inside, 1e-3)), 0.0)


def _heat(nx):
    """Crank-Nicolson steps of 0.001 with a source on a circle; the steps themselves are exact, by sine transforms."""

    def draw(seed, steps):
        from scipy.fft import dstn, idstn

        m, dt, family = nx - 1, 1e-3, _Shifted(nx - 1)
        line = np.arange(1, nx) / nx
        X, Y = np.meshgrid(line, line, indexing="ij")
        wave = 2 - 2 * np.cos(np.pi * line)
        eigenvalues = wave[:, None] + wave
        u = _bump(X, Y, 0.5, 0.5, 0.25)
        for k in range(steps):
            t = (k + 0.5) * dt
            diffusion, angle = _diffusion(t), 16 * math.pi * t
            s = 0.5 * diffusion * dt * nx**2
            source = 32 * _bump(X, Y, 0.5 + math.cos(angle) / 4, 0.5 + math.sin(angle) / 4, 0.125)
            side = dstn((1 - s * eigenvalues) * dstn(u, type=1) / (2 * nx) ** 2, type=1) + dt * source
            d = 1 + 4 * s
            yield Instance(family.matrix(d, s), side.ravel(), u.ravel(), diffusion, family.beta(d, s))
            u = idstn(dstn(side, type=1) / (1 + s * eigenvalues), type=1).reshape(m, m)

    return draw


for _nx in (25, 50, 100):
    SEQUENCES.add(
        Sequence(
            f"heat-{_nx}",
            f"SSOR-preconditioned CG on steps of the heat equation, {_nx - 1} x {_nx - 1} points, warm-started",
            "ssor_cg",
            n=(_nx - 1) ** 2,
            steps=5000,
            quick_steps=550,
            interval=(0.0, 10.0),
            bins=6,
            draw=_heat(_nx),
        )
    )
