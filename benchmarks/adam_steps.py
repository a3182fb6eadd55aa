"""What a step of the published PDE solver costs: ours, of ``solve_gp(method="adam")``, beside its authors' JAX code.

    OPENBLAS_NUM_THREADS=1 python -m solvers.benchmarks.adam_steps

The published column is quoted and not run: it was measured once, with JAX 0.10.2 on a busy 2-core AMD machine without a
GPU, so that the ratio is one of like with like on such a machine alone. Times are medians of single steps, which
cost the same whatever the source is.
"""

import statistics
import sys
import time

import numpy as np

from ._threads import pinned

__all__ = ["main", "milliseconds"]

# Problem, nodes, and the authors' milliseconds a step on that machine.
_PUBLISHED = (("sin 100x", (400,), 4420.0), ("sin 6x cos 20x + sin 6y cos 20y", (100, 100), 1975.0))
_STEPS = 40


def milliseconds(sizes):
    """The median time of a step on a grid of these sizes on (0, 2 pi)^d, 30 Matern components to each axis."""
    from solvers.pde._adam import Adam, Objective, published_kernel
    from solvers.pde._gram import Line, Mixture

    lines = [Line(0.0, 2 * np.pi, n, "matern", 0.0, 1.0) for n in sizes]
    F = -1e4 * np.sin(100 * sum(np.ix_(*(line.x for line in lines))))
    sides = [(axis, end, np.zeros(sizes[:axis] + sizes[axis + 1 :])) for axis in range(len(sizes)) for end in (0, -1)]
    objective = Objective(lines, 0.0, F, None, sides, 200.0)
    theta = objective.start([Mixture.of(published_kernel())] * len(sizes))
    adam, times = Adam(theta.size), []
    for _ in range(_STEPS):
        start = time.perf_counter()
        theta = adam.step(theta, objective(theta)[1])
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main(argv=()):
    """Print the table."""
    with pinned(1, argv) as threads:
        print(f"threads: {threads}")
        print(f"{'problem':34}{'nodes':>12}{'ms a step':>12}{'published':>12}{'ratio':>8}")
        for name, sizes, published in _PUBLISHED:
            ours = milliseconds(sizes)
            nodes = " x ".join(map(str, sizes))
            print(f"{name:34}{nodes:>12}{ours:>12.2f}{published:>12.0f}{published / ours:>8.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
