"""What a user may write under ``mypy --strict``: every area once, with the types that must come out.

It is checked and never run. SciPy ships no annotations: a user has ``[mypy-scipy.*] ignore_missing_imports = True``
in their settings, as the test has, or installs scipy-stubs; both work here.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

import solvers
from solvers import compat, deep, inverse, linalg, pde, testing, transport
from solvers.compat import pot as ot

Vector = NDArray[np.float64]


class Stopwatch:
    """A progress report of the user's own."""

    def on_chunk(self, iteration: int, norm: float) -> None:
        if iteration > 100:
            raise StopIteration


def the_switch() -> str:
    with solvers.backend("cpu") as switch:
        assert_type(switch, solvers.backend)
    solvers.set_backend("auto")
    solvers.set_threads(2)
    with solvers.set_threads(None) as threads:
        assert_type(threads, solvers.set_threads)
    assert_type(solvers.get_threads(), int)
    assert_type(solvers.backends(), dict[str, str | None])
    return solvers.__version__


def results_and_errors(A: Vector, b: Vector) -> solvers.Result:
    result: linalg.LinearResult = linalg.cg(A, b, callback=solvers.progress())
    assert_type(result.iterations, int | Any)
    assert_type(result.status, solvers.Status | Any)
    assert_type(result.residual, float | Any)
    assert_type(result.residuals, NDArray[Any])
    assert_type(result.converged, bool)
    assert_type(result.message, str)
    assert_type(result.seconds, float)
    assert_type(result.n_matvec, int)
    assert_type(result.check().x, NDArray[Any])
    assert_type(result.to_dict(), dict[str, Any])
    result.plot().set_title("one curve")
    assert_type(solvers.Status.MAXITER.sentence, str)
    assert_type(solvers.Status.MAXITER.info(3), int)
    try:
        linalg.cg(A, b, maxiter=1).check()
    except solvers.ConvergenceError as error:
        print(error.result.status)
    except solvers.DeviceMemoryError as error:
        assert_type(error.requested, int)
    except solvers.TaskError as error:
        assert_type(error.failures, dict[int, BaseException])
        assert_type(error.results, list[Any])
    except (solvers.BackendUnavailable, solvers.InvalidInput, solvers.UnsupportedType) as error:
        print(error)
    return result


def krylov_methods(b: Vector) -> Iterator[int]:
    S = sparse.csr_array(np.eye(16))
    A = linalg.stencil((4, 4), [4, -1, -1])
    x, info = linalg.cg(A, b, rtol=1e-8, M=linalg.ssor(A), callback=lambda xk: None)
    assert_type(x, NDArray[Any])
    assert_type(info, int)
    yield info
    for solve in (linalg.minres, linalg.gmres, linalg.bicgstab, linalg.solve, linalg.sor, linalg.jacobi):
        x, info = solve(S, b)
        yield info
    x, info = linalg.cg(lambda v: 2 * v, b, callback=solvers.maxtime(3.0, solvers.progress()))
    x, info = linalg.ssor_cg(A, b, callback=Stopwatch())
    x, info = linalg.gauss_seidel(A, b)
    x, info = linalg.dcdm(A, b, model=lambda r: r)
    squares: linalg.LeastSquaresResult = linalg.lsqr(S, b)
    assert_type(squares.x, NDArray[Any])
    x, istop, *norms = linalg.lsmr(S, b)
    yield len(norms)


def preconditioners(b: Vector) -> None:
    A: linalg.StencilOperator = linalg.stencil((4, 4), [4, -1, -1])
    assert_type(linalg.prepare(A), linalg.PreparedOperator)
    assert_type(linalg.omega_optimal(A), float)
    cycle: linalg.AMGPreconditioner = linalg.amg(A)
    assert_type(cycle.hermitian, bool)
    polynomial: linalg.ChebyshevPreconditioner = linalg.chebyshev(A, 3)
    assert_type(polynomial.degree, int)
    sweep: linalg.SSORPreconditioner = linalg.ssor(A)
    assert_type(sweep.omega, float)
    assert_type(linalg.ic(A).shift, float)
    assert_type(linalg.incomplete_cholesky(A), linalg.IncompleteCholesky)
    assert_type(linalg.box_poisson((4, 4), sides=["neumann", ("dirichlet", "neumann")]), linalg.BoxPoisson)
    space = linalg.CoarseSpace(4, rng=0).fit(A, callback=solvers.progress())
    space.save("space.npz")
    assert_type(linalg.CoarseSpace.load("space.npz").setup(A), linalg.CoarseSpace)
    linalg.MultigridPreconditioner(rng=0).fit([A], callback=lambda parameters: None).save("cycle.npz")
    M = linalg.MultigridPreconditioner.pretrained("mg2d-poisson").setup(A, grid=(4, 4))
    assert_type(M.parameters, NDArray[np.float64])
    x, info = linalg.cg(A, b, M=M)
    context: linalg.PETScPreconditioner = linalg.PETScPreconditioner(linalg.amg)
    context.setUp(linalg.to_petsc(A, rows=(0, 16)))


def kronecker_products(y: Vector) -> NDArray[Any]:
    K = linalg.KroneckerOperator([np.eye(2), np.eye(8)], shift=1.0)
    assert_type(K.factors, list[NDArray[Any]])
    assert_type(K.solve(y), NDArray[Any])
    return linalg.kron_matvec([np.eye(2), np.eye(8)], linalg.kron_solve([np.eye(2), np.eye(8)], y))


def tuned_methods(b: Vector) -> list[linalg.Tuned]:
    A = linalg.stencil((4, 4), [4, -1, -1])
    tuned = linalg.TunedSOR(rng=0)
    x, info = tuned(A, b, context=1.0)
    assert_type(tuned.omegas, NDArray[Any])
    assert_type(tuned.regret(), NDArray[Any])
    assert_type(tuned.contexts, NDArray[np.float64])
    assert_type(tuned.values, NDArray[Any])
    assert_type(tuned.costs, NDArray[Any])
    tuned.save("tuned.npz")
    assert_type(linalg.TunedSOR().load("tuned.npz"), linalg.TunedSOR)
    made = [linalg.TunedSSORCG(), linalg.TunedChebyshev(), linalg.TunedIncompleteCholesky()]
    with ThreadPoolExecutor() as pool:
        linalg.cg(A, np.stack([b, b], axis=1), executor=pool)
        answers = linalg.solve_batches(lambda rng: linalg.TunedSOR(rng=rng), [[(A, b, 0.1)]], rng=0, executor=pool)
    return [*made, *(each for _, each in answers)]


def what_is_scipys(b: Vector) -> object:
    S = sparse.csc_array(np.eye(16))
    values, vectors = linalg.eigsh(S, k=2)
    return linalg.spsolve(S, b), linalg.aslinearoperator(S), values, vectors


def entropic_transport(C: Vector, X: Vector, Y: Vector) -> float:
    result = transport.sinkhorn(C, eps=0.1, callback=solvers.progress())
    assert_type(result, transport.TransportResult | Any)
    f, g = result.potentials
    again = transport.sinkhorn(C, eps=0.1, x0=(f, g), marginal_penalty=(1.0, None))
    one: NDArray[Any] = again.round() + again.plan + again.grad_cost
    with ThreadPoolExecutor() as pool:
        batch = transport.sinkhorn(np.stack([C, C]), eps=0.1, executor=pool)
    assert isinstance(batch, transport.TransportBatch)
    assert_type(batch.value, NDArray[Any])
    assert_type([each.value for each in batch], list[float])
    clouds = transport.sinkhorn(transport.PointCloud(X, Y), eps=0.1)
    along, across = clouds.grad_points
    assert_type(transport.partial(C, mass=0.5, eps=0.1).mass, float)
    newton: transport.TransportResult = transport.sinkhorn_newton_sparse(C, eps=0.1)
    assert_type(newton.plan, NDArray[Any])
    newton.sparse_plan(1e-9).tocoo()
    divergence: transport.SinkhornDivergence = transport.sinkhorn_divergence(X, Y, eps=0.1).check()
    assert_type(divergence.xy.marginal_error, float)
    return divergence.value + float(one.sum())


def sliced_distances(X: Vector, Y: Vector) -> tuple[float, float]:
    sliced: transport.SlicedResult = transport.sliced_wasserstein(X, Y, rng=0)
    assert_type(sliced.distance, float)
    assert_type(sliced.standard_error, float)
    largest: transport.MaxSlicedResult = transport.max_sliced_wasserstein(X, Y, callback=Stopwatch(), rng=0)
    assert_type(largest.direction, NDArray[Any])
    with ThreadPoolExecutor() as pool:
        D, S = transport.pairwise_sliced_wasserstein([X, Y], errors=True, executor=pool)
        transport.sliced_wasserstein(X, Y, rtol=1e-2, executor=pool)
        transport.max_sliced_wasserstein(X, Y, executor=pool)
    return sliced.confidence_interval(0.9)


def differential_equations() -> NDArray[Any]:
    def source(x: Vector, y: Vector) -> Vector:
        return x * y

    operator = {(2, 0): 1.0, (0, 2): 1.0}
    box = [(0, 1), (0, 1)]
    kernels = [pde.SquaredExponential(1.0), pde.SpectralMixture([0.0, 9.0], 1.0)]
    solution: pde.GPSolution = pde.solve_gp(operator, source, box, 0, n=20, kernel=kernels, callback=Stopwatch())
    assert_type(solution.u, NDArray[Any])
    assert_type(solution.error_estimate, float)
    assert_type(solution.std, NDArray[Any])
    assert_type(solution.predict([[0.5, 0.5]], (1, 0)), NDArray[Any])
    mean, std = solution.predict(solution.axes, return_std=True)
    assert_type(std, NDArray[Any])
    sides = {(0, 0): 0.0, (0, 1): ("neumann", 0.0)}
    pde.solve_gp(pde.laplacian(2), source, box, sides, nonlinear=(lambda u: u**3, lambda u: 3 * u**2))
    assert_type(pde.nodes(box, 5, grid="uniform"), tuple[NDArray[Any], ...])
    terms = [pde.advection([1.0, lambda x, y: x]), pde.div_grad(lambda x, y: 1 + x)]
    given = pde.helmholtz(2, 2.0)
    found: pde.CoefficientEstimate = pde.infer_coefficients(
        terms, mean, 0.0, box, 0, known=given, callback=solvers.maxtime(3.0)
    )
    assert_type(found.theta, NDArray[Any])
    inferred: pde.SourceEstimate = pde.infer_source(operator, mean, box, 0, kernel=pde.Matern(1.0))
    f, deviation = inferred.predict(inferred.axes, return_std=True)
    assert_type(inferred.f, NDArray[Any])
    return deviation


class Halved(inverse.ImagingOperator):
    """A measurement of the user's own."""

    def __init__(self) -> None:
        super().__init__(float, (4, 3), (2, 3))

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        return X[:, ::2].copy()

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(Y, 2, axis=1)


def operators_of_imaging(image: Vector) -> tuple[int, ...]:
    A = inverse.ParallelBeam((16, 16), 12)
    assert_type(A @ image, NDArray[Any])
    assert_type(A.H @ (A @ image), NDArray[Any])
    assert_type(Halved() @ Halved().H, inverse.ImagingOperator)
    assert_type(inverse.fbp(A, A @ image), NDArray[Any])
    assert_type(inverse.check_adjoint(Halved(), rng=0), float)
    inverse.FanBeam((16, 16), 12, source_distance=40.0, detector_distance=40.0)
    inverse.MRI(None, np.ones((4, 4), bool))
    inverse.Blur([0.25, 0.5, 0.25], (5,), boundary="zero")
    inverse.Inpainting([[True, False]])
    inverse.Downsampling((4, 4), 2)
    return A.image_shape


def reconstructions(b: Vector) -> NDArray[Any]:
    def denoiser(x: Vector, sigma: float) -> Vector:
        return x / (1 + sigma**2)

    A = inverse.ParallelBeam((16, 16), 12)
    L = inverse.Gradient((16, 16))
    result = inverse.least_squares(A, b, regularization="gcv", L=L, callback=Stopwatch())
    assert_type(result, inverse.InverseResult)
    assert_type(result.x, NDArray[Any])
    assert_type(inverse.pnp(A, b, inverse.tv(0.1), sigmas=(1.0, 0.1)).sigmas, NDArray[Any])
    inverse.pnp(A, b, inverse.nlm(), noise_level=0.1)
    inverse.pnp(A, b, inverse.from_torch(lambda x, sigma: x))
    with ThreadPoolExecutor() as pool:
        inverse.least_squares(A, np.stack([b, b]), stop="gcv", executor=pool)
        inverse.pnp(A, np.stack([b, b]), inverse.tv(0.1), executor=pool)
        inverse.sample(A, b, denoiser=denoiser, gamma=lambda sigma: sigma**2, n_samples=3, rng=0, executor=pool)
    inverse.sample(A, b, prior=inverse.Smoothness(3 * L), method="gaussian", noise_level=0.1)
    rng = np.random.default_rng(0)
    prior = inverse.GaussianMixture.fit(np.ones((9, 4)), 2, rng=rng, callback=Stopwatch())
    assert_type(prior.posterior(np.eye(4), np.ones(4), noise_level=0.1), inverse.GaussianMixture)
    assert_type((prior.mean, prior.std), tuple[NDArray[Any], NDArray[Any]])
    assert_type((prior.means, prior.covariances), tuple[NDArray[Any], NDArray[Any]])
    assert_type(prior.jacobian_product(prior.mean, 0.1, np.ones(4)), NDArray[Any])
    assert_type(prior.log_density(prior.mean), float | Any)
    assert_type(inverse.Gaussian(np.zeros(4), 1.0).denoise(np.ones(4), 0.1), NDArray[Any])
    return result.x


def matrices_and_sparse_vectors() -> NDArray[Any]:
    completed = inverse.complete(sparse.coo_array(np.eye(5)), 2, rng=0)
    assert_type(completed.x, inverse.LowRank)
    assert_type(completed.x.toarray(), NDArray[Any])
    assert_type(completed.held_out_error, float | None)
    assert_type(inverse.recover(np.ones((9, 9)), np.ones(9), (3, 3), 1).outliers, NDArray[np.bool_])
    sparse_one = inverse.krosbl([np.eye(2), np.eye(3)], np.ones(6), noise_level=0.1)
    assert_type(sparse_one.support, tuple[NDArray[Any], ...])
    return completed.x.entries([0, 1], [1, 0])


def in_pots_words(a: Vector, M: Vector) -> float:
    P, log = ot.sinkhorn(a, a, M, 1.0, log=True)
    loss, log = ot.sinkhorn2(a, a, M, 1.0, log=True)
    compat.pot.sinkhorn(a, a, M, 1.0)
    ot.sinkhorn_log(a, a, M, 1.0)
    ot.sinkhorn_knopp(a, a, M, 1.0)
    ot.sinkhorn_stabilized(a, a, M, 1.0)
    return ot.sinkhorn2(a, a, M, 1.0)


def learned_directions(b: Vector) -> list[float]:
    A = linalg.stencil((8, 8), [4, -1, -1])
    assert_type(deep.memory_of_data(64, 10, 20), int)
    network = deep.network("2d", rng=0).to("cpu")
    assert_type(network.n_parameters, int)
    data = deep.training_data(A, 10, 20, rng=0)
    training: deep.Training = deep.train(network, A, (8, 8), data, callback=solvers.progress())
    model: deep.GridModel = network.on((8, 8))
    x, info = linalg.dcdm(A, b, model=model)
    deep.loss(lambda rows: 2 * rows, model(b), b).backward()
    assert_type(training.iterations, int)
    network.save("network.npz")
    assert_type(deep.load("network.npz"), deep.Network)
    return training.losses


def the_contract() -> dict[str, Any]:
    def same_bits(target: testing.Target) -> None:
        assert_type(target.used_bytes(), int | None)
        assert target.host(target.native(np.ones(3))).all()

    assert_type(testing.Case("mine", "mine-3", 3, "float64", same_bits).id, str)
    own = testing.Method(linalg.cg, definite=True, hermitian=True, results=True)
    assert_type(own.name, str)
    testing.check_method(own, dtypes=("float64",), clauses=testing.CLAUSES[:2])
    testing.as_form(testing.test_matrix(5, testing.DTYPES[0]), testing.FORMS[0])
    return testing.run_gpu_parity(testing.gpu_parity_cases("cg*", quick=True), progress=lambda case, message: None)
