"""What every solver returns: a status that is its own remedy, and the numbers behind it."""

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ._errors import ConvergenceError, UnsupportedType
from ._plot import axes_or_new

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Result", "Status"]


class Status(StrEnum):
    """How a solve ended. ``str(status)`` is its name, ``status.sentence`` says what to do next."""

    sentence: str
    CONVERGED = "converged", "The recomputed residual meets the tolerance."
    MAXITER = "maxiter", (
        "The iteration limit was reached; raise `maxiter`, loosen the tolerance, or pass a better start or "
        "preconditioner."
    )
    STAGNATED = "stagnated", (
        "Rounding keeps the true residual above the tolerance; loosen the tolerance, or solve in a wider dtype."
    )
    INDEFINITE = "indefinite", (
        "`A` or `M` is not definite, which this method needs; use minres or gmres for such an `A`, "
        "another `M` otherwise."
    )
    NOT_HERMITIAN = "not_hermitian", (
        "`A` is not Hermitian, which this method needs; use gmres or bicgstab, or pass (A + A^H)/2."
    )
    INCONSISTENT = "inconsistent", (
        "The system is singular and `b` is not in its range; x is the least-squares solution: "
        "project `b` onto the range, or accept x."
    )
    BREAKDOWN = "breakdown", (
        "The recurrence broke down before the tolerance was met, as it does where `A` or `M` is singular; "
        "use another method, another `x0`, or another `M`."
    )
    NONFINITE = "nonfinite", (
        "A NaN or an infinity came up in a product with `A` or `M`, or from `model` or `denoiser`; look for it there, "
        "or rescale the system."
    )
    DIVERGED = "diverged", (
        "The residual grew without bound: this iteration does not converge for this matrix; lower `omega`, or use cg, "
        "minres or gmres."
    )
    STALLED = "stalled", (
        "The directions of `model` no longer reduce the residual; raise `n_ortho`, use on_stall='pcg', or train "
        "`model` on systems like this one."
    )
    INFEASIBLE = "infeasible", (
        "The permitted pairs cannot carry the weights from `a` to `b`; allow more pairs, or use other weights."
    )
    ILL_CONDITIONED = "ill_conditioned", (
        "The estimated condition of `A` has reached `conlim`; use `damp` or another regularisation, or raise `conlim`."
    )
    NOT_ADJOINT = "not_adjoint", (
        "The products with the adjoint of `A` do not fit those with `A`, so that the steps mislead; look for the error "
        "in its rmatvec, which `inverse.check_adjoint` measures."
    )
    UNATTAINABLE = "unattainable", (
        "No x brings the misfit down to `tau` times the norm of the noise; raise `noise_level`, or look for an error "
        "in `A` or `b`."
    )
    STOPPED = "stopped", "The callback raised StopIteration; x is the iterate at that moment."

    def __new__(cls, name: str, sentence: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.sentence = sentence
        return member

    def info(self, count: int) -> int:
        """SciPy's integer: 0, the number of iterations (at least 1), or a negative code for a breakdown."""
        return _INFO.get(self, max(1, int(count)))


_INFO = {
    Status.CONVERGED: 0,
    Status.BREAKDOWN: -10,
    Status.INDEFINITE: -11,
    Status.NOT_HERMITIAN: -11,
    Status.NONFINITE: -12,
    Status.INCONSISTENT: -13,
    Status.DIVERGED: -14,
    Status.INFEASIBLE: -15,
    Status.NOT_ADJOINT: -16,
}


class Result:
    """The outcome of a solve.

    Attributes
    ----------
    status : Status, or tuple of Status
        How it ended; one per right-hand side where ``b`` had several columns.
    iterations : int or ndarray of int, shape (k,)
        Steps taken.
    residuals : ndarray, shape (iterations + 1,) or (steps + 1, k)
        The norms tested, the initial one first. A column that stopped earlier repeats its last norm.
    residual : float or ndarray, shape (k,)
        The norm of ``b - A x``, recomputed on exit with float64 accumulation.
    threshold : float or ndarray, shape (k,)
        What ``residual`` had to meet: ``max(atol, rtol ||b||)``.
    n_matvec : int
        Products with ``A``, those of the verification included.
    seconds : float
        Wall time of the solve.
    backend : str
        ``"cpu"`` or ``"gpu"``.
    method : str
        The name of the function that made it.
    choice : str, tuple of str, or None
        Which of its ways a function with several took, that is its ``method`` with "auto" decided; None from others.
    """

    # One right-hand side is the common case, whose types are given; several make arrays of them, hence Any.
    def __init__(
        self,
        *,
        status: "Status | Any",
        iterations: "int | Any",
        residuals: "NDArray[Any]",
        residual: "float | Any",
        threshold: "float | Any",
        n_matvec: int,
        seconds: float,
        backend: str,
        method: str,
        choice: "str | Any" = None,
    ) -> None:
        self.status = status
        self.iterations: int | Any = _number(iterations)
        self.residuals = residuals
        self.residual: float | Any = _number(residual)
        self.threshold: float | Any = _number(threshold)
        self.n_matvec = n_matvec
        self.seconds = seconds
        self.backend = backend
        self.method = method
        self.choice = choice

    @property
    def converged(self) -> bool:
        """True if the tolerance was met, for every right-hand side."""
        return all(s is Status.CONVERGED for s in self._statuses)

    @property
    def message(self) -> str:
        """One line: how it ended, with what residual, and what to do about it."""
        worst = self._worst
        if worst is None:
            return f"{self!r}: {Status.CONVERGED.sentence}"
        status, residual, threshold = self._statuses[worst], *(
            np.ravel(v)[worst] for v in (self.residual, self.threshold)
        )
        column = f" (column {worst})" if isinstance(self.status, tuple) else ""
        return f"{self.method} {status}{column}: residual {residual:.1e}, asked for {threshold:.1e}. {status.sentence}"

    def check(self) -> Self:
        """Return self if converged.

        Raises
        ------
        ConvergenceError
            Otherwise; it carries this object as ``.result``.
        """
        if not self.converged:
            raise ConvergenceError(self.message, self)
        return self

    def plot(self, ax: Any = None) -> Any:
        """Draw the convergence curve with matplotlib and return the axes.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to draw; a new figure by default.
        """
        ax = axes_or_new(ax)
        norms = np.where(self.residuals > 0, self.residuals, np.nan)
        ax.semilogy(norms, label=self.method if norms.ndim == 1 else None)
        ax.axhline(np.min(self.threshold, initial=np.inf) or np.nan, color="0.6", linestyle="--", linewidth=1)
        ax.set(xlabel="iteration", ylabel="residual norm", title=repr(self))
        return ax

    def to_dict(self) -> dict[str, Any]:
        """Everything but the solution, as plain numbers, lists and strings: ready for ``json.dumps``."""
        return {name: _plain(value) for name, value in self.__dict__.items() if name not in self._not_in_dict} | {
            "converged": self.converged,
            "message": self.message,
        }

    _not_in_dict: frozenset[str] = frozenset()
    # Where the answer is, for those who take the result itself for it.
    _answer = "x"

    def __iter__(self) -> Any:
        name = type(self).__name__
        raise UnsupportedType(f"This {name} is no pair (x, info); take its .{self._answer} and .converged.")

    def __array__(self, dtype: Any = None, copy: "bool | None" = None) -> Any:
        # Without this NumPy would make an array of one object of it, or look for numbers in SciPy's pair.
        raise UnsupportedType(f"This {type(self).__name__} is not an array; take its .{self._answer}.")

    @property
    def _statuses(self):
        return self.status if isinstance(self.status, tuple) else (self.status,)

    @property
    def _worst(self):
        """The index of the failed column with the most severe code (a breakdown before a limit), or None."""
        failed = [(s.info(1), i) for i, s in enumerate(self._statuses) if s is not Status.CONVERGED]
        return min(failed)[1] if failed else None

    def __repr__(self):
        products = f"{self.n_matvec} matvec{'' if self.n_matvec == 1 else 's'}"
        place = self.backend if self.choice is None else f"{self.backend}, {self.choice}"
        if isinstance(self.status, tuple):
            done = sum(s is Status.CONVERGED for s in self.status)
            most = max(map(int, self.iterations), default=0)
            return (
                f"Result({done} of {len(self.status)} converged in at most {_iterations(most)}, "
                f"residual <= {np.max(self.residual, initial=0.0):.1e}, {products}, {place})"
            )
        verb = "in" if self.status is Status.CONVERGED else "after"
        return (
            f"Result({self.status} {verb} {_iterations(self.iterations)}, residual {self.residual:.1e}, "
            f"{products}, {place})"
        )


def _number(value):
    """Python's number for NumPy's scalar; arrays stay."""
    return value.item() if isinstance(value, np.generic) else value


def _iterations(count):
    return f"{count} iteration{'' if count == 1 else 's'}"


def _plain(value):
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Status):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(v) for v in value]
    # JSON has no infinity.
    return None if isinstance(value, float) and not math.isfinite(value) else value
