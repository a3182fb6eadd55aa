"""matplotlib, imported where something is drawn."""

from ._errors import UnsupportedType

__all__ = ["axes_or_new", "pyplot"]


def pyplot():
    """Return ``matplotlib.pyplot``, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plot() needs matplotlib: pip install 'adaptive-solvers[bench]'.") from error
    return plt


def axes_or_new(ax):
    """The axes to draw on: those that the user gave, or those of a new figure."""
    if ax is None:
        return pyplot().subplots(figsize=(6, 4), layout="constrained")[1]
    if not hasattr(ax, "axhline"):
        raise UnsupportedType(
            f"`ax` must be None or matplotlib's axes, got {type(ax).__name__}; plot().figure.savefig(...) writes files."
        )
    return ax
