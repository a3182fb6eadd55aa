"""A head from 30 views instead of 200
===================================

A head from 30 views instead of 200: four reconstructions of the same noisy data, and where each of them errs.
"""

import matplotlib.pyplot as plt
import numpy as np
from solvers.benchmarks.phantoms import shepp_logan

from solvers import inverse

n, views, fine = 128, 30, 4
A = inverse.ParallelBeam((n, n), angles=views)
n_detectors = A.data_shape[1]

# The data come from a grid four times as fine, so that no method knows it, through detectors as wide as a pixel.
head = shepp_logan(n * fine)
scanner = inverse.ParallelBeam(head.shape, views, n_detectors * fine, pixel_size=1 / fine, detector_spacing=1 / fine)
clean = (scanner @ head).reshape(views, n_detectors, fine).mean(axis=2)
noise_level = 0.01 * np.sqrt(np.mean(clean**2))
b = clean + noise_level * np.random.default_rng(0).standard_normal(clean.shape)
truth = head.reshape(n, fine, n, fine).mean(axis=(1, 3))

# Total variation: the weight is the noise level times the norm of what A makes of one pixel.
pixel = np.zeros((n, n))
pixel[n // 2, n // 2] = 1.0
weight = noise_level * np.linalg.norm(A @ pixel)
discrepancy = inverse.least_squares(A, b, stop="discrepancy", noise_level=noise_level)
gcv = inverse.least_squares(A, b, regularization="gcv")
variation = inverse.pnp(A, b, inverse.tv(weight))
images = {
    "filtered back-projection": inverse.fbp(A, b),
    f"CGLS, stopped after {discrepancy.iterations} steps\nby the discrepancy principle": discrepancy.x,
    f"hybrid, weight {gcv.regularization:.2g}\nby cross-validation": gcv.x,
    "total variation\nby ADMM": variation.x,
}

figure, axes = plt.subplots(2, 5, figsize=(13, 5.6), layout="constrained")
shades, errors = {"cmap": "gray", "vmin": 0, "vmax": 1}, {"cmap": "RdBu", "vmin": -0.5, "vmax": 0.5}
axes[0, 0].imshow(truth, **shades)
axes[0, 0].set_title("the head")
axes[1, 0].imshow(b, cmap="gray", aspect="auto")
axes[1, 0].set(title=f"{views} views, 1 % noise", xlabel="detector", ylabel="angle")
for (name, x), (above, below) in zip(images.items(), axes.T[1:], strict=True):
    error = np.linalg.norm(x - truth) / np.linalg.norm(truth)
    print(f"{name.replace(chr(10), ' '):55s} error {error:.3f}")
    above.imshow(x, **shades)
    above.set_title(name, fontsize="medium")
    shown = below.imshow(x - truth, **errors)
    below.set_title(f"error {error:.3f}", fontsize="medium")
for each in axes.flat:
    each.set(xticks=[], yticks=[])
figure.colorbar(shown, ax=axes[1, :], shrink=0.8, label="error")
figure.savefig("sparse_view_ct.png", dpi=120)
