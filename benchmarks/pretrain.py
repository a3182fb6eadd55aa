"""Fits the multigrid parameters that the package ships: python -m solvers.benchmarks.pretrain NAME FILE.

One process with one thread and the same versions of NumPy and cma gives the same numbers again.
"""

import sys

from .families import family

__all__ = ["TRAINING", "main"]

# Families, (cells an axis, seed) of the members, dimension, budget, steps; tests and benchmarks draw from other seeds.
TRAINING = {
    "mg2d-poisson": (("obstacles", "free-surface"), ((128, 1), (256, 2)), 2, 1000, 10),
    "mg3d-poisson": (("obstacles", "free-surface"), ((32, 1), (64, 2)), 3, 500, 8),
    "mg2d-variable": (("lognormal", "jump"), ((128, 1), (192, 2), (256, 3)), 2, 1000, 12),
    "mg3d-variable": (("lognormal", "jump"), ((32, 1), (64, 2)), 3, 500, 12),
}
_SEED = 0
# Smoothing steps of the finest level, the next, and all below. With two everywhere, iterations grow with the number of
# levels; those on the coarse ones cost a twentieth of the cycle on 512 x 512 and 64 x 64 x 64 cells.
_K = (2, 3, 6)


def main(name, path):
    """Fit one of them and write it to a file."""
    from solvers import linalg

    names, members, dim, budget, steps = TRAINING[name]
    drawn = [(each, size, dim, seed) for each in names for size, seed in members]
    systems = [family(*each) for each in drawn]
    start = linalg.MultigridPreconditioner(K=_K, rng=_SEED)
    grids = [system.grid for system in systems]
    fitted = start.fit([system.A for system in systems], grid=grids, budget=budget, n_steps=steps, family=name)
    fitted.header["training"] = [list(each) for each in drawn]
    fitted.save(path)
    print(name, fitted.header["objective"], fitted.parameters.round(3).tolist())


if __name__ == "__main__":
    main(*sys.argv[1:3])
