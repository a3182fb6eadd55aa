"""SSOR as a preconditioner, and conjugate gradients around it by Eisenstat's trick, against dense formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
from sorted_rows import as_csr, bound, chain, dominant, poisson, sort_rows, ssor_inverse

NONFINITE, INDEFINITE, NOT_HERMITIAN = 1, 2, 3


def start(cpu, S, omega, b, share=None):
    """The arrays of ``ssor_cg_chunk`` for x = 0, in the order of S."""
    x, s, p, u = (np.zeros_like(b) for _ in range(4))
    t = np.full_like(b, np.nan)
    rho = cpu.ssor_cg_start(S, omega, b, s, t)
    started = s.copy(), t.copy()
    t[:] = 0
    share = np.sqrt(np.finfo(b.dtype).eps) if share is None else share
    scalars = np.array([rho, 0.0, 0.0, share])
    return SimpleNamespace(S=S, omega=omega, x=x, s=s, t=t, p=p, u=u, scalars=scalars, rho=rho, started=started)


def advance(cpu, c, steps, threshold=0.0):
    """Take steps; returns their norms and the flag."""
    norms = np.full(steps, np.nan)
    taken, flag = cpu.ssor_cg_chunk(
        c.S, c.omega, c.x, c.s, c.t, c.p, c.u, c.scalars, norms, threshold, steps
    )
    assert np.isnan(norms[taken:]).all()
    return norms[:taken], flag


def plain_cg(A, M, b, steps):
    """The iterates of preconditioned conjugate gradients."""
    x, r = np.zeros_like(b), b.copy()
    p = M @ r
    rho = np.vdot(r, p).real
    for _ in range(steps):
        q = A @ p
        alpha = rho / np.vdot(p, q).real
        x, r = x + alpha * p, r - alpha * q
        z = M @ r
        rho, rho_last = np.vdot(r, z).real, rho
        p = z + rho / rho_last * p
        yield x


@pytest.mark.parametrize("omega", [0.3, 1.0, 1.9])
@pytest.mark.parametrize("ordering", ["levels", "colours"])
def test_the_solve_is_a_product_with_the_dense_inverse(cpu, rng, draw, dtype, ordering, omega):
    for n, seed in ((1, None), (40, None), (40, rng)):
        A, r = dominant(n, dtype, rng, hermitian=True), draw(n, dtype)
        S, order = sort_rows(cpu, as_csr(cpu, A, seed), ordering)
        wide = A[order][:, order].astype(np.result_type(dtype, "float64"))
        expected, z = ssor_inverse(wide, omega) @ r[order], np.full(n, np.nan, dtype)
        sorted_r = r[order]
        cpu.ssor_solve(S, omega, sorted_r, z)
        assert np.linalg.norm(z - expected) <= bound(dtype) * np.linalg.norm(expected)
        assert np.array_equal(sorted_r, r[order])
        cpu.ssor_solve(S, omega, sorted_r, sorted_r)  # in place
        assert z.tobytes() == sorted_r.tobytes()


@pytest.mark.parametrize("omega", [0.5, 1.0, 1.7])
def test_each_iterate_and_its_norm_are_those_of_cg_with_the_dense_preconditioner(cpu, rng, draw, dtype, omega):
    for A, seed in ((dominant(40, dtype, rng, hermitian=True), rng), (poisson((5, 6), dtype), None)):
        n, wide = len(A), np.result_type(dtype, "float64")
        S, order = sort_rows(cpu, as_csr(cpu, A, seed))
        b, sorted_A = draw(n, dtype), A[order][:, order].astype(wide)
        M, c = ssor_inverse(sorted_A, omega), start(cpu, S, omega, b)
        near = 100 * bound(dtype)
        assert abs(c.rho - np.vdot(b, M @ b).real / (2 / omega - 1)) <= near * abs(c.rho)
        for x in plain_cg(sorted_A, M, b.astype(wide), 6):
            norms, flag = advance(cpu, c, 1)
            assert flag == 0
            assert np.linalg.norm(c.x - x) <= near * np.linalg.norm(x)
            assert abs(norms[0] - np.linalg.norm(b - sorted_A @ x)) <= near * np.linalg.norm(b)


def test_the_start_is_the_transformed_residual(cpu, rng, draw, dtype):
    A, r = dominant(40, dtype, rng, hermitian=True), draw(40, dtype)
    S, order = sort_rows(cpu, as_csr(cpu, A))
    c, A = start(cpu, S, 1.3, r), A[order][:, order]
    s, t = c.started
    K = np.diag(np.diag(A)) / 1.3 + np.tril(A, -1)
    assert np.allclose(K @ s, r, atol=bound(dtype)) and np.allclose(t, np.diag(A) * s, rtol=bound(dtype))
    assert abs(c.rho - np.vdot(s, t).real) <= bound(dtype) * c.rho


@pytest.mark.parametrize("pieces", [[1] * 12, [5, 7], [2, 9, 1]])
def test_chunks_of_any_length_give_the_same_bits(cpu, draw, dtype, pieces):
    S, order = sort_rows(cpu, as_csr(cpu, poisson((23, 24), dtype)))
    b = draw(order.size, dtype)
    at_once, in_pieces = start(cpu, S, 1.6, b), start(cpu, S, 1.6, b)
    norms, flag = advance(cpu, at_once, 12)
    parts = [advance(cpu, in_pieces, steps) for steps in pieces]
    assert flag == 0 and norms.size == 12 and all(flag == 0 for _, flag in parts)
    assert norms.tobytes() == np.concatenate([part for part, _ in parts]).tobytes()
    assert at_once.x.tobytes() == in_pieces.x.tobytes()
    assert at_once.scalars.tobytes() == in_pieces.scalars.tobytes()


def test_a_chunk_ends_at_the_first_iterate_below_the_threshold(cpu, draw):
    A = poisson((9, 8))
    S, order = sort_rows(cpu, as_csr(cpu, A))
    b, A = draw(72, "float64"), A[order][:, order]
    norms, _ = advance(cpu, start(cpu, S, 1.5, b), 15)
    for wanted in range(15):
        c = start(cpu, S, 1.5, b)
        found, flag = advance(cpu, c, 15, threshold=norms[wanted])
        assert flag == 0 and found.size == 1 + np.argmax(norms <= norms[wanted])
        assert abs(np.linalg.norm(b - A @ c.x) - found[-1]) <= 1e-12 * np.linalg.norm(b)


def test_the_number_of_threads_does_not_change_a_bit(cpu, threads, draw, dtype):
    S, order = sort_rows(cpu, chain(cpu, 200_000, dtype), "colours")
    b, answers = draw(order.size, dtype), set()
    for n in (1, 2, 3):
        threads(n)
        c, z = start(cpu, S, 1.2, b), np.empty_like(b)
        cpu.ssor_solve(S, 1.2, b, z)
        norms, flag = advance(cpu, c, 6)
        answers.add((flag, c.x.tobytes(), norms.tobytes(), c.scalars.tobytes(), z.tobytes()))
    assert len(answers) == 1


def hermitian_with(eigenvalues, rng):
    Q = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))[0]
    return (Q * eigenvalues) @ Q.T


def test_an_indefinite_matrix_is_flagged(cpu, rng, draw):
    A = hermitian_with(np.concatenate([np.linspace(1, 10, 20), [-3.0]]), rng)
    assert np.all(np.diag(A) > 0)
    S, order = sort_rows(cpu, as_csr(cpu, A))
    c = start(cpu, S, 1.0, draw(21, "float64"))
    norms, flag = advance(cpu, c, 30)
    assert flag == INDEFINITE and norms.size < 21
    assert np.isfinite(c.x).all() and np.isfinite(norms).all()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_a_matrix_that_is_not_hermitian_is_flagged(cpu, rng, draw, dtype):
    A = dominant(30, dtype, rng, 0.5) + 20j * np.diag(rng.standard_normal(30))
    S, order = sort_rows(cpu, as_csr(cpu, A.astype(dtype)))
    assert advance(cpu, start(cpu, S, 1.0, draw(30, dtype)), 30)[1] == NOT_HERMITIAN
    # A share of 1 or more lets anything pass.
    assert advance(cpu, start(cpu, S, 1.0, draw(30, dtype), share=np.inf), 2)[1] == 0


@pytest.mark.parametrize("where", ["lower", "upper", "diagonal"])
def test_a_nan_is_flagged_and_never_tested_as_a_norm(cpu, draw, dtype, where):
    S, order = sort_rows(cpu, as_csr(cpu, poisson((6, 7), dtype)))
    (S.diagonal if where == "diagonal" else getattr(S, where).data)[5] = np.nan
    c = start(cpu, S, 1.0, draw(42, dtype))
    norms, flag = advance(cpu, c, 30, threshold=1e-30)
    assert flag == NONFINITE
    assert np.isfinite(norms[:-1]).all()


def test_products_out_of_range_end_as_not_finite(cpu, draw):
    S, order = sort_rows(cpu, as_csr(cpu, poisson((6, 7), "float32") * np.float32(1e30)))
    c = start(cpu, S, 1.0, draw(42, "float32") * np.float32(1e38))
    norms, flag = advance(cpu, c, 30)
    assert flag in (0, NONFINITE) and not np.isnan(norms[:-1]).any()
    assert flag == NONFINITE or np.isfinite(norms).all()


@pytest.mark.parametrize("power", [-660, 660])
def test_the_scale_of_the_matrix_changes_no_norm(cpu, draw, power):
    """Squares of its entries are out of range; a power of two is exact."""
    A, b = poisson((6, 7)), draw(42, "float64")
    plain, scaled = (start(cpu, sort_rows(cpu, as_csr(cpu, each))[0], 1.3, b) for each in (A, A * 2.0**power))
    norms, flag = advance(cpu, plain, 12)
    same, other = advance(cpu, scaled, 12)
    assert flag == other == 0 and norms.tobytes() == same.tobytes()
    assert np.array_equal(plain.x, scaled.x * 2.0**power)
