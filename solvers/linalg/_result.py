"""linalg's result: SciPy's tuple, with everything else beside it."""

from .._result import Result

__all__ = ["LinearResult"]


class LinearResult(Result, tuple):
    """``x, info``, as SciPy returns, with the attributes of ``solvers.Result``.

    Attributes
    ----------
    x : ndarray, shape (n,) or (n, k)
    info : int
        0 if converged; the number of iterations for a limit; -10 breakdown, -11 indefinite or not
        Hermitian, -12 not finite, -13 inconsistent, -14 diverged. For several right-hand sides, that of the worst.
    """

    def __new__(cls, values, **fields):
        return tuple.__new__(cls, values)

    def __init__(self, values, **fields):
        Result.__init__(self, **fields)

    @property
    def x(self):
        """The solution; where the solve failed, the best iterate at hand."""
        return self[0]

    @property
    def info(self):
        """SciPy's integer."""
        return self[1]

    def __reduce__(self):
        return _rebuild, (tuple(self), self.__dict__)



def _rebuild(values, fields):
    result = tuple.__new__(LinearResult, values)
    result.__dict__.update(fields)
    return result
