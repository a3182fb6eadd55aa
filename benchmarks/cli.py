"""The command line: ``solvers bench``, ``solvers test-gpu``, ``solvers list``, ``solvers info``, ``solvers cache``."""

import argparse
import importlib
import os
import sys

from . import arguments, cache, catalogue, info, parity, third_party
from ._registry import UsageError

__all__ = ["main"]

# Areas, and the modules that measure them.
_AREAS = {
    "linalg": "bench",
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
        args = _parser(argv).parse_args(argv)
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


def _parser(argv):
    from solvers import __version__

    parser = argparse.ArgumentParser(prog="solvers", description="Measure solvers, and see what there is.")
    parser.add_argument("--version", action="version", version=f"solvers {__version__}")
    parser.set_defaults(run=lambda args, argv: parser.print_help() or 0)
    commands = parser.add_subparsers(title="commands")
    measuring = commands.add_parser("bench", help="problems x methods of an area, with ratios to a baseline")
    measuring.set_defaults(run=_bench)
    arguments.add_arguments(measuring, _areas(), next((word for word in argv if word in _AREAS), None))
    parity.add_arguments(commands.add_parser("test-gpu", help="every GPU kernel and method beside the CPU's"))
    catalogue.add_arguments(commands.add_parser("list", help="what is registered, here and by other packages"))
    info.add_arguments(commands.add_parser("info", help="versions, threads, backends, cache, and how to choose"))
    cache.add_arguments(commands.add_parser("cache", help="compiled kernels: where, how large; clear, warm"))
    return parser


def _areas():
    return list(_AREAS)


def _bench(args, argv):
    if args.area is None:
        print("Areas: " + ", ".join(_areas()) + ". For example: solvers bench linalg --quick")
        return 0
    catalogue.area_called(args.area)
    args = arguments.checked(args)
    third_party.load(catalogue.REGISTRIES, args.area)
    return importlib.import_module(f".{_AREAS[args.area]}", __package__).bench(args, argv)
