"""Operators that are diagonal in Fourier space up to pointwise products: magnetic resonance, and blur."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import next_fast_len

from .. import _checks
from .._arrays import enter, kinds, module_of, on_host
from .._errors import InvalidInput
from ._constants import Constants
from ._operator import ImagingOperator
from ._shapes import boolean, sizes

__all__ = ["MRI", "Blur", "fft_of"]


class MRI(ImagingOperator):
    """Cartesian magnetic resonance imaging with several coils: the sampled part of F(C_j x) for each coil j.

    Parameters
    ----------
    coils : array_like of complex, shape (n_coils, ny, nx), or None
        The sensitivities C_j. None is one coil that sees all alike, for which ``A^H A`` is a projection.
    mask : array_like of bool, shape (ny, nx) or (nx,)
        What is sampled, with the zero frequency in the middle, at index ``n // 2``; of shape (nx,) the columns.

    Attributes
    ----------
    mask : ndarray of bool, shape (ny, nx)

    Notes
    -----
    F is the orthonormal Fourier transform between arrays whose origin is in the middle, ``fftshift(fft2(ifftshift(x),
    norm="ortho"))``. Data have shape (n_coils, n_samples), the sampled entries in C order: those of ``kspace``, of
    shape (n_coils, ny, nx), are ``kspace[:, A.mask]``. Only what was measured is data, so that the norm of the noise is
    that of n_coils n_samples entries. Volumes (nz, ny, nx) work alike. The operator has the precision of ``coils``.

    References
    ----------
    K. P. Pruessmann et al., SENSE: sensitivity encoding for fast MRI, Magn. Reson. Med. 42 (1999).

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> coils = np.stack([np.ones((8, 8)), 1j * np.ones((8, 8))])
    >>> A = inverse.MRI(coils, mask=np.arange(8) % 2 == 0)
    >>> A
    <MRI from (8, 8) to (2, 32), complex128>
    >>> image = np.zeros((8, 8), complex)
    >>> image[4, 4] = 8.0
    >>> bool(np.allclose(A @ image, [[1.0], [1j]]))
    True
    """

    mask: NDArray[np.bool_]

    def __init__(self, coils: ArrayLike | None, mask: ArrayLike) -> None:
        mask = boolean("mask", mask)
        if coils is None:
            self.mask, dtype, n_coils = mask, np.complex64, 1
        else:
            coils = on_host(_checks.array("coils", enter("coils", coils)))
            if coils.ndim < 3 or len(coils) == 0:
                raise InvalidInput(f"`coils` must have shape (n_coils, ny, nx) or be None, got {coils.shape}.")
            self.mask, dtype = _mask_of(mask, coils.shape[1:]), np.result_type(coils.dtype, np.complex64)
            n_coils = len(_checks.finite("coils", coils))
        shape = self.mask.shape
        self._axes = tuple(range(-len(shape), 0))
        # SciPy's transform has the origin at index 0: the data are taken from there, the coils are moved once.
        index = np.fft.fftshift(np.arange(self.mask.size).reshape(shape))[self.mask]
        arrays = {} if coils is None else {"coils": np.fft.ifftshift(coils.astype(dtype), axes=self._axes)}
        self._constants = Constants(index=index, **arrays)
        self._single = coils is None
        super().__init__(dtype, shape, (n_coils, index.size))

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        k, (n_coils, _), fft = len(X), self.data_shape, fft_of(X)
        X = self._moved(X, backwards=True)[:, None]
        Z = X if self._single else X * self._constants("coils", X)
        Z = fft.fftn(Z, axes=self._axes, norm="ortho", overwrite_x=not self._single)
        return module_of(X).take(Z.reshape(k, n_coils, -1), self._constants("index", X), axis=2)

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        k, (n_coils, _), fft = len(Y), self.data_shape, fft_of(Y)
        Z = module_of(Y).zeros((k, n_coils, self.shape[1]), Y.dtype)
        Z[:, :, self._constants("index", Y)] = Y
        Z = fft.ifftn(Z.reshape(k, n_coils, *self.image_shape), axes=self._axes, norm="ortho", overwrite_x=True)
        Z = Z[:, 0] if self._single else (Z * self._constants("coils", Z).conj()).sum(axis=1)
        return self._moved(Z, backwards=False)

    def normal_inverse(self, R: NDArray[Any], shift: Any) -> NDArray[Any] | None:
        """(shift I + A^H A)^-1 R for one coil that sees all alike, where A^H A is a projection; None for others."""
        if not self._single:
            return None
        return (R - self.adjoint_stack(self.forward_stack(R)) / (1 + shift)) / shift

    def _moved(self, X, backwards):
        """fftshift of each image, or its inverse."""
        return _roll(X, [-(n // 2) if backwards else n // 2 for n in self.image_shape])


class Blur(ImagingOperator):
    """Convolution with a kernel.

    Parameters
    ----------
    kernel : array_like, real or complex
        The image of a point, with its centre at ``size // 2`` along each axis. It is not normalised.
    image_shape : tuple of int
        As many sizes as the kernel has axes.
    boundary : {"periodic", "zero", "reflect"}, default "periodic"
        What is beyond the border: the other side, nothing, or the image mirrored there (d c b a | a b c d).

    Notes
    -----
    By Fourier transforms: the cost does not depend on the size of the kernel. The image is continued beyond the border
    by what the kernel reaches, and the adjoint folds that margin back, so that it is the true one for each boundary.
    The operator has the precision of ``kernel``.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> A = inverse.Blur([0.25, 0.5, 0.25], (5,), boundary="zero")
    >>> (A @ np.array([4.0, 0.0, 0.0, 0.0, 8.0])).round(12).tolist()
    [2.0, 1.0, 0.0, 2.0, 4.0]
    """

    def __init__(self, kernel: ArrayLike, image_shape: Sequence[int], *, boundary: str = "periodic") -> None:
        kernel = on_host(_checks.array("kernel", enter("kernel", kernel)))
        if getattr(image_shape, "ndim", 0) > 1:
            raise InvalidInput(
                f"`image_shape` must be a tuple of sizes, got an array of shape {image_shape.shape}; the kernel comes "
                "first: Blur(kernel, image_shape)."
            )
        image_shape = sizes("image_shape", image_shape)
        self.boundary = _checks.choice("boundary", boundary, ("periodic", "zero", "reflect"))
        if kernel.ndim != len(image_shape) or kernel.size == 0:
            raise InvalidInput(
                f"`kernel` must have {len(image_shape)} axes, as `image_shape` {image_shape} has sizes, got shape "
                f"{kernel.shape}."
            )
        _checks.finite("kernel", kernel)
        # What the kernel reaches before and after a pixel: y_i = sum_j kernel_j x_(i + centre - j).
        self._margins = [(0, 0)] * kernel.ndim
        if boundary != "periodic":
            self._margins = [(size - 1 - size // 2, size // 2) for size in kernel.shape]
        if boundary == "reflect" and any(max(m) > n for m, n in zip(self._margins, image_shape, strict=True)):
            raise InvalidInput(
                f"`kernel` must reach no farther than the image {image_shape} with boundary='reflect', got shape "
                f"{kernel.shape}."
            )
        super().__init__(kernel.dtype, image_shape, image_shape)
        self._set_spectrum(kernel)

    def _set_spectrum(self, kernel):
        """The transform of the kernel, its centre at the origin, on the continued image."""
        real = kernel.dtype.kind == "f"
        self._extended = tuple(
            n if self.boundary == "periodic" else next_fast_len(n + sum(m), real)
            for n, m in zip(self.image_shape, self._margins, strict=True)
        )
        wide = np.zeros(self._extended, np.result_type(kernel.dtype, np.float64))
        places = [
            (np.arange(size) - size // 2) % n for size, n in zip(kernel.shape, self._extended, strict=True)
        ]
        np.add.at(wide, np.ix_(*places), kernel)  # one larger than the image winds around it
        self._constants = Constants(spectrum=np.fft.rfftn(wide) if real else np.fft.fftn(wide))
        self._axes = tuple(range(-kernel.ndim, 0))

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        if self.boundary != "periodic":
            X = self._continued(X)
        return self._cropped(self._filtered(X, lambda spectrum: spectrum))

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        if self.boundary != "periodic":
            Y = self._embedded(Y)
        return self._folded(self._filtered(Y, lambda spectrum: spectrum.conj()))

    def normal_inverse(self, R: NDArray[Any], shift: Any) -> NDArray[Any] | None:
        """(shift I + A^H A)^-1 R by the spectrum, for the periodic boundary; None for others."""
        if self.boundary != "periodic":
            return None
        return self._filtered(R, lambda spectrum: 1 / (shift + abs(spectrum) ** 2))

    def _filtered(self, Z, filter_of):
        fft, spectrum = fft_of(Z), filter_of(self._constants("spectrum", Z))
        if self.dtype.kind == "c":
            return fft.ifftn(spectrum * fft.fftn(Z, axes=self._axes), axes=self._axes)
        return fft.irfftn(spectrum * fft.rfftn(Z, axes=self._axes), s=self._extended, axes=self._axes)

    def _inside(self):
        """Where the image is in the continued one."""
        return (slice(None), *(slice(m[0], m[0] + n) for n, m in zip(self.image_shape, self._margins, strict=True)))

    def _cropped(self, Z):
        return module_of(Z).ascontiguousarray(Z[self._inside()])

    def _embedded(self, Y):
        Z = module_of(Y).zeros((len(Y), *self._extended), Y.dtype)
        Z[self._inside()] = Y
        return Z

    def _continued(self, X):
        """The image and its continuation; what is farther than the kernel reaches stays zero."""
        Z = self._embedded(X)
        if self.boundary == "reflect":
            for inner, outer in self._mirrors():
                Z[outer] = Z[inner]
        return Z

    def _folded(self, Z):
        """The adjoint of ``_continued``: the margins are added to the pixels that they mirror."""
        if self.boundary == "reflect":
            for inner, outer in self._mirrors():
                Z[inner] += Z[outer]
        return self._cropped(Z)

    def _mirrors(self):
        """Pairs of index tuples, axis by axis: pixels in the order of the margin that mirrors them, and that margin."""
        pairs = []
        for axis, (n, (before, after)) in enumerate(zip(self.image_shape, self._margins, strict=True), 1):
            at, end = (slice(None),) * axis, before + n
            if before:
                pairs.append(((*at, slice(2 * before - 1, before - 1, -1)), (*at, slice(0, before))))
            if after:
                stop = end - after - 1
                inner = slice(end - 1, stop if stop >= 0 else None, -1)
                pairs.append(((*at, inner), (*at, slice(end, end + after))))
        return pairs


def fft_of(X):
    """The transforms for arrays of this kind: SciPy's or CuPy's, of the same names."""
    return importlib.import_module("cupyx.scipy.fft" if kinds[type(X)] == "gpu" else "scipy.fft")


def _roll(X, shifts):
    return module_of(X).roll(X, shifts, axis=tuple(range(1, X.ndim)))


def _mask_of(mask, shape):
    if mask.shape == shape:
        return mask
    if mask.shape == shape[-1:]:
        return np.broadcast_to(mask, shape)
    raise InvalidInput(f"`mask` must have shape {shape} or {shape[-1:]} for these `coils`, got {mask.shape}.")
