"""Parity of the chunks of conjugate gradients, beside the same iteration in plain NumPy.

One step is held to rounding, entry by entry; several steps by their norms, counts and flags.
"""

import numpy as np

from ._parity_matrices import draw, operand, positive_definite, wide
from ._target import bits

__all__ = ["check_ends", "check_many", "check_one_step", "check_steps"]

_COLUMNS = 3


def _start(kernels, dtype, r, d, x):
    """Host vectors as the kernel takes them: d, x, r, p, q, scalars."""
    z = r if d is None else (d * r).astype(dtype)
    vectors = [kernels.copy_to_device(v, dtype) for v in (x, r, z)]
    weights = None if d is None else kernels.copy_to_device(d, d.dtype)
    rho = float(np.vdot(r.astype(wide(dtype)), z).real)
    return weights, *vectors, kernels.empty(r.shape, dtype), np.array([rho, 0.0, np.sqrt(np.finfo(dtype).eps)])


def _vectors(n, dtype):
    d = np.random.default_rng(5).uniform(0.5, 1.5, n).astype(np.finfo(dtype).dtype)
    return draw(1, n, dtype), d, draw(2, n, dtype)


def _close(value, want, bound, what):
    gap = np.abs(np.asarray(value, dtype=wide(np.asarray(value).dtype)) - want)
    wrong = ~(gap <= bound)
    if wrong.any():
        times = np.max(gap[wrong] / np.broadcast_to(bound, gap.shape)[wrong]) if gap.ndim else gap / bound
        raise AssertionError(f"{what} off by {times:.1f} times what rounding allows")


def check_one_step(target, n, dtype, storage):
    """A step with and without a diagonal, to the rounding of its own terms."""
    A = positive_definite(storage, n, dtype)
    r, d, x = _vectors(n, dtype)
    for weights in (None, d):

        def run(kernels, weights=weights):
            a_d, *vectors, scalars = _start(kernels, dtype, r, weights, x)
            norms = np.zeros(1)
            told = kernels.cg_chunk(operand(kernels, storage, A), a_d, *vectors, scalars, norms, 0.0, 1)
            assert tuple(told) == (1, 0), f"took {told[0]} steps with flag {told[1]}, of one"
            return [*(kernels.to_host(v) for v in vectors[:3]), norms, scalars[:2].copy()]

        got = run(target.kernels)
        assert bits(got) == bits(run(target.kernels)), "two runs on the same input differ in their bits"
        others = [("the", got)] + ([("the CPU's", run(target.cpu))] if target.cpu is not None else [])
        for whose, values in others:
            expected = _step(A, weights, r, x)
            for what, value, (want, bound) in zip(("x", "r", "p", "norm", "rho, sign"), values, expected):
                _close(value, want, bound, f"{what} of {whose} step")


def _step(A, d, r, x):
    """One iteration in float64: every value with the bound on its error that rounding in r's dtype explains."""
    w, dtype = wide(r.dtype), r.dtype
    B, size = A.astype(w), abs(A).astype(float)
    r, x = r.astype(w), x.astype(w)
    d = np.ones(r.size) if d is None else d.astype(float)
    p = (d * r).astype(dtype).astype(w)
    q, terms_q = B @ p, size @ np.abs(p)
    rho, pq = np.vdot(r, p).real, np.vdot(p, q).real
    alpha, growth = rho / pq, 1 + np.abs(p) @ terms_q / pq  # how much larger the terms of p^H q are than their sum
    x_new, terms_x = x + alpha * p, np.abs(x) + alpha * growth * np.abs(p)
    r_new, terms_r = r - alpha * q, np.abs(r) + alpha * growth * terms_q
    unit = 8 * float(np.finfo(dtype).eps) * np.sqrt(np.diff(A.indptr).max() + 1) * 2
    rho_new, terms_rho = d @ np.abs(r_new) ** 2, 2 * d @ ((np.abs(r_new) + unit * terms_r) * terms_r)
    p_new = d * r_new + rho_new / rho * p
    terms_p = d * terms_r + (rho_new + terms_rho) / rho * np.abs(p)
    sums = unit * np.sqrt(r.size)
    norm, terms_norm = np.linalg.norm(r_new), np.linalg.norm(terms_r)
    return (
        (x_new, unit * terms_x),
        (r_new, unit * terms_r),
        (p_new, unit * terms_p),
        (norm, unit * terms_norm),
        (np.array([rho_new, 1.0]), np.array([sums * terms_rho, 1e-300])),
    )


def check_steps(target, n, dtype, storage):
    """Several steps at once: the norms of plain NumPy, and the same bits as one step at a time."""
    A = positive_definite(storage, n, dtype)
    r, d, x = _vectors(n, dtype)
    steps = min(8, n)
    for weights in (None, d):
        want = _norms(A, weights, r, steps)
        tolerance = 1e3 * float(np.finfo(dtype).eps) * np.sqrt(n) * np.linalg.norm(r.astype(wide(dtype)))

        def run(kernels, sizes, weights=weights):
            a_d, *vectors, scalars = _start(kernels, dtype, r, weights, x)
            stored, norms = operand(kernels, storage, A), []
            for size in sizes:
                some = np.zeros(size)
                kernels.cg_chunk(stored, a_d, *vectors, scalars, some, 0.0, size)
                norms.append(some)
            return [np.concatenate(norms), *(kernels.to_host(v) for v in vectors[:3])]

        together = run(target.kernels, [steps])
        assert bits(together) == bits(run(target.kernels, [1] * steps)), "chunks of one step give other bits"
        gap = np.abs(together[0] - want)
        assert (gap <= tolerance).all(), f"norms {together[0]} instead of {want}"


def _norms(A, d, r, steps):
    """The norms of r after each step, in float64."""
    w = wide(r.dtype)
    A, r = A.astype(w), r.astype(w)
    d = np.ones(r.size) if d is None else d.astype(float)
    p, norms = d * r, []
    rho = np.vdot(r, p).real
    for _ in range(steps):
        q = A @ p
        r = r - rho / np.vdot(p, q).real * q
        rho_last, rho = rho, np.vdot(r, d * r).real
        p = d * r + (rho / rho_last if rho_last else 0.0) * p
        norms.append(np.linalg.norm(r))
    return np.array(norms)


def check_ends(target, n, dtype):
    """Where a chunk ends, and with which flag."""
    A = positive_definite("csr", n, dtype)
    r, _, x = _vectors(n, dtype)
    norms = _norms(A, None, r, 6)
    spoiled, indefinite = A.copy(), A.copy()
    spoiled.data[spoiled.indptr[n // 2]] = np.nan
    indefinite.setdiag(np.where(np.arange(n) % 2, 7.0, -7.0))
    cases = {
        "the threshold": (A, (norms[3] * norms[4]) ** 0.5, 5, 0),
        "the number of steps": (A, 0.0, 6, 0),
        "a NaN": (spoiled, 0.0, 0, 1),
        "an indefinite matrix": (indefinite, 0.0, None, 2),
    }
    if np.dtype(dtype).kind == "c":
        cases["a matrix that is not Hermitian"] = (A * np.exp(0.3j).astype(dtype), 0.0, 0, 3)
    for what, (matrix, threshold, steps, flag) in cases.items():
        packages = filter(None, (target.kernels, target.cpu))
        told = [_run_to_the_end(kernels, matrix, r, x, threshold) for kernels in packages]
        assert told[0][1] == flag, f"{what}: flag {told[0][1]} instead of {flag}"
        assert steps is None or told[0][0] == steps, f"{what}: {told[0][0]} steps instead of {steps}"
        assert told[0] == told[-1], f"{what}: {told[0]} here, {told[-1]} on the CPU"


def _run_to_the_end(kernels, A, r, x, threshold):
    d, *vectors, scalars = _start(kernels, A.dtype, r, None, x)
    taken, flag = kernels.cg_chunk(operand(kernels, "csr", A), d, *vectors, scalars, np.zeros(6), threshold, 6)
    return int(taken), int(flag)


def check_many(target, n, dtype):
    """Several columns at once, one of which is at its end before and one ends on the way."""
    A, d = positive_definite("csr", n, dtype), _vectors(n, dtype)[1]
    R = np.stack([draw(10 + j, n, dtype) for j in range(_COLUMNS)], axis=1)
    steps = min(6, n)
    for weights in (None, d):
        want = np.stack([_norms(A, weights, column, steps) for column in R.T], axis=1)
        thresholds = np.zeros(_COLUMNS)
        if n > 8:
            thresholds[1] = (want[2, 1] * want[3, 1]) ** 0.5
        counts = [steps, 4 if n > 8 else steps, 0]

        def run(kernels, weights=weights, thresholds=thresholds):
            return _advance(kernels, A, weights, R, thresholds, steps)

        got = run(target.kernels)
        assert bits(got) == bits(run(target.kernels)), "two runs on the same input differ in their bits"
        for who, values in [("here", got)] + ([("on the CPU", run(target.cpu))] if target.cpu is not None else []):
            norms, taken, states, X = values
            assert taken.tolist() == counts, f"{who}: {taken.tolist()} steps instead of {counts}"
            assert states[2] == 4 and not X[:, 2].any(), f"{who}: the column that had ended was touched"
            assert n <= 8 or states[:2].tolist() == [0, 4], f"{who}: states {states.tolist()}"
            tolerance = 1e3 * float(np.finfo(dtype).eps) * np.sqrt(n) * np.linalg.norm(R.astype(wide(dtype)), axis=0)
            for j in range(2):
                gap = np.abs(norms[: counts[j], j] - want[: counts[j], j])
                assert (gap <= tolerance[j]).all(), f"{who}: norms of column {j} off by {gap.max():.1e}"
                left = np.linalg.norm(R[:, j].astype(wide(dtype)) - A.astype(wide(dtype)) @ X[:, j])
                off = abs(left - want[counts[j] - 1, j])
                assert off <= tolerance[j], f"{who}: the residual of column {j}'s x is off by {off:.1e}"


def _advance(kernels, A, d, R, thresholds, steps):
    n, width = A.shape[0], _COLUMNS + -_COLUMNS % kernels.LANES
    dtype, w = A.dtype, wide(A.dtype)
    padded = np.zeros((n, width), dtype)
    padded[:, :_COLUMNS] = R
    start = padded if d is None else (d[:, None] * padded).astype(dtype)
    X, Q = kernels.zeros((n, width), dtype), kernels.empty((n, width), dtype)
    scalars, limits = np.zeros((3, width)), np.zeros(width)
    scalars[0] = np.einsum("ij,ij->j", padded.astype(w).conj(), start).real
    scalars[2], limits[:_COLUMNS] = np.sqrt(np.finfo(dtype).eps), thresholds
    states, counts = np.full(width, 4, dtype=np.int64), np.zeros(width, dtype=np.int64)
    states[: _COLUMNS - 1] = 0
    norms = np.zeros((steps, width))
    weights = None if d is None else kernels.copy_to_device(d, d.dtype)
    R, P = kernels.copy_to_device(padded, dtype), kernels.copy_to_device(start, dtype)
    stored = operand(kernels, "csr", A)
    kernels.cg_chunk_many(stored, weights, X, R, P, Q, scalars, norms, limits, states, counts, steps)
    for j, count in enumerate(counts):
        norms[count:, j] = 0.0  # what the kernel leaves there is nobody's
    answer = norms, counts, states, kernels.to_host(X)
    return tuple(values[..., :_COLUMNS] for values in answer)
