"""exp, 2^x and log by polynomials, so that loops over them vectorise: Numba's own call a function for each number.

x = n log 2 + r with |r| <= log(2) / 2: adding 1.5 * 2^52 rounds x / log 2 to the integer n, and leaves it in the low
bits of the sum, from where it is shifted into the exponent of 2^n. On [-700, 0] exp is off by at most 1.5 units in the
last place, exp2 by at most 3.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["LOG2E", "exp", "exp2", "log"]

LOG2E = 1.4426950408889634

# Reassociation would undo the rounding by the magic number and the reduction in two steps. A caller's own flags do not
# reach the instructions of a function that is inlined into it.
_FLAGS = dict(nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


def _bitcast(source, target, ir_type):
    @intrinsic
    def cast(typing_context, value):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], ir_type)

        return target(source), generate

    return cast


_float64_bits = _bitcast(types.float64, types.int64, ir.IntType(64))
_float64_of = _bitcast(types.int64, types.float64, ir.DoubleType())
_float32_bits = _bitcast(types.float32, types.int32, ir.IntType(32))
_float32_of = _bitcast(types.int32, types.float32, ir.FloatType())

_SHIFT64, _SHIFT32 = np.int64(52), np.int32(23)
# The exponent's bias is added with the magic number.
_MAGIC64, _MAGIC32 = 1.5 * 2.0**52 + 1023, np.float32(1.5 * 2.0**23 + 127)
_LOG2E32 = np.float32(LOG2E)
# log 2 = _HIGH + _LOW; an integer of 11 (8) bits times _HIGH is exact.
_HIGH64, _LOW64 = 0.6931471803691238, 1.9082149292705877e-10
_HIGH32, _LOW32 = np.float32(0.693115234375), np.float32(3.1946184945309415e-05)

# Interpolants at Chebyshev's nodes, computed with 60 digits; relative errors 1.6e-17 for exp and 2e-16 for exp2, whose
# last term would cost a twentieth of a sweep; 2e-10 and 1e-8 in single precision.
_E64 = (
    1.0, 1.0, 0.5, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039, 0.0013888888917367081,
    0.00019841269863171557, 2.4801521057868204e-05, 2.7557268276905696e-06, 2.7620201591031547e-07,
    2.5100472505694996e-08,
)  # fmt: skip
_T64 = (
    1.0, 0.69314718055995, 0.24022650695910097, 0.05550410866444772, 0.009618129107606888, 0.0013333558230164974,
    0.0001540353044173605, 1.5252657260200837e-05, 1.321544258792169e-06, 1.0208690299958306e-07, 7.072585949269223e-09,
)  # fmt: skip
_E32 = (
    1.0, 1.0, 0.5, 0.16666666681704215, 0.04166646419740569, 0.008333310844647862, 0.0013933730715792083,
    0.00019891080463998843,
)  # fmt: skip
_T32 = (
    1.0, 0.6931471805599453, 0.24022650695910072, 0.05550381013796457, 0.009618103253031871, 0.0013381302537320797,
    0.00015444883953144928,
)  # fmt: skip
_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9, _E10, _E11 = _E64
_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10 = _T64
_F0, _F1, _F2, _F3, _F4, _F5, _F6, _F7 = map(np.float32, _E32)
_U0, _U1, _U2, _U3, _U4, _U5, _U6 = map(np.float32, _T32)

# Clamped to these, 2^n is 0 and infinity; a NaN passes both tests. Large x are clamped after the magic number was
# added: the rest of them goes into the polynomial, whose value stays positive. Two clamps of x cost a tenth of a sweep.
_LEAST64, _MOST64 = -1023.2, _MAGIC64 + 1024
_LEAST32, _MOST32 = np.float32(-127.2), _MAGIC32 + np.float32(128)
_LEAST_EXP64, _MOST_EXP64 = -709.2, 710.0
_LEAST_EXP32, _MOST_EXP32 = np.float32(-88.1), np.float32(89.0)

# log((1 + s) / (1 - s)) = 2 s + s z (_L0 + _L1 z + ...) with z = s^2, relative error 5e-18 from sqrt(1/2) to sqrt(2).
_L64 = (
    0.666666666666667, 0.399999999998992, 0.2857142862611452, 0.22222211112104948, 0.1818289077802613,
    0.15331666676597175, 0.146171283998073,
)  # fmt: skip
_L0, _L1, _L2, _L3, _L4, _L5, _L6 = _L64
_ROOT_BITS, _ROUND, _ROUND_BITS = (
    np.int64(np.float64(0.5**0.5).view(np.int64)), 1.5 * 2.0**52, np.int64(np.float64(1.5 * 2.0**52).view(np.int64)),
)  # fmt: skip


def exp(x):
    """e^x of a float32 or float64: 0 below -708.8 (-87.7), infinite above 709.4 (88.3), NaN for NaN."""
    raise NotImplementedError("called from compiled code only")


def exp2(x):
    """2^x of a float32 or float64: 0 below -1022.5 (-126.5), infinite above 1023.5 (127.5), NaN for NaN."""
    raise NotImplementedError("called from compiled code only")


def log(x):
    """The natural logarithm of a positive, normal float64; anything for zero, infinity, NaN and the rest."""
    raise NotImplementedError("called from compiled code only")


@overload(exp, jit_options=_FLAGS)
def _exp(x):
    return {types.float64: _exp_64, types.float32: _exp_32}.get(x)


@overload(exp2, jit_options=_FLAGS)
def _exp2(x):
    return {types.float64: _exp2_64, types.float32: _exp2_32}.get(x)


@overload(log, jit_options=_FLAGS)
def _log(x):
    return {types.float64: _log_64}.get(x)


def _log_64(x):
    bits = _float64_bits(x)
    e = (bits - _ROOT_BITS) >> _SHIFT64
    f = _float64_of(bits - (e << _SHIFT64)) - 1.0
    n = _float64_of(e + _ROUND_BITS) - _ROUND
    s = f / (2.0 + f)
    z = s * s
    p = _L0 + z * (_L1 + z * (_L2 + z * (_L3 + z * (_L4 + z * (_L5 + z * _L6)))))
    return n * _HIGH64 + (2.0 * s + (s * (z * p) + n * _LOW64))


def _exp_64(x):
    x = _LEAST_EXP64 if x < _LEAST_EXP64 else x
    x = _MOST_EXP64 if x > _MOST_EXP64 else x
    t = x * LOG2E + _MAGIC64
    n = t - _MAGIC64
    r = (x - n * _HIGH64) - n * _LOW64
    p = _E7 + r * (_E8 + r * (_E9 + r * (_E10 + r * _E11)))
    p = _E0 + r * (_E1 + r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * (_E6 + r * p))))))
    return p * _float64_of(_float64_bits(t) << _SHIFT64)


def _exp2_64(x):
    x = _LEAST64 if x < _LEAST64 else x
    t = x + _MAGIC64
    t = _MOST64 if t > _MOST64 else t
    r = x - (t - _MAGIC64)
    p = _T6 + r * (_T7 + r * (_T8 + r * (_T9 + r * _T10)))
    p = _T0 + r * (_T1 + r * (_T2 + r * (_T3 + r * (_T4 + r * (_T5 + r * p)))))
    return p * _float64_of(_float64_bits(t) << _SHIFT64)


def _exp_32(x):
    x = _LEAST_EXP32 if x < _LEAST_EXP32 else x
    x = _MOST_EXP32 if x > _MOST_EXP32 else x
    t = x * _LOG2E32 + _MAGIC32
    n = t - _MAGIC32
    r = (x - n * _HIGH32) - n * _LOW32
    p = _F0 + r * (_F1 + r * (_F2 + r * (_F3 + r * (_F4 + r * (_F5 + r * (_F6 + r * _F7))))))
    return p * _float32_of(_float32_bits(t) << _SHIFT32)


def _exp2_32(x):
    x = _LEAST32 if x < _LEAST32 else x
    t = x + _MAGIC32
    t = _MOST32 if t > _MOST32 else t
    r = x - (t - _MAGIC32)
    p = _U0 + r * (_U1 + r * (_U2 + r * (_U3 + r * (_U4 + r * (_U5 + r * _U6)))))
    return p * _float32_of(_float32_bits(t) << _SHIFT32)
