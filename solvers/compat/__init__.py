"""Other libraries' names and signatures for what is solved here: ``solvers.compat.pot`` for scripts that use POT."""

__all__ = ["pot"]


def __getattr__(name):
    if name in __all__:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
