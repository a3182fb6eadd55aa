"""Interpolation in several images at once: entries of equal place lie side by side and go through one instruction.

LLVM does not make vectors of loops as short as these, so they are written as it would have to.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LANES", "add_between", "sum_between"]

#: Images that lie side by side: a vector of float32 on most processors, two of float64.
LANES = 8
_INDEX = ir.IntType(64)


@intrinsic
def sum_between(typing_context, entries, place, part, count, sums):
    """sums[:] = the sum over i of what is ``part[i]`` of the way from ``entries[place[i]:]`` to the next ``LANES``."""

    def generate(context, builder, signature, arguments):
        entries, place, part, sums = _pointers(context, builder, signature, arguments)
        zero = ir.Constant(ir.VectorType(entries.type.pointee, LANES), None)
        total = cgutils.alloca_once_value(builder, zero)
        builder.store(zero, total)
        with cgutils.for_range(builder, arguments[3]) as loop:
            here, there, share = _neighbours(builder, entries, place, part, loop.index)
            left, right = _load(builder, here), _load(builder, there)
            between = builder.fadd(left, _times(builder, share, builder.fsub(right, left)), flags=_FUSED)
            builder.store(builder.fadd(builder.load(total), between), total)
        _store(builder, builder.load(total), _vector(builder, sums, ir.Constant(_INDEX, 0)))
        return context.get_dummy_value()

    return types.none(entries, place, part, count, sums), generate


@intrinsic
def add_between(typing_context, entries, place, part, count, values):
    """Its adjoint: what is added to ``entries[place[i]:]`` and the next ``LANES`` are the two shares of the values."""

    def generate(context, builder, signature, arguments):
        entries, place, part, values = _pointers(context, builder, signature, arguments)
        value = _load(builder, _vector(builder, values, ir.Constant(_INDEX, 0)))
        with cgutils.for_range(builder, arguments[3]) as loop:
            here, there, share = _neighbours(builder, entries, place, part, loop.index)
            right = _times(builder, share, value)
            _store(builder, builder.fadd(_load(builder, here), builder.fsub(value, right)), here)
            _store(builder, builder.fadd(_load(builder, there), right), there)
        return context.get_dummy_value()

    return types.none(entries, place, part, count, values), generate


_FUSED = ("contract",)


def _times(builder, a, b):
    return builder.fmul(a, b, flags=_FUSED)


def _pointers(context, builder, signature, arguments):
    """To the arrays' first entries; the fourth argument is a number."""
    given = [each for each in zip(signature.args, arguments, strict=True) if isinstance(each[0], types.Array)]
    return [context.make_array(kind)(context, builder, array).data for kind, array in given]


def _neighbours(builder, entries, place, part, i):
    """The two vectors between which lies what is looked for, and how far, the same for all."""
    k = builder.zext(builder.load(builder.gep(place, [i])), _INDEX)
    here = _vector(builder, entries, k)
    there = _vector(builder, entries, builder.add(k, ir.Constant(_INDEX, LANES)))
    share = builder.load(builder.gep(part, [i]))
    alone = builder.insert_element(
        ir.Constant(ir.VectorType(share.type, LANES), ir.Undefined), share, ir.Constant(ir.IntType(32), 0)
    )
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return here, there, builder.shuffle_vector(alone, alone, first)


def _vector(builder, entries, k):
    return builder.bitcast(builder.gep(entries, [k]), ir.VectorType(entries.type.pointee, LANES).as_pointer())


def _size(pointer):
    """Of an entry: vectors may begin at any."""
    return 4 if pointer.type.pointee.element == ir.FloatType() else 8


def _load(builder, pointer):
    return builder.load(pointer, align=_size(pointer))


def _store(builder, value, pointer):
    builder.store(value, pointer, align=_size(pointer))
