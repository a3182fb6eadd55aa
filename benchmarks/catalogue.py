"""What is registered, area by area, and ``solvers list``, which shows it."""

import difflib
import json

from . import third_party
from ._registry import UsageError
from .inverse_problems import INVERSES
from .inverse_rivals import INVERTERS
from .learned import LEARNED
from .learned_methods import LEARNERS
from .linalg_rivals import METHODS
from .pde_problems import PDES
from .pde_rivals import PDE_METHODS
from .preconditioners import PRECONDITIONERS
from .problems import PROBLEMS
from .sequences import SEQUENCES
from .sequences_rivals import RIVALS
from .sliced import SLICED
from .sliced_methods import SLICERS
from .transport import TRANSPORTS
from .transport_rivals import TRANSPORTERS

__all__ = ["AREAS", "REGISTRIES", "add_arguments", "area_called"]

#: What ``solvers bench`` measures.
AREAS = {
    "linalg": "linear systems, one at a time: methods x preconditioners",
    "inverse": "images, posteriors, sparse and low-rank signals from measurements, with a known truth",
    "learned": "learned preconditioners for systems on grids, and what their fit costs",
    "pde": "differential equations on boxes, with exact solutions",
    "sequences": "sequences of systems over which a parameter is learned",
    "sliced": "sliced Wasserstein distances of two clouds",
    "ssor": "whole solves by SSOR-preconditioned conjugate gradients, set-up included",
    "sweeps": "single sweeps of SOR, in natural order and by colours",
    "transport": "entropic transport plans",
}

#: By area and what is registered there; ``ssor`` and ``sweeps`` have cases of their own.
REGISTRIES = {
    ("linalg", "problems"): PROBLEMS,
    ("linalg", "methods"): METHODS,
    ("linalg", "preconditioners"): PRECONDITIONERS,
    ("inverse", "problems"): INVERSES,
    ("inverse", "methods"): INVERTERS,
    ("learned", "problems"): LEARNED,
    ("learned", "methods"): LEARNERS,
    ("pde", "problems"): PDES,
    ("pde", "methods"): PDE_METHODS,
    ("sequences", "problems"): SEQUENCES,
    ("sequences", "methods"): RIVALS,
    ("sliced", "problems"): SLICED,
    ("sliced", "methods"): SLICERS,
    ("transport", "problems"): TRANSPORTS,
    ("transport", "methods"): TRANSPORTERS,
}


def area_called(name):
    """The name of an area, or a sentence that names the closest."""
    if name not in AREAS:
        close = difflib.get_close_matches(name, AREAS, n=1)
        hint = f" did you mean {close[0]}?" if close else ""
        raise UsageError(f"There is no area called {name!r};{hint} areas are {', '.join(AREAS)}.")
    return name


def add_arguments(parser):
    """The arguments of ``solvers list``, and what it runs."""
    parser.add_argument("area", nargs="?", help="one of those that it begins with; by default all")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=_list)


def _list(args, argv):
    areas = AREAS if args.area is None else {area_called(args.area): AREAS[args.area]}
    third_party.load_all(REGISTRIES)
    found = {" ".join(where): registry for where, registry in REGISTRIES.items() if where[0] in areas}
    if args.json:
        plain = {kind: {name: entry.summary for name, entry in registry.items()} for kind, registry in found.items()}
        origins = {kind: registry.origins for kind, registry in found.items() if registry.origins}
        print(json.dumps({"areas": areas} | plain | {"from": origins}, indent=1))
        return 0
    _print("areas", areas.items())
    for kind, registry in found.items():
        _print(kind, ((name, _line(registry, name, entry)) for name, entry in registry.items()))
    return 0


def _line(registry, name, entry):
    """The summary, and for what is another package's which one."""
    origin = registry.origins.get(name)
    return entry.summary + (f" [{origin}]" if origin else "")


def _print(title, lines):
    print(title)
    for name, summary in lines:
        print(f"  {name:<36}{summary}")
