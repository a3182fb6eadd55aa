"""Nonsense to put in the place of an argument, and functions of a user's that misbehave."""

import datetime
import decimal
import fractions
import warnings

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

__all__ = ["Broken", "disguised", "pick", "spoil"]


class Broken(Exception):
    """What a function of the user's raises."""


def pick(rng, *choices):
    """One of them."""
    return choices[int(rng.integers(len(choices)))]


class Stop:
    """A callback that stops, or raises, when it is told for the ``at``-th time."""

    def __init__(self, at, error):
        self._left, self._error = at, error

    def __call__(self, *_):
        self._left -= 1
        if self._left == 0:
            raise self._error


class StopOnChunk(Stop):
    """The same as an object that is told of chunks."""

    on_chunk = Stop.__call__


def callbacks(rng):
    """One of either kind, that ends the solve or fails."""
    return pick(rng, Stop, StopOnChunk)(pick(rng, 1, 3), pick(rng, StopIteration, Broken("by the callback")))


class _Blank:
    """An object without meaning."""


class _Liar:
    """Something with a shape and a dtype that is no array."""

    shape, dtype, ndim, size = (3, 3), np.dtype("d"), 2, 9


class _Raises:
    """An object whose conversion to an array fails."""

    def __array__(self, dtype=None, copy=None):
        raise Broken("no array")

    def __float__(self):
        raise Broken("no number")


def _words():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    return [
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        7,
        -0.0,
        0.5,
        1.5,
        -1e-3,
        1e-300,
        1e300,
        float("nan"),
        float("inf"),
        -float("inf"),
        10**30,
        -(10**30),
        10**400,
        1j,
        1 + 0j,
        np.float16(1),
        np.longdouble(2),
        np.int8(-3),
        np.uint64(2**63),
        np.bool_(1),
        "",
        "auto",
        "nonsense",
        "\n",
        b"bytes",
        (),
        [],
        {},
        set(),
        [[]],
        [None],
        ["a"],
        [1, [2, 3]],
        [[1, 2], [3]],
        range(3),
        {"a": 1},
        {1, 2},
        [1.0, 2.0],
        (1, 2),
        (0, 0),
        (-1, 3),
        (2.5, 2.5),
        [float("nan")] * 3,
        object,
        _Blank(),
        _Liar(),
        _Raises(),
        Ellipsis,
        len,
        lambda: 1,
        lambda *a, **k: None,
        lambda v: v,
        lambda v: "a",
        lambda v: np.zeros(1),
        slice(3),
        iter([1, 2]),
        decimal.Decimal("1.5"),
        fractions.Fraction(1, 3),
        datetime.date(2020, 1, 1),
        np.array(3.0),
        np.array(float("nan")),
        np.zeros(0),
        np.zeros((0, 0)),
        np.zeros((0, 3)),
        np.ones(3),
        np.ones((3, 3)),
        np.ones((2, 3)),
        np.ones((2, 2, 2)),
        np.ones((1,) * 6),
        np.eye(4, dtype=bool),
        np.arange(5),
        np.ones(4, "f2"),
        np.ones(4, "g"),
        np.ones(4, ">f8"),
        np.ones(3, "G"),
        np.array(["a", "b"]),
        np.array([b"a"]),
        np.array([None, 1]),
        np.array([1, 2.5, 3], object),
        np.array([1, "a"], object),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, [("a", "f8"), ("b", "i4")]),
        np.ma.masked_array([1.0, 2.0], [False, True]),
        np.full(5, np.nan),
        np.full((3, 3), np.inf),
        matrix,
        sparse.eye_array(3),
        sparse.csr_array((0, 0)),
        sparse.coo_array(np.ones(3)),
        sparse.csr_matrix(np.ones((2, 3))),
        sparse.csr_array(np.eye(3) * np.nan),
        LinearOperator((3, 3), matvec=lambda v: v),
        LinearOperator((3, 2), matvec=lambda v: v, dtype="d"),
        np.random.default_rng(0),
        np.random.RandomState(0),
        np.dtype("d"),
        type(None),
        NotImplemented,
    ]


def _near(value, rng):
    """Something that is nearly the right argument."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc" and value.ndim and value.size:
        bad = value.copy()
        bad.reshape(-1)[rng.integers(value.size)] = pick(rng, np.nan, np.inf, -np.inf, 1e30, -1.0)
        return pick(
            rng,
            bad,
            value[:-1],
            value[..., :-1],
            value[None],
            value[..., None],
            value.T,
            value.ravel(),
            -value,
            0 * value,
            value.astype("f2") if np.abs(value).max() < 6e4 else bad,
            value.astype("g" if value.dtype.kind == "f" else "G"),
            value + 0j,
            value.astype(object),
            value.tolist(),
            value > 0,
            np.ma.masked_array(value, value == value.flat[0]),
            value * value.dtype.type(1e30),
            value * value.dtype.type(1e-30),
            np.concatenate([value, value]),
            value[::-1],
            np.repeat(value[None], 2, 0),
            value[:0],
            value.astype("S8") if value.dtype.kind == "f" else bad,
        )
    if isinstance(value, np.ndarray) and value.ndim and value.size:
        return pick(rng, value[:-1], value[None], value.astype(float), value.astype(object), ~value.astype(bool))
    if hasattr(value, "tocsr"):
        bad = sparse.csr_array(value, dtype=np.result_type(value.dtype, "f"))
        if bad.nnz:
            bad.data[rng.integers(bad.nnz)] = pick(rng, np.nan, np.inf, 0.0, 1e30)
        wild = sparse.csr_array(value)
        if wild.nnz:
            wild.indices = wild.indices.copy()
            wild.indices[rng.integers(wild.nnz)] = pick(rng, -1, 10**6, wild.shape[1])
        return pick(
            rng, bad, wild, bad[:-1] if bad.shape[0] else bad, bad.toarray(), bad.astype(bool), bad.toarray().tolist()
        )
    if isinstance(value, bool):
        return pick(rng, "yes", 1, None)
    if isinstance(value, int):
        return pick(rng, -value, 0, value + 0.5, float(value), str(value), np.array([value]), 10 * value + 1, -1)
    if isinstance(value, float):
        return pick(
            rng, -value, 0.0, value * 1e-30, value * 1e30, str(value), [value], complex(value), np.array([value])
        )
    if isinstance(value, str):
        return pick(rng, value.upper(), value + "x", value.encode(), [value], value[:-1])
    if isinstance(value, list | tuple) and len(value):
        return pick(rng, value[:-1], list(value) * 2, [None] * len(value), tuple(value), [value], list(value)[::-1])
    if callable(value) and not hasattr(value, "shape"):
        return pick(rng, _raising, lambda *a, **k: None, lambda *a, **k: np.nan, lambda *a, **k: "a", lambda: 1)
    return None


def _raising(*_, **__):
    raise Broken("by the user's function")


_MISSPELT = ("tolerance", "max_iter", "Maxiter", "_", "seed", "epsilon", "axis")


def spoil(call, rng):
    """Put nonsense into one or two arguments of the call, misspell one, or leave one out."""
    for _ in range(1 + int(rng.random() < 0.2)):
        # What is spoilt already may be a matrix with an index out of range, of which SciPy takes no copy unharmed.
        names = [name for name in call.arguments if name not in (*call.fixed, *call.spoilt.split())]
        if not names:
            return
        if rng.random() < 0.04:
            name = pick(rng, *_MISSPELT)
            call.arguments[name] = 1
        elif rng.random() < 0.04:
            name = pick(rng, *names)
            del call.arguments[name]
        else:
            name = pick(rng, *names)
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                near = _near(call.arguments[name], rng) if rng.random() < 0.6 else None
            call.arguments[name] = pick(rng, *_words()) if near is None else near
        call.spoilt += f" {name}"


def disguised(array, rng):
    """The same numbers in an array of another layout."""
    form = int(rng.integers(8))
    if form == 0:
        array = np.asfortranarray(array)
    elif form == 1:
        array = np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
    elif form == 2:
        array = array.astype(array.dtype.newbyteorder(">"))
    elif form == 3:
        array = array.copy()
        array.flags.writeable = False
    elif form == 4 and array.ndim:
        array = array[::-1].copy()[::-1]
    return array
