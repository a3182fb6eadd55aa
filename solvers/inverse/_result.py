"""What a reconstruction is: the image, how it was regularised, and why it stopped there."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._result import Result, Status

if TYPE_CHECKING:
    from ._low_rank import LowRank

__all__ = ["InverseResult"]

# What it means to have ended well, by the rule that ended it.
_ENDED_BY = {
    "discrepancy": "The misfit is down to `tau` times the norm of the noise.",
    "gcv": "Generalised cross-validation is at its least.",
    "l-curve": "x is at the corner of the L-curve.",
    "tolerance": "What was tested meets the tolerance.",
    "stationary": "x changes no more; what is left of the misfit is noise, or more than the model can fit.",
    "held-out": "The error at the entries held out fell no further; x is that where it was least.",
    "schedule": "The noise levels are gone through; no residual is tested.",
    "closed form": "x is known in closed form; no residual is tested.",
    "change of the variances": "The variances have settled to within the tolerance.",
}
# What to do, where the words of a linear system would mislead.
_REMEDY = {
    Status.MAXITER: "A limit of steps was reached; raise `maxiter` (or `n_cg`, where only that is given), loosen the "
    "tolerance, or pass a better start.",
}
# More steps fit the noise, and the remedy above would lead away from the image.
_NOISE = " If `b` has noise, pass `noise_level`, or regularization='gcv': more steps fit the noise."


class InverseResult(Result):
    """A reconstruction with everything beside it.

    Attributes
    ----------
    x : ndarray
        The reconstruction, in the form that ``b`` came in: an image for data of ``A.data_shape``, a stack of images
        for a stack, flat for flat. For ``sample`` it is the mean of the samples.
    regularization : float, ndarray of shape (k,), or None
        The weight of the regularisation that was used or found.
    stop_reason : str or tuple of str
        The rule that ended it, such as "discrepancy", "gcv", "l-curve", "tolerance", "maxiter".
    samples : ndarray, shape (n_samples, ...), or None
    std : ndarray, like ``x``, or None
        The standard deviation of the posterior at each unknown, from the samples.
    n_denoiser : int or None
        Calls of the denoiser.
    residual : float or ndarray, shape (k,)
        The norm of ``b - A x``, recomputed on exit.
    """

    _not_in_dict = frozenset(("x", "posterior", "samples", "std"))

    # What some methods add, each by its ``extra``.
    chosen: int | Any
    posterior: Any
    sigmas: NDArray[Any]
    solution_norms: NDArray[Any]
    support: tuple[NDArray[Any], ...]
    variances: tuple[NDArray[Any], ...]

    def __init__(
        self,
        x: NDArray[Any],
        *,
        regularization: float | Any = None,
        stop_reason: str | Any = "",
        samples: NDArray[Any] | Any = None,
        std: NDArray[Any] | Any = None,
        n_denoiser: int | None = None,
        extra: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        self.x, self.regularization, self.stop_reason = x, regularization, stop_reason
        self.samples, self.std, self.n_denoiser = samples, std, n_denoiser
        self.__dict__.update(extra or {})

    @property
    def message(self) -> str:
        """One line: how it ended and by which rule, with what misfit, and what to do about it."""
        worst = self._worst
        status = self._statuses[0 if worst is None else worst]
        reason = self.stop_reason if isinstance(self.stop_reason, str) else self.stop_reason[worst or 0]
        column = f" (data set {worst})" if worst is not None and isinstance(self.status, tuple) else ""
        misfit = float(np.ravel(self.residual)[worst or 0]) if np.size(self.residual) else 0.0
        by = f" by {reason}" if reason and reason != str(status) else ""
        said = _sentence(self.method, status, reason)
        return f"{self.method} {status}{column}{by}: misfit |b - A x| = {misfit:.1e}. {said}"

    def __repr__(self):
        reasons = (self.stop_reason,) if isinstance(self.stop_reason, str) else self.stop_reason
        by = ", ".join(dict.fromkeys(r for r in reasons if r and r != str(self._statuses[0])))
        text = super().__repr__().removeprefix("Result(")
        return f"{type(self).__name__}({f'by {by}: ' if by else ''}{text}"


def _sentence(method, status, reason):
    if status is Status.CONVERGED:
        return _ENDED_BY.get(reason, _ENDED_BY["tolerance"])
    noise = _NOISE if method == "least_squares" and status is Status.MAXITER else ""
    return _REMEDY.get(status, status.sentence) + noise


if TYPE_CHECKING:

    class LowRankResult(InverseResult):
        """What ``complete`` and ``recover`` return, as type checkers see it."""

        x: LowRank  # type: ignore[assignment]
        outliers: NDArray[np.bool_]
        undetermined: tuple[NDArray[Any], NDArray[Any]]
        held_out_error: float | None
