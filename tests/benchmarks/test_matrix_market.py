"""A Matrix Market file is a problem, or a sentence that says why not."""

import gzip

import numpy as np
import pytest
from scipy import io, sparse
from solvers.benchmarks import cli
from solvers.benchmarks._registry import UsageError
from solvers.benchmarks.matrix_market import load_problem
from solvers.benchmarks.problems import PROBLEMS, make_problem

COORDINATE = "%%MatrixMarket matrix coordinate {field} {symmetry}\n"


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "poisson.mtx"
    io.mmwrite(path, make_problem(PROBLEMS["poisson2d"], 6).A)
    return str(path)


def write(path, text):
    path.write_text(text)
    return str(path)


def test_a_file_gives_the_matrix_that_was_written(matrix):
    problem = load_problem(matrix)
    expected = make_problem(PROBLEMS["poisson2d"], 6).A
    assert abs(problem.A - expected).max() == 0
    assert problem.name == "poisson" and problem.spd and problem.symmetric


def test_a_compressed_file_gives_the_same_problem(matrix, tmp_path):
    packed = tmp_path / "poisson.mtx.gz"
    with open(matrix, "rb") as file:
        packed.write_bytes(gzip.compress(file.read()))
    assert abs(load_problem(str(packed)).A - load_problem(matrix).A).max() == 0
    assert load_problem(str(packed)).name == "poisson"


@pytest.mark.parametrize("name", ["b.npy", "b.mtx"])
def test_a_right_hand_side_is_read(matrix, tmp_path, name):
    b = np.arange(36.0)
    path = tmp_path / name
    if name.endswith("npy"):
        np.save(path, b)
    else:
        io.mmwrite(path, b[:, None])
    np.testing.assert_array_equal(load_problem(matrix, str(path)).b, b)


@pytest.mark.parametrize(
    "diagonal, kind", [((1.0, 1.0), (True, True)), ((1.0, -1.0), (False, True)), ((1.0, 0.0), (False, True))]
)
def test_what_cannot_be_definite_is_not_called_so(tmp_path, diagonal, kind):
    path = tmp_path / "a.mtx"
    io.mmwrite(path, sparse.csr_array(np.diag(diagonal)))
    problem = load_problem(str(path))
    assert (problem.spd, problem.symmetric) == kind


def test_complex_hermitian_and_dense_files_are_taken(tmp_path):
    io.mmwrite(tmp_path / "h.mtx", sparse.csr_array(np.array([[2, 1j], [-1j, 2]])))
    io.mmwrite(tmp_path / "d.mtx", np.array([[2.0, 1.0], [0.0, 2.0]]))
    assert load_problem(str(tmp_path / "h.mtx")).spd
    assert not load_problem(str(tmp_path / "d.mtx")).symmetric


BAD = {
    "pattern": (COORDINATE.format(field="pattern", symmetry="general") + "2 2 2\n1 1\n2 2\n", "pattern"),
    "not square": (COORDINATE.format(field="real", symmetry="general") + "2 3 1\n1 1 1.0\n", "square"),
    "empty": ("", "not a Matrix Market file"),
    "no header": ("1 2 3\n", "not a Matrix Market file"),
    "cut short": (
        COORDINATE.format(field="real", symmetry="general") + "2 2 2\n1 1 1.0\n",
        "not a Matrix Market",
    ),
    "out of range": (
        COORDINATE.format(field="real", symmetry="general") + "2 2 1\n3 1 1.0\n",
        "not a Matrix Market",
    ),
    "NaN": (COORDINATE.format(field="real", symmetry="general") + "1 1 1\n1 1 nan\n", "NaN"),
    "without rows": (COORDINATE.format(field="real", symmetry="general") + "0 0 0\n", "square"),
}


@pytest.mark.parametrize("text, word", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, text, word):
    with pytest.raises(UsageError, match=word) as caught:
        load_problem(write(tmp_path / "bad.mtx", text))
    assert "\n" not in str(caught.value)


def test_a_bad_right_hand_side_is_refused(matrix, tmp_path):
    for name, b, word in [
        ("long.npy", np.ones(35), "length 36"),
        ("two.npy", np.ones((36, 2)), "36 x 2"),
        ("nan.npy", np.full(36, np.nan), "finite"),
        ("text.npy", np.array(["a"] * 36), "finite numbers"),
        ("complex.npy", np.ones(36) * 1j, "complex128"),
    ]:
        np.save(tmp_path / name, b)
        with pytest.raises(UsageError, match=word):
            load_problem(matrix, str(tmp_path / name))


def test_missing_files_are_named(matrix, tmp_path):
    for arguments in [(str(tmp_path / "no.mtx"),), (matrix, str(tmp_path / "no.npy"))]:
        with pytest.raises(UsageError, match="no.(mtx|npy)"):
            load_problem(*arguments)


def test_the_command_line_solves_a_file(matrix, capsys):
    assert cli.main(["bench", "linalg", "--matrix", matrix, "--methods", "cg", "--repeats", "1"]) == 0
    assert "converged" in capsys.readouterr().out


def test_the_command_line_refuses_with_exit_code_two(tmp_path, capsys):
    path = write(tmp_path / "bad.mtx", BAD["pattern"][0])
    assert cli.main(["bench", "linalg", "--matrix", path]) == 2
    said = capsys.readouterr().err
    assert said.startswith("solvers: ") and said.count("\n") == 1
    assert cli.main(["bench", "linalg", "--rhs", path]) == 2
