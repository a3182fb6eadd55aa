"""Digits from three views: samples of a posterior
===============================================

Digits from three X-ray views: what the data leave open, by samples of a posterior whose prior is fitted first.
"""

import matplotlib.pyplot as plt
import numpy as np
from solvers.benchmarks.posterior_cases import digits

from solvers import inverse

# 1,797 handwritten digits where scikit-learn is installed, else drawn ones; 20 Gaussians describe what digits are like.
images = np.random.default_rng(0).permutation(digits())
known, unknown = images[:1500], images[1500:1506]
prior = inverse.GaussianMixture.fit(known, 20, rng=0)

A = inverse.ParallelBeam((8, 8), angles=3)
noise_level = 0.05
b = A @ unknown
b = b + noise_level * np.random.default_rng(1).standard_normal(b.shape)

# All six data sets go through the sampler together: moment matching, 16 samples of each posterior.
found = inverse.sample(A, b, prior=prior, noise_level=noise_level, method="mmps", n_samples=16, rng=0)
without = inverse.least_squares(A, b, regularization="gcv").x
exact = [prior.posterior(A, each, noise_level=noise_level) for each in b]

mse = lambda x: np.mean((x - unknown) ** 2)
print(f"mean squared error: least squares {mse(without):.4f}, mean of 16 samples {mse(found.x):.4f}, ", end="")
print(f"exact posterior mean {mse(np.stack([each.mean for each in exact])):.4f}")
inside = np.abs(found.x - unknown) <= 2 * np.stack([each.std for each in exact])
print(f"within two exact standard deviations of the mean: {inside.mean():.0%} of the pixels")

rows = {
    "truth": unknown,
    "least squares": without,
    "a sample": found.samples[0],
    "mean of 16": found.x,
    "deviation\nof 16": found.std,
    "exact\ndeviation": np.stack([each.std for each in exact]),
    "error\nof the mean": np.abs(found.x - unknown),
}
figure, axes = plt.subplots(len(rows), len(unknown), figsize=(7.2, 7.5), layout="constrained")
for (name, row), line in zip(rows.items(), axes, strict=True):
    spread = "deviation" in name or "error" in name
    for image, axis in zip(row, line, strict=True):
        shown = axis.imshow(image, cmap="magma" if spread else "gray_r", vmin=0, vmax=0.4 if spread else 1)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.colorbar(shown, ax=axes[-3:], label="deviation, error (ink is 1)")
figure.savefig("posterior_of_digits.png", dpi=120)
