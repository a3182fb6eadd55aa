"""The order in which ``solve`` tries methods, and how much each may take."""

import math

from .._result import Status
from . import _solve_choice
from ._solve_case import Watch

__all__ = ["plan"]

# Rows from which a stencil is recognised before anything else is looked at: multigrid on its grid wins there.
_GRID_FIRST = 50_000
# Iterations where no direct solution sets the limit: that many times what the model expects, and at least so many.
_PATIENCE, _LEAST = 20, 2000
_MOST = 50_000
# Of conjugate gradients with a multigrid cycle.
_CYCLES = 300
# What says that no method for definite matrices will do.
_NOT_DEFINITE = Status.INDEFINITE, Status.NOT_HERMITIAN
# Where another method's time is known, the share of it that incomplete factors may take until they show whether they
# serve; that which an iterative method may take; and its least steps.
_PROBE_SHARE, _SHARE, _LEAST_STEPS = 0.2, 0.8, 30
# Methods whose time is known beforehand, and those that are stopped where they take longer.
_SURE, _WATCHED = ("direct", "learned"), ("ic", "ssor", "jacobi")


def plan(case, method, tried):
    """Yield (name, most iterations, reason) until one succeeds; ``tried`` fills up with (name, status) meanwhile."""
    if case.matrix is not None and case.matrix.n == 0:
        yield "cg", 1, "cg: there are no unknowns."
    elif method != "auto":
        yield method, _LEAST if case.explicit and case.n < _LEAST else _MOST, f"{method}: the caller's choice."
    elif not case.explicit:
        yield from _operators(case)
    elif case.backend == "gpu":
        yield from _on_gpu(case)
    elif not case.finite:
        yield "gmres", 1, "gmres: A has entries that are not finite."
    elif case.dense is not None:
        yield "direct", 0, f"direct: A is dense, n = {case.n}."
        yield from _after_direct(case)
    else:
        yield from _sparse(case, tried)


def _operators(case):
    if case.hermitian:
        yield "cg", _MOST, "cg: A is an operator that seems Hermitian in two products."
        yield "minres", _MOST, "minres: A is an operator that seems Hermitian, and is not definite."
    yield "gmres", _LEAST, "gmres: A is an operator that is not Hermitian."
    yield "bicgstab", _MOST, "bicgstab: A is an operator with which gmres stagnates."


def _on_gpu(case):
    if case.hermitian:
        grid = case.grid_at_hand
        if grid is not None:
            yield "learned", _CYCLES, f"learned: A seems a stencil on the grid {_times(grid)}, on the GPU."
        yield "amg", _LEAST, f"amg: A is Hermitian and on the GPU, n = {case.n}."
        yield "cg", _MOST, "cg: A is Hermitian and on the GPU, where algebraic multigrid failed."
        yield "minres", _MOST, "minres: A is Hermitian, on the GPU, and not definite."
    yield "gmres", _LEAST, "gmres: A is on the GPU and not Hermitian."
    yield "bicgstab", _MOST, "bicgstab: A is on the GPU, and gmres failed."


def _sparse(case, tried):
    grid = case.grid_at_hand
    if grid is not None and (case.n > _GRID_FIRST or case.grid is not None):
        yield "learned", _CYCLES, f"learned: A seems a stencil on the grid {_times(grid)}."
    facts = case.facts
    ranks = _solve_choice.candidates(facts, grid is not None and not any(name == "learned" for name, _ in tried))
    for place, (_, name) in enumerate(ranks):
        if name == "direct":
            yield name, 0, _reason(facts, ranks, place)
            if tried[-1] != (name, Status.BREAKDOWN):  # else the memory may have been too small
                break
            continue
        sure = min((each for each, other in ranks[place + 1 :] if other in _SURE), default=math.inf)
        if _is_idle(name, tried) or _probe_seconds(facts, name) > _PROBE_SHARE * sure:
            continue
        most = _CYCLES if name == "learned" else _limit(facts, sure)
        if sure < math.inf and name in _WATCHED:
            case.watch = Watch(case.rtol, most)
        yield name, most, _reason(facts, ranks, place)
        case.watch = None
    yield from _after_direct(case)


def _is_idle(name, tried):
    """Whether what was tried tells that this one will fail too."""
    return any(status in _NOT_DEFINITE for _, status in tried) or (name == "ssor" and "ic" in dict(tried))


def _probe_seconds(facts, name):
    """Until it shows whether a triangular preconditioner serves: factors, or the estimate of omega, and 12 steps."""
    each = _solve_choice.iteration_seconds(facts)
    return {"ic": _solve_choice.setup_seconds(facts) + 12 * each, "ssor": 32 * each}.get(name, 0.0)


def _limit(facts, sure):
    """Iterations that an attempt gets where another one will take so many seconds for sure."""
    if sure == math.inf:
        return int(min(_MOST, max(_LEAST, _PATIENCE * facts.steps)))
    return int(min(_MOST, max(_LEAST_STEPS, _SHARE * sure / _solve_choice.iteration_seconds(facts))))


def _after_direct(case):
    """What is left where factors did not serve: A is singular, or nearly."""
    yield "pseudoinverse", 0, f"pseudoinverse: A is singular to working precision, n = {case.n}."
    yield from _krylov(case)


def _krylov(case):
    if case.hermitian:
        yield "minres", min(_MOST, 5 * case.n), "minres: A is Hermitian, and neither definite nor to be factorised."
    yield "gmres", _LEAST, "gmres: no factors and no definite method served."
    yield "bicgstab", min(_MOST, 10 * case.n), "bicgstab: gmres stagnated."


def _reason(facts, ranks, place):
    """One sentence with the numbers behind a choice."""
    seconds, name = ranks[place]
    what = f"n = {facts.n}, {facts.entries / facts.n:.1f} entries a row"
    if name == "direct":
        band = _solve_choice.prefers_band(facts)
        what += f", a band of {facts.width}" if band else f", some {facts.fill:.0f} entries a column of the factors"
    rivals = ", ".join(f"{other} {estimate:.2g} s" for estimate, other in ranks[place + 1 : place + 3])
    return f"{name}: {what}; {seconds:.2g} s expected" + (f" ({rivals})." if rivals else ".")


def _times(grid):
    return "x".join(str(size) for size in grid)
