"""Files of multigrid parameters: .npz without pickled objects, a header in JSON, a checksum over both."""

import hashlib
import json
import os
import zipfile

import numpy as np

from .._errors import InvalidInput
from .._version import __version__
from ._cycle import certificate

__all__ = ["read", "write"]

_SCHEMA = 1
# More than a file of parameters can have: a header that says otherwise is not read into memory.
_MOST_BYTES = 1_000_000


def write(path, parameters, header):
    """Write the parameters with a header that says what they are."""
    header = {key: value for key, value in header.items() if key not in ("sha256", "certificate")}
    header |= {
        "schema": _SCHEMA,
        "version": header.get("version", __version__),
        "certificate": [certificate(row[:-2]) for row in parameters],
    }
    header["sha256"] = _checksum(parameters, header)
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, parameters=parameters, header=text)


def read(path):
    """The parameters and the header of a file that ``write`` made."""
    name = os.fspath(path)
    try:
        if os.path.getsize(name) > _MOST_BYTES:
            raise ValueError("it is too large")
        with np.load(name, allow_pickle=False) as file:
            parameters, text = file["parameters"], file["header"]
        header = json.loads(text.tobytes().decode())
        said = header["sha256"]
        certificates = np.array(header["certificate"], dtype=float)
        family, schema = str(header.get("family", "own")), header["schema"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InvalidInput(
            f"`path` must be an .npz file that save() wrote, got {name!r}; pickled models are not read."
        ) from error
    if schema != _SCHEMA:
        raise InvalidInput(f"`path` must have schema {_SCHEMA}, got {schema!r} in {name!r}; fit the parameters anew.")
    if said != _checksum(parameters, {key: value for key, value in header.items() if key != "sha256"}):
        raise InvalidInput(f"`path` must be as save() wrote it, but the checksum of {name!r} does not agree.")
    fits = parameters.dtype == np.float64 and parameters.ndim == 2 and parameters.shape[1:] > (2,)
    if not (fits and np.isfinite(parameters).all() and certificates.shape == parameters.shape[:1]):
        raise InvalidInput(f"`path` must hold finite float64 parameters of shape (slots, K + 2), unlike {name!r}.")
    if not np.allclose(certificates, [certificate(row[:-2]) for row in parameters], rtol=1e-9):
        raise InvalidInput(f"`path` must have the certificate of its parameters, unlike {name!r}.")
    return parameters, header | {"family": family}


def _checksum(parameters, header):
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(repr(parameters.shape).encode() + np.ascontiguousarray(parameters).tobytes())
    return digest.hexdigest()
