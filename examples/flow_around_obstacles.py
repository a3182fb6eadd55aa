"""The pressure of a wind around obstacles, and how fast each preconditioner finds it
==================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from solvers import linalg

ny, nx = grid = 128, 256
Y, X = (np.mgrid[:ny, :nx] + 0.5) / ny
balls = (0.3, 0.5, 0.14), (0.72, 0.8, 0.11), (0.42, 1.25, 0.17), (0.8, 1.55, 0.09)
fluid = np.all([(Y - y) ** 2 + (X - x) ** 2 >= radius**2 for y, x, radius in balls], axis=0)

# Inflow on the left; walls below, above and around the balls; on the right the pressure is zero, half a cell away.
open_y, open_x = (fluid[1:] & fluid[:-1]) * 1.0, (fluid[:, 1:] & fluid[:, :-1]) * 1.0
wind = np.pad(open_x, ((0, 0), (1, 1)), constant_values=1.0)
outlet = 2.0 * (np.arange(nx) == nx - 1) * fluid

differences = lambda n: sp.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
Gy, Gx = sp.kron(differences(ny), sp.eye_array(nx)), sp.kron(sp.eye_array(ny), differences(nx))
A = sum(G.T @ sp.diags_array(faces.ravel()) @ G for G, faces in ((Gy, open_y), (Gx, open_x)))
A = sp.csr_array(A + sp.diags_array((outlet + ~fluid).ravel()))
A.eliminate_zeros()
b = -(np.diff(wind, axis=1) * fluid).ravel()

preconditioners = {
    "none": None,
    "Jacobi": sp.diags_array(1 / A.diagonal()),
    "Chebyshev, degree 4": linalg.chebyshev(A),
    "SSOR": linalg.ssor(A),
    "incomplete Cholesky": linalg.ic(A),
    "16 learned directions": linalg.CoarseSpace(k=16, rng=0).fit(A),
    "transforms on the box": linalg.box_poisson(grid, sides=["neumann", ("neumann", "dirichlet")], mask=fluid),
    "algebraic multigrid": linalg.amg(A),
    "learned multigrid": linalg.MultigridPreconditioner.pretrained("mg2d-poisson").setup(A, grid=grid),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), layout="constrained", width_ratios=[1, 1.8])
for name, M in preconditioners.items():
    result = linalg.cg(A, b, M=M, rtol=1e-6).check()
    left.loglog(1 + np.arange(result.iterations + 1), result.residuals, lw=4 if M is None else 1.5, label=name)
    print(f"{name:22s}{result.iterations:5d} iterations")
left.set(title="conjugate gradients", xlabel="1 + iteration", ylabel="residual")
left.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))

p = result.x.reshape(grid)
u = wind - np.pad(open_x * np.diff(p, axis=1), ((0, 0), (1, 1)))
u[:, -1] += 2 * p[:, -1]
v = np.pad(-open_y * np.diff(p, axis=0), ((1, 1), (0, 0)))
divergence = np.diff(u, axis=1) + np.diff(v, axis=0)
print(f"fastest {u.max():.2f} times the wind; divergence at most {np.abs(divergence[fluid]).max():.1e}")
right.set(xlabel="x", ylabel="y")
image = right.imshow(np.where(fluid, p, np.nan), origin="lower", extent=(0, nx / ny, 0, 1))
right.streamplot(X, Y, (u[:, 1:] + u[:, :-1]) / 2, (v[1:] + v[:-1]) / 2, color="w", linewidth=0.6, arrowsize=0.5)
figure.colorbar(image, ax=right, label="pressure")
figure.savefig("flow_around_obstacles.png", dpi=120)
