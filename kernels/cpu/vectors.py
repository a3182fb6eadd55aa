"""Inner products and updates of vectors, each one pass over memory."""

from functools import partial

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import FLAGS, jit, strict
from ._team import BLOCK, block_count, even_shares, launch, total

__all__ = [
    "axpy",
    "difference",
    "form",
    "gather",
    "inner",
    "largest",
    "multiply",
    "narrow",
    "quotient",
    "reciprocal",
    "scale",
    "scatter",
    "square",
    "step_direction",
    "step_iterate",
]


def narrow(x, value):
    """The real number ``value`` in the precision of x, so that a loop over float32 stays in float32."""
    raise NotImplementedError("called from compiled code only")


@overload(narrow, jit_options=FLAGS)
def _narrow(x, value):
    if x.dtype in (types.float32, types.complex64):
        return lambda x, value: np.float32(value)
    return lambda x, value: value


def form(p, q):
    """p^H q as (real part, imaginary part, sum of the terms' magnitudes), in float64.

    The last two tell a Hermitian form from another one; they are zero where the vectors are real.
    """
    raise NotImplementedError("called from compiled code only")


@overload(form, jit_options=FLAGS)
def _form(p, q):
    if isinstance(p.dtype, types.Complex):

        def complex_form(p, q):
            re, im, size = 0.0, 0.0, 0.0
            for i in range(p.size):
                a, b = p[i], q[i]
                u = np.float64(a.real) * b.real + np.float64(a.imag) * b.imag
                v = np.float64(a.real) * b.imag - np.float64(a.imag) * b.real
                re += u
                im += v
                size += abs(u) + abs(v)
            return re, im, size

        return complex_form

    def real_form(p, q):
        s = 0.0
        for i in range(p.size):
            s += np.float64(p[i]) * q[i]
        return s, 0.0, 0.0

    return real_form


@strict
def quotient(a, b):
    """a / b, rounded before it is used: the product a c of (a / b) c may be out of range."""
    return a / b


@jit
def square(value):
    """|value|^2 in float64."""
    return np.float64(value.real) * value.real + np.float64(value.imag) * value.imag


@jit
def axpy(alpha, x, y):
    """y += alpha x, where alpha is a scalar of the arrays' dtype and x, y have shape (n,)."""
    for i in range(y.size):
        y[i] += alpha * x[i]


def scale(alpha, x, y):
    """y = alpha x, where alpha is a scalar of the arrays' dtype; x and y have shape (n,) and may be one array."""
    np.multiply(x, alpha, out=y)


def multiply(d, x, y):
    """y = d x entry by entry, d real; d, x, y have shape (n,)."""
    np.multiply(d, x, out=y)


def gather(x, order, y):
    """y = x[order]; x has shape (n,), y that of order, which holds integers below n."""
    np.take(x, order, out=y, mode="clip")


def scatter(x, order, y):
    """y[order] = x; x and y have shape (n,), order is a permutation."""
    y[order] = x


def reciprocal(x, y):
    """y = 1 / x entry by entry; x and y have shape (n,)."""
    np.divide(x.dtype.type(1), x, out=y)


def difference(b, y, r):
    """r = b - y, formed in float64 (complex128), rounded once; returns the norm before that rounding.

    Parameters
    ----------
    b, r : ndarray, shape (n,)
    y : ndarray, shape (n,)
        In the dtype of r, or in float64 (complex128).
    """
    wide = np.result_type(r.dtype, np.float64)
    exact = np.subtract(b, y, dtype=wide)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        r[:] = exact
    return float(np.sqrt(inner(exact, exact).real))


def largest(v):
    """The largest magnitude of an entry: 0 where there is none, NaN where one is NaN."""
    return float(np.abs(v).max(initial=0.0))


def inner(p, q):
    """p^H q, accumulated in float64; a float where the vectors are real, else complex.

    Parameters
    ----------
    p, q : ndarray, shape (n,)
    """
    if p.size < _SHORT:
        re, im = _inner_alone(p, q)
    else:
        blocks = block_count(p.size)
        parts = np.empty((2, blocks))
        launch(_inner, 2 * p.size, blocks, partial(even_shares, blocks), p, q, parts)
        re, im = total(parts[0]), total(parts[1])
    return complex(re, im) if p.dtype.kind == "c" else re


# Entries: a shorter inner product is over before a team has gathered.
_SHORT = 100_000


@strict
def _inner_alone(p, q):
    """The sum over blocks in the team's order: the same bits."""
    re, im = 0.0, 0.0
    for lo in range(0, p.size, BLOCK):
        hi = min(lo + BLOCK, p.size)
        a, b, _ = form(p[lo:hi], q[lo:hi])
        re += a
        im += b
    return re, im


@jit
def _inner(p, q, parts, flags, share, member, team):
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        hi = min(lo + BLOCK, p.size)
        parts[0, block], parts[1, block], _ = form(p[lo:hi], q[lo:hi])


def step_iterate(alpha, p, q, x, r):
    """x += alpha p and r -= alpha q; returns ||r||.

    Parameters
    ----------
    alpha : float
    p, q, x, r : ndarray, shape (n,)
    """
    return _step_iterate(alpha, p, q, x, r)


def step_direction(z, beta, p):
    """p = z + beta p.

    Parameters
    ----------
    z, p : ndarray, shape (n,)
    beta : float
    """
    _step_direction(z, beta, p)


@jit
def _step_iterate(alpha, p, q, x, r):
    a = narrow(x, alpha)
    s = 0.0
    for i in range(x.size):
        x[i] += a * p[i]
        r[i] -= a * q[i]
        s += square(r[i])
    return np.sqrt(s)


@jit
def _step_direction(z, beta, p):
    b = narrow(p, beta)
    for i in range(p.size):
        p[i] = z[i] + b * p[i]
