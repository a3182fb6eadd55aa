"""The linter's rules, which pyproject.toml names, hold for every file."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def ruff(*paths):
    """What ruff says of these files under the settings of the repository: a line for each fault."""
    pytest.importorskip("ruff")
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--output-format", "concise", "--quiet"]
    command = [sys.executable, "-m", "ruff", "check", *settings, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_linter_finds_nothing(tracked):
    files = [name for name in tracked if name.endswith((".py", ".pyi"))]
    assert len(files) > 300 and ruff(*files) == []


def test_the_linter_finds_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import os\nx = set([1 for _ in range(3)])\nlong = '" + 120 * "x" + "'\n")
    found = {line.split(": ")[1].split(" ")[0] for line in ruff(wrong)}
    assert found == {"I001", "F401", "C403", "E501"}
