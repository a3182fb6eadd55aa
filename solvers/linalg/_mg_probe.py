"""The probe of learned multigrid parameters: whether the textbook's are better on the system at hand."""

import numpy as np

from ._cycle import textbook

__all__ = ["better", "roots"]

# The probe works on the finest level with at most so many cells, for at most so many steps: its cost stays well below
# that of a solve. Ahead by this power of ten in two steps running, the learned parameters need no further ones.
_PROBED, _PROBE_STEPS, _CLEAR = 20_000, 8, 0.3
# What the textbook's must be better by, as a power of ten of the residual: where 8 steps are half a solve, a smaller
# lead may change sides later. It did on the one case that this number was taken from, jumps of a thousand to one.
_LEAD = 0.1


def roots(parameters):
    """How many smoothing steps there are on each level."""
    return np.count_nonzero(parameters[:, :-2], axis=1).tolist()


def better(hierarchy, learned):
    """The learned parameters, or the textbook's where they leave a smaller residual after the probe."""
    sizes = [np.prod(L.shape) for L in hierarchy.levels]
    begin = next(i for i, size in enumerate(sizes) if size <= _PROBED)
    usual = textbook(roots(learned)[0])
    b = hierarchy.right_hand_side(np.random.default_rng(0), begin)
    if not b.any():
        return learned, "learned"
    clear = 0
    for ours, theirs in zip(*(hierarchy.probes(p, b, _PROBE_STEPS, begin) for p in (learned, usual))):
        clear = clear + 1 if ours <= theirs - _CLEAR else 0
        if clear == 2:
            break
    # The textbook's come with the learned ones' steps on each level: on coarse ones more than the probe gave them.
    return (learned, "learned") if ours <= theirs + _LEAD else (textbook(roots(learned)), "textbook")
