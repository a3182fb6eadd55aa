"""Problems of sliced distances are what they say, errors are measured against the truth, bad options are refused."""

import json
import sys

import numpy as np
import pytest
from bench_command import run
from solvers.benchmarks import adapters, sliced_bench, sliced_run
from solvers.benchmarks._registry import UsageError, present
from solvers.benchmarks.sliced import SLICED, SlicedEntry, SlicedProblem, gaussians, shapes
from solvers.benchmarks.sliced_bench import VIEW, summary
from solvers.benchmarks.sliced_files import read
from solvers.benchmarks.sliced_methods import SLICERS, Slicer, gaussian, orthogonal, spiral
from solvers.benchmarks.sliced_run import SlicedRow, memory, pairwise, run_problem


def tiny(d=3, n=40):
    return SlicedProblem("tiny", *gaussians(d, n))


@pytest.fixture
def few(monkeypatch):
    """Hardly any estimates, a reference of few directions, and a small problem called tiny."""
    monkeypatch.setattr(sliced_run, "_MOST", 12)
    monkeypatch.setattr(sliced_run, "_REFERENCE", 1e5)
    monkeypatch.setitem(SLICED, "tiny", SlicedEntry("tiny", "tiny", lambda: gaussians(3, 40)))


def rows_of(problem, *methods):
    return list(run_problem(problem, [SLICERS.get(m, m) for m in methods]))


# ---- the problems ----


@pytest.mark.parametrize("name", list(SLICED))
def test_a_problem_is_two_clouds_and_the_same_each_time(name):
    entry = SLICED[name]
    if not present(entry.package):
        pytest.skip(f"{entry.package} is not there")
    one, two = entry.make(), entry.make()
    assert np.array_equal(one.X, two.X) and np.array_equal(one.Y, two.Y) and not np.array_equal(one.X, one.Y)
    assert one.X.dtype == np.float64 and one.X.shape[1] == one.Y.shape[1] == one.d and min(len(one.X), len(one.Y)) > 80
    if name.startswith("gauss"):
        d, n = map(int, name.split("-")[1:])
        assert one.X.shape == one.Y.shape == (n, d)


def test_the_promised_problems_and_methods_are_registered():
    names = {f"gauss-{d}-{n}" for d in (3, 10, 50, 200) for n in (500, 5000)}
    assert names | {"digits-low-high", "digits-0-1", "torus-chair", "astronaut-coffee"} <= set(SLICED)
    assert {"auto", "mc", "lower", "upper", "both", "harmonics", "gaussian", "spiral", "pot"} <= set(SLICERS)
    assert {"pot-main:orthogonal", "pot-main:spiral", "orthogonal+gaussian"} <= set(SLICERS)


@pytest.mark.parametrize("name", ["sphere", "torus", "helix", "chair", "aeroplane"])
def test_shapes_fill_their_space(name):
    X, Y = shapes(name, name, 500)
    assert X.shape == (500, 3) and np.isfinite(X).all() and (np.ptp(X, axis=0) > 0.2).all()
    assert not np.array_equal(X, Y)


def test_files_are_read(tmp_path):
    points = np.arange(12.0).reshape(4, 3) / 7
    text = "\n".join(" ".join(map(repr, map(float, row))) for row in points)
    (tmp_path / "a.off").write_text(f"OFF\n# a comment\n4 1 0\n{text}\n3 0 1 2\n")
    (tmp_path / "b.off").write_text(f"OFF 4 0 0\n{text}\n")
    (tmp_path / "c.obj").write_text("".join(f"v {row}\nvn 0 0 1\n" for row in text.split("\n")) + "f 1 2 3\n")
    header = "ply\nformat ascii 1.0\ncomment x\nelement other 1\nproperty int k\nelement vertex 4\nproperty uchar red\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    header += "element face 1\nproperty list uchar int vertex_indices\nend_header\n7\n"
    (tmp_path / "d.ply").write_text(header + "".join(f"255 {row}\n" for row in text.split("\n")) + "3 0 1 2\n")
    np.save(tmp_path / "e.npy", points)
    for name in ("a.off", "b.off", "c.obj", "d.ply", "e.npy"):
        assert np.allclose(read(tmp_path / name), points, rtol=1e-14), name


def test_pictures_are_read_as_colours(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    image.imsave(tmp_path / "p.png", pixels)
    assert np.allclose(read(tmp_path / "p.png"), pixels.reshape(-1, 3) / 255, atol=1e-6)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("x.stl", "", "must end in one of .npy, .off"),
        ("none.off", None, "There is no file"),
        ("x.off", "4 0 0\n1 2 3\n", "does not begin with OFF"),
        ("x.off", "OFF\n4 0 0\n1 2 3\n", "promises 4 vertices and has 1"),
        ("x.off", "OFF\n1 0 0\n1 2 three\n", "cannot be read as off"),
        ("x.off", "", "cannot be read as off"),
        ("x.ply", "ply\nformat binary_little_endian 1.0\nend_header\n", "only ASCII"),
        ("x.ply", "ply\nformat ascii 1.0\nend_header\n", "cannot be read as ply"),
        ("x.obj", "v 1 2 nan\n", "must hold finite points"),
        ("x.obj", "f 1 2 3\n", "must hold finite points"),
        ("x.npy", "not an array", "cannot be read as npy"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=words):
        read(tmp_path / name)


# ---- the methods ----


def test_samplers_are_what_pot_documents():
    rng = np.random.default_rng(0)
    h = orthogonal(5, 12, rng)
    assert np.allclose(h[:5] @ h[:5].T, np.eye(5)) and np.allclose(h[5:10] @ h[5:10].T, np.eye(5)) and len(h) == 12
    base = spiral(3, 50, rng)
    z = 1 - (2 * np.arange(1, 51) - 1) / 50
    # Inner products survive the rotation: those with the first point of the spiral.
    plain = np.stack([np.sqrt(1 - z**2) * np.cos(1.8 * np.sqrt(50) * np.arccos(z)), z], axis=1)
    y = np.sqrt(1 - z**2) * np.sin(1.8 * np.sqrt(50) * np.arccos(z))
    full = np.column_stack([plain[:, 0], y, plain[:, 1]])
    assert np.allclose(base @ base.T, full @ full.T) and not np.allclose(base, full)
    assert np.allclose(np.linalg.norm(gaussian(4, 9, rng), axis=1), 1)


@pytest.mark.parametrize("name", list(SLICERS))
def test_every_method_estimates_the_same_quantity(name):
    method = SLICERS[name]
    if not present(method.package):
        pytest.skip("not there")
    problem = tiny()
    exact = SLICERS["auto"].power(problem, 4000, 1)
    found = [method.power(problem, 100, seed) for seed in range(20)]
    assert abs(np.mean(found) - exact) <= 5 * np.std(found) / np.sqrt(20) + 1e-4 * exact and len({*found}) == 20
    if method.timed:
        assert method.timed(problem, 100, 3) == pytest.approx(found[3], rel=1e-12)


# ---- the measurement ----


def test_plain_monte_carlo_has_ratio_one_and_a_better_method_more(monkeypatch):
    monkeypatch.setattr(sliced_run, "_SECONDS", 10)
    rows = rows_of(tiny(), "mc", "gaussian")
    assert rows[0].repeats == 100 and 0.5 < rows[0].ratio < 2 and rows[1].ratio > 100
    assert rows[0].to_rtol > rows[0].seconds > 0 and not rows[0].at_least and rows[0].megabytes > 0


def test_a_biased_method_is_charged_its_bias(few):
    exact = SLICERS["auto"].power(tiny(), 4000, 1)
    off = Slicer("off", "off by a tenth", lambda problem, L, seed: 1.1 * exact)
    right = Slicer("right", "the reference itself", lambda problem, L, seed: exact)
    wrong, perfect, plain = rows_of(tiny(), off, right, "mc")
    assert wrong.ratio < 1e3 * plain.ratio and perfect.ratio > wrong.ratio and perfect.at_least
    assert ">" in VIEW.line(perfect) and ">" not in VIEW.line(wrong)
    assert wrong.to_rtol / wrong.seconds == pytest.approx((0.1 / 2e-3) ** 2, rel=0.1)


def test_ours_is_measured_until_it_stops(few):
    row, other = rows_of(tiny(), "auto", "gaussian")
    assert row.measured and row.to_rtol > 0 and not other.measured and "=" in VIEW.line(row)


def test_what_cannot_be_run_says_why_and_ends_only_its_row(few):
    rows = rows_of(tiny(d=10), "harmonics", "spiral", "mc")
    assert [r.method for r in rows] == ["harmonics", "mc"]  # spirals are for d = 3
    assert "n_projections" in rows[0].status and rows[0].ratio is None and rows[1].status == "done"
    assert "! not run" in VIEW.line(rows[0]) and "1 not run" in summary(rows)[0]


def test_the_summary_names_what_is_worse():
    def row(method, ratio):
        return SlicedRow("p", 3, 9, 9, method, 100, 12, ratio=ratio)

    said = summary([row("auto", 5.0), row("lower", 0.5), row("mc", 0.9), row("pot-main:spiral", 9.0)])[0]
    assert "1 less accurate than plain Monte Carlo (lower on p 0.50)" in said and "pot-main:spiral on p" in said
    assert "auto, which" not in summary([row("auto", 5.0), row("pot-main:spiral", 3.0)])[0]


def test_all_pairs_agree_with_pot():
    pytest.importorskip("ot")
    found = pairwise(k=4, n=50, projections=20, sample=3)
    assert found["difference"] <= 1e-12 and min(found["plain"], found["default"], found["pot"]) > 0
    assert found["ratio"] == found["pot"] / found["plain"]


# ---- the command ----


@pytest.mark.parametrize("answer", [lambda: np.ones(3), lambda: None, sys.exit], ids=["shape", "none", "exit"])
def test_a_plain_function_that_answers_wrongly_fails_in_its_row_alone(few, answer):
    odd = adapters.entry("sliced", "methods", "odd", lambda X, Y: answer(), adapters.Source("odd 1.0", "odd"))
    sliced_run.warm_up(tiny(), [odd])
    row, other = run_problem(tiny(), [odd, SLICERS["mc"]], quick=True)
    assert row.seconds is None and row.status.split(":")[0] in ("TypeError", "SystemExit")
    assert other.status == "done"


def test_the_command_prints_and_writes_its_rows(capsys, few, tmp_path):
    target = tmp_path / "out.json"
    code, out, _ = run(capsys, "bench", "sliced", "--problems=tiny", "--methods=auto,mc,lower", f"--json={target}")
    assert code == 0 and VIEW.heading() in out and "tiny" in out and "all pairs" not in out
    content = json.loads(target.read_text())
    assert [row["method"] for row in content["rows"]] == ["auto", "mc", "lower"] and content["complete"]
    assert content["settings"] == {"projections": 100, "rtol": 1e-3, "baseline": "mc"}


def test_a_complete_run_adds_pairs_speed_and_memory(capsys, few, monkeypatch, tmp_path):
    pytest.importorskip("ot")
    monkeypatch.setattr(sliced_bench, "SLICED", {"tiny": SLICED["tiny"]})
    monkeypatch.setattr(sliced_bench, "select", lambda text: [SLICERS["mc"]])
    monkeypatch.setattr(sliced_bench, "pairwise", lambda: pairwise(k=3, n=30, projections=8, sample=2))
    monkeypatch.setattr(sliced_bench, "memory", lambda with_pot: {"ours_1000": 1.5, "pot_25": 2.5})
    monkeypatch.setattr(sliced_bench, "_SPEED", ((3, 400, 400, False),))
    target = tmp_path / "out.json"
    code, out, _ = run(capsys, "bench", "sliced", f"--json={target}")
    assert code == 0 and "all pairs of 3 x 30 points" in out and "POT with 25: 2 MB" in out
    content = json.loads(target.read_text())
    assert content["speed"][0]["difference"] <= 1e-9 and {"pairwise", "memory_megabytes"} <= set(content)


def test_memory_is_measured_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(sliced_run, "_OUR_MEMORY", "print(3e6)")
    assert memory(with_pot=False) == {"ours_1000": 3.0}
    monkeypatch.setattr(sliced_run, "_OUR_MEMORY", "raise MemoryError('none left')")
    with pytest.raises(UsageError, match="none left"):
        memory(with_pot=False)


def test_clouds_of_the_users_are_compared(capsys, few, tmp_path):
    for name, shift in (("a", 0), ("b", 1)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(shift).random((30, 3)) + shift)
    code, out, _ = run(capsys, "bench", "sliced", f"--clouds={tmp_path}/a.npy,{tmp_path}/b.npy", "--methods=auto")
    assert code == 0 and "files" in out and "30" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--problems=gaus-3-500"], "gauss-3-500"),
        (["--methods=gausian"], "gaussian"),
        (["--clouds=a.off"], "two files"),
        (["--clouds=a.off,b.off", "--problems=torus-chair"], "--problems does not go"),
        (["--clouds=a.stl,b.stl"], "must end in"),
        (["--size=5"], "--size does not apply to sliced"),
        (["--threads=1,2"], "one number"),
        (["--backend=gpu"], "CPU"),
        (["--json=/no/such/folder/x.json"], "cannot be written"),
    ],
    ids=str,
)
def test_a_bad_option_is_one_sentence_and_exit_code_two(capsys, arguments, words):
    code, out, err = run(capsys, "bench", "sliced", *arguments)
    assert code == 2 and words in err and "Traceback" not in err and "ratio" not in out


def test_list_and_bench_name_the_area_and_clouds_are_for_it_alone(capsys):
    assert "sliced" in run(capsys, "bench")[1]
    assert {*SLICED, *SLICERS} <= set(run(capsys, "list")[1].split())
    code, _, err = run(capsys, "bench", "transport", "--clouds=a,b")
    assert code == 2 and "--clouds does not apply to transport" in err
