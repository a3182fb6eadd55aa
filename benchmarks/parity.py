"""``solvers test-gpu``: the GPU of this machine beside its CPU, a line a group, and a summary to keep."""

import json
import time

from . import options
from ._registry import UsageError

__all__ = ["add_arguments", "test_gpu"]


def add_arguments(parser):
    """The options of the command."""
    parser.add_argument("--only", default="*", metavar="PATTERN", help="such as 'kernel:*', 'method:cg' or '*float32*'")
    parser.add_argument("--quick", action="store_true", help="at most a thousand unknowns")
    parser.add_argument("--json", metavar="FILE", help="the summary: device, versions, counts, failures")
    parser.set_defaults(run=test_gpu)


def test_gpu(args, argv):
    """Carry out the command; return its exit code: 0, 1 if a case failed."""
    from solvers import testing

    options.check_writable(filter(None, [args.json]))
    target = testing.Target("gpu")  # refused with the missing part, if one is
    cases = testing.gpu_parity_cases(args.only, args.quick)
    if not cases:
        raise UsageError(f"No case matches {args.only!r}; groups are {', '.join(_groups())}.")
    lines = _Lines(cases)
    summary = testing.run_gpu_parity(cases, lines.add, target)
    print(_said(summary))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(summary | {"command": "solvers " + " ".join(argv)}, file, indent=1)
            file.write("\n")
        print(f"written: {args.json}")
    return 1 if summary["failed"] else 0


test_gpu.__test__ = False  # pytest collects functions of this name


def _groups():
    from solvers import testing

    return dict.fromkeys(case.group for case in testing.gpu_parity_cases())


class _Lines:
    """Counts the cases of a group, and prints its line when the last one is done."""

    def __init__(self, cases):
        self._left = {}
        for case in cases:
            self._left[case.group] = self._left.get(case.group, 0) + 1
        self._failed, self._began = {}, {}
        self._count = dict(self._left)
        self._last = time.perf_counter()

    def add(self, case, message):
        """Take note of one case."""
        group = case.group
        began = self._began.setdefault(group, self._last)
        self._last = time.perf_counter()
        self._left[group] -= 1
        if message is not None:
            self._failed[group] = self._failed.get(group, 0) + 1
            print(f"  ! {case.id}: {message}")
        if self._left[group] == 0:
            bad = self._failed.get(group, 0)
            good = f"{self._count[group] - bad} passed" + (f", {bad} FAILED" if bad else "")
            print(f"{group:<28}{good:<24}{self._last - began:7.1f} s", flush=True)


def _said(summary):
    bad = len(summary["failed"])
    return (
        f"{summary['device']}, driver {summary['driver']}, CUDA {summary['runtime']}, "
        f"cupy {summary['versions']['cupy']}; compared with {' and '.join(summary['compared_with'])}\n"
        f"{summary['passed']} passed, {bad} failed, in {summary['seconds']:.1f} s"
    )
