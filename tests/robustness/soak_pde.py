"""Random calls of ``solvers.pde``, and their judges."""

from functools import partial

import numpy as np
from soak import Call
from spoilt import Broken, pick

from solvers import Status, pde

__all__ = ["make"]


class Field:
    """A known solution: a sum of waves and exponentials in each coordinate, with its derivatives."""

    def __init__(self, rng, d):
        self._waves = rng.uniform(0.5, pick(rng, 2.0, 6.0, 12.0), d)
        self._phases = rng.uniform(0, 6, d)
        self._scale = pick(rng, 1.0, 1.0, 1e-6, 1e6)

    def __call__(self, *x):
        return self.derivative((0,) * len(x), *x)

    def derivative(self, index, *x):
        out = self._scale
        for k, coordinate, w, phase in zip(index, x, self._waves, self._phases):
            out = out * w**k * np.sin(w * np.asarray(coordinate) + phase + k * np.pi / 2)
        return out


def _operator(rng, d):
    """An elliptic operator: indices to coefficients, some of which are functions."""
    kind = pick(rng, "laplace", "laplace", "helmholtz", "advection", "variable")
    if kind == "laplace":
        return pde.laplacian(d)
    if kind == "helmholtz":
        return pde.helmholtz(d, pick(rng, 0.5, 2.0))
    op = dict(pde.laplacian(d))
    if kind == "advection":
        return op | pde.advection(rng.uniform(-1, 1, d).tolist())
    return op | {(0,) * d: lambda *x: -1 - 0.5 * np.sin(sum(x))}


def _source(op, field, nonlinear):
    """op(u) + N(u) of a known u."""

    def f(*x):
        u = field(*x)
        total = sum((c(*x) if callable(c) else c) * field.derivative(index, *x) for index, c in op.items())
        return total if nonlinear is None else total + nonlinear[0](u)

    return f


def judge_solution(field, tol, box, result):
    """Converged means near to the true solution, everywhere in the box."""
    u = result.u
    assert u.shape == tuple(len(axis) for axis in result.axes)
    rng = np.random.default_rng(0)
    points = tuple(low + (high - low) * rng.random(50) for low, high in box)
    found, true = result.predict(np.stack(points, 1)), field(*points)
    assert np.isfinite(found).all()
    if result.status is Status.CONVERGED:
        size = np.sqrt(np.mean(true**2)) + np.sqrt(np.mean(u**2))
        error = np.sqrt(np.mean((found - true) ** 2)) / size
        assert error <= 100 * max(tol, 1e-9), error


def _box(rng, d):
    return [(low, low + pick(rng, 1.0, 2.0, 0.5)) for low in rng.uniform(-1, 1, d)]


def _solve(rng):
    d = pick(rng, 1, 1, 1, 2)
    box, field, op = _box(rng, d), Field(rng, d), _operator(rng, d)
    nonlinear = (lambda u: -(u**3), lambda u: -3 * u**2) if rng.random() < 0.15 and field._scale <= 1 else None
    if nonlinear is not None and np.any(np.asarray(op.get((0,) * d, 0.0), object) != 0.0):
        nonlinear = None  # u'' + 4 u - u^3 = f has several solutions
    bc = field
    if rng.random() < 0.3:
        bc = {(axis, side): field for axis in range(d) for side in (0, 1)}
        if rng.random() < 0.5:
            first = (1,) + (0,) * (d - 1)
            bc[0, 1] = ("neumann", partial(field.derivative, first))
    arguments = dict(op=op, f=_source(op, field, nonlinear), box=box, bc=bc)
    arguments["tol"] = tol = pick(rng, 1e-8, 1e-4, 1e-6)
    if rng.random() < 0.6:
        arguments["n"] = pick(rng, 6, 20, 33) if d == 1 else pick(rng, 8, 14, (9, 12))
    if nonlinear is not None:
        arguments |= {"nonlinear": nonlinear, "maxiter": pick(rng, 1, 30)}
    if rng.random() < 0.1:
        arguments["form"] = pick(rng, "strong", "weak")
    if rng.random() < 0.2:
        arguments["grid"] = "uniform"
    if rng.random() < 0.2:
        arguments["kernel"] = pick(
            rng, pde.Matern(0.3), pde.SquaredExponential(0.5), pde.SpectralMixture([0.0, 6.0], 0.5)
        )
    if rng.random() < 0.1:
        arguments["callback"] = pick(rng, _stops, _raises, lambda u: None)
    if d == 2 and "n" not in arguments:
        arguments["n"] = 16
    return Call(pde.solve_gp, arguments, partial(judge_solution, field, tol, box))


def _stops(*_):
    raise StopIteration


def _raises(*_):
    raise Broken("by the callback")


def judge_noisy(result):
    assert np.isfinite(result.u).all() and np.isfinite(result.std).all() and (result.std >= 0).all()
    assert result.noise > 0


def _noisy(rng):
    d = pick(rng, 1, 1, 2)
    box, field = _box(rng, d), Field(rng, d)
    field._scale = 1.0
    op = pde.laplacian(d)
    axes = pde.nodes(box, pick(rng, 12, 24), grid="uniform")
    grids = np.meshgrid(*axes, indexing="ij")
    clean = _source(op, field, None)(*grids)
    level = pick(rng, 0.01, 0.1, 1.0) * (np.abs(clean).max() + 1e-9)
    values = clean + level * rng.standard_normal(clean.shape)
    arguments = dict(op=op, f=values, box=box, bc=field, noise=pick(rng, "auto", float(level)), grid="uniform")
    return Call(pde.solve_gp, arguments, judge_noisy)


def _infer_source(rng):
    d = pick(rng, 1, 1, 2)
    box, field, op = _box(rng, d), Field(rng, d), _operator(rng, d)
    axes = pde.nodes(box, pick(rng, 12, 30), grid="uniform")
    u = field(*np.meshgrid(*axes, indexing="ij"))
    level = pick(rng, 1e-3, 1e-2) * (np.abs(u).max() + 1e-9)
    u = u + level * rng.standard_normal(u.shape)

    def judge(result):
        assert result.f.shape == u.shape and np.isfinite(result.f).all() and (result.std >= 0).all()
        assert np.isclose(
            result.residual, np.sqrt(np.mean((u - result.u) ** 2)), rtol=1e-6, atol=1e-12 * np.abs(u).max()
        )

    arguments = dict(op=op, u_obs=u, box=box, bc=pick(rng, field, None), noise=pick(rng, "auto", float(level)))
    return Call(pde.infer_source, arguments, judge)


def _infer_coefficients(rng):
    d = pick(rng, 1, 1, 2)
    box, field = _box(rng, d), Field(rng, d)
    operators = [{tuple(2 * (i == j) for i in range(d)): 1.0} for j in range(d)]
    theta = rng.uniform(0.5, 2, d)

    def f(*x):
        return sum(t * field.derivative(next(iter(op)), *x) for t, op in zip(theta, operators))

    axes = pde.nodes(box, pick(rng, 16, 30), grid="uniform")
    u = field(*np.meshgrid(*axes, indexing="ij"))
    u = u + 1e-3 * np.abs(u).max() * rng.standard_normal(u.shape)

    def judge(result):
        assert result.theta.shape == (d,) and (result.std >= 0).all()

    arguments = dict(operators=operators, u_obs=u, f=f, box=box, bc=field, maxiter=pick(rng, 1, 30))
    if rng.random() < 0.3:
        arguments["theta0"] = np.ones(d)
    return Call(pde.infer_coefficients, arguments, judge)


def _adam(rng):
    field = Field(rng, 1)
    field._scale = 1.0
    op, box = pde.laplacian(1), _box(rng, 1)
    arguments = dict(
        op=op, f=_source(op, field, None), box=box, bc=field, n=12, method="adam", maxiter=pick(rng, 5, 40)
    )
    # As many steps as are asked for are taken: no nonsense of 10^300 here.
    judge = partial(judge_solution, field, 1e-4, box)
    return Call(pde.solve_gp, arguments | {"tol": 1e-4}, judge, fixed=("maxiter", "n"))


def predicted(f, box, bc, n, points, derivative, return_std):
    """A solution read off somewhere."""
    return pde.solve_gp(pde.laplacian(1), f, box, bc, n=n).predict(points, derivative, return_std)


def _predict(rng):
    arguments = dict(
        f=1.0, box=[(0.0, 1.0)], bc=0.0, n=12, points=(rng.random(5),), derivative=pick(rng, None, (1,), (2,))
    )
    arguments |= {"return_std": False}
    return Call(predicted, arguments, names=("derivative", "return_std", "points", "tol"))


def _small(rng):
    """What makes operators, kernels and nodes."""
    which = int(rng.integers(7))
    if which == 0:
        return Call(pde.laplacian, {"d": pick(rng, 1, 2, 3)})
    if which == 1:
        return Call(pde.helmholtz, {"d": pick(rng, 1, 2), "k": pick(rng, 0.0, 3.0, 1e5)})
    if which == 2:
        return Call(pde.advection, {"b": pick(rng, [1.0], [1.0, 2.0], [np.sin])})
    if which == 3:
        return Call(pde.div_grad, {"a": pick(rng, np.exp, lambda x, y: x + y), "d": pick(rng, None, 1, 2)})
    if which == 4:
        return Call(
            pde.nodes, {"box": _box(rng, 2), "n": pick(rng, 4, (3, 5)), "grid": pick(rng, "legendre", "uniform")}
        )
    if which == 5:
        mixture = dict(frequencies=rng.uniform(0, 9, 3), scales=pick(rng, 1.0, rng.uniform(0.1, 1, 3)), weights=1.0)
        return Call(pde.SpectralMixture, mixture | {"envelope": pick(rng, "gaussian", "matern")})
    return Call(pick(rng, pde.Matern, pde.SquaredExponential), {"length": pick(rng, 1.0, 1e-3)})


PARTS = (
    (_solve,) * 6
    + (_noisy, _noisy, _infer_source, _infer_source, _infer_coefficients, _infer_coefficients, _adam)
    + (
        _predict,
        _small,
        _small,
        _small,
        _small,
    )
)


def make(rng):
    """One call of the area."""
    return PARTS[int(rng.integers(len(PARTS)))](rng)
