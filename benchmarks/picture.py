"""The picture of an area: how good each answer is on the left, how fast it is beside a baseline on the right.

Every method of every problem has its line in both panels. What the areas' pictures share is here as well.
"""

from dataclasses import dataclass

import numpy as np

from ._registry import need

__all__ = ["COLOURS", "Mark", "Sides", "dress", "draw", "drawn_by", "figure", "ratio_axis", "save"]

# Okabe and Ito's colours, which stay apart for colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_OURS, _OTHER, _TOLD = COLOURS[0], COLOURS[4], "0.6"
_COLOUR_OF = {"ours": _OURS, "other": _OTHER, "told the truth": _TOLD}
# Inches of a line, and of what is not lines.
_LINE, _REST = 0.19, 1.9


@dataclass(frozen=True)
class Mark:
    """A row: the problem it belongs to, its method, what the panels show (None: nothing), and whose it is.

    ``kind``: "ours", "other" or "told the truth"; ``remark`` stands where there is no ratio; ``bound`` before a ratio
    that is only known to be above or below it.
    """

    group: str
    name: str
    value: float | None
    ratio: float | None
    kind: str = "ours"
    remark: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Sides:
    """What stands at the panels: their titles and axes, and where a target is drawn, if there is one."""

    left: str
    left_axis: str
    right: str
    right_axis: str
    target: float | None = None
    target_name: str = ""


def figure(width, height):
    """A figure that no window and no other thread knows of."""
    need("matplotlib", "--plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(made, path):
    """Write the figure."""
    made.savefig(path, dpi=140)


def drawn_by(mark, sides, shown=lambda row: True):
    """What draws the rows of an area into a path: ``mark(row)`` for each one that is shown."""
    return lambda rows, path: draw([mark(row) for row in rows if shown(row)], sides, path)


def draw(marks, sides, path):
    """Draw the marks, in their order, into ``path``."""
    places, groups = _places(marks)
    made = figure(13, _REST + _LINE * (max(places, default=0) + 1))
    left, right = made.subplots(1, 2, width_ratios=(1, 1), sharey=True)
    _values(left, marks, places, sides)
    _ratios(right, marks, places, sides)
    left.set_yticks(list(places), [mark.name for mark in marks], fontsize=8)
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
    for group, place in groups.items():
        left.annotate(
            group, (0, place), (-4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8.5,
            fontweight="bold", ha="right", va="center", annotation_clip=False,
        )  # fmt: skip
    left.set_ylim(max(places, default=0) + 0.8, -0.8)
    _legend(made, marks)
    save(made, path)


def _places(marks):
    """The line of each mark, and that of each problem's name, above its first."""
    places, groups, line = [], {}, 0.0
    for i, mark in enumerate(marks):
        if not i or mark.group != marks[i - 1].group:
            line += 0.5 if i else 0.0
            groups[mark.group] = line
            line += 1.0
        places.append(line)
        line += 1.0
    return places, groups


def _values(ax, marks, places, sides):
    """Points on a logarithmic axis; a value of zero, or of rounding, lies on its edge."""
    shown = [mark.value for mark in marks if mark.value is not None and mark.value > 0 and np.isfinite(mark.value)]
    ax.set_xscale("log")
    every = [*shown, *([sides.target] if sides.target else [])] or [1.0]
    edge = max(min(every), 1e-17)
    if sides.target:
        ax.axvline(sides.target, color="0.4", lw=1, ls=":")
        ax.annotate(
            sides.target_name, (sides.target, 1), (3, -3), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=8, color="0.3", va="top",
        )  # fmt: skip
    for mark, place in zip(marks, places):
        if mark.value is None or not np.isfinite(mark.value):
            ax.annotate(
                mark.remark or "no answer", (0.01, place), xycoords=("axes fraction", "data"), fontsize=7.5,
                va="center", color="0.35",
            )  # fmt: skip
            continue
        at = max(mark.value, edge)
        ax.plot([at], [place], "o", ms=5.5, color=_COLOUR_OF[mark.kind], clip_on=False, zorder=3)
        ax.annotate(
            _number(mark.value), (at, place), (7, 0), textcoords="offset points", va="center", fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    low, high = edge, max(every)
    spread = max(high / low, 10.0)
    ax.set_xlim(low / spread**0.04, high * spread**0.22)
    dress(ax, sides.left)
    ax.set_xlabel(sides.left_axis)


def _number(value):
    if float(value).is_integer() and value < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}" if 1e-3 <= value < 1e3 else f"{value:.1e}"


def _ratios(ax, marks, places, sides):
    """Bars on a logarithmic axis that start at 1: to the right is better, to the left worse."""
    ax.set_xscale("log")
    for mark, place in zip(marks, places):
        if mark.ratio is None:
            if mark.value is not None and mark.remark:
                ax.annotate(mark.remark, (1, place), (5, 0), textcoords="offset points", va="center", fontsize=7.5)
            continue
        alpha = 0.45 if mark.ratio < 1 else 0.9
        ax.barh(place, mark.ratio - 1, left=1, height=0.8, color=_COLOUR_OF[mark.kind], alpha=alpha)
        end, text = (max(mark.ratio, 1), place), f"{mark.bound}{_times(mark.ratio)}"
        ax.annotate(text, end, (5, 0), textcoords="offset points", va="center", fontsize=7.5)
    ax.axvline(1, color="0.2", linewidth=1)
    ratios = np.array([mark.ratio for mark in marks if mark.ratio])
    dress(ax, sides.right)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(sides.right_axis if ratios.size else "nothing to compare")
    ratio_axis(ax, ratios if ratios.size else np.ones(1), room=0.3)


def _times(ratio):
    if ratio >= 1e4 or ratio < 0.01:
        return f"{ratio:.1e}x"
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _legend(made, marks):
    from matplotlib.patches import Patch

    names = {"ours": "this library", "other": "others", "told the truth": "told the truth, or in hindsight"}
    handles = [Patch(color=_COLOUR_OF[kind], label=names[kind]) for kind in names if any(m.kind == kind for m in marks)]
    made.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)


def ratio_axis(ax, ratios, room=0.5):
    """Ticks at round ratios, and room on the right for the longest label."""
    low, high = 0.93 * min(0.9, ratios.min()), max(1.5, ratios.max())
    ax.set_xlim(low, high * (high / low) ** room)
    decades = np.log10(high / low)
    steps = (1, 1.5, 2, 3, 5, 7) if high < 8 and low > 0.3 else (1, 2, 5) if decades < 2.5 else (1,)
    powers = range(-20, 21, 2 if decades > 5 else 1)
    ticks = [step * 10.0**k for k in powers for step in steps]
    ticks = [t for t in ticks if low <= t <= 1.2 * high]
    ax.set_xticks(ticks, [f"{t:g}x" if 1e-4 < t < 1e5 else f"$10^{{{np.log10(t):.0f}}}$x" for t in ticks])
    ax.minorticks_off()


def dress(ax, title):
    """The look that all panels share."""
    ax.set_title(title, loc="left", fontweight="bold", fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
