"""The levels of noise that a diffusion sampler goes down, and what noise it puts back.

The variance-preserving process x_t = sqrt(a) x0 + sqrt(1 - a) n is the variance-exploding one x0 + sigma n, divided by
sqrt(1 + sigma^2), with sigma^2 = (1 - a) / a: the DDIM update of either is that of the other. So all is done on
x0 + sigma n, and a schedule is no more than a list of sigma.
"""

import math

import numpy as np

from .. import _checks
from .._errors import InvalidInput

__all__ = ["injected", "levels"]

_BETAS = (1e-4, 0.02, 1000)
_VE_RANGE = (50.0, 0.01)
_KARRAS = 7.0


def levels(schedule, n_steps, spacing, scale):
    """Decreasing standard deviations, shape (n_steps,), for images whose entries are about as large as ``scale``."""
    scale = _checks.positive("scale", scale)
    if not isinstance(schedule, str):
        return _own(schedule)
    _checks.choice("schedule", schedule, ("vp", "ve"))
    n_steps = _checks.count("n_steps", n_steps, 2)
    if spacing is None:
        spacing = "time" if schedule == "vp" else "log"
    _checks.choice("spacing", spacing, ("time", "log", "karras"))
    if schedule == "ve":
        if spacing == "time":
            raise InvalidInput("`spacing` must be 'log' or 'karras' for schedule='ve', which has no time, got 'time'.")
        return scale * _between(*_VE_RANGE, n_steps, spacing)
    products = np.cumprod(1 - np.linspace(*_BETAS))
    sigmas = np.sqrt((1 - products) / products)
    if spacing != "time":
        return scale * _between(sigmas[-1], sigmas[0], n_steps, spacing)
    if n_steps > len(sigmas):
        raise InvalidInput(f"`n_steps` must be <= {len(sigmas)} for spacing='time', got {n_steps}; use 'karras'.")
    return scale * sigmas[np.arange(n_steps)[::-1] * len(sigmas) // n_steps]


def injected(rule, eta, sigma, below):
    """The parts of the next level, ``below``, that come from the present noise and from new noise.

    DDS: sqrt(1 - eta^2) and eta of it, whatever the step. DDIM: new noise of eta times the posterior standard deviation
    of one step, which goes to zero with the step.
    """
    fresh = eta * below * (1.0 if rule == "dds" else math.sqrt(max(1 - (below / sigma) ** 2, 0.0)))
    return math.sqrt(max(below**2 - fresh**2, 0.0)), fresh


def _between(high, low, count, spacing):
    """Geometric, or the levels of Karras et al., NeurIPS 2022, equation 5."""
    if spacing == "log":
        return np.geomspace(high, low, count)
    return np.linspace(high ** (1 / _KARRAS), low ** (1 / _KARRAS), count) ** _KARRAS


def _own(schedule):
    sigmas = _checks.finite("schedule", _checks.array("schedule", schedule))
    if sigmas.ndim != 1 or sigmas.size < 1 or sigmas.dtype.kind == "c":
        raise InvalidInput(f"`schedule` must be 'vp', 've' or a list of sigma, got an array of shape {sigmas.shape}.")
    if not ((np.diff(sigmas) < 0).all() and sigmas[-1] > 0):
        raise InvalidInput(
            f"`schedule` must decrease and stay > 0, got {sigmas.tolist() if sigmas.size < 9 else 'more'}."
        )
    return sigmas.astype(float)
