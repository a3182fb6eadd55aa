"""Plain functions of other packages as entries of the registries.

What a function is called with, and what it may return, is in the table of ``docs/add_a_method.rst``. Options that it
does not take are not passed to it. In every area an entry of the registry will do as well.
"""

import inspect
from dataclasses import dataclass, replace

import numpy as np

from . import (
    inverse_methods,
    inverse_problems,
    learned,
    learned_methods,
    methods,
    pde_methods,
    pde_problems,
    preconditioners,
    problems,
    sequences,
    sequences_rivals,
    sliced,
    sliced_methods,
    transport,
    transport_methods,
)

__all__ = ["Source", "entry"]

# What the registries hold.
_ENTRIES = {
    ("linalg", "problems"): problems.ProblemEntry,
    ("linalg", "methods"): methods.Method,
    ("linalg", "preconditioners"): preconditioners.Preconditioner,
    ("inverse", "problems"): inverse_problems.InverseEntry,
    ("inverse", "methods"): inverse_methods.Inverter,
    ("learned", "problems"): learned.LearnedEntry,
    ("learned", "methods"): learned_methods.Learner,
    ("pde", "problems"): pde_problems.PDE,
    ("pde", "methods"): pde_methods.Solver,
    ("sequences", "problems"): sequences.Sequence,
    ("sequences", "methods"): sequences_rivals.Rival,
    ("sliced", "problems"): sliced.SlicedEntry,
    ("sliced", "methods"): sliced_methods.Slicer,
    ("transport", "problems"): transport.TransportEntry,
    ("transport", "methods"): transport_methods.Contestant,
}
_ADAPTERS = {}


@dataclass(frozen=True)
class Source:
    """Where an entry comes from: the distribution with its version, and the package to import."""

    origin: str
    package: str


def entry(area, part, name, found, source):
    """Return ``found`` as an entry of the registry of that area and part."""
    kind = _ENTRIES[area, part]
    if isinstance(found, kind):
        return found
    adapt = _ADAPTERS.get((area, part))
    if adapt is None or not (callable(found) or hasattr(found, "solve")):
        function = "" if adapt is None else ", a function"
        raise TypeError(
            f"it leads to a {type(found).__name__}, and must lead to a module{function} or a {kind.__name__}"
        )
    if not name:
        raise ValueError(f"a function needs a name: call its entry point '{area}.NAME'")
    return adapt(name, found, source)


def _adapter(area, part):
    def register(adapt):
        _ADAPTERS[area, part] = adapt
        return adapt

    return register


def _summary(function):
    lines = (inspect.getdoc(function) or "no description").splitlines()
    return lines[0].rstrip(".")


def _taken(function, options):
    """Those of the options that the function takes."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return options
    return {name: value for name, value in options.items() if name in parameters}


# ---- linear systems --------------------------------------------------------------------------------


@_adapter("linalg", "methods")
def _linalg_method(name, found, source):
    """``found``: a function, or one with what it may be asked, a ``solvers.testing.Method``."""
    function = getattr(found, "solve", found)
    needs = "spd" if getattr(found, "definite", False) else "symmetric" if getattr(found, "hermitian", False) else ""
    takes_M = bool(_taken(function, {"M": None}))

    def solve(task):
        options = {"rtol": task.rtol, "maxiter": task.maxiter} | ({"M": task.M} if takes_M else {})
        answer = function(task.A, task.b, **_taken(function, options))
        if isinstance(answer, tuple):
            return answer
        info = getattr(answer, "info", 0 if getattr(answer, "converged", True) else 1)
        return getattr(answer, "x", answer), info, answer

    known = {"needs": needs, "takes_M": takes_M}
    return methods.Method(name, "linalg", source.origin, _summary(function), solve, _read, **known)


def _read(entry, task, answer):
    """What a function says of itself; one that returns x alone is taken to claim success."""
    x, info = answer[:2]
    said = answer[-1] if len(answer) == 3 else answer
    status = getattr(said, "status", "converged" if info == 0 else "maxiter" if info > 0 else "breakdown")
    counts = (getattr(said, count, None) for count in ("iterations", "n_matvec"))
    norms = getattr(said, "residuals", None) if task.history else None
    if norms is not None:
        norms = (np.asarray(norms) / (np.linalg.norm(task.b) or 1.0)).tolist()
    return methods.Outcome(_like(task.b, x), info == 0, str(status), *counts, norms, f"info = {info}." if info else "")


def _like(b, x):
    """x as numbers of b's shape; beside a column or a row of as many, a residual would be a matrix."""
    x = np.asarray(x)
    if x.size != b.size or x.dtype.kind not in "biufc":
        raise ValueError(f"the function must return x with {b.size} numbers, got shape {x.shape}, dtype {x.dtype}")
    return x.reshape(b.shape)


@_adapter("linalg", "problems")
def _linalg_problem(name, function, source):
    sizes = list(inspect.signature(function).parameters.values())
    if sizes and not isinstance(sizes[0].default, int):
        raise ValueError("its first argument is the size and needs a default, an integer")

    def build(*size):
        made = function(*size)
        if isinstance(made, tuple) and not isinstance(made[1], dict):
            return made[0], {"b": np.asarray(made[1])}
        return made

    size = sizes[0].default if sizes else None
    return problems.ProblemEntry(name, "linalg", _summary(function), build, size, False, False, source.package)


@_adapter("linalg", "preconditioners")
def _preconditioner(name, function, source):
    build = lambda problem: function(problem.A)
    return preconditioners.Preconditioner(name, _summary(function), build, source.package, dense=True)


# ---- transport -------------------------------------------------------------------------------------


@_adapter("transport", "methods")
def _transport_method(name, function, source):
    def solve(problem, cap):
        budget = transport_methods.Budget(cap)
        options = _taken(function, {"tol": transport_methods.TOL, "callback": budget})
        res = function(problem.C, problem.a, problem.b, eps=problem.eps, **options)
        converged = getattr(res, "converged", True)
        claim = "converged" if converged else transport_methods.CAP if budget.spent else str(res.status)
        plan = np.asarray(getattr(res, "plan", res))
        return transport_methods.Outcome(plan, claim, getattr(res, "iterations", None))

    prepare = lambda problem, cap: cap
    return transport_methods.Contestant(name, _summary(function), prepare, solve, source.package)


class _TransportEntry(transport.TransportEntry):
    """``build`` gives eps as well."""

    def make(self):
        *arrays, eps = self.build()
        return transport.Transport(self.name, *(np.asarray(each, dtype=np.float64) for each in arrays), float(eps))


@_adapter("transport", "problems")
def _transport_problem(name, function, source):
    return _TransportEntry(name, _summary(function), float("nan"), function, source.package)


@_adapter("sliced", "methods")
def _sliced_method(name, function, source):
    def power(problem, L, seed):
        res = function(problem.X, problem.Y, **_taken(function, {"n_projections": L, "rng": seed}))
        return float(getattr(res, "value", res)) ** 2

    return sliced_methods.Slicer(name, _summary(function), power, package=source.package)


@_adapter("sliced", "problems")
def _sliced_problem(name, function, source):
    return sliced.SlicedEntry(name, _summary(function), function, source.package)


# ---- differential equations ------------------------------------------------------------------------


@_adapter("pde", "methods")
def _pde_method(name, function, source):
    sized = bool(_taken(function, {"n": None}))
    nonlinear = bool(_taken(function, {"nonlinear": None}))

    def solve(problem, scale):
        options = {"tol": pde_methods.TOL, "nonlinear": problem.nonlinear}
        sizes = tuple(int(np.ceil(scale * (2 * waves + 10))) for waves in problem.waves) if sized else None
        options = _taken(function, options | ({"n": sizes} if sized else {}))
        sol = function(problem.op, problem.f, problem.box, problem.bc(), **options)
        shape = sizes or np.shape(getattr(sol, "u", np.empty((0,) * problem.d)))
        return pde_methods.Answer(shape, sol.predict, _pde_claim(sol), getattr(sol, "error_estimate", None))

    levels = (lambda problem: pde_methods.ladder(0.8, 8.0)) if sized else (lambda problem: [None])
    handles = lambda problem: nonlinear or problem.nonlinear is None
    return pde_methods.Solver(name, _summary(function), solve, levels, handles, source.package)


def _pde_claim(sol):
    if not hasattr(sol, "converged"):
        return ""
    return "converged" if sol.converged else str(sol.status)


@_adapter("pde", "problems")
def _pde(name, function, source):
    return replace(function(), name=name)


# ---- inverse problems ------------------------------------------------------------------------------

# The kind of problem whose methods know A, b and the noise, and nothing else.
_KIND, _BEST = "scaled", "best:cgls"


@_adapter("inverse", "methods")
def _inverse_method(name, function, source):
    def solve(problem):
        # One of the two: functions in the manner of ours refuse both together.
        noise = _taken(function, {"noise_level": problem.noise_level})
        noise = noise or _taken(function, {"noise_norm": problem.noise_norm})
        res = function(problem.A, problem.b, **noise)
        if not hasattr(res, "x"):
            return inverse_methods.Answer(np.asarray(res))
        said = (getattr(res, count, None) for count in ("iterations", "n_matvec"))
        return inverse_methods.Answer(np.asarray(res.x), *said, status=str(getattr(res, "stop_reason", "done")))

    kinds = ("ct", _KIND, "mri")
    return inverse_methods.Inverter(name, _summary(function), kinds, solve, _BEST, source.package)


@_adapter("inverse", "problems")
def _inverse_problem(name, function, source):
    def build(small):
        A, b, truth, noise_level = function()
        assess = lambda x: (float(np.linalg.norm(np.ravel(x) - np.ravel(truth)) / np.linalg.norm(truth)), "")
        return inverse_problems.InverseProblem(
            name, _KIND, "error", "scipy:lsqr", assess, A, np.asarray(b), float(noise_level), data={"image": truth}
        )

    return inverse_problems.InverseEntry(name, _summary(function), build)
