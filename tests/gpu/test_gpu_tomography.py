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
    far = {"source_distance": 20.0, "detector_distance": 9.0}
    for A in (inverse.ParallelBeam((9, 12), 7, dtype=dtype), inverse.FanBeam((9, 12), 7, dtype=dtype, **far)):
        y = A @ emulated.asarray(x)
        back = A.H @ y
        assert isinstance(y, emulated.ndarray) and y.dtype == back.dtype == dtype
        np.testing.assert_allclose(emulated.asnumpy(y), A @ x, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-5)
        gap = np.vdot(emulated.asnumpy(y).astype(float), A @ x) - np.vdot(x.astype(float), A.H @ (A @ x))
        assert abs(gap) <= 1e-6 * np.linalg.norm(A @ x) ** 2
        np.testing.assert_allclose(emulated.asnumpy(back), A.H @ (A @ x), rtol=1e-5, atol=1e-4)
