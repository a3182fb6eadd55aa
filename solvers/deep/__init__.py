"""The deep conjugate direction method's networks, data and training (Kaneda et al. 2023): models for ``linalg.dcdm``.

Networks and training need PyTorch, the extra ``deep``, which is imported when the first network is made.
"""

from ._data import memory_of_data, training_data
from ._network import GridModel, Network, load, network
from ._training import Training, loss, train

__all__ = [
    "GridModel",
    "Network",
    "Training",
    "load",
    "loss",
    "memory_of_data",
    "network",
    "train",
    "training_data",
]
