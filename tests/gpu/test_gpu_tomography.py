"""The kernels of tomography on the emulated device, as the parity runner compares them on a real one."""

import numpy as np
import pytest

from solvers import inverse, testing

KERNELS = "kernel:line_integrals", "kernel:back_projection"
CASES = [case for kernel in KERNELS for case in testing.gpu_parity_cases(kernel)]


@pytest.mark.parametrize("case", [case for case in CASES if case.n < 1000], ids=lambda case: case.id)
def test_the_kernels_are_those_of_the_cpu_and_of_numpy(emulated, case):
    case.check(testing.Target("gpu"))


@pytest.mark.parametrize("case", [case for case in CASES if case.n == 40], ids=lambda case: case.id)
def test_threads_do_not_race_and_stay_in_bounds(mode, case):
    mode("checked")
    case.check(testing.Target("gpu"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operators_take_arrays_of_the_device(emulated, dtype):
    rng = np.random.default_rng(0)
    x = rng.random((2, 9, 12)).astype(dtype)
    near = {"source_distance": 8.91, "detector_distance": 9.0}  # hardly a pixel off the corners
    for A in (inverse.ParallelBeam((9, 12), 7, dtype=dtype), inverse.FanBeam((9, 12), 7, dtype=dtype, **near)):
        y = A @ emulated.asarray(x)
        back = A.H @ y
        assert isinstance(y, emulated.ndarray) and y.dtype == back.dtype == dtype
        tol = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(emulated.asnumpy(y), A @ x, rtol=tol, atol=10 * tol)
        np.testing.assert_allclose(emulated.asnumpy(back), A.H @ (A @ x), rtol=tol, atol=100 * tol)
        y, back = (emulated.asnumpy(each).astype(float) for each in (y, back))
        assert abs(np.vdot(y, y) - np.vdot(x, back)) <= tol * np.vdot(y, y)
