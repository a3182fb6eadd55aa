"""Coefficients and a source from noisy values of the solution
===========================================================

The coefficients of an equation, and its source, from values of the solution with 5 % noise.

a u_xx + b u_yy + c u = f: given u with noise and f, what are a, b and c? And given u with noise alone, what is Delta u?
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import pde

TRUTH, BOX = np.array([1.0, 2.0, -60.0]), [(0, 1), (0, 1)]
WAVES = [(1.0, 1, 1), (0.8, 3, 1), (0.8, 1, 3), (0.6, 4, 4)]


def waves(x, y, symbol):
    return sum(a * symbol(k, m) * np.sin(k * np.pi * x) * np.sin(m * np.pi * y) for a, k, m in WAVES)


def u(x, y):
    return waves(x, y, lambda k, m: 1.0)


def f(x, y):
    return waves(x, y, lambda k, m: TRUTH @ [-((k * np.pi) ** 2), -((m * np.pi) ** 2), 1.0])


axes = pde.nodes(BOX, 100, grid="uniform")
exact = u(*np.ix_(*axes))
seen = exact + 0.05 * np.sqrt(np.mean(exact**2)) * np.random.default_rng(0).standard_normal(exact.shape)

found = pde.infer_coefficients([{(2, 0): 1.0}, {(0, 2): 1.0}, {(0, 0): 1.0}], seen, f, BOX, 0).check()
for name, theta, std, true in zip("abc", found.theta, found.std, TRUTH, strict=True):
    print(f"{name} = {theta:.4g} +- {std:.2g} (true: {true:g})")

source = pde.infer_source(pde.laplacian(2), seen, BOX, 0)
laplacian = waves(*np.ix_(*axes), lambda k, m: -(k * k + m * m) * np.pi**2)
error = np.linalg.norm(source.f - laplacian) / np.linalg.norm(laplacian)
inside = np.mean(np.abs(source.f - laplacian) <= 2 * source.std)
print(f"Delta u to {100 * error:.0f} %; {100 * inside:.0f} % of it within two standard deviations")

figure, panels = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
images = {"u as seen": seen, "u with a, b, c": found.u, "Delta u": source.f, "its deviation": source.std}
for ax, (title, image) in zip(panels, images.items(), strict=True):
    figure.colorbar(ax.imshow(image.T, origin="lower", extent=(0, 1, 0, 1)), ax=ax)
    ax.set(title=title, xlabel="x", ylabel="y")
figure.savefig("coefficient_from_noise.png", dpi=120)
