"""The picture: residual curves of one problem on the left, speed relative to the baseline on the right.

A colour is a preconditioner in both panels. Methods of one family take the same steps, so their
curves lie on each other: ours is a broad band, and the others are thin lines on top of it.
"""

import numpy as np

from .picture import COLOURS, dress, figure, ratio_axis, save
from .report import shorten

__all__ = ["draw"]

_DASHES = ((0, (4, 2)), (0, (1, 1.5)), "-", (0, (6, 1.5, 1, 1.5)), (0, (2, 1)))
# Above this ratio of iteration counts a linear axis would squeeze the fast methods into its edge.
_SPREAD = 12


def draw(rows, path, rtol):
    """Draw the rows that recorded a curve or a ratio into ``path``."""
    rated = _rated(rows)
    made = figure(13, max(5.4, 1.6 + 0.19 * len(rated)))
    left, right = made.subplots(1, 2, width_ratios=(1.1, 1))
    names = _distinct(row.preconditioner for row in rows)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    _curves(left, _of_first_problem(rows), colours, rtol)
    _bars(right, rated, colours)
    save(made, path)


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
    for row in sorted(rows, key=lambda row: -1 if row.library == "solvers" else others.index(row.method)):
        norms = np.array(row.residuals, dtype=float)
        norms[~(norms > 0)] = np.nan
        failed = "" if row.status == "converged" else f": {row.status}"
        style = dict(lw=6, alpha=0.35) if row.library == "solvers" else _thin(others.index(row.method))
        label = f"{_label(row)} ({row.iterations}{failed})"
        ax.semilogy(norms, color=colours[row.preconditioner], label=label, solid_capstyle="round", **style)
    ax.axhline(rtol, color="0.4", linewidth=1, linestyle=":")
    dress(ax, f"{rows[0].problem}, n = {rows[0].n:,}" if rows else "no curve was recorded")
    ax.set(xlabel="iteration", ylabel="residual norm / norm of b (dotted: the tolerance)")
    _iteration_axis(ax, [row.iterations for row in rows if row.iterations])
    if rows:
        ax.legend(
            title="method + preconditioner (iterations)",
            fontsize=8,
            title_fontsize=8,
            frameon=False,
            ncols=min(3, len({row.method for row in rows})),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.6 / ax.figure.get_figheight()),
        )


def _thin(place):
    return dict(lw=1.5, ls=_DASHES[place % len(_DASHES)])


def _iteration_axis(ax, counts):
    ax.set_xlim(left=0)
    if counts and max(counts) > _SPREAD * min(counts):
        ax.set_xscale("symlog", linthresh=10, linscale=0.7)
        ax.set_xlim(0, 1.15 * max(counts))
        decades = [10**k for k in range(1, 7) if 10**k <= 1.15 * max(counts)]
        ax.set_xticks([0, 5] + decades + [3 * d for d in decades if 3 * d <= max(counts)])
        ax.xaxis.set_major_formatter("{x:.0f}")
        ax.minorticks_off()


def _bars(ax, rows, colours):
    """Bars on a logarithmic axis that start at 1: to the right is faster, to the left slower."""
    places = np.arange(len(rows)) + np.cumsum([_new_group(rows, i) for i in range(len(rows))])
    ax.set_xscale("log")
    for place, row in zip(places, rows):
        alpha = 0.45 if row.ratio < 1 else 0.9
        ax.barh(place, row.ratio - 1, left=1, height=0.8, color=colours[row.preconditioner], alpha=alpha)
        end, text = (max(row.ratio, 1), place), f"{row.ratio:.2f}  {_label(row)}"
        ax.annotate(text, end, (5, 0), textcoords="offset points", va="center", fontsize=8)
    groups = {}
    for place, row in zip(places, rows):
        groups.setdefault(f"{shorten(row.problem, 24)}\n$n$ = {row.n:,}", []).append(place)
    ax.set_yticks([np.mean(found) for found in groups.values()], list(groups), fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.axvline(1, color="0.2", linewidth=1)
    dress(ax, "speed relative to the baseline")
    baselines = ", ".join(_distinct(row.baseline for row in rows))
    ax.set_xlabel(f"times as fast, with the same preconditioner, as\n{baselines}" if rows else "nothing to compare")
    ax.grid(visible=False, axis="y")
    if rows:
        ratio_axis(ax, np.array([row.ratio for row in rows]))


def _new_group(rows, i):
    """The half-empty line before a problem, which makes a group of its bars."""
    return i > 0 and (rows[i].problem, rows[i].n) != (rows[i - 1].problem, rows[i - 1].n)
