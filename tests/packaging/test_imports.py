"""What an import loads, who may import whom, and what a library must not do to its caller's process."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAVY = ("numba", "llvmlite", "cupy", "torch", "matplotlib", "pyamg", "ot", "skimage")
FOLDERS = ("solvers", "kernels", "benchmarks")


# ---- what is in sys.modules ----


@pytest.mark.parametrize(
    "modules",
    [
        "solvers",
        "solvers.linalg",
        "solvers.kernels",
        "solvers.benchmarks",
        "solvers.benchmarks.cli",
        "solvers.compat.pot",
        "solvers.deep",
        "solvers.inverse",
        "solvers.__main__",
    ],
)
def test_an_import_loads_no_heavy_library(python, modules):
    script = f"import {modules}, sys; print([n for n in {HEAVY} if n in sys.modules])"
    assert python("-c", script, cwd=ROOT) == "[]\n"


def test_importing_solvers_loads_no_area(python):
    script = "import solvers, sys; print('solvers.linalg' in sys.modules, 'scipy.sparse.linalg' in sys.modules)"
    assert python("-c", script, cwd=ROOT) == "False False\n"


def test_the_first_cg_loads_numba_and_no_other_heavy_library_and_prints_nothing(python):
    script = f"""
import sys
import numpy as np
from solvers import linalg
before = "numba" in sys.modules
A = np.array([[4.0, 1.0], [1.0, 3.0]])
assert linalg.cg(A, np.ones(2)).converged
assert not linalg.cg(A, np.ones(2), maxiter=1, rtol=1e-14).converged
assert not linalg.cg(A * np.nan, np.ones(2)).converged
assert linalg.gmres(A, np.ones(2)).converged
found = [n for n in {HEAVY} if n in sys.modules]
assert (before, found) == (False, ["numba", "llvmlite"]), (before, found)
"""
    done = python("-W", "error", "-c", script, cwd=ROOT)
    assert done == ""


def test_a_plot_without_matplotlib_names_the_command_that_installs_it(python):
    script = """
import sys
sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
import numpy as np
from solvers import linalg
try:
    linalg.cg(np.eye(2), np.ones(2)).plot()
except ImportError as error:
    print(error)
"""
    printed = python("-c", script, cwd=ROOT)
    assert "matplotlib" in printed and "pip install 'adaptive-solvers[bench]'" in printed
    assert printed.count("\n") == 1 and printed.count(". ") == 0


# ---- who imports whom ----


def module_name(path):
    """solvers.kernels.cpu.cg for kernels/cpu/cg.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "solvers" else ("solvers", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def imports(name, tree, known, is_package):
    """(imported module, node) for every import, relative ones resolved; ``from x import y`` gives x.y if known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                yield (f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base), node


def all_imports():
    for name, tree in TREES.items():
        for target, node in imports(name, tree, SOURCES, SOURCES[name].name == "__init__.py"):
            yield name, target, node


def layer(name):
    """The height of a module in the house; a module may import what is as high as itself or lower."""
    parts = name.split(".")
    if len(parts) == 1:
        return 4  # solvers itself: its public names come from the rooms, and areas are loaded by name
    if parts[1] == "kernels":
        return 0
    if parts[1] in ("_errors", "_version"):
        return 1
    if parts[1] in ("_arrays", "_backend"):
        return 2
    if parts[1] == "compat":
        return 6  # other libraries' names for what the areas do
    if parts[1] == "benchmarks":
        return 7
    if parts[1] == "__main__":
        return 8
    if parts[1].startswith("_"):
        return 3
    return 5  # the areas, and testing


def wrong_way(importer, imported):
    """Why that import is not allowed, or None."""
    if not (imported == "solvers" or imported.startswith("solvers.")):
        return None
    if layer(imported) > layer(importer):
        return "goes up"
    if layer(importer) == 0 and layer(imported) != 0:
        return "leaves the lowest layer"
    areas = [name.split(".")[1] for name in (importer, imported) if layer(name) == 5]
    if len(areas) == 2 and areas[0] != areas[1] and areas[1] != "linalg" and areas[0] != "testing":
        return "goes sideways"
    return None


def test_imports_go_down_the_layers_only():
    found = [f"{a} imports {b}: {why}" for a, b, _ in all_imports() if (why := wrong_way(a, b))]
    assert found == []


@pytest.mark.parametrize(
    "importer, imported, allowed",
    [
        ("solvers.benchmarks.run", "solvers.linalg", True),
        ("solvers.linalg._cg", "solvers.benchmarks.run", False),
        ("solvers.linalg._cg", "solvers._loop", True),
        ("solvers._loop", "solvers.linalg", False),
        ("solvers._loop", "solvers._result", True),
        ("solvers._backend", "solvers._loop", False),
        ("solvers._backend", "solvers.kernels.threads", True),
        ("solvers._backend", "solvers._arrays", True),
        ("solvers._arrays", "solvers._checks", False),
        ("solvers._errors", "solvers.kernels.errors", True),
        ("solvers._errors", "solvers._arrays", False),
        ("solvers.kernels.errors", "solvers._errors", False),
        ("solvers.kernels.cpu.cg", "solvers._errors", False),
        ("solvers.kernels.cpu.cg", "solvers", False),
        ("solvers.kernels.cpu.cg", "solvers.kernels.cpu._jit", True),
        ("solvers.transport._sinkhorn", "solvers.linalg", True),
        ("solvers.linalg._cg", "solvers.transport", False),
        ("solvers.pde._gp", "solvers.transport._sinkhorn", False),
        ("solvers.compat.pot", "solvers.transport", True),
        ("solvers.transport._sinkhorn", "solvers.compat.pot", False),
        ("solvers.linalg._cg", "numpy", True),
    ],
)
def test_the_rule_of_the_layers_is_the_one_meant(importer, imported, allowed):
    assert (wrong_way(importer, imported) is None) == allowed


def test_relative_imports_are_resolved():
    tree = ast.parse("from .. import _backend\nfrom ..kernels.cpu import cg\nfrom . import x\nfrom ._y import f")
    known = {"solvers._backend", "solvers.kernels.cpu.cg"}
    found = [target for target, _ in imports("solvers.linalg._cg", tree, known, False)]
    assert found == ["solvers._backend", "solvers.kernels.cpu.cg", "solvers.linalg", "solvers.linalg._y"]
    found = [target for target, _ in imports("solvers.linalg", tree, known, True)]
    assert found[2:] == ["solvers.linalg", "solvers.linalg._y"]


def test_no_import_names_the_top_level_folders():
    """``import kernels`` would make a second copy of every module in it."""
    tops = {target.partition(".")[0]: f"{name}: {target}" for name, target, _ in all_imports()}
    assert [where for top, where in tops.items() if top in ("kernels", "benchmarks", "tests", "examples")] == []


def parents(tree):
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def ancestors(node, above):
    while node in above:
        node = above[node]
        yield node


def is_inside_function(node, above):
    return any(isinstance(a, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) for a in ancestors(node, above))


def test_heavy_libraries_are_imported_inside_functions_only():
    above = {name: parents(tree) for name, tree in TREES.items()}
    found = [
        f"{name}:{node.lineno} {target}"
        for name, target, node in all_imports()
        if target.partition(".")[0] in HEAVY
        and not name.startswith("solvers.kernels")
        and not is_inside_function(node, above[name])
    ]
    assert found == []


def test_each_kernel_package_imports_its_own_array_library_only():
    allowed = {"cpu": {"numba", "llvmlite"}, "gpu": {"cupy", "cupyx"}}
    found = []
    for name, target, _ in all_imports():
        top = target.partition(".")[0]
        if name.startswith("solvers.kernels") and top in {*HEAVY, "cupyx", "scipy"}:
            package = name.split(".")[2] if name.count(".") > 1 else ""
            if top not in allowed.get(package, set()):
                found.append(f"{name} imports {target}")
    assert found == []


# ---- what a library must not do ----


def called(node):
    """The dotted name of what a call calls: ``np.random.seed``."""
    parts, f = [], node.func
    while isinstance(f, ast.Attribute):
        parts.append(f.attr)
        f = f.value
    return ".".join(reversed([*parts, f.id if isinstance(f, ast.Name) else "?"]))


def is_in_catch_warnings(node, above):
    return any(
        isinstance(item.context_expr, ast.Call) and called(item.context_expr).endswith("catch_warnings")
        for a in ancestors(node, above)
        if isinstance(a, ast.With)
        for item in a.items
    )


def touches_the_caller(tree):
    """The calls by which a library would print, or change the state of its caller's process."""
    above = parents(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        last = name.rpartition(".")[2]
        if name == "print":
            yield node.lineno, "print"
        if last in ("filterwarnings", "simplefilter", "resetwarnings") and not is_in_catch_warnings(node, above):
            yield node.lineno, name
        if name.endswith("random.seed") or last in ("seterr", "set_printoptions", "basicConfig", "setrecursionlimit"):
            yield node.lineno, name
        if last in ("set_num_threads", "setswitchinterval") or name == "os.chdir":
            yield node.lineno, name


def test_the_library_never_prints_and_never_touches_global_state():
    found = [
        f"{name}:{line} {what}"
        for name, tree in TREES.items()
        if not name.startswith("solvers.benchmarks")
        for line, what in touches_the_caller(tree)
    ]
    assert found == []


def test_the_benchmarks_print_and_leave_warnings_and_seeds_alone():
    found = [
        f"{name}:{line} {what}"
        for name, tree in TREES.items()
        if name.startswith("solvers.benchmarks")
        for line, what in touches_the_caller(tree)
        if what != "print" and not what.endswith("set_num_threads")
    ]
    assert found == []


@pytest.mark.parametrize(
    "source, count",
    [
        ("print(1)", 1),
        ("import warnings\nwarnings.simplefilter('ignore')", 1),
        ("import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')", 0),
        ("with open(f):\n    filterwarnings('ignore')", 1),
        ("import numpy as np\nnp.random.seed(0)", 1),
        ("np.seterr(all='ignore')", 1),
        ("with np.errstate(all='ignore'):\n    pass", 0),
        ("stream.write('x')", 0),
    ],
)
def test_what_counts_as_touching_the_caller(source, count):
    assert len(list(touches_the_caller(ast.parse(source)))) == count
