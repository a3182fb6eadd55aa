"""Kronecker products A_1 x ... x A_d that are never formed: one product along each axis."""

import numpy as np

from .. import _checks
from .._errors import InvalidInput

__all__ = ["kron_matvec", "mode_products"]


def mode_products(As, X):
    """The array X (n_1, ..., n_d) multiplied by A_i (m_i, n_i) along each axis i: shape (m_1, ..., m_d).

    Axes that shrink come first, which takes the fewest operations.
    """
    for axis in sorted(range(len(As)), key=lambda i: As[i].shape[0] / max(As[i].shape[1], 1)):
        X = _along(As[axis], X, axis)
    return X


def _along(A, X, axis):
    """One product along one axis, by matrix products on views."""
    before, n, after = _sizes(X.shape, axis)
    shape = (*X.shape[:axis], A.shape[0], *X.shape[axis + 1 :])
    if after == 1:
        return (X.reshape(before, n) @ A.T).reshape(shape)
    return (A @ X.reshape(before, n, after)).reshape(shape) if before > 1 else (A @ X.reshape(n, after)).reshape(shape)


def _sizes(shape, axis):
    return int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :]))


def kron_matvec(As, x):
    """Multiply by A_1 x A_2 x ... x A_d without forming it.

    Parameters
    ----------
    As : sequence of array_like, shapes (m_i, n_i)
    x : array_like, shape (n_1, ..., n_d), (N,) or (N, k) with N = n_1 ... n_d

    Returns
    -------
    ndarray, shape (m_1, ..., m_d), (M,) or (M, k)
        In the shape that x came in.

    Raises
    ------
    InvalidInput
        If the shapes do not fit.

    Notes
    -----
    2 N sum(n_i) operations for square factors, where the explicit product takes 2 N^2.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(3)
    >>> x = np.arange(6.0)
    >>> np.allclose(linalg.kron_matvec([A, B], x), np.kron(A, B) @ x)
    True
    """
    As = [_checks.real_array(f"As[{i}]", A) for i, A in enumerate(As)]
    if not As or any(A.ndim != 2 for A in As):
        raise InvalidInput("`As` must be a sequence of matrices, at least one.")
    x = _checks.real_array("x", x)
    sizes = tuple(A.shape[1] for A in As)
    N = int(np.prod(sizes))
    if x.shape == sizes:
        return mode_products(As, x)
    if x.ndim not in (1, 2) or x.shape[0] != N:
        raise InvalidInput(f"`x` must have shape {sizes}, ({N},) or ({N}, k) to go with `As`, got {x.shape}.")
    X = x.reshape(*sizes, -1)
    out = mode_products([*As, np.eye(X.shape[-1])] if X.shape[-1] != 1 else As, X if X.shape[-1] != 1 else X[..., 0])
    return out.reshape((-1, *x.shape[1:]))
