"""Sliced distances of bad clouds, weights and options: a sentence for what is wrong."""

import math

import numpy as np
import pytest

from solvers import InvalidInput, UnsupportedType, transport

sliced = transport.sliced_wasserstein


WRONG = [
    (dict(X=np.zeros((0, 3))), "`X` must have at least one point"),
    (dict(Y=np.zeros((0, 3))), "`Y` must have at least one point"),
    (dict(Y=np.zeros((4, 2))), "`Y` must have points of 3 coordinates as `X` has, got 2"),
    (dict(X=np.full((4, 3), np.nan)), "`X` must be finite, got 12 NaN"),
    (dict(Y=np.full((4, 3), np.inf)), "`Y` must be finite"),
    (dict(X=np.zeros((2, 2, 2))), r"`X` must have shape \(points, dimensions\)"),
    (dict(a=[0.5, 0.5]), r"`a` must have shape \(4,\) to go with the points, got \(2,\)"),
    (dict(a=[0.5, 0.5, 0.5, -0.5]), "`a` must have no negative weight, got -0.5 at \\[3\\]"),
    (dict(a=[1, 1, 1, 1]), "`a` must have total 1, got 4; pass normalize=True"),
    (dict(b=[0.1] * 5), "`b` must have total 1, got 0.5; pass normalize=True"),
    (dict(b=[np.nan] * 5), "`b` must be finite"),
    (dict(a=[0, 0, 0, 0], normalize=True), "`a` must have a positive, finite total"),
    (dict(p=0.5), "`p` must be >= 1 and finite, got 0.5"),
    (dict(p=math.inf), "`p` must be >= 1"),
    (dict(p=math.nan), "`p` must be a number"),
    (dict(n_projections=0), "`n_projections` must be >= 2, got 0"),
    (dict(n_projections=1), "`n_projections` must be >= 2, got 1"),
    (dict(n_projections=15, directions="spiral"), "`n_projections` must be >= 16 .* error bar"),
    (dict(n_projections=3, directions="iid", control="both"), "`n_projections` must be >= 5 for least squares"),
    (dict(rtol=-1), "`rtol` must be >= 0"),
    (dict(atol=math.nan), "`atol` must be >= 0"),
    (dict(max_projections=20, n_projections=99, rtol=0.1), "`max_projections` must be at least `n_projections`"),
    (dict(max_projections=3), "`max_projections` must be >= 16"),
    (dict(directions="random"), "`directions` must be one of"),
    (dict(directions="lattice"), "`directions` 'lattice' must go with d = 2, got d = 3"),
    (dict(directions=np.ones((5, 3))), "`directions` must have rows of norm 1"),
    (dict(directions=np.eye(3), n_projections=4), "`n_projections` must be the number of your directions, 3"),
    (dict(directions=np.eye(3)[:1]), "`directions` must be at least 2 rows"),
    (dict(directions="sobol", control="harmonics"), "`directions` must be 'iid' or your own"),
    (dict(control="best"), "`control` must be one of"),
    (dict(control="lower", coefficient="best"), "`coefficient` must be one of"),
    (dict(control="both", coefficient=1.0), "`coefficient` must be 'ols'"),
    (dict(control=None, coefficient=1.0), "`coefficient` must be None"),
    (dict(control="lower", coefficient=math.inf), "`coefficient` must be finite"),
    (dict(rng=-1), "`rng` must be None"),
    (dict(X=np.full((4, 3), 1e300) * np.arange(4)[:, None], p=3), "`X` and `Y` must have an extent"),
]


@pytest.mark.parametrize("wrong, sentence", WRONG, ids=[sentence for _, sentence in WRONG])
def test_bad_input_is_refused_in_one_sentence(rng, wrong, sentence):
    arguments = dict(X=rng.standard_normal((4, 3)), Y=rng.standard_normal((5, 3)), n_projections=None) | wrong
    X, Y = arguments.pop("X"), arguments.pop("Y")
    with pytest.raises(InvalidInput, match=sentence):
        sliced(X, Y, **arguments)


@pytest.mark.parametrize("wrong", [dict(X=[["a", "b", "c"]]), dict(X=np.ones((4, 3)) * 1j), dict(grad=1)])
def test_unsupported_kinds(rng, wrong):
    arguments = dict(X=rng.standard_normal((4, 3)), Y=rng.standard_normal((5, 3))) | wrong
    with pytest.raises(UnsupportedType):
        sliced(arguments.pop("X"), arguments.pop("Y"), **arguments)


def test_weights_are_normalised_on_request_only(rng):
    X, Y, a = rng.standard_normal((6, 3)), rng.standard_normal((5, 3)), rng.random(6)
    options = dict(n_projections=64, rng=0)
    one, other = sliced(X, Y, a / a.sum(), **options), sliced(X, Y, 3 * a, normalize=True, **options)
    assert other.power == pytest.approx(one.power, rel=1e-12)
    assert sliced(X, Y, [1] * 6, normalize=True, **options).power == sliced(X, Y, **options).power
