"""Clouds of points from files: vertices of meshes (.off, .obj, ASCII .ply), arrays (.npy), pixels of pictures."""

import pathlib

import numpy as np

from ._registry import UsageError, need

__all__ = ["read"]

_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read(path):
    """The points of a file, shape (points, dimensions)."""
    path = pathlib.Path(path)
    ending = path.suffix.lower()
    if ending not in _READERS and ending not in _PICTURES:
        known = ", ".join((*_READERS, *_PICTURES))
        raise UsageError(f"{path} must end in one of {known}.")
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        points = np.asarray(_READERS.get(ending, _picture)(path), dtype=np.float64)
    except (ValueError, IndexError, OSError) as error:
        raise UsageError(f"{path} cannot be read as {ending[1:]}: {error}.") from None
    if points.ndim != 2 or not points.size or not np.isfinite(points).all():
        raise UsageError(f"{path} must hold finite points of shape (points, dimensions), got {points.shape}.")
    return points


def _off(path):
    (keyword, *counts), *rest = _words(path)
    if not keyword.upper().endswith("OFF"):
        raise ValueError("it does not begin with OFF")
    if not counts:  # they may follow the keyword on its line
        counts, *rest = rest
    return [row[:3] for row in _rows(rest, int(counts[0]))]


def _obj(path):
    return [words[1:4] for words in _words(path) if words[0] == "v"]


def _ply(path):
    words = [line.split() for line in path.read_text(encoding="ascii", errors="replace").splitlines()]
    if words[0] != ["ply"] or ["format", "ascii", "1.0"] not in words:
        raise ValueError("only ASCII files are read")
    end = words.index(["end_header"])
    elements = []  # name, rows, names of the columns
    for line in words[:end]:
        if line[:1] == ["element"]:
            elements.append((line[1], int(line[2]), []))
        elif line[:1] == ["property"]:
            elements[-1][2].append(line[-1])
    place = [name for name, _, _ in elements].index("vertex")
    before, (_, count, names) = sum(rows for _, rows, _ in elements[:place]), elements[place]
    columns = [names.index(axis) for axis in "xyz"]
    return [[row[c] for c in columns] for row in _rows(words[end + 1 + before :], count)]


def _rows(words, count):
    if len(words) < count:
        raise ValueError(f"it promises {count} vertices and has {len(words)}")
    return words[:count]


def _words(path):
    lines = (line.partition("#")[0].split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [words for words in lines if words]


def _picture(path):
    need("matplotlib", "reading a picture")
    from matplotlib.image import imread

    pixels = np.asarray(imread(path), dtype=np.float64)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
    # PNG comes in [0, 1], all else in 0 to 255.
    pixels = pixels / 255 if pixels.max() > 1 else pixels
    return pixels.reshape(-1, pixels.shape[-1])


_READERS = {".npy": lambda path: np.load(path, allow_pickle=False), ".off": _off, ".obj": _obj, ".ply": _ply}
