"""Whatever the documentation shows is run: doctests, README.md and the examples."""

import contextlib
import doctest
import importlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "solvers").rglob("*.py")
)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# Opened, the language, the body, closed.
FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def nothing_open(monkeypatch, tmp_path):
    """A folder of its own for what is written, and figures that open no window."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name, nothing_open):
    if name == "solvers.__main__":
        return  # it starts the command line
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in doctest.DocTestFinder().find(module, name):
        # The pages of SciPy's functions that only go elsewhere on a GPU are SciPy's.
        member = getattr(module, test.name.removeprefix(f"{name}."), None)
        if not hasattr(member, "__wrapped__"):
            runner.run(test)
    assert runner.summarize().failed == 0


def public_objects():
    import solvers

    yield from ((f"solvers.{name}", getattr(solvers, name)) for name in solvers.__all__ if name not in solvers._AREAS)
    yield from ((f"solvers.linalg.{name}", getattr(solvers.linalg, name)) for name in solvers.linalg.OURS)


def test_every_public_object_has_a_docstring():
    missing = [name for name, value in public_objects() if not (getattr(value, "__doc__", None) or "").strip()]
    assert missing == []


def test_every_public_solver_shows_an_example():
    missing = []
    for name, value in public_objects():
        if name.startswith("solvers.linalg.") and callable(value) and not isinstance(value, type):
            if not doctest.DocTestParser().get_examples(value.__doc__ or ""):
                missing.append(name)
    assert missing == []


def blocks(text):
    """(line, language, body) of every fenced block."""
    return [(text[: m.start()].count("\n") + 1, m[1], m[2]) for m in FENCE.finditer(text)]


def run_readme(text):
    """Run the python blocks in order in one namespace; returns (line, printed, expected) where a text block follows."""
    found = blocks(text)
    namespace, compared = {"__name__": "readme"}, []
    for (line, language, body), following in zip(found, [*found[1:], None], strict=True):
        if language != "python":
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("\n" * line + body, "README.md", "exec"), namespace)
        if following is not None and following[1] == "text":
            compared.append((line, out.getvalue(), following[2]))
    return compared


def agree(printed, expected):
    """As doctest compares: white space may differ, and ... stands for anything."""
    return doctest.OutputChecker().check_output(expected, printed, OPTIONS)


def test_the_readme_prints_what_it_says(nothing_open):
    text = README.read_text(encoding="utf-8")
    assert "python" in [language for _, language, _ in blocks(text)], "README.md shows no python block"
    wrong = [
        f"README.md, block at line {line}: printed\n{printed}\nbut it says\n{expected}"
        for line, printed, expected in run_readme(text)
        if not agree(printed, expected)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_readme_that_prints_something_else_is_caught():
    text = "```python\nx = 1\nprint(x)\n```\n\nprints\n\n```text\n{}\n```\n\n```python\nprint(x + 1)\n```\n"
    assert [agree(*pair[1:]) for pair in run_readme(text.format("1"))] == [True]
    assert [agree(*pair[1:]) for pair in run_readme(text.format("2"))] == [False]
    with pytest.raises(NameError):
        run_readme("```python\nprint(missing)\n```\n")


@pytest.mark.parametrize("marker", ["test command", "main command"])
def test_the_readme_marks_the_commands_that_ci_runs(marker):
    text = README.read_text(encoding="utf-8")
    after = text.partition(f"<!-- {marker} -->\n")[2]
    found = blocks(after)
    assert found and found[0][0] <= 3, f"no code block right after <!-- {marker} -->"
    assert "pip install" in found[0][2]


def test_the_readme_links_to_files_that_exist():
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]*src=\"([^\"]+)\"", README.read_text(encoding="utf-8"))
    local = [t for pair in targets for t in pair if t and "://" not in t and not t.startswith("mailto:")]
    assert [t for t in local if not (ROOT / t).exists()] == []


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


def test_there_are_examples():
    assert EXAMPLES, "examples/ holds no .py file: each area shows at least one there"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_runs(path, tmp_path):
    shutil.copy(path, tmp_path)
    for data in path.parent.iterdir():
        if data.is_file() and data.suffix not in (".py", ".md"):
            shutil.copy(data, tmp_path)
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    # Under "-W error" pyparsing looks for mistakes in grammars, of which it takes Matplotlib 3.8's for one.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:::pyparsing", path.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), "an example prints what it found"
