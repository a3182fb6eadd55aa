"""Parity of relaxation and SSOR over rows sorted by stages, beside the same formulas with SciPy's triangular solves.

The stages are known without sorting: neighbours at odd distances on a line have two colours; those at one distance
have as many levels as that distance goes into the line.
"""

from functools import partial
from itertools import product

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve_triangular

from ._parity_compare import bound_of, compare
from ._parity_matrices import STORAGES, draw, operand, positive_definite, wide

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64", "complex64", "complex128")
_SIZES = (1, 33, 1000, 100_003)
_ORDERINGS = ("colours", "levels")
_OMEGA, _STEPS = 1.3, 5


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, dtype, size, and order or storage where it has one."""
    for kernel, check, forms in CHECKS:
        for form, dtype, n in product(forms, _DTYPES, _SIZES):
            if form == "dense" and n > 1000:
                continue
            name = "-".join(filter(None, (f"kernel:{kernel}", form, dtype, str(n))))
            given = {"form": form} if form else {}
            yield f"kernel:{kernel}", name, n, dtype, partial(check, n=n, dtype=np.dtype(dtype), **given)
    for dtype in _DTYPES:
        check = partial(_ends, n=40, dtype=np.dtype(dtype))
        yield "kernel:ssor_cg_chunk", f"kernel:ssor_cg_chunk-ends-{dtype}", 40, dtype, check
    yield "kernel:sorting", "kernel:sorting", 200, "float64", _sorting


# ---- systems -----------------------------------------------------------------------------------------


def _matrix(ordering, n, dtype):
    """Hermitian and diagonally dominant; the order of its rows by stages, and where each stage begins."""
    distances = (1, 3) if ordering == "colours" else (max(1, n // 100),)
    stage = np.arange(n) % 2 if ordering == "colours" else np.arange(n) // distances[0]
    phase = np.exp(0.7j) if dtype.kind == "c" else 1.0
    lines = {k: np.full(n - k, -1.5 * phase) for k in distances if k < n}
    A = sparse.csr_array((n, n), dtype=wide(dtype))
    for k, line in lines.items():
        A = A + sparse.diags_array([line, line.conj()], offsets=[k, -k], shape=(n, n))
    A = sparse.csr_array(A + sparse.diags_array(np.linspace(6.5, 7.5, n))).astype(dtype)
    order = np.argsort(stage, kind="stable")
    return A, order, np.searchsorted(stage[order], np.arange(stage.max() + 2))


def _csr(kernels, A):
    A = sparse.csr_array(A)
    parts = ((A.indptr, np.int32), (A.indices, np.int32), (A.data, A.dtype))
    return kernels.csr(*(kernels.copy_to_device(*part) for part in parts))


def _sweep(kernels, A, order, stages):
    places = kernels.to_device(order, np.int32)
    d, A = kernels.diagonal(_csr(kernels, A), places), A[order][:, order]
    return kernels.sweep(_csr(kernels, sparse.tril(A, -1)), _csr(kernels, sparse.triu(A, 1)), d, stages)


def _solvers(A, omega=_OMEGA):
    """K^-1 and K^-H with K = D/omega + L, as functions; and D."""
    D = A.diagonal()
    lower = sparse.csr_array(sparse.tril(A, -1) + sparse.diags_array(D / omega))
    upper = sparse.csr_array(sparse.triu(A, 1) + sparse.diags_array(D / omega))
    return partial(spsolve_triangular, lower, lower=True), partial(spsolve_triangular, upper, lower=False), D


def _copies(kernels, dtype, *vectors):
    return [kernels.copy_to_device(np.asarray(v), dtype) for v in vectors]


def _rounding(dtype, value):
    """What rounding may do to the entries of something so well conditioned."""
    return 200 * float(np.finfo(dtype).eps) * float(np.max(np.abs(value)))


# ---- vectors -----------------------------------------------------------------------------------------


def _moved(target, n, dtype):
    """Gathered, and scattered back."""
    x, order = draw(1, n, dtype), np.random.default_rng(2).permutation(n)

    def run(kernels):
        y, z = kernels.empty(n, dtype), kernels.empty(n, dtype)
        places = kernels.to_device(order, np.int32)
        kernels.gather(kernels.copy_to_device(x, dtype), places, y)
        kernels.scatter(kernels.copy_to_device(x, dtype), places, z)
        return kernels.to_host(y), kernels.to_host(z)

    back = np.empty_like(x)
    back[order] = x
    compare(target, run, [(x[order], 0.0), (back, 0.0)])


def _reciprocal(target, n, dtype):
    x = draw(1, n, dtype)

    def run(kernels):
        y = kernels.empty(n, dtype)
        kernels.reciprocal(kernels.copy_to_device(x, dtype), y)
        return (kernels.to_host(y),)

    want = 1 / x.astype(wide(dtype))
    compare(target, run, [(want, bound_of(dtype, 1, np.abs(want)))])


# ---- relaxation --------------------------------------------------------------------------------------


def _relaxation(target, n, dtype, form, name):
    """Iterates and norms; and the end of a chunk at a threshold."""
    A, order, stages = _matrix(form, n, dtype)
    sorted_A = A[order][:, order].astype(wide(dtype))
    b, x = draw(1, n, dtype), draw(2, n, dtype)
    forward, backward, _ = _solvers(sorted_A)

    def step(x):
        x = x + forward(b - sorted_A @ x)
        return x + backward(b - sorted_A @ x) if name == "ssor_chunk" else x

    def chunk(kernels, *arguments):
        return getattr(kernels, name)(_sweep(kernels, A, order, stages), *arguments)

    _compare_chunks(target, dtype, step, lambda x: np.linalg.norm(b - sorted_A @ x), chunk, b, x)


def _jacobi(target, n, dtype, form):
    A, b, x = positive_definite(form, n, dtype), draw(1, n, dtype), draw(2, n, dtype)
    inverse, B = np.full(n, 0.1, dtype), A.astype(wide(dtype))

    def chunk(kernels, *arguments):
        weights = kernels.copy_to_device(inverse, dtype)
        return kernels.jacobi_chunk(operand(kernels, form, A), weights, *arguments)

    def step(x):
        return x + _OMEGA * inverse.astype(wide(dtype)) * (b - B @ x)

    _compare_chunks(target, dtype, step, lambda x: np.linalg.norm(b - B @ x), chunk, b, x)


def _compare_chunks(target, dtype, step, norm, chunk, b, x):
    """All steps at once, and those up to a threshold between two norms."""
    iterates = [x.astype(wide(dtype))]
    for _ in range(_STEPS):
        iterates.append(step(iterates[-1]))
    norms = np.array([norm(each) for each in iterates])
    threshold = float(np.sqrt(norms[2] * norms[3]))

    def run(kernels):
        answers = []
        for limit in (0.0, threshold):
            given, found = _copies(kernels, dtype, b, x, np.zeros_like(x)), np.zeros(_STEPS)
            taken = chunk(kernels, *given, _OMEGA, found, limit, _STEPS)
            answers += [kernels.to_host(given[1]), found, taken]
        return tuple(answers)

    errors = _rounding(dtype, iterates[0]), 200 * float(np.finfo(dtype).eps) * (np.linalg.norm(b) + norms[0])
    short = np.where(np.arange(_STEPS) < 3, norms[1:], 0.0)
    compare(
        target,
        run,
        [(iterates[-1], errors[0]), (norms[1:], errors[1]), (_STEPS, 0)]
        + [(iterates[3], errors[0]), (short, errors[1]), (3, 0)],
    )


# ---- SSOR --------------------------------------------------------------------------------------------


def _solve(target, n, dtype, form):
    """A product with the preconditioner, also with a Sweep that the CPU made."""
    A, order, stages = _matrix(form, n, dtype)
    r, (forward, backward, D) = draw(1, n, dtype), _solvers(A[order][:, order].astype(wide(dtype)))
    want = (2 - _OMEGA) / _OMEGA * backward(D * forward(r.astype(wide(dtype))))

    def run(kernels):
        z, right = _copies(kernels, dtype, np.zeros_like(r), r)
        kernels.ssor_solve(_sweep(kernels, A, order, stages), _OMEGA, right, z)
        made = _sweep(kernels if target.cpu is None else target.cpu, A, order, stages)
        if target.cpu is not None:
            kernels.ssor_solve(kernels.sweep_from(made, dtype), _OMEGA, right, right)
        else:
            kernels.ssor_solve(made, _OMEGA, right, right)
        return kernels.to_host(z), kernels.to_host(right)

    compare(target, run, [(want, _rounding(dtype, r))] * 2)


def _start(kernels, dtype, S, b):
    """x, s, t, p, u and the scalars for x = 0."""
    x, s, t, p, u, r = _copies(kernels, dtype, *np.zeros((5, b.size)), b)
    rho = kernels.ssor_cg_start(S, _OMEGA, r, s, t)
    return [x, s, t, p, u], np.array([rho, 0.0, 0.0, np.sqrt(np.finfo(dtype).eps)])


def _begin(target, n, dtype, form):
    A, order, stages = _matrix(form, n, dtype)
    r, (forward, _, D) = draw(1, n, dtype), _solvers(A[order][:, order].astype(wide(dtype)))

    def run(kernels):
        vectors, scalars = _start(kernels, dtype, _sweep(kernels, A, order, stages), r)
        return kernels.to_host(vectors[1]), kernels.to_host(vectors[2]), scalars[0]

    s = forward(r.astype(wide(dtype)))
    rho = np.vdot(s, D * s).real
    compare(target, run, [(s, _rounding(dtype, s)), (D * s, _rounding(dtype, D * s)), (rho, _rounding(dtype, rho))])


def _conjugate_gradients(target, n, dtype, form):
    """Iterate and norms of preconditioned conjugate gradients; the same bits from chunks of one step."""
    A, order, stages = _matrix(form, n, dtype)
    b, steps = draw(1, n, dtype), min(3, n)
    x, norms, rho = _plain_cg(A[order][:, order].astype(wide(dtype)), b.astype(wide(dtype)), steps)

    def run(kernels):
        S, answers = _sweep(kernels, A, order, stages), []
        for pieces in ([steps], [1] * steps):
            vectors, scalars = _start(kernels, dtype, S, b)
            kernels.scale(dtype.type(0), vectors[1], vectors[2])
            found = np.zeros(steps)
            for i, size in enumerate(pieces):
                told = kernels.ssor_cg_chunk(S, _OMEGA, *vectors, scalars, found[i:], 0.0, size)
                assert tuple(told) == (size, 0), f"took {told[0]} steps with flag {told[1]}, of {size}"
            answers.append((kernels.to_host(vectors[0]), found, scalars[0]))
        same = all(np.array_equal(one, other) for one, other in zip(*answers))
        assert same, "chunks of one step give other bits"
        return answers[0]

    size = 10 * _rounding(dtype, np.linalg.norm(b))
    compare(target, run, [(x, 10 * _rounding(dtype, b)), (norms, size), (rho, size * np.linalg.norm(b))])


def _plain_cg(A, b, steps):
    """x, the norms of r after each step, and s^H D s at the end."""
    forward, backward, D = _solvers(A)

    def M(r):
        return backward(D * forward(r))

    x, r = np.zeros_like(b), b.copy()
    p, norms = M(b), []
    rho = np.vdot(r, p).real
    for _ in range(steps):
        q = A @ p
        alpha = rho / np.vdot(p, q).real
        x, r = x + alpha * p, r - alpha * q
        z = M(r)
        rho, last = np.vdot(r, z).real, rho
        p = z + (rho / last if last else 0.0) * p
        norms.append(np.linalg.norm(r))
    return x, np.array(norms), rho


def _ends(target, n, dtype):
    """Where a chunk ends, and with which flag."""
    A, order, stages = _matrix("colours", n, dtype)
    b = draw(1, n, dtype)
    norms = _plain_cg(A[order][:, order].astype(wide(dtype)), b.astype(wide(dtype)), 4)[1]
    spoiled, indefinite = A.copy(), A.copy()
    spoiled.data[spoiled.indptr[n // 2]] = np.nan
    indefinite.setdiag(np.where(np.arange(n) % 3, 7.0, -7.0))
    tried = {
        "the threshold": (A, float(np.sqrt(norms[1] * norms[2])), (3, 0)),
        "the number of steps": (A, 0.0, (4, 0)),
        "a NaN": (spoiled, 0.0, (None, 1)),
        "an indefinite matrix": (indefinite, 0.0, (None, 2)),
    }
    if np.finfo(dtype).dtype == np.float64:  # squares of the entries are out of range
        tried |= {f"a matrix of size 2^{power}": (A * 2.0**power, 0.0, (4, 0)) for power in (-660, 660)}
    if dtype.kind == "c":
        tried["a matrix that is not Hermitian"] = (A * np.exp(0.3j).astype(dtype), 0.0, (0, 3))
    for what, (matrix, threshold, (steps, flag)) in tried.items():
        told = []
        for kernels in filter(None, (target.kernels, target.cpu)):
            S = _sweep(kernels, matrix, order, stages)
            vectors, scalars = _start(kernels, dtype, S, b)
            kernels.scale(dtype.type(0), vectors[1], vectors[2])
            told.append(tuple(map(int, kernels.ssor_cg_chunk(
                S, _OMEGA, *vectors, scalars, np.zeros(4), threshold, 4
            ))))  # fmt: skip
        assert told[0][1] == flag, f"{what}: flag {told[0][1]} instead of {flag}"
        assert steps is None or told[0][0] == steps, f"{what}: {told[0][0]} steps instead of {steps}"
        assert told[0] == told[-1], f"{what}: {told[0]} here, {told[-1]} on the CPU"


# ---- patterns ----------------------------------------------------------------------------------------


def _sorting(target):
    """Orders, triangles and factors of a pattern; functions of the host, which need Numba."""
    if target.cpu is None:
        return
    kernels = target.kernels
    for ordering in _ORDERINGS:
        A, order, stages = _matrix(ordering, 200, np.dtype(float))
        pattern = A.indptr.view(np.uint32), A.indices.view(np.uint32)
        sort = kernels.order_by_levels if ordering == "levels" else kernels.order_by_colours
        found = sort(*pattern) if ordering == "levels" else sort(*pattern, *pattern)  # it is symmetric
        assert all(map(np.array_equal, found, (order, stages))), f"another order by {ordering}"
        sorted_A = A[order][:, order].toarray()
        for triangle, want in zip(kernels.split_rows(*pattern, order), (np.tril(sorted_A, -1), np.triu(sorted_A, 1))):
            indptr, indices, entries = triangle
            got = sparse.csr_array((A.data[entries], indices.astype(int), indptr.astype(int)), shape=A.shape)
            assert np.array_equal(got.toarray(), want), f"other triangles by {ordering}"
        factors, failed = kernels.ilu0(_sweep(target.cpu, A, order, stages), 0.0, 0.0)
        D = np.diag(factors.diagonal)
        L, U = (
            sparse.csr_array((t.data, t.indices.astype(int), t.indptr.astype(int)), shape=A.shape).toarray()
            for t in (factors.lower, factors.upper)
        )
        product_on_pattern = np.where(sorted_A, (D + L) @ np.diag(1 / np.diag(D)) @ (D + U), 0.0)
        assert failed < 0 and np.allclose(product_on_pattern, sorted_A, rtol=1e-12), f"other factors by {ordering}"


_PLAIN = ("",)
#: The kernel, the check, and the orders of rows or the storages that it takes.
CHECKS = (
    ("gather", _moved, _PLAIN),
    ("reciprocal", _reciprocal, _PLAIN),
    ("sor_chunk", partial(_relaxation, name="sor_chunk"), _ORDERINGS),
    ("ssor_chunk", partial(_relaxation, name="ssor_chunk"), _ORDERINGS),
    ("jacobi_chunk", _jacobi, STORAGES),
    ("ssor_solve", _solve, _ORDERINGS),
    ("ssor_cg_start", _begin, _ORDERINGS),
    ("ssor_cg_chunk", _conjugate_gradients, _ORDERINGS),
)
