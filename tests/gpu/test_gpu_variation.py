"""The kernels of total variation on the emulated device, as the parity runner compares them on a real one."""

import pytest

from solvers import testing

CASES = [case for case in testing.gpu_parity_cases("kernel:variation*") if case.n < 5000]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_kernels_are_those_of_the_cpu_and_of_numpy(either, case):
    case.check(testing.Target("gpu"))
