"""Learned preconditioners beside their rivals: the truth of a row, what a fit is worth, and what is refused."""

import json
from dataclasses import replace

import bench_command
import numpy as np
import pytest
from solvers.benchmarks import cli, learned_methods, learned_run
from solvers.benchmarks._registry import UsageError, present
from solvers.benchmarks.families import FAMILIES
from solvers.benchmarks.learned import LEARNED
from solvers.benchmarks.learned_bench import VIEW, summary
from solvers.benchmarks.learned_methods import LEARNERS, Answer, Learner
from solvers.benchmarks.learned_run import LearnedRow, run_problem
from solvers.benchmarks.pretrain import TRAINING


@pytest.fixture(autouse=True)
def no_fit(monkeypatch):
    """No torch, and a fit of known seconds: measuring one takes longer than all these tests."""
    for module in (learned_methods, learned_run):
        monkeypatch.setattr(module, "present", lambda package: package != "torch" and present(package))
    monkeypatch.setattr(learned_methods, "_seconds_of_fit", lambda name: 25.0)
    yield
    learned_methods.forget()


def run(capsys, *arguments):
    return bench_command.run(capsys, "bench", "learned", *arguments)


def test_problems_are_the_same_each_time_and_no_fit_has_seen_their_seeds():
    for entry in LEARNED.values():
        one, two, other = entry.make(12), entry.make(12), entry.make(12, seed=7)
        assert one.grid == (12,) * entry.dim and one.n == 12**entry.dim
        assert abs(one.A - one.A.T).max() == 0 and (one.A != two.A).nnz == 0 and np.array_equal(one.b, two.b)
        assert not np.array_equal(one.b, other.b) and not one.b[one.solid.ravel()].any()
        assert one.solid.any() == (entry.family in ("obstacles", "free-surface"))
    fitted = {seed for _, members, *_ in TRAINING.values() for _, seed in members}
    assert not fitted & {learned_run.FIRST_SEED + k for k in range(100)} and learned_run.FIRST_SEED > max(fitted)


def test_the_table_has_a_row_for_each_rival_and_torch_is_one_sentence(capsys, tmp_path):
    file = tmp_path / "l.json"
    code, out, err = run(capsys, "--problems", "obstacles-2d", "--size", "24", "--repeats", "1", "--json", str(file))
    found = json.loads(file.read_text())
    rows = {row["method"]: row for row in found["rows"]}
    assert code == 0 and set(rows) == set(LEARNERS) and all(name in out for name in LEARNERS)
    assert [name for name, row in rows.items() if row["status"] != "converged"] == ["dcdm"]
    assert rows["dcdm"]["status"] == "not run" and "pip install 'adaptive-solvers[deep]'" in rows["dcdm"]["message"]
    assert out.count("adaptive-solvers[deep]") == 1
    for row in found["rows"]:
        if row["method"] != "dcdm":
            assert row["residual"] <= 1.1e-6 and row["iterations"] > 0
            assert row["total"] == pytest.approx(row["setup_seconds"] + row["seconds"])
            assert row["ratio"] == pytest.approx(rows["pyamg:sa"]["total"] / row["total"])
        fits = row["method"] in ("mg-learned", "mg-learned-f32", "coarse-space")
        assert (row["fit_seconds"] is not None) == fits == (row["never"] or row["repaid"] is not None)
    assert rows["mg-learned"]["iterations"] < 12 < rows["cg"]["iterations"] / 4
    assert rows["box"]["iterations"] < 20  # with another side open it takes 27 or more
    assert found["complete"] and found["command"].startswith("solvers bench learned") and found["machine"]["cpu"]
    assert found["settings"]["rtol"] == 1e-6 and found["settings"]["baseline"] == "pyamg:sa"


def test_a_box_without_solids_is_solved_by_its_transforms_at_once():
    rows = run_problem(LEARNED["box-2d"].make(16), [LEARNERS["box"]], 1e-8, 10.0, 1)
    assert [(row.status, row.iterations) for row in rows] == [("converged", 1)]


def test_a_solve_that_is_stopped_leaves_a_bound(capsys, tmp_path):
    file, methods = tmp_path / "l.json", "pyamg:sa,scipy:cg,cg"
    code, out, _ = run(
        capsys, "--problems", "jump-2d", "--size", "96", "--methods", methods, "--cap", "1e-6", "--json", str(file)
    )
    rows = {row["method"]: row for row in json.loads(file.read_text())["rows"]}
    assert code == 0 and rows["scipy:cg"]["status"] == rows["cg"]["status"] == "stopped"
    assert rows["scipy:cg"]["iterations"] == 1 and 1 <= rows["cg"]["iterations"] < 1500
    assert "! stopped" not in out and "stopped" in out


def test_what_a_method_says_is_checked_and_what_it_raises_is_its_row():
    problem = LEARNED["obstacles-2d"].make(12)
    liar = Learner("liar", "", lambda p: None, lambda p, M, rtol, watch: Answer(np.zeros(p.n), 1, True, "converged"))
    broken = Learner("broken", "", lambda p: 1 / 0, None)
    rows = run_problem(problem, [liar, broken, LEARNERS["cg"]], 1e-6, 10.0, 1)
    assert [row.status for row in rows] == ["WRONG", "failed", "converged"] and rows[0].residual == pytest.approx(1.0)
    assert rows[1].message == "ZeroDivisionError: division by zero" and rows[1].seconds is None
    assert len({len(text) for text in VIEW.heading().split("\n")}) == 1
    assert VIEW.line(rows[0]).endswith("! WRONG") and VIEW.line(rows[1]).endswith("! failed")


def row(method, setup, solve, **more):
    return LearnedRow("p", 9, [3, 3], method, more.pop("status", "converged"), 5, setup, solve, setup + solve, **more)


def compared(*rows):
    learned_run._compare(rows, LEARNERS)
    return rows


def test_a_fit_is_repaid_by_what_it_saves():
    rows = compared(row("box", 0.1, 2.0), row("ic", 1.0, 1.0), row("mg-learned", 0.5, 1.0, fit_seconds=10.0))
    assert [each.repaid for each in rows] == [None, None, 20]  # 10 s at half a second a system
    rows = compared(row("ic", 1.0, 1.0), row("mg-learned", 0.5, 2.0, fit_seconds=10.0))
    assert rows[1].repaid is None and rows[1].never
    # Right-hand sides of one matrix: 10 + 0.5 N < 1 + 1.0 N beyond 18, and < 0.1 + 2.0 N beyond 6.6.
    rows = compared(row("box", 0.1, 2.0), row("ic", 1.0, 1.0), row("coarse-space", 0.3, 0.5, fit_seconds=10.0))
    assert rows[2].repaid == 18
    rows = compared(row("box", 0.1, 0.4), row("ic", 1.0, 1.0), row("coarse-space", 0.3, 0.5, fit_seconds=10.0))
    assert rows[2].never


def test_a_ratio_is_a_bound_where_one_of_both_was_stopped():
    rows = compared(row("pyamg:sa", 1.0, 1.0), row("cg", 0.0, 8.0, status="stopped"), row("ic", 0.0, 1.0))
    assert [(each.ratio, each.at_least) for each in rows] == [(1.0, False), (0.25, True), (2.0, False)]
    assert "<0.25" in VIEW.line(rows[1]) and ">" not in VIEW.line(rows[2])
    rows = compared(row("pyamg:sa", 1.0, 1.0, status="stopped"), row("ic", 0.0, 1.0), row("cg", 0, 2, status="stopped"))
    assert (rows[1].ratio, rows[1].at_least) == (2.0, True) and ">2.00" in VIEW.line(rows[1]) and rows[2].ratio is None


def test_the_summary_counts_losses():
    rows = [row("cg", 0, 3.0), row("box", 0, 0.5), row("mg-learned", 0, 1.0), row("dcdm", 0, 9.0)]
    said = " ".join(summary(rows))
    assert "4 rows: 4 converged" in said
    assert "cg 3.00 to 3.00," in said and "box 0.50 to 0.50 (faster on 1 of 1)" in said
    assert "dcdm on p 3: 5 iterations to cg's 5, converged, 3.00 times its seconds" in said
    fewer = replace(row("mg-textbook", 0, 2.0), iterations=4)
    assert "a textbook setting takes fewer iterations on 1 of 1" in " ".join(summary([*rows, fewer]))


def test_seeds_average_the_textbook_and_the_learned(capsys, tmp_path):
    file = tmp_path / "s.json"
    code, out, _ = run(
        capsys, "--seeds", "2", "--problems", "obstacles-2d,obstacles-3d", "--size", "16", "--json", str(file)
    )
    rows = json.loads(file.read_text())["rows"]
    assert code == 0 and [(r["problem"], r["seeds"]) for r in rows] == [("obstacles-2d", 2), ("obstacles-3d", 2)]
    for found in rows:
        assert found["converged"] and 2 < found["learned"] < 12 and found["probe"] <= 2 and found["worst"] <= 1
        assert found["ratio"] == pytest.approx(found["learned"] / min(found["textbook"]))


class Network:
    """Proposes the residual, and something absurd where there is no fluid."""

    def __init__(self, solid):
        self.solid = solid

    def on(self, grid):
        assert grid == self.solid.shape
        return lambda r: r + 1e6 * self.solid.ravel()


def test_a_network_sees_and_changes_fluid_only(monkeypatch):
    monkeypatch.setattr(learned_run, "present", lambda package: True)
    problem = LEARNED["obstacles-2d"].make(24)
    learned_methods.forget()
    learned_methods.deep_model.network = Network(problem.solid)
    rows = run_problem(problem, [LEARNERS["cg"], LEARNERS["dcdm"]], 1e-6, 10.0, 1)
    assert [each.status for each in rows] == ["converged"] * 2
    assert abs(rows[1].iterations - rows[0].iterations) <= 2  # the identity makes it conjugate gradients
    assert rows[1].fit_seconds is None  # it was not trained here
    rows = run_problem(LEARNED["obstacles-3d"].make(8), [LEARNERS["dcdm"]], 1e-6, 10.0, 1)
    assert rows[0].status == "not run" and "2D" in rows[0].message


def test_the_fit_of_shipped_parameters_is_counted_in_evaluations(monkeypatch):
    pytest.importorskip("cma")
    monkeypatch.undo()
    real, drawn = learned_methods.family, []
    monkeypatch.setattr(
        learned_methods, "family", lambda *each: drawn.append(each) or real(each[0], 12, each[2], each[3])
    )
    found = learned_methods._seconds_of_fit.__wrapped__("mg2d-poisson")
    names, members, dim, *_ = TRAINING["mg2d-poisson"]
    assert drawn == [(name, size, dim, seed) for name in names for size, seed in members] and found > 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--seeds", "2", "--quick"], "--quick does not apply to learned --seeds"),
        (["--backend", "gpu"], "measured on the CPU"),
        (["--dtype", "float32"], "--dtype does not apply to learned"),
        (["--methods", "dcdm"], "pip install 'adaptive-solvers[deep]'"),
        (["--problems", "obstacles"], "did you mean obstacles-"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and words in err and not out


def test_a_model_belongs_to_this_area(capsys):
    assert cli.main(["bench", "pde", "--model", "m.npz"]) == 2
    assert "--model does not apply to pde" in capsys.readouterr().err
    with pytest.raises(UsageError, match="needs torch"):
        learned_methods.select("dcdm")


def test_the_registries_are_listed(capsys):
    assert cli.main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["learned problems"]) == set(LEARNED) and set(found["learned methods"]) == set(LEARNERS)
    assert {f"{name}-{d}d" for name in FAMILIES for d in (2, 3)} <= set(LEARNED)
    assert {"amg", "mg", "box", "coarse", "ic-auto"} <= set(found["linalg preconditioners"])
    assert "dcdm" in found["linalg methods"]
