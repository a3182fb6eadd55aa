"""The same package from a wheel, an editable install and a bare checkout, however Python is started."""

import json
import subprocess
import sys
import zipfile

import pytest

# Solves a 2 x 2 system; prints the answer, where the modules came from, and what must not be there.
SOLVE = """
import json, sys
import numpy as np
import solvers.linalg
import solvers.kernels.cpu
import solvers.benchmarks
result = solvers.linalg.cg(np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]), rtol=1e-12)
print(json.dumps({
    "x": result.x.tolist(),
    "converged": result.converged,
    "files": [m.__file__ for m in (solvers, solvers.linalg, solvers.kernels.cpu, solvers.benchmarks)],
    "doubled": sorted({"kernels", "benchmarks"} & {name.partition(".")[0] for name in sys.modules}),
}))
"""
AS_TEST = """
import json, sys

def test_solve():
    import numpy as np
    import solvers.linalg, solvers.kernels.cpu, solvers.benchmarks
    result = solvers.linalg.cg(np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]), rtol=1e-12)
    assert np.allclose(result.x, [1 / 11, 7 / 11])
    assert solvers.__file__.startswith(%r)
    assert not {"kernels", "benchmarks"} & {name.partition(".")[0] for name in sys.modules}
"""


@pytest.fixture(scope="module")
def editable(checkout, builds_here, tmp_path_factory):
    """The folder that an editable install of the checkout adds to site-packages."""
    out, folder = tmp_path_factory.mktemp("editable_wheel"), tmp_path_factory.mktemp("editable_site")
    if not builds_here:
        pytest.skip("an editable install is built with setuptools >= 70.1: pip install '.[test]'")
    build = f"import setuptools.build_meta as b; print(b.build_editable({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def assert_solved(printed, root):
    said = json.loads(printed)
    assert said["x"] == pytest.approx([1 / 11, 7 / 11]) and said["converged"]
    assert [f for f in said["files"] if not f.startswith(str(root))] == []
    assert said["doubled"] == []


def test_a_wheel_works_from_anywhere(python, unpacked):
    assert_solved(python("-c", SOLVE, path=[unpacked]), unpacked)


def test_a_wheel_works_beside_the_checkout_that_hides_it(python, unpacked, checkout):
    """As after ``pip install .`` in the checkout: the current folder comes first."""
    assert_solved(python("-c", SOLVE, path=[unpacked], cwd=checkout), checkout)


def test_an_editable_install_works_from_anywhere(python, editable, checkout):
    # An install that is there already would come first; pip removes it before an editable one.
    start = f"""
import site, sys
paths, finders = sys.path[:], sys.meta_path[:]
site.addsitedir({str(editable)!r})
sys.path.sort(key=paths.__contains__)
sys.meta_path.sort(key=finders.__contains__)
"""
    assert_solved(python("-c", start + SOLVE), checkout)


def test_a_bare_checkout_works_with_python_c(python, checkout):
    assert_solved(python("-c", SOLVE, cwd=checkout), checkout)


def test_a_bare_checkout_works_from_a_script_that_adds_it_to_the_path(python, checkout, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(checkout)!r})\n" + SOLVE)
    assert_solved(python(script), checkout)


def test_a_bare_checkout_works_as_a_relative_entry_of_the_path(python, checkout):
    move = "import os, sys; sys.path.insert(0, 'below'); import solvers; os.chdir('/')\n"
    (checkout.parent / "below").symlink_to(checkout)
    try:
        said = json.loads(python("-c", move + SOLVE, cwd=checkout.parent))
    finally:
        (checkout.parent / "below").unlink()
    assert said["converged"] and said["doubled"] == []


@pytest.mark.parametrize("place", ["wheel", "checkout", "both"])
def test_the_command_line_lists_what_there_is(python, unpacked, checkout, place):
    path = [] if place == "checkout" else [unpacked]
    where = {} if place == "wheel" else {"cwd": checkout}
    printed = python("-m", "solvers", "list", path=path, **where)
    for name in ("poisson2d", "cg", "jacobi"):
        assert name in printed


@pytest.mark.parametrize("place", ["wheel", "checkout", "both"])
def test_pytest_run_as_a_module_finds_the_package(python, unpacked, checkout, tmp_path, place):
    root = unpacked if place == "wheel" else checkout
    test = tmp_path / "test_solve.py"
    test.write_text(AS_TEST % str(root))
    path = [] if place == "checkout" else [unpacked]
    where = {} if place == "wheel" else {"cwd": checkout}
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", tmp_path, "-W", "error"]
    assert "1 passed" in python(*options, test, path=path, **where)


def test_the_pieces_of_the_package_share_their_classes(python, checkout):
    """A second copy of a module would make an exception that nobody's ``except`` knows."""
    script = """
import solvers, solvers.linalg
from solvers import InvalidInput
try:
    solvers.linalg.cg(1, 2)
except (InvalidInput, solvers.UnsupportedType) as error:
    print(type(error).__module__)
"""
    assert python("-c", script, cwd=checkout) == "solvers._errors\n"
