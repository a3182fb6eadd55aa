"""What ``.ci/run`` makes of README.md and of the outcome of its commands; environments are faked to be quick."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = """# Title

<!-- test command -->
```sh
{test}
```

<!-- main command -->

```sh
echo "the table, CI=$CI"
```
"""
PASSED = "echo '======= 3 passed, 1 skipped in 0.10s ======='"

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason=".ci/run is a bash script"
)


@pytest.fixture
def ci(tmp_path):
    """``ci(test=..., readme=...)`` runs a copy of the script beside that README; python makes empty environments."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho a python "$@"\\n[ "$2" != "$FAILING" ]\\n' > "$3/bin/python"
chmod +x "$3/bin/python"
""")
    python.chmod(0o755)

    def run(test=PASSED, readme=README, failing="nothing"):
        if readme is not None:
            (tmp_path / "README.md").write_text(readme.format(test=test))
        environment = os.environ | {"PYTHON": str(python), "TMPDIR": str(tmp_path), "FAILING": failing}
        return subprocess.run(
            [tmp_path / ".ci" / "run"], env=environment, cwd="/", capture_output=True, text=True, timeout=60
        )

    return run


def test_both_commands_of_the_readme_are_run_and_the_summary_stands_last(ci):
    done = ci()
    assert done.returncode == 0, done.stderr
    assert "the table, CI=true" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "======= 3 passed, 1 skipped in 0.10s ======="


def test_the_exit_code_is_that_of_pytest(ci):
    done = ci(test="echo '=== 1 failed, 2 passed in 0.10s ==='\nexit 7")
    assert done.returncode == 7
    assert done.stdout.splitlines()[-1] == "=== 1 failed, 2 passed in 0.10s ==="


@pytest.mark.parametrize(
    "summary", ["=== no tests ran in 0.01s ===", "=== 3 skipped in 0.10s ===", "done", "=== 30 passed"]
)
def test_it_fails_where_no_test_ran(ci, summary):
    done = ci(test=f"echo '{summary}'")
    assert done.returncode != 0
    assert "No test ran" in done.stderr
    assert "the table" not in done.stdout


@pytest.mark.parametrize("name", ["test command", "main command"])
def test_a_missing_marker_is_named_before_anything_is_installed(ci, name):
    done = ci(readme=README.replace(f"<!-- {name} -->", ""))
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1 and f"'<!-- {name} -->'" in done.stderr
    assert done.stdout == ""


def test_a_missing_readme_is_named(ci):
    done = ci(readme=None)
    assert done.returncode != 0 and "README.md is missing" in done.stderr


def test_documentation_with_warnings_fails_the_run_and_is_named(ci):
    assert "a python -m sphinx -W --keep-going" in ci().stdout
    done = ci(failing="sphinx")
    assert done.returncode == 70 and "the table" not in done.stdout
    assert done.stderr == "The documentation does not build without warnings.\n"


def test_a_failing_first_command_fails_the_run(ci):
    done = ci(readme=README.replace('echo "the table, CI=$CI"', "false"))
    assert done.returncode != 0


def test_the_script_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
