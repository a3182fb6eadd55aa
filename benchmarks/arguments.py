"""The options of ``solvers bench``: what they mean, which of them an area takes, and that it refuses the others."""

import argparse

from ._registry import UsageError
from .preconditioners import PRECONDITIONERS

__all__ = ["TAKES", "add_arguments", "checked"]

_ANYWHERE = "json no_progress worker"
_SHOWN = "quick threads csv plot"
#: What each area takes, and what each of its other measurements does, which an option chooses.
TAKES = {
    "linalg": f"{_SHOWN} problems methods preconditioners size matrix rhs rtol maxiter dtype repeats baseline backend",
    "linalg --per-iteration": "quick threads backend",
    "linalg --startup": "",
    "inverse": f"{_SHOWN} problems methods repeats backend",
    "inverse --projectors": "threads backend",
    "learned": f"{_SHOWN} problems methods size rtol repeats cap model backend",
    "learned --seeds": "problems size rtol threads backend",
    "pde": f"{_SHOWN} problems methods repeats cap backend",
    "sequences": f"{_SHOWN} problems methods seeds steps backend",
    "sliced": f"{_SHOWN} problems methods clouds backend",
    "ssor": f"{_SHOWN} repeats backend",
    "sweeps": f"{_SHOWN} backend",
    "transport": f"{_SHOWN} problems methods images repeats cap backend",
    "transport --sweeps": "quick threads backend",
}
_DEFAULTS = {"seeds": 1, "maxiter": 5_000, "backend": "auto"}
# Areas that solve once where a quick look is asked for.
_ONCE_IF_QUICK = ("inverse", "learned", "pde", "transport")


class _Group:
    """A group of arguments whose help leaves out what an area does not take."""

    def __init__(self, parser, title, area):
        self._group, self._area = parser.add_argument_group(title), area
        self._taken = {
            name
            for where, takes in TAKES.items()
            if where.partition(" ")[0] == area
            for name in (*takes.split(), *_ANYWHERE.split(), where.partition(" --")[2].replace("-", "_"))
        }

    def add_argument(self, flag, **options):
        if self._area and flag.strip("-").replace("-", "_") not in self._taken:
            options["help"] = argparse.SUPPRESS
        self._group.add_argument(flag, **options)


def add_arguments(parser, areas, area=None):
    """The command's arguments. What was not given is None or False until :func:`checked`.

    Where the area is known, the help is of what it takes.
    """
    parser.add_argument("area", nargs="?", help="what to measure: " + ", ".join(areas))
    title = "what to run (lists are separated by commas; pyamg:* takes all that match)"
    what = _Group(parser, title, area)
    what.add_argument("--problems", help="names from `solvers list`")
    what.add_argument("--methods", help="by default those made for each problem's kind")
    what.add_argument("--preconditioners", help="of " + ", ".join(PRECONDITIONERS) + "; default none,jacobi")
    what.add_argument("--size", type=_positive_list, help="points per axis, such as 100 or 300,1000")
    what.add_argument("--matrix", metavar="FILE.mtx[.gz]", help="a Matrix Market file as the problem")
    what.add_argument("--rhs", metavar="FILE", help="its right-hand side, .mtx or .npy")
    what.add_argument("--quick", action="store_true", help="a few problems of the area, in less than a minute")
    what.add_argument("--per-iteration", action="store_true", help="cg against SciPy's, microseconds per iteration")
    what.add_argument("--seeds", type=_positive, help="sequences, learned: how many draws; default 1")
    what.add_argument("--steps", type=_positive, help="sequences: how many systems; default 5000, with --quick fewer")
    what.add_argument("--cap", type=_tolerance, help="transport, pde, learned: most CPU seconds of a row or search")
    what.add_argument("--clouds", metavar="FILE,FILE", help="sliced: two clouds: .off .obj .ply .npy, or pictures")
    what.add_argument("--model", metavar="FILE.npz", help="learned: dcdm's network; written where it is not there yet")
    what.add_argument("--images", metavar="FILE,FILE", help="transport: two image files as problems")
    what.add_argument("--sweeps", action="store_true", help="transport: milliseconds of one sweep, ours and POT's")
    what.add_argument("--projectors", action="store_true", help="inverse: milliseconds of tomography's products")
    what.add_argument("--startup", action="store_true", help="linalg: seconds of imports and of the first call")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    _add_how(_Group(parser, "how to run it", area))
    out = _Group(parser, "what to write", area)
    out.add_argument("--json", metavar="FILE", help="rows, command, machine and versions")
    out.add_argument("--csv", metavar="FILE", help="rows")
    out.add_argument("--plot", metavar="FILE.png", help="a picture: accuracy or curves, and ratios")
    out.add_argument("--no-progress", action="store_true", help="no progress bar")


def _add_how(group):
    group.add_argument("--rtol", type=_tolerance, help="default 1e-8, in single precision 1e-5, of learned 1e-6")
    group.add_argument("--maxiter", type=_positive, help="default 5000")
    group.add_argument("--dtype", choices=("float32", "float64", "complex64", "complex128"))
    group.add_argument("--threads", type=_positive_list, help="of our kernels, BLAS and OpenMP; default 1")
    group.add_argument("--repeats", type=_positive, help="solves per row, of which the median; default 3")
    group.add_argument("--baseline", help="what ratios refer to, or none; default scipy:cg, on the GPU cupyx:cg")
    group.add_argument("--backend", choices=("auto", "cpu", "gpu"), help="where our methods run; default auto")


def checked(args):
    """Refuse what the area does not take, since passed over in silence it would mislead; then fill in defaults."""
    mode = _mode(args)
    where = f"{args.area} {mode}" if mode else args.area
    takes = TAKES[where].split()
    chooses = mode.strip("-").replace("-", "_")
    for name, value in vars(args).items():
        known = name in ("area", "run", chooses, *_ANYWHERE.split(), *takes)
        if not known and value not in (None, False):
            options = ", ".join(map(_flag, [*takes, "json"]))
            raise UsageError(f"{_flag(name)} does not apply to {where}, which takes {options}.")
    if args.backend == "gpu" and args.area != "linalg":
        raise UsageError(f"--backend gpu does not apply to {args.area}: it is measured on the CPU.")
    if args.threads and len(args.threads) > 1 and where not in ("sweeps", "linalg --per-iteration"):
        raise UsageError("--threads takes one number here; a list is for sweeps and for linalg --per-iteration.")
    _check_together(args)
    for name, value in _DEFAULTS.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.repeats = args.repeats or (1 if args.quick and args.area in _ONCE_IF_QUICK else 3)
    return args


def _mode(args):
    """The option that chooses another measurement than the area's table, or an empty string."""
    if args.seeds and args.seeds > 1 and args.area == "learned":
        return "--seeds"
    modes = (where.partition(" ")[2] for where in TAKES if where.startswith(f"{args.area} "))
    return next((mode for mode in modes if mode != "--seeds" and getattr(args, mode.strip("-").replace("-", "_"))), "")


def _check_together(args):
    """Options that would pass over each other."""
    if args.matrix and (args.problems or args.size):
        raise UsageError("--matrix is the problem: --problems and --size do not go with it.")
    if args.area == "linalg" and args.quick and args.size and not args.problems:
        raise UsageError("--quick has sizes of its own: --size goes with --problems.")
    if args.per_iteration and args.quick and args.backend != "gpu":
        raise UsageError("--quick does not apply to linalg --per-iteration, unless with --backend gpu.")
    if args.per_iteration and args.threads and args.backend == "gpu":
        raise UsageError("--threads does not apply to linalg --per-iteration --backend gpu.")
    if args.images and (args.problems or args.quick):
        raise UsageError("--images are the problems: --problems and --quick do not go with them.")
    if args.clouds and args.problems:
        raise UsageError("--clouds are the problem: --problems does not go with them.")


def _flag(name):
    return f"--{name.replace('_', '-')}"


def _positive(text):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, got {text!r}")
    return value


def _positive_list(text):
    return [_positive(part.strip()) for part in text.split(",")]


def _tolerance(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number > 0, got {text!r}")
    return value
