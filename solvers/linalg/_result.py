"""linalg's result: SciPy's tuple, with everything else beside it."""

from collections.abc import Iterator
from typing import Any, Self

from numpy.typing import NDArray

from .._result import Result, Status

__all__ = ["LeastSquaresResult", "LinearResult"]


class LinearResult(Result, tuple[NDArray[Any], int]):
    """``x, info``, as SciPy returns, with the attributes of ``solvers.Result``.

    Attributes
    ----------
    x : ndarray, shape (n,) or (n, k)
    info : int
        0 if converged; the number of iterations for a limit; -10 breakdown, -11 indefinite or not
        Hermitian, -12 not finite, -13 inconsistent, -14 diverged. For several right-hand sides, that of the worst.
    reason, tried : str, list of (str, Status)
        From ``solve``: why it made its ``choice``, and what failed before. None from others, but ``dcdm``, whose
        ``reason`` says why conjugate gradients took over.
    """

    reason: str | None = None
    tried: list[tuple[str, Status]] | None = None

    def __new__(cls, values: tuple[Any, ...], **fields: Any) -> Self:
        return tuple.__new__(cls, values)

    def __init__(self, values: tuple[Any, ...], **fields: Any) -> None:
        Result.__init__(self, **fields)

    def __iter__(self) -> Iterator[Any]:
        return tuple.__iter__(self)

    @property
    def x(self) -> NDArray[Any]:
        """The solution; where the solve failed, the best iterate at hand."""
        return self[0]

    @property
    def info(self) -> int:
        """SciPy's integer."""
        return self[1]

    @property
    def message(self) -> str:
        """One line: how it ended, with what residual, and what to do about it; from ``solve``, also by what and why."""
        return super().message + (f" {self.reason}" if self.choice is not None and self.reason else "")

    def __reduce__(self):
        return _rebuild, (tuple(self), self.__dict__)


class LeastSquaresResult(Result, tuple[Any, ...]):
    """The ten that SciPy's ``lsqr`` returns or the eight of its ``lsmr``, with the attributes of ``solvers.Result``.

    Attributes
    ----------
    x : ndarray, shape (n,) or (n, k)
    istop : int or ndarray of int, shape (k,)
        0: x0 is a solution. 1: ``A x = b`` is solved. 2: the least-squares problem is. 3: the condition of A reached
        ``conlim``. 4, 5, 6: as 1, 2, 3, as far as the precision goes. 7: neither.
    """

    def __new__(cls, values: tuple[Any, ...], **fields: Any) -> Self:
        return tuple.__new__(cls, values)

    def __init__(self, values: tuple[Any, ...], **fields: Any) -> None:
        Result.__init__(self, **fields)

    def __iter__(self) -> Iterator[Any]:
        return tuple.__iter__(self)

    @property
    def x(self) -> NDArray[Any]:
        """The solution; where the solve failed, the last finite iterate."""
        return self[0]

    @property
    def istop(self) -> "int | Any":
        """SciPy's integer."""
        return self[1]

    def __reduce__(self):
        return _rebuild, (tuple(self), self.__dict__, type(self))


def _rebuild(values, fields, kind=LinearResult):
    result = tuple.__new__(kind, values)
    result.__dict__.update(fields)
    return result
