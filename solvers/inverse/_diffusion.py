"""The walk of a diffusion sampler down the levels of noise, for a stack of samples at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import enter, kind_of, module_of
from .._errors import InvalidInput, UnsupportedType
from .._result import Status
from .._stacks import inner_rows
from ._schedules import injected
from ._tweedie import normals

__all__ = ["Denoiser", "Known", "Outcome", "from_torch", "walk"]


def from_torch(function: Callable[[Any, Any], Any], *, device: Any = None) -> Callable[[Any, Any], NDArray[Any]]:
    """A denoiser of NumPy or CuPy arrays from one of torch tensors.

    Parameters
    ----------
    function : callable
        ``function(x, sigma)`` for a tensor x of shape (k, *image_shape), on the device that the data are on or on
        ``device``; it returns a tensor of the same shape. Gradients are not recorded.
    device : str or torch.device, optional
        Where the tensors are sent.

    Returns
    -------
    callable
        It pickles if ``function`` does, as a module of torch does and a lambda does not.

    Examples
    --------
    >>> from solvers import inverse
    >>> denoiser = inverse.from_torch(lambda x, sigma: x / (1 + sigma**2))
    """

    return partial(_by_torch, function=function, device=device)


def _by_torch(x, sigma, *, function, device):
    import torch

    with torch.no_grad():
        tensor = torch.from_dlpack(x)
        answer = function(tensor if device is None else tensor.to(device), sigma)
        answer = answer.detach().to(tensor.device).contiguous()
    return enter("denoiser", answer)


class Denoiser:
    """A callable in the role of a prior: its answers are checked, and its Jacobian is a difference of two."""

    def __init__(self, function):
        self._function = function
        self.calls = 0

    def __call__(self, X, sigma):
        self.calls += 1
        # Copies both ways: it may write to what it gets, and use one buffer for all its answers.
        found = enter("denoiser", self._function(X.copy(), float(sigma)))
        if not hasattr(found, "dtype") or not hasattr(found, "shape") or found.dtype.kind not in "biufc":
            raise UnsupportedType(f"`denoiser` must return an array, got {type(found).__name__}.")
        if found.shape != X.shape:
            raise InvalidInput(
                f"`denoiser` must return an array of the shape of its first argument, a stack {X.shape}, got "
                f"{found.shape}."
            )
        if kind_of("denoiser", found) != kind_of("x", X):
            raise UnsupportedType(f"`denoiser` must return the kind of array it gets, of {type(X).__module__}.")
        if found.dtype.kind == "c" and X.dtype.kind != "c":
            raise UnsupportedType("`denoiser` must return real images for real ones, got complex ones.")
        return found.astype(X.dtype, copy=True)

    def tweedie(self, X, sigma):
        """The mean of x0 given x, and a function for the products with its covariance."""
        mean = self(X, sigma)
        return mean, lambda V: self._covariance_product(X, sigma, mean, V)

    def _covariance_product(self, X, sigma, mean, V):
        """sigma^2 J v, with a step that is small beside sigma, on the scale of which the denoiser bends."""
        xp, column = module_of(X), (-1,) + (1,) * (X.ndim - 1)
        small = np.finfo(X.dtype).eps ** 0.25 * sigma
        sizes = np.sqrt(inner_rows(V, V) / (V.size // len(V)))
        steps = np.divide(small, sizes, out=np.zeros_like(sizes), where=np.isfinite(sizes) & (sizes > 0))
        real = np.dtype(X.dtype.char.lower())
        slopes = (self(X + xp.asarray(steps, real).reshape(column) * V, sigma) - mean) * float(sigma) ** 2
        return slopes * xp.asarray(np.divide(1, steps, out=np.zeros_like(steps), where=steps > 0), real).reshape(column)


class Known:
    """A prior in closed form in the same role."""

    def __init__(self, prior):
        self._prior = prior
        self.calls = 0

    def tweedie(self, X, sigma):
        """See ``Denoiser``."""
        self.calls += 1
        return self._prior.tweedie(X, sigma)


@dataclass(slots=True)
class Outcome:
    """How a sampler ended: the steps taken, norms of misfits for each row after each, calls of the denoiser."""

    status: Status
    reason: str
    steps: int = 0
    norms: list = field(default_factory=list)
    calls: int | None = None


def walk(problem, generators, source, step, schedule, start):
    """Take every sample from noise to an image, level by level: yields (misfits, X), and is sent whether to stop.

    Parameters
    ----------
    problem : Measurement
        With the data of each row.
    generators : one for each row
    source : Denoiser or Known
    step : function (mean, covariance_product, sigma, residual) -> X, anchor
        The data step, for residual = B - A mean; the noise at hand is (x - anchor) / sigma.
    schedule : sigmas, rule, eta
        See ``levels`` and ``injected``.
    start : image, deviation
        What the first noise is added to, and its standard deviation.

    Returns
    -------
    X : array, shape (k, *image_shape)
        Finite whatever the denoiser says.
    outcome : Outcome
    """
    (sigmas, rule, eta), (image, deviation), B = schedule, start, problem.B
    xp = module_of(B)
    draw = lambda: xp.asarray(normals(generators, problem.A.image_shape, problem.dtype))
    X = (image + deviation * draw()).astype(problem.dtype, copy=False)
    best, norms = xp.zeros_like(X), [np.sqrt(inner_rows(B, B))]
    end = lambda status, reason: (best, Outcome(status, reason, len(norms) - 1, norms, source.calls))
    for i, sigma in enumerate(map(float, sigmas)):
        mean, covariance_product = source.tweedie(X, sigma)
        if not xp.isfinite(mean).all():
            return end(Status.NONFINITE, "denoiser")
        residual = B - problem.forward(mean)
        misfits = np.sqrt(inner_rows(residual, residual))
        found, anchor = step(mean, covariance_product, sigma, residual)
        if not (np.isfinite(misfits).all() and xp.isfinite(found).all()):
            return end(Status.NONFINITE, "data step")
        best = found
        norms.append(misfits)
        if (yield misfits, best):
            return end(Status.STOPPED, "callback")
        if i + 1 < len(sigmas):
            kept, fresh = injected(rule, eta, sigma, float(sigmas[i + 1]))
            X = best + (kept / sigma) * (X - anchor)
            # No new noise at the lowest level: the image found there is the answer.
            X = X + fresh * draw() if fresh > 0 and i + 2 < len(sigmas) else X
    return end(Status.CONVERGED, "schedule")
