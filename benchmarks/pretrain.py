"""Fits the multigrid parameters that the package ships: python -m solvers.benchmarks.pretrain NAME FILE.

One process with one thread and the same versions of NumPy and cma gives the same numbers again.
"""

import sys

from .families import family

__all__ = ["TRAINING", "main"]

# (family, cells an axis, dimension, seed); tests and benchmarks draw from other seeds.
TRAINING = {
    "mg2d-poisson": [(name, *each) for name in ("obstacles", "free-surface") for each in ((128, 2, 1), (256, 2, 2))],
    "mg3d-poisson": [(name, *each) for name in ("obstacles", "free-surface") for each in ((32, 3, 1), (64, 3, 2))],
    "mg2d-variable": [(name, *each) for name in ("lognormal", "jump") for each in ((128, 2, 1), (256, 2, 2))],
    "mg3d-variable": [(name, *each) for name in ("lognormal", "jump") for each in ((32, 3, 1), (48, 3, 2))],
}
_BUDGET, _SEED = 800, 0


def main(name, path, budget=_BUDGET):
    """Fit one of them and write it to a file."""
    from solvers import linalg

    members = [family(*each) for each in TRAINING[name]]
    grids = [member.grid for member in members]
    start = linalg.MultigridPreconditioner(rng=_SEED)
    fitted = start.fit([member.A for member in members], grid=grids, budget=budget, family=name)
    fitted.header["training"] = [list(each) for each in TRAINING[name]]
    fitted.save(path)
    print(name, fitted.header["objective"], fitted.parameters.round(3).tolist())


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
