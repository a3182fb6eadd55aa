"""Transport on the (emulated) GPU: the CPU's answers, in the kind of array that was sent, and no silent way home."""

import copy
import pickle
import types

import numpy as np
import pytest
from emulation import device

import solvers
from solvers import _backend, transport

METHODS = ("auto", "log", "newton", "scaling", "sor")
SHAPES = ((1, 1), (1, 6), (17, 11), (40, 33))


@pytest.fixture
def cupy(emulated):
    return emulated


def measures(n, m, dtype="float64", seed=5):
    """Costs, and weights of one total."""
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.2, rng.random(m) + 0.2
    return [array.astype(dtype) for array in (rng.random((n, m)), a / a.sum(), b / b.sum())]


def host(array):
    return array.get() if hasattr(array, "get") else np.asarray(array)


def agree(here, there, rtol=1e-10):
    """The device's result says what the CPU's says."""
    assert (here.backend, there.backend) == ("cpu", "gpu")
    assert there.status is here.status and there.plan.dtype == here.plan.dtype
    for p, q in zip(here.potentials, there.potentials):
        q, finite = host(q), np.isfinite(p)
        assert q.dtype == p.dtype and np.array_equal(np.isfinite(q), finite)
        assert np.abs(q[finite] - p[finite]).max() <= rtol * max(np.abs(p[finite]).max(), 0.1)
    assert np.abs(host(there.plan) - here.plan).max() <= rtol * here.plan.max()
    for name in ("value", "regularized_value", "dual_value", "mass"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=rtol, abs=rtol)


# ---- the CPU's answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_as_on_the_cpu(cupy, method, shape):
    given = measures(*shape)
    options = dict(eps=0.02, method=method, tol=1e-13)
    agree(transport.sinkhorn(*given, **options), transport.sinkhorn(*map(cupy.asarray, given), **options))


@pytest.mark.parametrize("method", METHODS)
def test_no_method_has_a_race_or_leaves_its_arrays(either, cupy, method):
    given, options = measures(9, 12), dict(eps=0.05, method=method, tol=1e-12)
    agree(transport.sinkhorn(*given, **options), transport.sinkhorn(*map(cupy.asarray, given), **options))


@pytest.mark.parametrize("rule", ["safe", "top-k"])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_sinkhorn_newton_sparse_answers_as_on_the_cpu(cupy, rule, shape):
    given, options = measures(*shape), dict(eps=0.02, rule=rule, tol=1e-13)
    here = transport.sinkhorn_newton_sparse(*given, **options)
    there = transport.sinkhorn_newton_sparse(*map(cupy.asarray, given), **options)
    agree(here, there)
    assert abs(here.newton_steps - there.newton_steps) <= 1


def test_the_largest_entries_alone_are_kept(cupy):
    """Fewer than n + m entries: the count of the steps says which."""
    given, options = measures(16, 16), dict(eps=0.02, rule="top-k", density=0.06, tol=1e-13, warmup=30)
    here = transport.sinkhorn_newton_sparse(*given, **options)
    there = transport.sinkhorn_newton_sparse(*map(cupy.asarray, given), **options)
    agree(here, there)
    assert here.newton_steps > 50 and abs(here.newton_steps - there.newton_steps) <= 0.1 * here.newton_steps


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", 1.5])
@pytest.mark.parametrize("method", ["auto", "newton", "scaling"])
def test_point_clouds_answer_as_on_the_cpu(cupy, method, cost):
    rng = np.random.default_rng(8)
    clouds = rng.random((30, 3)), rng.random((21, 3))
    options = dict(eps=0.05, method=method, tol=1e-13)
    here = transport.sinkhorn(transport.PointCloud(*clouds, cost), **options)
    there = transport.sinkhorn(transport.PointCloud(*map(cupy.asarray, clouds), cost), **options)
    agree(here, there)


def test_wide_plans_of_point_clouds_are_sampled_and_cut(cupy, monkeypatch):
    monkeypatch.setattr("solvers.transport._newton._MOST_ENTRIES", 2)
    clouds = [np.random.default_rng(seed).random((34, 2)) for seed in (1, 2)]
    options = dict(eps=0.05, method="newton", tol=1e-12)
    here = transport.sinkhorn(transport.PointCloud(*clouds), **options)
    agree(here, transport.sinkhorn(transport.PointCloud(*map(cupy.asarray, clouds)), **options))


def test_more_entries_than_the_kernels_count_are_cut(cupy, monkeypatch):
    given, options = measures(20, 20), dict(eps=0.05, method="newton", tol=1e-12)
    here = transport.sinkhorn(*given, **options)
    monkeypatch.setattr(_backend.kernels("gpu"), "MOST_ENTRIES", 200)
    agree(here, transport.sinkhorn(*map(cupy.asarray, given), **options))


def test_divergences_agree(cupy):
    rng = np.random.default_rng(9)
    X, Y = rng.random((20, 2)), rng.random((26, 2)) + 0.3
    here = transport.sinkhorn_divergence(X, Y, eps=0.1, tol=1e-12)
    there = transport.sinkhorn_divergence(cupy.asarray(X), cupy.asarray(Y), eps=0.1, tol=1e-12)
    assert there.xy.backend == there.xx.backend == there.yy.backend == "gpu" and there.converged
    assert there.value == pytest.approx(here.value, rel=1e-10)
    assert 0.0 < there.error <= 2 * here.error + 1e-9


def test_single_precision_stays(cupy):
    given = measures(23, 18, "float32")
    here, there = (
        transport.sinkhorn(*each, eps=0.05, tol=1e-5, method="log") for each in (given, map(cupy.asarray, given))
    )
    agree(here, there, rtol=1e-4)
    assert there.plan.dtype == np.float32


def test_integers_and_strides_of_the_device_are_taken(cupy):
    C = np.random.default_rng(3).integers(0, 9, (14, 11))
    agree(transport.sinkhorn(C.T, eps=0.5, tol=1e-12), transport.sinkhorn(cupy.asarray(C).T, eps=0.5, tol=1e-12))


def test_what_weighs_nothing_is_left_out_and_put_back(cupy):
    C, a, b = measures(15, 12)
    a[[0, 7]], b[3] = 0.0, 0.0
    options = dict(eps=0.05, tol=1e-13, normalize=True)
    here, there = (transport.sinkhorn(*given, **options) for given in ((C, a, b), map(cupy.asarray, (C, a, b))))
    agree(here, there)
    sparse = [result.sparse_plan(1e-3) for result in (here, there)]
    assert np.allclose(host(sparse[1].toarray()), sparse[0].toarray(), atol=1e-12) and sparse[0].nnz == sparse[1].nnz
    assert np.allclose(host(there.round()), here.round(), atol=1e-13)


def test_forbidden_pairs_and_their_proofs(cupy):
    C, a, b = measures(12, 12)
    C[0, 1:] = np.inf
    for allowed in (b, np.concatenate(([0.01], np.full(11, 0.09)))):
        here = transport.sinkhorn(C, np.full(12, 1 / 12), allowed, eps=0.05, normalize=True, tol=1e-12)
        arrays = map(cupy.asarray, (C, np.full(12, 1 / 12), allowed))
        there = transport.sinkhorn(*arrays, eps=0.05, normalize=True, tol=1e-12)
        assert there.status is here.status
    C[0] = np.inf
    assert transport.sinkhorn(cupy.asarray(C), eps=0.05).status is solvers.Status.INFEASIBLE


def test_a_start_of_the_device_is_used(cupy):
    C, a, b = map(cupy.asarray, measures(16, 16))
    first = transport.sinkhorn(C, a, b, eps=0.05, tol=1e-10)
    assert transport.sinkhorn(C, a, b, eps=0.05, tol=1e-9, x0=first.potentials).iterations <= 1


def test_derivatives_come_from_the_device(cupy):
    clouds = [np.random.default_rng(seed).random((9, 2)) for seed in (1, 2)]
    here = transport.sinkhorn(transport.PointCloud(*clouds), eps=0.1, tol=1e-12)
    there = transport.sinkhorn(transport.PointCloud(*map(cupy.asarray, clouds)), eps=0.1, tol=1e-12)
    for want, got in zip(here.grad_points, there.grad_points):
        assert type(got) is cupy.ndarray and np.allclose(got.get(), want, atol=1e-11)
    assert there.grad_cost is there.plan


# ---- what is sent comes back -------------------------------------------------------------------------------


class Foreign:
    """An array of another library, around one of NumPy or CuPy."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __array_namespace__(self):
        return types.SimpleNamespace(from_dlpack=Foreign)


def kinds_of(result):
    return {type(each) for each in (*result.potentials, result.plan, result.round(), result.grad_cost)}


def test_cupy_stays_there(cupy):
    result = transport.sinkhorn(*map(cupy.asarray, measures(8, 9)), eps=0.1)
    assert kinds_of(result) == {cupy.ndarray}
    assert type(result.sparse_plan()).__module__.startswith("cupyx") and result.sparse_plan().nnz == 72
    assert all(type(number) is float for number in (result.value, result.dual_value, result.residual, result.mass))


def test_numpy_goes_there_and_comes_back(cupy):
    given = measures(8, 9)
    copies = [array.copy() for array in given]
    with solvers.backend("gpu"):
        result = transport.sinkhorn(*given, eps=0.1, tol=1e-12)
        cloud = transport.sinkhorn(transport.PointCloud(given[0], given[0]), eps=0.1)
        sparse = transport.sinkhorn_newton_sparse(given[0].tolist(), eps=0.1)
    assert result.backend == cloud.backend == sparse.backend == "gpu"
    assert kinds_of(result) | kinds_of(cloud) | kinds_of(sparse) == {np.ndarray}
    assert type(result.sparse_plan()).__module__.startswith("scipy")
    assert all(map(np.array_equal, given, copies))
    agree(transport.sinkhorn(*given, eps=0.1, tol=1e-12), result)


def test_without_a_word_numpy_stays_at_home(cupy):
    allocated = device.allocated
    assert transport.sinkhorn(measures(8, 9)[0], eps=0.1).backend == "cpu"
    assert device.allocated == allocated


@pytest.mark.parametrize("where", ["cpu", "gpu"])
def test_arrays_of_other_libraries_come_back_as_such(cupy, where):
    made = cupy.asarray if where == "gpu" else np.asarray
    C, a, b = (Foreign(made(array)) for array in measures(8, 9))
    result = transport.sinkhorn(C, a, b, eps=0.1)
    assert result.backend == where and kinds_of(result) == {Foreign}
    assert type(result.plan.array) is type(made([1.0]))
    cloud = transport.sinkhorn(transport.PointCloud(C, C), eps=0.1)
    assert cloud.backend == where and kinds_of(cloud) == {Foreign}


def test_torch_goes_there_and_comes_back(cupy):
    torch = pytest.importorskip("torch")
    C = torch.from_numpy(measures(8, 9)[0])
    with solvers.backend("gpu"):
        result = transport.sinkhorn(C, eps=0.1)
    assert kinds_of(result) == {torch.Tensor} and result.backend == "gpu"


def test_a_callback_gets_the_kind_that_was_sent(cupy):
    seen = []
    C = measures(8, 9)[0]
    transport.sinkhorn(cupy.asarray(C), eps=0.1, callback=seen.extend)
    assert seen and {type(each) for each in seen} == {cupy.ndarray}
    with solvers.backend("gpu"):
        seen.clear()
        transport.sinkhorn(C, eps=0.1, callback=seen.extend)
    assert seen and {type(each) for each in seen} == {np.ndarray}


@pytest.mark.parametrize("carried", [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_a_copy_of_a_result_has_its_plan(cupy, carried):
    result = transport.sinkhorn(cupy.asarray(measures(8, 9)[0]), eps=0.1)
    twin = carried(result)
    assert repr(twin) == repr(result) and np.array_equal(twin.plan.get(), result.plan.get())


def test_a_plan_that_is_asked_for_late_is_that_of_the_solve(cupy):
    C = measures(8, 9)[0]
    there = cupy.asarray(C)
    result = transport.sinkhorn(there, eps=0.1)
    there[...] = 3.0
    assert np.allclose(result.plan.get(), transport.sinkhorn(C, eps=0.1).plan, rtol=1e-9)
    assert not (there.get() - 3.0).any()


# ---- what is refused ---------------------------------------------------------------------------------------

BAD = {
    "nan in C": lambda put: transport.sinkhorn(put([[1.0, np.nan], [-np.inf, 0.0]]), eps=1.0),
    "one row": lambda put: transport.sinkhorn(put([1.0, 2.0]), eps=1.0),
    "no columns": lambda put: transport.sinkhorn(put(np.zeros((2, 0))), eps=1.0),
    "complex": lambda put: transport.sinkhorn(put([[1j]]), eps=1.0),
    "text": lambda put: transport.sinkhorn(put([[1.0]]), eps="small"),
    "nan in a": lambda put: transport.sinkhorn(put(np.eye(3)), put([0.5, np.nan, np.inf]), eps=1.0),
    "negative": lambda put: transport.sinkhorn(put(np.eye(3)), None, put([0.5, 1.0, -0.5]), eps=1.0),
    "total": lambda put: transport.sinkhorn(put(np.eye(2)), put([0.5, 0.5]), put([0.5, 1.0]), eps=1.0),
    "nothing": lambda put: transport.sinkhorn(put(np.eye(2)), put([0.0, 0.0]), eps=1.0),
    "length": lambda put: transport.sinkhorn(put(np.eye(2)), put([0.5, 0.5, 0.5]), eps=1.0),
    "start": lambda put: transport.sinkhorn(put(np.eye(2)), eps=1.0, x0=(put([0.0]), put([0.0, 0.0]))),
    "points": lambda put: transport.PointCloud(put([[0.0, np.inf]]), put([[0.0, 1.0]])),
    "dimensions": lambda put: transport.PointCloud(put([[0.0, 1.0]]), put([[0.0]])),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_on_the_device_is_named_in_the_words_of_the_cpu(cupy, case):
    said = []
    for put in (np.asarray, cupy.asarray):
        with pytest.raises((solvers.InvalidInput, solvers.UnsupportedType)) as caught:
            BAD[case](put)
        said.append((type(caught.value), str(caught.value)))
    assert said[0] == said[1]


def test_arrays_in_two_places_are_refused_in_one_sentence(cupy):
    C, a, b = measures(6, 6)
    there = cupy.asarray(C)
    for call, first, other in (
        (lambda: transport.sinkhorn(there, a, eps=1.0), "C", "a"),
        (lambda: transport.sinkhorn(C, None, cupy.asarray(b), eps=1.0), "b", "C"),
        (lambda: transport.sinkhorn(there, eps=1.0, x0=(cupy.asarray(a), b)), "C", "x0[1]"),
        (lambda: transport.sinkhorn(transport.PointCloud(there, there), a, eps=1.0), "C", "a"),
        (lambda: transport.PointCloud(there, C), "X", "Y"),
        (lambda: transport.sinkhorn_divergence(C, there, eps=1.0), "Y", "X"),
    ):
        with pytest.raises(solvers.UnsupportedType) as caught:
            call()
        assert str(caught.value).startswith(f"`{first}` lives on the GPU and `{other}` does not")


def test_arrays_of_the_device_are_not_brought_home(cupy):
    with solvers.backend("cpu"), pytest.raises(solvers.UnsupportedType, match="`C` lives on the GPU while"):
        transport.sinkhorn(cupy.eye(3), eps=1.0)


def test_without_a_gpu_nothing_runs_elsewhere(monkeypatch):
    if solvers.backends()["gpu"] is None:
        pytest.skip("there is a GPU")
    monkeypatch.setattr(_backend, "_default", "gpu")
    for call in (
        lambda: transport.sinkhorn(np.eye(3), eps=1.0),
        lambda: transport.sinkhorn_newton_sparse(np.eye(3), eps=1.0),
        lambda: transport.sinkhorn_divergence(np.eye(3), np.eye(3), eps=1.0),
        lambda: transport.PointCloud(np.eye(3), np.eye(3)),
    ):
        with pytest.raises(solvers.BackendUnavailable, match=r"The GPU backend cannot run here: .+\."):
            call()
