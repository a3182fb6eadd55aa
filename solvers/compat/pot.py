"""POT's names and signatures for entropic transport: ``from solvers.compat import pot as ot``.

The arguments, their order and what comes back are those of POT (Python Optimal Transport) 0.9, which is not needed.
Every name solves the same problem, so all go to ``solvers.transport.sinkhorn`` with its method "auto". Keywords
that are not listed are refused, so that misspelt ones do not go unnoticed.

What differs: where POT returns a plan that misses its marginals because the kernel underflowed, here Newton's method
finds the right one, or the warning names the error that is left; ``stopThr``, the L2 error of the column sums in POT,
bounds those of rows and columns alike, tested in every sweep; zero weights are no division by zero; totals of a and b
that differ are refused; nothing is printed: ``verbose=True`` reports progress on standard error.
"""

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, transport
from .._arrays import enter, leaving, module_of
from .._errors import InvalidInput, UnsupportedType
from .._progress import progress
from ..transport._measures import real

__all__ = ["sinkhorn", "sinkhorn2", "sinkhorn_knopp", "sinkhorn_log", "sinkhorn_stabilized"]

_METHODS = ("sinkhorn", "sinkhorn_log", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling", "greenkhorn")
_IN_UNITS_OF_M = _METHODS[2:4]  # their potentials
# What POT's users take most of what is not here.
_INSTEAD = {
    "dist": "scipy.spatial.distance.cdist(X, Y, 'sqeuclidean') has its numbers; solvers.transport.PointCloud needs "
    "no matrix",
    "unif": "empty weights, [], are uniform",
    "emd": "exact plans are linear programs: take POT's",
    "emd2": "exact plans are linear programs: take POT's",
    "bregman": "what is here of it stands in this module itself",
    "unbalanced": "take solvers.transport.sinkhorn with marginal_penalty=",
    "partial": "take solvers.transport.partial",
    "sliced_wasserstein_distance": "take solvers.transport.sliced_wasserstein",
}


def sinkhorn(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, method: str = "sinkhorn", numItermax: int = 1000,
    stopThr: float = 1e-9, verbose: bool = False, log: bool = False, warn: bool = True,
    warmstart: tuple[ArrayLike, ArrayLike] | None = None,
) -> NDArray[Any] | Any:  # fmt: skip
    """Solve the entropic transport problem, as ``ot.sinkhorn`` does.

    Parameters
    ----------
    a : array_like, shape (n,)
        Weights of the rows; an empty one is uniform.
    b : array_like, shape (m,) or (m, k)
        Weights of the columns; an empty one is uniform. Of k histograms only the k losses come back.
    M : array_like, shape (n, m)
        Costs.
    reg : float > 0
        Regularisation, in the units of M.
    method : {"sinkhorn", "sinkhorn_log", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling", "greenkhorn"}
        Which keys ``log`` has; the plan is the same.
    numItermax : int, default 1000
        Most sweeps and Newton steps.
    stopThr : float, default 1e-9
        On the L2 errors of the row sums and of the column sums.
    verbose : bool, default False
        Report progress on standard error.
    log : bool, default False
        Return a dictionary, too.
    warn : bool, default True
        Warn where stopThr was not met, with the error that is left.
    warmstart : (array_like of shape (n,), array_like of shape (m,)), optional
        log u and log v, as in POT; for "sinkhorn_stabilized" and "sinkhorn_epsilon_scaling" alpha and beta in the units
        of M. For k histograms, of shapes (n, k) and (m, k).

    Returns
    -------
    plan : array, shape (n, m), or losses, shape (k,)
    log : dict
        Only if asked for: ``err``, ``niter``, ``u``, ``v``, or what POT's function for that method has, and ``result``,
        the ``TransportResult`` (k of them). ``err`` are L1 errors, which are at least POT's L2 errors.

    Raises
    ------
    InvalidInput, UnsupportedType
        A shape, a value or a kind that cannot be worked with.

    Examples
    --------
    >>> from solvers.compat import pot as ot
    >>> ot.sinkhorn([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1.0).round(4)
    array([[0.3655, 0.1345],
           [0.1345, 0.3655]])
    """
    method = _checks.choice("method", method.lower() if isinstance(method, str) else method, _METHODS)
    results, leave = _results(method, a, b, M, reg, numItermax, stopThr, verbose, warn, warmstart)
    several = isinstance(results, list)
    answer = leave(_losses(results)) if several else results.plan
    return (answer, _log(method, results, several)) if log else answer


@overload
def sinkhorn2(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, method: str = "sinkhorn", numItermax: int = 1000,
    stopThr: float = 1e-9, verbose: bool = False, log: Literal[False] = False, warn: bool = False,
    warmstart: tuple[ArrayLike, ArrayLike] | None = None,
) -> float | Any: ...  # fmt: skip
@overload
def sinkhorn2(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, method: str = "sinkhorn", numItermax: int = 1000,
    stopThr: float = 1e-9, verbose: bool = False, *, log: Literal[True], warn: bool = False,
    warmstart: tuple[ArrayLike, ArrayLike] | None = None,
) -> tuple[float | Any, dict[str, Any]]: ...  # fmt: skip
def sinkhorn2(
    a, b, M, reg, method="sinkhorn", numItermax=1000, stopThr=1e-9, verbose=False, log=False, warn=False, warmstart=None
):
    """Return the loss <P, M> of the entropic plan P, as ``ot.sinkhorn2`` does; parameters are those of ``sinkhorn``.

    Returns
    -------
    loss : float, or array of shape (k,)
    log : dict
        Only if asked for.

    Examples
    --------
    >>> from solvers.compat import pot as ot
    >>> round(ot.sinkhorn2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1.0), 4)
    0.2689
    """
    method = _checks.choice("method", method.lower() if isinstance(method, str) else method, _METHODS[:3])
    results, leave = _results(method, a, b, M, reg, numItermax, stopThr, verbose, warn, warmstart)
    several = isinstance(results, list)
    answer = leave(_losses(results)) if several else results.value
    return (answer, _log(method, results, several)) if log else answer


def sinkhorn_knopp(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, numItermax: int = 1000, stopThr: float = 1e-9,
    verbose: bool = False, log: bool = False, warn: bool = True, warmstart: tuple[ArrayLike, ArrayLike] | None = None,
) -> NDArray[Any] | Any:  # fmt: skip
    """``sinkhorn`` in the order of ``ot.bregman.sinkhorn_knopp``."""
    return sinkhorn(a, b, M, reg, "sinkhorn", numItermax, stopThr, verbose, log, warn, warmstart)


def sinkhorn_log(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, numItermax: int = 1000, stopThr: float = 1e-9,
    verbose: bool = False, log: bool = False, warn: bool = True, warmstart: tuple[ArrayLike, ArrayLike] | None = None,
) -> NDArray[Any] | Any:  # fmt: skip
    """``sinkhorn`` in the order of ``ot.bregman.sinkhorn_log``."""
    return sinkhorn(a, b, M, reg, "sinkhorn_log", numItermax, stopThr, verbose, log, warn, warmstart)


def sinkhorn_stabilized(
    a: ArrayLike, b: ArrayLike, M: ArrayLike, reg: float, numItermax: int = 1000, tau: float = 1e3,
    stopThr: float = 1e-9, warmstart: tuple[ArrayLike, ArrayLike] | None = None, verbose: bool = False,
    print_period: int = 20, log: bool = False, warn: bool = True,
) -> NDArray[Any] | Any:  # fmt: skip
    """``sinkhorn`` in the order of ``ot.bregman.sinkhorn_stabilized``; tau and print_period have nothing to do here."""
    return sinkhorn(a, b, M, reg, "sinkhorn_stabilized", numItermax, stopThr, verbose, log, warn, warmstart)


def _results(method, a, b, M, reg, maxiter, threshold, verbose, warn, warmstart):
    """The result, or a list of them for the columns of b, and how answers leave."""
    reg, threshold = _checks.positive("reg", reg), _checks.tolerance("stopThr", threshold)
    maxiter = _checks.count("numItermax", maxiter)
    _checks.flag("warn", warn)
    leave, a, b = leaving(M), _weights("a", a), _weights("b", b)
    shape = real("M", M).shape
    if len(shape) != 2:
        raise InvalidInput(f"`M` must have shape (n, m), got {shape}; the order is POT's: (a, b, M, reg).")
    several = b is not None and b.ndim == 2
    columns = [b[:, k] for k in range(b.shape[1])] if several else [b]
    starts = _starts(warmstart, 1.0 if method in _IN_UNITS_OF_M else reg, len(columns) if several else 0)
    found = []
    for column, x0 in zip(columns, starts):
        with np.errstate(over="ignore"):
            total = 1.0 if a is None else float(a.sum())
        options = dict(
            # L1 errors bound L2 errors; ours are relative to the mass.
            eps=reg, tol=threshold / total if 0.0 < total < math.inf else threshold, maxiter=maxiter, x0=x0,
            callback=progress() if _checks.flag("verbose", verbose) else None,
        )  # fmt: skip
        try:
            found.append(transport.sinkhorn(M, a, column, **options))
        except (InvalidInput, UnsupportedType) as error:
            raise type(error)(_in_their_words(str(error))) from None
        if warn:
            _warn(found[-1], a, column, threshold)
    return (found if several else found[0]), leave


if not TYPE_CHECKING:  # whose checkers would take any name for one of ours

    def __getattr__(name):
        """POT has many more names: say what to use."""
        sentence = f"module {__name__!r} has no attribute {name!r}"
        if not name.startswith("_"):
            remedy = _INSTEAD.get(name, "take POT's, or solvers.transport")
            sentence += f"; it has {', '.join(__all__)} alone: {remedy}."
        raise AttributeError(sentence)


def _in_their_words(sentence):
    """A sentence of ``transport.sinkhorn`` with POT's names, and remedies that exist there."""
    for ours, theirs in (
        ("`C`", "`M`"), ("`eps`", "`reg`"), ("C / eps", "M / reg"), ("x0[", "warmstart["),
        ("pass normalize=True, or marginal_penalty for unbalanced transport", "divide each by its own"),
        ("pass normalize=True", "divide `a` and `b` by their totals"),
    ):  # fmt: skip
        sentence = sentence.replace(ours, theirs)
    return sentence


def _weights(name, given):
    """POT's empty weights are uniform ones."""
    values = None if given is None else real(name, given)
    return None if values is None or values.shape == (0,) else values


def _starts(warmstart, factor, several):
    """The potentials to start from, in the units of M, for each histogram."""
    if warmstart is None:
        return [None] * max(several, 1)
    if not isinstance(warmstart, tuple | list) or len(warmstart) != 2:
        raise InvalidInput("`warmstart` must be a pair, such as (log u, log v).")
    u, v = (factor * _checks.array(f"warmstart[{i}]", enter("warmstart", w)) for i, w in enumerate(warmstart))
    if not several:
        return [(u, v)]
    for i, w in enumerate((u, v)):
        _checks.shape_is(f"warmstart[{i}]", w, [(w.shape[0], several)], "to go with the histograms of `b`")
    return [(u[:, k], v[:, k]) for k in range(several)]


def _warn(result, a, b, threshold):
    """POT's warning, with the error that is left, where that is above the threshold in POT's sense."""
    if result.converged:
        return
    P, errors = enter("M", result.plan), []
    for weights, axis in ((a, 1), (b, 0)):
        sums = P.sum(axis=axis)
        errors.append(float(((sums - (1.0 / sums.size if weights is None else weights)) ** 2).sum()) ** 0.5)
    if not max(errors) <= threshold:
        warnings.warn(
            "Sinkhorn did not converge. You might want to increase the number of iterations `numItermax` or the "
            f"regularization parameter `reg`. The L2 error of the marginals is {max(errors):.1e} ({result.status}).",
            stacklevel=4,
        )


def _losses(results):
    """<P, M> of each histogram."""
    return np.array([result.value for result in results])


def _log(method, results, several):
    """POT's dictionary for this method, with the results."""
    results = results if several else [results]
    pairs = [tuple(enter("M", p) for p in result.potentials) for result in results]
    xp = module_of(pairs[0][0])
    f, g = (xp.stack([pair[i] for pair in pairs], 1) if several else pairs[0][i] for i in (0, 1))
    leave = leaving(results[0].potentials[0])
    reg = results[0].eps
    with np.errstate(over="ignore"):
        u, v = xp.exp(f / reg), xp.exp(g / reg)
    log_u, log_v = f / reg, g / reg
    names = dict(alpha=f, beta=g, logu=log_u, logv=log_v, log_u=log_u, log_v=log_v, u=u, v=v)
    keys = {
        "sinkhorn": ("u", "v"),
        "greenkhorn": ("u", "v"),
        "sinkhorn_log": ("log_u", "log_v", "u", "v"),
    }.get(method, ("logu", "logv", "alpha", "beta"))
    last = results[-1]
    steps = max(result.iterations + result.newton_steps for result in results)
    out = {"err": [float(e) * last.mass for e in last.residuals[1:]], "result": results if several else last}
    out["n_iter" if "alpha" in keys else "niter"] = steps
    out |= {key: leave(names[key]) for key in keys}
    if "alpha" in keys:
        out["warmstart"] = out["alpha"], out["beta"]
    return out
