"""The networks of the deep conjugate direction method (Kaneda et al. 2023, section 5 and figure 3).

Convolutions of width 3, zeros around, 16 channels, biases, no normalisation: residual pairs on the grid, on the grid of
half the resolution, and on the grid again. Weights start as Glorot and Bengio (2010) draw them. What differs from the
paper: any size of the grid, odd ones too, and two dimensions.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._model_file import read_model, write_model
from .._types import PathLike, Seed
from ._torch import torch_or_sentence

__all__ = ["GridModel", "Network", "load", "network"]

_KIND = "network"
#: Dimensions, and residual pairs before, on and after the coarse grid.
_NAMED = {"2d": (2, (1, 3, 2)), "paper64": (3, (1, 3, 2)), "paper128": (3, (2, 5, 3))}


def network(name: str, rng: Seed | None = None) -> "Network":
    """Return an untrained network: ``"paper64"`` and ``"paper128"`` in 3D, ``"2d"`` the first of them in 2D.

    Parameters
    ----------
    name : {"2d", "paper64", "paper128"}
    rng : None, int or numpy.random.Generator
        Draws the weights.

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidInput
        A ValueError: another name.
    ImportError
        Without PyTorch.

    Examples
    --------
    >>> from solvers import deep
    >>> deep.network("paper64", rng=0).n_parameters   # doctest: +SKIP
    97457
    """
    dims, pairs = _NAMED[_checks.choice("name", name, tuple(_NAMED))]
    return Network(dims, pairs, rng=rng)


class Network:
    """A residual network on grids of 2 or 3 dimensions with one coarser level.

    Parameters
    ----------
    dims : {2, 3}
    pairs : three ints
        Residual pairs before, on and after the coarse grid.
    channels : int, default 16
    rng : None, int or numpy.random.Generator
        Draws the weights.

    Attributes
    ----------
    weights : list of torch.Tensor
        Kernel and bias of each convolution in turn; they may be sent to a GPU with ``to``.
    """

    def __init__(self, dims: int, pairs: Sequence[int], channels: int = 16, rng: Seed | None = None) -> None:
        torch = torch_or_sentence()
        self.dims: int = _checks.count("dims", dims, least=2)
        if self.dims > 3:
            raise InvalidInput(f"`dims` must be 2 or 3, got {dims}.")
        if not isinstance(pairs, tuple | list) or len(pairs) != 3:
            raise InvalidInput(f"`pairs` must be three integers, got {pairs!r}.")
        self.pairs: tuple[int, ...] = tuple(_checks.count("pairs", each, least=0) for each in pairs)
        self.channels: int = _checks.count("channels", channels)
        rng = _checks.generator(rng)
        self.weights: list[Any] = []
        for shape in self._shapes():
            reach = math.prod(shape[2:])
            bound = math.sqrt(6.0 / (reach * (shape[0] + shape[1])))
            kernel = rng.uniform(-bound, bound, shape).astype(np.float32)
            self.weights += [torch.from_numpy(kernel), torch.zeros(shape[0])]

    def _shapes(self):
        c, wide = self.channels, (3,) * self.dims
        inner = 2 + 2 * sum(self.pairs)
        return [(c, 1, *wide), *[(c, c, *wide)] * inner, (1, c, *(1,) * self.dims)]

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(each.numel() for each in self.weights)

    def to(self, device: Any) -> Self:
        """Send the weights to a device of torch's; returns self."""
        self.weights = [each.to(device) for each in self.weights]
        return self

    def __call__(self, u: Any) -> Any:
        """The output for a batch: tensors of shape (B, 1, ...) of float32."""
        functional = torch_or_sentence().nn.functional
        convolve = getattr(functional, f"conv{self.dims}d")
        pool = getattr(functional, f"avg_pool{self.dims}d")
        weights = iter(self.weights)

        def conv(h):
            kernel = next(weights)
            return convolve(h, kernel, next(weights), padding=kernel.shape[-1] // 2)

        def residual_pairs(h, count):
            for _ in range(count):
                h = h + conv(conv(h).relu()).relu()
            return h

        before, coarse, after = self.pairs
        h = residual_pairs(conv(conv(u)).relu(), before)
        fine = conv(h).relu()
        h = residual_pairs(pool(fine, 2, ceil_mode=True), coarse)
        h = residual_pairs(functional.interpolate(h, size=fine.shape[2:], mode="nearest") + fine, after)
        return conv(h)

    def on(self, grid: Sequence[int], mask: ArrayLike | None = None) -> "GridModel":
        """The model for ``linalg.dcdm`` on a grid: see ``GridModel``."""
        return GridModel(self, grid, mask)

    def save(self, path: PathLike) -> None:
        """Write the weights and what the network is to an .npz file without pickled objects."""
        header = {"dims": self.dims, "pairs": self.pairs, "channels": self.channels}
        write_model(path, _KIND, {f"w{i}": each.detach().cpu().numpy() for i, each in enumerate(self.weights)}, header)

    def __repr__(self):
        return f"<network on {self.dims}D grids, {self.n_parameters} parameters>"


class GridModel:
    """A network as a function of vectors: residual to direction, both of shape (n,).

    Parameters
    ----------
    network : Network, or another callable on tensors (B, 1, ...)
    grid : (ny, nx) or (nz, ny, nx)
        Its points in C order are the unknowns.
    mask : ndarray of bool, of the grid's shape, optional
        True at the points that are unknowns, where not all are: the network sees zeros at the others.
    """

    def __init__(self, network: Callable[[Any], Any], grid: Sequence[int], mask: ArrayLike | None = None) -> None:
        torch_or_sentence()
        self.network = network
        if not isinstance(grid, tuple | list):
            raise InvalidInput(f"`grid` must be a sequence of sizes, got {grid!r}.")
        self.grid: tuple[int, ...] = tuple(_checks.count("grid", size) for size in grid)
        if getattr(network, "dims", len(self.grid)) != len(self.grid):
            raise InvalidInput(f"`grid` must have {network.dims} entries for this network, got {self.grid}.")
        self.mask = None if mask is None else np.asarray(mask, dtype=bool)
        if self.mask is not None and self.mask.shape != self.grid:
            raise InvalidInput(f"`mask` must have shape {self.grid}, got {self.mask.shape}.")
        self.n = math.prod(self.grid) if self.mask is None else int(self.mask.sum())

    def __call__(self, r: Any) -> Any:
        torch = torch_or_sentence()
        given = torch.from_numpy(np.array(r)) if isinstance(r, np.ndarray) else torch.from_dlpack(r)
        if tuple(given.shape) != (self.n,):
            raise InvalidInput(f"`grid` must have as many points as there are unknowns, {self.n} for {len(given)}.")
        with torch.inference_mode():
            u = given.to(torch.float32)
            if self.mask is not None:
                inside = torch.from_numpy(self.mask.ravel()).to(u.device)
                u = torch.zeros(inside.shape, device=u.device).masked_scatter_(inside, u)
            z = self.network(u.reshape(1, 1, *self.grid)).reshape(-1)
            z = z if self.mask is None else z[inside]
        return z.cpu().numpy() if isinstance(r, np.ndarray) else z.clone()


def load(path: PathLike) -> Network:
    """Read a network that ``Network.save`` wrote; a pickle, or a file that was changed since, is refused.

    Parameters
    ----------
    path : path

    Returns
    -------
    network : Network

    Raises
    ------
    InvalidInput
        A ValueError: not such a file, a checksum that does not agree, or weights that do not fit or are not finite.
    """
    torch = torch_or_sentence()
    arrays, header = read_model(path, _KIND)
    try:
        # Asked before anything of the size that the header tells is made.
        fit = len(arrays) == 8 + 4 * sum(header["pairs"]) and arrays["w0"].shape[:1] == (header["channels"],)
        made = Network(header["dims"], header["pairs"], header["channels"], rng=0) if fit else None
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        raise InvalidInput(f"`path` must say what network it holds, unlike {os.fspath(path)!r}.") from error
    weights = [arrays.get(f"w{i}") for i in range(len(arrays))]
    if made is None or not all(map(_fits, weights, made.weights)):
        raise InvalidInput(f"`path` must hold finite float32 weights that fit its header, unlike {os.fspath(path)!r}.")
    made.weights = [torch.from_numpy(array) for array in weights]
    return made


def _fits(array, weight):
    if array is None or array.dtype != np.float32 or array.shape != tuple(weight.shape):
        return False
    return bool(np.isfinite(array).all())
