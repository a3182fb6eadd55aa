"""Other distributions that bring, or are called, ``solvers``: looked for where a person asks, never on import."""

import pathlib
from importlib import metadata

__all__ = ["namesakes", "overwritten"]

_OURS = "adaptive-solvers"
_HOME = pathlib.Path(__file__).resolve().parent


def namesakes() -> list[str]:
    """Return a sentence with the remedy for each; none where the name is ours alone."""
    found = {}
    for distribution in metadata.distributions():
        name = _name(distribution)
        place = None if name in ("", _OURS) else _folder(distribution)
        if place is not None or name == "solvers":
            found.setdefault(f"{name} {distribution.version}", place)
    return [_sentence(who, place) for who, place in found.items()]


def overwritten(package) -> str:
    """Say with the remedy that the package that was imported, in the place of this library's, is another's."""
    place = getattr(package, "__file__", None)
    what = f"{place} is not that of {_OURS}" if place else f"{_HOME / '__init__.py'} is missing"
    # Whose it was is known only while that distribution is still there.
    return f"{what}: {next(iter(namesakes()), _remedy('solvers'))}"


def _sentence(who, place):
    if place is None:
        return (
            f"{who} is an unrelated distribution that brings no module; this library is {_OURS}: pip uninstall solvers."
        )
    if place == _HOME:
        return f"{who}, an unrelated distribution, writes into the folder of this library, {place}: {_remedy(who)}"
    return (
        f"{who}, an unrelated distribution, brings another module `solvers`, in {place}, and sys.path decides which "
        f"one is imported: pip uninstall {who.partition(' ')[0]}, or keep it in an environment of its own."
    )


def _remedy(who):
    return f"pip uninstall {who.partition(' ')[0]} {_OURS}, then install {_OURS} again."


def _name(distribution):
    """Its normalised name; empty where its metadata are broken."""
    try:
        return (distribution.metadata["Name"] or "").lower().replace("_", "-").replace(".", "-")
    except Exception:  # an interrupted installation leaves folders without metadata
        return ""


def _folder(distribution):
    """Where its folder ``solvers`` lies; None where it brings none."""
    record, top = (distribution.read_text(name) or "" for name in ("RECORD", "top_level.txt"))
    in_record = any(line.startswith("solvers/") for line in record.splitlines())
    if not in_record and (record or "solvers" not in top.split()):
        return None
    return pathlib.Path(str(distribution.locate_file("solvers"))).resolve()
