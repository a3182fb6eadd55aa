"""What the kernel tests share: matrices as triplets, every operand kind made from them, and a subprocess runner."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DTYPES = ("float32", "float64", "complex64", "complex128")


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture
def cpu():
    import solvers.kernels.cpu

    return solvers.kernels.cpu


@pytest.fixture
def threads(monkeypatch):
    """``threads(n)`` sets the number of threads for the rest of the test; a busy machine does not lower it."""
    from solvers.kernels.cpu import _team

    import solvers

    monkeypatch.setattr(_team, "_JUDGED_FROM", float("inf"))
    monkeypatch.setattr(_team, "_busy_until", 0.0)
    yield solvers.set_threads
    solvers.set_threads(None)


@pytest.fixture
def draw(rng):
    """``draw(shape, dtype)``: standard normal numbers, complex ones for a complex dtype."""

    def numbers(shape, dtype):
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(dtype)

    return numbers


@pytest.fixture
def matrices(rng, draw, cpu):
    return SimpleNamespace(
        sparse=lambda n, dtype, index=np.int32: _sparse(n, dtype, index, rng, draw, cpu),
        banded=lambda n, dtype, offsets: _banded(n, dtype, offsets, draw, cpu),
        dense=lambda n, dtype: _dense(n, dtype, draw, cpu),
        stencil=lambda shape, dtype: _stencil(shape, dtype, draw, cpu),
        tridiagonal=lambda n, dtype, centre=4.0: _tridiagonal(n, dtype, centre, cpu),
    )


def _triplets(n, row, column, value, operand):
    """An operand and the triplets that say what it must do; entries given twice add up."""
    return SimpleNamespace(n=n, row=row, column=column, value=value, operand=operand)


def _sparse(n, dtype, index, rng, draw, cpu):
    """About five entries a row in no order, some twice; every seventh row empty, the middle one full."""
    row = rng.integers(n, size=5 * n)
    row = row[row % 7 != 3]
    column = rng.integers(n, size=row.size)
    again = rng.integers(max(1, row.size), size=row.size // 10)
    row, column = np.concatenate([row, row[again]]), np.concatenate([column, column[again]])
    row = np.concatenate([row, np.full(n, n // 2)])
    column = np.concatenate([column, rng.permutation(n)])
    order = np.argsort(row, kind="stable")
    row, column, value = row[order], column[order], draw(row.size, dtype)
    indptr = np.searchsorted(row, np.arange(n + 1)).astype(index)
    return _triplets(n, row, column, value, cpu.csr(indptr, column.astype(index), value))


def _banded(n, dtype, offsets, draw, cpu):
    """Full diagonals at those of the offsets that the matrix has."""
    offsets = [k for k in offsets if abs(k) < n]
    row = np.concatenate([np.arange(max(0, -k), min(n, n - k)) for k in offsets])
    column = np.concatenate([np.arange(max(0, -k), min(n, n - k)) + k for k in offsets])
    order = np.lexsort((column, row))
    row, column, value = row[order], column[order], draw(row.size, dtype)
    data = np.zeros((len(offsets), n), dtype)
    data[np.searchsorted(offsets, column - row), row] = value
    return _triplets(n, row, column, value, cpu.Diagonals(np.array(offsets, dtype=np.int64), data))


def _dense(n, dtype, draw, cpu):
    array = draw((n, n), dtype)
    row, column = np.divmod(np.arange(n * n), n)
    return _triplets(n, row, column, array.ravel(), cpu.dense(array))


def _stencil(shape, dtype, draw, cpu):
    weights = draw(len(shape) + 1, dtype)
    n = int(np.prod(shape))
    at = np.arange(n).reshape(shape)
    row, column, value = [at.ravel()], [at.ravel()], [np.full(n, weights[0])]
    for axis in range(len(shape)):
        low, high = np.delete(at, -1, axis).ravel(), np.delete(at, 0, axis).ravel()
        row += [low, high]
        column += [high, low]
        value += [np.full(2 * low.size, weights[1 + axis])]
    joined = map(np.concatenate, (row, column, value))
    return _triplets(n, *joined, cpu.stencil(shape, weights))


def _tridiagonal(n, dtype, centre, cpu):
    """Hermitian, diagonally dominant: centre on the diagonal and -1 (complex: -0.8 - 0.6i above it) beside it."""
    beside = -0.8 - 0.6j if np.dtype(dtype).kind == "c" else -1.0
    data = np.empty((3, n), dtype)
    data[0], data[1], data[2] = np.conj(beside), centre, beside
    data[0, 0] = data[2, -1] = 0
    offsets = np.array([-1, 0, 1], dtype=np.int64) if n > 1 else np.array([0], dtype=np.int64)
    data = data if n > 1 else data[1:2].copy()
    d, row = np.nonzero(data)
    return _triplets(n, row, row + offsets[d], data[d, row], cpu.Diagonals(offsets, data))


@pytest.fixture
def python():
    """Run a script in a fresh interpreter that finds this checkout, and return what it printed.

    The time limit is there for deadlocks, far above what the script needs.
    """

    def run(script, *arguments, root=ROOT, timeout=120, **environment):
        variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SOLVERS_NUM_THREADS")}
        variables |= {"PYTHONPATH": str(root), "PYTHONFAULTHANDLER": "1"} | environment
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)],
            env=variables,
            cwd=root,  # which comes first on the path
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            printed, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            pytest.fail(f"still running after {timeout} s: a deadlock")
        assert process.returncode == 0, errors
        return printed

    return run


def _end(process):
    """End a process that hangs, and what it forked, which would keep our pipes open."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
