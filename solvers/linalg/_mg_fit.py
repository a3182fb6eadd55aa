"""Parameters of the cycle by CMA-ES (Hansen 2016, https://arxiv.org/abs/1604.00772) on a family of systems.

The objective is the mean log10 residual after a few steps of preconditioned conjugate gradients from white noise, so
that it measures what the parameters are for. It has no gradient worth the name, and some fifteen variables.
"""

from functools import partial

import numpy as np

from ._cycle import certificate, textbook

__all__ = ["fit_parameters"]

# The certificate that a fitted smoother must have: rounding must not take it over 1.
_SAFE = 0.999
# What a candidate without one is charged, above everything that a residual can give.
_REFUSED = 100.0


def fit_parameters(hierarchies, K, budget, steps, rng, report):
    """The best parameters found, their objective, the start's, and the evaluations made.

    K has the number of roots of each slot; the rows are as long as the most of them need. It ends early where
    ``report(evaluations, objective, function that makes the parameters)``, of the best so far, is true.
    """
    cma = _cma()
    sides = [h.right_hand_side(rng) for h in hierarchies]
    start = textbook(K)
    # One unit of search is this much of each kind of parameter.
    unit = np.tile([0.25] * max(K) + [0.5, 0.15], (len(K), 1))
    searched = start != 0
    searched[:, -2:] = True

    def moved(x):
        parameters = start.copy()
        parameters[searched] += unit[searched] * x
        return parameters

    def objective(x):
        parameters = moved(x)
        worst = max(certificate(row[:-2]) for row in parameters)
        lowest = parameters[:, -2].min()
        if not (worst < _SAFE and lowest > 0):
            return _REFUSED + min(worst, 1e6) + max(0.0, -lowest)
        return float(np.mean([h.probe(parameters, b, steps) for h, b in zip(hierarchies, sides)]))

    best = np.zeros(np.count_nonzero(searched))
    value = first = objective(best)
    used, stopped = 1, report(1, value, partial(moved, best))
    options = {
        # Its own generator would be seeded through NumPy's global one.
        "seed": np.nan,
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
    }
    search = cma.CMAEvolutionStrategy(best.tolist(), 0.5, options)
    while used < budget and not stopped and not search.stop():
        asked, values = search.ask(), []
        for x in asked[: budget - used]:
            values.append(objective(x))
            used += 1
            if values[-1] < value:
                best, value = np.array(x), values[-1]
            stopped = report(used, value, partial(moved, best))
            if stopped:
                break
        if len(values) == len(asked):
            search.tell(asked, values)
    return moved(best), value, first, used


def _cma():
    try:
        import cma
    except ImportError as error:
        raise ImportError("fit() needs the cma package: pip install 'adaptive-solvers[learned]'.") from error
    return cma
