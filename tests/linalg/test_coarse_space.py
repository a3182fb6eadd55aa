"""CoarseSpace: learned directions, solved for directly beside a preconditioner."""

import io
import pickle

import numpy as np
import pytest
import scipy.sparse.linalg as scipy_linalg
from scipy import sparse
from small_systems import phased, poisson, right
from solvers.benchmarks.families import family

import solvers
from solvers import InvalidInput, UnsupportedType, linalg


def iterations(A, b, M):
    result = linalg.cg(A, b, M=M, rtol=1e-6)
    assert result.converged
    return result.iterations


def test_sixteen_directions_take_two_fifths_of_the_iterations_around_obstacles():
    member = family("obstacles", 256)
    plain = iterations(member.A, member.b, linalg.ic(member.A))
    M = linalg.CoarseSpace(k=16, rng=0).fit(member.A)
    assert 2.5 * iterations(member.A, member.b, M) <= plain
    assert M.header["iterations"] < 12 * plain  # what fitting costs


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_it_is_its_formula_hermitian_and_positive_definite_whatever_was_learned(dtype):
    A = phased(poisson(6, 7), dtype)
    for snapshots in (None, right(42 * 3).reshape(42, 3)):
        M = linalg.CoarseSpace(k=4, rng=0).fit(A, snapshots)
        P, V = np.stack([M @ e for e in np.eye(42, dtype=dtype)], axis=1), M.V
        assert P.dtype == dtype and V.shape == (42, 4 if snapshots is None else 3)
        M0 = np.stack([linalg.ic(A) @ e for e in np.eye(42, dtype=dtype)], axis=1)
        expected = M0 + V @ np.linalg.solve(V.conj().T @ (A.astype("D") @ V), V.conj().T)
        assert np.allclose(P, expected, atol=1e-4 if dtype in "fF" else 1e-12)
        assert np.abs(P - P.conj().T).max() <= (1e-5 if dtype in "fF" else 1e-13)
        assert np.linalg.eigvalsh(P).min() > 0.01


def test_the_directions_are_the_smallest_eigenvectors_when_solves_are_tight():
    A = poisson(9, 10)
    V = linalg.CoarseSpace(k=3, rng=0).fit(A, rtol=1e-10, n_rounds=30).V
    exact = np.linalg.eigh(A.toarray())[1][:, :3]
    Q = np.linalg.qr(V)[0]
    assert np.linalg.norm(exact - Q @ (Q.T @ exact)) <= 1e-4
    assert np.allclose(V.T @ (A @ V), np.eye(3), atol=1e-10)


def test_snapshots_of_the_users_serve_and_many_are_reduced_to_the_best():
    A = poisson(40, 41)
    b = right(1640)
    snapshots = np.stack([linalg.cg(A, right(1640, seed=seed), rtol=1e-3).x for seed in range(24)], axis=1)
    kept = snapshots.copy()
    M = linalg.CoarseSpace(k=10).fit(A, snapshots)
    assert M.V.shape == (1640, 10) and np.array_equal(snapshots, kept) and M.header["from"] == "snapshots"
    assert iterations(A, b, M) < iterations(A, b, linalg.ic(A))


def test_a_seed_decides_and_scipys_cg_takes_it():
    A = poisson(20, 21)
    one, again, other = (linalg.CoarseSpace(k=4, rng=seed).fit(A).V for seed in (3, 3, 4))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    x, info = scipy_linalg.cg(A, right(420), M=linalg.CoarseSpace(k=4, rng=0).fit(A), rtol=1e-8)
    assert info == 0 and np.linalg.norm(right(420) - A @ x) <= 1e-6


def test_a_base_of_the_users_is_taken():
    A = poisson(20, 21)
    b = right(420)
    plain = iterations(A, b, linalg.chebyshev(A))
    assert iterations(A, b, linalg.CoarseSpace(k=6, base=linalg.chebyshev, rng=0).fit(A)) < plain
    jacobi = linalg.CoarseSpace(k=6, base=lambda A: sparse.diags_array(1 / A.diagonal()), rng=0).fit(A)
    assert iterations(A, b, jacobi) < iterations(A, b, None)


def test_a_matrix_that_changed_a_little_is_set_up_with_the_same_directions(tmp_path):
    member = family("obstacles", 40)
    A, b, n = member.A, member.b, 1600
    model = linalg.CoarseSpace(k=8, rng=0).fit(A)
    model.save(tmp_path / "space.npz")
    loaded = linalg.CoarseSpace.load(tmp_path / "space.npz")
    assert np.array_equal(loaded.V, model.V) and loaded.header["k"] == 8 and loaded.header["n"] == n
    later = sparse.csr_array(A + 1e-4 * sparse.diags_array(np.linspace(0, 1, n)))
    there = loaded.setup(later)
    assert np.allclose(there.V.T @ (later @ there.V), np.eye(8), atol=1e-10)
    assert iterations(later, b, there) <= iterations(A, b, model) + 1 < 0.8 * iterations(later, b, linalg.ic(later))
    with pytest.raises(InvalidInput, match="fit"):
        linalg.CoarseSpace().setup(A)
    with pytest.raises(InvalidInput, match="`A` must have 1600 rows"):
        loaded.setup(poisson(3, 4))


def test_a_callback_is_told_of_every_loose_solve_and_may_end_the_fit():
    member, residuals, ends = family("obstacles", 30), [], []

    class Watch:
        def on_chunk(self, solves, residual):
            residuals.append(residual)
            assert solves == len(residuals)

        def on_end(self, model):
            ends.append(model)

    def stopped(at):
        """Fitted until that many solves, and what it was called with."""
        solutions = []

        def stop(x):
            solutions.append(x.copy())
            x[:] = np.nan  # a copy, which is the user's
            if len(solutions) == at:
                raise StopIteration

        return linalg.CoarseSpace(k=4, rng=0).fit(member.A, callback=stop), solutions

    whole = linalg.CoarseSpace(k=4, rng=0).fit(member.A, callback=Watch())
    assert ends == [whole] and len(residuals) == 12 and 0 < max(residuals) <= 0.1
    assert np.array_equal(whole.V, linalg.CoarseSpace(k=4, rng=0).fit(member.A).V)
    for at, k in ((1, 1), (3, 3), (6, 4), (9, 4)):
        cut, solutions = stopped(at)
        assert cut.V.shape == (900, k) and cut.header["k"] == k and len(solutions) == at
        assert cut.header["iterations"] < whole.header["iterations"]
        assert np.allclose(cut.V.T @ (member.A @ cut.V), np.eye(k), atol=1e-10)
    first, last = stopped(3)[0], stopped(9)[0]
    assert np.array_equal(first.V, linalg.CoarseSpace(k=4).fit(member.A, np.array(stopped(3)[1]).T).V)
    plain = iterations(member.A, member.b, linalg.ic(member.A))
    assert iterations(member.A, member.b, whole) <= iterations(member.A, member.b, last) < plain
    watch = solvers.maxtime(1e-9, solvers.progress(file=io.StringIO()))
    assert linalg.CoarseSpace(k=4, rng=0).fit(member.A, callback=watch).V.shape == (900, 1)


def test_a_tampered_a_pickled_and_another_file_are_refused_by_name(tmp_path):
    path = tmp_path / "space.npz"
    linalg.CoarseSpace(k=2, rng=0).fit(poisson(5, 6)).save(path)
    with np.load(path) as file:
        array, header = file["V"], file["header"]
    np.savez(path, V=array * 2, header=header)
    with pytest.raises(InvalidInput, match="checksum of '.*space.npz'"):
        linalg.CoarseSpace.load(path)
    np.savez(path, V=array, header=np.frombuffer(header.tobytes().replace(b'"k": 2', b'"k": 3'), np.uint8))
    with pytest.raises(InvalidInput, match="checksum"):
        linalg.CoarseSpace.load(path)
    np.savez(path, V=np.array([{}], dtype=object), header=header)
    with pytest.raises(InvalidInput, match="pickled"):
        linalg.CoarseSpace.load(path)
    path.write_bytes(pickle.dumps({"array": array}))
    with pytest.raises(InvalidInput, match="space.npz"):
        linalg.CoarseSpace.load(path)
    with pytest.raises(FileNotFoundError):
        linalg.CoarseSpace.load(tmp_path / "absent.npz")


def test_it_pickles_and_prints_in_one_line():
    A = poisson(5, 6)
    assert repr(linalg.CoarseSpace(k=3)) == "<coarse space, 0x0, not fitted, on ic>"
    M = linalg.CoarseSpace(k=3, rng=0).fit(A)
    again = pickle.loads(pickle.dumps(M))
    assert np.array_equal(again @ right(30), M @ right(30))
    assert repr(again) == "<coarse space, 30x30, 3 directions, on ic>"


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (lambda: linalg.CoarseSpace(0), InvalidInput, "`k` must be >= 1"),
        (lambda: linalg.CoarseSpace(base="lu"), (ValueError, TypeError), "`base` must be one of"),
        (lambda: linalg.CoarseSpace().fit(poisson(3, 4), np.ones(12)), InvalidInput, "`snapshots` must have shape"),
        (lambda: linalg.CoarseSpace().fit(poisson(3, 4), np.full((12, 1), np.inf)), InvalidInput, "must be finite"),
        (lambda: linalg.CoarseSpace().fit(-poisson(3, 4)), InvalidInput, "positive diagonal"),
        (lambda: linalg.CoarseSpace().save("x.npz"), InvalidInput, "fit"),
        (lambda: linalg.CoarseSpace().fit(scipy_linalg.aslinearoperator(np.eye(3)).H * 2), UnsupportedType, "entries"),
        (lambda: linalg.CoarseSpace() @ np.ones(0), InvalidInput, "fit"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
