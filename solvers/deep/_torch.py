"""PyTorch, imported where a network is made or read."""

__all__ = ["torch_or_sentence"]


def torch_or_sentence():
    """Return ``torch``, or say how to install it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("solvers.deep needs PyTorch: pip install 'adaptive-solvers[deep]'.") from error
    return torch
