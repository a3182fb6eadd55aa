"""What the packaging tests share: a copy of the repository's files, the wheel built from it, both as places to run."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
_NOT_SOURCES = {"build", "dist", "__pycache__", "node_modules"}


def _tracked():
    """The paths of the files that git tracks, or would with ``git add .``; all sources where git cannot say."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [pathlib.PurePosixPath(name) for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        every = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
        paths = [p for p in every if not any(part in _NOT_SOURCES or part.startswith(".") for part in p.parts)]
    return sorted(str(p) for p in paths if (ROOT / p).is_file())


@pytest.fixture(scope="session")
def tracked():
    return _tracked()


@pytest.fixture(scope="session")
def checkout(tracked, tmp_path_factory):
    """A bare checkout: the repository's files, not installed."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def builds_here():
    """Whether the installed setuptools can write wheels, by itself (since 70.1) or with the wheel package."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    return any(importlib.util.find_spec(name) for name in ("setuptools.command.bdist_wheel", "wheel"))


@pytest.fixture(scope="session")
def wheel(tracked, builds_here, tmp_path_factory):
    """The path of the wheel; without an installed setuptools, pip fetches one for the build."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
    if builds_here:
        command.insert(3, "--no-isolation")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="session")
def unpacked(wheel, tmp_path_factory):
    """What an installation of the wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """``python(*arguments, path=..., cwd=...)`` runs a fresh interpreter and returns what it printed.

    Nothing of the environment points to this repository; ``path`` comes before what is installed.
    """
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(*arguments, path=(), cwd=elsewhere, check=True, **environment):
        variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
        variables |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "MPLBACKEND": "Agg"} | environment
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout
        return done

    return run
