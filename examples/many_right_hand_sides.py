"""Many right-hand sides
=====================

Many right-hand sides in one call: the potentials of 24 electrodes in a disc of uneven conductivity.

Each column stops on its own; draws three of the potentials and the iterations of every column.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from solvers import linalg

m, electrodes = 80, 24
y, x = np.mgrid[-1 : 1 : m * 1j, -1 : 1 : m * 1j]
inside = x**2 + y**2 < 0.95
conductivity = np.where((x - 0.3) ** 2 + (y + 0.2) ** 2 < 0.08, 20.0, 1.0)

number = np.full((m, m), -1)
number[inside] = np.arange(inside.sum())
n = int(inside.sum())
rows, columns, values = [], [], []
for shift in ((0, 1), (1, 0)):
    here = number[: m - shift[0], : m - shift[1]]
    there = number[shift[0] :, shift[1] :]
    pairs = (here >= 0) & (there >= 0)
    c = np.sqrt(conductivity[: m - shift[0], : m - shift[1]] * conductivity[shift[0] :, shift[1] :])[pairs]
    i, j = here[pairs], there[pairs]
    rows += [i, j, i, j]
    columns += [j, i, i, j]
    values += [-c, -c, c, c]
A = sp.csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
A = A + 1e-3 * sp.eye_array(n)  # a little leakage makes it definite

B = np.zeros((n, electrodes))
for k, angle in enumerate(2 * np.pi * np.arange(electrodes) / electrodes):
    distance = (x - 0.93 * np.cos(angle)) ** 2 + (y - 0.93 * np.sin(angle)) ** 2
    B[number.flat[np.argmin(np.where(inside, distance, 9).ravel())], k] = 1.0

result = linalg.cg(A, B, rtol=1e-8, M=sp.diags_array(1 / A.diagonal())).check()
print(result)

figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
for ax, k in zip(axes, (0, 8, 16)):
    picture = np.full((m, m), np.nan)
    picture[inside] = result.x[:, k]
    shown = ax.imshow(picture, origin="lower", vmin=0, vmax=np.quantile(result.x, 0.995))
    ax.set_title(f"electrode {k}")
    ax.axis("off")
figure.colorbar(shown, ax=axes[2], label="potential", extend="max")
axes[3].bar(range(electrodes), result.iterations)
axes[3].set(xlabel="electrode", ylabel="iterations")
figure.savefig("many_right_hand_sides.png", dpi=120)
