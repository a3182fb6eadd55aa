"""In the place of SciPy: one import
=================================

Change one import: the same code, with iterations, a true residual and named failures in the answer.

Draws the convergence of four methods on one system, and of conjugate gradients where it must fail.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

import solvers.linalg as sla  # instead of: import scipy.sparse.linalg as sla

m = 60
line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
A = sp.kronsum(line, line).tocsr()
b = np.ones(m * m)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for method in (sla.cg, sla.minres, sla.bicgstab, sla.gmres):
    result = method(A, b, rtol=1e-8)
    print(f"{result.method:9s}{result}")
    result.plot(left)
left.set_title("the same system, four methods")
left.legend()

shifted = A - 0.1 * sp.eye_array(m * m)  # not definite any more
failure = sla.cg(shifted, b, rtol=1e-8)
print(failure.message)
rescue = sla.minres(shifted, b, rtol=1e-8)
print(f"{rescue.method:9s}{rescue}")
failure.plot(right)
rescue.plot(right)
right.set_title("an indefinite matrix: cg says so, minres solves it")
right.legend()

figure.savefig("drop_in.png", dpi=120)
