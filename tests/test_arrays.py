"""The border: arrays of other libraries come in through DLPack and the answer leaves as the right-hand side came."""

import re
import sys
import types

import numpy as np
import pytest
import scipy.sparse as sp

import solvers
from solvers import _arrays
from solvers._arrays import enter, kind_of, leaving
from solvers.linalg import cg

CPU, CUDA, PINNED, METAL, MANAGED = 1, 2, 3, 8, 13


class Produced:
    """An array of a library that knows DLPack; ``device`` is what it says of itself."""

    def __init__(self, values, device=CPU, **fields):
        self.values, self.device = np.asarray(values), device
        self.__dict__.update(fields)

    def __dlpack__(self, **keywords):
        return self.values.__dlpack__(**keywords)

    def __dlpack_device__(self):
        if isinstance(self.device, Exception):
            raise self.device
        return self.device, 0


class Standard(Produced):
    """The same with the namespace of the array API."""

    def __array_namespace__(self):
        return types.SimpleNamespace(from_dlpack=Standard)


def unpacked(value):
    return value.values if isinstance(value, Produced) else np.asarray(value)


# ---- where an array lives ----


@pytest.mark.parametrize("device, kind", [(CPU, "cpu"), (PINNED, "cpu"), (CUDA, "gpu"), (MANAGED, "gpu")], ids=str)
def test_a_foreign_array_is_asked_where_it_lives(device, kind):
    assert kind_of("b", Produced([1.0], device)) == kind


def test_two_objects_of_one_type_may_live_in_two_places():
    assert [kind_of("b", Produced([1.0], device)) for device in (CPU, CUDA, CPU)] == ["cpu", "gpu", "cpu"]


@pytest.mark.parametrize("device", [METAL, BufferError("sharded\nover 8")], ids=["metal", "none"])
def test_another_device_is_refused_with_one_sentence(device):
    for ask in (kind_of, enter):
        with pytest.raises(solvers.UnsupportedType, match="^`x0` ") as caught:
            ask("x0", Produced([1.0], device))
        assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "value", [[1.0], 1.0, None, "Mb", np.float32(1), len, object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_array_has_no_place(value):
    assert kind_of("b", value) is None


def test_a_foreign_array_on_the_gpu_does_not_mix_with_numpy():
    with pytest.raises(solvers.UnsupportedType, match="`b` lives on the GPU and `A` does not"):
        cg(np.eye(2), Produced([1.0, 1.0], CUDA))


# ---- in ----


@pytest.mark.parametrize(
    "value",
    [np.ones(2), np.ma.ones(2), sp.csr_array(np.eye(2)), [1.0, 2.0], None, 3, len],
    ids=lambda v: type(v).__name__,
)
def test_what_needs_no_border_passes_untouched(value):
    assert enter("b", value) is value


def test_a_foreign_array_becomes_numpys_without_a_copy():
    value = Produced([1.0, 2.0])
    entered = enter("b", value)
    assert type(entered) is np.ndarray and np.shares_memory(entered, value.values)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "torch.bfloat16", "float8_e4m3fn", "torch.complex32"])
def test_half_precision_is_refused(dtype):
    with pytest.raises(
        solvers.UnsupportedType, match=f"`b` .* got {dtype.removeprefix('torch.')}; convert it to float32"
    ):
        enter("b", Produced([1.0], dtype=dtype))


def test_gradients_are_refused():
    with pytest.raises(solvers.UnsupportedType) as caught:
        enter("b", Produced([1.0], requires_grad=True))
    assert str(caught.value) == "`b` requires gradients, which solvers do not propagate; pass b.detach()."


def test_what_dlpack_refuses_is_one_sentence():
    class Stubborn(Produced):
        def __dlpack__(self, **keywords):
            raise BufferError("not today\nnor tomorrow")

    with pytest.raises(
        solvers.UnsupportedType, match=r"^`A` is a .*Stubborn .* \(not today\); convert it to a NumPy array.$"
    ):
        enter("A", Stubborn([1.0]))


# ---- out ----


@pytest.mark.parametrize(
    "value", [np.ones(2), [1.0, 1.0], (1.0, 1.0), sp.csr_array(np.eye(2))], ids=lambda v: type(v).__name__
)
def test_an_answer_to_numpy_and_to_lists_leaves_as_it_is(value):
    x = np.ones(2)
    assert leaving(value)(x) is x


def test_an_answer_from_the_gpu_to_numpy_is_brought_back(monkeypatch):
    monkeypatch.setitem(_arrays.kinds, types.SimpleNamespace, "gpu")
    x = types.SimpleNamespace(get=lambda: "brought")
    assert leaving(np.ones(2))(x) == leaving([1.0])(x) == "brought"


def test_an_answer_to_a_gpu_array_stays_there():
    OnGpu = type("OnGpu", (), {"__module__": "cupyx.scipy"})
    x = object()
    assert leaving(OnGpu())(x) is x


def test_an_answer_leaves_through_the_namespace_of_the_array():
    answer = leaving(Standard([1.0]))(np.array([3.0]))
    assert type(answer) is Standard and unpacked(answer)[0] == 3.0


def test_an_answer_leaves_through_the_library_that_the_array_is_of(monkeypatch):
    library = types.ModuleType("somebodys")
    library.from_dlpack = lambda x: ("somebody's", x)
    monkeypatch.setitem(sys.modules, "somebodys", library)
    Theirs = type("Theirs", (Produced,), {"__module__": "somebodys.deep.inside"})
    x = np.ones(1)
    assert leaving(Theirs([1.0]))(x) == ("somebody's", x)
    assert leaving(type("Mine", (Theirs,), {"__module__": "mine"})([1.0]))(x) == ("somebody's", x)


def test_an_answer_to_a_library_that_takes_nothing_stays_numpys():
    x = np.ones(1)
    assert leaving(Produced([1.0]))(x) is x


def test_a_read_only_answer_is_copied_before_it_leaves():
    x = np.ones(1)
    x.flags.writeable = False
    assert leaving(Standard([1.0]))(x).values.flags.writeable


def test_a_sparse_answer_stays_sparse():
    A = sp.csr_array(np.eye(2))
    assert leaving(Standard([1.0]))(A) is A


# ---- all the way ----


@pytest.mark.parametrize("kind", [Produced, Standard])
def test_a_solve_takes_foreign_arrays_and_answers_as_b(kind):
    A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    expected = cg(A, b, rtol=1e-12).x
    for A_, x0 in [(A, None), (Produced(A), None), (sp.csr_array(A), Produced([0.0, 0.0])), (Standard(A), np.zeros(2))]:
        result = cg(A_, kind(b), x0, rtol=1e-12)
        assert type(result.x) is (Standard if kind is Standard else np.ndarray)
        assert np.array_equal(unpacked(result.x), expected)
        assert np.array_equal(b, [1.0, 2.0])


def test_b_decides_where_libraries_are_mixed():
    assert type(cg(Standard(np.eye(2)), np.ones(2)).x) is np.ndarray


# ---- torch ----


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_torch_tensors_come_and_go(torch):
    A = torch.tensor([[4.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    b = torch.tensor([1.0, 2.0], dtype=torch.float64)
    x, info = cg(A, b, torch.zeros(2, dtype=torch.float64), rtol=1e-12)
    assert type(x) is torch.Tensor and x.dtype == torch.float64 and info == 0
    assert torch.allclose(A @ x, b)
    x.add_(1.0)  # the answer is the caller's own
    assert b.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_torch_keeps_its_precision(torch, dtype):
    b = torch.ones(2, dtype=getattr(torch, dtype))
    assert cg(np.eye(2, dtype=dtype), b).x.dtype == b.dtype


def test_torchs_lazy_conjugate_is_carried_out(torch):
    b = torch.tensor([1.0 + 2.0j, 3.0j])
    assert np.array_equal(enter("b", b.conj()), b.numpy().conj())
    assert np.array_equal(enter("b", b.conj().imag), -b.numpy().imag)


def test_torchs_parameters_are_tensors(torch):
    b = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    assert type(cg(np.eye(2, dtype="f"), b).x) is torch.Tensor


def test_torch_tensors_that_require_gradients_are_refused(torch):
    with pytest.raises(solvers.UnsupportedType, match=re.escape("pass b.detach()")):
        cg(np.eye(2), torch.ones(2, requires_grad=True))


@pytest.mark.parametrize("dtype", ["bfloat16", "half"])
def test_torchs_half_precision_is_refused(torch, dtype):
    with pytest.raises(solvers.UnsupportedType, match="`b` must be of single precision or better"):
        cg(np.eye(2), torch.ones(2, dtype=getattr(torch, dtype)))


def test_torch_tensors_without_memory_are_refused(torch):
    with pytest.raises(solvers.UnsupportedType, match="`b` is a torch.Tensor without memory"):
        cg(np.eye(2), torch.ones(2, device="meta"))


def sparse(A, how, *options):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its CSR tensors a beta
        return getattr(A, how)(*options)


def test_torchs_csr_tensors_are_matrices(torch):
    A = torch.tensor([[4.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    entered = enter("A", sparse(A, "to_sparse_csr"))
    assert isinstance(entered, sp.csr_array) and entered.nnz == 5
    assert np.array_equal(entered.toarray(), A.numpy())
    b = torch.ones(3, dtype=torch.float64)
    assert torch.allclose(A @ cg(sparse(A, "to_sparse_csr"), b, rtol=1e-12).x, b)


@pytest.mark.parametrize("how, options", [("to_sparse", ()), ("to_sparse_csc", ()), ("to_sparse_bsr", ((2, 2),))])
def test_torchs_other_layouts_are_refused_with_the_way_out(torch, how, options):
    with pytest.raises(solvers.UnsupportedType, match=re.escape("pass A.to_sparse_csr().")):
        cg(sparse(torch.eye(2), how, *options), torch.ones(2))


def test_torch_is_not_imported_by_us():
    import subprocess

    script = "import sys, numpy as np\nfrom solvers import linalg\nlinalg.cg(np.eye(2), np.ones(2)).x\n"
    script += "assert not {'torch', 'jax', 'cupy'} & {*sys.modules}"
    path = re.sub(r"[\\/]solvers[\\/]__init__.py$", "", solvers.__file__)
    subprocess.run([sys.executable, "-c", script], cwd=path, check=True)


# ---- JAX ----


@pytest.fixture
def jnp():
    return pytest.importorskip("jax.numpy")


def test_jax_arrays_come_and_go(jnp):
    import jax

    A, b = jnp.array([[4.0, 1.0], [1.0, 3.0]]), jnp.array([1.0, 2.0])
    x = cg(A, b).x
    assert isinstance(x, jax.Array) and np.allclose(A @ x, b, rtol=1e-4)


def test_traced_jax_arrays_are_refused(jnp):
    import jax

    with pytest.raises(solvers.UnsupportedType, match="pass it outside of jit"):
        jax.jit(lambda b: cg(np.eye(2), b).x)(jnp.ones(2))


def test_the_table_of_types_knows_numpy_by_name_alone():
    assert _arrays.kinds[np.ndarray] == "cpu" and _arrays.kinds[sp.csr_array] == "cpu"
