"""``python -m solvers`` and the console script ``solvers``."""

import sys


def main(argv=None) -> int:
    import solvers

    if not hasattr(solvers, "set_threads"):
        from ._namesakes import overwritten

        sys.stderr.write(f"solvers: {overwritten(solvers)}\n")
        return 2
    from solvers.benchmarks.cli import main as command_line

    return command_line(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
