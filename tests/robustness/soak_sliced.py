"""Random calls of the sliced distances of ``solvers.transport``, and their judges."""

from functools import partial

import numpy as np
from soak import Call
from spoilt import Broken, disguised, pick

from solvers import transport

__all__ = ["SLICED"]


def line_distance(x, y, a, b, p):
    """W_p^p on a line, by the quantiles of both measures."""
    x, y, a, b = (np.asarray(v, np.longdouble) for v in (x, y, a, b))
    i, j = np.argsort(x), np.argsort(y)
    x, y, A, B = x[i], y[j], np.cumsum(a[i]), np.cumsum(b[j])
    ends = np.union1d(A, B)
    ends = ends[ends <= min(A[-1], B[-1])]
    widths = np.diff(np.concatenate([[0], ends]))
    middle = ends - widths / 2
    u = x[np.searchsorted(A, middle).clip(0, len(x) - 1)]
    v = y[np.searchsorted(B, middle).clip(0, len(y) - 1)]
    return float((widths * np.abs(u - v) ** p).sum())


def _weights(rng, n):
    w = pick(rng, np.ones(n), rng.random(n) + 1e-3, rng.random(n) * (rng.random(n) < 0.7))
    w = w if w.sum() > 0 else np.ones(n)
    return w / w.sum()


def _clouds(rng):
    n, m, d = pick(rng, 1, 2, 5, 30), pick(rng, 1, 3, 17, 30), pick(rng, 1, 2, 3, 6)
    scale = pick(rng, 1.0, 1.0, 1.0, 1e-8, 1e8)
    X, Y = scale * rng.standard_normal((n, d)), scale * (rng.standard_normal((m, d)) + 1)
    if rng.random() < 0.1:
        Y = X.copy()
    if rng.random() < 0.1:
        X = np.repeat(X[:1], len(X), 0)
    if rng.random() < 0.2:
        X, Y = X.astype("f"), Y.astype("f")
    a, b = (_weights(rng, len(X)), _weights(rng, len(Y))) if rng.random() < 0.5 else (None, None)
    return X, Y, a, b


def _even(w, n):
    return np.full(n, 1 / n) if w is None else w


def judge_sliced(X, Y, a, b, p, own, result):
    """A number and an error bar; along directions of one's own the mean of exact distances on lines."""
    assert result.distance >= 0 and result.power >= 0 and result.standard_error >= 0
    if result.bounds is not None:
        low, high = result.bounds
        assert low <= high * (1 + 1e-6) + 1e-30
    a, b = _even(a, len(X)), _even(b, len(Y))
    if own is not None:
        exact = np.mean([line_distance(X @ h, Y @ h, a, b, p) for h in own])
        single = X.dtype.char == "f" and Y.dtype.char == "f"
        size = np.abs(X).max() + np.abs(Y).max()
        slack = size**p * (1e-3 if single else 1e-9)
        assert abs(result.power - exact) <= (1e-3 if single else 1e-8) * exact + slack, (result.power, exact)


def _sliced(rng):
    X, Y, a, b = _clouds(rng)
    d, p = X.shape[1], pick(rng, 1, 2, 2, 2.5)
    arguments = dict(X=disguised(X, rng), Y=disguised(Y, rng), a=a, b=b, p=p, rng=0)
    own = None
    if rng.random() < 0.3:
        own = rng.standard_normal((pick(rng, 1, 4), d))
        own /= np.linalg.norm(own, axis=1)[:, None]
        arguments |= {"directions": own, "control": None}
    else:
        kinds = ["auto", "iid", "orthogonal", "sobol"] + ["lattice"] * (d == 2) + ["spiral"] * (d == 3)
        arguments |= {"directions": pick(rng, *kinds), "n_projections": pick(rng, None, 8, 16, 40)}
        arguments["control"] = pick(rng, "auto", "auto", None, "gaussian", "lower", "upper", "both", "harmonics")
        if rng.random() < 0.2:
            arguments |= {"rtol": pick(rng, 0.1, 0.01), "max_projections": 512}
        if rng.random() < 0.2:
            arguments["coefficient"] = pick(rng, "authors", "ols", 0.5)
    arguments["grad"] = bool(rng.random() < 0.2)
    if rng.random() < 0.1:
        arguments["callback"] = pick(rng, _stops, _raises)
    return Call(transport.sliced_wasserstein, arguments, partial(judge_sliced, X, Y, a, b, p, own))


def _stops(*_):
    raise StopIteration


def _raises(*_):
    raise Broken("by the callback")


def judge_largest(X, Y, a, b, p, result):
    """The distance is that along the direction, which has norm one."""
    h = result.direction
    assert abs(np.linalg.norm(h) - 1) <= 1e-5
    exact = line_distance(X @ h, Y @ h, _even(a, len(X)), _even(b, len(Y)), p) ** (1 / p)
    size = np.abs(X).max() + np.abs(Y).max()
    single = X.dtype.char == "f" and Y.dtype.char == "f"
    assert abs(result.distance - exact) <= (1e-3 if single else 1e-6) * (exact + size), (result.distance, exact)


def _largest(rng):
    X, Y, a, b = _clouds(rng)
    p = pick(rng, 1, 2, 3)
    arguments = dict(
        X=X, Y=Y, a=a, b=b, p=p, n_starts=pick(rng, 1, 3), maxiter=pick(rng, 1, 50), tol=pick(rng, 1e-7, 1e-3), rng=0
    )
    return Call(transport.max_sliced_wasserstein, arguments, partial(judge_largest, X, Y, a, b, p))


def judge_pairs(clouds, p, own, D):
    D = D[0] if isinstance(D, tuple) else D
    assert np.array_equal(D, D.T) and not D.diagonal().any() and (D >= 0).all()
    for i in range(len(clouds) * (own is not None)):
        for j in range(i):
            X, Y = clouds[i], clouds[j]
            exact = np.mean([line_distance(X @ h, Y @ h, _even(None, len(X)), _even(None, len(Y)), p) for h in own])
            assert abs(D[i, j] - exact ** (1 / p)) <= 1e-7 * (1 + exact)


def _pairs(rng):
    k, d, p = pick(rng, 1, 2, 4), pick(rng, 1, 2, 3), pick(rng, 1, 2)
    clouds = [rng.standard_normal((pick(rng, 1, 3, 8), d)) for _ in range(k)]
    arguments = dict(clouds=clouds, p=p, rng=0, errors=bool(rng.random() < 0.3))
    own = None
    if rng.random() < 0.5:
        own = rng.standard_normal((3, d))
        own /= np.linalg.norm(own, axis=1)[:, None]
        arguments |= {"directions": own, "control": None}
    else:
        arguments |= {"n_projections": pick(rng, None, 16), "control": pick(rng, "auto", None)}
    return Call(transport.pairwise_sliced_wasserstein, arguments, partial(judge_pairs, clouds, p, own))


SLICED = (_sliced, _sliced, _largest, _pairs)
