"""From the options of ``solvers bench linalg`` to the settings of a run, refusing what cannot be done."""

import os

from . import matrix_market
from ._registry import UsageError, need, present
from .linalg_rivals import METHODS
from .plan import Settings, problem_loader
from .preconditioners import PRECONDITIONERS
from .problems import PROBLEMS

__all__ = ["check_outputs", "check_writable", "one_thread", "settings"]

_DEFAULT = "poisson2d,poisson3d,anisotropic,jump,elasticity,convection_diffusion2d"
# Problem and size of --quick: real matrices first, then enough points that an iteration costs something.
_QUICK = (
    ("pyamg:airfoil", None),
    ("pyamg:bar", None),
    ("pyamg:knot", None),
    ("pyamg:unit_cube", None),
    ("pyamg:local_disc_galerkin_diffusion", None),
    ("pyamg:unit_square", None),
    ("pyamg:recirc_flow", None),
    ("poisson2d", 150),
    ("poisson3d", 25),
    ("anisotropic", 60),
    ("jump", 40),
)
# Jacobi is where we gain most and multigrid where we gain nothing; a quick look shows both.
_QUICK_PRECONDITIONERS = "none,jacobi,sa"
_QUICK_SECONDS_PER_ROW = 0.6
_PICTURES = (".png", ".svg", ".pdf")


def check_outputs(args):
    """Refuse before any work what could not be written after it."""
    check_writable(filter(None, (args.json, args.csv, args.plot)))
    if args.plot:
        if not args.plot.endswith(_PICTURES):
            raise UsageError(f"--plot must end in {', '.join(_PICTURES)}, got {args.plot!r}.")
        need("matplotlib", "--plot")


def check_writable(paths):
    """Refuse files in folders that are not there, or not ours to write to."""
    for path in paths:
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK) or os.path.isdir(path):
            raise UsageError(f"{path} cannot be written: {folder} must be a folder that you can write to.")


def one_thread(args):
    """The checks of an area that is measured with one number of threads, and that number."""
    check_outputs(args)
    return (args.threads or [1])[0]


def settings(args):
    """Everything the run needs to know."""
    import solvers

    with solvers.backend(args.backend):
        # Entering it refuses a backend that cannot run here, before any work.
        loaders = _matrix(args) if args.matrix or args.rhs else _named(args)
    return Settings(
        loaders,
        methods=[] if args.methods is None else METHODS.asked_for(args.methods),
        preconditioners=_preconditioners(args),
        rtol=_rtol(args),
        maxiter=args.maxiter,
        repeats=args.repeats,
        baseline=_baseline(args),
        backend=args.backend,
        history=bool(args.plot),
        **({"seconds_per_row": _QUICK_SECONDS_PER_ROW} if args.quick else {}),
    )


def _matrix(args):
    if not args.matrix:
        raise UsageError("--rhs needs --matrix: the other problems make their own right-hand side.")
    problem = matrix_market.load_problem(args.matrix, args.rhs, args.dtype)
    return [lambda: problem]


def _named(args):
    """Problems that were asked for must be there; of those that were not, what is there is taken."""
    if args.problems is not None:
        sized = _sized(PROBLEMS.asked_for(args.problems), args.size)
    elif args.quick:
        sized = [(PROBLEMS[name], size) for name, size in _QUICK]
    else:
        sized = _sized(PROBLEMS.select(_DEFAULT), args.size)
    return [problem_loader(entry, size, args.dtype) for entry, size in sized if present(entry.package)]


def _sized(entries, sizes):
    return [(e, size) for e in entries for size in (sizes or [None] if e.size else [None])]


def _preconditioners(args):
    if args.preconditioners is not None:
        return PRECONDITIONERS.asked_for(args.preconditioners)
    quick = PRECONDITIONERS.select(_QUICK_PRECONDITIONERS) if args.quick and args.backend != "gpu" else []
    return [entry for entry in quick if present(entry.package)]


def _baseline(args):
    if args.baseline is None:
        return "cupyx:cg" if args.backend == "gpu" else "scipy:cg"
    return "none" if args.baseline == "none" else METHODS.find(args.baseline).name


def _rtol(args):
    if args.rtol is not None:
        return args.rtol
    return 1e-5 if args.dtype in ("float32", "complex64") else 1e-8
