"""Named things and the one kind of error that the command line turns into a sentence and exit code 2."""

import difflib
import fnmatch
import importlib.util

__all__ = ["NameTaken", "Registry", "UsageError", "need", "present"]


class UsageError(Exception):
    """The command cannot be carried out as it was given; the message is one sentence that says why."""


class NameTaken(ValueError):
    """A name is registered already; a second entry would hide the first silently."""


class Registry(dict):
    """Names mapped to what they stand for, in the order of registration.

    ``origins``: of the entries of other packages, the distribution and its version.
    """

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.origins = {}

    def add(self, entry):
        """Register ``entry`` under its own name."""
        if entry.name in self:
            raise NameTaken(f"a {self.kind} named {entry.name!r} is registered already")
        self[entry.name] = entry

    def find(self, name):
        """Return the entry called ``name``, or name the closest ones."""
        if name in self:
            return self[name]
        close = difflib.get_close_matches(name, self, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(self)}."
        raise UsageError(f"There is no {self.kind} called {name!r}; {hint}")

    def select(self, text):
        """Return the entries of a comma-separated list, in which ``pyamg:*`` stands for all that match."""
        chosen = {}
        for name in filter(None, (part.strip() for part in text.split(","))):
            matches = fnmatch.filter(self, name) or [self.find(name).name]
            chosen |= {match: self[match] for match in matches}
        if not chosen:
            raise UsageError(f"The list of {self.kind}s is empty; known are {', '.join(self)}.")
        return list(chosen.values())

    def asked_for(self, text):
        """Return the entries of such a list, the packages of which must be there."""
        chosen = self.select(text)
        for entry in chosen:
            need(entry.package, f"{entry.name!r}")
        return chosen

    def installed(self):
        """Return the entries whose packages are there."""
        return [entry for entry in self.values() if present(entry.package)]


def present(package):
    """Say whether an optional package can be imported, without importing it."""
    return not package or importlib.util.find_spec(package) is not None


def need(package, purpose):
    """Refuse with the remedy if an optional ``package`` is absent."""
    if not present(package):
        raise UsageError(f"{purpose} needs {package}, which is not installed: pip install 'adaptive-solvers[bench]'.")
