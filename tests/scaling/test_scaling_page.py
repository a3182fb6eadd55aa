"""The page on scaling out names what takes an executor, and its first example runs."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from solvers.benchmarks import engines

from solvers import linalg

PAGE = (Path(__file__).parents[2] / "docs" / "scaling_out.rst").read_text(encoding="utf-8")


def takers():
    """The public functions with that parameter."""
    for area in ("linalg", "transport", "pde", "inverse"):
        module = importlib.import_module(f"solvers.{area}")
        for name in getattr(module, "OURS", module.__all__):
            each = getattr(module, name)
            if inspect.isfunction(each) and "executor" in inspect.signature(each).parameters:
                yield area, name, each


def test_whatever_takes_an_executor_is_in_the_table_and_takes_it_by_name():
    table = PAGE.partition(".. list-table::")[2].partition("One system")[0]
    named = set(re.findall(r"``(?:\w+\.)?(\w+)``", table.replace("\n", " ")))
    found = list(takers())
    assert len(found) >= 17
    for area, name, each in found:
        assert name in named, f"{area}.{name}"
        parameter = inspect.signature(each).parameters["executor"]
        assert parameter.kind is parameter.KEYWORD_ONLY and parameter.default is None


def test_the_example_with_threads_runs():
    (block,) = re.findall(r"^Threads\n-+\n\n\.\. code-block:: python\n\n((?:   .*\n|\n)+)", PAGE, re.MULTILINE)
    scope = {}
    exec(block.replace("\n   ", "\n").removeprefix("   "), scope)
    serial = linalg.cg(scope["A"], scope["B"], M=scope["M"])
    assert scope["result"].converged and np.array_equal(serial.x, scope["result"].x)


@pytest.mark.parametrize("side", [8])
def test_what_a_task_costs_is_printed(side, capsys):
    engines.main(["threads", "--side", str(side)])
    assert re.search(r"^threads +\d+\.\d\d s +\d+\.\d\d ms +\d+\.\d\d ms$", capsys.readouterr().out, re.MULTILINE)
