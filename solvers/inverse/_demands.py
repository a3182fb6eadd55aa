"""What a user asks of ``least_squares``, checked, with the choices that are left open made."""

import math

import numpy as np

from .. import _checks
from .._arrays import on_host
from .._errors import InvalidInput

__all__ = ["Demands", "per_row"]

METHODS = "auto", "cgls", "lsqr", "lsmr", "hybrid"
RULES = "discrepancy", "gcv", "l-curve"


class Demands:
    """The options of ``least_squares``.

    Attributes
    ----------
    method : {"cgls", "lsqr", "lsmr", "hybrid"}
    stop : None or one of RULES
        What chooses the number of steps.
    rule : None or one of RULES
        What chooses the weight.
    weight : None, float or array
    """

    def __init__(self, *, method, regularization, stop, noise_level, noise_norm, tau, rtol, maxiter, callback, rng):
        _checks.choice("method", method, METHODS)
        self.callback, self.rng = _checks.function("callback", callback), _checks.generator(rng)
        self.rtol = _checks.tolerance("rtol", rtol)
        self.maxiter = None if maxiter is None else _checks.count("maxiter", maxiter)
        self.tau = _checks.number("tau", tau, least=1)
        if math.isinf(self.tau):
            raise InvalidInput("`tau` must be finite, got inf.")
        if stop is not None:
            _checks.choice("stop", stop, RULES)
        if noise_level is not None and noise_norm is not None:
            raise InvalidInput("`noise_norm` must be left out where `noise_level` is given, which it follows from.")
        self.noise_level = None if noise_level is None else _checks.positive("noise_level", noise_level)
        self.noise_norm, self.rule, self.weight = noise_norm, None, None
        if isinstance(regularization, str):
            self.rule = _checks.choice("regularization", regularization, RULES)
        elif regularization is not None:
            self.weight = regularization
        self.method, self.stop = method, stop
        self._complete()
        if "discrepancy" in (self.rule, self.stop) and not self.knows_noise:
            raise InvalidInput("`noise_level` must be given for the discrepancy principle, got None; or use 'gcv'.")

    @property
    def knows_noise(self):
        return self.noise_level is not None or self.noise_norm is not None

    def noise_norms(self, m, k):
        """The norm of the noise in each of k data sets of m entries; NaN where nothing is known."""
        if self.noise_norm is not None:
            return per_row("noise_norm", self.noise_norm, k, None)
        return np.full(k, np.nan if self.noise_level is None else self.noise_level * math.sqrt(m))

    def _complete(self):
        """Make the choices that are left open, and refuse what does not fit together."""
        known = self.knows_noise
        if self.rule is not None:
            if self.method not in ("auto", "hybrid"):
                raise InvalidInput(
                    f"`method` must be 'hybrid' or 'auto' for regularization={self.rule!r}, got {self.method!r}; pass "
                    f"stop={self.rule!r} to regularise by the number of steps."
                )
            if self.stop not in (None, self.rule):
                raise InvalidInput(f"`stop` must be None or {self.rule!r}, which finds the weight, got {self.stop!r}.")
            self.method, self.stop = "hybrid", None
        elif self.method == "hybrid":
            if self.weight is None:
                self.rule, self.stop = self.stop or ("discrepancy" if known else "gcv"), None
            elif self.stop is not None:
                raise InvalidInput(f"`stop` must be None where a hybrid method has a weight, got {self.stop!r}.")
        elif self.stop is None and self.weight is None and known:
            self.stop = "discrepancy"
        if self.method == "auto":
            self.method = "cgls"
        if self.stop == "gcv" and self.method != "cgls":
            raise InvalidInput(f"`method` must be 'cgls' or 'auto' for stop='gcv', got {self.method!r}.")


def per_row(name, value, k, least):
    """A number, or k of them, finite and at least (or, for None, above) zero, as an array of shape (k,)."""
    if isinstance(value, bool | np.bool_):
        raise _checks.wrong_kind(name, "a real number", value)
    values = _checks.array(name, value)
    values = np.asarray(on_host(values))
    if values.dtype.kind == "c" or values.shape not in ((), (1,), (k,)):
        remedy = "; of the noise itself pass numpy.linalg.norm(noise)" if name == "noise_norm" else ""
        raise InvalidInput(f"`{name}` must be a real number or of shape ({k},), got shape {values.shape}{remedy}.")
    values = np.array(np.broadcast_to(values, (k,)), float)
    for one in values.tolist():
        if not math.isfinite(one) or one < 0 or (one == 0 and least is None):
            raise InvalidInput(f"`{name}` must be {'> 0' if least is None else '>= 0'} and finite, got {one!r}.")
    return values
