"""The likeliest mistakes of a first hour, as somebody makes them who knows SciPy or POT, and what is said to each."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spilu

import solvers
from solvers import inverse, linalg, pde, transport


@pytest.fixture(scope="module")
def A():
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    return sp.kronsum(line, line).tocsr()


@pytest.fixture(scope="module")
def b():
    return np.ones(25)


@pytest.fixture(scope="module")
def costs():
    return np.random.default_rng(0).random((3, 4))


@pytest.fixture(scope="module")
def scanner():
    return inverse.ParallelBeam((8, 8), angles=6)


def said(error, call, *arguments, **options):
    """The sentence of the error, which must be of this very kind."""
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert type(caught.value) is error
    return str(caught.value)


# ---- linear systems ----


def test_b_of_another_length(A):
    assert said(solvers.InvalidInput, linalg.cg, A, np.ones(24)) == (
        "`b` must have shape (25,) or (25, k) to go with `A` of shape (25, 25), got (24,)."
    )


def test_b_as_a_row(A, b):
    assert said(solvers.InvalidInput, linalg.cg, A, b[None, :]) == (
        "`b` must have shape (25,) or (25, k) to go with `A` of shape (25, 25), got (1, 25)."
    )


def test_b_as_a_column_is_taken(A, b):
    assert linalg.cg(A, b[:, None]).converged


def test_a_matrix_that_is_not_square(A, b):
    assert said(solvers.InvalidInput, linalg.gmres, A[:, :20], b) == (
        "`A` must be square, got shape (25, 20); use lsqr or lsmr for least-squares problems."
    )


def test_tol_of_an_older_scipy_is_pythons_own_error(A, b):
    """SciPy's sentence is the same; newer Pythons add what was meant."""
    assert "cg() got an unexpected keyword argument 'tol'" in said(TypeError, linalg.cg, A, b, tol=1e-8)


def test_nested_lists_in_the_place_of_a_matrix():
    assert said(solvers.UnsupportedType, linalg.cg, [[2.0, 1.0], [1.0, 3.0]], [1.0, 2.0]) == (
        "`A` must be a NumPy or CuPy array, a sparse array, a LinearOperator or a function v -> A v, got list; pass "
        "numpy.asarray(A)."
    )


def test_a_matrix_of_objects():
    objects = np.array([[2, 1], [1, 3]], dtype=object)
    assert said(solvers.UnsupportedType, linalg.cg, objects, np.ones(2)) == (
        "`A` must hold numbers, got dtype object; use A.astype(float)."
    )


def test_integers_and_numpys_matrices_are_taken(A, b):
    assert linalg.cg(A.astype(int), b.astype(int)).converged
    assert linalg.cg(np.matrix([[2, 1], [1, 3]]), [1, 2]).converged


def test_the_function_that_makes_a_preconditioner_or_its_class(A, b):
    assert said(solvers.UnsupportedType, linalg.cg, A, b, M=linalg.amg) == (
        "`M` must be what amg(...) returns, got the function itself; pass M=amg(...)."
    )
    assert said(solvers.UnsupportedType, linalg.gmres, A, b, M=linalg.MultigridPreconditioner) == (
        "`M` must be what MultigridPreconditioner(...) returns, got the class itself; pass "
        "M=MultigridPreconditioner(...)."
    )


def test_a_callback_that_was_not_made_and_a_file_in_the_place_of_axes(A, b):
    assert said(solvers.UnsupportedType, linalg.cg, A, b, callback=solvers.progress) == (
        "`callback` must be what progress(...) returns, got the class itself; pass callback=progress(...)."
    )
    assert said(solvers.UnsupportedType, linalg.cg(A, b).plot, "curve.png") == (
        "`ax` must be None or matplotlib's axes, got str; plot().figure.savefig(...) writes files."
    )


def test_one_tuned_solver_for_all_batches(A, b):
    for tuned in (linalg.TunedSOR(), linalg.TunedSOR):
        assert said(solvers.UnsupportedType, linalg.solve_batches, tuned, [[(A, b)]]) == (
            "`tuned` must be a function of `rng` that makes a Tuned for each batch, got TunedSOR itself; pass one that "
            "returns TunedSOR(..., rng=rng)."
        )


def test_factors_or_a_hierarchy_as_a_preconditioner(A, b):
    pyamg = pytest.importorskip("pyamg")
    demand = "`M` must be a NumPy or CuPy array, a sparse array, a LinearOperator or a function v -> M v, got "
    factors = spilu(A.tocsc())
    assert said(solvers.UnsupportedType, linalg.cg, A, b, M=factors) == f"{demand}SuperLU; pass M.solve."
    assert linalg.cg(A, b, M=factors.solve).converged
    hierarchy = pyamg.smoothed_aggregation_solver(A, max_coarse=5)
    remedy = "MultilevelSolver; pass M.aspreconditioner()."
    assert said(solvers.UnsupportedType, linalg.cg, A, b, M=hierarchy) == demand + remedy
    assert said(solvers.UnsupportedType, linalg.cg, A, b, M="ilu") == f"{demand}str."


def test_a_diagonal_as_a_preconditioner(A, b):
    assert said(solvers.InvalidInput, linalg.cg, A, b, M=1 / A.diagonal()) == (
        "`M` must be square, got shape (25,); for a diagonal matrix pass scipy.sparse.diags_array(M)."
    )


def test_a_preconditioner_that_is_not_set_up(A, b):
    M = linalg.MultigridPreconditioner.pretrained("mg2d-poisson")
    assert said(solvers.InvalidInput, linalg.cg, A, b, M=M) == (
        "`M` must have the shape of `A`, (25, 25), got (0, 0); it is not set up: pass M.setup(A)."
    )


def test_a_result_in_the_place_of_its_solution(A, b):
    result = linalg.cg(A, b)
    sentence = "This LinearResult is not an array; take its .x."
    assert said(solvers.UnsupportedType, np.linalg.norm, result) == sentence
    assert said(solvers.UnsupportedType, lambda: A @ result) == sentence
    assert said(solvers.UnsupportedType, linalg.cg, A, b, x0=result) == f"`x0` must be an array of numbers. {sentence}"
    x, info = result
    assert info == 0 and np.array_equal(x, result.x) and tuple(result)[0] is result.x


# ---- differential equations ----


def test_values_at_other_nodes_than_those_of_the_grid_do_not_pass():
    x = np.linspace(0, 1, 60)
    solution = pde.solve_gp(pde.laplacian(1), -100 * np.sin(10 * x), [(0, 1)], lambda x: np.sin(10 * x))
    assert not solution.converged
    assert solution.message.endswith("values in the place of a function `f` are those at `grid`'s nodes.")
    there = pde.solve_gp(pde.laplacian(1), -100 * np.sin(10 * x), [(0, 1)], lambda x: np.sin(10 * x), grid="uniform")
    assert there.converged


# ---- transport ----


def test_points_in_the_place_of_costs():
    X, Y = np.random.default_rng(0).random((2, 6, 3))
    assert said(solvers.InvalidInput, transport.sinkhorn, X, Y, eps=0.1) == (
        "`a` must have shape (6,) to go with the costs, got (6, 3); for two clouds of points pass PointCloud(X, Y) as "
        "the costs."
    )


@pytest.mark.parametrize(
    ("weights", "got"),
    [(np.ones((3, 1)), "(3, 1); pass numpy.ravel(a)."), ([], "(0,); for uniform weights pass None.")],
)
def test_weights_as_a_column_or_empty_as_in_pot(costs, weights, got):
    sentence = "`a` must have shape (3,) to go with the costs, got "
    assert said(solvers.InvalidInput, transport.sinkhorn, costs, weights, eps=0.1) == sentence + got


def test_weights_before_costs_as_in_pot(costs):
    assert said(solvers.InvalidInput, transport.sinkhorn, np.full(3, 1 / 3), np.full(4, 1 / 4), costs, eps=0.1) == (
        "`C` must have shape (n, m), got (3,); costs come first, weights after them: (C, a, b, eps=...)."
    )


def test_eps_of_zero(costs):
    assert said(solvers.InvalidInput, transport.sinkhorn, costs, eps=0) == (
        "`eps` must be > 0 and finite, got 0.0."
    )


def test_weights_with_different_totals(costs):
    assert said(solvers.InvalidInput, transport.sinkhorn, costs, np.ones(3), np.full(4, 0.5), eps=0.1) == (
        "`a` and `b` must have the same total, got 3 and 2; pass normalize=True, or marginal_penalty for unbalanced "
        "transport."
    )


def test_a_negative_weight(costs):
    assert said(solvers.InvalidInput, transport.sinkhorn, costs, [0.6, -0.1, 0.5], np.full(4, 0.25), eps=0.1) == (
        "`a` must have no negative weight, got -0.1 at [1]."
    )


def test_what_is_no_pair_is_unpacked(costs):
    def unpacked():
        x, info = transport.sinkhorn(costs, eps=0.1)

    assert said(solvers.UnsupportedType, unpacked) == (
        "This TransportResult is no pair (x, info); take its .plan and .converged."
    )


# ---- differential equations ----


@pytest.fixture(scope="module")
def solution():
    u = lambda x, y: np.sin(x) * np.sin(y)
    return pde.solve_gp(pde.laplacian(2), lambda x, y: -2 * u(x, y), [(0, 1)] * 2, u, n=12)


def test_points_of_another_shape(solution):
    demand = "`points` must have shape (m, 2), one point a row, or be a tuple of 2 arrays, got shape "
    assert said(solvers.InvalidInput, solution.predict, [0.1, 0.2]) == f"{demand}(2,)."
    assert said(solvers.InvalidInput, solution.predict, np.ones((2, 9))) == f"{demand}(2, 9)."


def test_coordinates_one_by_one(solution):
    assert said(solvers.InvalidInput, solution.predict, np.ones(3), np.ones(3)) == (
        "`derivative` must have 2 orders, got array([1., 1., 1.]); the arrays of a grid go together: predict((x, y))."
    )


def test_no_values_at_the_sides():
    assert "missing 1 required positional argument: 'bc'" in said(
        TypeError, pde.solve_gp, pde.laplacian(1), np.sin, [(0, 1)]
    )


def test_a_right_hand_side_of_too_few_coordinates():
    sentence = said(solvers.UnsupportedType, pde.solve_gp, pde.laplacian(2), lambda x: x, [(0, 1)] * 2, 0)
    assert sentence.startswith("`f` must take 2 arrays of coordinates, as NumPy's functions do; it raised TypeError: ")
    assert sentence.endswith("<lambda>() takes 1 positional argument but 2 were given.")


# ---- images ----


def test_angles_in_degrees():
    assert said(solvers.InvalidInput, inverse.ParallelBeam, (8, 8), angles=np.arange(0, 180, 30.0)) == (
        "`angles` must be radians between -2 pi and 2 pi, got 150; pass numpy.deg2rad(angles) if they are degrees, "
        "angles % (2 * numpy.pi) if they are radians of several turns."
    )
    around = np.linspace(-np.pi, 2 * np.pi, 7)
    assert np.array_equal(inverse.ParallelBeam((8, 8), angles=around).angles, around)


def test_data_of_another_shape(scanner):
    b = scanner @ np.ones((8, 8))
    assert said(solvers.InvalidInput, inverse.least_squares, scanner, b.T, noise_norm=0.1) == (
        "`b` must have shape (6, 12) or (k, 6, 12) or (72,) or (72, k), got (12, 6)."
    )


def test_the_noise_in_the_place_of_its_norm(scanner):
    b = scanner @ np.ones((8, 8))
    noise = 0.01 * np.random.default_rng(0).standard_normal(b.shape)
    assert said(solvers.InvalidInput, inverse.least_squares, scanner, b + noise, noise_norm=noise) == (
        "`noise_norm` must be a real number or of shape (1,), got shape (6, 12); of the noise itself pass "
        "numpy.linalg.norm(noise)."
    )


def test_the_function_that_makes_a_denoiser(scanner):
    assert said(solvers.UnsupportedType, inverse.pnp, scanner, scanner @ np.ones((8, 8)), inverse.tv) == (
        "`denoiser` must be what tv(...) returns, got the function itself; pass denoiser=tv(...)."
    )


# ---- machines ----


@pytest.mark.skipif(solvers.backends()["gpu"] is None, reason="nothing is wrong with it here")
def test_a_gpu_that_is_not_there():
    sentence = said(solvers.BackendUnavailable, solvers.set_backend, "gpu")
    assert sentence.startswith("The GPU backend cannot run here: ") and sentence.endswith(".")
    assert said(solvers.InvalidInput, solvers.set_backend, "cuda") == (
        "`name` must be one of 'cpu', 'gpu', 'auto', got 'cuda'."
    )
