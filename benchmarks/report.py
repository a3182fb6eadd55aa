"""Rows as text, JSON and CSV. The table is printed line by line, while the run goes on."""

import csv
import json
import shlex
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import fields
from types import SimpleNamespace

from . import machine
from ._registry import UsageError
from .run import Row

__all__ = [
    "align",
    "count",
    "heading_of",
    "line_of",
    "read_json",
    "ratio",
    "rows_kept",
    "scientific",
    "seconds",
    "shorten",
    "wrap",
    "write_csv",
    "write_json",
    "write_so_far",
]

_WIDTH = 119


def wrap(text, indent=""):
    """Break a long line at the table's width."""
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent)


def align(text, width):
    """Pad on the right for a negative width, on the left for a positive one."""
    return text.ljust(-width) if width < 0 else text.rjust(width)


def heading_of(columns):
    """The line of headings and the rule below it; a column is (heading, width, how a row fills it)."""
    text = " ".join(align(name, width) for name, width, _ in columns).rstrip()
    return f"{text}\n{'-' * len(text)}"


def line_of(columns, row):
    """One row of the table."""
    return " ".join(align(fill(row), width) for _, width, fill in columns).rstrip()


def shorten(text, width):
    """Cut a name that would push the columns apart."""
    return text if len(text) <= width else text[: width - 1] + "…"


def seconds(value):
    """Two or three significant digits in at most seven characters."""
    if value is None:
        return ""
    digits = ".0f" if value >= 100 else ".3g" if value >= 1 else ".4f" if value >= 1e-3 else ".1e"
    return format(value, digits)


def ratio(value):
    """Two digits behind the point below ten: a ratio of 0.95 and one of 1.05 are not the same news."""
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def count(value):
    """A number of things, or nothing where none were counted."""
    return "" if value is None else str(value)


def scientific(value):
    """An error, with two digits."""
    return "" if value is None else f"{value:.1e}"


def write_json(path, rows, **about):
    """Write what was run, where, and every row."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(about | {"rows": [_json(row) for row in rows]}, file, indent=1, allow_nan=False)
        file.write("\n")


def write_so_far(args, argv, threads, rows, complete, **about):
    """With --json, what is there after each problem: a long run that is ended leaves what it has."""
    if args.json:
        about = {
            "command": "solvers " + shlex.join(argv),
            "machine": machine.describe(threads),
            "complete": complete,
        } | about
        write_json(args.json, rows, **about)


@contextmanager
def rows_kept():
    """Run what prints its rows as they come; Ctrl-C, or what cannot be made, ends it with those, and an exit code."""
    outcome = SimpleNamespace(code=0)
    try:
        yield outcome
    except KeyboardInterrupt:
        print("\ninterrupted: the rows above are all that finished", file=sys.stderr)
        outcome.code = 130
    except UsageError as error:
        print(f"solvers: {error}", file=sys.stderr)
        outcome.code = 2


def _json(row):
    """JSON has no NaN: the residual of an answer that is not finite is null."""
    plain = row if isinstance(row, dict) else row.to_dict()
    return {key: _no_nan(value) for key, value in plain.items()}


def _no_nan(value):
    if isinstance(value, list):
        return [_no_nan(v) for v in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def read_json(path):
    """Return what :func:`write_json` wrote for linear systems, its rows as Row objects again."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    return content | {"rows": [Row(**row) for row in content["rows"]]}


def write_csv(path, rows):
    """Write the rows without what does not fit a cell: curves, and figures of others."""
    plain = [row.to_dict() for row in rows]
    names = [f.name for f in fields(rows[0]) if not any(isinstance(p.get(f.name), _NO_CELL) for p in plain)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(plain)


_NO_CELL = (list, tuple, dict)
