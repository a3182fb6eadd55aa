"""The kernels of both backends have the same names and the same signatures; neither needs its device to be asked."""

import inspect

import pytest
from solvers.kernels import cpu, gpu

# Has no twin: callers refuse blocks of rows before they ask the GPU.
HOST_ONLY = {"block_sor_chunk"}
# Have no twin so far: transport chooses the CPU's kernels itself: no caller asks the GPU.
NOT_YET = {
    "fit_rows",
    "improve_rows",
    "log_chunk_many",
    "lsmr_chunk",
    "lsqr_chunk",
    "marginals_many",
    "unbalanced_chunk",
}
TWINS = sorted({*cpu.__all__} & {*gpu.__all__})


def shown(value):
    """What a caller has to know of a kernel or a constant."""
    if isinstance(value, type) and issubclass(value, tuple):
        return f"fields {value._fields}"
    if not callable(value):
        return type(value).__name__
    return f"({', '.join(map(parameter, inspect.signature(value).parameters.values()))})"


def parameter(each):
    default = "" if each.default is each.empty else f"={each.default!r}"
    return f"{each.name}{default}"


def test_both_backends_have_the_same_names():
    alone = HOST_ONLY | NOT_YET
    assert {*cpu.__all__} - alone == {*gpu.__all__} and alone <= {*cpu.__all__}


def test_patterns_are_sorted_on_the_host_by_the_same_functions():
    for name in ("grid_components", "ilu0", "order_by_colours", "order_by_levels", "split_rows"):
        assert getattr(gpu, name) is getattr(cpu, name)
    with pytest.raises(AttributeError, match="order_by_weight"):
        getattr(gpu, "order_by_" + "weight")


def test_there_are_kernels_to_compare():
    assert {"CSR", "axpy", "cg_chunk", "cg_chunk_many", "matvec", "project", "to_device"} <= {*TWINS}


@pytest.mark.parametrize("name", TWINS)
def test_a_kernel_and_its_twin_have_one_signature(name):
    assert shown(getattr(gpu, name)) == shown(getattr(cpu, name))


@pytest.mark.parametrize("name", [name for name in TWINS if inspect.isfunction(getattr(gpu, name))])
def test_every_kernel_of_the_gpu_says_what_it_does(name):
    assert (getattr(gpu, name).__doc__ or "").strip()


def test_a_difference_shows():
    def f(x, y):
        pass

    def g(x, y=None):
        pass

    assert shown(f) == "(x, y)" != shown(g)
    assert shown(f) != shown(lambda y, x: None)
