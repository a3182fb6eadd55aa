"""Points that flow: the Sinkhorn divergence
=========================================

Points that flow along the gradient of the Sinkhorn divergence: a ring becomes two moons.
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import transport

N, STEPS, EPS, SHOWN = 300, 20, 2e-3, (0, 2, 5, 20)

rng = np.random.default_rng(0)
turn = 2 * np.pi * rng.random(N)
X = np.stack((np.cos(turn), np.sin(turn)), axis=1) * (0.35 + 0.02 * rng.standard_normal(N))[:, None] + 0.5
bend = np.pi * rng.random(N)
upper = np.arange(N) % 2 == 0
Y = np.where(upper, np.cos(bend), 1 - np.cos(bend)), np.where(upper, np.sin(bend), 0.5 - np.sin(bend))
Y = np.stack(Y, axis=1) / 3 + [0.33, 0.42] + 0.015 * rng.standard_normal((N, 2))

figure, axes = plt.subplots(1, len(SHOWN), figsize=(12, 3.2), layout="constrained", sharex=True, sharey=True)
panels = iter(axes)
for step in range(STEPS + 1):
    divergence = transport.sinkhorn_divergence(X, Y, eps=EPS, tol=1e-4).check()
    if step in SHOWN:
        print(f"step {step}: divergence {divergence.value:.2e}")
        ax = next(panels)
        ax.plot(*Y.T, ".", color="0.8", markersize=4)
        ax.plot(*X.T, ".", color="tab:red", markersize=4)
        ax.set(title=f"step {step}: divergence {divergence.value:.1e}", xlabel="x", aspect="equal")
    # A point of weight 1 / N is pulled by about 2 (x - y) / N: half of N times that would go all the way.
    X = X - 0.15 * N * divergence.grad_points[0]
axes[0].set_ylabel("y")
figure.savefig("gradient_flow.png", dpi=120)
