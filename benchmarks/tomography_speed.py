"""Products with a tomography operator and its adjoint: ours beside ASTRA's and scikit-image's, where those are found.

All get the same parallel geometry and run on one thread; ASTRA works in float32 alone, on the CPU here. Seconds are
those of the processor, medians of rounds in which everybody has a turn. scikit-image's back-projection is no adjoint;
it is the nearest that it has. ``python -m solvers.benchmarks.tomography_speed [pixels of a side] [views]``.
"""

import contextlib
import math
import statistics
import sys
import time

import numpy as np

from ._threads import pinned
from .report import align

__all__ = ["measure", "rivals"]

_ROUNDS = 9


def ours(n, views, dtype, stack):
    """The two products, without arguments, of one image or several."""
    from solvers import inverse

    A = inverse.ParallelBeam((n, n), views, dtype=dtype)
    shape = (stack,) if stack > 1 else ()
    rng = np.random.default_rng(0)
    x, y = (rng.random((*shape, *each)).astype(dtype) for each in (A.image_shape, A.data_shape))
    return lambda: A @ x, lambda: A.H @ y


def rivals(n, views):
    """Yield (name, product, back-projection) of the other libraries that can be imported."""
    detectors, angles = math.ceil(math.hypot(n, n)), np.arange(views) * np.pi / views
    rng = np.random.default_rng(0)
    x, y = rng.random((n, n)).astype(np.float32), rng.random((views, detectors)).astype(np.float32)
    with contextlib.suppress(ImportError):
        import astra

        geometry = astra.create_proj_geom("parallel", 1.0, detectors, angles), astra.create_vol_geom(n, n)
        W = astra.OpTomo(astra.create_projector("linear", *geometry))
        yield "ASTRA linear", lambda: W @ x.ravel(), lambda: W.T @ y.ravel()
    with contextlib.suppress(ImportError):
        from skimage.transform import iradon, radon

        degrees = np.rad2deg(angles)
        back = {"circle": False, "filter_name": None, "output_size": n}
        yield "scikit-image", lambda: radon(x, degrees, circle=False), lambda: iradon(y.T, degrees, **back)


def measure(n=256, views=180, rounds=_ROUNDS):
    """Return rows (name, milliseconds of a product, of a back-projection), for each image."""
    entries = [
        (f"ours {dtype}{f', {stack} images' if stack > 1 else ''}", stack, *ours(n, views, dtype, stack))
        for dtype in ("float32", "float64")
        for stack in (1, 8)
    ]
    entries += [(name, 1, *products) for name, *products in rivals(n, views)]
    times = {name: ([], []) for name, *_ in entries}
    for turn in range(rounds + 1):  # the first one compiles
        for name, stack, *products in entries:
            for product, seconds in zip(products, times[name], strict=True):
                start = time.process_time()
                product()
                if turn:
                    seconds.append((time.process_time() - start) / stack)
    return [(name, *(1e3 * statistics.median(each) for each in seconds)) for name, seconds in times.items()]


def _main(arguments):
    n, views = (int(text) for text in [*arguments, *("256", "180")[len(arguments) :]])
    with pinned(1, arguments) as said:
        print(f"{n} x {n} pixels, {views} views, one image; threads: {said}")
        print(f"{'':22} {align('forward ms', 12)} {align('adjoint ms', 12)}")
        for name, *both in measure(n, views):
            print(f"{name:22} " + " ".join(align(f"{each:.1f}", 12) for each in both), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
