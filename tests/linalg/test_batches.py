"""Independent sequences: the same answers, to the last bit, wherever they are solved."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from solvers import InvalidInput, TaskError, UnsupportedType, linalg

M = 8


def tuned_sor(rng):
    return linalg.TunedSOR(rng=rng)


def tuned_ssor_cg(rng):
    return linalg.TunedSSORCG("tsallis-inf", rng=rng)


def tuned_binned(rng):
    return linalg.TunedSSORCG("tsallis-inf-binned", rng=rng)


def batches(count=3, length=12):
    rng = np.random.default_rng(0)
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(M, M))
    A = sp.kronsum(line, line).tocsr()
    shifts = rng.uniform(0, 0.5, (count, length))
    return [
        [((A + c * sp.eye_array(M * M)).tocsr(), rng.standard_normal(M * M), float(c)) for c in row] for row in shifts
    ]


def same(one, two):
    for (answers, tuned), (others, other) in zip(one, two, strict=True):
        assert all(np.array_equal(a.x, b.x) for a, b in zip(answers, others, strict=True))
        assert [a.iterations for a in answers] == [b.iterations for b in others]
        assert all(np.array_equal(a.residuals, b.residuals) for a, b in zip(answers, others))
        for name in ("values", "iterations", "costs", "contexts"):
            assert np.array_equal(getattr(tuned, name), getattr(other, name))
        context = None if np.isnan(tuned.contexts).any() else 0.25
        assert tuned.policy.choose(context) == other.policy.choose(context)
        assert np.array_equal(tuned.policy.probabilities, other.policy.probabilities)


@pytest.mark.parametrize("make", [tuned_sor, tuned_ssor_cg, tuned_binned])
def test_threads_give_the_serial_answers_to_the_bit(make):
    serial = linalg.solve_batches(make, batches(), rng=1)
    with ThreadPoolExecutor(3) as executor:
        same(serial, linalg.solve_batches(make, batches(), rng=1, executor=executor))


def test_processes_give_the_serial_answers_to_the_bit():
    serial = linalg.solve_batches(tuned_sor, batches(), rng=2)
    spawn = multiprocessing.get_context("spawn")  # nothing is inherited
    with ProcessPoolExecutor(2, mp_context=spawn) as executor:
        same(serial, linalg.solve_batches(tuned_sor, batches(), rng=2, executor=executor))


def test_a_batch_does_not_depend_on_the_others():
    three, one = batches(), batches()[:1]
    same(linalg.solve_batches(tuned_sor, three, rng=3)[:1], linalg.solve_batches(tuned_sor, one, rng=3))


def test_each_batch_has_a_policy_and_a_seed_of_its_own():
    twice = [batches()[0]] * 2
    (_, first), (_, second) = linalg.solve_batches(tuned_ssor_cg, twice, rng=4)
    assert first.policy is not second.policy
    assert not np.array_equal(first.omegas, second.omegas)


def test_batches_may_be_generators_and_lack_contexts():
    answers = linalg.solve_batches(tuned_ssor_cg, ([(A, b) for A, b, _ in batch] for batch in batches(2, 3)), rng=5)
    assert [len(results) for results, _ in answers] == [3, 3]
    assert all(result.converged for results, _ in answers for result in results)
    assert all(np.isnan(tuned.contexts).all() for _, tuned in answers)


def test_no_batches_no_answers():
    assert linalg.solve_batches(tuned_sor, [], rng=6) == []
    ((results, tuned),) = linalg.solve_batches(tuned_sor, [[]], rng=6)
    assert results == [] and tuned.iterations.size == 0


@pytest.mark.parametrize("threads", [False, True])
def test_a_batch_that_is_refused_is_named_and_the_others_are_kept(threads):
    good, bad = batches()[0], [(np.zeros((2, 2)), np.ones(2))]
    with ThreadPoolExecutor(1) as executor, pytest.raises(TaskError, match=r"^1 of 2 tasks failed: batch 1 \(Inv") as e:
        linalg.solve_batches(tuned_sor, [good, bad], rng=0, executor=executor if threads else None)
    assert isinstance(e.value.failures[1], InvalidInput) and e.value.__cause__ is e.value.failures[1]
    same(e.value.results[:1], linalg.solve_batches(tuned_sor, [good], rng=0))


def test_a_refused_executor_leaves_the_generator_as_it_was():
    rng = np.random.default_rng(0)
    with pytest.raises(UnsupportedType, match="^`executor` must"):
        linalg.solve_batches(lambda rng: linalg.TunedSOR(rng=rng), [[], []], rng=rng, executor="threads")
    assert rng.bit_generator.seed_seq.n_children_spawned == 0


def test_a_generator_that_spawns_no_others_is_refused():
    class Ones(np.random.bit_generator.ISeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            return np.ones(n_words, dtype)

    rng = np.random.Generator(np.random.PCG64(Ones()))
    with pytest.raises(InvalidInput, match="^`rng` must be None, an integer or a Generator with a SeedSequence"):
        linalg.solve_batches(lambda rng: linalg.TunedSOR(rng=rng), [[]], rng=rng)
