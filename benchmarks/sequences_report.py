"""The table and the picture of ``solvers bench sequences``."""

import statistics

import numpy as np

from . import picture
from .area import View
from .report import ratio, scientific, seconds
from .sequences import SEQUENCES
from .sequences_rivals import HINDSIGHT, RIVALS

__all__ = ["EXPLAINED", "VIEW", "draw"]

EXPLAINED = (
    "Means over the seeds. ratio: iterations / those with Young's formula for each instance. fixed: / those with the "
    "best single omega of the grid, and regret: iterations beyond them, on the same instances (negative: fewer). "
    "policy us: microseconds of choosing and learning in a step. seconds: all solves, the policy's own time included. "
    "residual: the largest true one of all steps, relative."
)

_COLUMNS = (
    # heading, width (negative: aligned to the left), how the rows of one contender with all seeds fill it
    ("problem", -12, lambda rows: rows[0].sequence),
    ("n", 6, lambda rows: str(rows[0].n)),
    ("steps", 5, lambda rows: str(rows[0].steps)),
    ("method", -20, lambda rows: _label(rows)),
    ("iter", 8, lambda rows: f"{_mean(rows, 'iterations'):.0f}"),
    ("+-", 6, lambda rows: _error(rows)),
    ("ratio", 6, lambda rows: ratio(_mean(rows, "young"))),
    ("fixed", 6, lambda rows: ratio(_mean(rows, "fixed"))),
    ("regret", 8, lambda rows: _whole(_mean(rows, "regret"))),
    ("policy us", 9, lambda rows: _one_digit(_mean(rows, "overhead_mean"))),
    ("seconds", 7, lambda rows: seconds(_mean(rows, "seconds"))),
    ("residual", 8, lambda rows: scientific(max(row.residual for row in rows))),
    ("failed", 6, lambda rows: str(sum(row.failures for row in rows))),
)


def fold(rows):
    """The rows of each contender, with all its seeds, which are one line of the table."""
    return list(_by_contender(rows).values())


def summary(rows):
    """What the probabilities summed to, over everything that was run."""
    normalised = [row for row in rows if row.deviation is not None and "released" not in row.contender]
    if not normalised:
        return []
    worst = max(normalised, key=lambda row: row.deviation)
    rounds = sum(row.steps for row in normalised)
    return [
        f"The probabilities sum to 1 within {worst.deviation:.1e} in each of {rounds} rounds "
        f"({worst.contender} on {worst.sequence} is the furthest); those of the released code are not meant to."
    ]


def _by_contender(rows):
    found = {}
    for row in rows:
        found.setdefault((row.sequence, row.contender), []).append(row)
    return found


def _label(rows):
    omega = rows[0].omega if rows[0].contender == "best-fixed" else None
    return rows[0].contender + (f" {omega:.2f}" if omega is not None and len({row.omega for row in rows}) == 1 else "")


def _mean(rows, name):
    values = [getattr(row, name) for row in rows]
    return None if None in values else statistics.fmean(values)


def _error(rows):
    """The standard error of the mean over the seeds."""
    if len(rows) < 2:
        return ""
    return f"{statistics.stdev(row.iterations for row in rows) / len(rows) ** 0.5:.0f}"


def _whole(value):
    return "" if value is None else f"{value:.0f}"


def _one_digit(value):
    return "" if value is None else f"{value:.1f}"


# ---- the picture -----------------------------------------------------------------------------------

# Whose omegas are drawn, hindsight below the others.
_SHOWN = ("best-each", "chebyshev-blind", "chebyshev")
# Their curves are the zero line, or lie on that of Young's formula.
_AS_OTHERS = ("best-fixed", "lanczos", "lanczos-each", "pyamg:sor")
_COLOURS = (*picture.COLOURS, "#999999", "#000000", "#F0E442")


def draw(rows, path):
    """Regret over the steps on the left, chosen omegas over the context on the right; a line of panels a sequence."""
    names = list(dict.fromkeys(row.sequence for row in rows))
    contenders = [n for n in dict.fromkeys(r.contender for r in rows if r.regret_curve) if n not in _AS_OTHERS]
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(contenders)}
    made = picture.figure(13, 4.6 * len(names))
    panels = made.subplots(len(names), 2, squeeze=False, width_ratios=(1, 1))
    for (left, right), name in zip(panels, names):
        own = [row for row in rows if row.sequence == name]
        _regrets(left, own, colours)
        _omegas(right, own, colours)
    picture.save(made, path)


def _regrets(ax, rows, colours):
    for (_, name), each in _by_contender(rows).items():
        curves = np.array([row.regret_curve for row in each if row.regret_curve])
        if curves.size and name in colours:
            at = np.linspace(1, each[0].steps, curves.shape[1])
            style = "-" if _learns(name) else (0, (4, 2))
            label = f"{name} ({_mean(each, 'regret'):+.0f})"
            ax.plot(at, curves.mean(axis=0), color=colours[name], ls=style, lw=1.8, label=label)
    ax.axhline(0, color="0.4", lw=1, ls=":")
    ax.set(xlabel="step", ylabel="iterations beyond the best single omega")
    ax.legend(fontsize=8, frameon=False)
    picture.dress(ax, f"{rows[0].sequence}, n = {rows[0].n:,}: regret")


def _omegas(ax, rows, colours):
    """The second half of the sequence, when there was something to go by."""
    first = next(row for row in rows if row.contender == "young")
    order = np.argsort(first.drawn["contexts"])
    x, y = first.drawn["contexts"][order], first.drawn["omegas"][order]
    ax.plot(x, y, "k", lw=1.5, label="Young's formula", zorder=3)
    for row in sorted(rows, key=lambda row: row.contender != "best-each"):
        if row.seed == rows[0].seed and row.contender in _SHOWN:
            late = slice(row.steps // 2, None)
            x, y = row.drawn["contexts"][late], row.drawn["omegas"][late]
            colour = "0.8" if row.contender == "best-each" else colours[row.contender]
            ax.plot(x, y, ".", ms=3, color=colour, label=f"{row.contender}, second half")
    ax.set(xlabel=f"context of the instance ({SEQUENCES[rows[0].sequence].solver})", ylabel="omega")
    ax.legend(fontsize=8, frameon=False)
    picture.dress(ax, "what was chosen")


def _learns(name):
    return name not in HINDSIGHT and RIVALS[name].learns


VIEW = View(_COLUMNS, draw, summary, fold=fold)
