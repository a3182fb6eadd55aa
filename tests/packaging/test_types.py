"""What a type checker makes of the installed package: it accepts what is right, and refuses what is not."""

import ast
import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys
import typing

import pytest

import solvers
from solvers import compat, linalg

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = pathlib.Path(__file__).with_name("typed_user.py")
# A user's settings, but for the last two lines: those stand for site-packages, whose own lines are not reported.
SETTINGS = """
[mypy]
strict = True
[mypy-scipy.*]
ignore_missing_imports = True
[mypy-solvers.*]
follow_imports = silent
"""
# Each line with the kind of error that it must be.
WRONG = """
import numpy as np
import solvers
from solvers import inverse, linalg, pde, transport
from solvers.compat import pot

A = b = np.eye(3)
linalg.cg(A, b, rtoll=1e-8)  # call-arg
linalg.cg(None, b)  # arg-type
linalg.cg(A, b, callback=3)  # arg-type
linalg.conjugate_gradients(A, b)  # attr-defined
linalg.cg(A, b).iteratons  # attr-defined
linalg.cg(A, b).status.sentense  # union-attr
name: str = linalg.cg(A, b).info  # assignment
x, info, more = linalg.cg(A, b)  # misc
solvers.linlag  # attr-defined
solvers.backend(3)  # arg-type
transport.sinkhorn(A)  # call-arg
transport.sinkhorn(A, eps=0.1).plann  # union-attr
transport.sliced_wasserstein(A, A).distanc  # attr-defined
pde.solve_gp({(2,): 1.0}, 0.0, [(0, 1)], 0).predict([[0.5]]).predict  # attr-defined
pot.sinkhorn2(b, b, A, 1.0, maxiter=3)  # call-overload
inverse.least_squares(A, b, noise=1.0)  # call-arg
inverse.least_squares(A, b).stop_reson  # attr-defined
"""


@pytest.fixture(scope="module")
def errors(unpacked, tmp_path_factory):
    """The errors of mypy in the user's file and in the wrong one: sets of (line, kind)."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("types")
    settings, wrong = folder / "mypy.ini", folder / "wrong.py"
    settings.write_text(SETTINGS)
    wrong.write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", folder / "cache", USER, wrong]
    environment = {**os.environ, "MYPYPATH": str(unpacked)}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(.*?):(\d+): error: .* \[([a-z-]+)\]$", done.stdout, re.M)
    assert len(found) == done.stdout.count(" error: "), done.stdout
    return {
        name: {(int(line), kind) for path, line, kind in found if pathlib.Path(path).name == name}
        for name in (USER.name, wrong.name)
    }


def test_a_strict_users_file_that_uses_every_area_has_no_error(errors):
    assert errors[USER.name] == set()


def test_what_is_wrong_is_an_error(errors):
    lines = enumerate(WRONG.splitlines(), 1)
    assert errors["wrong.py"] == {(i, line.partition("  # ")[2]) for i, line in lines if "  # " in line}


@pytest.mark.parametrize("module", [solvers, linalg, compat], ids=lambda module: module.__name__)
def test_the_stub_offers_what_the_module_does(module):
    """SciPy's names are those of its newest version."""
    tree = ast.parse(pathlib.Path(module.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    (said,) = (ast.literal_eval(node.value) for node in tree.body if _names(node) == ["__all__"])
    made = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    made |= {name for node in tree.body for name in _names(node)}
    assert set(module.__all__) <= set(said) <= made
    assert module is linalg or set(said) == set(module.__all__)


def _names(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets]


def test_the_users_file_has_every_public_name_of_the_areas():
    """A new function is used there once, so that it has types."""
    text = USER.read_text(encoding="utf-8")
    areas = {name: getattr(solvers, name) for name in ("deep", "inverse", "pde", "testing", "transport")}
    public = {f"{name}.{each}" for name, area in areas.items() for each in area.__all__}
    public |= {f"linalg.{each}" for each in linalg.OURS} | {f"ot.{each}" for each in compat.pot.__all__}
    public |= {f"solvers.{each}" for each in {*solvers.__all__} - {*areas, "linalg", "compat"}}
    assert sorted(name for name in public if not re.search(rf"\b{re.escape(name)}\b", text)) == []


def functions_of(value):
    """A public function; or the public functions of a public class, those of its ancestors here included."""
    if inspect.isfunction(value):
        yield value
    for kind in value.__mro__ if inspect.isclass(value) else ():
        for name, member in vars(kind).items() if kind.__module__.startswith("solvers.") else ():
            member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(member) and (name == "__init__" or not name.startswith("_")):
                yield member


@pytest.mark.parametrize("area", ["", ".compat.pot", ".deep", ".inverse", ".linalg", ".pde", ".testing", ".transport"])
def test_every_public_function_is_annotated(area):
    """But for constructors of what functions return: those are not for users, and need a word for mypy only."""
    module = importlib.import_module(f"solvers{area}")
    bare = []
    for name in getattr(module, "OURS", module.__all__):
        for function in functions_of(getattr(module, name)):
            said, parameters = function.__annotations__, inspect.signature(function).parameters
            missing = {*parameters, "return"} - {"self", "cls"} - {*said}
            if missing and not typing.get_overloads(function) and not (said and function.__name__ == "__init__"):
                bare.append(function.__qualname__)
    assert sorted({*bare}) == []
