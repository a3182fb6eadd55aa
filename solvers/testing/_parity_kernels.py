"""Parity of the kernels: each one twice on the device under test, beside plain NumPy and the CPU's kernel."""

from functools import partial
from itertools import product

import numpy as np

from . import _parity_cg, _parity_storage
from ._parity_compare import bound_of, compare, norm_of
from ._parity_matrices import STORAGES, draw, general, operand, wide

__all__ = ["CHECKS", "cases"]

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


# ---- products ----------------------------------------------------------------------------------------


def _matvec(target, n, dtype, storage):
    A, x = general(storage, n, dtype), draw(1, n, dtype)

    def run(kernels):
        y = kernels.empty(n, dtype)
        kernels.matvec(operand(kernels, storage, A), kernels.copy_to_device(x, dtype), y)
        return (kernels.to_host(y),)

    terms = abs(A).astype(float) @ np.abs(x)
    compare(target, run, [(A.astype(wide(dtype)) @ x, bound_of(dtype, np.diff(A.indptr) + 1, terms))])


def _subtract_product(target, n, dtype, storage):
    A, x, b = general(storage, n, dtype), draw(1, n, dtype), draw(2, n, dtype)

    def run(kernels):
        y = kernels.empty(n, dtype)
        given = (kernels.copy_to_device(v, dtype) for v in (x, b))
        kernels.subtract_product(operand(kernels, storage, A), *given, y)
        return (kernels.to_host(y),)

    terms = abs(A).astype(float) @ np.abs(x) + np.abs(b)
    want = b.astype(wide(dtype)) - A.astype(wide(dtype)) @ x
    compare(target, run, [(want, bound_of(dtype, np.diff(A.indptr) + 2, terms))])


def _relax(target, n, dtype, storage):
    A, b, x = general(storage, n, dtype), draw(1, n, dtype), draw(2, n, dtype)
    d = np.abs(draw(3, n, dtype)) + 0.5

    def run(kernels):
        y = kernels.empty(n, dtype)
        b_, x_ = (kernels.copy_to_device(v, dtype) for v in (b, x))
        kernels.relax(operand(kernels, storage, A), kernels.copy_to_device(d, d.dtype), 0.7, b_, x_, y)
        return (kernels.to_host(y),)

    terms = np.abs(x) + 0.7 * d * (abs(A).astype(float) @ np.abs(x) + np.abs(b))
    want = x + 0.7 * d * (b.astype(wide(dtype)) - A.astype(wide(dtype)) @ x)
    compare(target, run, [(want, bound_of(dtype, np.diff(A.indptr) + 5, terms))])


def _residual(target, n, dtype, storage):
    A, x, b = general(storage, n, dtype), draw(1, n, dtype), draw(2, n, dtype)

    def run(kernels):
        r = kernels.empty(n, dtype)
        given = (kernels.copy_to_device(v, dtype) for v in (x, b))
        size = kernels.residual(operand(kernels, storage, A), *given, r)
        return kernels.to_host(r), size

    want = b.astype(wide(dtype)) - A.astype(wide(dtype)) @ x
    # Accumulated in float64, rounded once.
    error = bound_of(np.float64, np.diff(A.indptr) + 1, np.abs(b) + abs(A).astype(float) @ np.abs(x))
    compare(target, run, [(want, error + np.finfo(dtype).eps * np.abs(want)), (norm_of(want), norm_of(error) + 1e-300)])


# ---- vectors -----------------------------------------------------------------------------------------


def _axpy(target, n, dtype):
    x, y, alpha = draw(1, n, dtype), draw(2, n, dtype), draw(3, (), dtype)[()]

    def run(kernels):
        out = kernels.copy_to_device(y, dtype)
        kernels.axpy(alpha, kernels.copy_to_device(x, dtype), out)
        return (kernels.to_host(out),)

    ax = wide(dtype).type(alpha) * x
    compare(target, run, [(y + ax, bound_of(dtype, 2, np.abs(y) + np.abs(ax)))])


def _scale(target, n, dtype):
    x, alpha = draw(1, n, dtype), draw(3, (), dtype)[()]

    def run(kernels):
        given, out = kernels.copy_to_device(x, dtype), kernels.empty(n, dtype)
        kernels.scale(alpha, given, out)
        kernels.scale(alpha, given, given)
        return kernels.to_host(out), kernels.to_host(given)

    ax = wide(dtype).type(alpha) * x
    compare(target, run, [(ax, bound_of(dtype, 1, np.abs(ax)))] * 2)


def _multiply(target, n, dtype):
    real = np.finfo(dtype).dtype
    d, x = draw(1, n, real), draw(2, n, dtype)

    def run(kernels):
        y = kernels.empty(n, dtype)
        kernels.multiply(kernels.copy_to_device(d, real), kernels.copy_to_device(x, dtype), y)
        return (kernels.to_host(y),)

    dx = d.astype(wide(dtype)) * x
    compare(target, run, [(dx, bound_of(dtype, 1, np.abs(dx)))])


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
        error = bound_of(np.float64, 1, np.abs(b) + np.abs(y))
        expected += [(want, error + np.finfo(dtype).eps * np.abs(want)), (norm_of(want), norm_of(error))]
    compare(target, run, expected)


def _inner(target, n, dtype):
    p, q = draw(1, n, dtype), draw(2, n, dtype)

    def run(kernels):
        value = kernels.inner(kernels.copy_to_device(p, dtype), kernels.copy_to_device(q, dtype))
        assert type(value) is (complex if dtype.kind == "c" else float), type(value)
        return (value,)

    terms = p.astype(wide(dtype)).conj() * q
    compare(target, run, [(terms.sum(), bound_of(np.float64, n, np.abs(terms).sum()))])


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
    compare(target, lambda kernels: run(kernels)[:2], [(value, bound_of(dtype, 1, value)) for value in most])


def _step_iterate(target, n, dtype):
    p, q, x, r = (draw(seed, n, dtype) for seed in range(4))
    alpha = 0.7

    def run(kernels):
        given = [kernels.copy_to_device(v, dtype) for v in (p, q, x, r)]
        size = kernels.step_iterate(alpha, *given)
        return kernels.to_host(given[2]), kernels.to_host(given[3]), size

    w = wide(dtype)
    new_x, new_r = x.astype(w) + alpha * p, r.astype(w) - alpha * q.astype(w)
    errors = [bound_of(dtype, 2, np.abs(a) + alpha * np.abs(b)) for a, b in ((x, p), (r, q))]
    compare(target, run, [(new_x, errors[0]), (new_r, errors[1]), (norm_of(new_r), norm_of(errors[1]))])


def _step_direction(target, n, dtype):
    z, p, beta = draw(1, n, dtype), draw(2, n, dtype), 0.3

    def run(kernels):
        out = kernels.copy_to_device(p, dtype)
        kernels.step_direction(kernels.copy_to_device(z, dtype), beta, out)
        return (kernels.to_host(out),)

    want = z.astype(wide(dtype)) + beta * p
    compare(target, run, [(want, bound_of(dtype, 2, np.abs(z) + beta * np.abs(p)))])


# ---- basis -------------------------------------------------------------------------------------------


def _project(target, n, dtype):
    V, v = draw(1, (7, n), dtype), draw(2, n, dtype)

    def run(kernels):
        basis, w = kernels.copy_to_device(V, dtype), kernels.copy_to_device(v, dtype)
        return tuple(np.array(kernels.project(basis[:j], w)) for j in (1, 4, 7))

    terms = V.astype(wide(dtype)).conj() * v
    error = bound_of(dtype, n, np.abs(terms).sum(axis=1))
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
            (w + terms[:j].sum(axis=0), bound_of(dtype, j + 1, np.abs(w) + np.abs(terms[:j]).sum(axis=0)))
            for j in (1, 4, 7)
        ],
    )


# ---- the choice of a step ------------------------------------------------------------------------------


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
    ("relax", "", _relax, STORAGES),
    ("subtract_product", "", _subtract_product, STORAGES),
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
    ("diagonals", "", _parity_storage.check_diagonals, _PLAIN),
    ("arrays", "", _parity_storage.check_memory, _PLAIN),
)
_ONCE = {"is_valid_csr": _parity_storage.check_valid, "judge": _judge}
