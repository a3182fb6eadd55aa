"""Methods, problems and preconditioners of other packages: found by their entry points, loaded when asked for.

An entry point of a group below is called ``AREA`` or ``AREA.NAME`` and leads to a module that registers with the
decorators and registries of this package, to an entry of a registry, or to a plain function of the kind that
``adapters`` describes, which is then registered as ``NAME``.
"""

import sys
from importlib import metadata
from types import ModuleType

from ._registry import NameTaken
from ._threads import started_by_another

__all__ = ["GROUPS", "load", "load_all"]

GROUPS = {
    "solvers.problems": "problems",
    "solvers.preconditioners": "preconditioners",
    "solvers.methods": "methods",
}

_loaded = set()


def load(registries, area):
    """Load what other packages offer in an area; what cannot be loaded is a sentence on standard error."""
    _load(registries, lambda found: found == area)


def load_all(registries):
    """The same of all areas; one that does not exist is named as well."""
    _load(registries, lambda found: True)


def _load(registries, wanted):
    for group, part in GROUPS.items():
        for point in sorted(metadata.entry_points(group=group), key=lambda point: (_origin(point), point.name)):
            if wanted(point.name.partition(".")[0]) and point not in _loaded:
                complaint = _load_one(point, part, registries)
                if not complaint:
                    _loaded.add(point)
                elif not started_by_another():
                    print(f"solvers: {complaint}", file=sys.stderr)


def _load_one(point, part, registries):
    """Register what it leads to, all or nothing; return what went wrong in a sentence, or an empty one."""
    area, _, name = point.name.partition(".")
    what = f"{part.removesuffix('s')} {point.name!r} of {_origin(point)}"
    if (area, part) not in registries:
        areas = ", ".join(area for area, each in registries if each == part)
        return f"the {what} is left out: its name must begin with an area that has {part} ({areas}) and a dot."
    before = {registry.kind: set(registry) for registry in registries.values()}
    try:
        _register(point.load(), registries[area, part], (area, part, name), point)
    except (Exception, SystemExit) as error:  # another package's failure must not be this command's
        for registry in registries.values():
            for added in set(registry) - before[registry.kind]:
                del registry[added]
        if isinstance(error, NameTaken):
            return f"the {what} is refused: {error}; give it another name, such as one that begins with your package's."
        return f"the {what} is left out, since it cannot be loaded: {_first_line(error)}."
    for registry in registries.values():
        for added in set(registry) - before[registry.kind]:
            registry.origins[added] = _origin(point)
    return ""


def _register(found, registry, where, point):
    """A module, or a function that was decorated, has registered itself when it was imported."""
    from . import adapters

    registered = (value for entry in registry.values() for value in (entry, *vars(entry).values()))
    if not isinstance(found, ModuleType) and not any(value is found for value in registered):
        package = point.module.partition(".")[0]
        registry.add(adapters.entry(*where, found, adapters.Source(_origin(point), package)))


def _origin(point):
    """The distribution and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def _first_line(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
