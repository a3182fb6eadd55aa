"""Training of a direction network (Kaneda et al. 2023, equation 5): the residual after one exact step, blind to scale.

What differs from the paper: the samples held out are held out, where the published training also learned from them.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._loop import fitted
from .._types import Callback, MatrixLike, Seed
from ._data import stopped
from ._network import Network
from ._torch import torch_or_sentence

__all__ = ["Training", "loss", "train"]


@dataclass(repr=False)
class Training:
    """How a training went.

    Attributes
    ----------
    losses : list of float
        One a step: the mean of its batch, before the step.
    before, after : float
        Mean over the samples held out, NaN where there are none.
    seconds : float
    """

    losses: list[float] = field(default_factory=list)
    before: float = float("nan")
    after: float = float("nan")
    seconds: float = 0.0

    @property
    def iterations(self) -> int:
        """Steps taken."""
        return len(self.losses)

    def __repr__(self):
        return f"Training({self.iterations} steps, loss {self.before:.3g} before and {self.after:.3g} after)"


def loss(product: Callable[[Any], Any], directions: Any, residuals: Any) -> Any:
    """Return ``norm(r - a A f)^2`` with ``a = (f r) / (f A f)``, meaned over a batch; no factor of f changes it.

    Parameters
    ----------
    product : function (tensor (B, n)) -> tensor (B, n)
        A times each row.
    directions, residuals : torch.Tensor, shape (B, n)
        f and r.

    Returns
    -------
    loss : torch.Tensor, shape ()
    """
    torch = torch_or_sentence()
    Af = product(directions)
    fAf = (directions * Af).sum(1)
    tiny = torch.finfo(fAf.dtype).tiny
    a = (directions * residuals).sum(1) / torch.where(fAf.abs() < tiny, tiny, fAf)
    return (residuals - a[:, None] * Af).square().sum(1).mean()


def train(
    network: Network,
    A: MatrixLike,
    grid: Sequence[int],
    data: ArrayLike,
    *,
    n_steps: int = 1000,
    lr: float = 1e-4,
    batch: int = 10,
    held_out: float = 0.1,
    rng: Seed | None = None,
    callback: Callback | None = None,
) -> Training:
    """Train a network on right-hand sides of one matrix by Adam, in place.

    Parameters
    ----------
    network : Network
    A : sparse array, shape (n, n)
        Real symmetric positive definite: the matrix of a whole grid, with few entries a row.
    grid : (ny, nx) or (nz, ny, nx)
        Whose points in C order the rows of A are.
    data : array_like, shape (k, n)
        Right-hand sides, as ``training_data`` draws them.
    n_steps : int, default 1000
        Batches.
    lr : float, default 1e-4
        Step size of Adam, the paper's; 1e-3 learns faster in 2D.
    batch : int, default 10
        Samples a step.
    held_out : float, default 0.1
        Part of the samples that is not trained on but measured, before and after.
    rng : None, int or numpy.random.Generator
        Orders the samples.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(step, loss)``; StopIteration ends the training. ``solvers.progress()`` reports.

    Returns
    -------
    training : Training

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: what does not fit.
    ImportError
        Without PyTorch.
    """
    torch = torch_or_sentence()
    if not hasattr(network, "on"):
        raise UnsupportedType(f"`network` must be a Network, got {type(network).__name__}; see deep.network.")
    n_steps, batch, lr = _checks.count("n_steps", n_steps), _checks.count("batch", batch), _checks.positive("lr", lr)
    report = _checks.function("callback", callback)
    model = network.on(grid)
    data = _samples(data, model.n)
    product = _product(A, model.n, network.weights[0].device)
    rng = _checks.generator(rng)
    apart, ours = _split(len(data), held_out, rng)

    def loss_of(rows):
        r = torch.from_numpy(np.ascontiguousarray(data[rows])).to(network.weights[0].device)
        f = network(r.reshape(len(rows), 1, *model.grid)).reshape(len(rows), -1)
        return loss(product, f, r)

    training, began = Training(), time.perf_counter()
    training.before = _measure(torch, loss_of, apart, batch)
    _descend(torch, network, loss_of, _batches(ours, batch, n_steps, rng), lr, report, training)
    training.after = _measure(torch, loss_of, apart, batch)
    training.seconds = time.perf_counter() - began
    return fitted(callback, training)


def _split(count, held_out, rng):
    """The samples to measure on, and those to train on."""
    order, apart = rng.permutation(count), int(_checks.number("held_out", held_out, least=0.0) * count)
    if not 0 <= apart < count:
        raise InvalidInput(f"`held_out` must leave samples to train on, got {held_out} of {count}.")
    return order[:apart], order[apart:]


def _descend(torch, network, loss_of, batches, lr, report, training):
    """A step of Adam for each batch, until the callback stops it."""
    network.weights = [each.detach().requires_grad_(True) for each in network.weights]
    optimiser = torch.optim.Adam(network.weights, lr=lr)
    try:
        for rows in batches:
            optimiser.zero_grad()
            value = loss_of(rows)
            if not torch.isfinite(value):
                raise InvalidInput(
                    f"`lr` must be so small that the loss stays finite, got {lr:g} and a NaN in step "
                    f"{training.iterations + 1}; the network is to be made anew."
                )
            value.backward()
            optimiser.step()
            training.losses.append(float(value.detach()))
            if stopped(report, training.iterations, training.losses[-1]):
                break
    finally:
        network.weights = [each.detach() for each in network.weights]


def _samples(data, n):
    data = _checks.array("data", data)
    if data.ndim != 2 or data.shape[1] != n or not len(data) or data.dtype.kind == "c":
        raise InvalidInput(f"`data` must be real, of shape (k, {n}) with k >= 1, got {data.dtype} of {data.shape}.")
    return _checks.finite("data", data).astype(np.float32, copy=False)


def _batches(rows, batch, steps, rng):
    """That many batches; each pass over the samples is in an order of its own."""
    batch, taken = min(batch, len(rows)), 0
    while True:
        rows = rng.permutation(rows)
        for begin in range(0, len(rows) - batch + 1, batch):
            if taken == steps:
                return
            taken += 1
            yield rows[begin : begin + batch]


def _measure(torch, loss_of, rows, batch):
    """The mean loss, without gradients; NaN of no samples."""
    if not len(rows):
        return float("nan")
    with torch.no_grad():
        parts = [rows[begin : begin + batch] for begin in range(0, len(rows), batch)]
        return sum(float(loss_of(each)) * len(each) for each in parts) / len(rows)


def _product(A, n, device):
    """A times rows, for tensors with gradients: A is kept as a fixed number of entries a row."""
    torch = torch_or_sentence()
    if not scipy.sparse.issparse(A):
        raise UnsupportedType(f"`A` must be a sparse array, got {type(A).__name__}; use scipy.sparse.csr_array(A).")
    if A.shape != (n, n):
        raise InvalidInput(f"`A` must have shape ({n}, {n}) to go with `shape`, got {A.shape}.")
    A = scipy.sparse.csr_array(A)
    if A.dtype.kind == "c":
        raise UnsupportedType(f"`A` must be real, got dtype {A.dtype}.")
    _checks.finite("A", A.data)
    counts = np.diff(A.indptr)
    place = np.arange(A.indptr[-1]) - np.repeat(A.indptr[:-1], counts), np.repeat(np.arange(n), counts)
    columns, entries = np.zeros((counts.max(), n), np.int64), np.zeros((counts.max(), n), np.float32)
    columns[place], entries[place] = A.indices, A.data
    columns, entries = (torch.from_numpy(each).to(device) for each in (columns, entries))
    return functools.partial(_symmetric().apply, columns, entries)


@functools.cache
def _symmetric():
    """The product with a symmetric matrix as a function that torch can differentiate: its gradient is itself."""
    torch = torch_or_sentence()

    def multiply(columns, entries, F):
        return sum(e * F[:, c] for c, e in zip(columns, entries))

    class Symmetric(torch.autograd.Function):
        @staticmethod
        def forward(ctx, columns, entries, F):
            ctx.columns, ctx.entries = columns, entries
            return multiply(columns, entries, F)

        @staticmethod
        def backward(ctx, gradient):
            return None, None, multiply(ctx.columns, ctx.entries, gradient)

    return Symmetric
