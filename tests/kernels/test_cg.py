"""Chunks of conjugate gradients against ten lines of plain NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest

NONFINITE, INDEFINITE, NOT_HERMITIAN, REACHED = 1, 2, 3, 4
SIZES = (1, 2, 5, 511, 512, 513, 5000)


def plain_cg(A, d, b, steps):
    """The iterates and the residual norms of Hestenes and Stiefel's method; d is the preconditioner."""
    x, r = np.zeros_like(b), b.copy()
    p = d * r
    rho = np.vdot(r, p).real
    for _ in range(steps):
        q = A(p)
        alpha = rho / np.vdot(p, q).real
        x, r = x + alpha * p, r - alpha * q
        rho, rho_last = np.vdot(r, d * r).real, rho
        p = d * r + rho / rho_last * p
        yield x, np.linalg.norm(r)


def apply(m):
    """The plain product of a matrix given as triplets."""

    def product(v):
        terms = m.value * v[m.column]
        parts = np.bincount(m.row, terms.real, m.n)
        return parts + 1j * np.bincount(m.row, terms.imag, m.n) if terms.dtype.kind == "c" else parts

    return product


def start(b, d=None):
    """The arrays of ``cg_chunk`` for x = 0."""
    r = b.copy()
    p = r.copy() if d is None else (d * r).astype(b.dtype)
    rho = float(np.vdot(r.astype(complex), p.astype(complex)).real)
    share = np.sqrt(np.finfo(b.dtype).eps)
    return SimpleNamespace(
        d=d, x=np.zeros_like(b), r=r, p=p, q=np.full_like(b, np.nan), scalars=np.array([rho, 0.0, share])
    )


def advance(cpu, A, s, steps, threshold=0.0):
    """Take steps; returns their norms and the flag."""
    norms = np.full(steps, np.nan)
    taken, flag = cpu.cg_chunk(A, s.d, s.x, s.r, s.p, s.q, s.scalars, norms, threshold, steps)
    return norms[:taken], flag


def start_many(cpu, B, d=None):
    """The arrays of ``cg_chunk_many`` for X = 0, and as many zero columns as fill the last lanes."""
    columns = [start(np.ascontiguousarray(b), d) for b in B.T]
    k = -(-len(columns) // cpu.LANES) * cpu.LANES
    wide = {name: np.zeros((B.shape[0], k), B.dtype) for name in "XRPQ"}
    scalars, states = np.zeros((3, k)), np.full(k, REACHED, dtype=np.int64)
    for j, column in enumerate(columns):
        wide["X"][:, j], wide["R"][:, j], wide["P"][:, j] = column.x, column.r, column.p
        scalars[:, j], states[j] = column.scalars, 0
    return SimpleNamespace(d=d, **wide, scalars=scalars, states=states, thresholds=np.zeros(k))


def advance_many(cpu, A, s, steps):
    """Take steps; returns the norms of each column's own steps."""
    norms, counts = np.full((steps, s.states.size), np.nan), np.zeros(s.states.size, dtype=np.int64)
    cpu.cg_chunk_many(A, s.d, s.X, s.R, s.P, s.Q, s.scalars, norms, s.thresholds, s.states, counts, steps)
    return [norms[:count, j] for j, count in enumerate(counts)]


def as_csr(cpu, m, index=np.int32):
    order = np.lexsort((m.column, m.row))
    indptr = np.searchsorted(m.row[order], np.arange(m.n + 1)).astype(index)
    return cpu.csr(indptr, m.column[order].astype(index), np.ascontiguousarray(m.value[order]))


def hermitian(kind, n, dtype, matrices, cpu, index=np.int32):
    """A well-conditioned Hermitian positive definite matrix in that storage."""
    if kind == "stencil":
        m = matrices.stencil((5, 8, 60), dtype)
        weights = np.array([9.0, -1.0, -1.2, -0.7], dtype)
        m.operand = cpu.stencil((5, 8, 60), weights)
        shift = np.abs(m.row - m.column)
        m.value = weights[np.select([shift == 0, shift == 480, shift == 60], [0, 1, 2], 3)]
        return m
    m = matrices.tridiagonal(n, dtype)
    if kind == "csr":
        m.operand = as_csr(cpu, m, index)
    elif kind == "dense":
        array = np.zeros((n, n), dtype)
        array[m.row, m.column] = m.value
        m.operand = cpu.dense(array)
    return m


CASES = (
    [("csr", n, np.int32) for n in SIZES]
    + [("csr", 2049, np.int64)]
    + [("diagonals", n, None) for n in SIZES]
    + [("dense", n, None) for n in (1, 2, 5, 300)]
    + [("stencil", 2400, None)]
)


@pytest.mark.parametrize("kind, n, index", CASES)
def test_each_iterate_is_that_of_the_plain_method(cpu, matrices, draw, dtype, kind, n, index):
    m = hermitian(kind, n, dtype, matrices, cpu, index)
    b = draw(m.n, dtype)
    s = start(b)
    steps = min(12, m.n)
    bound = 1e-10 if np.finfo(dtype).dtype == np.float64 else 2e-5
    wide = np.result_type(dtype, np.float64)
    m.value = m.value.astype(wide)
    for x, norm in plain_cg(apply(m), 1.0, b.astype(wide), steps):
        norms, flag = advance(cpu, m.operand, s, 1)
        assert flag == 0
        assert np.linalg.norm(s.x - x) <= bound * np.linalg.norm(x)
        assert abs(norms[0] - norm) <= bound * np.linalg.norm(b)


@pytest.mark.parametrize("kind", ["csr", "diagonals"])
def test_each_preconditioned_iterate_is_that_of_the_plain_method(cpu, matrices, draw, rng, dtype, kind):
    m = hermitian(kind, 2049, dtype, matrices, cpu)
    real, wide = np.finfo(dtype).dtype, np.result_type(dtype, np.float64)
    b, d = draw(m.n, dtype), rng.uniform(0.5, 1.5, m.n).astype(real)
    s = start(b, d)
    bound = 1e-10 if real == np.float64 else 2e-5
    m.value = m.value.astype(wide)
    for x, norm in plain_cg(apply(m), d.astype(float), b.astype(wide), 12):
        norms, flag = advance(cpu, m.operand, s, 1)
        assert flag == 0
        assert np.linalg.norm(s.x - x) <= bound * np.linalg.norm(x)
        assert abs(norms[0] - norm) <= bound * np.linalg.norm(b)


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_chunks_of_any_length_give_the_same_bits(cpu, matrices, draw, dtype, pieces):
    m = hermitian("csr", 5000, dtype, matrices, cpu)
    b = draw(m.n, dtype)
    whole, parts = start(b), start(b)
    norms, _ = advance(cpu, m.operand, whole, 14)
    assert norms.size == 14
    own = []
    while len(own) < 14:
        own.extend(advance(cpu, m.operand, parts, min(pieces, 14 - len(own)))[0])
    assert own == norms.tolist()
    for name in ("x", "r", "p", "scalars"):
        assert getattr(parts, name).tobytes() == getattr(whole, name).tobytes()


def test_a_chunk_ends_with_the_step_that_meets_the_threshold(cpu, matrices, draw, dtype):
    m = hermitian("diagonals", 2049, dtype, matrices, cpu)
    b = draw(m.n, dtype)
    norms, _ = advance(cpu, m.operand, start(b), 10)
    short, flag = advance(cpu, m.operand, start(b), 10, threshold=norms[5])
    assert flag == 0
    assert short.tolist() == norms[:6].tolist()


@pytest.mark.parametrize("exponent", [-300, -440, 400])
def test_the_scale_of_b_does_not_change_the_steps(cpu, matrices, draw, exponent):
    """A power of two is exact, and the norms are far from the ends of the range of float64."""
    m = hermitian("diagonals", 500, "float64", matrices, cpu)
    b = draw(500, "float64")
    scale = 2.0**exponent
    one, other = start(b), start(scale * b)
    norms, flag = advance(cpu, m.operand, one, 12)
    assert (norms.size, flag) == (12, 0)
    other_norms, other_flag = advance(cpu, m.operand, other, 12)
    assert (other_norms.size, other_flag) == (12, 0)
    # Squares of the smaller ones may lose bits to underflow, and only those.
    assert np.allclose(other_norms, scale * norms, rtol=1e-6, atol=0)
    assert np.allclose(other.x, scale * one.x, rtol=1e-6, atol=1e-12 * scale)


def failing(cpu, name, dtype):
    """A 3000 x 3000 matrix that cg cannot solve, and the flag that says so."""
    n = 3000
    diagonal = np.ones(n, dtype)
    offsets, data = [0], [diagonal]
    flag = INDEFINITE
    if name == "nan":
        diagonal[2500] = np.nan
        flag = NONFINITE
    elif name == "infinity":
        diagonal[2500] = np.inf
        flag = NONFINITE
    elif name == "indefinite":
        diagonal[1::2] = -1.5
    elif name == "zero":
        diagonal[:] = 0
    elif name == "not hermitian":
        diagonal[:] = 1 + 1j
        flag = NOT_HERMITIAN
    elif name == "skew beside the diagonal":
        offsets, data, flag = [-1, 0, 1], [0.5 * diagonal, 2 * diagonal, (0.5 + 0.5j) * diagonal], NOT_HERMITIAN
    return cpu.Diagonals(np.array(offsets, dtype=np.int64), np.array(data, dtype)), flag


@pytest.mark.parametrize("name", ["nan", "infinity", "indefinite", "zero"])
def test_a_matrix_that_is_not_definite_or_not_finite_is_named(cpu, draw, dtype, name):
    A, flag = failing(cpu, name, dtype)
    s = start(draw(3000, dtype))
    norms, found = advance(cpu, A, s, 10)
    assert found == flag
    assert np.isfinite(norms).all() and np.isfinite(s.x).all()


@pytest.mark.parametrize("name", ["not hermitian", "skew beside the diagonal"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_a_complex_matrix_that_is_not_hermitian_is_named(cpu, draw, dtype, name):
    A, flag = failing(cpu, name, dtype)
    s = start(draw(3000, dtype))
    norms, found = advance(cpu, A, s, 10)
    assert (found, norms.size) == (flag, 0)
    assert not s.x.any()


def test_a_negative_definite_matrix_is_solved(cpu, matrices, draw, dtype):
    m = matrices.tridiagonal(2049, dtype)
    b = draw(m.n, dtype)
    negative, positive = start(b), start(b)
    mirrored = cpu.Diagonals(m.operand.offsets, -m.operand.data)
    assert advance(cpu, mirrored, negative, 8)[0].tolist() == advance(cpu, m.operand, positive, 8)[0].tolist()
    assert np.array_equal(negative.x, -positive.x)


def test_a_zero_direction_is_named_and_leaves_x(cpu, matrices, draw, dtype):
    m = matrices.tridiagonal(2049, dtype)
    s = start(draw(m.n, dtype))
    advance(cpu, m.operand, s, 2)
    x = s.x.copy()
    s.p[:] = 0
    norms, flag = advance(cpu, m.operand, s, 5)
    assert (flag, norms.size) == (INDEFINITE, 0)
    assert np.array_equal(s.x, x)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_an_overflow_is_named_and_leaves_x_finite(cpu, draw, dtype):
    A = cpu.Diagonals(np.zeros(1, np.int64), np.full((1, 3000), 1e30, dtype))
    s = start((1e20 * draw(3000, dtype)).astype(dtype))
    _, flag = advance(cpu, A, s, 10)
    assert flag == NONFINITE
    assert np.isfinite(s.x).all()


@pytest.mark.parametrize("kind", ["csr", "diagonals", "stencil"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_threads_do_not_change_a_bit_of_the_iterates(cpu, matrices, draw, threads, dtype, kind):
    if kind == "stencil":
        m = SimpleNamespace(n=200_000, operand=cpu.stencil((400, 500), np.array([5, -1, -1.1], dtype)))
    else:
        m = hermitian(kind, 200_000, dtype, matrices, cpu)
    b, answers = draw(m.n, dtype), []
    for n in (1, 2, 3):
        threads(n)
        s = start(b)
        norms, flag = advance(cpu, m.operand, s, 20)
        answers.append((flag, norms.tobytes(), s.x.tobytes(), s.p.tobytes(), s.scalars.tobytes()))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("n", SIZES)
def test_each_of_many_columns_takes_the_steps_it_takes_alone(cpu, matrices, draw, rng, dtype, n, preconditioned):
    m = hermitian("csr", n, dtype, matrices, cpu)
    k = 5 if n < 3000 else 11
    B = draw((n, k), dtype)
    real = np.finfo(dtype).dtype
    d = rng.uniform(0.5, 1.5, n).astype(real) if preconditioned else None
    steps = min(10, n)
    many = start_many(cpu, B, d)
    norms = advance_many(cpu, m.operand, many, steps)
    bound = 1e-10 if real == np.float64 else 2e-5
    for j in range(k):
        s = start(np.ascontiguousarray(B[:, j]), d)
        own, flag = advance(cpu, m.operand, s, steps)
        assert flag == 0 and own.size == norms[j].size == steps
        assert np.linalg.norm(many.X[:, j] - s.x) <= bound * np.linalg.norm(s.x)
        assert np.abs(norms[j] - own).max() <= bound * np.linalg.norm(B[:, j])


def test_each_of_many_columns_stops_at_its_own_threshold(cpu, matrices, draw, dtype):
    m = hermitian("csr", 2049, dtype, matrices, cpu)
    B = draw((m.n, 6), dtype)
    full = advance_many(cpu, m.operand, start_many(cpu, B), 10)
    many = start_many(cpu, B)
    many.thresholds[:6] = [full[j][2 + j] for j in range(6)]
    norms = advance_many(cpu, m.operand, many, 10)
    assert (many.states[:6] == REACHED).all()
    assert [norms[j].tolist() for j in range(6)] == [full[j][: 3 + j].tolist() for j in range(6)]


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_chunks_of_any_length_give_the_same_bits_for_many_columns(cpu, matrices, draw, dtype, pieces):
    m = hermitian("csr", 2500, dtype, matrices, cpu)
    B = draw((m.n, 3), dtype)
    whole, parts = start_many(cpu, B), start_many(cpu, B)
    norms = advance_many(cpu, m.operand, whole, 14)
    own = [[], [], []]
    while len(own[0]) < 14:
        taken = advance_many(cpu, m.operand, parts, min(pieces, 14 - len(own[0])))
        for j in range(3):
            own[j].extend(taken[j])
    assert own == [norms[j].tolist() for j in range(3)]
    assert parts.X.tobytes() == whole.X.tobytes() and parts.P.tobytes() == whole.P.tobytes()


@pytest.mark.parametrize("preconditioned", [False, True])
def test_no_bit_of_a_column_depends_on_the_columns_beside_it(cpu, matrices, draw, rng, dtype, preconditioned):
    m = hermitian("csr", 700, dtype, matrices, cpu)
    B = draw((m.n, 3 * cpu.LANES), dtype) * np.float32(10) ** rng.integers(-3, 3, 3 * cpu.LANES).astype(np.float32)
    d = rng.uniform(0.5, 1.5, m.n).astype(np.finfo(dtype).dtype) if preconditioned else None
    whole, some = start_many(cpu, B, d), start_many(cpu, B[:, 20:25], d)
    norms, own = (advance_many(cpu, m.operand, s, 10) for s in (whole, some))
    assert [each.tolist() for each in norms[20:25]] == [each.tolist() for each in own[:5]]
    assert whole.X[:, 20:25].tobytes() == some.X[:, :5].tobytes()


def test_threads_do_not_change_a_bit_of_many_columns(cpu, matrices, draw, threads):
    m = hermitian("csr", 60_000, "float64", matrices, cpu)
    B, answers = draw((m.n, 8), "float64"), []
    for n in (1, 2, 3):
        threads(n)
        s = start_many(cpu, B)
        norms = advance_many(cpu, m.operand, s, 10)
        answers.append((np.array(norms[:8]).tobytes(), s.X.tobytes(), s.R.tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_a_column_that_overflows_is_named_and_stays_finite_beside_others(cpu, matrices, draw):
    """Its residual is no longer finite, and the others go on for many steps."""
    m = hermitian("csr", 500, "float32", matrices, cpu)
    m.operand.data[:] *= np.float32(1e20)
    B = draw((500, 2), "float32")
    B[:, 0] *= np.float32(1e25)
    s = start_many(cpu, B)
    advance_many(cpu, m.operand, s, 10)
    assert s.states[:2].tolist() == [NONFINITE, 0]
    assert np.isfinite(s.X[:, 1]).all() and s.X[:, 1].any()
    assert np.isfinite(s.X[:, 0]).all()


def test_a_column_that_meets_an_indefinite_direction_is_named_and_the_others_go_on(cpu, matrices, draw, dtype):
    m = hermitian("csr", 500, dtype, matrices, cpu)
    first = np.repeat(np.arange(500), np.diff(m.operand.indptr.astype(np.int64))) < 250
    m.operand.data[first & (m.operand.indices < 250)] *= -1  # negative definite on the first half
    m.operand.data[first != (m.operand.indices < 250)] = 0  # which nothing couples to the second
    B = draw((500, 2), dtype)
    B[250:, 0] = B[:250, 1] = 0
    s = start_many(cpu, B)
    s.scalars[1, :2] = 1.0  # both columns are known to be positive
    norms = advance_many(cpu, m.operand, s, 8)
    assert s.states[:2].tolist() == [INDEFINITE, 0]
    assert not s.X[:, 0].any() and norms[1][-1] < norms[1][0]


@pytest.mark.parametrize("name", ["nan", "indefinite", "not hermitian"])
def test_many_columns_of_a_failing_matrix_are_named_and_stay_finite(cpu, draw, dtype, name):
    if name == "not hermitian" and dtype.kind != "c":
        return
    A, flag = failing(cpu, name, dtype)
    indptr = np.arange(3001, dtype=np.int32)
    A = cpu.csr(indptr, indptr[:-1].copy(), np.ascontiguousarray(A.data[0]))
    s = start_many(cpu, draw((3000, 3), dtype))
    advance_many(cpu, A, s, 10)
    assert s.states[:3].tolist() == [flag] * 3
    assert np.isfinite(s.X[:, :3]).all()
