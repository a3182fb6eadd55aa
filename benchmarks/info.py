"""``solvers info``: versions, threads, backends, the kernel cache, and how to choose a method."""

import textwrap

__all__ = ["add_arguments"]

_CHOOSING = (
    ("symmetric positive definite", "cg", "diffusion, elasticity, least squares by normal equations"),
    (
        "symmetric, maybe indefinite",
        "minres",
        "saddle points, shifted operators; M must be positive definite",
    ),
    ("not symmetric", "gmres", "robust; its memory grows with `restart`"),
    ("not symmetric, little memory", "bicgstab", "short recurrences; may break down, and then says so"),
    ("many right-hand sides", "cg(A, B)", "B of shape (n, k), each column with its own stopping"),
    ("many solves with one A", "prepare(A)", "checks, conversions and analysis done once"),
    ("too many iterations", "M=...", "ic, amg; on grids MultigridPreconditioner; jumps in scale: the inverse diagonal"),
    ("one solve, no M at hand", "solve(A, b)", "looks at the matrix, and says what it took and why"),
    ("a sequence of systems", "TunedSSORCG", "omega learned from the counts; TunedSOR, Tuned for a parameter of yours"),
)


def add_arguments(parser):
    """``solvers info`` takes none."""
    parser.set_defaults(run=_info)


def _info(args, argv):
    import solvers
    from solvers import _namesakes

    from . import machine

    found = {name: version or "not installed" for name, version in machine.versions().items()}
    _section("versions", found)
    if others := _namesakes.namesakes():
        print("other distributions of this name")
        for sentence in others:
            print(textwrap.fill(sentence, 110, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    _section("machine", {"cpu": machine.cpu_model(), "threads": f"{solvers.get_threads()} of {machine.cores()}"})
    _section("backends", {name: reason or _available(name) for name, reason in solvers.backends().items()})
    _section("kernel cache", {"folder": machine.kernel_cache()})
    print("how to choose a method")
    for case, choice, remark in _CHOOSING:
        print(f"  {case:<30}{choice:<12}{remark}")
    return 0


def _available(name):
    """The GPU says which one it is, and what the functions that are cupyx's lack there."""
    from . import gpu

    if name != "gpu":
        return "available"
    lacking = gpu.missing(with_cupyx=True)
    return f"available: {gpu.one_line()}" + (f"; but spsolve, eigsh and the like are not: {lacking}" if lacking else "")


def _section(title, entries):
    print(title)
    for name, value in entries.items():
        filled = {"initial_indent": "  ", "subsequent_indent": " " * 16, "break_on_hyphens": False}
        print(textwrap.fill(f"{name:<14}{value}", 110, **filled))
