"""The versions that setup.cfg promises, and what ``.ci/versions`` makes of them; environments are faked to be quick."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("supported", ROOT / ".ci" / "supported.py")
supported = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(supported)
SETTINGS = supported.read((ROOT / "setup.cfg").read_text(encoding="utf-8"))

SETUP = """
[metadata]
classifiers =
    Programming Language :: Python :: 3
    Programming Language :: Python :: 3.9
    Programming Language :: Python :: 3.10
[options]
python_requires = >=3.9
install_requires =
    numpy>=2.0
    {more}
[options.extras_require]
gpu =
    cupy[ctk]>=14.2,<15
test =
    # Said twice, with one bound.
    cupy >= 14.2, <15; sys_platform != "darwin" and platform_machine in "x86_64 aarch64"
    ruff>=0.17.2,<0.18
"""


def pins_of(settings):
    """The pinned version by the name of each dependency."""
    return dict(pin.split("==") for pin in supported.oldest(settings) if pin not in supported.OF_OTHERS)


def test_each_lower_bound_is_an_exact_pin():
    found = supported.oldest(supported.read(SETUP.format(more="scikit-image<1,>=0.24")))
    assert found == ["cupy==14.2", "numpy==2.0", "ruff==0.17.2", "scikit-image==0.24", *supported.OF_OTHERS]


@pytest.mark.parametrize("line, words", [("scipy<2", "no lower bound"), ("numpy>=2.1", "the lower bounds 2.0 and 2.1")])
def test_a_dependency_without_one_lower_bound_is_refused(line, words):
    with pytest.raises(SystemExit, match=words):
        supported.oldest(supported.read(SETUP.format(more=line)))


def test_every_dependency_of_ours_is_pinned_to_its_lower_bound():
    said = {re.match(r"[\w.-]+", line)[0].lower(): line for _, line in supported.requirements(SETTINGS)}
    pins = pins_of(SETTINGS)
    assert {name.lower() for name in pins} == set(said) >= {"numpy", "scipy", "numba", "pyamg", "pytest"}
    for name, version in pins.items():
        assert re.search(rf">={re.escape(version)}(,|;|$)", said[name.lower()]), name


def test_the_oldest_python_is_the_first_of_the_classifiers():
    versions = supported.pythons(SETTINGS)
    assert supported.pythons(supported.read(SETUP.format(more=""))) == ["3.9", "3.10"]
    assert SETTINGS["options"]["python_requires"] == f">={versions[0]}"
    assert versions == [f"3.{minor}" for minor in range(int(versions[0][2:]), int(versions[-1][2:]) + 1)]


def test_the_documentation_names_the_oldest_versions():
    page = (ROOT / "docs" / "policy.rst").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^(\w+) +(\d[\d.]+) and later$", page, re.M))
    pins = pins_of(SETTINGS)
    assert rows == {
        "Python": supported.pythons(SETTINGS)[0],
        **{name: pins[name.lower()] for name in ("NumPy", "SciPy", "Numba", "PyAMG")},
    }


# ---- the script ----

posix = pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="a bash script")


@pytest.fixture
def versions(tmp_path):
    """``versions(*arguments)`` runs a copy of the script; its two interpreters make environments that only speak."""
    (tmp_path / ".ci").mkdir()
    for name in ("versions", "supported.py"):
        shutil.copy(ROOT / ".ci" / name, tmp_path / ".ci" / name)
    (tmp_path / "setup.cfg").write_text(SETUP.format(more=""))
    for version in ("3.9", "3.10"):
        python = tmp_path / f"python{version}"
        python.write_text(f"""#!/bin/sh
if [ "$1" = -c ]; then echo {version}; exit; fi
mkdir -p "$3/bin"
cat > "$3/bin/python" <<END
#!/bin/sh
echo {version} "\\$@"
for each in "\\$@"; do case "\\$each" in *oldest.txt) cat "\\$each" ;; esac; done
if [ "\\$2" = pytest ]; then echo "$SAID"; [ {version} != "$FAILING" ]; fi
END
chmod +x "$3/bin/python"
""")
        python.chmod(0o755)

    def run(*arguments, failing="none", said="== 3 passed in 0.10s ==", **environment):
        variables = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHON": sys.executable}
        variables |= {"TMPDIR": str(tmp_path), "FAILING": failing, "SAID": said} | environment
        variables.pop("PYTHONS", None) if "PYTHONS" not in environment else None
        command = [tmp_path / ".ci" / "versions", *arguments]
        return subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, timeout=60)

    return run


@posix
def test_the_oldest_python_gets_the_oldest_versions_and_the_newer_ones_the_newest(versions):
    done = versions("-m", "slow")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    installed = [line for line in lines if "pip install" in line and ".[test]" in line]
    assert "--constraint" in installed[0] and installed[0].startswith("3.9 ")
    assert installed[1] == "3.10 -m pip install .[test]"
    assert lines[lines.index(installed[0]) + 1 :][:3] == ["cupy==14.2", "numpy==2.0", "ruff==0.17.2"]
    assert "3.10 -m pytest -m slow" in lines
    assert lines[-2:] == ["Python 3.9, oldest: == 3 passed in 0.10s ==", "Python 3.10, newest: == 3 passed in 0.10s =="]


@posix
def test_a_failure_fails_the_run_and_the_others_are_still_tested(versions):
    done = versions(failing="3.9", said="== 1 failed, 2 passed in 0.10s ==")
    assert done.returncode == 1 and "Python 3.10, newest: == 1 failed" in done.stdout
    assert versions(said="== 3 skipped in 0.10s ==").returncode == 5


@posix
def test_the_interpreters_may_be_named_and_a_missing_one_is(versions, tmp_path):
    done = versions(PYTHONS=str(tmp_path / "python3.10"))
    assert done.returncode == 0 and done.stdout.splitlines()[-2:-1] == ["== all"]
    done = versions(PYTHONS="python3.10 python2.6")
    assert done.returncode == 1 and done.stderr.startswith("python2.6 is not on PATH") and done.stdout == ""


def test_the_scripts_can_be_run():
    assert os.access(ROOT / ".ci" / "versions", os.X_OK)
