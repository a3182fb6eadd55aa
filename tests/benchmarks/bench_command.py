"""The command line as the tests call it."""

from solvers.benchmarks import cli


def run(capsys, *arguments):
    """The exit code, and what was printed and said on standard error."""
    code = cli.main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err
