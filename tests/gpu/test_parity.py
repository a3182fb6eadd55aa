"""The GPU beside the CPU, through the runner that the library ships; and that runner, which must see what is wrong.

On the emulated device a selection runs, on a GPU everything; with the CPU's own kernels in the GPU's place the
cases test themselves.
"""

import inspect
import json

import numpy as np
import pytest

import solvers
from solvers import linalg, testing

CASES = testing.gpu_parity_cases()
IDS = [case.id for case in CASES]
QUICK = [case for case in testing.gpu_parity_cases(quick=True) if case.id != "memory-1000-solves"]
# In two precisions, short; a thousand solves take minutes there.
EMULATED = [
    case
    for case in QUICK
    if (case.n in (33, 36, 40) and case.dtype in ("float32", "complex128"))
    or case.id in ("kernel:is_valid_csr", "kernel:judge", "memory-30-solves", "method:cg-csr-float64-289")
    or case.id.startswith(("kernel:diagonals-float64", "kernel:inner-float64"))
]


def by_id(cases):
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


@by_id(QUICK)
def test_the_cases_hold_for_the_cpu_in_the_place_of_the_gpu(case):
    case.check(testing.Target("cpu"))


@by_id(EMULATED)
def test_the_emulated_device_agrees_with_the_cpu(emulated, case):
    case.check(testing.Target("gpu"))


@pytest.mark.gpu
@by_id(CASES)
def test_the_gpu_agrees_with_the_cpu(case):
    missing = solvers.backends()["gpu"]
    if missing:
        pytest.skip(f"no GPU: {missing}")
    case.check(testing.Target("gpu"))


# ---- the cases see what is wrong -----------------------------------------------------------------------


class _Watched:
    """The CPU's kernels, with what was called, and one of them spoiled."""

    def __init__(self, spoiled=None, spoil=None):
        from solvers.kernels import cpu

        self.called = set()
        for name in cpu.__all__:
            value = getattr(cpu, name)
            plain = not callable(value) or isinstance(value, type)
            setattr(self, name, value if plain else self._watch(name, value, spoil if name == spoiled else None))

    def _watch(self, name, function, spoil):
        def call(*arguments):
            self.called.add(name)
            answer = function(*arguments)
            return answer if spoil is None else spoil(arguments, answer)

        return call


def target_with(kernels):
    target = testing.Target("cpu")
    target.kernels = kernels
    return target


def test_every_kernel_of_the_gpu_is_compared():
    from solvers.kernels import gpu

    kernels = _Watched()
    for case in testing.gpu_parity_cases("kernel:*", quick=True):
        if case.dtype == "float64":
            case.check(target_with(kernels))
    public = {name for name in gpu.__all__ if inspect.isfunction(getattr(gpu, name))}
    assert public - kernels.called == set()


def scaled_output(position):
    """The array at that place of the arguments is off by one part in a thousand in its last entry."""

    def spoil(arguments, answer):
        flat = arguments[position].reshape(-1)
        flat[-1:] *= 1.01
        return answer

    return spoil


def scaled_column(position):
    """The first column of a block is off."""

    def spoil(arguments, answer):
        array = arguments[position]
        array[..., 0] = array[..., 0] * 1.5
        return answer

    return spoil


def scaled_answer(arguments, answer):
    return type(answer)(answer * 1.001)


FAULTS = {
    "matvec": scaled_output(2),
    "relax": scaled_output(5),
    "subtract_product": scaled_output(3),
    "axpy": scaled_output(2),
    "back_projection": scaled_output(3),
    "scale": scaled_output(2),
    "multiply": scaled_output(2),
    "difference": scaled_output(2),
    "difference ": scaled_answer,
    "residual": scaled_output(3),
    "residual ": scaled_answer,
    "inner": scaled_answer,
    "largest": scaled_answer,
    "step_iterate": scaled_output(3),
    "step_iterate ": scaled_answer,
    "step_direction": scaled_output(2),
    "project": lambda arguments, answer: answer * 1.001,
    "combine": scaled_output(2),
    "judge": lambda arguments, answer: 0,
    "is_valid_csr": lambda arguments, answer: True,
    "cg_chunk": scaled_output(2),
    "cg_chunk ": scaled_output(4),
    "cg_chunk  ": lambda arguments, answer: (answer[0], 0),
    "cg_chunk_many": scaled_column(2),
    "cg_chunk_many ": scaled_column(7),
    "cg_chunk_many  ": scaled_column(10),
    "zeros": lambda arguments, answer: answer + 1,
    "to_device": lambda arguments, answer: answer.copy() * 2 if answer.dtype.kind in "fc" else answer,
    "copy_to_device": lambda arguments, answer: arguments[0],
    "is_ready": lambda arguments, answer: True,
    "diagonals": lambda arguments, answer: arguments[0],
    "csr": lambda arguments, answer: answer._replace(indices=answer.indices[::-1].copy()),
    "dense": lambda arguments, answer: answer._replace(array=answer.array.T.copy()),
    "stencil": lambda arguments, answer: answer._replace(weights=answer.weights[::-1].copy()),
    "gather": scaled_output(2),
    "scatter": scaled_output(2),
    "reciprocal": scaled_output(1),
    "diagonal": lambda arguments, answer: answer * 1.001,
    "sweep": lambda arguments, answer: answer._replace(lower=answer.upper, upper=answer.lower),
    "sweep_from": lambda arguments, answer: answer._replace(lower=answer.upper, upper=answer.lower),
    "sor_chunk": scaled_output(2),
    "sor_chunk ": scaled_output(5),
    "sor_chunk  ": lambda arguments, answer: min(answer, 4),
    "ssor_chunk": scaled_output(2),
    "ssor_chunk ": scaled_output(5),
    "jacobi_chunk": scaled_output(3),
    "jacobi_chunk ": scaled_output(6),
    "ssor_solve": scaled_output(3),
    "ssor_cg_start": scaled_answer,
    "ssor_cg_start ": scaled_output(3),
    "ssor_cg_start  ": scaled_output(4),
    "ssor_cg_chunk": scaled_output(2),
    "ssor_cg_chunk ": scaled_output(8),
    "ssor_cg_chunk  ": lambda arguments, answer: (answer[0], 0),
    "order_by_levels": lambda arguments, answer: (answer[0][::-1], answer[1]),
    "order_by_colours": lambda arguments, answer: (answer[0][::-1], answer[1]),
    "split_rows": lambda arguments, answer: answer[::-1],
    "ilu0": lambda arguments, answer: (arguments[0], answer[1]),
    "line_integrals": scaled_output(3),
    "grid_coarsen": lambda arguments, answer: answer._replace(faces=1.001 * answer.faces),
    "grid_faces": lambda arguments, answer: (-1, -1),
    "grid_leave": scaled_output(3),
    "log_chunk": scaled_output(4),
    "log_chunk ": scaled_output(5),
    "log_chunk  ": scaled_output(7),
    "log_sums": scaled_output(3),
    "log_sums_columns": scaled_output(3),
    "marginals": scaled_output(4),
    "marginals ": scaled_output(5),
    "marginals  ": scaled_answer,
    "plan": scaled_output(4),
    "point_gradients": scaled_output(4),
    "point_gradients ": scaled_output(5),
    "scaling": lambda arguments, answer: answer._replace(K=1.001 * answer.K),
    "scaling_chunk": scaled_output(4),
    "scaling_chunk ": scaled_output(5),
    "scaling_chunk  ": scaled_output(7),
    "sliced_gradients": scaled_output(8),
    "sliced_gradients ": scaled_output(7),
    "sliced_powers": scaled_output(6),
    "sorted_powers": scaled_output(7),
    "sorted_projections": scaled_output(2),
    "subtract_means": scaled_output(4),
    "threshold_plan": lambda arguments, answer: (answer[0], answer[1], answer[2] * 1.001),
    "variation_gap": lambda arguments, answer: answer * 1.001,
    "variation_gap ": scaled_output(4),
    "variation_step": scaled_column(5),
    "variation_step ": scaled_column(7),
    "threshold_plan ": lambda arguments, answer: (answer[0], answer[1][::-1], answer[2]),
}


@pytest.mark.parametrize("fault", FAULTS, ids=str.split)
def test_a_kernel_that_is_wrong_is_refused(fault):
    target = target_with(_Watched(fault.strip(), FAULTS[fault]))
    cases = [c for c in testing.gpu_parity_cases("kernel:*", quick=True) if c.dtype == "float64"]
    with pytest.raises(AssertionError):
        for case in sorted(cases, key=lambda case: case.n):
            case.check(target)


def test_a_kernel_whose_bits_vary_is_refused():
    noise = iter(range(10**6))

    def waver(arguments, answer):
        return answer * (1 + next(noise) % 2 * 2**-52)

    target = target_with(_Watched("inner", waver))
    summary = testing.run_gpu_parity(testing.gpu_parity_cases("kernel:inner", quick=True), target=target)
    assert any("bits" in failure["message"] for failure in summary["failed"])


def careless(A, b, **options):
    """Stops too early, and says that it has converged."""
    options["rtol"] = 1e-1
    return genuine(A, b, **options)


def slow(A, b, **options):
    """Needs more iterations than the other backend."""
    result = genuine(A, b, **options)
    result.iterations = result.iterations + (5 if next(calls) % 4 else 0)
    return result


def other_bits(A, b, **options):
    result = genuine(A, b, **options)
    result.x[:1] *= 1 + 1e-15 * (next(calls) % 2)
    return result


genuine, calls = linalg.cg, iter(range(10**6))


@pytest.mark.parametrize("fake, words", [(careless, "true residual"), (slow, "iterations"), (other_bits, "bits")])
def test_a_method_that_is_wrong_is_refused(monkeypatch, fake, words):
    monkeypatch.setattr(linalg, "cg", fake)
    (case,) = testing.gpu_parity_cases("method:cg-csr-float64-289")
    with pytest.raises(AssertionError, match=words):
        case.check(testing.Target("cpu"))


def test_a_leak_is_seen(monkeypatch):
    target = testing.Target("cpu")
    held = iter(range(10**6))
    monkeypatch.setattr(target, "used_bytes", lambda: next(held), raising=False)
    with pytest.raises(AssertionError, match="bytes more"):
        testing.gpu_parity_cases("memory*")[0].check(target)


# ---- the runner ----------------------------------------------------------------------------------------


def broken_case(error):
    def check(target):
        raise error

    return testing.Case("kernel:broken", "kernel:broken-1", 1, "float64", check)


def test_the_summary_is_json_and_names_what_failed():
    cases = [broken_case(AssertionError("off by 3")), broken_case(RuntimeError("no\nmore")), *QUICK[:2]]
    heard = []
    summary = testing.run_gpu_parity(cases, lambda case, message: heard.append(message), testing.Target("cpu"))
    assert json.loads(json.dumps(summary)) == summary
    assert [failure["message"] for failure in summary["failed"]] == ["off by 3", "RuntimeError: no"]
    assert heard == ["off by 3", "RuntimeError: no", None, None]
    assert (summary["cases"], summary["passed"]) == (4, 2) and summary["device"] and summary["date"]


def test_ids_are_unique_and_patterns_select():
    assert len(set(IDS)) == len(IDS)
    assert {case.group for case in testing.gpu_parity_cases("kernel:axpy")} == {"kernel:axpy"}
    assert all("float32" in case.id for case in testing.gpu_parity_cases("*float32*"))
    assert max(case.n for case in testing.gpu_parity_cases(quick=True)) <= 1000 < max(case.n for case in CASES)


def test_without_numba_plain_numpy_is_the_reference(monkeypatch):
    target = testing.Target("cpu")
    target.cpu = None
    for only in ("kernel:matvec-csr-float64-33", "kernel:cg_chunk*float32-33", "method:cg-csr-float64-289"):
        for case in testing.gpu_parity_cases(only):
            case.check(target)
    assert testing.run_gpu_parity([], target=target)["compared_with"] == ["NumPy"]


def test_a_machine_without_a_gpu_is_told_what_is_missing():
    if solvers.backends()["gpu"] is None:
        pytest.skip("there is one")
    with pytest.raises(solvers.BackendUnavailable, match="GPU backend cannot run"):
        testing.run_gpu_parity()


def test_full_memory_is_an_error_that_says_how_much(emulated):
    from emulation import device
    from solvers.kernels.errors import DeviceMemoryError

    A = emulated.asarray(np.diag(np.arange(1.0, 41.0)))
    device.total = device.live + 8_000  # less than the basis of gmres
    before = emulated.get_default_memory_pool().used_bytes()
    with pytest.raises(DeviceMemoryError, match="free") as caught:
        linalg.gmres(A, emulated.ones(40), restart=40)
    assert caught.value.requested > caught.value.free >= 0 and caught.value.total == device.total
    del caught
    assert emulated.get_default_memory_pool().used_bytes() == before
