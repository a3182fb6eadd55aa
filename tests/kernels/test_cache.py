"""The compiled cache: it never breaks an import or a solve, never goes stale, and saves the compilation.

Each test solves in fresh processes with a copy of the package and a cache folder of its own.
"""

import importlib.util
import json
import pathlib
import pickle
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Solves a tridiagonal system of 8 rows; prints the answer and how many kernels were compiled.
SOLVE = """
    import json, warnings
    import numpy as np
    from scipy.sparse import diags_array
    from solvers import linalg
    A = diags_array([-np.ones(7), 3 * np.ones(8), -np.ones(7)], offsets=[-1, 0, 1]).tocsr()
    result = linalg.cg(A, np.ones(8), rtol=1e-10)
    from solvers.kernels.cpu import cg
    stats = cg._cg_chunk.stats
    print(json.dumps({
        "status": result.status, "norms": result.residuals.tolist(), "x": result.x.tolist(),
        "error": float(np.abs(A @ result.x - 1).max()),
        "loaded": sum(stats.cache_hits.values()), "compiled": sum(stats.cache_misses.values()),
        "file": cg.__file__,
    }))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, as an installation has it."""
    ignore = shutil.ignore_patterns("__pycache__", "results")
    shutil.copytree(ROOT / "solvers", tmp_path / "site" / "solvers", ignore=ignore)
    shutil.copytree(ROOT / "kernels", tmp_path / "site" / "solvers" / "kernels", ignore=ignore)
    return tmp_path / "site" / "solvers"


@pytest.fixture
def solve(python, package, tmp_path):
    """Solve in a new process and return what SOLVE prints. The cache folder is ``tmp_path / "cache"``."""

    def run(script=SOLVE, **environment):
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"} | environment
        printed = json.loads(python(script, root=package.parent, **environment))
        assert printed["file"].startswith(str(package))
        return printed

    return run


def test_a_solve_works_where_no_folder_can_be_written(solve, package, tmp_path):
    """Neither the package's folder, nor HOME, nor the cache folder: a file stands where each would be.

    So it holds for root too, whom permissions do not stop.
    """
    wall = tmp_path / "wall"
    wall.write_text("")
    (package / "kernels" / "cpu" / "__pycache__").write_text("")
    below = str(wall / "below")
    printed = solve(HOME=below, XDG_CACHE_HOME=below, NUMBA_CACHE_DIR=below, TMPDIR=str(tmp_path))
    assert printed["status"] == "converged" and printed["error"] < 1e-8
    assert printed["loaded"] == 0
    assert [p for p in package.rglob("*") if p.suffix in (".nbi", ".nbc")] == []


def test_a_solve_works_where_the_cache_folder_disappears_after_the_import(solve, tmp_path):
    vanish = f"""
    import shutil, pathlib
    import solvers.kernels.cpu
    shutil.rmtree({str(tmp_path / "cache")!r})
    pathlib.Path({str(tmp_path / "cache")!r}).write_text("")
    """
    assert solve(vanish + SOLVE)["status"] == "converged"


def test_a_second_process_compiles_nothing(solve):
    """No kernel at all: Numba's own compiler events are counted."""
    count = """
    from numba.core import event
    compiled = []
    class Listener(event.Listener):
        def on_start(self, e): compiled.append(e)
        def on_end(self, e): pass
    event.register("numba:compile", Listener())
    """
    script = count + SOLVE.replace("stats.cache_misses.values()", "[len(compiled)]")
    first, second = solve(script), solve(script)
    assert first["compiled"] > 0 and first["loaded"] == 0
    assert second["compiled"] == 0 and second["loaded"] > 0
    assert second["norms"] == first["norms"]


@pytest.mark.parametrize(
    "file, old, new",
    [
        (
            "vectors.py",
            "return np.float64(value.real) * value.real +",
            "return 4 * np.float64(value.real) * value.real +",
        ),
        ("products.py", "y[i] = s + t", "y[i] = 2 * (s + t)"),
    ],
    ids=["a compiled function", "an overload"],
)
def test_a_change_in_a_function_called_from_another_file_is_seen(solve, package, file, old, new):
    """The cached caller, ``cg_chunk``, stands in cg.py, which does not change."""
    first = solve()
    path = package / "kernels" / "cpu" / file
    text = path.read_text()
    assert text.count(old) == 1, f"the test has to follow a change of {file}"
    path.write_text(text.replace(old, new))
    changed = solve()
    assert changed["compiled"] >= 1
    if file == "vectors.py":
        assert changed["norms"][1] == pytest.approx(2 * first["norms"][1])
    else:
        assert changed["x"] == pytest.approx([x / 2 for x in first["x"]], rel=1e-6)
    path.write_text(text)
    assert solve()["x"] == first["x"]


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path):
    path.write_bytes(b"")


def _garbage(path):
    path.write_bytes(b"\x93garbage" * 100)


def _zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def _another_object(path):
    """A file that unpickles, to something else; an index starts with Numba's version."""
    import numba

    path.write_bytes((pickle.dumps(numba.__version__) if path.suffix == ".nbi" else b"") + pickle.dumps(None))


def _another_length(path):
    import numba

    path.write_bytes((pickle.dumps(numba.__version__) if path.suffix == ".nbi" else b"") + pickle.dumps((1, 2, 3)))


def _folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = (_truncate, _empty, _garbage, _zeros, _another_object, _another_length, _folder)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """``load()`` imports anew a module with one small kernel, whose cache stands beside it."""
    import numba
    from solvers.kernels.cpu import _jit

    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setitem(sys.modules, "jit_for_probe", _jit)
    path = tmp_path / "probe.py"
    path.write_text("from jit_for_probe import jit\n\n\n@jit\ndef twice(x):\n    return 2 * x\n")

    def run():
        spec = importlib.util.spec_from_file_location("probe", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.twice

    return run


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__[1:])
def test_a_damaged_cache_file_is_a_miss(load, tmp_path, suffix, damage):
    assert load()(3.0) == 6.0
    again = load()
    assert again(3.0) == 6.0 and sum(again.stats.cache_hits.values()) == 1
    (file,) = tmp_path.rglob("*" + suffix)
    damage(file)
    damaged = load()
    assert damaged(3.0) == 6.0
    assert sum(damaged.stats.cache_hits.values()) == 0


@pytest.mark.parametrize("damage", [_truncate, _garbage, _zeros, _empty], ids=lambda f: f.__name__[1:])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_damaged_cache_file_is_replaced(load, tmp_path, suffix, damage):
    load()(3.0)
    (file,) = tmp_path.rglob("*" + suffix)
    damage(file)
    assert load()(3.0) == 6.0
    after = load()
    assert after(3.0) == 6.0 and sum(after.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_solve_works_with_every_cache_file_cut_short(solve, tmp_path, suffix):
    first = solve()
    files = list((tmp_path / "cache").rglob("*" + suffix))
    assert files
    for file in files:
        _truncate(file)
    assert solve()["norms"] == first["norms"]


# Prints the bits of a plan whose kernel calls functions that are compiled by themselves, too.
PLAN = """
    import json
    import numpy as np
    from solvers import transport
    from solvers.kernels.cpu import sinkhorn
    result = transport.sinkhorn(np.random.default_rng(1).random((150, 130)), eps=0.05, maxiter=3)
    stats = sinkhorn._log_chunk.stats
    print(json.dumps({
        "bits": [p.tobytes().hex() for p in result.potentials], "file": sinkhorn.__file__,
        "loaded": sum(stats.cache_hits.values()), "compiled": sum(stats.cache_misses.values()),
    }))
"""


@pytest.mark.slow
def test_a_process_that_compiles_has_the_bits_of_one_that_reads_the_cache(solve):
    first, second = solve(PLAN), solve(PLAN)
    assert first["compiled"] and second["loaded"]
    assert first["bits"] == second["bits"]
