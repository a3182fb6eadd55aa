"""The sequences are what they say, every contender meets the same instances, and the table's sums are right."""

import json

import numpy as np
import pytest
from bench_command import run
from solvers.benchmarks import ssor_totals, sweeps
from solvers.benchmarks.sequences import GRID, SEQUENCES
from solvers.benchmarks.sequences_report import VIEW
from solvers.benchmarks.sequences_rivals import HINDSIGHT, RIVALS, in_hindsight
from solvers.benchmarks.sequences_run import run_sequence

from solvers import linalg

SMALL = ["bench", "sequences", "--problems=poisson-low", "--steps=12", "--no-progress"]


def drawn(name, steps, seed=0):
    return list(SEQUENCES[name].draw(seed, steps))


# ---- the instances ----


def test_the_promised_sequences_and_contenders_are_registered():
    assert list(SEQUENCES) == ["poisson-high", "poisson-low", "heat-25", "heat-50", "heat-100"]
    assert {"chebyshev", "chebcb", "tsallis-inf", "tsallis-inf-binned", "tsallis-inf-released"} <= set(RIVALS)
    assert {"young", "lanczos", "hageman-young", "cg", "pyamg:sor"} <= set(RIVALS)


@pytest.mark.parametrize("name", ["poisson-high", "poisson-low", "heat-25"])
def test_a_seed_draws_the_same_instances(name):
    for one, two in zip(drawn(name, 5), drawn(name, 5)):
        assert np.array_equal(one.b, two.b) and (one.A != two.A).nnz == 0 and one.context == two.context
    if name.startswith("poisson"):
        assert not np.array_equal(drawn(name, 1)[0].b, drawn(name, 1, seed=1)[0].b)


@pytest.mark.parametrize("name", ["poisson-high", "poisson-low", "heat-25"])
def test_the_jacobi_radius_is_that_of_the_matrix(name):
    for instance in drawn(name, 3):
        A = instance.A.toarray()
        assert instance.beta == pytest.approx(max(abs(np.linalg.eigvalsh(np.eye(len(A)) - A / A[0, 0]))), rel=1e-10)


@pytest.mark.parametrize("name", ["poisson-high", "poisson-low"])
def test_shifts_and_right_hand_sides_are_the_papers(name):
    low, high = SEQUENCES[name].interval
    for instance in drawn(name, 50):
        assert low <= instance.context <= high and np.linalg.norm(instance.b) <= 10
        assert np.allclose(instance.A.diagonal(), 4 + instance.context)


def test_a_heat_step_starts_where_the_last_one_ended():
    steps = drawn("heat-25", 4)
    for step, following in zip(steps, steps[1:]):
        assert np.linalg.norm(step.A @ following.x0 - step.b) <= 1e-13 * np.linalg.norm(step.b)


def test_heat_is_lost_to_the_boundary_alone():
    """Crank-Nicolson: (I + sL) u' = (I - sL) u + dt f, so the source is what is left; a bump of height 32 at most."""
    first = drawn("heat-25", 1)[0]
    identity = np.eye(first.b.size)
    source = first.b - (2 * identity - first.A.toarray()) @ first.x0
    assert source.min() >= -1e-12 and 0.9 * 0.032 < source.max() <= 0.032 + 1e-12


# ---- the run ----


@pytest.fixture(scope="module", params=["poisson-low", "heat-25"])
def small(request):
    sequence = SEQUENCES[request.param]
    rivals = [each for each in RIVALS.values() if sequence.solver in each.solvers]
    rows, totals = run_sequence(sequence, rivals, 15, seed=3)
    return sequence, {row.contender: row for row in rows}, totals


def test_the_table_is_what_fixed_omegas_cost(small):
    sequence, rows, totals = small
    solve = getattr(linalg, sequence.solver)
    for column in (0, 12):
        counts = [
            solve(i.A, i.b, i.x0, omega=GRID[column], rtol=1e-8, maxiter=10_000).iterations
            for i in sequence.draw(3, 15)
        ]
        assert totals[column] == sum(counts)
    assert rows["best-fixed"].iterations == min(totals) and rows["best-fixed"].omega == GRID[np.argmin(totals)]
    assert rows["best-each"].iterations <= rows["best-fixed"].iterations


def test_regret_is_what_was_spent_beyond_the_best_omega(small):
    sequence, rows, totals = small
    assert sum(row.failures for row in rows.values()) == 0
    for name, row in rows.items():
        compared = name in HINDSIGHT or sequence.solver in RIVALS[name].comparable
        assert (row.regret is not None) is compared
        if compared:
            assert row.regret == row.iterations - min(totals) == row.regret_curve[-1]
            assert row.young == row.iterations / rows["young"].iterations
    assert rows["best-fixed"].regret_curve == [0.0] * 15


def test_probabilities_are_watched_in_every_round(small):
    _, rows, _ = small
    watched = {name for name, row in rows.items() if row.deviation is not None}
    assert watched == {name for name, rival in RIVALS.items() if rival.learns}
    assert all(rows[name].deviation < 1e-12 for name in watched if "released" not in name)
    assert all(rows[name].overhead_mean > 0 for name in watched)


def test_pyamgs_sweeps_and_ours_count_alike():
    sequence = SEQUENCES["poisson-high"]
    rows, _ = run_sequence(sequence, [RIVALS["young"], RIVALS["pyamg:sor"]], 10, seed=0)
    counts = {row.contender: row.iterations for row in rows}
    assert abs(counts["young"] - counts["pyamg:sor"]) <= 1


def test_a_fixed_seed_gives_the_same_counts():
    sequence, rivals = SEQUENCES["poisson-high"], [RIVALS["young"], RIVALS["tsallis-inf"]]
    counts = [[row.iterations for row in run_sequence(sequence, rivals, 10, seed)[0]] for seed in (1, 1, 2)]
    assert counts[0] == counts[1] != counts[2]


def test_hindsight_reads_the_table():
    costs = np.array([[3, 1, 2], [4, 9, 5], [1, 1, 3]])
    assert in_hindsight("best-fixed", costs).tolist() == [0, 0, 0]
    assert in_hindsight("best-each", costs).tolist() == [1, 0, 0]


# ---- the command ----


def test_the_command_prints_and_writes_every_contender(capsys, tmp_path):
    paths = tmp_path / "rows.json", tmp_path / "plot.png"
    code, out, err = run(capsys, *SMALL, "--seeds=2", f"--json={paths[0]}", f"--plot={paths[1]}")
    assert code == 0, err
    content = json.loads(paths[0].read_text())
    expected = {name for name, rival in RIVALS.items() if "sor" in rival.solvers} | set(HINDSIGHT)
    for seed in (0, 1):
        assert {row["contender"] for row in content["rows"] if row["seed"] == seed} == expected
    assert len(content["totals_of_the_grid"]) == 2 and len(content["settings"]["grid"]) == 20
    assert all(name in out for name in expected) and max(map(len, out.splitlines())) <= 120
    assert "probabilities sum to 1 within" in out
    assert paths[1].read_bytes().startswith(b"\x89PNG")


def test_chosen_contenders_are_run_with_youngs_formula_beside_them(capsys):
    code, out, _ = run(capsys, *SMALL, "--methods=cg")
    table = [line for line in out.splitlines() if line.startswith("poisson-low")]
    assert code == 0 and [line.split()[3] for line in table] == ["cg", "young", "best-fixed", "best-each"]


def test_every_line_stays_within_the_heading():
    rows, _ = run_sequence(SEQUENCES["heat-25"], [RIVALS["young"], RIVALS["chebcb"]], 3, seed=0)
    width = len(VIEW.heading().splitlines()[0])
    assert width <= 120 and all(len(VIEW.line(each)) <= width for each in VIEW.fold(rows))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--problems=poisson"], "poisson-high"),
        (["--methods=thompson"], "no contender"),
        (["--size=10"], "--size does not apply"),
        (["--rtol=1e-3"], "--rtol does not apply"),
        (["--backend=gpu"], "--backend gpu"),
        (["--threads=1,2"], "--threads"),
        (["--seeds=0"], ">= 1"),
        (["--plot=p.xyz"], ".png"),
    ],
    ids=str,
)
def test_a_bad_option_is_one_sentence_and_exit_code_two(capsys, arguments, words):
    code, out, err = run(capsys, "bench", "sequences", *arguments)
    assert code == 2 and words in err and "Traceback" not in err and "poisson-high   " not in out


# ---- the two measurements beside it ----


def test_whole_solves_by_all_contenders_reach_the_tolerance(capsys, tmp_path):
    path = tmp_path / "rows.json"
    code, out, _ = run(capsys, "bench", "ssor", "--quick", "--repeats=1", f"--json={path}")
    rows = json.loads(path.read_text())["rows"]
    assert code == 0 and len(rows) == 12 and all(row["converged"] for row in rows)
    tuned = {row["problem"]: row["iterations"] for row in rows if row["contender"] == "ssor_cg tuned"}
    auto = {row["problem"]: row["iterations"] for row in rows if row["contender"] == "ssor_cg auto"}
    assert all(tuned[name] <= auto[name] for name in auto)
    assert "! not so" not in out


def test_ratios_are_seconds_of_the_baselines_over_ones_own():
    rows = {row.contender: row for row in ssor_totals.measure(("poisson2d", 12), 1)}
    for row in rows.values():
        assert row.vs["rs"] == rows["scipy:cg + rs"].seconds / row.seconds


def test_a_sweep_is_measured_by_differences():
    natural, colored, theirs = rows = sweeps.measure(("poisson2d", 60), threads=1, budget=0.05)
    assert [row.method for row in rows] == ["sor natural", "sor colored", "pyamg:sor"]
    timed = [row for row in rows if row.microseconds and theirs.microseconds]
    assert all(row.ratio == theirs.microseconds / row.microseconds > 0 for row in timed)
    assert all(row.samples >= 5 and (row.ratio is None) == (row not in timed) for row in rows)
    assert natural.residual == pytest.approx(theirs.residual) and colored.residual < 1
    assert len(sweeps.VIEW.line(natural)) == len(sweeps.VIEW.heading().splitlines()[0])


def test_more_sweeps_that_take_no_longer_are_noise(monkeypatch):
    times = [[2.0], [3.0], [2.0], [1.0], [2.0], [4.0]]
    monkeypatch.setattr(sweeps, "_in_turn", lambda runs, budget: times)
    natural, colored, theirs = sweeps.measure(("poisson2d", 8), threads=1)
    assert (natural.ratio, theirs.ratio) == (2.0, 1.0) and colored.microseconds is colored.ratio is None
    assert "noise" in sweeps.VIEW.line(colored)
