"""The pages under docs/, as far as they can be held against the code without building them; CI builds them too."""

import configparser
import importlib
import pathlib
import re
import runpy
import sys

import pytest

import solvers
from solvers import testing

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# A page of the reference: the module whose public names it lists.
REFERENCE = {
    "solvers": "solvers",
    "linalg": "solvers.linalg",
    "transport": "solvers.transport",
    "pde": "solvers.pde",
    "inverse": "solvers.inverse",
    "deep": "solvers.deep",
    "compat": "solvers.compat.pot",
    "testing": "solvers.testing",
}


def text(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", REFERENCE)
def test_the_reference_lists_every_public_function_and_class(page):
    module = importlib.import_module(REFERENCE[page])
    names = {name for name in getattr(module, "OURS", module.__all__) if callable(getattr(module, name))}
    listed = re.findall(r"^   (\w+)$", text(DOCS / "reference" / f"{page}.rst"), re.MULTILINE)
    assert names == {*listed}
    assert len(listed) == len({*listed})


def test_every_page_of_a_method_says_when_it_loses():
    pages = [path for path in (DOCS / "methods").glob("*.rst") if path.stem != "index"]
    assert len(pages) > 20
    assert [
        path.name for path in pages if not re.search(r"^When (it|they) loses?\n-+$", text(path), re.MULTILINE)
    ] == []


def test_what_getting_started_shows_runs(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text(DOCS / "start.rst"), re.MULTILINE)
    assert len(found) >= 4
    exec("\n".join(block.replace("\n   ", "\n").removeprefix("   ") for block in found), {"__name__": "start"})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def test_the_method_that_the_page_adds_meets_its_contract_in_the_package_and_in_one_of_its_own():
    found = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text(DOCS / "add_a_method.rst"), re.MULTILINE)
    blocks = [block.replace("\n   ", "\n").removeprefix("   ") for block in found]
    (method,) = (block for block in blocks if "def steepest(A, b" in block)
    (descent,) = (block for block in blocks if "def descent(A, b" in block)
    here = {"__name__": "solvers.linalg._steepest", "__package__": "solvers.linalg"}
    exec(method, here)
    exec(descent, here)
    for method in (
        testing.Method(here["steepest"], definite=True, hermitian=True),
        testing.Method(here["descent"], definite=True, hermitian=True, atol=False, results=False),
    ):
        testing.check_method(method, dtypes=["float64"])


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_an_example_has_a_title_for_the_gallery_and_at_most_sixty_lines(path):
    lines = text(path).splitlines()
    title = lines[0].removeprefix('"""')
    assert title and lines[1] == "=" * len(title)
    assert len(lines) <= 60


def test_norms_and_shapes_of_the_docstrings_are_no_markup():
    escape = runpy.run_path(DOCS / "conf.py")["_escape_mathematics"]
    lines = ["|A x|^2 for (k, *shape), ``|x|``, f(A, *, b, **more) and an *emphasis*", ">>> a | b", "*c", "", "|d|"]
    escape(None, "function", "f", None, None, lines)
    assert lines[0] == r"\|A x\|^2 for (k, \*shape), ``|x|``, f(A, \*, b, \**more) and an *emphasis*"
    assert lines[1:] == [">>> a | b", "*c", "", r"\|d\|"]


def test_every_status_stands_on_the_page_of_results_with_its_sentence():
    page = " ".join(text(DOCS / "results.rst").replace("``", "`").split())
    for status in solvers.Status:
        count = 7
        info = "steps" if status.info(count) == count else status.info(count)
        assert f'* - "{status}" - {info} - {status.sentence}' in page


def test_every_name_of_an_area_that_a_page_speaks_of_exists():
    pages = [ROOT / "README.md", *DOCS.glob("*.rst"), *(DOCS / "methods").glob("*.rst")]
    named = {
        (path.name, *found)
        for path in pages
        for found in re.findall(r"(?<![\w./-])(linalg|transport|pde|inverse)\.([A-Za-z]\w*)", text(path))
    }
    assert len(named) > 60
    missing = {each for each in named if not hasattr(importlib.import_module(f"solvers.{each[1]}"), each[2])}
    # A picture, the method that its page adds, and entry points of a package that is none of ours.
    added = {("add_a_method.rst", "linalg", name) for name in ("steepest", "springs")}
    assert missing == {("start.rst", "linalg", "png"), *added}


def test_the_policy_names_the_versions_that_the_package_asks_for():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    asked = dict(re.findall(r"^(\w+)>=([\d.]+)$", setup["options"]["install_requires"], re.MULTILINE))
    asked["python"] = setup["options"]["python_requires"].removeprefix(">=")
    policy = dict(re.findall(r"^(\w+) +([\d.]+) and later$", text(DOCS / "policy.rst"), re.MULTILINE))
    assert {name.lower(): version for name, version in policy.items()} == asked


def test_the_citation_has_the_version_of_the_package():
    assert f"\nversion: {solvers.__version__}\n" in text(ROOT / "CITATION.cff")
