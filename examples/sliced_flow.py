"""Points that flow: the sliced distance
=====================================

Points that flow down the gradient of the sliced Wasserstein distance: a torus becomes a chair.
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import transport

N, STEPS, SHOWN = 1500, 40, (0, 3, 10, 40)
rng = np.random.default_rng(0)

turn, tube = 2 * np.pi * rng.random((2, N))
radius = 1 + 0.35 * np.cos(tube)
X = np.stack((radius * np.cos(turn), radius * np.sin(turn), 0.35 * np.sin(tube)), axis=1)

# A seat, a back and four legs: corner and extent of boxes.
boxes = [((-0.6, -0.6, 0.0), (1.2, 1.2, 0.12)), ((-0.6, 0.48, 0.12), (1.2, 0.12, 1.1))]
boxes += [((x, y, -0.9), (0.12, 0.12, 0.9)) for x in (-0.6, 0.48) for y in (-0.6, 0.48)]
corner, extent = (np.array(side) for side in zip(*boxes))
volume = extent.prod(axis=1)
which = rng.choice(len(boxes), N, p=volume / volume.sum())
Y = corner[which] + extent[which] * rng.random((N, 3))

figure = plt.figure(figsize=(12, 3.4), layout="constrained")
for step in range(STEPS + 1):
    # Other directions at each step, so that none is left out for long.
    res = transport.sliced_wasserstein(X, Y, n_projections=64, grad=True, rng=step)
    if step in SHOWN:
        low, high = res.confidence_interval()
        print(f"step {step}: distance {res.distance:.4f}, 95 % interval {low:.4f} to {high:.4f}")
        ax = figure.add_subplot(1, len(SHOWN), SHOWN.index(step) + 1, projection="3d")
        ax.scatter(*X.T, s=2, c=X[:, 2], cmap="viridis")
        ax.set(title=f"step {step}: distance {res.distance:.3f}", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), zlim=(-1.1, 1.3))
        ax.view_init(18, -60)
        ax.set_axis_off()
        ax.set_box_aspect((1, 1, 1), zoom=1.4)
    # Along each direction a point of weight 1 / N is pulled by 2 (x - y) / N, on average by a third of x - y.
    X = X - 1.2 * N * res.grad_X
figure.savefig("sliced_flow.png", dpi=120)
