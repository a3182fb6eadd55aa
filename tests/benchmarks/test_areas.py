"""Every area of ``solvers bench``: one table, one picture, and no option that is passed over in silence."""

import functools
import subprocess
import sys

import pytest
from bench_command import run
from solvers.benchmarks import (
    _registry,
    arguments,
    cli,
    inverse_bench,
    learned_bench,
    options,
    pde_bench,
    picture,
    sequences_bench,
    sliced_bench,
    ssor_totals,
    startup,
    sweeps,
    transport_bench,
)
from solvers.benchmarks.sliced import SLICED, SlicedEntry
from solvers.benchmarks.transport import TRANSPORTS, TransportEntry, assignment

AREAS = list(cli._AREAS)
# What stands for each promised column: how good an answer is has a name of its own where it is no residual.
_COLUMNS = {
    "linalg": "problem n method iter seconds ratio residual status",
    "inverse": "problem n method iter seconds ratio quality status",
    "learned": "problem n method iter seconds ratio residual status",
    "pde": "problem n method iter seconds ratio error status",
    "sequences": "problem n method iter seconds ratio residual failed",
    "sliced": "problem n method proj seconds ratio error",
    "ssor": "problem n method iter seconds ratio residual status",
    "sweeps": "problem n method iter us/sweep ratio residual",
    "transport": "problem n method iter seconds ratio error status",
}
# One value for each option, which no area would accept in silence if it did not apply.
_GIVEN = {
    "--problems": "poisson2d", "--methods": "cg", "--preconditioners": "none", "--size": "9", "--matrix": "a.mtx",
    "--rhs": "b.npy", "--per-iteration": None, "--seeds": "2", "--steps": "5", "--cap": "1", "--clouds": "a.npy,b.npy",
    "--model": "m.npz", "--images": "a.png,b.png", "--sweeps": None, "--projectors": None, "--startup": None,
    "--rtol": "1e-3", "--maxiter": "7", "--dtype": "float32", "--repeats": "2", "--baseline": "scipy:cg",
    "--plot": "x.png", "--csv": "x.csv", "--quick": None,
}  # fmt: skip


def headings(out):
    """The words of the line above the rule."""
    lines = out.splitlines()
    rule = next(i for i, line in enumerate(lines) if line and set(line) == {"-"})
    return lines[rule - 1].split()


# ---- options ----


@pytest.mark.parametrize("where", list(arguments.TAKES))
def test_an_option_that_does_not_apply_is_refused_in_one_sentence(where, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    area, _, mode = where.partition(" ")
    chosen = [mode, "2"] if mode == "--seeds" else [mode] if mode else []
    for option, value in _GIVEN.items():
        name = option.strip("-").replace("-", "_")
        chooses_another = f"{area} {option}" in arguments.TAKES
        if name in arguments.TAKES[where].split() or option == mode or chooses_another:
            continue
        code, out, err = run(capsys, "bench", area, *chosen, option, *([value] if value else []))
        assert (code, out) == (2, "") and err.startswith(f"solvers: {option} does not apply to {where}, which takes ")
        assert err.count("\n") == 1


def test_every_option_is_for_somebody():
    takes = {name for text in arguments.TAKES.values() for name in text.split()}
    modes = {where.partition(" --")[2].replace("-", "_") for where in arguments.TAKES} - {""}
    given = {option.strip("-").replace("-", "_") for option in _GIVEN}
    assert given | {"threads", "backend"} == takes | modes


@pytest.mark.parametrize(
    "command, sentence",
    [
        ("linalg --quick --size 9", "--quick has sizes of its own: --size goes with --problems."),
        ("linalg --matrix a.mtx --size 9", "--matrix is the problem: --problems and --size do not go with it."),
        ("linalg --per-iteration --quick", "--quick does not apply to linalg --per-iteration, unless with --backend"),
        ("sliced --clouds a,b --problems x", "--clouds are the problem: --problems does not go with them."),
        ("ssor --threads 1,2", "--threads takes one number here"),
        ("sweeps --backend gpu", "--backend gpu does not apply to sweeps: it is measured on the CPU."),
        ("pde --plot x.jpg", "--plot must end in .png, .svg, .pdf, got 'x.jpg'."),
    ],
)
def test_options_that_exclude_each_other_say_so(command, sentence, capsys):
    code, out, err = run(capsys, "bench", *command.split())
    assert code == 2 and not out and sentence in err


# ---- tables and pictures ----


@pytest.fixture
def tiny(monkeypatch):
    """Each area's quick selection replaced by problems that are solved in no time; ``tiny[area]``: more arguments."""
    monkeypatch.setattr(options, "_QUICK", (("poisson2d", 8), ("jump", 6)))
    monkeypatch.setattr(inverse_bench, "_QUICK", ("outliers", "kronecker-e-step"))
    monkeypatch.setattr(inverse_bench, "INVERSES", _small(inverse_bench.INVERSES))
    monkeypatch.setattr(learned_bench, "_QUICK", (("box-2d", 16),))
    monkeypatch.setattr(pde_bench, "_QUICK", ("elliptic-chen",))
    monkeypatch.setattr(sequences_bench, "_QUICK", ("poisson-high",))
    monkeypatch.setattr(sliced_bench, "_QUICK", ("tiny",))
    monkeypatch.setitem(SLICED, "tiny", SlicedEntry("tiny", "tiny", _clouds))
    monkeypatch.setattr(ssor_totals, "_QUICK", (("poisson2d", 12),))
    quick = functools.partial(sweeps.measure, ("poisson2d", 30), 1, budget=0.01)
    monkeypatch.setattr(sweeps, "_in_children", lambda threads, is_quick: [quick()] * is_quick)
    monkeypatch.setattr(transport_bench, "_QUICK", ("lap-9",))
    monkeypatch.setitem(TRANSPORTS, "lap-9", TransportEntry("lap-9", "tiny", 0.05, lambda: assignment(9)))
    fewer = {"learned": ["--methods=cg,mg-learned"], "pde": ["--methods=gp,chebyshev"], "sliced": ["--methods=auto,mc"]}
    return fewer | {"sequences": ["--methods=chebyshev,cg", "--steps=9"], "transport": ["--methods=auto,log"]}


def _small(registry):
    import dataclasses

    small = type(registry)(registry.kind)
    for name, entry in registry.items():
        small[name] = dataclasses.replace(entry, build=lambda _, build=entry.build: build(True))
    return small


def _clouds():
    import numpy as np

    X, Y = np.random.default_rng(0).random((2, 30, 3))
    return X, Y + 1


@pytest.mark.parametrize("area", AREAS)
def test_a_quick_look_is_a_table_and_a_picture(area, tiny, capsys, tmp_path):
    pytest.importorskip("ot")
    path, table = tmp_path / "picture.png", tmp_path / "rows.csv"
    code, out, err = run(capsys, "bench", area, "--quick", *tiny.get(area, ()), f"--plot={path}", f"--csv={table}")
    assert code == 0 and not err
    assert set(_COLUMNS[area].split()) <= set(headings(out))
    assert max(map(len, out.splitlines())) <= 120 + len(str(path))
    assert _is_drawn(path) and "For a picture" not in out
    rows = table.read_text().splitlines()
    assert len(rows) > 2 and len({line.count(",") for line in rows if '"' not in line}) == 1


def _is_drawn(path):
    import matplotlib.image

    return path.read_bytes().startswith(b"\x89PNG") and matplotlib.image.imread(path)[..., :3].std() > 0.02


def test_without_a_picture_it_is_said_how_to_get_one(tiny, capsys):
    code, out, _ = run(capsys, "bench", "ssor", "--quick")
    assert code == 0 and out.splitlines()[-1] == "For a picture of this add --plot ssor.png."


def test_rivals_that_are_not_installed_are_named_once(tiny, capsys, monkeypatch):
    find = _registry.importlib.util.find_spec
    monkeypatch.setattr(_registry.importlib.util, "find_spec", lambda name: None if name == "ot" else find(name))
    for area, name in ("transport", "pot:sinkhorn"), ("sliced", "pot"):
        code, out, _ = run(capsys, "bench", area, "--quick", *tiny[area])
        assert code == 0 and out.count("skipped, not installed: ") == 1
        assert f"{name}," in out.partition("skipped, not installed: ")[2].splitlines()[0]


def test_a_picture_shows_what_has_no_answer_no_ratio_or_an_error_of_zero(tmp_path):
    marks = [
        picture.Mark("p", "exact", 0.0, 3e6, "ours"),
        picture.Mark("p", "slow", 1e-3, 0.002, "other"),
        picture.Mark("p", "broken", None, None, "other", "failed"),
        picture.Mark("q", "endless", float("inf"), None, "told the truth"),
    ]
    sides = picture.Sides("error", "error", "speed", "times as fast", 1e-8, "the tolerance")
    for name, some in (("all.png", marks), ("none.png", marks[2:]), ("zero.png", marks[:1])):
        picture.draw(some, sides, tmp_path / name)
        assert _is_drawn(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_the_real_quick_look_of_each_area(area, tmp_path):
    path = tmp_path / f"{area}.png"
    done = subprocess.run(
        [sys.executable, "-m", "solvers", "bench", area, "--quick", f"--plot={path}"],
        env=startup.child_environment(), capture_output=True, text=True, cwd=tmp_path, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(_COLUMNS[area].split()) <= set(headings(done.stdout))
    assert _is_drawn(path) and [p.name for p in tmp_path.iterdir()] == [path.name]
    assert "WRONG" not in done.stdout.split("---\n", 1)[1].replace("0 WRONG", "")
