"""Who estimates sliced distances: ours with every choice of directions and control, POT's, and POT's coming samplers.

POT's distance along given directions is ours to rounding, so that its accuracy is found with our kernels; its seconds
are those of its own function.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry

__all__ = ["BASELINE", "DEFAULT", "SLICERS", "Slicer", "gaussian", "orthogonal", "select", "spiral"]

SLICERS = Registry("sliced method")
#: What variances are compared with.
BASELINE = "mc"
#: Ours as it comes, which also stops at a tolerance.
DEFAULT = "auto"


@dataclass(frozen=True)
class Slicer:
    """A registered method: ``power(problem, L, seed)`` estimates SW_2^2 from at most L directions.

    ``timed`` is what its seconds are taken of, if that is not ``power``; ``d``: the only dimension it is for.
    """

    name: str
    summary: str
    power: Callable
    timed: Callable | None = None
    d: int | None = None
    package: str = ""


def select(text):
    """The methods of a list, or all that are there; those that were asked for must be."""
    return SLICERS.installed() if text is None else SLICERS.asked_for(text)


def _ours(**options):
    def power(problem, L, seed):
        from solvers import transport

        # What is known about the distance would hide what a control does not know.
        return transport.sliced_wasserstein(problem.X, problem.Y, n_projections=L, rng=seed, **options).unclipped_power

    return power


def _along(draw):
    """The plain mean along the directions that ``draw(d, L, rng)`` gives."""

    def power(problem, L, seed):
        from solvers.kernels import cpu

        directions = np.ascontiguousarray(draw(problem.d, L, np.random.default_rng(seed)))
        out = np.empty(len(directions))
        cpu.sliced_powers(problem.X, problem.Y, None, None, directions, 2.0, out)
        return float(out.mean())

    return power


def _by_pot(draw):
    """POT's own function on the same directions, for its seconds."""

    def timed(problem, L, seed):
        import ot

        projections = draw(problem.d, L, np.random.default_rng(seed)).T
        return ot.sliced_wasserstein_distance(problem.X, problem.Y, projections=projections) ** 2

    return timed


def gaussian(d, L, rng):
    """Independent directions, as POT draws them."""
    rows = rng.standard_normal((L, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def orthogonal(d, L, rng):
    """UnifOrtho as POT documents it: rows of sign-fixed QR factors of Gaussian matrices, as many as are needed."""
    return np.concatenate([_haar(d, rng) for _ in range(-(-L // d))])[:L]


def spiral(d, L, rng):
    """RQSW as POT documents it: one spiral of L points on the sphere under one random rotation."""
    z = 1 - (2 * np.arange(1, L + 1) - 1) / L
    azimuth = 1.8 * np.sqrt(L) * np.arccos(z)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1) @ _haar(3, rng).T


def _haar(d, rng):
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return (q * np.where(np.diagonal(r) < 0, -1.0, 1.0)).T


def _register():
    plain, iid = dict(control=None), dict(directions="iid")
    for name, summary, options, d in (
        (DEFAULT, "ours as it comes: directions by d and the number of projections, control gaussian", {}, None),
        (BASELINE, "ours: independent directions and no control", plain | iid, None),
        ("lower", "ours: the lower control of Nguyen & Ho, their coefficient", dict(control="lower") | iid, None),
        ("upper", "ours: the upper control of Nguyen & Ho, their coefficient", dict(control="upper") | iid, None),
        ("both", "ours: both of them, least squares", dict(control="both") | iid, None),
        ("harmonics", "ours: even harmonics, least squares (Leluc et al.)", dict(control="harmonics"), None),
        ("gaussian", "ours: the exact distance of Gaussians as control", dict(control="gaussian") | iid, None),
        ("orthogonal", "ours: orthogonal directions, no control", plain | dict(directions="orthogonal"), None),
        (
            "orthogonal+gaussian",
            "ours: orthogonal directions, control gaussian",
            dict(directions="orthogonal", control="gaussian"),
            None,
        ),
        ("spiral", "ours: rotated spirals on the sphere (RQSW), no control", plain | dict(directions="spiral"), 3),
        (
            "spiral+gaussian",
            "ours: rotated spirals, control gaussian",
            dict(directions="spiral", control="gaussian"),
            3,
        ),
        ("sobol", "ours: shifted Sobol directions, no control", plain | dict(directions="sobol"), None),
    ):
        SLICERS.add(Slicer(name, summary, _ours(**options), d=d))
    for name, summary, draw, d in (
        ("pot", "POT's sliced_wasserstein_distance", gaussian, None),
        ("pot-main:orthogonal", "POT's function on UnifOrtho directions of its development version", orthogonal, None),
        ("pot-main:spiral", "POT's function on RQSW directions of its development version", spiral, 3),
    ):
        SLICERS.add(Slicer(name, summary, _along(draw), _by_pot(draw), d=d, package="ot"))


_register()
