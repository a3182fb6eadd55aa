"""The same matrix again and again
===============================

A simulation solves the same matrix again and again: prepare it once, start from the last step.

Implicit Euler for the heat equation on a square with a moving source; draws the temperature and the
iterations of every step, with and without the warm start.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from solvers import linalg

m, steps, dt = 100, 60, 2e-3
h = 1 / (m + 1)
line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m)) / h**2
A = linalg.prepare((sp.eye_array(m * m) + dt * sp.kronsum(line, line)).tocsr())
grid = np.linspace(h, 1 - h, m)
X, Y = np.meshgrid(grid, grid, indexing="ij")


def source(t):
    x, y = 0.5 + 0.3 * np.cos(20 * t), 0.5 + 0.3 * np.sin(20 * t)
    return 50 * np.exp(-200 * ((X - x) ** 2 + (Y - y) ** 2)).ravel()


counts = {"from zero": [], "from the last step": []}
u = np.zeros(m * m)
for k in range(steps):
    b = u + dt * source(k * dt)
    counts["from zero"].append(linalg.cg(A, b, rtol=1e-6).iterations)
    result = linalg.cg(A, b, u, rtol=1e-6).check()
    counts["from the last step"].append(result.iterations)
    u = result.x

for start, iterations in counts.items():
    print(f"{start:20s}{sum(iterations)} iterations in {steps} steps")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
image = left.imshow(u.reshape(m, m).T, origin="lower", extent=(0, 1, 0, 1), cmap="inferno")
figure.colorbar(image, ax=left, label="temperature")
left.set(title=f"after {steps} steps", xlabel="x", ylabel="y")
for start, iterations in counts.items():
    right.plot(iterations, label=start)
right.set(xlabel="step", ylabel="iterations", title="cost of a step", ylim=(0, None))
right.legend()
figure.savefig("heat_steps.png", dpi=120)
