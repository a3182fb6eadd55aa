"""Clouds with outliers: balanced, unbalanced, partial
===================================================

Two clouds of points, each with outliers that the other does not have: balanced, unbalanced and partial transport.

Balanced transport sends every outlier somewhere; a price on the marginals, or a given mass, leaves them where they are.
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import transport

rng = np.random.default_rng(0)
angle = rng.random(40) * 2 * np.pi
ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.03 * rng.standard_normal((40, 2))
X = np.concatenate([ring, rng.normal((-2.2, 1.2), 0.15, (10, 2))])
Y = np.concatenate([1.1 * ring + (0.3, 0.1), rng.normal((2.6, -1.3), 0.15, (10, 2))])
cloud, eps = transport.PointCloud(X, Y), 0.01
results = {
    "balanced": transport.sinkhorn(cloud, eps=eps),
    "unbalanced, marginal_penalty = 1": transport.sinkhorn(cloud, eps=eps, marginal_penalty=1.0),
    "partial, mass = 0.75": transport.partial(cloud, mass=0.75, eps=eps),
}

figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained", sharex=True, sharey=True)
for ax, (title, result) in zip(axes, results.items()):
    plan = result.check().sparse_plan(1e-4).tocoo()
    outliers = result.plan[40:].sum() + result.plan[:40, 40:].sum()
    print(f"{title}: {result.mass:.2f} is transported, {outliers:.3f} of it from or to outliers")
    for i, j, p in zip(plan.row, plan.col, plan.data * len(X)):
        ax.plot(*np.stack([X[i], Y[j]], axis=1), color="0.4", linewidth=1.2, alpha=min(1.0, p), zorder=0)
    ax.scatter(*X.T, s=14, label="X")
    ax.scatter(*Y.T, s=14, label="Y")
    ax.set(title=title, xlabel="x", aspect="equal")
axes[0].set_ylabel("y")
axes[0].legend()
figure.savefig("partial_matching.png", dpi=120)
