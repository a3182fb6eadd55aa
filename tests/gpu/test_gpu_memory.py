"""Full memory, wherever it is met, is the named error; what is too large is refused before."""

import numpy as np
import pytest
import scipy.sparse as sp
from emulation import device

import solvers
from solvers import linalg
from solvers.linalg import _sweeps

N = 300
A = sp.csr_array(sp.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)))


@pytest.fixture
def there(emulated):
    from cupyx.scipy import sparse

    return sparse.csr_array(A), emulated.ones(N)


CALLS = {
    "cg": lambda A, b: linalg.cg(A, b),
    "cg of integers": lambda A, b: linalg.cg(A, b),
    "cg from x0": lambda A, b: linalg.cg(A, b, b),
    "cg with ssor": lambda A, b: linalg.cg(A, b, M=linalg.ssor(A, 1.2)),
    "cg with chebyshev": lambda A, b: linalg.cg(A, b, "Mb", M=linalg.chebyshev(A)),
    "cg with a function": lambda A, b: linalg.cg(lambda v: A @ v, b),
    "cg with a callback": lambda A, b: linalg.cg(A, b, callback=lambda x: None),
    "many": lambda A, b: linalg.cg(A, b),
    "csc": lambda A, b: linalg.cg(A, b),
    "gmres": lambda A, b: linalg.gmres(A, b, restart=5),
    "minres": lambda A, b: linalg.minres(A, b),
    "bicgstab": lambda A, b: linalg.bicgstab(A, b),
    "sor": lambda A, b: linalg.sor(A, b, omega=1.1, ordering="colored"),
    "ssor_cg": lambda A, b: linalg.ssor_cg(A, b, omega=1.1),
    "jacobi": lambda A, b: linalg.jacobi(A, b),
    "prepare": lambda A, b: linalg.prepare(A),
    "ssor": lambda A, b: linalg.ssor(A),
    "chebyshev": lambda A, b: linalg.chebyshev(A),
    "omega_optimal": lambda A, b: linalg.omega_optimal(A),
    "lsqr": lambda A, b: linalg.lsqr(A, b),
}


@pytest.mark.parametrize("name", CALLS)
def test_full_memory_has_one_name_wherever_it_is_met(emulated, there, name):
    matrix, b = there
    if name == "csc":
        there = matrix.tocsc(), b
    elif name in ("cg of integers", "many"):
        there = matrix, b.astype(np.int64) if name == "cg of integers" else emulated.ones((N, 3))
    CALLS[name](*there)
    _sweeps.forget()
    device.peak = before = device.live
    CALLS[name](*there)
    needed = device.peak - before
    refused = 0
    for room in np.linspace(0, needed, 13)[:-1]:
        _sweeps.forget()
        device.total = device.live + int(room)
        try:
            CALLS[name](*there)
        except MemoryError as error:
            assert type(error) is solvers.DeviceMemoryError
            assert error.requested > 0 and error.total == device.total
            refused += 1
        finally:
            device.total = 2**30
    assert refused >= 8


def test_full_memory_releases_what_is_kept_between_calls(there):
    matrix, b = there
    before = device.live
    linalg.sor(matrix, b, omega=1.1)
    assert device.live > before
    device.total = device.live
    with pytest.raises(solvers.DeviceMemoryError):
        linalg.gmres(matrix, b)
    assert device.live == before


@pytest.mark.parametrize("kind", ["a function", "an operator", "a stencil", "a matrix", "its sweeps"])
def test_too_many_rows_for_32_bits_are_refused(emulated, there, monkeypatch, kind):
    from cupyx.scipy.sparse.linalg import LinearOperator
    from solvers.kernels import gpu

    monkeypatch.setattr(gpu, "MOST_ENTRIES", N - 1)
    matrix, b = there
    given = {
        "a function": lambda v: matrix @ v,
        "an operator": LinearOperator((N, N), matvec=lambda v: matrix @ v, dtype=np.dtype(float)),
        "a stencil": linalg.stencil((N,), [3, -1]),
        "a matrix": matrix,
        "its sweeps": matrix,
    }
    with pytest.raises(solvers.InvalidInput, match=f"at most {N - 1} rows"):
        linalg.sor(matrix, b, omega=1.1) if kind == "its sweeps" else linalg.cg(given[kind], b)


def test_too_many_entries_of_a_stencil_as_a_matrix_are_refused(there, monkeypatch):
    from solvers.kernels import gpu

    monkeypatch.setattr(gpu, "MOST_ENTRIES", 2 * N)
    with pytest.raises(solvers.InvalidInput, match=f"at most {2 * N} rows"):
        linalg.sor(linalg.stencil((N,), [3, -1]), there[1], omega=1.1)


# ---- what comes back to the host, and what is kept on the device ----


@pytest.fixture
def bytes_read(emulated):
    """``bytes_read(call)``: what came back to the host, counted by the kernels and by the device."""
    from solvers.kernels.gpu import _device

    def count(call):
        call()  # keeps what may be kept
        before, number, all_reads = _device.reads.bytes, _device.reads.number, device.host_reads
        call()
        assert device.host_reads - all_reads == _device.reads.number - number  # none goes round the count
        return _device.reads.bytes - before

    return count


def calls_with(emulated):
    """By name: a call with arrays of n entries on the device, of which none needs to come back."""
    from cupyx.scipy import sparse

    def made(n):
        matrix = sparse.csr_array(sp.csr_array(sp.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))))
        b, eye = emulated.ones(n), sp.eye_array(n)
        diagonals = {"csr": sparse.csr_array(eye.tocsr()), "dia": sparse.dia_array(eye.todia())}
        return {
            "x0": lambda: linalg.cg(matrix, b, b, maxiter=2),
            "x0 in columns": lambda: linalg.cg(matrix, emulated.ones((n, 2)), emulated.ones((n, 2)), maxiter=2),
            "csr M": lambda: linalg.cg(matrix, b, M=diagonals["csr"], maxiter=2),
            "complex M": lambda: linalg.cg(matrix, b * 1j, M=diagonals["csr"] * (1 + 0j), maxiter=2),
            "dia M": lambda: linalg.cg(matrix, b, M=diagonals["dia"], maxiter=2),
            "sor": lambda: linalg.sor(matrix, b, omega=1.1, ordering="colored", maxiter=2),
            "ssor_cg": lambda: linalg.ssor_cg(matrix, b, omega=1.1, maxiter=2),
            "jacobi": lambda: linalg.jacobi(matrix, b, maxiter=2),
            "ssor": lambda: linalg.ssor(matrix, 1.1),
        }

    return made


@pytest.mark.parametrize(
    "name", ["x0", "x0 in columns", "csr M", "complex M", "dia M", "sor", "ssor_cg", "jacobi", "ssor"]
)
def test_no_whole_array_comes_back_to_the_host(emulated, bytes_read, name):
    # Partial sums of each block do, and states: less than the flags of two vectors.
    assert 0 < bytes_read(calls_with(emulated)(1500)[name]) < 3000


def test_what_is_wrong_on_the_device_is_still_named(emulated, there):
    from cupyx.scipy import sparse

    matrix, b = there
    start = emulated.ones(N)
    start[7] = np.nan
    with pytest.raises(solvers.InvalidInput, match="`x0`.*finite"):
        linalg.cg(matrix, b, start)
    holed = A.toarray()
    holed[9, 9] = 0
    for method in (linalg.sor, linalg.jacobi):
        with pytest.raises(solvers.InvalidInput, match="no zero on its diagonal.*got 1, the first in row 9"):
            method(sparse.csr_array(sp.csr_array(holed)), b)
    tiny = sparse.csr_array(1e-310 * A)  # 1 / d overflows, and no entry is zero
    assert linalg.sor(tiny, b, omega=1.0, maxiter=1).iterations >= 0


def test_a_pattern_that_changed_on_the_device_is_seen(emulated, there):
    matrix, b = there
    turned = sp.csr_array(4 * np.eye(N) - np.roll(np.eye(N), 1, axis=1))
    other = sp.csr_array(4 * np.eye(N) - np.roll(np.eye(N), 5, axis=1))
    given = type(matrix)(turned)
    for changed in (turned, other, turned):
        given.indices[:] = emulated.asarray(changed.indices)
        given.data[:] = emulated.asarray(changed.data)
        for ordering in ("natural", "colored"):
            found = linalg.sor(given, b, omega=1.0, ordering=ordering, rtol=1e-12).x
            np.testing.assert_allclose(changed @ found.get(), 1.0, atol=1e-10)


def test_what_is_kept_on_the_device_has_a_limit(emulated, monkeypatch):
    from cupyx.scipy import sparse

    def solve(shift):
        made = sp.csr_array(sp.diags_array([-1.0, 3.0, -1.0], offsets=[-shift, 0, shift], shape=(N, N)))
        b = np.ones(N)
        found = linalg.sor(sparse.csr_array(made), emulated.asarray(b), omega=1.0, rtol=1e-12).x
        np.testing.assert_allclose(made @ found.get(), b, atol=1e-10)

    def kept():
        return [pattern.bytes_elsewhere() for pattern in _sweeps._patterns]

    solve(1)
    (one,) = kept()
    assert one >= 4 * 3 * A.nnz
    monkeypatch.setattr(_sweeps, "_MOST_BYTES", 2 * one + 100)
    for shift in (2, 3, 4):
        solve(shift)
    assert [size > 0 for size in kept()] == [False, False, True, True]
    monkeypatch.setattr(_sweeps, "_MOST_BYTES", 100)
    solve(5)
    solve(1)
    assert not any(kept())
