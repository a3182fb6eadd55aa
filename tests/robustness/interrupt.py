"""Interruptions at any line of the library: what Ctrl-C does, between any two lines.

A tracer notes the lines that run in ``solvers`` and ``kernels``, or raises KeyboardInterrupt at one of them.
"""

import pathlib
import sys

__all__ = ["interrupted_at", "places_of"]

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
_OURS = (f"{ROOT}/solvers/", f"{ROOT}/kernels/")


def places_of(call):
    """The places, as file:line, that one call goes through in this thread, each once, in order."""
    tracer = _Tracer(None)
    tracer.run(call)
    return list(tracer.seen)


def interrupted_at(call, place):
    """Make the call, interrupted where it first comes to that place; whether it did."""
    tracer = _Tracer(place)
    try:
        tracer.run(call)
    except KeyboardInterrupt:
        return True
    return False


class _Tracer:
    def __init__(self, place):
        self.seen, self._place = {}, place

    def run(self, call):
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            call()
        finally:
            sys.settrace(before)

    def _enter(self, frame, event, argument):
        return self._line if frame.f_code.co_filename.startswith(_OURS) else None

    def _line(self, frame, event, argument):
        if event == "line":
            place = f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_lineno}"
            self.seen[place] = None
            if place == self._place:
                raise KeyboardInterrupt
        return self._line
