"""Fits the multigrid parameters that the package ships: python -m solvers.benchmarks.pretrain NAME FILE.

One process with one thread and the same versions of NumPy and cma gives the same numbers again.
"""

import sys

from .families import family

__all__ = ["TRAINING", "main"]

# Families, (cells an axis, seed) of the members, dimension, budget, steps; tests and benchmarks draw from other seeds.
TRAINING = {
    "mg2d-poisson": (("obstacles", "free-surface"), ((128, 1), (256, 2)), 2, 800, 8),
    "mg3d-poisson": (("obstacles", "free-surface"), ((32, 1), (64, 2)), 3, 500, 8),
    "mg2d-variable": (("lognormal", "jump"), ((128, 1), (192, 2), (256, 3)), 2, 1500, 12),
    "mg3d-variable": (("lognormal", "jump"), ((32, 1), (48, 2)), 3, 500, 8),
}
_SEED = 0


def main(name, path):
    """Fit one of them and write it to a file."""
    from solvers import linalg

    names, members, dim, budget, steps = TRAINING[name]
    drawn = [(each, size, dim, seed) for each in names for size, seed in members]
    systems = [family(*each) for each in drawn]
    start = linalg.MultigridPreconditioner(rng=_SEED)
    grids = [system.grid for system in systems]
    fitted = start.fit([system.A for system in systems], grid=grids, budget=budget, steps=steps, family=name)
    fitted.header["training"] = [list(each) for each in drawn]
    fitted.save(path)
    print(name, fitted.header["objective"], fitted.parameters.round(3).tolist())


if __name__ == "__main__":
    main(*sys.argv[1:3])
