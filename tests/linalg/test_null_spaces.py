"""Singular systems between walls: consistent ones converge, others end as INCONSISTENT with the least-squares x."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from solvers import Status, linalg

WIDTH = 24
# Rows of cells of each part, and whether one of its sides is open.
PARTS = [(9, False), (11, True), (8, False)]
GRID = (sum(height for height, _ in PARTS), WIDTH)


def diffusion(height, width, open_side=False):
    """Cells between walls; with a Dirichlet term in the first row if one side is open."""

    def line(n):
        d = np.full(n, 2.0)
        d[[0, -1]] = 1
        return sparse.diags_array([-np.ones(n - 1), d, -np.ones(n - 1)], offsets=[-1, 0, 1])

    side = np.zeros(height * width)
    side[:width] = 2 * open_side
    return sparse.kronsum(line(width), line(height)) + sparse.diags_array(side)


A = sparse.csr_array(sparse.block_diag([diffusion(h, WIDTH, o) for h, o in PARTS]))
N = A.shape[0]
LABELS = np.repeat(np.arange(3), [h * WIDTH for h, _ in PARTS])
WALLED = [LABELS == part for part, (_, open_side) in enumerate(PARTS) if not open_side]


def null_part(v):
    """What of v the constants on the parts between walls span."""
    out = np.zeros_like(v)
    for part in WALLED:
        out[part] = v[part].mean()
    return out


def draw(dtype="d", seed=0):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(N) + (1j * rng.standard_normal(N) if np.dtype(dtype).kind == "c" else 0)
    return (b + 0.1).astype(dtype)


PRECONDITIONERS = {
    "none": lambda: None,
    "jacobi": lambda: sparse.diags_array(1 / A.diagonal()),
    "multigrid": lambda: linalg.MultigridPreconditioner.pretrained("mg2d-poisson").setup(A, grid=GRID),
    "multigrid32": lambda: linalg.MultigridPreconditioner(dtype=np.float32).setup(A, grid=GRID),
    "amg": lambda: linalg.amg(A),
    "ruge_stuben": lambda: linalg.amg(A, kind="ruge_stuben"),
    "box": lambda: linalg.box_poisson(GRID, sides="neumann"),
    "ic": lambda: linalg.ic(A),
    "ssor": lambda: linalg.ssor(A, 1.5),
    "chebyshev": lambda: linalg.chebyshev(A),
    "function": lambda: lambda v: v / (A.diagonal() + 1),
    "operator": lambda: LinearOperator((N, N), matvec=lambda v: v / A.diagonal(), dtype=float),
}
each_preconditioner = pytest.mark.parametrize("name", PRECONDITIONERS)


def is_least_squares(result, b, rtol):
    """The real residual is what b has in the null space, and x has nothing in it."""
    null = np.linalg.norm(null_part(b))
    eps = np.finfo(b.dtype).eps
    true = np.linalg.norm(b - A @ result.x)
    wide = null_part(result.x.astype(np.result_type(b.dtype, "d")))
    return (
        result.status is Status.INCONSISTENT
        and abs(result.residual - true) <= 100 * eps * np.linalg.norm(result.x)
        and abs(result.residual - null) <= 2 * rtol * np.linalg.norm(b) + 10 * eps * null
        and np.linalg.norm(wide) <= 100 * eps * np.linalg.norm(result.x)
    )


@each_preconditioner
def test_a_consistent_system_converges_and_an_inconsistent_one_ends_with_the_shortest_least_squares_x(name):
    M, b = PRECONDITIONERS[name](), draw()
    consistent = linalg.cg(A, b - null_part(b), M=M, rtol=1e-11)
    assert consistent.status is Status.CONVERGED
    assert np.linalg.norm(b - null_part(b) - A @ consistent.x) <= 1.01e-11 * np.linalg.norm(b)
    result = linalg.cg(A, b, M=M, rtol=1e-9)
    assert is_least_squares(result, b, 1e-9)
    np.testing.assert_allclose(result.x, np.linalg.lstsq(A.toarray(), b)[0], atol=1e-5)
    # As fast as the consistent one, no norm is larger than those of conjugate gradients on a regular system are.
    assert result.iterations <= consistent.iterations
    assert len(result.residuals) == result.iterations + 1 and result.residuals.max() <= 2 * np.linalg.norm(b)
    assert result.residuals[0] == pytest.approx(np.linalg.norm(b)), "they are those of the whole of b"
    assert result.residuals[-1] == pytest.approx(result.residual)


@pytest.mark.parametrize("dtype, rtol", [("f", 1e-4), ("F", 1e-4), ("D", 1e-9)])
@pytest.mark.parametrize("name", ["none", "amg"])
def test_the_other_dtypes_end_the_same_way(dtype, rtol, name):
    M, b = PRECONDITIONERS[name](), draw(dtype)
    assert linalg.cg(A.astype(dtype), (b - null_part(b)).astype(dtype), M=M, rtol=rtol).converged
    result = linalg.cg(A.astype(dtype), b, M=M, rtol=rtol)
    assert is_least_squares(result, b, rtol) and result.x.dtype == dtype


METHODS = {
    "ssor_cg": lambda A, b, **options: linalg.ssor_cg(A, b, omega=1.5, **options),
    "dcdm": lambda A, b, **options: linalg.dcdm(A, b, model=lambda r: -3 * r / A.diagonal(), n_ortho=10, **options),
    "minres": linalg.minres,
    "minres, ic": lambda A, b, **options: linalg.minres(A, b, M=linalg.ic(A), **options),
    "prepared": lambda A, b, **options: linalg.cg(linalg.prepare(A), b, **options),
    "dense": lambda A, b, **options: linalg.cg(A.toarray(), b, **options),
    "integers": lambda A, b, **options: linalg.cg(A.astype(int), b, **options),
}


@pytest.mark.parametrize("name", METHODS)
def test_other_methods_and_storages_end_the_same_way(name):
    b = draw()
    assert METHODS[name](A, b - null_part(b), rtol=1e-10).converged
    assert is_least_squares(METHODS[name](A, b, rtol=1e-9), b, 1e-9)


def test_dcdm_tells_of_the_second_solve():
    b = draw()

    def model(r):
        return r if np.linalg.norm(null_part(r)) > 1e-10 else np.zeros_like(r)  # of no use in the second

    result = linalg.dcdm(A, b, model=model, rtol=1e-8)
    assert is_least_squares(result, b, 1e-8) and result.fell_back_at == 0


def test_many_right_hand_sides_end_each_for_itself():
    B = np.stack([draw(seed=seed) for seed in range(8)], axis=1)
    B[:, ::2] -= np.stack([null_part(b) for b in B.T[::2]], axis=1)
    B[:, 4] = 0
    for M in (None, PRECONDITIONERS["multigrid"]()):
        result = linalg.cg(A, B, M=M, rtol=1e-9)
        assert result.status == (Status.CONVERGED, Status.INCONSISTENT) * 4 and result.info == -13
        for j in range(1, 8, 2):
            np.testing.assert_allclose(result.x[:, j], linalg.cg(A, B[:, j], M=M, rtol=1e-9).x, atol=1e-6)
            assert result.residual[j] == pytest.approx(np.linalg.norm(null_part(B[:, j])), rel=1e-6)
    large = sparse.csr_array(sparse.block_diag([A, A]))  # large enough for one column a thread
    assert linalg.cg(large, np.vstack([B, B]), rtol=1e-9).status == (Status.CONVERGED, Status.INCONSISTENT) * 4


def test_x_keeps_the_means_of_x0():
    b, x0 = draw(), draw(seed=1)
    for name in ("none", "multigrid"):
        result = linalg.cg(A, b, x0, M=PRECONDITIONERS[name](), rtol=1e-10)
        assert result.status is Status.INCONSISTENT
        np.testing.assert_allclose(null_part(result.x), null_part(x0), atol=1e-10)


def test_an_inconsistency_within_the_tolerance_is_none():
    b = draw()
    b += null_part(b) * (1e-7 * np.linalg.norm(b) / np.linalg.norm(null_part(b)) - 1)
    for name in ("none", "multigrid", "ic"):
        M = PRECONDITIONERS[name]()
        assert linalg.cg(A, b, M=M, rtol=2e-7).converged
        assert is_least_squares(linalg.cg(A, b, M=M, rtol=1e-9), b, 1e-9)


def test_rows_of_zeros_are_components_too():
    E = sparse.csr_array(sparse.block_diag([diffusion(6, 6, True), np.zeros((2, 2))]))
    b = np.ones(38)
    for M in (None, linalg.MultigridPreconditioner().setup(sparse.csr_array(sparse.block_diag([E, np.eye(4)])))):
        whole = E if M is None else sparse.csr_array(sparse.block_diag([E, np.eye(4)]))
        result = linalg.cg(whole, np.ones(whole.shape[0]), M=M, rtol=1e-10)
        assert result.status is Status.INCONSISTENT and not result.x[36:38].any()
        assert result.residual == pytest.approx(np.sqrt(2))
    assert linalg.cg(E, np.where(np.arange(38) < 36, b, 0), rtol=1e-10).converged


def test_of_an_operator_the_constant_on_all_unknowns_is_tried_and_what_m_knows():
    one, b = sparse.csr_array(diffusion(12, 15)), draw()[:180]
    box = LinearOperator(one.shape, matvec=lambda v: one @ v, dtype=float)
    result = linalg.cg(box, b, rtol=1e-9)
    assert result.status is Status.INCONSISTENT and result.residual == pytest.approx(abs(b.sum()) / np.sqrt(180))
    several = LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=float)
    for name in ("amg", "multigrid"):
        assert is_least_squares(linalg.cg(several, draw(), M=PRECONDITIONERS[name](), rtol=1e-9), draw(), 1e-9)
    # Nobody knows its parts: it is singular and not solved, but x is no worse than none.
    unknown = linalg.cg(several, draw(), rtol=1e-9)
    assert unknown.status is Status.INDEFINITE and unknown.residual <= np.linalg.norm(draw()) * (1 + 1e-12)


def test_products_of_both_solves_are_counted():
    calls = []

    def matvec(v):
        calls.append(1)
        return one @ v

    one, b = sparse.csr_array(diffusion(12, 15)), draw()[:180]
    for M in (None, linalg.amg(one)):
        calls.clear()
        result = linalg.cg(LinearOperator(one.shape, matvec=matvec, dtype=float), b, M=M, rtol=1e-9)
        assert result.status is Status.INCONSISTENT and result.n_matvec == len(calls)


def test_a_null_space_that_m_has_and_a_has_not_is_not_believed():
    regular, b = sparse.csr_array(A + 1e-3 * sparse.eye_array(N)), draw()
    for name in ("amg", "multigrid"):
        assert linalg.cg(regular, b, M=PRECONDITIONERS[name](), rtol=1e-6).status is not Status.INCONSISTENT
    result = linalg.cg(regular, b, M=PRECONDITIONERS["ic"](), rtol=1e-9)
    assert result.converged and np.abs(null_part(result.x)).max() > 10


def test_regular_and_indefinite_matrices_keep_their_names():
    chain = sparse.diags_array([-np.ones(29), np.r_[1, np.full(28, 2.0), 1], -np.ones(29)], offsets=[-1, 0, 1])
    signs = sparse.csr_array(sparse.block_diag([chain, -chain]))  # every row sums to zero, but it is indefinite
    b = draw()[:60]
    assert linalg.cg(signs, b).status is Status.INDEFINITE
    skew = sparse.csr_array(chain + sparse.diags_array([np.ones(29), -np.ones(29)], offsets=[1, -1]) * 0.5)
    assert linalg.cg(skew, b[:30]).status is Status.NOT_HERMITIAN
    assert linalg.cg(A, draw(), maxiter=3).status is Status.MAXITER
    tiny = sparse.csr_array(chain + 1e-9 * sparse.eye_array(30))
    assert linalg.cg(tiny, b[:30], rtol=1e-4).converged


def test_the_second_solve_can_be_stopped():
    seen = []

    def callback(x):
        seen.append(x)
        if len(seen) == 5:
            raise StopIteration

    result = linalg.cg(A, draw(), M=PRECONDITIONERS["multigrid"](), callback=callback, rtol=1e-12)
    assert result.status is Status.STOPPED and result.iterations == 5
    assert np.linalg.norm(draw() - A @ result.x) == pytest.approx(result.residual)


def test_b_is_not_written_to():
    b = draw()
    kept = b.copy()
    linalg.cg(A, b)
    linalg.cg(A, b, M=PRECONDITIONERS["multigrid"]())
    assert np.array_equal(b, kept)
