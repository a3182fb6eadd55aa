"""A pytest plugin: PyAMG's own tests meet our functions in the place of PyAMG's, and the calls are counted.

PyAMG's relaxation works in place and sweeps a given number of times; its Krylov methods have names of their own for
tolerances and criteria. What ours do not do (a criterion, rows without a diagonal) is left to PyAMG's function, and
counted apart.
"""

import functools
from collections import Counter

import numpy as np
import pyamg.krylov
import pyamg.relaxation.relaxation
import pyamg.relaxation.smoothing

from solvers import InvalidInput, linalg

RELAXATION = ("gauss_seidel", "sor", "jacobi")
KRYLOV = ("cg", "bicgstab", "gmres")

calls, left = Counter(), Counter()
_theirs = {name: getattr(pyamg.relaxation.relaxation, name) for name in RELAXATION}
_theirs |= {name: getattr(pyamg.krylov, name) for name in KRYLOV}


def stand_in(adapter):
    """The adapter under the name and with the documentation of PyAMG's function."""
    name = adapter.__name__
    original = _theirs[name]

    @functools.wraps(original)
    def function(*args, **kwargs):
        answer = adapter(*args, **kwargs)
        (left if answer is NotImplemented else calls)[name] += 1
        return original(*args, **kwargs) if answer is NotImplemented else answer

    return function


def sweeps(method, A, x, b, iterations, **options):
    """That many sweeps of ours, in place."""
    A, x, b = pyamg.relaxation.relaxation.make_system(A, x, b, formats=["csr", "bsr"])
    # Ours answers b = 0 with 0, at once: another origin gives the same sweeps.
    origin = np.zeros_like(x) if b.any() else np.arange(1, x.size + 1).astype(x.dtype)
    try:
        if iterations:
            x[:] = method(A, b + A @ origin, x + origin, rtol=0.0, maxiter=iterations, **options).x - origin
    except InvalidInput as error:
        if "diagonal" in str(error):
            return NotImplemented  # PyAMG leaves such rows as they are
        raise
    return None


def gauss_seidel(A, x, b, iterations=1, sweep="forward", omega=1.0):
    kinds = {
        "forward": {},
        "backward": {"ordering": "reversed"},
        "symmetric": {"symmetric": True},
    }
    if sweep not in kinds:
        raise ValueError(f"valid sweep directions: forward, backward, and symmetric, got {sweep!r}")
    return sweeps(linalg.sor, A, x, b, iterations, omega=omega, **kinds[sweep])


def sor(A, x, b, omega, iterations=1, sweep="forward"):
    return gauss_seidel(A, x, b, iterations, sweep, omega)


def jacobi(A, x, b, iterations=1, omega=1.0):
    if np.iscomplexobj(omega):
        return NotImplemented
    return sweeps(linalg.jacobi, A, x, b, iterations, omega=float(omega))


def krylov(method, A, b, x0, tol, maxiter, M, callback, residuals, **options):
    result = method(A, np.ravel(b), x0, rtol=tol, maxiter=maxiter, M=M, callback=callback, **options)
    if residuals is not None:
        residuals[:] = list(result.residuals)
    return result.x, -1 if result.info < 0 else result.info


def cg(A, b, x0=None, tol=1e-5, criteria="rr", maxiter=None, M=None, callback=None, residuals=None):
    if criteria not in ("rr", "rr+"):  # the second is met where the first is
        return NotImplemented
    return krylov(linalg.cg, A, b, x0, tol, maxiter, M, callback, residuals)


def bicgstab(A, b, x0=None, tol=1e-5, criteria="rr", maxiter=None, M=None, callback=None, residuals=None):
    if criteria not in ("rr", "rr+"):
        return NotImplemented
    return krylov(linalg.bicgstab, A, b, x0, tol, maxiter, M, callback, residuals)


def gmres(A, b, x0=None, tol=1e-5, restart=None, maxiter=None, M=None, callback=None, residuals=None, **others):
    if others or residuals is not None or restart is not None or maxiter is None:
        return NotImplemented
    return krylov(linalg.gmres, A, b, x0, tol, 1, M, callback, None, restart=maxiter)


def pytest_configure(config):
    """Replace before collection: PyAMG's test files import the functions by name."""
    for adapter in (gauss_seidel, sor, jacobi):
        setattr(pyamg.relaxation.relaxation, adapter.__name__, stand_in(adapter))
    for adapter in (cg, bicgstab, gmres):
        ours = stand_in(adapter)
        for module in (pyamg.krylov, pyamg.relaxation.smoothing):
            if hasattr(module, adapter.__name__):
                setattr(module, adapter.__name__, ours)


def pytest_terminal_summary(terminalreporter):
    """One line a function, for the test that started this run."""
    for name in RELAXATION + KRYLOV:
        terminalreporter.write_line(f"calls of {name}: {calls[name]}, left to PyAMG {left[name]}")
