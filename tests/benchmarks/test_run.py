"""Rows tell the truth about methods, and a method that fails does not take the others with it."""

import dataclasses

import numpy as np
import pytest
from solvers.benchmarks import cli, report
from solvers.benchmarks.bench import view
from solvers.benchmarks.linalg_rivals import METHODS
from solvers.benchmarks.methods import Outcome
from solvers.benchmarks.plan import Settings, plan
from solvers.benchmarks.preconditioners import PRECONDITIONERS
from solvers.benchmarks.problems import PROBLEMS, make_problem
from solvers.benchmarks.run import FALSE_SUCCESS, run, true_residual


def loader(name, size=6, dtype=None):
    return lambda: make_problem(PROBLEMS[name], size, dtype)


def rows_of(name, methods, preconditioners=("none",), **options):
    settings = Settings([loader(name)], repeats=1, **options)
    settings.methods = [METHODS[m] if isinstance(m, str) else m for m in methods]
    settings.preconditioners = [PRECONDITIONERS[p] for p in preconditioners]
    return list(run(settings))


def fake(solve, name="fake"):
    """A method whose library claims success, whatever it returns."""
    return dataclasses.replace(
        METHODS["cg"],
        name=name,
        library="fake",
        solve=solve,
        read=lambda entry, task, answer: Outcome(answer[0], answer[1] == 0, "converged", 1, 1),
    )


def test_the_promised_methods_and_preconditioners_are_registered():
    ours = {"cg", "minres", "bicgstab", "gmres", "lsqr", "lsmr"}
    assert ours | {f"scipy:{name}" for name in ours} | {"pyamg:cg", "pyamg:sa", "pyamg:rs"} <= set(METHODS)
    assert {"sor", "ssor_cg", "gauss_seidel", "jacobi", "dcdm"} <= set(METHODS)
    names = "none jacobi ilu ssor ic ic-auto mic chebyshev amg mg box coarse sa rs"
    assert list(PRECONDITIONERS) == names.split()


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_solves_a_problem_made_for_it(name):
    row = next(row for row in rows_of("poisson2d", [name], rtol=1e-6) if row.method == name)
    if row.status == "skipped" and METHODS[name].backend == "gpu":
        pytest.skip(row.message)
    assert row.status in ("converged", FALSE_SUCCESS if name == "scipy:minres" else "converged")
    assert (row.iterations is None if name == "cupyx:gmres" else row.iterations > 0) and row.seconds > 0
    assert row.residual < 1e-4


@pytest.mark.parametrize("name", list(PRECONDITIONERS))
def test_every_preconditioner_serves_ours_and_scipys_alike(name):
    rows = rows_of("poisson2d", ["cg"], [name])
    assert [row.method for row in rows] == ["scipy:cg", "cg"]
    assert {row.status for row in rows} == {"converged"}
    assert abs(rows[0].iterations - rows[1].iterations) <= 1
    assert rows[0].setup_seconds == rows[1].setup_seconds
    assert (rows[0].setup_seconds is None) == (name == "none")


def test_counts_agree_with_what_scipy_does():
    row = rows_of("poisson2d", ["scipy:cg"])[0]
    problem, steps = loader("poisson2d")(), []
    from scipy.sparse.linalg import cg

    cg(problem.A, problem.b, rtol=1e-8, callback=lambda _: steps.append(None))
    assert row.iterations == row.matvecs == len(steps)


def test_a_false_success_is_marked():
    wrong = fake(lambda task: (np.zeros_like(task.b), 0))
    row = rows_of("poisson2d", [wrong])[-1]
    assert row.status == FALSE_SUCCESS and row.residual == 1.0 and row.ratio is None
    assert FALSE_SUCCESS in view(1e-8).line(row)


def test_an_answer_that_is_not_finite_is_a_false_success_too():
    row = rows_of("poisson2d", [fake(lambda task: (np.full_like(task.b, np.nan), 0))])[-1]
    assert row.status == FALSE_SUCCESS


def test_a_method_that_raises_leaves_the_others():
    def broken(task):
        raise RuntimeError("out of order\nand more")

    rows = rows_of("poisson2d", [fake(broken), "cg"])
    assert [row.status for row in rows] == ["converged", "failed", "converged"]
    assert rows[1].message == "RuntimeError: out of order"


def test_unsuitable_methods_are_skipped_once_by_name_and_reason():
    rows = rows_of("convection_diffusion2d", ["cg", "minres", "gmres"], ["none", "jacobi"])
    skipped = [row for row in rows if row.status == "skipped"]
    assert [(row.method, row.message) for row in skipped] == [
        ("cg", "needs a positive definite matrix."),
        ("minres", "needs a symmetric matrix."),
    ]
    assert {row.method for row in rows if row.status == "converged"} == {"gmres", "scipy:gmres"}


def test_a_preconditioner_that_needs_a_sparse_matrix_says_so():
    rows = rows_of("dense", ["cg"], ["none", "ilu"])
    assert [row.status for row in rows] == ["converged", "converged", "skipped", "skipped"]


def test_the_ratio_is_that_of_the_seconds_in_the_table():
    theirs, ours = rows_of("poisson2d", ["cg"])
    assert theirs.ratio == 1.0
    assert ours.ratio == pytest.approx(theirs.seconds / ours.seconds)


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_least_squares_methods_are_measured_against_scipys_of_the_name(name):
    theirs, ours = rows_of("convection_diffusion2d", [name], rtol=1e-6)
    assert theirs.method == ours.baseline == f"scipy:{name}" and ours.ratio == theirs.seconds / ours.seconds
    assert theirs.iterations == ours.iterations and ours.matvecs == 2 * ours.iterations + 3
    assert {row.status for row in rows_of("convection_diffusion2d", [name], maxiter=2)} == {"maxiter"}


def test_a_failure_has_no_ratio():
    assert all(row.ratio is None for row in rows_of("poisson2d", ["cg"], maxiter=2))


def test_the_baseline_comes_first_and_can_be_chosen():
    assert [row.method for row in rows_of("poisson2d", ["cg"], baseline="pyamg:cg")] == ["pyamg:cg", "cg"]
    assert [row.method for row in rows_of("poisson2d", ["cg"], baseline="none")] == ["cg"]


def test_a_standalone_method_runs_once():
    problem = loader("poisson2d")()
    for names in (["none", "jacobi"], ["jacobi"]):
        settings = Settings([], [METHODS["cg"], METHODS["pyamg:sa"]], [PRECONDITIONERS[n] for n in names])
        methods = [m.name for _, found in plan(problem, settings) for m in found]
        assert methods.count("pyamg:sa") == 1


def test_methods_are_chosen_by_the_kind_of_problem():
    chosen = {
        name: {m.name for _, found in plan(loader(name)(), Settings([])) for m in found}
        for name in ("poisson2d", "pyamg:unit_square", "convection_diffusion2d")
    }
    assert chosen["poisson2d"] == {"scipy:cg", "cg", "pyamg:cg"}
    assert chosen["pyamg:unit_square"] == {"scipy:minres", "minres"}
    assert chosen["convection_diffusion2d"] == {"scipy:gmres", "gmres", "scipy:bicgstab", "bicgstab"}


def test_the_residual_is_measured_in_double_precision():
    problem = loader("poisson2d", dtype="float32")()
    x = np.linalg.solve(problem.A.toarray().astype(float), problem.b)
    residual, limit = true_residual(problem.A, x, problem.b, 1e-13)
    assert residual < 1e-13 < limit


def test_an_interrupt_leaves_the_finished_rows(capsys, monkeypatch, tmp_path):
    def interrupted(task):
        raise KeyboardInterrupt

    monkeypatch.setitem(METHODS, "fake", fake(interrupted))
    path = tmp_path / "rows.json"
    code = cli.main(
        [
            "bench",
            "linalg",
            "--problems=poisson2d",
            "--size=6",
            "--methods=fake,cg",
            "--repeats=1",
            f"--json={path}",
        ]
    )
    said = capsys.readouterr()
    assert code == 130 and "interrupted" in said.err
    assert [row.method for row in report.read_json(path)["rows"]] == ["scipy:cg"]
    assert "scipy:cg" in said.out


def test_a_problem_that_cannot_be_made_leaves_the_finished_rows(capsys, monkeypatch):
    def build(size):
        raise MemoryError

    monkeypatch.setitem(PROBLEMS, "huge", dataclasses.replace(PROBLEMS["poisson3d"], name="huge", build=build))
    arguments = ["--problems=poisson2d,huge", "--size=6", "--methods=cg", "--preconditioners=none"]
    code = cli.main(["bench", "linalg", *arguments])
    said = capsys.readouterr()
    assert code == 2 and "huge of size 6 does not fit in memory" in said.err and "2 converged" in said.out


@pytest.mark.parametrize("name", ["sor", "ssor_cg", "gauss_seidel", "jacobi"])
def test_a_method_that_takes_no_preconditioner_comes_once_and_converges(name):
    methods = [METHODS[each] for each in ("cg", name)]
    chosen = [PRECONDITIONERS[each] for each in ("none", "jacobi")]
    problem = make_problem(PROBLEMS["poisson2d"], 8)
    rows = list(run(Settings([lambda: problem], methods, chosen, repeats=1)))
    alone = [row for row in rows if row.method == name]
    assert [(row.preconditioner, row.status) for row in alone] == [("-", "converged")]
    assert alone[0].baseline == "scipy:cg" and alone[0].ratio > 0


@pytest.mark.parametrize("name", ["ssor", "ic", "mic", "chebyshev"])
@pytest.mark.parametrize("problem", ["poisson2d", "dense"])
def test_our_preconditioners_need_fewer_iterations_than_none(name, problem):
    made = make_problem(PROBLEMS[problem], 20)
    chosen = [PRECONDITIONERS[each] for each in ("none", name)]
    without, with_it = run(Settings([lambda: made], [METHODS["cg"]], chosen, repeats=1, baseline="none"))
    assert with_it.status == "converged" and with_it.iterations < without.iterations


def test_a_preconditioner_of_grids_is_left_out_elsewhere_and_sees_varying_coefficients():
    plain, varied, none = (make_problem(PROBLEMS[n], 12) for n in ("obstacles3d", "lognormal", "random60"))
    assert plain.grid == (12, 12, 12) and varied.grid == (12, 12) and none.grid is None
    for name in ("mg", "box"):
        assert PRECONDITIONERS[name].unsuitable(plain) == "" and "grid" in PRECONDITIONERS[name].unsuitable(none)
    families = [PRECONDITIONERS["mg"].build(each).header["family"] for each in (plain, varied)]
    assert families == ["mg3d-poisson", "mg2d-variable"]
