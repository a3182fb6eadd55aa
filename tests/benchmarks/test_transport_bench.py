"""The transport problems are what they say, plans are judged by what they are, and the command says so."""

import json
import sys

import numpy as np
import pytest
from bench_command import run
from solvers.benchmarks import adapters, transport_bench, transport_methods, transport_sweeps
from solvers.benchmarks._registry import present
from solvers.benchmarks.transport import (
    TRANSPORTS,
    Transport,
    TransportEntry,
    _pooled,
    assignment,
    from_files,
    images,
    points,
    select,
)
from solvers.benchmarks.transport import available as available_problems
from solvers.benchmarks.transport_bench import VIEW, summary
from solvers.benchmarks.transport_methods import CAP, TRANSPORTERS, Contestant, Outcome, available
from solvers.benchmarks.transport_run import INACCURATE, WRONG, run_problem

OURS = ["auto", "log", "scaling", "sor", "newton"]


def tiny(name="tiny", eps=0.02):
    return Transport(name, *images(2, side=5), eps)


def methods(*names):
    return [TRANSPORTERS[name] for name in names]


def fake(solve, name="fake"):
    return Contestant(name, "a fake", lambda problem, cap: cap, solve)


def right_plan(problem):
    return TRANSPORTERS["log"].solve(problem, 5.0).plan


# ---- the problems ----


@pytest.mark.parametrize(
    "build", [lambda: assignment(9), lambda: images(1, 6), lambda: images(2, 6), lambda: points(9)]
)
def test_costs_lie_in_the_unit_interval_and_weights_sum_to_one(build):
    (C, a, b), again = build(), build()
    assert all(np.array_equal(one, two) for one, two in zip((C, a, b), again))
    assert C.min() >= 0 and 0.9 < C.max() <= 1 and min(a.min(), b.min()) > 0
    assert a.sum() == pytest.approx(1, abs=1e-14) and b.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("power", [1, 2])
def test_the_cost_of_images_is_the_distance_of_their_pixels(power):
    C, a, b = images(power, side=4)
    place = np.array([(i, j) for i in range(4) for j in range(4)], dtype=float)
    distance = (np.abs(place[:, None] - place) ** power).sum(axis=2)
    assert np.allclose(C, distance / distance.max()) and not np.allclose(a, b)


def test_the_promised_problems_and_methods_are_registered():
    assert {"lap-500", "lap-1000", "images-l1-1e-4", "images-l2-1e-2", "points-5000-1e-3"} <= set(TRANSPORTS)
    rivals = {"pot:sinkhorn", "pot:sinkhorn_log", "pot:sinkhorn_stabilized", "regot:bcd", "regot:ssns", "regot:splr"}
    assert {*OURS, "sns", *rivals, "ott:sinkhorn"} == set(TRANSPORTERS)
    assert [entry.eps for entry in select("points-1500")] == [1e-2, 1e-3, 1e-4]


# ---- the judgement ----


@pytest.mark.parametrize("name", list(TRANSPORTERS))
def test_every_method_finds_the_plan(name):
    if not available(TRANSPORTERS[name]):
        pytest.skip("not there")
    rows = run_problem(tiny(), methods("log", name), 5.0, 1)
    assert [row.status for row in rows] == ["converged"] * len(rows)
    assert rows[-1].value == pytest.approx(rows[0].value, rel=1e-6) and rows[-1].marginal_error <= 1e-7


def test_wrong_marginals_are_called_wrong_whatever_the_method_says():
    liar = fake(lambda problem, cap: Outcome(1.1 * np.outer(problem.a, problem.b), "converged", 1))
    row = run_problem(tiny(), [liar], 1.0, 1)[0]
    assert row.status == WRONG and row.marginal_error == pytest.approx(0.2) and row.ratio is None
    assert "! WRONG" in VIEW.line(row) and "1 WRONG" in summary([row])[0]


@pytest.mark.parametrize("claim", ["stagnated", CAP])
def test_a_failure_that_is_named_is_not_called_wrong(claim):
    honest = fake(lambda problem, cap: Outcome(1.1 * np.outer(problem.a, problem.b), claim, 1))
    assert run_problem(tiny(), [honest], 1.0, 1)[0].status == claim


def test_a_plan_that_is_not_finite_is_wrong():
    broken = fake(lambda problem, cap: Outcome(np.full_like(problem.C, np.nan), "converged", 1))
    assert run_problem(tiny(), [broken], 1.0, 1)[0].status == WRONG


def test_right_marginals_with_another_cost_are_wrong():
    product = fake(lambda problem, cap: Outcome(np.outer(problem.a, problem.b), "converged", 1))
    rows = run_problem(tiny(), [*methods("log", "sor"), product], 5.0, 1)
    assert [row.status for row in rows] == ["converged", "converged", WRONG] and "cost" in rows[-1].message


def test_a_small_error_above_the_tolerance_is_inaccurate():
    near = fake(lambda problem, cap: Outcome((1 + 1e-5) * right_plan(problem), "converged", 1))
    assert run_problem(tiny(), [near], 1.0, 1)[0].status == INACCURATE


def test_an_exception_ends_only_its_own_row():
    def fail(problem, cap):
        raise MemoryError("none left")

    rows = run_problem(tiny(), [fake(fail), TRANSPORTERS["log"]], 5.0, 2)
    assert rows[0].status == "failed" and "none left" in rows[0].message and rows[0].seconds is None
    assert rows[1].status == "converged" and VIEW.line(rows[0])


def test_only_right_plans_are_compared():
    liar = fake(lambda problem, cap: Outcome(2 * problem.C, "converged", 1), "liar")
    rows = run_problem(tiny(), [TRANSPORTERS["log"], liar], 5.0, 1, baseline="liar")
    assert rows[0].ratio is None
    capped = fake(lambda problem, cap: Outcome(2 * problem.C, CAP, 1), "capped")
    rows = run_problem(tiny(), [TRANSPORTERS["log"], capped], 5.0, 1, baseline="capped")
    assert rows[0].ratio is not None and rows[0].at_least and rows[1].ratio is None


def test_a_rival_that_breaks_down_in_its_first_sweep_is_wrong():
    pytest.importorskip("ot")
    row = run_problem(tiny(eps=1e-5), methods("pot:sinkhorn"), 1.0, 1)[0]
    assert row.status == WRONG, row.message


def test_a_ratio_to_a_baseline_that_was_stopped_may_be_undecided():
    row = run_problem(tiny(), methods("log"), 5.0, 1, baseline="log")[0]
    row.ratio, row.at_least = 0.5, True
    said = summary([row])[0]
    assert "0 at least as fast" in said and "1 undecided" in said and ">0.50" in VIEW.line(row)


@pytest.mark.parametrize("name", ["log", "sor", "pot:sinkhorn", "pot:sinkhorn_log"])
def test_a_row_ends_when_its_seconds_are_spent(name):
    problem = Transport("slow", *images(1, side=8), 2e-4 if name in OURS else 2e-3)
    pytest.importorskip("ot")
    row = run_problem(problem, methods(name), 0.02, 1)[0]
    assert row.status in (CAP, "converged") and row.sweeps < 100_000


# ---- the command ----


@pytest.fixture
def lap_9(monkeypatch):
    monkeypatch.setitem(TRANSPORTS, "lap-9", TransportEntry("lap-9", "tiny", 0.05, lambda: assignment(9)))


def test_the_command_prints_and_writes_its_rows(capsys, lap_9, tmp_path):
    target = tmp_path / "out.json"
    arguments = ["bench", "transport", "--problems=lap-9", "--methods=auto,sor", f"--json={target}"]
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and VIEW.heading() in out and "lap-9" in out
    content = json.loads(target.read_text())
    assert [row["method"] for row in content["rows"]] == ["auto", "sor", "pot:sinkhorn"]
    assert content["command"].startswith("solvers bench transport --problems=lap-9")
    assert content["complete"] and content["settings"]["tol"] == 1e-8 and content["rows"][2]["ratio"] == 1.0


def test_a_wrong_row_is_said_by_the_command(capsys, lap_9, monkeypatch):
    liar = fake(lambda problem, cap: Outcome(np.zeros_like(problem.C), "converged", 1), "liar")
    monkeypatch.setitem(TRANSPORTERS, "liar", liar)
    code, out, _ = run(capsys, "bench", "transport", "--problems=lap-9", "--methods=liar,log")
    assert code == 0 and "! WRONG" in out and "1 WRONG" in out


def test_quick_runs_every_method(capsys):
    code, out, _ = run(capsys, "bench", "transport", "--quick", "--cap=0.05")
    assert code == 0 and "images-l2-1e-3" in out and "WRONG" not in out.split("---\n")[1]
    assert all(entry.name in out for entry in TRANSPORTERS.values() if available(entry))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--problems=lap-50"], "lap-500"),
        (["--methods=newtn"], "newton"),
        (["--problems="], "empty"),
        (["--size=5"], "--size does not apply to transport"),
        (["--cap=0"], "> 0"),
        (["--threads=1,2"], "one number"),
        (["--backend=gpu"], "CPU"),
        (["--json=/no/such/folder/x.json"], "cannot be written"),
    ],
    ids=str,
)
def test_a_bad_option_is_one_sentence_and_exit_code_two(capsys, arguments, words):
    code, out, err = run(capsys, "bench", "transport", *arguments)
    assert code == 2 and words in err and "Traceback" not in err and "converged" not in out


def test_a_method_of_another_version_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(transport_methods, "available", lambda entry: False)
    code, _, err = run(capsys, "bench", "transport", "--methods=sns")
    assert code == 2 and "not in this version" in err


def test_list_and_bench_name_the_area(capsys):
    assert "transport" in run(capsys, "bench")[1]
    assert {*TRANSPORTS, *TRANSPORTERS} <= set(run(capsys, "list")[1].split())


def test_the_sweeps_of_ours_and_of_pot_are_timed(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(transport_sweeps, "SIZES", (30, 40))
    target = tmp_path / "sweeps.json"
    code, out, _ = run(capsys, "bench", "transport", "--sweeps", "--quick", f"--json={target}")
    rows = json.loads(target.read_text())["rows"]
    assert code == 0 and transport_sweeps.heading() in out and [row["n"] for row in rows] == [30]
    assert {"log", "float32", "scaling"} <= set(rows[0]["seconds"])
    assert all(value is None or value > 0 for value in rows[0]["seconds"].values())


def test_a_line_of_sweeps_shows_how_many_times_faster_ours_are():
    seconds = {"log": 2e-3, "float32": 1e-3, "scaling": 1e-3, "sinkhorn_log": 0.1, "sinkhorn": 3e-3}
    assert transport_sweeps.line(500, seconds).split()[-3:] == ["50.00", "2.00", "3.00"]
    assert transport_sweeps.line(500, {k: seconds[k] for k in ("log", "float32", "scaling")}).split()[-1] == "2.00"


def test_more_sweeps_that_take_no_longer_are_noise():
    words = transport_sweeps.line(500, {"log": None, "float32": 1e-3, "scaling": 1e-3, "sinkhorn": 3e-3}).split()
    assert words[1] == "noise" and words[-1] == "3.00" and words.count("3.00") == 1


def test_a_solve_that_ends_early_is_not_timed_as_sweeps():
    C = np.zeros((4, 4))
    with pytest.raises(RuntimeError, match="sweeps of 50"):
        transport_sweeps._ours("log", C, np.full(4, 0.25), np.full(4, 0.25))(50)


# ---- images of the user's and of scikit-learn's ----


def test_an_image_file_becomes_weights(capsys, monkeypatch, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    picture = np.zeros((40, 56, 3))
    picture[:20, 28:] = 1.0  # the upper right quarter is bright
    files = [tmp_path / "one.png", tmp_path / "other.png"]
    for path, pixels in zip(files, (picture, picture[::-1])):
        image.imsave(path, pixels)
    entries = from_files(*files)
    assert [entry.name for entry in entries][:2] == ["files-l2-1e-2", "files-l2-1e-3"] and len(entries) == 6
    problem = entries[0].make()
    bright = problem.a.reshape(28, 28)
    assert np.allclose(bright[:14, 14:], 101 * bright[20, 3]) and problem.a.sum() == pytest.approx(1)
    assert np.allclose(problem.b.reshape(28, 28)[::-1], bright, atol=1e-12)
    asked = []
    monkeypatch.setattr(transport_bench, "run_problem", lambda problem, *_: asked.append(problem) or [])
    code, _, _ = run(capsys, "bench", "transport", "--images", ",".join(map(str, files)), "--methods", "auto")
    assert code == 0 and [each.name for each in asked] == [entry.name for entry in entries]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--images", "one.png"), "two files"),
        (("--images", "no.png,none.png"), "cannot be read"),
        (("--images", "a.png,b.png", "--quick"), "do not go with them"),
    ],
)
def test_images_that_cannot_be_used_are_named(capsys, arguments, words):
    pytest.importorskip("matplotlib")
    code, _, err = run(capsys, "bench", "transport", *arguments)
    assert code != 0 and words in err


def test_pixels_made_larger_or_smaller_keep_their_mean():
    image = np.random.default_rng(3).random((8, 11))
    for side in (3, 28):
        assert _pooled(image, side).shape == (side, side)
        assert _pooled(image, side).mean() == pytest.approx(image.mean(), rel=1e-12)
    assert np.allclose(_pooled(np.eye(2), 4), np.kron(np.eye(2), np.ones((2, 2))))


def test_digits_are_there_where_scikit_learn_is(capsys):
    if present("sklearn"):
        C, a, b = TRANSPORTS["digits-l2-1e-3"].build()
        assert C.shape == (784, 784) and not np.allclose(a, b)
    else:
        assert not any(entry.name.startswith("digits") for entry in available_problems())
        code, _, err = run(capsys, "bench", "transport", "--problems", "digits-l2-1e-3")
        assert code != 0 and "sklearn" in err


@pytest.mark.parametrize("answer", [lambda: np.ones(3), lambda: None, sys.exit], ids=["shape", "none", "exit"])
def test_a_plain_function_that_answers_wrongly_fails_in_its_row_alone(answer):
    source = adapters.Source("odd 1.0", "odd")
    odd = adapters.entry("transport", "methods", "odd", lambda C, a, b, *, eps: answer(), source)
    row, other = run_problem(tiny(), [odd, TRANSPORTERS["log"]], 5.0, 1)
    assert (row.status, row.seconds, other.status) == ("failed", None, "converged")
