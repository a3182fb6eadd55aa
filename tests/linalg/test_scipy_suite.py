"""SciPy's own tests of its iterative solvers, run against ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import scipy

import solvers

HERE = Path(__file__).parent
SUITE = "scipy.sparse.linalg._isolve"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What pytest printed; from an empty folder, so that our settings do not reach SciPy's tests."""
    # As everywhere in these tests, but for a process that starts elsewhere.
    home = Path(solvers.__file__).parents[1]
    path = os.pathsep.join([str(HERE), str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "scipy_plugin", "--pyargs", SUITE, "-p", "no:cacheprovider"],
        cwd=tmp_path_factory.mktemp("scipy"),
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    print(run.stdout[-2000:])
    return run.stdout + run.stderr


def number_of(word, output):
    """The number in pytest's last line, as in "888 passed, 44 skipped"."""
    (last,) = re.findall(r"^.*\d+ passed.* in [\d.]+s.*$", output, re.MULTILINE)
    found = re.search(rf"(\d+) {word}", last)
    return int(found[1]) if found else 0


def test_none_of_scipys_tests_fails(output):
    assert number_of("failed", output) == 0
    assert number_of("errors?", output) == 0


def test_as_many_of_scipys_tests_pass_as_with_scipys_functions(output):
    passed = number_of("passed", output)
    if scipy.__version__.startswith("1.17."):
        assert passed == 888
    else:
        assert passed >= 800


@pytest.mark.parametrize("name, least", [("cg", 300), ("minres", 60), ("bicgstab", 60), ("gmres", 60)])
def test_scipys_tests_reached_our_function(output, name, least):
    (calls,) = re.findall(rf"^calls of {name}: (\d+)$", output, re.MULTILINE)
    assert int(calls) > least
