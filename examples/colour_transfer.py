"""The colours of one picture for another
======================================

The colours of one picture for another: each pixel goes to the mean of where entropic transport sends its colour.

Both pictures are painted here; draws them, and the first in the colours of the second.
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import transport

side = 48
y, x = np.mgrid[0:1:48j, 0:1:48j]
sea = np.stack([0.1 + 0.2 * y, 0.3 + 0.3 * np.sin(9 * y + 3 * x) ** 2, 0.6 + 0.3 * x], axis=-1)
sunset = np.stack([0.9 - 0.3 * y, 0.5 * (1 - y) ** 2 + 0.1 * np.sin(7 * x) ** 2, 0.3 * y], axis=-1)
rng = np.random.default_rng(0)
pictures = [np.clip(p + 0.02 * rng.standard_normal(p.shape), 0, 1) for p in (sea, sunset)]
X, Y = (p.reshape(-1, 3) for p in pictures)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, picture, title in zip(axes, pictures, ("a picture", "the colours it gets")):
    ax.imshow(picture)
    ax.set_title(title)
for ax, eps in zip(axes[2:], (0.05, 0.001)):
    result = transport.sinkhorn(transport.PointCloud(X, Y), eps=eps, tol=1e-6).check()
    print(f"eps {eps}: {result}")
    moved = result.plan @ Y / result.plan.sum(axis=1, keepdims=True)
    ax.imshow(np.clip(moved.reshape(side, side, 3), 0, 1))
    ax.set_title(f"eps = {eps}")
for ax in axes:
    ax.set_axis_off()
figure.savefig("colour_transfer.png", dpi=120)
