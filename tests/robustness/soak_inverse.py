"""Random calls of ``solvers.inverse``, and their judges."""

import math
from functools import partial

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from soak import Call
from soak_priors import PRIORS
from spoilt import Broken, callbacks, disguised, pick

from solvers import Status, inverse

__all__ = ["make"]


def operators(rng):
    """An operator of the area, of small images."""
    shape = pick(rng, (6, 6), (5, 8), (8, 8))
    kind = pick(
        rng, "parallel", "fan", "blur", "inpainting", "downsampling", "mri", "gradient", "matrix", "sparse", "operator"
    )
    if kind == "parallel":
        return inverse.ParallelBeam(shape, pick(rng, 5, 9), dtype=pick(rng, np.float32, np.float64))
    if kind == "fan":
        return inverse.FanBeam(shape, 7, source_distance=20.0, detector_distance=15.0, dtype=np.float64)
    if kind == "blur":
        return inverse.Blur(rng.random((3, 3)), shape, boundary=pick(rng, "periodic", "zero", "reflect"))
    if kind == "inpainting":
        mask = rng.random(shape) < 0.6
        mask[0, 0] = True
        return inverse.Inpainting(mask)
    if kind == "downsampling":
        return inverse.Downsampling((8, 8), pick(rng, 2, (2, 4)))
    if kind == "mri":
        coils = None if rng.random() < 0.5 else rng.standard_normal((2, *shape)) + 1j * rng.standard_normal((2, *shape))
        mask = rng.random(shape) < 0.5
        mask[shape[0] // 2, shape[1] // 2] = True
        return inverse.MRI(coils, mask)
    if kind == "gradient":
        return inverse.Gradient(shape, pick(rng, "neumann", "periodic"))
    A = rng.standard_normal((pick(rng, 5, 20, 30), pick(rng, 8, 16)))
    if rng.random() < 0.1:
        A[0, 0] = pick(rng, np.nan, np.inf)
    if kind == "sparse":
        return sparse.csr_array(np.where(rng.random(A.shape) < 0.5, A, 0))
    if kind == "operator":
        A = np.nan_to_num(A, posinf=1e3)  # a user's function would be the one to warn
        return LinearOperator(A.shape, matvec=lambda v: A @ v, rmatvec=lambda v: A.T @ v, dtype=A.dtype)
    return A


def shapes(A):
    """Those of images and of data."""
    return getattr(A, "image_shape", (A.shape[1],)), getattr(A, "data_shape", (A.shape[0],))


def data(A, rng, most=200.0):
    """Noisy data of a random image, the norm of the noise, and its level; now and then a stack of two."""
    image, out = shapes(A)
    x = rng.random(image)
    if np.dtype(A.dtype).kind == "c":
        x = x + 1j * rng.standard_normal(image)
    with np.errstate(all="ignore"):
        b = np.asarray(A @ x).reshape(out)
    b = b if np.isfinite(b).all() else np.ones(out)
    level = pick(rng, 0.0, 1e-3, 0.05) * (float(np.abs(b).max()) or 1.0)
    noise = level * rng.standard_normal(out)
    scale = 10.0 ** rng.uniform(-most, most) if rng.random() < 0.08 else 1.0
    b = scale * (b + noise)
    if b.dtype.char == "d" and rng.random() < 0.15 and scale == 1.0:
        b = b.astype("f")
    return disguised(b, rng), scale * float(np.linalg.norm(noise)), scale * level


def misfit(A, x, b):
    """|b - A x| by the operator's own products, in double precision."""
    wide = np.result_type(x.dtype, np.float64)
    image, out = shapes(A)
    return float(
        np.linalg.norm(np.asarray(b, wide).reshape(-1) - np.asarray(A @ np.asarray(x, wide).reshape(image)).reshape(-1))
    )


def judge_misfit(A, b, result):
    """The residual is what it is said to be."""
    size = float(np.linalg.norm(np.asarray(b, np.result_type(b.dtype, "d"))))
    entries = A.data if sparse.issparse(A) else A if isinstance(A, np.ndarray) else 0.0
    if not (1e-100 < size < 1e100) or np.ndim(result.residual) or not np.isfinite(entries).all():
        return
    single = result.x.dtype.char in "fF"
    found = misfit(A, result.x, b)
    norm = np.linalg.norm(result.x) * 30
    assert abs(found - result.residual) <= 1e-3 * found + (1e-5 if single else 1e-10) * (size + norm), (
        found,
        result.residual,
    )
    return found


def judge_least_squares(A, b, noise_norm, tau, rtol, result):
    """Stopped by the discrepancy means that the misfit is that; by the tolerance that it is small."""
    found = judge_misfit(A, b, result)
    if found is None or result.status is not Status.CONVERGED:
        return
    single = 1e-4 if result.x.dtype.char in "fF" else 1e-9
    size = float(np.linalg.norm(np.asarray(b, np.result_type(b.dtype, "d"))))
    if result.stop_reason == "discrepancy":
        assert found <= tau * noise_norm * (1 + 1e-3) + single * size, (found, tau * noise_norm)
    elif result.stop_reason == "tolerance" and result.regularization is None:
        wide = np.result_type(result.x.dtype, "d")
        H = A.H if hasattr(A, "H") else A.conj().T
        r = np.asarray(b, wide).reshape(-1) - np.asarray(A @ np.asarray(result.x, wide).reshape(-1)).reshape(-1)
        start, left = np.linalg.norm(H @ np.asarray(b, wide).reshape(-1)), np.linalg.norm(H @ r)
        assert left <= (2 * rtol + single) * start + 1e-300 or found <= (2 * rtol + single) * size, (left, start, found)


def _least_squares(rng):
    A = operators(rng)
    b, noise_norm, _ = data(A, rng)
    arguments = dict(A=A, b=b, rtol=pick(rng, 1e-6, 1e-3, 0.0), maxiter=pick(rng, 1, 20, 60))
    regularization = pick(rng, None, None, 0.0, 0.1, 10.0, "gcv", "discrepancy", "l-curve")
    method = pick(rng, "auto", "auto", "cgls", "lsqr", "lsmr", "hybrid")
    arguments |= {"method": method, "regularization": regularization}
    if noise_norm and rng.random() < 0.6 or regularization == "discrepancy":
        arguments["noise_norm"] = noise_norm or 1e-3
    if not isinstance(regularization, str) and rng.random() < 0.4:
        arguments["stop"] = pick(rng, "gcv", "l-curve", None)
    if rng.random() < 0.2:
        image = shapes(A)[0]
        n = math.prod(image)
        arguments["L"] = pick(rng, inverse.Gradient(image), sparse.eye_array(n), np.eye(n))
    if rng.random() < 0.1:
        arguments["x0"] = np.zeros(shapes(A)[0])
    if rng.random() < 0.1:
        arguments["callback"] = callbacks(rng)
    plain = "L" not in arguments and "x0" not in arguments
    judge = partial(judge_least_squares, A, b, arguments.get("noise_norm", 0.0), 1.01, arguments["rtol"])
    return Call(inverse.least_squares, arguments, judge if plain else partial(judge_misfit, A, b))


def linear(x, sigma):
    """A denoiser."""
    return x / (1 + sigma**2)


def _denoiser(rng):
    return pick(
        rng,
        inverse.tv(0.1),
        inverse.tv(1.0, power=1),
        linear,
        inverse.Gaussian,
        lambda x, sigma: 0 * x,
        _nan,
        _broken,
        lambda x, sigma: x[:1, :1],
        lambda x, sigma: None,
    )


def _nan(x, sigma):
    return x * np.nan


def _broken(x, sigma):
    raise Broken("by the denoiser")


def _pnp(rng):
    A = operators(rng)
    b, _, level = data(A, rng, most=20.0)
    denoiser = _denoiser(rng)
    if denoiser is inverse.Gaussian:
        denoiser = inverse.Gaussian(np.zeros(shapes(A)[0]), 1.0).denoise
    arguments = dict(
        A=A, b=b, denoiser=denoiser, method=pick(rng, "auto", "auto", "admm", "hqs"), maxiter=pick(rng, 1, 4, 15)
    )
    if rng.random() < 0.6:
        arguments["noise_level"] = level or 0.01
    if rng.random() < 0.3:
        arguments["sigmas"] = pick(rng, 0.1, (0.5, 0.05), 10.0)
    if rng.random() < 0.1:
        arguments["callback"] = callbacks(rng)
    return Call(inverse.pnp, arguments, partial(judge_misfit, A, b))


def judge_samples(A, b, result):
    judge_misfit(A, b, result)
    assert np.allclose(result.samples.mean(0), result.x, rtol=1e-3, atol=1e-3 * np.abs(result.x).max(initial=1e-300))


def _sample(rng):
    A = operators(rng)
    b, _, level = data(A, rng, most=20.0)
    image = shapes(A)[0]
    method = pick(rng, "dds", "dds", "mmps", "gaussian", "exact")
    arguments = dict(A=A, b=b, method=method, n_samples=pick(rng, 1, 3), n_steps=pick(rng, 2, 6), rng=0)
    complex_ = 0j if np.dtype(A.dtype).kind == "c" else 0
    priors = [inverse.Gaussian(np.zeros(image) + complex_, 1.0)]
    if method == "gaussian":
        priors.append(inverse.Smoothness(2 * inverse.Gradient(image), np.zeros(image) + complex_))
    if method in ("dds", "mmps", "exact"):
        means = rng.standard_normal((2, *image)) + complex_
        priors.append(inverse.GaussianMixture([0.3, 0.7], means, np.ones(2)))
    if method in ("dds", "mmps") and rng.random() < 0.5:
        arguments["denoiser"] = pick(rng, linear, _nan, _broken, inverse.tv(1.0, power=1))
    else:
        arguments["prior"] = pick(rng, *priors)
    if method != "dds" or rng.random() < 0.3:
        arguments["noise_level"] = level or 0.01
    if method == "dds":
        arguments["gamma"] = pick(rng, None, 1.0, 10.0)
        arguments["schedule"] = pick(rng, "vp", "ve", np.geomspace(1, 0.01, 5))
    if rng.random() < 0.1:
        arguments["callback"] = callbacks(rng)
    return Call(inverse.sample, arguments, partial(judge_samples, A, b))


PARTS = (_least_squares,) * 4 + (_pnp, _pnp, _sample, _sample) + PRIORS


def make(rng):
    """One call of the area."""
    return PARTS[int(rng.integers(len(PARTS)))](rng)
