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
    # CuPy's own functions are SciPy's here, which take little of the device's memory.
    assert refused >= (8 if name != "lsqr" else 1)


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
