"""Methods, problems and preconditioners that other packages register through entry points."""

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest
from bench_command import run
from solvers.benchmarks import adapters, catalogue, startup, third_party

PACKAGE = """
import numpy as np
import scipy.sparse as sp

from solvers import testing
from solvers.benchmarks.problems import problem


def descent(A, b, x0=None, *, rtol=1e-5, maxiter=2000, callback=None):
    \"\"\"Steepest descent, of another package.\"\"\"
    b = b.ravel()
    x = np.zeros_like(b) if x0 is None or not b.any() else x0.copy()
    for k in range(maxiter + 1):
        r = b - A @ x
        if not np.isfinite(r).all():
            return np.zeros_like(b), -1
        if np.linalg.norm(r) <= rtol * np.linalg.norm(b):
            return x, 0
        if k < maxiter:
            x += (np.vdot(r, r) / np.vdot(r, A @ r)) * r
            if callback is not None:
                callback(x.copy())
    return x, maxiter


DESCENT = testing.Method(descent, definite=True, hermitian=True, atol=False, results=False)


@problem("theirs-ring", "linalg", "a ring of springs", size=50, spd=True)
def ring(size):
    ones = np.ones(size - 1)
    return sp.csr_array(sp.diags_array([-ones, np.full(size, 2.5), -ones], offsets=[-1, 0, 1]))


def shifted(size=30):
    \"\"\"A shifted ring, with a right-hand side of its own.\"\"\"
    return ring(size), np.ones(size)


def halves(A):
    \"\"\"Half of the inverse diagonal.\"\"\"
    return sp.diags_array(0.5 / A.diagonal())


def direct(A, b):
    return np.linalg.solve(A.toarray(), b)
"""


def install(folder, points, name="their-package", version="0.3", **modules):
    """A distribution as pip would have put it there: its modules and the folder with its metadata."""
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [line for group, entries in points.items() for line in (f"[{group}]", *entries)]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")


THEIRS = {
    "solvers.problems": ["linalg = their_package", "linalg.theirs-shifted = their_package:shifted"],
    "solvers.methods": ["linalg.theirs-descent = their_package:DESCENT"],
    "solvers.preconditioners": ["linalg.theirs-halves = their_package:halves"],
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path to install into; what is registered from there is forgotten afterwards."""
    kept = {where: (dict(registry), dict(registry.origins)) for where, registry in catalogue.REGISTRIES.items()}
    monkeypatch.setattr(third_party, "_loaded", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]
    for where, (entries, origins) in kept.items():
        registry = catalogue.REGISTRIES[where]
        registry.clear()
        registry.update(entries)
        registry.origins = origins


def rows_of(capsys, folder, *arguments):
    """The rows of a run as dictionaries, and what it said on standard error."""
    path = folder / "rows.json"
    code, _, err = run(capsys, "bench", *arguments, "--json", str(path), "--no-progress")
    assert code == 0, err
    return json.loads(path.read_text())["rows"], err


def test_a_package_with_entry_points_is_listed_and_measured_by_the_program(tmp_path):
    """As its author would see it, in processes of their own."""
    install(tmp_path, THEIRS, their_package=PACKAGE)
    environment = startup.child_environment()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path), environment.get("PYTHONPATH")]))

    def program(*arguments, start=("-m", "solvers")):
        command = [sys.executable, "-W", "error", *start, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
        return done.stdout

    program("import solvers.testing as t, their_package as p; t.check_method(p.DESCENT)", start=["-c"])
    listed = program("list")
    assert "  theirs-descent                      Steepest descent, of another package [their-package 0.3]" in listed
    assert "  theirs-ring                         a ring of springs [their-package 0.3]" in listed
    table = program("bench", "linalg", "--problems", "theirs-*", "--methods", "theirs-descent", "--no-progress")
    rows = [line for line in table.splitlines() if line.startswith("theirs-ring") and "theirs-descent" in line]
    assert rows and all(row.rstrip().endswith("converged") for row in rows)


def test_the_program_which_starts_itself_again_names_a_failure_once(site):
    install(site, {"solvers.methods": ["linalg.x = nowhere_to_be_found:f"]})
    environment = startup.child_environment() | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    command = [sys.executable, "-m", "solvers", "bench", "linalg", "--problems", "poisson2d", "--size", "4"]
    done = subprocess.run([*command, "--methods", "cg"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "poisson2d" in done.stdout
    assert done.stderr.count("\n") == 1 and "'linalg.x' of their-package 0.3 is left out" in done.stderr


def test_importing_the_library_and_the_command_line_loads_no_entry_point(site):
    install(site, THEIRS, their_package="raise SystemExit('loaded')")
    code = "import solvers, solvers.linalg, solvers.testing, solvers.benchmarks.cli"
    environment = startup.child_environment() | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_entries_of_all_three_groups_run_beside_ours_and_say_where_they_come_from(site, capsys):
    install(site, THEIRS, their_package=PACKAGE)
    chosen = ["--methods", "theirs-descent,cg", "--preconditioners", "theirs-halves", "--problems", "theirs-ring"]
    rows, err = rows_of(capsys, site, "linalg", *chosen, "--repeats", "1")
    theirs = next(row for row in rows if row["method"] == "theirs-descent")
    assert not err and theirs["status"] == "converged" and theirs["residual"] <= 1e-8
    assert theirs["library"] == "their-package 0.3"
    assert any(row["method"] == "cg" and row["preconditioner"] == "theirs-halves" for row in rows)
    found = json.loads(run(capsys, "list", "--json")[1])
    assert found["from"]["linalg preconditioners"] == {"theirs-halves": "their-package 0.3"}
    assert set(found["from"]["linalg problems"]) == {"theirs-ring", "theirs-shifted"}


def test_a_method_runs_where_it_may_with_the_options_that_it_takes(site, capsys):
    points = {"solvers.methods": [*THEIRS["solvers.methods"], "linalg.theirs-direct = their_package:direct"]}
    install(site, points, their_package=PACKAGE)
    chosen = ["--problems", "convection_diffusion2d", "--size", "5", "--methods", "theirs-*"]
    rows, err = rows_of(capsys, site, "linalg", *chosen)
    status = {row["method"]: (row["status"], row["message"]) for row in rows}
    assert not err and status["theirs-descent"] == ("skipped", "needs a positive definite matrix.")
    assert status["theirs-direct"] == ("converged", "")


def test_a_method_that_answers_with_no_solution_or_exits_fails_alone(site, capsys):
    module = """
        import sys

        import numpy as np

        short = lambda A, b: np.ones(3)
        nothing = lambda A, b: None
        column = lambda A, b: np.linalg.solve(A.toarray(), b)[:, None]
        leaves = lambda A, b: sys.exit(3)
    """
    points = [f"linalg.odd-{name} = odd:{name}" for name in ("short", "nothing", "leaves", "column")]
    install(site, {"solvers.methods": points}, odd=module)
    names = "odd-short,odd-nothing,odd-leaves,odd-column"
    rows, _ = rows_of(capsys, site, "linalg", "--problems", "poisson2d", "--size", "8", "--methods", names)
    found = {row["method"]: (row["status"], row["message"]) for row in rows}
    assert found["odd-column"][0] == "converged"
    assert found["odd-leaves"][0] == found["odd-nothing"][0] == "failed"
    assert found["odd-short"][0] == "failed" and "x with 64 numbers, got shape (3,)" in found["odd-short"][1]


def test_an_entry_point_to_a_decorated_function_registers_it_once(site, capsys):
    install(site, {"solvers.problems": ["linalg.another-name = their_package:ring"]}, their_package=PACKAGE)
    _, out, err = run(capsys, "list")
    assert not err and out.count("[their-package 0.3]") == 1 and "  theirs-ring  " in out


def test_only_the_entries_of_the_area_that_is_measured_are_loaded(site, capsys):
    points = {"solvers.methods": ["pde.theirs = their_failure:f", "linalg.theirs = their_package:descent"]}
    install(site, points, their_package=PACKAGE, their_failure="raise RuntimeError('boom')")
    rows, err = rows_of(capsys, site, "linalg", "--problems", "poisson2d", "--size", "5", "--methods", "theirs")
    assert not err and {row["status"] for row in rows} == {"converged"}


@pytest.mark.parametrize(
    "point, sentence",
    [
        ("linalg.x = their_failure:f", "cannot be loaded: RuntimeError: boom."),
        ("linalg.x = nowhere_to_be_found:f", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("linalg.x = their_package:absent", "cannot be loaded: AttributeError: module 'their_package' has no"),
        ("linalg.cg = their_package:descent", "is refused: a method named 'cg' is registered already; give it another"),
        ("linalg = their_package:descent", "ValueError: a function needs a name: call its entry point 'linalg.NAME'."),
        ("linalg.x = their_package:__name__", "it leads to a str, and must lead to a module, a function or a Method."),
        ("learned.x = their_package:descent", "it leads to a function, and must lead to a module or a Learner."),
        ("algebra.x = their_package:descent", "its name must begin with an area that has methods (linalg, inverse,"),
    ],
)
def test_what_cannot_be_registered_is_one_sentence_that_names_the_distribution(site, capsys, point, sentence):
    points = {"solvers.methods": [point, "linalg.theirs = their_package:descent"]}
    install(site, points, their_package=PACKAGE, their_failure="raise RuntimeError('boom\\nand more')")
    code, out, err = run(capsys, "list")
    assert code == 0 and "  theirs  " in out and "  x  " not in out
    assert err.count("\n") == 1 and err.startswith(f"solvers: the method {point.split()[0]!r} of their-package 0.3 is ")
    assert sentence in err


def test_a_module_that_fails_half_way_leaves_nothing_behind(site, capsys):
    install(site, {"solvers.problems": ["linalg = their_package"]}, their_package=PACKAGE + "\nraise OSError\n")
    _, out, err = run(capsys, "list")
    assert "theirs-ring" not in out and "their-package 0.3 is left out, since it cannot be loaded: OSError." in err


def test_a_second_command_in_the_same_process_neither_repeats_nor_loses_them(site, capsys):
    install(site, THEIRS, their_package=PACKAGE)
    first, second = (run(capsys, "list") for _ in range(2))
    assert first == second and first[1].count("[their-package 0.3]") == 4


def test_the_page_says_how_every_kind_of_plain_function_is_called():
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "add_a_method.rst").read_text(encoding="utf-8")
    assert set(re.findall(r"^   \* - (\w+) (\w+)$", page, re.M)) == set(adapters._ADAPTERS)
    assert all(f'entry-points."{group}"' in page for group in third_party.GROUPS)


AREAS = """
import numpy as np

from solvers import inverse, pde, transport
from solvers.benchmarks.pde_problems import PDE


def sweeps(C, a, b, *, eps, tol):
    \"\"\"Sweeps on the scalings.\"\"\"
    K = np.exp(-C / eps)
    u, v = a, b
    for _ in range(2000):
        u = a / (K @ v)
        v = b / (K.T @ u)
    return u[:, None] * K * v


def small():
    \"\"\"Six points.\"\"\"
    C = np.subtract.outer(np.arange(6.0), np.arange(6.0)) ** 2 / 25
    return C, np.full(6, 1 / 6), np.full(6, 1 / 6), 0.5


def slices(X, Y, *, n_projections, rng):
    \"\"\"Sliced distance along random lines.\"\"\"
    rows = np.random.default_rng(rng).standard_normal((n_projections, X.shape[1]))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.mean((np.sort(X @ rows.T, axis=0) - np.sort(Y @ rows.T, axis=0)) ** 2) ** 0.5


def clouds():
    \"\"\"Two clouds.\"\"\"
    rng = np.random.default_rng(0)
    return rng.standard_normal((30, 3)), rng.standard_normal((30, 3)) + 1


def gp(op, f, box, bc, *, n, nonlinear=None):
    \"\"\"The library's own under another name.\"\"\"
    return pde.solve_gp(op, f, box, bc, n=n, nonlinear=nonlinear, tol=0.1)


def wave():
    \"\"\"u'' = f, u = sin 3x.\"\"\"
    u = lambda x: np.sin(3 * x)
    return PDE("", "u'' = f, u = sin 3x", ((0.0, 1.0),), {(2,): 1.0}, u, lambda x: -9 * u(x), (3,))


def steps(A, b, *, noise_level):
    \"\"\"Landweber's iteration.\"\"\"
    assert noise_level == 0.1
    x = np.zeros(A.image_shape)
    for _ in range(50):
        x = x + 2e-3 * A.rmatvec(b - A @ x)
    return x


def normed(A, b, *, noise_norm):
    \"\"\"The same, by the norm of the noise.\"\"\"
    return steps(A, b, noise_level=round(noise_norm / b.size**0.5, 9))


def scan():
    \"\"\"A square from twelve views.\"\"\"
    A = inverse.ParallelBeam((16, 16), angles=12)
    image = np.zeros((16, 16))
    image[5:11, 5:11] = 1.0
    return A, A @ image + 0.1 * np.random.default_rng(0).standard_normal(A.data_shape), image, 0.1
"""


@pytest.mark.parametrize(
    "area, problem, method, arguments, good",
    [
        ("transport", "small", "sweeps", ["--cap", "0.2"], lambda row: row["marginal_error"] < 1e-8),
        ("pde", "wave", "gp", ["--cap", "0.3"], lambda row: row["error"] < 1e-9 and row["ratio"]),
        ("inverse", "scan", "steps", [], lambda row: 0 < row["quality"] < 0.5 and row["to_best"]),
        ("inverse", "scan", "normed", [], lambda row: 0 < row["quality"] < 0.5),
        ("sliced", "clouds", "slices", ["--quick"], lambda row: 0.2 < row["ratio"] < 5),
    ],
)
def test_plain_functions_are_problems_and_methods_of_an_area(site, capsys, area, problem, method, arguments, good):
    """Each is measured beside ours and judged as ours are."""
    points = {
        "solvers.problems": [f"{area}.theirs-problem = their_areas:{problem}"],
        "solvers.methods": [f"{area}.theirs-method = their_areas:{method}"],
    }
    install(site, points, their_areas=AREAS)
    ours = {"transport": "log", "pde": "gp", "inverse": "cgls+discrepancy", "sliced": "mc"}[area]
    chosen = ["--problems", "theirs-problem", "--methods", f"theirs-method,{ours}"]
    if area == "inverse":
        chosen[-1] += ",best:cgls"
    rows, err = rows_of(capsys, site, area, *chosen, *arguments)
    (theirs,) = (row for row in rows if row["method"] == "theirs-method")
    assert not err and good(theirs), theirs
    assert {row["method"] for row in rows} >= {"theirs-method", ours}
