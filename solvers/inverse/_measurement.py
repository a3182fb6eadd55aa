"""The data of a sampler: b as a stack, the operator in the numbers of the unknown, and the way back."""

import copy
import math

import numpy as np
from scipy.sparse import issparse

from .. import _backend, _checks
from .._arrays import enter, leaving, module_of
from .._errors import InvalidInput
from .._matrices import sent
from ._normal import solve_normal
from ._operator import ImagingOperator, applied, stack_of
from ._wrapped import as_imaging_operator

__all__ = ["Measurement", "there"]

# Fourth powers of data come up in the scalars of the samplers.
_LARGEST = 1e70


class Measurement:
    """b = A x + e with entries of e of standard deviation ``noise_level``, for one data set or several.

    Parameters
    ----------
    A, b : as a user passes them
    noise_level : float or None
    kernels : the kernel package of the backend
    prior : GaussianMixture, Smoothness or None
        Its kind of numbers is that of the unknown: with a real prior, complex data are taken as twice as many real
        ones, each with half of the noise's variance. Without a prior the unknown is complex if A or b is.

    Attributes
    ----------
    A : ImagingOperator
        From images of this dtype.
    B : array, shape (k, *A.data_shape)
    dtype : dtype
        Of the unknown.
    is_single : bool
        b is one data set, not a stack of them.
    n_matvec : int
        Products with A and A^H so far, a stack counted once for each of its rows.
    """

    def __init__(self, A, b, noise_level, kernels, prior=None):
        A = as_imaging_operator(there(enter("A", A), kernels))
        if prior is not None:
            _match(A, prior)
        self.leave, b = leaving(b), _checks.finite("b", _checks.array("b", enter("b", b)))
        wide = np.result_type(A.dtype, b.dtype)
        self.dtype = wide if prior is None else np.dtype(wide.char.lower())
        if prior is not None and prior.dtype.kind == "c":
            self.dtype = np.result_type(self.dtype, np.complex64)
        data_shape = A.data_shape
        B, self._form = stack_of("b", kernels.to_device(b, np.result_type(wide, self.dtype)), data_shape, shaped=True)
        if len(B) == 0:
            raise InvalidInput(f"`b` must hold at least one data set, got shape {b.shape}.")
        largest = float(abs(B).max())
        if largest and not 1 / _LARGEST < largest < _LARGEST:
            raise InvalidInput(
                f"`b` must have a largest entry between {1 / _LARGEST:.0e} and {_LARGEST:.0e}, got {largest:.1e}; "
                "change its unit, and that of the noise and of the images with it."
            )
        self.is_single = b.shape in (data_shape, (math.prod(data_shape),))
        if self.dtype.kind == "f" and wide.kind == "c":
            A = _RealData(A)
            B = A.parts(B)
            noise_level = None if noise_level is None else noise_level * math.sqrt(0.5)
        self.A, self.B, self.noise_level, self.n_matvec = A, B, noise_level, 0

    def data_sets(self, which):
        """Some of the data sets, each as often as it is named, as a problem of its own without the way back."""
        part = copy.copy(self)
        part.B, part.n_matvec = self.B[module_of(self.B).asarray(which)], 0
        part.leave = part._form = None
        return part

    def forward(self, X):
        self.n_matvec += len(X)
        return applied(self.A, self.A.forward_stack, X)

    def adjoint(self, Y, A=None):
        """A^H y, or that of another operator on the same data that applies A once."""
        self.n_matvec += len(Y)
        A = self.A if A is None else A
        return applied(A, A.adjoint_stack, Y)

    def solve(self, rhs, A=None, **options):
        """X and the iterations of ``solve_normal``, its products counted."""
        X, iterations, n_matvec = solve_normal(self.A if A is None else A, rhs, **options)
        self.n_matvec += n_matvec
        return X, iterations

    def image_of(self, X):
        """A stack with an image for each data set, in the form that b came in."""
        return self.leave(self._form(X, self.A.image_shape))

    def samples_of(self, S):
        """The same for samples, shape (n_samples, k, *image_shape)."""
        xp = module_of(S)
        return self.leave(xp.stack([self._form(X, self.A.image_shape) for X in S]))


def there(A, kernels, name="A"):
    """A matrix goes where the work is done; an operator works on what it gets."""
    is_matrix = isinstance(A, np.ndarray) or issparse(A)
    return sent(name, A) if is_matrix and kernels is not _backend.kernels("cpu") else A


class _RealData(ImagingOperator):
    """An operator with complex data, from real images to the real and the imaginary parts."""

    def __init__(self, A):
        super().__init__(np.dtype(A.dtype.char.lower()), A.image_shape, (2, *A.data_shape))
        self._A, self._together = A, A._together

    def forward_stack(self, X):
        return self.parts(self._A.forward_stack(X.astype(np.result_type(X.dtype, self._A.dtype), copy=False)))

    def adjoint_stack(self, Y):
        A, Y = self._A, Y[:, 0] if self._A.dtype.kind == "f" else Y[:, 0] + 1j * Y[:, 1]
        return module_of(Y).ascontiguousarray(A.adjoint_stack(module_of(Y).ascontiguousarray(Y)).real)

    def parts(self, Y):
        return module_of(Y).stack([Y.real, Y.imag], axis=1)


def _match(A, prior):
    ours, theirs = A.image_shape, prior.image_shape
    if math.prod(ours) != math.prod(theirs) or (ours != theirs and len(ours) > 1 and len(theirs) > 1):
        raise InvalidInput(f"`prior` must be of images of shape {ours}, as `A` is, got {theirs}.")
