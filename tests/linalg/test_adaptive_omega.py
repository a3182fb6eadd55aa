"""``sor`` with omega="auto": near the best omega where there is a formula for it, and no harm where there is none."""

import numpy as np
import pytest
from scipy import sparse

from solvers import linalg


def line(m, low=-1.0, high=-1.0, centre=2.0):
    return sparse.diags_array([np.full(m - 1, low), np.full(m, centre), np.full(m - 1, high)], offsets=[-1, 0, 1])


def poisson(*shape):
    A = sparse.csr_array((1, 1))
    for m in shape:
        A = sparse.kronsum(line(m), A)
    return sparse.csr_array(A)


def right(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("ordering", ["natural", "reversed", "colored"])
@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
def test_it_needs_at_most_half_as_many_sweeps_again_as_the_best_omega(ordering, rtol):
    A = poisson(30, 30)
    for seed in range(3):
        b, options = right(900, seed), dict(ordering=ordering, rtol=rtol)
        best = linalg.sor(A, b, omega=linalg.omega_optimal(A), **options).iterations
        auto = linalg.sor(A, b, **options)
        assert auto.converged and auto.iterations <= 1.5 * best
        assert auto.iterations < linalg.gauss_seidel(A, b, **options).iterations / 2


@pytest.mark.parametrize("shape", [(200,), (12, 50), (9, 10, 11)])
@pytest.mark.parametrize("shift", [0.0, 0.5, 20.0])
def test_it_is_good_on_other_grids_and_shifted_ones(shape, shift):
    A = poisson(*shape) + shift * sparse.eye_array(int(np.prod(shape)))
    b = right(A.shape[0])
    best = linalg.sor(A, b, omega=linalg.omega_optimal(A, n_steps=200), rtol=1e-8)
    auto = linalg.sor(A, b, rtol=1e-8)
    assert auto.converged and auto.iterations <= 1.6 * best.iterations + 30


def m_matrices():
    """Not symmetric, with dominant rows: Gauss-Seidel converges, and a large omega does not have to."""
    rng = np.random.default_rng(1)
    wind = [line(20, -c, -1.0, c + 1.0) for c in (5.0, 20.0)]
    yield sparse.csr_array(sparse.kronsum(*wind))
    yield sparse.csr_array(sparse.kronsum(*wind).T)
    cycle = np.roll(np.eye(40), 1, axis=0)
    yield sparse.csr_array(1.01 * np.eye(40) - cycle)
    yield sparse.csr_array(1.2 * np.eye(40) - cycle.T)
    R = rng.uniform(size=(60, 60)) * (rng.uniform(size=(60, 60)) < 0.1) + 1e-9
    yield sparse.csr_array(1.05 * np.eye(60) - R / R.sum(axis=1, keepdims=True))
    yield sparse.csr_array(np.tril(rng.uniform(-1, 0, (50, 50)), -1) + np.diag(np.full(50, 26.0)))


@pytest.mark.parametrize("A", list(m_matrices()), ids="wind,against,cycle,back,random,lower".split(","))
@pytest.mark.parametrize("watched", [False, True])
def test_it_converges_on_nonsymmetric_m_matrices(A, watched):
    b, n = np.ones(A.shape[0]), A.shape[0]
    plain = linalg.gauss_seidel(A, b, rtol=1e-8, maxiter=2000)
    auto = linalg.sor(A, b, rtol=1e-8, maxiter=2000, callback=(lambda x: None) if watched else None)
    assert plain.converged and auto.converged and np.linalg.norm(b - A @ auto.x) <= 1.01e-8 * np.sqrt(n)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_it_converges_on_dense_definite_matrices(dtype):
    rng = np.random.default_rng(2)
    for n in (1, 2, 30):
        G = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype in "FD" else 0)
        A = (G @ G.conj().T + n * np.eye(n)).astype(dtype)
        assert linalg.sor(A, np.ones(n, dtype), maxiter=2000).converged


WITHOUT_FORMULA = dict(symmetric=True), dict(blocks=50), dict(symmetric=True, blocks=50), dict(symmetric=True, blocks=7)


@pytest.mark.parametrize("options", WITHOUT_FORMULA, ids=str)
def test_it_is_better_than_no_relaxation_where_the_formula_does_not_hold(options):
    A, b = poisson(50, 50), right(2500)
    plain = linalg.sor(A, b, omega=1.0, rtol=1e-8, **options)
    auto = linalg.sor(A, b, rtol=1e-8, **options)
    assert auto.converged and auto.iterations < plain.iterations


def test_symmetric_sweeps_over_colours_are_those_of_gauss_seidel():
    """An omega above 1 makes them slower, and Young's never ends."""
    A, b = poisson(12, 12), right(144)
    options = dict(symmetric=True, ordering="colored", rtol=1e-8)
    auto = linalg.sor(A, b, **options)
    assert auto.x.tobytes() == linalg.gauss_seidel(A, b, **options).x.tobytes()
    others = [linalg.sor(A, b, omega=omega, **options).iterations for omega in (0.8, 0.9, 1.1, 1.3, 1.6)]
    assert auto.converged and auto.iterations <= min(others)


def test_an_omega_tried_in_vain_leaves_no_trace_in_the_iterate():
    """A first trial makes the residual of a cycle many orders larger; it is taken back."""
    A, b = sparse.csr_array(1.01 * np.eye(40) - np.roll(np.eye(40), 1, axis=0)), right(40)
    result = linalg.sor(A, b, rtol=1e-8)
    assert result.residuals.max() > 1e3 * result.residuals[0]
    assert result.converged and np.linalg.norm(b - A @ result.x) <= 1.01e-8 * np.linalg.norm(b)


def test_chunks_of_any_length_give_the_same_bits(monkeypatch):
    A, b = poisson(20, 20), right(400)
    plain = linalg.sor(A, b, rtol=1e-8)
    for longest in (1, 3, 5, 7):
        with monkeypatch.context() as patch:
            patch.setattr("solvers.linalg._setup._LONGEST_CHUNK", longest)
            assert linalg.sor(A, b, rtol=1e-8).x.tobytes() == plain.x.tobytes()
    for most in (plain.iterations, plain.iterations + 1):
        assert linalg.sor(A, b, rtol=1e-8, maxiter=most).x.tobytes() == plain.x.tobytes()
    seen = []
    assert linalg.sor(A, b, rtol=1e-8, callback=seen.append).x.tobytes() == plain.x.tobytes()
    for stop in (3, 8, 20):  # what maxiter leaves is the iterate of that number
        assert linalg.sor(A, b, rtol=1e-8, maxiter=stop).x.tobytes() == seen[stop - 1].tobytes()
