"""Other distributions called ``solvers``, or that bring a folder of this name: named, with the remedy."""

import shutil

import pytest
from solvers.benchmarks import cli

from solvers import _namesakes


def install(folder, name, version, files, top_level=None):
    """What pip leaves in a folder of packages: the metadata of a distribution, and its files."""
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    (folder / about).mkdir()
    (folder / about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if top_level is None:
        (folder / about / "RECORD").write_text("".join(f"{file},,\n" for file in (*files, f"{about}/RECORD")))
    else:
        (folder / about / "top_level.txt").write_text(top_level)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"name = {name!r}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def shared(tmp_path, unpacked, python):
    """This library in a folder of its own, and a function that runs the program from there."""
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)

    def program(*arguments):
        done = python("-m", "solvers", *arguments, path=[tmp_path], check=False)
        return done.returncode, done.stdout, done.stderr

    return tmp_path, program


def test_the_distribution_that_brings_no_module_is_named(site, capsys):
    """As version 0.6 on the Python Package Index does."""
    install(site, "solvers", "0.6", [])
    (sentence,) = _namesakes.namesakes()
    assert sentence.startswith("solvers 0.6 is an unrelated distribution that brings no module;")
    assert cli.main(["info"]) == 0
    assert "other distributions of this name\n  solvers 0.6 is an unrelated" in capsys.readouterr().out


@pytest.mark.parametrize("top_level", [None, "solvers\nextra\n"], ids=["wheel", "older than wheels"])
def test_another_folder_of_this_name_is_named_whatever_its_distribution_is_called(site, top_level):
    install(site, "Their.Tools", "2", ["solvers/__init__.py"], top_level)
    (sentence,) = _namesakes.namesakes()
    assert sentence.startswith(f"their-tools 2, an unrelated distribution, brings another module `solvers`, in {site}")
    assert "pip uninstall their-tools" in sentence


def test_ours_and_those_that_have_nothing_to_do_with_it_are_not_named(site):
    install(site, "adaptive_solvers", "0.1", ["solvers/__init__.py"])
    install(site, "other", "1", ["other/solvers/__init__.py", "solvers_more/__init__.py"])
    (site / "broken-1.dist-info").mkdir()
    assert _namesakes.namesakes() == []


def test_the_program_says_whose_files_lie_in_its_folder(shared):
    folder, program = shared
    install(folder, "solvers", "9.9", ["solvers/core.py"])
    code, out, err = program("info")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert f"solvers 9.9, an unrelated distribution, writes into the folder of this library, {folder}" in said
    assert "pip uninstall solvers adaptive-solvers, then install adaptive-solvers again." in said


def test_the_program_says_so_where_the_other_has_overwritten_the_package(shared):
    folder, program = shared
    install(folder, "solvers", "9.9", ["solvers/__init__.py"])
    code, out, err = program("list")
    assert (code, out) == (2, "") and err.count("\n") == 1
    theirs = folder / "solvers" / "__init__.py"
    assert err.startswith(f"solvers: {theirs} is not that of adaptive-solvers: solvers 9.9, an unrelated ")


# Where this library is installed as well, Python would find that one: a folder without __init__.py comes last.
ONLY_HERE = """
import importlib.machinery, runpy, sys

class OnlyHere:
    def find_spec(name, path=None, target=None):
        if name == "solvers":
            return importlib.machinery.PathFinder.find_spec(name, [sys.argv[1]])

sys.meta_path.insert(0, OnlyHere)
runpy.run_module("solvers", run_name="__main__")
"""


def test_the_program_says_so_where_the_others_removal_took_the_package_away(shared, python):
    folder, _ = shared
    (folder / "solvers" / "__init__.py").unlink()
    done = python("-c", ONLY_HERE, str(folder), path=[folder], check=False)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert "__init__.py is missing: pip uninstall" in done.stderr
    assert "then install adaptive-solvers again." in done.stderr


def test_nothing_of_this_is_looked_for_on_import(python, unpacked):
    names = ["solvers._namesakes", "importlib.metadata"]
    script = f"import solvers, sys; print([name for name in {names} if name in sys.modules])"
    assert python("-c", script, path=[unpacked]) == "[]\n"
