"""Who solves the systems of ``learned``: conjugate gradients with learned preconditioners and with their rivals.

What is fitted says what the fit costs: the seconds of this run where it is fitted here, else the evaluations that the
file's header records times the seconds of one on this machine.
"""

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry, UsageError, present
from .families import family

__all__ = ["BASELINE", "DEEP", "LACKS_TORCH", "LEARNED_MG", "LEARNERS", "Answer", "Learner", "forget", "select"]

LEARNERS = Registry("learned method")
LACKS_TORCH = "needs torch, which is not installed: pip install 'adaptive-solvers[deep]'"
BASELINE, LEARNED_MG, DEEP = "pyamg:sa", "mg-learned", "dcdm"

_MAXITER = 200_000
# Beyond so many unknowns a search for omega outside the clock, two dozen solves to learn from, and solves with a
# network would take most of the time of the whole table.
_MOST = {"ssor-best": 100_000, "coarse-space": 100_000, "dcdm": 300_000}
_OMEGAS = (1.4, 1.6, 1.75, 1.85, 1.9, 1.95, 1.98)
_DEEP_GRID, _RITZ, _SAMPLES, _WINDOW = (64, 64), 400, 2000, 20


@dataclass
class Answer:
    """What a solve gave; ``iterations`` so far where it was stopped."""

    x: np.ndarray
    iterations: int
    claimed: bool
    status: str
    message: str = ""


@dataclass(frozen=True)
class Learner:
    """A registered method: ``build(problem)`` gives M, ``solve(problem, M, rtol, watch)`` an Answer.

    ``fit(problem)`` gives (seconds, what was fitted or None), and ``build`` then gets the latter as well; ``reuse``
    says what one fit serves: other systems of the family, or right-hand sides of the same matrix.
    ``refuses(problem)`` is why it is not run, or an empty string.
    """

    name: str
    summary: str
    build: Callable
    solve: Callable
    package: str = ""
    fit: Callable | None = None
    reuse: str = ""
    refuses: Callable = lambda problem: ""


def select(text):
    """The methods of a list, or all; those that were asked for must be there, of the others a row says what lacks."""
    if text is None:
        return list(LEARNERS.values())
    for entry in LEARNERS.select(text):
        if entry.package == "torch" and not present("torch"):
            raise UsageError(f"{entry.name!r} {LACKS_TORCH}.")
    return LEARNERS.asked_for(text)


# ---- conjugate gradients ---------------------------------------------------------------------------


def _answer(result):
    message = "" if result.converged else result.message
    return Answer(result.x, int(result.iterations), bool(result.converged), str(result.status), message)


def _cg(problem, M, rtol, watch):
    from solvers import linalg

    return _answer(linalg.cg(problem.A, problem.b, M=M, rtol=rtol, maxiter=_MAXITER, callback=watch))


def _scipy_cg(problem, M, rtol, watch):
    from scipy.sparse.linalg import cg

    taken, last = 0, None

    def count(x):
        nonlocal taken, last
        taken, last = taken + 1, x
        watch.on_chunk(taken, 0.0)

    try:
        x, info = cg(problem.A, problem.b, M=M, rtol=rtol, maxiter=_MAXITER, callback=count)
    except StopIteration:
        return Answer(last, taken, False, "stopped")
    return Answer(x, taken, info == 0, "converged" if info == 0 else "maxiter")


def _add(name, summary, build, solve=_cg, **more):
    LEARNERS.add(Learner(name, summary, build, solve, **more))


def _too_large(name):
    return lambda problem: "" if problem.n <= _MOST[name] else f"measured up to {_MOST[name]:,} unknowns only"


def _jacobi(problem):
    from scipy import sparse

    return sparse.diags_array(1.0 / problem.A.diagonal())


def _ours(function, **options):
    def build(problem):
        from solvers import linalg

        return getattr(linalg, function)(problem.A, **options)

    return build


def _box(problem):
    from solvers import linalg

    return linalg.box_poisson(problem.grid, sides=problem.sides, mask=~problem.solid)


def _pyamg(function):
    def build(problem):
        import pyamg

        return getattr(pyamg, function)(problem.A).aspreconditioner()

    return build


_add("scipy:cg", "SciPy's conjugate gradients", lambda problem: None, _scipy_cg)
_add("cg", "our conjugate gradients", lambda problem: None)
_add("jacobi", "the diagonal", _jacobi)
_add("ssor", "SSOR, omega estimated by Lanczos steps", _ours("ssor"))


def _best_ssor(problem, omega):
    from solvers import linalg

    return linalg.ssor(problem.A, omega)


def _search_omega(problem):
    """The best of several, each given up where it takes more iterations than the best so far."""
    from solvers import linalg

    start, best, least = time.process_time(), _OMEGAS[0], 10_000
    for omega in _OMEGAS:
        M = linalg.ssor(problem.A, omega)
        found = linalg.cg(problem.A, problem.b, M=M, rtol=1e-6, maxiter=least)
        if found.converged and found.iterations < least:
            best, least = omega, found.iterations
    return time.process_time() - start, best


_add(
    "ssor-best",
    f"SSOR, the best of {len(_OMEGAS)} omegas, which are tried outside the clock",
    _best_ssor,
    fit=_search_omega,
    refuses=_too_large("ssor-best"),
)
_add("ic", "incomplete Cholesky, relaxed by 0.99 where it can be", _ours("ic"))
_add("chebyshev", "Chebyshev polynomial of degree 4", _ours("chebyshev", degree=4))
_add("box", "cosine transforms: the inverse on the box without its solids", _box)
_add(BASELINE, "PyAMG's smoothed aggregation, V-cycle", _pyamg("smoothed_aggregation_solver"), package="pyamg")
_add("pyamg:rs", "PyAMG's classical multigrid, V-cycle", _pyamg("ruge_stuben_solver"), package="pyamg")
_add("amg", "our cycle on PyAMG's smoothed aggregation", _ours("amg"), package="pyamg")


# ---- multigrid with textbook and with fitted parameters ----------------------------------------------


def _textbook(g, K=2):
    def build(problem):
        from solvers import linalg

        parameters = linalg.MultigridPreconditioner(K=K).parameters.copy()
        parameters[:, -1] = g
        M = linalg.MultigridPreconditioner(parameters)
        return M.setup(problem.A, grid=problem.grid, gate=False)

    return build


def _learned(dtype):
    def build(problem):
        from solvers import linalg

        M = linalg.MultigridPreconditioner.pretrained(problem.pretrained, dtype=dtype)
        return M.setup(problem.A, grid=problem.grid)

    return build


def _fit_of_shipped(problem):
    return _seconds_of_fit(problem.pretrained), None


@functools.cache
def _seconds_of_fit(name):
    """CPU seconds of the fit that made shipped parameters: the evaluations on record times those of one, here.

    None without the cma package, which fits them.
    """
    from solvers import linalg

    if not present("cma"):
        return None
    header = linalg.MultigridPreconditioner.pretrained(name).header
    systems = [family(*each) for each in header["training"]]
    grids, spent, evaluations = [system.grid for system in systems], [], (1, 6)
    for budget in (1, *evaluations):  # the first compiles
        start = time.process_time()
        model = linalg.MultigridPreconditioner(K=header.get("K", 2), rng=0)
        model.fit([system.A for system in systems], grid=grids, budget=budget, n_steps=header["steps"])
        spent.append(time.process_time() - start)
    each = max(spent[2] - spent[1], 0.0) / (evaluations[1] - evaluations[0])
    return spent[1] + (header["budget"] - 1) * each


_add("mg-textbook", "multigrid, Chebyshev V(2, 2), c = 2, g = 0", _textbook(0.0))
_add("mg-textbook-25", "multigrid, Chebyshev V(2, 2), c = 2, g = 0.25", _textbook(0.25))
_add("mg-cheb-236", "the same, but 3 steps on the second level and 6 below", _textbook(0.25, (2, 3, 6)))
_add(
    LEARNED_MG,
    "multigrid with the shipped parameters, probed against the textbook's",
    _learned(np.float64),
    fit=_fit_of_shipped,
    reuse="systems",
)
_add(
    "mg-learned-f32",
    "the same with its cycle in single precision, inside of conjugate gradients in double",
    _learned(np.float32),
    fit=_fit_of_shipped,
    reuse="systems",
)


# ---- a learned coarse space, and the deep method -----------------------------------------------------


def _fit_coarse_space(problem):
    from solvers import linalg

    start = time.process_time()
    model = linalg.CoarseSpace(k=16, rng=0).fit(problem.A)
    return time.process_time() - start, model


_add(
    "coarse-space",
    "16 learned directions on ic, for many right-hand sides of one matrix",
    lambda problem, model: model.setup(problem.A),
    fit=_fit_coarse_space,
    reuse="right-hand sides",
    refuses=_too_large("coarse-space"),
)


class _Deep:
    """The network of this run: read from a file, or trained once within its seconds."""

    seconds, path, budget, losses, network = 0.0, None, 120.0, None, None

    def get(self):
        from solvers import deep

        if self.network is None and self.path is not None and os.path.exists(self.path):
            self.network = deep.load(self.path)
        elif self.network is None:
            self._train(deep)
            if self.path is not None:
                self.network.save(self.path)
        return self.network

    def _train(self, deep):
        from .problems import poisson2d

        start, (A, _) = time.process_time(), poisson2d(_DEEP_GRID[0])

        def watch(step, loss):
            if time.process_time() - start > self.budget:
                raise StopIteration

        data = deep.training_data(A, _RITZ, _SAMPLES, rng=0)
        self.network = deep.network("2d", rng=0)
        run = deep.train(self.network, A, _DEEP_GRID, data, n_steps=10**6, lr=1e-3, rng=0, callback=watch)
        self.seconds, self.losses = time.process_time() - start, (run.before, run.after, run.iterations)


deep_model = _Deep()


def forget(path=None, budget=120.0):
    """Begin anew with the deep method: the file of its network, and the CPU seconds of its training."""
    deep_model.__dict__.clear()
    deep_model.path, deep_model.budget = path, budget


def _fit_network(problem):
    network = deep_model.get()
    return deep_model.seconds or None, network


def _direction(problem, network):
    """The network on the grid; it sees zeros in cells that take no part, and what it says there is dropped."""
    model, fluid = network.on(problem.grid), ~problem.solid.ravel()
    return lambda r: model(np.where(fluid, r, 0.0)) * fluid


def _dcdm(problem, model, rtol, watch):
    from solvers import linalg

    result = linalg.dcdm(
        problem.A, problem.b, model=model, n_ortho=_WINDOW, rtol=rtol, maxiter=_MAXITER, callback=watch
    )
    answer = _answer(result)
    if result.fell_back_at is not None:
        answer.message = f"{result.reason} after {result.fell_back_at} iterations; conjugate gradients went on"
    return answer


_add(
    DEEP,
    f"deep conjugate directions, a window of {_WINDOW}, a network trained on the empty box of 64^2 cells",
    _direction,
    _dcdm,
    package="torch",
    fit=_fit_network,
    reuse="systems",
    refuses=lambda problem: _too_large(DEEP)(problem) if len(problem.grid) == 2 else "its network is for 2D",
)
