"""Calls of all areas whose answers are compared bit by bit: large enough for parallel kernels, over in an instant."""

import functools

import numpy as np
from scipy import sparse

from solvers import inverse, linalg, pde, transport

__all__ = ["CALLS", "answer", "answers", "watched"]


@functools.lru_cache
def data():
    """What the calls work on: arrays that nobody may write to."""
    rng = np.random.default_rng(0)
    line = sparse.diags_array([-np.ones(299), np.full(300, 2.0), -np.ones(299)], offsets=[-1, 0, 1])
    A = sparse.csr_array(sparse.kronsum(line, line))
    clouds = rng.standard_normal((2, 500, 3))
    return {
        "A": A,
        "b": rng.standard_normal(A.shape[0]),
        "B": rng.standard_normal((A.shape[0], 3)),
        "small": sparse.csr_array(sparse.kronsum(line.tocsr()[:12, :12], line.tocsr()[:12, :12])),
        "X": clouds[0],
        "Y": clouds[1] + 1,
        "C": rng.random((500, 450)),
        "batch": rng.random((6, 60, 50)),
        "image": rng.random((48, 48)),
    }


def watched():
    """All arrays of ``data``."""
    for value in data().values():
        yield from (value.data, value.indices, value.indptr) if sparse.issparse(value) else (value,)


def cg():
    return linalg.cg(data()["A"], data()["b"], maxiter=60).x


def many():
    return linalg.cg(data()["A"], data()["B"], maxiter=40).x


def minres():
    return linalg.minres(data()["A"], data()["b"], maxiter=30).x


def sor():
    return linalg.sor(data()["A"], data()["b"], ordering="colored", omega=1.9, maxiter=30).x


def preconditioned():
    A = data()["A"]
    return linalg.cg(A, data()["b"], M=linalg.ic(A), maxiter=20).x


def solve():
    return linalg.solve(data()["small"], np.ones(144)).x


def tuned():
    solver = linalg.TunedSOR(rng=0)
    for _ in range(4):
        solver(data()["small"], np.ones(144), maxiter=300)
    return solver.omegas, solver.costs, solver.contexts


def least_squares():
    return linalg.lsqr(data()["A"], data()["b"], iter_lim=15).x


def sinkhorn():
    return transport.sinkhorn(data()["C"], eps=0.05, tol=1e-8).potentials


def newton():
    return transport.sinkhorn(data()["C"][:150, :150], eps=1e-3, method="newton", tol=1e-8).potentials


def unbalanced():
    return transport.sinkhorn(data()["C"], eps=0.05, marginal_penalty=1.0).potentials


def clouds():
    return transport.sinkhorn(transport.PointCloud(data()["X"], data()["Y"]), eps=1.0).potentials


def batch():
    result = transport.sinkhorn(data()["batch"], eps=0.05)
    return (*result.potentials, result.value)


def sliced():
    result = transport.sliced_wasserstein(data()["X"], data()["Y"], rng=0, grad=True)
    return result.values, result.grad_X


def pairwise():
    X = data()["X"]
    return transport.pairwise_sliced_wasserstein([X, X[:200] + 1, X[100:]], rng=0)


def partial():
    return transport.partial(data()["C"][:80, :90], mass=0.7, eps=0.05).potentials


def source(x, y):
    return np.sin(3 * x) * np.cos(2 * y)


def gp():
    return pde.solve_gp(pde.laplacian(2), source, [(0, 1)] * 2, 0, n=24).u


def tomography():
    A = inverse.ParallelBeam((48, 48), 40)
    b = A @ data()["image"]
    return b, inverse.least_squares(A, b, maxiter=8).x


def pnp():
    A = inverse.Blur(np.ones((3, 3)) / 9, (48, 48))
    return inverse.pnp(A, A @ data()["image"], inverse.tv(0.1), maxiter=3).x


def sample():
    A = inverse.Inpainting(data()["image"] > 0.3)
    prior = inverse.Smoothness(2 * inverse.Gradient((48, 48)), np.zeros((48, 48)))
    b = A @ data()["image"]
    return inverse.sample(A, b, prior=prior, method="gaussian", noise_level=0.1, n_samples=2, rng=0).samples


def complete():
    M = np.outer(np.arange(1.0, 31), np.arange(1.0, 21))
    return np.asarray(inverse.complete(M, 1, mask=data()["image"][:30, :20] > 0.5, rng=0).x)


#: name: function () -> array or tuple of arrays
CALLS = {
    call.__name__: call
    for call in (
        cg,
        many,
        minres,
        sor,
        preconditioned,
        solve,
        tuned,
        least_squares,
        sinkhorn,
        newton,
        unbalanced,
        clouds,
        batch,
        sliced,
        pairwise,
        partial,
        gp,
        tomography,
        pnp,
        sample,
        complete,
    )
}


def answer(name):
    """The bits of one call's answer."""
    found = CALLS[name]()
    return tuple(np.asarray(each).tobytes() for each in (found if isinstance(found, tuple) else (found,)))


def answers(names=tuple(CALLS)):
    """Those of several, by name."""
    return {name: answer(name) for name in names}
