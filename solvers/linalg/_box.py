"""The inverse of a constant-coefficient diffusion operator on a box, by fast cosine and sine transforms.

On cells of a box, sum over axes k of weights[k] (2 u_i - u_{i - e_k} - u_{i + e_k}) has eigenvectors that are products
of cosines or sines, one an axis; which ones depends on the two sides of the axis (Strang, The discrete cosine
transform, SIAM Review 41 (1999) 135-147, https://doi.org/10.1137/S0036144598336745):

    sides                           transform    eigenvalue k = 0, 1, ..., n - 1
    neumann, neumann                DCT-II       2 - 2 cos(pi k / n)
    dirichlet, dirichlet            DST-II       2 - 2 cos(pi (k + 1) / n)
    neumann, dirichlet              DCT-IV       2 - 2 cos(pi (k + 1/2) / n)
    dirichlet, neumann              DST-IV       2 - 2 cos(pi (k + 1/2) / n)
    beyond, beyond                  DST-I        2 - 2 cos(pi (k + 1) / (n + 1))

As a preconditioner it serves problems on a part of the box, with solids in it: the transforms do not see these, and
conjugate gradients mend what is wrong next to them.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._errors import InvalidInput, UnsupportedType
from ._products import Preconditioner

__all__ = ["BoxPoisson", "box_poisson"]

# (low side, high side): the function and the type of the transform; eigenvalue k is 2 - 2 cos(pi (k + a) / (n + c)).
_TRANSFORMS = {
    ("neumann", "neumann"): ("dct", 2, 0.0, 0),
    ("dirichlet", "dirichlet"): ("dst", 2, 1.0, 0),
    ("neumann", "dirichlet"): ("dct", 4, 0.5, 0),
    ("dirichlet", "neumann"): ("dst", 4, 0.5, 0),
    ("beyond", "beyond"): ("dst", 1, 1.0, 1),
}
_LEAST = 1e-300
_SIDES = ("neumann", "dirichlet", "beyond")


class BoxPoisson(Preconditioner):
    """What ``box_poisson`` returns.

    Attributes
    ----------
    grid : tuple of int
    sides : tuple of (str, str)
        The low and the high side of each axis.
    weights : tuple of float
    shift : float
    singular : bool
        Whether the operator on the box maps constants to zero.
    """

    def __init__(self, grid, sides, weights, shift: float, mask) -> None:
        n = math.prod(grid)
        super().__init__(np.dtype(np.float64), (n, n))
        self.grid, self.sides, self.weights, self.shift = grid, sides, weights, shift
        self._transforms = [_TRANSFORMS[pair] for pair in sides]
        self._mask = mask
        values = self._eigenvalues()
        self.singular = bool(values.flat[0] <= 0.0)
        if self.singular:  # any positive number makes the inverse definite; the next eigenvalue lies nearest
            values.flat[0] = values.flat[1:].min() if n > 1 else 1.0
        self._inverses = {"d": 1 / values}
        # A masked cell is a row of the identity, scaled like the others: M r there is r times this.
        self._masked_scale = 1.0 / (2 * sum(weights) + shift)

    def _eigenvalues(self):
        values = np.full(self.grid, self.shift)
        for axis, (n, weight, (_, _, a, c)) in enumerate(zip(self.grid, self.weights, self._transforms)):
            line = 4 * weight * np.sin(0.5 * np.pi * (np.arange(n) + a) / (n + c)) ** 2
            values += line.reshape([-1 if k == axis else 1 for k in range(len(self.grid))])
        return values

    def on_backend(self, r: Any, backend: str) -> Any:
        """The product with a vector; transforms run on the host."""
        if backend != "cpu":
            raise UnsupportedType("`M` must not be a box_poisson on the GPU, whose transforms are SciPy's; use amg.")
        key = np.finfo(r.dtype).dtype.char
        if key not in self._inverses:
            self._inverses[key] = self._inverses["d"].astype(key)
        z = r.reshape(self.grid) if self._mask is None else np.where(self._mask, r.reshape(self.grid), 0)
        workers = _backend.get_threads()
        for axis, (name, kind, _, _) in enumerate(self._transforms):
            z = getattr(scipy.fft, name)(z, kind, axis=axis, norm="ortho", workers=workers)
        z *= self._inverses[key]
        for axis, (name, kind, _, _) in enumerate(self._transforms):
            z = getattr(scipy.fft, "i" + name)(z, kind, axis=axis, norm="ortho", workers=workers, overwrite_x=True)
        if self._mask is not None:
            z = np.where(self._mask, z, r.dtype.type(self._masked_scale) * r.reshape(self.grid))
        return z.reshape(-1)

    def _dtype_of_products(self, x):
        return np.result_type(np.float32 if x.dtype.char in "fF" else np.float64, x.dtype)

    def __repr__(self):
        sides = ", ".join(low if low == high else f"{low}-{high}" for low, high in self.sides)
        return f"<inverse of diffusion on a box, {' x '.join(map(str, self.grid))}, {sides}>"


def box_poisson(
    grid: Sequence[int],
    *,
    sides: str | Sequence[str | tuple[str, str]] = "dirichlet",
    weights: ArrayLike = 1.0,
    shift: float = 0.0,
    mask: ArrayLike | None = None,
) -> BoxPoisson:
    """Make the inverse of a constant-coefficient diffusion operator on the cells of a box.

    z = B^-1 r with (B u)_i = shift u_i + sum over axes k of weights[k] (2 u_i - u_{i - e_k} - u_{i + e_k}).

    Parameters
    ----------
    grid : sequence of int, length 1 to 3
        The cells along each axis; unknowns are numbered in C order (last axis fastest), n = prod(grid).
    sides : str, or sequence of str or (str, str), one an axis, default "dirichlet"
        What holds at the low and the high side: "neumann", no flow through it; "dirichlet", the value 0 on it, half a
        cell from the centres; "beyond", the value 0 one whole step from the last unknowns, as in ``stencil``, which
        both sides of an axis have or none. One string is for all sides, one for an axis is for both of its sides.
    weights : float, or array_like of shape (len(grid),), default 1
        The coefficients along the axes, > 0: diffusivity / (length of a cell)^2.
    shift : float >= 0, default 0
    mask : array_like of bool, shape grid or (n,), optional
        True where a cell takes part. At the others, such as those of a solid, the matrix has a row of the identity, and
        M hides them from the transforms: without, it takes dozens of times the iterations (1,068 for 17 on 256^2
        cells).

    Returns
    -------
    BoxPoisson
        A symmetric positive definite LinearOperator of shape (n, n), the direct solution where the matrix is B, and
        ``M=`` for conjugate gradients where it is nearly so: solids, mildly varying coefficients. Where B is singular
        (no flow through any side, no shift) the constant is multiplied by a positive number.

    Raises
    ------
    InvalidInput
        If a size, side, weight or mask is not as above.

    Notes
    -----
    A product costs two fast transforms an axis, O(n log n), on as many threads as ``set_threads`` allows, and two
    vectors of memory; the eigenvalues take one more. Sizes with large prime factors are slower. On the CPU only.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A, b = linalg.stencil((50, 50), [4, -1, -1]), np.ones(2500)
    >>> M = linalg.box_poisson((50, 50), sides="beyond")
    >>> bool(np.allclose(A @ (M @ b), b))
    True
    >>> linalg.cg(A, b, M=linalg.box_poisson((50, 50), sides="dirichlet")).iterations
    6
    """
    if not isinstance(grid, tuple | list) or not 1 <= len(grid) <= 3:
        raise InvalidInput(f"`grid` must be a sequence of 1 to 3 sizes, got {_checks.brief(grid)}.")
    grid = tuple(_checks.count("grid", size) for size in grid)
    _checks.room("grid", grid, 24 * math.prod(grid))
    weights = _checks.finite("weights", _checks.array("weights", weights))
    if weights.dtype.kind == "c" or np.any(weights <= 0):
        raise InvalidInput(f"`weights` must be > 0, got {weights.tolist()!r}; for no flow along an axis drop it.")
    _checks.shape_is("weights", weights, [(), (len(grid),)], "(one number, or one an axis)")
    if weights.min() < _LEAST:
        raise InvalidInput(f"`weights` must be >= {_LEAST:g}, whose inverse is a number, got {weights.min():g}.")
    shift = _checks.number("shift", shift, 0.0)
    if shift == math.inf:
        raise InvalidInput("`shift` must be finite, got inf.")
    weights = tuple(np.broadcast_to(weights, len(grid)).astype(float).tolist())
    return BoxPoisson(grid, _pairs(sides, len(grid)), weights, shift, _cells(mask, grid))


def _pairs(sides, axes):
    """(low, high) for each axis."""
    each = [sides] * axes if isinstance(sides, str) else sides
    if not isinstance(each, tuple | list) or len(each) != axes:
        got = _checks.brief(sides)
        raise InvalidInput(f"`sides` must be a word, or {axes} words or pairs, one an axis, got {got}.")
    if not all(isinstance(pair, str | tuple | list) for pair in each):
        raise InvalidInput(f"`sides` must be words or pairs of words, got {_checks.brief(sides)}.")
    pairs = tuple((pair, pair) if isinstance(pair, str) else tuple(pair) for pair in each)
    for pair in pairs:
        for side in pair:
            _checks.choice("sides", side, _SIDES)
        if pair not in _TRANSFORMS:
            raise InvalidInput(f"`sides` must have 'beyond' on both sides of an axis or on none, got {pair!r}.")
    return pairs


def _cells(mask, grid):
    if mask is None:
        return None
    try:
        mask = np.asarray(mask)
    except (ValueError, TypeError):
        raise _checks.wrong_kind("mask", "an array of bool", mask) from None
    if mask.dtype != bool:
        raise UnsupportedType(f"`mask` must be an array of bool, got dtype {mask.dtype}; use mask.astype(bool).")
    _checks.shape_is("mask", mask, [grid, (math.prod(grid),)], "(the grid's, or one entry a cell)")
    return mask.reshape(grid).copy()
