"""Sliced Wasserstein distances for each projection: our kernels against POT's, with one thread.

Both get the same points and directions; POT always in float64, since its float32 answers are wrong where sizes differ.
Seconds are those of the processor. NumPy's sort, a large part of POT's work, is much faster or much slower with
AVX-512, depending on the processor, so each case is measured with and without it. ``python -m
solvers.benchmarks.sliced_speed`` prints the table.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from ._registry import UsageError
from ._threads import environment
from .report import heading_of, line_of, ratio
from .startup import child_environment

__all__ = ["CASES", "Speed", "heading", "in_children", "line", "measure", "peak_memory"]

# Dimension, points of the clouds, whether they have weights.
CASES = (
    (3, 100_000, 100_000, False),
    (50, 100_000, 100_000, False),
    (768, 100_000, 100_000, False),
    (3, 100_000, 80_000, False),
    (3, 100_000, 80_000, True),
    (3, 5000, 5000, False),
    (3, 500, 500, False),
)
_DIRECTIONS, _FOR_MEMORY = 100, 1000


@dataclass
class Speed:
    """One case: CPU seconds for 100 directions, and the relative difference of the distances."""

    d: int
    n: int
    m: int
    weighted: bool
    real: str
    avx512: bool
    ours: float
    theirs: float
    ratio: float
    difference: float

    def to_dict(self):
        return asdict(self)


def measure(case):
    """Yield the case in float64 and in float32, both against the same run of POT."""
    import ot

    d, n, m, weighted = case
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n, d)), 1.2 * rng.standard_normal((m, d)) + 0.1
    a, b = (rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))) if weighted else (None, None)
    directions = _directions(rng, _DIRECTIONS, d)
    projections = directions.T.copy()
    few = min(n, m) < 10_000
    theirs, distance = _seconds(
        lambda: ot.sliced_wasserstein_distance(X, Y, a, b, projections=projections), 9 if few else 1
    )
    for real in ("float64", "float32"):
        points = X.astype(real), Y.astype(real)
        _powers(*points, a, b, directions[:1])  # compiles
        ours, powers = _seconds(lambda p=points: _powers(*p, a, b, directions), 9 if few else 3)
        difference = float(abs(np.sqrt(powers.mean()) / distance - 1))
        yield Speed(*case, real, bool(_avx512()), ours, theirs, theirs / ours, difference)


def peak_memory(n=100_000, d=3, weighted=False):
    """Bytes by which ours exceeds what was in memory before, over 1,000 directions (POSIX only)."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    a = rng.dirichlet(np.ones(n)) if weighted else None
    # Points enough for every kernel to be compiled, which takes more memory than the distances.
    few = n // 5
    _powers(X[:few], Y[:few], None if a is None else np.full(few, 1 / few), None, np.eye(1, d))
    before = _resident()
    _powers(X, Y, a, None, _directions(rng, _FOR_MEMORY, d))
    return _peak() - before


def _directions(rng, count, d):
    directions = rng.standard_normal((count, d))
    return directions / np.linalg.norm(directions, axis=1)[:, None]


def _powers(X, Y, a, b, directions):
    from solvers.kernels import cpu

    out = np.empty(len(directions))
    cpu.sliced_powers(X, Y, a, b, directions, 2.0, out)
    return out


def _seconds(run, repeats):
    """The median of the CPU seconds, and the answer."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        answer = run()
        times.append(time.process_time() - start)
    return statistics.median(times), answer


def _peak():
    import resource

    # In KiB, but on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _resident():
    """Bytes in memory now; a peak that compilation has left behind would hide what comes after it."""
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not on Linux
        return _peak()


def _avx512():
    """NumPy's names of the AVX-512 code that it uses here."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return [name for name in found if "AVX512" in name or name == "X86_V4"]


def in_children(cases=CASES):
    """Yield the cases as NumPy is, then without AVX-512 where it has it, in processes with one thread."""
    yield from _child(cases, {})
    if names := _avx512():
        yield from _child(cases, {"NPY_DISABLE_CPU_FEATURES": " ".join(names)})


def _child(cases, variables):
    command = [sys.executable, "-m", __spec__.name, "--worker", json.dumps(cases)]
    variables = environment(1) | {"SOLVERS_NUM_THREADS": "1"} | variables
    with subprocess.Popen(command, env=child_environment() | variables, stdout=subprocess.PIPE, text=True) as child:
        for text in child.stdout:
            yield Speed(**json.loads(text))
    if child.returncode:
        raise UsageError(f"The measurement of sliced distances ended with exit code {child.returncode}.")


_COLUMNS = (
    ("d", 4, lambda r: str(r.d)),
    ("n", 7, lambda r: str(r.n)),
    ("m", 7, lambda r: str(r.m)),
    ("weights", -8, lambda r: "any" if r.weighted else "uniform"),
    ("keys", -8, lambda r: r.real),
    ("AVX-512", -8, lambda r: "yes" if r.avx512 else "no"),
    ("ours ms", 9, lambda r: f"{1e3 * r.ours:.1f}"),
    ("POT ms", 9, lambda r: f"{1e3 * r.theirs:.1f}"),
    ("ratio", 6, lambda r: ratio(r.ratio)),
    ("differ by", 9, lambda r: f"{r.difference:.1e}"),
)


def heading():
    """The line of headings and the rule below it."""
    return heading_of(_COLUMNS)


def line(row):
    """One row."""
    return line_of(_COLUMNS, row)


def _main(arguments):
    if arguments[:1] == ["--worker"]:
        for case in json.loads(arguments[1]):
            for row in measure(tuple(case)):
                print(json.dumps(row.to_dict()), flush=True)
        return
    print(heading())
    for row in in_children():
        print(line(row), flush=True)
    for weighted in (False, True):
        extra = peak_memory(weighted=weighted) / 1e6
        kind = "weighted" if weighted else "uniform"
        print(f"memory beyond the points, n = 100,000, {_FOR_MEMORY} directions, {kind}: {extra:.0f} MB")


if __name__ == "__main__":
    _main(sys.argv[1:])
