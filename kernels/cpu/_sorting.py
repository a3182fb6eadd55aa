"""Sorting of the float32 and float64 keys of one projection, with and without the order that sorts them."""

import numpy as np

__all__ = ["order", "sort"]


def sort(keys):
    """Sort each row in place."""
    keys.sort(axis=-1)


def order(keys):
    """Return the stable order of each row."""
    return np.argsort(keys, axis=-1, kind="stable")
