"""What the soak has found, each pinned by the smallest call that shows it."""

import warnings
from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

import solvers
from solvers import InvalidInput, UnsupportedType, inverse, linalg, pde, transport


def unsorted():
    """A CSR matrix of two rows, with a duplicate and columns out of order, whose rows sum to zero."""
    data, columns, ends = [1.0, -2.0, 1.0, -2.0, 2.0], [0, 1, 0, 0, 1], [0, 3, 5]
    return sparse.csr_array((np.array(data), np.array(columns), np.array(ends)), shape=(2, 2))


def matrix():
    """NumPy's own, which it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.matrix([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: pde.nodes(np.ones((2, 3)), 4), UnsupportedType, "`box` must be a sequence of pairs"),
        (lambda: pde.nodes([(0, 1)], sparse.eye_array(3)), InvalidInput, "`n` must be"),
        (lambda: pde.solve_gp(np.ones((2, 2)), 1.0, [(0, 1)], 0), UnsupportedType, "`op` must be a mapping"),
        (lambda: pde.solve_gp({(2,): 1.0}, sparse.eye_array(3), [(0, 1)], 0), UnsupportedType, "`f` must be"),
        (lambda: pde.solve_gp({(2,): 1.0}, 1, [(0, 1)], sparse.eye_array(3)), UnsupportedType, r"`bc\[0, 0\]` must"),
        (lambda: pde.solve_gp({(2,): 1.0}, 10**400, [(0, 1)], 0), InvalidInput, "`f` must be a number of double"),
        (lambda: pde.solve_gp({(2,): 1.0}, 10**5000, [(0, 1)], 0), InvalidInput, "`f` must be a number of double"),
        (lambda: linalg.cg(np.eye(2), [10**400, 1]), InvalidInput, "`b` must hold numbers of double precision"),
        (lambda: pde.div_grad(10**400), UnsupportedType, "`a` must be a function"),
        (lambda: pde.advection(sparse.coo_array(np.ones(3))), UnsupportedType, "`b` must be a sequence"),
        (lambda: pde.advection([1.0] * 4), InvalidInput, "`b` must have 1, 2 or 3 entries"),
        (lambda: inverse.Inpainting([1, [2, 3]]), UnsupportedType, "`mask` must be an array"),
        (lambda: inverse.Downsampling(sparse.eye_array(3), 2), UnsupportedType, "`image_shape` must be"),
        (lambda: inverse.Downsampling((6, 4), sparse.dia_array(np.eye(3))), UnsupportedType, "`factor` must be"),
        (lambda: inverse.check_adjoint(np.eye(2), rng=np.ones((2, 3))), InvalidInput, "`rng` must be"),
        (lambda: inverse.check_adjoint(np.eye(2), rng=matrix()), InvalidInput, "`rng` must be"),
        (lambda: transport.PointCloud(np.ones((0, 2)), np.ones((3, 2))), InvalidInput, "`X` must have points"),
        (lambda: transport.sliced_wasserstein(np.eye(3), np.eye(3), n_projections=1e300), InvalidInput, "`n_"),
        (lambda: pde.nodes([(0, 1)] * 2, np.array([None, np.ones(2)], object)), UnsupportedType, r"`n\[0\]` must be"),
        (lambda: inverse.Gaussian(np.zeros(4), -1.0), InvalidInput, "`covariance` must hold variances"),
        (lambda: inverse.Gaussian(np.zeros(0), 1.0), InvalidInput, "`mean` must have shape"),
        (lambda: inverse.LowRank([[1, 2], [3]], np.ones((3, 2))), InvalidInput, "`U` must be an array"),
        (lambda: inverse.pnp(np.eye(2), np.ones(2), inverse.tv(), sigmas=1j), InvalidInput, "`sigmas` must be"),
        (lambda: linalg.stencil(np.ones((2, 3)), [2, 1]), InvalidInput, "`grid` must be"),
        (lambda: linalg.box_poisson((2, 2), mask=[[1, 2], [3]]), UnsupportedType, "`mask` must be"),
        (lambda: linalg.box_poisson(np.ones((2, 3))), InvalidInput, "`grid` must be"),
        (lambda: linalg.box_poisson((2, 2), sides=np.ones((2, 3))), InvalidInput, "`sides` must be"),
        (lambda: transport.pairwise_sliced_wasserstein(10**400), InvalidInput, "`clouds` must be"),
    ],
)
def test_a_value_of_many_lines_or_digits_is_refused_in_one_short_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres, linalg.solve, linalg.dcdm])
def test_the_search_for_a_null_space_leaves_the_callers_index_arrays_alone(solve):
    # abs() of SciPy's sparse arrays sums duplicates in place.
    A = unsorted()
    before = A.data.copy(), A.indices.copy(), A.indptr.copy()
    solve(A, np.array([1.0, 0.0]), **({"model": None} if solve is linalg.dcdm else {}))
    assert all(np.array_equal(x, y) for x, y in zip(before, (A.data, A.indices, A.indptr)))


@pytest.mark.parametrize("solve", [linalg.sor, linalg.jacobi, linalg.ssor_cg, linalg.cg, linalg.solve, linalg.lsqr])
def test_a_matrix_of_the_other_byte_order_is_taken(solve):
    A = np.array([[4.0, 1.0], [1.0, 3.0]])
    x = solve(A.astype(">f8"), np.array([1.0, 2.0], ">f8")).x
    assert np.allclose(x, np.linalg.solve(A, [1.0, 2.0]), atol=1e-4)
    assert np.allclose(linalg.ic(A.astype(">f8")) @ np.ones(2), linalg.ic(A) @ np.ones(2))


def test_a_preconditioner_beyond_single_precision_ends_as_a_status_without_a_warning():
    A, b = np.eye(3, dtype="f") * 2, np.ones(3, "f")
    assert not linalg.dcdm(A, b, model=lambda r: 0 * r, M=1e200 * np.eye(3)).x.any()


def tuned(rng):
    return linalg.TunedSOR(rng=rng)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linalg.TunedSOR(rng="0"), InvalidInput, "`rng` must be"),
        (lambda: linalg.TunedSOR(grid=1 + 0j), InvalidInput, "`grid` must be"),
        (lambda: linalg.TunedSOR(np.ones(3)), UnsupportedType, "`policy` must be"),
        (lambda: linalg.solve_batches(tuned, [], rng=0.5), InvalidInput, "`rng` must be"),
        (lambda: linalg.solve_batches("a", []), UnsupportedType, "`tuned` must be"),
        (lambda: linalg.solve_batches(tuned, "\n"), UnsupportedType, "`batches` must be"),
        (lambda: linalg.solve_batches(tuned, [3]), UnsupportedType, r"`batches\[0\]` must be"),
        (lambda: linalg.solve_batches(tuned, [[(1,)]]), UnsupportedType, r"`batches\[0\]` must be"),
        (lambda: linalg.solve_batches(lambda rng: "a", [[]]), solvers.TaskError, "`tuned` must make a Tuned"),
        (lambda: linalg.MultigridPreconditioner(dtype=0.5), UnsupportedType, "`dtype` must be"),
        (lambda: linalg.MultigridPreconditioner(dtype="i4"), UnsupportedType, "`dtype` must be"),
    ],
)
def test_what_tunes_and_preconditions_refuses_in_one_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()


def eye(v):
    return v


@pytest.mark.parametrize("method", ["direct", "learned", "amg", "ic", "ssor", "jacobi", "ilu"])
@pytest.mark.parametrize("A", [eye, LinearOperator((3, 3), matvec=eye, dtype=float)], ids=["function", "operator"])
def test_a_method_that_needs_entries_refuses_an_operator(method, A):
    with pytest.raises(InvalidInput, match="`method` must be one that `A` permits"):
        linalg.solve(A, np.ones(3), method=method)


def test_no_right_hand_side_at_all_for_an_operator():
    A = LinearOperator((3, 2), matvec=lambda v: np.ones(3), rmatvec=lambda v: np.ones(2), dtype=float)
    for solve in (linalg.lsqr, linalg.lsmr):
        assert solve(A, np.ones((3, 0))).x.shape == (2, 0)


@pytest.mark.parametrize("option", ["show", "calc_var"])
def test_flags_of_least_squares_are_flags(option):
    with pytest.raises(UnsupportedType, match=f"`{option}` must be True or False"):
        linalg.lsqr(np.eye(2), np.ones(2), **{option: np.ones(2)})


def test_infinite_entries_are_a_status_without_a_warning():
    A = np.eye(3)
    A[0, 0] = np.inf
    prior = inverse.Gaussian(np.zeros(3), 1.0)
    result = inverse.sample(A, np.ones(3), prior=prior, method="gaussian", noise_level=0.1, rng=0)
    assert not result.converged and np.isfinite(result.x).all()


def test_a_denoiser_refuses_what_is_no_image():
    with pytest.raises(UnsupportedType, match="`x` must hold numbers"):
        inverse.tv()(np.array([["a", "b"]]), 0.1)
    with pytest.raises(UnsupportedType, match="`sigma` must be a real number"):
        inverse.tv()(np.ones((1, 4)), None)


@pytest.mark.parametrize("solve", [linalg.cg, linalg.sor, linalg.gmres, linalg.minres, linalg.ssor_cg, linalg.bicgstab])
@pytest.mark.parametrize("unit", [1e-170, 1e-209, 1e-290])
def test_a_start_is_no_solution_of_a_system_whose_squares_underflow(solve, unit):
    A, b, x0 = unit * (2 * np.eye(3) - np.eye(3, k=1)), unit * np.array([1.0, -2.0, 3.0]), np.ones(3)
    result = solve(A, b, x0, rtol=1e-8)
    true = np.linalg.norm((b - A @ result.x) / unit)
    assert result.residual / unit == pytest.approx(true, rel=1e-3, abs=1e-12)
    assert not result.converged or true <= 1e-7


def test_an_infinite_tolerance_does_not_let_an_infinite_start_pass():
    M = 1e200 * np.eye(3)
    result = linalg.cg(np.eye(3, dtype="f"), np.ones(3, "f"), "Mb", M=M, rtol=np.inf)
    assert np.isfinite(result.x).all() and np.isfinite(result.residual)


def test_no_nan_among_the_norms_of_least_squares():
    A = np.eye(3)
    A[0, 0] = np.nan
    for solve in (linalg.lsqr, linalg.lsmr):
        assert not np.isnan(solve(A, np.ones(3), x0=np.ones(3)).residuals).any()
    for method in ("lsmr", "cgls"):
        result = inverse.least_squares(A, np.ones(3), x0=np.ones(3), method=method)
        assert not np.isnan(result.residuals).any() and not np.isnan(result.residual)


def test_variances_of_a_tiny_matrix_are_beyond_numbers_without_an_exception():
    assert np.isfinite(linalg.lsqr(1e-200 * np.eye(2), np.ones(2), calc_var=True).x).all()


def far_out(form):
    """A matrix with an index out of range, which SciPy's products and conversions follow into foreign memory."""
    A = sparse.csr_array(np.eye(9) + np.eye(9, k=1)).asformat(form)
    if form == "coo":
        rows = A.coords[0].copy()
        rows[3] = 10**6
        A.coords = (rows, A.coords[1])
    else:
        A.indices = A.indices.copy()
        A.indices[3] = 10**6
    return A


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize(
    "call",
    [
        lambda A: linalg.lsqr(A, np.ones(9)),
        lambda A: linalg.lsmr(A, np.ones(9)),
        lambda A: inverse.least_squares(A, np.ones(9)),
        lambda A: inverse.least_squares(np.eye(9), np.ones(9), L=A, regularization=1.0),
        lambda A: inverse.pnp(A, np.ones(9), inverse.tv()),
        lambda A: inverse.complete(A, 1, rng=0),
        lambda A: inverse.recover(A, np.ones(9), (3, 3), 1),
        lambda A: inverse.Smoothness(A),
        lambda A: inverse.check_adjoint(A, rng=0),
    ],
)
def test_an_index_out_of_range_is_refused_before_it_is_followed(call, form):
    with pytest.raises(InvalidInput, match="` must have index arrays that fit its shape"):
        call(far_out(form))


def test_a_wrong_product_names_the_parameter_it_comes_from():
    for name, options in (("A", {}), ("M", {"M": lambda v: np.zeros(7)})):
        A = np.eye(3) if options else lambda v: np.zeros(7)
        with pytest.raises(InvalidInput, match=f"A product with `{name}` must have shape"):
            linalg.gmres(A, np.ones(3), **options)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_an_operator_of_any_unit_is_asked_whether_it_is_hermitian_without_a_warning(unit):
    A = LinearOperator((3, 3), matvec=lambda v: unit * np.array([3 * v[0] + v[1], v[0] + 3 * v[1], v[2]]), dtype=float)
    result = linalg.solve(A, unit * np.ones(3))
    assert result.converged and result.choice == "cg"


def test_a_damping_beyond_squares_is_a_status_without_an_exception():
    assert np.isfinite(linalg.lsmr(1e-250 * np.eye(2), np.ones(2), damp=1e3).x).all()


def test_a_start_from_a_tiny_preconditioner_needs_no_warning():
    b = 1e-150 * np.ones(3)
    assert linalg.cg(np.eye(3), b, "Mb", M=1e-170 * np.eye(3)).iterations >= 0


def test_a_product_beyond_numbers_gives_a_status_without_a_warning():
    A = np.eye(3)
    A[0, 0] = np.inf
    result = inverse.pnp(A, np.ones(3), lambda x, sigma: x, maxiter=2, noise_level=0.1)
    assert not result.converged and np.isfinite(result.x).all()


def test_an_empty_stack_is_denoised_to_one():
    pytest.importorskip("skimage")
    assert inverse.nlm()(np.ones((0, 5, 5)), 0.1).shape == (0, 5, 5)
    with pytest.raises(InvalidInput, match="`patch_distance` must be below"):
        inverse.nlm(patch_distance=10**400)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_a_coarse_space_of_any_unit_is_made_or_refused_without_a_warning(unit):
    A = unit * (2 * np.eye(6) - np.eye(6, k=1) - np.eye(6, k=-1))
    try:
        M = linalg.CoarseSpace(2, rng=0).fit(A, np.random.default_rng(0).random((6, 3)) / unit)
        assert np.isfinite(M @ np.ones(6)).all() or unit < 1
    except InvalidInput as error:
        assert "`A` must" in str(error)


def test_a_regularisation_far_beyond_the_prices_of_marginals_is_refused_in_a_sentence():
    with pytest.raises(InvalidInput, match="`eps` must be comparable with `marginal_penalty`"):
        transport.sinkhorn(np.ones((2, 3)), 3 * np.ones(2), 1e-3 * np.ones(3), eps=1e28, marginal_penalty=(1.0, 0.1))


def test_least_squares_beyond_the_range_of_numbers_end_without_a_warning():
    A, b = 1e160 * np.diag([1.0, 1e-3, 1e5]), 1e-160 * np.ones(3)
    for options in ({"atol": 0.0}, {"damp": 0.1}, {}):
        assert not np.isnan(linalg.lsqr(A, b, **options).threshold)


def test_a_plan_of_little_mass_at_costs_below_zero_is_finite_where_it_fails():
    C = np.linspace(-0.5, -0.07, 20)[:, None]
    result = transport.partial(C, np.full(20, 0.05), np.array([2.0]), mass=1e-6, eps=1e-4, maxiter=2000)
    assert np.isfinite(result.plan).all() and np.isfinite([result.value, result.mass, result.marginal_error]).all()


def test_noise_beyond_the_squares_of_single_precision_leaves_the_prior():
    A, b = inverse.Downsampling((4, 4), 2), np.ones((2, 2), "f")
    prior = inverse.Gaussian(np.zeros((4, 4)), 1.0)
    result = inverse.sample(A, b, prior=prior, method="gaussian", noise_level=1e28, n_samples=2, rng=0)
    assert np.isfinite(result.samples).all()


def test_omega_of_a_matrix_with_a_nan_is_refused_or_a_number_without_a_warning():
    A = np.eye(4) * 2 - np.eye(4, k=1) - np.eye(4, k=-1)
    A[0, 1] = np.nan
    try:
        assert 1.0 <= linalg.omega_optimal(A) < 2.0
    except InvalidInput as error:
        assert "`A` must" in str(error)


def test_a_matrix_of_half_precision_is_taken():
    A = (2 * np.eye(4) - np.eye(4, k=1) - np.eye(4, k=-1)).astype("f2")
    for solve in (linalg.sor, linalg.ssor_cg, linalg.solve, linalg.cg):
        assert solve(A, np.ones(4)).converged
    assert np.isfinite(linalg.chebyshev(A) @ np.ones(4)).all()


def test_steps_beyond_single_precision_end_without_a_warning():
    A = np.diag(np.array([1e-30, 1.0, 2.0], "f")) + np.eye(3, k=1, dtype="f")
    for scale in (1e-37, 1e-20, 1.0, 1e37):
        result = linalg.bicgstab(A * np.float32(scale), np.array([1.0, 1e-3, 1e-30], "f"), maxiter=20)
        assert np.isfinite(result.x).all()


@pytest.mark.parametrize("tol", [7.0, np.inf])
@pytest.mark.parametrize("solve", [transport.sinkhorn, transport.sinkhorn_newton_sparse, transport.partial])
def test_a_tolerance_above_the_error_of_no_plan_lets_no_infinite_one_pass(solve, tol):
    C = 1e304 * np.array([[-1.0, 0.3, 0.2], [0.1, -0.7, 0.4]])
    options = {"mass": 0.5} if solve is transport.partial else {}
    for costs in (C, [C, -C]) if solve is transport.sinkhorn else (C,):
        for eps in (1.0, 1e3):
            result = solve(costs, eps=eps, tol=tol, **options)
            assert np.isfinite(result.plan).all() and not np.isnan(result.value).any()
            assert np.isfinite(result.potentials[0]).all() and np.isfinite(result.potentials[1]).all()
            assert not result.converged or np.all(result.marginal_error < 2)


@pytest.mark.parametrize(("unit", "dtype", "start"), [(1e-209, "d", 1.0), (1e-300, "d", 1e-30), (1e-36, "f", 1.0)])
def test_a_matrix_whose_squares_underflow_is_not_called_indefinite(unit, dtype, start):
    A = (unit * (2.1 * np.eye(9) - np.eye(9, k=1) - np.eye(9, k=-1))).astype(dtype)
    b, x0 = (unit * np.arange(1.0, 10)).astype(dtype), np.full(9, start, dtype)
    assert linalg.cg(A, b, x0).status in (solvers.Status.CONVERGED, solvers.Status.BREAKDOWN)
    assert linalg.cg(np.diag([1.0, -1.0]), np.ones(2), np.zeros(2)).status is solvers.Status.INDEFINITE
    result = linalg.minres(A, b, 1e30 * x0)  # 1 / beta is beyond single precision
    assert np.isfinite(result.x).all() and (result.converged or result.residual > result.threshold)


OPERATOR = LinearOperator((3, 3), matvec=eye, dtype=float)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pde.solve_gp({(2,): 1.0}, 1.0, [(0, 1)], OPERATOR), r"`bc\[0, 0\]` must be a function"),
        (lambda: pde.solve_gp({(2,): 1.0}, OPERATOR, [(0, 1)], 0), "`f` must be a function"),
        (lambda: pde.solve_gp({(2,): OPERATOR}, 1.0, [(0, 1)], 0), r"`op\[\(2,\)\]` must be a real number"),
        (lambda: pde.div_grad(OPERATOR), "`a` must be a function"),
        (lambda: linalg.cg(np.eye(3), np.ones(3), callback=OPERATOR), "`callback` must be a function"),
        (lambda: linalg.cg(np.eye(3), np.ones(3), maxiter=int), "`maxiter` must be an integer"),
    ],
)
def test_an_operator_or_a_type_is_no_function_and_no_number(call, words):
    with pytest.raises(UnsupportedType, match=words):
        call()


@pytest.mark.parametrize("huge", [2**40, 2**63, -(10**400), 10**5000], ids=["memory", "int64", "low", "high"])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda n: linalg.box_poisson((n, n)), "grid"),
        (lambda n: linalg.amg(sparse.eye_array(3).tocsr(), degree=n), "degree"),
        (lambda n: transport.max_sliced_wasserstein(np.eye(3), np.ones((3, 3)), n_starts=n), "n_starts"),
        (lambda n: pde.nodes([(0, 1)], n), "n"),
        (lambda n: pde.laplacian(n), "d"),
        (lambda n: inverse.ParallelBeam((4, 4), n), "angles"),
        (lambda n: inverse.Gaussian(np.zeros(3), 1.0).sample(n), "n_samples"),
        (lambda n: inverse.tv(power=n), "power"),
    ],
)
def test_a_count_beyond_memory_is_refused_in_one_short_sentence(call, name, huge):
    with pytest.raises(InvalidInput, match=f"`{name}(\\[0\\])?` must be") as caught:
        call(huge)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("make", [inverse.tv, lambda: inverse.tv(power=1), inverse.nlm])
def test_noise_without_bound_leaves_an_image_its_mean(make):
    pytest.importorskip("skimage")
    x = np.arange(16.0).reshape(1, 4, 4)
    for sigma in (1e300, np.inf):
        assert np.ptp(make()(x, sigma)) < 5 and np.allclose(make()(x, sigma).mean(), 7.5, atol=0.5)


def test_a_regularisation_beyond_the_dtype_is_refused():
    for shape in ((2, 2), (2, 2, 2)):
        with pytest.raises(InvalidInput, match="`eps` must be below"):
            transport.sinkhorn(np.ones(shape, "f"), eps=1e300)


@pytest.mark.parametrize("size", [1e-170, 1e300])
def test_noise_whose_square_is_no_number_is_refused(size):
    A, b, prior = inverse.Downsampling((4, 4), 2), np.ones((2, 2)), inverse.Gaussian(np.zeros((4, 4)), 1.0)
    calls = [partial(inverse.sample, A, b, prior=prior, method=m, rng=0) for m in ("exact", "gaussian", "mmps")]
    for call in (*calls, partial(inverse.pnp, A, b, inverse.tv()), partial(prior.posterior, A, b)):
        with pytest.raises(InvalidInput, match="`noise_level` must be from 1e-150 to 1e150"):
            call(noise_level=size)
    with pytest.raises(InvalidInput, match="`sigma` must be from"):
        prior.log_density(np.zeros((4, 4)), size)


def test_weights_beyond_single_precision_end_without_a_warning():
    A, b = inverse.Downsampling((4, 4), 2), np.ones((2, 2), "f")
    assert np.isfinite(inverse.pnp(A, b, inverse.tv(), noise_level=0.1, rho=1e300).x).all()
    given = {"denoiser": inverse.tv(), "method": "dds", "noise_level": 0.1, "n_steps": 5, "rng": 0}
    assert np.isfinite(inverse.sample(A, b, gamma=1e300, **given).samples).all()


def test_what_a_column_of_zeros_hides_is_a_number():
    # x grows without bound where no product sees it: the residual stays finite.
    A = 0.1 * np.random.default_rng(7).standard_normal((9, 9)).astype("f") + 3 * np.eye(9, k=1, dtype="f")
    A[:, 0] = 0
    for seed in range(6):
        b = np.random.default_rng(seed).standard_normal(9).astype("f")
        assert np.isfinite(linalg.bicgstab(A, b, np.full(9, 1e30, "f"), maxiter=500).x).all()


def test_a_right_hand_side_below_the_normal_numbers_is_scaled_without_a_warning():
    for dtype in "fF":
        b = np.full(3, 1e-44, dtype)
        assert linalg.gmres(np.eye(3, dtype=dtype), b).converged


def test_a_number_is_no_stack_of_images():
    with pytest.raises(InvalidInput, match="`x` must be a stack of images"):
        inverse.tv()(np.longdouble(2.0), 1.0)


def test_an_operator_of_another_shape_is_refused_beside_one_of_images():
    with pytest.raises(InvalidInput, match="`x` must have 16 rows to go with"):
        inverse.Downsampling((4, 4), 2) @ OPERATOR


def test_an_infinite_entry_is_not_compared_with_a_warning():
    with pytest.raises(InvalidInput, match="`A` must be finite"):
        linalg.solve(np.array([[np.inf + 0j]]), np.ones(1), method="amg")


def test_a_sparse_line_is_no_value_of_a_boundary():
    with pytest.raises(UnsupportedType, match=r"`bc\[0, 0\]` must be a function"):
        pde.solve_gp({(2,): 1.0}, 1.0, [(0, 1)], sparse.coo_array(np.ones(3)))


@pytest.mark.parametrize("solve", [linalg.cg, linalg.gmres, linalg.ssor_cg])
def test_a_start_beyond_the_range_of_the_dtype_ends_in_a_status(solve):
    A, b = 3 * np.eye(5, dtype=np.float32), np.ones(5, np.float32)
    result = solve(A, b, x0=np.full(5, 1e300))
    assert result.status is solvers.Status.NONFINITE and np.isfinite(result.x).all()
