"""An equation whose solution oscillates
=====================================

Delta u = f with u = sin 100x sin 100y, to ten digits; and with noise in f, with an error bar at every point.
"""

import matplotlib.pyplot as plt
import numpy as np

from solvers import pde

BOX = [(0, 2 * np.pi)] * 2


def u(x, y):
    return np.sin(100 * x) * np.sin(100 * y)


def f(x, y):
    return -2e4 * u(x, y)


clean = pde.solve_gp(pde.laplacian(2), f, BOX, u).check()
part = tuple(np.linspace(3.0, 3.3, 200) for _ in range(2))
truth = u(*np.ix_(*part))
print(f"{clean!r}: largest error {np.max(np.abs(clean.predict(part) - truth)):.1e}")

values = f(*np.ix_(*pde.nodes(BOX, 300, grid="uniform")))
values += 0.01 * np.sqrt(np.mean(values**2)) * np.random.default_rng(0).standard_normal(values.shape)
noisy = pde.solve_gp(pde.laplacian(2), values, BOX, u, noise="auto", grid="uniform")
mean, std = noisy.predict(part, return_std=True)
print(f"with 1 % noise in f: {np.mean(np.abs(mean - truth) <= 2 * std):.0%} of u within two standard deviations")

maps = {
    "u": clean.predict(part),
    "its error": np.abs(clean.predict(part) - truth),
    "its deviation": clean.predict(part, return_std=True)[1],
    "u, 1 % noise in f": mean,
    "its error ": np.abs(mean - truth),
    "its deviation ": std,
}
figure, panels = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
for ax, (title, image) in zip(panels.flat, maps.items(), strict=True):
    extent = (part[0][0], part[0][-1], part[1][0], part[1][-1])
    figure.colorbar(ax.imshow(image.T, origin="lower", extent=extent), ax=ax)
    ax.set(title=title, xlabel="x", ylabel="y")
figure.savefig("high_frequency_pde.png", dpi=120)
