"""Policies learn: less regret than chance, less of it as time goes on, contexts that matter and others."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from solvers.linalg._hageman_young import HagemanYoung
from solvers.linalg._policies import Binned, ChebCB, Chebyshev, TsallisINF, best_fixed, make_policy

GRID = np.linspace(1.0, 1.95, 20)


def counts(contexts, rng, noise=0.05):
    """Iterations of a relaxation: fewest where omega is best, which the context decides; steep below, flat above."""
    best = 1.8 - 0.5 * contexts[:, None]
    fewest = 15.0 / (2.0 - best)
    shape = np.where(best > GRID, 1.0 + 8.0 * (best - GRID), 1.0 + 3.0 * (GRID - best))
    return np.maximum(fewest * shape * np.exp(noise * rng.standard_normal((contexts.size, GRID.size))), 1).astype(int)


def paid(policy, costs, contexts=None):
    """What each round cost, shape (T,)."""
    taken = []
    for t, row in enumerate(costs):
        value = policy.choose(None if contexts is None else contexts[t])
        taken.append(row[int(np.flatnonzero(policy.grid == value)[0])])
        policy.observe(int(taken[-1]))
    return np.array(taken)


@pytest.fixture(scope="module")
def sequence():
    rng = np.random.default_rng(1)
    contexts = rng.random(1500)
    return contexts, counts(contexts, rng)


# ---- the best fixed value ----


@pytest.mark.parametrize("name", ["tsallis-inf", "tsallis-inf-released", "chebyshev"])
def test_without_contexts_the_best_fixed_value_is_approached(name, sequence):
    _, costs = sequence
    best, total = best_fixed(costs)
    regret = paid(make_policy(name, GRID, 2), costs) - costs[:, best]
    uniform = costs.mean(axis=1) - costs[:, best]
    assert regret.sum() < 0.5 * uniform.sum()
    assert regret[-500:].sum() < 0.5 * regret[:500].sum()


def test_the_regret_of_tsallis_inf_against_an_adversary_grows_like_a_root():
    """The best value changes place with the worst after a third: where it settled first must be left."""
    rng = np.random.default_rng(3)
    means = np.where(np.arange(3000)[:, None] < 1000, np.linspace(30, 90, 20), np.linspace(90, 30, 20))
    costs = rng.poisson(means)
    best, total = best_fixed(costs)
    for estimator in ("reduced-variance", "importance-weighted"):
        taken = paid(TsallisINF(GRID, rng=4, estimator=estimator), costs)
        assert taken.sum() < 1.05 * total


def test_reduced_variance_pays_less_than_importance_weighting(sequence):
    _, costs = sequence
    total = {
        estimator: sum(paid(TsallisINF(GRID, rng=seed, estimator=estimator), costs).sum() for seed in range(6))
        for estimator in ("reduced-variance", "importance-weighted")
    }
    assert total["reduced-variance"] < total["importance-weighted"]


def test_the_estimates_of_tsallis_inf_are_unbiased():
    """The mean over draws of what a round adds to the sums is the round's costs, for both estimators."""
    costs = np.array([3.0, 8.0, 20.0])
    for estimator in ("reduced-variance", "importance-weighted"):
        policy = TsallisINF([1.0, 1.5, 1.9], rng=5, estimator=estimator)
        for cost in (9, 12, 5, 30):
            policy.choose()
            policy.observe(cost)
        policy.choose()
        p, before, state = policy.probabilities, policy._K.copy(), policy.state()
        added = np.zeros(3)
        for arm in range(3):
            policy._restore(state)
            policy._arm = arm
            policy.observe(costs[arm])
            added += p[arm] * (policy._K - before)
        assert np.allclose(added, costs - 1.0, rtol=1e-10)


# ---- contexts ----


@pytest.mark.parametrize("interval", [None, (0.0, 1.0)])
def test_chebyshev_learns_a_smooth_dependence_on_the_context(interval, sequence):
    contexts, costs = sequence
    taken = paid(Chebyshev(GRID, interval, rng=6), costs, contexts)
    _, fixed = best_fixed(costs)
    assert taken.sum() < 1.10 * costs.min(axis=1).sum() < fixed
    assert taken[-500:].sum() < 1.06 * costs[-500:].min(axis=1).sum()


def test_chebyshev_chooses_the_value_that_the_context_asks_for(sequence):
    contexts, costs = sequence
    policy = Chebyshev(GRID, (0.0, 1.0), rng=7)
    paid(policy, costs, contexts)
    for c in (0.05, 0.3, 0.5, 0.7, 0.95):
        chosen = np.mean([policy.choose(c) for _ in range(20)])
        assert abs(chosen - (1.8 - 0.5 * c)) < 0.08


def test_an_interval_learned_late_leaves_no_trace():
    """Contexts that creep outwards: at the end the same is known as had the interval been given at once."""
    rng = np.random.default_rng(15)
    contexts = np.cumsum(rng.random(60))
    learned = Chebyshev(GRID, rng=16)
    history = []
    for c in contexts:
        learned.choose(c)
        history.append((c, learned._arm, int(rng.integers(10, 90))))
        learned.observe(history[-1][2])
    given = Chebyshev(GRID, learned._span, rng=17)
    for c, arm, cost in history:
        given.choose(c)
        given._arm = arm
        given.observe(cost)
    assert np.allclose(learned._theta, given._theta, rtol=1e-9, atol=1e-12)
    assert np.allclose(learned._P, given._P, rtol=1e-9, atol=1e-12)


def test_chebyshev_minimises_the_mean_not_the_mean_logarithm():
    """One value takes 10 or 40 iterations, 25 on average and 20 by logarithms; the other always 22."""
    shares = []
    for seed in range(6):
        costs = np.column_stack([np.random.default_rng(seed).choice([10, 40], 1500), np.full(1500, 22)])
        shares.append((paid(Chebyshev([1.0, 1.5], rng=seed), costs)[-500:] == 22).mean())
    assert np.mean(shares) > 0.8


def test_chebcb_learns_from_the_context_more_slowly(sequence):
    contexts, costs = sequence
    paper = paid(make_policy("chebcb", GRID, 8, interval=(0.0, 1.0)), costs, contexts)
    assert paid(Chebyshev(GRID, (0.0, 1.0), rng=8), costs, contexts).sum() < paper.sum()
    assert paper[-500:].sum() < 1.25 * costs[-500:].min(axis=1).sum()


def test_the_regressions_of_chebcb_are_least_squares_within_the_papers_bounds():
    rng = np.random.default_rng(20)
    policy = ChebCB([1.5], (0.0, 1.0), degrees=4, rng=21)
    contexts, costs = rng.random(400), rng.integers(20, 60, 400)
    for c, cost in zip(contexts, costs):
        policy.choose(c)
        policy.observe(int(cost))
    T = np.polynomial.chebyshev.chebvander(2 * contexts - 1, 3)
    bound = np.array([costs.max(), *(2.0 * np.ptp(costs) / np.arange(1, 4))])
    assert np.allclose(policy._theta[0], lsq_linear(T, costs - 1.0, (-bound, bound)).x, rtol=1e-3, atol=1e-3)


def test_chebcb_stays_within_its_bounds_where_the_data_lead_out_of_them():
    policy = ChebCB([1.5], (0.0, 1.0), degrees=4, rng=22)
    contexts = np.array([0.5, 0.51, 0.52, 0.53, 0.54])
    costs = np.array([10, 60, 10, 60, 10])
    for c, cost in zip(np.tile(contexts, 40), np.tile(costs, 40)):
        policy.choose(c)
        policy.observe(int(cost))
    bound = np.array([60.0, *(2.0 * 50.0 / np.arange(1, 4))])
    assert (np.abs(policy._theta[0]) <= bound).all()
    T = np.polynomial.chebyshev.chebvander(2 * np.tile(contexts, 40) - 1, 3)
    best = lsq_linear(T, np.tile(costs, 40) - 1.0, (-bound, bound)).x
    assert np.linalg.norm(T @ (policy._theta[0] - best)) < 0.02 * np.linalg.norm(T @ best)


def test_bins_learn_what_one_value_cannot():
    contexts = np.tile([0.1, 0.9], 1500)
    costs = counts(contexts, np.random.default_rng(9))
    _, fixed = best_fixed(costs[-500:])
    policy = Binned(lambda rng: TsallisINF(GRID, rng=rng), bins=2, interval=(0.0, 1.0), rng=9)
    assert paid(policy, costs, contexts)[-500:].sum() < fixed


def test_a_context_that_explains_nothing_does_little_harm_to_chebyshev(sequence):
    _, costs = sequence
    _, fixed = best_fixed(costs)
    useless = np.random.default_rng(10).random(len(costs))
    taken = [paid(Chebyshev(GRID, rng=seed), costs, useless).sum() for seed in range(6)]
    assert np.mean(taken) < 1.15 * fixed < 0.7 * costs.mean(axis=1).sum()


def test_chebyshev_follows_a_change_of_the_systems():
    """Halfway the counts of the values are mirrored; what was learned is wrong from then on."""
    rng = np.random.default_rng(11)
    contexts = rng.random(2000)
    costs = counts(contexts, rng)
    costs[1000:] = 3 * costs[1000:, ::-1]
    taken = paid(Chebyshev(GRID, (0.0, 1.0), rng=11), costs, contexts)
    assert taken[1500:].sum() < 1.10 * costs[1500:].min(axis=1).sum()


def test_where_the_scale_of_contexts_is_unknown_any_will_do(sequence):
    contexts, costs = sequence
    for scale, offset in ((1e-9, 5.0), (1e9, -3e9)):
        taken = paid(Chebyshev(GRID, rng=12), costs, offset + scale * contexts)
        assert taken.sum() < 1.12 * costs.min(axis=1).sum()


# ---- within a solve ----


def relaxation_of(b, omega_of):
    """SOR on b of the 1-d Laplacian, b shape (n,): the number of sweeps, with the omega of the rule."""
    n = b.size
    x, done = np.zeros(n), 0
    A = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    threshold, strict = 1e-8 * np.linalg.norm(b), np.tril(A, -1)
    while done < 5000:
        sweep = np.linalg.inv(np.diag(np.diag(A)) / omega_of.omega + strict)
        norms = []
        for _ in range(omega_of.steps):
            x += sweep @ (b - A @ x)
            norms.append(np.linalg.norm(b - A @ x))
            if norms[-1] <= threshold:
                return done + len(norms)
        omega_of.observe(np.array(norms))
        done += len(norms)
    return done


class Constant:
    def __init__(self, omega):
        self.omega, self.steps = omega, 5000

    def observe(self, norms):
        pass


def test_the_rule_of_hageman_and_young_comes_close_to_youngs_omega():
    n = 40
    b = np.random.default_rng(13).standard_normal(n)
    best = 2.0 / (1.0 + np.sin(np.pi / (n + 1)))
    rule = HagemanYoung()
    adaptive, optimal, none = (relaxation_of(b, r) for r in (rule, Constant(best), Constant(1.0)))
    assert adaptive < 1.6 * optimal < 0.2 * none
    assert abs(rule.omega - best) < 0.08


FACTORS = [0.0, 0.5, 0.99, 1.0, 2.0, np.nan, np.inf]
HOW_OFTEN = [0.005, 0.4, 0.4, 0.1, 0.085, 0.005, 0.005]


def test_the_rule_never_leaves_its_range_whatever_the_norms():
    rng = np.random.default_rng(14)
    for _ in range(200):
        rule, norm = HagemanYoung(), 1.0
        for _ in range(30):
            with np.errstate(all="ignore"):
                norms = norm * np.cumprod(rng.choice(FACTORS, rule.steps, p=HOW_OFTEN))
                rule.observe(norms)
            norm = norms[-1]
            assert 1.0 <= rule.omega < 2.0 and rule.steps >= 1


def test_the_rule_goes_back_towards_gauss_seidel_where_the_residual_grows():
    rule = HagemanYoung()
    before = rule.omega
    assert not rule.observe(np.array([2.0, 4.0, 8.0, 16.0]))
    assert 1.0 <= rule.omega < before
    for _ in range(10):
        rule.observe(np.array([2.0, 4.0, 8.0, 16.0]))
    assert rule.omega == 1.0
