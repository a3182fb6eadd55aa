"""The command line from end to end: what it prints, writes and refuses."""

import csv
import io
import json
import re
import subprocess
import sys

import pytest
from bench_command import run
from solvers.benchmarks import _registry, arguments, cli, report, startup

SMALL = [
    "bench",
    "linalg",
    "--problems=poisson2d",
    "--size=8",
    "--methods=cg,pyamg:cg",
    "--preconditioners=none",
    "--repeats=1",
    "--no-progress",
]


def test_a_row_for_each_combination_in_aligned_columns(capsys):
    code, out, _ = run(capsys, *SMALL, "--size=8,12", "--preconditioners=none,jacobi")
    table = [line for line in out.splitlines() if line.startswith("poisson2d")]
    assert code == 0 and len(table) == 2 * 2 * 3
    assert len({line.index("converged") for line in table}) == 1
    assert max(map(len, out.splitlines())) <= 120
    for heading in (
        "problem",
        "n",
        "nnz",
        "method",
        "precond",
        "iter",
        "matvec",
        "setup s",
        "ratio",
        "residual",
    ):
        assert heading in out


def test_machine_threads_and_summary_stand_with_the_table(capsys):
    _, out, _ = run(capsys, *SMALL)
    assert "numpy" in out and "threads: 1" in out and "3 converged" in out


def test_json_and_csv_hold_the_rows_that_were_printed(capsys, tmp_path):
    paths = tmp_path / "rows.json", tmp_path / "rows.csv"
    assert run(capsys, *SMALL, f"--json={paths[0]}", f"--csv={paths[1]}")[0] == 0
    content = report.read_json(paths[0])
    rows = content["rows"]
    assert [row.method for row in rows] == ["scipy:cg", "cg", "pyamg:cg"]
    assert content["command"].startswith("solvers bench linalg")
    assert {"cpu", "cores", "threads", "date", "versions"} <= set(content["machine"])
    with open(paths[1], newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["method"] for row in read] == [row.method for row in rows]
    assert [float(row["seconds"]) for row in read] == [row.seconds for row in rows]


def test_json_has_null_where_a_residual_is_not_a_number(tmp_path):
    row = report.Row("p", 1, 1, "m", "none", residual=float("nan"), residuals=[1.0, float("inf")])
    report.write_json(tmp_path / "r.json", [row])
    assert report.read_json(tmp_path / "r.json")["rows"][0].residuals == [1.0, None]


@pytest.mark.parametrize("more", [[], ["--size=6,8"], ["--maxiter=2"]], ids=["one", "several", "failures"])
def test_the_plot_is_a_png_with_something_on_it(capsys, tmp_path, more):
    path = tmp_path / "plot.png"
    assert run(capsys, *SMALL, *more, f"--plot={path}")[0] == 0
    import matplotlib.image

    pixels = matplotlib.image.imread(path)
    assert path.read_bytes().startswith(b"\x89PNG") and pixels.shape[1] > 1000
    assert pixels[..., :3].std() > 0.02


def test_the_plot_of_gmres_and_standalone_multigrid_has_their_curves(capsys, tmp_path):
    path = tmp_path / "rows.json"
    methods = "--methods=scipy:gmres,gmres,pyamg:sa,scipy:minres,bicgstab"
    run(capsys, *SMALL, methods, f"--plot={tmp_path / 'p.png'}", f"--json={path}")
    for row in report.read_json(path)["rows"]:
        assert len(row.residuals) > 1 and row.residuals[-1] < row.residuals[0], row.method


def test_single_precision_has_a_tolerance_that_it_can_meet(capsys):
    code, out, _ = run(capsys, *SMALL, "--dtype=float32")
    assert code == 0 and "rtol 1e-05" in out and "3 converged" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--problems=poison2d"], "poisson2d"),
        (["--methods=scipi:cg"], "scipy:cg"),
        (["--preconditioners=jacoby"], "jacobi"),
        (["--baseline=scipy:gc"], "scipy:cg"),
        (["--problems="], "empty"),
        (["--methods=,"], "empty"),
        (["--size=0"], ">= 1"),
        (["--size=a"], ">= 1"),
        (["--rtol=-1"], "> 0"),
        (["--rtol=x"], "> 0"),
        (["--maxiter=0"], ">= 1"),
        (["--threads=1,2"], "--per-iteration"),
        (["--dtype=int8"], "float32"),
        (["--json=/no/such/folder/x.json"], "cannot be written"),
        (["--plot=p.xyz"], ".png"),
        (["--backend=gpu"], "GPU"),
        (["--rhs=b.npy"], "--matrix"),
        (["--wrong"], "--wrong"),
    ],
    ids=str,
)
def test_a_bad_option_is_one_sentence_and_exit_code_two(capsys, arguments, words):
    import solvers

    if words == "GPU" and solvers.backends()["gpu"] is None:
        pytest.skip("nothing is wrong with it here")
    code, out, err = run(capsys, "bench", "linalg", *arguments)
    assert code == 2 and words in err and "Traceback" not in err
    assert "converged" not in out


def test_an_unknown_area_names_the_areas(capsys):
    code, _, err = run(capsys, "bench", "nothing")
    assert code == 2 and "linalg" in err


def test_without_an_area_the_areas_are_printed(capsys):
    code, out, _ = run(capsys, "bench")
    assert code == 0 and "linalg" in out


@pytest.mark.parametrize("package, arguments", [("pyamg", SMALL), ("matplotlib", [*SMALL[:4], "--plot=p.png"])])
def test_an_absent_package_is_named_with_its_remedy(capsys, monkeypatch, package, arguments):
    find = _registry.importlib.util.find_spec
    monkeypatch.setattr(_registry.importlib.util, "find_spec", lambda name: None if name == package else find(name))
    code, _, err = run(capsys, *arguments)
    assert code == 2 and f"needs {package}" in err and "pip install 'adaptive-solvers[bench]'" in err


def test_without_pyamg_the_default_selection_still_runs(capsys, monkeypatch):
    find = _registry.importlib.util.find_spec
    monkeypatch.setattr(_registry.importlib.util, "find_spec", lambda name: None if name == "pyamg" else find(name))
    code, out, _ = run(capsys, "bench", "linalg", "--problems=poisson2d", "--size=6", "--repeats=1")
    assert code == 0 and "pyamg:cg" not in out and "scipy:cg" in out


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_a_bar_is_drawn_for_a_person_who_watches(capsys, monkeypatch, quiet):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    arguments = SMALL if quiet else [word for word in SMALL if word != "--no-progress"]
    assert cli.main(arguments) == 0
    assert ("poisson2d" in sys.stderr.getvalue()) is not quiet
    assert capsys.readouterr().out.count("converged\n") == 3


def test_list_names_everything_registered(capsys):
    _, out, _ = run(capsys, "list")
    _, as_json, _ = run(capsys, "list", "--json")
    named = json.loads(as_json)
    with_registries = ["linalg", "inverse", "learned", "pde", "sequences", "sliced", "transport"]
    kinds = {f"{area} {part}" for area in with_registries for part in ("problems", "methods")}
    assert set(named) - {"from"} == {"areas", "linalg preconditioners"} | kinds
    lines = out.splitlines()
    for kind in set(named) - {"from"}:
        assert kind in lines and named[kind]
        for name, summary in named[kind].items():
            assert summary.strip() and "\n" not in summary
            assert any(line.startswith(f"  {name:<36}{summary}") for line in lines)


def test_list_has_a_line_for_every_area_that_bench_takes(capsys):
    _, out, _ = run(capsys, "bench")
    areas = out.removeprefix("Areas: ").partition(".")[0].split(", ")
    assert list(json.loads(run(capsys, "list", "--json")[1])["areas"]) == areas


def test_list_of_one_area_and_the_area_that_was_meant(capsys):
    code, out, _ = run(capsys, "list", "pde")
    assert code == 0 and "pde methods" in out.splitlines() and "linalg methods" not in out
    for command in ("list", "bench"):
        code, _, err = run(capsys, command, "linag")
        assert code == 2 and err.startswith("solvers: There is no area called 'linag'; did you mean linalg? areas are ")


def test_info_says_versions_backends_cache_and_how_to_choose(capsys):
    code, out, _ = run(capsys, "info")
    assert code == 0
    for words in ("numpy", "threads", "gpu", "kernel cache", "how to choose a method", "minres"):
        assert words in out


def test_help_and_version_exit_with_zero(capsys):
    assert run(capsys, "--help")[0] == 0
    assert run(capsys, "--version")[0] == 0
    assert run(capsys)[0] == 0
    code, out, _ = run(capsys, "bench", "--help")
    assert code == 0 and "--worker" not in out and "--matrix" in out and "--clouds" in out


@pytest.mark.parametrize("area", ["linalg", "sliced", "transport"])
def test_help_on_an_area_shows_the_options_that_it_takes_and_no_others(capsys, area):
    code, out, _ = run(capsys, "bench", area, "--help")
    shown = {flag.strip("-").replace("-", "_") for flag in re.findall(r"--[a-z-]+", out.partition("options:")[2])}
    modes = [where.partition(" ") for where in arguments.TAKES if where.partition(" ")[0] == area]
    takes = {name for where in modes for name in arguments.TAKES["".join(where)].split()}
    takes |= {mode.strip("-").replace("-", "_") for _, _, mode in modes if mode}
    assert code == 0 and shown == takes | {"help", "json", "no_progress"}


def in_a_process(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=startup.child_environment(),
        capture_output=True,
        text=True,
    )


def test_importing_the_command_line_loads_no_heavy_library():
    heavy = ["numba", "pyamg", "matplotlib", "cupy", "torch", "ot", "tqdm"]
    code = f"import sys, solvers.benchmarks.cli; print([m for m in {heavy} if m in sys.modules])"
    done = in_a_process("-c", code)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_program_pins_its_threads_by_starting_again():
    done = in_a_process("-m", "solvers", *SMALL, "--threads=2")
    assert done.returncode == 0, done.stderr
    assert "threads: 2 (compiled kernels, BLAS and OpenMP)" in done.stdout


def test_a_reader_that_leaves_early_causes_no_traceback():
    command = [sys.executable, "-m", "solvers", "list"]
    with subprocess.Popen(
        command, env=startup.child_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        child.stdout.close()
        assert child.stderr.read() == ""
