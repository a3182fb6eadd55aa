"""The parity of the GPU with the CPU: every kernel and every method, with one summary at the end."""

import datetime
import fnmatch
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from .._version import __version__
from . import (
    _parity_grids,
    _parity_kernels,
    _parity_methods,
    _parity_slices,
    _parity_sweeps,
    _parity_tomography,
    _parity_transport,
    _parity_transport_methods,
    _parity_transport_sweeps,
    _parity_variation,
)
from ._target import Target

__all__ = ["Case", "Target", "gpu_parity_cases", "run_gpu_parity"]

_MODULES = (
    _parity_kernels,
    _parity_grids,
    _parity_sweeps,
    _parity_transport,
    _parity_transport_sweeps,
    _parity_slices,
    _parity_tomography,
    _parity_variation,
    _parity_methods,
    _parity_transport_methods,
)


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    group : str
        The kernel or the method.
    id : str
        The group and what varies within it.
    n : int
        Unknowns, or entries of a vector.
    dtype : str
    check : callable (Target)
        Raises an AssertionError that says what differs.
    """

    group: str
    id: str
    n: int
    dtype: str
    check: Callable[[Target], object]

def gpu_parity_cases(only: str = "*", quick: bool = False) -> list[Case]:
    """List the comparisons.

    Parameters
    ----------
    only : str, default "*"
        A pattern that the id or the group must match, such as ``"cg*"`` or ``"*float32*"``.
    quick : bool, default False
        Leave out those of more than a thousand unknowns.

    Returns
    -------
    list of Case
    """
    made = [Case(*parts) for module in _MODULES for parts in module.cases()]
    kept = [case for case in made if fnmatch.fnmatch(case.id, only) or fnmatch.fnmatch(case.group, only)]
    return [case for case in kept if case.n <= 1000] if quick else kept


def run_gpu_parity(
    cases: Sequence[Case] | None = None,
    progress: Callable[[Case, str | None], object] | None = None,
    target: Target | None = None,
) -> dict[str, Any]:
    """Compare the GPU of this machine with its CPU, and with plain NumPy.

    Parameters
    ----------
    cases : sequence of Case, optional
        All by default.
    progress : callable (case, message), optional
        Called after each case; the message is None, or says what differs.
    target : Target, optional
        Another backend than the GPU.

    Returns
    -------
    dict
        Ready for ``json.dumps``: what was run on what, when, how many cases passed, and for each one that
        failed its id and message.

    Raises
    ------
    BackendUnavailable
        If there is no GPU; the message says which part is missing.
    """
    target = Target("gpu") if target is None else target
    cases = gpu_parity_cases() if cases is None else cases
    began, failed = time.perf_counter(), []
    for case in cases:
        message = _outcome(case, target)
        if message is not None:
            failed.append({"id": case.id, "message": message})
        if progress is not None:
            progress(case, message)
    return {
        **_describe(target),
        "compared_with": ["NumPy"] if target.cpu is None else ["NumPy", "CPU kernels"],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began, 2),
        "cases": len(cases),
        "passed": len(cases) - len(failed),
        "failed": failed,
    }


def _outcome(case, target):
    """None, or what went wrong; whatever a case raises, the others still run."""
    try:
        case.check(target)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return lines[0] if isinstance(error, AssertionError) else f"{type(error).__name__}: {lines[0]}"
    return None


def _describe(target):
    """The device and the versions."""
    versions = {"solvers": __version__, "python": platform.python_version(), "numpy": np.__version__}
    if target.backend == "cpu":
        return {"device": "cpu", "versions": versions}
    import cupy

    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    name = runtime.getDeviceProperties(device.id)["name"]
    return {
        "device": name.decode() if isinstance(name, bytes) else name,
        "compute_capability": str(device.compute_capability),
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "versions": versions | {"cupy": cupy.__version__, "scipy": metadata.version("scipy")},
    }
