"""Random calls of every public function, with valid and invalid input, each judged by NumPy alone.

    python tests/robustness/soak.py --calls 2000             500 calls of each area, twice, with a watch on memory
    python tests/robustness/soak.py --area linalg --seed 17  one call again, with its traceback

A seed makes one call: ``soak_<area>.make(rng)`` draws it, ``spoilt.spoil`` may put nonsense in the place of an
argument. A call fails where ``examine`` says so.
"""

import argparse
import gc
import importlib
import inspect
import itertools
import json
import os
import pathlib
import pickle
import re
import sys
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from spoilt import Broken, spoil  # noqa: E402

import solvers  # noqa: E402

AREAS = ("linalg", "transport", "pde", "inverse")
OWN_ERRORS = (solvers.InvalidInput, solvers.UnsupportedType, solvers.BackendUnavailable, solvers.ConvergenceError)
# Seconds in which a call of this size is over, compilation included.
LIMIT = 60.0


@dataclass
class Call:
    """One call: what is called with which arguments, and how its answer is judged.

    ``judge(answer)`` asserts; it is asked only where no argument was spoilt. ``watched`` are arrays that the call
    does not get as such but reads, as within an operator. ``fixed`` are arguments of a function of ours here that are
    not to be spoilt, ``names`` what else its sentences may name.
    """

    function: object
    arguments: dict
    judge: object = None
    watched: list = field(default_factory=list)
    fixed: tuple = ()
    names: tuple = ()
    spoilt: str = ""

    def __str__(self):
        name = getattr(self.function, "__qualname__", repr(self.function))
        parts = ", ".join(f"{key}={_brief(value)}" for key, value in self.arguments.items())
        return f"{name}({parts}){f' with a spoilt {self.spoilt}' if self.spoilt else ''}"


def _brief(value):
    if isinstance(value, np.ndarray) or hasattr(value, "tocsr"):
        return f"<{type(value).__name__} {value.dtype} {value.shape}>"
    text = repr(value)
    return text if len(text) <= 60 else f"<{type(value).__name__}>"


def make(area, seed):
    """The call of that seed."""
    rng = np.random.default_rng([AREAS.index(area), seed])
    call = importlib.import_module(f"soak_{area}").make(rng)
    if rng.random() < 0.35:
        spoil(call, rng)
    return call


def examine(call):
    """Make the call; the reason why it fails the soak, or None."""
    before = [(array, _bits(array)) for array in _arrays([call.arguments, call.watched])]
    try:
        with warnings.catch_warnings(), np.errstate(over="warn", divide="warn", invalid="warn"):
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "gmres called without", DeprecationWarning)  # as SciPy's
            answer = call.function(**call.arguments)
            reason = _ill_formed(answer, call, [array for array, _ in before])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        answer, reason = None, _improper(error, call)
    if reason is None and any(_bits(array) != bits for array, bits in before):
        reason = "an array of the caller's was changed"
    if reason is None and answer is not None and call.judge is not None and not call.spoilt:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call.judge(answer)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"judged wrong: {place.line} {type(error).__name__} {error} ({answer!r})"
    return reason


def _improper(error, call):
    """What is wrong with an exception, or None: it must be one of ours, with one sentence, or the user's own."""
    frames = traceback.extract_tb(error.__traceback__)
    last, text = pathlib.Path(frames[-1].filename), str(error)
    words = f"{type(error).__name__}: {text[:300]}"
    place = f"{words} at {last.name}:{frames[-1].lineno}"
    if isinstance(error, Broken):
        return None
    if isinstance(error, TypeError) and re.search(r"argument|keyword", text):
        if call.spoilt and (last.parent == HERE or "lambda" in text):
            return None  # Python's own, for a misspelt or a missing argument, or for a function of the user's
    if call.spoilt and ("Scalar operands are not allowed" in text or "takes no arguments" in text):
        return None  # SciPy's word for A @ 3, and Python's for a class that was given as a function
    if isinstance(error, ImportError) and "pip install" in text:
        return None  # an optional package that is not there
    inner = getattr(error, "failures", None)
    if type(error).__name__ == "TaskError" and inner:
        return next((reason for each in inner.values() if (reason := _improper(each, call))), None)
    if not isinstance(error, OWN_ERRORS):
        return f"a foreign exception: {place}"
    if HERE.parents[1] not in last.parents:
        return f"raised in a dependency: {place}"
    if "\n" in text or not text.endswith((".", ".)")) or len(text) > 400:
        return f"not one sentence: {place}"
    named = {re.split(r"\W", word)[0] for word in re.findall(r"`([^`]+)`", text)}
    if not named & _known_names(call) and not isinstance(error, solvers.BackendUnavailable):
        return f"no parameter in backticks: {place}"
    return None


def _known_names(call):
    names = {*call.arguments, *call.names}
    for function in (call.function, getattr(call.function, "__init__", None)):
        try:
            names |= set(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            continue
    return names


def _ill_formed(answer, call, inputs):
    """What is wrong with an answer, whatever the call was, or None."""
    for name, array in _numbers(answer):
        if call.spoilt and name == _PLAIN:
            continue  # a product with a NaN
        if np.isnan(array).any():
            return f"a NaN in {name} of {answer!r}"
        if np.isinf(array).any() and name not in _MAY_BE_INFINITE:
            return f"an infinity in {name} of {answer!r}"
        if any(np.may_share_memory(array, given) for given in inputs) and not call.spoilt:
            return f"{name} shares memory with an argument"
    if isinstance(answer, solvers.Result):
        if "\n" in answer.message or not isinstance(repr(answer), str):
            return f"the message is not one line: {answer.message!r}"
        json.dumps(answer.to_dict(), allow_nan=False)
        try:
            copied = repr(pickle.loads(pickle.dumps(answer)))
        except (AttributeError, pickle.PicklingError):
            return None  # it keeps a local function of the user's
        if copied != repr(answer):
            return "the answer does not survive a pickle"
    return None


# Potentials are -inf at weights of zero and inf at rows that give and have no pair; unknown coefficients have any std;
# what nobody asked for is not tested against anything finite.
_MAY_BE_INFINITE = frozenset(
    ("potentials", "threshold", "std of theta", "residuals", "residual", "error", "error_estimate")
)
_PLAIN = "the answer"
_FIELDS = (
    "x",
    "plan",
    "samples",
    "std",
    "value",
    "regularized_value",
    "dual_value",
    "mass",
    "potentials",
    "u",
    "f",
    "theta",
    "noise",
    "residual",
    "residuals",
    "distance",
    "power",
    "direction",
    "distances",
    "grad_X",
    "grad_Y",
    "values",
    "error",
    "error_estimate",
    "threshold",
    "n_matvec",
)


def _numbers(answer):
    """(name, array) of the numbers in an answer."""
    if isinstance(answer, np.ndarray | float | complex | np.generic):
        yield _PLAIN, np.asarray(answer)
    elif isinstance(answer, tuple | list) and not isinstance(answer, solvers.Result):
        for each in answer:
            yield from _numbers(each)
    elif isinstance(answer, solvers.Result) or hasattr(answer, "xy"):
        for name in _FIELDS:
            try:
                value = getattr(answer, name, None)
            except solvers.UnsupportedType:
                continue  # a standard deviation that this method does not have
            for part in value if isinstance(value, tuple | list) else (value,):
                part = np.asarray(part)  # a LowRank becomes its matrix
                if part.dtype.kind in "fc":
                    yield ("std of theta" if name == "std" and hasattr(answer, "theta") else name), part


def _arrays(value, depth=0):
    """The arrays within arguments."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        yield value
    elif isinstance(value, dict) and depth < 4:
        yield from itertools.chain.from_iterable(_arrays(each, depth + 1) for each in value.values())
    elif isinstance(value, list | tuple) and depth < 4:
        yield from itertools.chain.from_iterable(_arrays(each, depth + 1) for each in value)
    elif hasattr(value, "tocsr") and depth < 4:
        parts = [getattr(value, name, None) for name in ("data", "indices", "indptr", "row", "col", "offsets")]
        yield from itertools.chain.from_iterable(_arrays(each, depth + 1) for each in parts)


def _bits(array):
    return array.shape, array.dtype, array.tobytes()


def soak(area, seeds, limit=LIMIT):
    """Make the calls of these seeds; the list of (seed, call, reason) of those that fail."""
    failed, current = [], [None]
    stop = _watch(area, current, limit)
    for seed in seeds:
        current[0] = seed, time.monotonic()
        call = make(area, seed)
        reason = examine(call)
        if reason is not None:
            failed.append((seed, str(call), reason))
    stop.set()
    return failed


def _watch(area, current, limit):
    """End the process, with the seed and all stacks, where one call takes too long: it may never come back."""
    import faulthandler

    stop = threading.Event()

    def look():
        while not stop.wait(1.0):
            seed, began = current[0] or (None, time.monotonic())
            if time.monotonic() - began > limit:
                print(f"hangs: {_again(area, seed)}", file=sys.__stderr__, flush=True)
                faulthandler.dump_traceback(sys.__stderr__)
                os._exit(3)

    threading.Thread(target=look, daemon=True).start()
    return stop


def _again(area, seed):
    return f"python tests/robustness/soak.py --area {area} --seed {seed}"


def report(area, failed):
    """What failed, with the command that shows it again."""
    return "".join(f"\n{reason}\n    {call}\n    {_again(area, seed)}\n" for seed, call, reason in failed)


def resident():
    """Bytes of memory that this process holds, after what can be given back is."""
    gc.collect()
    try:
        import ctypes

        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000, help="calls in all")
    parser.add_argument("--area", choices=AREAS)
    parser.add_argument("--seed", type=int, help="this call alone")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args(argv)
    areas = AREAS if options.area is None else (options.area,)
    if options.seed is not None:
        call = make(areas[0], options.seed)
        print(call)
        try:
            print(repr(call.function(**call.arguments)))
        except Exception:
            traceback.print_exc()
        reason = examine(make(areas[0], options.seed))
        print("fine" if reason is None else reason)
        return int(reason is not None)
    began, failures, each = time.perf_counter(), 0, options.calls // len(areas)
    for again in (False, True):  # the first time loads kernels, fills caches and makes pools grow
        for area in areas:
            failed = soak(area, range(options.first, options.first + each))
            failures += len(failed)
            print(report(area, failed), end="", flush=True)
        print(
            f"resident after {'the same calls again' if again else 'all calls'}: {resident() / 2**20:.1f} MiB",
            flush=True,
        )
    print(f"{each * len(areas)} calls, twice, {failures} failures, {time.perf_counter() - began:.0f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.modules["soak"] = sys.modules["__main__"]
    sys.exit(main())
