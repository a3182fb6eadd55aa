"""How an answer of a kernel is compared: with plain NumPy, with the CPU's kernel, and with itself.

The tolerance is ``8 eps sqrt(m) sum|terms|``, where the entry in question is a sum of m terms; eps is that of
float64 where the kernel accumulates in it.
"""

import numpy as np

from ._parity_matrices import wide
from ._target import bits

__all__ = ["bound_of", "compare", "norm_of"]


def compare(target, run, expected):
    """Hold ``run(kernels)``, a tuple of host arrays, against (value, bound on the error) for each of its parts."""
    answers = {"NumPy": run(target.kernels)}
    assert bits(answers["NumPy"]) == bits(run(target.kernels)), "two runs on the same input differ in their bits"
    got = answers["NumPy"]
    for part, (value, (want, bound)) in enumerate(zip(got, expected, strict=True)):
        _close(value, want, bound, f"part {part} against NumPy")
    if target.cpu is not None:
        for part, (value, other, (_, bound)) in enumerate(zip(got, run(target.cpu), expected, strict=True)):
            _close(value, other, 2 * np.asarray(bound), f"part {part} against the CPU's kernel")


def _close(value, want, bound, what):
    value, want = np.asarray(value), np.asarray(want)
    assert value.shape == want.shape, f"{what}: shape {value.shape} instead of {want.shape}"
    gap = np.abs(value.astype(wide(value.dtype)) - want)
    wrong = ~(gap <= bound)
    if wrong.any():
        at = int(np.argmax(wrong.ravel()))
        limit = np.broadcast_to(bound, gap.shape).ravel()[at]
        raise AssertionError(
            f"{what}: {int(wrong.sum())} of {gap.size} entries off, entry {at} by {gap.ravel()[at]:.3e}, "
            f"allowed {limit:.3e}"
        )


def bound_of(dtype, m, terms):
    return 8 * float(np.finfo(dtype).eps) * np.sqrt(m) * terms


def norm_of(v):
    return float(np.linalg.norm(v))
