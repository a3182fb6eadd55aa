"""The polynomials for exp, 2^x and log against NumPy's in extended precision."""

import importlib

import numpy as np
import pytest


@pytest.fixture
def loops(cpu):
    """exp, exp2 and log over arrays, called from a loop with the flags of the kernels, reassociation among them."""
    from solvers.kernels.cpu._jit import jit

    module = importlib.import_module("solvers.kernels.cpu.exponential")
    exp, exp2, log = module.exp, module.exp2, module.log

    @jit
    def exp_all(x, y):
        for i in range(x.size):
            y[i] = exp(x[i])

    @jit
    def exp2_all(x, y):
        for i in range(x.size):
            y[i] = exp2(x[i])

    @jit
    def log_all(x, y):
        for i in range(x.size):
            y[i] = log(x[i])

    return {"exp": exp_all, "exp2": exp2_all, "log": log_all}


def ulps(loop, exact, x):
    y = np.empty_like(x)
    loop(x, y)
    expected = exact(x.astype(np.longdouble))
    return float((np.abs(y - expected) / np.spacing(np.abs(expected).astype(x.dtype))).max())


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="has no extended precision")
@pytest.mark.parametrize("name, exact", [("exp", np.exp), ("exp2", np.exp2)])
@pytest.mark.parametrize("dtype, least", [("float64", -700), ("float32", -80)])
def test_an_exponential_is_off_by_a_unit_and_a_half_or_three(loops, rng, name, exact, dtype, least):
    most = 3.0 if (name, dtype) == ("exp2", "float64") else 1.5
    for low in (least, -1, -1e-3):
        assert ulps(loops[name], exact, rng.uniform(low, 0, 100_000).astype(dtype)) <= most
    assert ulps(loops[name], exact, rng.uniform(0, -least, 100_000).astype(dtype)) <= most


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["exp", "exp2"])
def test_an_exponential_of_special_numbers(loops, name, dtype):
    x = np.array([-np.inf, -1e5, -1e30, 0.0, -0.0, np.inf, 1e5, np.nan], dtype)
    y = np.empty_like(x)
    loops[name](x, y)
    assert np.array_equal(y, np.array([0, 0, 0, 1, 1, np.inf, np.inf, np.nan], dtype), equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, exact", [("exp", np.exp), ("exp2", np.exp2)])
def test_an_exponential_at_both_ends_of_its_range(loops, name, exact, dtype):
    """From normal numbers through the clamp: nothing wraps around, and the values rise."""
    scale = 1.0 if name == "exp2" else np.log(2)
    ends = {"float32": 126, "float64": 1022}[dtype]
    x = np.concatenate((np.linspace(-ends - 30, -ends + 1, 5000), np.linspace(ends - 1, ends + 30, 5000))) * scale
    x = x.astype(dtype)
    y = np.empty_like(x)
    loops[name](x, y)
    assert (np.diff(y[np.isfinite(y)]) >= 0).all() and (np.diff(np.isinf(y).astype(int)) >= 0).all()
    with np.errstate(over="ignore"):
        expected = exact(x.astype(np.float64))
    inside = (expected > np.finfo(dtype).tiny) & (expected < 0.5 * float(np.finfo(dtype).max))
    assert np.allclose(y[inside], expected[inside], rtol=8 * np.finfo(dtype).eps, atol=0)
    assert (y[expected < 0.4 * np.finfo(dtype).tiny] == 0).all()


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="has no extended precision")
def test_a_logarithm_is_off_by_at_most_two_and_a_half_units(loops, rng):
    for x in (np.exp(rng.uniform(-700, 700, 100_000)), rng.uniform(0.5, 2, 100_000), 1 + 1e-6 * rng.random(100_000)):
        assert ulps(loops["log"], np.log, x) <= 2.5
