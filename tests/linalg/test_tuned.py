"""Solvers that choose a parameter anew for each system: what they record, charge, save and refuse."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from solvers import InvalidInput, UnsupportedType, linalg
from solvers._model_file import write_model
from solvers.linalg._policies import NAMES, TsallisINF, make_policy

M = 12
N = M * M
RNG = np.random.default_rng(0)
SIDES = RNG.standard_normal((60, N))
SHIFTS = RNG.uniform(0.0, 0.3, 60)
CLASSES = (linalg.TunedSOR, linalg.TunedSSORCG, linalg.TunedIncompleteCholesky, linalg.TunedChebyshev)
every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
every_policy = pytest.mark.parametrize("policy", [*NAMES, "auto"])


def system(t):
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(M, M))
    return (sp.kronsum(line, line) + SHIFTS[t] * sp.eye_array(N)).tocsr(), SIDES[t]


def drive(tuned, start, stop, **options):
    """The answers to systems start, ..., stop - 1, told their shifts."""
    return [tuned(*system(t), context=SHIFTS[t], rtol=1e-8, **options) for t in range(start, stop)]


def parabola(A, b, *, height):
    """A user's own solver, best at height 3."""
    return SimpleNamespace(iterations=int(10 + 20 * (height - 3) ** 2), converged=True, height=height)


# ---- what it does ----


def test_any_function_and_any_parameter_are_tuned():
    tuned = linalg.Tuned(parabola, "height", grid=[1, 2, 3, 4, 5], rng=0)
    answers = [tuned(None, np.ones(4)) for _ in range(100)]
    assert [answer.height for answer in answers] == tuned.values.tolist()
    assert [answer.iterations for answer in answers] == tuned.iterations.tolist() == tuned.costs.tolist()
    assert np.mean(tuned.values[50:] == 3) > 0.8
    assert np.isnan(tuned.contexts).all()


@every_class
def test_an_answer_is_that_of_the_solver_with_the_chosen_value(kind):
    tuned = kind(rng=1)
    answers = drive(tuned, 0, 12)
    for t, (answer, value) in enumerate(zip(answers, tuned.values)):
        again = tuned._solve(*system(t), rtol=1e-8, **{tuned.parameter: value})
        assert value in tuned.grid and answer.converged
        assert np.array_equal(answer.x, again.x) and answer.iterations == again.iterations
    assert np.array_equal(tuned.contexts, SHIFTS[:12])


@pytest.mark.parametrize("kind", [linalg.TunedSOR, linalg.TunedSSORCG])
def test_what_is_learned_costs_less_than_drawing_blindly(kind):
    tuned, blind = kind(rng=2), []
    for t in range(60):
        drive(tuned, t, t + 1)
        blind.append(np.mean([_cost_of(tuned, t, value) for value in tuned.grid]))
    assert tuned.costs[20:].sum() < 0.95 * np.sum(blind[20:])


def _cost_of(tuned, t, value):
    result = tuned._solve(*system(t), rtol=1e-8, **{tuned.parameter: value})
    return tuned._charge(result, value, None, N)


def test_a_degree_is_charged_its_products():
    tuned = linalg.TunedChebyshev(3, rng=0)
    (answer,) = drive(tuned, 0, 1)
    assert tuned.values.tolist() == [3.0] and tuned.costs.tolist() == [3 * answer.iterations]


@every_policy
def test_probabilities_sum_to_one_in_every_round(policy):
    tuned = linalg.TunedSSORCG(policy, rng=3)
    for t in range(40):
        drive(tuned, t, t + 1, maxiter=200 if t % 3 else 2)
        total = tuned.policy.probabilities.sum()
        assert abs(total - 1) < 1e-12 or policy == "tsallis-inf-released"


def test_a_warm_start_and_zero_iterations_go_through():
    tuned = linalg.TunedSOR(rng=4)
    (first,) = drive(tuned, 0, 1)
    (again,) = drive(tuned, 0, 1, x0=first.x)
    assert again.iterations == 0 == tuned.costs[1]
    assert drive(tuned, 1, 2)[0].converged


def test_many_right_hand_sides_are_charged_the_slowest():
    tuned = linalg.TunedSOR(1.3)
    A, _ = system(0)
    answer = tuned(A, SIDES[:3].T, rtol=1e-8)
    assert tuned.iterations.tolist() == [answer.iterations.max()]


def test_a_number_is_that_value_and_an_object_its_own_policy():
    assert set(drive_values(linalg.TunedSOR(1.25))) == {1.25}
    policy = TsallisINF([1.1, 1.2], rng=5)
    tuned = linalg.Tuned(linalg.sor, grid=[1.1, 1.2], policy=policy)
    assert tuned.policy is policy and set(drive_values(tuned)) <= {1.1, 1.2}


def drive_values(tuned):
    drive(tuned, 0, 10)
    return tuned.values.tolist()


def test_the_classical_policies_do_what_the_solver_does_on_its_own():
    adapts, formula = linalg.TunedSOR("hageman-young"), linalg.TunedSOR("lanczos")
    for t in range(3):
        (answer,), (other,) = drive(adapts, t, t + 1), drive(formula, t, t + 1)
        assert np.array_equal(answer.x, linalg.sor(*system(t), rtol=1e-8).x)
        assert formula.omegas[t] == linalg.omega_optimal(system(t)[0]) and other.converged
    assert np.isnan(adapts.omegas).all()


def test_a_seed_decides_everything():
    one, two, other = (drive_values(linalg.TunedSOR("tsallis-inf", rng=seed)) for seed in (6, 6, 7))
    assert one == two != other


# ---- what does not converge ----


@every_class
def test_what_did_not_converge_is_charged_the_cap_and_says_so(kind):
    tuned = kind(rng=8)
    answers = drive(tuned, 0, 6, maxiter=1)
    assert not any(answer.converged for answer in answers) and all(answer.info != 0 for answer in answers)
    factor = tuned.values if kind is linalg.TunedChebyshev else 1
    assert np.array_equal(tuned.costs, np.full(6, 1) * factor)


def test_what_gave_up_early_is_charged_the_cap_too():
    def gives_up(A, b, *, omega, maxiter=None):
        return SimpleNamespace(iterations=3, converged=False)

    tuned = linalg.Tuned(gives_up, grid=[1.0])
    tuned(None, np.ones(7))
    tuned(None, np.ones(7), maxiter=50)
    assert tuned.iterations.tolist() == [3, 3] and tuned.costs.tolist() == [70, 50]
    doubled = linalg.Tuned(gives_up, grid=[1.0], cost=lambda result, value: 2 * result.iterations)
    doubled(None, np.ones(7), maxiter=60)
    assert doubled.costs.tolist() == [120]


def test_values_that_do_not_converge_are_avoided():
    def fails_above(A, b, *, omega, maxiter):
        return SimpleNamespace(iterations=20, converged=omega < 1.45)

    tuned = linalg.Tuned(fails_above, grid=np.linspace(1, 1.9, 10), rng=9)
    for _ in range(200):
        tuned(None, np.ones(4), maxiter=1000)
    assert np.mean(tuned.values[100:] < 1.45) > 0.9


def test_a_solve_that_raises_leaves_no_trace():
    tuned = linalg.TunedSOR(rng=10)
    drive(tuned, 0, 3)
    with pytest.raises(InvalidInput):
        tuned(np.zeros((N, N)), SIDES[0], context=0.1)
    assert tuned.values.size == tuned.costs.size == tuned.contexts.size == 3
    assert drive(tuned, 3, 4)[0].converged and tuned.values.size == 4


# ---- regret ----


def test_the_exact_regret_is_against_the_best_column():
    tuned = linalg.Tuned(parabola, "height", grid=[1, 2, 3], policy=2.0)
    for _ in range(4):
        tuned(None, np.ones(4))
    table = np.array([[90, 30, 10]] * 3 + [[1, 30, 200]])  # sums 271, 120, 230: the second is the best
    assert tuned.regret(table).tolist() == [0, 0, 0, 0]
    table[3] = [1, 30, 20]
    assert tuned.regret(table).tolist() == [20, 40, 60, 70]


@pytest.mark.parametrize("policy", ["chebyshev", "tsallis-inf"])
def test_the_estimated_regret_is_near_the_exact_one(policy):
    heights = [1, 2, 3, 4, 5]
    tuned = linalg.Tuned(parabola, "height", grid=heights, policy=policy, rng=11)
    for _ in range(400):
        tuned(None, np.ones(4))
    exact = tuned.regret([[parabola(None, None, height=h).iterations for h in heights]] * 400)
    assert exact[-1] > 0 and tuned.regret()[-1] == pytest.approx(exact[-1], rel=0.25)


def test_no_systems_no_regret():
    assert linalg.TunedSOR().regret().size == 0


# ---- saving ----


@every_policy
def test_what_was_saved_continues_to_the_bit(policy, tmp_path):
    tuned = linalg.TunedSSORCG(policy, rng=12)
    drive(tuned, 0, 20)
    tuned.save(tmp_path / "tuned.npz")
    restored = linalg.TunedSSORCG(policy, rng=13).load(tmp_path / "tuned.npz")
    one, two = drive(tuned, 20, 45), drive(restored, 20, 45)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(one, two))
    for name in ("omegas", "iterations", "costs", "contexts", "grid"):
        assert np.array_equal(getattr(tuned, name), getattr(restored, name))
    assert np.array_equal(tuned.regret(), restored.regret(), equal_nan=True)


@pytest.mark.parametrize("policy", ["hageman-young", "lanczos", 1.4])
def test_policies_that_learn_nothing_are_saved_as_well(policy, tmp_path):
    tuned = linalg.TunedSOR(policy)
    drive(tuned, 0, 2)
    tuned.save(tmp_path / "tuned.npz")
    restored = linalg.TunedSOR().load(tmp_path / "tuned.npz")
    assert repr(restored) == repr(tuned)
    assert np.array_equal(drive(tuned, 2, 3)[0].x, drive(restored, 2, 3)[0].x)


def test_nothing_yet_is_saved_as_well(tmp_path):
    linalg.TunedSOR(rng=14).save(tmp_path / "tuned.npz")
    restored = linalg.TunedSOR(rng=15).load(tmp_path / "tuned.npz")
    assert drive_values(restored) == drive_values(linalg.TunedSOR(rng=14))


def test_a_file_that_was_changed_and_one_of_another_kind_are_refused_and_change_nothing(tmp_path):
    path = tmp_path / "tuned.npz"
    tuned = linalg.TunedSOR(rng=14)
    drive(tuned, 0, 3)
    tuned.save(path)
    with np.load(path) as file:
        saved = dict(file)
    assert json.loads(saved["header"].tobytes())["kind"] == "tuned parameter"
    fresh = linalg.TunedSOR(rng=15)
    np.savez(path, **(saved | {"costs": saved["costs"] + 1}))
    with pytest.raises(InvalidInput, match="checksum of '.*tuned.npz'"):
        fresh.load(path)
    linalg.CoarseSpace(k=2, rng=0).fit(sp.eye_array(4, format="csr")).save(path)
    with pytest.raises(InvalidInput, match="must hold a tuned parameter of schema 1, got 'coarse space'"):
        fresh.load(path)
    write_model(path, "tuned parameter", {"grid": tuned.grid, "values": np.ones(2)}, {"parameter": "omega"})
    with pytest.raises(InvalidInput, match="one record for each system"):
        fresh.load(path)
    path.write_bytes(b"values")
    with pytest.raises(InvalidInput, match="pickled models are not read"):
        fresh.load(path)
    assert drive_values(fresh) == drive_values(linalg.TunedSOR(rng=15))


# ---- what is shown, what is refused ----


def test_the_plot_has_the_values_and_the_costs():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tuned = linalg.TunedSOR(rng=16)
    drive(tuned, 0, 10)
    upper, lower = tuned.plot()
    assert np.array_equal(upper.lines[0].get_ydata(), tuned.omegas) and upper.get_ylabel() == "omega"
    assert np.array_equal(lower.lines[0].get_ydata(), tuned.costs)
    own = plt.subplots(2)[1]
    assert linalg.TunedSOR().plot(own) is own
    plt.close("all")


def test_a_line_says_what_it_is():
    tuned = linalg.TunedSOR("tsallis-inf", rng=17)
    assert repr(tuned) == "TunedSOR(omega, tsallis-inf, 0 systems)"
    drive(tuned, 0, 3)
    assert repr(tuned) == f"TunedSOR(omega, tsallis-inf, 3 systems, {tuned.costs.mean():.1f} a system)"


@pytest.mark.parametrize(
    "what, call",
    [
        ("omega", lambda tuned, path: tuned(*system(0), omega=1.5)),
        ("policy", lambda tuned, path: linalg.TunedSOR("best")),
        ("grid", lambda tuned, path: linalg.TunedSOR(grid=[1.5, 1.2])),
        ("grid", lambda tuned, path: linalg.TunedSOR(grid=[])),
        ("context", lambda tuned, path: tuned(*system(0))),
        ("context", lambda tuned, path: tuned(*system(0), context=np.nan)),
        ("costs", lambda tuned, path: tuned.regret(np.ones((2, 3)))),
        ("path", lambda tuned, path: linalg.TunedChebyshev().load(path)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_in_one_sentence(what, call, tmp_path):
    tuned = linalg.TunedSOR(rng=18)
    drive(tuned, 0, 1)
    tuned.save(tmp_path / "tuned.npz")
    with pytest.raises(InvalidInput) as caught:
        call(tuned, tmp_path / "tuned.npz")
    message = str(caught.value)
    assert f"`{what}`" in message and message.endswith(".") and "\n" not in message


def test_a_policy_of_the_users_is_not_saved(tmp_path):
    own = SimpleNamespace(choose=lambda context: 1.2, observe=lambda cost: None)
    with pytest.raises(UnsupportedType, match="`policy` must be one of this library"):
        linalg.TunedSOR(own).save(tmp_path / "tuned.npz")


def test_the_names_of_the_issue_are_policies():
    for name in ("tsallis-inf", "tsallis-inf-binned", "chebyshev"):
        assert make_policy(name, [1.0, 1.5]).name == name


@pytest.mark.parametrize("path", [None, 1_000_000, True], ids=str)
def test_what_is_no_path_is_refused_and_no_open_file_is_written_to(path):
    with pytest.raises(UnsupportedType, match=r"^`path` must be a path, got \w+\.$"):
        linalg.TunedSOR().save(path)
