"""Projections of points on several directions at once, a row a direction.

BLAS is made for larger products than 16 directions by many points, and its threads stay awake beside ours: here every
point is read once, from where it lies, for a whole panel of directions.
"""

from functools import partial

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._team import even_shares, launch

__all__ = ["project_block"]

# Directions of a panel fill one vector of so many bytes; so many points keep that many sums in registers.
_VECTOR, _POINTS = 64, 6
# Points of a thread's block.
_BLOCK = 24 * _POINTS


def project_block(X, directions, out):
    """out[l, i] = directions[l] . X[i]; no entry depends on how many directions or points there are.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    directions : ndarray, shape (L, d)
    out : ndarray, shape (L, n)
        In the dtype of X.
    """
    n, d = X.shape
    width = _VECTOR // X.itemsize
    panels = np.zeros((-(-len(directions) // width) * width, d), X.dtype)
    panels[: len(directions)] = directions
    panels = np.ascontiguousarray(panels.reshape(-1, width, d).transpose(0, 2, 1))
    if n < _POINTS:
        X = np.concatenate([X, np.zeros((_POINTS - n, d), X.dtype)])
    blocks = -(-n // _BLOCK)
    launch(_project, n * d * len(directions), blocks, partial(even_shares, blocks), X, panels, out)


@jit
def _project(X, panels, out, flags, share, member, team):
    L, n = out.shape
    width = panels.shape[2]
    tile = np.empty((_POINTS, width), X.dtype)
    for block in range(share[member], share[member + 1]):
        end = min(n, block * _BLOCK + _BLOCK)
        for i in range(block * _BLOCK, end, _POINTS):
            # The last few points are taken with some before them.
            first = max(0, min(i, n - _POINTS))
            for panel in range(panels.shape[0]):
                _dots(X, first, panels[panel], tile)
                for k in range(min(width, L - panel * width)):
                    row = out[panel * width + k]
                    for r in range(i, min(i + _POINTS, end)):
                        row[r] = tile[r - first, k]


@intrinsic
def _dots(typing_context, X, first, panel, tile):
    """tile[r, k] = X[first + r] . panel[:, k], the sums being taken in the order of the coordinates."""

    def generate(context, builder, signature, arguments):
        X, panel, tile = (context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 2, 3))
        real = context.get_data_type(signature.args[0].dtype)
        size = signature.args[0].dtype.bitwidth // 8
        vector, number = ir.VectorType(real, _VECTOR // size), ir.IntType(32)
        d = cgutils.unpack_tuple(builder, X.shape)[1]
        zero = ir.Constant(vector, [0.0] * vector.count)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(_POINTS)]
        for each in sums:
            builder.store(zero, each)
        rows = []
        for r in range(_POINTS):
            row = builder.mul(builder.add(arguments[1], ir.Constant(arguments[1].type, r)), d)
            rows.append(builder.gep(X.data, [row]))
        columns = builder.bitcast(panel.data, vector.as_pointer())
        with cgutils.for_range(builder, d) as loop:
            directions = builder.load(builder.gep(columns, [loop.index]), align=size)
            for row, each in zip(rows, sums):
                x = builder.load(builder.gep(row, [loop.index]))
                x = builder.insert_element(ir.Constant(vector, ir.Undefined), x, number(0))
                x = builder.shuffle_vector(x, x, ir.Constant(ir.VectorType(number, vector.count), [0] * vector.count))
                product = builder.fmul(x, directions, flags=("contract",))
                builder.store(builder.fadd(product, builder.load(each, align=size), flags=("contract",)), each)
        to = builder.bitcast(tile.data, vector.as_pointer())
        for r, each in enumerate(sums):
            builder.store(builder.load(each), builder.gep(to, [ir.Constant(arguments[1].type, r)]), align=size)
        return context.get_dummy_value()

    return types.none(X, types.intp, panel, tile), generate
