"""Many right-hand sides on an executor: the bits of the call without it, whatever A and M are; failures are named."""

import functools
import multiprocessing
import pickle
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from solvers import InvalidInput, TaskError, UnsupportedType, linalg
from solvers._tasks import only_on_cpu
from solvers.linalg import _solve
from solvers.linalg._solve_case import Watch

SIDE = 12
N = SIDE * SIDE
K = 19


class Pickled:
    """What processes do to a task, without their second to start: nothing is shared, and all must pickle."""

    def __init__(self):
        self.sent = []

    def submit(self, function, task):
        future = Future()
        try:
            self.sent.append(pickle.dumps((function, task)))
            function, task = pickle.loads(self.sent[-1])
            future.set_result(pickle.loads(pickle.dumps(function(task))))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(3) as pool:
        yield pool


def laplacian(side=SIDE, shift=0.0):
    line = sp.diags_array([-1.0, 2.0 + shift / 2, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    return sp.csr_array(sp.kronsum(line, line))


def right_hand_sides(n=N, k=K):
    """One is zero, one is out of the range of a square."""
    B = np.random.default_rng(0).standard_normal((n, k))
    B[:, 3], B[:, 5] = 0, B[:, 5] * 1e-200
    return B


def times(A, v):
    return A @ v


class Own(LinearOperator):
    """A user's operator."""

    def __init__(self, A):
        super().__init__(A.dtype, A.shape)
        self.entries = A

    def _matvec(self, v):
        return self.entries @ v

    def _adjoint(self):
        return Own(self.entries.conj().T)


FIELDS = (
    "x", "info", "status", "iterations", "residuals", "residual", "threshold", "n_matvec", "backend", "method",
    "choice", "reason", "tried", "omega", "restarts", "fell_back_at",
)  # fmt: skip


def same(one, other):
    assert type(one) is type(other) and len(one) == len(other)
    pairs = [(getattr(one, name, None), getattr(other, name, None)) for name in FIELDS]
    for a, b in [*pairs, *zip(one, other)]:
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def holds(solve, threads):
    """The same result from both executors as without; returns the one without, and what was sent."""
    here, pickled = solve(), Pickled()
    same(here, solve(executor=pickled))
    same(here, solve(executor=threads))
    assert pickled.sent
    return here, pickled.sent


METHODS = [
    linalg.cg, linalg.minres, linalg.bicgstab, linalg.gmres, linalg.dcdm, linalg.ssor_cg, linalg.sor,
    linalg.gauss_seidel, linalg.jacobi, linalg.lsqr, linalg.lsmr,
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=lambda f: f.__name__)
def test_every_method_gives_the_bits_of_the_call_without(method, threads):
    options, B = {"model": None} if method is linalg.dcdm else {}, right_hand_sides()
    B[:, 4] *= 1e-318  # the answer is rounded as it leaves
    result, sent = holds(functools.partial(method, laplacian(), B, **options), threads)
    assert np.ndim(result.x) == 2 and len(sent) == 10  # two columns each


def halved(r):
    """A model without directions for one half."""
    return np.where(np.arange(r.size) < r.size // 2, r, 0)


def test_what_a_method_counts_itself_comes_back(threads):
    A, B = laplacian(), right_hand_sides()
    result, _ = holds(functools.partial(linalg.dcdm, A, B, model=halved), threads)
    assert any(each is not None for each in result.fell_back_at) and len(result.reason) == K
    result, _ = holds(functools.partial(linalg.gmres, A, B, restart=3, maxiter=2), threads)
    assert result.info == 2 and result.iterations.max() == 6


def preconditioners():
    A = laplacian()
    return {
        "none": lambda: None,
        "diagonal": lambda: sp.diags_array(1 / A.diagonal()),
        "dense": lambda: np.linalg.inv(A.toarray()),
        "csr": lambda: sp.csr_array(np.linalg.inv(A.toarray())),
        "own": lambda: Own(np.linalg.inv(A.toarray())),
        "function": lambda: functools.partial(times, np.linalg.inv(A.toarray())),
        "ssor": lambda: linalg.ssor(A, 1.5),
        "ic": lambda: linalg.ic(A),
        "incomplete_cholesky": lambda: linalg.incomplete_cholesky(A),
        "chebyshev": lambda: linalg.chebyshev(A, 4),
        "amg": lambda: linalg.amg(A),
        "ruge_stuben": lambda: linalg.amg(A, kind="ruge_stuben"),
        "box": lambda: linalg.box_poisson((SIDE, SIDE), sides="beyond"),
        "multigrid": lambda: linalg.MultigridPreconditioner().setup(A, grid=(SIDE, SIDE)),
        "coarse space": lambda: linalg.CoarseSpace(4, rng=0).fit(A),
    }


@pytest.mark.parametrize("name", list(preconditioners()))
def test_every_preconditioner_travels(name, threads):
    M = preconditioners()[name]()
    result, _ = holds(functools.partial(linalg.cg, laplacian(), right_hand_sides(), M=M, x0="Mb"), threads)
    assert result.converged


def matrices():
    A, rng = laplacian(), np.random.default_rng(1)
    skew = sp.csr_array(np.triu(rng.standard_normal((N, N)), 1) * (rng.random((N, N)) < 0.02))
    return {
        "dense": A.toarray(),
        "single": A.astype(np.float32),
        "complex": sp.csr_array(A + 1j * (skew - skew.T) * 0.1),
        "stencil": linalg.stencil((SIDE, SIDE), [4, -1, -1]),
        "prepared": linalg.prepare(A),
        "own": Own(A),
        "function": functools.partial(times, A),
        "kronecker": linalg.KroneckerOperator([laplacian(3).toarray(), laplacian(4).toarray()], 1.0),
    }


@pytest.mark.parametrize("name", list(matrices()))
def test_every_kind_of_matrix_travels(name, threads):
    A = matrices()[name]
    b = right_hand_sides()
    if name == "single":
        b = np.where(abs(b) < 1e-30, 1e-3, b).astype(np.float32)
    holds(functools.partial(linalg.cg, A, b), threads)


def test_the_compiled_loop_for_all_columns_is_chosen_for_the_whole_and_cut_into_its_widths(threads):
    """Rows are long, so that the matrix is read once for all columns; a task of two would not have chosen that."""
    rng = np.random.default_rng(2)
    A = sp.csr_array(np.where(rng.random((400, 400)) < 0.05, rng.random((400, 400)), 0))
    A = sp.csr_array(A @ A.T + 10 * sp.eye_array(400))
    result, sent = holds(functools.partial(linalg.cg, A, right_hand_sides(400, 40)), threads)
    assert len(sent) == 3 and b"run_many" in sent[0] and result.converged


def test_columns_that_would_be_spread_over_threads(threads):
    _, sent = holds(functools.partial(linalg.cg, laplacian(32), right_hand_sides(1024, 6)), threads)
    assert len(sent) == 6 and b"run_spread" in sent[0]


def test_failures_of_the_method_come_back_as_they_are(threads):
    """Singular and consistent in one column only, indefinite, not Hermitian, out of steps."""
    walls = sp.csr_array(laplacian() - sp.diags_array(laplacian().sum(axis=1)))
    B = right_hand_sides()
    B[:, 0] -= B[:, 0].mean()
    for A in (walls, Own(walls), laplacian(shift=-3.0), sp.csr_array(sp.triu(laplacian())), Own(sp.triu(laplacian()))):
        for options in ({}, {"maxiter": 3}):
            result, _ = holds(functools.partial(linalg.cg, A, B, **options), threads)
            assert not result.converged
    assert len(set(linalg.cg(walls, B).status)) > 1


@pytest.mark.parametrize("method", ["ic", "amg", "gmres", "learned", "direct"])
def test_solve_sends_its_iterations(method, threads):
    solve = functools.partial(linalg.solve, laplacian(), right_hand_sides(), method=method)
    pickled, here = Pickled(), solve()
    same(here, solve(executor=pickled))
    same(here, solve(executor=threads))
    assert bool(pickled.sent) == (method != "direct")


def test_an_attempt_against_the_clock_stays_here(monkeypatch):
    def plan(case, *_):
        case.watch = Watch(case.rtol, 100)
        yield "ic", 100, "ic: told to."

    monkeypatch.setattr(_solve, "plan", plan)
    A, B, pickled = laplacian(), right_hand_sides(), Pickled()
    same(linalg.solve(A, B), linalg.solve(A, B, executor=pickled))
    assert not pickled.sent


def test_an_operator_is_solved_by_the_method_that_solve_chooses(threads):
    result, _ = holds(functools.partial(linalg.solve, Own(laplacian()), right_hand_sides()), threads)
    assert result.choice == "cg"


@pytest.mark.parametrize("method", [linalg.lsqr, linalg.lsmr])
def test_least_squares_of_any_shape(method, threads):
    rng = np.random.default_rng(3)
    A = sp.csr_array(np.where(rng.random((60, 40)) < 0.2, 1e3 * rng.random((60, 40)), 0))
    B = right_hand_sides(60, 20)
    X0 = np.random.default_rng(4).standard_normal((40, 20))
    for each in (A.tocsr(), A.tocsc(), Rectangle(A.tocsr())):
        holds(functools.partial(method, each, B, damp=0.5, x0=X0), threads)
    pickled = Pickled()
    same(method(A.toarray(), B), method(A.toarray(), B, executor=pickled))
    assert not pickled.sent  # one product of BLAS for all


class Rectangle(Own):
    def _rmatvec(self, v):
        return self.entries.T @ v


def test_one_right_hand_side_is_solved_here_and_none_is_none():
    A, pickled = laplacian(), Pickled()
    for b in (np.ones(N), np.ones((N, 1)), np.ones((N, 0))):
        for method in (linalg.cg, linalg.lsmr, linalg.solve):
            same(method(A, b), method(A, b, executor=pickled))
    assert not pickled.sent


def test_what_is_wrong_is_refused_before_any_task():
    A, B, pickled = laplacian(), right_hand_sides(), Pickled()
    bad = B.copy()
    bad[4, 17] = np.nan
    for method in METHODS:
        options = {"model": None} if method is linalg.dcdm else {}
        for A_, b, error in ((A, bad, InvalidInput), (A, B[:-1], InvalidInput), ("A", B, UnsupportedType)):
            with pytest.raises(error):
                method(A_, b, executor=pickled, **options)
        with pytest.raises(UnsupportedType, match="^`executor` must be None or an open executor"):
            method(A, B, executor=3, **options)
    with pytest.raises(InvalidInput, match="diagonal"):
        linalg.sor(A - sp.diags_array(A.diagonal()), B, executor=pickled)
    assert not pickled.sent


def test_callbacks_and_reports_are_refused():
    A, B = laplacian(), right_hand_sides()
    sentence = "^`(callback|show)` must be (None|False) where there is an `executor`, whose tasks cannot [^.]*[.]$"
    for method in (linalg.cg, linalg.minres, linalg.gmres, linalg.sor, linalg.ssor_cg, linalg.solve):
        with pytest.raises(InvalidInput, match=sentence):
            method(A, B, callback=print, executor=Pickled())
    for method in (linalg.minres, linalg.lsqr, linalg.lsmr):
        with pytest.raises(InvalidInput, match=sentence):
            method(A, B, show=True, executor=Pickled())


class Fragile(Rectangle):
    """Refuses what begins with a large entry."""

    def _matvec(self, v):
        if abs(v[0]) > 0.9 * np.linalg.norm(v):
            raise RuntimeError("this one is too steep")
        return super()._matvec(v)


@pytest.mark.parametrize("method", [linalg.cg, linalg.lsqr])
def test_columns_that_fail_are_named_and_the_others_are_kept(method, threads):
    A, B = Fragile(laplacian()), right_hand_sides()
    B[:, 8] = np.eye(N)[0]
    good = method(Rectangle(laplacian()), B)
    for executor in (Pickled(), threads):
        with pytest.raises(TaskError, match=r"^1 of 10 tasks failed: columns 8 to 9 \(RuntimeError: this") as caught:
            method(A, B, executor=executor)
        error = caught.value
        assert error.results[4] is None and list(error.failures) == [4] and error.names[9] == "column 18"
        for k, part in enumerate(error.results):
            if part is not None:
                assert type(part) is type(good) and np.array_equal(part.x, good.x[:, 2 * k : 2 * k + 2])
                assert np.array_equal(part.iterations, good.iterations[2 * k : 2 * k + 2])


def test_a_local_function_is_told_where_to_go():
    A = laplacian()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        with pytest.raises(TaskError, match="define functions in a module, not by lambda") as caught:
            linalg.cg(lambda v: A @ v, right_hand_sides(), executor=pool)
    assert len(caught.value.failures) == 10


def test_what_is_on_a_gpu_stays_in_this_process():
    assert only_on_cpu("cpu", {"x": 1}) == {"x": 1}
    with pytest.raises(UnsupportedType, match="^`executor` must run its tasks in threads where these are on a GPU"):
        only_on_cpu("gpu", {})
