"""The contract of an iterative linear solver, as a checker that anyone can run on a function of their own.

``check_method(fn)`` calls ``fn(A, b, ...)`` on a list of small cases and raises an AssertionError that names
the first clause it breaks. The library's own methods are held to it in ``tests/contracts``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from . import _clauses
from ._systems import DTYPES, FORMS

__all__ = ["CLAUSES", "Method", "check_method"]


@dataclass(frozen=True)
class Method:
    """A solver and what it may be asked.

    Attributes
    ----------
    solve : callable (A, b, x0=None, *, rtol, atol, maxiter, callback) -> result, or (x, info)
        ``callback(xk)`` is called after each iteration; ``maxiter`` counts these.
    definite : bool
        Whether A must be Hermitian positive definite.
    hermitian : bool
        Whether A must be Hermitian.
    atol : bool
        Whether it takes ``atol``.
    forms : sequence of str
        Those of ``FORMS`` that it takes.
    results : bool
        Whether it answers with a ``linalg.LinearResult``, or something with the same attributes. False for the plain
        pair ``(x, info)``, which is held to what a pair can show: 0 is success, all else is not.
    restarted : bool
        Whether ``maxiter`` counts restarts and ``callback_type="x"`` asks for the iterate, as for ``gmres``.

    Examples
    --------
    >>> from solvers import linalg, testing
    >>> testing.Method(linalg.cg, definite=True, hermitian=True).name
    'cg'
    """

    solve: Callable[..., Any]
    definite: bool = False
    hermitian: bool = False
    atol: bool = True
    forms: Sequence[str] = FORMS
    results: bool = True
    restarted: bool = False

    @property
    def name(self) -> str:
        return getattr(self.solve, "__name__", type(self.solve).__name__)

    def __call__(self, A: Any, b: NDArray[Any], x0: NDArray[Any] | None = None, **options: Any) -> Any:
        """The answer, as something with ``x``, ``info`` and ``converged`` if it is a pair."""
        answer = self.solve(A, b, x0, **options)
        if not self.results:
            return _Pair(*answer)
        missing = [name for name in ("x", "info", "converged", "status") if not hasattr(answer, name)]
        assert not missing, (
            f"it returned a {type(answer).__name__} without {', '.join(missing)}: return a linalg.LinearResult, or say "
            "testing.Method(..., results=False) of a function that returns (x, info)."
        )
        return answer


class _Pair(NamedTuple):
    """SciPy's answer, with the names of ours."""

    x: NDArray[Any]
    info: int

    @property
    def converged(self):
        return self.info == 0


#: The demands on (method, dtype, form).
CLAUSES: tuple[Callable[[Method, str, str], None], ...] = _clauses.CLAUSES


def check_method(
    method: Method | Callable[..., Any],
    dtypes: Sequence[str] = DTYPES,
    forms: Sequence[str] = FORMS,
    clauses: Sequence[Callable[[Method, str, str], None]] = CLAUSES,
) -> None:
    """Hold a solver to every clause of the contract, on systems of twelve unknowns.

    Success means that the recomputed residual meets the tolerance, arrays of the caller are left alone, a NaN is named,
    the limit is obeyed, a callback gets copies, and so on: each clause is a function of ``testing.CLAUSES``, whose
    docstring is the demand.

    Parameters
    ----------
    method : Method or callable
        A callable is taken as a method for general matrices that answers with a result; ``Method`` says if it needs a
        Hermitian or a definite one, takes no operators, has no ``atol``, or returns SciPy's pair.
    dtypes : sequence of str
        Of the systems; all of ``testing.DTYPES`` by default.
    forms : sequence of str
        Of the matrices, of those that the method takes: "dense", "csr", and "operator", which hides the entries.
    clauses : sequence of callable
        Some of ``testing.CLAUSES``; all by default.

    Returns
    -------
    None
        A method that passes causes no sound.

    Raises
    ------
    AssertionError
        Names the method, the clause, the dtype and the form of the first case that fails, the demand, and what was
        seen instead. An exception of the method itself is its cause.

    Examples
    --------
    A function that always says success, and what the contract finds first:

    >>> import numpy as np
    >>> from solvers import testing
    >>> def richardson(A, b, x0=None, *, rtol=1e-5, atol=0.0, maxiter=500, callback=None):
    ...     b = b.ravel()
    ...     x = np.zeros_like(b) if x0 is None else x0.copy()
    ...     for _ in range(maxiter):
    ...         x += (0.1 * (b - A @ x)).astype(x.dtype)
    ...     return x, 0
    >>> method = testing.Method(richardson, definite=True, hermitian=True, results=False)
    >>> testing.check_method(method, dtypes=["float64"], clauses=testing.CLAUSES[:3])
    >>> try:
    ...     testing.check_method(method, dtypes=["float64"], forms=["csr"])
    ... except AssertionError as error:
    ...     print(str(error).partition(": ")[0])
    richardson breaks `zero_right_hand_side_gives_a_fresh_zero` (float64, csr)
    """
    method = method if isinstance(method, Method) else Method(method)
    for clause in clauses:
        for dtype in dtypes:
            for form in (each for each in forms if each in method.forms):
                try:
                    clause(method, dtype, form)
                except Exception as error:
                    demand = (clause.__doc__ or "").strip().rstrip(".")
                    seen = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
                    raise AssertionError(
                        f"{method.name} breaks `{clause.__name__}` ({dtype}, {form}): {demand}. Seen: {seen}"
                    ) from error
