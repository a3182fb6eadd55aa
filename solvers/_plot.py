"""matplotlib, imported where something is drawn."""

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
    return pyplot().subplots(figsize=(6, 4), layout="constrained")[1] if ax is None else ax
