"""Parity of the kernels: each one twice on the device under test, beside plain NumPy and the CPU's kernel.

The tolerance is ``8 eps sqrt(m) sum|terms|``, where the entry in question is a sum of m terms; eps is that of
float64 where the kernel accumulates in it.
"""

from functools import partial
from itertools import product

import numpy as np

from . import _parity_cg
from ._parity_matrices import STORAGES, draw, general, operand, wide
from ._target import bits

__all__ = ["CHECKS", "cases", "compare"]

_DTYPES = ("float32", "float64", "complex64", "complex128")
_SIZES = (1, 33, 1000, 100_003)
_LARGEST_DENSE = 1000


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, dtype, size, and storage where it has one."""
    for kernel, what, check, storages in CHECKS:
        for storage, dtype, n in product(storages, _DTYPES, _SIZES):
            if storage == "dense" and n > _LARGEST_DENSE:
                continue
            name = "-".join(filter(None, (f"kernel:{kernel}", what, storage, dtype, str(n))))
            more = {"storage": storage} if storage else {}
            yield f"kernel:{kernel}", name, n, dtype, partial(check, n=n, dtype=np.dtype(dtype), **more)
    for kernel, check in _ONCE.items():
        yield f"kernel:{kernel}", f"kernel:{kernel}", 1, "float64", check
    for dtype in _DTYPES:
        name, given = f"kernel:cg_chunk-ends-{dtype}", {"n": 40, "dtype": np.dtype(dtype)}
        yield "kernel:cg_chunk", name, 40, dtype, partial(_parity_cg.check_ends, **given)


def compare(target, run, expected):
    """Hold ``run(kernels)``, a tuple of host arrays, against (value, bound on the error) for each of its parts."""
    answers = {"NumPy": run(target.kernels)}
    assert bits(answers["NumPy"]) == bits(run(target.kernels)), "two runs on the same input differ in their bits"
    got = answers["NumPy"]
    for part, (value, (want, bound)) in enumerate(zip(got, expected, strict=True)):
        _close(value, want, bound, f"part {part} against NumPy")
    if target.cpu is not None:
        for part, (value, other, (_, bound)) in enumerate(zip(got, run(target.cpu), expected, strict=True)):
            _close(value, other, 2 * np.asarray(bound), f"part {part} against the CPU's kernel")


def _close(value, want, bound, what):
    value, want = np.asarray(value), np.asarray(want)
    assert value.shape == want.shape, f"{what}: shape {value.shape} instead of {want.shape}"
    gap = np.abs(value.astype(wide(value.dtype)) - want)
    wrong = ~(gap <= bound)
    if wrong.any():
        at = int(np.argmax(wrong.ravel()))
        limit = np.broadcast_to(bound, gap.shape).ravel()[at]
        raise AssertionError(
            f"{what}: {int(wrong.sum())} of {gap.size} entries off, entry {at} by {gap.ravel()[at]:.3e}, "
            f"allowed {limit:.3e}"
        )


def _bound(dtype, m, terms):
    return 8 * float(np.finfo(dtype).eps) * np.sqrt(m) * terms


def _norm(v):
    return float(np.linalg.norm(v))


# ---- products ----------------------------------------------------------------------------------------


def _matvec(target, n, dtype, storage):
    A, x = general(storage, n, dtype), draw(1, n, dtype)

    def run(kernels):
        y = kernels.empty(n, dtype)
        kernels.matvec(operand(kernels, storage, A), kernels.copy_to_device(x, dtype), y)
        return (kernels.to_host(y),)

    terms = abs(A).astype(float) @ np.abs(x)
    compare(target, run, [(A.astype(wide(dtype)) @ x, _bound(dtype, np.diff(A.indptr) + 1, terms))])


def _residual(target, n, dtype, storage):
    A, x, b = general(storage, n, dtype), draw(1, n, dtype), draw(2, n, dtype)

    def run(kernels):
        r = kernels.empty(n, dtype)
        given = (kernels.copy_to_device(v, dtype) for v in (x, b))
        size = kernels.residual(operand(kernels, storage, A), *given, r)
        return kernels.to_host(r), size

    want = b.astype(wide(dtype)) - A.astype(wide(dtype)) @ x
    # Accumulated in float64, rounded once.
    error = _bound(np.float64, np.diff(A.indptr) + 1, np.abs(b) + abs(A).astype(float) @ np.abs(x))
    compare(target, run, [(want, error + np.finfo(dtype).eps * np.abs(want)), (_norm(want), _norm(error) + 1e-300)])


# ---- vectors -----------------------------------------------------------------------------------------


def _axpy(target, n, dtype):
    x, y, alpha = draw(1, n, dtype), draw(2, n, dtype), draw(3, (), dtype)[()]

    def run(kernels):
        out = kernels.copy_to_device(y, dtype)
        kernels.axpy(alpha, kernels.copy_to_device(x, dtype), out)
        return (kernels.to_host(out),)

    ax = wide(dtype).type(alpha) * x
    compare(target, run, [(y + ax, _bound(dtype, 2, np.abs(y) + np.abs(ax)))])


def _scale(target, n, dtype):
    x, alpha = draw(1, n, dtype), draw(3, (), dtype)[()]

    def run(kernels):
        given, out = kernels.copy_to_device(x, dtype), kernels.empty(n, dtype)
        kernels.scale(alpha, given, out)
        kernels.scale(alpha, given, given)
        return kernels.to_host(out), kernels.to_host(given)

    ax = wide(dtype).type(alpha) * x
    compare(target, run, [(ax, _bound(dtype, 1, np.abs(ax)))] * 2)


def _multiply(target, n, dtype):
    real = np.finfo(dtype).dtype
    d, x = draw(1, n, real), draw(2, n, dtype)

    def run(kernels):
        y = kernels.empty(n, dtype)
        kernels.multiply(kernels.copy_to_device(d, real), kernels.copy_to_device(x, dtype), y)
        return (kernels.to_host(y),)

    dx = d.astype(wide(dtype)) * x
    compare(target, run, [(dx, _bound(dtype, 1, np.abs(dx)))])


def _difference(target, n, dtype):
    b = draw(1, n, dtype)

    def run(kernels):
        parts = []
        for given in ys:
            r = kernels.empty(n, dtype)
            size = kernels.difference(kernels.copy_to_device(b, dtype), kernels.copy_to_device(given, given.dtype), r)
            parts += [kernels.to_host(r), size]
        return tuple(parts)

    # Nearly b: only a difference in float64 has the norm right.
    ys = [(b * (1 + 1e-3)).astype(dtype), b * (1 + 1e-9) + draw(2, n, wide(dtype)) * 1e-9]
    expected = []
    for y in ys:
        want = b.astype(wide(dtype)) - y
        error = _bound(np.float64, 1, np.abs(b) + np.abs(y))
        expected += [(want, error + np.finfo(dtype).eps * np.abs(want)), (_norm(want), _norm(error))]
    compare(target, run, expected)


def _inner(target, n, dtype):
    p, q = draw(1, n, dtype), draw(2, n, dtype)

    def run(kernels):
        value = kernels.inner(kernels.copy_to_device(p, dtype), kernels.copy_to_device(q, dtype))
        assert type(value) is (complex if dtype.kind == "c" else float), type(value)
        return (value,)

    terms = p.astype(wide(dtype)).conj() * q
    compare(target, run, [(terms.sum(), _bound(np.float64, n, np.abs(terms).sum()))])


def _largest(target, n, dtype):
    v = draw(1, n, dtype)
    far = v * v.dtype.type(np.finfo(dtype).max / 1e4 if n > 1 else 1)  # whose squares are out of range
    spoiled, endless = v.copy(), v.copy()
    spoiled[n // 2], endless[-1] = np.nan, np.inf

    given = v, far, spoiled, endless, v[:0]

    def run(kernels):
        return tuple(kernels.largest(kernels.copy_to_device(each, dtype)) for each in given)

    values = run(target.kernels)
    assert all(type(value) is float for value in values), [type(value).__name__ for value in values]
    assert np.isnan(values[2]) and values[3] == np.inf and values[4] == 0.0, values[2:]
    most = [float(np.abs(each.astype(wide(dtype))).max()) for each in (v, far)]
    compare(target, lambda kernels: run(kernels)[:2], [(value, _bound(dtype, 1, value)) for value in most])


def _step_iterate(target, n, dtype):
    p, q, x, r = (draw(seed, n, dtype) for seed in range(4))
    alpha = 0.7

    def run(kernels):
        given = [kernels.copy_to_device(v, dtype) for v in (p, q, x, r)]
        size = kernels.step_iterate(alpha, *given)
        return kernels.to_host(given[2]), kernels.to_host(given[3]), size

    w = wide(dtype)
    new_x, new_r = x.astype(w) + alpha * p, r.astype(w) - alpha * q.astype(w)
    errors = [_bound(dtype, 2, np.abs(a) + alpha * np.abs(b)) for a, b in ((x, p), (r, q))]
    compare(target, run, [(new_x, errors[0]), (new_r, errors[1]), (_norm(new_r), _norm(errors[1]))])


def _step_direction(target, n, dtype):
    z, p, beta = draw(1, n, dtype), draw(2, n, dtype), 0.3

    def run(kernels):
        out = kernels.copy_to_device(p, dtype)
        kernels.step_direction(kernels.copy_to_device(z, dtype), beta, out)
        return (kernels.to_host(out),)

    want = z.astype(wide(dtype)) + beta * p
    compare(target, run, [(want, _bound(dtype, 2, np.abs(z) + beta * np.abs(p)))])


# ---- basis -------------------------------------------------------------------------------------------


def _project(target, n, dtype):
    V, v = draw(1, (7, n), dtype), draw(2, n, dtype)

    def run(kernels):
        basis, w = kernels.copy_to_device(V, dtype), kernels.copy_to_device(v, dtype)
        return tuple(np.array(kernels.project(basis[:j], w)) for j in (1, 4, 7))

    terms = V.astype(wide(dtype)).conj() * v
    error = _bound(dtype, n, np.abs(terms).sum(axis=1))
    compare(target, run, [(terms.sum(axis=1)[:j], error[:j]) for j in (1, 4, 7)])


def _combine(target, n, dtype):
    V, w, h = draw(1, (7, n), dtype), draw(2, n, dtype), draw(3, 7, dtype)

    def run(kernels):
        basis, parts = kernels.copy_to_device(V, dtype), []
        for j in (1, 4, 7):
            out = kernels.copy_to_device(w, dtype)
            kernels.combine(h[:j], basis[:j], out)
            parts.append(kernels.to_host(out))
        return tuple(parts)

    terms = h.astype(wide(dtype))[:, None] * V
    compare(
        target,
        run,
        [
            (w + terms[:j].sum(axis=0), _bound(dtype, j + 1, np.abs(w) + np.abs(terms[:j]).sum(axis=0)))
            for j in (1, 4, 7)
        ],
    )


# ---- storage and memory ------------------------------------------------------------------------------


def _is_stored(target, n, dtype, storage):
    """The storage holds the numbers that were given: its product with a vector of ones."""
    A = general(storage, n, dtype)

    def run(kernels):
        ones, y = kernels.copy_to_device(np.ones(n, dtype), dtype), kernels.empty(n, dtype)
        kernels.matvec(operand(kernels, storage, A), ones, y)
        return (kernels.to_host(y),)

    terms = abs(A).astype(float).sum(axis=1)
    compare(target, run, [(A.astype(wide(dtype)).sum(axis=1), _bound(dtype, np.diff(A.indptr) + 1, terms))])


def _diagonals(target, n, dtype):
    """What has few and full diagonals is stored by them where there are rows enough, what has not is left."""
    kernels = target.kernels
    for storage in ("diagonals", "csr"):
        A = general(storage, n, dtype)
        parts = ((A.indptr, np.int32), (A.indices, np.int32), (A.data, dtype))
        stored = kernels.csr(*(kernels.to_device(*part) for part in parts))
        kept = kernels.diagonals(stored)
        wanted = "Diagonals" if storage == "diagonals" and n >= 1000 else "CSR"
        assert type(kept).__name__ == wanted or n < 1000, f"{storage} became {type(kept).__name__}"
    _is_stored(target, n, dtype, "diagonals")


def _is_valid_csr(target):
    kernels = target.kernels
    indptr, indices = np.array([0, 2, 2, 3]), np.array([0, 2, 1])
    broken = {
        "a row pointer that falls": ([0, 3, 2, 3], indices),
        "a column too far": (indptr, [0, 3, 1]),
        "a negative column": (indptr, [0, -1, 1]),
        "an end before the last entry": ([0, 2, 2, 2], indices),
        "a start after the first entry": ([1, 2, 2, 3], indices),
    }
    for dtype in (np.int32, np.int64):
        told = {"a valid one": kernels.is_valid_csr(*_indices(kernels, indptr, indices, dtype), 3)}
        told |= {what: kernels.is_valid_csr(*_indices(kernels, *pair, dtype), 3) for what, pair in broken.items()}
        wrong = [what for what, valid in told.items() if bool(valid) != (what == "a valid one")]
        assert not wrong, f"{np.dtype(dtype)}: wrong about {', '.join(wrong)}"


def _indices(kernels, indptr, indices, dtype):
    return kernels.to_device(np.array(indptr), dtype), kernels.to_device(np.array(indices), dtype)


def _memory(target, n, dtype):
    """What goes to the device comes back, and a copy is a copy."""
    kernels, values = target.kernels, draw(1, n, dtype)
    for shape in (n, (n,), (2, n)):
        assert kernels.empty(shape, dtype).dtype == dtype
        zero = kernels.to_host(kernels.zeros(shape, dtype))
        assert zero.shape == np.zeros(shape).shape and not zero.any() and zero.dtype == dtype
    there = kernels.to_device(values, dtype)
    copy = kernels.copy_to_device(there, dtype)
    kernels.axpy(dtype.type(1), copy, copy)
    assert np.array_equal(kernels.to_host(there), values) and np.array_equal(kernels.to_host(copy), 2 * values)
    widened = kernels.to_host(kernels.to_device(values, wide(dtype)))
    assert widened.dtype == wide(dtype) and np.array_equal(widened, values)
    with kernels.device_of(there):
        assert kernels.is_ready(there)
        assert n == 1 or not kernels.is_ready(kernels.zeros((2, n), dtype).T[:, 0:1][::2])


def _judge(target):
    nan, inf = float("nan"), float("inf")
    table = {
        (1.0, 0.0, 0.0, 0.0, 1e-8): 0,
        (-1.0, 0.0, 0.0, -1.0, 1e-8): 0,
        (nan, 0.0, 0.0, 1.0, 1e-8): 1,
        (1.0, inf, 0.0, 1.0, 1e-8): 1,
        (0.0, 0.0, 0.0, 1.0, 1e-8): 2,
        (-1.0, 0.0, 0.0, 1.0, 1e-8): 2,
        (1.0, 0.5, 1.0, 1.0, 1e-8): 3,
        (1.0, 0.5, 1.0, 1.0, inf): 0,
    }
    wrong = {given: flag for given, flag in table.items() if target.kernels.judge(*given) != flag}
    assert not wrong, f"other flags than {wrong}"


_PLAIN = ("",)
#: The kernel, what of it if there are several, the check, and the storages that it takes.
CHECKS = (
    ("matvec", "", _matvec, STORAGES),
    ("residual", "", _residual, STORAGES),
    ("axpy", "", _axpy, _PLAIN),
    ("scale", "", _scale, _PLAIN),
    ("multiply", "", _multiply, _PLAIN),
    ("difference", "", _difference, _PLAIN),
    ("inner", "", _inner, _PLAIN),
    ("largest", "", _largest, _PLAIN),
    ("step_iterate", "", _step_iterate, _PLAIN),
    ("step_direction", "", _step_direction, _PLAIN),
    ("project", "", _project, _PLAIN),
    ("combine", "", _combine, _PLAIN),
    ("cg_chunk", "step", _parity_cg.check_one_step, STORAGES),
    ("cg_chunk", "steps", _parity_cg.check_steps, STORAGES),
    ("cg_chunk_many", "", _parity_cg.check_many, _PLAIN),
    ("diagonals", "", _diagonals, _PLAIN),
    ("arrays", "", _memory, _PLAIN),
)
_ONCE = {"is_valid_csr": _is_valid_csr, "judge": _judge}
