"""The registered equations hold for their solutions, answers are judged by these, and the command says so."""

import json

import numpy as np
import pytest
from bench_command import run
from solvers.benchmarks import pde_chebyshev
from solvers.benchmarks._registry import present
from solvers.benchmarks.pde_bench import VIEW, summary
from solvers.benchmarks.pde_methods import Answer, Solver, ladder
from solvers.benchmarks.pde_problems import PDE, PDES, unit_load
from solvers.benchmarks.pde_rivals import PDE_METHODS
from solvers.benchmarks.pde_run import REACHED, SHORT, WRONG, run_problem

ELEVEN = (
    "sin100 sin6cos100 xsin200 three-scales sin500 ac-sin100 ac-sin6cos100 sinsin100-2d sum-2d ac-2d advection".split()
)


def easy(d=1, nonlinear=None, phase=0.0):
    """A product of slow sines, zero at the sides of the unit box where there is no phase."""
    u = lambda *x: np.prod(np.broadcast_arrays(*(np.sin(np.pi * each + phase) for each in x)), axis=0)
    f = lambda *x: -d * np.pi**2 * u(*x) + (nonlinear[0](u(*x)) if nonlinear else 0.0)
    op = {tuple(2 * (i == axis) for i in range(d)): 1.0 for axis in range(d)}
    return PDE("easy", "easy", ((0.0, 1.0),) * d, op, u, f, (8.0,) * d, nonlinear)


def cubic():
    return lambda u: u**3 - u, lambda u: 3 * u**2 - 1


def fake(error=0.0, claim="converged", name="fake", cost=None):
    """A method that is off by a relative error; ``error`` may depend on the level."""

    def solve(problem, level):
        if cost:
            cost(level)
        off = error(level) if callable(error) else error
        return Answer((level,), lambda axes: (1 + off) * problem.u(*np.ix_(*axes)), claim)

    return Solver(name, "a fake", solve, lambda problem: list(range(1, 11)))


# ---- the problems ----


def test_the_promised_problems_and_methods_are_registered():
    assert {*ELEVEN, "unit-load", "elliptic-chen", "sin60-3d", "harmonic-sin40"} == set(PDES)
    assert all(len(PDES[name].published) == 2 for name in ELEVEN)
    rivals = {"chebyshev", "integration", "numerov", "sine-transform", "sine-4th-order", "scipy:solve_bvp", "gpytorch"}
    assert {"gp", "gp-n", *rivals} == set(PDE_METHODS)


@pytest.mark.parametrize("name", list(PDES))
def test_each_solution_obeys_its_equation(name):
    problem, rng = PDES[name], np.random.default_rng(0)
    x = [rng.uniform(low + 0.2 * (high - low), high - 0.2 * (high - low), 20) for low, high in problem.box]
    # Central differences of sixth order; the steps are small fractions of the shortest waves.
    weights = {1: np.array([-1, 9, -45, 0, 45, -9, 1]) / 60, 2: np.array([2, -27, 270, -490, 270, -27, 2]) / 180}
    total, scale = 0.0, 0.0
    for index, c in problem.op.items():
        (axis,) = np.flatnonzero(index)
        order, h = index[axis], 0.05 / problem.rates[axis]
        shifted = [[e + k * h * (i == axis) for i, e in enumerate(x)] for k in range(-3, 4)]
        part = c * sum(w * problem.u(*at) for w, at in zip(weights[order], shifted)) / h**order
        total, scale = total + part, scale + np.abs(part).max()
    total = total + (problem.nonlinear[0](problem.u(*x)) if problem.nonlinear else 0.0)
    assert np.abs(total - problem.f(*x)).max() <= 1e-6 * scale


def test_the_unit_load_is_zero_at_the_sides_and_has_the_known_centre():
    assert unit_load(0.5, 0.5) == pytest.approx(0.0736713532814, abs=1e-12)
    line_ = np.linspace(0, 1, 21)
    assert (
        np.abs([unit_load(line_, 0.0), unit_load(line_, 1.0), unit_load(0.0, line_), unit_load(1.0, line_)]).max()
        < 1e-14
    )
    assert np.abs(unit_load(*np.ix_(line_, line_)) - unit_load(*np.ix_(line_, line_)).T).max() < 1e-12


def test_advection_is_given_its_inflow_only():
    problem = PDES["advection"]
    assert problem.bc() == {(0, 0): problem.u, (0, 1): None, (1, 0): problem.u, (1, 1): None}


# ---- the rivals ----


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("name", [name for name in PDE_METHODS if name != "scipy:solve_bvp"])
def test_every_method_finds_an_easy_solution(name, d):
    method, problem = PDE_METHODS[name], easy(d)
    if not present(method.package):
        pytest.skip("not there")
    if not method.handles(problem):
        assert (name, d) not in {("chebyshev", d), ("gp", d), ("gp-n", d), ("sine-transform", 3)}
        return
    row = run_problem(problem, [method], 2.0, 1)[0]
    # GPyTorch's Gram matrices stop where rounding does.
    assert row.error <= (1e-4 if name == "gpytorch" else 1e-8), row


@pytest.mark.parametrize("name, d", [("chebyshev", 1), ("chebyshev", 2), ("integration", 1), ("numerov", 1),
                                     ("sine-4th-order", 2), ("scipy:solve_bvp", 1)])  # fmt: skip
def test_rivals_meet_data_that_are_not_zero_at_the_sides(name, d):
    method, problem = PDE_METHODS[name], easy(d, phase=0.6)
    assert method.handles(problem) and not PDE_METHODS["sine-transform"].handles(easy(2, phase=0.6))
    assert run_problem(problem, [method], 1.0, 1)[0].error <= 1e-8


@pytest.mark.parametrize(
    "name, d", [("chebyshev", 1), ("chebyshev", 2), ("numerov", 1), ("scipy:solve_bvp", 1), ("gp", 2)]
)
def test_rivals_solve_nonlinear_equations(name, d):
    problem = easy(d, cubic(), phase=0.6)
    assert run_problem(problem, [PDE_METHODS[name]], 1.0, 1)[0].error <= 1e-8


@pytest.mark.parametrize("name", ["integration", "sine-transform", "sine-4th-order", "gpytorch"])
def test_rivals_of_poissons_equation_do_not_take_others(name):
    assert not any(PDE_METHODS[name].handles(PDES[each]) for each in ("ac-sin100", "ac-2d", "advection"))


def test_chebyshevs_matrices_differentiate_polynomials():
    x, D, D2 = pde_chebyshev._matrices(12)
    assert np.allclose(D @ x**7, 7 * x**6, atol=1e-11) and np.allclose(D2 @ x**7, 42 * x**5, atol=1e-9)


def test_halves_are_the_eigenvectors_of_the_whole():
    axis = pde_chebyshev._Axis(14, 0.0, 2.0, ((2, 1.0),), (0, 1))
    halves, U = pde_chebyshev._Halves(axis.A), np.random.default_rng(0).standard_normal((12, 3))
    assert np.allclose(halves.backward(halves.forward(U, 0), 0), U)
    scaled = halves.backward(halves.values[:, None] * halves.forward(U, 0), 0)
    assert np.allclose(scaled, axis.A @ U) and halves.values.max() == pytest.approx(-(np.pi**2) / 4)


# ---- the search and the judgement ----


def test_the_coarsest_level_that_reaches_the_error_is_found():
    tried = []
    method = fake(lambda level: 10.0 ** -(2 * level), cost=tried.append)
    row = run_problem(easy(), [method], 5.0, 1)[0]
    assert row.n == (5,) and row.status == REACHED and row.best_error < row.error and row.best_n[0] > 5
    long = Solver("long", "", method.solve, lambda problem: list(np.linspace(0.1, 10, 100)))
    assert run_problem(easy(), [long], 5.0, 1)[0].n[0] == pytest.approx(4.5, abs=0.11)


def test_a_method_that_does_not_get_there_is_shown_at_its_best():
    row = run_problem(easy(), [fake(lambda level: 1e-5 + (level - 4) ** 2, claim="")], 5.0, 1)[0]
    assert row.n == (4,) and row.status == SHORT and row.error == pytest.approx(1e-5) and not row.reached


def test_a_liar_is_called_wrong():
    row = run_problem(easy(), [fake(0.1)], 1.0, 1)[0]
    assert (
        row.status == WRONG
        and row.error == pytest.approx(0.1)
        and "! WRONG" in VIEW.line(row)
        and "1 WRONG" in summary([row])[0]
    )


def test_a_failure_that_is_named_is_not_called_wrong():
    assert run_problem(easy(), [fake(0.1, "maxiter")], 1.0, 1)[0].status == "maxiter"


def test_an_answer_that_is_not_finite_is_wrong():
    assert run_problem(easy(), [fake(np.nan)], 1.0, 1)[0].status == WRONG


def test_an_exception_ends_only_its_own_row():
    def fail(level):
        raise MemoryError("none left")

    rows = run_problem(easy(), [fake(cost=fail), PDE_METHODS["integration"]], 1.0, 1)
    assert rows[0].status == "failed" and "none left" in rows[0].message and rows[0].seconds is None
    assert rows[1].status == REACHED and VIEW.line(rows[0])


def test_only_errors_that_match_are_compared():
    methods = [fake(1e-12, name="base"), fake(1e-12, name="good"), fake(1e-8, name="short")]
    rows = run_problem(easy(), methods, 1.0, 1, baseline="base")
    assert rows[0].ratio == 1.0 and rows[1].ratio is not None and rows[2].ratio is None
    rows = run_problem(easy(), methods, 1.0, 1, baseline="short")
    assert [row.ratio for row in rows] == [None, None, None]


def test_a_search_ends_when_its_seconds_are_spent():
    tried = []

    def work(level):
        tried.append(level)
        np.linalg.svd(np.ones((150, 150)))

    run_problem(easy(), [fake(1.0, cost=work)], 1e-6, 1)
    assert set(tried) == {1}


def test_losses_are_in_the_summary():
    rows = run_problem(easy(), [PDE_METHODS[name] for name in ("gp", "chebyshev", "integration")], 1.0, 1)
    said = summary(rows)[0]
    assert "gp reaches it on 1 of 1 problems" in said and "some rival is on 1 (easy)" in said


def test_levels_go_up():
    assert ladder(1.0, 3.0)[0] == 1.0 and ladder(1.0, 3.0)[-1] <= 3.0 and np.all(np.diff(ladder(1.0, 3.0)) > 0)


# ---- the command ----


def test_the_command_prints_and_writes_its_rows(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(PDES, "easy", easy())
    target = tmp_path / "out.json"
    code, out, _ = run(capsys, "bench", "pde", "--problems=easy", "--methods=gp,numerov", f"--json={target}")
    assert code == 0 and VIEW.heading() in out and "easy" in out and "threads: 1" in out
    content = json.loads(target.read_text())
    assert [row["method"] for row in content["rows"]] == ["gp", "numerov", "chebyshev"]
    assert content["command"].startswith("solvers bench pde --problems=easy") and content["complete"]
    assert content["settings"]["target"] == 1e-9 and content["rows"][2]["ratio"] == 1.0


def test_the_published_figures_stand_beside_ours(capsys):
    code, out, _ = run(capsys, "bench", "pde", "--problems=sin500", "--methods=gp", "--quick")
    (ours,) = [each for each in out.splitlines() if each.startswith("sin500") and " gp " in each]
    assert code == 0 and ours.endswith("4.2e-04 5705 s") and "reached" in ours and "published: at least" in out


def test_a_wrong_row_is_said_by_the_command(capsys, monkeypatch):
    monkeypatch.setitem(PDES, "easy", easy())
    monkeypatch.setitem(PDE_METHODS, "liar", fake(1.0, name="liar"))
    code, out, _ = run(capsys, "bench", "pde", "--problems=easy", "--methods=liar")
    assert code == 0 and "! WRONG" in out and "1 WRONG" in out


def test_what_is_not_installed_is_skipped_in_plain_sight(capsys, monkeypatch):
    monkeypatch.setitem(PDES, "easy", easy())
    absent = Solver("gpytorch", "not there", lambda *_: None, lambda _: [1], package="no_such_package")
    monkeypatch.setitem(PDE_METHODS, "gpytorch", absent)
    assert "skipped, not installed: gpytorch" in run(capsys, "bench", "pde", "--problems=easy", "--methods=gp")[1]
    code, _, err = run(capsys, "bench", "pde", "--problems=easy", "--methods=gpytorch")
    assert code == 2 and "no_such_package, which is not installed" in err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--problems=sin10"], "sin100"),
        (["--methods=chebishev"], "chebyshev"),
        (["--problems="], "empty"),
        (["--size=5"], "--size does not apply to pde"),
        (["--maxiter=9"], "--maxiter does not apply to pde"),
        (["--cap=0"], "> 0"),
        (["--threads=1,2"], "one number"),
        (["--backend=gpu"], "CPU"),
        (["--json=/no/such/folder/x.json"], "cannot be written"),
    ],
    ids=str,
)
def test_a_bad_option_is_one_sentence_and_exit_code_two(capsys, arguments, words):
    code, out, err = run(capsys, "bench", "pde", *arguments)
    assert code == 2 and words in err and "Traceback" not in err and "reached" not in out


def test_list_and_bench_name_the_area(capsys):
    assert "pde" in run(capsys, "bench")[1].split(": ")[1]
    assert {*PDES, *PDE_METHODS} <= set(run(capsys, "list")[1].split())
