"""The command line: ``solvers bench``, ``solvers test-gpu``, ``solvers list``, ``solvers info``, ``solvers cache``."""

import argparse
import importlib
import os
import sys

from . import cache, catalogue, info, parity, third_party
from ._registry import UsageError
from .linalg_rivals import METHODS
from .preconditioners import PRECONDITIONERS
from .problems import PROBLEMS

__all__ = ["main"]

# Areas that are no product of problems and methods, and the modules that measure them.
_ON_THEIR_OWN = {
    "inverse": "inverse_bench",
    "learned": "learned_bench",
    "pde": "pde_bench",
    "sequences": "sequences_bench",
    "sliced": "sliced_bench",
    "ssor": "ssor_totals",
    "sweeps": "sweeps",
    "transport": "transport_bench",
}


def main(argv=None) -> int:
    """Run the command line.

    Returns its exit code: 0, 1 where a test failed, 2 for a command that cannot be run, 130 after Ctrl-C.
    """
    from solvers import BackendUnavailable, InvalidInput

    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser().parse_args(argv)
        return args.run(args, argv)
    except SystemExit as stop:
        return stop.code or 0
    except (UsageError, BackendUnavailable, InvalidInput) as error:
        print(f"solvers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has left; what is still buffered would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser():
    from solvers import __version__

    parser = argparse.ArgumentParser(prog="solvers", description="Measure solvers, and see what there is.")
    parser.add_argument("--version", action="version", version=f"solvers {__version__}")
    parser.set_defaults(run=lambda args, argv: parser.print_help() or 0)
    commands = parser.add_subparsers(title="commands")
    _add_bench(commands.add_parser("bench", help="problems x methods x preconditioners, with ratios to a baseline"))
    parity.add_arguments(commands.add_parser("test-gpu", help="every GPU kernel and method beside the CPU's"))
    catalogue.add_arguments(commands.add_parser("list", help="what is registered, here and by other packages"))
    info.add_arguments(commands.add_parser("info", help="versions, threads, backends, cache, and how to choose"))
    cache.add_arguments(commands.add_parser("cache", help="compiled kernels: where, how large; clear, warm"))
    return parser


def _add_bench(parser):
    parser.set_defaults(run=_bench)
    parser.add_argument("area", nargs="?", help="what to measure: " + ", ".join(_areas()))
    what = parser.add_argument_group("what to run (lists are separated by commas; pyamg:* takes all that match)")
    what.add_argument("--problems", help="names from `solvers list`")
    what.add_argument("--methods", help="by default those made for each problem's kind")
    what.add_argument("--preconditioners", help="of " + ", ".join(PRECONDITIONERS) + "; default none,jacobi")
    what.add_argument("--size", type=_positive_list, help="points per axis, such as 100 or 300,1000")
    what.add_argument("--matrix", metavar="FILE.mtx[.gz]", help="a Matrix Market file as the problem")
    what.add_argument("--rhs", metavar="FILE", help="its right-hand side, .mtx or .npy")
    what.add_argument("--quick", action="store_true", help="real and model problems in under a minute")
    what.add_argument("--per-iteration", action="store_true", help="cg against SciPy's, microseconds per iteration")
    what.add_argument("--seeds", type=_positive, default=1, help="sequences, learned: how many draws; default 1")
    what.add_argument("--steps", type=_positive, help="sequences: how many systems; default 5000, with --quick fewer")
    what.add_argument("--cap", type=_tolerance, help="transport, pde, learned: most CPU seconds of a row or search")
    what.add_argument("--clouds", metavar="FILE,FILE", help="sliced: two clouds: .off .obj .ply .npy, or pictures")
    what.add_argument("--model", metavar="FILE.npz", help="learned: dcdm's network; written where it is not there yet")
    what.add_argument("--images", metavar="FILE,FILE", help="transport: two image files as problems")
    what.add_argument("--sweeps", action="store_true", help="transport: milliseconds of one sweep, ours and POT's")
    what.add_argument("--projectors", action="store_true", help="inverse: milliseconds of tomography's products")
    what.add_argument("--startup", action="store_true", help="seconds of imports and of the first call")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    _add_how(parser.add_argument_group("how to run it"))
    out = parser.add_argument_group("what to write")
    out.add_argument("--json", metavar="FILE", help="rows, command, machine and versions")
    out.add_argument("--csv", metavar="FILE", help="rows")
    out.add_argument("--plot", metavar="FILE.png", help="residual curves and ratios")
    out.add_argument("--no-progress", action="store_true", help="no progress bar")


def _add_how(group):
    group.add_argument("--rtol", type=_tolerance, help="default 1e-8, in single precision 1e-5")
    group.add_argument("--maxiter", type=_positive, default=5_000, help="default 5000")
    group.add_argument("--dtype", choices=("float32", "float64", "complex64", "complex128"))
    group.add_argument("--threads", type=_positive_list, help="of our kernels, BLAS and OpenMP; default 1")
    group.add_argument("--repeats", type=_positive, default=3, help="solves per row, of which the median; default 3")
    group.add_argument("--baseline", help="what ratios refer to, or none; default scipy:cg, on the GPU cupyx:cg")
    group.add_argument("--backend", choices=("auto", "cpu", "gpu"), default="auto", help="where our methods run")


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


def _areas():
    return list(dict.fromkeys([*(entry.area for entry in (*PROBLEMS.values(), *METHODS.values())), *_ON_THEIR_OWN]))


def _bench(args, argv):
    from .bench import bench

    if args.area is None:
        print("Areas: " + ", ".join(_areas()) + ". For example: solvers bench linalg --quick")
        return 0
    if args.area not in _areas():
        raise UsageError(f"There is no area called {args.area!r}; areas are {', '.join(_areas())}.")
    if args.clouds and args.area != "sliced":
        raise UsageError(f"--clouds does not apply to {args.area}.")
    if args.images and args.area != "transport":
        raise UsageError(f"--images does not apply to {args.area}.")
    if args.projectors and args.area != "inverse":
        raise UsageError(f"--projectors does not apply to {args.area}.")
    if args.model and args.area != "learned":
        raise UsageError(f"--model does not apply to {args.area}.")
    third_party.load(catalogue.REGISTRIES, args.area)
    if args.area in _ON_THEIR_OWN:
        return importlib.import_module(f".{_ON_THEIR_OWN[args.area]}", __package__).bench(args, argv)
    return bench(args, argv)
