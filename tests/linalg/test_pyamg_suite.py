"""PyAMG's own tests of its relaxation and Krylov methods, run against ours."""

import re

import pyamg
import pytest
from peer_suite import number_of, run_suite


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What pytest printed."""
    return run_suite("pyamg_plugin", tmp_path_factory.mktemp("pyamg"), "pyamg.relaxation", "pyamg.krylov")


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
