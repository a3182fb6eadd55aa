"""What a sliced distance draws and subtracts: directions, their number, the control variate and its coefficient."""

import math

from .. import _checks
from .._errors import InvalidInput
from ._sliced_controls import CONTROLS, harmonic_degree
from ._sliced_directions import ROTATIONS, Directions, own_directions, root_of

__all__ = ["Plan"]

_KINDS = ("auto", "iid", "orthogonal", "spiral", "lattice", "sobol")
_DIMENSION = {"spiral": 3, "lattice": 2}
# Projections where neither a number nor a tolerance is given, and the first of a doubling: intervals of fewer
# directions, at which one stops because the error looks small, cover too little.
_DEFAULT, _START = 256, 64
# Blocks of directions have numbers of 32 bits.
_TOO_MANY = 2**31
# Doubling starts with whole orthogonal bases up to this dimension.
_BASES = 32


class Plan:
    """What is to be drawn and subtracted, checked."""

    def __init__(self, clouds, number, rtol, atol, most, directions, control, coefficient, rng):
        self.d, self.p, self.root = clouds.d, clouds.p, root_of(rng)
        self.rtol = 0.0 if rtol is None else _checks.tolerance("rtol", rtol)
        self.atol = _checks.tolerance("atol", atol)
        self.doubles = rtol is not None or self.atol > 0
        self.most = _checks.count("max_projections", most, 2 * ROTATIONS)
        self.control, self.rule = _control(control, coefficient, self.p)
        self.kind, self.own = self._kind(directions)
        self.number = None if number is None else _checks.count("n_projections", number, 2)
        if self.number is not None and self.number >= _TOO_MANY:
            raise InvalidInput(f"`n_projections` must be below {_TOO_MANY}, got {_checks.brief(number)}.")
        if self.own is not None:
            self._match_own()
        elif self.number is None:
            self.number = self._start() if self.doubles else _DEFAULT
        elif self.doubles and self.number > self.most:
            raise InvalidInput(
                f"`max_projections` must be at least `n_projections`, where doubling starts, {self.number}, "
                f"got {self.most}."
            )

    def _kind(self, given):
        if not isinstance(given, str):
            return "own", own_directions(given, self.d)
        kind = _checks.choice("directions", given, _KINDS)
        if kind in _DIMENSION and self.d != _DIMENSION[kind]:
            raise InvalidInput(
                f"`directions` {kind!r} must go with d = {_DIMENSION[kind]}, got d = {self.d}; use 'auto'."
            )
        if self.control == "harmonics" and kind not in ("auto", "iid"):
            raise InvalidInput(
                f"`directions` must be 'iid' or your own with control='harmonics', whose many coefficients leave no "
                f"error bar from few rotations, got {kind!r}."
            )
        return "iid" if self.control == "harmonics" else kind, None

    def _match_own(self):
        if self.number is not None and self.number != self.own.number:
            raise InvalidInput(
                f"`n_projections` must be the number of your directions, {self.own.number}, or None, got {self.number}."
            )
        if self.own.number < 2 and self.d > 1:
            raise InvalidInput("`directions` must be at least 2 rows, since one leaves no error bar, got 1.")
        self.number = self.most = self.own.number

    def _start(self):
        """The first number of a doubling."""
        number = _START
        if self.kind == "auto" and self.d <= _BASES:
            while number < ROTATIONS * self.d:
                number *= 2
        return min(number, self.most)

    def directions(self, number):
        """The directions of one round."""
        if self.own is not None:
            return self.own
        kind = self._picked(number) if self.kind == "auto" else self.kind
        return Directions(kind, self.d, number, self.root)

    def _picked(self, number):
        """Dependent directions where an error bar can be had from them."""
        if self.d <= 3:
            return {2: "lattice", 3: "spiral"}[self.d] if number >= 2 * ROTATIONS else "iid"
        # In a doubling the kind stays what it was at the start, so that directions are kept.
        whole = self.number if self.doubles else number
        return "orthogonal" if whole >= ROTATIONS * self.d else "iid"

    def degree(self, number):
        """Of the harmonics."""
        return harmonic_degree(self.d, number) if self.control == "harmonics" else None

    def threshold(self, distance):
        return max(self.atol, self.rtol * distance) if self.doubles else math.inf


def _control(control, coefficient, p):
    """The name of the control and the rule of its coefficient."""
    name = None if control is None else _checks.choice("control", control, ("auto", *CONTROLS))
    if name is None or name == "auto" and p != 2:
        if coefficient is not None:
            raise InvalidInput("`coefficient` must be None where there is no control; choose one, such as 'gaussian'.")
        return None, 0.0
    name = "gaussian" if name == "auto" else name
    if coefficient is None:
        return name, "ols" if name == "gaussian" and p != 2 else CONTROLS[name]
    if not isinstance(coefficient, str):
        coefficient = _checks.number("coefficient", coefficient)
        if not math.isfinite(coefficient):
            raise InvalidInput(f"`coefficient` must be finite, got {coefficient!r}.")
    else:
        _checks.choice("coefficient", coefficient, ("authors", "ols"))
    if name in ("both", "harmonics") and coefficient != "ols":
        raise InvalidInput(f"`coefficient` must be 'ols' for control={name!r}, got {coefficient!r}.")
    return name, coefficient
