"""Files of multigrid parameters: what such a file holds, and the certificate that its cycle is positive definite."""

import os

import numpy as np

from .._errors import InvalidInput
from .._model_file import read_model, write_model
from ._cycle import certificate

__all__ = ["read", "write"]

_KIND = "set of multigrid parameters"
# More than parameters can have.
_MOST_BYTES = 1_000_000


def write(path, parameters, header):
    """Write the parameters with a header that says what they are, and their certificate."""
    write_model(path, _KIND, {"parameters": parameters}, header | {"certificate": _certificates(parameters)})


def read(path):
    """The parameters and the header of a file that ``write`` made."""
    arrays, header = read_model(path, _KIND, _MOST_BYTES)
    parameters, said = arrays.get("parameters"), header.get("certificate")
    if not (len(arrays) == 1 and _fits(parameters)):
        raise InvalidInput(
            f"`path` must hold finite float64 parameters of shape (slots, K + 2), unlike {os.fspath(path)!r}."
        )
    if not _agree(said, _certificates(parameters)):
        raise InvalidInput(f"`path` must have the certificate of its parameters, unlike {os.fspath(path)!r}.")
    return parameters, {"family": "own"} | header


def _fits(parameters):
    if parameters is None or parameters.dtype != np.float64 or parameters.ndim != 2:
        return False
    return parameters.shape[0] >= 1 and parameters.shape[1] >= 3 and bool(np.isfinite(parameters).all())


def _certificates(parameters):
    return [certificate(row[:-2]) for row in parameters]


def _agree(said, certificates):
    """Whether that is what the file says, up to the rounding of another machine."""
    numbers = isinstance(said, list) and all(isinstance(each, float) for each in said)
    return numbers and len(said) == len(certificates) and np.allclose(said, certificates, rtol=1e-9)
