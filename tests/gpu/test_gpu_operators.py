"""The operators of this library among arrays of the (emulated) device."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as scipy_linalg
from emulation import device

import solvers
from solvers import linalg

SHAPE, N = (3, 4), 12
STENCIL = linalg.stencil(SHAPE, np.array([5.0, -1.0, -2.0]))
A = sp.csr_array(STENCIL @ np.eye(N))
v = np.random.default_rng(2).standard_normal((N, 3))
x = np.linalg.solve(A.toarray(), v[:, 0])


def operators(sent):
    return {
        "stencil": STENCIL,
        "prepared": linalg.prepare(sent(A)),
        "prepared dense": linalg.prepare(sent(A.toarray())),
        "ssor": linalg.ssor(A, 1.2),
        "incomplete Cholesky": linalg.incomplete_cholesky(A),
        "chebyshev": linalg.chebyshev(A, 2, bounds=(0.2, 2.0)),
    }


NAMES = ("stencil", "prepared", "prepared dense", "ssor", "incomplete Cholesky", "chebyshev")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [float, "f", complex, int])
def test_products_with_arrays_of_the_device(sent, name, dtype):
    operator = operators(sent)[name]
    values = (4 * v).astype(dtype)
    host = operators(lambda value: value)[name]
    near = 1e-12
    for given in (values[:, 0].copy(), values, values[:, 1:2]):
        found, expected = operator @ sent(given), host @ given
        assert type(found) is type(sent(given)) and found.dtype == expected.dtype and found.shape == given.shape
        np.testing.assert_allclose(found.get(), expected, rtol=near, atol=near)
    np.testing.assert_allclose(operator.matvec(sent(values[:, 0].copy())).get(), host @ values[:, 0], atol=near)
    np.testing.assert_allclose(operator.matmat(sent(values)).get(), host @ values, atol=near)


def test_a_prepared_operator_of_cupyx_multiplies(sent):
    from cupyx.scipy.sparse.linalg import LinearOperator

    matrix = sent(A)
    operator = linalg.prepare(LinearOperator((N, N), matvec=lambda u: matrix @ u, dtype=np.dtype(float)))
    np.testing.assert_allclose((operator @ sent(v)).get(), A @ v, atol=1e-12)


def test_products_of_arrays_in_two_places_are_refused_in_one_sentence(sent):
    with pytest.raises(solvers.UnsupportedType, match="`A` lives on the GPU and `x` does not"):
        linalg.prepare(sent(A)) @ v[:, 0]
    with pytest.raises(solvers.UnsupportedType, match="`x` lives on the GPU and `A` does not"):
        linalg.prepare(A) @ sent(v[:, 0])
    with pytest.raises(solvers.InvalidInput, match=r"`x` must have shape \(12,\) or \(12, k\)"):
        STENCIL @ sent(v[:5, 0])
    with solvers.backend("cpu"), pytest.raises(solvers.UnsupportedType, match="`x` lives on the GPU"):
        STENCIL @ sent(v[:, 0])


def test_operators_of_the_device_still_make_operators(sent):
    prepared = linalg.prepare(sent(A))
    for made in (2 * prepared, prepared * 2, prepared @ prepared):
        assert made.shape == (N, N) and isinstance(made, scipy_linalg.LinearOperator)


def stencils(f, b):
    return {
        "lsqr": lambda: f("lsqr")(STENCIL, b)[0],
        "lsmr": lambda: f("lsmr")(STENCIL, b, atol=1e-13, btol=1e-13)[0],
        "cgs": lambda: f("cgs")(STENCIL, b, rtol=1e-12)[0],
        "spsolve": lambda: f("spsolve")(STENCIL, b),
    }


@pytest.mark.parametrize("name", ["lsqr", "lsmr", "cgs", "spsolve"])
def test_a_stencil_goes_to_the_functions_of_cupyx_as_its_matrix(sent, name):
    def named(each):
        return getattr(linalg, each)

    found = stencils(named, sent(v[:, 0]))[name]()
    np.testing.assert_allclose(found.get(), x, atol=1e-5)
    with solvers.backend("gpu"):
        found = stencils(named, v[:, 0])[name]()
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_a_stencil_s_norm_and_eigenvalues_under_the_switch(emulated):
    with solvers.backend("gpu"):
        assert linalg.norm(STENCIL) == pytest.approx(scipy_linalg.norm(A))
        found = linalg.eigsh(STENCIL, k=2, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(found), np.linalg.eigvalsh(A.toarray())[-2:], atol=1e-8)


# ---- several devices ----


@pytest.fixture
def second(emulated, monkeypatch):
    """``second(array)``: the array, which says that it lives on another device."""

    device.devices = 2

    def number(array):
        return emulated.cuda.Device(getattr(array, "number", 0))

    monkeypatch.setattr(emulated.ndarray, "device", property(number))

    def moved(array):
        array.number = 1
        return array

    return moved


def test_arguments_on_two_devices_are_refused_in_one_sentence(sent, second):
    matrix, b, M = sent(A), sent(v[:, 0]), sent(sp.csr_array(sp.eye_array(N)))
    prepared = linalg.prepare(matrix)
    for given in (matrix, prepared):
        with pytest.raises(solvers.UnsupportedType, match="`A` lives on GPU 0 and `b` on GPU 1"):
            linalg.cg(given, second(sent(v[:, 0])))
    with pytest.raises(solvers.UnsupportedType, match="`b` on GPU 1"):
        linalg.lsqr(matrix, second(sent(v[:, 0])))
    with pytest.raises(solvers.UnsupportedType, match="`A` lives on GPU 0 and `x` on GPU 1"):
        prepared @ second(sent(v[:, 0]))
    with pytest.raises(solvers.UnsupportedType, match="`A` lives on GPU 0 and `x0` on GPU 1"):
        linalg.cg(matrix, b, second(sent(v[:, 0])))
    second(M.data)
    with pytest.raises(solvers.UnsupportedType, match="`A` lives on GPU 0 and `M` on GPU 1"):
        linalg.cg(matrix, b, M=M)


def test_what_is_kept_with_a_matrix_belongs_to_one_device(emulated, monkeypatch):
    from solvers.linalg._sweeps import sweep_of

    matrix, M = linalg.prepare(A), linalg.chebyshev(A, 2)
    cholesky = linalg.incomplete_cholesky(A)
    dtype, kept = np.dtype(float), []
    for number in (0, 1, 0):
        monkeypatch.setattr(emulated.cuda.runtime, "getDevice", lambda number=number: number)
        made = [matrix._matrix.operand(dtype, "gpu"), sweep_of(matrix._matrix, dtype, "gpu", "natural")]
        kept.append([*made, M._inverse(dtype, "gpu"), cholesky._sweep(dtype, "gpu")])
    assert all(a is c and a is not b for a, b, c in zip(*kept))
