"""The result of a solve: SciPy's pair, copied, pickled, printed, and its counts."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from krylov import GENERAL, close, every_method, quick, seeds, sizes, system
from scipy.sparse.linalg import LinearOperator

from solvers import linalg


def results(solve):
    A, b = system(12, 0)
    yield solve(A, b)
    yield solve(A, np.stack([b, 2 * b], axis=1))
    yield solve(A, b, maxiter=1, **({"restart": 1} if solve is linalg.gmres else {}))
    yield solve(A * np.nan, b)
    yield solve(A, np.zeros(12))
    yield solve(A, np.zeros((12, 0)))


@every_method
def test_a_result_is_scipys_pair(solve):
    for result in results(solve):
        x, info = result
        assert len(result) == 2 and isinstance(result, tuple)
        assert x is result.x and info is result.info
        assert isinstance(info, int)


def same(a, b):
    assert type(a) is type(b)
    assert np.array_equal(a.x, b.x) and a.info == b.info
    assert a.__dict__.keys() == b.__dict__.keys()
    assert all(np.array_equal(a.__dict__[key], b.__dict__[key]) for key in a.__dict__)
    assert repr(a) == repr(b)
    return True


@every_method
def test_a_result_survives_pickling(solve):
    for result in results(solve):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert same(pickle.loads(pickle.dumps(result, protocol)), result)


@every_method
def test_a_result_can_be_copied(solve):
    for result in results(solve):
        assert same(copy.copy(result), result)
        deep = copy.deepcopy(result)
        assert same(deep, result)
        assert not result.x.size or not np.shares_memory(deep.x, result.x)


@every_method
def test_the_dictionary_of_a_result_is_json(solve):
    for result in results(solve):
        back = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert back["method"] == solve.__name__
        assert back["converged"] == result.converged
        assert back["message"] == result.message


@every_method
def test_the_repr_of_a_result_is_one_line_with_its_numbers(solve):
    for result in results(solve):
        assert repr(result).startswith("Result(") and repr(result).endswith("cpu)")
        assert "\n" not in repr(result)
        assert f"{result.n_matvec} matvec" in repr(result)


@every_method
@quick
@given(n=sizes, seed=seeds, rtol=st.sampled_from([1e-2, 1e-5, 1e-9]))
def test_the_norms_begin_with_that_of_b_and_are_one_more_than_the_iterations(solve, n, seed, rtol):
    A, b = system(n, seed)
    result = solve(A, b, rtol=rtol)
    assert result.residuals.shape == (result.iterations + 1,)
    assert result.residuals[0] == pytest.approx(np.linalg.norm(b))
    assert result.residual <= result.threshold == pytest.approx(rtol * np.linalg.norm(b))


@pytest.mark.parametrize("solve", [linalg.minres, linalg.gmres], ids=lambda f: f.__name__)
@quick
@given(n=sizes, seed=seeds)
def test_the_norms_of_a_minimal_residual_method_never_grow(solve, n, seed):
    A, b = system(n, seed)
    norms = solve(A, b, rtol=1e-8).residuals
    assert np.all(np.diff(norms) <= 1e-10 * norms[0])


@every_method
@pytest.mark.parametrize("preconditioned", [False, True])
def test_every_product_with_an_operator_is_counted(solve, preconditioned):
    A, b = system(25, 0)
    products = 0

    def matvec(v):
        nonlocal products
        products += 1
        return A @ v

    M = np.diag(1 / np.diag(A)) if preconditioned else None
    result = solve(LinearOperator(A.shape, matvec=matvec, dtype=float), b, rtol=1e-8, M=M)
    assert result.n_matvec == products


@pytest.mark.parametrize("solve", GENERAL, ids=lambda f: f.__name__)
@quick
@given(n=sizes, seed=seeds)
def test_the_general_methods_solve_unsymmetric_systems(solve, n, seed):
    rng = np.random.default_rng(seed)
    A = np.eye(n) * 4 + rng.standard_normal((n, n)) / np.sqrt(n)
    x = rng.standard_normal(n)
    assume(np.linalg.cond(A) < 100)
    result = solve(A, A @ x, rtol=1e-10)
    assert result.info == 0
    assert close(result.x, x, 1e-7)
