"""Tensors (n_1, ..., n_d): products along their axes, and tensors of rank one."""

import math

import numpy as np

__all__ = ["along", "mode_products", "outer", "outer_sum"]


def mode_products(As, X):
    """The array X (n_1, ..., n_d) multiplied by A_i (m_i, n_i) along each axis i: shape (m_1, ..., m_d).

    Axes that shrink come first, which takes the fewest operations.
    """
    for axis in sorted(range(len(As)), key=lambda i: As[i].shape[0] / max(As[i].shape[1], 1)):
        X = along(As[axis], X, axis)
    return X


def along(A, X, axis):
    """One product along one axis, by matrix products on views."""
    before, n, after = math.prod(X.shape[:axis]), X.shape[axis], math.prod(X.shape[axis + 1 :])
    shape = (*X.shape[:axis], A.shape[0], *X.shape[axis + 1 :])
    if after == 1:
        return (X.reshape(before, n) @ A.T).reshape(shape)
    return (A @ X.reshape((before, n, after) if before > 1 else (n, after))).reshape(shape)


def outer(vectors):
    """The outer product of some vectors."""
    out = vectors[0]
    for v in vectors[1:]:
        out = np.multiply.outer(out, v)
    return out


def outer_sum(vectors):
    """v_1[i] + v_2[j] + ..., shape (k_1, ..., k_d)."""
    out = vectors[0]
    for v in vectors[1:]:
        out = np.add.outer(out, v)
    return out
