"""Omega learned from iteration counts
===================================

A simulation whose matrix changes in every step: the solver's omega is learned from nothing but iteration counts.

Crank-Nicolson for the heat equation with a diffusion that comes and goes; draws the omegas that were chosen, and the
regret: the iterations beyond those of the best single omega, which one only knows afterwards.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from solvers import linalg

m, steps, dt = 40, 600, 4e-3
h = 1 / (m + 1)
line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m)) / h**2
L, identity = sp.kronsum(line, line).tocsr(), sp.eye_array(m * m, format="csr")
grid = np.linspace(h, 1 - h, m)
X, Y = np.meshgrid(grid, grid, indexing="ij")
omegas = np.linspace(1.0, 1.95, 20)


def source(t):
    x, y = 0.5 + 0.25 * np.cos(50 * t), 0.5 + 0.25 * np.sin(50 * t)
    return 32 * np.exp(-150 * ((X - x) ** 2 + (Y - y) ** 2)).ravel()


tuned = {
    "with the diffusion as context": (linalg.TunedSSORCG(rng=0), True),
    "without a context": (linalg.TunedSSORCG(rng=0), False),
}
u, diffusions, costs = np.zeros(m * m), [], []
for k in range(steps):
    t = (k + 0.5) * dt
    diffusion = 0.05 + 5 * np.sin(2 * np.pi * t) ** 4
    C = 0.5 * diffusion * dt * L
    A, b = identity + C, u - C @ u + dt * source(t)
    for solver, told in tuned.values():
        result = solver(A, b, x0=u, rtol=1e-8, context=diffusion if told else None).check()
    costs.append([linalg.ssor_cg(A, b, u, omega=omega, rtol=1e-8).iterations for omega in omegas])  # for the regret
    diffusions.append(diffusion)
    u = result.x

costs = np.array(costs)
best = costs.sum(axis=0).argmin()
print(f"best single omega {omegas[best]:.2f}: {costs[:, best].sum()} iterations; each step's own: {costs.min(1).sum()}")
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.plot(omegas[costs.argmin(axis=1)], color="0.7", label="best of each step")
for name, (solver, _) in tuned.items():
    print(f"learned {name}: {solver.iterations.sum()} iterations")
    left.plot(solver.omegas, ".", ms=3, label=name)
    right.plot(solver.regret(costs), label=name)
left.set(xlabel="step", ylabel="omega", title="what was chosen")
right.plot(np.cumsum(costs.min(axis=1) - costs[:, best]), color="0.7", label="best of each step")
right.set(xlabel="step", ylabel="iterations beyond the best single omega", title="regret")
left.legend(loc="upper right", fontsize=8)
right.legend(fontsize=8)
figure.savefig("heat_with_learned_omega.png", dpi=120)
