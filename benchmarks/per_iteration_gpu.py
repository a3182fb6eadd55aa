"""Conjugate gradients on the GPU per iteration: ours, cupyx's, ours on the CPU, and what the memory allows.

The marginal cost of an iteration is the difference of two runs with fixed iteration counts, timed by the
device's events, ours and theirs in turn. The bytes of an iteration are those that our kernel has to move:
the stored matrix, and 10 vectors (q = A p: 2; r: 3; x and p: 5); over the time, that is held against the
copies of a large array in the same run.
"""

import functools
import importlib.util
import math
import statistics
import time
from dataclasses import asdict, dataclass

import numpy as np

from . import gpu, grids
from .report import align, ratio, wrap

__all__ = ["CASES", "Case", "EXPLAINED", "PerIterationGpu", "heading", "line", "measure", "measure_all", "notes"]

EXPLAINED = (
    "Microseconds per iteration of cg (marginal, device events, medians): ours, cupyx's cg (times the number of "
    "right-hand sides: it takes one), and ours on the CPU. MB: bytes an iteration must move; of copy: the share of "
    "the bandwidth of a plain copy that this is. Then one whole solve: iterations, reads by the host per "
    "iteration, true residual / |b|, and whether a second run gave the same bits."
)
# The CPU's own table has the larger cases; here they would take minutes.
_LARGEST_ON_CPU = 1_000_000
_VECTORS = 10
_MAXITER = 20_000


@dataclass(frozen=True)
class Case:
    """A matrix: a grid, or a number of unknowns in random places; ``keep_csr``: not stored by diagonals."""

    name: str
    shape: tuple
    dtype: str = "float64"
    n_rhs: int = 1
    stencil: bool = False
    keep_csr: bool = False

    @property
    def n(self):
        return math.prod(self.shape)

    def matrix(self):
        """On the host, as CSR."""
        if len(self.shape) == 1:
            return grids.scattered(self.n, dtype=self.dtype)
        return grids.laplacian(self.shape, self.dtype)

    def counts(self):
        """The iterations of the two runs: so many that the difference is seen, so few that none has converged."""
        if self.n < 500:
            return 4, 24
        return (16, 96) if self.n < 200_000 else (8, 56)


_SIDES = (10, 30, 100, 300, 1000, 3162)
CASES = (
    *(Case("5-point", (side, side)) for side in _SIDES),
    *(Case("5-point kept as CSR", (side, side), keep_csr=True) for side in (300, 3162)),
    Case("5-point", (3162, 3162), "float32"),
    *(Case("5-point stencil", (side, side), stencil=True) for side in _SIDES),
    Case("5-point stencil", (3162, 3162), "float32", stencil=True),
    Case("7-point", (215, 215, 215)),
    Case("random, 60 a row", (1_000_000,)),
    Case("5-point", (1000, 1000), n_rhs=16),
)
QUICK = tuple(case for case in CASES if case.n <= 10_000) + (Case("5-point", (100, 100), n_rhs=16),)


@dataclass
class PerIterationGpu:
    """One case; microseconds are per iteration, of all right-hand sides together."""

    case: str
    n: int
    nnz: int
    n_rhs: int
    dtype: str
    storage: str = ""
    ours: float | None = None
    cupyx: float | None = None
    cpu: float | None = None
    ratio_cupyx: float | None = None
    ratio_cpu: float | None = None
    bytes: int = 0
    bandwidth: float | None = None
    copy_bandwidth: float | None = None
    fraction: float | None = None
    iterations: int | None = None
    seconds: float | None = None
    residual: float | None = None
    status: str = ""
    host_reads: int | None = None
    same_bits: bool | None = None
    samples: int = 0
    note: str = ""

    def to_dict(self):
        return asdict(self)


def measure_all(quick=False, cases=None, budget=3.0):
    """Yield the rows; a case that fails is a row that says why, and the others still run."""
    copy = gpu.copy_bandwidth()
    for case in cases or (QUICK if quick else CASES):
        yield measure(case, copy, budget)


def measure(case, copy, budget=3.0):
    """Measure one case for about ``budget`` seconds a library; ``copy``: bytes per second of a copy."""
    row = PerIterationGpu(case.name, case.n, 0, case.n_rhs, case.dtype, copy_bandwidth=copy)
    try:
        A = case.matrix()
        row.nnz = int(A.nnz)
        rng = np.random.default_rng(0)
        b = rng.standard_normal((case.n, case.n_rhs) if case.n_rhs > 1 else case.n).astype(case.dtype)
        _fill(row, case, A, b, budget)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        row.status, row.note = "failed", f"{type(error).__name__}: {lines[0]}"
    return row


def _fill(row, case, A, b, budget):
    given = _given(case, A)
    operand = given._matrix.operand(np.dtype(case.dtype), "gpu")
    row.storage = type(operand).__name__
    stored = sum(part.nbytes for part in operand if not isinstance(part, np.ndarray))
    row.bytes = int(stored + _VECTORS * case.n * case.n_rhs * np.dtype(case.dtype).itemsize)
    _time(row, case, A, given, gpu.move(b), budget)
    _time_cpu(row, case, A, b, budget)
    row.ratio_cupyx, row.ratio_cpu = _over(row.cupyx, row.ours), _over(row.cpu, row.ours)
    if row.ours is not None:
        row.bandwidth = row.bytes / (row.ours * 1e-6)
        row.fraction = row.bandwidth / row.copy_bandwidth
    _whole(row, A, given, b)


def _given(case, A):
    """What our cg gets: analysed before, its entries on the device."""
    import solvers
    from solvers import linalg

    with solvers.backend("gpu"):
        if case.stencil:
            axes = len(case.shape)
            return linalg.stencil(case.shape, np.array([2 * axes] + [-1] * axes, dtype=case.dtype))
        given = linalg.prepare(gpu.move(A))
        if case.keep_csr:
            given._matrix.keep_csr(np.dtype(case.dtype), "gpu")
    return given


def _time(row, case, A, given, b, budget):
    """Marginal microseconds of ours and, where it can be loaded, of cupyx's."""
    from solvers import linalg

    runs = [functools.partial(linalg.cg, given, b, rtol=1e-300, maxiter=count) for count in case.counts()]
    theirs = _cupyx_runs(row, case, A, b)
    medians, row.samples = _interleaved(runs + theirs, lambda run: gpu.timed(run)[1], budget)
    row.ours = _marginal(medians[:2], case)
    if theirs:
        single = _marginal(medians[2:], case)
        row.cupyx = None if single is None else single * case.n_rhs


def _cupyx_runs(row, case, A, b):
    """The same of cupyx, with one right-hand side; none, and the reason noted, where it cannot run."""
    missing = gpu.missing(with_cupyx=True)
    if missing:
        row.note = f"without cupyx: {missing}"
        return []
    import cupyx.scipy.sparse.linalg

    moved, right = gpu.move(A), b[:, 0].copy() if case.n_rhs > 1 else b
    cg = cupyx.scipy.sparse.linalg.cg
    try:
        cg(moved, right, rtol=1e-300, maxiter=2)
    except Exception as error:
        row.note = f"{row.case}, n = {row.n}: cupyx's cg fails with {type(error).__name__}"
        return []
    return [functools.partial(cg, moved, right, rtol=1e-300, maxiter=count) for count in case.counts()]


def _time_cpu(row, case, A, b, budget):
    """The same on the CPU, where that takes seconds and not minutes."""
    import solvers
    from solvers import linalg

    if case.n > _LARGEST_ON_CPU or case.n_rhs > 1 or importlib.util.find_spec("numba") is None:
        return
    with solvers.backend("cpu"):
        axes = len(case.shape)
        weights = np.array([2 * axes] + [-1] * axes, dtype=case.dtype)
        given = linalg.stencil(case.shape, weights) if case.stencil else linalg.prepare(A)
        runs = [functools.partial(linalg.cg, given, b, rtol=1e-300, maxiter=count) for count in case.counts()]
        medians, _ = _interleaved(runs, _seconds, budget)
    row.cpu = _marginal(medians, case)


def _seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _interleaved(runs, clock, budget, least=5, most=100):
    """The median seconds of each run, taken in turn after one that warms up, and how often."""
    times = [[] for _ in runs]
    for run in runs:
        clock(run)
    end = time.perf_counter() + budget
    while len(times[0]) < least or (time.perf_counter() < end and len(times[0]) < most):
        for run, seconds in zip(runs, times, strict=True):
            seconds.append(clock(run))
    return [statistics.median(seconds) for seconds in times], len(times[0])


def _marginal(seconds, case):
    """Microseconds per iteration; None where the difference was drowned in noise."""
    few, many = case.counts()
    value = 1e6 * (seconds[1] - seconds[0]) / (many - few)
    return value if value > 0 else None


def _over(theirs, ours):
    return theirs / ours if theirs is not None and ours is not None else None


def _whole(row, A, given, b):
    """One solve to the end, twice."""
    from solvers.kernels.gpu import _device

    from solvers import linalg

    right = gpu.move(b)
    run = functools.partial(linalg.cg, given, right, rtol=1e-8 if b.dtype == np.float64 else 1e-5, maxiter=_MAXITER)
    before = _device.reads.number
    result, row.seconds = gpu.timed(run)
    row.host_reads = _device.reads.number - before
    again = run()
    x = gpu.on_host(result.x)
    row.same_bits = bool(
        x.tobytes() == gpu.on_host(again.x).tobytes() and result.residuals.tobytes() == again.residuals.tobytes()
    )
    row.iterations = int(np.max(result.iterations))
    row.status = "converged" if result.converged else str(np.ravel(result.status)[0])
    wide = b.astype(np.float64)
    gaps = np.linalg.norm(wide - A.astype(np.float64) @ x.astype(np.float64), axis=0) / np.linalg.norm(wide, axis=0)
    row.residual = float(np.max(gaps))


_COLUMNS = (
    ("case", -20, lambda r: r.case),
    ("n", 9, lambda r: str(r.n)),
    ("rhs", 3, lambda r: str(r.n_rhs)),
    ("dtype", -7, lambda r: r.dtype),
    ("stored as", -9, lambda r: r.storage),
    ("ours us", 8, lambda r: _figure(r.ours)),
    ("cupyx", 8, lambda r: _figure(r.cupyx)),
    ("ratio", 5, lambda r: ratio(r.ratio_cupyx)),
    ("cpu", 8, lambda r: _figure(r.cpu)),
    ("ratio", 5, lambda r: ratio(r.ratio_cpu)),
    ("MB", 7, lambda r: f"{r.bytes / 1e6:.2f}"),
    ("GB/s", 5, lambda r: "" if r.bandwidth is None else f"{r.bandwidth / 1e9:.0f}"),
    ("of copy", 7, lambda r: "" if r.fraction is None else f"{100 * r.fraction:.0f} %"),
    ("iter", 5, lambda r: "" if r.iterations is None else str(r.iterations)),
    ("reads/it", 8, lambda r: "" if not r.iterations else f"{r.host_reads / r.iterations:.3f}"),
    ("residual", 8, lambda r: "" if r.residual is None else f"{r.residual:.1e}"),
    ("bits", -5, lambda r: "" if r.same_bits is None else "same" if r.same_bits else "OTHER"),
    ("status", -9, lambda r: r.status),
)


def _figure(value):
    return "" if value is None else f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def heading():
    """Headings, and a rule."""
    text = " ".join(align(name, width) for name, width, _ in _COLUMNS)
    return f"{text}\n{'-' * len(text)}"


def line(row):
    """One row."""
    return " ".join(align(fill(row), width) for _, width, fill in _COLUMNS).rstrip()


def notes(rows):
    """The bandwidth of a copy, and what there was to say about single cases."""
    said = {f"copy: {row.copy_bandwidth / 1e9:.0f} GB/s read and written" for row in rows[:1]}
    said |= {f"{row.case}, n = {row.n}: {row.note}" for row in rows if row.note and row.status == "failed"}
    said |= {row.note for row in rows if row.note and row.status != "failed"}
    if any(row.cpu is None for row in rows):
        said.add(f"no figure for the CPU: more than {_LARGEST_ON_CPU} unknowns, several right-hand sides, or no numba")
    return "\n".join(wrap(f"  {text}", "    ") for text in sorted(said))
