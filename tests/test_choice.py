"""What a function with several ways took is `Result.choice`, in every area; `method` is the function's name."""

import numpy as np
import pytest

from solvers import Result, inverse, linalg, pde, transport

C = np.random.default_rng(0).random((12, 12))
BLUR = inverse.Blur(np.ones((3, 3)) / 9, (8, 8))
DATA = BLUR @ np.pad(np.ones((4, 4)), 2)
X = np.random.default_rng(1).random((9, 2))


@pytest.mark.parametrize(
    ("name", "choice", "call"),
    [
        ("cg", None, lambda: linalg.cg(np.eye(3), np.ones(3))),
        ("solve", "direct", lambda: linalg.solve(np.eye(3), np.ones(3))),
        ("sinkhorn", "sor", lambda: transport.sinkhorn(C, eps=1.0)),
        ("sinkhorn", "log", lambda: transport.sinkhorn(C, eps=1.0, method="log")),
        ("sinkhorn", "scaling", lambda: transport.sinkhorn(C, eps=1.0, method="scaling")),
        ("sinkhorn", "log", lambda: transport.sinkhorn(transport.PointCloud(X, X), eps=1.0, method="scaling")),
        ("sinkhorn", "newton", lambda: transport.sinkhorn(C, eps=0.01)),
        ("sinkhorn", ("sor", "newton"), lambda: transport.sinkhorn([C, C], eps=[1.0, 0.003])),
        ("sinkhorn", "newton", lambda: transport.sinkhorn([C, C], eps=[1.0, 0.003])[1]),
        ("sinkhorn", "log", lambda: transport.sinkhorn(C, eps=1.0, marginal_penalty=1.0)),
        ("sinkhorn_divergence", None, lambda: transport.sinkhorn_divergence(X, X + 1, eps=0.1)),
        ("solve_gp", "least squares", lambda: pde.solve_gp(pde.laplacian(1), lambda x: 0 * x, [(0, 1)], lambda x: x)),
        ("least_squares", "cgls", lambda: inverse.least_squares(BLUR, DATA, noise_level=0.1)),
        ("least_squares", "hybrid", lambda: inverse.least_squares(BLUR, DATA, regularization="gcv", maxiter=5)),
        ("pnp", "admm", lambda: inverse.pnp(BLUR, DATA, inverse.tv(0.1), maxiter=2)),
        ("pnp", "hqs", lambda: inverse.pnp(BLUR, DATA, inverse.nlm(), noise_level=0.1, maxiter=2)),
        ("sample", "dds", lambda: inverse.sample(BLUR, DATA, denoiser=inverse.tv(0.1), n_steps=2, rng=0)),
        ("complete", "exact", lambda: inverse.complete(np.ones((4, 4)), 1, mask=np.ones((4, 4), bool), rng=0)),
        ("recover", "scaled", lambda: inverse.recover(np.eye(16), np.ones(16), (4, 4), 1)),
    ],
)
def test_what_was_chosen_is_said(name, choice, call):
    result = call()
    assert isinstance(result, Result) and (result.method, result.choice) == (name, choice)
    assert result.to_dict()["choice"] == (list(choice) if isinstance(choice, tuple) else choice)
    if isinstance(result.status, tuple):
        return
    assert type(result.iterations) is int and {type(result.residual), type(result.threshold)} <= {int, float}
    assert type(result.n_matvec) is int and type(result.seconds) is float


def test_a_divergence_counts_for_its_three_problems():
    result = transport.sinkhorn_divergence(X, X + 1, eps=0.1)
    parts = result.xy, result.xx, result.yy
    assert result.iterations == sum(part.iterations for part in parts) > parts[0].iterations
    assert result.residual == max(part.residual for part in parts) and result.n_matvec == result.iterations
    told = []

    class Watch:
        def on_chunk(self, iteration, norm):
            told.append(iteration)

    assert transport.sinkhorn_divergence(X, X + 1, eps=0.1, callback=Watch()).value == result.value and len(told) >= 3
