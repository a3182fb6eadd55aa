"""Matrix completion: exact recovery, noise, kinds of input, and what it says of what it cannot know."""

import numpy as np
import pytest
from scipy import sparse

from solvers import InvalidInput, Status, UnsupportedType, inverse


def drawn(seed=0, n=90, m=70, k=4, share=0.35, noise=0.0):
    rng = np.random.default_rng(seed)
    M = rng.standard_normal((n, k)) @ rng.standard_normal((k, m))
    return M, M + noise * rng.standard_normal(M.shape), rng.random(M.shape) < share


def error(x, M):
    return np.linalg.norm(np.asarray(x) - M) / np.linalg.norm(M)


@pytest.mark.parametrize("method", ["exact", "inexact"])
def test_a_matrix_of_low_rank_is_recovered(method):
    M, _, mask = drawn()
    res = inverse.complete(M, 4, mask=mask, method=method)
    assert res.converged and res.stop_reason == "tolerance" and error(res.x, M) < 1e-6
    assert res.residual == pytest.approx(np.linalg.norm((np.asarray(res.x) - M)[mask]), rel=1e-6)
    assert res.residual <= res.threshold and res.residuals[-1] == pytest.approx(res.residual, rel=1e-6)


def test_two_inexact_steps_take_about_the_exact_sweeps_at_rank_forty():
    M, _, mask = drawn(1, 300, 280, 40, 0.7)
    exact, inexact = (inverse.complete(M, 40, mask=mask, method=each) for each in ("exact", "auto"))
    assert exact.converged and inexact.converged and inexact.iterations <= 1.3 * exact.iterations + 1


def test_sparse_arrays_are_known_where_they_store_something_zeros_too():
    M, _, mask = drawn(2)
    M[:, 5] = 0.0
    at = np.nonzero(mask)
    stored = sparse.coo_array((M[at], at), shape=M.shape).tocsc()
    before = stored.copy()
    res = inverse.complete(stored, 4)
    np.testing.assert_allclose(np.asarray(res.x), np.asarray(inverse.complete(M, 4, mask=mask).x), atol=1e-6)
    assert np.abs(np.asarray(res.x)[:, 5]).max() < 1e-5
    np.testing.assert_array_equal(stored.data, before.data)


def test_units_and_transposition_do_not_matter():
    M, _, mask = drawn(3)
    one, small, turned = (inverse.complete(A, 4, mask=where, tol=1e-10)
                          for A, where in ((M, mask), (M * 1e-150, mask), (M.T, mask.T)))
    assert small.iterations == one.iterations and error(np.asarray(small.x) * 1e150, M) < 1e-8
    assert turned.converged and error(turned.x, M.T) < 1e-8


def test_noise_ends_as_stationary_and_with_too_high_a_rank_a_ridge_or_entries_kept_apart_help():
    M, noisy, mask = drawn(4, noise=1.0, share=0.3)
    plain = inverse.complete(noisy, 8, mask=mask)
    ridged = inverse.complete(noisy, 8, mask=mask, ridge=1.0)
    kept = inverse.complete(noisy, 8, mask=mask, held_out=0.1, rng=0)
    assert inverse.complete(noisy, 4, mask=mask).stop_reason == "stationary" and kept.stop_reason == "held-out"
    assert error(ridged.x, M) < 0.8 * error(plain.x, M) and error(kept.x, M) < 0.8 * error(plain.x, M)
    assert kept.held_out_error == pytest.approx(
        np.sqrt(1 + np.mean((np.asarray(kept.x) - M) ** 2)), rel=0.2
    )


def test_rows_without_enough_entries_are_named_and_finite():
    M, _, mask = drawn(5)
    mask[3] = False
    mask[:, 8] = False
    mask[:2, 8] = True
    res = inverse.complete(M, 4, mask=mask)
    assert [each.tolist() for each in res.undetermined] == [[3], [8]]
    assert np.isfinite(np.asarray(res.x)).all() and res.residual <= res.threshold


def test_limits_and_callbacks():
    M, _, mask = drawn(6)
    res = inverse.complete(M, 4, mask=mask, maxiter=2)
    assert res.status is Status.MAXITER and res.iterations == 2 and "misfit" in res.message
    seen = []

    def stop(x):
        seen.append(x)
        raise StopIteration

    assert inverse.complete(M, 4, mask=mask, callback=stop).status is Status.STOPPED
    assert isinstance(seen[0], inverse.LowRank) and seen[0].shape == M.shape


def test_the_smallest_matrices():
    res = inverse.complete(np.array([[3.0]]), 1, mask=np.array([[True]]))
    np.testing.assert_allclose(np.asarray(res.x), [[3.0]])
    full = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    np.testing.assert_allclose(np.asarray(inverse.complete(full, 2, mask=np.ones((3, 2), bool)).x), full, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (dict(rank=0), InvalidInput, "`rank` must be >= 1"),
        (dict(rank=4), InvalidInput, "`rank` must be at most 3"),
        (dict(mask=None), InvalidInput, "`mask` must say which entries"),
        (dict(mask=np.zeros((3, 4), bool)), InvalidInput, "`mask` must be an array with at least one True"),
        (dict(mask=np.full((3, 4), 0.5)), InvalidInput, "`mask` must hold True and False"),
        (dict(mask=np.ones((4, 3), int)), InvalidInput, "`mask` must have the shape of the matrix"),
        (dict(M=np.ma.masked_equal(np.eye(3, 4), 0)), UnsupportedType, "pass M.data with mask=~M.mask"),
        (dict(M=np.full((3, 4), np.nan)), InvalidInput, "`M` must be finite"),
        (dict(M=np.zeros((3, 4))), InvalidInput, "`M` must have a known entry other than zero"),
        (dict(M=np.ones((3, 4)) * 1j), UnsupportedType, "`M` must hold real numbers"),
        (dict(held_out=1.0), InvalidInput, "`held_out` must be < 1"),
        (dict(method="als"), InvalidInput, "`method` must be one of"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_input_to_complete_is_one_sentence(change, kind, words):
    given = dict(M=np.ones((3, 4)), rank=2, mask=np.ones((3, 4), bool)) | change
    with pytest.raises(kind, match=words):
        inverse.complete(given.pop("M"), given.pop("rank"), **given)
