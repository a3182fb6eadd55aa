"""SciPy, PyLops, scikit-image and ASTRA on the problems of ``solvers bench inverse``.

SciPy and PyLops get our operator, so that their time differs by what they do with it; the other two bring their own.
"""

import os

import numpy as np

from .inverse_methods import INVERTERS, Answer, Inverter

__all__ = ["INVERTERS"]

# SciPy's lsqr would go on to twice the number of unknowns; its error grows all the while.
_MOST = 1500
_TAU = 1.01
_SIRT, _CGLS, _SART = 150, 20, 2
# The best of a grid for the head at 2 % noise.
_TV = 0.04


class _Counted:
    """A as an operator on flat images, which counts its products."""

    def __init__(self, A):
        from scipy.sparse.linalg import LinearOperator

        self.products = 0
        self.operator = LinearOperator(A.shape, self._with(A.matvec), self._with(A.rmatvec), dtype=A.dtype)

    def _with(self, product):
        def counted(x):
            self.products += 1
            return product(x)

        return counted


def _lsqr(stopped):
    def solve(problem):
        from scipy.sparse.linalg import lsqr

        A, b = _Counted(problem.A), problem.b.ravel()
        rule = {"iter_lim": _MOST}
        if stopped:
            rule |= {"atol": 0.0, "btol": _TAU * problem.noise_norm / np.linalg.norm(b), "conlim": 0.0}
        x, why, iterations = lsqr(A.operator, b, **rule)[:3]
        status = "step limit" if why == 7 else f"istop {why}"
        return Answer(x.reshape(problem.A.image_shape), iterations, A.products, status=status)

    return solve


def _pylops(stopped):
    def solve(problem):
        os.environ.setdefault("CUPY_PYLOPS", "0")  # it would load CuPy's libraries, on the CPU, too
        import pylops

        A, b = _Counted(problem.A), problem.b.ravel()
        rule = {"rtol1": _TAU * problem.noise_norm / np.linalg.norm(b)} if stopped else {}
        found = pylops.optimization.basic.cgls(pylops.aslinearoperator(A.operator), b, niter=_MOST, **rule)
        status = "step limit" if found[2] >= _MOST else f"istop {found[1]}"
        return Answer(found[0].reshape(problem.A.image_shape), int(found[2]), A.products, status=status)

    return solve


def _iradon(denoised):
    def solve(problem):
        from skimage.restoration import denoise_tv_chambolle
        from skimage.transform import iradon

        A = problem.A
        given = {"circle": False, "output_size": A.image_shape[0], "filter_name": "ramp" if denoised else "hann"}
        x = iradon(problem.data["about_a_pixel"].T, np.rad2deg(A.angles), **given)
        return Answer(denoise_tv_chambolle(x, weight=_TV) if denoised else x)

    return solve


def _sart(problem):
    from skimage.transform import iradon_sart

    x, A = None, problem.A
    for _ in range(_SART):
        x = iradon_sart(problem.data["about_a_pixel"].T, np.rad2deg(A.angles), image=x)
    corner = x.shape[0] // 2 - A.image_shape[0] // 2
    return Answer(x[corner:, corner:][: A.image_shape[0], : A.image_shape[1]], _SART, status="step limit")


def _astra(algorithm, steps):
    def solve(problem):
        import astra

        A = problem.A
        lines = astra.create_proj_geom("parallel", 1.0, A.data_shape[1], A.angles)
        pixels = astra.create_vol_geom(*A.image_shape)
        kept = [astra.create_projector("linear", lines, pixels)]
        config = astra.astra_dict(algorithm)
        config |= {"ProjectorId": kept[0], "ProjectionDataId": astra.data2d.create("-sino", lines, problem.b)}
        config["ReconstructionDataId"] = astra.data2d.create("-vol", pixels, 0.0)
        number = astra.algorithm.create(config)
        try:
            astra.algorithm.run(number, steps)
            x = astra.data2d.get(config["ReconstructionDataId"])
        finally:
            astra.algorithm.delete(number)
            astra.data2d.delete([config["ProjectionDataId"], config["ReconstructionDataId"]])
            astra.projector.delete(kept)
        return Answer(x, steps, 2 * steps, status="step limit")

    return solve


for _each in (
    Inverter("scipy:lsqr", f"SciPy's lsqr as it comes, but for {_MOST} steps at most", ("ct", "scaled"), _lsqr(False)),
    Inverter("scipy:lsqr-stopped", "SciPy's lsqr with btol = tau delta / |b|, atol = conlim = 0",
             ("ct", "scaled", "mri"), _lsqr(True)),
    Inverter("pylops:cgls", f"PyLops' cgls as it comes, but for up to {_MOST} steps", ("ct", "scaled"), _pylops(False),
             package="pylops"),
    Inverter("pylops:cgls-stopped", "PyLops' cgls with rtol1 = tau delta / |b|", ("ct", "scaled"), _pylops(True),
             package="pylops"),
    Inverter("skimage:fbp", "scikit-image's iradon with Hann's window", ("ct",), _iradon(False), package="skimage"),
    Inverter("skimage:fbp+tv", f"iradon with the ramp, then its total variation of weight {_TV}", ("ct",),
             _iradon(True), package="skimage"),
    Inverter("skimage:sart", f"scikit-image's iradon_sart, {_SART} passes", ("ct",), _sart, package="skimage"),
    Inverter("astra:sirt", f"ASTRA's SIRT, {_SIRT} steps, its linear projector, single precision", ("ct",),
             _astra("SIRT", _SIRT), package="astra"),
    Inverter("astra:cgls", f"ASTRA's CGLS, {_CGLS} steps, its linear projector, single precision", ("ct",),
             _astra("CGLS", _CGLS), package="astra"),
):  # fmt: skip
    # All are measured by what CGLS could have reached on these data.
    INVERTERS.add(Inverter(_each.name, _each.summary, _each.kinds, _each.solve, "best:cgls", _each.package))
