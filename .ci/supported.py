"""What setup.cfg promises, in the words of what tests it: `.ci/versions` asks here, so that the two cannot drift.

``python .ci/supported.py pythons`` prints the versions of Python of the classifiers, the oldest first;
``python .ci/supported.py oldest`` prints pip's constraints: each lower bound of a dependency as an exact pin.
"""

import configparser
import pathlib
import re
import sys

SETUP = pathlib.Path(__file__).resolve().parents[1] / "setup.cfg"
CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")
# What old versions of ours need of others: Matplotlib before 3.11 calls what pyparsing 3.3 warns of.
OF_OTHERS = ["pyparsing<3.3"]
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[[^\]]*\])?(?P<bounds>[^;]*)(;.*)?")


def pythons(settings):
    """The versions of Python: ["3.11", ...]."""
    found = CLASSIFIER.findall(settings["metadata"]["classifiers"])
    return sorted(found, key=lambda version: int(version.partition(".")[2]))


def requirements(settings):
    """(extra, requirement) for each dependency; the extra of the core is the empty string."""
    lists = {"": settings["options"]["install_requires"], **settings["options.extras_require"]}
    for extra, lines in lists.items():
        for line in filter(None, map(str.strip, lines.split("\n"))):
            yield extra, line


def lower_bound(requirement):
    """(name, version), the version None where nothing is said of the oldest."""
    found = REQUIREMENT.fullmatch(requirement)
    bounds = [bound.strip() for bound in found["bounds"].split(",")]
    lowest = [bound[2:].strip() for bound in bounds if bound.startswith((">=", "=="))]
    return found["name"], lowest[0] if lowest else None


def oldest(settings):
    """``name==version`` for each dependency; none without a lower bound, none with two. Then others' bounds."""
    pins = {}
    for extra, requirement in requirements(settings):
        name, version = lower_bound(requirement)
        if version is None:
            raise SystemExit(f"setup.cfg, extra {extra!r}: {requirement!r} has no lower bound; name the oldest tested.")
        if pins.setdefault(name.lower(), version) != version:
            raise SystemExit(f"setup.cfg: {name} has the lower bounds {pins[name.lower()]} and {version}; name one.")
    return [f"{name}=={version}" for name, version in sorted(pins.items())] + OF_OTHERS


def read(text):
    """The settings of a setup.cfg."""
    settings = configparser.ConfigParser(comment_prefixes="#")
    settings.read_string(text)
    return settings


if __name__ == "__main__":
    commands = {"pythons": pythons, "oldest": oldest}
    print("\n".join(commands[sys.argv[1]](read(SETUP.read_text(encoding="utf-8")))))
