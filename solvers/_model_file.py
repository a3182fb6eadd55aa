"""Files of what was learned: .npz without pickled objects, a header in JSON, a checksum over all of it.

Nothing in such a file is compressed, so that reading one takes no more memory than its size on the disk. A checksum
tells a file that was damaged or edited; it is no signature, for who writes another file can write its checksum too.
"""

import hashlib
import json
import math
import os
import zipfile

import numpy as np

from ._errors import InvalidInput, UnsupportedType
from ._version import __version__

__all__ = ["read_model", "write_model"]

_SCHEMA = 1
_BROKEN = (
    OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, MemoryError, NotImplementedError,
    zipfile.BadZipFile,
)  # fmt: skip


def write_model(path, kind, arrays, header):
    """Write arrays with a header that says what they are.

    Parameters
    ----------
    path : str or path-like
    kind : str
        What the file holds; ``read_model`` asks for it by this name.
    arrays : dict of str to ndarray
        Under names other than "header".
    header : dict
        Of what JSON can hold.
    """
    name = _name(path)
    header = {"version": __version__} | header | {"schema": _SCHEMA, "kind": kind}
    header["sha256"] = _checksum(arrays, header)
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    with open(name, "wb") as file:
        np.savez(file, header=text, **arrays)


def read_model(path, kind, most=math.inf):
    """The arrays and the header of a file that ``write_model`` made; another file is refused by name.

    Parameters
    ----------
    path : str or path-like
    kind : str
    most : float
        Bytes that such a file can have; a larger one is not read.
    """
    name = _name(path)
    try:
        arrays, header = _contents(name, most)
        said, schema, found = header.pop("sha256"), header["schema"], header["kind"]
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        raise InvalidInput(
            f"`path` must be an .npz file that save() wrote, got {name!r}; pickled models are not read."
        ) from error
    if (schema, found) != (_SCHEMA, kind):
        raise InvalidInput(f"`path` must hold a {kind} of schema {_SCHEMA}, got {found!r}, {schema!r} in {name!r}.")
    if said != _checksum(arrays, header):
        raise InvalidInput(f"`path` must be as save() wrote it, but the checksum of {name!r} does not agree.")
    return arrays, header


def _contents(name, most):
    if os.path.getsize(name) > most:
        raise ValueError("it is too large")
    with zipfile.ZipFile(name) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(name, allow_pickle=False) as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("header").tobytes().decode())


def _name(path):
    """Of the file; a number would be that of one which is open already, such as standard output."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise UnsupportedType(f"`path` must be a path, got {type(path).__name__}.")
    return os.fspath(path)


def _checksum(arrays, header):
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
