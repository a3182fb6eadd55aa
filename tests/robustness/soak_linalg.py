"""Random calls of ``solvers.linalg``, and their judges."""

import math
from functools import partial

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from soak import Call
from soak_matrices import DEFINITE, KINDS, draw, right_side, stored
from soak_setup import SETUPS
from spoilt import Broken, pick

from solvers import Status, linalg

__all__ = ["make"]


class Counter:
    """A callback that counts, stops, or raises."""

    def __init__(self, stop_at=None, raise_at=None):
        self.count, self._stop, self._raise = 0, stop_at, raise_at

    def __call__(self, *_):
        self.count += 1
        if self.count == self._stop:
            raise StopIteration
        if self.count == self._raise:
            raise Broken("by the callback")


class OnChunk(Counter):
    """The same for ``on_chunk``."""

    on_chunk = Counter.__call__


def callbacks(rng):
    return pick(
        rng,
        Counter(),
        Counter(stop_at=1),
        Counter(stop_at=3),
        Counter(raise_at=2),
        OnChunk(),
        OnChunk(stop_at=1),
        OnChunk(raise_at=1),
        print_nothing,
    )


def print_nothing(*_):
    return None


def preconditioner(A, rng):
    """Something for ``M``: fine, useless, singular, indefinite, or broken."""
    n, dtype = A.shape[0], A.dtype
    with np.errstate(all="ignore"):
        d = np.abs(A.diagonal())
        inverse = np.where((d > 0) & np.isfinite(1 / d), 1 / d, 1).astype(dtype)
    choices = {
        "jacobi": lambda: sparse.diags_array(inverse),
        "identity": lambda: sparse.eye_array(n, dtype=dtype),
        "dense": lambda: np.diag(inverse),
        "singular": lambda: np.zeros((n, n), dtype),
        "indefinite": lambda: np.diag(np.where(np.arange(n) % 2, -1, 1)).astype(dtype),
        "operator": lambda: LinearOperator((n, n), matvec=lambda v: inverse * v.reshape(-1), dtype=dtype),
        "function": lambda: lambda v: inverse * v,
        "nan": lambda: LinearOperator((n, n), lambda v: v * np.nan, dtype=dtype),
        "raises": lambda: LinearOperator((n, n), matvec=_broken, dtype=dtype),
        "scaled": lambda: np.eye(n) * 1e200,
        "float": lambda: sparse.csr_array(np.eye(n)),
        "ic": lambda: linalg.ic(A),
        "ssor": lambda: linalg.ssor(A),
        "chebyshev": lambda: linalg.chebyshev(A),
    }
    try:
        return choices[pick(rng, *choices)]()
    except (ValueError, TypeError):
        return None


def _broken(*_):
    raise Broken("in a product")


def wide(*arrays):
    """In long double, whose range makes scaling unnecessary."""
    kind = np.clongdouble if any(np.iscomplexobj(a) for a in arrays) else np.longdouble
    return [np.asarray(a).astype(kind) for a in arrays]


def true_norm(A, x, b, dtype=np.float64):
    """||b - A x|| of each column, and what rounding in that precision may make of it."""
    A, x, b = wide(A, x, b)
    r = b - A @ x
    unit = 2 * float(np.finfo(dtype).eps) * math.sqrt(max(A.shape))
    size = np.abs(A) @ np.abs(x) + np.abs(b)
    return np.sqrt((np.abs(r) ** 2).sum(0)), unit * np.sqrt((np.abs(size) ** 2).sum(0))


def precision(A, stored):
    """In which residuals are recomputed: float64, but for an operator, whose products are as they are."""
    return A.dtype if isinstance(stored, LinearOperator) else np.float64


def judge_linear(A, b, rtol, atol, shift, dtype, result):
    """Converged columns have the residual that was asked for; thresholds and residuals are what they are said to be."""
    A = A - shift * np.eye(A.shape[0], dtype=A.dtype)
    x = result.x
    assert x.shape == (b.shape[0],) if b.shape[1:] == (1,) or b.ndim == 1 else x.shape == b.shape, x.shape
    flat = b.reshape(len(b), -1)
    statuses = np.atleast_1d(np.asarray(result.status, object))
    if not np.isfinite(A).all():  # then x = 0 alone has a residual, which is b
        within = np.linalg.norm(flat, axis=0) <= result.threshold
        assert within[statuses == Status.CONVERGED].all()
        return
    gaps, noise = true_norm(A, x.reshape(len(b), -1), flat, dtype)
    for j, status in enumerate(statuses):
        asked, said = np.atleast_1d(result.threshold)[j], np.atleast_1d(result.residual)[j]
        size = float(np.sqrt((np.abs(wide(flat[:, j])[0]) ** 2).sum()))
        slack = float(noise[j]) + 1e-320
        if rtol is not None:
            expected = max(atol, rtol * size) if size else 0.0
            assert not expected or np.isclose(asked, expected, rtol=1e-5, atol=1e-320) or asked == math.inf, (
                asked,
                expected,
            )
        same = float(gaps[j]) == said  # as infinities are that an infinite tolerance lets pass
        assert same or abs(float(gaps[j]) - said) <= 1e-3 * said + slack, (float(gaps[j]), said, str(status))
        if status is Status.CONVERGED:
            assert float(gaps[j]) <= asked * (1 + 1e-6) + slack, (float(gaps[j]), asked)
    assert result.converged == all(s is Status.CONVERGED for s in statuses)
    assert (result.info == 0) == result.converged


def judge_least_squares(A, b, damp, dtype, result):
    """The residual is what it is said to be, and no worse than that of zero."""
    if not np.isfinite(A).all():
        return
    flat = b.reshape(len(b), -1)
    x = result.x.reshape(A.shape[1], -1)
    gaps, noise = true_norm(A, x, flat, dtype)
    sizes = np.sqrt((np.abs(wide(flat)[0]) ** 2).sum(0))
    for j, status in enumerate(np.atleast_1d(np.asarray(result.status, object))):
        if status is Status.CONVERGED and not damp:
            said = np.atleast_1d(result.residual)[j]
            assert abs(float(gaps[j]) - said) <= 1e-3 * said + float(noise[j]) + 1e-320, (float(gaps[j]), said)
            assert float(gaps[j]) <= float(sizes[j]) * (1 + 1e-5) + float(noise[j])


SWEEPS = ("jacobi", "gauss_seidel", "sor", "ssor_cg")
ITERATIVE = ("cg", "minres", "bicgstab", "gmres", *SWEEPS, "dcdm", "solve")


def _model(rng):
    return pick(
        rng, None, lambda r: r, lambda r: 0 * r, lambda r: r * np.nan, lambda r: r[::-1], _broken, lambda r: r[:-1]
    )


def _iterative(rng):
    name = pick(rng, *ITERATIVE)
    hermitian = name in ("cg", "ssor_cg", "sor", "jacobi", "gauss_seidel")
    A = draw(rng, DEFINITE if hermitian and rng.random() < 0.5 else KINDS)
    b = right_side(A, rng)
    rtol, atol = pick(rng, 1e-5, 1e-5, 1e-8, 1e-12, 0.0, 1e-3, math.inf), pick(rng, 0.0, 0.0, 0.0, 1e-3, math.inf)
    arguments = dict(A=stored(A, rng, entries=name in SWEEPS), b=b, rtol=rtol, maxiter=pick(rng, 1, 3, 40, 200, 200))
    if name != "minres":
        arguments["atol"] = atol
    if rng.random() < 0.2 and name != "gmres":
        arguments["maxiter"] = None
    if rng.random() < 0.25:
        arguments["callback"] = callbacks(rng)
    if name != "solve" and rng.random() < 0.3:
        arguments["x0"] = pick(rng, np.ones(b.shape, b.dtype), rng.standard_normal(b.shape), 1e30 * np.ones(b.shape))
    if name in ITERATIVE[:4] + ("dcdm",) and rng.random() < 0.4:
        arguments["M"] = preconditioner(A, rng)
        if rng.random() < 0.2:
            arguments["x0"] = "Mb"
    own = {
        "minres": {"shift": pick(rng, 0.0, 0.0, 0.5), "check": rng.random() < 0.2},
        "gmres": {"restart": pick(rng, None, 1, 3, 30), "callback_type": pick(rng, None, "x", "pr_norm", "legacy")},
        "jacobi": {"omega": pick(rng, 1.0, 0.5, 1.9)},
        "dcdm": {"model": _model(rng), "n_ortho": pick(rng, 0, 2, 5)},
        "sor": {"omega": pick(rng, "auto", 1.0, 1.5), "symmetric": rng.random() < 0.3},
        "gauss_seidel": {"ordering": pick(rng, "natural", "colored", "reversed")},
        "ssor_cg": {"omega": pick(rng, "auto", 1.2)},
        "solve": {"method": pick(rng, "auto", "auto", "auto", "direct", "amg", "ic", "ilu", "gmres", "cg", "jacobi")},
    }.get(name, {})
    if name == "sor" and rng.random() < 0.3:
        own["blocks"] = pick(rng, 2, np.arange(A.shape[0]) // 3)
    if name == "dcdm":
        own["on_stall"] = pick(rng, "pcg", "stop")
    if name == "solve" and rng.random() < 0.4:
        del arguments["rtol"]
        rtol = None
    dtype = A.dtype if own.get("shift") else precision(A, arguments["A"])  # a shift is one more sum in A's precision
    loose = rtol if name != "solve" else None  # whose default accepts the rounding of x
    atol, shift = 0.0 if name == "minres" else atol, own.get("shift", 0.0)
    judge = partial(judge_linear, A, b, loose, atol, shift, dtype)
    return Call(getattr(linalg, name), arguments | own, judge, [A])


def _least_squares(rng):
    A = draw(rng, ("general", "definite", "low rank", "graded", "zero"))
    A = A[: max(1, int(rng.integers(A.shape[0] + 1)))] if rng.random() < 0.5 else A[:, : max(1, A.shape[0] // 2)]
    A = np.ascontiguousarray(A)
    b, name = right_side(A, rng), pick(rng, "lsqr", "lsmr")
    damp = pick(rng, 0.0, 0.0, 0.1, 1e3)
    arguments = dict(A=stored_rectangle(A, rng), b=b, damp=damp, atol=pick(rng, 1e-6, 1e-12, 0.0), btol=1e-8)
    arguments["iter_lim" if name == "lsqr" else "maxiter"] = pick(rng, None, 1, 50)
    arguments["conlim"] = pick(rng, 1e8, 0.0, 10.0)
    if rng.random() < 0.3:
        arguments["x0"] = rng.standard_normal((A.shape[1], *b.shape[1:]))
    if name == "lsqr":
        arguments["calc_var"] = bool(rng.random() < 0.3)
    judge = partial(judge_least_squares, A, b, damp or "x0" in arguments, np.result_type(A.dtype, b.dtype))
    return Call(getattr(linalg, name), arguments, judge, [A])


def stored_rectangle(A, rng):
    return pick(
        rng,
        A,
        sparse.csr_array(A),
        sparse.coo_array(A),
        sparse.csc_matrix(A),
        LinearOperator(A.shape, matvec=lambda v: A @ v, rmatvec=lambda v: A.conj().T @ v, dtype=A.dtype),
    )


def make(rng):
    """One call of the area."""
    part = rng.random()
    if part < 0.55:
        return _iterative(rng)
    return _least_squares(rng) if part < 0.68 else SETUPS[int(rng.integers(len(SETUPS)))](rng)
