"""matplotlib, imported where something is drawn."""

__all__ = ["pyplot"]


def pyplot():
    """Return ``matplotlib.pyplot``, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plot() needs matplotlib: pip install 'adaptive-solvers[bench]'.") from error
    return plt
