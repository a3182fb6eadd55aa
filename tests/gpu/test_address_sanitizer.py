"""Every CUDA source under the compiler's address sanitizer, which has nothing in common with our own detector."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from emulation import build
from planted import CHECKS

HERE = Path(__file__).parent
SCRIPT = """
    import sys
    from pathlib import Path

    sys.path[:0] = sys.argv[1:3]
    from emulation import build, installed, settings
    from planted import CHECKS

    build.folder = Path(sys.argv[3])
    with installed():
        import solvers.kernels.gpu as gpu

        gpu._device.THREADS = 64
        settings.mode, settings.whole_sources = "asan", False
        for source in gpu._device.SOURCES:
            source.__dict__["code"] = source.code.replace(sys.argv[5], sys.argv[6]) if sys.argv[5] else source.code
        for name in sys.argv[4].split():
            CHECKS[name](gpu)
    print("all ran")
"""


@pytest.fixture(scope="module")
def under_sanitizer():
    """``under_sanitizer(checks, text, other)``: a process that ran checks with that change of the sources."""
    if not build.available():
        pytest.skip(f"no C++ compiler ({build.COMPILER})")
    asked = subprocess.run([build.COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = asked.stdout.strip()
    if not Path(library).is_absolute():
        if os.environ.get("CI"):
            pytest.fail("the compiler has no libasan: CI must run the address sanitizer")
        pytest.skip("the compiler has no libasan")

    def run(checks, text="", other=""):
        variables = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "EMULATION_GUARD": "0"}
        arguments = [HERE, HERE.parents[1], build.place(), checks, text, other]
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), *map(str, arguments)],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.mark.slow
def test_every_source_runs_clean(under_sanitizer):
    done = under_sanitizer(" ".join(CHECKS))
    assert done.returncode == 0 and "all ran" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "text, other, access, line",
    [
        ("if (i + k * stride < n) y", "if (i + k * stride <= n) y", "WRITE", "vectors.cu"),
        ("i + k * stride < n ? x", "i + k * stride <= n ? x", "READ", "vectors.cu"),
    ],
)
def test_an_index_past_the_end_is_reported_with_its_line(under_sanitizer, text, other, access, line):
    done = under_sanitizer("vectors", text, other)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr and f"{access} of size 8" in done.stderr and line in done.stderr
