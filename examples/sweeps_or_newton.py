"""Sweeps, over-relaxed sweeps, Newton steps
=========================================

Sweeps, over-relaxed sweeps and Newton steps on one assignment problem: the marginal error of each over its steps.
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import transport

C = np.random.default_rng(0).random((300, 300))
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for method in ("log", "sor", "newton"):
    # The first call compiles, where the kernels are not in the cache yet: the second one is timed.
    _, result = (transport.sinkhorn(C, eps=1 / 600, method=method, tol=1e-8) for _ in range(2))
    print(f"{method}: {result}, {1e3 * result.seconds:.0f} ms")
    ax.loglog(np.arange(1, result.residuals.size + 1), result.residuals, label=method)
ax.axhline(1e-8, color="0.6", linestyle="--", linewidth=1)
ax.set(xlabel="step (a sweep or a Newton step)", ylabel="marginal error (L1)", title="300 x 300, eps = 1/600")
ax.legend()
figure.savefig("sweeps_or_newton.png", dpi=120)
