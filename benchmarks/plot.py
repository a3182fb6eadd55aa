"""The picture: residual curves of one problem on the left, ratios or iterations on the right."""

import numpy as np

from ._registry import need

__all__ = ["draw"]

# Okabe and Ito's colours, which stay apart for colour-blind readers; ours is the strong blue.
_COLOURS = {"solvers": "#0072B2", "scipy": "#E69F00", "pyamg": "#009E73"}
_SHADES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_STYLES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), "-.", (0, (3, 1, 1, 1, 1, 1)))


def draw(rows, path, rtol):
    """Draw the rows that recorded a curve or a ratio into ``path``."""
    need("matplotlib", "--plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _curves(left, _of_first_problem(rows), rtol)
    _bars(right, rows)
    figure.savefig(path, dpi=150)


def _of_first_problem(rows):
    drawn = [row for row in rows if row.residuals]
    return [row for row in drawn if (row.problem, row.n) == (drawn[0].problem, drawn[0].n)]


def _label(row):
    return row.method if row.preconditioner in ("none", "-") else f"{row.method} + {row.preconditioner}"


def _curves(ax, rows, rtol):
    """One colour a method, one dash a preconditioner."""
    methods, preconditioners = _distinct(r.method for r in rows), _distinct(r.preconditioner for r in rows)
    for row in rows:
        norms = np.array(row.residuals, dtype=float)
        norms[~(norms > 0)] = np.nan
        ax.semilogy(
            norms,
            color=_SHADES[methods.index(row.method) % len(_SHADES)],
            linestyle=_STYLES[preconditioners.index(row.preconditioner) % len(_STYLES)],
            linewidth=2.4 if row.library == "solvers" else 1.5,
            alpha=0.9,
            label=_label(row) + ("" if row.status == "converged" else f" ({row.status})"),
        )
    ax.axhline(rtol, color="0.5", linewidth=1, linestyle=":")
    ax.annotate(
        "tolerance", (1, rtol), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="0.4"
    )
    title = f"{rows[0].problem}, n = {rows[0].n:,}" if rows else "no curve was recorded"
    _dress(ax, title, "iteration", "residual norm / norm of b")
    if rows:
        ax.legend(fontsize=8, frameon=False)


def _distinct(names):
    return list(dict.fromkeys(names))


def _bars(ax, rows):
    """Ratios of every method of one problem; of several problems, only ours, to keep bars readable."""
    rated = [r for r in rows if r.ratio is not None and r.method != r.baseline]
    several = len({(r.problem, r.n) for r in rated}) > 1
    rated = [r for r in rated if r.library == "solvers"] if several else rated
    labels = [f"{r.problem} ({r.n:,})  {_label(r)}" if several else _label(r) for r in rated]
    values = [r.ratio for r in rated]
    colours = [_COLOURS.get(r.library, "0.5") if r.ratio >= 1 else "#B0B0B0" for r in rated]
    ax.barh(range(len(rated)), values, color=colours, height=0.72)
    ax.set_yticks(range(len(rated)), labels, fontsize=8)
    ax.invert_yaxis()
    ax.axvline(1, color="0.2", linewidth=1)
    for place, value in enumerate(values):
        ax.annotate(
            f"{value:.2f}", (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    ax.margins(x=0.12)
    baselines = " / ".join(_distinct(r.baseline for r in rated))
    _dress(ax, f"speed relative to {baselines or 'the baseline'}", "times as fast (grey: slower)", "")


def _dress(ax, title, xlabel, ylabel):
    ax.set_title(title, loc="left", fontweight="bold", fontsize=11)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="both", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
