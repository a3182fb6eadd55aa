"""Every CUDA source compiles with NVRTC, for which no GPU and no driver is needed; with CuPy's own options.

The emulation runs these sources with a C++ compiler, which accepts what NVRTC does not (headers, for one).
What neither shows: registers and spills, launches that a real device refuses, speed.
"""

import ast
import multiprocessing
import os
import pathlib
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest
from solvers.kernels.gpu import _device

FOLDER = pathlib.Path(_device.__file__).parent
SOURCES = {source.name: source for source in _device.SOURCES}
# A100; H100 and H200; RTX 50.
ARCHITECTURES = ("sm_80", "sm_90", "sm_120")
# What CuPy adds to ours; denormals of single precision are flushed to zero.
CUPYS = ("-ftz=true", "--device-as-default-execution-space")


@pytest.fixture(scope="module")
def nvrtc():
    """CuPy's NVRTC; without one CI fails, and others are told what to install."""
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except Exception as error:  # ImportError, or cuda-pathfinder's own error
        if os.environ.get("CI") and sys.platform != "darwin":
            pytest.fail(f"CI must compile the CUDA sources: {error}")
        pytest.skip("NVRTC is not installed: pip install 'adaptive-solvers[test]'")
    return nvrtc


class CompileError(Exception):
    """NVRTC's words."""


def compiled(nvrtc, name, code, expressions, architecture):
    """The size of the binary; the compiler's log where there is none."""
    program = nvrtc.createProgram(code, f"{name}.cu", (), ())
    try:
        for expression in expressions:
            nvrtc.addNameExpression(program, expression)
        try:
            nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", *_device.OPTIONS, *CUPYS])
        except nvrtc.NVRTCError as error:
            raise CompileError(f"{error}\n{nvrtc.getProgramLog(program)}") from None
        assert all(nvrtc.getLoweredName(program, expression) for expression in expressions)
        return len(nvrtc.getCUBIN(program))
    finally:
        nvrtc.destroyProgram(program)


def attempt(name, architecture):
    """(size of the binary or None, the compiler's words, processor seconds); runs in a process of its own."""
    from cupy.cuda import nvrtc

    start = time.process_time()
    try:
        size, words = compiled(nvrtc, name, SOURCES[name].code, SOURCES[name].expressions, architecture), ""
    except CompileError as error:
        size, words = None, str(error)
    return size, words, time.process_time() - start


@pytest.fixture(
    scope="module",
    params=[a if a == "sm_90" else pytest.param(a, marks=pytest.mark.slow) for a in ARCHITECTURES],
)
def outcomes(nvrtc, request):
    """What became of every source for an architecture; NVRTC keeps one processor busy, so there are several."""
    start = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = {name: pool.submit(attempt, name, request.param) for name in SOURCES}
        found = {name: future.result() for name, future in pending.items()}
    spent = time.perf_counter() - start
    processor = sum(seconds for _, _, seconds in found.values())
    instances = sum(len(source.expressions) for source in SOURCES.values())
    print(f"\nNVRTC: {instances} instances for {request.param} in {spent:.1f} s ({processor:.1f} s of a processor)")
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_every_instance_of_a_source_compiles(outcomes, name):
    size, words, _ = outcomes[name]
    if size is None:
        pytest.fail(f"{name}.cu:\n{words}", pytrace=False)
    assert SOURCES[name].expressions and size > 1000


@pytest.mark.parametrize(
    "planted, words",
    [
        ("#include <math.h>\n", "math.h"),
        ("__global__ void f(double* x) { x[0] = INFINITY; }\n", "INFINITY"),
        ("__global__ void f(double* x) { x[0] = 1.0 }\n", "expected a"),
        ("__global__ void f(double* x) { y[0] = 1.0; }\n", '"y" is undefined'),
    ],
    ids=["include", "macro of a header", "syntax", "name"],
)
def test_a_planted_error_is_caught_and_the_log_names_it(nvrtc, planted, words):
    common = (FOLDER / "common.cuh").read_text(encoding="utf-8")
    assert compiled(nvrtc, "sound", common, [], "sm_90") > 0
    with pytest.raises(CompileError, match=re.escape(words)):
        compiled(nvrtc, "planted", common + planted, [], "sm_90")


def test_an_error_is_reported_at_its_line_of_its_file(nvrtc):
    source = SOURCES["vectors"]
    lines = (FOLDER / "vectors.cu").read_text(encoding="utf-8").count("\n")
    with pytest.raises(CompileError, match=rf"vectors\.cu\({lines + 1}\): error"):
        compiled(nvrtc, source.name, source.code.rstrip("\n") + "\nnonsense;\n", [], "sm_90")


def test_an_instance_of_another_type_is_caught(nvrtc):
    code = "template <class T> __global__ void f(T* x) { x[0] = x[0] % T(2); }"
    assert compiled(nvrtc, "f", code, ["f<int>"], "sm_90") > 0
    with pytest.raises(CompileError):
        compiled(nvrtc, "f", code, ["f<int>", "f<double>"], "sm_90")


# ---- what the texts must be ----

TEXTS = sorted(path.name for path in FOLDER.glob("*.cu*"))


def test_every_text_belongs_to_a_source():
    used = {f"{source.name}.cu" for source in _device.SOURCES}
    used |= {f"{header}.cuh" for source in _device.SOURCES for header in source.headers}
    assert {*TEXTS} == used
    assert len(SOURCES) == len(_device.SOURCES), "two sources of one name"


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


def forbidden(text):
    """What a text must not contain: headers, shared memory sized at launch, sums whose order is left to chance."""
    text = without_comments(text)
    found = re.findall(r"#\s*include\b", text) + re.findall(r"\bextern\s+__shared__", text)
    return found + re.findall(r"\batomicAdd\s*\(\s*\([^)]*(?:float|double)", text)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_includes_nothing_and_sizes_its_shared_memory(name):
    assert forbidden((FOLDER / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text, count",
    [
        ("#include <math.h>", 1),
        ("#  include <math.h>", 1),
        ("// #include <math.h>\n/* extern __shared__ x */", 0),
        ("extern __shared__ double x[];", 1),
        ("atomicAdd((double*)p, 1.0)", 1),
        ("atomicAdd(arrived, 1u)", 0),
    ],
)
def test_what_is_forbidden_in_a_text(text, count):
    assert len(forbidden(text)) == count


def kernels_in(text):
    """The names of the kernels, and not those of the functions that they call."""
    bounds = r"(?:[A-Z_]+\s+|__launch_bounds__\([^)]*\)\s+)?"
    return re.findall(rf"__global__\s+{bounds}void\s+(\w+)\s*\(", without_comments(text))


@pytest.mark.parametrize("name", SOURCES)
def test_every_kernel_of_a_text_is_listed_with_its_instances(name):
    source = SOURCES[name]
    in_text = kernels_in((FOLDER / f"{name}.cu").read_text(encoding="utf-8"))
    assert sorted(in_text) == sorted(source.kernels)
    assert len(set(source.expressions)) == len(source.expressions)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.name)
def test_only_the_launch_module_knows_cupy(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    knows = bool({name.partition(".")[0] for name in imported} & {"cupy", "cupyx", "cupy_backends"})
    assert knows == (path.name == "_device.py")


def test_the_architectures_of_the_gate_are_those_of_the_binaries(nvrtc):
    supported = {f"sm_{number}" for number in nvrtc.getSupportedArchs()}
    assert {*ARCHITECTURES} <= supported
