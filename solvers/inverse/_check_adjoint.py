"""The dot test: whether ``A.H`` is the adjoint of ``A``."""

import numpy as np

from .. import _backend, _checks
from .._errors import InvalidInput
from .._place import at
from .._types import MatrixLike, Seed
from ._operator import applied
from ._wrapped import as_imaging_operator

__all__ = ["check_adjoint"]


def check_adjoint(A: MatrixLike, *, rng: Seed | None = None, n_trials: int = 3, tol: float | None = None) -> float:
    """Compare ``<A x, y>`` with ``<x, A^H y>`` for random x and y.

    Parameters
    ----------
    A : matrix, LinearOperator, or an object with matvec, rmatvec and shape
    rng : None, int or numpy.random.Generator
    n_trials : int, default 3
        Pairs of x and y, of normal numbers, complex for a complex operator.
    tol : float, optional
        The largest error that passes; by default eps**(2/3) of A's precision: 3.7e-11, in single precision 2.4e-5.

    Returns
    -------
    float
        The largest ``|<A x, y> - <x, A^H y>| / (||A x|| ||y||)``. An operator with its true adjoint leaves a small
        multiple of eps.

    Raises
    ------
    InvalidInput
        If it is above ``tol``, or a product is not finite.

    Notes
    -----
    Least squares, conjugate gradients and everything that rests on them need the true adjoint. The back-projection of
    many toolboxes is none: scaled, filtered, or interpolated otherwise than the projection.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> inverse.check_adjoint(np.array([[1.0, 2.0], [3.0, 4.0]]), rng=0) < 1e-14
    True
    """
    n_trials, rng = _checks.count("n_trials", n_trials), _checks.generator(rng)
    backend = _backend.pick(A=A)
    A = as_imaging_operator(A)
    tol = np.finfo(A.dtype).eps ** (2 / 3) if tol is None else _checks.tolerance("tol", tol)
    kernels, worst, ratio = _backend.kernels(backend), 0.0, 1.0
    with at(backend, A):
        for _ in range(n_trials):
            x, y = (_normal(rng, (1, *shape), A.dtype) for shape in (A.image_shape, A.data_shape))
            Ax, Ay = (
                kernels.to_host(applied(A, apply, kernels.to_device(values, A.dtype)))
                for apply, values in ((A.forward_stack, x), (A.adjoint_stack, y))
            )
            left, right = _inner(y, Ax), _inner(Ay, x)
            sizes = _norm(Ax) * _norm(y), _norm(Ay) * _norm(x)
            if not np.isfinite(sizes).all():
                raise InvalidInput("`A` must have finite products, got a NaN or an infinity from normal numbers.")
            error = float(abs(left - right) / max(sizes)) if max(sizes) > 0 else 0.0
            if error > worst:
                worst, ratio = error, complex(right / left) if left else np.inf
    if worst > tol:
        raise InvalidInput(
            f"`A` must have its true adjoint: <A x, y> and <x, A^H y> differ by {worst:.1e} ||A x|| ||y||, above "
            f"{tol:.1e} (their ratio is {_shown(ratio)}); correct its rmatvec."
        )
    return worst


def _normal(rng, shape, dtype):
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if dtype.kind == "c" else values).astype(dtype)


def _inner(y, x):
    """<x, y> in double precision."""
    return np.vdot(y.astype(np.result_type(y, float)), x.astype(np.result_type(x, float)))


def _norm(x):
    return np.sqrt(_inner(x, x).real)


def _shown(ratio):
    ratio = complex(ratio)
    return f"{ratio.real:.4g}" if ratio.imag == 0 else f"{ratio:.4g}"
