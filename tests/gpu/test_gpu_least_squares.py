"""lsqr, lsmr and inverse.least_squares with arrays of the (emulated) device: the CPU's answers, which stay there."""

import numpy as np
import pytest
import scipy.sparse as sp

import solvers
from solvers import inverse, linalg

RNG = np.random.default_rng(5)
A = RNG.standard_normal((30, 18)) * (RNG.random((30, 18)) < 0.4)
B = RNG.standard_normal((30, 3))


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", ["d", "F"])
def test_lsqr_and_lsmr_work_where_their_arrays_live(sent, name, kind, dtype):
    matrix, x0 = kind(A.astype(dtype)), np.ones((18, 3), dtype)
    b = (B * (1 + 0.5j) if dtype == "F" else B).astype(dtype)
    near = 1e-5 if dtype == "F" else 1e-12
    options = {"damp": 0.1, "x0": x0, **({"calc_var": True} if name == "lsqr" else {})}
    if name == "lsmr" and kind is sp.csr_array:
        # The host's loop is compiled: on the way to the minimiser rounding takes it apart from the readable one.
        options |= {"atol": near / 1000, "btol": near / 1000, "maxiter": 40}
    there = options | {"x0": sent(x0)}
    host, device = getattr(linalg, name)(matrix, b, **options), getattr(linalg, name)(sent(matrix), sent(b), **there)
    assert device.backend == "gpu" and type(device.x) is type(sent(b)) and device.x.dtype == dtype
    np.testing.assert_allclose(device.x.get(), host.x, atol=near)
    assert device.status == host.status and abs(device.iterations - host.iterations).max() <= 1
    with solvers.backend("gpu"):
        back = getattr(linalg, name)(matrix, b, **options)
    assert isinstance(back.x, np.ndarray) and back.backend == "gpu"
    np.testing.assert_allclose(back.x, host.x, atol=near)


OPTIONS = (
    {"method": "cgls"},
    {"method": "lsqr", "regularization": 0.1},
    {"method": "lsmr", "regularization": 0.1, "L": np.diff(np.eye(18), axis=0)},
    {"stop": "gcv"},
    {"stop": "l-curve"},
    {"regularization": "gcv"},
    {"regularization": "gcv", "L": np.diff(np.eye(18), axis=0)},
    {"noise_norm": 3.5},
)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(k for k in o))
def test_a_reconstruction_stays_on_the_device(sent, emulated, options):
    matrix = sp.csr_array(A)
    there = options | ({"L": sent(options["L"])} if "L" in options else {})
    host = inverse.least_squares(matrix, B, **options)
    device = inverse.least_squares(sent(matrix), sent(B), **there)
    assert device.backend == "gpu" and isinstance(device.x, emulated.ndarray)
    np.testing.assert_allclose(device.x.get(), host.x, atol=1e-9)
    assert device.stop_reason == host.stop_reason and device.status == host.status
    np.testing.assert_array_equal(device.chosen, host.chosen)
    with solvers.backend("gpu"):
        back = inverse.least_squares(matrix, B, **options)
    assert isinstance(back.x, np.ndarray) and back.backend == "gpu"
    np.testing.assert_allclose(back.x, host.x, atol=1e-9)


def test_rows_that_begin_anywhere_in_single_precision(sent):
    for options in ({"regularization": "gcv"}, {"stop": "gcv"}, {"method": "lsqr"}):
        options |= {"maxiter": 4}
        host = inverse.least_squares(A[:, :17].astype("f"), B.astype("f"), **options)
        device = inverse.least_squares(sent(A[:, :17].astype("f")), sent(B.astype("f")), **options)
        np.testing.assert_allclose(device.x.get(), host.x, atol=1e-5)


def test_arrays_in_two_places_are_refused(sent):
    with pytest.raises(solvers.UnsupportedType, match="`A` lives on the GPU and `b` does not"):
        inverse.least_squares(sent(A), B)
    operator = linalg.aslinearoperator(A)
    with pytest.raises(solvers.UnsupportedType, match="`b` lives on the GPU and `A` does not"):
        linalg.lsqr(operator, sent(B))
