"""Random calls of what ``solvers.linalg`` sets up: preconditioners, operators, tuned solvers; and their judges."""

import math
from functools import partial

import numpy as np
from scipy import sparse
from soak import Call
from soak_matrices import DEFINITE, KINDS, draw, matrix, stored
from spoilt import disguised, pick

from solvers import linalg

__all__ = ["SETUPS"]


def _definite(rng):
    """A positive definite matrix, mostly, and some storage of it."""
    A = draw(rng, DEFINITE if rng.random() < 0.7 else KINDS)
    return A, stored(A, rng, entries=True)


def judge_product(A, hermitian, M):
    """Products are finite and linear; a Hermitian positive definite preconditioner is that."""
    n = A.shape[0]
    if not np.isfinite(A).all():
        return
    hermitian = hermitian and _is_well_conditioned(A)
    rng = np.random.default_rng(0)
    dtype = np.result_type(A.dtype, "f")
    u, v = (rng.standard_normal(n).astype(dtype) for _ in range(2))
    with np.errstate(all="ignore"):
        size = np.abs(A[A != 0])
    if size.size and not (1e-25 < size.min() and size.max() < 1e25):
        return  # products may leave the range of single precision
    Mu, Mv = (np.asarray(w, np.result_type(w, "d")) for w in (M @ u, M @ v))  # norms of tiny numbers underflow
    assert np.isfinite(Mu).all() and np.isfinite(Mv).all()
    if hermitian:
        scale = np.linalg.norm(Mu) * np.linalg.norm(v) + np.linalg.norm(Mv) * np.linalg.norm(u)
        assert abs(np.vdot(v, Mu) - np.vdot(Mv, u)) <= 1e5 * np.finfo(dtype).eps * scale
        assert np.vdot(u, Mu).real > -1e3 * np.finfo(dtype).eps * scale


def _is_well_conditioned(A):
    """Whether it is positive definite, and no rounding is much enlarged."""
    if not np.allclose(A, A.conj().T, rtol=1e-5):
        return False
    values = np.linalg.eigvalsh(A)
    return values[0] > 1e-4 * values[-1]


def _preconditioner(rng):
    A, S = _definite(rng)
    name = pick(rng, "chebyshev", "ic", "incomplete_cholesky", "ssor", "amg")
    options = {
        "chebyshev": {"degree": pick(rng, 1, 2, 5, 9)},
        "ic": {"relaxation": pick(rng, "auto", 0.0, 0.9, 1.0), "shift": pick(rng, "auto", 0.0, 0.1)},
        "incomplete_cholesky": {"relaxation": pick(rng, 0.0, 0.5, 1.0), "shift": pick(rng, "auto", 0.0, 1.0, None)},
        "ssor": {"omega": pick(rng, "auto", 1.0, 1.7), "ordering": pick(rng, "natural", "colored", "reversed")},
        "amg": {
            "kind": pick(rng, "smoothed_aggregation", "ruge_stuben", "rootnode"),
            "smoother": pick(rng, "chebyshev_jacobi", "chebyshev", "jacobi"),
            "degree": pick(rng, None, 1, 2),
        },
    }[name]
    if name == "chebyshev" and rng.random() < 0.3:
        options["bounds"] = pick(rng, (0.1, 2.0), (1.0, 1.0), (2.0, 0.1), (0.0, 2.0))
    return Call(getattr(linalg, name), {"A": S, **options}, partial(judge_product, A, name in ("ic", "ssor")), [A])


def _omega(rng):
    A, S = _definite(rng)

    def judge(omega):
        assert 1.0 <= omega < 2.0

    return Call(linalg.omega_optimal, {"A": S, "n_steps": pick(rng, 1, 5, 30)}, judge, [A])


def _prepared(rng):
    A = draw(rng)

    def judge(P):
        if np.isfinite(A).all():
            v = np.ones(A.shape[0], A.dtype)
            with np.errstate(all="ignore"):
                expected = A @ v
            if np.isfinite(expected).all():
                assert np.allclose(P @ v, expected, rtol=1e-3, atol=1e-4 * np.abs(A).max(initial=0) * len(v))

    return Call(linalg.prepare, {"A": stored(A, rng)}, judge, [A])


def _stencil(rng):
    shape = pick(rng, (7,), (4, 5), (3, 4, 2), (1,), (1, 1), (2, 1, 3))
    weights = [2.0 * len(shape) + pick(rng, 0.0, 1.0), *-rng.uniform(0.1, 1, len(shape))]

    def judge(S):
        n = math.prod(shape)
        e = np.eye(n)
        A = np.column_stack([S @ e[i] for i in range(n)])
        assert np.allclose(A, A.T) and np.allclose(A.diagonal(), weights[0])

    return Call(linalg.stencil, {"grid": shape, "weights": weights}, judge)


def _box(rng):
    grid = pick(rng, (6,), (4, 5), (3, 4, 2), (1, 1), (8, 8))
    mask = rng.random(grid) >= 0.2 if rng.random() < 0.3 else None
    arguments = dict(
        grid=grid,
        sides=pick(rng, "dirichlet", "neumann", "beyond"),
        weights=pick(rng, 1.0, 1e-3, rng.uniform(0.1, 2, len(grid))),
        shift=pick(rng, 0.0, 0.5),
        mask=mask,
    )
    return Call(linalg.box_poisson, arguments, partial(judge_product, np.eye(math.prod(grid)), True))


def _factors(rng, square):
    sizes = [pick(rng, 1, 2, 3, 4) for _ in range(pick(rng, 1, 2, 3))]
    dtype = pick(rng, "d", "d", "f", "D")
    As = []
    for n in sizes:
        A = rng.standard_normal((n if square else pick(rng, 1, 2, 4), n)).astype(dtype)
        As.append(disguised(A @ A.T + np.eye(n) if square and rng.random() < 0.7 else A, rng))
    return As


def _kron(rng):
    solving = rng.random() < 0.5
    As = _factors(rng, solving)
    K = As[0]
    for A in As[1:]:
        K = np.kron(K, A)
    inner = tuple(A.shape[1] for A in As)
    shape = pick(rng, inner, (math.prod(inner),), (math.prod(inner), 2))
    x = disguised(rng.standard_normal(shape), rng)
    shift = pick(rng, 0.0, 0.0, 1.0) if solving else 0.0
    single = any(A.dtype.char in "fF" for A in As)

    def judge(y):
        flat = x.reshape(K.shape[1], -1)
        out = np.asarray(y).reshape(-1, flat.shape[1])
        if solving:
            S = K + shift * np.eye(len(K))
            noise = np.linalg.norm(S, 2) * np.linalg.norm(out) + np.linalg.norm(flat)
            worst = np.prod([np.linalg.cond(A) for A in As]) if shift == 0 else np.linalg.cond(S) * 100
            assert np.linalg.norm(S @ out - flat) <= min(1e3, worst) * 1e2 * (1e-7 if single else 1e-15) * noise
        else:
            assert np.allclose(out, K @ flat, rtol=1e-4 if single else 1e-10, atol=1e-4 if single else 1e-10)

    if solving:
        return Call(linalg.kron_solve, {"As": As, "y": x, "shift": shift}, judge)
    return Call(linalg.kron_matvec, {"As": As, "x": x}, judge)


def _kron_operator(rng):
    return Call(linalg.KroneckerOperator, {"As": _factors(rng, True), "shift": pick(rng, 0.0, 0.3)})


def coarse_space(A, k, base, snapshots, n_rounds, rtol, rng):
    """Made, fitted, and set up again."""
    return linalg.CoarseSpace(k, base=base, rng=rng).fit(A, snapshots, n_rounds=n_rounds, rtol=rtol).setup(A)


coarse_space.covers = ("CoarseSpace",)


def _coarse(rng):
    A, S = _definite(rng)
    snapshots = rng.standard_normal((A.shape[0], 3)) if rng.random() < 0.4 else None
    arguments = dict(A=S, k=pick(rng, 1, 2, 4), base="ic", snapshots=snapshots, n_rounds=pick(rng, 1, 2))
    arguments |= {"rtol": 0.1, "rng": 0}
    return Call(coarse_space, arguments, partial(judge_product, A, True), [A])


def multigrid(A, grid, K, dtype, parameters, gate):
    """Made and set up."""
    return linalg.MultigridPreconditioner(parameters, K=K, dtype=dtype).setup(A, grid=grid, gate=gate)


multigrid.covers = ("MultigridPreconditioner",)


def grid_matrix(rng, grid):
    """The 5- or 7-point matrix of random faces."""
    n = math.prod(grid)
    number = np.arange(n).reshape(grid)
    A = np.zeros((n, n))
    for axis in range(len(grid)):
        low, high = np.delete(number, -1, axis).ravel(), np.delete(number, 0, axis).ravel()
        w = rng.uniform(0.1, 2, low.size) * (rng.random(low.size) < 0.95)
        A[low, high] = A[high, low] = -w
    A[np.arange(n), np.arange(n)] = -A.sum(1) + pick(rng, 0.0, 0.1) * (rng.random(n) < 0.5)
    return A


def _multigrid(rng):
    grid = pick(rng, (6, 6), (5, 8), (4, 4, 4), (2, 2), (9, 3))
    A = grid_matrix(rng, grid)
    dtype = pick(rng, np.float64, np.float64, np.float32)
    parameters = None if rng.random() < 0.6 else rng.uniform(-1, 3, (2, 4))
    arguments = dict(
        A=pick(rng, sparse.csr_array, sparse.csc_array)(A),
        grid=pick(rng, None, grid),
        K=pick(rng, 1, 2, (3, 1)),
        dtype=dtype,
        parameters=parameters,
        gate=bool(rng.random() < 0.5),
    )
    return Call(multigrid, arguments, partial(judge_product, A.astype("f"), True))


def tuned(kind, policy, grid, systems, rng):
    """The statuses and choices of a tuned solver over some systems."""
    solver = (
        getattr(linalg, kind)(policy, rng=rng) if grid is None else getattr(linalg, kind)(policy, grid=grid, rng=rng)
    )
    for A, b in systems:
        solver(A, b, maxiter=200)
    return solver


def _tuned(rng):
    kind = pick(rng, "TunedSOR", "TunedSSORCG", "TunedIncompleteCholesky", "TunedChebyshev")
    policies = ["auto", "tsallis-inf", "chebyshev", "chebcb", "tsallis-inf-binned"]
    if kind == "TunedSOR":
        policies += ["hageman-young", "lanczos"]
    systems = []
    for _ in range(3):
        A, S = _definite(rng)
        systems.append((S, np.ones(A.shape[0], A.dtype)))
    grid = pick(rng, None, None, [1, 2, 3] if kind == "TunedChebyshev" else [0.1, 0.5, 0.9])

    def judge(solver):
        assert solver.regret().shape == solver.costs.shape == (len(systems),)

    arguments = dict(kind=kind, policy=pick(rng, *policies), grid=grid, systems=systems, rng=0)
    return Call(
        tuned, arguments, judge, fixed=("kind", "systems"), names=("A", "b", "context", "omega", "relaxation", "degree")
    )


def new_tuned(rng):
    """For ``solve_batches``."""
    return linalg.TunedSOR(rng=rng)


def _batches(rng):
    batches = [
        [(matrix(rng, "poisson", pick(rng, 2, 5, 9), "d"), None) for _ in range(pick(rng, 1, 3))]
        for _ in range(pick(rng, 0, 1, 3))
    ]
    batches = [[(A, np.ones(len(A))) for A, _ in batch] for batch in batches]

    def judge(answers):
        assert len(answers) == len(batches)
        assert all(len(results) == len(batch) for batch, (results, _) in zip(batches, answers))

    return Call(
        linalg.solve_batches, {"tuned": new_tuned, "batches": batches, "rng": 0}, judge, names=("A", "b", "context")
    )


SETUPS = (
    _preconditioner,
    _preconditioner,
    _preconditioner,
    _omega,
    _prepared,
    _stencil,
    _box,
    _kron,
    _kron_operator,
    _coarse,
    _multigrid,
    _tuned,
    _batches,
)
