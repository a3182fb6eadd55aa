"""``solvers bench --backend gpu`` and ``solvers test-gpu``, on the emulated device; its seconds mean nothing."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import sparse
from solvers.benchmarks import cli, gpu, grids, per_iteration_gpu, report
from solvers.benchmarks.per_iteration_gpu import Case
from solvers.benchmarks.problems import poisson2d, poisson3d

import solvers
from solvers import testing

SMALL = ["bench", "linalg", "--backend=gpu", "--problems=poisson2d", "--size=6", "--repeats=1", "--no-progress"]


def run(capsys, *arguments):
    code = cli.main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


# ---- the table -----------------------------------------------------------------------------------------


def test_ours_stands_beside_cupyx_and_our_cpu(emulated, capsys, tmp_path):
    path = tmp_path / "rows.json"
    code, out, _ = run(capsys, *SMALL, f"--json={path}")
    content = report.read_json(path)
    rows = {(row.method, row.preconditioner): row for row in content["rows"]}
    assert code == 0 and {method for method, _ in rows} == {"cupyx:cg", "cpu:cg", "cg"}
    for preconditioner in ("none", "jacobi"):
        ours, cpu = rows["cg", preconditioner], rows["cpu:cg", preconditioner]
        assert ours.status == cpu.status == "converged" and (ours.backend, cpu.backend) == ("gpu", "cpu")
        assert ours.ratio_cpu == pytest.approx(cpu.seconds / ours.seconds) and cpu.ratio_cpu is None
        assert ours.iterations == cpu.iterations and ours.residual <= 1e-8
        assert ours.baseline == "cupyx:cg"
    assert "vs cpu" in out and "Emulated device" in out and "device's events" in out
    assert content["gpu"]["device"] == "Emulated device" and content["gpu"]["memory_bytes"] > 0


@pytest.mark.parametrize("fails", [False, True])
def test_cupyx_is_measured_in_the_same_run(emulated, quickly, monkeypatch, fails):
    from cupyx.scipy.sparse import linalg

    cg, limits = linalg.cg, []

    def watched(A, b, *, maxiter, **options):
        limits.append(maxiter)
        if fails:
            raise MemoryError
        return cg(A, b, maxiter=maxiter, **options)

    monkeypatch.setattr(linalg, "cg", watched)
    row = per_iteration_gpu.measure(TINY[1], 1e9, 0.0)
    assert row.status == "converged" and ("MemoryError" in row.note) == fails
    assert limits == ([2] if fails else [2, 2, 5, 2, 5])


def test_what_cupyx_lacks_is_said_and_its_rows_are_skipped(emulated, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "missing", lambda with_cupyx=False: "cuBLAS cannot be loaded." if with_cupyx else "")
    code, out, _ = run(capsys, *SMALL, "--preconditioners=none")
    assert code == 0 and "cuBLAS cannot be loaded" in " ".join(out.split()) and "skipped" in out
    assert len([line for line in out.splitlines() if line.endswith("converged")]) == 2


@pytest.mark.parametrize("method", ["minres", "bicgstab", "gmres"])
def test_the_other_methods_run_there_too(emulated, capsys, tmp_path, method):
    path = tmp_path / "rows.json"
    run(capsys, *SMALL, f"--methods={method}", "--preconditioners=none", "--baseline=none", f"--json={path}")
    rows = report.read_json(path)["rows"]
    assert [(row.method, row.backend, row.status) for row in rows] == [
        (f"cpu:{method}", "cpu", "converged"),
        (method, "gpu", "converged"),
    ]


def test_a_preconditioner_of_the_cpu_is_skipped_in_plain_sight(emulated, capsys):
    pytest.importorskip("pyamg")
    code, out, _ = run(capsys, *SMALL, "--methods=cg", "--preconditioners=sa", "--baseline=none")
    assert code == 0 and "needs a preconditioner that is a matrix" in out
    assert [line.split()[3] for line in out.splitlines() if line.endswith("converged")] == ["cpu:cg"]


def test_the_table_of_the_cpu_is_as_it_was(capsys):
    code, out, _ = run(capsys, *SMALL[:2], *SMALL[3:], "--methods=cg", "--preconditioners=none")
    assert code == 0 and "vs cpu" not in out and "cpu:cg" not in out and "cupyx" not in out


# ---- per iteration -------------------------------------------------------------------------------------

TINY = (
    Case("5-point", (6, 6)),
    Case("5-point", (17, 17), "float32"),
    Case("5-point kept as CSR", (17, 17), keep_csr=True),
    Case("5-point stencil", (6, 6), stencil=True),
    Case("7-point", (3, 4, 5)),
    Case("random, 60 a row", (80,)),
    Case("5-point", (6, 6), n_rhs=3),
)


@pytest.fixture
def quickly(monkeypatch):
    """Two iterations against five, each timed once."""
    monkeypatch.setattr(Case, "counts", lambda self: (2, 5))
    interleaved = per_iteration_gpu._interleaved
    monkeypatch.setattr(per_iteration_gpu, "_interleaved", lambda *given: interleaved(*given, least=1, most=1))


@pytest.mark.parametrize("case", TINY, ids=lambda case: f"{case.name} {case.n} {case.n_rhs}")
def test_a_case_is_measured_with_its_bytes_its_bits_and_its_residual(emulated, quickly, case):
    row = per_iteration_gpu.measure(case, copy=1e9, budget=0.0)
    assert row.status == "converged" and row.same_bits and row.samples == 1
    assert row.residual <= (1e-8 if case.dtype == "float64" else 1e-5) * 1.01
    assert row.host_reads <= 4 * case.n_rhs + 4 + row.iterations / 16
    size = np.dtype(case.dtype).itemsize
    stored = row.bytes - 10 * case.n * case.n_rhs * size
    lines = 5 if len(case.shape) == 2 else 7
    expected = {
        "Stencil": (4 * size, 4 * size),
        "Diagonals": (lines * case.n * size, lines * case.n * size + 8 * 33),
        "CSR": (row.nnz * (size + 4) + 4 * case.n, row.nnz * (size + 4) + 4 * (case.n + 1)),
    }
    least, most = expected[row.storage]
    assert least <= stored <= most
    assert len(per_iteration_gpu.line(row)) <= len(per_iteration_gpu.heading().splitlines()[0])
    if row.ours is not None:
        assert row.fraction == pytest.approx(row.bytes / (row.ours * 1e-6) / 1e9)


def test_the_storage_is_the_one_that_was_asked_for(emulated, quickly):
    stored = [per_iteration_gpu.measure(case, 1e9, 0.0).storage for case in TINY[1:4]]
    assert stored == ["Diagonals", "CSR", "Stencil"]


def test_a_case_that_fails_says_why_and_leaves_the_others(emulated, quickly):
    broken = dataclasses.replace(TINY[0], dtype="no dtype")
    rows = list(per_iteration_gpu.measure_all(cases=(broken, TINY[0]), budget=0.0))
    assert [row.status for row in rows] == ["failed", "converged"]
    assert rows[0].note and rows[0].note in " ".join(per_iteration_gpu.notes(rows).split())


def test_the_command_prints_and_writes_every_case(emulated, quickly, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(per_iteration_gpu, "QUICK", TINY[:2])
    path = tmp_path / "rows.json"
    arguments = ["bench", "linalg", "--per-iteration", "--backend=gpu", "--quick", f"--json={path}"]
    code, out, _ = run(capsys, *arguments)
    content = json.loads(path.read_text())
    assert code == 0 and [row["n"] for row in content["rows"]] == [36, 289]
    assert content["gpu"]["clocks"] and {"driver", "runtime", "cupy"} <= set(content["gpu"])
    assert "copy:" in out and out.count("\n5-point ") == 2


def test_no_case_has_converged_in_the_iterations_that_are_timed():
    """In NumPy: the residual after the longer run is far above rounding."""
    from scipy.sparse.linalg import cg

    for case in (c for c in per_iteration_gpu.CASES if c.n <= 1000 and not c.stencil):
        b = np.random.default_rng(0).standard_normal(case.n)
        assert cg(case.matrix(), b, rtol=1e-14, maxiter=case.counts()[1])[1] != 0, case
    scattered = grids.scattered(2000)
    assert cg(scattered, np.ones(2000), rtol=1e-13, maxiter=Case("", (10**6,)).counts()[1])[1] != 0


def test_the_large_matrices_are_those_of_the_problems():
    assert abs(grids.laplacian((7, 7)) - poisson2d(7)[0]).max() == 0
    assert abs(grids.laplacian((5, 5, 5)) - poisson3d(5)[0]).max() == 0
    assert grids.laplacian((3, 4), np.float32).dtype == np.float32
    A = grids.scattered(300, 10)
    assert abs(A - A.T).max() == 0 and A.has_canonical_format and set(np.diff(A.indptr)) == {11}
    assert np.linalg.eigvalsh(A.toarray())[0] > 0
    assert abs(A - sparse.diags_array(A.diagonal())).max() > 0


# ---- test-gpu ------------------------------------------------------------------------------------------


def test_the_parity_command_prints_a_line_a_group_and_writes_the_summary(emulated, capsys, tmp_path):
    path = tmp_path / "parity.json"
    code, out, _ = run(capsys, "test-gpu", "--only=kernel:axpy-*-33", f"--json={path}")
    content = json.loads(path.read_text())
    assert code == 0 and "kernel:axpy" in out and "4 passed" in out and "0 failed" in out
    assert content["passed"] == content["cases"] == 4 and content["failed"] == []
    assert {"device", "driver", "runtime", "versions", "date", "seconds"} <= set(content)


def test_a_case_that_fails_is_printed_and_the_code_is_one(emulated, capsys, monkeypatch):
    monkeypatch.setattr("solvers.kernels.gpu.axpy", lambda alpha, x, y: None)
    code, out, _ = run(capsys, "test-gpu", "--only=kernel:axpy-*-33")
    assert code == 1 and "! kernel:axpy-float32-33: part 0 against NumPy" in out and "4 FAILED" in out


def test_a_pattern_without_cases_names_the_groups(emulated, capsys):
    code, _, err = run(capsys, "test-gpu", "--only=nothing")
    assert code == 2 and "kernel:axpy" in err and "method:cg" in err


def test_info_names_the_device(emulated, capsys):
    code, out, _ = run(capsys, "info")
    assert code == 0 and "Emulated device" in out and "compute capability" in out


@pytest.mark.parametrize(
    "arguments",
    [["test-gpu"], ["bench", "linalg", "--backend=gpu"], ["bench", "linalg", "--per-iteration", "--backend=gpu"]],
    ids=" ".join,
)
def test_without_a_gpu_one_sentence_names_the_missing_part(capsys, arguments):
    missing = solvers.backends()["gpu"]
    if missing is None:
        pytest.skip("there is one")
    code, out, err = run(capsys, *arguments)
    assert code == 2 and missing in err and err.count("\n") == 1 and "us" not in out


def test_a_summary_that_cannot_be_written_is_refused_before_any_work(capsys, monkeypatch):
    monkeypatch.setattr(testing, "run_gpu_parity", None)
    code, _, err = run(capsys, "test-gpu", "--json=/no/such/folder/x.json")
    assert code == 2 and "cannot be written" in err
