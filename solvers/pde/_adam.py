"""The published method: Adam over the solution at the nodes, the kernels and the precisions, all at once.

GP-HM [1] models u by a Gaussian process with the kernel of a spectral mixture (Gaussian: GM, Matern: StM) on each axis,
K_i + 1e-6 I on a uniform grid with its ends, and minimises

    sum_i (N / n_i) / 2 log|K_i| + <K_1^-1 U, U K_2^-1> / 2
      - lambda (N_b / 2 log tau - tau / 2 |u_b - g|^2) - N / 2 log v + v / 2 |L u + N(u) - f|^2,

where derivatives of u are those of the conditional mean: u_xx = K_1'' K_1^-1 U. The gradients are written out here, and
taken of the n distances (see ``_gram``); a step is some dense factorisations and products of the axes' sizes.

It is here to be compared with. The linear algebra of the other method needs milliseconds for what this one nears in
10^5 steps, and its Gram matrices stop at 1e-4 to 1e-7.

References
----------
.. [1] S. Fang, M. Cooley, D. Long, S. Li, R. Kirby, S. Zhe, Solving high frequency and multi-scale PDEs with Gaussian
   processes, ICLR 2024, arXiv:2311.04465.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from .._errors import InvalidInput
from .._loop import told
from .._result import Status
from .._tensors import mode_products
from ._gram import Line, Mixture, diagonal_sums, lag_sums
from ._kernels import SpectralMixture, of_each_axis
from ._solution import GPSolution
from ._source import sizes_of
from ._translates import BETWEEN, Translates

__all__ = ["MAXITER", "Adam", "Objective", "Trained", "published_kernel", "train"]

# As published: steps of Adam, the weight of the data at the sides (for operators of first order), the mixture.
RATE, SIDES, SIDES_FIRST_ORDER = 1e-2, 200.0, 500.0
COMPONENTS, HIGHEST = 30, 20.0
NODES = {1: 400, 2: 200}
MAXITER = 1000
# Checkpoints of a run.
_CHECKS = 20
# Some eight matrices of this size are alive at once, a gigabyte together.
_MOST = 4096


@dataclass(frozen=True)
class Trained:
    """What is known of a solution by Adam.

    Attributes
    ----------
    error : float
        ``distance`` plus ``reference``; infinite where the latter is.
    distance : float
        To the solution by linear algebra (``method="auto"``) of the same equation, in the mean square between the
        nodes, relative to that solution: the published method has nothing that tells its error. An equation with
        several solutions can have another one there.
    reference : float
        That solution's own estimate.
    relative_residual : float
        The norm of the residual between the nodes, over the size of the terms.
    objective : ndarray, shape (iterations,)
        What Adam lowers, before each step.
    kernels : tuple of SpectralMixture
        As they were learned; they can be given to either method as its ``kernel``.
    """

    error: float
    distance: float
    reference: float
    relative_residual: float
    objective: np.ndarray
    kernels: tuple


def published_kernel():
    """The published start: 30 frequencies from 0 to 20 cycles per unit of length, each of weight 1/30 and length 1."""
    frequencies = 2 * math.pi * np.linspace(0.0, HIGHEST, COMPONENTS)
    return SpectralMixture(frequencies, 1.0, 1.0 / COMPONENTS, envelope="matern")


class Objective:
    """The negative logarithm of the joint density, and its gradient.

    Parameters
    ----------
    lines : list of Line
    c : float
        The operator's coefficient of u itself.
    F : ndarray, shape (n_1,) or (n_1, n_2)
        The source at the nodes.
    N : Nonlinear or None
    sides : list of (axis, index, values)
        Data at the ends of axes; corners belong to two of them, as published.
    strength : float
        lambda.
    """

    def __init__(self, lines, c, F, N, sides, strength):
        self.lines, self._c, self._F, self._N, self._sides, self._strength = lines, c, F, N, sides, strength
        self._mesh = np.ix_(*(line.x for line in lines))
        self._count = sum(np.size(g) for *_, g in sides)

    def start(self, mixtures):
        """u = 0, log tau = log v = 0, and the kernels' parameters, in one vector."""
        return np.concatenate([np.zeros(self._F.size + 2), *(m.parameters.ravel() for m in mixtures)])

    def parts(self, theta):
        """u, (log tau, log v), and the parameters (3, q) of each axis, as views."""
        size = self._F.size
        kernels = theta[size + 2 :].reshape(len(self.lines), 3, -1)
        return theta[:size].reshape(self._F.shape), theta[size : size + 2], kernels

    def __call__(self, theta):
        """The value and the gradient by all of theta."""
        U, (log_tau, log_v), kernels = self.parts(theta)
        for line, parameters in zip(self.lines, kernels, strict=True):
            line.update(parameters)
        gradient = np.empty_like(theta)
        by_u, by_precision, by_kernels = self.parts(gradient)
        P = [_along(line.A, U, i) for i, line in enumerate(self.lines)]
        R = self._residual(U, P)
        W = math.exp(log_v) * R
        Z = P[0] if len(P) == 1 else _along(self.lines[0].A, P[1], 0)
        by_u[...] = Z + self._c * W
        if self._N is not None:
            by_u += self._N.derivative(U, self._mesh) * W
        for i, line in enumerate(self.lines):
            S = _along(line.A, _along(line.H.T, W, i), i)
            by_u += S
            g = U.size / line.n / 2 * diagonal_sums(line.A) - lag_sums(0.5 * Z + S, P[i], i)[0]
            by_kernels[i] = line.pull(g, *lag_sums(W, P[i], i))
        gap = self._at_sides(U, by_u, math.exp(log_tau))
        by_precision[0] = -self._strength / 2 * (self._count - math.exp(log_tau) * gap)
        by_precision[1] = 0.5 * (np.vdot(W, R) - U.size)
        value = 0.5 * sum(U.size / line.n * line.logdet for line in self.lines) + 0.5 * np.vdot(Z, U)
        value -= self._strength / 2 * (self._count * log_tau - math.exp(log_tau) * gap)
        return float(value + 0.5 * np.vdot(W, R) - 0.5 * U.size * log_v), gradient

    def _residual(self, U, P):
        R = self._c * U - self._F
        for i, line in enumerate(self.lines):
            R += _along(line.H, P[i], i)
        return R if self._N is None else R + self._N(U, self._mesh)

    def _at_sides(self, U, by_u, tau):
        """The squared distance to the data at the sides; its part of the gradient is added."""
        total = 0.0
        for axis, index, g in self._sides:
            side = (slice(None),) * axis + (index,)
            gap = U[side] - g
            total += float(np.sum(gap * gap))
            by_u[side] += self._strength * tau * gap
        return total


class Adam:
    """Adam's steps on theta, with the published constants."""

    def __init__(self, size):
        self._mean, self._square, self._steps = np.zeros(size), np.zeros(size), 0

    def step(self, theta, gradient):
        """theta after one step."""
        self._steps += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient * gradient - self._square)
        mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
        return theta - RATE * mean / (np.sqrt(square) + 1e-8)


def train(problem, n, kernel, maxiter, reference, callback=None):
    """Solve by Adam.

    Parameters
    ----------
    problem : _Problem
        What ``solve_gp`` has checked.
    n, kernel, maxiter, callback : as in ``solve_gp``
    reference : function
        Called without arguments, the GPSolution that the error is told by.

    Returns
    -------
    GPSolution
    """
    start = time.perf_counter()
    d = len(problem.box)
    refuse(problem)
    sizes = (NODES.get(d),) * d if isinstance(n, str) else sizes_of(n, d)
    if max(sizes) > _MOST:
        raise InvalidInput(
            f"`n` must be at most {_MOST} for method='adam', which stores matrices of n x n, got {max(sizes)}."
        )
    objective, theta = _objective(problem, of_each_axis(kernel, d) or (published_kernel(),) * d, sizes)
    run = _Run(problem, objective, reference(), callback)
    theta, status = run.to_the_end(theta, MAXITER if maxiter is None else problem.maxiter)
    grid, alpha = run.posterior(theta)
    trained = run.known(grid, alpha)
    return GPSolution(
        grid=grid, U=alpha, estimate=trained, choice="adam", status=status, iterations=len(run.values),
        residuals=np.array(run.errors), residual=trained.relative_residual, threshold=problem.tol,
        n_matvec=len(run.values), seconds=time.perf_counter() - start, backend="cpu", method="solve_gp",
    )  # fmt: skip


def refuse(problem):
    """What the published method does not know."""
    d, terms = len(problem.box), problem.terms
    if d > 2:
        raise InvalidInput(f"`box` must have 1 or 2 dimensions for method='adam', got {d}; use method='auto'.")
    if terms.varying:
        raise InvalidInput(
            f"`op` must have constant coefficients for method='adam', got a function at {next(iter(terms.varying))}; "
            "use method='auto'."
        )
    for index in terms.constant:
        if np.count_nonzero(index) > 1 or sum(index) > 2:
            raise InvalidInput(
                f"`op` must have first and second derivatives along single axes for method='adam', got {index}; "
                "use method='auto'."
            )
    for axis, ends in enumerate(problem.boundary.ends):
        for side, derivative in ends:
            if derivative:
                raise InvalidInput(
                    f"`bc[{axis}, {side}]` must be values for method='adam', got a derivative; use method='auto'."
                )
    if problem.f.shape is not None:
        raise InvalidInput("`f` must be a function or a number for method='adam', got values at nodes.")


def _objective(problem, kernels, sizes):
    if len({(k.envelope, k.frequencies.size) for k in kernels}) > 1:
        raise InvalidInput("`kernel` must have as many frequencies and one envelope on all axes for method='adam'.")
    d, constant = len(problem.box), problem.terms.constant
    along = [[constant.get(tuple(k * (i == j) for j in range(d)), 0.0) for k in (1, 2)] for i in range(d)]
    lines = [Line(*problem.box[i], sizes[i], kernels[i].envelope, *along[i]) for i in range(d)]
    sides = []
    for axis, side in problem.boundary.data:
        others = [line.x for i, line in enumerate(lines) if i != axis]
        sides.append((axis, -side, problem.boundary.values(axis, side, others).reshape([len(x) for x in others])))
    strength = SIDES if any(second for _, second in along) else SIDES_FIRST_ORDER
    F = problem.f(np.ix_(*(line.x for line in lines)))
    objective = Objective(lines, constant.get((0,) * d, 0.0), F, problem.N, sides, strength)
    return objective, objective.start([Mixture.of(kernel) for kernel in kernels])


class _Run:
    """One run: the steps, and what is known at its checkpoints."""

    def __init__(self, problem, objective, reference, callback):
        self._problem, self._objective, self._callback = problem, objective, callback
        self._reference = reference
        self._points = tuple(line.x[:-1] + BETWEEN * (line.x[1] - line.x[0]) for line in objective.lines)
        self._truth = reference.predict(self._points)
        self.values, self.errors = [], []

    def to_the_end(self, theta, maxiter):
        """The last theta, and how it ended."""
        adam, every = Adam(theta.size), max(1, maxiter // _CHECKS)
        last, status = theta, None
        while status is None:
            value, gradient = self._evaluated(theta)
            if value is None:
                # The last step went where the Gram matrix or the nonlinear term has no number.
                self.errors.append(self._error(*self.posterior(last))[0])
                return last, Status.STAGNATED
            step = len(self.values)
            if step % every == 0 or step == maxiter:
                status = self._check(theta, step)
            if status is None and step == maxiter:
                status = Status.MAXITER
            if status is None:
                self.values.append(value)
                last, theta = theta, adam.step(theta, gradient)
        return theta, status

    def _evaluated(self, theta):
        """The objective and its gradient, or None twice where they have no finite value."""
        try:
            with np.errstate(all="ignore"):
                value, gradient = self._objective(theta)
        except np.linalg.LinAlgError:
            return None, None
        return (value, gradient) if math.isfinite(value) and np.all(np.isfinite(gradient)) else (None, None)

    def _check(self, theta, step):
        self.errors.append(self._error(*self.posterior(theta))[0])
        if self.errors[-1] <= self._problem.tol:
            return Status.CONVERGED
        stopped = told(self._callback, step, self.errors[-1], lambda: self._objective.parts(theta)[0].copy())
        return Status.STOPPED if stopped else None

    def posterior(self, theta):
        """The posterior mean sum_j alpha_j k(x - x_j) of theta's kernels, as a grid and its coefficients alpha."""
        U, _, parameters = self._objective.parts(theta)
        lines = self._objective.lines
        mixtures = [Mixture(line.name, p.copy()) for line, p in zip(lines, parameters, strict=True)]
        for line, mixture in zip(lines, mixtures, strict=True):
            line.update(mixture.parameters)
        return Translates(self._problem.box, lines, mixtures), mode_products([line.A for line in lines], U)

    def _error(self, grid, alpha):
        """The estimated error, and the distance to the other solution that it is made of."""
        distance = _rms(grid.between(alpha, (0,) * grid.d) - self._truth) / max(_rms(self._truth), 1e-300)
        error = distance + self._reference.error_estimate
        return error if math.isfinite(error) else math.inf, distance

    def known(self, grid, alpha):
        """All that is told of a posterior mean."""
        error, distance = self._error(grid, alpha)
        mesh = np.ix_(*self._points)
        parts = [c * grid.between(alpha, index) for index, c in self._problem.terms.constant.items()]
        if self._problem.N is not None:
            parts.append(self._problem.N(grid.between(alpha, (0,) * grid.d), mesh))
        right = self._problem.f(mesh)
        largest = max(_rms(right), _rms(sum(np.abs(p) for p in parts)), 1e-300)
        residual = _rms(sum(parts) - right) / largest
        kernels = tuple(axis.kernel for axis in grid.axes)
        return Trained(error, distance, self._reference.error_estimate, residual, np.array(self.values), kernels)


def _along(M, X, axis):
    return M @ X if axis == 0 else X @ M.T


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values))))
