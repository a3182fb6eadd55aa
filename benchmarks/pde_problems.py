"""The named differential equations on boxes: operators, sources and exact solutions, the same on every machine.

The eleven first are those of Fang, Cooley, Long, Li, Kirby and Zhe (Solving high frequency and multi-scale PDEs with
Gaussian processes, ICLR 2024, arXiv:2311.04465), with the errors and the seconds in their published logs. Advection is
given its inflow data only, where they feed all four sides.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy import cos, exp, pi, sin

from ._registry import Registry

__all__ = ["PDES", "PDE", "Published"]

PDES = Registry("differential equation")

_TURN = (0.0, 2 * pi)
_UNIT = (0.0, 1.0)
# Odd terms of the series for the unit load; at the k-th the k-th power of exp(-pi y) is left, y the distance to a side.
_TERMS = 1500


@dataclass(frozen=True)
class Published:
    """Relative L2 errors and seconds of others, as they wrote them, on their own hardware."""

    kernel: str
    error: float
    seconds: float


@dataclass(frozen=True)
class PDE:
    """op(u) + N(u) = f on ``box``; ``u`` is the exact solution, all functions of coordinate arrays that broadcast.

    ``rates``: the highest frequency of u along each axis, in radians per unit of length. ``sides``: where u is given,
    pairs (axis, 0 or 1), None for all. ``nonlinear``: N and its derivative.
    """

    name: str
    summary: str
    box: tuple
    op: dict
    u: Callable
    f: Callable
    rates: tuple
    nonlinear: tuple | None = None
    sides: tuple | None = None
    published: tuple = field(default=(), repr=False)

    @property
    def d(self):
        return len(self.box)

    @property
    def waves(self):
        """Wavelengths of the highest frequency along each axis."""
        return tuple(rate * (high - low) / (2 * pi) for rate, (low, high) in zip(self.rates, self.box))

    @property
    def poisson(self):
        """Whether it is u'' = f, or Laplace's operator alone, with values on all sides."""
        return self.op == _laplacian(self.d) and self.nonlinear is None and self.sides is None

    def bc(self):
        """The data at the sides, as ``solve_gp`` takes them."""
        if self.sides is None:
            return self.u
        every = [(axis, side) for axis in range(self.d) for side in (0, 1)]
        return {where: self.u if where in self.sides else None for where in every}


def _laplacian(d):
    return {tuple(2 * (i == axis) for i in range(d)): 1.0 for axis in range(d)}


# ---- on a line -------------------------------------------------------------------------------------


def _sin100(x):
    return sin(100 * x), -1e4 * sin(100 * x)


def _sin6cos100(x):
    u = sin(6 * x) * cos(100 * x)
    return u, -10036 * u - 1200 * cos(6 * x) * sin(100 * x)


def _xsin200(x):
    return x * sin(200 * x), 400 * cos(200 * x) - 4e4 * x * sin(200 * x)


def _three_scales(x):
    return sin(x) + 0.1 * sin(20 * x) + 0.05 * sin(100 * x), -sin(x) - 40 * sin(20 * x) - 500 * sin(100 * x)


def _sin500(x):
    return sin(500 * x) - 2 * (x - 0.5) ** 2, -25e4 * sin(500 * x) - 4


# Allen and Cahn's reaction, u (u^2 - 1).
_REACTION = (lambda u: u**3 - u, lambda u: 3 * u**2 - 1)


def _on_a_line(name, summary, pair, box, rate, published, nonlinear=None):
    """``pair`` gives u and u''."""
    u = lambda x: pair(x)[0]
    f = (lambda x: pair(x)[1] + nonlinear[0](pair(x)[0])) if nonlinear else (lambda x: pair(x)[1])
    PDES.add(PDE(name, summary, (box,), {(2,): 1.0}, u, f, (rate,), nonlinear, published=_logs(*published)))


def _logs(student_error, student_seconds, gauss_error, gauss_seconds):
    return (
        Published("Student-t mixture", student_error, student_seconds),
        Published("Gaussian mixture", gauss_error, gauss_seconds),
    )


for _name, _summary, _pair, _box, _rate, _published in (
    ("sin100", "u'' = f, u = sin 100x on [0, 2 pi]", _sin100, _TURN, 100, (6.5e-7, 1665, 4.0e-7, 1329)),
    ("sin6cos100", "u'' = f, u = sin 6x cos 100x", _sin6cos100, _TURN, 106, (3.5e-6, 834, 1.5e-6, 1329)),
    ("xsin200", "u'' = f, u = x sin 200x", _xsin200, _TURN, 200, (9.0e-7, 7451, 1.6e-6, 6043)),
    (
        "three-scales",
        "u'' = f, u = sin x + 0.1 sin 20x + 0.05 sin 100x",
        _three_scales,
        _TURN,
        100,
        (2.7e-3, 3044, 2.1e-3, 4452),
    ),
    ("sin500", "u'' = f, u = sin 500x - 2 (x - 1/2)^2 on [0, 1]", _sin500, _UNIT, 500, (4.2e-4, 5705, 1.8e-3, 4033)),
):
    _on_a_line(_name, _summary, _pair, _box, _rate, _published)

for _name, _of, _pair, _rate, _published in (
    ("ac-sin100", "sin 100x", _sin100, 100, (4.9e-6, 2333, 7.7e-7, 1998)),
    ("ac-sin6cos100", "sin 6x cos 100x", _sin6cos100, 106, (4.8e-6, 2319, 4.2e-6, 1996)),
):
    _on_a_line(_name, f"Allen-Cahn, u'' + u^3 - u = f, u = {_of}", _pair, _TURN, _rate, _published, _REACTION)


# ---- in the plane and in space ---------------------------------------------------------------------


def _product(w, d):
    """The product of the sines of w x_i, and its Laplacian."""
    u = lambda *x: math.prod(sin(w * each) for each in x)
    return u, lambda *x: -d * w**2 * u(*x)


def _summand(x):
    """sin 6x cos 20x, and its second derivative."""
    u = sin(6 * x) * cos(20 * x)
    return u, -436 * u - 240 * cos(6 * x) * sin(20 * x)


def _factor(x):
    """Of the Allen-Cahn problem in the plane, and its second derivative."""
    u = sin(x) + 0.1 * sin(20 * x) + cos(100 * x)
    return u, -sin(x) - 40 * sin(20 * x) - 1e4 * cos(100 * x)


def _reacting(x, y):
    (h, h2), (k, k2) = _factor(x), _factor(y)
    return h2 * k + h * k2 + _REACTION[0](h * k)


def _elliptic(x, y):
    one, four = sin(pi * x) * sin(pi * y), 4 * sin(4 * pi * x) * sin(4 * pi * y)
    return one + four, 2 * pi**2 * one + 32 * pi**2 * four


def unit_load(x, y):
    """The solution of -Laplacian(u) = 1, zero at the sides of the unit square: u = x(1 - x)/2 less a series.

    The series is 4/pi^3 sum over odd k of sin(k pi x) cosh(k pi (y - 1/2)) / (k^3 cosh(k pi/2)); by the symmetry of
    the problem y may be the coordinate that is further from its sides, but for broadcasting it stays as it is.
    """
    x, y = np.asarray(x, dtype=float)[..., None], np.asarray(y, dtype=float)[..., None]
    k = np.arange(1, 2 * _TERMS, 2) * pi
    # cosh(k (y - 1/2)) / cosh(k/2) without an overflow.
    decay = (exp(-k * y) + exp(-k * (1 - y))) / (1 + exp(-k))
    series = np.einsum("...k,...k->...", sin(k * x) * (4 / k**3), decay)
    inside = (x * (1 - x) / 2)[..., 0] - series
    return np.where(((y > 0) & (y < 1))[..., 0], inside, 0.0)


_wave, _wave_f = _product(100, 2)
_cube, _cube_f = _product(60, 3)
_ridge = lambda x, y: exp(-20 * y) * sin(20 * x) + sin(40 * x) * sin(40 * y)

for _each in (
    PDE(
        "sinsin100-2d",
        "Laplace(u) = f, u = sin 100x sin 100y on [0, 2 pi]^2",
        (_TURN, _TURN),
        _laplacian(2),
        _wave,
        _wave_f,
        (100, 100),
        published=_logs(6.9e-5, 8209, 4.7e-6, 2109),
    ),
    PDE(
        "sum-2d",
        "Laplace(u) = f, u = s(x) + s(y), s = sin 6x cos 20x, on [0, 2 pi]^2",
        (_TURN, _TURN),
        _laplacian(2),
        lambda x, y: _summand(x)[0] + _summand(y)[0],
        lambda x, y: _summand(x)[1] + _summand(y)[1],
        (26, 26),
        published=_logs(1.0e-3, 6627, 1.1e-3, 6132),
    ),
    PDE(
        "ac-2d",
        "Allen-Cahn, u = h(x) h(y), h = sin x + 0.1 sin 20x + cos 100x, on [0, 1]^2",
        (_UNIT, _UNIT),
        _laplacian(2),
        lambda x, y: _factor(x)[0] * _factor(y)[0],
        _reacting,
        (100, 100),
        _REACTION,
        published=_logs(5.7e-3, 18244, 2.6e-3, 15926),
    ),
    PDE(
        "advection",
        "200 u_x + u_y = 0, u = sin(x - 200y) on [0, 1]^2, given at the inflow only",
        (_UNIT, _UNIT),
        {(1, 0): 200.0, (0, 1): 1.0},
        lambda x, y: sin(x - 200 * y),
        lambda x, y: 0.0 * x * y,
        (1, 200),
        sides=((0, 0), (1, 0)),
        published=_logs(1.4e-4, 2234, 1.3e-3, 9654),
    ),
    PDE(
        "unit-load",
        "-Laplace(u) = 1, u = 0 at the sides of [0, 1]^2: weak singularities at the corners",
        (_UNIT, _UNIT),
        _laplacian(2),
        unit_load,
        lambda x, y: -1.0 + 0.0 * x * y,
        (pi, pi),
    ),
    PDE(
        "elliptic-chen",
        "-Laplace(u) + u^3 = f, two scales, of Chen, Hosseini, Owhadi and Stuart (arXiv:2103.12959)",
        (_UNIT, _UNIT),
        {(2, 0): -1.0, (0, 2): -1.0},
        lambda x, y: _elliptic(x, y)[0],
        lambda x, y: _elliptic(x, y)[1] + _elliptic(x, y)[0] ** 3,
        (4 * pi, 4 * pi),
        (lambda u: u**3, lambda u: 3 * u**2),
    ),
    PDE(
        "sin60-3d",
        "Laplace(u) = f, u = sin 60x sin 60y sin 60z on [0, 2 pi]^3",
        (_TURN,) * 3,
        _laplacian(3),
        _cube,
        _cube_f,
        (60, 60, 60),
    ),
    PDE(
        "harmonic-sin40",
        "Laplace(u) = f, u = exp(-20y) sin 20x, which f does not show, + sin 40x sin 40y, on [0, 1]^2",
        (_UNIT, _UNIT),
        _laplacian(2),
        _ridge,
        lambda x, y: -3200 * sin(40 * x) * sin(40 * y),
        (40, 40),
    ),
):
    PDES.add(_each)
