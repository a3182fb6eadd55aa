"""A pytest plugin: SciPy's own tests meet our functions in the place of SciPy's, and the calls are counted."""

import functools
from collections import Counter

import scipy._lib._array_api
import scipy.sparse.linalg
import scipy.sparse.linalg._isolve

from solvers import linalg

NAMES = ("cg", "minres", "bicgstab", "gmres", "lsqr", "lsmr")

# Which array libraries a function takes: SciPy 1.18's tests look each up.
_CAPABILITIES = getattr(scipy._lib._array_api, "xp_capabilities_table", {})

calls = Counter()


def counted(function):
    """The function, with every call noted under its name."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        calls[function.__name__] += 1
        return function(*args, **kwargs)

    return wrapper


def pytest_configure(config):
    """Replace before collection: SciPy's test files import from the private package."""
    for name in NAMES:
        ours, theirs = counted(getattr(linalg, name)), getattr(scipy.sparse.linalg, name)
        if theirs in _CAPABILITIES:
            _CAPABILITIES[ours] = _CAPABILITIES[theirs]
        for module in (scipy.sparse.linalg, scipy.sparse.linalg._isolve):
            setattr(module, name, ours)


def pytest_terminal_summary(terminalreporter):
    """One line a function, for the test that started this run."""
    for name in NAMES:
        terminalreporter.write_line(f"calls of {name}: {calls[name]}")
