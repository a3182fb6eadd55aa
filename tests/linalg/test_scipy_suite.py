"""SciPy's own tests of its iterative solvers, run against ours."""

import re

import pytest
import scipy
from peer_suite import number_of, run_suite


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What pytest printed."""
    # Of SciPy 1.18: operators of more than two dimensions, and maxiter=0, are refused in words of our own.
    kept = ["-k", "not (test_nD or maxiter_zero_with_show)"]
    return run_suite("scipy_plugin", tmp_path_factory.mktemp("scipy"), "scipy.sparse.linalg._isolve", *kept)


def test_none_of_scipys_tests_fails(output):
    assert number_of("failed", output) == 0
    assert number_of("errors?", output) == 0


def test_as_many_of_scipys_tests_pass_as_with_scipys_functions(output):
    passed = number_of("passed", output)
    if scipy.__version__.startswith("1.17."):
        assert passed == 888
    else:
        assert passed >= 800


LEAST = {"cg": 300, "minres": 60, "bicgstab": 60, "gmres": 60, "lsqr": 30, "lsmr": 15}


@pytest.mark.parametrize("name, least", LEAST.items())
def test_scipys_tests_reached_our_function(output, name, least):
    (calls,) = re.findall(rf"^calls of {name}: (\d+)$", output, re.MULTILINE)
    assert int(calls) > least
