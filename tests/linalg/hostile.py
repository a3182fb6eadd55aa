"""What the tests of hostile input share: the smallest systems, and how a call is judged."""

import inspect
import re

import numpy as np
import pytest
from krylov import METHODS
from scipy import sparse

from solvers import Status

N = 4


def spd(n=N, dtype=float):
    """2 on the diagonal, -1 beside it."""
    return (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)).astype(dtype)


def with_entry(value, at, n=N, dtype=float):
    b = np.ones(n, dtype=dtype)
    b[at] = value
    return b


def arrays_of(value):
    """The memory of an argument: its own array, or the parts of a sparse one."""
    if isinstance(value, np.ndarray):
        return [value]
    if sparse.issparse(value):
        parts = [getattr(value, name, None) for name in ("data", "indices", "indptr", "row", "col", "offsets")]
        return [p for p in parts if isinstance(p, np.ndarray)]
    return []


def photograph(value):
    if sparse.issparse(value) and value.format in ("lil", "dok"):
        return value.toarray().tobytes()
    if isinstance(value, list | tuple | dict | set | str | bytes):
        return repr(value)
    return [(a.shape, a.dtype, repr(a.tolist()) if a.dtype.kind in "OV" else a.tobytes()) for a in arrays_of(value)]


def refused(solve, kind, name, shows, A, b, **options):
    """Assert that the call raises ``kind`` with one sentence about `name`, and that nothing was written to."""
    given = {"A": A, "b": b, **options}
    before = {key: photograph(value) for key, value in given.items()}
    with pytest.raises(kind) as caught:
        solve(A, b, **options)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert f"`{name}`" in message
    assert shows in message
    assert is_one_sentence(message), message
    assert {key: photograph(value) for key, value in given.items()} == before


def is_one_sentence(message):
    return (
        message.endswith(".")
        and not message.endswith("..")
        and "\n" not in message
        and re.search(r"[.!?]\s+[A-Z`]", message) is None
        and (message[0].isupper() or message[0] == "`")
    )


def solved(solve, A, b, **options):
    """Assert what holds for every call that is taken: a named status, finite numbers, inputs left alone."""
    given = {"A": A, "b": b, **options}
    before = {key: photograph(value) for key, value in given.items()}
    result = solve(A, b, **options)
    assert isinstance(result.status, Status)
    assert (result.info == 0) == (result.status is Status.CONVERGED)
    assert np.isfinite(result.x).all()
    assert not np.isnan(result.residuals).any() and np.isfinite(result.residual)
    assert {key: photograph(value) for key, value in given.items()} == before
    for value in given.values():
        assert not any(np.shares_memory(result.x, part) for part in arrays_of(value) if part.dtype.kind != "O")
    return result


def is_solution(result, A, b, rtol=1e-4):
    A = A.toarray() if sparse.issparse(A) else np.asarray(A)
    A, b = (v.astype(complex if v.dtype.kind == "c" else float) for v in (A, np.ravel(np.asarray(b))))
    return result.info == 0 and np.linalg.norm(b - A @ result.x) <= rtol * np.linalg.norm(b)


def takes(solve, options):
    return set(options) <= set(inspect.signature(solve).parameters)


def table(rows):
    """Each row for each method that has its options."""
    return [
        pytest.param(solve, *row[1:], id=f"{row[0]}-{solve.__name__}")
        for row in rows
        for solve in METHODS
        if takes(solve, row[-1])
    ]
