"""The picture: residual curves of one problem on the left, speed relative to the baseline on the right.

A colour is a preconditioner in both panels. Methods of one family take the same steps, so their
curves lie on each other: ours is a broad band, and the others are thin lines on top of it.
"""

import numpy as np

from ._registry import need
from .report import shorten

__all__ = ["draw"]

# Okabe and Ito's colours, which stay apart for colour-blind readers.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ((0, (4, 2)), (0, (1, 1.5)), "-", (0, (6, 1.5, 1, 1.5)), (0, (2, 1)))
# Above this ratio of iteration counts a linear axis would squeeze the fast methods into its edge.
_SPREAD = 12


def draw(rows, path, rtol):
    """Draw the rows that recorded a curve or a ratio into ``path``."""
    need("matplotlib", "--plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rated = _rated(rows)
    figure = Figure(figsize=(13, max(5.4, 1.6 + 0.19 * len(rated))), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    names = _distinct(row.preconditioner for row in rows)
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    _curves(left, _of_first_problem(rows), colours, rtol)
    _bars(right, rated, colours)
    figure.savefig(path, dpi=150)


def _distinct(names):
    return list(dict.fromkeys(names))


def _of_first_problem(rows):
    drawn = [row for row in rows if row.residuals]
    return [row for row in drawn if (row.problem, row.n) == (drawn[0].problem, drawn[0].n)]


def _rated(rows):
    """All methods of a single problem; of several problems only ours, to keep the bars readable."""
    rated = [row for row in rows if row.ratio is not None and row.method != row.baseline]
    several = len({(row.problem, row.n) for row in rows}) > 1
    return [row for row in rated if row.library == "solvers"] if several else rated


def _label(row):
    return row.method if row.preconditioner in ("none", "-") else f"{row.method} + {row.preconditioner}"


def _curves(ax, rows, colours, rtol):
    """Our bands first, so that the thin lines of the others stay visible on them."""
    others = _distinct(row.method for row in rows if row.library != "solvers")
    for row in sorted(rows, key=lambda row: row.library != "solvers"):
        ours = row.library == "solvers"
        style = (
            dict(lw=6, alpha=0.35)
            if ours
            else dict(lw=1.5, ls=_DASHES[others.index(row.method) % len(_DASHES)])
        )
        norms = np.array(row.residuals, dtype=float)
        norms[~(norms > 0)] = np.nan
        failed = "" if row.status == "converged" else f": {row.status}"
        label = f"{_label(row)}, {row.iterations} iterations{failed}"
        ax.semilogy(norms, color=colours[row.preconditioner], label=label, solid_capstyle="round", **style)
    ax.axhline(rtol, color="0.4", linewidth=1, linestyle=":")
    counts = [row.iterations for row in rows if row.iterations]
    if counts and max(counts) > _SPREAD * min(counts):
        ax.set_xscale("symlog", linthresh=10, linscale=0.6)
        ax.set_xticks([0, 5] + [10**k for k in range(1, 7) if 10**k <= 1.3 * max(counts)])
        ax.xaxis.set_major_formatter("{x:.0f}")
    _dress(ax, f"{rows[0].problem}, n = {rows[0].n:,}" if rows else "no curve was recorded")
    ax.set(xlabel="iteration", ylabel="residual norm / norm of b (dotted: the tolerance)")
    if rows:
        ax.legend(fontsize=8, frameon=False, loc="lower left")


def _bars(ax, rows, colours):
    """Bars on a logarithmic axis that start at 1: to the right is faster, to the left slower."""
    places = np.arange(len(rows)) + np.cumsum([_new_group(rows, i) for i in range(len(rows))])
    ratios = np.array([row.ratio for row in rows])
    ax.set_xscale("log")
    for place, row in zip(places, rows):
        colour = colours[row.preconditioner]
        slower = row.ratio < 1
        ax.barh(place, row.ratio - 1, left=1, height=0.8, color=colour, alpha=0.45 if slower else 0.9)
        text = f"{row.ratio:.2f}  {_label(row)}"
        ax.annotate(
            text, (max(row.ratio, 1), place), (5, 0), textcoords="offset points", va="center", fontsize=8
        )
    firsts = [i for i in range(len(rows)) if i == 0 or _new_group(rows, i)]
    ax.set_yticks(places[firsts], [_group_name(rows[i]) for i in firsts], fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.axvline(1, color="0.2", linewidth=1)
    _dress(ax, "speed relative to the baseline, with the same preconditioner")
    ax.set_xlabel("baseline: " + (", ".join(_distinct(row.baseline for row in rows)) or "none of this run"))
    ax.grid(visible=False, axis="y")
    if rows:
        _nice_ratios(ax, ratios)


def _new_group(rows, i):
    """The half-empty line before a problem, which makes a group of its bars."""
    return i > 0 and (rows[i].problem, rows[i].n) != (rows[i - 1].problem, rows[i - 1].n)


def _group_name(row):
    return f"{shorten(row.problem, 24)}\n$n$ = {row.n:,}"


def _nice_ratios(ax, ratios):
    """Ticks at round ratios, and room on the right for the longest label."""
    low, high = min(0.9, ratios.min()), max(1.5, ratios.max())
    ax.set_xlim(low * 0.93, high * (high / low) ** 0.45)
    ticks = [
        t
        for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
        if low * 0.93 <= t <= high * 1.3
    ]
    ax.set_xticks(ticks, [f"{t:g}x" for t in ticks])
    ax.minorticks_off()


def _dress(ax, title):
    ax.set_title(title, loc="left", fontweight="bold", fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
