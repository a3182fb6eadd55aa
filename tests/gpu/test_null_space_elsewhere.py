"""Singular systems between walls on the (emulated) device: named, and solved, as on the CPU."""

import numpy as np
import pytest
from scipy import sparse

import solvers
from solvers import Status, linalg


@pytest.mark.parametrize("dtype, rtol", [("d", 1e-8), ("F", 1e-4)])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_an_inconsistent_system_ends_with_the_least_squares_x(emulated, dtype, rtol, preconditioned):
    line = sparse.diags_array([-np.ones(7), np.r_[1, np.full(6, 2.0), 1], -np.ones(7)], offsets=[-1, 0, 1])
    walled = sparse.kronsum(line, line)
    A = sparse.csr_array(sparse.block_diag([walled, walled + sparse.eye_array(64), walled])).astype(dtype)
    b = np.random.default_rng(0).standard_normal(192).astype(dtype)
    M = linalg.amg(A) if preconditioned else None
    expected = linalg.cg(A, b, M=M, rtol=rtol)
    with solvers.backend("gpu"):
        there = linalg.cg(A, b, M=M, rtol=rtol)
    assert there.backend == "gpu" and there.status is expected.status is Status.INCONSISTENT
    assert abs(there.iterations - expected.iterations) <= 1
    assert there.residual == pytest.approx(expected.residual, rel=10 * rtol)
    scale = 100 * rtol * np.abs(expected.x).max()
    np.testing.assert_allclose(there.x, expected.x, atol=scale)
    for part in (slice(0, 64), slice(128, 192)):
        assert abs(there.x[part].mean()) <= 1e3 * np.finfo(dtype).eps * np.abs(expected.x).max()
