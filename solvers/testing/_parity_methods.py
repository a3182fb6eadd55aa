"""Parity of the methods: a solve on the device under test beside the same solve on the CPU.

Both true residuals are recomputed here in float64; the iterations may differ by 2 or by 2 %, the answers by
``10 kappa rtol``. Where Numba is not installed there is no solve on the CPU; then the answer is held against
SciPy's direct one, and a failure against the status that it must have.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from .. import backend, linalg
from .._result import Status
from ._parity_matrices import draw, wide
from ._target import bits

__all__ = ["cases"]

_DTYPES = ("float32", "float64", "complex64", "complex128")
_FORMS = ("csr", "scattered", "dense", "stencil", "operator")
# The side of the grid: few unknowns, enough for storage by diagonals, and so many that every processor of a GPU
# has a share.
_SIDES = (6, 17, 250)
_SMALL = _SIDES[0]
_LARGEST_DENSE = 1000


@dataclass(frozen=True)
class _Method:
    """A public function, and what is passed beside A and b."""

    name: str
    function: str
    hermitian: bool
    jacobi: bool = False

    def solve(self, A, b, M=None, **options):
        more = {"M": M} if self.jacobi else {}
        return getattr(linalg, self.function)(A, b, **more, **options)


_METHODS = (
    _Method("cg", "cg", True),
    _Method("cg-jacobi", "cg", True, jacobi=True),
    _Method("minres", "minres", True),
    _Method("bicgstab", "bicgstab", False),
    _Method("gmres", "gmres", False),
)


@dataclass(frozen=True)
class _System:
    """A x = b on the host; ``given`` is what stands for A in the call, M the inverse of the diagonal."""

    A: object
    b: np.ndarray
    form: str
    side: int
    kappa: float

    @property
    def dtype(self):
        return self.b.dtype

    @property
    def rtol(self):
        return 1e-4 if self.dtype.char in "fF" else 1e-9

    def gap(self, x):
        """||b - A x|| of each column in float64."""
        w = wide(self.dtype)
        return np.linalg.norm(self.b.astype(w) - self.A.astype(w) @ x, axis=0)

    def noise(self, x):
        """What float64 cannot tell from zero, and the rounding of x itself."""
        return 8 * float(np.finfo(self.dtype).eps) * np.linalg.norm(abs(self.A) @ abs(x) + abs(self.b), axis=0)


def cases():
    """Yield (group, id, n, dtype, check)."""
    for method in _METHODS:
        group = f"method:{method.name}"
        for form, dtype, side in product(_FORMS, _DTYPES, _SIDES):
            if form == "dense" and side**2 > _LARGEST_DENSE:
                continue
            check = partial(_agrees, method=method, form=form, dtype=dtype, side=side)
            yield group, f"{group}-{form}-{dtype}-{side**2}", side**2, dtype, check
        for dtype, side in product(_DTYPES, _SIDES):
            check = partial(_many_agree, method=method, dtype=dtype, side=side)
            yield group, f"{group}-many-{dtype}-{side**2}", side**2, dtype, check
        for dtype in _DTYPES:
            for failure in _failures(method, dtype):
                check = partial(_fails_alike, method=method, failure=failure, dtype=dtype)
                yield group, f"{group}-{failure}-{dtype}", _SMALL**2, dtype, check
    for solves in (30, 1000):
        yield "memory", f"memory-{solves}-solves", _SMALL**2, "float64", partial(_leaks_nothing, solves=solves)


# ---- systems -----------------------------------------------------------------------------------------


def _system(method, form, dtype, side, n_rhs=0):
    """Neighbours on a grid: Hermitian with phases where complex, convective where it need not be symmetric."""
    dtype, centre = np.dtype(dtype), 4.2
    if form == "stencil":
        west = east = 1.0
    else:
        phase = np.exp(0.4j) if dtype.kind == "c" else 1.0
        east = phase if method.hermitian else 0.7 * phase
        west = np.conj(phase) if method.hermitian else 1.3 * np.conj(phase)
    line = sparse.diags_array([np.full(side - 1, -west), np.full(side - 1, -east)], offsets=[-1, 1], shape=(side, side))
    one = sparse.eye_array(side)
    A = sparse.csr_array(sparse.kron(one, line) + sparse.kron(line, one) + centre * sparse.eye_array(side**2))
    if form == "scattered":
        order = np.random.default_rng(0).permutation(side**2)
        A = sparse.csr_array(A[order][:, order])
    shape = (side**2, n_rhs) if n_rhs else side**2
    return _System(A.astype(dtype), draw(7, shape, dtype), form, side, kappa=(centre + 4) / (centre - 4))


class _Operator:
    """A matrix that hides its entries; its products are one kernel of the device."""

    def __init__(self, kernels, A):
        parts = (A.indptr, np.int32), (A.indices, np.int32), (A.data, A.dtype)
        self._kernels = kernels
        self._stored = kernels.csr(*(kernels.to_device(*part) for part in parts))
        self.shape, self.dtype = A.shape, A.dtype

    def matvec(self, v):
        y = self._kernels.empty(self.shape[0], self.dtype)
        self._kernels.matvec(self._stored, self._kernels.to_device(v, self.dtype), y)
        return y


def _given(system, kernels, move):
    """What a user passes for A."""
    if system.form == "operator":
        return _Operator(kernels, system.A)
    if system.form == "stencil":
        return linalg.stencil((system.side, system.side), np.array([4.2, -1, -1], dtype=system.dtype))
    return move(system.A.toarray() if system.form == "dense" else system.A)


def _runs(target, method, system, x0=None, **options):
    """Results by how the system came: ``native``, arrays of the device; ``again``, the same; ``host``; ``cpu``."""
    diagonal = sparse.diags_array(np.full(system.A.shape[0], 1 / 4.2)) if method.jacobi else None
    M = None if diagonal is None else sparse.csr_array(diagonal).astype(system.dtype)

    def solve(kernels, move):
        given, b, start = _given(system, kernels, move), move(system.b), None if x0 is None else move(x0)
        return method.solve(given, b, x0=start, M=None if M is None else move(M), **options)

    runs = {"native": solve(target.kernels, target.native), "again": solve(target.kernels, target.native)}
    # An operator's products take arrays of the device only; NumPy's index arrays are checked by a kernel of the CPU's.
    if system.form != "operator" and target.cpu is not None:
        with backend(target.backend):
            runs["host"] = solve(target.kernels, lambda value: value)
    if target.cpu is not None:
        with backend("cpu"):
            runs["cpu"] = solve(target.cpu, lambda value: value)
    return runs


# ---- checks ------------------------------------------------------------------------------------------


def _agrees(target, method, form, dtype, side):
    system = _system(method, form, dtype, side)
    runs = _runs(target, method, system, rtol=system.rtol)
    _same_kind_and_bits(target, system, runs)
    reference = runs.get("cpu") or None
    exact = reference.x if reference is not None else spsolve(system.A.astype(wide(dtype)).tocsc(), system.b)
    for how, result in runs.items():
        _is_true(target, system, how, result)
        x = target.host(result.x)
        apart = np.linalg.norm(x - exact) / np.linalg.norm(exact)
        assert apart <= 10 * system.kappa * system.rtol, f"{how}: x differs by {apart:.1e} from the CPU's"
        if reference is not None:
            _counts_agree(how, result.iterations, reference.iterations)


def _many_agree(target, method, dtype, side):
    system = _system(method, "csr", dtype, side, n_rhs=3)
    system.b[:, 1] *= 1e-3
    runs = _runs(target, method, system, rtol=system.rtol)
    _same_kind_and_bits(target, system, runs)
    for how, result in runs.items():
        _is_true(target, system, how, result)
        if "cpu" in runs:
            for count, other in zip(result.iterations, runs["cpu"].iterations, strict=True):
                _counts_agree(how, count, other)


def _same_kind_and_bits(target, system, runs):
    """An answer is the kind of array that b was, and two runs, however the arrays came, have equal bits."""
    native, host = runs["native"], runs.get("host")
    kind, wanted = type(native.x), type(target.native(system.b))
    assert kind is wanted, f"x is a {kind.__module__}.{kind.__name__} where b was a {wanted.__module__} one"
    assert host is None or type(host.x) is np.ndarray, f"x is a {type(host.x)} where b was NumPy's"
    for how, result in runs.items():
        expected = "cpu" if how == "cpu" else target.backend
        assert result.backend == expected, f"{how}: ran on {result.backend}"
        if how != "cpu":
            answers = [(r.residuals, target.host(r.x)) for r in (native, result)]
            assert bits(answers[0]) == bits(answers[1]), f"{how}: other bits than the first run"


def _is_true(target, system, how, result):
    assert result.converged, f"{how}: {result!r}"
    x = target.host(result.x).astype(wide(system.dtype))
    assert x.shape == system.b.shape and target.host(result.x).dtype == system.dtype, f"{how}: {x.shape}"
    gap, noise = system.gap(x), system.noise(x)
    size = np.linalg.norm(system.b.astype(wide(system.dtype)), axis=0)
    assert np.all(gap <= system.rtol * size + noise), f"{how}: true residual {np.max(gap / size):.2e}"
    assert np.all(abs(result.residual - gap) <= 1e-2 * gap + noise), f"{how}: says {result.residual}, is {gap}"


def _counts_agree(how, count, other):
    assert abs(int(count) - int(other)) <= max(2, 0.02 * int(other)), f"{how}: {count} iterations, {other} on the CPU"


# ---- failures ----------------------------------------------------------------------------------------

_RUNS_OUT = (Status.STAGNATED, Status.MAXITER, Status.BREAKDOWN)


def _failures(method, dtype):
    common = ["nan", "maxiter", "zero", "small", "stagnation", "start"]
    if method.function == "cg":
        common.append("indefinite")
        if np.dtype(dtype).kind == "c":
            common.append("not-hermitian")
    return common


def _hard(method, failure, dtype):
    """A system, the options, and the statuses that are right for it."""
    system = _system(method, "csr", dtype, _SMALL)
    A, b, n = system.A.copy(), system.b, system.b.size
    if failure == "nan":
        A.data[40] = np.nan
        return replace(system, A=A), {}, (Status.NONFINITE,)
    if failure == "maxiter":
        limit = {"maxiter": 2, "restart": 3} if method.function == "gmres" else {"maxiter": 3}
        return system, {"rtol": system.rtol, **limit}, (Status.MAXITER,)
    if failure == "zero":
        return replace(system, b=np.zeros_like(b)), {}, (Status.CONVERGED,)
    if failure == "small":  # b^H b underflows in the precision of the system
        factor = 1e-200 if np.finfo(dtype).bits == 64 else 1e-25
        return replace(system, b=b * b.dtype.type(factor)), {"rtol": system.rtol}, (Status.CONVERGED,)
    if failure == "start":
        return system, {"rtol": system.rtol, "x0": draw(9, n, dtype)}, (Status.CONVERGED,)
    if failure == "stagnation":
        return system, {"rtol": 1e-3 * float(np.finfo(dtype).eps)}, _RUNS_OUT
    if failure == "indefinite":
        A.setdiag(np.where(np.arange(n) % 2, 4.2, -4.2))
        return replace(system, A=A), {}, (Status.INDEFINITE,)
    skewed = A + sparse.diags_array(np.full(n, 0.5j))
    return replace(system, A=sparse.csr_array(skewed).astype(dtype)), {}, (Status.NOT_HERMITIAN,)


def _fails_alike(target, method, failure, dtype):
    """The CPU's status, and the same count within what rounding explains; never a NaN in x."""
    system, options, statuses = _hard(method, failure, dtype)
    runs = _runs(target, method, system, **options)
    _same_kind_and_bits(target, system, runs)
    for how, result in runs.items():
        x = target.host(result.x)
        assert result.status in statuses, f"{how}: {result!r}"
        assert np.isfinite(x).all() and np.isfinite(result.residual), f"{how}: {result!r}"
        if failure == "zero":
            assert not x.any() and result.iterations == 0, f"{how}: {result!r}"
        if "cpu" in runs and failure != "stagnation":
            assert result.status is runs["cpu"].status and np.sign(result.info) == np.sign(runs["cpu"].info)
            _counts_agree(how, result.iterations, runs["cpu"].iterations)
        if failure in ("small", "start"):
            size = np.linalg.norm(system.b.astype(wide(dtype)) / np.abs(system.b).max()) * np.abs(system.b).max()
            assert result.residual <= system.rtol * size * 1.01, f"{how}: {result!r}"


# ---- memory ------------------------------------------------------------------------------------------


def _leaks_nothing(target, solves):
    """After many solves the arrays that live hold what they held after the first."""
    method = _METHODS[0]
    system = _system(method, "csr", "float64", _SMALL)
    A, b = target.native(system.A), target.native(system.b)
    for count in range(solves):
        if count == 10:
            before = target.used_bytes()
        assert method.solve(A, b, rtol=1e-8).converged
    after = target.used_bytes()
    assert after == before, f"{after - before} bytes more are held after {solves} solves"
