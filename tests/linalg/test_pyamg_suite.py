"""PyAMG's own tests of its relaxation and Krylov methods, run against ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyamg
import pytest

import solvers

HERE = Path(__file__).parent
SUITES = "pyamg.relaxation", "pyamg.krylov"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What pytest printed; from an empty folder, so that our settings do not reach PyAMG's tests."""
    home = Path(solvers.__file__).parents[1]
    path = os.pathsep.join([str(HERE), str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "pyamg_plugin", "--pyargs", *SUITES, "-p", "no:cacheprovider"],
        cwd=tmp_path_factory.mktemp("pyamg"),
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    print(run.stdout[-2000:])
    return run.stdout + run.stderr


def number_of(word, output):
    """The number in pytest's last line, as in "58 passed, 1 skipped"."""
    (last,) = re.findall(r"^.*\d+ passed.* in [\d.]+s.*$", output, re.MULTILINE)
    found = re.search(rf"(\d+) {word}", last)
    return int(found[1]) if found else 0


def test_none_of_pyamgs_tests_fails(output):
    assert number_of("failed", output) == 0
    assert number_of("errors?", output) == 0


def test_as_many_of_pyamgs_tests_pass_as_with_pyamgs_functions(output):
    passed = number_of("passed", output)
    if pyamg.__version__.startswith("5.4."):
        assert passed == 58
    else:
        assert passed >= 50


@pytest.mark.parametrize(
    "name, least", [("gauss_seidel", 800), ("sor", 80), ("jacobi", 300), ("cg", 20), ("bicgstab", 5), ("gmres", 30)]
)
def test_pyamgs_tests_reached_our_function(output, name, least):
    (ours, theirs) = re.findall(rf"^calls of {name}: (\d+), left to PyAMG (\d+)$", output, re.MULTILINE)[0]
    assert int(ours) > least and int(theirs) < 10
