"""Files of what was learned: .npz without pickled objects, a header in JSON, a checksum over both."""

import hashlib
import json
import os
import zipfile

import numpy as np

from .._errors import InvalidInput

__all__ = ["read_model", "write_model"]

_SCHEMA = 1


def write_model(path, kind, array, header):
    """Write an array with a header that says what it is.

    Parameters
    ----------
    path : str or path-like
    kind : str
        What the file holds; ``read_model`` asks for it by this name.
    array : ndarray
    header : dict
        Of what JSON can hold.
    """
    header = header | {"schema": _SCHEMA, "kind": kind}
    header["sha256"] = _checksum(array, header)
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, array=array, header=text)


def read_model(path, kind):
    """The array and the header of a file that ``write_model`` made; another file is refused by name."""
    name = os.fspath(path)
    try:
        with np.load(name, allow_pickle=False) as file:
            array, text = file["array"], file["header"]
        header = json.loads(text.tobytes().decode())
        said, schema, found = header.pop("sha256"), header["schema"], header["kind"]
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"`path` must be an .npz file that save() wrote, got {name!r}; pickled models are not read."
        ) from error
    if (schema, found) != (_SCHEMA, kind):
        raise InvalidInput(f"`path` must hold a {kind} of schema {_SCHEMA}, got {found!r}, {schema!r} in {name!r}.")
    if said != _checksum(array, header):
        raise InvalidInput(f"`path` must be as save() wrote it, but the checksum of {name!r} does not agree.")
    return array, header


def _checksum(array, header):
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(f"{array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
