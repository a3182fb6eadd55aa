"""Directions on the unit sphere: independent ones, and sets that spread evenly and are rotated at random.

"orthogonal": the first rows of Haar matrices (QR of Gaussians, the diagonal of R made positive: Mezzadri 2007).
"spiral" (d = 3): z_i = 1 - (2 i - 1) / k, azimuth 1.8 sqrt(k) arccos z_i (Nguyen, Bariletto & Ho 2024), "lattice"
(d = 2): equal angles on the half circle, each rotated by a Haar matrix. "sobol": Sobol points under a random digital
shift, through normal quantiles. Every direction is uniform on the sphere, so that means over them are unbiased.

Blocks are drawn from streams of their own, spawned from one seed: what is drawn does not depend on how much is drawn,
nor on threads. So iid directions, and whole orthogonal bases, are nested in their number.
"""

import math

import numpy as np

from .. import _checks
from .._errors import InvalidInput
from ._measures import real

__all__ = ["Directions", "OwnDirections", "ROTATIONS", "own_directions", "root_of"]

#: Rotations that an error bar needs.
ROTATIONS = 8
# Directions that one stream draws, or whole sets of them; and rows handed out together.
_STREAM, _BATCH = 64, 4096
# Bits of SciPy's Sobol points.
_BITS = 30


class Directions:
    """``rotations`` sets of ``size`` directions each; sets are independent of each other.

    Parameters
    ----------
    kind : {"iid", "orthogonal", "spiral", "lattice", "sobol"}
    d : int
    number : int
        At most so many; what does not fill a set is left out.
    root : numpy.random.SeedSequence
    """

    def __init__(self, kind, d, number, root):
        self.kind, self.d, self._root = kind, d, root
        if kind == "iid":
            self.size, self.rotations = 1, number
        else:
            if number < 2 * ROTATIONS:
                raise InvalidInput(
                    f"`n_projections` must be >= {2 * ROTATIONS} for directions={kind!r}, since an error bar takes "
                    f"{ROTATIONS} independent rotations, got {number}; use more, or directions='iid'."
                )
            self.size, self.rotations = _sets(kind, d, number)
        self._base = _BASES[kind](self.size, d) if kind in _BASES else None
        self._per_stream = 1 if kind in _BASES else max(1, _STREAM // self.size)

    @property
    def number(self):
        """How many directions there are."""
        return self.size * self.rotations

    def extends(self, other):
        """Whether the first directions are those of ``other``."""
        return self.kind == other.kind and self._base is None and self.size == other.size

    def batches(self, first=0):
        """Arrays of whole sets, in order, from direction ``first`` on."""
        start, each = first // self.size, self._per_stream
        sets = max(1, _BATCH // (each * self.size)) * each
        while start < self.rotations:
            stop = min((start // sets + 1) * sets, self.rotations)
            streams = range(start // each, -(-stop // each))
            drawn = self._made(*map(np.concatenate, zip(*map(self._stream, streams))))
            yield drawn[start - streams[0] * each :][: stop - start].reshape(-1, self.d)
            start = stop

    def _stream(self, number):
        """The numbers that one stream draws for its sets."""
        # What spawn() gives as its child of this number.
        seed = np.random.SeedSequence(self._root.entropy, spawn_key=(number,))
        rng, sets, d = np.random.default_rng(seed), self._per_stream, self.d
        if self.kind == "sobol":
            return rng.integers(0, 1 << _BITS, (sets, 1, d)), rng.random((sets, 1, d))
        return (rng.standard_normal((sets, d if self.kind in _BASES else self.size, d)),)

    def _made(self, *drawn):
        """Directions from the numbers of many sets, shape (sets, size, d)."""
        if self.kind == "sobol":
            return _shifted(self._base, *drawn)
        (rows,) = drawn
        if self.kind == "iid":
            return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
        return _frames(rows) if self.kind == "orthogonal" else self._base @ _frames(rows)


class OwnDirections:
    """Directions that the user brought; they are taken for independent."""

    kind, size = "own", 1

    def __init__(self, rows):
        self._rows = rows
        self.number = self.rotations = len(rows)

    def extends(self, other):
        return True

    def batches(self, first=0):
        for start in range(first, self.number, _BATCH):
            yield self._rows[start : start + _BATCH]


def own_directions(given, d):
    """Checked directions of the user's, shape (L, d), copied."""
    rows = _checks.finite("directions", real("directions", given))
    if rows.ndim != 2 or rows.shape[1] != d or len(rows) == 0:
        raise InvalidInput(f"`directions` must have shape (projections, {d}), one direction a row, got {rows.shape}.")
    norms = np.linalg.norm(rows.astype(np.float64), axis=1)
    off = np.abs(norms - 1) > 8 * math.sqrt(d) * np.finfo(rows.dtype).eps + 1e-7
    if off.any():
        where = int(np.argmax(off))
        raise InvalidInput(
            f"`directions` must have rows of norm 1, got norm {norms[where]:.9g} in row {where}; divide by "
            "np.linalg.norm(directions, axis=1, keepdims=True)."
        )
    return OwnDirections(np.array(rows, dtype=np.float64, order="C"))


def root_of(rng):
    """The seed that all streams are spawned from; a generator moves on by one draw."""
    try:
        if getattr(rng, "ndim", 0):
            raise TypeError  # NumPy takes arrays of seeds, and recurses without end where they are a matrix
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"`rng` must be None, an integer >= 0 or a numpy.random.Generator, got {_checks.brief(rng)}."
        ) from None
    return np.random.SeedSequence(generator.integers(0, 1 << 32, 4, dtype=np.uint32).tolist())


def _sets(kind, d, number):
    """Size and number of the sets: at least ROTATIONS of them, and few directions left out."""
    if kind == "orthogonal":
        size = min(d, number // ROTATIONS)
        return size, number // size
    rotations = min(range(ROTATIONS, 2 * ROTATIONS), key=lambda r: (number % r, r))
    return number // rotations, rotations


def _frames(rows):
    """Orthonormal frames from Gaussian rows, shape (..., k, d), k <= d: Haar distributed."""
    q, r = np.linalg.qr(np.swapaxes(rows, -1, -2))
    signs = np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return np.swapaxes(q * signs[..., None, :], -1, -2)


def _spiral(size, d):
    z = 1 - (2 * np.arange(1, size + 1) - 1) / size
    azimuth = 1.8 * math.sqrt(size) * np.arccos(z)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)


def _lattice(size, d):
    angle = np.arange(size) * (math.pi / size)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _sobol(size, d):
    from scipy.stats import qmc

    points = qmc.Sobol(d, scramble=False, bits=_BITS).random_base2((size - 1).bit_length())[:size]
    return (points * (1 << _BITS)).astype(np.int64)


def _shifted(base, shift, fraction):
    """Sobol integers under digital shifts, as directions."""
    from scipy.special import ndtri

    normal = ndtri(((base ^ shift) + fraction) / (1 << _BITS))
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


_BASES = {"spiral": _spiral, "lattice": _lattice, "sobol": _sobol}
