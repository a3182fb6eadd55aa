"""One call of every function that takes an executor, in a module that workers can import."""

import os

import numpy as np
import scipy.sparse as sp

from solvers import TaskError, inverse, linalg, transport

SIDE = 12


def laplacian():
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(SIDE, SIDE))
    return sp.csr_array(sp.kronsum(line, line))


def right_hand_sides(k=5):
    return np.random.default_rng(0).standard_normal((SIDE * SIDE, k))


def tuned_sor(rng):
    return linalg.TunedSOR(rng=rng)


def batches():
    shifts, eye = np.random.default_rng(1).uniform(0, 0.5, (3, 4)), sp.eye_array(SIDE * SIDE)
    return [[((laplacian() + c * eye).tocsr(), right_hand_sides()[:, 0], float(c)) for c in row] for row in shifts]


def systems(executor):
    answers = linalg.solve_batches(tuned_sor, batches(), rng=2, executor=executor)
    return [each for results, tuned in answers for each in (*results, tuned.values, tuned.policy.choose(0.3))]


def columns(executor):
    return [linalg.cg(laplacian(), right_hand_sides(), executor=executor)]


def preconditioned(executor):
    return [linalg.cg(laplacian(), right_hand_sides(), M=linalg.ic(laplacian()), executor=executor)]


def auto(executor):
    return [linalg.solve(laplacian(), right_hand_sides(), method="amg", executor=executor)]


def least_squares(executor):
    return [linalg.lsmr(laplacian()[:, :90], right_hand_sides(), executor=executor)]


def sinkhorn(executor):
    C = np.random.default_rng(3).random((3, 512, 512))
    return [transport.sinkhorn(C, eps=0.1, executor=executor)]


def clouds(count):
    return [np.random.default_rng(k).standard_normal((40, 3)) + k for k in range(count)]


def sliced(executor):
    return [transport.sliced_wasserstein(*clouds(2), n_projections=60, rng=4, executor=executor)]


def largest(executor):
    return [transport.max_sliced_wasserstein(*clouds(2), rng=4, executor=executor)]


def pairwise(executor):
    return [transport.pairwise_sliced_wasserstein(clouds(4), n_projections=60, rng=5, executor=executor)]


def samples(executor):
    rng = np.random.default_rng(6)
    prior = inverse.GaussianMixture([1, 2], rng.standard_normal((2, 256)), [0.1, 0.3])
    options = dict(prior=prior, n_samples=520, n_steps=2, noise_level=0.3, rng=7)
    return [inverse.sample(rng.standard_normal((9, 256)), rng.standard_normal(9), **options, executor=executor)]


def images(executor):
    rng = np.random.default_rng(8)
    mask = rng.random((32, 32)) < 0.7
    A, x = inverse.Inpainting(mask), rng.random((200, 32, 32))
    return [inverse.pnp(A, x[:, mask].T, inverse.tv(0.1), noise_level=0.1, maxiter=2, executor=executor)]


def data_sets(executor):
    rng = np.random.default_rng(9)
    return [inverse.least_squares(rng.random((30, 40)), rng.random((30, 5000)), maxiter=3, executor=executor)]


#: Whatever takes an executor; of a size that makes several tasks.
CALLS = {
    f.__name__: f
    for f in (
        systems, columns, preconditioned, auto, least_squares, sinkhorn, sliced, largest, pairwise, samples, images,
        data_sets,
    )  # fmt: skip
}


_SKIPPED = {"seconds"}


def bits(answers):
    """All numbers of some answers, to be compared."""
    found = []
    for answer in answers:
        fields = {k: v for k, v in vars(answer).items() if k not in _SKIPPED} if hasattr(answer, "__dict__") else {}
        parts = [*answer] if isinstance(answer, tuple) else [answer] if not fields else []
        found += [(name, _bits(value)) for name, value in [*enumerate(parts), *sorted(fields.items())]]
    return repr(found)


def _bits(value):
    if isinstance(value, np.ndarray | np.number | float):
        value = np.asarray(value)
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return [_bits(each) for each in value]
    return str(value) if isinstance(value, int | str) or value is None or hasattr(value, "value") else "an object"


# ---- what goes wrong ----


class Own(linalg.LinearOperator):
    """A user's operator, which meets a right-hand side that it does not like: one whose first entry rules."""

    def __init__(self, wrong=None):
        super().__init__(np.dtype(float), laplacian().shape)
        self.entries, self.wrong = laplacian(), wrong

    def _matvec(self, v):
        if self.wrong is not None and abs(v[0]) > 0.9 * np.linalg.norm(v):
            self.wrong()
        return self.entries @ v


class Stubborn(Exception):
    """An error that pickles and cannot be unpickled."""

    def __init__(self, what, where):
        super().__init__(f"{what} in {where}")


def stubborn():
    raise Stubborn("a hole", "the operator")


def deadly():
    os._exit(3)


def one_wrong(wrong, executor):
    """The third of five columns meets it."""
    B = right_hand_sides()
    B[:, 2] = np.eye(len(B))[0]
    return linalg.cg(Own(wrong), B, executor=executor)


def wrong_column(executor):
    return one_wrong(stubborn, executor)


def wrong_batch(executor):
    """The second of three is no problem."""
    given = batches()
    given[1] = [(np.zeros((2, 2)), np.ones(2))]
    return linalg.solve_batches(tuned_sor, given, rng=2, executor=executor)


def failures(executor):
    """For calls with a task that fails: what is said, and the numbers of the others."""
    found = {}
    for call in (wrong_batch, wrong_column):
        try:
            call(executor)
        except TaskError as error:
            found[call.__name__] = str(error), bits(_numbers(error.results))
    return found


def expected_failures():
    """The same from calls without an executor and without what is wrong."""
    answers, x = linalg.solve_batches(tuned_sor, batches(), rng=2), one_wrong(None, None).x
    return {
        "wrong_batch": ("batch 1 (InvalidInput: ", bits(_numbers([answers[0], answers[2]]))),
        "wrong_column": ("column 2 (", bits([x[:, j : j + 1] for j in (0, 1, 3, 4)])),
    }


def _numbers(results):
    kept = [each for each in results if each is not None]
    if isinstance(kept[0], linalg.LinearResult):
        return [each.x for each in kept]
    return [each for results, tuned in kept for each in (*results, tuned.values)]
