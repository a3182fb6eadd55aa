"""Training data, which needs no torch; and what is said where torch is missing."""

import sys

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, deep, linalg
from solvers.deep._data import ritz_vectors

A = linalg.stencil((12, 12), [4, -1, -1])
DENSE = A @ np.eye(144)


def test_all_ritz_vectors_are_the_eigenvectors():
    B = np.diag(np.arange(1.0, 31.0)) + 0.1
    values, vectors = ritz_vectors(B, 30, np.random.default_rng(0))
    assert np.allclose(values, np.linalg.eigvalsh(B), rtol=1e-12)
    assert np.allclose(vectors @ vectors.T, np.eye(30), atol=1e-12)
    assert np.allclose(B @ vectors.T, vectors.T * values, atol=1e-10)


def test_the_rotation_in_blocks_is_the_rotation(monkeypatch):
    whole = ritz_vectors(DENSE, 50, np.random.default_rng(0))[1]
    monkeypatch.setattr("solvers.deep._data._COLUMNS", 7)
    assert np.allclose(ritz_vectors(DENSE, 50, np.random.default_rng(0))[1], whole, atol=1e-12)


def test_ritz_vectors_are_orthonormal_and_make_the_matrix_diagonal():
    values, vectors = ritz_vectors(DENSE, 60, np.random.default_rng(1))
    assert len(values) == 60 and np.all(np.diff(values) >= 0)
    assert np.allclose(vectors @ DENSE @ vectors.T, np.diag(values), atol=1e-10)


def test_the_process_ends_in_an_invariant_space():
    values, vectors = ritz_vectors(np.diag(np.repeat([1.0, 5.0], 20)), 40, np.random.default_rng(0))
    assert np.allclose(values, [1, 5]) and vectors.shape == (2, 40)


def test_samples_are_unit_rows_in_single_precision_that_favour_the_slow_half():
    data = deep.training_data(np.diag(np.arange(1.0, 101.0)), 100, 300, rng=0)  # its vectors are those of the axes
    assert data.shape == (300, 100) and data.dtype == np.float32
    assert np.allclose(np.linalg.norm(data, axis=1), 1, rtol=1e-6)
    share = (data**2).mean(axis=0)
    slow, fast = share[:55], share[55:]
    assert slow.mean() / fast.mean() == pytest.approx(81, rel=0.1)
    assert slow.min() > 20 * fast.max()


def test_the_null_space_is_left_out():
    line = 2 * np.eye(30) - np.eye(30, k=1) - np.eye(30, k=-1)
    line[0, 0] = line[-1, -1] = 1
    data = deep.training_data(line, 30, 50, rng=0)
    assert np.abs(data.sum(axis=1)).max() < 1e-5


def test_a_seed_gives_the_same_data():
    first, again, other = (deep.training_data(A, 20, 5, rng=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_memory_is_said_before_the_work():
    def product(v):
        raise AssertionError("work was done")

    B = linalg.LinearOperator((10**6, 10**6), matvec=product, dtype=float)
    with pytest.raises(InvalidInput, match=r"`memory_limit` must be at least 1\d\d GB for 10000 Ritz vectors"):
        deep.training_data(B, 10_000, 20_000, memory_limit=1e9)
    assert deep.memory_of_data(64**3, 10_000, 20_000) == pytest.approx(44e9, rel=0.05)


def test_the_callback_sees_each_step_and_may_stop():
    seen = []

    def stop(step, size):
        seen.append(size)
        if step == 5:
            raise StopIteration

    deep.training_data(A, 30, 4, rng=0, callback=stop)
    assert len(seen) == 5 and min(seen) > 0


@pytest.mark.parametrize(
    "options", [{"n_ritz": 0}, {"n_samples": 0}, {"n_weighted": -1}, {"memory_limit": 0}, {"callback": 3}]
)
def test_bad_options_of_the_data_are_refused(options):
    with pytest.raises((InvalidInput, solvers.UnsupportedType), match=f"`{next(iter(options))}`"):
        deep.training_data(A, **options)


def test_a_matrix_of_nan_is_refused():
    with pytest.raises(InvalidInput, match="`A` must be finite"):
        deep.training_data(np.full((4, 4), np.nan), 2, 2)


NEEDS_TORCH = [lambda: deep.network("2d"), lambda: deep.load("x.npz"), lambda: deep.GridModel(3, (2,))]


@pytest.mark.parametrize("call", NEEDS_TORCH)
def test_without_torch_one_sentence_says_how_to_get_it(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'adaptive-solvers\[deep\]'") as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [2.0**-660, 2.0**660])
def test_the_scale_of_the_matrix_is_no_matter(scale):
    A = linalg.prepare(np.diag(np.arange(1.0, 41.0)))
    scaled = linalg.prepare(np.diag(np.arange(1.0, 41.0)) * scale)
    assert np.allclose(deep.training_data(scaled, 10, 5, rng=0), deep.training_data(A, 10, 5, rng=0), atol=1e-6)
    with pytest.raises(TypeError, match="real"):
        deep.training_data(np.eye(9) * 1j, 5, 5)
