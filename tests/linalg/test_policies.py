"""Policies as their callers meet them: probabilities in every round, seeds, saving, what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import InvalidInput, UnsupportedType
from solvers.linalg._policies import (
    NAMES,
    Binned,
    ChebCB,
    Chebyshev,
    Fixed,
    Lanczos,
    TsallisINF,
    best_fixed,
    from_state,
    make_policy,
)

GRID = np.linspace(1.0, 1.95, 20)
BY_CONTEXT_ONLY = ("chebcb", "tsallis-inf-binned")
NORMALISED = [name for name in NAMES if name != "tsallis-inf-released"]

every_policy = pytest.mark.parametrize("name", NAMES)
quick = settings(deadline=None, max_examples=25, derandomize=True, database=None)


def play(policy, costs, contexts=None, look=lambda p: None):
    """The arms of the rounds of this table, shape (T, d), shown to ``look`` round after round."""
    arms = []
    for t, row in enumerate(costs):
        value = policy.choose(None if contexts is None else float(contexts[t]))
        arms.append(int(np.flatnonzero(policy.grid == value)[0]))
        look(policy.probabilities)
        policy.observe(row[arms[-1]])
    return np.array(arms)


def table(kind, rounds, d, rng):
    """Costs of an adversary, shape (rounds, d)."""
    if kind == "random":
        return rng.integers(1, 200, (rounds, d))
    if kind == "constant":
        return np.full((rounds, d), rng.integers(2, 50))
    if kind == "zero":
        return np.zeros((rounds, d), int)
    if kind == "one":
        return np.ones((rounds, d), int)
    if kind == "spiky":
        return np.where(rng.random((rounds, d)) < 0.05, 10**9, rng.integers(0, 5, (rounds, d)))
    if kind == "cap":
        return np.where(np.arange(d) % 2, 10_000, rng.integers(10, 20, (rounds, d)))
    steps = np.linspace(0, 12, rounds)[:, None]  # "drifting": over five orders of magnitude, and the best moves
    return np.exp(steps * (1 + np.cos(steps + np.arange(d))) / 2).astype(int)


KINDS = ("random", "constant", "zero", "one", "spiky", "cap", "drifting")


# ---- probabilities ----


CONTEXTS = {"uniform": np.random.default_rng(0).random(200), "equal": np.ones(200), "creeping": np.linspace(0, 1, 200)}


@pytest.mark.parametrize(
    "name, contexts",
    [(name, contexts) for name in NORMALISED for contexts in CONTEXTS]
    + [(name, None) for name in NORMALISED if name not in BY_CONTEXT_ONLY],
)
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_normalised_in_every_round(name, kind, contexts):
    costs = table(kind, 200, 20, np.random.default_rng(1))
    play(make_policy(name, GRID, 2), costs, CONTEXTS.get(contexts), look=is_a_distribution)


def is_a_distribution(p):
    assert np.isfinite(p).all() and (p >= 0).all()
    assert abs(p.sum() - 1.0) < 1e-12


@pytest.mark.parametrize("name", NORMALISED)
@quick
@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e12, 1e12)), min_size=1, max_size=60),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
)
def test_probabilities_are_normalised_whatever_the_costs_and_contexts(name, rounds, d, seed):
    policy = make_policy(name, np.arange(1.0, d + 1), seed)
    for cost, context in rounds:
        policy.choose(context)
        is_a_distribution(policy.probabilities)
        policy.observe(cost)


@pytest.mark.parametrize("estimator", ["reduced-variance", "importance-weighted"])
@pytest.mark.parametrize("eta", [0.01, 2.0, 100.0])
def test_tsallis_inf_is_normalised_for_every_rate_and_estimator(estimator, eta):
    for kind in KINDS:
        costs = table(kind, 300, 20, np.random.default_rng(3))
        play(TsallisINF(GRID, rng=4, eta=eta, estimator=estimator), costs, look=is_a_distribution)


def test_the_released_tsallis_inf_leaves_the_simplex():
    """The fault of the released code, by name: in most rounds of its own experiment (see the module)."""
    largest = []
    rng = np.random.default_rng(5)
    costs = rng.poisson(40 + 200 * np.abs(GRID - 1.8), (1000, 20))
    play(make_policy("tsallis-inf-released", GRID, 6), costs, look=lambda p: largest.append(p.max()))
    assert max(largest[:20]) <= 1.0
    assert max(largest) > 1e6
    assert np.mean(np.array(largest) > 1.0) > 0.5


def test_a_long_run_of_one_context_stays_a_distribution():
    rng = np.random.default_rng(7)
    costs = rng.poisson(20, (10_000, 20))
    play(Chebyshev(GRID, (0, 1), rng=8), costs, np.full(10_000, 0.3), look=is_a_distribution)


@every_policy
def test_a_grid_of_one_value_is_that_value(name):
    policy = make_policy(name, [1.5], 0)
    for cost in (0, 1, 10_000, 3):
        assert policy.choose(0.1 * cost) == 1.5
        assert policy.probabilities.shape == (1,)
        policy.observe(cost)


# ---- seeds and saving ----


@every_policy
def test_the_same_seed_gives_the_same_choices(name):
    rng = np.random.default_rng(9)
    costs, contexts = rng.poisson(30, (150, 20)), rng.random(150)
    runs = [play(make_policy(name, GRID, seed), costs, contexts) for seed in (1, 1, np.random.default_rng(1), 2)]
    assert np.array_equal(runs[0], runs[1]) and np.array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0], runs[3])


def test_what_is_saved_holds_nothing_that_was_never_set(monkeypatch):
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, 7.25, dtype))
    policy = make_policy("chebyshev", GRID, 11)
    play(policy, np.full((3, 20), 30), np.arange(3.0))
    assert not (policy.state()["_memory"] == 7.25).any()


@every_policy
@pytest.mark.parametrize("after", [0, 1, 30, 120])
@pytest.mark.parametrize("interval", [None, (0.0, 1.0)])
def test_a_restored_policy_continues_to_the_bit(name, after, interval, tmp_path):
    rng = np.random.default_rng(10)
    costs, contexts = rng.poisson(30 + 5 * np.arange(20), (200, 20)), rng.random(200)
    policy = make_policy(name, GRID, 11, interval=interval)
    play(policy, costs[:after], contexts[:after])
    np.savez(tmp_path / "policy.npz", **policy.state())
    with np.load(tmp_path / "policy.npz") as saved:
        restored = from_state(saved)
    seen, seen_again = [], []
    arms = play(policy, costs[after:], contexts[after:], look=lambda p: seen.append(p.copy()))
    again = play(restored, costs[after:], contexts[after:], look=lambda p: seen_again.append(p.copy()))
    assert np.array_equal(arms, again)
    assert np.array_equal(seen, seen_again)
    assert repr(policy) == repr(restored)


@every_policy
def test_a_choice_that_waits_for_its_cost_is_saved_too(name):
    policy = make_policy(name, GRID, 12)
    policy.choose(0.5)
    restored = from_state(policy.state())
    policy.observe(40)
    restored.observe(40)
    assert [policy.choose(0.5) for _ in range(5)] == [restored.choose(0.5) for _ in range(5)]


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_every_generator_of_numpy_is_saved(bits):
    policy = TsallisINF(GRID, rng=np.random.Generator(bits(13)))
    restored = from_state(policy.state())
    assert [policy.choose() for _ in range(20)] == [restored.choose() for _ in range(20)]


@every_policy
def test_the_state_is_a_flat_dict_of_arrays_of_its_own(name):
    policy = make_policy(name, GRID, 14)
    play(policy, np.full((10, 20), 7), np.linspace(0, 1, 10))
    state = policy.state()
    assert all(type(key) is str and type(value) is np.ndarray for key, value in state.items())
    assert all(value.dtype.kind in "fibuU" for value in state.values())
    arrays = [value for value in vars(policy).values() if isinstance(value, np.ndarray)]
    assert not any(np.shares_memory(a, value) for a in arrays for value in state.values())


def test_values_that_never_change_are_saved_as_well():
    for policy in (Fixed(1.7), Lanczos(0.95), Lanczos(0.95, 4.0)):
        assert from_state(policy.state()).choose(0.2) == policy.choose(0.2)


@every_policy
def test_a_policy_says_in_one_line_what_it_is(name):
    line = repr(make_policy(name, GRID, 0))
    assert f"'{name}'" in line and "20 values in [1, 1.95]" in line and "\n" not in line


# ---- simple ones ----


def test_youngs_omega_moves_with_the_shift_of_the_diagonal():
    beta = np.cos(np.pi / 11)
    lanczos = Lanczos(beta, 4.0)
    for c in (-0.1, 0.0, 0.4):
        shifted = beta * 4.0 / (4.0 + c)
        assert lanczos.choose(c) == pytest.approx(2.0 / (1.0 + np.sqrt(1.0 - shifted**2)), rel=1e-14)
        lanczos.observe(30)
    assert lanczos.choose() == Lanczos(beta).choose(0.3) == pytest.approx(1.5604, abs=1e-4)


def test_the_best_fixed_value_is_that_of_the_smallest_column():
    assert best_fixed([[3, 1, 2], [4, 9, 5]]) == (0, 7.0) == best_fixed(np.array([[3, 1, 2], [4.0, 9, 5]]))


def test_an_object_is_its_own_policy_and_a_number_a_fixed_one():
    policy = TsallisINF(GRID)
    assert make_policy(policy, [1.0]) is policy
    assert make_policy(1.25, GRID).choose(3.0) == 1.25
    assert json.dumps(make_policy(1.25, GRID).choose()) == "1.25"


# ---- what is refused ----


def one_sentence(kind, what, call):
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is kind
    assert f"`{what}`" in message and message.endswith(".") and ". " not in message and "\n" not in message


@every_policy
def test_observing_without_a_choice_is_refused(name):
    policy = make_policy(name, GRID, 0)
    one_sentence(InvalidInput, "observe", lambda: policy.observe(3))
    policy.choose(0.5)
    policy.observe(3)
    one_sentence(InvalidInput, "observe", lambda: policy.observe(3))


@every_policy
@pytest.mark.parametrize(
    "kind, cost",
    [(InvalidInput, -1), (InvalidInput, np.nan), (InvalidInput, np.inf), (InvalidInput, 1e16)]
    + [(UnsupportedType, "7"), (UnsupportedType, None), (UnsupportedType, True), (UnsupportedType, [3])],
)
def test_a_cost_that_is_no_count_is_refused_and_the_round_stays_open(name, kind, cost):
    policy = make_policy(name, GRID, 0)
    policy.choose(0.5)
    one_sentence(kind, "iterations", lambda: policy.observe(cost))
    policy.observe(np.int64(4))


@every_policy
@pytest.mark.parametrize(
    "kind, context",
    [(InvalidInput, np.nan), (InvalidInput, np.inf), (InvalidInput, -1e101)]
    + [(UnsupportedType, "low"), (UnsupportedType, False), (UnsupportedType, [0.1, 0.2])],
)
def test_a_context_that_is_no_number_is_refused_and_changes_nothing(name, kind, context):
    policy, other = make_policy(name, GRID, 0), make_policy(name, GRID, 0)
    one_sentence(kind, "context", lambda: policy.choose(context))
    assert [policy.choose(0.5) for _ in range(5)] == [other.choose(0.5) for _ in range(5)]


@pytest.mark.parametrize("name", BY_CONTEXT_ONLY)
def test_a_policy_by_context_needs_one(name):
    one_sentence(InvalidInput, "context", lambda: make_policy(name, GRID, 0).choose())


@pytest.mark.parametrize("first, second", [(0.5, None), (None, 0.5)])
def test_chebyshev_wants_contexts_in_all_rounds_or_in_none(first, second):
    policy = Chebyshev(GRID)
    policy.choose(first)
    policy.observe(10)
    one_sentence(InvalidInput, "context", lambda: policy.choose(second))
    policy.choose(first)


@pytest.mark.parametrize(
    "kind, what, make",
    [
        (InvalidInput, "grid", lambda: TsallisINF([])),
        (InvalidInput, "grid", lambda: TsallisINF([[1.0, 2.0]])),
        (InvalidInput, "grid", lambda: TsallisINF([2.0, 1.0])),
        (InvalidInput, "grid", lambda: TsallisINF([1.0, 1.0])),
        (InvalidInput, "grid", lambda: TsallisINF([1.0, np.nan])),
        (InvalidInput, "grid", lambda: TsallisINF([1j])),
        (UnsupportedType, "grid", lambda: TsallisINF("abc")),
        (InvalidInput, "rng", lambda: TsallisINF(GRID, rng=-1)),
        (InvalidInput, "rng", lambda: Binned(TsallisINF, rng="seed")),
        (InvalidInput, "eta", lambda: TsallisINF(GRID, eta=0.0)),
        (InvalidInput, "eta", lambda: TsallisINF(GRID, eta=np.inf)),
        (InvalidInput, "estimator", lambda: TsallisINF(GRID, estimator="best")),
        (UnsupportedType, "released", lambda: TsallisINF(GRID, released="yes")),
        (InvalidInput, "interval", lambda: Chebyshev(GRID, (1.0, 0.0))),
        (InvalidInput, "interval", lambda: Chebyshev(GRID, (0.0, np.inf))),
        (InvalidInput, "interval", lambda: ChebCB(GRID, 3.0)),
        (InvalidInput, "degrees", lambda: Chebyshev(GRID, degrees=6)),
        (InvalidInput, "degrees", lambda: Chebyshev(GRID, degrees=(6, 0))),
        (InvalidInput, "degrees", lambda: ChebCB(GRID, degrees=0)),
        (InvalidInput, "bins", lambda: Binned(lambda rng: TsallisINF(GRID, rng=rng), bins=0)),
        (InvalidInput, "factory", lambda: Binned(lambda rng: "policy")),
        (InvalidInput, "policy", lambda: make_policy("ucb", GRID)),
        (UnsupportedType, "policy", lambda: make_policy(None, GRID)),
        (InvalidInput, "beta", lambda: Lanczos(1.0)),
        (InvalidInput, "saved", lambda: from_state({})),
        (InvalidInput, "saved", lambda: from_state({"policy": "Unknown"})),
        (InvalidInput, "saved", lambda: from_state(Fixed(1.0).state() | {"_rng": '{"bit_generator": "seed"}'})),
        (InvalidInput, "costs", lambda: best_fixed([[1.0, np.nan]])),
    ],
)
def test_what_a_policy_cannot_be_made_of_is_refused(kind, what, make):
    one_sentence(kind, what, make)


def test_the_callers_grid_and_interval_are_left_alone():
    grid, interval = GRID.copy(), np.array([0.0, 1.0])
    policy = Chebyshev(grid, interval, rng=0)
    play(policy, np.full((20, 20), 5), np.linspace(-1, 3, 20))
    assert np.array_equal(grid, GRID) and interval.tolist() == [0.0, 1.0]
    assert not np.shares_memory(policy.grid, grid)
