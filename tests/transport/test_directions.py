"""Directions: on the sphere, uniform, nested, and independent from set to set."""

import math

import numpy as np
import pytest

from solvers import InvalidInput
from solvers.transport._sliced_directions import Directions, own_directions, root_of

KINDS = [("iid", 5), ("orthogonal", 5), ("orthogonal", 70), ("spiral", 3), ("lattice", 2), ("sobol", 4)]


def drawn(kind, d, number, seed=0, first=0):
    return np.concatenate(list(Directions(kind, d, number, root_of(seed)).batches(first)))


@pytest.mark.parametrize("kind, d", KINDS)
@pytest.mark.parametrize("number", [16, 100, 997, 9000])
def test_norms_and_numbers(kind, d, number):
    rows, plan = drawn(kind, d, number), Directions(kind, d, number, root_of(0))
    assert rows.shape == (plan.number, d) and plan.number == plan.size * plan.rotations
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() <= 1e-12
    assert number - plan.size < plan.number <= number
    assert plan.rotations >= 8
    assert len(np.unique(rows.round(9), axis=0)) == plan.number


@pytest.mark.parametrize("kind, d", KINDS)
def test_each_direction_is_uniform(kind, d):
    """Over seeds: the first direction of a set has E h h' = I / d and E h_1^4 = 3 / (d (d + 2))."""
    first = np.concatenate([drawn(kind, d, 16, seed)[::2] for seed in range(500)])
    second = first.T @ first / len(first)
    assert np.abs(second - np.eye(d) / d).max() <= 5 * math.sqrt(2 / len(first)) / d
    fourth = np.mean(first**4, axis=0)
    assert np.abs(fourth * d * (d + 2) / 3 - 1).max() <= 5 * math.sqrt(32 / 3 / len(first))
    assert np.abs(first.mean(axis=0)).max() <= 5 / math.sqrt(d * len(first)) or kind == "lattice"


@pytest.mark.parametrize("kind, d", [("iid", 7), ("orthogonal", 7), ("orthogonal", 70)])
def test_they_are_nested_in_their_number(kind, d):
    few, many = drawn(kind, d, 10 * 8 * d, 3), drawn(kind, d, 40 * 8 * d, 3)
    assert np.array_equal(few, many[: len(few)])
    assert np.array_equal(drawn(kind, d, 40 * 8 * d, 3, first=len(few)), many[len(few) :])


@pytest.mark.parametrize("kind, d", KINDS)
def test_a_seed_gives_the_same_directions_and_another_one_others(kind, d):
    assert np.array_equal(drawn(kind, d, 64, 5), drawn(kind, d, 64, 5))
    assert not np.array_equal(drawn(kind, d, 64, 5), drawn(kind, d, 64, 6))
    assert np.array_equal(drawn(kind, d, 64, np.random.default_rng(5)), drawn(kind, d, 64, np.random.default_rng(5)))


def test_streams_are_those_that_spawn_gives():
    root = root_of(4)
    plan = Directions("iid", 3, 128, root)
    rows = np.random.default_rng(root.spawn(2)[1]).standard_normal((64, 3))
    assert np.allclose(list(plan.batches())[0][64:], rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-15)


def test_orthogonal_sets_are_orthonormal_frames():
    whole = drawn("orthogonal", 6, 60).reshape(-1, 6, 6)
    part = drawn("orthogonal", 6, 32).reshape(-1, 4, 6)
    for frames in (whole, part):
        products = frames @ frames.transpose(0, 2, 1)
        assert np.abs(products - np.eye(frames.shape[1])).max() <= 1e-14


@pytest.mark.parametrize("kind, d, gain", [("spiral", 3, 30), ("lattice", 2, 1e20), ("sobol", 4, 2), ("sobol", 2, 3)])
def test_even_sets_integrate_better_than_independent_directions(kind, d, gain):
    """The mean of h_1^2 h_2^2 over 512 directions: squared errors over 40 seeds."""

    def square(kind):
        exact = 1 / (d * (d + 2))
        means = [np.mean((r[:, 0] * r[:, 1]) ** 2) for r in (drawn(kind, d, 512, seed) for seed in range(40))]
        return np.mean((np.array(means) - exact) ** 2)

    assert square("iid") >= gain * square(kind)


@pytest.mark.parametrize("kind, d", [k for k in KINDS if k[0] != "iid"])
def test_too_few_for_an_error_bar(kind, d):
    with pytest.raises(InvalidInput, match="`n_projections` must be >= 16 .* error bar"):
        Directions(kind, d, 15, root_of(0))


def test_own_directions(rng):
    rows = rng.standard_normal((6, 4))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    own = own_directions(unit, 4)
    assert np.array_equal(np.concatenate(list(own.batches())), unit) and own.number == 6
    assert own_directions(unit.astype(np.float32), 4).number == 6
    own_directions(unit, 4)
    for wrong, sentence in (
        (rows, "norm 1, got norm"),
        (unit[:, :3], r"shape \(projections, 4\)"),
        (unit[0], r"shape \(projections, 4\)"),
        (unit[:0], r"shape \(projections, 4\)"),
        (np.where(unit == unit[2, 1], np.nan, unit), "finite"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            own_directions(wrong, 4)
    kept = own_directions(unit, 4)
    unit[:] = 0
    assert np.abs(np.linalg.norm(next(iter(kept.batches())), axis=1) - 1).max() <= 1e-12


def test_seeds_that_are_none():
    for wrong in (-1, "a", 1.5):
        with pytest.raises(InvalidInput, match="`rng`"):
            root_of(wrong)
