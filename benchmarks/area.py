"""What every area of ``solvers bench`` does with its rows: print, write and draw them, and keep them after Ctrl-C."""

from collections.abc import Callable
from dataclasses import dataclass

from . import machine, report
from ._registry import present

__all__ = ["View", "show", "skipped"]


@dataclass(frozen=True)
class View:
    """How the rows of an area are shown.

    ``columns``: heading, width (negative: aligned to the left), and how a row fills it. ``summary(rows)`` and
    ``notes(rows)`` return sentences for below the table, the second those that are indented; ``draw(rows, path)`` makes
    the picture; ``fold(rows)`` turns the rows of a problem into those of the table, where these are not the same.
    """

    columns: tuple
    draw: Callable
    summary: Callable = lambda rows: []
    notes: Callable = lambda rows: []
    fold: Callable | None = None

    def heading(self):
        """The line of headings and the rule below it."""
        return report.heading_of(self.columns)

    def line(self, row):
        """One row of the table."""
        return report.line_of(self.columns, row)


def show(view, groups, args, argv, *, threads, opening, about=dict, say=None):
    """Print what ``groups`` yields, the rows of a problem at a time, then write and draw it; return the exit code.

    An interrupt, or a problem that cannot be made, leaves the rows that were finished. ``opening``: sentences above the
    table; ``about()``: what stands in the JSON file beside the rows and the machine; ``say`` prints a row.
    """
    say = say or (lambda text: print(text, flush=True))
    print(machine.one_line())
    for sentence in opening:
        print(report.wrap(sentence))
    print(view.heading(), flush=True)
    rows = []
    with report.rows_kept() as outcome:
        for group in groups:
            before = len(rows)
            for row in group:
                rows.append(row)
                if view.fold is None:
                    say(view.line(row))
            for row in view.fold(rows[before:]) if view.fold else ():
                say(view.line(row))
            report.write_so_far(args, argv, threads, rows, False, **about())
    report.write_so_far(args, argv, threads, rows, not outcome.code, **about())
    for sentence in view.summary(rows):
        print(report.wrap(sentence, "  "))
    for sentence in view.notes(rows):
        print(report.wrap(f"  {sentence}", "    "))
    _keep(view, rows, args)
    return outcome.code


def skipped(registry):
    """A sentence on the methods that take no part because their package is not installed, if there are any."""
    absent = [name for name, entry in registry.items() if not present(entry.package)]
    return [f"skipped, not installed: {', '.join(absent)}"] if absent else []


def _keep(view, rows, args):
    """The files that were asked for; of a picture that was not, how to get it."""
    if args.csv:
        report.write_csv(args.csv, rows)
    if args.plot and rows:
        view.draw(rows, args.plot)
    for path in filter(None, (args.json, args.csv, rows and args.plot)):
        print(f"written: {path}")
    if args.quick and not args.plot:
        print(f"For a picture of this add --plot {args.area}.png.")
