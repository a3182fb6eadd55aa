"""Batches of transport problems and sliced distances on executors: the bits of the call without one."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, Status, TaskError, UnsupportedType, transport
from solvers.transport import _batch
from solvers.transport._sliced_clouds import Clouds

ARRAYS = "value regularized_value dual_value mass residual iterations newton_steps threshold residuals plan".split()


@pytest.fixture
def small_tasks(monkeypatch):
    """Blocks of three problems of the size below."""
    monkeypatch.setattr(_batch, "_TASK_ENTRIES", 3 * 40 * 30)


def problems(rng, size=10, dtype=np.float64):
    """Some easy, some for Newton's method, one without a plan, some with forbidden pairs and without weight."""
    C, eps = rng.random((size, 40, 30)), np.geomspace(3e-4, 0.5, size)
    a, b = rng.random((size, 40)) + 0.1, rng.random(30) + 0.1
    a[5, :3], C[1, 0, 1:], C[3, 2:] = 0, np.inf, C[3, 2:] + 1
    C[2, np.triu_indices(40, 10, 30)[0], np.triu_indices(40, 10, 30)[1]] = np.inf
    C[7, :20, :28] = np.inf
    return dict(C=C.astype(dtype), a=(a / a.sum(axis=1)[:, None]).astype(dtype), b=(b / b.sum()).astype(dtype), eps=eps)


def assert_same(one, other):
    assert one.status == other.status and one.n_matvec == other.n_matvec
    for name in ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for p, q in zip(one.potentials, other.potentials):
        assert p.dtype == q.dtype and np.array_equal(p, q)


@pytest.mark.parametrize("method", ["auto", "log", "scaling", "sor", "newton"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_batch_on_threads_has_the_bits_of_one_call(rng, small_tasks, method, dtype):
    given = problems(rng, dtype=dtype) | dict(method=method, tol=1e-5, maxiter=1500)
    serial = transport.sinkhorn(**given)
    assert {Status.CONVERGED, Status.INFEASIBLE} <= set(serial.status)
    with ThreadPoolExecutor(3) as pool:
        found = transport.sinkhorn(**given, executor=pool)
        again = transport.sinkhorn(**given | dict(x0=serial.potentials), executor=pool)
    assert_same(found, serial)
    assert_same(again, transport.sinkhorn(**given | dict(x0=serial.potentials)))
    # It is a batch like any other.
    twin = pickle.loads(pickle.dumps(found))
    assert np.array_equal(twin.plan, serial.plan) and repr(twin) == repr(serial) and twin.message == serial.message
    for k, one in enumerate(found):
        assert np.array_equal(one.residuals, serial[k].residuals) and np.array_equal(one.plan, serial.plan[k])


def test_a_batch_from_tasks_draws_its_curves(rng, small_tasks):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot

    with ThreadPoolExecutor(2) as pool:
        axes = transport.sinkhorn(**problems(rng), executor=pool).plot()
    assert len(axes.lines) == 11
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_bit_of_a_problem_depends_on_the_others(rng, dtype):
    given = problems(rng, 9, dtype) | dict(tol=1e-5, maxiter=1500)
    for method in ("auto", "log"):
        whole = transport.sinkhorn(**given, method=method)
        for rows in ([0], [7, 8], [4, 2, 7], [8, 6, 5, 3, 1, 0]):
            part = given | dict(C=given["C"][rows], a=given["a"][rows], eps=given["eps"][rows])
            found = transport.sinkhorn(**part, method=method)
            for name in ("value", "residual", "iterations", "plan"):
                assert np.array_equal(getattr(found, name), getattr(whole, name)[rows]), (method, rows, name)


def test_processes_give_the_same_bits(rng, small_tasks):
    given = problems(rng) | dict(tol=1e-6, maxiter=1500)
    (X, Y), options = clouds(rng), dict(rtol=3e-3, p=1.5, rng=1, max_projections=512)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert_same(transport.sinkhorn(**given, executor=pool), transport.sinkhorn(**given))
        found = transport.sliced_wasserstein(X, Y, **options, executor=pool)
        largest = transport.max_sliced_wasserstein(X, Y, maxiter=10, rng=1, executor=pool)
    assert_same_sliced(found, transport.sliced_wasserstein(X, Y, **options))
    assert largest.power == transport.max_sliced_wasserstein(X, Y, maxiter=10, rng=1).power


def test_a_failed_block_is_named_and_the_others_are_batches(rng, small_tasks, monkeypatch):
    given, begun = problems(rng), _batch.begin

    def fails(problems, threshold):
        if problems.forbids.tolist() == [False, True, True]:
            raise MemoryError("no room")
        begun(problems, threshold)

    whole = transport.sinkhorn(**given)
    monkeypatch.setattr(_batch, "begin", fails)
    words = r"^1 of 4 tasks failed: problems 0 to 2 \(MemoryError: no room\)"
    with ThreadPoolExecutor(2) as pool, pytest.raises(TaskError, match=words) as caught:
        transport.sinkhorn(**given, executor=pool)
    error = caught.value
    assert error.names == ("problems 0 to 2", "problems 3 to 5", "problems 6 to 8", "problem 9")
    assert error.results[0] is None and np.array_equal(error.results[1].plan, whole.plan[3:6])
    assert error.results[1].status == whole.status[3:6] and np.array_equal(error.results[3][0].plan, whole.plan[9])
    assert isinstance(pickle.loads(pickle.dumps(error)).results[1], transport.TransportBatch)


def test_all_is_checked_before_a_task_is_sent(rng):
    class Unused:
        def submit(self, function, task):
            raise AssertionError("a task was sent")

    given = problems(rng)
    negative = given["a"].copy()
    negative[9, 0] = -1
    for wrong in (dict(a=negative), dict(tol=-1.0), dict(maxiter=0), dict(method="none"), dict(eps=-1.0)):
        with pytest.raises(InvalidInput):
            transport.sinkhorn(**given | wrong, executor=Unused())
    for C in (given["C"], given["C"][0]):  # whatever the size of a batch is
        with pytest.raises(InvalidInput, match="^`callback` must be None where there is an `executor`"):
            transport.sinkhorn(C, eps=1.0, callback=solvers.progress(), executor=Unused())
    with pytest.raises(UnsupportedType, match="^`executor` must be"):
        transport.sinkhorn(**given, executor=3)
    with pytest.raises(UnsupportedType, match="^`executor` must be"):
        transport.sinkhorn(given["C"][0], eps=1.0, executor=3)
    # One problem, and none, are solved here.
    assert transport.sinkhorn(given["C"][0], eps=1.0, executor=Unused()).converged
    assert len(transport.sinkhorn(given["C"][:0], eps=1.0, executor=Unused())) == 0


def clouds(rng, n=150, m=110, d=4):
    return rng.random((n, d)), rng.random((m, d)) ** 2 + 0.1


def assert_same_sliced(one, other):
    for name in ("distance", "standard_error", "power", "residuals", "values", "n_matvec", "status", "coefficient"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.confidence_interval() == other.confidence_interval() and one.variance_ratio == other.variance_ratio


@pytest.mark.parametrize(
    "options",
    [
        dict(n_projections=5000),
        dict(rtol=1e-3, atol=1e-5, max_projections=2048, control=None),
        dict(p=1.5, rtol=2e-3, max_projections=2048, weights=True),
        dict(p=1, n_projections=100, directions="sobol", float32=True),
        dict(n_projections=300, control="harmonics", grad=True),
        dict(n_projections=257, control="both", weights=True),
    ],
    ids=str,
)
def test_a_sliced_distance_on_threads_has_the_bits_of_one_call(rng, options):
    options = dict(options)
    X, Y = clouds(rng)
    if options.pop("float32", False):
        X, Y = X.astype(np.float32), Y.astype(np.float32)
    if options.pop("weights", False):
        options |= dict(a=rng.random(len(X)), b=rng.random(len(Y)), normalize=True)
    serial = transport.sliced_wasserstein(X, Y, **options, rng=5)
    seen = []
    with ThreadPoolExecutor(3) as pool:
        found = transport.sliced_wasserstein(X, Y, **options, rng=5, executor=pool, callback=seen.append)
    assert_same_sliced(found, serial)
    assert len(seen) == serial.iterations and (serial.iterations > 1) == ("rtol" in options)
    if "grad" in options:
        assert np.array_equal(found.grad_X, serial.grad_X) and np.array_equal(found.grad_Y, serial.grad_Y)


def test_the_ascents_of_the_largest_sliced_distance_are_tasks(rng):
    X, Y = clouds(rng)
    run = lambda **more: transport.max_sliced_wasserstein(X, Y, n_starts=5, maxiter=40, rng=2, **more)
    serial = run()
    with ThreadPoolExecutor(3) as pool:
        found = run(executor=pool)
    for name in ("distance", "power", "direction", "distances", "n_reached", "iterations", "residuals", "n_matvec"):
        assert np.array_equal(getattr(found, name), getattr(serial, name)), name
    assert found.status is serial.status


def test_a_failed_task_of_a_sliced_distance_is_named(rng, monkeypatch):
    X, Y = clouds(rng)
    powers, options = Clouds.powers, dict(n_projections=35, directions="iid", rng=0)
    whole = transport.sliced_wasserstein(1e100 * X, 1e100 * Y, **options)

    def fails(self, directions, *rest):
        if len(directions) == 11:
            raise MemoryError("no room")
        return powers(self, directions, *rest)

    monkeypatch.setattr(Clouds, "powers", fails)
    words = "1 of 3 tasks failed: directions 0 to 10 .MemoryError"
    with ThreadPoolExecutor(2) as pool, pytest.raises(TaskError, match=words) as caught:
        transport.sliced_wasserstein(1e100 * X, 1e100 * Y, **options, executor=pool)
    assert caught.value.results[0] is None and np.array_equal(caught.value.results[1], whole.values[11:23])


def test_clouds_of_one_line_and_bad_executors(rng):
    X, Y = clouds(rng, d=1)
    with pytest.raises(UnsupportedType, match="^`executor` must be"):
        transport.sliced_wasserstein(X, Y, executor=3)
    with pytest.raises(UnsupportedType, match="^`executor` must be"):
        transport.max_sliced_wasserstein(X, Y, executor="threads")
    with ThreadPoolExecutor(1) as pool:
        assert transport.sliced_wasserstein(X, Y, executor=pool).distance == transport.sliced_wasserstein(X, Y).distance
