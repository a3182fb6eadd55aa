"""Inverse problems are what they say, answers are measured against the truth, bad options are refused."""

import json
import math

import numpy as np
import pytest
from bench_command import run
from solvers.benchmarks import inverse_bench, sparse_cases, tomography_speed
from solvers.benchmarks._registry import present
from solvers.benchmarks.inverse_bench import VIEW, summary
from solvers.benchmarks.inverse_methods import Answer, Inverter
from solvers.benchmarks.inverse_problems import INVERSES, InverseEntry, InverseProblem, exact_sinogram
from solvers.benchmarks.inverse_rivals import INVERTERS
from solvers.benchmarks.inverse_run import InverseRow, run_problem

from solvers import inverse


@pytest.fixture(scope="module")
def small():
    """Every problem in a size that is solved in no time, and the rows of all methods for it."""
    problems = {name: entry.make(small=True) for name, entry in INVERSES.items()}
    return {name: (problem, run_problem(problem, INVERTERS.values(), 1)) for name, problem in problems.items()}


def rows(small, name):
    return {row.method: row for row in small[name][1]}


# ---- the problems ----


def test_the_promised_problems_and_methods_are_registered():
    assert {"ct-0.5", "ct-2", "ct-5", "mri", "digits", "mixtures", "bimodal"} <= set(INVERSES)
    assert {"kronecker-15", "kronecker-25", "completion-40", "completion-10", "outliers"} <= set(INVERSES)
    assert {"scipy:lsqr", "scipy:lsqr-stopped", "pylops:cgls", "skimage:sart", "astra:sirt"} <= set(INVERTERS)


@pytest.mark.parametrize("name", list(INVERSES))
def test_a_problem_is_the_same_each_time_and_every_method_answers(name, small):
    problem, found = small[name]
    again = INVERSES[name].make(small=True)
    assert again.name == name and (problem.b is None or np.array_equal(again.b, problem.b))
    assert sum(present(INVERTERS[row.method].package) for row in found) >= (1 if name == "smooth-field" else 2)
    for row in found:
        if present(INVERTERS[row.method].package) and not row.message.startswith("ImportError"):
            assert row.quality is not None and math.isfinite(row.quality) and row.seconds > 0, row
        else:
            assert row.quality is None and row.message
    assert problem.baseline in {row.method for row in found if row.ratio == 1}


def test_exact_data_are_near_those_of_the_operator_and_not_its_own():
    A = inverse.ParallelBeam((64, 64), angles=30)
    image = INVERSES["ct-2"].make().data["image"].reshape(64, 2, 64, 2).mean(axis=(1, 3))
    exact = exact_sinogram(A, 64)
    away = np.linalg.norm(A @ image - exact) / np.linalg.norm(exact)
    assert 1e-3 < away < 0.04
    moved = exact_sinogram(A, 64, axis=(0.5, -0.5))
    assert np.linalg.norm(moved - exact) > 3 * away * np.linalg.norm(exact)


@pytest.mark.parametrize("percent", [0.5, 2, 5])
def test_the_noise_is_as_much_as_the_name_says(percent):
    problem = INVERSES[f"ct-{percent:g}"].make(small=True)
    clean = exact_sinogram(problem.A, problem.A.image_shape[0])
    assert np.linalg.norm(problem.b - clean) / np.linalg.norm(clean) == pytest.approx(percent / 100, rel=0.1)
    assert problem.noise_norm == pytest.approx(np.linalg.norm(clean) * percent / 100)


def test_the_dense_posterior_is_bayes_and_the_factored_one_is_it(small):
    case = sparse_cases.kronecker(np.random.default_rng(1), (3, 2), (2, 2), 1)
    g = [np.array([1.0, 0.5, 2.0]), np.array([0.3, 1.0])]
    mean, std = sparse_cases.dense_posterior(case.dictionaries, g, case.b, 0.2)
    K = np.kron(*case.dictionaries)
    precision = K.T @ K / 0.2**2 + np.diag(1 / np.kron(*g))
    np.testing.assert_allclose(mean, np.linalg.solve(precision, K.T @ case.b.ravel() / 0.2**2))
    np.testing.assert_allclose(std**2, np.linalg.inv(precision).diagonal())
    problem = small["kronecker-e-step"][0]
    case, given = problem.cases[0], {"prune": 0.0, "maxiter": 3, "tol": 0.0}
    ours = inverse.krosbl(case.dictionaries, case.b, noise_level=case.noise_level, **given)
    assert problem.assess((ours.x, ours.std))[0] < 1e-9 and rows(small, "kronecker-e-step")["e-step"].quality < 1e-9


def test_completion_and_outliers_are_of_their_rank_with_their_share():
    M, mask = sparse_cases.completion(80, 4, condition=10.0, degrees=3.0)
    s = np.linalg.svd(M, compute_uv=False)
    assert s[3] / s[0] == pytest.approx(0.1) and s[4] < 1e-10 * s[0]
    assert mask.mean() == pytest.approx(3 * 4 * 156 / 80**2, rel=0.1)
    A, b, X = sparse_cases.outliers(12, 2, share=0.2)
    assert np.linalg.matrix_rank(X) == 2 and np.mean(np.abs(A @ X.ravel() - b) > 1e-9) == pytest.approx(0.2)


# ---- the methods ----


def test_stopped_is_better_than_not_and_nobody_beats_the_truth(small):
    found = rows(small, "ct-5")
    assert found["cgls+discrepancy"].to_best < 1.2 and found["scipy:lsqr"].to_best > 1.5
    assert found["scipy:lsqr-stopped"].quality == pytest.approx(found["cgls+discrepancy"].quality, rel=0.1)
    assert found["cgls+discrepancy"].quality >= found["best:cgls"].quality
    assert found["scipy:lsqr"].products == 2 * found["scipy:lsqr"].iterations + 1
    mri = rows(small, "mri")
    assert mri["best:cgls"].quality >= mri["cgls+gcv"].quality and mri["pnp+tv"].to_best > 0
    digits = rows(small, "digits")
    assert 1 < digits["exact"].to_best < 2 and digits["mmps"].to_best < 2


def test_scikit_image_sees_the_axis_where_it_turns():
    pytest.importorskip("skimage")
    problem = INVERSES["ct-0.5"].make()
    away = problem.assess(INVERTERS["skimage:fbp"].solve(problem).x)[0]
    shifted = problem.data | {"about_a_pixel": problem.b}
    wrong = InverseProblem("", "ct", "error", "", problem.assess, problem.A, problem.b, data=shifted)
    assert away < 0.3 < problem.assess(INVERTERS["skimage:fbp"].solve(wrong).x)[0] + 0.02


def test_the_unit_of_the_data_does_not_matter_to_ours(small):
    one, tiny = rows(small, "ct-2"), rows(small, "ct-2-tiny")
    assert np.abs(small["ct-2-tiny"][0].b).max() < 1e-7
    # The trace that "cgls+gcv" estimates depends on rounding: its choice differs by some steps.
    for name, rel in ("cgls+discrepancy", 1e-3), ("hybrid+gcv", 1e-3), ("cgls+gcv", 0.1):
        assert tiny[name].quality == pytest.approx(one[name].quality, rel=rel)


# ---- the rows ----


def toy(x, unit="error"):
    return InverseProblem("toy", "toy", unit, "slow", lambda y: (float(abs(y - x)), "as told"))


def method(name, x, seconds, best=""):
    return Inverter(name, name, ("toy",), lambda problem: Answer(x, 3, 7, seconds=seconds), best)


def test_ratios_are_to_the_baseline_and_to_the_best():
    methods = [method("best:it", 1.5, 9.0), method("slow", 3.0, 8.0, "best:it"), method("quick", 2.0, 2.0, "best:it")]
    found = run_problem(toy(1.0), methods)
    assert [row.ratio for row in found] == [8 / 9, 1, 4] and [row.to_best for row in found] == [None, 4, 2]
    assert (found[2].iterations, found[2].products, found[2].remark) == (3, 7, "as told")
    assert [row.to_best for row in run_problem(toy(1.0, "dB"), methods)] == [None, 1.5, 0.5]


def test_what_fails_or_is_absent_is_a_row_and_a_line_below_it(capsys, monkeypatch):
    def fail(problem):
        raise ValueError("no\nsuch luck")

    absent = Inverter("gone:x", "", ("toy",), fail, package="no_such_package")
    found = run_problem(toy(1.0), [Inverter("bad", "", ("toy",), fail), absent, method("slow", 1.0, 1.0)])
    assert [row.status for row in found] == ["failed", "not run", "done"] and found[0].message == "ValueError: no"
    assert "needs no_such_package" in found[1].message and "! not run" in VIEW.line(found[1])
    monkeypatch.setitem(INVERSES, "toy", InverseEntry("toy", "toy", lambda small: toy(1.0)))
    for each in (Inverter("bad", "", ("toy",), fail), absent):
        monkeypatch.setitem(INVERTERS, each.name, each)
    code, out, _ = run(capsys, "bench", "inverse", "--problems=toy")
    assert code == 0 and "gone:x: needs no_such_package" in out and "2 rows; 1 not run; 1 failed" in out


def test_the_summary_names_who_beats_us():
    qualities = {"fbp": 2.0, "scipy:lsqr": 1.0}
    found = [InverseRow("p", 9, name, "done", quality=q, unit="error") for name, q in qualities.items()]
    assert "not the best on p: scipy:lsqr" in summary(found)[0] and "scipy" not in summary(found[::-1][1:])[0]
    decibels = [InverseRow("p", 9, row.method, "done", quality=-row.quality, unit="dB") for row in found]
    assert "not the best on p: scipy:lsqr" in summary(decibels)[0]


def test_the_columns_are_aligned():
    about = "kronecker-e-step", 3375, "hybrid+discrepancy", "told the truth"
    row = InverseRow(*about, 1500, 1000001, 50, 1e-4, 12345.6, 1e-9)
    assert len(VIEW.heading().splitlines()[0]) <= 119 and len(VIEW.line(row)) <= 119
    row.remark = "a remark that is longer than its column"
    assert len(VIEW.line(row)) <= 120
    assert "12346" in VIEW.line(row) and "1.0e-09" in VIEW.line(row)


# ---- the command ----


def test_rows_are_printed_and_written(capsys, tmp_path):
    path = tmp_path / "rows.json"
    arguments = (
        "--problems=outliers,kronecker-25",
        "--methods=krosbl,best:support,subgradient-*",
        "--repeats=1",
        f"--json={path}",
    )
    code, out, _ = run(capsys, "bench", "inverse", *arguments)
    written = json.loads(path.read_text())
    assert code == 0 and written["complete"] and "4 rows; 0 not run" in out
    named = [(row["problem"], row["method"]) for row in written["rows"]]
    assert named[:2] == [("outliers", "subgradient-scaled"), ("outliers", "subgradient-plain")] and len(named) == 4
    assert written["rows"][0]["quality"] < 1e-6 and written["rows"][0]["unit"] == "error"


def test_projectors_are_timed_with_and_without_rivals(capsys, monkeypatch):
    measure = tomography_speed.measure
    monkeypatch.setattr(inverse_bench.tomography_speed, "measure", lambda: measure(16, 8, 1))
    code, out, _ = run(capsys, "bench", "inverse", "--projectors")
    assert code == 0 and "ours float32" in out and "ours float64" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--problems=ct-3"], "ct-0.5"),
        (["--methods=hybrd"], "hybrid"),
        (["--rtol=1e-3"], "--rtol does not apply to inverse"),
        (["--per-iteration"], "--per-iteration does not apply"),
        (["--backend=gpu"], "measured on the CPU"),
        (["--projectors", "--quick"], "--quick does not apply to inverse --projectors"),
    ],
    ids=str,
)
def test_a_bad_option_is_one_sentence(capsys, arguments, words):
    code, _, err = run(capsys, "bench", "inverse", *arguments)
    assert code == 2 and words in err and "Traceback" not in err


def test_projectors_belong_to_inverse_alone(capsys):
    code, _, err = run(capsys, "bench", "linalg", "--projectors")
    assert code == 2 and "--projectors does not apply to linalg" in err
