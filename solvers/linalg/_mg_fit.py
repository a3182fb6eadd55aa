"""Parameters of the cycle by CMA-ES (Hansen 2016, https://arxiv.org/abs/1604.00772) on a family of systems.

The objective is the mean log10 residual after a few steps of preconditioned conjugate gradients from white noise, so
that it measures what the parameters are for. It has no gradient worth the name, and a dozen variables.
"""

import numpy as np

from ._cycle import certificate, textbook

__all__ = ["fit_parameters"]

_SLOTS = 3
# The certificate that a fitted smoother must have: rounding must not take it over 1.
_SAFE = 0.999
# What a candidate without one is charged, above everything that a residual can give.
_REFUSED = 100.0


def fit_parameters(hierarchies, K, budget, steps, rng):
    """The best parameters found, shape (3, K + 2), their objective, the start's, and the evaluations made."""
    cma = _cma()
    sides = [h.right_hand_side(rng) for h in hierarchies]
    start = np.repeat(textbook(K), _SLOTS, axis=0)
    # One unit of search is this much of each kind of parameter.
    unit = np.tile([0.25] * K + [0.5, 0.15], (_SLOTS, 1))

    def objective(x):
        parameters = start + unit * np.reshape(x, start.shape)
        worst = max(certificate(row[:K]) for row in parameters)
        lowest = parameters[:, K].min()
        if not (worst < _SAFE and lowest > 0):
            return _REFUSED + min(worst, 1e6) + max(0.0, -lowest)
        return float(np.mean([h.probe(parameters, b, steps) for h, b in zip(hierarchies, sides)]))

    first = objective(np.zeros(start.size))
    best, value, used = np.zeros(start.size), first, 1
    options = {
        # Its own generator would be seeded through NumPy's global one.
        "seed": np.nan,
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
    }
    search = cma.CMAEvolutionStrategy(np.zeros(start.size).tolist(), 0.5, options)
    while used < budget and not search.stop():
        asked = search.ask()
        values = [objective(x) for x in asked[: budget - used]]
        used += len(values)
        for x, v in zip(asked, values):
            if v < value:
                best, value = np.array(x), v
        if len(values) == len(asked):
            search.tell(asked, values)
    return start + unit * best.reshape(start.shape), value, first, used


def _cma():
    try:
        import cma
    except ImportError as error:
        raise ImportError("fit() needs the cma package: pip install 'adaptive-solvers[learned]'.") from error
    return cma
