"""The parity cases of transport see what is wrong."""

import numpy as np
import pytest

from solvers import testing, transport

genuine = {name: getattr(transport, name) for name in ("sinkhorn", "sinkhorn_newton_sparse", "sinkhorn_divergence")}


def case(name):
    (found,) = testing.gpu_parity_cases(name)
    return found


def faked(monkeypatch, fault, name="sinkhorn"):
    """The function's results pass through the fault, which gets their number too."""
    calls = iter(range(10**6))

    def fake(*given, **options):
        return fault(genuine[name], next(calls), given, options)

    monkeypatch.setattr(transport, name, fake)


def careless(solve, call, given, options):
    """Stops too early, and says that it has converged."""
    result = solve(*given, **options | {"tol": 1e-2})
    result.threshold = options["tol"]
    return result


def shifted(solve, call, given, options):
    """Potentials of another gauge are the same plan; with one that moves alone they are not."""
    result = solve(*given, **options)
    result.potentials[0][:3] += 1e-6
    return result


def another_plan(solve, call, given, options):
    result = solve(*given, **options)
    result.plan[0, 0] *= 1 + 1e-6
    return result


def other_bits(solve, call, given, options):
    result = solve(*given, **options)
    result.potentials[0][:1] *= 1 + 1e-15 * (call % 2)
    return result


def elsewhere(solve, call, given, options):
    result = solve(*given, **options)
    result.backend = "tpu"
    return result


def slow(solve, call, given, options):
    result = solve(*given, **options)
    result.iterations += 50 * (call == 3)
    return result


def dual_off(solve, call, given, options):
    result = solve(*given, **options)
    result.dual_value += 1e-6 * (call == 3)
    return result


@pytest.mark.parametrize(
    "fault, words",
    [
        (careless, "true marginal error"),
        (shifted, "true marginal error"),
        (another_plan, "another plan"),
        (other_bits, "bits"),
        (elsewhere, "ran on tpu"),
        (slow, "sweeps"),
        (dual_off, "dual value"),
    ],
)
def test_a_solve_that_is_wrong_is_refused(monkeypatch, fault, words):
    faked(monkeypatch, fault)
    with pytest.raises(AssertionError, match=words):
        case("transport:log-matrix-float64-33").check(testing.Target("cpu"))


def test_a_solve_of_the_other_function_is_asked_for(monkeypatch):
    faked(monkeypatch, careless, "sinkhorn_newton_sparse")
    with pytest.raises(AssertionError, match="true marginal error"):
        case("transport:sns-safe-points-float64-33").check(testing.Target("cpu"))


def test_a_status_that_differs_is_refused(monkeypatch):
    faked(monkeypatch, lambda solve, call, given, options: solve(*given, **options | {"maxiter": None}))
    with pytest.raises(AssertionError, match="converged"):
        case("transport:log-maxiter-float64").check(testing.Target("cpu"))


def test_a_divergence_that_differs_is_refused(monkeypatch):
    def off(solve, call, given, options):
        result = solve(*given, **options)
        object.__setattr__(result, "value", result.value + 1e-6 * (call == 3))
        return result

    faked(monkeypatch, off, "sinkhorn_divergence")
    with pytest.raises(AssertionError, match="divergence"):
        case("transport:divergence-float64-33").check(testing.Target("cpu"))


def test_what_stays_in_memory_is_seen(monkeypatch):
    target, held = testing.Target("cpu"), iter(range(10))
    monkeypatch.setattr(target, "used_bytes", lambda: next(held), raising=False)
    with pytest.raises(AssertionError, match="bytes more"):
        case("memory-50-transports").check(target)


def test_without_numba_the_truth_alone_is_asked():
    target = testing.Target("cpu")
    target.cpu = None
    case("transport:log-weights-float64-33").check(target)


def test_plans_of_every_form_are_compared():
    ids = [each.id for each in testing.gpu_parity_cases("transport:*")]
    for method in ("log", "scaling", "sor", "newton", "auto", "sns-safe", "sns-top-k"):
        for form in ("matrix", "points", "forbidden", "weights"):
            assert sum(f":{method}-{form}-" in name for name in ids) == 6
    assert np.unique(ids).size == len(ids)
