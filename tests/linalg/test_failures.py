"""The words for a failure: one sentence each, with its numbers and a remedy, and a code of its own."""

import re

import numpy as np
import pytest
from krylov import every_method, hermitian

import solvers
from solvers import Status, linalg


@pytest.mark.parametrize("status", Status)
def test_a_status_has_one_sentence_that_ends_with_a_period(status):
    assert status.sentence.endswith(".")
    assert "\n" not in status.sentence
    assert re.search(r"\.\s", status.sentence) is None


REMEDIES = ("raise `", "loosen ", "allow ", "use ", "pass ", "project ", "solve in", "look for", "rescale", "accept x")


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.CONVERGED, Status.STOPPED)])
def test_the_sentence_of_a_failure_names_a_remedy(status):
    assert any(remedy in status.sentence for remedy in REMEDIES)


def failures():
    """One result a status."""
    b, nan = np.ones(6), np.diag([1.0, 2.0, np.nan, 4.0, 5.0, 6.0])
    A = hermitian(np.linspace(1, 9, 6))

    def stop(x):
        raise StopIteration

    yield Status.MAXITER, linalg.cg(A, b, maxiter=1)
    yield Status.STAGNATED, linalg.cg(A, b, rtol=0)
    yield Status.INDEFINITE, linalg.cg(np.diag([1.0, -1, 1, -1, 1, -1]), b)
    yield Status.NOT_HERMITIAN, linalg.cg(A + 1j * np.diag(np.arange(6)), b)
    yield Status.INCONSISTENT, linalg.minres(np.diag([1.0, 2, 3, 4, 5, 0]), b)
    yield Status.BREAKDOWN, linalg.bicgstab(np.kron(np.eye(3), np.array([[0, 1.0], [-1.0, 0]])), b)
    yield Status.NONFINITE, linalg.cg(nan, b)
    yield Status.DIVERGED, linalg.gauss_seidel(np.array([[1.0, 3.0], [2.0, 1.0]]), b[:2])
    yield Status.STALLED, linalg.dcdm(A, b, model=np.zeros_like, on_stall="stop")
    yield Status.STOPPED, linalg.cg(A, b, callback=stop)


@pytest.mark.parametrize("status, result", [pytest.param(*f, id=str(f[0])) for f in failures()])
def test_the_message_of_a_failure_holds_its_status_its_numbers_and_its_sentence(status, result):
    assert result.status is status
    assert result.message.endswith(status.sentence)
    assert f"cg {status}" in result.message or str(status) in result.message
    assert f"{result.residual:.1e}" in result.message and f"{result.threshold:.1e}" in result.message
    assert "\n" not in result.message


@pytest.mark.parametrize("status, result", [pytest.param(*f, id=str(f[0])) for f in failures()])
def test_check_raises_the_message_and_carries_the_result(status, result):
    with pytest.raises(solvers.ConvergenceError) as caught:
        result.check()
    assert str(caught.value) == result.message
    assert caught.value.result is result


def test_every_failure_has_its_own_code():
    codes = {status: result.info for status, result in failures()}
    assert codes[Status.BREAKDOWN] == -10
    assert codes[Status.INDEFINITE] == codes[Status.NOT_HERMITIAN] == -11
    assert codes[Status.NONFINITE] == -12
    assert codes[Status.INCONSISTENT] == -13
    assert codes[Status.DIVERGED] == -14
    assert all(codes[s] >= 1 for s in (Status.MAXITER, Status.STAGNATED, Status.STALLED, Status.STOPPED))


def test_every_failure_of_the_table_is_made_by_some_call():
    """INFEASIBLE is for transport, the others of these are for least squares."""
    elsewhere = {Status.INFEASIBLE, Status.ILL_CONDITIONED, Status.NOT_ADJOINT, Status.UNATTAINABLE}
    assert {status for status, _ in failures()} == set(Status) - {Status.CONVERGED} - elsewhere


@every_method
def test_check_returns_the_result_of_a_success(solve):
    result = solve(np.eye(3), np.ones(3))
    assert result.check() is result


def test_of_many_right_hand_sides_the_message_names_the_worst_column():
    b = np.ones((3, 2))
    b[:, 1] = [1.0, 1.0, 0.0]
    result = linalg.cg(np.diag([1.0, -1.0, 1.0]), b)
    assert result.info == -11
    assert "column" in result.message and result.message.endswith(Status.INDEFINITE.sentence)
