"""ic: incomplete Cholesky that is relaxed where it can be and shifted where it must be."""

import numpy as np
import pyamg
import pytest
import scipy.sparse.linalg as scipy_linalg
from scipy import sparse
from small_systems import poisson

from solvers import InvalidInput, linalg


def bad_for_ic0(n=60):
    """Blocks of Kershaw's: positive definite, eigenvalues 3 - 8^0.5 and 3 + 8^0.5; the last pivot of IC(0) is -5."""
    block = [[3.0, -2.0, 0.0, 2.0], [-2.0, 3.0, -2.0, 0.0], [0.0, -2.0, 3.0, -2.0], [2.0, 0.0, -2.0, 3.0]]
    scales = np.repeat(1.0 + np.arange(n // 4), 4)
    return sparse.csr_array(sparse.diags_array(scales) @ sparse.kron(sparse.eye_array(n // 4), block))


def iterations(A, M):
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    result = linalg.cg(A, b, M=M, rtol=1e-6)
    assert result.converged
    return result.iterations


@pytest.mark.parametrize("shape, least, most", [((128, 128), 1.8, 2.6), ((64, 64, 64), 1.8, 2.7)], ids=str)
def test_relaxation_takes_half_the_iterations_of_ic0(shape, least, most):
    A = poisson(*shape)
    plain, relaxed, default = (iterations(A, linalg.ic(A, relaxation=r)) for r in (0.0, 0.99, "auto"))
    assert relaxed == default and least <= plain / relaxed <= most


def test_the_default_is_relaxed_where_all_pivots_are_positive_else_it_is_not_and_shifted_where_it_must_be():
    M = linalg.ic(poisson(20, 21))
    assert (M.relaxation, M.shift) == (0.99, 0.0)
    elastic = pyamg.gallery.load_example("bar")["A"]  # bears no relaxation
    M = linalg.ic(elastic)
    assert (M.relaxation, M.shift) == (0.0, 0.0) and linalg.ic(elastic, relaxation=0.99).shift > 0
    both = sparse.block_diag([elastic, bad_for_ic0()], format="csr")
    M = linalg.ic(both)
    assert M.relaxation == 0.0 and M.shift > 0.0
    P = np.stack([M @ e for e in np.eye(660)], axis=1)
    assert np.abs(P - P.T).max() <= 1e-10 * np.abs(P).max() and np.linalg.eigvalsh(P).min() > 0
    assert iterations(both, M) < iterations(both, None)


def test_the_shift_is_the_smallest_of_the_steps_that_serves():
    A = bad_for_ic0()
    M = linalg.ic(A, relaxation=0.0)
    with pytest.raises(InvalidInput, match="`A` must be positive definite for incomplete Cholesky"):
        linalg.ic(A, relaxation=0.0, shift=M.shift / 4)
    given = linalg.ic(A, relaxation=0.0, shift=M.shift)
    assert np.array_equal(given @ np.ones(60), M @ np.ones(60))


@pytest.mark.parametrize("shift", ["auto", 0.0, 0.02])
@pytest.mark.parametrize("relaxation", [0.0, 0.5, 0.99])
def test_numbers_are_those_of_incomplete_cholesky(relaxation, shift):
    A, v = poisson(9, 10), np.arange(90.0)
    ours, theirs = (f(A, relaxation=relaxation, shift=shift) for f in (linalg.ic, linalg.incomplete_cholesky))
    assert np.array_equal(ours @ v, theirs @ v) and (ours.relaxation, ours.shift) == (relaxation, theirs.shift)
    assert np.array_equal(linalg.incomplete_cholesky(A, relaxation, shift=None) @ v, theirs @ v) or shift == 0.02


def test_scipys_cg_takes_it():
    A = poisson(30, 31)
    x, info = scipy_linalg.cg(A, np.ones(930), M=linalg.ic(A), rtol=1e-8)
    assert info == 0 and np.linalg.norm(A @ x - 1) <= 1e-6


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(relaxation="most"), "`relaxation` must be one of 'auto'"),
        (dict(shift="most"), "`shift` must be one of 'auto'"),
        (dict(relaxation=1.5), r"`relaxation` must be in \[0, 1\]"),
        (dict(relaxation=0.5, shift=-1.0), "`shift` must be >= 0"),
        (dict(shift=-1.0), "`shift` must be >= 0"),
    ],
)
def test_what_is_no_number_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        linalg.ic(poisson(3, 4), **options)
