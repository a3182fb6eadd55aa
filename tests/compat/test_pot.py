"""POT's names: the answers of POT where POT is right, the right answer or the truth where it is not."""

import inspect
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import ot
import pytest

from solvers import InvalidInput, UnsupportedType
from solvers.compat import pot

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("sinkhorn", "sinkhorn2", "sinkhorn_knopp", "sinkhorn_log", "sinkhorn_stabilized")
# Of POT's parameters only the rest is missing: a misspelt keyword would vanish in it.
REST = "kwargs"


@pytest.fixture
def problem():
    rng = np.random.default_rng(5)

    def draw(n=25, m=18, k=None):
        a, b = rng.random(n) + 0.1, rng.random((m,) if k is None else (m, k)) + 0.1
        return a / a.sum(), b / b.sum(axis=0), rng.random((n, m))

    return draw


def theirs(name):
    return getattr(ot.bregman, name)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_their_order_and_their_defaults_are_pots(name):
    expected = [(p.name, p.default) for p in inspect.signature(theirs(name)).parameters.values() if p.name != REST]
    assert [(p.name, p.default) for p in inspect.signature(getattr(pot, name)).parameters.values()] == expected


@pytest.mark.parametrize("reg", [1.0, 0.1, 0.03])
@pytest.mark.parametrize("name", NAMES)
def test_answers_are_pots(problem, name, reg):
    a, b, M = problem()
    expected = theirs(name)(a, b, M, reg, stopThr=1e-12, numItermax=100_000)
    assert np.abs(getattr(pot, name)(a, b, M, reg, stopThr=1e-11) - expected).max() <= 1e-8


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized", "SINKHORN_log"])
def test_the_log_has_pots_keys_and_meaning(problem, method):
    a, b, M = problem()
    plan, log = pot.sinkhorn(a, b, M, 0.1, method, log=True)
    _, expected = ot.sinkhorn(a, b, M, 0.1, method, log=True)
    assert {*log} == {*expected, "result"} and all(type(log[key]) is type(expected[key]) for key in expected)
    if "u" in log:
        assert np.allclose(log["u"][:, None] * np.exp(-M / 0.1) * log["v"], plan, rtol=1e-10)
        u, v = log["u"] / expected["u"], log["v"] / expected["v"]
        assert np.allclose(u, u[0], rtol=1e-6) and np.allclose(v, 1 / u[0], rtol=1e-6)
    if method.lower() == "sinkhorn_log":
        assert np.allclose(np.exp(log["log_u"]), log["u"]) and np.allclose(np.exp(log["log_v"]), log["v"])
    if "alpha" in log:
        assert np.allclose(np.exp((log["alpha"][:, None] + log["beta"] - M) / 0.1), plan, rtol=1e-10)
        assert np.allclose(log["alpha"], 0.1 * log["logu"]) and log["warmstart"][1] is log["beta"]
    assert log["result"].converged and log["err"][-1] <= 1e-9


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"])
def test_a_warm_start_of_pots_or_of_ours_is_at_the_answer(problem, method):
    a, b, M = problem()
    keys = {"sinkhorn": "uv", "sinkhorn_log": ("log_u", "log_v")}.get(method, ("alpha", "beta"))
    for function in (ot.sinkhorn, pot.sinkhorn):
        log = function(a, b, M, 0.1, method, stopThr=1e-12, log=True)[1]
        start = [np.log(log[key]) if method == "sinkhorn" else log[key] for key in keys]
        again = pot.sinkhorn(a, b, M, 0.1, method, stopThr=1e-9, log=True, warmstart=start)[1]["result"]
        assert again.iterations == 0 and again.newton_steps == 0


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log"])
def test_several_histograms_give_their_losses(problem, method):
    a, b, M = problem(k=3)
    for name in ("sinkhorn", "sinkhorn2"):
        expected, their_log = getattr(ot, name)(a, b, M, 0.1, method, stopThr=1e-12, log=True)
        losses, log = getattr(pot, name)(a, b, M, 0.1, method, stopThr=1e-11, log=True)
        assert losses.shape == (3,) and np.abs(losses - expected).max() <= 1e-8
        assert log["u"].shape == their_log["u"].shape and log["v"].shape == their_log["v"].shape
    start = np.log(log["u"]), np.log(log["v"])
    again = pot.sinkhorn(a, b, M, 0.1, method, log=True, warmstart=start)[1]["result"]
    assert len(again) == 3 and all(one.iterations == 0 for one in again)


def test_empty_weights_are_uniform_and_lists_are_taken(problem):
    _, _, M = problem()
    expected = ot.sinkhorn([], [], M, 0.1, stopThr=1e-12)
    for nothing in ([], (), np.empty(0)):
        assert np.abs(pot.sinkhorn(nothing, nothing, M.tolist(), 0.1) - expected).max() <= 1e-8


def test_the_threshold_is_pots_l2_error_whatever_the_mass(problem):
    a, b, M = problem()
    for mass in (1.0, 1e3, 1e-3):
        plan = pot.sinkhorn(mass * a, mass * b, M, 0.05, stopThr=1e-6 * mass)
        assert np.linalg.norm(plan.sum(axis=0) - mass * b) <= 1e-6 * mass
        assert np.linalg.norm(plan.sum(axis=1) - mass * a) <= 1e-6 * mass


def test_a_limit_is_warned_of_with_the_error_that_is_left(problem):
    a, b, M = problem()
    with pytest.warns(UserWarning, match="did not converge.*numItermax.*L2 error of the marginals is") as caught:
        plan = pot.sinkhorn(a, b, M, 0.01, numItermax=3)
    left = max(np.linalg.norm(plan.sum(axis=0) - b), np.linalg.norm(plan.sum(axis=1) - a))
    assert f"{left:.1e}" in str(caught[0].message) and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pot.sinkhorn(a, b, M, 0.01, numItermax=3, warn=False)
        pot.sinkhorn2(a, b, M, 0.01, numItermax=3)


def test_where_pots_kernel_underflows_the_plan_is_right(problem):
    a, b, M = problem()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        wrong = ot.sinkhorn(a, b, M, 1e-4)
    assert not np.linalg.norm(wrong.sum(axis=1) - a) <= 1e-3
    plan = pot.sinkhorn(a, b, M, 1e-4)
    assert max(np.linalg.norm(plan.sum(axis=0) - b), np.linalg.norm(plan.sum(axis=1) - a)) <= 1e-9
    assert (plan * M).sum() <= ot.emd2(a, b, M) + 1e-4 * np.log(M.size)


def test_zero_weights_get_nothing(problem):
    a, b, M = problem()
    a[3] = 0
    plan = pot.sinkhorn(a / a.sum(), b, M, 0.1)
    assert not plan[3].any() and np.allclose(plan.sum(axis=0), b)


def test_progress_goes_to_standard_error(problem, capsys):
    a, b, M = problem()
    pot.sinkhorn(a, b, M, 0.1, verbose=True)
    printed = capsys.readouterr()
    assert printed.out == "" and "converged" in printed.err


def test_misspelt_keywords_and_bad_values_are_refused(problem):
    a, b, M = problem()
    for name in NAMES:
        with pytest.raises(TypeError, match="numIterMax"):
            getattr(pot, name)(a, b, M, 0.1, numIterMax=5)
    for change, words in (
        (dict(reg=0.0), "reg"),
        (dict(method="newton"), "method"),
        (dict(stopThr=-1.0), "stopThr"),
        (dict(warmstart=a), "warmstart"),
        (dict(b=2 * b), "same total"),
    ):
        with pytest.raises(InvalidInput, match=words):
            pot.sinkhorn(**(dict(a=a, b=b, M=M, reg=0.1) | change))


@pytest.mark.parametrize(
    "odd", [1.0, [[1, 2], [3]], 1j * np.ones(2), np.array(["x", "y"]), {}, iter("ab")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_histogram_is_refused_by_its_name(odd):
    M = np.ones((2, 2))
    for name in ("a", "b", "M"):
        arguments = dict(a=[], b=[], M=M) | {name: odd}
        with pytest.raises((InvalidInput, UnsupportedType), match=f"^`{name}` must [^\n]*\\.$"):
            pot.sinkhorn(**arguments, reg=1.0)


def test_sentences_have_the_names_and_remedies_of_pot():
    M = np.ones((2, 2))
    for arguments, words in (
        (dict(M=[M, M]), "^`M` must have shape"),
        (dict(a=M, M=[]), r"the order is POT's: \(a, b, M, reg\)"),
        (dict(M=np.where(M > 0, np.nan, M)), "^`M` must hold numbers"),
        (dict(M=1e307 * M, reg=1e-3), "^`reg` must leave M / reg below"),
        (dict(a=[1.0, 1.0]), "same total, got 2 and 1; divide each by its own"),
        (dict(numItermax=0), "^`numItermax` must be >= 1"),
        (dict(warmstart=([0.0], [0.0, 0.0])), r"^`warmstart\[0\]` must have shape"),
    ):
        with pytest.raises(InvalidInput, match=words) as caught:
            pot.sinkhorn(**(dict(a=[], b=[], M=M, reg=1.0) | arguments))
        assert "normalize" not in str(caught.value) and "`C`" not in str(caught.value)


def test_names_that_only_pot_has_say_what_to_take():
    for name, words in (("dist", "cdist"), ("emd", "programs: take POT's"), ("gromov", "or solvers.transport.$")):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; it has sinkhorn, .* alone: .*{words}"):
            getattr(pot, name)
    assert not hasattr(pot, "__path__")


def test_pot_itself_is_not_loaded():
    script = """
import sys
from solvers.compat import pot
pot.sinkhorn([], [], [[0.0, 1.0]], 1.0)
print("ot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n", done.stderr
