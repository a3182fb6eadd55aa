"""Another library's own tests, run with ours in place, and the numbers in what pytest printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import solvers

__all__ = ["number_of", "run_suite"]

HERE = Path(__file__).parent


def run_suite(plugin, folder, *suites):
    """What pytest printed; from an empty folder, so that our settings do not reach those tests."""
    # As everywhere in these tests, but for a process that starts elsewhere.
    home = Path(solvers.__file__).parents[1]
    path = os.pathsep.join([str(HERE), str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", plugin, "--pyargs", *suites, "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    print(run.stdout[-2000:])
    return run.stdout + run.stderr


def number_of(word, output):
    """The number in pytest's last line, as in "888 passed, 44 skipped"."""
    (last,) = re.findall(r"^.*\d+ passed.* in [\d.]+s.*$", output, re.MULTILINE)
    found = re.search(rf"(\d+) {word}", last)
    return int(found[1]) if found else 0
