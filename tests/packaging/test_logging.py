"""Standard logging: silent by default, one line a solve where it is asked for."""

import logging
import pathlib

import numpy as np

from solvers import inverse, linalg, pde, transport

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(maxiter):
    M = np.outer([1.0, 2.0, 3.0], [1.0, 2.0])
    return inverse.krosbl([np.eye(3), np.eye(2)], M, noise_level=0.1, maxiter=maxiter)


def test_nothing_is_printed_by_default(python):
    script = """
import numpy as np
from solvers import inverse
inverse.krosbl([np.eye(3)], np.ones(3), noise_level=0.1, maxiter=1)
"""
    done = python("-c", script, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_failures_are_warnings_and_successes_debug(caplog):
    with caplog.at_level(logging.DEBUG, logger="solvers"):
        good, bad = run(100), run(1)
    assert good.converged and not bad.converged
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("DEBUG", good.message), ("WARNING", bad.message)
    ]


def test_every_solution_of_an_equation_is_logged(caplog):
    (x,) = pde.nodes([(0, 1)], 32, grid="uniform")
    f = lambda x: -(np.pi**2) * np.sin(np.pi * x)
    u = np.sin(np.pi * x) + 1e-3 * np.random.default_rng(0).standard_normal(32)
    with caplog.at_level(logging.DEBUG, logger="solvers"):
        results = [
            pde.infer_source({(2,): 1.0}, u, [(0, 1)], 0),
            pde.infer_coefficients([{(2,): 1.0}], u, f, [(0, 1)], 0),
            pde.solve_gp({(2,): 1.0}, f, [(0, 1)], 0, method="adam", n=12, maxiter=2),
        ]
    messages = [record.getMessage() for record in caplog.records]
    assert all(result.message in messages for result in results)


def test_the_parts_of_a_solve_are_silent(caplog):
    ends = []

    class Watch:
        def on_chunk(self, iteration, norm):
            """Not of interest here."""

        def on_end(self, result):
            ends.append(result.method)

    with caplog.at_level(logging.DEBUG, logger="solvers"):
        A = linalg.LinearOperator((60, 60), matvec=lambda x: np.where(np.arange(60) % 2, -1.0, 1.0) * x, dtype=float)
        solution = linalg.solve(A, np.ones(60), callback=Watch())
        X = np.random.default_rng(0).random((9, 2))
        divergence = transport.sinkhorn_divergence(X, X + 1, eps=0.1, callback=Watch())
    assert solution.converged and solution.tried  # an attempt failed, which is no end of the solve
    assert [r.getMessage() for r in caplog.records] == [solution.message, divergence.message]
    assert ends == ["solve", "sinkhorn_divergence"]
