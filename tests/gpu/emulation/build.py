"""Shared libraries: the runtime, and one for every CUDA source and the instances wanted of it."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from functools import cache, lru_cache
from pathlib import Path

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX") or "g++"
_COMMON = ["-std=c++17", "-fPIC", "-U_FORTIFY_SOURCE", "-fvisibility=hidden", "-ffp-contract=off"]
_KERNEL = [
    "-O1",
    "-g1",
    "-gdwarf-4",  # GCC 12 and binutils disagree on the files of version 5
    "-fno-gnu-unique",
    "-fno-threadsafe-statics",
    "-Wno-unknown-pragmas",
    f"-I{HERE}",
    "-include",
    "emulation.h",
]
#: What each mode adds. `checked`: the sanitizers' instrumentation, reporting to checker.cpp, not to their libraries.
MODES = {
    "fast": [],
    "checked": [
        "-fsanitize=thread",
        "--param=tsan-instrument-func-entry-exit=0",
        "--param=tsan-distinguish-volatile=1",
        "-fsanitize=bounds-strict,signed-integer-overflow,shift,integer-divide-by-zero,alignment,unreachable",
    ],
    "asan": ["-fsanitize=address", "-g"],
}
_refused = {}
_GLUE = """
namespace {{ thread_local char emulation_first_shared; }}
#define EMULATION_EXPORT extern "C" __attribute__((visibility("default")))
EMULATION_EXPORT void* emulation_anchor() {{ return &emulation_first_shared; }}
EMULATION_EXPORT int emulation_describe(int i, emulation_kernel* kernel) {{
    switch (i) {{
{cases}
    }}
    return 1;
}}
"""
#: Where libraries are kept; a fixture may name a folder that lasts.
folder: Path | None = None


class BuildError(Exception):
    """The compiler refused a source."""


def available():
    """Whether there is a compiler."""
    return shutil.which(COMPILER) is not None


@lru_cache
def runtime():
    """The scheduler and the checker, loaded so that kernels find them."""
    sources = [HERE / name for name in ("fibers.cpp", "scheduler.cpp", "checker.cpp", "hooks.cpp")]
    text = "".join(path.read_text() for path in [*sources, HERE / "fibers.h", HERE / "runtime.h"])
    flags = [*_COMMON, "-fvisibility=default", "-O2", "-Wall", "-Wextra"]
    path = _library("runtime", text, [*flags, *map(str, sources)])
    library = ctypes.PyDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    library.emulation_launch.restype = ctypes.c_char_p
    return library


@cache
def kernels(code, expressions, mode):
    """The library with these instances, loaded."""
    runtime()
    cases = "\n".join(
        f'    case {i}: *kernel = emulation::describe("{each}", &{each}); return 0;'
        for i, each in enumerate(expressions)
    )
    # A source that begins with #line would lose that first line in the debugging information.
    text = f'\n{code}\n#line 1 "glue"\n{_GLUE.format(cases=cases)}'
    header = (HERE / "emulation.h").read_text()
    path = _library(f"kernels-{mode}", text, [*_COMMON, *_KERNEL, *MODES[mode]], header)
    return ctypes.PyDLL(str(path))


def _library(name, text, flags, *more):
    """The library made from that text, compiled unless the same was compiled before."""
    stamp = hashlib.sha256("\0".join([_version(), text, *flags, *more]).encode()).hexdigest()[:20]
    target = place() / f"{name}-{stamp}.so"
    if stamp in _refused:  # once is enough
        raise BuildError(_refused[stamp])
    if target.exists():
        os.utime(target)
        return target
    with tempfile.TemporaryDirectory(dir=place()) as work:
        try:
            _compile(name, text, flags, Path(work)).replace(target)
        except BuildError as error:
            _refused[stamp] = str(error)
            raise
    return target


def _compile(name, text, flags, work):
    source, linkable, made = (str(work / f"source.{suffix}") for suffix in ("cpp", "o", "so"))
    if name == "runtime":
        _run(*flags, "-shared", "-o", made)
    else:
        Path(source).write_text(text)
        # In two steps: the linker is not told of the thread sanitizer, whose library it would add.
        _run(*flags, "-c", source, "-o", linkable)
        _run("-shared", *(["-fsanitize=address"] if "-fsanitize=address" in flags else []), linkable, "-o", made)
    return Path(made)


def _run(*arguments):
    done = subprocess.run([COMPILER, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise BuildError(done.stderr)


def forget_old(days=7):
    """Remove the libraries that nobody has used for so long."""
    for path in place().glob("*.so"):
        if path.stat().st_mtime < time.time() - days * 86400:
            path.unlink(missing_ok=True)


@lru_cache
def _own_folder():
    return tempfile.TemporaryDirectory(prefix="emulation-")


def place():
    """The folder of the libraries."""
    return folder or Path(_own_folder().name)


@lru_cache
def _version():
    return subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True).stdout
