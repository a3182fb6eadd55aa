# What __init__.py offers, for type checkers: these cannot follow what is loaded on first use.
from . import pot

__all__ = ["pot"]
