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
from .run import FALSE_SUCCESS, Row

__all__ = [
    "Table",
    "heading_of",
    "line_of",
    "read_json",
    "rows_kept",
    "summary",
    "write_csv",
    "write_json",
    "write_so_far",
]

_WIDTH = 119


class Table:
    """An aligned table of 119 columns, the same for every run; ``gpu``: with the ratio to our CPU."""

    _columns = (
        # heading, width (negative: aligned to the left), how a row fills it
        ("problem", -18, lambda r: shorten(r.problem, 18)),
        ("n", 7, lambda r: str(r.n)),
        ("nnz", 8, lambda r: str(r.nnz)),
        ("method", -14, lambda r: shorten(r.method, 14)),
        ("precond", -7, lambda r: r.preconditioner),
        ("iter", 5, lambda r: _count(r.iterations)),
        ("matvec", 6, lambda r: _count(r.matvecs)),
        ("setup s", 7, lambda r: seconds(r.setup_seconds)),
        ("seconds", 7, lambda r: seconds(r.seconds)),
        ("ratio", 6, lambda r: ratio(r.ratio)),
        ("residual", 8, lambda r: "" if r.residual is None else f"{r.residual:.1e}"),
        ("status", -15, lambda r: _status(r.status)),
    )

    def __init__(self, gpu=False):
        self._notes = {}
        if gpu:  # in the place of the products, which CuPy does not let us count
            self._columns = tuple(_VERSUS_CPU if column[0] == "matvec" else column for column in self._columns)

    def heading(self):
        """The line of headings and the rule below it."""
        line = " ".join(align(name, width) for name, width, _ in self._columns)
        return f"{line}\n{'-' * len(line)}"

    def line(self, row):
        """One row; what it has to say beyond its status is kept for the notes."""
        if row.message:
            alone = row.preconditioner in ("-", "none") or row.status == "skipped"
            place = row.problem if alone else f"{row.problem} + {row.preconditioner}"
            self._notes.setdefault(f"{row.method}: {row.message}", []).append(place)
        return " ".join(align(fill(row), width) for _, width, fill in self._columns).rstrip()

    def notes(self):
        """What went wrong where, each reason once."""
        said = [f"{message} ({_some(places)})" for message, places in self._notes.items()]
        return "\n".join(wrap(f"  {text}", "    ") for text in said)


_VERSUS_CPU = ("vs cpu", 6, lambda r: ratio(r.ratio_cpu))


def _some(places, most=4):
    places = list(dict.fromkeys(places))
    more = len(places) - most
    return ", ".join(places[:most]) + (f", and {more} more" if more > 0 else "")


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


def _count(value):
    return "" if value is None else str(value)


def _status(text):
    """Failures stand out in a column of ``converged``."""
    return text if text in ("converged", "skipped") else f"! {text}"


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
    """Run what prints and writes its rows as they come; Ctrl-C ends it with what is there, and its exit code."""
    outcome = SimpleNamespace(code=0)
    try:
        yield outcome
    except KeyboardInterrupt:
        print("\ninterrupted: the rows above are all that finished", file=sys.stderr)
        outcome.code = 130


def _json(row):
    """JSON has no NaN: the residual of an answer that is not finite is null."""
    plain = row if isinstance(row, dict) else row.to_dict()
    return {key: _no_nan(value) for key, value in plain.items()}


def _no_nan(value):
    if isinstance(value, list):
        return [_no_nan(v) for v in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def read_json(path):
    """Return what :func:`write_json` wrote, its rows as Row objects again."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    return content | {"rows": [Row(**row) for row in content["rows"]]}


def write_csv(path, rows):
    """Write the rows without their residual curves."""
    names = [f.name for f in fields(Row) if f.name != "residuals"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row.to_dict() for row in rows)


def summary(rows):
    """One line that counts what happened, the losses included."""
    ran = [r for r in rows if r.status != "skipped"]
    ours = [r for r in ran if r.library == "solvers" and r.ratio is not None]
    parts = [f"{len(ran)} solves", f"{sum(r.status == 'converged' for r in ran)} converged"]
    false = sum(r.status == FALSE_SUCCESS for r in ran)
    parts += [f"{false} false success{'es' if false > 1 else ''}"] if false else []
    if ours:
        slower = sum(r.ratio < 1 for r in ours)
        parts.append(f"ours: {len(ours) - slower} at least as fast as the baseline, {slower} slower")
    return "; ".join(parts) + "."
