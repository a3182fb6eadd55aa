"""What a run consists of: the settings, and which methods go with which problem and preconditioner."""

from dataclasses import dataclass, field, replace

from ._registry import UsageError, present
from .linalg_rivals import METHODS
from .problems import make_problem

__all__ = ["Settings", "baseline_of", "on_cpu", "plan", "problem_loader"]

# Without --methods, a problem is given to the methods made for its kind.
_FAMILY = {
    "spd": ("cg", "pyamg:cg"),
    "symmetric": ("minres",),
    "general": ("gmres", "bicgstab"),
}


@dataclass
class Settings:
    """What the command line asked for. Empty lists mean: what suits each problem."""

    problems: list
    methods: list = field(default_factory=list)
    preconditioners: list = field(default_factory=list)
    rtol: float = 1e-8
    maxiter: int = 5_000
    repeats: int = 3
    baseline: str = "scipy:cg"
    backend: str = "auto"
    seconds_per_row: float = 5.0
    history: bool = False


def plan(problem, settings):
    """List (preconditioner, methods) pairs.

    Baselines come before those that are measured against them; a method that stands alone, or that
    does not suit the problem, comes once.
    """
    chosen = settings.methods or _family(problem, settings)
    if settings.backend == "gpu":
        chosen = list(dict.fromkeys(each for m in chosen for each in (*_peer(m, settings), *_twin(m), m)))
    unsuited = [m for m in chosen if m.unsuitable(problem)]
    suited = [m for m in chosen if m not in unsuited]
    alone = [m for m in suited if m.alone]
    with_any = _with_baselines([m for m in suited if not m.alone], problem, settings)
    names = [p.name for p in settings.preconditioners] or ["none", "jacobi"]
    pairs = [(name, list(with_any)) for name in names if with_any]
    if alone and (not pairs or "none" not in names):
        pairs.append(("none", alone if with_any else _with_baselines(alone, problem, settings)))
    elif alone:
        dict(pairs)["none"].extend(alone)
    if not pairs:
        return [("none", unsuited)]
    pairs[0][1].extend(unsuited)
    return pairs


def _family(problem, settings):
    kind = "spd" if problem.spd else "symmetric" if problem.symmetric else "general"
    found = [METHODS[name] for name in _FAMILY[kind] if present(METHODS[name].package)]
    return [m for m in found if settings.backend != "gpu" or m.library == "solvers"]


def _peer(method, settings):
    """The baseline's method of the same name: listed with the reason where it cannot run here, not left out."""
    peer = METHODS.get(f"{_library(settings)}:{method.name}")
    return [] if peer is None or method.library != "solvers" else [peer]


def _library(settings):
    """Whose methods stand in where the chosen baseline does not apply."""
    return settings.baseline.partition(":")[0] if settings.backend == "gpu" else "scipy"


def _twin(method):
    """Ours on the CPU, beside ours on the GPU."""
    ours = method.library == "solvers" and not method.backend
    return [replace(method, name=on_cpu(method.name), summary=f"{method.summary}, on the CPU", backend="cpu")] * ours


def on_cpu(name):
    """What that method is called where it runs on the CPU in a run on the GPU."""
    return f"cpu:{name}"


def _with_baselines(methods, problem, settings):
    found = [baseline_of(m, problem, settings) for m in methods]
    return list(dict.fromkeys([*filter(None, found), *methods]))


def baseline_of(method, problem, settings):
    """The method that ``method`` is measured against: the chosen one, or its library's of the same name.

    The second stands in on problems that the chosen one does not suit, so that gmres is not compared
    with conjugate gradients that cannot be run, nor bicgstab with gmres.
    """
    if settings.baseline == "none":
        return None
    name = method.name.rpartition(":")[2]
    candidates = [METHODS.find(settings.baseline), METHODS.get(f"{_library(settings)}:{name}")]
    return next((m for m in candidates if m and not m.unsuitable(problem)), None)


def problem_loader(entry, size, dtype):
    """A problem to be made when its turn comes, so that only one is in memory at a time."""

    def load():
        try:
            return make_problem(entry, size, dtype)
        except MemoryError as error:
            raise UsageError(f"{entry.name} of size {size} does not fit in memory.") from error
        except (ValueError, OverflowError) as error:
            raise UsageError(f"{entry.name} cannot be made in size {size}: {error}.") from error

    return load
