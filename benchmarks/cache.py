"""``solvers cache``: where compiled kernels are kept, how large that is, how to clear and fill it."""

import pathlib
import time
from types import ModuleType

from . import machine
from ._registry import UsageError, present

__all__ = ["add_arguments", "clear", "contents", "warm"]


def add_arguments(parser):
    """The command's arguments."""
    parser.add_argument(
        "what", nargs="?", choices=("show", "clear", "warm"), default="show",
        help="show: folder and size (the default); clear: delete it; warm: compile what typical calls need",
    )
    parser.set_defaults(run=_run)


def contents():
    """The folder, and our files in it: a list, empty where nothing is kept."""
    folder = machine.kernel_cache()
    if not present("numba") or not pathlib.Path(folder).is_dir():
        return folder, []
    from solvers.kernels import cpu

    names = {m.__name__.rpartition(".")[2] for m in vars(cpu).values() if isinstance(m, ModuleType)}
    # Numba names a file MODULE.FUNCTION-LINE.pyVERSION.(nbi|N.nbc).
    files = [f for f in pathlib.Path(folder).iterdir() if f.suffix in (".nbi", ".nbc")]
    return folder, sorted(f for f in files if f.name.partition(".")[0] in names)


def clear():
    """Delete our files; returns how many and their bytes. Another process may have been first."""
    files, size = 0, 0
    for file in contents()[1]:
        try:
            size += file.stat().st_size
            file.unlink()
            files += 1
        except FileNotFoundError:
            continue
    return files, size


def warm(say=print):
    """Make typical calls of each area, so that their kernels are compiled and kept; returns the seconds."""
    began = time.perf_counter()
    for name, calls in _CALLS.items():
        start = time.perf_counter()
        calls()
        say(f"{name:<28}{time.perf_counter() - start:6.1f} s")
    return time.perf_counter() - began


def _linear_systems():
    import numpy as np
    from scipy import sparse

    from solvers import linalg

    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(30, 30))
    grid = sparse.kronsum(line, line).tocsr()
    draws = np.random.default_rng(0).random((900, 900))
    scattered = sparse.csr_array(np.where(draws < 0.01, 100 * draws, 0))
    scattered = (scattered + scattered.T + 20 * sparse.eye_array(900)).tocsr()
    for dtype in (np.float64, np.float32):
        for A in (grid, scattered, grid.toarray()):
            b = np.ones(900, dtype)
            for function in (linalg.cg, linalg.minres, linalg.bicgstab, linalg.gmres, linalg.lsqr, linalg.lsmr):
                function(A.astype(dtype), b)
            linalg.cg(A.astype(dtype), np.ones((900, 4), dtype))
        linalg.ssor_cg(grid.astype(dtype), b)
        linalg.cg(grid.astype(dtype), b, M=linalg.incomplete_cholesky(grid.astype(dtype)))
    linalg.cg(linalg.stencil((30, 30), [4, -1, -1]), np.ones(900))
    linalg.sor(grid, np.ones(900), maxiter=5)


def _multigrid():
    import functools

    import numpy as np
    from scipy import sparse

    from solvers import linalg

    for name, n, d in (("mg2d-poisson", 32, 2), ("mg3d-poisson", 16, 3)):
        line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
        A = functools.reduce(sparse.kronsum, [line] * d).tocsr()
        linalg.cg(A, np.ones(n**d), M=linalg.MultigridPreconditioner.pretrained(name).setup(A, grid=(n,) * d))


def _transport():
    import numpy as np

    from solvers import transport

    rng = np.random.default_rng(0)
    X, Y = rng.random((2, 60, 3))
    for C in (rng.random((60, 50)), transport.PointCloud(X, Y)):
        for method in ("log", "scaling", "newton"):
            transport.sinkhorn(C, eps=0.05, method=method)
    transport.sliced_wasserstein(X, Y, rng=0)


_CALLS = {"linear systems": _linear_systems, "multigrid": _multigrid, "transport": _transport}


def _run(args, argv):
    if args.what == "warm":
        if not contents()[0] or not pathlib.Path(contents()[0]).is_dir():
            raise UsageError(f"There is no folder for compiled kernels: {contents()[0]}.")
        print(f"warmed in {warm():.0f} seconds")
    if args.what == "clear":
        files, size = clear()
        print(f"deleted {files} files, {size / 1e6:.1f} MB")
    folder, files = contents()
    print(f"{folder}: {len(files)} files, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB")
    return 0
