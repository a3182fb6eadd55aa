"""``solvers cache``, in processes of their own with a folder of their own."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def solvers(tmp_path):
    """``solvers(*arguments)`` runs the command, ``solvers.python(code)`` code, with the same empty cache."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        return done.stdout

    def command(*arguments):
        return run("-m", "solvers", "cache", *arguments)

    command.python = lambda code: run("-c", code)
    return command


def test_what_a_call_left_is_shown_and_cleared_and_nothing_else(solvers, tmp_path):
    assert "0 files, 0.0 MB" in solvers()
    solvers.python("import numpy as np; from solvers import linalg; linalg.jacobi(np.eye(3) * 2, np.ones(3))")
    shown = solvers("show")
    folder, _, rest = shown.strip().rpartition(": ")
    assert folder.startswith(str(tmp_path)) and int(rest.split()[0]) > 0
    other = os.path.join(folder, "of_somebody_else-1.py311.nbi")
    with open(other, "w"):
        pass
    cleared = solvers("clear").splitlines()
    assert cleared[0] == f"deleted {rest}" and "0 files" in cleared[1]
    assert os.path.exists(other)


@pytest.mark.slow
def test_warm_leaves_nothing_to_compile_for_a_first_solve(solvers):
    assert "linear systems" in solvers("warm")
    before = solvers("show")
    solvers.python("import numpy as np; from solvers import linalg; linalg.cg(np.eye(3), np.ones(3))")
    assert solvers("show") == before
